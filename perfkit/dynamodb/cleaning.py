"""Removing what perfkit made: tables that carry its mark, its data file, saved runs."""

import time
from dataclasses import dataclass
from pathlib import Path

from perfkit.dynamodb.errors import answer_errors
from perfkit.dynamodb.ownership import Ownership, not_ours
from perfkit.dynamodb.retries import RetryingConnection
from perfkit.dynamodb.safety import Effect, Preview
from perfkit.dynamodb.tables import (
    TableState,
    delete,
    describe,
    table_names,
    wait_until_gone,
)
from perfkit.dynamodb.targets import Target, TargetKind, data_files
from perfkit.errors import ConfigError
from perfkit.runs import is_run_file
from perfkit.units import format_bytes
from perfkit.workloads.model import Workload

__all__ = ["CleanPlan", "clean", "plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanPlan:
    """
    What is to be removed.

    Args:
        target: Where the tables are.
        tables: Tables to delete.
        kept: Tables in the data file that stay, because perfkit did not create them and the
            workload does not name them.
        foreign: Tables of the workload that perfkit did not create: with them nothing is removed.
        files: The data file with its companions; empty if it holds a table that stays.
        runs: Run files.
        other_files: How many others there are in their folder, which stay.
        page: The page that was made of the runs; None leaves it, or there is none.
    """

    target: Target
    tables: tuple[TableState, ...]
    kept: tuple[str, ...]
    foreign: tuple[str, ...]
    files: tuple[Path, ...]
    runs: tuple[Path, ...]
    other_files: int
    page: Path | None

    @property
    def effects(self) -> tuple[str, ...]:
        """What is removed, one line each."""
        lines = [f"table {table.name} with {table.items:,} items" for table in self.tables]
        if self.files:
            size_bytes = sum(file.stat().st_size for file in self.files if file.exists())
            lines.append(f"data file {self.target.data} ({format_bytes(size_bytes)})")
        if self.runs:
            runs = "1 saved run" if len(self.runs) == 1 else f"{len(self.runs)} saved runs"
            lines.append(f"{runs} in {self.runs[0].parent}")
        if self.page is not None:
            lines.append(f"page {self.page}")
        return tuple(lines)

    def preview(self) -> Preview:
        """Return what a person is asked about."""
        return Preview(
            title="Remove",
            effects=(
                *(Effect(text=text) for text in self.effects),
                *(
                    Effect(text=f"table {name}, which perfkit did not create")
                    for name in self.foreign
                ),
            ),
            always_ask=True,
            foreign=self.foreign,
        )


def plan(
    target: Target, workload: Workload, runs: Path | None, page: Path | None = None
) -> CleanPlan:
    """
    Look at what there is to remove; changes nothing, and writes nothing, so a full disk is no hindrance.

    Args:
        target: Where; in the embedded data file every table is looked at, elsewhere those of
            the workload, because an account is shared with others.
        workload: Its tables.
        runs: Folder of the saved runs; None leaves them.
        page: The page made of them; None leaves it.

    Raises:
        TargetError: The target does not answer, or the data file is not one of perfkit's.
        ConfigError: Which tables are perfkit's cannot be found out without writing.
    """
    found = [] if runs is None else sorted(runs.glob("*.json"))
    run_files = tuple(file for file in found if is_run_file(file))
    ours, others = _look(target, workload) if target.may_exist else ((), ())
    named = {table.name for table in workload.made}
    keeps_file = target.kind is not TargetKind.EMBEDDED or not target.may_exist or others
    return CleanPlan(
        target=target,
        tables=ours,
        kept=tuple(name for name in others if name not in named),
        foreign=tuple(name for name in others if name in named),
        files=() if keeps_file else tuple(data_files(target.data)),
        runs=run_files,
        other_files=len(found) - len(run_files),
        page=page if page is not None and page.is_file() else None,
    )


def _look(target: Target, workload: Workload) -> tuple[tuple[TableState, ...], tuple[str, ...]]:
    """Return perfkit's own tables, and the names of the others."""
    ours, others = [], []
    ownership = Ownership(target)
    with (
        RetryingConnection(target.connect(read_only=True)) as connection,
        answer_errors("looking at the tables", target.name),
    ):
        # whoever made them: the workload says that they are not perfkit's to fill
        left_alone = {table.name for table in workload.existing}
        names = [table.name for table in workload.made]
        if target.kind is TargetKind.EMBEDDED:
            names = table_names(connection)
        for name in names:
            state = describe(connection, name)
            if state is None:
                continue
            if name not in left_alone and ownership.mark_of(connection, state) is not None:
                ours.append(state)
            else:
                others.append(name)
    return tuple(ours), tuple(others)


def clean(planned: CleanPlan, workload: Workload) -> None:
    """
    Remove what is planned.

    Raises:
        TargetError: The target failed.
        ConfigError: A file cannot be removed, or a table became somebody else's meanwhile.
    """
    if planned.files:
        # somebody may have put a table into the file since the plan was shown
        _, others = _look(planned.target, workload)
        if others:
            raise not_ours(others, planned.target.name)
        # the tables go with their file
        _remove(planned.files)
    elif planned.tables:
        ownership = Ownership(planned.target)
        with RetryingConnection(planned.target.connect()) as connection:
            for table in planned.tables:
                with answer_errors(f"looking at table {table.name}", planned.target.name):
                    if describe(connection, table.name) is not None:
                        ownership.check(connection, table.name, table.identity)
            for table in planned.tables:
                with answer_errors(f"deleting table {table.name}", planned.target.name):
                    # again: deleting the ones before may take a while
                    if describe(connection, table.name) is not None:
                        ownership.check(connection, table.name, table.identity)
                        delete(connection, table.name)
                        ownership.forget(table.name)
            for table in planned.tables:
                with answer_errors(f"deleting table {table.name}", planned.target.name):
                    wait_until_gone(connection, table.name, pause=time.sleep)
    _remove(planned.runs)
    _remove(() if planned.page is None else (planned.page,))


def _remove(files: tuple[Path, ...]) -> None:
    for file in files:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            msg = f"cannot remove {file} ({error.strerror or error})"
            raise ConfigError(msg) from error
