"""The service at each phase: what was promised, the dashboard, every endpoint, the request flow."""

from collections.abc import Iterable, Mapping

from perfkit.report.about import about, cautions, facts_of
from perfkit.report.model import (
    Bar,
    Bars,
    Block,
    Cell,
    Column,
    Kind,
    Marked,
    Provenance,
    Row,
    Section,
    Table,
    Tone,
)
from perfkit.report.selection import Selection
from perfkit.report.verdicts import capacity_verdict, latency_verdict
from perfkit.report.waterfall import stages_of
from perfkit.results import Check, Run, Variant

__all__ = ["build"]

_COLD = "-cold"

_TONES = {"pass": Tone.GOOD, "fail": Tone.WARNING, "invalid": Tone.WARNING}

_WARM_NOTE = (
    "The same request again and again, with its answer in the cache where there is one; -cold:"
    " with an empty cache before every request, one at a time."
)
_CPU_NOTE = "Processor time of the service's processes; a share of one core."
_UNITS_NOTE = (
    "The document gives the units a second of the whole system, and its share of what was"
    " provisioned (95% and 5%)."
)
_LATENCY_NOTE = "Medians of the rounds of warm requests; the interval is over the rounds."
_CAPACITY_NOTE = "Requests that reach DynamoDB: with an empty cache."
_OTHER_NOTE = (
    "other: what the service's own stages do not account for, among it the HTTP server, the"
    " connection, the client, and waiting for a processor."
)


def build(selection: Selection) -> Iterable[Section]:
    """Yield a section for each run over the phases."""
    for run in selection.runs:
        if run.kind != "phases" or not run.variants:
            continue
        blocks: list[Block] = [about(run)]
        if run.checks:
            blocks.append(_promises(run.checks))
        blocks.append(_dashboard(run))
        blocks += [endpoints(run), _bars(run), _comparisons(run), _flow(run)]
        if run.cautions and len(selection.runs) > 1:
            blocks.append(cautions(run))
        yield Section(
            name="phases",
            subject=run.scenario,
            title=selection.title(run),
            blocks=tuple(blocks),
            facts=facts_of(run),
        )


def _promises(checks: tuple[Check, ...]) -> Table:
    sources = ", ".join(dict.fromkeys(check.source for check in checks if check.source))
    return Table(
        name="promises",
        title="What the phases promise, against phase 0",
        columns=(
            Column(key="question", title="endpoint", label=True),
            Column(key="name", title="phase", label=True),
            Column(key="figure", title="figure"),
            Column(key="promised", title="promised", kind=Kind.SHARE, provenance=Provenance.QUOTED),
            Column(key="measured", title="measured", kind=Kind.SHARE),
            Column(key="low", title="from", kind=Kind.SHARE, group="95% interval"),
            Column(key="high", title="to", kind=Kind.SHARE, group="95% interval"),
            Column(key="verdict", title="verdict"),
            Column(key="reason", title="reason", data_only=True),
            Column(key="baseline", title="before", data_only=True),
            Column(key="candidate", title="after", data_only=True),
            Column(key="source", title="promised by", data_only=True),
        ),
        rows=tuple(_promise(check) for check in checks),
        notes=(f"Promised by: {sources}.",) if sources else (),
    )


def _promise(check: Check) -> Row:
    low, high = check.interval or (None, None)
    note = _LATENCY_NOTE if check.figure == "latency" else _CAPACITY_NOTE
    return {
        "question": check.question,
        "name": check.name,
        "figure": Marked(value=f"{check.figure} less", note=note),
        "promised": check.promised,
        "measured": _rounded(check.measured),
        "low": _rounded(low),
        "high": _rounded(high),
        "verdict": Marked(
            value=check.verdict,
            tone=_TONES.get(check.verdict, Tone.PLAIN),
            note=check.reason or None,
        ),
        "reason": check.reason or None,
        "baseline": check.baseline,
        "candidate": check.candidate,
        "source": check.source,
    }


def _rounded(share: float | None) -> float | None:
    """Return a share to the tenth of a percent, or finer where that would read 0% or 100%."""
    if share is None:
        return None
    for places in (3, 4, 5, 6):
        if round(share, places) not in {0.0, 1.0}:
            return round(share, places)
    return share


