"""Bills before and after: the reference document's to the cent, list prices worked out by hand."""
# ruff: noqa: RUF001 - the signs that reports print

import contextlib
import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot
from pydantic import BaseModel

from perfkit.cost.architecture import ArchitectureFile, Architectures
from perfkit.cost.architecture_file import _read_architectures, load_architectures
from perfkit.cost.bill import Bill, Comparison
from perfkit.cost.described import by_list, quoted
from perfkit.cost.price_file import load_book, read_price_file
from perfkit.errors import ArchitectureError, PriceError


def read(text: str) -> Architectures:
    return _read_architectures(text.encode(), source="mine.toml", file="mine.toml")


def bill(text: str, *, free_tier: bool = False) -> dict[str, str]:
    """Return the list price of each line of an architecture."""
    architectures = read("[after]\n" + text)
    after = by_list(architectures, load_book("us-east-1"), free_tier=free_tier).after
    assert after is not None
    return {line.service: f"{line.usd:.2f}" for line in after.lines}


def rows(statement: Bill | None) -> list[tuple[str, str, str, str]]:
    assert statement is not None
    return [
        (line.service, line.configuration, f"{line.usd:.2f}", line.mark or "")
        for line in statement.lines
    ]


def sums(comparison: Comparison) -> tuple[str, ...]:
    assert comparison.before is not None
    assert comparison.after is not None
    assert comparison.reduction is not None
    return (
        f"{comparison.before.total_usd:.2f}",
        f"{comparison.after.total_usd:.2f}",
        f"{comparison.savings_usd:.2f}",
        f"{comparison.reduction:.0%}",
        f"{comparison.annual_savings_usd:.2f}",
    )


# --- the reference document


def test_quoted_prices_are_those_of_the_document_line_by_line() -> None:
    comparison = quoted(load_architectures())

    assert rows(comparison.before) == [
        ("EC2 (ASG)", "3 × t3.micro", "22.50", ""),
        ("DynamoDB", "100 RCU, 50 WCU", "30.00", ""),
        ("ALB", "Standard", "18.00", ""),
        ("Data Transfer", "500 GB", "45.00", ""),
        ("CloudWatch", "Standard", "3.00", ""),
    ]
    assert rows(comparison.after) == [
        ("EC2 (ASG)", "2 × t3.micro", "15.00", "↓"),
        ("ElastiCache", "cache.t3.micro", "11.00", "↑"),
        ("DynamoDB Base", "20 RCU, 10 WCU", "8.00", "↓"),
        ("DynamoDB GSI", "4 × 5 RCU", "8.00", "↑"),
        ("ALB", "Standard", "18.00", "="),
        ("Data Transfer", "50 GB (90% less)", "4.50", "↓"),
        ("CloudWatch", "+ custom metrics", "4.00", "↑"),
    ]


def test_quoted_totals_are_those_of_the_document_to_the_cent() -> None:
    comparison = quoted(load_architectures())

    assert sums(comparison) == ("118.50", "68.50", "50.00", "42%", "600.00")
    assert comparison.reduction == pytest.approx(Decimal(50) / Decimal("118.5"))


def test_list_prices_of_the_document_s_architectures() -> None:
    comparison = by_list(load_architectures(), load_book("us-east-1"))

    assert rows(comparison.before) == [
        ("EC2 (ASG)", "3 × t3.micro", "22.78", ""),  # 3 * 730 * 0.0104 = 22.776
        ("DynamoDB", "100 RCU, 50 WCU", "33.22", ""),  # 730 * (100 * 0.00013 + 50 * 0.00065)
        ("ALB", "1 × ALB, 0.685 LCU", "20.43", ""),  # 730 * 0.0225 + 500 LCU-hours * 0.008
        ("Data Transfer", "500 GB", "45.00", ""),  # 500 * 0.09
        ("CloudWatch", "7 alarms", "0.70", ""),
    ]
    assert rows(comparison.after) == [
        ("EC2 (ASG)", "2 × t3.micro", "15.18", "↓"),  # 2 * 730 * 0.0104 = 15.184
        ("ElastiCache", "cache.t3.micro", "12.41", "↑"),  # 730 * 0.017
        ("DynamoDB Base", "20 RCU, 10 WCU", "6.64", "↓"),  # 730 * (20 * 0.00013 + 10 * 0.00065)
        ("DynamoDB GSI", "4 × 5 RCU, 1 WCU", "3.80", "↑"),  # 4 * 730 * (5 * 0.00013 + 0.00065)
        ("ALB", "1 × ALB, 0.068 LCU", "16.83", "↓"),  # 16.425 + 50 * 0.008
        ("Data Transfer", "50 GB", "4.50", "↓"),
        ("CloudWatch", "4 custom metrics, 8 alarms", "2.00", "↑"),  # 4 * 0.30 + 8 * 0.10
    ]
    # what the rows above add up to
    assert sums(comparison) == ("122.13", "61.36", "60.77", "50%", "729.24")


