"""`perfkit workload`: what a workload file means, and what is wrong with it."""

import shlex
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfkit.commands.options import JsonOption, VerboseOption
from perfkit.commands.output import print_json, print_text, warn, wrap
from perfkit.settings import WORKLOAD_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from perfkit.report.model import Table
    from perfkit.workloads.model import AccessPattern, QueryForm, Workload
    from perfkit.workloads.problems import Problem

__all__ = ["workload"]

workload = typer.Typer(no_args_is_help=True, help="Explain and check workload files.")


@workload.command()
def validate(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Workload file to check.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """
    Check a workload file and list everything wrong with it.

    Also warns of parameter values that no item has.

    Example: perfkit workload validate shop.toml
    """
    from perfkit.units import format_many
    from perfkit.workloads.loader import doubts, load
    from perfkit.workloads.problems import InvalidWorkloadError

    try:
        checked = load(file)
    except InvalidWorkloadError as error:
        if not as_json:
            raise
        print_json({"file": file, "valid": False, "problems": _listed(error.problems)})
        raise typer.Exit(error.exit_code) from error
    found = doubts(checked, make_items=True)
    if as_json:
        print_json({"file": file, "valid": True, "problems": [], "warnings": _listed(found)})
        return
    for doubt in found:
        warn(doubt.at_line(file))
    tables = format_many(len(checked.tables), "table")
    if checked.existing:
        count = len(checked.existing)
        which = "" if count == len(checked.tables) else f"{count} of them "
        tables += f" ({which}{'exists' if count == 1 else 'exist'} already)"
    made = sum(table.items for table in checked.made)
    items = f"{format_many(made, 'item')}, " if checked.made else ""
    indexes = sum(len(table.indexes) for table in checked.tables)
    found_valid = (
        f"{file} is a valid workload: {checked.name}, {tables}, "
        f"{items}{format_many(indexes, 'index', 'indexes')}, "
        f"{format_many(len(checked.patterns), 'access pattern')}"
    )
    print_text(wrap(found_valid, sys.stdout, indent="  "))


def _listed(problems: "Iterable[Problem]") -> list[dict[str, Any]]:
    return [
        {
            "line": problem.line,
            "key": problem.key,
            "value": problem.value,
            "message": problem.message,
        }
        for problem in problems
    ]


@workload.command()
def show(
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE]",
            envvar=WORKLOAD_VARIABLE,
            help="Workload file (default: ./perfkit.toml if there is one, else the built-in courses).",
        ),
    ] = None,
    *,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """
    Explain a workload: tables, items, indexes, access patterns.

    One screen has a line for each; -v adds what patterns ask, what items are made of, and examples
    of them, without what goes without saying: patterns return whole items and are not cached
    unless it is said.

    Example: perfkit workload show courses -v
    """
    from perfkit.workloads.explain import explain
    from perfkit.workloads.loader import load

    read = load(file)
    document = explain(read)
    if as_json:
        print_json(document)
        return
    about = f"{read.name} ({read.source}): {read.description}"
    print_text(f"{wrap(about, sys.stdout, indent='  ')}\n")
    if verbose:
        _print_whole(document)
        return
    _print_short(read, document)
    named = "" if file is None else f" {shlex.quote(file)}"
    print_text(f"More: perfkit workload show{named} -v")


_MOST_TABLES = 6
_MOST_INDEXES = 7
_MOST_PATTERNS = 14


def _print_short(workload: "Workload", document: dict[str, Any]) -> None:
    from perfkit.report import terminal
    from perfkit.report.layout import first_rows

    blocks = (
        first_rows(_tables(document), _MOST_TABLES, what="tables"),
        first_rows(_indexes(document, whole=False), _MOST_INDEXES, what="indexes"),
        first_rows(_patterns(workload), _MOST_PATTERNS, what="patterns"),
    )
    terminal.print_blocks(tuple(block for block in blocks if block.rows))
    print_text()
    for line in _summed_up(workload):
        print_text(wrap(line, sys.stdout, indent="  "))


def _patterns(workload: "Workload") -> "Table":
    """Return what is asked, a line each: how today, and how it could be."""
    from perfkit.report.model import Column, Table

    rows = tuple(
        {
            "pattern": pattern.name,
            "table": pattern.table,
            "today": _today(pattern),
            "better": _better(pattern),
            "cached": "" if pattern.cache is None else f"{pattern.cache.ttl_s:g} s",
        }
        for pattern in workload.patterns
    )
    columns = (
        Column(key="pattern", title="pattern", label=True),
        Column(key="table", title="table"),
        Column(key="today", title="today"),
        Column(key="better", title="could be"),
        Column(key="cached", title="cached"),
    )
    return Table(name="patterns", title="Access patterns", columns=columns, rows=rows)


