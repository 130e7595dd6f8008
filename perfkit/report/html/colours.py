"""Which colour a series has: the same in every chart of a report, for the same meaning."""

import re
from collections.abc import Iterable, Mapping

from perfkit.report.model import Bars, Block, Curves, Report

__all__ = ["Colours", "assign"]

BEFORE, AFTER = "before", "after"
"""What most charts are about has colours that nothing else has."""

_STEPS = 4
_PALETTE = 8
"""Colours for everything else, `c1` to `c8` of the style sheet; more series begin again."""

_WORDS = {"before": BEFORE, "baseline": BEFORE, "after": AFTER, "candidate": AFTER}
_NUMBERED = re.compile(r"^(.*?)([0-9]+)$")

Colours = Mapping[str, str]
"""Names of custom properties of the style sheet, by series."""


def assign(report: Report) -> Colours:
    """
    Give each series of a report a colour.

    Where bars stand in pairs, the first of each is before and the second after. Series that only
    a number tells apart, such as phases, are steps on the way from before to after. All others
    take the colours of a palette in the order in which they are met.
    """
    charts = [each for section in report.sections for each in section.blocks]
    colours: dict[str, str] = {}
    for chart in charts:
        _pairs(chart, colours)
    for names in map(_series, charts):
        _steps(names, colours)
    for names in map(_series, charts):
        _palette(names, colours)
    return colours


def _series(chart: Block) -> tuple[str, ...]:
    match chart:
        case Bars():
            return tuple(dict.fromkeys(bar.series for bar in chart.bars))
        case Curves():
            return tuple(dict.fromkeys(curve.label for curve in chart.curves))
        case _:
            return ()


def _pairs(chart: Block, colours: dict[str, str]) -> None:
    for name in _series(chart):
        if name.lower() in _WORDS:
            colours.setdefault(name, _WORDS[name.lower()])
    if not isinstance(chart, Bars) or chart.stacked:
        return
    groups: dict[str, list[str]] = {}
    for bar in chart.bars:
        groups.setdefault(bar.label, []).append(bar.series)
    if not groups or any(len(names) != 2 for names in groups.values()):
        return
    first, second = ({names[place] for names in groups.values()} for place in (0, 1))
    if first.isdisjoint(second):
        for names, colour in ((first, BEFORE), (second, AFTER)):
            for name in sorted(names):
                colours.setdefault(name, colour)


def _steps(names: Iterable[str], colours: dict[str, str]) -> None:
    found = [match for match in map(_NUMBERED.match, names) if match]
    by_stem: dict[str, list[tuple[int, str]]] = {}
    for match in found:
        by_stem.setdefault(match[1], []).append((int(match[2]), match[0]))
    for stem, numbered in by_stem.items():
        # One number alone is a name like any other; "" would be bare numbers.
        if len(numbered) < 2 or not stem:
            continue
        ordered = sorted(numbered)
        for place, (_, name) in enumerate(ordered):
            step = round(place / (len(ordered) - 1) * (_STEPS - 1))
            colours.setdefault(name, (BEFORE, "step1", "step2", AFTER)[step])


def _palette(names: Iterable[str], colours: dict[str, str]) -> None:
    names = tuple(names)
    for place, name in enumerate(names):
        if name not in colours:
            used = {colours.get(other) for other in names}
            free = (f"c{number + 1}" for number in range(_PALETTE))
            colours[name] = next(
                (colour for colour in free if colour not in used), f"c{place % _PALETTE + 1}"
            )
