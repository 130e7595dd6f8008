# ruff: noqa: RUF001  # reports write the multiplication sign
"""Prices: tiers, free allowances and what a price file may not say, against figures worked by hand."""

import json
import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from perfkit.cost import names
from perfkit.cost.names import Engine, TableClass, unit_of
from perfkit.cost.price_file import (
    FOLDER_VARIABLE,
    _shipped_regions,
    load_book,
    own_file,
    read_price_file,
    write_price_file,
)
from perfkit.cost.prices import (
    Price,
    PriceBook,
    Tier,
    _write_price,
    age_warnings,
    round_to_cents,
)
from perfkit.errors import PriceError
from perfkit.units import format_quantity

FACTS = json.loads(Path(__file__).with_name("aws-prices.json").read_text(), parse_float=Decimal)


@pytest.fixture
def book() -> PriceBook:
    return load_book("us-east-1")


def cents(amount: Decimal) -> str:
    return str(round_to_cents(amount))


# --- amounts, worked out by hand from the rules on AWS's pricing pages


@pytest.mark.parametrize(
    ("name", "quantity", "free_tier", "expected"),
    [
        # first 10 TB a month at $0.09: 500 GB * 0.09
        pytest.param("data-out", 500, False, "45.00", id="500 GB out"),
        # 100 GB of them are free: 400 GB * 0.09
        pytest.param("data-out", 500, True, "36.00", id="500 GB out, free tier"),
        pytest.param("data-out", 100, True, "0", id="100 GB out, free tier"),
        # 10,240 GB * 0.09 = 921.60; 10.5 TB are 10,752 GB, so 512 GB * 0.085 = 43.52
        pytest.param("data-out", 10_752, False, "965.12", id="10.5 TB out"),
        # the same, but 100 GB less at 0.09: 912.60 + 43.52
        pytest.param("data-out", 10_752, True, "956.12", id="10.5 TB out, free tier"),
        # 921.60 + 40,960 * 0.085 = 3,481.60; + 102,400 * 0.07 = 7,168.00; + 46,400 * 0.05 = 2,320
        pytest.param("data-out", 200_000, False, "13891.20", id="200,000 GB out: every tier"),
        # 100 RCU * 730 h * 0.00013
        pytest.param("dynamodb-rcu-hour", 73_000, False, "9.49", id="100 RCU"),
        # 25 RCU * 730 h = 18,250 are free: 54,750 * 0.00013 = 7.1175
        pytest.param("dynamodb-rcu-hour", 73_000, True, "7.12", id="100 RCU, free tier"),
        # 50 WCU * 730 h * 0.00065 = 23.725
        pytest.param("dynamodb-wcu-hour", 36_500, False, "23.73", id="50 WCU: half a cent goes up"),
        # half of the price of before November 2024: $0.125 a million
        pytest.param("dynamodb-read-request", 1_000_000, False, "0.13", id="1M read requests"),
        pytest.param("dynamodb-read-request", 100_000_000, False, "12.50", id="100M reads"),
        pytest.param("dynamodb-write-request", 10_000_000, False, "6.25", id="10M writes"),
        # 30 GB * 0.25
        pytest.param("dynamodb-storage", 30, False, "7.50", id="30 GB stored"),
        # 25 GB are free: 5 * 0.25
        pytest.param("dynamodb-storage", 30, True, "1.25", id="30 GB stored, free tier"),
        # the free tier is for the standard class only: 30 * 0.10
        pytest.param("dynamodb-ia-storage", 30, True, "3.00", id="30 GB of infrequent access"),
        pytest.param("cloudwatch-metric", 12, False, "3.60", id="12 metrics"),
        # 10 are free: 2 * 0.30
        pytest.param("cloudwatch-metric", 12, True, "0.60", id="12 metrics, free tier"),
        # 10,000 * 0.30 + 2,000 * 0.10
        pytest.param("cloudwatch-metric", 12_000, False, "3200.00", id="12,000 metrics"),
        pytest.param("sqs-standard-request", 2_500_000, False, "1.00", id="2.5M messages"),
        # less than half a cent is not nothing
        pytest.param("sqs-standard-request", 1, False, "4E-7", id="1 message"),
        pytest.param("data-out", 0, False, "0", id="nothing"),
    ],
)
def test_amounts_are_those_worked_out_by_hand(
    book: PriceBook, name: str, quantity: int, free_tier: bool, expected: str
) -> None:
    amount = book.price(name).cost(quantity, free_tier=free_tier)

    assert round_to_cents(amount.usd) == Decimal(expected)


