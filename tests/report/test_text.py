"""Whole reports as people see them: piped, at a terminal, narrow and wide."""
# ruff: noqa: RUF001 - the signs that reports print

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from inline_snapshot import snapshot
from rich.console import Console

from perfkit.report import plain, terminal
from perfkit.report.build import build_report
from perfkit.report.model import (
    Column,
    Kind,
    Marked,
    Report,
    Statement,
    Statements,
    Table,
    Tone,
)
from perfkit.runs import Run, RunStore

RUNS = RunStore(Path(__file__).parent / "runs")

INDEXES = Table(
    name="indexes",
    title="Indexes",
    columns=(
        Column(key="index", title="index", label=True),
        Column(key="state", title="state"),
        Column(key="items", title="items", kind=Kind.COUNT),
    ),
    rows=(
        {
            "index": "by_[red]user[/red]",
            "state": Marked(value="ACTIVE", tone=Tone.GOOD),
            "items": 5,
        },
        {"index": "evil\x1b[31m", "state": "CREATING", "items": None},
    ),
)


def runs(*scenarios: str) -> list[Run]:
    return [run for run in RUNS.list().runs if not scenarios or run.scenario in scenarios]


def at_terminal(report: Report, width: int) -> str:
    """Return what a terminal without colours shows, without the blanks at the ends of lines."""
    console = Console(file=io.StringIO(), force_terminal=True, no_color=True, width=width)
    terminal.print_report(report, console)
    assert isinstance(console.file, io.StringIO)
    return without_styles(console.file.getvalue())


def without_styles(text: str) -> str:
    """Return text without the bold and dim that are left when colours are off."""
    plain_text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return "\n".join(line.rstrip() for line in plain_text.split("\n"))


def test_a_scenario_of_120_columns_shows_each_table_whole() -> None:
    report = build_report(runs("courses"))

    text = plain.render_report(report)

    assert text == snapshot("""\
perfkit report: workload courses, target embedded
=================================================

Warnings
--------

courses: other programs used 21% of this machine's CPU time; close them and measure again

Findings
--------

Today courses reads 10,000 items for 1,250 RCU by scan.
It could be less: courses reads 50 items for 6.5 RCU by query, 192× fewer read units.
To get there takes 1 index (CoursesBySemester).
Doubtful: courses: other programs used 21% of this machine's CPU time; close them and measure again; latencies are the
  embedded engine's, without network or AWS; 1 of 3 comparisons show no significant difference.

courses
-------

Courses of a semester and department (semester 1, department CS).
2026-01-01 10:00 UTC, target embedded, run 20260101T100000Z-courses-0a1b2c

One call of each variant¹
                  reads                               RCU            latency
variant        requests   items  returned  wasted  billed  ≈strong²     p50³      p95      p99     mean  client CPU⁴
--------------------------------------------------------------------------------------------------------------------
scan                 10  10,000        50   99.5%   1,250     2,500   487 ms   536 ms        –   502 ms       478 ms
scan-filtered        10  10,000        50   99.5%   1,250     2,500   151 ms   166 ms        –   156 ms       146 ms
scan-parallel        12  10,000        50   99.5%   1,250     2,500   147 ms   162 ms        –   152 ms       151 ms
query                 1      50        50      0%     6.5        13  2.14 ms  2.35 ms  2.57 ms  2.20 ms      2.08 ms

Compared with scan⁵
variant        latency                                       RCU
-------------------------------------------------------------------------
scan-filtered  3.23× faster (95% CI 3.14–3.31)               the same
scan-parallel  no significant difference (95% CI 0.97–1.07)  the same
query          228× faster (95% CI 216–241)                  192× cheaper

Beside the quoted figures (scan before, query after; measured latency: p50)
                   latency                       RCU                  wasted items
figures            before³    after  faster⁶  before  after  cheaper        before  after
-----------------------------------------------------------------------------------------
measured            487 ms  2.14 ms     228×   1,250    6.5     192×         9,950      0
strong, modelled²        –        –        –   2,500     13     192×             –      –
quoted⁷             4.80 s  50.0 ms      96×   2,500     13     192×         9,950      0

1 older run is kept; --all lists what was measured when.

Machine and versions
--------------------

fact        value
---------------------------------
perfkit     0.1.0
cpu         Example CPU @ 2.50GHz
cores       2
memory      7.8 GiB
os          Linux 6.1.0 x86_64
python      CPython 3.11.9
boto3       1.44.5
botocore    1.44.5
sqlite      3.40.1
min time    1 s
rounds      12
others cpu  3%

≈ marks figures modelled by a formula; all others are measured, unless their row says otherwise.
¹ No percentile where there were too few calls for one to lie above it.
² If every read were strongly consistent: one unit for each 4 KB. Eventually consistent reads, which perfkit makes as
  DynamoDB does by default, are billed half, and a global index has no others.
³ Measured through boto3 against the embedded engine on this machine: engine latencies, with no network and no AWS in
  them.
⁴ Processor time of the calling process for one call: boto3, and for the embedded target the engine itself.
⁵ Each interval holds with 95% for itself; they are not corrected for their number (Bonferroni), so of twenty about one
  misses.
⁶ The middle of the ratios of all rounds, with its interval in the pattern's own table; not the quotient of the two
  medians.
⁷ Quoted from: reference architecture. It counts RCU as if every read were strongly consistent.
""")


