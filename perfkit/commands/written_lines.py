"""Options that have the lines of a check written for other programs, and the writing itself."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perfkit.commands.output import write_file
from perfkit.errors import ConfigError
from perfkit.units import escape

if TYPE_CHECKING:
    from perfkit.gates.lines import Line

__all__ = ["GithubOption", "JunitOption", "LineFiles"]

_SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"

JunitOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Also write JUnit XML, a test case for each line."),
]

GithubOption = Annotated[
    bool,
    typer.Option(
        "--github", help="Also append to GitHub's step summary, and annotate what is not done."
    ),
]


@dataclass(frozen=True, slots=True)
class LineFiles:
    """
    Where lines are written beside the terminal.

    Args:
        junit: A file that is replaced; None writes none.
        summary: GitHub's step summary, which is added to; None writes none.
    """

    junit: Path | None
    summary: Path | None

    @classmethod
    def of_options(cls, junit: Path | None, *, github: bool) -> "LineFiles":
        """
        Return what options ask for, before anything is measured for it.

        Raises:
            ConfigError: There is no folder for the file, or this is no job of GitHub's.
        """
        if junit is not None and not junit.parent.is_dir():
            msg = (
                f"cannot write {junit}: there is no folder {junit.parent}; make it or name another"
            )
            raise ConfigError(msg)
        summary = os.environ.get(_SUMMARY_VARIABLE) if github else None
        if github and not summary:
            msg = f"--github is for GitHub Actions: {_SUMMARY_VARIABLE} is not set; leave it out"
            raise ConfigError(msg)
        return cls(junit, Path(summary) if summary else None)

    def write(self, lines: "Sequence[Line]", *, name: str, title: str) -> None:
        """
        Write lines, and annotate those that are not done where there is a summary.

        Args:
            lines: What was checked.
            name: Of the whole, in JUnit.
            title: Of the summary.

        Raises:
            ConfigError: A file cannot be written.
        """
        from perfkit.gates import written

        if self.junit is not None:
            write_file(self.junit, written.junit(lines, name))
        if self.summary is not None:
            write_file(self.summary, written.markdown(lines, title), mode="a")
            for each in written.annotations(lines):
                # GitHub reads them line by line
                typer.echo(escape(each), err=True)
