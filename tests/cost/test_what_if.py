"""`perfkit cost what-if`: what may be set, what it changes, and what is said of wrong settings."""
# ruff: noqa: RUF001, RUF002, RUF003 - the signs that reports print

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot
from typer.testing import CliRunner

from perfkit.cli import app
from perfkit.cost.architecture_file import _read_architectures
from perfkit.cost.assumptions import Assumptions, as_in_run, read_rps
from perfkit.cost.bill import Bill, Line, Mark, Usage, Use, charge, compare, difference_usd, key_of
from perfkit.cost.demand import State
from perfkit.cost.evidence import Cpu, Evidence, Pattern, Reading, gather
from perfkit.cost.price_file import load_book
from perfkit.cost.prices import Price, PriceBook, Tier
from perfkit.cost.traffic_bill import Case
from perfkit.cost.what_if import SETTINGS, WhatIf, _apply_settings, what_if
from perfkit.errors import ConfigError
from perfkit.report.plain import render_report
from perfkit.report.what_if import what_if_document, what_if_report
from perfkit.runs import CacheFigures, Hour, HourTraffic, Run, RunKind, RunStore, WriteCost
from perfkit.workloads.loader import load

RUNS = Path(__file__).parents[1] / "report" / "runs"
BOOK = load_book("us-east-1")

UNITS = {"insert": 1.0, "update": 1.0, "key-change": 2.0, "delete": 1.0}
TABLE = WriteCost(table="Books", index=None, units=UNITS, entry_bytes=1000.0, items=10**6)
INDEX = replace(TABLE, index="ByShelf", projection="ALL", patterns=("shelf",))
KEYS = replace(
    INDEX,
    units={**UNITS, "update": 0.0},
    projection="KEYS_ONLY",
    entry_bytes=40.0,
    declared=False,
    covers=False,
)
EVIDENCE = Evidence(
    patterns=(
        Pattern(
            name="shelf",
            table="Books",
            before=Reading(variant="scan", index=None, units=1250.0, body_bytes=50_000),
            after=Reading(variant="query", index="ByShelf", units=6.5, body_bytes=50_000),
            items=50,
            has_cache_policy=True,
        ),
    ),
    writes=(TABLE, INDEX, KEYS),
    table_items={},
    cpu=(
        Cpu(name="phase-0", seconds=1.0),
        Cpu(name="phase-3", seconds=0.001),
    ),
    traffic=None,
)
BASELINE = Case(assumptions=Assumptions(hit_rate=0.9))


def differences(answer: WhatIf) -> dict[str, float]:
    found = {key_of(pair): difference_usd(*pair) for pair in answer.pairs}
    return {key: float(usd) for key, usd in found.items() if usd is not None}


def totals(answer: WhatIf) -> tuple[float, float]:
    before, after = answer.bills.totals_usd
    return float(before), float(after)


def ask(*texts: str, baseline: Case = BASELINE) -> dict[str, float]:
    answer = what_if(baseline, texts, EVIDENCE, BOOK)
    return {key: usd for key, usd in differences(answer).items() if usd}


def test_a_time_to_live_that_is_set_holds_for_all_patterns() -> None:
    base = Case(assumptions=Assumptions(ttls={"shelf": 60.0, "other": 300.0, "third": 300.0}))
    setting = SETTINGS["cache.ttl"]

    changed, _ = _apply_settings(base, ["cache.ttl=600"])

    assert setting.read(base) == "300 (shelf 60)"
    assert setting.read(changed) == "600"
    assert changed.assumptions.ttl_of("shelf") == 600


def test_a_bill_adds_up_in_cents_and_so_does_what_changes() -> None:
    """
    Every line half a cent up: 20 × 50,000 × 2,628,000 ÷ 2**30 × 0.09 = 220.2764 is 220.28, half of
    it 110.1382 is 110.14; 2 × 6.5 × 2,628,000 × 0.125 ÷ 10**6 = 4.2705 and half, 2.13525, are 4.27
    and 2.14. So data out falls by 110.14 and reads by 2.13, where exact amounts fall by 2.13525.
    """
    answer = what_if(BASELINE, ["rps=10"], EVIDENCE, BOOK)

    old = {line.key: float(line.usd or 0) for line, _ in answer.pairs if line}
    new = {line.key: float(line.usd or 0) for _, line in answer.pairs if line}
    assert (old["data-out"], new["data-out"]) == (220.28, 110.14)
    assert (old["reads"], new["reads"]) == (4.27, 2.14)
    cents = [sum(round(100 * usd) for usd in lines.values()) for lines in (old, new)]
    assert list(totals(answer)) == [total / 100 for total in cents]
    assert differences(answer)["reads"] == -2.13
    document = what_if_document(answer, BOOK, subject="books")
    assert document["difference"] == (cents[1] - cents[0]) / 100