def test_the_arithmetic_of_a_line_can_be_followed() -> None:
    before = by_list(load_architectures(), load_book("us-east-1"), free_tier=True).before

    assert before is not None
    assert [line.arithmetic for line in before.lines] == snapshot(
        [
            "3 t3.micro × 730 h: 2,190 instance hours × $0.0104 = $22.776",
            "100 × 730 h: 18,250 RCU-hours free + 54,750 RCU-hours × $0.00013 = $7.1175; 50 × 730 h: 18,250 WCU-hours free + 18,250 WCU-hours × $0.00065 = $11.8625; together $18.98",
            "1 ALB × 730 h: 730 load balancer hours × $0.0225 = $16.425; 0.684932 LCU × 730 h: 500 LCU-hours × $0.008 = $4.00; together $20.43",
            "100 GB free + 400 GB × $0.09 = $36.00",
            "7 alarms free = $0.00",
        ]
    )


def test_a_line_knows_the_prices_that_went_into_it() -> None:
    comparison = by_list(load_architectures(), load_book("us-east-1"))

    assert {price.name for price in comparison.prices} == {
        "ec2-t3.micro-hour",
        "dynamodb-rcu-hour",
        "dynamodb-wcu-hour",
        "alb-hour",
        "alb-lcu-hour",
        "data-out",
        "cloudwatch-alarm",
        "cloudwatch-metric",
        "redis-cache.t3.micro-hour",
    }


# --- list prices of everything else, by hand


def test_capacity_on_demand_and_storage_are_billed_by_use() -> None:
    text = """
    [after.tables.Orders]
    read_requests = 100_000_000
    write_requests = 10_000_000
    storage_gb = 30
    [after.tables.Orders.indexes.ByUser]
    read_requests = 20_000_000
    write_requests = 10_000_000
    storage_gb = 10
    """

    assert bill(text) == {
        "DynamoDB Base": "26.25",  # 100 * 0.125 + 10 * 0.625 + 30 * 0.25
        "DynamoDB GSI": "11.25",  # 20 * 0.125 + 10 * 0.625 + 10 * 0.25
    }
    assert bill(text, free_tier=True) == {
        "DynamoDB Base": "20.00",  # 25 of 30 GB are free: 5 * 0.25
        "DynamoDB GSI": "11.25",  # and the index has none of them left
    }


def test_a_table_of_infrequent_access_has_its_own_prices() -> None:
    text = """
    [after.tables.Archive]
    class = "infrequent-access"
    read_requests = 1_000_000
    write_requests = 1_000_000
    storage_gb = 100
    """

    # 0.155 + 0.78 + 100 * 0.10; no part of it is in the free tier
    assert bill(text) == bill(text, free_tier=True) == {"DynamoDB": "10.94"}


@pytest.mark.parametrize(
    ("demand", "units"),
    [
        pytest.param("new_connections_per_s = 50", 2, id="25 new connections a second"),
        pytest.param("active_connections = 9_000", 3, id="3,000 active ones"),
        pytest.param("processed_gb = 2_920", 4, id="1 GB an hour"),
        pytest.param("rule_evaluations_per_s = 5_000", 5, id="1,000 rules a second"),
        pytest.param(
            "processed_gb = 2_920\nnew_connections_per_s = 50", 4, id="the greater counts"
        ),
        pytest.param("lcu = 1.5", Decimal("1.5"), id="given"),
        pytest.param("", 0, id="none"),
    ],
)
def test_a_load_balancer_is_billed_by_its_greatest_dimension(demand: str, units: Decimal) -> None:
    # 730 h * (0.0225 + 0.008 a unit)
    expected = 730 * (Decimal("0.0225") + Decimal("0.008") * units)

    assert bill(f"[after.load_balancer]\n{demand}") == {"ALB": f"{expected + Decimal('1E-9'):.2f}"}


