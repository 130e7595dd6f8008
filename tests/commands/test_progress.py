"""What is shown of how far things are: bars that move at a terminal, lines where there is none."""

import os
import pty
import re
import select
import subprocess
import sys

import pytest
from inline_snapshot import snapshot

from perfkit.commands.progress import _EVERY_S, _Lines

SLOW_CALL = """
import sys
from perfkit.commands.progress import bars

with bars(unit="") as shown:
    shown.add("scenarios", 1)
    shown.label("scenarios", "courses: checking scan")
    sys.stdin.readline()
"""


def test_each_step_has_a_line_and_a_long_one_another_every_half_minute() -> None:
    now_s = [0.0]
    written: list[str] = []
    lines = _Lines(written.append, lambda: now_s[0])

    lines.add("scenarios", 2)
    lines.label("scenarios", "courses: checking scan", step="Measuring courses (1 of 2)")
    lines.label("scenarios", "courses: measuring scan", step="Measuring courses (1 of 2)")
    for _ in range(70):
        now_s[0] += 1
        lines.tick()
    lines.reach("scenarios", 0.5, 2)
    now_s[0] += 20
    lines.tick()
    lines.label("scenarios", "profile: checking scan", step="Measuring profile (2 of 2)")
    now_s[0] += _EVERY_S - 1
    lines.tick()

    assert written == snapshot(
        [
            "Measuring courses (1 of 2)",
            "courses: measuring scan, 0%, after 30 s",
            "courses: measuring scan, 0%, after 1 min 00 s",
            "courses: measuring scan, 25%, after 1 min 30 s",
            "Measuring profile (2 of 2)",
        ]
    )


def test_each_step_of_things_side_by_side_has_one_line() -> None:
    written: list[str] = []
    lines = _Lines(written.append, lambda: 0.0)

    for step in ("CREATING", "CREATING", "ACTIVE"):
        for name in ("ByCustomer", "ByTotal"):
            lines.label(name, f"{name}: {step}")

    assert written == [
        "ByCustomer: CREATING",
        "ByTotal: CREATING",
        "ByCustomer: ACTIVE",
        "ByTotal: ACTIVE",
    ]


@pytest.mark.processes
def test_a_bar_shows_the_time_elapsed_while_one_call_goes_on() -> None:
    """The call ends when two seconds are shown, or the test fails after a minute."""
    terminal, inner = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", SLOW_CALL],
        stdin=subprocess.PIPE,
        stderr=inner,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    ) as process:
        shown = b""
        # a second may be left out on a busy machine
        while (
            not (two := re.search(rb"0:00:(0[2-9]|[1-5]\d)", shown))
            and select.select([terminal], [], [], 60)[0]
        ):
            shown += os.read(terminal, 4096)
        process.communicate(b"\n")
    os.close(terminal)
    os.close(inner)

    assert process.returncode == 0
    assert b"courses: checking scan" in shown
    assert two
