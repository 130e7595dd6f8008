"""Reports as Markdown that GitHub shows: tables by tabulate, every name escaped."""

import re

from tabulate import tabulate

from perfkit.report.drawings import draw, join, title_of
from perfkit.report.figures import one_line
from perfkit.report.layout import Grid, Marks, lay_out
from perfkit.report.model import (
    Block,
    Report,
    Section,
    Statement,
    Statements,
    Table,
    Tone,
)

__all__ = ["render_report"]

# What GitHub shows of code beside its margins, without a scroll bar.
_DRAWING_WIDTH = 100

# What has a meaning within a line, to Markdown or to HTML.
_SPECIAL = re.compile(r"[\\`*_{}\[\]<>|~]")
# What makes a line a heading or a list item.
_LEADING = re.compile(r"^(\d*)(?=([#+-]+|(?<=\d)[.)])(\s|$))")


def render_report(report: Report) -> str:
    """Write a report: a heading for each section, footnotes and the meaning of marks last."""
    marks = Marks()
    parts = [f"# {_escaped(report.title)}"] if report.title else []
    for section in report.sections:
        parts += _section(section, marks)
    parts.append("\n".join(f"- {_escaped(line)}" for line in marks.legend(whole_report=True)))
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(section: Section, marks: Marks) -> list[str]:
    heading = [f"## {_escaped(section.title)}"] if section.title else []
    return heading + [part for block in section.blocks for part in _block(block, marks)]


def _block(block: Block, marks: Marks) -> list[str]:
    match block:
        case Table(data_only=True):
            return []
        case Table():
            title = _escaped(block.title) + "".join(marks.note(note) for note in block.notes)
            return [
                *([f"### {title}"] if title else []),
                *(_grid(grid) for grid in lay_out(block, marks)),
            ]
        case Statements():
            heading = [f"### {_escaped(block.title)}"] if block.title else []
            return heading + _statements(block.statements, marks)
        case _:
            lines = [join(line) for line in draw(block, marks, _DRAWING_WIDTH)]
            heading = [f"### {_escaped(title_of(block))}"] if title_of(block) else []
            return [*heading, _code(lines)] if lines else []


def _statements(statements: tuple[Statement, ...], marks: Marks) -> list[str]:
    commands = [one_line(each.text) for each in statements if each.tone is Tone.COMMAND]
    sentences = [
        f"- {_sentence(each.text)}{marks.note(each.note)}"
        for each in statements
        if each.tone is not Tone.COMMAND
    ]
    return [
        *(["\n".join(sentences)] if sentences else []),
        *([_code(commands)] if commands else []),
    ]


def _grid(grid: Grid) -> str:
    return tabulate(
        [[_escaped(text) for text in row] for row in grid.rows],
        headers=[
            _escaped(f"{column.group} {title}".strip())
            for column, title in zip(grid.columns, grid.titles, strict=True)
        ],
        # GitHub's tables with a colon where a column is right-aligned.
        tablefmt="pipe",
        disable_numparse=True,
        colalign=["right" if right else "left" for right in grid.right_aligned],
    )


def _escaped(text: str) -> str:
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", one_line(text).replace("&", "&amp;"))


def _sentence(text: str) -> str:
    """Escape a sentence but for what it has between backticks, which stays code."""
    parts = one_line(text).split("`")
    if len(parts) % 2 == 0 or not all(parts[1::2]):
        parts = [text]
    parts = [f"`{part}`" if number % 2 else _escaped(part) for number, part in enumerate(parts)]
    return _LEADING.sub(lambda found: f"{found[1]}\\", "".join(parts), count=1)


def _code(lines: list[str]) -> str:
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}text", *(line.rstrip() for line in lines), fence])
