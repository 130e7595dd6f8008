"""
What read and write units cost on demand, provisioned, and provisioned with auto scaling.

Sources: DynamoDB developer guide, "DynamoDB throughput capacity" (on demand is billed by the unit,
provisioned capacity by the unit and hour, in whole units, at least one of each for every table and
index) and "Managing throughput capacity automatically with DynamoDB auto scaling" (a target of 20%
to 90%, usually 70%).
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache

from perfkit.cost import names
from perfkit.cost.bill import Use
from perfkit.cost.break_even import (
    Steps,
    StepsOf,
    last_crossing,
    last_growing_crossing,
    stairs,
    whole_units,
)
from perfkit.cost.prices import HOURS_A_MONTH, Amount, PriceBook
from perfkit.cost.quantities import SECONDS_A_MONTH, short
from perfkit.units import TIMES

__all__ = [
    "Demand",
    "Mode",
    "ModeCost",
    "Shape",
    "break_even_factor",
    "break_even_rate",
    "capacity_uses",
    "cheapest",
    "cost_of",
]

_HOURS = 24
_BUSIEST_HOUR = 14


class Mode(StrEnum):
    """How a table's capacity is billed."""

    ON_DEMAND = "on-demand"
    PROVISIONED = "provisioned"
    AUTO_SCALING = "auto-scaling"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """
    Units a second that a table or an index is asked for, on average.

    Args:
        table: The table.
        index: The index; None for the table itself.
        read_units_s: Read units a second.
        write_units_s: Write units a second.
    """

    table: str
    index: str | None
    read_units_s: float = 0.0
    write_units_s: float = 0.0

    def times(self, factor: float) -> "Demand":
        """Return the demand of so many times the traffic."""
        return Demand(
            table=self.table,
            index=self.index,
            read_units_s=self.read_units_s * factor,
            write_units_s=self.write_units_s * factor,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """
    How traffic varies, and what auto scaling makes of it.

    Args:
        peak_ratio: The busiest hour of a day ÷ the mean hour.
        target_utilisation: Consumed ÷ provisioned units that auto scaling aims at.
    """

    peak_ratio: float
    target_utilisation: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeCost:
    """A month of some demands in one mode, reads and writes apart."""

    mode: Mode
    reads: Amount
    writes: Amount

    @property
    def usd(self) -> Decimal:
        return self.reads.usd + self.writes.usd


@lru_cache
def _daily_curve(peak_ratio: float) -> tuple[float, ...]:
    """
    Return the traffic of each hour of a day ÷ the mean hour: 24 numbers of mean 1.

    A cosine with its top at two in the afternoon; up to a ratio of 2 it stands on a floor, beyond
    that it is raised to the power that gives the ratio, so nights become quiet and the day's peak
    narrow. A model: what is known of a service should be given as its ratio.

    Args:
        peak_ratio: Busiest hour ÷ mean hour, 1 to 20.
    """
    # rounded, so that afternoons mirror mornings
    waves = [
        round(math.cos(2 * math.pi * (hour - _BUSIEST_HOUR) / _HOURS), 15) for hour in range(_HOURS)
    ]
    if peak_ratio <= 2:
        return tuple(1 + (peak_ratio - 1) * wave for wave in waves)
    heights = [(1 + wave) / 2 for wave in waves]

    def ratio(power: float) -> float:
        return _HOURS / sum(math.pow(height, power) for height in heights)

    low, high = 1.0, 10_000.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if ratio(middle) < peak_ratio else (low, middle)
    power = (low + high) / 2
    return tuple(math.pow(height, power) * ratio(power) for height in heights)


@lru_cache
def _load_factors(mode: Mode, shape: Shape) -> tuple[tuple[float, int], ...]:
    """Return what to multiply mean units with for the units provisioned, and for how many hours."""
    if mode is Mode.PROVISIONED:
        return ((shape.peak_ratio, _HOURS),)
    hours = Counter(factor / shape.target_utilisation for factor in _daily_curve(shape.peak_ratio))
    return tuple(hours.items())


def _provisioned_units(units_s: float, mode: Mode, shape: Shape) -> float:
    """
    Return the units that are provisioned for a demand, on average over a day.

    Fixed provisioning holds the busiest hour; auto scaling follows each hour with its target kept.
    What one second asks beyond its hour, the 300 s of burst capacity are for.

    Args:
        units_s: Mean units a second.
        mode: Provisioned or with auto scaling.
        shape: How the demand varies.
    """
    factors = _load_factors(mode, shape)
    return sum(hours * whole_units(units_s * factor) for factor, hours in factors) / _HOURS


def capacity_uses(demands: Sequence[Demand], mode: Mode, shape: Shape) -> tuple[Use, Use]:
    """
    Return what a month of *demands* takes in one mode: reads, and writes.

    Args:
        demands: Of tables and indexes.
        mode: How they are billed.
        shape: How traffic varies.
    """

    def use(on_demand: str, provisioned: str, letter: str, units: Sequence[float]) -> Use:
        if mode is Mode.ON_DEMAND:
            text = f"{short(sum(units))} {letter}RU/s {TIMES} {SECONDS_A_MONTH:,} s"
            return Use(price=on_demand, quantity=sum(units) * SECONDS_A_MONTH, arithmetic=text)
        held = [_provisioned_units(each, mode, shape) for each in units]
        text = f"{_summed(held)} {letter}CU {TIMES} {HOURS_A_MONTH} h"
        return Use(price=provisioned, quantity=sum(held) * HOURS_A_MONTH, arithmetic=text)

    reads, writes = (
        [each.read_units_s for each in demands],
        [each.write_units_s for each in demands],
    )
    return (
        use(names.read_request(), names.read_capacity(), "R", reads),
        use(names.write_request(), names.write_capacity(), "W", writes),
    )


def cost_of(
    demands: Sequence[Demand],
    mode: Mode,
    book: PriceBook,
    shape: Shape,
    *,
    after: Sequence[Demand] = (),
    free_tier: bool = False,
) -> ModeCost:
    """
    Return what a month of *demands* costs in one mode.

    Args:
        demands: Of tables and indexes.
        mode: How they are billed.
        book: Prices.
        shape: How traffic varies.
        after: Demands billed before these in the same month: free allowances go to them first.
        free_tier: The account has used nothing of its free allowances.

    Raises:
        PriceError: The book lacks a price.
    """
    reads, writes = (
        use.cost(book, after=before.quantity, free_tier=free_tier)
        for use, before in zip(
            capacity_uses(demands, mode, shape), capacity_uses(after, mode, shape), strict=True
        )
    )
    return ModeCost(mode=mode, reads=reads, writes=writes)


def _summed(units: Sequence[float]) -> str:
    parts = " + ".join(short(each) for each in units)
    return f"({parts})" if len(units) > 1 else parts or "0"


def cheapest(costs: Iterable[ModeCost]) -> ModeCost:
    """Return the least; of equal ones the first, so name on demand first: it needs no care."""
    return min(costs, key=lambda each: each.usd)


def break_even_factor(
    demands: Sequence[Demand], mode: Mode, book: PriceBook, shape: Shape, *, free_tier: bool = False
) -> float | None:
    """
    Return how many times the traffic of *demands* makes *mode* cheaper than on demand for good.

    At that traffic the two cost the same, or *mode* takes another whole unit right there; beyond
    it on demand is never cheaper again.

    Returns:
        A factor of 0 or more, or None where on demand stays the cheaper one however much comes, or
        nothing comes at all.

    Raises:
        PriceError: The book lacks a price.
    """
    return last_crossing(
        _on_demand_usd(demands, book), _stairs(demands, mode, book, shape, free_tier=free_tier)
    )


def break_even_rate(
    demands_at: Callable[[float], Sequence[Demand]],
    mode: Mode,
    book: PriceBook,
    shape: Shape,
    *,
    most_hz: float,
    free_tier: bool = False,
) -> float | None:
    """
    Return the rate that makes *mode* cheaper than on demand for good, for demands of any shape.

    Args:
        demands_at: Returns the demands at a rate; they never fall when it grows.
        mode: Provisioned or with auto scaling.
        book: Prices.
        shape: How the demand varies.
        most_hz: Where to stop looking.
        free_tier: The account has used nothing of its free allowances.

    Returns:
        A rate, or None where on demand is the cheaper one at *most_hz*.

    Raises:
        PriceError: The book lacks a price.
    """

    def provisioned_usd(hz: float) -> float:
        return stairs(1.0, _stairs(demands_at(hz), mode, book, shape, free_tier=free_tier))

    return last_growing_crossing(
        lambda hz: _on_demand_usd(demands_at(hz), book), provisioned_usd, most_hz
    )


def _on_demand_usd(demands: Sequence[Demand], book: PriceBook) -> float:
    read, write = book.price(names.read_request()), book.price(names.write_request())
    return SECONDS_A_MONTH * float(
        read.each_usd * Decimal(str(sum(each.read_units_s for each in demands)))
        + write.each_usd * Decimal(str(sum(each.write_units_s for each in demands)))
    )


def _stairs(
    demands: Sequence[Demand], mode: Mode, book: PriceBook, shape: Shape, *, free_tier: bool
) -> list[StepsOf]:
    """Return what so many times the demands cost provisioned."""
    factors = _load_factors(mode, shape)
    groups: list[StepsOf] = []
    for price, units in (
        (book.price(names.read_capacity()), [each.read_units_s for each in demands]),
        (book.price(names.write_capacity()), [each.write_units_s for each in demands]),
    ):
        # tables are alike: equal steps are counted once
        weights: Counter[float] = Counter()
        for each in units:
            for factor, hours in factors:
                weights[round(each * factor, 12)] += hours
        steps = tuple(
            Steps(units_per_x=each, weight=hours / _HOURS) for each, hours in weights.items()
        )
        free = float(price.free) / HOURS_A_MONTH if free_tier else 0.0
        groups.append(
            StepsOf(usd=float(price.each_usd) * HOURS_A_MONTH, free_units=free, steps=steps)
        )
    return groups
