"""Diagrams of a page: rows of boxes, and the arrows in the gaps between rows."""

from dataclasses import dataclass, field

from perfkit.report.figures import one_line
from perfkit.report.model import Diagram, Edge, Node

__all__ = ["BoxView", "DiagramView", "GapView", "LayerView", "LineView", "SlotView", "view_diagram"]

_PASSING = 0.5
"""Width of the place where an arrow passes a row, in boxes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxView:
    """A box and what stands in it."""

    title: str
    lines: tuple[str, ...]
    tone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotView:
    """
    A place in a row.

    Args:
        box: The box that stands in it; None where arrows pass the row.
        labels: What is written on the arrows into it, on the last straight piece of them.
        reached: An arrow leads into it.
    """

    box: BoxView | None
    labels: tuple[str, ...]
    reached: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LineView:
    """A piece of an arrow in one gap; places are percent of the width."""

    start: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GapView:
    """What lies above a row of boxes; straight if every arrow in it is."""

    lines: tuple[LineView, ...]
    straight: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerView:
    """A row of boxes, with the widths of its places as the style sheet writes them."""

    slots: tuple[SlotView, ...]
    columns: str
    gap: GapView | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagramView:
    """
    A diagram.

    Args:
        title: Heading for people.
        layers: Rows of boxes, top to bottom.
        widest: Width of the widest row, in boxes.
        arrows: The arrows in words: from, to, label.
    """

    title: str
    layers: tuple[LayerView, ...]
    widest: float
    arrows: tuple[tuple[str, str, str], ...]


@dataclass(slots=True, kw_only=True)
class _Slot:
    node: Node | None = None
    arrows: list[tuple[str, str]] = field(default_factory=list)
    """Source and label of each arrow into it."""

    @property
    def width(self) -> float:
        return _PASSING if self.node is None else 1.0


def view_diagram(diagram: Diagram) -> DiagramView | None:
    """Prepare a diagram; None if it has no boxes."""
    numbers = sorted({node.layer for node in diagram.nodes})
    if not numbers:
        return None
    rows = [
        {node.id: _Slot(node=node) for node in diagram.nodes if node.layer == number}
        for number in numbers
    ]
    titles = {node.id: one_line(node.title) for node in diagram.nodes}
    edges = [edge for edge in diagram.edges if {edge.source, edge.target} <= titles.keys()]
    arrows = _route(edges, rows, titles)
    places = [_places(row) for row in rows]
    return DiagramView(
        title=one_line(diagram.title),
        layers=tuple(
            LayerView(
                slots=tuple(map(_slot, row.values())),
                columns=" ".join(f"minmax(0, {slot.width:g}fr)" for slot in row.values()),
                gap=_gap(arrows[level], places[level - 1], places[level]) if level else None,
            )
            for level, row in enumerate(rows)
        ),
        widest=max(sum(slot.width for slot in row.values()) for row in rows),
        arrows=tuple(
            (titles[edge.source], titles[edge.target], one_line(edge.label)) for edge in edges
        ),
    )


def _route(
    edges: list[Edge], rows: list[dict[str, _Slot]], titles: dict[str, str]
) -> list[list[tuple[str, str]]]:
    """Return the arrows above each row, and make places in rows that an arrow only passes."""
    level_of = {key: level for level, row in enumerate(rows) for key in row}
    arrows: list[list[tuple[str, str]]] = [[] for _ in rows]
    for edge in edges:
        above, last = edge.source, level_of[edge.target]
        label = one_line(edge.label)
        for level in range(level_of[edge.source] + 1, last + 1):
            # Arrows to the same box share the way there.
            key = edge.target if level == last else f"{edge.target}\n{level}"
            if key not in rows[level]:
                inside = list(rows[level].items())
                inside.insert((len(inside) + 1) // 2, (key, _Slot()))
                rows[level] = dict(inside)
            rows[level][key].arrows.append((titles[edge.source], label))
            if (above, key) not in arrows[level]:
                arrows[level].append((above, key))
            above, label = key, ""
    return arrows


def _places(row: dict[str, _Slot]) -> dict[str, float]:
    """Return the middle of each place of a row, in percent of the width."""
    whole = sum(slot.width for slot in row.values())
    middles: dict[str, float] = {}
    left = 0.0
    for key, slot in row.items():
        middles[key] = round((left + slot.width / 2) / whole * 100, 2)
        left += slot.width
    return middles


def _gap(
    arrows: list[tuple[str, str]], above: dict[str, float], below: dict[str, float]
) -> GapView:
    lines = tuple(LineView(start=above[start], end=below[end]) for start, end in arrows)
    return GapView(lines=lines, straight=all(line.start == line.end for line in lines))


def _slot(slot: _Slot) -> SlotView:
    labels = dict.fromkeys(label for _, label in slot.arrows)
    # Where arrows with different labels meet, a label names the box it comes from.
    written = dict.fromkeys(
        label if len(labels) == 1 else f"{source}: {label}"
        for source, label in slot.arrows
        if label
    )
    return SlotView(
        box=None if slot.node is None else _box(slot.node),
        labels=tuple(written),
        reached=bool(slot.arrows),
    )


def _box(node: Node) -> BoxView:
    return BoxView(
        title=one_line(node.title),
        lines=tuple(one_line(line) for line in node.lines),
        tone=str(node.tone),
    )
