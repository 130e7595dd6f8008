"""Reports for files and machines: Markdown, JSON, CSV, and text that means nothing to any of them."""
# ruff: noqa: RUF001 - the signs that reports print

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from perfkit.report import csv_tables, markdown, plain
from perfkit.report.build import build_report
from perfkit.report.json_document import _table_document, report_document, write_document
from perfkit.report.model import (
    Column,
    Kind,
    Marked,
    Provenance,
    Report,
    Section,
    Statement,
    Statements,
    Table,
    Tone,
)
from perfkit.runs import Run, RunStore

RUNS = RunStore(Path(__file__).parent / "runs")


def runs(*scenarios: str) -> list[Run]:
    return [run for run in RUNS.list().runs if run.scenario in scenarios]


def saying(*texts: str, tone: Tone = Tone.PLAIN) -> Report:
    statements = tuple(Statement(text=text, tone=tone) for text in texts)
    block = Statements(name="s", statements=statements)
    return Report(title="", sections=(Section(name="s", title="", blocks=(block,)),))


def sentences(report: Report) -> list[str]:
    return markdown.render_report(report).split("\n\n")[0].split("\n")


def named(name: str) -> Report:
    """Return the report of one run whose scenario and variants have a strange name."""
    run = runs("courses")[0]
    variants = tuple(replace(each, name=f"{name}{each.name}") for each in run.variants)
    return build_report([replace(run, scenario=name, variants=variants, comparisons=())])


def test_markdown_has_a_heading_a_table_and_a_footnote_for_everything() -> None:
    report = build_report(runs("courses"))

    assert markdown.render_report(report) == snapshot("""\
# perfkit report: workload courses, target embedded

## Warnings

- courses: other programs used 21% of this machine's CPU time; close them and measure again

## Findings

- Today courses reads 10,000 items for 1,250 RCU by scan.
- It could be less: courses reads 50 items for 6.5 RCU by query, 192× fewer read units.
- To get there takes 1 index (CoursesBySemester).
- Doubtful: courses: other programs used 21% of this machine's CPU time; close them and measure again; latencies are the embedded engine's, without network or AWS; 1 of 3 comparisons show no significant difference.

## courses

- Courses of a semester and department (semester 1, department CS).
- 2026-01-01 10:00 UTC, target embedded, run 20260101T100000Z-courses-0a1b2c

### One call of each variant¹

| variant       |   reads requests |   reads items |   reads returned |   reads wasted |   RCU billed |   RCU ≈strong² |   latency p50³ |   latency p95 |   latency p99 |   latency mean |   client CPU⁴ |
|:--------------|-----------------:|--------------:|-----------------:|---------------:|-------------:|---------------:|---------------:|--------------:|--------------:|---------------:|--------------:|
| scan          |               10 |        10,000 |               50 |          99.5% |        1,250 |          2,500 |         487 ms |        536 ms |             – |         502 ms |        478 ms |
| scan-filtered |               10 |        10,000 |               50 |          99.5% |        1,250 |          2,500 |         151 ms |        166 ms |             – |         156 ms |        146 ms |
| scan-parallel |               12 |        10,000 |               50 |          99.5% |        1,250 |          2,500 |         147 ms |        162 ms |             – |         152 ms |        151 ms |
| query         |                1 |            50 |               50 |             0% |          6.5 |             13 |        2.14 ms |       2.35 ms |       2.57 ms |        2.20 ms |       2.08 ms |

### Compared with scan⁵

| variant       | latency                                      | RCU          |
|:--------------|:---------------------------------------------|:-------------|
| scan-filtered | 3.23× faster (95% CI 3.14–3.31)              | the same     |
| scan-parallel | no significant difference (95% CI 0.97–1.07) | the same     |
| query         | 228× faster (95% CI 216–241)                 | 192× cheaper |

### Beside the quoted figures (scan before, query after; measured latency: p50)

| figures           |   latency before³ |   latency after |   latency faster⁶ |   RCU before |   RCU after |   RCU cheaper |   wasted items before |   wasted items after |
|:------------------|------------------:|----------------:|------------------:|-------------:|------------:|--------------:|----------------------:|---------------------:|
| measured          |            487 ms |         2.14 ms |              228× |        1,250 |         6.5 |          192× |                 9,950 |                    0 |
| strong, modelled² |                 – |               – |                 – |        2,500 |          13 |          192× |                     – |                    – |
| quoted⁷           |            4.80 s |         50.0 ms |               96× |        2,500 |          13 |          192× |                 9,950 |                    0 |

- 1 older run is kept; --all lists what was measured when.

## Machine and versions

| fact       | value                 |
|:-----------|:----------------------|
| perfkit    | 0.1.0                 |
| cpu        | Example CPU @ 2.50GHz |
| cores      | 2                     |
| memory     | 7.8 GiB               |
| os         | Linux 6.1.0 x86\\_64   |
| python     | CPython 3.11.9        |
| boto3      | 1.44.5                |
| botocore   | 1.44.5                |
| sqlite     | 3.40.1                |
| min time   | 1 s                   |
| rounds     | 12                    |
| others cpu | 3%                    |

- ≈ marks figures modelled by a formula; all others are measured, unless their row says otherwise.
- ¹ No percentile where there were too few calls for one to lie above it.
- ² If every read were strongly consistent: one unit for each 4 KB. Eventually consistent reads, which perfkit makes as DynamoDB does by default, are billed half, and a global index has no others.
- ³ Measured through boto3 against the embedded engine on this machine: engine latencies, with no network and no AWS in them.
- ⁴ Processor time of the calling process for one call: boto3, and for the embedded target the engine itself.
- ⁵ Each interval holds with 95% for itself; they are not corrected for their number (Bonferroni), so of twenty about one misses.
- ⁶ The middle of the ratios of all rounds, with its interval in the pattern's own table; not the quotient of the two medians.
- ⁷ Quoted from: reference architecture. It counts RCU as if every read were strongly consistent.
""")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        pytest.param("<script>", r"- \<script\>", id="html"),
        pytest.param("a|b", r"- a\|b", id="a column line"),
        pytest.param("*a* _b_ ~c~", r"- \*a\* \_b\_ \~c\~", id="emphasis"),
        pytest.param("[a](b)", r"- \[a\](b)", id="a link"),
        pytest.param("# a", r"- \# a", id="a heading"),
        pytest.param("- a", r"- \- a", id="a list"),
        pytest.param("1. a", r"- 1\. a", id="a numbered list"),
        pytest.param("2.14 ms", "- 2.14 ms", id="a number stays"),
        pytest.param("a\n\nb", r"- a\\n\\nb", id="line feeds"),
        pytest.param("&lt;", "- &amp;lt;", id="an entity"),
        pytest.param("run `perfkit *`", "- run `perfkit *`", id="code stays code"),
        pytest.param("a ` b", r"- a \` b", id="half a code"),
    ],
)
def test_markdown_escapes_what_would_be_markup(text: str, written: str) -> None:
    assert sentences(saying(text)) == [written]


