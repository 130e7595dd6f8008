"""Text on its way into a page: names that stay text, code between backticks, footnote links."""

import re

from markupsafe import Markup, escape

from perfkit.report.figures import one_line
from perfkit.report.layout import Marks

__all__ = ["LinkedMarks", "plain_text", "sentence", "with_notes"]

# Around a footnote's number, until it becomes a link: characters that no text of ours uses.
_OPEN, _CLOSE = "\ue000", "\ue001"
_NOTE = re.compile(f"{_OPEN}([0-9]+){_CLOSE}")
_DATE = re.compile(r"(?<![0-9])([0-9]{4}-[0-9]{2}-[0-9]{2})(?![0-9])")


class LinkedMarks(Marks):
    """Footnotes that `with_notes` turns into links."""

    def note(self, text: str | None) -> str:
        """Return the number of a footnote, marked as one; the same text has one number."""
        if text is None:
            return ""
        # The base class remembers and numbers the text; the number is then written our way.
        super().note(text)
        return f"{_OPEN}{self._notes.index(text) + 1}{_CLOSE}"

    def provenance_lines(self) -> tuple[str, ...]:
        """Return what explains the provenance marks."""
        return tuple(line for line in self.legend(whole_report=True) if _OPEN not in line)

    @property
    def notes(self) -> tuple[str, ...]:
        """Return the footnotes, in the order of their numbers."""
        return tuple(one_line(text) for text in self._notes)


def with_notes(text: str) -> Markup:
    """Escape text and link the footnotes in it; `text` is on one line already."""
    parts = _NOTE.split(text)
    return Markup("").join(
        Markup('<sup><a href="#note-{0}" aria-label="footnote {0}">{0}</a></sup>').format(part)
        if number % 2
        else _whole_dates(part)
        for number, part in enumerate(parts)
    )


def _whole_dates(text: str) -> Markup:
    """Escape text; a date in it stays on one line, and is copied as it is written."""
    return Markup("").join(
        Markup('<span class="date">{}</span>').format(part) if number % 2 else escape(part)
        for number, part in enumerate(_DATE.split(text))
    )


def plain_text(text: str) -> str:
    """Return text without its footnotes, for labels and for scripts."""
    return _NOTE.sub("", text)


def sentence(text: str) -> Markup:
    """Escape a sentence; what it has between backticks becomes code."""
    parts = text.split("`")
    if len(parts) % 2 == 0 or not all(parts[1::2]):
        return with_notes(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else with_notes(part)
        for number, part in enumerate(parts)
    )