def test_the_arithmetic_of_an_amount_can_be_followed(book: PriceBook) -> None:
    assert [
        book.price("data-out").cost(10_752, free_tier=True).arithmetic,
        book.price("dynamodb-rcu-hour").cost(73_000).arithmetic,
        book.price("dynamodb-read-request").cost(Decimal("1.5e6")).arithmetic,
        book.price("sqs-standard-request").cost(1).arithmetic,
        book.price("cloudwatch-alarm").cost(0).arithmetic,
        book.price("dynamodb-storage").cost(0.07, free_tier=True).arithmetic,
    ] == snapshot(
        [
            "100 GB free + 10,140 GB × $0.09 + 512 GB × $0.085 = $956.12",
            "73,000 RCU-hours × $0.00013 = $9.49",
            "1,500,000 read request units × $0.125 per 1,000,000 = $0.1875",
            "1 request × $0.40 per 1,000,000 = $0.0000004",
            "0 alarms = $0.00",
            "0.07 GB-months free = $0.00",
        ]
    )


def test_a_second_line_goes_on_where_the_first_one_ended(book: PriceBook) -> None:
    """Two tables share one free tier, and two servers one ladder of tiers."""
    price = book.price("data-out")

    first = price.cost(10_200, free_tier=True)
    second = price.cost(552, after=10_200, free_tier=True)

    assert cents(second.usd) == "47.12"  # 40 * 0.09 + 512 * 0.085
    assert first.usd + second.usd == price.cost(10_752, free_tier=True).usd


@pytest.mark.parametrize("quantity", [-1, float("nan"), float("inf"), 1e19, Decimal(-1)])
def test_what_is_no_quantity_has_no_price(book: PriceBook, quantity: float) -> None:
    with pytest.raises(PriceError, match=r"cannot price .* GB \(data-out\); give a number from 0"):
        book.price("data-out").cost(quantity)


# --- properties of tiers


@st.composite
def ladders(draw: st.DrawFn) -> Price:
    steps = draw(st.lists(st.integers(1, 50), max_size=4))
    ends = [sum(steps[: number + 1]) for number in range(len(steps))]
    starts = [0, *ends]
    prices = draw(
        st.lists(st.integers(1, 500), min_size=len(starts), max_size=len(starts), unique=True)
    )
    return Price(
        name="thing",
        unit="thing",
        per=draw(st.sampled_from([1, 10, 1000])),
        free=Decimal(draw(st.integers(0, 60))),
        source="test",
        date=None,
        tiers=tuple(
            Tier(start=Decimal(start), end=end, price_usd=Decimal(price) / 100)
            for start, end, price in zip(starts, [*map(Decimal, ends), None], prices, strict=True)
        ),
    )


def unit_by_unit(price: Price, quantity: int, *, free_tier: bool) -> Decimal:
    total = Decimal(0)
    for unit in range(quantity):
        if free_tier and unit < price.free:
            continue
        tier = next(each for each in price.tiers if each.end is None or unit < each.end)
        total += tier.price_usd / price.per
    return total


@given(ladders(), st.integers(0, 300), st.booleans())
def test_a_cost_is_the_sum_over_single_units(price: Price, quantity: int, free: bool) -> None:
    cost = price.cost(quantity, free_tier=free).usd

    assert cost == unit_by_unit(price, quantity, free_tier=free)


@given(ladders(), st.integers(0, 300), st.integers(0, 300), st.booleans())
def test_a_cost_can_be_cut_anywhere(price: Price, one: int, other: int, free: bool) -> None:
    parts = price.cost(one, free_tier=free).usd + price.cost(other, after=one, free_tier=free).usd

    assert parts == price.cost(one + other, free_tier=free).usd