def _today(pattern: "AccessPattern") -> str:
    if pattern.steps is not None:
        return f"{pattern.steps.first}, then more"
    query = pattern.query_today
    return pattern.today.value if query is None else _query_name(query)


def _better(pattern: "AccessPattern") -> str:
    query = pattern.better_query
    if query is not None:
        return _query_name(query)
    return "" if pattern.better_get is None else "get"


def _query_name(query: "QueryForm") -> str:
    return "query by key" if query.index is None else f"query {query.index}"


def _summed_up(workload: "Workload") -> "Iterator[str]":
    from perfkit.units import format_many

    traffic = workload.traffic
    if traffic is not None:
        parts = [
            f"{sum(rates.values()):,.4g} {what} a second ({format_many(len(rates), of)})"
            for rates, what, of in (
                (traffic.reads_hz, "calls", "pattern"),
                (traffic.writes_hz, "writes", "table"),
            )
            if rates
        ]
        yield f"Traffic: {', '.join(parts)}"
    if workload.gates:
        yield f"Gates: {len(workload.gates)}"


def _print_whole(document: dict[str, Any]) -> None:
    from perfkit.report import terminal

    blocks = (_tables(document), _indexes(document), *_attributes(document))
    terminal.print_blocks(tuple(block for block in blocks if block.rows))
    for pattern in document["patterns"]:
        print_text()
        print_text(wrap(f"{pattern['name']}: {pattern['description']}", sys.stdout, indent="  "))
        for label, text in _pattern_lines(pattern):
            print_text(wrap(f"  {label:<8} {text}", sys.stdout, indent=" " * 9))
    if document["traffic"] is not None:
        print_text("\nTraffic")
        for part, what in (("reads_hz", "calls of"), ("writes_hz", "writes to")):
            for name, hz in document["traffic"][part].items():
                print_text(f"  {hz:g} {what} {name} a second")
    if document["gates"]:
        print_text("\nGates")
        for gate in document["gates"]:
            print_text(f"  {gate}")
    for table in document["tables"]:
        for entity in table["entities"]:
            _print_example(table, entity)


def _title(table: dict[str, Any], entity: dict[str, Any]) -> str:
    return f"{table['name']} {entity['name']}".rstrip()


def _key_text(held: dict[str, Any], *, with_types: bool = True) -> str:
    if "partition_keys" in held:
        keys = [*held["partition_keys"], *held["sort_keys"]]
    else:
        keys = [key for key in (held["partition_key"], held["sort_key"]) if key is not None]
    return ", ".join(
        f"{key['name']} ({key['type']})" if with_types else key["name"] for key in keys
    )


def _entries(index: dict[str, Any]) -> str:
    if index["entries"] is not None:
        return _about(index["entries"], exact=index["exact"])
    kind = "local, " if index["local"] else ""
    return f"{kind}exists" if index["exists"] else "proposed"


def _projection(index: dict[str, Any], *, whole: bool) -> str:
    from perfkit.units import format_many

    included = index["non_key_attributes"]
    if included and not whole:
        return f"{index['projection']} {format_many(len(included), 'attribute')}"
    return " ".join([index["projection"], *included])


def _about(value: int, *, exact: bool) -> str:
    return f"{value:,}" if exact else f"about {value:,}"


def _tables(document: dict[str, Any]) -> "Table":
    from perfkit.report.model import Column, Kind, Table
    from perfkit.units import format_bytes

    rows = []
    for table in document["tables"]:
        if table["exists"]:
            rows.append({"table": table["name"], "key": _key_text(table), "item_bytes": "exists"})
        for entity in table["entities"]:
            size = entity["item_bytes"]
            spread = (
                f"{size['min']:,}"
                if size["min"] == size["max"]
                else f"{size['min']:,} to {size['max']:,}"
            )
            total = format_bytes(entity["total_bytes"])
            rows.append(
                {
                    "table": _title(table, entity),
                    "key": _key_text(table),
                    "items": entity["items"],
                    "item_bytes": spread,
                    "total": total if entity["exact"] else f"about {total}",
                }
            )
    columns = (
        Column(key="table", title="table", label=True),
        Column(key="key", title="key"),
        Column(key="items", title="items", kind=Kind.COUNT),
        Column(key="item_bytes", title="bytes an item"),
        Column(key="total", title="in all"),
    )
    return Table(name="tables", title="Tables", columns=columns, rows=tuple(rows))


def _indexes(document: dict[str, Any], *, whole: bool = True) -> "Table":
    from perfkit.report.model import Column, Table

    rows = tuple(
        {
            "index": index["name"],
            "table": table["name"],
            "key": _key_text(index, with_types=whole),
            "projection": _projection(index, whole=whole),
            "entries": _entries(index),
        }
        for table in document["tables"]
        for index in table["indexes"]
    )
    columns = (
        Column(key="index", title="index", label=True),
        Column(key="table", title="table"),
        Column(key="key", title="key"),
        Column(key="projection", title="projection"),
        Column(key="entries", title="entries"),
    )
    return Table(name="indexes", title="Indexes", columns=columns, rows=rows)


