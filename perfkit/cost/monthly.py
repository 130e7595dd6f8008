"""The month's bill of one way to run things, line by line, out of measured units and assumed traffic."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from perfkit.cost.assumptions import Assumptions
from perfkit.cost.cache_economics import node_cost
from perfkit.cost.capacity_modes import Mode, Shape, cost_of
from perfkit.cost.demand import AS_DECLARED, State, demands, hit_rates, index_writes
from perfkit.cost.evidence import Cpu, Evidence
from perfkit.cost.index_economics import storage_of, stored_bytes
from perfkit.cost.instances import find_type, instances_needed
from perfkit.cost.prices import Amount, PriceBook, round_to_cents, write_amount
from perfkit.cost.transfer import data_out, data_out_bytes_s
from perfkit.errors import PriceError
from perfkit.results import WriteCost

__all__ = ["Case", "MonthlyLine", "cpu_of", "monthly_lines", "total_usd"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """
    One way to run things.

    Args:
        assumptions: Traffic, and what it runs on.
        state: How questions are answered.
        mode: How capacity is billed.
        projection: Of all indexes; `AS_DECLARED` for what the workload says.
    """

    assumptions: Assumptions = field(default_factory=Assumptions)
    state: State = State.CACHED
    mode: Mode = Mode.ON_DEMAND
    projection: str = AS_DECLARED

    @property
    def shape(self) -> Shape:
        return Shape(
            peak_ratio=self.assumptions.peak_ratio,
            target_utilisation=self.assumptions.target_utilisation,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthlyLine:
    """
    A line of the bill; all are modelled: measured units by assumed traffic by list prices.

    Args:
        key: The same for the same line of two bills.
        title: For people.
        amount: What it costs a month, exactly; None where that cannot be said.
        reason: Why it cannot.
    """

    key: str
    title: str
    amount: Amount | None
    reason: str = ""

    @property
    def billed_usd(self) -> Decimal | None:
        """The amount as a bill has it: to cents, half a cent up."""
        return None if self.amount is None else round_to_cents(self.amount.usd)

    @property
    def usd(self) -> float | None:
        """The billed amount as a number."""
        return None if self.billed_usd is None else float(self.billed_usd)


def total_usd(lines: Iterable[MonthlyLine]) -> Decimal:
    """Return the sum of the billed lines that can be said, to cents."""
    billed = (line.billed_usd for line in lines)
    return round_to_cents(sum((usd for usd in billed if usd is not None), Decimal(0)))


def monthly_lines(case: Case, evidence: Evidence, book: PriceBook) -> tuple[MonthlyLine, ...]:
    """
    Return the lines of a month's bill; one without a price says so and never is $0.

    Args:
        case: What runs.
        evidence: What runs say; what they do not say has no line.
        book: Prices.

    Raises:
        ConfigError: Traffic is assumed for a pattern or table that no run knows, or a type is not
            known.
    """
    return tuple(_lines(case, evidence, book))


def _lines(case: Case, evidence: Evidence, book: PriceBook) -> Iterator[MonthlyLine]:
    assumptions = case.assumptions
    free_tier = assumptions.free_tier
    every = demands(evidence, assumptions, case.state, case.projection)
    tables = [each for each in every if each.index is None]
    indexes = [each for each in every if each.index is not None]
    if evidence.patterns:
        yield _line(
            "reads",
            "DynamoDB reads",
            lambda: (
                cost_of([*tables, *indexes], case.mode, book, case.shape, free_tier=free_tier).reads
            ),
        )
    if evidence.writes:
        yield _line(
            "table-writes",
            "DynamoDB writes to tables",
            lambda: cost_of(tables, case.mode, book, case.shape, free_tier=free_tier).writes,
        )
        if indexes:
            yield _line(
                "index-writes",
                "DynamoDB writes to indexes",
                lambda: (
                    cost_of(
                        indexes, case.mode, book, case.shape, after=tables, free_tier=free_tier
                    ).writes
                ),
            )
        own = [each for each in evidence.writes if each.index is None]
        yield _line(
            "table-storage", "storage of tables", lambda: _stored(own, (), case, evidence, book)
        )
        if case.state is not State.BEFORE:
            entries = index_writes(evidence, case.projection)
            yield _line(
                "index-storage",
                "storage of indexes",
                lambda: _stored(entries, own, case, evidence, book),
            )
    if case.state is State.CACHED:
        yield _line(
            "cache", f"cache node ({assumptions.node})", lambda: node_cost(assumptions, book)
        )
    cpu_s = cpu_of(case, evidence)
    if cpu_s is not None:
        kind = find_type(assumptions.instance)
        need = instances_needed(
            sum(assumptions.reads_hz(each.name for each in evidence.patterns).values()),
            cpu_s,
            kind,
            peak_ratio=assumptions.peak_ratio,
            cpu_target=assumptions.cpu_target,
        )
        yield _line(
            "instances",
            f"instances ({assumptions.instance})",
            lambda: need.cost(kind, book, free_tier=free_tier),
        )
    bytes_s = data_out_bytes_s(evidence, assumptions, case.state)
    if evidence.patterns and bytes_s is not None:
        yield _line("data-out", "data out", lambda: data_out(bytes_s, book, free_tier=free_tier))


def _line(key: str, title: str, work_out: Callable[[], Amount]) -> MonthlyLine:
    try:
        return MonthlyLine(key=key, title=title, amount=work_out())
    except PriceError as error:
        return MonthlyLine(key=key, title=title, amount=None, reason=str(error))


def _stored(
    costs: Sequence[WriteCost],
    before: Sequence[WriteCost],
    case: Case,
    evidence: Evidence,
    book: PriceBook,
) -> Amount:
    """Return the storage of tables or indexes together, *before* having been billed already."""
    bytes_before = sum(stored_bytes(each, evidence.items_of(each)) for each in before)
    usd, texts = Decimal(0), []
    for cost in costs:
        entries = evidence.items_of(cost)
        amount = storage_of(
            cost,
            entries,
            book,
            after_bytes=bytes_before,
            free_tier=case.assumptions.free_tier,
        )
        bytes_before += stored_bytes(cost, entries)
        usd += amount.usd
        texts.append(f"{cost.index or cost.table}: {amount.arithmetic}")
    if len(texts) > 1:
        texts.append(f"together {write_amount(usd)}")
    return Amount(usd=usd, arithmetic="; ".join(texts))


def cpu_of(case: Case, evidence: Evidence) -> float | None:
    """
    Return the processor time of a mean request, None if no run says.

    Before: of the first variant of the phases. Otherwise of the last one, with an empty cache for
    misses, and of the same one warm for hits.
    """
    if not evidence.cpu:
        return None
    if case.state is State.BEFORE:
        return evidence.cpu[0].seconds
    by_name: dict[str, Cpu] = {each.name: each for each in evidence.cpu}
    warm = [each for each in evidence.cpu if not each.name.endswith("-cold")][-1]
    cold = by_name.get(f"{warm.name}-cold", warm)
    if case.state is State.AFTER:
        return cold.seconds
    rates = case.assumptions.reads_hz(each.name for each in evidence.patterns)
    hits, total = hit_rates(evidence, case.assumptions), sum(rates.values())
    hit_rate = sum(rates[name] * hits[name] for name in rates) / total if total else 0.0
    return hit_rate * warm.seconds + (1 - hit_rate) * cold.seconds
