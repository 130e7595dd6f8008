"""`perfkit stack`: the reference's "after" for AWS."""

import json
from pathlib import Path
from typing import Annotated

import typer

from perfkit.commands.output import note, print_text, write_file
from perfkit.errors import ConfigError

__all__ = ["stack"]

stack = typer.Typer(no_args_is_help=True, help="Take the reference service to AWS.")


@stack.callback()
def _stack() -> None:
    """Take the reference service to AWS."""


@stack.command(short_help='Print a CloudFormation template of the reference\'s "after".')
def template(
    *,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write to this file instead.")
    ] = None,
    architecture: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write what it runs as an architecture file, for `perfkit report --cost`.",
        ),
    ] = None,
) -> None:
    """
    Print a CloudFormation template: load balancer, instances, cache, tables, queue and alarms.

    It is the reference architecture's "after" for the built-in workload. Nothing is deployed.

    Example: perfkit stack template --output stack.json --architecture stack.toml
    """
    from perfkit.cost.architecture_file import load_architectures
    from perfkit.stack.architecture import architecture_file
    from perfkit.stack.template import make_template
    from perfkit.workloads.loader import load

    reference = load_architectures().after
    if reference is None:
        msg = "the built-in architectures have no [after]"
        raise ConfigError(msg)
    made = make_template(load("courses"), reference)
    text = json.dumps(made, indent=2) + "\n"
    if output is None:
        print_text(text.rstrip("\n"))
    else:
        write_file(output, text)
    if architecture is not None:
        write_file(architecture, architecture_file(made, "courses on AWS"))
        note(f"Its price a month: perfkit report --cost --architecture {architecture}")
