"""`perfkit migrate`: take live tables to new indexes."""

import typer

from perfkit.commands.migrate_apply import apply, rollback
from perfkit.commands.migrate_demo import demo
from perfkit.commands.migrate_plan import plan
from perfkit.commands.migrate_preflight import preflight
from perfkit.commands.migrate_status import status
from perfkit.commands.migrate_verify import verify

__all__ = ["migrate"]

migrate = typer.Typer(no_args_is_help=True, help="Take live tables to new indexes.")
migrate.command()(preflight)
migrate.command()(plan)
migrate.command()(apply)
migrate.command()(rollback)
migrate.command()(status)
migrate.command()(verify)
migrate.command()(demo)
