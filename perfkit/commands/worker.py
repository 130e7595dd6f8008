"""`perfkit worker`: delivers queued mails and request logs, and looks after the dead ones."""

import logging
import os
from typing import Annotated

import typer

from perfkit.commands.options import WorkloadOption, make_redis_url, read_workload
from perfkit.commands.output import note, print_json, print_text
from perfkit.console import stop_on_signals
from perfkit.errors import ConfigError, TargetError
from perfkit.settings import FOLDER, REDIS_VARIABLE

__all__ = ["worker"]


def worker(
    *,
    redis_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar=REDIS_VARIABLE,
            help="Redis server of the queue (default: the workload's, else that of perfkit up).",
        ),
    ] = None,
    workload: WorkloadOption = None,
    smtp_host: Annotated[
        str | None,
        typer.Option(
            metavar="HOST",
            help="Mail server (default: PERFKIT_SMTP_URL, else the local sink, which keeps all mail).",
        ),
    ] = None,
    smtp_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of the mail server (default: 25).")
    ] = None,
    threads: Annotated[
        int, typer.Option(min=1, max=500, help="Messages delivered at a time.")
    ] = 32,
    retries: Annotated[
        int,
        typer.Option(
            min=0,
            max=30,
            help="Retries, with growing pauses, before a message becomes a dead letter.",
        ),
    ] = 10,
    dead_letters: Annotated[
        bool, typer.Option("--dead-letters", help="List the dead letters, and exit.")
    ] = False,
    retry_dead: Annotated[
        bool,
        typer.Option("--retry-dead", help="Put the dead letters back into the queue, and exit."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --dead-letters: print one JSON document.")
    ] = False,
) -> None:
    """
    Deliver queued mails and request logs until interrupted.

    Failed messages are retried with growing pauses; those that failed too often, or were refused
    for good, are kept for 7 days as dead letters. Start as many workers as you need.

    Example: perfkit worker --smtp-host mail.example.com --threads 64
    """
    if as_json and not dead_letters:
        msg = "--json is for --dead-letters"
        raise ConfigError(msg)
    if dead_letters and retry_dead:
        msg = "--dead-letters lists them, --retry-dead puts them back: choose one"
        raise ConfigError(msg)
    if dead_letters or retry_dead:
        _look_after_dead(_queue_url(redis_url, workload), put_back=retry_dead, as_json=as_json)
    else:
        _work(_queue_url(redis_url, workload), smtp_host, smtp_port, threads, retries)


def _queue_url(redis_url: str | None, workload: str | None) -> str:
    named = make_redis_url(redis_url, read_workload(workload))
    if named is not None:
        return named
    from perfkit.cache.address import HIDDEN
    from perfkit.processes import redis_server
    from perfkit.service import launch

    running = launch.find(FOLDER)
    if running is not None and running.queue_url is not None:
        if HIDDEN in running.queue_url:
            msg = (
                f"the queue of the running service is at {running.queue_url}, and its password is"
                f" kept nowhere: set {REDIS_VARIABLE} to the whole URL"
            )
            raise ConfigError(msg)
        return running.queue_url
    found = redis_server.find(FOLDER)
    if found is None:
        msg = (
            f"no queue server is running in {FOLDER}; start the service with perfkit serve or "
            "perfkit up, or name a server with --redis-url"
        )
        raise TargetError(msg)
    return found.url


# ---- delivering --------------------------------------------------------------------------


def _work(
    redis_url: str, smtp_host: str | None, smtp_port: int | None, threads: int, retries: int
) -> None:
    from perfkit.cache.address import parse_url
    from perfkit.queue.mail import SmtpSettings
    from perfkit.queue.sink import LocalSink
    from perfkit.queue.worker import RetryPolicy, Worker

    smtp = SmtpSettings.configured(os.environ, host=smtp_host, port=smtp_port)
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.WARNING)
    where = smtp or LocalSink(FOLDER)
    delivering = Worker(
        redis_url, where, FOLDER, threads=threads, policy=RetryPolicy(retries=retries)
    )
    stop = stop_on_signals()

    def started() -> None:
        print_text(
            f"Worker: queue {parse_url(redis_url)}, mail to {where}, {threads} at a time; "
            "Ctrl-C ends it"
        )

    delivering.run(stop, started=started)
    print_text("Worker ended.")


# ---- dead letters ------------------------------------------------------------------------


def _look_after_dead(redis_url: str, *, put_back: bool, as_json: bool) -> None:
    from perfkit.queue.streams import connect, dead_letters, retry_dead

    client = connect(redis_url)
    if put_back:
        count = retry_dead(client)
        print_text(f"{count} dead letters put back into the queue.")
        return
    found = list(dead_letters(client))
    if as_json:
        print_json({"dead_letters": [letter.to_dict() for letter in found]})
        return
    for letter in found:
        print_text(
            f"{letter.died_at:%Y-%m-%d %H:%M:%S} {letter.queue} {letter.id}"
            f" after {letter.attempts} attempts: {letter.reason}"
        )
    note(f"{len(found)} dead letters.")