def test_everything_that_can_run_has_a_line() -> None:
    text = """
    [[after.instances]]
    type = "t3.micro"
    count = 2
    volume_gb = 8
    public_addresses = 1
    [[after.instances]]
    type = "t4g.nano"
    count = 1
    hours = 365
    [[after.cache]]
    engine = "valkey"
    type = "cache.t4g.micro"
    count = 2
    [after.serverless_cache]
    storage_gb = 1
    ecpus = 100_000_000
    [after.dax]
    type = "dax.t3.small"
    count = 1
    [after.load_balancer]
    public_addresses = 2
    [after.nat]
    count = 1
    [after.data_transfer]
    out_gb = 50
    between_zones_gb = 100
    [after.cloudwatch]
    metrics = 12
    alarms = 3
    metric_requests = 10_000
    logs_in_gb = 4
    logs_stored_gb = 10
    [after.queue]
    standard_requests = 3_000_000
    fifo_requests = 1_000_000
    """

    assert bill(text) == {
        "EC2": "16.72",  # 2 * 730 * 0.0104 + 365 * 0.0042 = 15.184 + 1.533
        "EBS volumes": "1.28",  # 2 * 8 * 0.08
        # 2 * 730 * 0.0128 + 730 * 0.084 + 100 * 0.0023 = 18.688 + 61.32 + 0.23
        "ElastiCache": "80.24",
        "DAX": "29.20",  # 730 * 0.04
        "ALB": "16.43",  # 730 * 0.0225 = 16.425
        "NAT gateway": "32.85",  # 730 * 0.045
        "Public IPv4": "14.60",  # (2 + 2) * 730 * 0.005
        "Data Transfer": "4.50",
        "Data between zones": "2.00",  # 100 GB out at 0.01 and in at 0.01
        "CloudWatch": "6.30",  # 12 * 0.30 + 3 * 0.10 + 10 * 0.01 + 4 * 0.50 + 10 * 0.03
        "SQS": "1.70",  # 3 * 0.40 + 1 * 0.50
    }
    free = bill(text, free_tier=True)
    # less 10 metrics, all 3 alarms and all 4 GB of logs in: 2 * 0.30 + 10 * 0.01 + 10 * 0.03
    assert free["CloudWatch"] == "1.00"
    # less 1,000,000 of the standard requests: 2 * 0.40 + 1 * 0.50
    assert free["SQS"] == "1.30"


def test_free_units_are_shared_by_all_tables() -> None:
    text = """
    [after.tables.A]
    rcu = 20
    wcu = 1
    [after.tables.B]
    rcu = 20
    wcu = 1
    """

    # 40 RCU, of which 25 are free: 15 * 730 * 0.00013 = 1.4235; 2 WCU, all of them free
    assert bill(text, free_tier=True) == {"DynamoDB": "1.42"}


def test_capacity_that_was_there_for_no_hour_costs_nothing() -> None:
    """0 h times 100 units are nothing; half a month of one more is 365 times $0.00013 and times $0.00065."""
    never = "[after.tables.A]\nrcu = 100\nwcu = 100\nhours = 0\n"

    assert bill(never) == {"DynamoDB": "0.00"}
    half = "[after.tables.B]\nrcu = 1\nwcu = 1\nhours = 365\n"
    # 0.04745 + 0.23725
    assert bill(never + half) == {"DynamoDB": "0.28"}


@given(st.integers(1, 500), st.integers(0, 500), st.integers(0, 744), st.booleans())
def test_a_bill_never_falls_when_more_is_used(rcu: int, more: int, hours: int, free: bool) -> None:
    def total(units: int) -> Decimal:
        text = f"[after.tables.T]\nrcu = {units}\nwcu = 1\nhours = {hours}\n"
        book = read_price_file(BOOK.encode(), source="book")
        after = by_list(read(text), book, free_tier=free).after
        assert after is not None
        return after.total_usd

    assert total(rcu) <= total(rcu + more)


BOOK = """
region = "us-east-1"
[prices.dynamodb-rcu-hour]
price = 0.00013
unit = "RCU-hour"
free = 18_250
source = "test"
[prices.dynamodb-wcu-hour]
price = 0.00065
unit = "WCU-hour"
source = "test"
"""


# --- marks, and sides that are missing


