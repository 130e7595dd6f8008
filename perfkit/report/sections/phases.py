"""The service at each phase: what was promised, and every endpoint."""

from collections.abc import Iterable

from perfkit.analysis.percentiles import percentile
from perfkit.analysis.phases import is_cold
from perfkit.analysis.selection import Selection
from perfkit.analysis.verdict import Ruling, Verdict
from perfkit.report.about import about, cautions, facts_of
from perfkit.report.figures import rounded_share, tone_of
from perfkit.report.model import (
    Bar,
    Bars,
    Block,
    Column,
    Kind,
    Marked,
    Provenance,
    Row,
    Section,
    Table,
)
from perfkit.report.percentiles import few_notes, median_title
from perfkit.report.ratios import (
    INTERVALS_NOTE,
    interval_notes,
    write_capacity,
    write_latency,
)
from perfkit.runs import Check, Run, RunKind

__all__ = ["build"]

_IN_WORDS = {Ruling.INVALID: "cannot be judged"}
"""Rulings in the words that warnings have for them, where those differ."""

_WARM_NOTE = (
    "The same request again and again, with its answer in the cache where there is one; -cold:"
    " with an empty cache before every request, one at a time."
)
_LATENCY_NOTE = "Medians of the rounds of warm requests; the interval is over the rounds."
_CAPACITY_NOTE = "Requests that reach DynamoDB: with an empty cache."


def build(selection: Selection) -> Iterable[Section]:
    """Yield a section for each run over the phases."""
    for run in selection.runs:
        if run.kind is not RunKind.PHASES or not run.variants:
            continue
        blocks: list[Block] = [about(run)]
        if run.checks:
            blocks.append(_promises(run.checks))
        blocks += [endpoints(run), _bars(run), _comparisons(run)]
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
            Column(key="verdict", title="verdict", data_only=True),
            Column(key="judged", title="verdict"),
            Column(key="reason", title="reason", data_only=True),
            Column(key="baseline", title="before", data_only=True),
            Column(key="candidate", title="after", data_only=True),
            Column(key="source", title="promised by", data_only=True),
        ),
        rows=tuple(_promise(check) for check in checks),
        notes=(
            *((f"Promised by: {sources}.",) if sources else ()),
            *((INTERVALS_NOTE,) if any(check.interval for check in checks) else ()),
        ),
    )


def _promise(check: Check) -> Row:
    low, high = check.interval or (None, None)
    verdict = Verdict.of_check(check)
    note = _LATENCY_NOTE if check.figure == "latency" else _CAPACITY_NOTE
    return {
        "question": check.question,
        "name": check.name,
        "figure": Marked(value=f"{check.figure} less", note=note),
        "promised": check.promised,
        "measured": rounded_share(check.measured),
        "low": rounded_share(low),
        "high": rounded_share(high),
        "verdict": str(verdict.ruling),
        "judged": Marked(
            value=_IN_WORDS.get(verdict.ruling, str(verdict.ruling)),
            tone=tone_of(verdict),
            note=verdict.reason or None,
        ),
        "reason": verdict.reason or None,
        "baseline": check.baseline,
        "candidate": check.candidate,
        "source": check.source,
    }


def endpoints(run: Run) -> Table:
    """Return one request of each variant, endpoint by endpoint."""
    return Table(
        name="requests",
        title="One request of each variant",
        notes=few_notes(run.variants, 0.5, 0.99),
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
                "p50_s": percentile(variant.latency_s, 0.5),
                "p99_s": percentile(variant.latency_s, 0.99),
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
    warm = [each for each in run.variants if not is_cold(each.name)]
    return Bars(
        name="latency",
        title=median_title("Latency of a warm request", warm),
        kind=Kind.SECONDS,
        logarithmic=True,
        bars=tuple(
            Bar(label=variant.question, series=variant.name, value=variant.latency_s.p50)
            for variant in warm
        ),
    )


def _comparisons(run: Run) -> Table:
    return Table(
        name="comparisons",
        title="Compared with phase 0",
        notes=interval_notes(run.comparisons),
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
                "latency": write_latency(each),
                "capacity": (
                    "none consumed"
                    if _consumes_nothing(run, each.question, each.candidate)
                    else write_capacity(each.capacity_ratio)
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
