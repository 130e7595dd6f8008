"""What is running before and after, as diagrams filled with what the runs measured."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from perfkit.analysis.outcome import find_outcome
from perfkit.analysis.percentiles import percentile
from perfkit.analysis.phases import sides_of
from perfkit.analysis.selection import Selection
from perfkit.report.about import facts_of
from perfkit.report.figures import format_value
from perfkit.report.model import (
    Column,
    Diagram,
    Edge,
    Kind,
    Node,
    Provenance,
    Row,
    Section,
    Statement,
    Statements,
    Table,
    Tone,
)
from perfkit.report.sections.dashboard import write_rate
from perfkit.runs import Run, RunKind, ServiceFigures, Variant
from perfkit.units import format_many

__all__ = ["build"]

_MOST_BOXES = 4
_SERVICES = 2
"""The row of a diagram in which the service's instances stand."""

_MISSING = (
    "What each table and index is read for is not known: measure access patterns with `perfkit"
    " bench`."
)
_NOTE = (
    "Every figure in the boxes is measured in run {run}{others}, where the same request"
    " comes again and again and is in the cache, if there is one. The internet and the load balancer"
    " stand where a deployment has them; they were not part of the measurement."
)


def build(selection: Selection) -> Iterable[Section]:
    """Yield a section for each run over the phases."""
    for group in selection.groups:
        patterns = [run for run in group.runs if run.kind is RunKind.SCENARIO and run.variants]
        hours = [run for run in group.runs if run.kind is RunKind.CACHE_HOUR]
        for run in group.runs:
            sides = sides_of(run)
            if sides is None or any(each.service is None for each in sides):
                continue
            others = " and the runs of the access patterns" if patterns else ""
            notes = [Statement(text=_NOTE.format(run=run.id, others=others), tone=Tone.FAINT)]
            if not patterns:
                notes.append(Statement(text=_MISSING, tone=Tone.WARNING))
            drawn = (
                _side("before", sides[0], run, patterns, hours, after=False),
                _side("after", sides[1], run, patterns, hours, after=True),
            )
            yield Section(
                name="architecture",
                subject=run.scenario,
                title=(
                    "Architecture"
                    if len(selection.groups) == 1
                    else f"Architecture: {selection.title(run)}"
                ),
                blocks=(
                    *map(_diagram, drawn),
                    Statements(name="architecture-notes", statements=tuple(notes)),
                    _table(drawn),
                ),
                facts=facts_of(run),
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """
    One line of a box, or the label of an arrow.

    Args:
        text: As the drawing has it.
        value: The figure in it, in SI units; None where there is none.
        unit: The figure's unit.
        origin: Where the figure comes from.
    """

    text: str
    value: float | None = None
    unit: str = ""
    origin: str = str(Provenance.MEASURED)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Box:
    id: str
    title: str
    lines: tuple[_Line, ...]
    layer: int
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arrow:
    source: str
    target: str
    label: _Line | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """What is running on one side: `before` or `after`."""

    name: str
    title: str
    boxes: tuple[_Box, ...]
    arrows: tuple[_Arrow, ...]


def _diagram(side: _Side) -> Diagram:
    return Diagram(
        name=side.name,
        title=side.title,
        nodes=tuple(
            Node(
                id=each.id,
                title=each.title,
                lines=tuple(line.text for line in each.lines),
                layer=each.layer,
                tone=each.tone,
            )
            for each in side.boxes
        ),
        edges=tuple(
            Edge(
                source=each.source,
                target=each.target,
                label="" if each.label is None else each.label.text,
            )
            for each in side.arrows
        ),
    )


def _table(sides: Iterable[_Side]) -> Table:
    return Table(
        name="architecture",
        title="What stands in the diagrams",
        columns=(
            Column(key="side", title="side", label=True),
            Column(key="component", title="component", label=True),
            Column(key="figure", title="figure"),
            Column(key="value", title="value", kind=Kind.COUNT, data_only=True),
            Column(key="unit", title="unit", data_only=True),
            Column(key="provenance", title="provenance"),
        ),
        rows=tuple(row for side in sides for row in _rows(side)),
    )


def _rows(side: _Side) -> Iterator[Row]:
    """Yield a row for each line and each label; boxes that say the same, as instances do, once."""
    services = [each for each in side.boxes if each.layer == _SERVICES]
    titles = {each.id: each.title for each in side.boxes}
    if len(services) > 1:
        titles |= {each.id: f"each of {len(services)} services" for each in services}
    lines = [(titles[box.id], line) for box in side.boxes for line in box.lines]
    lines += [
        (f"{titles[each.source]} → {titles[each.target]}", each.label)
        for each in side.arrows
        if each.label is not None
    ]
    for component, line in dict.fromkeys(lines):
        yield {
            "side": side.name,
            "component": component,
            "figure": line.text,
            "value": line.value,
            "unit": line.unit or None,
            "provenance": None if line.value is None else line.origin,
        }


def _side(
    name: str,
    variant: Variant,
    run: Run,
    patterns: list[Run],
    hours: list[Run],
    *,
    after: bool,
) -> _Side:
    service = variant.service
    if service is None:
        return _Side(name=name, title=name.title(), boxes=(), arrows=())
    cached, queued = bool(service.switches.get("cache")), bool(service.switches.get("background"))
    tone = Tone.GOOD if after else Tone.WARNING
    instances = tuple(_instances(variant, service, tone))
    rate = service.requests_per_s
    boxes = [
        _Box(id="internet", title="Internet", lines=(_Line(text=f"{run.questions[0]}"),), layer=0),
        _Box(
            id="balancer",
            title="Load balancer",
            lines=(_Line(text=f"{write_rate(rate)} requests/s", value=rate, unit="requests/s"),),
            layer=1,
        ),
        *instances,
    ]
    if cached:
        boxes.append(_cache(variant, service, hours, tone))
    if queued:
        boxes.append(
            _Box(
                id="queue",
                title="Queue and worker",
                lines=(_stage("queued in", service, "notify"), _Line(text="sent after the answer")),
                layer=3,
                tone=tone,
            )
        )
    boxes.append(
        _Box(
            id="database",
            title="DynamoDB",
            lines=tuple(_database(variant, service, patterns, after=after)),
            layer=4 if cached or queued else 3,
            tone=tone,
        )
    )
    return _Side(
        name=name,
        title=f"{name.title()}: {variant.name}",
        boxes=tuple(boxes),
        arrows=tuple(
            _arrows(variant, [each.id for each in instances], cached=cached, queued=queued)
        ),
    )


def _instances(variant: Variant, service: ServiceFigures, tone: Tone) -> Iterator[_Box]:
    lines = [
        _seconds("mean", variant.latency_s.mean),
        _seconds("p99", percentile(variant.latency_s, 0.99)),
    ]
    if service.cpu_share is not None:
        share = service.cpu_share / max(service.instances, 1)
        text = f"CPU {format_value(round(share, 2), Kind.SHARE)} of a core"
        lines.append(_Line(text=text, value=share, unit="fraction of a core"))
    failed = service.failed_share
    lines.append(
        _Line(text=f"5XX {format_value(failed, Kind.SHARE)}", value=failed, unit="fraction")
    )
    boxes = service.instances if service.instances <= _MOST_BOXES else 1
    for number in range(boxes):
        title = f"Service {number + 1}" if boxes > 1 else "Service"
        if service.instances > _MOST_BOXES:
            title = f"{service.instances} services"
        yield _Box(
            id=f"service-{number}", title=title, lines=tuple(lines), layer=_SERVICES, tone=tone
        )


def _cache(variant: Variant, service: ServiceFigures, hours: list[Run], tone: Tone) -> _Box:
    rate = variant.hit_rate
    lines = [] if rate is None else [_share(rate, "hits")]
    lines.append(_stage("looked up in", service, "cache"))
    ttls = {run.traffic.ttl_s if run.traffic else None for run in hours}
    lines += [
        _Line(text=f"TTL {format_value(ttl, Kind.SECONDS)}", value=ttl, unit="s", origin="setting")
        for ttl in ttls
        if isinstance(ttl, int | float)
    ]
    return _Box(id="cache", title="Cache", lines=tuple(lines), layer=3, tone=tone)


def _database(
    variant: Variant, service: ServiceFigures, patterns: list[Run], *, after: bool
) -> Iterator[_Line]:
    rate, units = service.read_units_per_s, variant.capacity_units
    if rate is not None:
        yield _Line(text=f"{write_rate(rate)} RCU/s", value=rate, unit="RCU/s")
    if units is not None:
        text = f"{format_value(round(units, 3), Kind.CAPACITY)} RCU a request"
        yield _Line(text=text, value=units, unit="RCU")
    for run in patterns:
        outcome = find_outcome(run)
        if outcome is None:
            continue
        way = outcome.after if after and outcome.after is not None else outcome.before
        read = "" if way.items_read is None else f", {format_many(way.items_read, 'item')} read"
        of = f"{way.table}" if way.index is None else f"{way.table}.{way.index}"
        text = f"{run.scenario}: {way.operation} {of}{read}"
        yield _Line(text=text, value=way.items_read, unit="items" if read else "")


def _arrows(
    variant: Variant, instances: list[str], *, cached: bool, queued: bool
) -> Iterator[_Arrow]:
    rate = variant.hit_rate
    hits, misses = _Line(text="hits"), _Line(text="misses")
    if rate is not None:
        hits, misses = _share(rate, "hits"), _share(1 - rate, "misses")
    yield _Arrow(source="internet", target="balancer")
    for each in instances:
        yield _Arrow(source="balancer", target=each)
        if cached:
            yield _Arrow(source=each, target="cache", label=hits)
        if queued:
            yield _Arrow(source=each, target="queue", label=_Line(text="background work"))
        yield _Arrow(
            source=each,
            target="database",
            label=misses if cached else _Line(text="every request, no cache"),
        )


def _share(value: float, of: str) -> _Line:
    return _Line(
        text=f"{format_value(round(value, 4), Kind.SHARE)} {of}", value=value, unit="fraction"
    )


def _seconds(name: str, value: float | None) -> _Line:
    return _Line(text=f"{name} {format_value(value, Kind.SECONDS)}", value=value, unit="s")


def _stage(name: str, service: ServiceFigures, stage: str) -> _Line:
    value = service.stages_s.get(stage)
    return _seconds(name, value if isinstance(value, int | float) else None)
