"""Lines for machines that read test results: JUnit XML, GitHub's summary and annotations, JSON."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from xml.etree import ElementTree as ET

from perfkit.gates.lines import Line, State, counted

__all__ = ["annotations", "documents", "junit", "markdown"]

# what XML 1.0 has no way to write
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SPECIAL = re.compile(r"[\\`*_{}\[\]<>|~]")
_MARKS = {State.DONE: "✅", State.NOT_DONE: "❌", State.STALE: "⌛", State.INVALID: "❔"}


def _groups(lines: Iterable[Line]) -> dict[str, list[Line]]:
    groups: dict[str, list[Line]] = {}
    for line in lines:
        groups.setdefault(line.group, []).append(line)
    return groups


def documents(lines: Iterable[Line]) -> list[dict[str, Any]]:
    """Return lines as values that JSON can hold."""
    return [
        {
            "group": line.group,
            "title": line.title,
            "state": str(line.state),
            "reason": line.reason,
            "evidence": line.verdict.evidence,
            "next": line.next_step,
        }
        for line in lines
    ]


def junit(lines: Sequence[Line], name: str) -> str:
    """
    Return lines as JUnit XML: a suite for each group, a case for each line.

    What is not done is a failure; stale and invalid are errors. Source: the schema of Jenkins'
    xUnit plugin, `junit-10.xsd`.
    """
    root = ET.Element("testsuites", {"name": _xml(name), **_totals(lines)})
    for group, members in _groups(lines).items():
        suite = ET.SubElement(
            root, "testsuite", {"name": _xml(group), "time": "0", **_totals(members)}
        )
        for line in members:
            case = ET.SubElement(
                suite,
                "testcase",
                classname=_xml(f"{name}.{group}".replace(":", "")),
                name=_xml(line.title),
                time="0",
            )
            if line.state is not State.DONE:
                kind = "failure" if line.state is State.NOT_DONE else "error"
                problem = ET.SubElement(case, kind, type=str(line.state), message=_xml(line.reason))
                problem.text = _xml(_whole(line))
            elif line.verdict.evidence:
                ET.SubElement(case, "system-out").text = _xml(line.verdict.evidence)
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _totals(lines: Iterable[Line]) -> dict[str, str]:
    states = [line.state for line in lines]
    errors = sum(state in {State.STALE, State.INVALID} for state in states)
    failures = states.count(State.NOT_DONE)
    return {"tests": str(len(states)), "failures": str(failures), "errors": str(errors)}


def _whole(line: Line) -> str:
    parts = [line.reason, line.verdict.evidence if line.verdict.evidence != line.reason else ""]
    parts.append(f"next: {line.next_step}" if line.next_step else "")
    return "\n".join(filter(None, parts))


def _xml(text: str) -> str:
    return _NOT_IN_XML.sub("\ufffd", text)


def markdown(lines: Sequence[Line], title: str) -> str:
    """Return lines as Markdown that GitHub shows: the sum first, then a table for each group."""
    parts = [f"## {_escaped(title)}", f"{counted(lines)}."]
    for group, members in _groups(lines).items():
        rows = [f"### {_escaped(group)}", "", "| | | |", "| --- | --- | --- |"]
        for line in members:
            said = _escaped(line.reason or line.verdict.evidence)
            next_step = f" Next: {_code(line.next_step)}" if line.next_step else ""
            state = f"{_MARKS[line.state]} {line.state}"
            rows.append(f"| {state} | {_escaped(line.title)} | {said}{next_step} |")
        parts.append("\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\g<0>", " ".join(text.split()))


def _code(text: str) -> str:
    # a pipe ends a cell of a table even in code
    return f"`{text.replace('`', '').replace('|', chr(92) + '|')}`"


def annotations(lines: Iterable[Line]) -> Iterator[str]:
    """
    Yield a workflow command of GitHub's for each line that is not done.

    Source: GitHub's "Workflow commands for GitHub Actions".
    """
    for line in lines:
        if line.state is not State.DONE:
            kind = "error" if line.state is State.NOT_DONE else "warning"
            title = _command(line.title).replace(":", "%3A").replace(",", "%2C")
            yield f"::{kind} title={title}::{_command(_whole(line))}"


def _command(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