@given(
    ladders(),
    st.decimals(0, 300, places=3),
    st.decimals(0, 1, places=6),
    st.booleans(),
)
def test_a_cost_never_falls_and_never_jumps(
    price: Price, quantity: Decimal, more: Decimal, free: bool
) -> None:
    before = price.cost(quantity, free_tier=free).usd
    after = price.cost(quantity + more, free_tier=free).usd

    dearest = max(tier.price_usd for tier in price.tiers) / price.per
    assert 0 <= after - before <= more * dearest


# --- the books that come along


def facts() -> list[tuple[str, str, object, str]]:
    return [
        (region, name, value, source)
        for region in ("us-east-1", "eu-west-1")
        for name, (value, source) in FACTS[region].items()
    ]


def name_of(fact: str) -> str:
    """Return the name in a price book of a fact's name."""
    fixed = {
        "ddb_rru": names.read_request(),
        "ddb_wru": names.write_request(),
        "ddb_rcu_hour": names.read_capacity(),
        "ddb_wcu_hour": names.write_capacity(),
        "ddb_storage_gb_month": names.storage(),
        "ddb_ia_rru": names.read_request(TableClass.INFREQUENT_ACCESS),
        "ddb_ia_wru": names.write_request(TableClass.INFREQUENT_ACCESS),
        "ddb_ia_rcu_hour": names.read_capacity(TableClass.INFREQUENT_ACCESS),
        "ddb_ia_wcu_hour": names.write_capacity(TableClass.INFREQUENT_ACCESS),
        "ddb_ia_storage_gb_month": names.storage(TableClass.INFREQUENT_ACCESS),
        "alb_hour": names.LOAD_BALANCER,
        "alb_lcu_hour": names.LOAD_BALANCER_UNIT,
        "public_ipv4_hour": names.PUBLIC_ADDRESS,
        "nat_hour": names.NAT,
        "gp3_gb_month": names.VOLUME,
        "data_out_tiers_gb": names.DATA_OUT,
        "inter_az_gb_each_way": names.INTER_ZONE,
        "cw_metric_tiers": names.METRIC,
        "cw_alarm_month": names.ALARM,
        "cw_getmetricdata_per_metric": names.METRIC_REQUEST,
        "cw_logs_in_gb": names.LOGS_IN,
        "cw_logs_store_gb_month": names.LOGS_STORED,
        "sqs_standard_request": names.QUEUE_REQUEST,
        "sqs_fifo_request": names.FIFO_REQUEST,
        "dax.t3.small_hour": names.accelerator("dax.t3.small"),
        **{f"{engine}_serverless_gb_hour": names.serverless_storage(engine) for engine in Engine},
        **{f"{engine}_serverless_ecpu": names.serverless_unit(engine) for engine in Engine},
    }
    if fact in fixed:
        return fixed[fact]
    kind, node = fact.removesuffix("_hour").split("_", 1)
    return names.instance(node) if kind == "ec2" else names.cache_node(Engine(kind), node)


@pytest.mark.parametrize(("region", "fact", "value", "source"), facts())
def test_every_collected_price_is_in_the_book(
    region: str, fact: str, value: object, source: str
) -> None:
    price = load_book(region).price(name_of(fact))

    if isinstance(value, list):
        paid = [tier for tier in value if tier[2] != 0]
        free = [tier for tier in value if tier[2] == 0]
        assert price.free == sum(tier[1] for tier in free)
        assert [(tier.end, tier.price_usd) for tier in price.tiers] == [
            (end, usd) for _, end, usd in paid
        ]
    else:
        assert price.flat_usd is not None
        assert price.each_usd == value
    assert price.second_hand == (source in {"fixture", "derived", "usage.ai", "api-evangelist"})
    described = FACTS["sources"][source]
    days = re.findall(r"\d{4}-\d\d-\d\d", described)
    if days:
        assert price.date == date.fromisoformat(days[0])
    else:
        assert price.date == (date(2026, 4, 1) if source == "usage.ai" else None)