def test_marks_compare_with_the_line_that_was_replaced() -> None:
    architectures = read("""
    [[before.quoted]]
    service = "Servers"
    configuration = "big"
    monthly = 30
    [[before.quoted]]
    service = "Old cache"
    configuration = "x"
    monthly = 5
    [[after.quoted]]
    service = "Server"
    replaces = "Servers"
    configuration = "small"
    monthly = 10
    [[after.quoted]]
    service = "New cache"
    configuration = "y"
    monthly = 0.004
    """)

    comparison = quoted(architectures)

    assert [row[-1] for row in rows(comparison.after)] == ["↓", "↑"]
    assert [
        (before.service if before else None, after.service if after else None)
        for before, after in comparison.pairs
    ] == [("Servers", "Server"), (None, "New cache"), ("Old cache", None)]


def test_quoted_lines_of_one_service_are_compared_one_by_one() -> None:
    """Web servers stay at $10; workers fall from $30 to $15, though the later bill names them first."""

    def quote(side: str, configuration: str, monthly: int) -> str:
        return (
            f'[[{side}.quoted]]\nservice = "EC2"\nconfiguration = "{configuration}"\n'
            f"monthly = {monthly}\n"
        )

    comparison = quoted(
        read(
            quote("before", "web", 10)
            + quote("before", "workers", 30)
            + quote("before", "batch", 3)
            + quote("after", "workers", 15)
            + quote("after", "web", 10)
            # what it is for has changed, so it is compared with the one that is left
            + quote("after", "nightly batch", 4)
            + quote("after", "search", 1)
        )
    )

    assert [
        (before and before.configuration, after and after.configuration, after and after.mark)
        for before, after in comparison.pairs
    ] == [
        ("workers", "workers", "↓"),
        ("web", "web", "="),
        ("batch", "nightly batch", "↑"),
        (None, "search", "↑"),
    ]
    assert comparison.savings_usd == 43 - 30


@pytest.mark.parametrize("service", ["queue", "nat", "dax", "volumes", "zones", "ALB", "SQS"])
def test_a_group_of_instances_may_be_called_as_another_line_is(service: str) -> None:
    """Nothing changes: a t3.micro for 730 h at $0.0104 is $7.59, a million messages are $0.40."""
    side = """
    [[SIDE.instances]]
    service = "NAME"
    type = "t3.micro"
    count = 1
    volume_gb = 8
    [SIDE.queue]
    standard_requests = 1_000_000
    [SIDE.nat]
    count = 1
    [[SIDE.dax]]
    type = "dax.t3.small"
    count = 1
    [SIDE.load_balancer]
    lcu = 1
    [SIDE.data_transfer]
    out_gb = 1
    between_zones_gb = 1
    """.replace("NAME", service)

    comparison = by_list(
        read(side.replace("SIDE", "before") + side.replace("SIDE", "after")),
        load_book("us-east-1"),
    )

    for before, after in comparison.pairs:
        assert before is not None
        assert after is not None
        assert (before.service, before.usd) == (after.service, after.usd)
        assert after.mark == "="
    assert comparison.after is not None
    assert len(comparison.pairs) == len(comparison.after.lines) == 8


def test_one_architecture_alone_is_no_comparison() -> None:
    comparison = by_list(read("[before.tables.T]\nrcu = 1\nwcu = 1\n"), load_book("us-east-1"))

    assert comparison.after is None
    assert comparison.savings_usd is None
    assert comparison.reduction is None
    assert comparison.annual_savings_usd is None


def test_a_bill_of_nothing_has_no_reduction() -> None:
    comparison = by_list(read("[before]\n[after]\n"), load_book("us-east-1"))

    assert comparison.savings_usd == 0
    assert comparison.reduction is None


def test_an_architecture_without_quoted_prices_says_how_to_price_it() -> None:
    with pytest.raises(ArchitectureError) as caught:
        quoted(read("[before.tables.T]\nrcu = 1\nwcu = 1\n"))

    assert str(caught.value) == snapshot(
        "mine.toml quotes no prices for all it describes; add [[before.quoted]] and [[after.quoted]], or give --prices list"
    )


