"""How arrows run between two rows of a diagram: down, along a track of their own, and down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Track", "signs_of", "tracks_of"]

_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
_SIGNS = {
    _UP: "│",
    _DOWN: "│",
    _UP | _DOWN: "│",
    _LEFT: "─",
    _RIGHT: "─",
    _LEFT | _RIGHT: "─",
    _DOWN | _RIGHT: "┌",
    _DOWN | _LEFT: "┐",
    _UP | _RIGHT: "└",
    _UP | _LEFT: "┘",
    _UP | _DOWN | _RIGHT: "├",
    _UP | _DOWN | _LEFT: "┤",
    _LEFT | _RIGHT | _DOWN: "┬",
    _LEFT | _RIGHT | _UP: "┴",
    _UP | _DOWN | _LEFT | _RIGHT: "┼",
}


@dataclass(frozen=True, slots=True)
class Track:
    """Arrows that share a line: the columns they come from, and those they go to."""

    sources: tuple[int, ...]
    targets: tuple[int, ...]


def tracks_of(arrows: Sequence[tuple[str, str]], columns: Mapping[str, int]) -> list[Track]:
    """
    Return the tracks of some arrows: one for each set of targets that sources have in common.

    Args:
        arrows: Source and target by name.
        columns: Where each of them is.
    """
    targets: dict[str, list[str]] = {}
    for source, target in arrows:
        targets.setdefault(source, []).append(target)
    shared: dict[frozenset[str], list[str]] = {}
    for source, reached in targets.items():
        shared.setdefault(frozenset(reached), []).append(source)
    return [
        Track(
            tuple(sorted(columns[each] for each in sources)),
            tuple(sorted(columns[each] for each in reached)),
        )
        for reached, sources in shared.items()
    ]


def signs_of(tracks: Sequence[Track]) -> dict[tuple[int, int], str]:
    """
    Return the sign at each column and row that the tracks, one a row, touch.

    Where lines of two tracks cross, the one that goes down is drawn through: only lines of one
    track, or to one target, are joined.
    """
    bits: dict[tuple[int, int], int] = {}
    for row, track in enumerate(tracks):
        ends = (*track.sources, *track.targets)
        first, last = min(ends), max(ends)
        for column in range(first, last + 1):
            bits[column, row] = (_LEFT if column > first else 0) | (_RIGHT if column < last else 0)
    for row, track in enumerate(tracks):
        for column in track.sources:
            for above in range(row):
                bits[column, above] = _UP | _DOWN
        for column in track.targets:
            for below in range(row + 1, len(tracks)):
                joined = column in tracks[below].targets
                bits[column, below] = (bits.get((column, below), 0) if joined else 0) | _UP | _DOWN
    for row, track in enumerate(tracks):
        for column in track.sources:
            bits[column, row] |= _UP
        for column in track.targets:
            bits[column, row] |= _DOWN
    return {place: _SIGNS[which] for place, which in bits.items()}
