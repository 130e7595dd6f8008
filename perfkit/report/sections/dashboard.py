"""The metrics of a service's dashboard before and after, measured and quoted, with a status."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from perfkit.analysis.health import HITS, LIMITS, find_health, status_of
from perfkit.analysis.load_runs import (
    asked,
    figures_under_load,
    of_another_service,
    sides_under_load,
    subject_of,
)
from perfkit.analysis.matching import other_load
from perfkit.analysis.percentiles import percentile
from perfkit.analysis.phases import is_cold, sides_of, warm
from perfkit.analysis.selection import Selection
from perfkit.analysis.verdict import Ruling
from perfkit.cost.bill import Basis
from perfkit.report.about import facts_of
from perfkit.report.figures import format_value, rounded_share, tone_of
from perfkit.report.model import (
    Block,
    Cell,
    Column,
    Gauge,
    Gauges,
    Kind,
    Panel,
    Provenance,
    Row,
    Section,
    Statement,
    Statements,
    Table,
    Tone,
)
from perfkit.report.percentiles import few_notes
from perfkit.report.quoted import mapping, number
from perfkit.report.sections.cost import bills_of, share_of
from perfkit.runs import Run, Variant
from perfkit.units import format_usd

__all__ = ["METRICS", "build", "rounded", "shown_runs", "write_rate"]

_CPU_NOTE = "Processor time of the service's processes; a share of one core."
_UNITS_NOTE = (
    "The document gives the units a second of the whole system, and its share of what was"
    " provisioned (95% and 5%)."
)
_WARM_NOTE = "The same request again and again, with its answer in the cache where there is one."
_INCREASE_NOTE = (
    "{times} of the earlier figure: that is {more} more, and a document that writes {whole} means"
    " that the later figure is {whole} of the earlier one."
)


@dataclass(frozen=True, slots=True)
class _Metric:
    """One of the eight, by the names that CloudWatch gives them."""

    key: str
    label: str
    kind: Kind
    unit: str = ""


METRICS = (
    _Metric("mean_s", "TargetResponseTime (avg)", Kind.SECONDS),
    _Metric("p99_s", "TargetResponseTime (p99)", Kind.SECONDS),
    _Metric("requests_per_s", "RequestCount", Kind.COUNT, "/s"),
    _Metric("unhealthy", "UnhealthyHostCount", Kind.COUNT),
    _Metric("failed_share", "HTTPCode_Target_5XX", Kind.SHARE),
    _Metric("cpu_share", "CPUUtilization", Kind.SHARE),
    _Metric("read_units_per_s", "DynamoDB ConsumedRCU", Kind.COUNT, "/s"),
    _Metric("hit_rate", "Cache Hit Rate", Kind.SHARE),
)

_Figures = Mapping[str, float | None]


def build(selection: Selection) -> Iterable[Section]:
    """Yield a section for each run over the phases, and for load tests."""
    for run in selection.runs:
        sides = sides_of(run)
        if sides is None:
            continue
        before, after = sides
        quoted = mapping(mapping(run.quoted).get("dashboard"))
        earlier, later = _measured(before), _measured(after)
        panels = [*_panels(before, after, earlier, later, Provenance.MEASURED)]
        changes = [*_changes(earlier, later, "measured")]
        if before.name in quoted and after.name in quoted:
            earlier, later = _quoted(quoted[before.name]), _quoted(quoted[after.name])
            panels += _panels(before, after, earlier, later, Provenance.QUOTED)
            changes += _changes(earlier, later, "quoted")
        changes += _costs(selection)
        blocks: list[Block] = [
            Gauges(name="dashboard", title=_title(run, before), panels=tuple(panels)),
            Statements(name="summary", title="Summary", statements=tuple(changes)),
            _table(run, quoted),
        ]
        yield Section(
            name="dashboard",
            subject=run.scenario,
            title="Dashboard"
            if len(selection.groups) == 1
            else f"Dashboard: {selection.title(run)}",
            blocks=tuple(blocks),
            facts=facts_of(run),
        )

    for group in selection.groups:
        yield from _under_load(group.runs, selection)
        for run in of_another_service(group.runs):
            yield _of_another_service(run)


def shown_runs(selection: Selection) -> Iterator[Run]:
    """Yield the runs that have a dashboard."""
    for group in selection.groups:
        yield from (run for run in group.runs if sides_of(run) is not None)
        yield from (run for run, _ in sides_under_load(group.runs))
        yield from of_another_service(group.runs)


def _under_load(runs: Iterable[Run], selection: Selection) -> Iterator[Section]:
    """Yield what load tests of the reference service say of its first and its last phase."""
    sides = sides_under_load(runs)
    if not sides:
        return
    figures = [_measured(variant) for _, variant in sides]
    panels = [
        _panel(subject_of(run), variant, each, (figures[0], figures[-1]), Provenance.MEASURED)
        for (run, variant), each in zip(sides, figures, strict=True)
    ]
    panels += _quoted_panels(sides)
    blocks: list[Block] = []
    tests = [run.load_test for run, _ in sides if run.load_test is not None]
    title = "; ".join(dict.fromkeys(map(asked, tests)))
    blocks.append(Gauges(name="dashboard", title=title, panels=tuple(panels)))
    statements = []
    differs = other_load(sides[0][0], sides[-1][0])
    if differs:
        text = f"Not under the same load ({differs}): what changed is not worked out."
        statements.append(Statement(text=text, tone=Tone.WARNING))
    elif len(figures) > 1:
        statements += _changes(figures[0], figures[-1], "measured")
    statements += [
        Statement(text=f"{subject_of(run)} is INVALID: {reason}.", tone=Tone.WARNING)
        for run, _ in sides
        if run.load_test is not None
        for reason in run.load_test.invalid
    ]
    statements.append(Statement(text=_limits_note(), tone=Tone.FAINT))
    blocks.append(Statements(name="summary", title="Summary", statements=tuple(statements)))
    last = sides[-1][0]
    yield Section(
        name="dashboard",
        subject=last.scenario,
        title="Dashboard under load"
        if len(selection.groups) == 1
        else f"Dashboard under load: {selection.title(last)}",
        blocks=tuple(blocks),
        facts=facts_of(last),
    )


def _of_another_service(run: Run) -> Section:
    """Return what a load test says of a service that is not ours, and what that does not offer."""
    figures = figures_under_load(run)
    title = "" if run.load_test is None else asked(run.load_test)
    name = f"service at {subject_of(run)}"
    panel = _panel(name, run.variants[0], figures, (figures, figures), Provenance.MEASURED)
    # what it does not offer is said in words
    panel = replace(panel, gauges=tuple(each for each in panel.gauges if each.value is not None))
    statements = [*_not_offered(figures)]
    if run.load_test is not None:
        statements += [
            Statement(text=f"INVALID: {reason}.", tone=Tone.WARNING)
            for reason in run.load_test.invalid
        ]
    statements.append(Statement(text=_limits_note(), tone=Tone.FAINT))
    return Section(
        name="dashboard",
        subject=subject_of(run),
        title=f"Dashboard under load: {subject_of(run)}",
        blocks=(
            Gauges(name="dashboard", title=title, panels=(panel,)),
            Statements(name="summary", title="Summary", statements=tuple(statements)),
        ),
        facts=facts_of(run),
    )


_OFFERED_BY = {
    "unhealthy": "/healthz or --metrics",
    "cpu_share": "process_cpu_seconds_total in --metrics",
    "read_units_per_s": "the header X-Consumed-Read-Units",
    "hit_rate": "the header X-Cache or cache_hits_total and cache_misses_total in --metrics",
}


def _not_offered(figures: _Figures) -> Iterator[Statement]:
    """Yield which metrics a service does not offer, each with where it would be read."""
    lacking = [
        f"{metric.label} ({_OFFERED_BY[metric.key]})"
        for metric in METRICS
        if figures.get(metric.key) is None and metric.key in _OFFERED_BY
    ]
    if lacking:
        yield Statement(text=f"Not offered by the service: {', '.join(lacking)}.", tone=Tone.FAINT)


def _quoted_panels(sides: Sequence[tuple[Run, Variant]]) -> Iterator[Panel]:
    """Yield what a document says of the phases that were loaded, if it speaks of them."""
    found = []
    for run, variant in sides:
        test = run.load_test
        name = "" if test is None or test.settings.phase is None else warm(test.settings.phase)
        figures = mapping(mapping(run.quoted).get("dashboard")).get(name)
        if figures is not None:
            found.append((name, variant, _quoted(figures)))
    for name, variant, figures in found:
        both = (found[0][2], found[-1][2])
        yield _panel(name, variant, figures, both, Provenance.QUOTED)


def _title(run: Run, before: Variant) -> str:
    return f"{run.questions[0]}, {before.concurrency} requests at a time"


def _limits_note() -> str:
    """Return the limits in words: who gets a page by mail cannot look them up anywhere else."""
    excellent, good, strained = zip(
        *(LIMITS[key] for key in ("mean_s", "p99_s", "failed_share")), strict=True
    )

    def up_to(limits: tuple[float, ...]) -> str:
        mean_s, p99_s, failed = limits
        return (
            f"a mean of {_round_text(mean_s)}, a p99 of {_round_text(p99_s)}"
            f" and {format_value(failed, Kind.SHARE)} failed"
        )

    most, least = (format_value(each, Kind.SHARE) for each in HITS)
    return (
        f"The status is the worst of its metrics: EXCELLENT up to {up_to(excellent)}, with no"
        f" unhealthy instance and, if there is a cache, at least {most} hits; GOOD up to"
        f" {up_to(good)}, with none unhealthy and at least {least} hits; STRAINED up to"
        f" {up_to(strained)}, whatever the instances and the hits; CRITICAL beyond."
    )


def _round_text(seconds: float) -> str:
    return f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1000:g} ms"


def _panels(
    before: Variant, after: Variant, earlier: _Figures, later: _Figures, provenance: Provenance
) -> Iterator[Panel]:
    for word, variant, figures in (("Before", before, earlier), ("After", after, later)):
        title = f"{word}: {variant.name}"
        yield _panel(title, variant, figures, (earlier, later), provenance)


def _panel(
    title: str,
    variant: Variant,
    figures: _Figures,
    both: tuple[_Figures, _Figures],
    provenance: Provenance,
) -> Panel:
    health = find_health(figures)
    verdict = health.verdict
    reason = f"{verdict.evidence}: {health.name} by the limits noted below"
    if verdict.ruling is Ruling.INVALID:
        reason = verdict.reason
    if provenance is Provenance.MEASURED and figures.get("p99_s") is None:
        calls = format_value(variant.latency_s.count, Kind.COUNT)
        verb = "request is" if variant.latency_s.count == 1 else "requests are"
        reason += f"; {calls} {verb} too few for a 99th percentile"
    status, tone = health.name, tone_of(verdict)
    missing = sum(figures.get(each.key) is None for each in METRICS)
    if verdict.ruling is Ruling.PASS and 2 * missing >= len(METRICS):
        # what is there is good, and nobody knows of the rest
        status, tone = "NO GRADE", Tone.PLAIN
        reason = f"{missing} of {len(METRICS)} figures are missing; {verdict.evidence}"
    return Panel(
        title=f"{title}, {provenance}",
        gauges=tuple(_gauge(each, figures, both) for each in METRICS),
        status=status,
        reason=reason,
        tone=tone,
        provenance=provenance,
    )


def _gauge(metric: _Metric, figures: _Figures, both: tuple[_Figures, _Figures]) -> Gauge:
    value = figures.get(metric.key)
    status = status_of(metric.key, value)
    tone = Tone.PLAIN
    if status is not None:
        tone = Tone.GOOD if status.passes else Tone.WARNING
    return Gauge(
        label=metric.label,
        value=rounded(metric.key, value),
        kind=metric.kind,
        fill=_fill(metric, value, both),
        tone=tone,
        unit=metric.unit,
    )


def _fill(metric: _Metric, value: float | None, both: tuple[_Figures, _Figures]) -> float:
    """Return how much of the bar is filled: of all for a share, else of the larger of the two."""
    if value is None:
        return 0.0
    if metric.kind is Kind.SHARE:
        return min(max(value, 0.0), 1.0)
    # the average beside the 99th percentile means something only on one scale
    keys = ("mean_s", "p99_s") if metric.kind is Kind.SECONDS else (metric.key,)
    most = max((each.get(key) or 0.0 for each in both for key in keys), default=0.0)
    return value / most if most else 0.0


def _changes(before: _Figures, after: _Figures, source: str) -> Iterator[Statement]:
    pairs = {
        key: (before[key], after[key])
        for key in ("mean_s", "requests_per_s", "failed_share")
        if before.get(key) is not None and after.get(key) is not None
    }
    for key, (earlier, later) in pairs.items():
        if earlier is None or later is None:
            continue
        match key:
            case "mean_s" if earlier > 0:
                yield _response_time(earlier, later, source)
            case "requests_per_s" if earlier > 0:
                yield _throughput(earlier, later, source)
            case "failed_share":
                yield _error_rate(earlier, later, source)


def _response_time(before_s: float, after_s: float, source: str) -> Statement:
    change = 1 - after_s / before_s
    word, tone = ("improvement", Tone.GOOD) if change >= 0 else ("longer", Tone.WARNING)
    shown = format_value(rounded_share(abs(change)), Kind.SHARE)
    return Statement(
        text=f"Response time, {source}: {shown} {word}"
        f" ({format_value(before_s, Kind.SECONDS)} → {format_value(after_s, Kind.SECONDS)}).",
        tone=tone,
    )


def _throughput(before: float, after: float, source: str) -> Statement:
    ratio = after / before
    word, tone = ("increase", Tone.GOOD) if ratio >= 1 else ("decrease", Tone.WARNING)
    note = None
    if ratio >= 2 and source == Provenance.QUOTED:
        note = _INCREASE_NOTE.format(
            times=format_value(ratio, Kind.RATIO), more=f"{ratio - 1:,.0%}", whole=f"{ratio:,.0%}"
        )
    return Statement(
        text=f"Throughput, {source}: {abs(ratio - 1):,.0%} {word}"
        f" ({write_rate(before)} → {write_rate(after)} requests/s).",
        tone=tone,
        note=note,
    )


def _error_rate(before: float, after: float, source: str) -> Statement:
    shares = f"({format_value(before, Kind.SHARE)} → {format_value(after, Kind.SHARE)})"
    if before == after:
        return Statement(text=f"Error rate, {source}: the same {shares}.")
    if after > before:
        return Statement(text=f"Error rate, {source}: more {shares}.", tone=Tone.WARNING)
    less = format_value(rounded_share(1 - after / before), Kind.SHARE)
    return Statement(
        text=f"Error rate, {source}: {less} reduction {shares}.",
        tone=Tone.GOOD,
    )


def _costs(selection: Selection) -> Iterator[Statement]:
    """Yield what the bills say, which are of what runs and not of this measurement."""
    for bills in bills_of(selection):
        if bills.before is None or bills.after is None or bills.reduction is None:
            continue
        source = "quoted" if bills.basis is Basis.QUOTED else "at list prices"
        word, tone = ("reduction", Tone.GOOD) if bills.reduction >= 0 else ("more", Tone.WARNING)
        before, after = format_usd(bills.before.total_usd), format_usd(bills.after.total_usd)
        yield Statement(
            text=f"Cost, {source}: {share_of(bills)} {word} ({before} → {after} a month).",
            tone=tone,
        )


def write_rate(value: float) -> str:
    """Return requests a second as people read them."""
    return format_value(rounded("requests_per_s", value), Kind.COUNT)


def rounded(key: str, value: float | None) -> float | None:
    """Return a figure with the digits that a person reads; changes are worked out from all."""
    if value is None or key not in {"requests_per_s", "read_units_per_s", "cpu_share"}:
        return value
    return round(value, 1 if abs(value) >= 10 else 2)


def _measured(variant: Variant) -> _Figures:
    service = variant.service
    figures: dict[str, float | None] = {
        "mean_s": variant.latency_s.mean,
        "p99_s": percentile(variant.latency_s, 0.99),
        "hit_rate": variant.hit_rate,
    }
    if service is None:
        return figures
    return figures | {
        "requests_per_s": service.requests_per_s,
        "unhealthy": service.instances - service.healthy,
        "failed_share": service.failed_share,
        "cpu_share": service.cpu_share,
        "read_units_per_s": service.read_units_per_s,
    }


def _quoted(figures: object) -> _Figures:
    return {metric.key: number(mapping(figures), metric.key) for metric in METRICS}


def _table(run: Run, quoted: Mapping[str, object]) -> Table:
    rows: list[Row] = []
    warm = [
        each
        for each in run.variants
        if each.question == run.questions[0] and not is_cold(each.name)
    ]
    for variant in warm:
        rows.append(_row(variant.name, Provenance.MEASURED, _measured(variant)))
        if variant.name in quoted:
            rows.append(_row(variant.name, Provenance.QUOTED, _quoted(quoted[variant.name])))
    return Table(
        name="dashboard",
        title="Every phase",
        main=True,
        notes=(_limits_note(), *few_notes(warm, 0.99)),
        columns=(
            Column(key="phase", title="phase", label=True),
            Column(key="figures", title="figures", label=True),
            Column(key="mean_s", title="mean", kind=Kind.SECONDS, group="response time"),
            Column(key="p99_s", title="p99", kind=Kind.SECONDS, group="response time"),
            Column(key="requests_per_s", title="requests/s", kind=Kind.COUNT),
            Column(key="unhealthy", title="unhealthy", kind=Kind.COUNT),
            Column(key="failed_share", title="5XX", kind=Kind.SHARE),
            Column(key="cpu_share", title="CPU", kind=Kind.SHARE, note=_CPU_NOTE),
            Column(key="read_units_per_s", title="RCU/s", kind=Kind.COUNT, note=_UNITS_NOTE),
            Column(key="hit_rate", title="hit rate", kind=Kind.SHARE, note=_WARM_NOTE),
        ),
        rows=tuple(rows),
    )


def _row(phase: str, provenance: Provenance, figures: _Figures) -> Row:
    cells: dict[str, Cell] = {key: rounded(key, value) for key, value in figures.items()}
    return {"phase": phase, "figures": provenance, **cells}