CENTS = PriceBook(
    region="nowhere",
    prices={
        "cent": Price(
            name="cent",
            unit="dollar",
            tiers=(Tier(start=Decimal(0), end=None, price_usd=Decimal(1)),),
            source="a test",
            date=None,
        )
    },
)


def test_lines_are_rounded_before_they_are_summed() -> None:
    """Three times half a cent is 3 cents on a bill, not 1.5; less than half a cent stays itself."""

    def bill(*usd: str) -> Decimal:
        uses = [Use(price="cent", quantity=Decimal(each)) for each in usd]
        usages = [Usage(key=each.arithmetic, service="", uses=(each,)) for each in uses]
        return Bill(lines=charge(usages, CENTS)).total_usd

    assert bill("0.005", "0.005", "0.005") == Decimal("0.03")
    assert bill("2053.125") == Decimal("2053.13")
    assert bill("0.004", "0.004") == Decimal("0.01")


FREE = replace(
    CENTS,
    prices={"cent": replace(CENTS.prices["cent"], free=Decimal(10))},
)


def test_a_line_that_is_not_priced_uses_up_no_free_allowance() -> None:
    usages = [
        Usage(
            key="lacks a price",
            service="",
            uses=(Use(price="cent", quantity=8), Use(price="unknown", quantity=1)),
        ),
        Usage(
            key="two uses of a price",
            service="",
            uses=(Use(price="cent", quantity=8), Use(price="cent", quantity=3)),
        ),
        Usage(key="the rest", service="", uses=(Use(price="cent", quantity=1),)),
    ]

    lines = charge(usages, FREE, free_tier=True)

    # 11 of 10 that are free, then 1
    assert [line.usd for line in lines] == [None, Decimal("1.00"), Decimal("1.00")]


def test_a_line_without_an_earlier_amount_is_neither_more_nor_less() -> None:
    def bill(**amounts: Decimal | None) -> Bill:
        return Bill(
            lines=tuple(Line(key=key, service=key, usd=usd) for key, usd in amounts.items())
        )

    before = bill(unknown=None, known=Decimal(1))
    after = compare(before, bill(unknown=Decimal(5), known=Decimal(2), new=Decimal(3))).after

    assert after is not None
    assert [line.mark for line in after.lines] == [None, Mark.MORE, Mark.MORE]


# ---- what settings change ------------------------------------------------------------------


def test_every_setting_changes_what_it_says() -> None:
    """Each with a value of its own, and the lines it may move."""
    moved = {
        "rps=200": {"reads", "data-out"},
        "writes=10": {"table-writes", "index-writes"},
        "capacity=provisioned": {"reads", "table-writes", "index-writes"},
        "answers=index": {"reads", "cache"},
        "projection=KEYS_ONLY": {"reads", "index-writes", "index-storage"},
        "cache.hit_rate=0.5": {"reads"},
        "cache.engine=valkey": {"cache"},
        "cache.node=cache.t4g.micro": {"cache"},
        "instance=t4g.micro": {"instances"},
        "free_tier=on": {"table-storage", "index-storage", "data-out"},
    }
    for text, keys in moved.items():
        assert set(ask(text)) == keys, text
    modelled = replace(BASELINE, assumptions=Assumptions())
    for text in ("cache.ttl=600", "cache.keys=10", "cache.skew=2", "cache.invalidations=36000"):
        assert set(ask(text, baseline=modelled)) == {"reads"}, text
    provisioned = _apply_settings(BASELINE, ["capacity=auto-scaling", "rps=1000"])[0]
    assert "reads" in ask("target_utilisation=0.35", baseline=provisioned)
    assert "reads" in ask(
        "peak_ratio=5", baseline=replace(provisioned, mode=BASELINE.mode.PROVISIONED)
    )
    assert set(ask("cpu_target=0.05", baseline=_apply_settings(BASELINE, ["rps=1000"])[0])) == {
        "instances"
    }


