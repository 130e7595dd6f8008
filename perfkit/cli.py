"""The perfkit command line: the Typer application and the one place where errors become exit codes."""

import errno
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from perfkit import __version__
from perfkit.commands.bench import bench
from perfkit.commands.clean import clean
from perfkit.commands.compare import compare
from perfkit.commands.cost import cost
from perfkit.commands.create_indexes import create_indexes
from perfkit.commands.down import down
from perfkit.commands.drop_indexes import drop_indexes
from perfkit.commands.dynamodb import dynamodb
from perfkit.commands.prices import prices
from perfkit.commands.report import ReportCommand, report
from perfkit.commands.run import run
from perfkit.commands.seed import seed
from perfkit.commands.serve import serve
from perfkit.commands.status import status
from perfkit.commands.up import up
from perfkit.commands.worker import worker
from perfkit.commands.workload import workload
from perfkit.errors import PerfkitError, StorageFullError

__all__ = ["app", "main"]

_INTERRUPTED = 130


class ErrorBoundary(TyperGroup):
    """Prints what perfkit raised on purpose as one line and exits with its code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except PerfkitError as error:
            if os.environ.get("PERFKIT_DEBUG"):
                raise
            typer.secho(f"Error: {error}", fg="red", err=True)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            typer.secho("Interrupted.", fg="yellow", err=True)
            raise typer.Exit(_INTERRUPTED) from error
        except OSError as error:
            # Python would try to write what is left, and complain again, at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if isinstance(error, BrokenPipeError):
                # the reader, head or less, has seen enough
                raise typer.Exit(0) from error
            if error.errno != errno.ENOSPC:
                raise
            typer.secho("Error: no space left to write the output", fg="red", err=True)
            raise typer.Exit(StorageFullError.exit_code) from error


app = typer.Typer(
    cls=ErrorBoundary,
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001
    if wanted:
        typer.echo(f"perfkit {__version__}")
        raise typer.Exit


@app.callback()
def perfkit(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """
    Measure what DynamoDB access patterns cost, and what indexes change.

    All commands work on the built-in workload "courses" and an embedded DynamoDB unless told
    otherwise: nothing to install, nothing to start. `perfkit run` does everything in one go.
    """


for command in (
    run,
    seed,
    create_indexes,
    bench,
    report,
    compare,
    drop_indexes,
    status,
    clean,
    serve,
    worker,
    up,
    down,
    dynamodb,
):
    app.command(
        name=command.__name__.replace("_", "-"), cls=ReportCommand if command is report else None
    )(command)
app.add_typer(cost, name="cost")
app.add_typer(workload, name="workload")
app.add_typer(prices, name="prices")


def main() -> None:
    """Run perfkit; the entry point of the installed command."""
    app(prog_name="perfkit")
