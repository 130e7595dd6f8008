"""Results for machines that read those of tests: JUnit XML and GitHub's workflow commands."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

__all__ = ["Case", "junit_xml", "workflow_command"]

# what XML 1.0 has no way to write
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """
    One thing that was looked at.

    Args:
        suite: What it belongs to.
        classname: Where programs that read the file put it.
        name: What was looked at.
        problem: `failure` where it does not hold, `error` where nobody can tell; None if it does.
        kind: Of the problem, in a word.
        text: Why, or what was seen; may be empty.
        message: Why, in a line.
    """

    suite: str
    classname: str
    name: str
    problem: str | None = None
    kind: str = ""
    message: str = ""
    text: str = ""


def junit_xml(name: str, cases: Sequence[Case]) -> str:
    """
    Return cases as JUnit XML, those of a suite together.

    Source: the schema of Jenkins' xUnit plugin, `junit-10.xsd`.
    """
    root = ET.Element("testsuites", {"name": _xml(name), **_totals(cases)})
    for suite_name in dict.fromkeys(each.suite for each in cases):
        members = [each for each in cases if each.suite == suite_name]
        suite = ET.SubElement(
            root, "testsuite", {"name": _xml(suite_name), "time": "0", **_totals(members)}
        )
        for each in members:
            case = ET.SubElement(
                suite, "testcase", classname=_xml(each.classname), name=_xml(each.name), time="0"
            )
            if each.problem is not None:
                problem = ET.SubElement(
                    case, each.problem, type=each.kind, message=_xml(each.message)
                )
                problem.text = _xml(each.text)
            elif each.text:
                ET.SubElement(case, "system-out").text = _xml(each.text)
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def workflow_command(kind: str, title: str, text: str) -> str:
    """
    Return what GitHub shows as an annotation, an `error` or a `warning`, in one line.

    Source: GitHub's "Workflow commands for GitHub Actions".
    """
    named = _one_line(title).replace(":", "%3A").replace(",", "%2C")
    return f"::{kind} title={named}::{_one_line(text)}"


def _totals(cases: Iterable[Case]) -> dict[str, str]:
    problems = [each.problem for each in cases]
    return {
        "tests": str(len(problems)),
        "failures": str(problems.count("failure")),
        "errors": str(problems.count("error")),
    }


def _xml(text: str) -> str:
    return _NOT_IN_XML.sub("\ufffd", text)


def _one_line(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
