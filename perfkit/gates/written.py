"""Lines for machines that read test results: JUnit XML, GitHub's summary and annotations, JSON."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from perfkit.gates.ci_results import Case, junit_xml, workflow_command
from perfkit.gates.lines import Line, State, counted

__all__ = ["annotations", "documents", "junit", "markdown"]

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

    What is not done is a failure; stale and invalid are errors.
    """
    return junit_xml(name, [_case(line, name) for line in lines])


def _case(line: Line, name: str) -> Case:
    done = line.state is State.DONE
    problem = None if done else "failure" if line.state is State.NOT_DONE else "error"
    return Case(
        suite=line.group,
        classname=f"{name}.{line.group}".replace(":", ""),
        name=line.title,
        problem=problem,
        kind=str(line.state),
        message=line.reason,
        text=line.verdict.evidence if done else _whole(line),
    )


def _whole(line: Line) -> str:
    parts = [line.reason, line.verdict.evidence if line.verdict.evidence != line.reason else ""]
    parts.append(f"next: {line.next_step}" if line.next_step else "")
    return "\n".join(filter(None, parts))


def markdown(lines: Sequence[Line], title: str) -> str:
    """Return lines as Markdown that GitHub shows: the sum first, then a table for each group."""
    parts = [f"## {_escaped(title)}", f"{counted(lines)}."]
    for group, members in _groups(lines).items():
        rows = [f"### {_escaped(group)}", "", "| | | |", "| --- | --- | --- |"]
        for line in members:
            detail = _escaped(line.reason or line.verdict.evidence)
            next_step = f" Next: {_code(line.next_step)}" if line.next_step else ""
            state = f"{_MARKS[line.state]} {line.state}"
            rows.append(f"| {state} | {_escaped(line.title)} | {detail}{next_step} |")
        parts.append("\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\g<0>", " ".join(text.split()))


def _code(text: str) -> str:
    # a pipe ends a cell of a table even in code
    return f"`{text.replace('`', '').replace('|', chr(92) + '|')}`"


def annotations(lines: Iterable[Line]) -> Iterator[str]:
    """Yield a workflow command of GitHub's for each line that is not done."""
    for line in lines:
        if line.state is not State.DONE:
            kind = "error" if line.state is State.NOT_DONE else "warning"
            yield workflow_command(kind, line.title, _whole(line))
