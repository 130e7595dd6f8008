"""Axes of charts: where a value lies between their ends, and which values are worth a label."""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from perfkit.report.figures import format_value
from perfkit.report.model import Kind, Scale

__all__ = ["Axis", "axis_of"]

_TRANSFORMS: dict[Scale, Callable[[float], float]] = {
    Scale.LINEAR: lambda value: value,
    Scale.LOGARITHMIC: math.log10,
    # each further nine is one more: 0.9 is 1, 0.99 is 2
    Scale.PERCENTILE: lambda value: -math.log10(1 - value),
}
_PERCENTILES = (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999)
_TICKS = 4
_LEAST = 1e-300
"""What is smaller has no power of ten below it that a number can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """
    One axis of a chart.

    Args:
        scale: How it is divided.
        low: Value at its beginning.
        high: Value at its end, above *low*.
    """

    scale: Scale
    low: float
    high: float

    def place(self, value: float) -> float | None:
        """Return where *value* lies, 0 at the beginning and 1 at the end; None if nowhere."""
        if not _can_show(self.scale, value):
            return None
        transform = _TRANSFORMS[self.scale]
        low, high = transform(self.low), transform(self.high)
        return (transform(value) - low) / (high - low)

    def ticks(self, kind: Kind) -> tuple[tuple[float, str], ...]:
        """Return the values worth a label, with the label, in order."""
        within = [each for each in self._round_values() if self.low <= each <= self.high]
        return tuple((each, _written(each, kind)) for each in within)

    def _round_values(self) -> Iterator[float]:
        match self.scale:
            case Scale.PERCENTILE:
                yield from _PERCENTILES
            case Scale.LOGARITHMIC:
                first, last = (math.floor(math.log10(end)) for end in (self.low, self.high))
                steps = (1.0,) if last - first > 1 else (1.0, 2.0, 5.0)
                for exponent in range(first, last + 1):
                    yield from (step * 10.0**exponent for step in steps)
            case Scale.LINEAR:
                rough = (self.high - self.low) / _TICKS
                power = 10.0 ** math.floor(math.log10(rough))
                step = next(each for each in (1, 2, 5, 10) if each * power >= rough * 0.999) * power
                first = math.ceil(self.low / step - 1e-9)
                # multiples, for a sum of steps would end at 0.30000000000000004
                yield from (
                    float(f"{number * step:.12g}") for number in range(first, first + 3 * _TICKS)
                )


def axis_of(scale: Scale, values: Sequence[float]) -> Axis | None:
    """Return the axis that shows *values*, from round ends; None if there is nothing to show."""
    shown = [value for value in values if _can_show(scale, value)]
    if not shown:
        return None
    low, high = min(shown), max(shown)
    match scale:
        case Scale.LOGARITHMIC:
            low = 10.0 ** math.floor(math.log10(low) + 1e-9)
            high = max(10.0 ** math.ceil(math.log10(high) - 1e-9), low * 10)
        case Scale.PERCENTILE:
            low, high = 0.0, max(high, 0.9)
        case Scale.LINEAR:
            # amounts are compared by their height, which only means something above zero
            low = min(low, 0.0)
            high = high if high - low > _LEAST else low + 1.0
    return Axis(scale=scale, low=low, high=high)


def _can_show(scale: Scale, value: float) -> bool:
    """Return whether there is a place for *value* on such an axis."""
    if not math.isfinite(value):
        return False
    match scale:
        case Scale.LOGARITHMIC:
            return value > _LEAST
        case Scale.PERCENTILE:
            return 0 <= value < 1
        case Scale.LINEAR:
            return True


def _written(value: float, kind: Kind) -> str:
    # a label names a round value: 10 ms, where 10.0 ms would claim a precision
    return (
        re.sub(r"(\.\d*?)0+(?=\D|$)", r"\1", format_value(value, kind))
        .replace(". ", " ")
        .rstrip(".")
    )
