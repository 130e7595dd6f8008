"""What a cache changes: every variant, the statistics of hits, misses and errors, the flow."""

from collections.abc import Iterable, Mapping, Sequence

from perfkit.analysis.caches import IN_TROUBLE
from perfkit.analysis.percentiles import percentile
from perfkit.analysis.selection import Selection
from perfkit.report.about import about, cautions, facts_of
from perfkit.report.before_after import latency_note
from perfkit.report.figures import format_value
from perfkit.report.model import (
    Bar,
    Bars,
    Block,
    Cell,
    Column,
    Diagram,
    Edge,
    Kind,
    Marked,
    Node,
    Provenance,
    Row,
    Section,
    Table,
    Tone,
)
from perfkit.report.percentiles import few_notes, median_title
from perfkit.report.ratios import interval_notes, write_latency
from perfkit.runs import CacheFigures, Run, RunKind, Variant

__all__ = ["build", "flow", "flow_diagram", "statistics_columns", "statistics_row"]

_ERROR_NOTE = (
    "The server is killed, or hangs, as the first call of each turn is made: max is a call before"
    " the circuit breaker opened, p50 one after."
)
_WORKED_OUT_NOTE = (
    "(hits, misses and errors, each times its mean) / requests; beside it the mean of all calls as"
    " they were measured."
)
_TROUBLE_NOTE = (
    "Calls made while the server was killed or hanging, on purpose, are not among these: they are"
    " no error rate."
)
_SHARES_NOTE = (
    "These counts are what was tried, not what a service sees; the last column weighs the means"
    " with the shares of the document."
)


def build(selection: Selection) -> Iterable[Section]:
    """Yield a section for each run through the cache."""
    for run in selection.runs:
        if run.kind is not RunKind.CACHE or not run.variants:
            continue
        blocks: list[Block] = [about(run), _variants(run), _bars(run), _comparisons(run)]
        together = _together(each for each in run.variants if each.name not in IN_TROUBLE)
        blocks += [_statistics(run), flow_diagram(together), flow(together, run)]
        if run.cautions and len(selection.runs) > 1:
            blocks.append(cautions(run))
        yield Section(
            name="cache",
            subject=run.scenario,
            title=selection.title(run),
            blocks=tuple(blocks),
            facts=facts_of(run),
        )


def _variants(run: Run) -> Table:
    def seconds(key: str, title: str, note: str | None = None) -> Column:
        return Column(key=key, title=title, kind=Kind.SECONDS, group="latency", note=note)

    return Table(
        name="variants",
        title="One call of each variant",
        main=True,
        notes=few_notes(run.variants, 0.5, 0.99),
        columns=(
            Column(key="question", title="pattern", label=True),
            Column(key="variant", title="variant", label=True),
            seconds("p50_s", "p50", latency_note([run])),
            seconds("p99_s", "p99"),
            seconds("mean_s", "mean"),
            seconds("max_s", "max", _ERROR_NOTE),
            Column(key="capacity_units", title="RCU", kind=Kind.CAPACITY),
            Column(key="items_returned", title="items", kind=Kind.COUNT),
            Column(key="body_bytes", title="answer", kind=Kind.BYTES),
            Column(key="client_cpu_s", title="CPU", kind=Kind.SECONDS),
            Column(key="calls", title="calls", kind=Kind.COUNT),
        ),
        rows=tuple(
            {
                "question": variant.question,
                "variant": variant.name,
                "p50_s": percentile(variant.latency_s, 0.5),
                "p99_s": percentile(variant.latency_s, 0.99),
                "mean_s": variant.latency_s.mean,
                "max_s": variant.latency_s.max,
                "capacity_units": variant.capacity_units,
                "items_returned": variant.items_returned or None,
                "body_bytes": variant.body_bytes,
                "client_cpu_s": variant.client_cpu_s,
                "calls": variant.calls,
            }
            for variant in run.variants
        ),
    )


def _bars(run: Run) -> Bars:
    return Bars(
        name="latency",
        title=median_title("Latency of a call", run.variants),
        kind=Kind.SECONDS,
        logarithmic=True,
        bars=tuple(
            Bar(label=variant.question, series=variant.name, value=variant.latency_s.p50)
            for variant in run.variants
        ),
    )