def test_a_book_holds_nothing_that_was_not_collected() -> None:
    for region in _shipped_regions():
        assert set(load_book(region).prices) == {name_of(fact) for fact in FACTS[region]}


def test_a_missing_price_is_named_and_never_nothing(book: PriceBook) -> None:
    with pytest.raises(PriceError) as caught:
        book.price("ec2-t3.mirco-hour")

    assert str(caught.value) == snapshot(
        "no price 'ec2-t3.mirco-hour' for us-east-1; did you mean 'ec2-t3.micro-hour'? there is ec2-t3.micro-hour, ec2-t3.nano-hour, ec2-t4g.micro-hour, ec2-t4g.nano-hour (`perfkit prices show -v`); fetch it with `perfkit prices refresh --region us-east-1` or add it to a price file (--prices FILE)"
    )


@pytest.mark.parametrize(
    "name",
    ["data-out", "dynamodb-storage", "redis-cache.t3.micro-hour", "ec2-t4g.micro-hour"],
)
def test_what_merely_looks_alike_is_not_proposed_for_a_missing_price(name: str) -> None:
    # a table without that row: the book of Ireland has the t3.micro, but that is another machine
    book = load_book("eu-west-1")
    prices = {each: price for each, price in book.prices.items() if each != name}

    with pytest.raises(PriceError) as caught:
        PriceBook(region="eu-west-1", prices=prices).price(name)

    assert f"no price '{name}' for eu-west-1; there is " in str(caught.value)


def test_a_missing_region_is_named() -> None:
    with pytest.raises(PriceError) as caught:
        load_book("us-east-2")

    assert str(caught.value) == snapshot(
        "no prices known for region 'us-east-2'; did you mean 'us-east-1'? choose from eu-west-1, us-east-1; fetch more with `perfkit prices refresh --region us-east-2` or give a file with --prices"
    )


@pytest.mark.parametrize("region", ["../us-east-1", "", "us east 1", "a/b"])
def test_a_region_cannot_leave_the_folder(region: str) -> None:
    if not region:
        assert load_book(region).region == "us-east-1"
        return
    with pytest.raises(PriceError, match="is no AWS region"):
        load_book(region)


# --- age


def test_fresh_prices_need_no_warning(book: PriceBook) -> None:
    used = [book.price("dynamodb-storage")]  # of 2026-09-06

    assert age_warnings(used, today=date(2026, 12, 5), region="us-east-1") == ()


def test_prices_over_ninety_days_old_are_warned_about(book: PriceBook) -> None:
    used = [book.price(name) for name in ("dynamodb-storage", "dynamodb-rcu-hour", "data-out")]

    warnings = age_warnings(used, today=date(2026, 12, 6), region="us-east-1")

    assert warnings == snapshot(
        (
            "prices of us-east-1 are older than 90 days: dynamodb-storage is of 2026-09-06; `perfkit prices refresh` renews what it can look up",
        )
    )


def test_undated_prices_are_named(book: PriceBook) -> None:
    used = [book.price("redis-cache.t3.micro-hour")]

    assert age_warnings(used, today=date(2026, 11, 1), region="us-east-1") == snapshot(
        (
            "undated prices of us-east-1, of unknown age: redis-cache.t3.micro-hour; `perfkit prices refresh` renews what it can look up",
        )
    )


# --- price files

VALID = """\
region = "us-east-1"

[prices.widget]
price = 0.5
unit = "widget"
source = "a letter"
date = 2026-09-01

[prices.data-out]
unit = "GB"
free = 5
source = "a letter"
date = 2026-09-01
tiers = [
  { from = 0, to = 10, price = 2 },
  { from = 10, to = 20, price = 1.5 },
  { from = 20, price = 1 },
]
"""


def wrong(old: str, new: str) -> str:
    assert VALID.count(old) == 1, f"{old!r} must name one place"
    with pytest.raises(PriceError) as caught:
        read_price_file(VALID.replace(old, new).encode(), source="mine.toml")
    return str(caught.value)


