"""The perfkit command line: the Typer application and the one place where errors become exit codes."""

import errno
import os
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from perfkit import __version__
from perfkit.commands.bench import bench
from perfkit.commands.check import check
from perfkit.commands.clean import clean
from perfkit.commands.compare import compare
from perfkit.commands.cost import cost
from perfkit.commands.create_indexes import create_indexes
from perfkit.commands.doctor import doctor
from perfkit.commands.down import down
from perfkit.commands.drop_indexes import drop_indexes
from perfkit.commands.dynamodb import dynamodb
from perfkit.commands.fleet import fleet
from perfkit.commands.init import init
from perfkit.commands.load import load
from perfkit.commands.migrate import migrate
from perfkit.commands.output import say, say_error
from perfkit.commands.prices import prices
from perfkit.commands.record import record
from perfkit.commands.report import ReportCommand, report
from perfkit.commands.run import run
from perfkit.commands.seed import seed
from perfkit.commands.serve import serve
from perfkit.commands.stack import stack
from perfkit.commands.status import status
from perfkit.commands.traffic import traffic
from perfkit.commands.up import up
from perfkit.commands.watch import watch
from perfkit.commands.worker import worker
from perfkit.commands.workload import workload
from perfkit.console import INTERRUPTED, interrupts, is_out_of_files, silence
from perfkit.errors import PerfkitError, StorageFullError, TargetError

__all__ = ["app", "main"]

_TOO_MANY_FILES = (
    "too many open files; allow more with `ulimit -n 256` in the shell and run the command again"
)

_IN_OTHER_WORDS = {
    "Input should be greater than or equal to": "it must be at least",
    "Input should be less than or equal to": "it must be at most",
    "Input should be": "it must be",
    "Value error, ": "",
}
"""What pydantic, by which Typer reads options, says of a value, and what we do."""


class ErrorBoundary(TyperGroup):
    """Prints what perfkit raised on purpose as one line and exits with its code."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands under the names of their panels, which plain Typer help leaves out."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            found = self.get_command(ctx, name)
            if found is not None and not found.hidden:
                panel = getattr(found, "rich_help_panel", None)
                title = panel if isinstance(panel, str) else "Commands"
                panels.setdefault(title, []).append((name, found.get_short_help_str(80)))
        for title, rows in panels.items():
            with formatter.section(title):
                formatter.write_dl(rows, col_max=16)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            # within the try, so that no interrupt falls between the two
            interrupts.begin()
            return super().invoke(ctx)
        except PerfkitError as error:
            if os.environ.get("PERFKIT_DEBUG"):
                raise
            say_error(str(error))
            raise typer.Exit(error.exit_code) from error
        except typer.BadParameter as error:
            for theirs, ours in _IN_OTHER_WORDS.items():
                error.message = error.message.replace(theirs, ours)
            raise
        except KeyboardInterrupt as error:
            say("Interrupted.", fg="yellow")
            raise typer.Exit(INTERRUPTED) from error
        except OSError as error:
            raise typer.Exit(_explain(error)) from error
        except Exception as error:
            if not is_out_of_files(error):
                raise
            say_error(_TOO_MANY_FILES)
            raise typer.Exit(TargetError.exit_code) from error


def _explain(error: OSError) -> int:
    """Print what the system refused, and return the exit code; raise it if that explains nothing."""
    if is_out_of_files(error):
        say_error(_TOO_MANY_FILES)
        return TargetError.exit_code
    # where a file is named, it is not about the output
    if error.filename is not None or os.environ.get("PERFKIT_DEBUG"):
        raise error
    silence(sys.stdout)
    if isinstance(error, BrokenPipeError):
        # the reader, head or less, has seen enough
        return 0
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        say_error("no space left to write the output")
        return StorageFullError.exit_code
    if error.errno in {errno.EBADF, errno.EIO}:
        say_error("the output cannot be written: standard output is closed")
        return PerfkitError.exit_code
    raise error


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


# panel -> its commands, each with a summary that 80 columns have room for
_PANELS: Mapping[str, tuple[tuple[Callable[..., Any] | typer.Typer, str], ...]] = {
    "Measure": (
        (run, "Do it all: seed, index, measure, and answer on one screen."),
        (init, "Write a workload file from existing tables."),
        (bench, "Measure access patterns, the cache or the service."),
        (load, "Load a service with the requests of many users."),
    ),
    "Traffic": (
        (record, "Record what an application asks of DynamoDB."),
        (traffic, "Show a recording, the most expensive requests first."),
    ),
    "Change": (
        (migrate, "Take live tables to new indexes, and back."),
        (create_indexes, "Create a workload's indexes on tables in use."),
        (drop_indexes, "Drop a workload's indexes; the items stay."),
    ),
    "Report": (
        (report, "Show what the saved runs found, without measuring."),
        (compare, "Compare two runs, or two folders of them."),
        (check, "Hold the checklist and gates against what shows it."),
        (status, "Show tables, indexes, saved runs and the service."),
        (cost, "Work out monthly costs, and what would change them."),
        (fleet, "Work out instances for a rate, and auto scaling."),
    ),
    "Reference service": (
        (up, "Run service, worker and cache in the background."),
        (down, "Stop what `up` started."),
        (serve, "Run the service in the foreground, with any switches."),
        (watch, "Show live how a running service does."),
        (worker, "Deliver queued mails and request logs."),
        (stack, "Print a CloudFormation template of it for AWS."),
    ),
    "Data and tools": (
        (seed, "Create the tables of a workload and fill them."),
        (clean, "Remove what perfkit made."),
        (doctor, "Check target, permissions, clock, quotas and Redis."),
        (workload, "Explain and check workload files."),
        (prices, "Show and refresh list prices."),
        (dynamodb, "Serve the embedded DynamoDB over HTTP."),
    ),
}

_NAMES = {
    stack: "stack",
    cost: "cost",
    migrate: "migrate",
    prices: "prices",
    traffic: "traffic",
    workload: "workload",
}

for panel, members in _PANELS.items():
    for command, summary in members:
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=_NAMES[command], short_help=summary, rich_help_panel=panel)
        else:
            app.command(
                name=command.__name__.replace("_", "-"),
                cls=ReportCommand if command is report else None,
                short_help=summary,
                rich_help_panel=panel,
            )(command)


def main() -> None:
    """Run perfkit."""
    try:
        try:
            app(prog_name="perfkit")
        finally:
            # Python would do it at exit, where nobody explains what goes wrong
            sys.stdout.flush()
    except OSError as error:
        sys.exit(_explain(error))
    finally:
        interrupts.end()
