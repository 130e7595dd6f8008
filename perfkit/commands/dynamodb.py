"""`perfkit dynamodb`: the embedded engine behind HTTP."""

from pathlib import Path
from typing import Annotated

import typer

from perfkit.commands.output import print_text, say
from perfkit.hosts import is_loopback
from perfkit.settings import (
    DATA_FILE,
    DATA_VARIABLE,
    ENFORCE_VARIABLE,
    INDEX_DELAY_VARIABLE,
    LATENCY_VARIABLE,
    LIKE_AWS_DELAY_S,
)

__all__ = ["dynamodb"]


def dynamodb(
    *,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Name under which clients and web pages may reach it, beside this machine's own;"
            " repeatable.",
        ),
    ] = None,
    data: Annotated[
        str,
        typer.Option(
            envvar=DATA_VARIABLE,
            metavar="PATH",
            help="Data file; :memory: keeps everything in memory.",
        ),
    ] = str(DATA_FILE),
    index_delay: Annotated[
        float | None,
        typer.Option(
            envvar=INDEX_DELAY_VARIABLE,
            min=0,
            metavar="SECONDS",
            help="Let global indexes and eventually consistent reads lag by up to so long, as on"
            " AWS; kept with the data, for all processes, until 0 ends it.",
        ),
    ] = None,
    enforce_throughput: Annotated[
        bool,
        typer.Option(
            "--enforce-throughput",
            envvar=ENFORCE_VARIABLE,
            help="Refuse what is beyond the throughput of a table, an index or a partition, by a"
            " model of AWS.",
        ),
    ] = False,
    latency: Annotated[
        str | None,
        typer.Option(
            envvar=LATENCY_VARIABLE,
            metavar="aws|FILE",
            help="Let answers take as long as AWS's, by a model of it, or by a profile of yours.",
        ),
    ] = None,
    like_aws: Annotated[
        bool,
        typer.Option(
            "--like-aws",
            help="All three: --enforce-throughput --latency aws --index-delay 1.",
        ),
    ] = False,
) -> None:
    """
    Serve the embedded DynamoDB over HTTP, for any AWS SDK or the aws command line.

    Clients need credentials and a region, but any will do.

    Example: perfkit dynamodb --port 8000
    """
    from perfkit.embedded import Engine
    from perfkit.embedded.http import serve
    from perfkit.embedded.latency import AWS, Latency, read_profile
    from perfkit.embedded.throughput import Enforcement
    from perfkit.processes.sockets import bind, url_of

    if like_aws:
        enforce_throughput = True
        latency = latency or AWS
        index_delay = LIKE_AWS_DELAY_S if index_delay is None else index_delay
    profile = read_profile(latency) if latency else None
    listener = bind(host, port)
    engine = Engine(
        data if data == ":memory:" else Path(data),
        index_delay_s=index_delay,
        enforcement=Enforcement.beside(data) if enforce_throughput else None,
        latency=None if profile is None else Latency(profile),
    )

    def started() -> None:
        if engine.index_delay_s:
            say(
                "Global indexes and eventually consistent reads lag by up to"
                f" {engine.index_delay_s:g} s; --index-delay 0 ends that"
            )
        if enforce_throughput:
            say("Modelled: throughput is enforced, and requests beyond it are refused.")
        if latency:
            say(f"Modelled: answers take as long as profile {latency} says; it has no tail.")
        print_text(f"DynamoDB at {url_of(listener, host)} ({data}); Ctrl-C ends it")
        if not is_loopback(host):
            say(
                f"Warning: {host} is reachable from other machines and nothing asks for a password",
                fg="yellow",
            )

    serve(engine, listener, host, allowed=allow_host or (), started=started)
