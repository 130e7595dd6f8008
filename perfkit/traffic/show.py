"""`perfkit traffic show`: what an application asks, ranked by what it costs."""

from collections.abc import Iterator, Mapping

from perfkit.report.model import (
    Block,
    Column,
    Kind,
    Marked,
    Provenance,
    Report,
    Row,
    Section,
    Statement,
    Statements,
    Table,
    Tone,
)
from perfkit.traffic.exchange import is_write
from perfkit.traffic.figures import Figures, Summary
from perfkit.traffic.shapes import Fingerprint
from perfkit.traffic.trace import Call
from perfkit.traffic.trace_file import Totals
from perfkit.units import (
    format_bytes,
    format_count,
    format_duration,
    format_many,
    format_seconds,
    format_share,
    format_units,
    format_usd,
)

__all__ = ["build_report", "example_lines", "live_table", "screen"]

_ON_SCREEN = 8
_LINES = 3
"""A request on one screen has no more."""

_LEAST_CELLS = 28
_FIGURES_CELLS = 56
"""Of a line, what the columns beside the request take at most."""


def screen(summary: Summary, *, more: str, next_step: str, width: int) -> tuple[Block, ...]:
    """
    Return one screen: the whole in a line or two, the most expensive requests, what is doubtful.

    Args:
        summary: The figures.
        more: Where everything else is.
        next_step: What to type next.
        width: Cells of a line.
    """
    shown = summary.figures[:_ON_SCREEN]
    hidden = summary.figures[_ON_SCREEN:]
    rest: tuple[Statement, ...] = ()
    if hidden:
        calls = sum(each.totals.calls for each in hidden)
        share = _share(sum(each.cost_usd for each in hidden), summary.cost_usd)
        kinds = format_many(len(hidden), "further kind", "further kinds")
        text = f"{kinds} of requests: {format_count(calls)} calls, {format_share(share)} of cost."
        rest = (Statement(text=text),)
    return (
        Statements(name="trace", statements=tuple(_heading(summary))),
        Table(
            name="requests",
            title="",
            columns=_screen_columns(summary),
            rows=tuple(_screen_row(summary, each, width) for each in shown),
            one_piece=True,
        ),
        Statements(
            name="more",
            statements=(
                *rest,
                *_doubts(summary),
                Statement(text=f"More: {more}"),
                Statement(text=f"Next: {next_step}"),
            ),
        ),
    )


def live_table(
    totals: Mapping[Fingerprint, Totals], elapsed_s: float, *, rows: int, width: int
) -> tuple[Block, ...]:
    """
    Return what was asked so far, the requests that consumed most first.

    Args:
        totals: Sums by fingerprint.
        elapsed_s: Since when.
        rows: As many kinds of requests as there is room for.
        width: Cells of a line.
    """
    ranked = sorted(totals.items(), key=lambda each: (-sum(each[1].units.values()), -each[1].calls))
    calls = sum(each.calls for each in totals.values())
    text = f"{format_many(calls, 'request', 'requests')} in {format_duration(elapsed_s)}"
    return (
        Statements(name="sum", statements=(Statement(text=text),)),
        Table(
            name="requests",
            title="",
            columns=(
                Column(key="request", title="request", label=True),
                Column(key="calls", title="calls", kind=Kind.COUNT),
                Column(key="mean_s", title="mean", kind=Kind.SECONDS),
                Column(key="units", title="units", kind=Kind.CAPACITY),
                Column(key="errors", title="refused", kind=Kind.COUNT),
            ),
            rows=tuple(
                {
                    "request": _cut(fingerprint.text, width),
                    "calls": each.calls,
                    "mean_s": each.duration_s / each.calls,
                    "units": sum(each.units.values()),
                    "errors": each.errors,
                }
                for fingerprint, each in ranked[:rows]
            ),
        ),
    )


def build_report(summary: Summary) -> Report:
    """Return everything, for any of the renderers."""
    trace = summary.trace
    title = f"perfkit traffic show: {trace.path.name}"
    sections = (
        Section(
            name="traffic",
            title="What it asks",
            blocks=(
                Statements(name="trace", statements=(*_heading(summary), *_doubts(summary))),
                Table(
                    name="requests",
                    title="Requests by cost",
                    main=True,
                    columns=_columns(summary),
                    rows=tuple(_row(summary, each) for each in summary.figures),
                ),
            ),
            document=_document(summary),
        ),
        Section(
            name="arms",
            title="Consumed units by table and index",
            blocks=(_arms(summary),),
        ),
        Section(
            name="examples",
            title="An example of each: the one that consumed most",
            blocks=(Statements(name="examples", statements=tuple(_examples(summary))),),
        ),
    )
    return Report(title=title, sections=sections, heading=title)