def test_a_scenario_of_80_columns_is_cut_between_reads_and_latency() -> None:
    text = plain.render_report(build_report(runs("courses")), 80)

    assert text[text.index("One call") : text.index("Compared with scan")] == snapshot("""\
One call of each variant¹
                  reads                               RCU
variant        requests   items  returned  wasted  billed  ≈strong²
-------------------------------------------------------------------
scan                 10  10,000        50   99.5%   1,250     2,500
scan-filtered        10  10,000        50   99.5%   1,250     2,500
scan-parallel        12  10,000        50   99.5%   1,250     2,500
query                 1      50        50      0%     6.5        13

               latency
variant           p50³      p95      p99     mean  client CPU⁴
--------------------------------------------------------------
scan            487 ms   536 ms        –   502 ms       478 ms
scan-filtered   151 ms   166 ms        –   156 ms       146 ms
scan-parallel   147 ms   162 ms        –   152 ms       151 ms
query          2.14 ms  2.35 ms  2.57 ms  2.20 ms      2.08 ms

""")


def test_a_terminal_shows_the_same_with_lines_and_bars() -> None:
    report = build_report(runs("courses", "profile"))

    text = at_terminal(report, 80)

    assert text == snapshot("""\
perfkit report: workload courses, target embedded

Warnings ───────────────────────────────────────────────────────────────────────
courses: other programs used 21% of this machine's CPU time; close them and
  measure again

Findings ───────────────────────────────────────────────────────────────────────
Today courses reads 10,000 items for 1,250 RCU by scan.
It could be less (2 of 2 patterns have a better variant): profile reads 1 item
  for 0.5 RCU by get, 1,250× fewer read units.
To get there takes 1 index (CoursesBySemester), and reads by key for profile.

                     today          after             gain
pattern  by            RCU  median    RCU   median     RCU  time  wasted
────────────────────────────────────────────────────────────────────────
courses  scan→query  1,250  487 ms    6.5  2.14 ms    192×  228×   99.5%
         quoted¹     2,500  4.80 s     13  50.0 ms    192×   96×   99.5%
profile  scan→get      625  241 ms    0.5   612 µs  1,250×  394×  99.98%

Doubtful: courses: other programs used 21% of this machine's CPU time; close
  them and measure again; latencies are the embedded engine's, without network
  or AWS; 2 of 6 comparisons show no significant difference.

Summary ────────────────────────────────────────────────────────────────────────
One call of each pattern, before and after (measured latency: p50)
                            latency                       RCU
pattern  figures            before²    after  faster³  before  after  cheaper
─────────────────────────────────────────────────────────────────────────────
courses  measured            487 ms  2.14 ms     228×   1,250    6.5     192×
         strong, modelled⁴        –        –        –   2,500     13     192×
         quoted⁵             4.80 s  50.0 ms      96×   2,500     13     192×
profile  measured            241 ms   612 µs     394×     625    0.5   1,250×

                   wasted items
pattern  figures         before  after
──────────────────────────────────────
courses  measured         9,950      0
         quoted⁵          9,950      0
profile  measured         4,999      0

RCU a call (logarithmic scale, 0.1 to 10,000)
courses  scan   ███████████████████████████████████████████████▌ 1,250
         query  █████████████████████ 6.5
profile  scan   ████████████████████████████████████████████ 625
         get    ████████▏ 0.5

Latency of a call, p50 (logarithmic scale, 100 µs to 1.00 s)
courses  scan   ███████████████████████████████████████████████████▋ 487 ms
         query  ██████████████████▋ 2.14 ms
profile  scan   ███████████████████████████████████████████████▍ 241 ms
         get    ███████████ 612 µs

courses ────────────────────────────────────────────────────────────────────────
Courses of a semester and department (semester 1, department CS).
2026-01-01 10:00 UTC, target embedded, run 20260101T100000Z-courses-0a1b2c

One call of each variant⁶
                  reads                               RCU
variant        requests   items  returned  wasted  billed  ≈strong⁴
───────────────────────────────────────────────────────────────────
scan                 10  10,000        50   99.5%   1,250     2,500
scan-filtered        10  10,000        50   99.5%   1,250     2,500
scan-parallel        12  10,000        50   99.5%   1,250     2,500
query                 1      50        50      0%     6.5        13

               latency
variant           p50²      p95      p99     mean  client CPU⁷
──────────────────────────────────────────────────────────────
scan            487 ms   536 ms        –   502 ms       478 ms
scan-filtered   151 ms   166 ms        –   156 ms       146 ms
scan-parallel   147 ms   162 ms        –   152 ms       151 ms
query          2.14 ms  2.35 ms  2.57 ms  2.20 ms      2.08 ms

Compared with scan⁸
variant        latency                                       RCU
─────────────────────────────────────────────────────────────────────────
scan-filtered  3.23× faster (95% CI 3.14–3.31)               the same
scan-parallel  no significant difference (95% CI 0.97–1.07)  the same
query          228× faster (95% CI 216–241)                  192× cheaper

Beside the quoted figures (scan before, query after; measured latency: p50)
                   latency                       RCU
figures            before²    after  faster³  before  after  cheaper
────────────────────────────────────────────────────────────────────
measured            487 ms  2.14 ms     228×   1,250    6.5     192×
strong, modelled⁴        –        –        –   2,500     13     192×
quoted⁵             4.80 s  50.0 ms      96×   2,500     13     192×

          wasted items
figures         before  after
─────────────────────────────
measured         9,950      0
quoted⁵          9,950      0

profile ────────────────────────────────────────────────────────────────────────
A user by key (user student123).
2026-01-01 10:00 UTC, target embedded, run 20260101T100020Z-profile-0a1b2c

One call of each variant⁶
                  reads                              RCU
variant        requests  items  returned  wasted  billed  ≈strong⁴
──────────────────────────────────────────────────────────────────
scan                  5  5,000         1  99.98%     625     1,250
scan-filtered         5  5,000         1  99.98%     625     1,250
scan-parallel         7  5,000         1  99.98%     625     1,250
get                   1      1         1      0%     0.5         1

               latency
variant           p50²      p95     p99     mean  client CPU⁷
─────────────────────────────────────────────────────────────
scan            241 ms   265 ms       –   248 ms       236 ms
scan-filtered  74.7 ms  82.2 ms       –  77.0 ms      72.3 ms
scan-parallel  72.8 ms  80.1 ms       –  75.0 ms      74.7 ms
get             612 µs   673 µs  734 µs   630 µs       594 µs

Compared with scan⁸
variant        latency                                       RCU
───────────────────────────────────────────────────────────────────────────
scan-filtered  3.23× faster (95% CI 3.14–3.31)               the same
scan-parallel  no significant difference (95% CI 0.97–1.07)  the same
get            394× faster (95% CI 374–418)                  1,250× cheaper

1 older run is kept; --all lists what was measured when.

Machine and versions ───────────────────────────────────────────────────────────
fact        value
─────────────────────────────────
perfkit     0.1.0
cpu         Example CPU @ 2.50GHz
cores       2
memory      7.8 GiB
os          Linux 6.1.0 x86_64
python      CPython 3.11.9
boto3       1.44.5
botocore    1.44.5
sqlite      3.40.1
min time    1 s
rounds      12
others cpu  3%

≈ marks figures modelled by a formula; all others are measured, unless their
  row says otherwise.
¹ Quoted from: reference architecture, which counts strongly consistent reads:
  twice the units.
² Measured through boto3 against the embedded engine on this machine: engine
  latencies, with no network and no AWS in them.
³ The middle of the ratios of all rounds, with its interval in the pattern's
  own table; not the quotient of the two medians.
⁴ If every read were strongly consistent: one unit for each 4 KB. Eventually
  consistent reads, which perfkit makes as DynamoDB does by default, are billed
  half, and a global index has no others.
⁵ Quoted from: reference architecture. It counts RCU as if every read were
  strongly consistent.
⁶ No percentile where there were too few calls for one to lie above it.
⁷ Processor time of the calling process for one call: boto3, and for the
  embedded target the engine itself.
⁸ Each interval holds with 95% for itself; they are not corrected for their
  number (Bonferroni), so of twenty about one misses.
""")


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_nothing_is_wider_than_the_terminal(width: int) -> None:
    report = build_report(runs(), list_older=True)

    lines = (plain.render_report(report, width) + at_terminal(report, width)).splitlines()

    assert max(map(len, lines)) <= width


