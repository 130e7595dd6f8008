"""Removing what perfkit made: tables that carry its tag, its data file, saved runs."""

import time
from dataclasses import dataclass
from pathlib import Path

from perfkit.dynamodb.errors import answer_errors
from perfkit.dynamodb.patience import Backoff, PatientConnection
from perfkit.dynamodb.safety import Effect, Preview
from perfkit.dynamodb.tables import delete, describe, is_ours, table_names, wait_until_gone
from perfkit.dynamodb.targets import Target, TargetKind, data_files
from perfkit.errors import ConfigError
from perfkit.units import format_bytes
from perfkit.workloads.model import Workload

__all__ = ["CleanPlan", "clean", "plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanPlan:
    """
    What is to be removed.

    Args:
        target: Where the tables are.
        tables: Tables to delete, with their items.
        kept: Tables that are looked at and stay, because perfkit did not create them.
        files: The data file with its companions; empty if it holds a table that stays.
        runs: Run files.
    """

    target: Target
    tables: tuple[tuple[str, int], ...]
    kept: tuple[str, ...]
    files: tuple[Path, ...]
    runs: tuple[Path, ...]

    @property
    def effects(self) -> tuple[str, ...]:
        """What is removed, one line each."""
        lines = [f"table {name} with {items:,} items" for name, items in self.tables]
        if self.files:
            size_bytes = sum(file.stat().st_size for file in self.files if file.exists())
            lines.append(f"data file {self.target.data} ({format_bytes(size_bytes)})")
        if self.runs:
            runs = "1 saved run" if len(self.runs) == 1 else f"{len(self.runs)} saved runs"
            lines.append(f"{runs} in {self.runs[0].parent}")
        return tuple(lines)

    def preview(self) -> Preview:
        """Return what a person is asked about."""
        return Preview(
            title="Remove",
            effects=tuple(Effect(text=text) for text in self.effects),
            always_ask=True,
        )


def plan(target: Target, workload: Workload, runs: Path | None) -> CleanPlan:
    """
    Look at what there is to remove; changes nothing.

    Args:
        target: Where; in the embedded data file every table is looked at, elsewhere those of
            the workload, because an account is shared with others.
        workload: Its tables.
        runs: Folder of the saved runs; None leaves them.

    Raises:
        TargetError: The target does not answer, or the data file is not one of perfkit's.
    """
    embedded = target.kind is TargetKind.EMBEDDED
    run_files = () if runs is None else tuple(sorted(runs.glob("*.json")))
    if not target.may_exist:
        return CleanPlan(target=target, tables=(), kept=(), files=(), runs=run_files)
    ours, kept = [], []
    connection = PatientConnection(target.connect(), backoff=Backoff())
    try:
        with answer_errors("looking at the tables", target.name):
            names = (
                table_names(connection) if embedded else [table.name for table in workload.tables]
            )
            for name in names:
                state = describe(connection, name)
                if state is None:
                    continue
                if is_ours(connection, state):
                    ours.append((name, state.items))
                else:
                    kept.append(name)
    finally:
        connection.close()
    return CleanPlan(
        target=target,
        tables=tuple(ours),
        kept=tuple(kept),
        files=tuple(data_files(target.data)) if embedded and not kept else (),
        runs=run_files,
    )


def clean(planned: CleanPlan) -> None:
    """
    Remove what is planned.

    Raises:
        TargetError: The target failed.
        ConfigError: A file cannot be removed.
    """
    if planned.files:
        # the tables go with their file
        _remove(planned.files)
    elif planned.tables:
        connection = PatientConnection(planned.target.connect(), backoff=Backoff())
        try:
            for name, _ in planned.tables:
                with answer_errors(f"deleting table {name}", planned.target.name):
                    # somebody may have made another table of that name since the plan was shown
                    state = describe(connection, name)
                    if state is not None and not is_ours(connection, state):
                        msg = f"table {name} no longer carries perfkit's tag; it was left alone"
                        raise ConfigError(msg)
                    if state is not None:
                        delete(connection, name)
            for name, _ in planned.tables:
                with answer_errors(f"deleting table {name}", planned.target.name):
                    wait_until_gone(connection, name, pause=time.sleep)
        finally:
            connection.close()
    _remove(planned.runs)


def _remove(files: tuple[Path, ...]) -> None:
    for file in files:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            msg = f"cannot remove {file} ({error.strerror or error})"
            raise ConfigError(msg) from error
