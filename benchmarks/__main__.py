"""
Measures the figures one section after the other: `python -m benchmarks [names…] [--quick]`.

Each section replaces its own part of benchmarks/results.md as soon as it is measured; those that
were not named stay as they are. A quick run only prints.
"""

import argparse
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from benchmarks import (
    demo,
    enforcement,
    engines,
    html_report,
    http_clients,
    judging,
    layouts,
    load,
    migrating,
    rates,
    recording,
    run,
    seeding,
    service,
    sqlite,
    startup,
    twin,
    verifying,
)
from benchmarks.section import Section
from perfkit.errors import PerfkitError
from perfkit.measure.machine import Load, LoadBetween, describe_machine
from perfkit.units import format_duration

_SECTIONS: dict[str, Callable[..., Section]] = {
    "startup": startup.compare,
    "sqlite": sqlite.compare,
    "engines": engines.compare,
    "seeding": seeding.compare,
    "seeding-millions": seeding.compare_scales,
    "run": run.compare,
    "service": service.compare,
    "http-clients": http_clients.compare,
    "load": load.compare,
    "html": html_report.compare,
    "layouts": layouts.compare,
    "judging": judging.compare,
    "twin": twin.compare,
    "apply-kills": migrating.with_kills,
    "apply-faults": migrating.with_faults,
    "rates": rates.compare,
    "enforcement": enforcement.compare,
    "verify": verifying.compare,
    "demo": demo.compare,
    "recording": recording.compare,
}
_BY_NAME_ONLY = ("layouts", "seeding-millions", "apply-kills", "apply-faults", "demo")
"""Those that take too long, or too much of the disk, to be measured each time."""
_DOUBTFUL_SHARE = 0.05
_RESULTS = Path(__file__).with_name("results.md")
_ABOUT = """\
# Figures

`make figures` measures all of this, `make figures ONLY="startup run"` the sections named so; each says when and on what it was measured.
All figures of a section are from one run, its contenders taking turns.
"""
_PART = re.compile(r"^<!-- ([a-z-]+) -->\n", re.MULTILINE)


def main() -> int:
    """Run what is asked for and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="name",
        help=f"one of {', '.join(_SECTIONS)}; default all but {', '.join(_BY_NAME_ONLY)}",
    )
    parser.add_argument(
        "--quick", action="store_true", help="small sizes: shows that it works, not how fast"
    )
    parser.add_argument("--output", type=Path, help="write the results to this file")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in _SECTIONS]
    if unknown:
        parser.error(f"no section named {unknown[0]!r}; choose from {', '.join(_SECTIONS)}")
    output = options.output or (None if options.quick else _RESULTS)
    # credentials and endpoints of the person who measures have no part in it
    for variable in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[variable]
    try:
        for name in options.names or [each for each in _SECTIONS if each not in _BY_NAME_ONLY]:
            print(f"measuring {name} …", file=sys.stderr, flush=True)
            text = _measure(name, quick=options.quick).to_markdown()
            print(text, flush=True)
            if output is not None:
                before = output.read_text(encoding="utf-8") if output.exists() else ""
                output.write_text(with_sections(before, {name: text}), encoding="utf-8")
    except PerfkitError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def with_sections(document: str, measured: Mapping[str, str]) -> str:
    """Return a document of results with the sections that were measured, by name, replaced."""
    _, *parts = _PART.split(document)
    sections = dict(zip(parts[::2], parts[1::2], strict=True)) | dict(measured)
    # what nobody measures any more goes
    known = {name: sections[name].strip() for name in _SECTIONS if name in sections}
    aims = re.findall(
        r"^- \*\*(met|missed by .*?|no verdict)\*\*: ", "\n".join(known.values()), re.MULTILINE
    )
    met = f"{aims.count('met')} of {len(aims)} aims are met.\n"
    return "\n".join(
        [_ABOUT + met, *(f"<!-- {name} -->\n{text}\n" for name, text in known.items())]
    )


def _measure(name: str, *, quick: bool) -> Section:
    """Measure one section; say in it when, on what, and whether the machine had other things to do."""
    before, before_s = Load.now(), time.monotonic()
    section = _SECTIONS[name](quick=quick)
    # every process that was started has ended by now, so what is not ours is others'
    others = LoadBetween(before=before, after=Load.now()).others_share
    notes = [*section.notes, _about(time.monotonic() - before_s, quick=quick)]
    if others is not None and others > _DOUBTFUL_SHARE and not section.hides_cpu:
        doubt = (
            f"**Doubtful**: other programs used {others:.0%} of the machine's CPU time meanwhile;"
            " measure again when it is quiet."
        )
        notes.append(doubt)
    aims = [aim.unjudged() for aim in section.aims] if quick else section.aims
    return replace(section, aims=aims, notes=notes)


def _about(seconds: float, *, quick: bool) -> str:
    machine = describe_machine()
    return (
        f"Measured{' quickly' if quick else ''} on {datetime.now(UTC).date().isoformat()}"
        f" in {format_duration(seconds)}: {machine['cpu']}, {machine['cores']} cores,"
        f" {machine['memory_gib']} GiB, {machine['os']}; {machine['python']},"
        f" SQLite {machine['sqlite']}, boto3 {machine['boto3']}, botocore {machine['botocore']},"
        f" orjson {metadata.version('orjson')}, Typer {metadata.version('typer')},"
        f" perfkit {metadata.version('perfkit')}."
    )


if __name__ == "__main__":
    sys.exit(main())