def _document(summary: Summary) -> dict[str, object]:
    trace = summary.trace
    return {
        "trace": str(trace.path),
        "requests": trace.requests,
        "failures": dict(trace.failures.by_error),
        "details": trace.details,
        "duration_s": trace.duration_s,
        "observed_s": trace.observed_s,
        "complete": trace.is_complete,
        "capacity_doubt": trace.capacity_doubt or None,
        "cost_usd": summary.cost_usd,
        "region": summary.prices.region,
        "prices": summary.prices.source,
        "target": trace.meta.get("target"),
    }


def _heading(summary: Summary) -> Iterator[Statement]:
    trace = summary.trace
    rate = trace.requests / trace.observed_s if trace.observed_s else 0.0
    reads = sum(each.read_units for each in summary.figures)
    writes = sum(each.write_units for each in summary.figures)
    where = (trace.meta.get("target") or {}).get("endpoint") or (
        trace.meta.get("target") or {}
    ).get("kind", "")
    if trace.failures.text:
        yield Statement(text=trace.failures.warning, tone=Tone.WARNING)
    yield Statement(
        text=f"{format_many(trace.requests, 'request', 'requests')} in"
        f" {format_duration(trace.duration_s)} ({format_units(round(rate, 1))}/s) on {where},"
        f" {format_many(len(summary.figures), 'kind', 'kinds')}:"
        f" {format_units(reads)} RCU, {format_units(writes)} WCU"
    )
    if summary.has_rate:
        month = sum(map(summary.money_usd, summary.figures))
        yield Statement(
            text=f"At this rate {format_usd(month)} a month on demand"
            f" ({summary.prices.region}, modelled)."
        )


def _doubts(summary: Summary) -> Iterator[Statement]:
    trace = summary.trace
    found = []
    if not trace.is_complete:
        found.append("the recording was cut short")
    if trace.details < trace.requests:
        kept = (
            f"details of {format_count(trace.details)} of {format_count(trace.requests)} requests"
        )
        found.append(f"{kept} were kept, in whole stretches of time; counts and units are exact")
    if trace.meta.get("unread"):
        found.append(f"{format_count(int(trace.meta['unread']))} requests could not be read")
    if not any(each.arms for each in summary.figures):
        found.append("the target said of no request what it consumed")
    if trace.capacity_doubt:
        found.append(trace.capacity_doubt)
    if not summary.has_rate:
        found.append(
            "recorded for less than a minute, so money is for a million calls of each kind"
        )
    if found:
        yield Statement(text=f"Doubtful: {'; '.join(found)}.", tone=Tone.WARNING)


def _screen_columns(summary: Summary) -> tuple[Column, ...]:
    money = "$/month" if summary.has_rate else "$/million"
    return (
        Column(key="request", title="request", label=True),
        Column(key="calls", title="calls", kind=Kind.COUNT),
        Column(key="share", title="cost", kind=Kind.SHARE),
        Column(key="p50_s", title="p50", kind=Kind.SECONDS),
        Column(key="units", title="units", kind=Kind.CAPACITY),
        Column(key="wasted", title="wasted", kind=Kind.SHARE),
        Column(key="usd", title=money, kind=Kind.USD, provenance=Provenance.MODELLED),
    )


def _screen_row(summary: Summary, each: Figures, width: int) -> Row:
    calls = each.totals.calls
    return {
        "request": _cut(each.fingerprint.text, width, lines=_LINES),
        "calls": calls,
        "share": _share(each.cost_usd, summary.cost_usd),
        "p50_s": each.percentile_s(0.5),
        "units": round(sum(each.totals.units.values()) / calls, 2),
        "wasted": each.wasted,
        "usd": summary.money_usd(each) if each.arms else None,
    }


def _columns(summary: Summary) -> tuple[Column, ...]:
    money = ("month_usd", "$/month") if summary.has_rate else ("million_usd", "$/million calls")
    count, share, seconds, units = Kind.COUNT, Kind.SHARE, Kind.SECONDS, Kind.CAPACITY
    return (
        Column(key="request", title="request", label=True),
        Column(key="operation", title="operation", data_only=True),
        Column(key="table", title="table", data_only=True),
        Column(key="index", title="index", data_only=True),
        Column(key="expressions", title="expressions", data_only=True),
        Column(key="calls", title="calls", kind=count, group="share"),
        Column(key="cost_share", title="of cost", kind=share, group="share"),
        Column(key="time_share", title="of time", kind=share, group="share"),
        Column(
            key=money[0],
            title=money[1],
            kind=Kind.USD,
            group="share",
            provenance=Provenance.MODELLED,
        ),
        Column(key="p50_s", title="p50", kind=seconds, group="time"),
        Column(key="p95_s", title="p95", kind=seconds, group="time"),
        Column(key="p99_s", title="p99", kind=seconds, group="time"),
        Column(key="rcu", title="RCU", kind=units, group="consumed"),
        Column(key="wcu", title="WCU", kind=units, group="consumed"),
        Column(key="rcu_per_call", title="RCU/call", kind=units, group="consumed"),
        Column(key="wcu_per_call", title="WCU/call", kind=units, group="consumed"),
        Column(key="scanned", title="read", kind=count, group="items"),
        Column(key="returned", title="returned or written", kind=count, group="items"),
        Column(key="wasted", title="wasted", kind=share, group="items"),
        Column(key="item_bytes", title="size", kind=Kind.BYTES, group="items"),
        Column(key="paged", title="of several pages", kind=count, group="calls"),
        Column(key="retries", title="retries", kind=count, group="calls"),
        Column(key="throttles", title="throttled", kind=count, group="calls"),
        Column(key="errors", title="refused", kind=count, group="calls"),
        Column(key="unprocessed", title="unprocessed", kind=count, group="calls"),
        Column(key="keys", title="distinct", kind=count, group="keys"),
        Column(key="largest_share", title="largest", kind=share, group="keys"),
    )