def test_a_price_file_is_read() -> None:
    book = read_price_file(VALID.encode(), source="mine.toml")

    assert book.price("widget").cost(3).usd == Decimal("1.5")
    # 10 * 2 + 10 * 1.5 + 5 * 1, less 5 * 2 that are free
    assert book.price("data-out").cost(25).usd == 40
    assert book.price("data-out").cost(25, free_tier=True).usd == 30


def test_what_a_price_file_may_not_say() -> None:
    date_line = 'unit = "widget"\nsource = "a letter"\ndate = 2026-09-01'
    assert [
        wrong("price = 0.5", "prise = 0.5"),
        wrong("price = 0.5", "price = -0.5"),
        wrong("price = 0.5", "price = nan"),
        wrong("price = 0.5", "price = inf"),
        wrong("price = 0.5", "price = 0"),
        wrong("price = 0.5", "price = 5e9"),
        wrong("price = 0.5", 'price = "0.5"'),
        wrong("price = 0.5", "price = true"),
        wrong("price = 0.5", "price = 0.5\nper = 12"),
        wrong("price = 0.5", "price = 0.5\nsecond_hand = 1"),
        wrong("price = 0.5", "price = 0.5\ntiers = []"),
        wrong(date_line, date_line.replace("2026-09-01", '"1 September"')),
        wrong(date_line, date_line.replace("2026-09-01", "2999-09-01")),
        wrong(date_line, date_line.replace("2026-09-01", "1999-09-01")),
        wrong(date_line, date_line.replace("2026-09-01", "2026-13-01")),
        wrong('unit = "widget"', "unit = 3"),
        wrong('[prices.widget]\nprice = 0.5\nunit = "widget"', "[prices.widget]\nprice = 0.5"),
        wrong('region = "us-east-1"', 'regoin = "us-east-1"'),
        wrong("[prices.widget]", "[price.widget]"),
        wrong("{ from = 20, price = 1 }", "{ from = 20, price = 1, unti = 3 }"),
    ] == snapshot(
        [
            "mine.toml: prices.widget.prise: no such key; did you mean 'price'? choose from date, free, per, price, second_hand, source, tiers, unit, vcpus",
            "mine.toml: prices.widget.price = -0.5: expected at least 0",
            "mine.toml: prices.widget.price = NaN: expected a finite number",
            "mine.toml: prices.widget.price = Infinity: expected a finite number",
            "mine.toml: prices.widget.price = 0: expected more than 0; what is free a month goes into the key free",
            "mine.toml: prices.widget.price = 5E+9: expected at most 1,000,000",
            'mine.toml: prices.widget.price = "0.5": expected a number; write 0.5',
            "mine.toml: prices.widget.price = true: expected a number",
            "mine.toml: prices.widget.per = 12: expected a power of ten, such as 1_000_000",
            "mine.toml: prices.widget.second_hand = 1: expected true or false; write true, without quotes",
            "mine.toml: prices.widget: expected either a price or tiers, not both",
            'mine.toml: prices.widget.date = "1 September": expected a date without quotes, such as 2026-09-29',
            "mine.toml: prices.widget.date = 2999-09-01: expected a day that has come, not one in the future",
            "mine.toml: prices.widget.date = 1999-09-01: expected 2006-01-01 or later: AWS had no prices before",
            "mine.toml: not valid TOML: Expected newline or end of document after a statement (at line 7, column 12)",
            "mine.toml: prices.widget.unit = 3: expected a text",
            "mine.toml: prices.widget.unit: missing; expected a text",
            """\
mine.toml: region: missing; expected a text
mine.toml: regoin: no such key; did you mean 'region'? choose from prices, region\
""",
            "mine.toml: price: no such key; did you mean 'prices'? choose from prices, region",
            "mine.toml: prices.data-out.tiers[2].unti: no such key; choose from from, price, to",
        ]
    )


