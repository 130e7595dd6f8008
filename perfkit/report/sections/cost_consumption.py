"""What tables on AWS consume, as CloudWatch counted it, and the month's bill of it."""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from perfkit.analysis.costs import Costs
from perfkit.analysis.selection import Selection
from perfkit.cost.bill import Bill, Line
from perfkit.cost.consumption import Consumed, Consumption
from perfkit.cost.prices import Price, age_warnings, free_tier_note, number
from perfkit.report.model import (
    Block,
    Cell,
    Column,
    Kind,
    Provenance,
    Row,
    Section,
    Statement,
    Statements,
    Table,
    Tone,
)
from perfkit.report.sections.cost_tables import NO_PRICE
from perfkit.units import capitalised, format_many, format_usd

__all__ = ["build", "consumed_blocks"]

_UNKNOWN = (
    "The units are CloudWatch's own sums, so this bill needs no number of calls. Which access"
    " patterns the units are of is not known: nothing counts calls, so what an index or a cache would"
    " save of it a month is not said. `--rps` or `[traffic]` says how often each pattern is asked."
)

_UNITS_NOTE = (
    "Units are measured: CloudWatch's sums of each hour, times 730 hours by the hours looked at; of a"
    " table that is younger, those since it was made. Provisioned capacity is billed as it was on"
    " average, used or not. Sizes are DescribeTable's, about six hours old, with 100 bytes an item."
)


def build(selection: Selection) -> Iterable[Section]:
    """
    Yield the bill of what was consumed, if it is asked for.

    Raises:
        ConfigError: No table is known, CloudWatch may not be asked, or there are no prices.
        TargetError: AWS does not answer.
    """
    costs = selection.costs
    consumed = None if costs is None else costs.consumed
    if costs is None or consumed is None:
        return
    found, bill = consumed
    warnings = tuple(_warnings(costs, found, bill))
    yield Section(
        name="cost-cloudwatch",
        title="Cost of what is consumed today",
        blocks=consumed_blocks(costs),
        facts={"region": costs.book.region, "days": found.days},
        document=_document(found, bill, warnings),
    )


def consumed_blocks(costs: Costs) -> tuple[Block, ...]:
    """Return the blocks about consumed capacity and its bill; none if they are not asked for."""
    if costs.consumed is None:
        return ()
    found, bill = costs.consumed
    without = ", without what has no price" if bill.reasons else ""
    statements = [
        *(
            Statement(text=f"{capitalised(each)}.", tone=Tone.WARNING)
            for each in _warnings(costs, found, bill)
        ),
        Statement(
            text=f"What tables consume in {found.where} costs {format_usd(bill.total_usd)} a month at"
            f" list prices of {costs.book.region}{without}: the last {format_many(found.days, 'day')}"
            " up to the last full hour, as a month."
        ),
        Statement(text=_UNKNOWN, tone=Tone.FAINT),
    ]
    if costs.options.free_tier:
        statements.append(Statement(text=free_tier_note(_prices(bill)), tone=Tone.FAINT))
    return (
        Statements(name="cost-cloudwatch-summary", statements=tuple(statements)),
        _table(found, bill, explain=costs.options.explain),
    )


def _prices(bill: Bill) -> Iterable[Price]:
    return {price.name: price for line in bill.lines for price in line.prices}.values()


def _warnings(costs: Costs, found: Consumption, bill: Bill) -> Iterator[str]:
    yield from age_warnings(_prices(bill), today=costs.options.today, region=costs.book.region)
    yield from (f"left out: {reason}" for reason in dict.fromkeys(bill.reasons))
    yield from (f"{name} is not in {found.where}" for name in found.absent)


def _parts(found: Consumption, bill: Bill) -> Iterator[tuple[Consumed, Line, Line]]:
    """Yield each table and index with its line of units and that of storage."""
    return zip(found.parts, bill.lines[::2], bill.lines[1::2], strict=True)


def _amount(line: Line) -> Cell:
    if line.usd is None:
        return NO_PRICE
    return float(line.usd)


def _table(found: Consumption, bill: Bill, *, explain: bool) -> Table:
    rows: list[Row] = []
    for part, line, storage in _parts(found, bill):
        rows.append(
            {
                "resource": part.name,
                "billed": line.configuration,
                "read_units": round(part.reads_a_month, 1),
                "write_units": round(part.writes_a_month, 1),
                "stored_bytes": round(part.stored_bytes),
                "units_usd": _amount(line),
                "storage_usd": _amount(storage),
                "arithmetic": "; ".join(filter(None, (line.arithmetic, storage.arithmetic))),
            }
        )
    sums = {
        key: float(sum((line.usd for line in lines if line.usd is not None), Decimal(0)))
        for key, lines in (("units_usd", bill.lines[::2]), ("storage_usd", bill.lines[1::2]))
    }
    rows.append({"resource": "TOTAL", **sums})
    return Table(
        name="cost-consumed",
        title="The month's bill, by table and index",
        columns=(
            Column(key="resource", title="table or index", label=True),
            Column(key="billed", title="billed"),
            Column(key="read_units", title="read units", kind=Kind.CAPACITY, group="a month"),
            Column(key="write_units", title="write units", kind=Kind.CAPACITY, group="a month"),
            Column(key="stored_bytes", title="stored", kind=Kind.BYTES),
            *(
                Column(
                    key=f"{what}_usd",
                    title=what,
                    kind=Kind.USD,
                    group="US dollars a month",
                    provenance=Provenance.MODELLED,
                )
                for what in ("units", "storage")
            ),
            Column(key="arithmetic", title="arithmetic", data_only=not explain, weight=0),
        ),
        rows=tuple(rows),
        notes=(_UNITS_NOTE,),
    )


def _document(found: Consumption, bill: Bill, warnings: Iterable[str]) -> dict[str, object]:
    return {
        "currency": "USD",
        "region": found.region,
        "days": found.days,
        "total": float(bill.total_usd),
        "patterns": None,
        "lines": [
            {
                "table": part.table,
                "index": part.index,
                "billed": line.configuration,
                "hours": part.hours,
                "read_units": part.read_units,
                "write_units": part.write_units,
                "stored_bytes": part.stored_bytes,
                "monthly": number(line.usd),
                "storage_monthly": number(storage.usd),
                "provenance": line.basis.value,
                "arithmetic": line.arithmetic,
                "storage_arithmetic": storage.arithmetic,
            }
            for part, line, storage in _parts(found, bill)
        ],
        "absent": list(found.absent),
        "warnings": list(warnings),
    }
