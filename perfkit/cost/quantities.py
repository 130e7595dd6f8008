"""Months, gigabytes and plausible numbers: what every cost is worked out in."""

import math

from perfkit.cost.prices import HOURS_A_MONTH
from perfkit.errors import ConfigError

__all__ = ["GIGABYTE", "SECONDS_A_MONTH", "in_bounds", "short"]

SECONDS_A_MONTH = HOURS_A_MONTH * 3600

GIGABYTE = 2**30
"""
Bytes of a gigabyte on a bill.

Source: AWS bills storage and transfer by 2**30 bytes: the tiers of its price list end at 10,240 GB
where its pricing pages say 10 TB.
"""


def in_bounds(
    name: str, value: float, most: float, *, least: float = 0.0, above: float | None = None
) -> float:
    """
    Return *value* if it can be meant.

    Args:
        name: What people call it.
        value: What was given.
        most: The largest that can be meant.
        least: The smallest.
        above: It must be more than this, instead.

    Raises:
        ConfigError: It is no finite number, or out of bounds.
    """
    lower = f"above {above:g}" if above is not None else f"{least:g}"
    too_small = value <= above if above is not None else value < least
    if not math.isfinite(value) or too_small or value > most:
        msg = f"{name} must be {lower} to {short(most)}, got {value:g}"
        raise ConfigError(msg)
    return value


def short(value: float) -> str:
    """Write a number for arithmetic: `1,250`, `0.0417`, never with an exponent."""
    if value == 0:
        return "0"
    decimals = max(0, 3 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{min(decimals, 12)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
