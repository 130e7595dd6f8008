"""Diagrams as text: boxes in rows, and arrows that run in the channels between the rows."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from perfkit.report.drawings.canvas import Canvas
from perfkit.report.drawings.channels import signs_of, tracks_of
from perfkit.report.drawings.pieces import Line, Piece
from perfkit.report.figures import display_width, one_line
from perfkit.report.model import Diagram, Node, Tone

__all__ = ["draw"]

_GAP = 3
_LEAST_INNER = 8
_MOST_INNER = 58
_LABEL = 24


@dataclass(slots=True, kw_only=True)
class _Slot:
    """What stands in a row: a box, or the place where an arrow passes through."""

    key: str
    node: Node | None = None
    title: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    label: tuple[str, ...] = ()
    x: int = 0

    @property
    def box_width(self) -> int:
        texts = (*self.title, *self.lines)
        return max(map(display_width, texts), default=0) + 4 if self.node is not None else 1

    @property
    def width(self) -> int:
        return max(self.box_width, *map(display_width, self.label), 1)

    @property
    def height(self) -> int:
        return len(self.title) + len(self.lines) + 2

    @property
    def middle(self) -> int:
        return self.x + self.width // 2


def draw(diagram: Diagram, width: int) -> tuple[Line, ...]:
    """Draw a diagram; where its boxes have no room beside one another, as a list instead."""
    numbers = sorted({node.layer for node in diagram.nodes})
    rows = [
        [_Slot(key=node.id, node=node) for node in diagram.nodes if node.layer == number]
        for number in numbers
    ]
    arrows = _arrows(diagram, rows)
    if not all(_fill(row, width) for row in rows):
        return tuple(_list(diagram, width))
    _place(rows, arrows)
    canvas = Canvas()
    y = 0
    for number, row in enumerate(rows):
        height = max((slot.height for slot in row if slot.node is not None), default=1)
        for slot in row:
            _draw_slot(canvas, slot, y, height, leaves=_leaves(slot, arrows[number]))
        y += height
        if number + 1 < len(rows):
            y = _draw_channel(canvas, row, rows[number + 1], arrows[number], y)
    return canvas.lines()


def _arrows(diagram: Diagram, rows: list[list[_Slot]]) -> list[list[tuple[str, str]]]:
    """Return the arrows below each row, and make places in rows that an arrow only passes."""
    where = {slot.key: number for number, row in enumerate(rows) for slot in row}
    slots = {slot.key: slot for row in rows for slot in row}
    arrows: list[list[tuple[str, str]]] = [[] for _ in rows]
    for edge in diagram.edges:
        if edge.source not in where or edge.target not in where:
            continue
        first, last = where[edge.source], where[edge.target]
        if first >= last:
            continue
        target, source = slots[edge.target], edge.source
        label = tuple(textwrap.wrap(one_line(edge.label), _LABEL))
        if label and not set(label) <= set(target.label):
            target.label += label
        for number in range(first, last):
            below = edge.target if number + 1 == last else f"{edge.target}\n{number + 1}"
            if below not in slots:
                slots[below] = passing = _Slot(key=below)
                rows[number + 1].insert((len(rows[number + 1]) + 1) // 2, passing)
            if (source, below) not in arrows[number]:
                arrows[number].append((source, below))
            source = below
    return arrows


def _fill(row: list[_Slot], width: int) -> bool:
    """Wrap the texts of a row's boxes until they fit; return False if they cannot."""
    boxes = [slot for slot in row if slot.node is not None]
    passing = (len(row) - len(boxes)) * (1 + _GAP)
    room = (width - passing - _GAP * (len(boxes) - 1)) // max(len(boxes), 1) - 4
    if room < _LEAST_INNER:
        return False
    inner = min(room, _MOST_INNER)
    for slot in boxes:
        if slot.node is not None:
            slot.title = _wrapped([slot.node.title], inner)
            slot.lines = _wrapped(slot.node.lines, inner)
            slot.label = _wrapped(slot.label, min(room + 4, _LABEL))
    return True


def _wrapped(texts: Sequence[str], width: int) -> tuple[str, ...]:
    """Fold texts to *width*, each further line of one a little to the right."""
    return tuple(
        line
        for text in texts
        for line in textwrap.wrap(one_line(text), width, subsequent_indent="  ") or [""]
    )