def test_what_is_wrong_with_tiers() -> None:
    assert [
        wrong("{ from = 10, to = 20, price = 1.5 }", "{ from = 12, to = 20, price = 1.5 }"),
        wrong("{ from = 10, to = 20, price = 1.5 }", "{ from = 8, to = 20, price = 1.5 }"),
        wrong("{ from = 10, to = 20, price = 1.5 },\n", ""),
        wrong("{ from = 10, to = 20, price = 1.5 }", "{ from = 10, price = 1.5 }"),
        wrong("{ from = 10, to = 20, price = 1.5 }", "{ from = 10, to = 9, price = 1.5 }"),
        wrong("{ from = 0, to = 10, price = 2 }", "{ from = 1, to = 10, price = 2 }"),
        wrong("{ from = 20, price = 1 }", "{ from = 20, to = 30, price = 1 }"),
        wrong("{ from = 20, price = 1 }", "{ from = 20, price = 0 }"),
        wrong("{ from = 20, price = 1 }", "{ from = -20, price = 1 }"),
        wrong("{ from = 20, price = 1 }", "3"),
    ] == snapshot(
        [
            "mine.toml: prices.data-out.tiers: gap between tiers 1 and 2: nothing from 10 to 12",
            "mine.toml: prices.data-out.tiers: tiers 1 and 2 overlap from 8 to 10",
            "mine.toml: prices.data-out.tiers: gap between tiers 1 and 2: nothing from 10 to 20",
            "mine.toml: prices.data-out.tiers: tier 2 has no end (to), so tier 3 is never reached",
            "mine.toml: prices.data-out.tiers: tier 2 ends at 9, before it begins at 10",
            "mine.toml: prices.data-out.tiers: the first tier begins at 1; expected from = 0",
            "mine.toml: prices.data-out.tiers: tier 3, the last one, ends at 30, so what is above has no price; leave out its key to",
            "mine.toml: prices.data-out.tiers[2].price = 0: expected more than 0; what is free a month goes into the key free",
            "mine.toml: prices.data-out.tiers[2].from = -20: expected at least 0",
            "mine.toml: prices.data-out.tiers: expected one table or a list of tables",
        ]
    )


@pytest.mark.parametrize(
    "content", [b"\xff", b"a =", b"x = 1e99999999999", b"[" * 5000, b"", b"prices = 3"]
)
def test_what_is_no_price_file_is_refused_in_words(content: bytes) -> None:
    with pytest.raises(PriceError, match=r"^mine\.toml: "):
        read_price_file(content, source="mine.toml")


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_book_or_an_error(content: bytes) -> None:
    with pytest.raises(PriceError):
        read_price_file(content, source="mine.toml")


def test_a_written_price_file_reads_back_the_same() -> None:
    for region in _shipped_regions():
        book = load_book(region)

        text = write_price_file(region, book.prices, heading="A heading\nof two lines")

        assert read_price_file(text.encode(), source="x").prices == book.prices


# --- the user's own prices


def test_own_prices_win_and_shipped_ones_fill_what_they_lack() -> None:
    own = own_file("us-east-1")
    own.parent.mkdir(parents=True)
    own.write_text(VALID)

    book = load_book()

    assert book.price("data-out").source == "a letter"
    assert book.price("dynamodb-rcu-hour").source.startswith("AWS Price List")
    assert book.sources == (str(own), "perfkit's own prices of us-east-1")


def test_a_named_file_wins_over_ones_own(tmp_path: Path) -> None:
    own = own_file("us-east-1")
    own.parent.mkdir(parents=True)
    own.write_text(VALID)
    named = tmp_path / "named.toml"
    named.write_text(VALID.replace("widget", "nat-hour", 1).replace('"widget"', '"gateway hour"'))

    book = load_book(file=named)

    assert book.price("nat-hour").flat_usd == Decimal("0.5")
    assert book.price("widget").source == "a letter"
    assert len(book.sources) == 3


