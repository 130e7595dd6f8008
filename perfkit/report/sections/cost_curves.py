"""Where costs cross, as curves: capacity modes, indexes against scans, with and without the cache."""

from collections.abc import Callable, Sequence

from perfkit.cost.capacity_modes import Mode, cost_of
from perfkit.cost.demand import State
from perfkit.cost.estimate import Estimate
from perfkit.cost.quantities import short
from perfkit.report.model import Curve, Curves, Kind, Point, Provenance, VerticalLine
from perfkit.units import format_share

__all__ = ["caches", "capacity_modes", "indexes"]

_POINTS = 60


def _points(end: float, cost: Callable[[float], float]) -> tuple[Point, ...]:
    return tuple(
        Point(x=end * number / _POINTS, y=cost(end * number / _POINTS))
        for number in range(_POINTS + 1)
    )


def _end(rates: Sequence[float | None]) -> float:
    """Return how far an axis goes: twice the farthest thing worth seeing on it."""
    return 2 * max((rate for rate in rates if rate), default=1.0)


def _curve(label: str, points: tuple[Point, ...]) -> Curve:
    return Curve(label=label, points=points, provenance=Provenance.MODELLED)


def _against_rate(
    name: str, title: str, curves: tuple[Curve, ...], lines: tuple[VerticalLine, ...]
) -> Curves:
    return Curves(
        name=name,
        title=title,
        x_title="requests a second",
        x_kind=Kind.COUNT,
        y_title="US dollars a month",
        y_kind=Kind.USD,
        curves=curves,
        lines=lines,
    )


def capacity_modes(found: Estimate) -> Curves | None:
    """Return what queries and writes cost in every mode, by requests a second."""
    state = State.AFTER if found.has_after else State.BEFORE
    rows = [row for row in found.modes if row.state is state and row.demand is None]
    if not rows or not found.rps:
        return None
    shape = found.assumptions.shape
    every, break_even = found.demands[state], rows[0].break_even_hz
    rps, free_tier = found.rps, found.assumptions.free_tier
    # far beyond all crossings the lines fan out, and where they cross could not be seen
    end = _end(list(break_even.values())) if any(break_even.values()) else 2 * rps

    def cost(mode: Mode) -> Callable[[float], float]:
        def at(rate: float) -> float:
            some = [each.times(rate / rps) for each in every]
            return float(cost_of(some, mode, found.book, shape, free_tier=free_tier).usd)

        return at

    return _against_rate(
        "cost-capacity-curves",
        f"Capacity modes by traffic, {state}",
        tuple(_curve(mode.value, _points(end, cost(mode))) for mode in Mode),
        tuple(
            VerticalLine(x=rate, label=f"{mode.value} from {short(rate)}/s on")
            for mode, rate in break_even.items()
            if rate
        ),
    )


def indexes(found: Estimate) -> Curves | None:
    """Return what scans cost against queries with all the indexes they need."""
    declared = [each for each in found.indexes if each.cost.declared]
    total_hz = sum(each.reads_hz for each in declared)
    if not declared or not total_hz:
        return None
    scan = sum(float(each.scan.usd) for each in declared) / total_hz
    query = sum(float(each.query.usd) for each in declared) / total_hz
    fixed = sum(float(each.writes.usd + each.storage.usd) for each in declared)
    if scan <= query:
        return None
    crossing = fixed / (scan - query)
    end = _end([crossing])
    return _against_rate(
        "cost-index-curves",
        "Today's reads against queries with their indexes, writes as assumed",
        (
            _curve("today", _points(end, lambda rate: scan * rate)),
            _curve("queries, writes and storage", _points(end, lambda rate: fixed + query * rate)),
        ),
        (VerticalLine(x=crossing, label=f"indexes pay from {short(crossing)}/s on"),),
    )


def caches(found: Estimate) -> Curves | None:
    """Return what reads cost with the cache and without it, by requests a second."""
    rows = [each for each in found.caches if each.state is State.AFTER]
    rows = rows or list(found.caches)
    if not rows:
        return None
    economics = rows[0]
    if not economics.reads_hz or not economics.without.usd:
        return None
    a_request = float(economics.without.usd) / economics.reads_hz
    node, held = float(economics.node.usd), economics.unit_hits
    crossing = economics.break_even_hz
    end = _end([crossing] if crossing else [economics.reads_hz])
    what = "today's form" if economics.state is State.BEFORE else "queries"
    return _against_rate(
        "cost-cache-curves",
        f"Reads by {what} with the cache and without,"
        f" {f'at {format_share(round(held, 3))} hits' if economics.held else 'hits as modelled'}",
        (
            _curve("without the cache", _points(end, lambda rate: a_request * rate)),
            _curve(
                "with the cache and its node",
                _points(
                    end, lambda rate: node + a_request * rate * (1 - economics.unit_hits_at(rate))
                ),
            ),
        ),
        ()
        if crossing is None
        else (VerticalLine(x=crossing, label=f"the node pays from {short(crossing)}/s on"),),
    )