def test_markdown_sets_commands_as_code_that_they_cannot_end() -> None:
    report = saying("perfkit bench", "echo ```", tone=Tone.COMMAND)

    assert sentences(report) == ["````text", "perfkit bench", "echo ```", "````"]


@pytest.mark.parametrize("name", ["<script>", "a|b", "a\nb", "[red]x", "=cmd()", "`", "x" * 200])
def test_strange_names_leave_every_markdown_table_whole(name: str) -> None:
    text = markdown.render_report(named(name))

    tables = [part.split("\n") for part in text.split("\n\n") if part.startswith("|")]
    assert len(tables) >= 2
    for lines in tables:
        columns = {line.replace(r"\|", "").count("|") for line in lines}
        assert len(columns) == 1
    assert "<script>" not in text


def test_a_name_of_several_lines_stays_on_one_in_text() -> None:
    text = plain.render_report(named("a\nb"), 80)

    assert r"a\nbscan " in text


def test_json_keeps_raw_figures_and_the_runs_behind_them() -> None:
    report = build_report(runs("courses"))

    document = json.loads(write_document(report_document(report)))

    assert (document["format"], document["kind"]) == (1, "report")
    assert [section["name"] for section in document["sections"]] == snapshot(
        ["warnings", "findings", "access-pattern", "older-runs", "machine"]
    )
    assert [run["id"] for run in document["runs"]] == ["20260101T100000Z-courses-0a1b2c"]
    (variants,) = (
        block
        for section in document["sections"]
        for block in section["blocks"]
        if block["name"] == "variants"
    )
    assert variants["rows"][3] == snapshot(
        {
            "variant": "query",
            "operation": "Query",
            "index": "CoursesBySemester",
            "consistency": "eventual",
            "concurrency": 1,
            "requests": 1.0,
            "items_read": 50,
            "items_returned": 50,
            "wasted_share": 0.0,
            "items_received": 50,
            "bytes_read": 51200,
            "capacity_units": 6.5,
            "capacity_units_strong": 13.0,
            "capacity_source": "embedded",
            "capacity_strong_source": "modelled",
            "p50_s": 0.00214,
            "p95_s": 0.002354,
            "p99_s": 0.002568,
            "mean_s": 0.0022042,
            "client_cpu_s": 0.0020758,
            "max_s": 0.002782,
            "calls": 1200,
            "errors": 0,
            "retries": 0,
        }
    )