def test_settings_read_back_what_was_set() -> None:
    texts = [
        *("rps=200", "writes=2", "peak_ratio=3", "capacity=provisioned", "answers=index"),
        *("target_utilisation=0.5", "projection=KEYS_ONLY", "cache.ttl=600", "cache.keys=5"),
        *("cache.hit_rate=0.5", "cache.skew=1", "cache.invalidations=30", "cache.engine=valkey"),
        *("cache.node=cache.t4g.micro", "instance=t3.nano", "cpu_target=0.5", "free_tier=on"),
    ]

    case, names = _apply_settings(BASELINE, texts)

    assert sorted(names) == sorted(SETTINGS)
    assert [f"{name}={SETTINGS[name].read(case)}" for name in names] == texts


def test_keys_only_saves_writes_and_costs_reads() -> None:
    # reads: 20/s × 10% misses × (0.5 + 50 × 0.5 − 6.5) RRU × 2,628,000 s × $0.125 a million
    # writes: 1/s × 40% updates × 1 unit × 2,628,000 s × $0.625 a million
    # storage: a million × 1,100 and 140 bytes are 1.0245 and 0.1304 GB
    # lines are to cents: 16.75 − 4.27, 1.15 − 1.81 and 0.03 − 0.26
    changed = ask("projection=KEYS_ONLY")

    assert changed == {
        "reads": 12.48,
        "index-writes": -0.66,
        "index-storage": -0.23,
    }


@given(st.floats(0.01, 1e6), st.floats(1.01, 10))
def test_more_requests_never_cost_less(rps: float, times: float) -> None:
    base = _apply_settings(BASELINE, [f"rps={rps!r}"])[0]

    answer = what_if(base, [f"rps={min(rps * times, 1e7)!r}"], EVIDENCE, BOOK)

    before, after = totals(answer)
    assert after >= before