def _comparisons(run: Run) -> Table:
    return Table(
        name="comparisons",
        title="Compared",
        notes=interval_notes(run.comparisons),
        columns=(
            Column(key="question", title="pattern", label=True),
            Column(key="candidate", title="variant", label=True),
            Column(key="baseline", title="against", label=True),
            Column(key="latency", title="latency"),
            Column(key="latency_ratio", title="faster", kind=Kind.RATIO, data_only=True),
        ),
        rows=tuple(
            {
                "question": each.question,
                "candidate": each.candidate,
                "baseline": each.baseline,
                "latency": write_latency(each),
                "latency_ratio": each.latency_ratio,
            }
            for each in run.comparisons
        ),
    )


def statistics_columns() -> tuple[Column, ...]:
    """Return the columns of the statistics: how often each way was gone, and its mean."""
    return (
        Column(key="requests", title="requests", kind=Kind.COUNT),
        Column(key="hits", title="hits", kind=Kind.COUNT, group="hits"),
        Column(key="hit_rate", title="share", kind=Kind.SHARE, group="hits"),
        Column(key="hit_mean_s", title="mean", kind=Kind.SECONDS, group="hits"),
        Column(key="misses", title="misses", kind=Kind.COUNT, group="misses"),
        Column(key="miss_mean_s", title="mean", kind=Kind.SECONDS, group="misses"),
        Column(key="errors", title="errors", kind=Kind.COUNT, group="errors"),
        Column(key="error_mean_s", title="mean", kind=Kind.SECONDS, group="errors"),
        Column(
            key="worked_out_mean_s",
            title="worked out",
            kind=Kind.SECONDS,
            group="average",
            note=_WORKED_OUT_NOTE,
        ),
        Column(key="mean_s", title="measured", kind=Kind.SECONDS, group="average"),
    )


def statistics_row(figures: CacheFigures, mean_s: float | None) -> Row:
    """Return the statistics of some requests, and the mean of all of them as it was measured."""
    return {
        "requests": figures.requests,
        "hits": figures.hits,
        "hit_rate": None if figures.hit_rate is None else round(figures.hit_rate, 4),
        "hit_mean_s": figures.hit_mean_s,
        "misses": figures.misses,
        "miss_mean_s": figures.miss_mean_s,
        "errors": figures.errors,
        "error_mean_s": figures.error_mean_s,
        "worked_out_mean_s": figures.worked_out_mean_s,
        "mean_s": mean_s,
    }


def _statistics(run: Run) -> Table:
    rows = []
    for question in run.questions:
        variants = [
            each
            for each in run.variants
            if each.question == question and each.name not in IN_TROUBLE
        ]
        figures = _together(variants)
        cached = [each for each in variants if each.cache is not None]
        calls = sum(each.calls for each in cached)
        mean_s = sum(each.latency_s.mean * each.calls for each in cached) / calls if calls else None
        rows.append(
            {
                "question": question,
                **statistics_row(figures, mean_s),
                "at_shares_s": Marked(
                    value=_at_quoted_shares(
                        _together(each for each in run.variants if each.question == question), run
                    ),
                    provenance=Provenance.MODELLED,
                ),
            }
        )
    return Table(
        name="statistics",
        title="Cache statistics",
        notes=(_TROUBLE_NOTE, *((_SHARES_NOTE,) if run.quoted else ())),
        columns=(
            Column(key="question", title="pattern", label=True),
            *statistics_columns(),
            Column(key="at_shares_s", title="at 99% hits", kind=Kind.SECONDS, group="average"),
        ),
        rows=tuple(rows),
    )


def _together(variants: Iterable[Variant]) -> CacheFigures:
    """Return what all variants that looked into the cache met there, together."""
    figures = [variant.cache for variant in variants if variant.cache is not None]
    hits = sum(each.hits for each in figures)
    misses = sum(each.misses for each in figures)
    errors = sum(each.errors for each in figures)

    def mean(pairs: list[tuple[int, float | None]]) -> float | None:
        return _mean([(count, mean_s) for count, mean_s in pairs if mean_s is not None])

    return CacheFigures(
        hits=hits,
        misses=misses,
        errors=errors,
        hit_mean_s=mean([(each.hits, each.hit_mean_s) for each in figures]),
        miss_mean_s=mean([(each.misses, each.miss_mean_s) for each in figures]),
        error_mean_s=mean([(each.errors, each.error_mean_s) for each in figures]),
    )