def test_all_missing_prices_are_named_at_once() -> None:
    with pytest.raises(PriceError) as caught:
        by_list(load_architectures(), load_book("eu-west-1"))

    assert str(caught.value) == snapshot(
        "no prices for eu-west-1 of alb-lcu-hour, data-out, cloudwatch-alarm, redis-cache.t3.micro-hour, cloudwatch-metric; fetch them with `perfkit prices refresh --region eu-west-1` or add them to a price file (--prices FILE)"
    )


# --- architecture files


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ("5", "expected a list"),
        ('"20,000 requests, all of them reads"', 'write ["20,000 requests", "all of them reads"]'),
        ('"one, two"', 'write ["one", "two"]'),
        ('"20,000"', 'write ["20,000"]'),
    ],
)
def test_notes_that_are_no_list(given: str, advice: str) -> None:
    message = wrong("[before]\n", f"[before]\nnotes = {given}\n")

    assert message.startswith(f"before.notes = {given}: ")
    assert message.endswith(advice)


VALID = """\
[before]
[[before.instances]]
type = "t3.micro"
count = 3
[before.tables.Orders]
rcu = 100
wcu = 50
[before.tables.Orders.indexes.ByUser]
rcu = 5
wcu = 5
[before.load_balancer]
lcu = 1
[[before.quoted]]
service = "EC2"
configuration = "3"
monthly = 22.50
"""


def wrong(old: str, new: str) -> str:
    assert VALID.count(old) == 1, f"{old!r} must name one place"
    with pytest.raises(ArchitectureError) as caught:
        read(VALID.replace(old, new))
    lines = str(caught.value).splitlines()
    assert all(line.startswith("mine.toml: ") for line in lines)
    return "\n".join(line.removeprefix("mine.toml: ") for line in lines)


def test_what_an_architecture_file_may_not_say() -> None:
    read(VALID)

    assert [
        wrong("count = 3", "cuont = 3"),
        wrong("count = 3", "count = -3"),
        wrong("count = 3", "count = 3.5"),
        wrong("count = 3", "count = 1_000_000_000"),
        wrong("count = 3", "count = 3\nhours = 745"),
        wrong("count = 3", "count = 3\nvolume_gb = nan"),
        wrong('type = "t3.micro"', "type = 3"),
        wrong("rcu = 100", "rcu = -1"),
        wrong("rcu = 100", "rcu = inf"),
        wrong("rcu = 100", "rcu = 0.5"),
        wrong("wcu = 50", "wcu = 0"),
        wrong("rcu = 5\nwcu = 5\n", "rcu = 0\nwcu = 0\n"),
        wrong("rcu = 100", 'rcu = "100"'),
        wrong("rcu = 100", "rcu = 100\nread_requests = 5"),
        wrong("rcu = 100\nwcu = 50\n", ""),
        wrong("rcu = 100", 'rcu = 100\nclass = "standrad"'),
        wrong("rcu = 5\nwcu = 5\n", "read_requests = 1\nwrite_requests = 1\n"),
        wrong("lcu = 1", "lcu = 1\nprocessed_gb = 5"),
        wrong("lcu = 1", "lcus = 1"),
        wrong("[before.load_balancer]", "[before.load_balancers]"),
        wrong("[before]\n", "[before]\ntitle = 3\n"),
        wrong("[before]\n", "befor = 1\n[before]\n"),
        wrong("monthly = 22.50", "monthly = -22.50"),
        wrong('[[before.quoted]]\nservice = "EC2"', "[[before.quoted]]"),
        wrong("[before]\n[[before.instances]]", "[[before.instance]]"),
    ] == snapshot(
        [
            """\
before.instances[0].count: missing; expected a whole number
before.instances[0].cuont: no such key; did you mean 'count'? choose from count, hours, public_addresses, service, type, volume_gb\
""",
            "before.instances[0].count = -3: expected at least 0",
            "before.instances[0].count = 3.5: expected a whole number",
            "before.instances[0].count = 1000000000: expected at most 100,000",
            "before.instances[0].hours = 745: expected at most 744",
            "before.instances[0].volume_gb = NaN: expected a finite number",
            "before.instances[0].type = 3: expected a text",
            "before.tables.Orders.rcu = -1: expected at least 1",
            "before.tables.Orders.rcu = Infinity: expected a whole number",
            "before.tables.Orders.rcu = 0.5: expected a whole number",
            "before.tables.Orders.wcu = 0: expected at least 1",
            """\
before.tables.Orders.indexes.ByUser.rcu = 0: expected at least 1
before.tables.Orders.indexes.ByUser.wcu = 0: expected at least 1\
""",
            'before.tables.Orders.rcu = "100": expected a whole number; write 100',
            "before.tables.Orders: expected rcu and wcu or read_requests and write_requests, not both",
            "before.tables.Orders: missing what it is billed by; expected rcu and wcu, or read_requests and write_requests a month",
            "before.tables.Orders.class = \"standrad\": did you mean 'standard'? choose from infrequent-access, standard",
            "before.tables.Orders: an index is billed as its table is: expected all on demand or none",
            "before.load_balancer.lcu = 1: expected either lcu or what it follows from, not both",
            "before.load_balancer.lcus: no such key; did you mean 'lcu'? choose from active_connections, count, hours, lcu, new_connections_per_s, processed_gb, public_addresses, rule_evaluations_per_s",
            "before.load_balancers: no such key; did you mean 'load_balancer'? choose from cache, cloudwatch, data_transfer, dax, instances, load_balancer, nat, notes, queue, quoted, quoted_notes, serverless_cache, tables, title",
            "before.title = 3: expected a text",
            "befor: no such key; did you mean 'before'? choose from after, before, name, quoted_source, traffic",
            "before.quoted[0].monthly = -22.50: expected at least 0",
            "before.quoted[0].service: missing; expected a text",
            "before.instance: no such key; did you mean 'instances'? choose from cache, cloudwatch, data_transfer, dax, instances, load_balancer, nat, notes, queue, quoted, quoted_notes, serverless_cache, tables, title",
        ]
    )