def _place(rows: list[list[_Slot]], arrows: list[list[tuple[str, str]]]) -> None:
    """Give every slot its place: the widest row first, each other one under or over its own."""
    widths = [sum(slot.width for slot in row) + _GAP * (len(row) - 1) for row in rows]
    widest = widths.index(max(widths))
    for number in (widest, *range(widest + 1, len(rows)), *range(widest - 1, -1, -1)):
        row, x = rows[number], 0
        for slot in row:
            slot.x = x
            x += slot.width + _GAP
        shift = (max(widths) - widths[number]) // 2
        if number != widest:
            above = number > widest
            linked = arrows[number - 1] if above else arrows[number]
            pairs = [pair if above else pair[::-1] for pair in linked]
            shift = _shift(row, rows[number - 1 if above else number + 1], pairs, shift)
        shift = min(max(shift, 0), max(widths) - widths[number])
        for slot in row:
            slot.x += shift


def _shift(
    row: list[_Slot], placed: list[_Slot], pairs: list[tuple[str, str]], otherwise: int
) -> int:
    """Return how far to move a row so that its middle is that of what it is linked with."""
    theirs = {slot.middle for slot in placed if any(each == slot.key for each, _ in pairs)}
    own = {slot.middle for slot in row if any(each == slot.key for _, each in pairs)}
    if not theirs or not own:
        return otherwise
    return round(sum(theirs) / len(theirs) - sum(own) / len(own))


def _leaves(slot: _Slot, arrows: list[tuple[str, str]]) -> bool:
    return any(source == slot.key for source, _ in arrows)


def _draw_slot(canvas: Canvas, slot: _Slot, y: int, height: int, *, leaves: bool) -> None:
    if slot.node is None:
        for row in range(height):
            canvas.put(slot.middle, y + row, "│")
        return
    tone, inner = slot.node.tone, slot.box_width - 2
    left = slot.middle - slot.box_width // 2
    bottom = ["─"] * inner
    if leaves:
        bottom[slot.middle - left - 1] = "┬"
    canvas.put(left, y, f"┌{'─' * inner}┐", tone)
    for row in range(1, height - 1):
        canvas.put(left, y + row, f"│{' ' * inner}│", tone)
    canvas.put(left, y + height - 1, f"└{''.join(bottom)}┘", tone)
    for row, text in enumerate((*slot.title, *slot.lines)):
        is_title = row < len(slot.title)
        indent = (inner - 2 - display_width(text)) // 2 if is_title else 0
        canvas.put(left + 2 + indent, y + 1 + row, text, tone if is_title else Tone.PLAIN)


def _draw_channel(
    canvas: Canvas, above: list[_Slot], below: list[_Slot], arrows: list[tuple[str, str]], y: int
) -> int:
    """Draw the arrows between two rows; return where the lower row begins."""
    middles = {slot.key: slot.middle for slot in (*above, *below)}
    tracks = tracks_of(arrows, middles)
    for (x, row), sign in signs_of(tracks).items():
        canvas.put(x, y + row, sign)
    y += len(tracks)
    reached = [slot for slot in below if any(target == slot.key for _, target in arrows)]
    height = max((len(slot.label) for slot in reached), default=0)
    for slot in reached:
        for row in range(height):
            text = slot.label[row] if row < len(slot.label) else "│"
            canvas.put(slot.middle - display_width(text) // 2, y + row, text)
        canvas.put(slot.middle, y + height, "▼" if slot.node is not None else "│")
    return y + height + bool(reached)


def _list(diagram: Diagram, width: int) -> Iterator[Line]:
    """Yield the boxes one below another, each with its arrows in words."""
    titles = {node.id: one_line(node.title) for node in diagram.nodes}
    for node in diagram.nodes:
        yield (Piece(titles[node.id], node.tone, strong=True),)
        arrows = [
            f"→ {titles[edge.target]}{f': {one_line(edge.label)}' if edge.label else ''}"
            for edge in diagram.edges
            if edge.source == node.id and edge.target in titles
        ]
        for text in (*map(one_line, node.lines), *arrows):
            for line in textwrap.wrap(text, width - 4, subsequent_indent="  "):
                yield (Piece(f"  {line}"),)