def test_titles_are_as_wide_as_the_terminal_too() -> None:
    title = "a title of many words " * 6
    blocks = (
        Table(
            name="table",
            title=title,
            columns=(Column(key="a", title="a", label=True),),
            rows=({"a": "b"},),
        ),
        Statements(name="statements", title=title, statements=(Statement(text="b"),)),
    )

    lines = plain.render_blocks(blocks, 80).splitlines()

    assert max(map(len, lines)) <= 80
    assert " ".join(lines).split() == [*title.split(), "a", "-", "b", *title.split(), "b"]


def test_without_an_index_the_scans_are_shown_and_what_to_do_next() -> None:
    (_, before_index) = runs("courses")

    text = plain.render_report(build_report([before_index]), 100)

    assert text == snapshot("""\
perfkit report: workload courses, target embedded
=================================================

Findings
--------

Today courses reads 10,000 items for 1,250 RCU by scan.
No access pattern measured here has a variant that reads less yet.
Doubtful: latencies are the embedded engine's, without network or AWS; 1 of 2 comparisons show no
  significant difference.

courses
-------

Courses of a semester and department (semester 1, department CS).
2026-01-01 09:00 UTC, target embedded, run 20260101T090000Z-courses-0d0e0f

One call of each variant¹
                  reads                               RCU            latency
variant        requests   items  returned  wasted  billed  ≈strong²     p50³     p95    mean
--------------------------------------------------------------------------------------------
scan                 10  10,000        50   99.5%   1,250     2,500   487 ms  536 ms  502 ms
scan-filtered        10  10,000        50   99.5%   1,250     2,500   151 ms  166 ms  156 ms
scan-parallel        12  10,000        50   99.5%   1,250     2,500   147 ms  162 ms  152 ms

variant        client CPU⁴
--------------------------
scan                478 ms
scan-filtered       146 ms
scan-parallel       151 ms

Compared with scan⁵
variant        latency                                       RCU
---------------------------------------------------------------------
scan-filtered  3.23× faster (95% CI 3.14–3.31)               the same
scan-parallel  no significant difference (95% CI 0.97–1.07)  the same

Beside the quoted figures (scan before; measured latency: p50)
                   latency                       RCU                  wasted items
figures            before³    after  faster⁶  before  after  cheaper        before  after
-----------------------------------------------------------------------------------------
measured            487 ms        –        –   1,250      –        –         9,950      –
strong, modelled²        –        –        –   2,500      –        –             –      –
quoted⁷             4.80 s  50.0 ms      96×   2,500     13     192×         9,950      0

Machine and versions
--------------------

fact        value
---------------------------------
perfkit     0.1.0
cpu         Example CPU @ 2.50GHz
cores       2
memory      7.8 GiB
os          Linux 6.1.0 x86_64
python      CPython 3.11.9
boto3       1.44.5
botocore    1.44.5
sqlite      3.40.1
min time    1 s
rounds      12
others cpu  3%

Next
----

no index CoursesBySemester on Courses: run `perfkit create-indexes`, then measure again

≈ marks figures modelled by a formula; all others are measured, unless their row says otherwise.
¹ No percentile where there were too few calls for one to lie above it.
² If every read were strongly consistent: one unit for each 4 KB. Eventually consistent reads, which
  perfkit makes as DynamoDB does by default, are billed half, and a global index has no others.
³ Measured through boto3 against the embedded engine on this machine: engine latencies, with no
  network and no AWS in them.
⁴ Processor time of the calling process for one call: boto3, and for the embedded target the engine
  itself.
⁵ Each interval holds with 95% for itself; they are not corrected for their number (Bonferroni), so
  of twenty about one misses.
⁶ The middle of the ratios of all rounds, with its interval in the pattern's own table; not the
  quotient of the two medians.
⁷ Quoted from: reference architecture. It counts RCU as if every read were strongly consistent.
""")