@pytest.mark.parametrize("content", ["", "before = 3", "[x]", "before = []", "["])
def test_what_is_no_architecture_is_refused_in_words(content: str) -> None:
    with pytest.raises(ArchitectureError, match=r"^mine\.toml: "):
        read(content)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_architecture_or_an_error(content: bytes) -> None:
    with contextlib.suppress(ArchitectureError):
        _read_architectures(content, source="mine.toml")


def test_a_missing_architecture_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ArchitectureError, match="cannot read the architecture file"):
            load_architectures(path)


def test_a_file_with_traffic_alone_leaves_what_runs_to_the_reference_document(
    tmp_path: Path,
) -> None:
    file = tmp_path / "traffic.toml"
    file.write_text("[traffic]\nrps = 7\n")

    found = load_architectures(file)

    assert found.traffic is not None
    assert found.traffic.rps == 7
    assert replace(found, traffic=None, states_a_rate=False) == load_architectures()


# --- docs/cost.md

DOCS = (Path(__file__).parents[2] / "docs" / "cost.md").read_text()
EXAMPLES = re.findall(r"```toml\n(.*?)```", DOCS, re.DOTALL)


def test_the_example_architecture_of_the_docs_can_be_priced() -> None:
    comparison = by_list(read(EXAMPLES[0]), load_book("us-east-1"))

    assert {row[0] for row in (*rows(comparison.before), *rows(comparison.after))} >= {
        "EC2 (ASG)",
        "EBS volumes",
        "ElastiCache",
        "DynamoDB",
        "DynamoDB GSI",
        "SQS",
        "NAT gateway",
    }


def test_the_quoted_lines_of_the_docs_are_read() -> None:
    comparison = quoted(read(EXAMPLES[1]))

    assert rows(comparison.after) == [("DynamoDB Base", "20 RCU, 10 WCU", "8.00", "↓")]


def test_the_price_file_of_the_docs_is_read() -> None:
    book = read_price_file(EXAMPLES[2].encode(), source="docs")

    assert book.price("data-out").cost(500, free_tier=True).usd == 36


def keys_of(model: type[BaseModel]) -> set[str]:
    """Return the keys that tables of a file may have, down to the last."""
    keys = set()
    for name, field in model.model_fields.items():
        keys.add(field.alias or name)
        held = [field.annotation]
        while held:
            each = held.pop()
            if isinstance(each, type) and issubclass(each, BaseModel):
                keys |= keys_of(each)
            held += get_args(each)
    return keys


def test_every_key_of_an_architecture_is_explained() -> None:
    keys = keys_of(ArchitectureFile)

    assert len(keys) > 40
    # the traffic has a page of its own
    pages = DOCS + (Path(__file__).parents[2] / "docs" / "cost-from-runs.md").read_text()
    assert keys - set(re.findall(r"[a-z_]+", pages)) == set()
