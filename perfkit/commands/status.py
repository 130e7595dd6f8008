"""`perfkit status`: what is there: tables, indexes and how far they are, saved runs."""

import sys
from typing import TYPE_CHECKING, Any

from perfkit.commands.options import (
    DataOption,
    JsonOption,
    ProfileOption,
    RegionOption,
    TargetOption,
    VerboseOption,
    WorkloadOption,
    make_target,
    read_workload,
)
from perfkit.commands.output import note, print_json, print_text, warn, wrap
from perfkit.errors import ConfigError, StorageFullError
from perfkit.settings import RUNS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perfkit.dynamodb.connection import Connection
    from perfkit.dynamodb.ownership import Mark
    from perfkit.dynamodb.tables import IndexState, TableState
    from perfkit.dynamodb.targets import Target
    from perfkit.report.model import Row, Table
    from perfkit.workloads.model import Index, Workload
    from perfkit.workloads.model import Table as WorkloadTable

__all__ = ["status"]

_MOST_TABLES = 10
_MOST_INDEXES = 12
_MOST_RUNS = 5


def status(
    *,
    workload: WorkloadOption = None,
    target: TargetOption = None,
    data: DataOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """
    Show the tables and indexes of a workload, the saved runs, and the service.

    On the embedded engine, every call also moves an index that is being built on by one step.

    Example: perfkit status --json
    """
    read = read_workload(workload)
    where = make_target(target, data, region, profile, workload=read)
    tables = _look(where, read)

    from perfkit.runs import RunStore
    from perfkit.service.launch import health

    listing = RunStore(RUNS_FOLDER).list()
    document = {
        "target": where.describe(),
        "data_file": _data_file(where),
        "workload": read.name,
        "tables": tables,
        "runs": [
            {
                "id": run.id,
                "kind": run.kind,
                "scenario": run.scenario,
                "workload": run.workload,
                "target": run.target.get("kind"),
                "started_at": run.started_at,
            }
            for run in listing.runs
        ],
        "service": health(),
        "problems": [str(problem) for problem in listing.problems],
    }
    for problem in listing.problems:
        warn(str(problem))
    for table in tables:
        for index in table["indexes"]:
            if index["difference"]:
                warn(f"index {index['name']} of {table['name']} differs: {index['difference']}")
    if as_json:
        print_json(document)
    else:
        _print(document, where, verbose=verbose)


def _look(target: "Target", workload: "Workload") -> list[dict[str, Any]]:
    from perfkit.dynamodb.errors import answer_errors
    from perfkit.dynamodb.index_progress import build_progress
    from perfkit.dynamodb.ownership import Ownership
    from perfkit.dynamodb.retries import RetryingConnection
    from perfkit.dynamodb.tables import describe

    if not target.may_exist:
        # opening the engine would make the file; looking should leave no trace
        return [_absent(table) for table in workload.tables]
    progress = build_progress(target)
    ownership = Ownership(target)
    with (
        RetryingConnection(_connect(target)) as connection,
        answer_errors("looking at the tables", target.name),
    ):
        states = [(table, describe(connection, table.name)) for table in workload.tables]
        marks = {
            table.name: None if state is None else ownership.mark_of(connection, state)
            for table, state in states
        }
    return [
        _absent(table)
        if state is None
        else {
            "name": table.name,
            "exists": True,
            "made": not table.exists,
            "ours": marks[table.name] is not None,
            "status": state.status,
            "items": state.items,
            "workload_items": None if table.exists else table.items,
            "seeded_items": _seeded_items(workload, table.name, marks[table.name]),
            "size_bytes": state.size_bytes,
            "billing": state.billing,
            "indexes": [
                *(
                    {
                        "name": index.name,
                        "status": index.status,
                        "backfilling": index.backfilling,
                        "fraction": progress.fraction(state, index)
                        if index.status == "CREATING"
                        else None,
                        "items": index.items,
                        "size_bytes": index.size_bytes,
                        "difference": _difference(table.indexes, index),
                    }
                    for index in state.indexes
                ),
                *_missing_indexes(table.indexes, state),
            ],
        }
        for table, state in states
    ]


def _connect(target: "Target") -> "Connection":
    """Return a connection that moves an unfinished index on, where anything can be written."""
    try:
        return target.connect()
    except (ConfigError, StorageFullError):
        if target.kind != "embedded":
            raise
        return target.connect(read_only=True)


def _seeded_items(workload: "Workload", table: str, mark: "Mark | None") -> int:
    """Return how many items seeding was to put into a table; 0 if it was never seeded."""
    from perfkit.workloads.generator import ItemGenerator

    if mark is None or mark.scale is None:
        return 0
    return ItemGenerator(workload, scale=mark.scale).count(table)


def _absent(table: "WorkloadTable") -> dict[str, Any]:
    return {
        "name": table.name,
        "exists": False,
        "made": not table.exists,
        "ours": False,
        "status": "missing",
        "items": None,
        "workload_items": None if table.exists else table.items,
        "seeded_items": 0,
        "size_bytes": None,
        "billing": None,
        "indexes": [],
    }


def _difference(wanted: "Sequence[Index]", existing: "IndexState") -> str:
    from perfkit.dynamodb.tables import index_difference

    index = next((each for each in wanted if each.name == existing.name), None)
    return "" if index is None else index_difference(index, existing)


def _missing_indexes(wanted: Any, state: "TableState") -> list[dict[str, Any]]:
    return [
        {
            "name": index.name,
            "status": "missing",
            "backfilling": False,
            "fraction": None,
            "items": None,
            "size_bytes": None,
            "difference": "",
        }
        for index in wanted
        # of a table only its global indexes are described here
        if not index.local and state.index(index.name) is None
    ]


def _data_file(target: "Target") -> dict[str, Any] | None:
    if target.kind != "embedded":
        return None
    from perfkit.dynamodb.targets import data_files

    files = data_files(target.data)
    return {
        "path": str(target.data),
        "exists": target.may_exist,
        "size_bytes": sum(file.stat().st_size for file in files),
    }


def _print(document: dict[str, Any], target: "Target", *, verbose: bool) -> None:
    from perfkit.report import terminal
    from perfkit.units import format_bytes

    blocks = [_tables(document["tables"], target), _indexes(document["tables"], target)]
    if document["runs"]:
        blocks.append(_runs(document["runs"], verbose=verbose))
    whole = blocks
    if not verbose:
        most = (_MOST_TABLES, _MOST_INDEXES, _MOST_RUNS)
        blocks = [_shorten(block, room) for block, room in zip(blocks, most, strict=False)]
    terminal.print_blocks(tuple(block for block in blocks if block.rows))
    print_text()
    file = document["data_file"]
    if file is None:
        print_text(f"Target: {target.name}")
    elif file["exists"]:
        print_text(f"Data file: {file['path']} ({format_bytes(file['size_bytes'])})")
    else:
        print_text(f"Data file: {file['path']} (not made yet)")
    _say_service(document["service"])
    if not document["runs"]:
        print_text(f"No saved runs in {RUNS_FOLDER}.")
    if blocks != whole:
        print_text("More: perfkit status -v")
    _say_next(document["tables"])


def _shorten(table: "Table", most: int) -> "Table":
    """Return the first rows; where not all have room, those first that are not as they should be."""
    from dataclasses import replace

    from perfkit.report.layout import first_rows
    from perfkit.report.model import Marked, Tone

    def is_good(row: "Row") -> bool:
        status = row.get("status")
        return isinstance(status, Marked) and status.tone is Tone.GOOD

    if len(table.rows) <= most:
        return table
    return first_rows(replace(table, rows=tuple(sorted(table.rows, key=is_good))), most)


def _say_service(service: dict[str, Any]) -> None:
    if service["state"] == "down":
        return
    checks = ", ".join(
        f"{name} {check['status']}"
        + (f": {check['detail']}" if check["status"] == "failing" else "")
        for name, check in service["checks"].items()
    )
    answers = f"Service: {service['state']} at {service['url']} ({checks or 'no answer'})"
    print_text(wrap(answers, sys.stdout, indent="  "))
    if len(service["instances"]) > 1 or service["proxy"]:
        spread = f" behind {service['proxy']}" if service["proxy"] else ""
        each = ", ".join(f"{one['url']} {one['state']}" for one in service["instances"])
        print_text(wrap(f"Instances{spread}: {each}", sys.stdout, indent="  "))
    log = f"Its log: {service['log']}; `perfkit down` stops it"
    print_text(wrap(log, sys.stdout, indent="  "))


def _say_next(tables: list[dict[str, Any]]) -> None:
    gone = [table["name"] for table in tables if not table["exists"] and not table["made"]]
    if gone:
        warn(
            f"the workload says that {', '.join(gone)} {'exists' if len(gone) == 1 else 'exist'}:"
            " check target, region and credentials"
        )
    theirs = [
        each["name"] for each in tables if each["exists"] and each["made"] and not each["ours"]
    ]
    if theirs:
        from perfkit.dynamodb.ownership import not_made

        # seeding and indexes are refused as long as one is among them
        warn(not_made(theirs))
    elif any(not table["exists"] and table["made"] for table in tables):
        note("Next: perfkit seed")
    elif any(table["made"] and table["items"] < table["seeded_items"] for table in tables):
        note("Next: perfkit seed, which has not been completed")
    elif any(
        index["status"] == "missing"
        for table in tables
        if table["made"]
        for index in table["indexes"]
    ):
        note("Next: perfkit create-indexes")


def _counts(entry: dict[str, Any], target: "Target") -> dict[str, Any]:
    """Return what a table or index holds; where others describe it as empty, that is not known."""
    if target.kind == "embedded" or entry.get("items") or entry.get("size_bytes"):
        return {}
    return {"items": None, "size_bytes": None}


def _tables(tables: list[dict[str, Any]], target: "Target") -> "Table":
    from perfkit.report.model import Column, Kind, Marked, Table, Tone

    stale = "AWS brings this up to date every six hours." if target.is_aws else None
    if any(table["exists"] and _counts(table, target) for table in tables):
        unknown = "Not known where the target describes it as empty."
        stale = f"{stale} {unknown}" if stale else unknown
    return Table(
        name="tables",
        title="Tables",
        columns=(
            Column(key="table", title="table", label=True),
            Column(key="status", title="status"),
            Column(key="items", title="items", kind=Kind.COUNT, note=stale),
            Column(key="workload_items", title="in the workload", kind=Kind.COUNT),
            Column(key="size_bytes", title="size", kind=Kind.BYTES),
            Column(key="billing", title="billing"),
        ),
        rows=tuple(
            {
                **table,
                **_counts(table, target),
                "table": table["name"],
                "status": Marked(
                    value=table["status"],
                    tone=Tone.GOOD if table["status"] == "ACTIVE" else Tone.WARNING,
                ),
            }
            for table in tables
        ),
    )


def _indexes(tables: list[dict[str, Any]], target: "Target") -> "Table":
    from perfkit.report.model import Column, Kind, Marked, Table, Tone

    return Table(
        name="indexes",
        title="Indexes",
        columns=(
            Column(key="index", title="index", label=True),
            Column(key="table", title="table"),
            Column(key="status", title="status"),
            Column(key="fraction", title="copied", kind=Kind.SHARE),
            Column(key="items", title="items", kind=Kind.COUNT),
            Column(key="size_bytes", title="size", kind=Kind.BYTES),
        ),
        rows=tuple(
            {
                **index,
                **_counts(index, target),
                "index": index["name"],
                "table": table["name"],
                "status": Marked(
                    value=index["status"],
                    tone=Tone.GOOD if index["status"] == "ACTIVE" else Tone.WARNING,
                ),
            }
            for table in tables
            for index in table["indexes"]
        ),
    )


def _runs(runs: list[dict[str, Any]], *, verbose: bool) -> "Table":
    from perfkit.report.model import Column, Table

    # a column that says the same of every run says it of none
    alike = {
        key for key in ("workload", "target") if not verbose and len({run[key] for run in runs}) < 2
    }
    return Table(
        name="runs",
        title="Saved runs, newest first",
        columns=(
            Column(key="id", title="run", label=True),
            # a run is named by its scenario
            Column(key="scenario", title="scenario", data_only=not verbose),
            Column(key="started_at", title="started (UTC)"),
            Column(key="workload", title="workload", data_only="workload" in alike),
            Column(key="target", title="target", data_only="target" in alike),
        ),
        rows=tuple({**run, "started_at": _minute(run["started_at"])} for run in runs),
    )


def _minute(moment: str) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromisoformat(moment).astimezone(UTC):%Y-%m-%d %H:%M}"