def test_json_says_where_figures_come_from_and_keeps_footnotes_apart() -> None:
    table = Table(
        name="t",
        title="T",
        columns=(
            Column(key="name", title="name", label=True),
            Column(
                key="rcu",
                title="strong",
                group="RCU",
                kind=Kind.CAPACITY,
                provenance=Provenance.MODELLED,
                note="Twice the billed.",
            ),
        ),
        rows=({"name": Marked(value="a", note="A name."), "rcu": 13.0}, {"name": "b"}),
        notes=("All of it.",),
    )

    assert _table_document(table) == snapshot(
        {
            "block": "table",
            "name": "t",
            "title": "T",
            "columns": [
                {
                    "key": "name",
                    "title": "name",
                    "kind": Kind.TEXT,
                    "provenance": Provenance.MEASURED,
                },
                {
                    "key": "rcu",
                    "title": "RCU strong",
                    "kind": Kind.CAPACITY,
                    "provenance": Provenance.MODELLED,
                },
            ],
            "rows": [{"name": "a", "rcu": 13.0}, {"name": "b", "rcu": None}],
            "footnotes": [
                {"row": None, "column": None, "text": "All of it."},
                {"row": None, "column": "rcu", "text": "Twice the billed."},
                {"row": 0, "column": "name", "text": "A name."},
            ],
        }
    )


def test_json_is_ascii_whatever_a_name_holds() -> None:
    text = write_document(report_document(saying("日本 \ud800 ×")))

    assert text.isascii()
    statements = json.loads(text)["sections"][0]["blocks"][0]["statements"]
    assert statements[0]["text"] == "日本 \ud800 ×"


def test_csv_has_one_text_for_each_kind_of_table_the_main_one_first() -> None:
    texts = csv_tables.render_tables(build_report(runs("courses", "profile")))

    assert list(texts) == snapshot(
        ["variants", "answer", "summary", "comparisons", "beside-quoted", "machine"]
    )
    assert texts["comparisons"] == snapshot("""\
scenario,workload,target,started_at,run,candidate,baseline,latency,capacity,latency_ratio,latency_ratio_low,latency_ratio_high,significant,capacity_ratio,results_equal
courses,courses,embedded,2026-01-01T10:00:00.000000Z,20260101T100000Z-courses-0a1b2c,scan-filtered,scan,3.23× faster (95% CI 3.14–3.31),the same,3.2258,3.1402,3.3107,true,1.0,true
courses,courses,embedded,2026-01-01T10:00:00.000000Z,20260101T100000Z-courses-0a1b2c,scan-parallel,scan,no significant difference (95% CI 0.97–1.07),the same,1.0213,0.9714,1.0702,false,1.0,true
courses,courses,embedded,2026-01-01T10:00:00.000000Z,20260101T100000Z-courses-0a1b2c,query,scan,228× faster (95% CI 216–241),192× cheaper,227.71,216.325,241.373,true,192.308,true
profile,courses,embedded,2026-01-01T10:00:20.000000Z,20260101T100020Z-profile-0a1b2c,scan-filtered,scan,3.23× faster (95% CI 3.14–3.31),the same,3.2258,3.1402,3.3107,true,1.0,true
profile,courses,embedded,2026-01-01T10:00:20.000000Z,20260101T100020Z-profile-0a1b2c,scan-parallel,scan,no significant difference (95% CI 0.97–1.07),the same,1.0213,0.9714,1.0702,false,1.0,true
profile,courses,embedded,2026-01-01T10:00:20.000000Z,20260101T100020Z-profile-0a1b2c,get,scan,394× faster (95% CI 374–418),"1,250× cheaper",393.954,374.257,417.592,true,1250.0,true
""")


def test_csv_rows_of_all_scenarios_say_of_which_they_are() -> None:
    text, others = csv_tables.main_table(build_report(runs("courses", "profile")))

    records = list(csv.DictReader(io.StringIO(text)))
    assert [(each["scenario"], each["variant"]) for each in records] == snapshot(
        [
            ("courses", "scan"),
            ("courses", "scan-filtered"),
            ("courses", "scan-parallel"),
            ("courses", "query"),
            ("profile", "scan"),
            ("profile", "scan-filtered"),
            ("profile", "scan-parallel"),
            ("profile", "get"),
        ]
    )
    assert records[3]["capacity_units"] == "6.5"
    assert others == snapshot(("answer", "summary", "comparisons", "beside-quoted", "machine"))


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        pytest.param("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0", id="a formula"),
        pytest.param("+1", "'+1", id="plus"),
        pytest.param("@x", "'@x", id="at"),
        pytest.param('a,"b"', 'a,"b"', id="comma and quotes"),
        pytest.param("a\r\nb", r"a\r\nb", id="line feeds"),
    ],
)
def test_csv_cells_are_text_to_a_spreadsheet(name: str, cell: str) -> None:
    text, _ = csv_tables.main_table(named(name))

    assert {each["scenario"] for each in csv.DictReader(io.StringIO(text))} == {cell}


def test_negative_numbers_are_no_formulas() -> None:
    table = Table(
        name="t",
        title="",
        columns=(Column(key="change", title="change", kind=Kind.COUNT),),
        rows=({"change": -5},),
    )
    section = Section(name="s", title="", blocks=(table,))

    assert csv_tables.main_table(Report(title="", sections=(section,)))[0] == "change\n-5\n"
