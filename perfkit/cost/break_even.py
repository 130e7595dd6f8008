"""Where two costs cross: straight lines against lines, and against step functions of whole units."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

__all__ = [
    "Steps",
    "StepsOf",
    "growing_crossing",
    "last_crossing",
    "last_growing_crossing",
    "stairs",
    "straight_crossing",
    "whole_units",
]

# levels of the stairs that are looked at; by then they and the line rise alike, but for 1/1,000
_MOST_LEVELS = 20_000

# the same where each step takes a search
_MOST_SEARCHES = 1_000

# to this share of an amount, and in far more turns than it takes
_NEAR = 1e-12
_MOST_TURNS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """
    Whole units that a growing x takes: `weight` times the next whole number from `units_per_x` times x.

    Args:
        units_per_x: Units for each 1 of x.
        weight: Share of the time for which they are taken.
    """

    units_per_x: float
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StepsOf:
    """Steps that are paid together: `usd` for each unit beyond the free ones."""

    usd: float
    steps: tuple[Steps, ...]
    free_units: float = 0.0

    def cost(self, x: float) -> float:
        """Return what *x* costs."""
        units = sum(each.weight * whole_units(each.units_per_x * x) for each in self.steps)
        return self.usd * max(0.0, units - self.free_units)


def whole_units(units: float) -> int:
    """Return provisioned units for what is consumed a second, of which there are whole ones only."""
    # 3 times 0.1 by 0.3 is a little more than 1, and no reason for a second unit
    return max(1, math.ceil(round(units, 9)))


def stairs(x: float, groups: Iterable[StepsOf]) -> float:
    """Return the cost of *x* in whole units, all groups together."""
    return sum(group.cost(x) for group in groups)


def straight_crossing(fixed_usd: float, saved_usd_per_x: float) -> float | None:
    """
    Return from which x on a fixed cost is paid back by what each 1 of x saves.

    Returns:
        The crossing, or None where nothing is saved.
    """
    if fixed_usd <= 0:
        return 0.0
    return fixed_usd / saved_usd_per_x if saved_usd_per_x > 0 else None


def growing_crossing(wanted_usd: float, usd: Callable[[float], float], most: float) -> float | None:
    """
    Return the x at which an amount that grows with x reaches a wanted one.

    Args:
        wanted_usd: The wanted amount.
        usd: Returns the amount at an x; never less at a greater one.
        most: Where to stop looking.

    Returns:
        The x, or None where it is beyond *most*.
    """
    if wanted_usd <= 0:
        return 0.0
    top_usd = usd(most)
    if top_usd < wanted_usd:
        return None
    high, above = most, math.log(top_usd / wanted_usd)
    low, below = high / 10, _log(usd(high / 10) / wanted_usd)
    while below >= 0 and low > 0:
        high, above = low, below
        low, below = high / 10, _log(usd(high / 10) / wanted_usd)
    # false position on the logarithms, which are nearly straight; an end that stays is let go
    last_was_above = None
    for _ in range(_MOST_TURNS):
        share = above / (above - below) if math.isfinite(below) else 0.5
        x = high * math.pow(low / high, share)
        if not low < x < high:
            break
        off = _log(usd(x) / wanted_usd)
        if abs(off) < _NEAR:
            return x
        if off > 0:
            high, above = x, off
            below = below / 2 if last_was_above else below
        else:
            low, below = x, off
            above = above if last_was_above in (None, True) else above / 2
        last_was_above = off > 0
    return high


def _log(ratio: float) -> float:
    return math.log(ratio) if ratio > 0 else -math.inf


def last_growing_crossing(
    line_usd: Callable[[float], float], stairs_usd: Callable[[float], float], most: float
) -> float | None:
    """
    Return from which x on stairs never again cost more than a line that grows, though not straight.

    Args:
        line_usd: What x costs by the line; never less at a greater x.
        stairs_usd: The same by the stairs.
        most: Where to stop looking.

    Returns:
        The largest x at which the line leaves the stairs below it; None where the stairs cost more
        at *most*.
    """
    x = most
    if line_usd(x) < stairs_usd(x):
        return None
    for _ in range(_MOST_SEARCHES):
        level = stairs_usd(x)
        # from where it meets this level up to x the line is above it, and the stairs are not
        meets = growing_crossing(level, line_usd, x)
        if meets is None or meets <= 0 or stairs_usd(meets) >= level:
            return x if meets is None else meets
        x = meets
    return x


def last_crossing(slope_usd: float, groups: Sequence[StepsOf]) -> float | None:
    """
    Return from which x on stairs never again cost more than a straight line through the origin.

    Args:
        slope_usd: What each 1 of x costs by the straight line.
        groups: The stairs.

    Returns:
        The largest x at which the line leaves the stairs below it; None where it never does for
        good. Where the two rise so alike that thousands of levels lie between, a greater one.
    """
    climb = sum(
        group.usd * each.weight * each.units_per_x for group in groups for each in group.steps
    )
    if slope_usd <= climb:
        return None
    # each step is at most one unit above its straight line, so beyond this x all is decided
    first = sum(group.usd * each.weight for group in groups for each in group.steps)
    x = first / (slope_usd - climb)
    for _ in range(_MOST_LEVELS):
        level = stairs(x, groups)
        # from where it meets this level up to x the line is above it, and the stairs are not
        meets = level / slope_usd
        if stairs(meets, groups) >= level:
            return min(meets, x)
        x = meets
    return x
