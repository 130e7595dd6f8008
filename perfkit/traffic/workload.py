"""A workload file from a trace: what is asked today, and how often."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import orjson

from perfkit.capacity import AttributeValue
from perfkit.traffic.figures import Figures, Summary
from perfkit.traffic.rules.scan import runs_of
from perfkit.traffic.schemas import Index, Schema
from perfkit.traffic.shapes import Fingerprint
from perfkit.units import format_count, format_duration
from perfkit.workloads.writing import (
    comment,
    short_name,
    slots_of,
    write_key,
    write_names,
    write_parameters,
    write_string,
)

__all__ = ["Written", "write_workload"]

_MOST_SETS = 5
_MOST_NAME = 50
_EQUALITIES = re.compile(r"[A-Za-z0-9_.-]+ = :v(?: AND [A-Za-z0-9_.-]+ = :v)*")
_ASKED = ("GetItem", "Query", "Scan")
_WRITTEN_KINDS = frozenset({"S", "N", "B", "BOOL"})
"""Types of values that parameters of a workload may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """
    A workload file.

    Args:
        text: The file.
        patterns: Names of its patterns.
        left_out: Requests that are no pattern, with the reason.
        differences: What patterns do otherwise than the service, each with its pattern's name.
        has_rates: The recording was long enough for its rates to be stated.
    """

    text: str
    patterns: tuple[str, ...]
    left_out: tuple[str, ...]
    differences: tuple[str, ...]
    has_rates: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """An expression with named placeholders, and the values it was asked with."""

    expression: str
    filter: str
    names: Mapping[str, str]
    sets: tuple[Mapping[str, AttributeValue], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pattern:
    name: str
    lines: tuple[str, ...]
    hz: float
    differences: tuple[str, ...]


def write_workload(summary: Summary) -> Written:
    """
    Write the workload of a trace: tables, today's form of each question, and recorded rates.

    Parameters are those that were recorded, where values were kept; elsewhere
    `parameters_from = "sample"`, as far as the question compares by `=` only.

    Raises:
        TraceError: The trace is damaged.
    """
    trace = summary.trace
    bodies = _bodies(summary)
    patterns: list[_Pattern] = []
    left_out: list[str] = []
    taken: set[str] = set()
    for each in summary.figures:
        fingerprint = each.fingerprint
        if fingerprint.operation not in _ASKED:
            if each.read_units:
                left_out.append(f"{fingerprint.text}: no pattern asks in this way")
            continue
        schema = trace.schemas.get(fingerprint.table)
        if schema is None:
            if each.read_units:
                left_out.append(f"{fingerprint.text}: the table could not be described")
            continue
        lines = _lines(fingerprint, schema, bodies.get(each.number, ()))
        if isinstance(lines, str):
            left_out.append(f"{fingerprint.text}: {lines}")
            continue
        name = _name(fingerprint, taken)
        patterns.append(
            _Pattern(
                name=name,
                lines=tuple(lines),
                hz=_hz(summary, each),
                differences=tuple(_differences(fingerprint)),
            )
        )
    text = "\n".join(_file(summary, patterns, left_out)) + "\n"
    return Written(
        text=text,
        patterns=tuple(each.name for each in patterns),
        left_out=tuple(left_out),
        differences=tuple(f"{each.name} {what}" for each in patterns for what in each.differences),
        has_rates=summary.has_rate,
    )


def _differences(fingerprint: Fingerprint) -> Iterator[str]:
    """Yield what the service asks for and a pattern has no word for, as far as it changes units."""
    options = fingerprint.options.split(", ")
    if "limit" in options:
        yield "is asked with a Limit, and the pattern reads to the end"
    if "consistent" in options:
        yield "is asked consistently, at twice the units, and the pattern is not"


def _hz(summary: Summary, each: Figures) -> float:
    observed_s = summary.trace.observed_s
    return runs_of(each) / observed_s if observed_s else 0.0


def _bodies(summary: Summary) -> dict[int, tuple[bytes, ...]]:
    """Return the most frequent requests of each fingerprint, where values were kept."""
    found: dict[int, Counter[bytes]] = {}
    if not summary.trace.meta.get("keeps_values"):
        return {}
    for call in summary.trace.calls():
        if call.body is not None and call.page == 0 and not call.error:
            found.setdefault(call.fingerprint, Counter())[call.body] += 1
    return {
        number: tuple(body for body, _ in bodies.most_common(_MOST_SETS))
        for number, bodies in found.items()
    }


def _file(summary: Summary, patterns: list[_Pattern], left_out: list[str]) -> Iterator[str]:
    trace = summary.trace
    kept = bool(trace.meta.get("keeps_values"))
    yield from comment(
        f"Written by `perfkit traffic workload` from {trace.path.name}:"
        f" {format_count(trace.requests)} requests in {format_duration(trace.duration_s)}."
    )
    if kept:
        yield from comment("It holds recorded values as parameters: only its owner may read it.")
    for text in left_out:
        yield from comment(f"Left out: {text}.")
    yield ""
    yield f"name = {write_string(short_name(trace.path.stem) or 'recorded')}"
    yield f"description = {write_string(f'What was recorded in {trace.path.name}')}"
    yield from _target(trace.meta.get("target"))
    for schema in sorted(trace.schemas.values(), key=lambda each: each.name):
        yield ""
        yield from _table(schema)
    for pattern in patterns:
        yield ""
        yield f"[patterns.{pattern.name}]"
        for what in pattern.differences:
            yield from comment(f"It {what}.")
        yield from pattern.lines
    yield from _traffic(summary, patterns)


def _target(target: Mapping[str, str] | None) -> Iterator[str]:
    kind = (target or {}).get("kind")
    if target is None or kind not in {"endpoint", "aws"}:
        return
    yield ""
    yield "[target]"
    yield f"at = {write_string(target.get('endpoint') or 'aws')}"
    if kind == "aws" and target.get("region"):
        yield f"region = {write_string(target['region'])}"


def _table(schema: Schema) -> Iterator[str]:
    path = f"tables.{write_key(schema.name)}"
    yield f"[{path}]"
    yield from _keys(schema.key, schema)
    for index in schema.indexes.values():
        yield ""
        yield f"[{path}.indexes.{write_key(index.name)}]"
        yield from _keys(index.key, schema)
        yield f"projection = {write_string(index.projection)}"
        if index.projection == "INCLUDE":
            yield f"non_key_attributes = [{', '.join(map(write_string, index.included))}]"
        yield "exists = true"
        if not index.is_global:
            yield "local = true"


def _keys(key: tuple[str, ...], schema: Schema) -> Iterator[str]:
    for kind, name in zip(("partition_key", "sort_key"), key, strict=False):
        typed = write_string(schema.types.get(name, "S"))
        yield f"{kind} = {{ name = {write_string(name)}, type = {typed} }}"


def _name(fingerprint: Fingerprint, taken: set[str]) -> str:
    parts = [fingerprint.table]
    match fingerprint.operation:
        case "GetItem":
            parts.append("by-key")
        case "Scan":
            parts += ["scan", *re.findall(r"([\w.-]+) (?:=|<|>|BETWEEN)", fingerprint.filter)]
        case _:
            parts.append(fingerprint.index or "by-partition")
    stem = short_name("-".join(parts))[:_MOST_NAME].strip("-_") or "pattern"
    name, number = stem, 2
    while name in taken or name == "all":
        name, number = f"{stem}-{number}", number + 1
    taken.add(name)
    return name


def _lines(
    fingerprint: Fingerprint, schema: Schema, bodies: tuple[bytes, ...]
) -> Iterator[str] | str:
    """Return a pattern's lines, or why it cannot be one."""
    index = schema.indexes.get(fingerprint.index)
    if fingerprint.index and index is None:
        return "the index is not there any more"
    if fingerprint.operation == "GetItem":
        return _get(fingerprint, schema, bodies)
    if fingerprint.operation == "Scan" and (fingerprint.index or not fingerprint.filter):
        return "the service filters what it scans, and nobody else knows by what"
    question = _kept(bodies) or _sampled(fingerprint)
    if question is None:
        return (
            "it compares otherwise than by =, and there are no values that a workload can hold;"
            " record with --keep-values, or write it by hand"
        )
    if fingerprint.operation == "Scan":
        return _scan(fingerprint, question)
    return _query(fingerprint, schema, index, question)


def _get(fingerprint: Fingerprint, schema: Schema, bodies: tuple[bytes, ...]) -> Iterator[str]:
    slots = slots_of(schema.key)
    keys = [orjson.loads(body).get("Key", {}) for body in bodies]
    sets = tuple(
        {slots[name]: key[name] for name in schema.key} for key in keys if {*schema.key} <= {*key}
    )
    yield f"description = {write_string(f'An item of {schema.name} by its key')}"
    yield f"table = {write_string(fingerprint.table)}"
    yield from _parameters(sets)
    yield 'today = "get"'
    written = ", ".join(
        f"{write_key(name)} = {write_string(f':{slots[name]}')}" for name in schema.key
    )
    yield f"get = {{ {written} }}"


def _scan(fingerprint: Fingerprint, question: _Question) -> Iterator[str]:
    yield f"description = {write_string(f'Items of {fingerprint.table}, scanned and filtered')}"
    yield f"table = {write_string(fingerprint.table)}"
    yield from _parameters(question.sets)
    yield from write_names(question.names)
    yield 'today = "scan-filtered"'
    yield f"scan.filter = {write_string(question.filter)}"


def _query(
    fingerprint: Fingerprint, schema: Schema, index: Index | None, question: _Question
) -> Iterator[str]:
    yield f"description = {write_string(f'Items of {fingerprint.where}')}"
    yield f"table = {write_string(fingerprint.table)}"
    yield from _parameters(question.sets)
    yield from write_names(question.names)
    yield 'today = "query"'
    if index is not None:
        yield f"query.index = {write_string(index.name)}"
    yield f"query.key_condition = {write_string(question.expression)}"
    if question.filter:
        yield f"query.filter = {write_string(question.filter)}"
    if "backward" in fingerprint.options:
        yield "query.descending = true"
    if index is not None and index.projection != "ALL":
        held = dict.fromkeys([*schema.key, *index.key, *index.included])
        yield f"returns = [{', '.join(map(write_string, held))}]"


def _kept(bodies: tuple[bytes, ...]) -> _Question | None:
    """Return the question as it was recorded, with the values of all requests that are alike."""
    requests = [orjson.loads(body) for body in bodies]
    requests = [each for each in requests if _is_written(each.get("ExpressionAttributeValues"))]
    if not requests:
        return None
    first = requests[0]

    def written(request: dict[str, object]) -> tuple[object, ...]:
        places = ("KeyConditionExpression", "FilterExpression", "ExpressionAttributeNames")
        return tuple(map(request.get, places))

    used = f"{first.get('KeyConditionExpression', '')} {first.get('FilterExpression', '')}"
    names = first.get("ExpressionAttributeNames") or {}
    return _Question(
        expression=first.get("KeyConditionExpression") or "",
        filter=first.get("FilterExpression") or "",
        names={
            placeholder[1:]: name
            for placeholder, name in names.items()
            if re.search(rf"{re.escape(placeholder)}\b", used)
        },
        sets=tuple(
            {name[1:]: value for name, value in each["ExpressionAttributeValues"].items()}
            for each in requests
            if written(each) == written(first)
        ),
    )


def _is_written(values: Mapping[str, AttributeValue] | None) -> bool:
    return bool(values) and all(_WRITTEN_KINDS.issuperset(each) for each in (values or {}).values())


def _sampled(fingerprint: Fingerprint) -> _Question | None:
    """Return a question that compares by `=` only, whose values items can give."""
    written = [each for each in (fingerprint.key, fingerprint.filter) if each]
    if not written or not all(map(_EQUALITIES.fullmatch, written)):
        return None
    attributes = [name for each in written for name in re.findall(r"(\S+) = :v", each)]
    if len({*attributes}) < len(attributes) or any("." in name for name in attributes):
        return None
    slots = slots_of(attributes)

    def named(text: str) -> str:
        return re.sub(r"(\S+) = :v", lambda found: f"#{slots[found[1]]} = :{slots[found[1]]}", text)

    return _Question(
        expression=named(fingerprint.key),
        filter=named(fingerprint.filter),
        names={slot: name for name, slot in slots.items()},
        sets=(),
    )


def _parameters(sets: Sequence[Mapping[str, AttributeValue]]) -> Iterator[str]:
    return write_parameters(sets) if sets else iter(['parameters_from = "sample"'])


def _traffic(summary: Summary, patterns: list[_Pattern]) -> Iterator[str]:
    """Yield the recorded rates: those of a recording too short for money a month as a comment."""
    if not summary.trace.observed_s:
        return
    lines = list(_rates(summary, patterns))
    if summary.has_rate or not lines:
        yield from lines
        return
    yield ""
    yield from comment(
        "Recorded for less than a minute, which says nothing of a month: the recorded rates are"
        " left out. State those of the service here, and there is money a month:"
    )
    yield from (f"# {line}" for line in lines if line)


def _rates(summary: Summary, patterns: list[_Pattern]) -> Iterator[str]:
    if patterns:
        yield ""
        yield "[traffic.reads]"
        for each in patterns:
            yield f"{each.name} = {{ rps = {_rate(each.hz)} }}"
    writes: Counter[str] = Counter()
    for figures in summary.figures:
        if figures.write_units and len(figures.fingerprint.tables) == 1:
            writes[figures.fingerprint.table] += figures.totals.count
    written = {
        table: number / summary.trace.observed_s
        for table, number in writes.items()
        if table in summary.trace.schemas and number
    }
    if written:
        yield ""
        yield "[traffic.writes]"
        for table, hz in sorted(written.items()):
            yield f"{write_key(table)} = {{ rps = {_rate(hz)} }}"


def _rate(hz: float) -> str:
    # four digits that count, and never an exponent
    text = f"{hz:.12f}"
    digits = len(text) - len(text.lstrip("0."))
    return f"{hz:.{max(4, digits + 3)}f}".rstrip("0").rstrip(".") or "0"