def named_price(tmp_path: Path, name: str, unit: str) -> PriceBook:
    """Return the book with one more price, of a file that was named."""
    file = tmp_path / "mine.toml"
    file.write_text(
        f"region = 'us-east-1'\n[prices.'{name}']\nprice = 0.02\nunit = '{unit}'\nsource = 'me'\n"
    )
    return load_book(file=file)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        pytest.param("data-ou", "did you mean 'data-out'? ", id="a letter short"),
        pytest.param("dynamodb-rcu-hours", "did you mean 'dynamodb-rcu-hour'? ", id="too long"),
        pytest.param("ec2-t3.micro", "did you mean 'ec2-t3.micro-hour'? ", id="without its hour"),
        pytest.param("cache.m7g.large-hour", "`perfkit prices show -v`", id="no engine"),
        pytest.param("coffee", "`perfkit prices show -v`", id="like none"),
    ],
)
def test_a_named_file_with_a_price_that_nothing_asks_for_is_refused(
    tmp_path: Path, name: str, advice: str
) -> None:
    with pytest.raises(PriceError) as caught:
        named_price(tmp_path, name, "GB")

    assert f"nothing asks for a price of that name; {advice}" in str(caught.value)
    assert str(tmp_path / "mine.toml") in str(caught.value)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("ec2-m7g.large-hour", "instance hour"),
        ("ec2-u-6tb1.112xlarge-hour", "instance hour"),
        ("redis-cache.m7g.large-hour", "node hour"),
        ("valkey-cache.r7g.16xlarge-hour", "node hour"),
        ("dax.r5.large-hour", "node hour"),
        ("dynamodb-ia-storage", "GB-month"),
        ("data-out", "gb"),
    ],
)
def test_a_named_file_may_have_types_that_perfkit_has_no_price_of(
    tmp_path: Path, name: str, unit: str
) -> None:
    assert named_price(tmp_path, name, unit).price(name).source == "me"


@pytest.mark.parametrize(
    ("name", "unit", "wanted"),
    [
        # 0.02 a megabyte would be billed as 0.02 a gigabyte, a thousandth
        ("data-out", "MB", "GB"),
        ("dynamodb-rcu-hour", "RCU-month", "RCU-hour"),
        ("ec2-m7g.large-hour", "instance month", "instance hour"),
    ],
)
def test_a_price_in_another_unit_is_refused(
    tmp_path: Path, name: str, unit: str, wanted: str
) -> None:
    with pytest.raises(PriceError, match=f'unit = "{unit}": expected "{wanted}"'):
        named_price(tmp_path, name, unit)


@pytest.mark.parametrize("region", _shipped_regions())
def test_shipped_prices_are_in_the_units_that_are_asked_for(region: str) -> None:
    assert all(unit_of(price.name) == price.unit for price in load_book(region).prices.values())


def test_a_file_for_another_region_is_refused(tmp_path: Path) -> None:
    named = tmp_path / "named.toml"
    named.write_text(VALID)

    with pytest.raises(PriceError, match="has prices of us-east-1; leave out --region eu-west-1"):
        load_book("eu-west-1", named)


def test_a_missing_price_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PriceError, match="cannot read the price file"):
        load_book(file=tmp_path / "none.toml")
    with pytest.raises(PriceError, match="cannot read the price file"):
        load_book(file=tmp_path)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"HOME": "/h"}, "/h/.config/perfkit/prices/us-east-1.toml"),
        ({"HOME": "/h", "XDG_CONFIG_HOME": "/x"}, "/x/perfkit/prices/us-east-1.toml"),
        ({"HOME": "/h", "XDG_CONFIG_HOME": "x"}, "/h/.config/perfkit/prices/us-east-1.toml"),
        ({"HOME": "/h", "XDG_CONFIG_HOME": "/x", FOLDER_VARIABLE: "p"}, "p/us-east-1.toml"),
    ],
)
def test_own_prices_are_where_the_xdg_specification_has_them(
    variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_CONFIG_HOME", FOLDER_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert str(own_file("us-east-1")) == expected


def test_figures_are_written_out() -> None:
    assert [
        _write_price(Decimal("0.4")),
        _write_price(Decimal("0.00013")),
        _write_price(Decimal(1250)),
        format_quantity(Decimal("0.1234567")),
        format_quantity(Decimal("1E-7")),
        format_quantity(Decimal(18250)),
        format_quantity(Decimal(1) / 3),
    ] == snapshot(["$0.40", "$0.00013", "$1,250.00", "0.123457", "0.0000001", "18,250", "0.333333"])