def _at_quoted_shares(figures: CacheFigures, run: Run) -> float | None:
    quoted: Mapping[str, object] = run.quoted or {}
    parts = []
    for kind, mean_s in (
        ("hits", figures.hit_mean_s),
        ("misses", figures.miss_mean_s),
        ("errors", figures.error_mean_s),
    ):
        count = quoted.get(kind)
        if mean_s is None or not isinstance(count, int):
            return None
        parts.append((count, mean_s))
    return _mean(parts)


def _mean(parts: Sequence[tuple[int, float]]) -> float | None:
    """Return the mean of means, each of so many; None of nothing."""
    total = sum(count for count, _ in parts)
    return sum(count * mean_s for count, mean_s in parts) / total if total else None


_PATHS = (
    ("HIT", "hits", "hit_mean_s", "key, look, answer"),
    ("MISS", "misses", "miss_mean_s", "key, look, lease, query, store, answer"),
    ("ERROR", "errors", "error_mean_s", "key, look that fails or is left out, query, answer"),
)


def flow_diagram(figures: CacheFigures, *, counted: Provenance = Provenance.MEASURED) -> Diagram:
    """Return the ways a request goes through the cache as a diagram, with how many went each."""
    tones = {"HIT": Tone.GOOD, "ERROR": Tone.WARNING}
    nodes = [
        Node(
            id="cache",
            title="Look into the cache",
            lines=(f"{format_value(figures.requests, Kind.COUNT)} requests, {counted}",),
            layer=0,
        )
    ]
    edges = []
    for path, counts, mean, steps in _PATHS:
        number, mean_s = getattr(figures, counts), getattr(figures, mean)
        if path == "ERROR" and not number:
            continue
        share = number / figures.requests if figures.requests else None
        nodes.append(
            Node(
                id=path,
                title=path,
                lines=(*steps.split(", ")[2:-1], f"mean {format_value(mean_s, Kind.SECONDS)}"),
                layer=1,
                tone=tones.get(path, Tone.PLAIN),
            )
        )
        shown = format_value(None if share is None else round(share, 4), Kind.SHARE)
        label = f"{format_value(number, Kind.COUNT)} ({shown})"
        edges += [
            Edge(source="cache", target=path, label=label),
            Edge(source=path, target="answer"),
        ]
    nodes.append(Node(id="answer", title="Answer", lines=(), layer=2))
    return Diagram(
        name="cache-flow-diagram",
        title="Through the cache",
        nodes=tuple(nodes),
        edges=tuple(edges),
    )


def flow(figures: CacheFigures, run: Run, *, counted: Provenance = Provenance.MEASURED) -> Table:
    """
    Return the ways a request goes through the cache, with how many went each.

    Args:
        figures: Of the requests.
        run: May quote a document.
        counted: Whether the requests were counted or modelled.
    """
    quoted: Mapping[str, object] = run.quoted or {}

    def quoted_cell(key: str) -> Cell:
        value = quoted.get(key)
        return value if isinstance(value, int | float) else None

    return Table(
        name="cache-flow",
        title="Cache flow",
        columns=(
            Column(key="path", title="X-Cache", label=True),
            Column(key="steps", title="steps"),
            Column(key="requests", title="requests", kind=Kind.COUNT, provenance=counted),
            Column(key="share", title="share", kind=Kind.SHARE, provenance=counted),
            Column(key="mean_s", title="mean", kind=Kind.SECONDS),
            Column(
                key="quoted_requests",
                title="requests",
                kind=Kind.COUNT,
                group="document",
                provenance=Provenance.QUOTED,
            ),
            Column(
                key="quoted_mean_s",
                title="mean",
                kind=Kind.SECONDS,
                group="document",
                provenance=Provenance.QUOTED,
            ),
        ),
        rows=tuple(
            {
                "path": path,
                "steps": steps,
                "requests": getattr(figures, counts),
                "share": (
                    round(getattr(figures, counts) / figures.requests, 4)
                    if figures.requests
                    else None
                ),
                "mean_s": getattr(figures, mean),
                "quoted_requests": quoted_cell(counts),
                "quoted_mean_s": quoted_cell(mean),
            }
            for path, counts, mean, steps in _PATHS
        ),
    )
