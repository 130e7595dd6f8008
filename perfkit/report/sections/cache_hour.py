"""An hour of traffic through the cache: its statistics, the check, and hit rate by time to live."""

from collections.abc import Iterable
from dataclasses import asdict

from perfkit.analysis.selection import Selection
from perfkit.report.about import about, cautions, facts_of
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
    Statement,
    Statements,
    Table,
)
from perfkit.report.sections.cache import flow, flow_diagram, statistics_columns, statistics_row
from perfkit.runs import Hour, Run, RunKind

__all__ = ["build"]

_SHORT = "short run"
_HOUR = "an hour"

_QUOTED_NOTE = (
    "The document counts 10 errors beside its 100,000 requests, and leaves them out of its average."
)
_CHECK_NOTE = (
    "The same requests, at the same moments of real and of virtual time; rates and times to live"
    " are scaled to take seconds."
)


def build(selection: Selection) -> Iterable[Section]:
    """Yield a section for each run of hours."""
    for run in selection.runs:
        if run.kind is not RunKind.CACHE_HOUR or not run.hours:
            continue
        hour = next(
            (
                each
                for each in run.hours
                if each.name == _HOUR
                and each.provenance == "modelled"
                and each.latencies == "measured"
            ),
            run.hours[0],
        )
        blocks: list[Block] = [about(run), _traffic(run), _hours(run), _check(run)]
        blocks += [_by_ttl(run), _bars(run), flow_diagram(hour.cache, counted=Provenance.MODELLED)]
        blocks.append(flow(hour.cache, run, counted=Provenance.MODELLED))
        if run.cautions and len(selection.runs) > 1:
            blocks.append(cautions(run))
        yield Section(
            name="cache-hour",
            subject=run.scenario,
            title=selection.title(run),
            blocks=tuple(blocks),
            facts=facts_of(run),
        )


def _traffic(run: Run) -> Statements:
    text = (
        "Traffic, modelled: {rate_hz:.1f} requests a second at random moments, {keys} questions of"
        " which the n-th is asked 1/n^{skew:g} as often as the first, kept {ttl_s:g} s"
        " ± {jitter_share:.0%}, {writes_an_hour:g} writes an hour, {error_share:.2%} of the looks"
        " failing."
    )
    statements = (Statement(text=text.format(**asdict(run.traffic))),) if run.traffic else ()
    return Statements(name="traffic", statements=statements)


def _hours(run: Run) -> Table:
    return Table(
        name="hours",
        title="Cache statistics of an hour",
        main=True,
        columns=(
            Column(key="figures", title="counts", label=True),
            Column(key="latencies", title="latencies", label=True),
            *statistics_columns(),
        ),
        rows=tuple(_hour(each) for each in run.hours if each.name == _HOUR),
    )


def _hour(hour: Hour) -> Row:
    quoted = hour.provenance == "quoted"
    return {
        "figures": Marked(value=hour.provenance, note=_QUOTED_NOTE) if quoted else hour.provenance,
        "latencies": hour.latencies,
        **statistics_row(hour.cache, hour.mean_s if quoted else None),
    }


def _check(run: Run) -> Table:
    return Table(
        name="check",
        title="The virtual cache against a real one",
        notes=(_CHECK_NOTE,),
        columns=(
            Column(key="figures", title="cache", label=True),
            Column(key="duration_s", title="time", kind=Kind.SECONDS),
            Column(key="ttl_s", title="TTL", kind=Kind.SECONDS),
            Column(key="requests", title="requests", kind=Kind.COUNT),
            Column(key="hits", title="hits", kind=Kind.COUNT),
            Column(key="hit_rate", title="hit rate", kind=Kind.SHARE),
            Column(key="fills", title="queries", kind=Kind.COUNT),
            Column(key="invalidations", title="invalidations", kind=Kind.COUNT),
        ),
        rows=tuple(
            {
                "figures": "real, measured"
                if each.provenance == "measured"
                else "virtual, modelled",
                "duration_s": each.duration_s,
                "ttl_s": each.ttl_s,
                "requests": each.cache.requests,
                "hits": each.cache.hits,
                "hit_rate": _rate(each),
                "fills": each.fills,
                "invalidations": each.invalidations,
            }
            for each in run.hours
            if each.name == _SHORT
        ),
    )


def _lives(run: Run) -> list[Hour]:
    return [each for each in run.hours if each.name not in {_HOUR, _SHORT}]


def _by_ttl(run: Run) -> Table:
    modelled = Provenance.MODELLED
    return Table(
        name="hit-rate-by-ttl",
        title="Hit rate by time to live, one hour each",
        columns=(
            Column(key="ttl_s", title="TTL", kind=Kind.SECONDS, label=True),
            Column(key="hit_rate", title="hit rate", kind=Kind.SHARE, provenance=modelled),
            Column(key="misses", title="misses", kind=Kind.COUNT, provenance=modelled),
            Column(key="mean_s", title="average", kind=Kind.SECONDS, provenance=modelled),
            Column(
                key="fills", title="queries", kind=Kind.COUNT, group="DynamoDB", provenance=modelled
            ),
            Column(
                key="read_units",
                title="RCU",
                kind=Kind.CAPACITY,
                group="DynamoDB",
                provenance=modelled,
            ),
            Column(
                key="peak_fills_per_s",
                title="queries in the busiest second",
                kind=Kind.COUNT,
                group="DynamoDB",
                provenance=modelled,
            ),
        ),
        rows=tuple(
            {
                "ttl_s": each.ttl_s,
                "hit_rate": _rate(each),
                "misses": each.cache.misses,
                "mean_s": each.mean_s,
                "fills": each.fills,
                "read_units": each.read_units,
                "peak_fills_per_s": each.peak_fills_per_s,
            }
            for each in _lives(run)
        ),
    )


def _rate(hour: Hour) -> float | None:
    return None if hour.cache.hit_rate is None else round(hour.cache.hit_rate, 4)


def _bars(run: Run) -> Bars:
    return Bars(
        name="misses-by-ttl",
        title="Queries to DynamoDB in an hour, by time to live",
        kind=Kind.COUNT,
        logarithmic=True,
        bars=tuple(
            Bar(label=each.name, series="modelled", value=float(each.fills or 0))
            for each in _lives(run)
        ),
    )