def test_older_runs_are_listed_on_request() -> None:
    report = build_report(runs("courses"), list_older=True)

    (section,) = (each for each in report.sections if each.name == "older-runs")

    assert plain.render_report(replace(report, title="", sections=(section,))) == snapshot("""\
Older runs
----------

                                                           latency p50     RCU
scenario  started (UTC)                workload  target         before  before  run
---------------------------------------------------------------------------------------------------------------
courses   2026-01-01T09:00:00.000000Z  courses   embedded       487 ms   1,250  20260101T090000Z-courses-0d0e0f

All figures are measured, unless their row says otherwise.
""")


def test_runs_of_two_targets_are_never_summed_up_together() -> None:
    elsewhere = [
        replace(
            run, target={"kind": "endpoint", "region": "us-east-1", "endpoint": "http://x:8000"}
        )
        for run in runs("courses", "profile")
    ]
    report = build_report([*runs("courses", "profile"), *elsewhere])

    titles = [section.title for section in report.sections if section.name == "summary"]

    assert titles == snapshot(
        [
            "Summary (workload courses, target embedded)",
            "Summary (workload courses, target endpoint http://x:8000 us-east-1)",
        ]
    )


def test_piped_output_has_no_styles_and_a_width_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    report = build_report(runs())

    terminal.print_report(report)

    assert capsys.readouterr().out == plain.render_report(report, 120)