def _dashboard(run: Run) -> Table:
    question = run.questions[0]
    quoted = _mapping(_mapping(run.quoted).get("dashboard"))
    rows: list[Row] = []
    for variant in run.variants:
        if variant.question != question or variant.name.endswith(_COLD):
            continue
        rows.append(_dashboard_row(variant))
        if variant.name in quoted:
            rows.append(
                {"phase": variant.name, "figures": Provenance.QUOTED}
                | {key: _cell(value) for key, value in _mapping(quoted[variant.name]).items()}
            )
    return Table(
        name="dashboard",
        title=f"Dashboard: {question}, {run.variants[0].concurrency} requests at a time",
        main=True,
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


def _dashboard_row(variant: Variant) -> Row:
    row: dict[str, Cell] = {
        "phase": variant.name,
        "figures": Provenance.MEASURED,
        "mean_s": variant.latency_s.mean,
        "p99_s": variant.latency_s.p99,
        "hit_rate": variant.cache.hit_rate if variant.cache is not None else None,
    }
    service = variant.service
    if service is None:
        return row
    return row | {
        "requests_per_s": round(service.requests_per_s, 1),
        "unhealthy": service.instances - service.healthy,
        "failed_share": service.failed_share,
        "cpu_share": None if service.cpu_share is None else round(service.cpu_share, 2),
        "read_units_per_s": (
            None if service.read_units_per_s is None else round(service.read_units_per_s, 1)
        ),
    }


def endpoints(run: Run) -> Table:
    """Return one request of each variant, endpoint by endpoint."""
    return Table(
        name="requests",
        title="One request of each variant",
        columns=(
            Column(key="question", title="endpoint", label=True),
            Column(key="variant", title="variant", label=True, note=_WARM_NOTE),
            Column(key="p50_s", title="p50", kind=Kind.SECONDS, group="latency"),
            Column(key="p99_s", title="p99", kind=Kind.SECONDS, group="latency"),
            Column(key="mean_s", title="mean", kind=Kind.SECONDS, group="latency", weight=0),
            Column(key="capacity_units", title="RCU", kind=Kind.CAPACITY),
            Column(key="body_bytes", title="answer", kind=Kind.BYTES),
            Column(key="cpu_s", title="service CPU", kind=Kind.SECONDS),
            Column(key="requests_per_s", title="requests/s", kind=Kind.COUNT),
            Column(key="calls", title="requests", kind=Kind.COUNT, data_only=True),
            Column(key="errors", title="failed", kind=Kind.COUNT, data_only=not _failed(run)),
            Column(key="concurrency", title="at a time", kind=Kind.COUNT, data_only=True),
        ),
        rows=tuple(
            {
                "question": variant.question,
                "variant": variant.name,
                "p50_s": variant.latency_s.p50,
                "p99_s": variant.latency_s.p99,
                "mean_s": variant.latency_s.mean,
                "capacity_units": (
                    None if variant.capacity_units is None else round(variant.capacity_units, 3)
                ),
                "body_bytes": variant.body_bytes,
                "cpu_s": variant.service.cpu_s if variant.service is not None else None,
                "requests_per_s": (
                    round(variant.service.requests_per_s, 1)
                    if variant.service is not None
                    else None
                ),
                "calls": variant.calls,
                "errors": variant.errors,
                "concurrency": variant.concurrency,
            }
            for variant in run.variants
        ),
    )


def _failed(run: Run) -> bool:
    return any(variant.errors for variant in run.variants)


def _bars(run: Run) -> Bars:
    return Bars(
        name="latency",
        title="Latency of a warm request, p50",
        kind=Kind.SECONDS,
        logarithmic=True,
        bars=tuple(
            Bar(label=variant.question, series=variant.name, value=variant.latency_s.p50)
            for variant in run.variants
            if not variant.name.endswith(_COLD)
        ),
    )


def _comparisons(run: Run) -> Table:
    return Table(
        name="comparisons",
        title="Compared with phase 0",
        columns=(
            Column(key="question", title="endpoint", label=True),
            Column(key="candidate", title="variant", label=True),
            Column(key="latency", title="latency"),
            Column(key="capacity", title="RCU", data_only=True),
            Column(key="latency_ratio", title="faster", kind=Kind.RATIO, data_only=True),
            Column(key="capacity_ratio", title="cheaper", kind=Kind.RATIO, data_only=True),
        ),
        rows=tuple(
            {
                "question": each.question,
                "candidate": each.candidate,
                "latency": latency_verdict(each),
                "capacity": (
                    "none consumed"
                    if _consumes_nothing(run, each.question, each.candidate)
                    else capacity_verdict(each.capacity_ratio)
                ),
                "latency_ratio": each.latency_ratio,
                "capacity_ratio": each.capacity_ratio,
            }
            for each in run.comparisons
        ),
    )


def _consumes_nothing(run: Run, question: str, name: str) -> bool:
    variant = run.variant(name, question)
    return variant is not None and variant.capacity_units == 0


def _flow(run: Run) -> Table:
    quoted = _mapping(run.quoted)
    flows = _mapping(quoted.get("flow"))
    rows: list[Row] = []
    for variant in _shown_in_flow(run):
        service = variant.service
        if service is None:
            continue
        asked = variant.question == quoted.get("question")
        said = _mapping(flows.get(variant.name)) if asked else {}
        rows += [
            {
                "question": variant.question,
                "variant": variant.name,
                "stage": stage.name,
                "start_s": stage.start_s,
                "duration_s": stage.duration_s,
                "bar": stage.bar,
                "quoted_s": _cell(said.get(stage.name)),
            }
            for stage in stages_of(service.stages_s, variant.latency_s.mean)
        ]
    return Table(
        name="flow",
        title=f"Request flow of {run.questions[0]}, stage by stage (means, from Server-Timing)",
        columns=(
            Column(key="question", title="endpoint", data_only=True),
            Column(key="variant", title="variant", label=True),
            Column(key="stage", title="stage", label=True, note=_OTHER_NOTE),
            Column(key="start_s", title="from", kind=Kind.SECONDS),
            Column(key="duration_s", title="takes", kind=Kind.SECONDS),
            Column(key="bar", title="waterfall"),
            Column(
                key="quoted_s",
                title="document",
                kind=Kind.SECONDS,
                provenance=Provenance.QUOTED,
            ),
        ),
        rows=tuple(rows),
    )


def _shown_in_flow(run: Run) -> list[Variant]:
    """Return the warm variants of the first endpoint, and its last cold one: a miss."""
    variants = [each for each in run.variants if each.question == run.questions[0]]
    warm = [each for each in variants if not each.name.endswith(_COLD)]
    return warm + [each for each in variants if each.name.endswith(_COLD)][-1:]


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _cell(value: object) -> Cell:
    return value if isinstance(value, str | int | float) else None
