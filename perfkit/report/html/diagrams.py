"""Diagrams of a page: rows of boxes, and the arrows in the gaps between rows."""

from dataclasses import dataclass

from perfkit.report.figures import one_line
from perfkit.report.model import Diagram, Node

__all__ = ["BoxView", "DiagramView", "GapView", "LayerView", "LineView", "view_diagram"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxView:
    """A box and what stands in it."""

    title: str
    lines: tuple[str, ...]
    tone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LineView:
    """A piece of an arrow in one gap; places are percent of the width."""

    start: float
    end: float
    label: str
    row: int
    ends_here: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GapView:
    """What lies between two rows of boxes."""

    lines: tuple[LineView, ...]
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerView:
    """A row of boxes, the arrows that pass behind it, and the gap below it."""

    boxes: tuple[BoxView, ...]
    passing: tuple[float, ...]
    gap: GapView | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagramView:
    """
    A diagram.

    Args:
        title: Heading for people.
        layers: Rows of boxes, top to bottom.
        widest: Most boxes side by side.
        arrows: The arrows in words: from, to, label.
    """

    title: str
    layers: tuple[LayerView, ...]
    widest: int
    arrows: tuple[tuple[str, str, str], ...]


def view_diagram(diagram: Diagram) -> DiagramView | None:
    """Prepare a diagram; None if it has no boxes."""
    numbers = sorted({node.layer for node in diagram.nodes})
    if not numbers:
        return None
    rows = [[node for node in diagram.nodes if node.layer == number] for number in numbers]
    at = {
        node.id: (level, (place + 0.5) / len(row) * 100)
        for level, row in enumerate(rows)
        for place, node in enumerate(row)
    }
    titles = {node.id: one_line(node.title) for node in diagram.nodes}
    edges = [edge for edge in diagram.edges if edge.source in at and edge.target in at]
    gaps: list[list[LineView]] = [[] for _ in rows]
    passing: list[list[float]] = [[] for _ in rows]
    for edge in edges:
        (upper, start), (lower, end) = sorted((at[edge.source], at[edge.target]))
        for level in range(upper, lower):
            # An arrow over several rows walks to its place step by step.
            here, there = (
                start + (end - start) * (step - upper) / (lower - upper)
                for step in (level, level + 1)
            )
            if level > upper:
                passing[level].append(here)
            gaps[level].append(
                LineView(
                    start=round(here, 2),
                    end=round(there, 2),
                    label=one_line(edge.label) if level == upper else "",
                    row=0,
                    ends_here=level == lower - 1,
                )
            )
    return DiagramView(
        title=one_line(diagram.title),
        layers=tuple(
            LayerView(
                boxes=tuple(map(_box, row)),
                passing=tuple(round(place, 2) for place in passing[level]),
                gap=_gap(gaps[level]) if level < len(rows) - 1 else None,
            )
            for level, row in enumerate(rows)
        ),
        widest=max(map(len, rows)),
        arrows=tuple(
            (titles[edge.source], titles[edge.target], one_line(edge.label)) for edge in edges
        ),
    )


def _box(node: Node) -> BoxView:
    return BoxView(
        title=one_line(node.title),
        lines=tuple(one_line(line) for line in node.lines),
        tone=str(node.tone),
    )


def _gap(lines: list[LineView]) -> GapView:
    """Give labels that would stand on one another different rows of the gap."""
    placed: list[LineView] = []
    ends: list[float] = []
    for line in sorted(lines, key=lambda line: line.start + line.end):
        row = 0
        if line.label:
            middle = (line.start + line.end) / 2
            # About one percent of the width a letter, and never less than a short word.
            half = max(8.0, len(line.label) * 0.55)
            row = next(
                (number for number, end in enumerate(ends) if end <= middle - half), len(ends)
            )
            ends[row : row + 1] = [middle + half]
        placed.append(
            LineView(
                start=line.start,
                end=line.end,
                label=line.label,
                row=row,
                ends_here=line.ends_here,
            )
        )
    return GapView(lines=tuple(placed), rows=max(1, len(ends)))
