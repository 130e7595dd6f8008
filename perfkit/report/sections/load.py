"""A service under load: how fast it answered, what failed, and whether the measurement holds."""

from collections.abc import Iterable, Iterator

from perfkit.analysis.load_runs import (
    asked,
    figures_under_load,
    of_another_service,
    subject_of,
    validity,
)
from perfkit.analysis.percentiles import percentile
from perfkit.analysis.selection import Selection
from perfkit.analysis.verdict import Ruling
from perfkit.report.about import facts_of
from perfkit.report.figures import format_value
from perfkit.report.model import (
    Block,
    Cell,
    Column,
    Kind,
    Row,
    Section,
    Statement,
    Statements,
    Table,
    Tone,
)
from perfkit.report.percentiles import few_notes
from perfkit.report.sections.dashboard import METRICS, rounded
from perfkit.report.sections.load_stages import timeline
from perfkit.runs import CloudMetric, LoadTest, RateSearch, Run, RunKind, Variant
from perfkit.units import format_many, format_seconds, format_share

__all__ = ["blocks_of", "build"]

_MOST_ERRORS = 8
_MINUTES_NOTE = (
    "Sums over all minutes that the test touched, the ramp and what else was asked in them"
    " included; of other statistics the mean. A metric without minutes was not published: nothing"
    " happened, or nothing has that name."
)


def build(selection: Selection) -> Iterable[Section]:
    """Yield a section for each load test."""
    for run in selection.runs:
        if run.kind is not RunKind.LOAD or run.load_test is None:
            continue
        yield Section(
            name="load",
            subject=subject_of(run),
            title=f"Load on {subject_of(run)}",
            blocks=(*blocks_of(run), *_timeline(run.load_test)),
            facts=facts_of(run),
        )


def _timeline(test: LoadTest) -> Iterable[Block]:
    # stages have a section of their own, with its timeline
    return timeline(test) if test.seconds and not test.stages else ()


def blocks_of(run: Run) -> tuple[Block, ...]:
    """Return what there is to see of a load test, the answer first."""
    test = run.load_test
    if test is None:
        return ()
    blocks: list[Block] = [_about(run, test)]
    if run.variants:
        blocks.append(_endpoints(run.variants))
    if of_another_service([run]):
        blocks.append(_service(run))
    if test.cloudwatch:
        blocks.append(_cloudwatch(test.cloudwatch))
    if test.search is not None:
        blocks.append(Statements(name="search", statements=(_found(test.search),)))
    if test.gates:
        blocks.append(_gates(test))
    blocks.append(_measurement(run, test))
    return tuple(blocks)


def _about(run: Run, test: LoadTest) -> Statements:
    statements = [Statement(text=f"{subject_of(run)}: {asked(test)}.")]
    if test.interrupted:
        statements.append(
            Statement(
                text=f"Interrupted: {format_seconds(test.measured_s)} of"
                f" {format_seconds(test.settings.duration_s)} were measured.",
                tone=Tone.WARNING,
            )
        )
    return Statements(name="about", statements=tuple(statements))


def _endpoints(variants: tuple[Variant, ...]) -> Table:
    return Table(
        name="endpoints",
        title="Response times",
        main=True,
        notes=few_notes(variants, 0.99),
        columns=(
            Column(key="endpoint", title="request", label=True),
            Column(key="requests_per_s", title="/s", kind=Kind.COUNT, group="requests"),
            Column(key="errors", title="errors", kind=Kind.COUNT, group="requests"),
            Column(key="p50_s", title="p50", kind=Kind.SECONDS, group="response time"),
            Column(key="p95_s", title="p95", kind=Kind.SECONDS, group="response time"),
            Column(key="p99_s", title="p99", kind=Kind.SECONDS, group="response time"),
            Column(key="hit_rate", title="hits", kind=Kind.SHARE),
            Column(key="capacity_units", title="RCU", kind=Kind.CAPACITY),
            Column(key="max_s", title="max", kind=Kind.SECONDS, data_only=True),
            Column(key="requests", title="requests", kind=Kind.COUNT, data_only=True),
            Column(key="mean_s", title="mean", kind=Kind.SECONDS, data_only=True),
            Column(key="service_p50_s", title="service p50", kind=Kind.SECONDS, data_only=True),
            Column(key="service_p95_s", title="service p95", kind=Kind.SECONDS, data_only=True),
            Column(key="service_p99_s", title="service p99", kind=Kind.SECONDS, data_only=True),
            Column(key="write_units", title="WCU", kind=Kind.CAPACITY, data_only=True),
        ),
        rows=tuple(map(_row, variants)),
    )


def _row(variant: Variant) -> Row:
    latency_s, http = variant.latency_s, variant.http
    row: dict[str, Cell] = {
        "endpoint": variant.operation,
        "requests": variant.requests,
        "errors": variant.errors,
        "p50_s": percentile(latency_s, 0.5),
        "p95_s": percentile(latency_s, 0.95),
        "p99_s": percentile(latency_s, 0.99),
        "max_s": latency_s.max,
        "mean_s": latency_s.mean,
        "hit_rate": variant.hit_rate,
        "capacity_units": variant.capacity_units,
    }
    if http is not None:
        rate = http.requests_per_s
        row |= {
            "requests_per_s": round(rate, 1 if rate < 100 else 0),
            "service_p50_s": percentile(http.service_s, 0.5),
            "service_p95_s": percentile(http.service_s, 0.95),
            "service_p99_s": percentile(http.service_s, 0.99),
            "write_units": http.write_units,
        }
    return row


