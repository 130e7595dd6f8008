"""`--max-rcu` and `--max-wcu` against the target's own count of what was consumed."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.counting import READS, WRITES
from benchmarks.measuring import perfkit_command, run_command
from benchmarks.section import Aim, Section, Table
from perfkit.errors import TargetError

__all__ = ["compare"]

_RATE = 500.0
_WINDOW_S = 5.0


@dataclass(frozen=True, slots=True)
class _Held:
    """
    What a target counted while a command was held below a rate.

    Args:
        seconds: From the first call to the last.
        rate: Units a second between them; those of the last call were not paid for yet.
        highest: Most units a second over any few seconds, each from one call to another.
    """

    calls: int
    units: float
    seconds: float
    rate: float
    highest: float

    @classmethod
    def of(cls, calls: Sequence[tuple[float, float]]) -> "_Held":
        """Return it of calls: when each came, and its units."""
        if len(calls) < 2:
            msg = "the target counted no calls to speak of"
            raise TargetError(msg)
        times, units = zip(*calls, strict=True)
        seconds = times[-1] - times[0]
        highest = 0.0
        first = 0
        within = 0.0
        for last in range(1, len(calls)):
            within += units[last - 1]
            while times[last] - times[first + 1] >= _WINDOW_S:
                within -= units[first]
                first += 1
            if (length_s := times[last] - times[first]) >= _WINDOW_S:
                highest = max(highest, within / length_s)
        return cls(len(calls), sum(units), seconds, sum(units[:-1]) / seconds, highest)


def compare(*, quick: bool) -> Section:
    """Hold a preflight and a seeding below a rate, one after the other."""
    # about 30 s each: 8,750 units are read of a scale of 1, and its 64,000 items written
    scanned, seeded = ("0.2", "0.02") if quick else ("2", "0.25")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_command([*perfkit_command(), "seed", "--scale", scanned, "--data", "read"], folder)
        preflight = f"migrate preflight --max-rcu {_RATE:g}"
        seed = f"seed --scale {seeded} --max-wcu {_RATE:g}"
        held = {
            f"perfkit {preflight}": _count(folder, "read", preflight, READS),
            f"perfkit {seed}": _count(folder, "written", seed, WRITES),
        }
    rows = [
        [
            command,
            f"{each.calls:,}",
            f"{each.units:,.0f}",
            f"{each.seconds:.1f}",
            f"{each.rate:.1f}",
            f"{each.highest:.1f}",
        ]
        for command, each in held.items()
    ]
    headers = ["", "calls", "units", "s", "units/s", f"most in {_WINDOW_S:g} s"]
    return Section(
        title="Limits on the rate",
        method=(
            "Each command once, against the embedded DynamoDB over HTTP, which notes when each"
            " call came and what it consumed.\n"
            "The rate is what was consumed before the last call, over the time from the first call"
            " to it."
        ),
        tables=[Table(headers, rows)],
        aims=[
            Aim.at_most(f"{command}: off its rate", abs(each.rate / _RATE - 1) * 100, 5, "%")
            for command, each in held.items()
        ],
    )


def _count(folder: Path, data: str, command: str, operations: frozenset[str]) -> _Held:
    """Run a command against a target, and return what that counted of some operations."""
    notes = folder / f"{data}.notes"
    with _target(folder, data, notes) as url:
        run_command([*perfkit_command(), *command.split(), "--target", url, "--yes"], folder)
    calls = []
    for line in notes.read_text(encoding="ascii").splitlines():
        begun_s, operation, units = line.split()
        if operation in operations:
            calls.append((float(begun_s), float(units)))
    return _Held.of(sorted(calls))


@contextmanager
def _target(folder: Path, data: str, notes: Path) -> Iterator[str]:
    """Serve a data file in a process of its own, and give its address."""
    # from where this package is, whatever the folder
    command = [sys.executable, "-m", "benchmarks.counting", str(folder / data), str(notes)]
    root = Path(__file__).parent.parent
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
