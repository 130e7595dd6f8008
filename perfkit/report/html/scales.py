"""Axes: where values lie on them, and which values are written beside them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from perfkit.report.figures import format_value
from perfkit.report.model import Kind, Scale

__all__ = ["Axis", "Tick", "axis_of"]

_MOST_TICKS = 6
_NINES = (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A value written beside an axis."""

    place: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """
    An axis on which places are equally far apart; the scale is in `place`.

    Args:
        scale: How values become places.
        low: Place of its beginning; 0 on all but linear ones, because that is where bars begin.
        high: Place of its end.
        ticks: What is written beside it.
        origin: Power of ten at the beginning of a logarithmic axis.
    """

    scale: Scale
    low: float
    high: float
    ticks: tuple[Tick, ...]
    origin: int = 0

    def ending_at(self, value: float) -> "Axis":
        """Return a linear axis that ends with a value, whether or not that is written beside it."""
        ticks = tuple(tick for tick in self.ticks if tick.place <= value)
        return replace(self, high=value, ticks=ticks)

    def place(self, value: float) -> float | None:
        """Return where a value lies; None where it has no place, as 0 on a logarithmic axis."""
        if not math.isfinite(value):
            return None
        match self.scale:
            case Scale.LINEAR:
                return value
            case Scale.LOGARITHMIC:
                return math.log10(value) - self.origin if value > 0 else None
            case Scale.PERCENTILE:
                return _nines(value) if 0 <= value < 1 else None


def axis_of(values: Iterable[float], kind: Kind, scale: Scale, *, from_zero: bool = False) -> Axis:
    """
    Return an axis that holds all of the values.

    Args:
        values: In SI units.
        kind: How they are written.
        scale: How the axis is divided.
        from_zero: A linear axis begins at zero, as that of bars must.
    """
    finite = [value for value in values if math.isfinite(value)]
    match scale:
        case Scale.LINEAR:
            return _linear(finite or [0.0, 1.0], kind, from_zero=from_zero)
        case Scale.LOGARITHMIC:
            return _logarithmic([each for each in finite if each > 0] or [1.0], kind, from_zero)
        case Scale.PERCENTILE:
            return _percentiles([each for each in finite if 0 <= each < 1] or [0.0], kind)


def _nines(share: float) -> float:
    """Return how many nines a share has: 0.9 has one, 0.99 two, 0 none."""
    return -math.log10(1 - share)


def _linear(values: Sequence[float], kind: Kind, *, from_zero: bool) -> Axis:
    low, high = min(values), max(values)
    if from_zero or 0 < low < high / 2:
        low = min(low, 0.0)
    if high <= low:
        high = low + (abs(low) or 1.0)
    step = _step((high - low) / _MOST_TICKS)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    # Whole multiples of the step, rounded so that 0.3 is not written 0.30000000000000004.
    digits = max(0, 1 - math.floor(math.log10(step)))
    ticks = [round(number * step, digits) for number in range(first, last + 1)]
    return Axis(
        scale=Scale.LINEAR,
        low=ticks[0],
        high=ticks[-1],
        ticks=tuple(Tick(place=tick, text=_written(tick, kind)) for tick in ticks),
    )


def _logarithmic(values: Sequence[float], kind: Kind, from_zero: bool) -> Axis:  # noqa: FBT001
    """Return an axis of whole powers of ten; below bars one more, or the least had no length."""
    lowest, highest = math.log10(min(values)), math.log10(max(values))
    low = math.ceil(lowest - 1e-9) - 1 if from_zero else math.floor(lowest + 1e-9)
    high = max(math.ceil(highest - 1e-9), low + 1)
    every = math.ceil((high - low) / _MOST_TICKS)
    return Axis(
        scale=Scale.LOGARITHMIC,
        low=0,
        high=high - low,
        ticks=tuple(
            Tick(place=power - low, text=_written(10.0**power, kind))
            for power in range(low, high + 1, every)
        ),
        origin=low,
    )


def _percentiles(values: Sequence[float], kind: Kind) -> Axis:
    high = max(1.0, _nines(max(values)))
    return Axis(
        scale=Scale.PERCENTILE,
        low=0.0,
        high=high,
        ticks=tuple(
            Tick(place=_nines(share), text=_written(share, kind))
            for share in _NINES
            if _nines(share) <= high + 1e-9
        ),
    )


def _step(least: float) -> float:
    """Return the smallest of 1, 2 and 5 times a power of ten that is at least *least*."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= least * (1 - 1e-9))


def _written(value: float, kind: Kind) -> str:
    """Write a round value without the zeros that a measured one would have: `10 ms`, `$5`."""
    text = format_value(value, kind)
    number, space, unit = text.partition(" ")
    if "." in number:
        number = number.rstrip("0").rstrip(".")
    return f"{number}{space}{unit}"
