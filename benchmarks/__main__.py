"""
Runs the comparisons one after the other: `python -m benchmarks [names…] [--quick]`.

A complete run writes benchmarks/results.md; a quick one, or one of some comparisons, prints.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks import engines, html_report, run, seeding, service, sqlite, startup
from benchmarks.section import Section
from perfkit.errors import PerfkitError
from perfkit.measure.machine import Load, LoadBetween, describe_machine
from perfkit.units import format_duration

_COMPARISONS: dict[str, Callable[..., Section]] = {
    "startup": startup.compare,
    "sqlite": sqlite.compare,
    "engines": engines.compare,
    "seeding": seeding.compare,
    "run": run.compare,
    "service": service.compare,
    "html": html_report.compare,
}
_DOUBTFUL_SHARE = 0.05
_RESULTS = Path(__file__).with_name("results.md")


def main() -> int:
    """Run what is asked for and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"one of {', '.join(_COMPARISONS)}; default all"
    )
    parser.add_argument(
        "--quick", action="store_true", help="small sizes: shows that it works, not how fast"
    )
    parser.add_argument("--output", type=Path, help="write the results to this file")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in _COMPARISONS]
    if unknown:
        parser.error(f"no comparison named {unknown[0]!r}; choose from {', '.join(_COMPARISONS)}")
    names = options.names or list(_COMPARISONS)
    output = options.output
    if output is None and not options.quick and set(names) == set(_COMPARISONS):
        output = _RESULTS
    # credentials and endpoints of the person who measures have no part in it
    for variable in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[variable]
    start_s = time.monotonic()
    sections = []
    try:
        for name in names:
            print(f"measuring {name} …", file=sys.stderr, flush=True)
            section = _measure(name, quick=options.quick)
            sections.append(section)
            print(section.to_markdown(), flush=True)
    except PerfkitError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    if output is not None:
        text = _document(sections, time.monotonic() - start_s, quick=options.quick)
        output.write_text(text, encoding="utf-8")
    return 0


def _measure(name: str, *, quick: bool) -> Section:
    """Run one comparison; say in it when the machine had other things to do."""
    before, before_s = Load.now(), time.monotonic()
    section = _COMPARISONS[name](quick=quick)
    # every process that was started has ended by now, so what is not ours is others'
    others = LoadBetween(before=before, after=Load.now()).others_share
    print(f"  took {format_duration(time.monotonic() - before_s)}", file=sys.stderr)
    if others is not None and others > _DOUBTFUL_SHARE:
        doubt = (
            f"**Doubtful**: other programs used {others:.0%} of the machine's CPU time meanwhile;"
            " measure again when it is quiet."
        )
        section = replace(section, notes=[*section.notes, doubt])
    if quick:
        section = replace(section, aims=[aim.unjudged() for aim in section.aims])
    return section


def _document(sections: list[Section], seconds: float, *, quick: bool) -> str:
    machine = describe_machine()
    today = datetime.now(UTC).date().isoformat()
    aims = [aim for section in sections for aim in section.aims]
    met = sum(aim.met is True for aim in aims)
    verdict = "a quick run, no verdicts" if quick else f"{met} of {len(aims)} aims met"
    summary = (
        f"`make bench` on {today}, in {format_duration(seconds)}: {verdict}.\n"
        "All figures of a comparison are from one run, its contenders taking turns."
    )
    parts = [
        "# Benchmarks",
        summary,
        _about(machine),
        *(section.to_markdown().rstrip() for section in sections),
    ]
    return "\n\n".join(parts) + "\n"


def _about(machine: dict[str, Any]) -> str:
    return (
        f"Machine: {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB,"
        f" {machine['os']}.\n"
        f"Versions: {machine['python']}, SQLite {machine['sqlite']}, boto3 {machine['boto3']},"
        f" botocore {machine['botocore']}, orjson {metadata.version('orjson')},"
        f" Typer {metadata.version('typer')}, perfkit {metadata.version('perfkit')}."
    )


if __name__ == "__main__":
    sys.exit(main())
