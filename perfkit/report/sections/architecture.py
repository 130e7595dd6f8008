"""What is running before and after, as diagrams filled with what the runs measured."""

from collections.abc import Iterable, Iterator

from perfkit.report.about import facts_of
from perfkit.report.figures import format_value
from perfkit.report.model import (
    Diagram,
    Edge,
    Kind,
    Node,
    Section,
    Statement,
    Statements,
    Tone,
)
from perfkit.report.outcome import find_outcome
from perfkit.report.percentiles import percentile
from perfkit.report.sections.sides import sides_of
from perfkit.report.selection import Selection
from perfkit.results import Run, ServiceFigures, Variant

__all__ = ["build"]

_MOST_BOXES = 4
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
        patterns = [run for run in group.runs if run.kind == "scenario" and run.variants]
        hours = [run for run in group.runs if run.kind == "cache-hour"]
        for run in group.runs:
            sides = sides_of(run)
            if sides is None or any(each.service is None for each in sides):
                continue
            others = " and the runs of the access patterns" if patterns else ""
            notes = [Statement(text=_NOTE.format(run=run.id, others=others), tone=Tone.FAINT)]
            if not patterns:
                notes.append(Statement(text=_MISSING, tone=Tone.WARNING))
            yield Section(
                name="architecture",
                subject=run.scenario,
                title=(
                    "Architecture"
                    if len(selection.groups) == 1
                    else f"Architecture: {selection.title(run)}"
                ),
                blocks=(
                    _diagram("before", sides[0], run, patterns, hours, after=False),
                    _diagram("after", sides[1], run, patterns, hours, after=True),
                    Statements(name="architecture-notes", statements=tuple(notes)),
                ),
                facts=facts_of(run),
            )


def _diagram(
    name: str,
    variant: Variant,
    run: Run,
    patterns: list[Run],
    hours: list[Run],
    *,
    after: bool,
) -> Diagram:
    service = variant.service
    if service is None:
        return Diagram(name=name, title=name.title(), nodes=(), edges=())
    cached, queued = bool(service.switches.get("cache")), bool(service.switches.get("background"))
    tone = Tone.GOOD if after else Tone.WARNING
    instances = tuple(_instances(variant, service, tone))
    nodes = [
        Node(id="internet", title="Internet", lines=(f"{run.questions[0]}",), layer=0),
        Node(
            id="balancer",
            title="Load balancer",
            lines=(f"{_rate(service.requests_per_s)} requests/s",),
            layer=1,
        ),
        *instances,
    ]
    if cached:
        nodes.append(_cache(variant, service, hours, tone))
    if queued:
        nodes.append(
            Node(
                id="queue",
                title="Queue and worker",
                lines=(f"queued in {_stage(service, 'notify')}", "sent after the answer"),
                layer=3,
                tone=tone,
            )
        )
    nodes.append(
        Node(
            id="database",
            title="DynamoDB",
            lines=tuple(_database(variant, service, patterns, after=after)),
            layer=4 if cached or queued else 3,
            tone=tone,
        )
    )
    return Diagram(
        name=name,
        title=f"{name.title()}: {variant.name}",
        nodes=tuple(nodes),
        edges=tuple(_edges(variant, [each.id for each in instances], cached=cached, queued=queued)),
    )


def _instances(variant: Variant, service: ServiceFigures, tone: Tone) -> Iterator[Node]:
    lines = [f"mean {_text(variant.latency_s.mean, Kind.SECONDS)}"]
    lines.append(f"p99 {_text(percentile(variant.latency_s, 0.99), Kind.SECONDS)}")
    if service.cpu_share is not None:
        share = service.cpu_share / max(service.instances, 1)
        lines.append(f"CPU {_text(round(share, 2), Kind.SHARE)} of a core")
    lines.append(f"5XX {_text(service.failed_share, Kind.SHARE)}")
    boxes = service.instances if service.instances <= _MOST_BOXES else 1
    for number in range(boxes):
        title = f"Service {number + 1}" if boxes > 1 else "Service"
        if service.instances > _MOST_BOXES:
            title = f"{service.instances} services"
        yield Node(id=f"service-{number}", title=title, lines=tuple(lines), layer=2, tone=tone)


def _cache(variant: Variant, service: ServiceFigures, hours: list[Run], tone: Tone) -> Node:
    rate = variant.cache.hit_rate if variant.cache is not None else None
    lines = [] if rate is None else [f"{_text(round(rate, 4), Kind.SHARE)} hits"]
    lines.append(f"looked up in {_stage(service, 'cache')}")
    ttls = {run.settings.get("traffic_ttl_s") for run in hours}
    lines += [f"TTL {_text(ttl, Kind.SECONDS)}" for ttl in ttls if isinstance(ttl, int | float)]
    return Node(id="cache", title="Cache", lines=tuple(lines), layer=3, tone=tone)


def _database(
    variant: Variant, service: ServiceFigures, patterns: list[Run], *, after: bool
) -> Iterator[str]:
    if service.read_units_per_s is not None:
        yield f"{_rate(service.read_units_per_s)} RCU/s"
    if variant.capacity_units is not None:
        yield f"{_text(round(variant.capacity_units, 3), Kind.CAPACITY)} RCU a request"
    for run in patterns:
        outcome = find_outcome(run)
        if outcome is None:
            continue
        way = outcome.after if after and outcome.after is not None else outcome.before
        read = (
            ""
            if way.items_read is None
            else f", {_text(way.items_read, Kind.COUNT)} item{'s' * (way.items_read != 1)} read"
        )
        of = f"{way.table}" if way.index is None else f"{way.table}.{way.index}"
        yield f"{run.scenario}: {way.operation} {of}{read}"


def _edges(variant: Variant, instances: list[str], *, cached: bool, queued: bool) -> Iterator[Edge]:
    rate = variant.cache.hit_rate if variant.cache is not None else None
    hits, misses = "hits", "misses"
    if rate is not None:
        hits = f"{_text(round(rate, 4), Kind.SHARE)} hits"
        misses = f"{_text(round(1 - rate, 4), Kind.SHARE)} misses"
    yield Edge(source="internet", target="balancer")
    for each in instances:
        yield Edge(source="balancer", target=each)
        if cached:
            yield Edge(source=each, target="cache", label=hits)
        if queued:
            yield Edge(source=each, target="queue", label="background work")
        yield Edge(
            source=each,
            target="database",
            label=misses if cached else "every request, no cache",
        )


def _rate(value: float) -> str:
    return _text(round(value, 1 if value >= 10 else 2), Kind.COUNT)


def _stage(service: ServiceFigures, name: str) -> str:
    value = service.stages_s.get(name)
    return _text(value if isinstance(value, int | float) else None, Kind.SECONDS)


def _text(value: float | None, kind: Kind) -> str:
    return format_value(value, kind)