def test_piped_output_obeys_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    report = build_report(runs())

    terminal.print_report(report)

    assert capsys.readouterr().out == plain.render_report(report, 80)


def test_a_terminal_gets_colours_unless_no_color_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def print_indexes() -> str:
        console = Console(file=io.StringIO(), force_terminal=True, width=80)
        terminal.print_table(INDEXES, console)
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[32mACTIVE" in print_indexes()

    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[32m" not in print_indexes()


def test_names_are_no_markup_and_no_terminal_codes() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, no_color=True, width=80)

    terminal.print_blocks(
        (INDEXES, Statements(name="next", statements=(Statement(text="[bold]x", note="[b]"),))),
        console,
    )

    assert isinstance(console.file, io.StringIO)
    assert without_styles(console.file.getvalue()) == snapshot("""\
Indexes
index               state     items
───────────────────────────────────
by_[red]user[/red]  ACTIVE        5
evil\\x1b[31m        CREATING      –

[bold]x¹
¹ [b]
""")


def test_output_that_knows_no_multiplication_sign_is_no_error() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")

    terminal.print_report(build_report(runs("courses")), terminal.make_console(file))

    file.flush()
    assert isinstance(file.buffer, io.BytesIO)
    assert b"228? faster" in file.buffer.getvalue()