def _row(summary: Summary, each: Figures) -> Row:
    totals, fingerprint = each.totals, each.fingerprint
    money = "month_usd" if summary.has_rate else "million_usd"
    sizes = each.item_bytes
    return {
        "request": fingerprint.text,
        "operation": fingerprint.operation,
        "table": fingerprint.table,
        "index": fingerprint.index,
        "expressions": fingerprint.detail,
        "calls": totals.calls,
        "cost_share": _share(each.cost_usd, summary.cost_usd),
        "time_share": _share(totals.duration_s, summary.duration_s),
        money: summary.money_usd(each) if each.arms else None,
        "p50_s": each.percentile_s(0.5),
        "p95_s": each.percentile_s(0.95),
        "p99_s": each.percentile_s(0.99),
        "rcu": each.read_units,
        "wcu": each.write_units,
        "rcu_per_call": each.read_units / totals.calls,
        "wcu_per_call": each.write_units / totals.calls,
        # of statements DynamoDB does not say it
        "scanned": None
        if is_write(fingerprint) or totals.scanned < totals.count
        else totals.scanned,
        "returned": totals.count,
        "wasted": each.wasted,
        "item_bytes": round(sum(sizes) / len(sizes)) if sizes else None,
        "paged": len(each.chains),
        "retries": totals.retries,
        "throttles": totals.throttles,
        "errors": totals.errors,
        "unprocessed": totals.unprocessed,
        "keys": len(each.keys) or None,
        "largest_share": each.largest_share,
    }


def _arms(summary: Summary) -> Table:
    found: dict[tuple[str, str], list[float]] = {}
    for each in summary.figures:
        for arm in each.arms:
            units = found.setdefault((arm.table, arm.index), [0.0, 0.0])
            units[0] += arm.read_units
            units[1] += arm.write_units
    return Table(
        name="arms",
        title="",
        columns=(
            Column(key="table", title="table", label=True),
            Column(key="index", title="index", label=True),
            Column(key="rcu", title="RCU", kind=Kind.CAPACITY),
            Column(key="wcu", title="WCU", kind=Kind.CAPACITY),
        ),
        rows=tuple(
            {"table": table, "index": Marked(value=index or None), "rcu": rcu, "wcu": wcu}
            for (table, index), (rcu, wcu) in sorted(found.items())
        ),
    )


def _examples(summary: Summary) -> Iterator[Statement]:
    for each in summary.figures:
        yield Statement(text=each.fingerprint.text)
        if each.example is not None:
            yield from example_lines(each.example, each.fingerprint)


def example_lines(call: Call, fingerprint: Fingerprint) -> Iterator[Statement]:
    """Yield what is known of one request, and the request itself where values were kept."""
    count = format_count(call.count)
    if is_write(fingerprint):
        items = f"{count} written"
    elif call.scanned >= call.count:
        items = f"{format_count(call.scanned)} read, {count} returned"
    else:
        items = f"{count} returned"
    parts = [
        f"request {format_count(call.number)} at {format_seconds(call.at_s)}",
        items,
        f"{format_units(call.total_units)} units",
        format_seconds(call.duration_s),
        f"{format_bytes(call.received_bytes)} answered",
    ]
    if call.chain:
        parts.append(f"page {call.page + 1}")
    if call.error:
        parts.append(call.error)
    if call.caller:
        parts.append(f"caller {call.caller}")
    yield Statement(text=f"  {', '.join(parts)}", tone=Tone.FAINT)
    if call.body is not None:
        yield Statement(text=call.body.decode(errors="replace"), tone=Tone.COMMAND)


def _cut(text: str, width: int, *, lines: int = 1) -> str:
    most = lines * max(_LEAST_CELLS, width - _FIGURES_CELLS)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
