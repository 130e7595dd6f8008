"""The page itself: templates filled with a report, with its styles and scripts inside."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from perfkit import __version__
from perfkit.report.figures import ABSENT, format_cell, one_line
from perfkit.report.html.charts import view_chart
from perfkit.report.html.colours import Colours, assign
from perfkit.report.html.diagrams import view_diagram
from perfkit.report.html.tables import view_table
from perfkit.report.html.texts import LinkedMarks, sentence
from perfkit.report.model import (
    Bars,
    Block,
    Curves,
    Diagram,
    Gauge,
    Gauges,
    Report,
    Section,
    Statements,
    Table,
    Tone,
    Waterfall,
)

__all__ = ["render_report"]

_TITLE = "perfkit report"
_ANSWERS = ("findings", "load-stages")
"""Sections that answer: a page begins with the first of them that it has."""
_UNFOLDED = frozenset({"missing", "next-steps"})
"""Sections that are open, too, where a page begins with its answer."""

_TONE_WORDS = {Tone.GOOD: "good", Tone.WARNING: "warning"}


def render_report(report: Report) -> str:
    """Write a report as one HTML document; footnotes and the meaning of marks last."""
    marks = LinkedMarks()
    colours = assign(report)
    drawings: list[Mapping[str, object]] = []
    names = {section.name for section in report.sections}
    answer = next((each for each in _ANSWERS if each in names), None)
    # warnings are among the answer's doubts
    ordered = sorted(report.sections, key=lambda section: section.name != answer)
    sections = [
        _section(section, number, colours, marks, drawings)
        | {"folded": answer is not None and section.name not in {answer, *_UNFOLDED}}
        for number, section in enumerate(ordered)
    ]
    kicker, title = _titles(report)
    styles, library, script = map(_packaged, _ASSETS)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            kicker=kicker,
            title=title,
            about=_about(report),
            sections=sections,
            legend=[sentence(line) for line in marks.provenance_lines()],
            notes=[sentence(note) for note in marks.notes],
            folds_notes=answer is not None,
            drawings=_as_data(drawings),
            policy=_policy(library, script),
            styles=Markup(styles),  # noqa: S704  # our own files, no text of the report
            library=Markup(library),  # noqa: S704
            script=Markup(script),  # noqa: S704
        )
    )


_ASSETS = ("templates/report.css", "vendor/echarts.min.js", "templates/report.js")


def _titles(report: Report) -> tuple[str, str]:
    """Return what stands above the title, and the title."""
    title = one_line(report.title)
    if report.heading:
        return _TITLE, one_line(report.heading)
    if title.startswith(f"{_TITLE}: "):
        return _TITLE, title.removeprefix(f"{_TITLE}: ")
    return "", title or _TITLE


def _about(report: Report) -> str:
    days = sorted({str(run.get("started_at", ""))[:10] for run in report.runs} - {""})
    when = days[:1] if len(days) < 2 else [f"{days[0]} to {days[-1]}"]
    runs = len(report.runs)
    parts = [f"{runs} run{'s' * (runs != 1)}", *when] if runs else []
    return one_line(" · ".join([*parts, f"perfkit {__version__}"]))


def _section(
    section: Section,
    number: int,
    colours: Colours,
    marks: LinkedMarks,
    drawings: list[Mapping[str, object]],
) -> dict[str, object]:
    title = one_line(section.title)
    blocks = section.blocks
    return {
        "id": f"section-{number + 1}",
        "name": section.name,
        "title": title,
        "label": title or section.name.replace("-", " ").capitalize(),
        "blocks": [
            view | {"half": _is_half(blocks, place)}
            for place, block in enumerate(blocks)
            for view in [_block(block, _has_table(blocks, place), colours, marks, drawings)]
            if view is not None
        ],
    }


def _has_table(blocks: Sequence[Block], place: int) -> bool:
    """Whether the table of a block's figures stands beside it, with nothing but words between."""
    for beside in (reversed(blocks[:place]), blocks[place + 1 :]):
        nearest = next((each for each in beside if not isinstance(each, Statements)), None)
        if isinstance(nearest, Table) and nearest.data_only:
            return True
    return False


def _is_half(blocks: Sequence[Block], place: int) -> bool:
    """Whether two of a block fit side by side, and there are two."""
    block, kind = blocks[place], type(blocks[place])
    if kind not in {Curves, Diagram} or (isinstance(block, Curves) and block.wide):
        return False
    before = next((n for n in range(place) if type(blocks[place - 1 - n]) is not kind), place)
    after = blocks[place + 1 : place + 2]
    # two by two; the last of an odd number has the row to itself
    return before % 2 == 1 or any(isinstance(each, kind) for each in after)


def _block(
    block: Block,
    has_table: bool,  # noqa: FBT001
    colours: Colours,
    marks: LinkedMarks,
    drawings: list[Mapping[str, object]],
) -> dict[str, object] | None:
    match block:
        case Table():
            kind = "folded" if block.data_only else "table"
            return {"block": kind, "table": view_table(block, marks)}
        case Bars() | Curves() | Waterfall():
            chart = view_chart(block, colours, marks)
            if chart is None:
                return None
            captions = chart.captions or [""] * len(chart.drawings)
            places = [
                {"place": len(drawings) + number, "caption": caption}
                for number, caption in enumerate(captions)
            ]
            drawings += chart.drawings
            return {
                "block": block.block,
                "chart": chart,
                "drawings": places,
                "has_table": has_table,
            }
        case Gauges():
            return _gauges(block, marks) if block.panels else None
        case Diagram():
            diagram = view_diagram(block)
            return None if diagram is None else {"block": "diagram", "diagram": diagram}
        case Statements():
            return _statements(block, marks)


def _statements(block: Statements, marks: LinkedMarks) -> dict[str, object]:
    return {
        "block": "statements",
        "name": block.name,
        "title": one_line(block.title),
        "sentences": [
            {"tone": each.tone, "text": sentence(one_line(each.text) + marks.note(each.note))}
            for each in block.statements
            if each.tone is not Tone.COMMAND
        ],
        "commands": [one_line(each.text) for each in block.statements if each.tone is Tone.COMMAND],
    }


def _gauges(block: Gauges, marks: LinkedMarks) -> dict[str, object]:
    return {
        "block": "gauges",
        "title": one_line(block.title),
        "panels": [
            {
                "title": f"{marks.provenance(panel.provenance)}{one_line(panel.title)}",
                "status": one_line(panel.status),
                "reason": sentence(one_line(panel.reason)),
                "tone": panel.tone,
                "gauges": [_gauge(gauge) for gauge in panel.gauges],
            }
            for panel in block.panels
        ],
    }


def _gauge(gauge: Gauge) -> dict[str, object]:
    text = format_cell(gauge.value, gauge.kind)
    return {
        "label": one_line(gauge.label),
        "text": text if text == ABSENT else f"{text}{one_line(gauge.unit)}",
        "fill": None if gauge.fill is None else round(min(max(gauge.fill, 0.0), 1.0) * 100, 1),
        "tone": gauge.tone,
        "tone_word": _TONE_WORDS.get(gauge.tone, ""),
    }


def _as_data(drawings: Sequence[Mapping[str, object]]) -> Markup:
    """Write JSON that cannot end the script element it stands in, whatever the names in it."""
    text = json.dumps(drawings, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704  # ASCII without a sign that HTML knows


def _policy(*scripts: str) -> str:
    """Return the content security policy: our two scripts run, and nothing is ever loaded."""
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _packaged(name: str) -> str:
    return resources.files("perfkit.report.html").joinpath(name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("perfkit.report.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
