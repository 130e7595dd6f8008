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
migrate.command(short_help="Remove the indexes that `migrate apply` made of a plan.")(rollback)
migrate.command(short_help="Show how the indexes of live tables stand.")(status)
migrate.command(short_help="Prove that an index holds what its table does.")(verify)
migrate.command(short_help="Show a migration under load, on tables of its own.")(demo)