def _attributes(document: dict[str, Any]) -> "list[Table]":
    from perfkit.report.model import Column, Table

    columns = (
        Column(key="name", title="attribute", label=True),
        Column(key="type", title="type"),
        Column(key="kind", title="kind"),
        Column(key="values", title="values"),
    )
    return [
        Table(
            name=f"attributes-{table['name']}-{entity['name']}",
            title=f"Items of {_title(table, entity)}",
            columns=columns,
            rows=tuple(entity["attributes"]),
            notes=tuple(
                f"Exactly {fact['items']:,} items have "
                + " and ".join(f"{name} = {_plain(value)}" for name, value in fact["where"].items())
                + "."
                for fact in entity["exactly"]
            ),
        )
        for table in document["tables"]
        for entity in table["entities"]
    ]


def _plain(wire: dict[str, Any]) -> str:
    """Return a value on the wire as the workload file would say it."""
    from perfkit.workloads.literals import plain_value
    from perfkit.workloads.problems import written

    return written(plain_value(wire))


def _pattern_lines(pattern: dict[str, Any]) -> "Iterator[tuple[str, str]]":
    values = [f"{name} = {_plain(value)}" for name, value in pattern["parameters"].items()]
    more = len(pattern["parameter_sets"]) - 1
    if more:
        values.append(f"and {more} more sets" if more > 1 else "and 1 more set")
    if pattern["drawn"]:
        values.append(f"{', '.join(pattern['drawn'])} drawn from the items of the table")
    yield "with", ", ".join(values)
    # what goes without saying is left out, so that many patterns are read at a glance
    names = {short: name for short, name in pattern["names"].items() if short != f"#{name}"}
    if names:
        yield "and", ", ".join(f"{short} = {name}" for short, name in names.items())
    yield "today", pattern["today"]
    if pattern["scan"] is not None:
        yield "scan", f"{pattern['table']} where {_one_line(pattern['scan']['filter'])}"
    if pattern["today_query"] is not None:
        yield "now", _query_text(pattern["today_query"], pattern["table"])
    if pattern["query"] is not None:
        yield "query", _query_text(pattern["query"], pattern["table"])
    if pattern["get"] is not None:
        key = ", ".join(
            f"{name} = {'what is drawn' if value is None else _plain(value)}"
            for name, value in pattern["get"]["key"].items()
        )
        yield "get", f"{pattern['table']} at {key}"
    if pattern["steps"] is not None:
        yield "steps", _steps_text(pattern["steps"])
    if pattern["returns"]:
        yield "returns", ", ".join(pattern["returns"])
    cache = pattern["cache"]
    if cache is not None:
        yield "cache", f"{cache['key']} for {cache['ttl_s']:g} s"
    if pattern["max_rcu"] is not None:
        yield "budget", f"at most {pattern['max_rcu']:g} RCU a call"
    if pattern["quoted"] is not None:
        yield "quoted", _quoted_text(pattern["quoted"])


def _query_text(query: dict[str, Any], table: str) -> str:
    where = query["index"] or f"{table} by its own key"
    text = f"{where} where {_one_line(query['key_condition'])}"
    if query["filter"] is not None:
        text += f", filtered by {_one_line(query['filter'])}"
    return text + (", last first" if query["descending"] else "")


def _steps_text(steps: dict[str, Any]) -> str:
    then = steps["then"]
    values = then["parameters"] if then["key"] is None else then["key"]
    given = ", ".join(f"{name} = {source}" for name, source in values.items())
    if then["query"] is None:
        return f"{steps['first']}, then for each item found get of {then['table']} at {given}"
    asked = _query_text(then["query"], then["table"])
    return f"{steps['first']}, then for each item found query of {asked}, with {given}"


def _one_line(expression: str) -> str:
    return " ".join(expression.split())


def _quoted_text(quoted: dict[str, Any]) -> str:
    from perfkit.units import format_ratio, format_seconds, format_units

    sides = [
        f"{format_seconds(side['latency_s'])} and {format_units(side['rcu'])} RCU"
        for side in (quoted["before"], quoted["after"])
    ]
    latency, capacity = (
        format_ratio(quoted["latency_ratio"]),
        format_ratio(quoted["capacity_ratio"]),
    )
    return f"{quoted['source']}: {' → '.join(sides)} ({latency} faster, {capacity} cheaper)"


def _print_example(table: dict[str, Any], entity: dict[str, Any]) -> None:
    if entity["example"] is None:
        return
    print_text(f"\nFirst item of {_title(table, entity)}")
    width = max(map(len, entity["example"]))
    for name, wire in entity["example"].items():
        print_text(f"  {name:<{width}}  {_plain(wire)}")
