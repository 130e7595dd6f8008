"""How latencies are distributed: percentile curves and their table."""

from collections.abc import Iterable, Iterator

from perfkit.analysis.percentiles import percentiles
from perfkit.analysis.phases import is_cold
from perfkit.analysis.selection import Selection, target_title
from perfkit.report.before_after import latency_note
from perfkit.report.model import (
    Block,
    Column,
    Curve,
    Curves,
    Kind,
    Point,
    Row,
    Scale,
    Section,
    Table,
)
from perfkit.report.percentiles import FEW_NOTE
from perfkit.runs import Run, RunKind, Variant

__all__ = ["build"]

_LEAST_CALLS = 20
"""Fewer calls make no curve: each step of it would be a single call."""

_FRACTIONS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999)
_COLUMNS = (
    ("p50_s", "p50", 0.5),
    ("p75_s", "p75", 0.75),
    ("p90_s", "p90", 0.9),
    ("p95_s", "p95", 0.95),
    ("p99_s", "p99", 0.99),
    ("p999_s", "p99.9", 0.999),
)


def build(selection: Selection) -> Iterable[Section]:
    """Yield a section for each group with histograms."""
    for group in selection.groups:
        runs = [
            run
            for run in group.runs
            if run.kind in {RunKind.SCENARIO, RunKind.PHASES} and run.variants
        ]
        rows = [row for run in runs for row in _rows(run)]
        if not rows:
            continue
        blocks: list[Block] = [_table(runs, rows), *(each for run in runs for each in _charts(run))]
        several = len(selection.groups) > 1
        yield Section(
            name="latency",
            subject=group.title if several else "",
            title=f"Latencies ({group.title})" if several else "Latencies",
            blocks=tuple(blocks),
            facts={"workload": runs[0].workload, "target": target_title(runs[0].target)},
        )


def _charts(run: Run) -> Iterator[Curves]:
    """Yield a chart for an access pattern; of a service, one for its first endpoint."""
    question = run.questions[0]
    curves = tuple(
        Curve(label=variant.name, points=points)
        for variant in run.variants
        if variant.question == question
        and not is_cold(variant.name)
        and variant.latency_s.count >= _LEAST_CALLS
        if (points := _points(variant))
    )
    if curves:
        yield Curves(
            name=f"percentiles-{run.scenario}",
            title=f"{question or run.scenario}: latency by percentile",
            x_title="percentile",
            x_kind=Kind.SHARE,
            y_title="latency",
            y_kind=Kind.SECONDS,
            x_scale=Scale.PERCENTILE,
            y_scale=Scale.LOGARITHMIC,
            curves=curves,
        )


def _points(variant: Variant) -> tuple[Point, ...]:
    found = percentiles(variant, _FRACTIONS)
    points = [Point(each, seconds) for each, seconds in found.items() if seconds is not None]
    count = variant.latency_s.count
    if points and count > 1 and points[-1].x < 1 - 1 / count:
        points.append(Point(1 - 1 / count, variant.latency_s.max))
    return tuple(points)


def _rows(run: Run) -> Iterator[Row]:
    for variant in run.variants:
        found = percentiles(variant, [fraction for _, _, fraction in _COLUMNS])
        if found:
            yield {
                "scenario": run.scenario,
                "question": variant.question or run.scenario,
                "variant": variant.name,
                "calls": variant.calls,
                **{key: found[fraction] for key, _, fraction in _COLUMNS},
                "max_s": variant.latency_s.max,
            }


def _table(runs: list[Run], rows: list[Row]) -> Table:
    return Table(
        name="percentiles",
        title="Percentiles",
        notes=(FEW_NOTE,),
        columns=(
            Column(key="scenario", title="scenario", data_only=True),
            Column(key="question", title="question", label=True),
            Column(key="variant", title="variant", label=True),
            Column(key="calls", title="calls", kind=Kind.COUNT),
            *(
                Column(
                    key=key,
                    title=title,
                    kind=Kind.SECONDS,
                    note=latency_note(runs) if key == "p50_s" else None,
                )
                for key, title, _ in _COLUMNS
            ),
            Column(key="max_s", title="max", kind=Kind.SECONDS),
        ),
        rows=tuple(rows),
    )