def _errors(variants: tuple[Variant, ...]) -> Iterator[Statement]:
    if not variants or not variants[0].errors:
        return
    total = variants[0]
    share = format_share(total.errors / total.requests)
    text = f"{total.errors:,} of {format_many(total.requests, 'request')} failed ({share})"
    kinds = [] if total.http is None else list(total.http.errors_by_kind.items())
    parts = [
        format_many(count, kind) if kind == "timeout" else f"{count:,} {kind}"
        for kind, count in kinds[:_MOST_ERRORS]
    ]
    if kinds[_MOST_ERRORS:]:
        parts.append(f"{len(kinds) - _MOST_ERRORS} more kinds")
    yield Statement(text=f"{text}{': ' * bool(parts)}{', '.join(parts)}.", tone=Tone.WARNING)


_OF_THE_SERVICE = ("unhealthy", "cpu_share", "read_units_per_s", "hit_rate")
"""Metrics of the dashboard that only the service itself can say."""


def _service(run: Run) -> Statements:
    """Return what a service that is not ours says of itself."""
    figures = figures_under_load(run)
    parts = [
        f"{metric.label} {format_value(rounded(metric.key, figures[metric.key]), metric.kind)}"
        f"{metric.unit}"
        for metric in METRICS
        if metric.key in _OF_THE_SERVICE and figures.get(metric.key) is not None
    ]
    statements = [Statement(text=f"{', '.join(parts)}.")] if parts else []
    lacking = [
        metric.label
        for metric in METRICS
        if metric.key in _OF_THE_SERVICE and figures.get(metric.key) is None
    ]
    if lacking:
        text = f"Not offered: {', '.join(lacking)}."
        statements.append(Statement(text=text, tone=Tone.FAINT))
    return Statements(name="service", title="The service", statements=tuple(statements))


def _cloudwatch(metrics: tuple[CloudMetric, ...]) -> Table:
    return Table(
        name="cloudwatch",
        title="CloudWatch, by the minute",
        columns=(
            Column(key="of", title="of", label=True),
            Column(key="metric", title="metric", label=True),
            Column(key="statistic", title="statistic"),
            Column(key="whole", title="all minutes", kind=Kind.COUNT),
            Column(key="most", title="highest", kind=Kind.COUNT),
            Column(key="minutes", title="minutes", kind=Kind.COUNT),
        ),
        rows=tuple(map(_metric_row, metrics)),
        notes=(_MINUTES_NOTE,),
    )


def _metric_row(metric: CloudMetric) -> Row:
    values = list(metric.minutes.values())
    whole = sum(values) if metric.statistic == "Sum" else None
    if values and whole is None:
        whole = sum(values) / len(values)
    return {
        "of": ", ".join(metric.dimensions.values()) or "the account",
        "metric": metric.name,
        "statistic": metric.statistic,
        "whole": float(f"{whole:.4g}") if values and whole is not None else None,
        "most": float(f"{max(values):.4g}") if values else None,
        "minutes": len(values),
    }


def _found(search: RateSearch) -> Statement:
    limit = f"p95 below {format_seconds(search.limit_s)}"
    if search.low_hz is None:
        return Statement(text=f"No rate that was tried keeps {limit}.", tone=Tone.WARNING)
    text = f"Highest rate that keeps {limit}: {search.low_hz:,.4g} requests/s"
    if search.high_hz is not None:
        text += f"; {search.high_hz:,.4g} does not"
    if search.reason:
        text += f" ({search.reason})"
    return Statement(text=f"{text}; {format_many(len(search.trials), 'trial')}.")


def _gates(test: LoadTest) -> Table:
    return Table(
        name="gates",
        title="Gates",
        columns=(
            Column(key="gate", title="gate", label=True),
            Column(key="measured", title="measured"),
            Column(key="verdict", title="verdict"),
            Column(key="reason", title="why", data_only=True),
            Column(key="value", title="value", kind=Kind.COUNT, data_only=True),
        ),
        rows=tuple(
            {
                "gate": each.gate,
                "measured": "not" if each.value is None else f"{each.value:,.4g}",
                "verdict": each.verdict.upper() if each.verdict != "pass" else "pass",
                "reason": each.reason,
                "value": each.value,
            }
            for each in test.gates
        ),
    )


def _measurement(run: Run, test: LoadTest) -> Statements:
    # a service that fails may be measured well, and that is not to be read as all being well
    statements = list(_errors(run.variants))
    verdict = validity(test)
    if verdict.ruling is Ruling.PASS:
        statements.append(Statement(text=f"The measurement is valid: {_generator(test)}."))
    else:
        statements += [
            Statement(text=f"INVALID: {reason}.", tone=Tone.WARNING) for reason in test.invalid
        ]
    return Statements(name="measurement", statements=tuple(statements))


def _generator(test: LoadTest) -> str:
    parts = []
    if test.generator_cpu_share is not None:
        share = format_share(round(test.generator_cpu_share, 2))
        parts.append(f"the generator used {share} of a core")
    if test.lag_p99_s is not None:
        parts.append(f"was late itself by {format_seconds(test.lag_p99_s)} at the 99th percentile")
    return " and ".join(parts) or "nothing speaks against it"