@given(st.text(max_size=30))
def test_whatever_is_set_is_a_setting_or_a_refusal(text: str) -> None:
    try:
        _, names = _apply_settings(BASELINE, [text])
    except ConfigError:
        return
    assert names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("cache.tll=5", "did you mean 'cache.ttl'?", id="nearly a name"),
        pytest.param("rps", "sets nothing; write --set NAME=VALUE", id="no value"),
        pytest.param("rps=", "got ''", id="an empty value"),
        pytest.param("rps=-1", "0 to 10,000,000, got '-1'", id="negative"),
        pytest.param("rps=nan", "got 'nan'", id="no number"),
        pytest.param("rps=inf", "got 'inf'", id="endless"),
        pytest.param("rps=1e308", "got '1e308'", id="absurd"),
        pytest.param("cache.ttl=0", "above 0 to", id="no life"),
        pytest.param("cache.hit_rate=1.1", "0 to 1", id="more hits than requests"),
        pytest.param("cache.keys=1.5", "a whole number", id="half a key"),
        pytest.param("peak_ratio=0.5", "1 to 20", id="a peak below the mean"),
        pytest.param("target_utilisation=0.95", "0.2 to 0.9", id="beyond auto scaling"),
        pytest.param("capacity=provisoned", "did you mean 'provisioned'?", id="nearly a mode"),
        pytest.param("projection=KEYS", "choose from", id="no projection"),
        pytest.param("cache.node=t3.micro", "such as cache.t3.micro", id="no node type"),
    ],
)
def test_wrong_settings_name_the_value_and_the_way_out(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        _apply_settings(BASELINE, [text])

    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_setting_is_set_once() -> None:
    with pytest.raises(ConfigError, match="rps is given twice"):
        _apply_settings(BASELINE, ["rps=1", "rps=2"])


@pytest.mark.parametrize("is_priced_first", [True, False])
def test_a_node_without_a_price_is_in_neither_total(is_priced_first: bool) -> None:
    """What a cache.x9.huge costs nobody knows, so no total may fall by the $12.41 of a t3.micro."""
    unknown = _apply_settings(BASELINE, ["cache.node=cache.x9.huge"])[0]
    baseline, node = (BASELINE, "x9.huge") if is_priced_first else (unknown, "t3.micro")

    answer = what_if(baseline, [f"cache.node=cache.{node}", "rps=40"], EVIDENCE, BOOK)

    # 20/s more × (10% misses × 6.5 RRU × 2,628,000 s × $0.125 a million,
    # and 50,000 B × 2,628,000 s ÷ 2**30 × $0.09)
    # in cents: 8.54 − 4.27 and 440.55 − 220.28
    before, _ = totals(answer)
    assert before == pytest.approx(
        sum(float(line.usd or 0) for line, _ in answer.pairs if line and line.key != "cache")
    )
    (reason,) = answer.bills.reasons
    assert "redis-cache.x9.huge-hour" in reason
    (pair,) = answer.bills.left_out
    assert (key_of(pair), difference_usd(*pair)) == ("cache", None)
    document = what_if_document(answer, BOOK, subject="books")
    assert document["not_in_totals"] == ["cache"]
    assert document["difference"] == 224.54
    assert document["baseline"] == {"total": before}
    text = " ".join(render_report(what_if_report(answer, BOOK, subject="books"), 100).split())
    assert "both totals are of the same lines" in text
    assert "it is in neither total" in text


# ---- traffic -------------------------------------------------------------------------------


def test_rates_come_as_one_or_by_pattern() -> None:
    all_together = read_rps(["30"], Assumptions(weights={"a": 2.0}))
    single = read_rps(["a=5", "b=2.5"], Assumptions())

    assert all_together.reads_hz(["a", "b"]) == {"a": 20.0, "b": 10.0}
    assert single.reads_hz(["a", "b", "c"]) == {"a": 5.0, "b": 2.5, "c": 0.0}
    # another total keeps the shares
    assert single.with_rps(15).reads_hz(["a", "b", "c"]) == {"a": 10.0, "b": 5.0, "c": 0.0}
    with pytest.raises(ConfigError, match="contradict each other"):
        read_rps(["20", "a=5"], Assumptions())
    with pytest.raises(ConfigError, match="'c' that was not measured; choose from a, b"):
        read_rps(["c=1"], Assumptions()).reads_hz(["a", "b"])


def traffic_of(text: str) -> Assumptions:
    found = _read_architectures(text.encode(), source="file").traffic
    assert found is not None
    return found


def test_a_traffic_table_may_count_by_the_month() -> None:
    read = traffic_of(
        """
        [traffic]
        writes_per_s = 0.5
        peak_ratio = 3
        hit_rate = 0.95
        [traffic.monthly]
        a = 2_628_000
        [traffic.patterns]
        b = 4.5
        [traffic.writes]
        Books = 2
        [traffic.mix]
        insert = 1
        """
    )

    assert read.reads_hz(["a", "b"]) == {"a": 1.0, "b": 4.5}
    assert (read.writes_to("Books"), read.writes_to("Other")) == (2.0, 0.5)
    assert (read.peak_ratio, read.hit_rate, read.mix) == (3.0, 0.95, {"insert": 1.0})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rsp = 5", "traffic.rsp: no such key; did you mean 'rps'?"),
        ("rps = -5", "traffic.rps = -5: expected at least 0"),
        ("rps = 1e308", "expected at most 10,000,000"),
        ("rps = nan", "expected a finite number"),
        ("hit_rate = 2", "expected at most 1"),
        ("peak_ratio = 0.5", "peak_ratio must be 1 to 20, got 0.5"),
        ("mix = { insert = 0.5 }", "sum to 0.5; make them sum to 1"),
        (
            "rps = 10\npatterns = { courses = 5 }",
            "traffic.rps = 10: contradicts [traffic.patterns]",
        ),
        ("rps = 10\nmonthly = { courses = 5 }", "traffic.rps = 10: contradicts [traffic.monthly]"),
        (
            "monthly = { courses = 5 }\nweights = { courses = 2 }",
            "traffic.weights: contradicts [traffic.monthly]",
        ),
        (
            "monthly = { courses = 5 }\npatterns = { courses = 2 }",
            "traffic.patterns: courses is in [traffic.monthly] too",
        ),
        ("mix = { inserts = 1 }", "no kind of write 'inserts'; did you mean 'insert'?"),
    ],
)
def test_what_traffic_cannot_be_is_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        traffic_of(f"[traffic]\n{text}")

    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (("courses=5", "courses=6"), "--rps courses=5 and --rps courses=6 contradict each other"),
        (("courses=0", "courses=6"), "--rps courses=0 and --rps courses=6 contradict each other"),
        (("5", "6"), "--rps 5 and --rps 6 contradict each other"),
    ],
)
def test_a_rate_given_twice_is_refused(texts: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_rps(texts, Assumptions())


# ---- from runs -----------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path: Path) -> RunStore:
    folder = tmp_path / ".perfkit" / "runs"
    shutil.copytree(RUNS, folder)
    return RunStore(folder)


def test_runs_say_what_patterns_read_before_and_after(saved: RunStore) -> None:
    found = gather(saved.list().runs)

    courses = next(each for each in found.patterns if each.name == "courses")
    assert (courses.before.units, courses.after and courses.after.units) == (1250, 6.5)
    assert courses.after is not None
    assert courses.after.index == "CoursesBySemester"
    assert courses.after.items_read == 50
    assert found.table_items["Courses"] == 10_000
    assert "perfkit bench --scenario index-cost" in [each.command for each in found.missing()]


def test_a_run_of_an_hour_says_what_traffic_it_had() -> None:
    figures = CacheFigures(hits=90, misses=10, errors=0)
    run = Run(
        kind=RunKind.CACHE_HOUR,
        scenario="cache-hour",
        workload="w",
        target={},
        started_at="2026-01-01T00:00:00Z",
        traffic=HourTraffic(
            rate_hz=1.0,
            keys=9,
            skew=0.8,
            ttl_s=60,
            jitter_share=0.1,
            writes_an_hour=7.2,
            error_share=0.0,
        ),
        hours=(
            Hour(
                name="short run",
                provenance="measured",
                latencies="measured",
                duration_s=4,
                ttl_s=0.5,
                cache=replace(figures, hits=20),
            ),
            Hour(
                name="an hour",
                provenance="modelled",
                latencies="measured",
                duration_s=3600,
                ttl_s=60,
                cache=figures,
            ),
        ),
    )

    found = gather([run])

    # the short real run begins with an empty cache and lasts seconds: that is no hit rate
    assert [(each.rate, each.source) for each in found.hit_rates] == [(0.9, "the virtual hour")]
    assumed = as_in_run(Assumptions(), found.traffic)
    assert (assumed.ttl_s, assumed.keys) == (60, 9)
    assert assumed.invalidations_hz == pytest.approx(0.002)


# ---- the command ---------------------------------------------------------------------------


@pytest.fixture
def run_cost(saved: RunStore) -> Callable[..., Any]:  # noqa: ARG001 - runs must be there
    return lambda *arguments: CliRunner().invoke(app, ["cost", "what-if", *arguments])


def test_the_answer_is_one_json_document(run_cost: Callable[..., Any]) -> None:
    answer = run_cost("--json", "--rps", "courses=20", "--set", "answers=cache")

    document = json.loads(answer.stdout)
    assert answer.exit_code == 0
    (reads,) = (line for line in document["lines"] if line["key"] == "reads")
    # 20 × 1,250 × 2,628,000 × $0.125 a million
    assert reads["baseline"] == pytest.approx(8212.5)
    assert reads["provenance"] == "modelled"
    assert "1,250" not in reads["changed_arithmetic"]
    assert document["settings"]["answers"] == {
        "baseline": "scan",
        "changed": "cache",
        "set": True,
    }
    assert document["difference"] == pytest.approx(
        document["changed"]["total"] - document["baseline"]["total"]
    )


@pytest.mark.parametrize(
    ("setting", "baseline"),
    [("rps=40", "today"), ("cache.ttl=600", "index and cache"), ("projection=ALL", "index")],
)
def test_what_a_setting_is_compared_with_is_said(
    run_cost: Callable[..., Any], setting: str, baseline: str
) -> None:
    shown = run_cost("--rps", "20", "--set", setting).stdout

    assert re.search(f"baseline: {baseline}\n", shown)
    assert re.search(r"^rps +20 ", shown, re.MULTILINE)


def test_old_prices_are_warned_about(run_cost: Callable[..., Any], tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text(
        'region = "us-east-1"\n[prices.dynamodb-read-request]\nprice = 0.125\nper = 1_000_000\n'
        'unit = "read request unit"\nsource = "an old page"\ndate = 2020-01-01\n'
    )

    answer = run_cost("--prices", str(prices), "--json")

    warnings = " ".join(json.loads(answer.stdout)["warnings"])
    assert "older than 90 days: dynamodb-read-request is of 2020-01-01" in warnings
    shown = run_cost("--prices", str(prices)).output
    assert "dynamodb-read-request is of 2020-01-01" in " ".join(shown.split())


def test_traffic_spread_over_less_than_the_workload_is_warned_about(
    run_cost: Callable[..., Any],
) -> None:
    """The saved runs are of four of the five patterns; roster is the fifth."""
    store, digest = RunStore(Path(".perfkit/runs")), load().digest
    for each in store.list().runs:
        store.save(replace(each, workload_digest=digest))

    warnings = " ".join(json.loads(run_cost("--json", "--rps", "20").stdout)["warnings"])

    assert "roster is not among the runs, so its share falls to the others" in warnings


def test_list_prices_are_those_of_the_book_and_quoted_ones_are_refused(
    run_cost: Callable[..., Any],
) -> None:
    assert run_cost("--prices", "list", "--json").stdout == run_cost("--json").stdout
    refused = run_cost("--prices", "quoted")
    assert refused.exit_code == 2
    assert "nothing of this bill is quoted" in refused.stderr


def test_traffic_alone_is_enough_of_a_file(run_cost: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "traffic.toml"
    file.write_text("[traffic]\nrps = 7\n")

    answer = json.loads(run_cost("--architecture", str(file), "--json").stdout)

    assert answer["settings"]["rps"]["baseline"] == "7"


def test_without_runs_it_says_which_commands_measure() -> None:
    answer = CliRunner().invoke(app, ["cost", "what-if", "--set", "rps=5"])

    assert answer.exit_code == 2
    assert "no access pattern measured" in answer.stderr
    assert "perfkit run" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


def test_without_a_stated_rate_it_is_for_a_million_calls(run_cost: Callable[..., Any]) -> None:
    """1,250 RRU a scan of courses, 6.5 RRU a query, at $0.125 a million units: no rate is invented."""
    document = json.loads(run_cost("--json", "--set", "answers=index").stdout)

    assert document["per"] == "million"
    lines = {each["key"]: each for each in document["lines"]}
    assert (lines["calls courses"]["baseline"], lines["calls courses"]["changed"]) == (156.25, 0.81)
    assert document["baseline"]["total"] is None
    assert "6.5 RRU × 1,000,000" in lines["calls courses"]["changed_arithmetic"]
    shown = run_cost()
    assert "a million calls of courses" in shown.stdout
    assert "TOTAL" not in shown.stdout
    assert "Nobody states how many requests come" in shown.stderr


def test_many_patterns_are_one_screen_and_whole_behind_v(
    saved: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    run = next(each for each in saved.list().runs if each.scenario == "courses")
    run = replace(run, variants=tuple(replace(each, body_bytes=500) for each in run.variants))
    for number in range(30):
        saved.save(replace(run, scenario=f"pattern-{number:02}", id=""))

    for command in (["cost", "what-if"], ["report", "--cost"]):
        short = CliRunner().invoke(app, command)
        whole = CliRunner().invoke(app, [*command, "-v"])

        assert (short.exit_code, whole.exit_code) == (0, 0), short.stderr
        assert len(short.stdout.splitlines()) <= 45
        assert short.stdout.count("a million calls of pattern-") < 20
        assert whole.stdout.count("a million calls of pattern-") >= 30
    # what it costs comes before what may be set
    what_if_said = CliRunner().invoke(app, ["cost", "what-if"]).stdout
    assert what_if_said.index("a million calls of") < what_if_said.index("may be set")


@pytest.mark.parametrize(
    "setting", ["rps=200", "cache.ttl=600", "answers=cache", "instance=t3.nano"]
)
def test_what_takes_a_rate_is_refused_without_one(
    run_cost: Callable[..., Any], setting: str
) -> None:
    refused = run_cost("--set", setting)

    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "nobody states how many requests come now; give --rps 20" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_a_workload_states_its_traffic(run_cost: Callable[..., Any]) -> None:
    """3 calls a second, and 7,884,000 a month, which is 3 a second too; one that was not measured."""
    Path("perfkit.toml").write_text(
        'name = "courses"\n[traffic.reads]\ncourses = { rps = 3 }\n'
        "profile = { per_month = 7_884_000 }\nroster = { rps = 1 }\n[traffic.writes]\n"
        "Courses = { rps = 0.5 }\nNews = { rps = 2 }\n"
    )

    document = json.loads(run_cost("--json", "--set", "answers=scan").stdout)

    assert document["per"] == "month"
    assert document["settings"]["rps"]["baseline"] == "6"
    assert document["settings"]["writes"]["baseline"] == "0 (Courses 0.5)"
    # of a table that no run knows, nothing says what a write takes
    assert any("News 2/s" in text for text in document["warnings"])
    (missing,) = (each for each in document["missing"] if "[traffic]" in each["what"])
    assert "roster" in missing["what"]
    (reads,) = (line for line in document["lines"] if line["key"] == "reads")
    (others,) = (
        line["changed"]
        for line in json.loads(
            run_cost("--json", "--rps", "profile=3", "--set", "answers=scan").stdout
        )["lines"]
        if line["key"] == "reads"
    )
    # 3 × 1,250 RRU/s × 2,628,000 s × $0.125 a million
    assert reads["changed"] - others == pytest.approx(1231.875, abs=0.01)


def test_the_help_lists_everything_that_may_be_set(run_cost: Callable[..., Any]) -> None:
    text = run_cost("--help").stdout

    for name in SETTINGS:
        assert name in text


def test_a_region_without_all_prices_warns_and_leaves_them_out(
    run_cost: Callable[..., Any],
) -> None:
    answer = run_cost("--region", "eu-west-1", "--rps", "20", "--set", "answers=cache")

    assert answer.exit_code == 0
    assert "redis-cache.t3.micro-hour" in answer.stderr
    assert "There is no price for it" in answer.stdout


def test_traffic_of_an_architecture_file_is_the_baseline(
    run_cost: Callable[..., Any], tmp_path: Path
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[before]\ntitle = 'b'\n[traffic]\nrps = 7\n")

    document = json.loads(run_cost("--json", "--architecture", str(file)).stdout)

    assert document["settings"]["rps"]["baseline"] == "7"


def test_a_setting_that_is_none_ends_with_2(run_cost: Callable[..., Any]) -> None:
    answer = run_cost("--set", "cache.tll=5")

    assert answer.exit_code == 2
    assert "did you mean 'cache.ttl'" in answer.stderr


def test_the_answer_as_people_see_it() -> None:
    answer = what_if(BASELINE, ["rps=40", "answers=index"], EVIDENCE, BOOK)

    text = render_report(what_if_report(answer, BOOK, subject="books", explain=False), 80)

    assert answer.changed.state is State.AFTER
    assert text == snapshot("""\
What if: books
--------------

Traffic and settings
setting  baseline  what if  meaning
------------------------------------------------------------------------------
rps      20        40       requests a second of all patterns together
answers  cache     index    what answers: as today (scan), indexes, or indexes
                            behind the cache

US dollars a month at list prices of us-east-1; baseline: index and cache
a month                      ≈baseline  ≈what if  ≈difference
-------------------------------------------------------------
DynamoDB reads                   $4.27    $85.41       $81.14
DynamoDB writes to tables        $1.64     $1.64        $0.00
DynamoDB writes to indexes       $1.81     $1.81        $0.00
storage of tables                $0.26     $0.26        $0.00
storage of indexes               $0.26     $0.26        $0.00
cache node (cache.t3.micro)     $12.41         –      −$12.41
instances (t3.micro)             $7.59     $7.59        $0.00
data out                       $220.28   $440.55      $220.27
TOTAL                          $248.52   $537.52      $289.00

≈ marks figures modelled by a formula; all others are measured, unless their row
  says otherwise.
""")


def test_the_document_keeps_what_is_not_rounded() -> None:
    answer = what_if(BASELINE, ["rps=40"], EVIDENCE, BOOK)

    document = what_if_document(answer, BOOK, subject="books")

    assert document["changed"] == {"total": totals(answer)[1]}
    assert document["warnings"] == []
