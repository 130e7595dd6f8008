"""The formats a report can be written in, and which of them a file name asks for."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from perfkit.errors import ConfigError

if TYPE_CHECKING:
    from perfkit.report.model import Report

__all__ = ["Format", "guess_format", "is_alike", "render_text"]


class Format(StrEnum):
    """How a report is written."""

    TERMINAL = "terminal"
    MARKDOWN = "markdown"
    HTML = "html"
    SVG = "svg"
    JSON = "json"
    CSV = "csv"


_SUFFIXES = {
    ".txt": Format.TERMINAL,
    ".md": Format.MARKDOWN,
    ".markdown": Format.MARKDOWN,
    ".html": Format.HTML,
    ".htm": Format.HTML,
    ".svg": Format.SVG,
    ".json": Format.JSON,
    ".csv": Format.CSV,
}


def guess_format(path: Path) -> Format:
    """
    Return the format that a file name asks for.

    Raises:
        ConfigError: The name ends in nothing known.
    """
    try:
        return _SUFFIXES[path.suffix.lower()]
    except KeyError as error:
        msg = (
            f"cannot tell the format of '{path}' from its name; give --format"
            f" ({', '.join(Format)}) or end the name in {', '.join(_SUFFIXES)}"
        )
        raise ConfigError(msg) from error


_TITLES = ("perfkit report", "perfkit compare")


def is_alike(old: str, new: str, report_format: Format) -> bool:
    """
    Return whether a file holds what perfkit wrote in a format, so that a new report may replace it.

    Args:
        old: What is in the file, or its beginning of some kilobytes at least.
        new: What would be written.
        report_format: The format of both.
    """
    match report_format:
        case Format.HTML:
            return '<meta name="generator" content="perfkit">' in old
        case Format.JSON:
            return old.lstrip().startswith("{") and '"perfkit": "' in old[:400]
        case Format.CSV:
            # a table of other columns is another table
            return old.partition("\n")[0].strip() == new.partition("\n")[0].strip()
        case Format.SVG:
            return 'class="rich-terminal"' in old and "perfkit" in old
        case _:
            return old.removeprefix("# ").startswith(_TITLES)


def render_text(report: "Report", report_format: Format) -> str:
    """Write a report as one text; of CSV only the main table, the others need a folder."""
    match report_format:
        case Format.TERMINAL:
            from perfkit.report import plain

            return plain.render_report(report)
        case Format.MARKDOWN:
            from perfkit.report import markdown

            return markdown.render_report(report)
        case Format.HTML:
            from perfkit.report import html

            return html.render_report(report)
        case Format.SVG:
            from perfkit.report import terminal

            return terminal.render_svg(report)
        case Format.JSON:
            from perfkit.report.json_document import report_document, write_document

            return write_document(report_document(report))
        case Format.CSV:
            from perfkit.report.csv_tables import main_table

            return main_table(report)[0]
