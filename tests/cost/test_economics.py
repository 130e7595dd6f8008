"""Indexes, the cache, storage, data out and instances in money: hand-worked, to the cent."""
# ruff: noqa: RUF001, RUF002, RUF003 - the signs of arithmetic

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.cost.assumptions import Assumptions
from perfkit.cost.bill import Bill
from perfkit.cost.cache_economics import cache_economics
from perfkit.cost.capacity_modes import Mode
from perfkit.cost.demand import (
    State,
    hit_rates,
    indexes_of,
    units_after,
    write_terms,
    write_units_s,
)
from perfkit.cost.estimate import ModeRow, estimate
from perfkit.cost.evidence import Cpu, Evidence, HitRate, Pattern, Reading
from perfkit.cost.index_economics import index_economics, storage_use
from perfkit.cost.instances import _types, find_type, instances_needed
from perfkit.cost.price_file import load_book
from perfkit.cost.prices import PriceBook, round_to_cents
from perfkit.cost.traffic_bill import Case, _cpu_of, bill_of
from perfkit.cost.transfer import data_out_use
from perfkit.errors import ConfigError, PriceError
from perfkit.runs import WriteCost

BOOK = load_book("us-east-1")
UNITS = {"insert": 1.0, "unchanged": 0.0, "update": 1.0, "key-change": 2.0, "delete": 1.0}

TABLE = WriteCost(
    table="Books",
    index=None,
    units={"insert": 1.0, "unchanged": 1.0, "update": 1.0, "delete": 1.0},
    entry_bytes=1024.0,
    items=1_000,
)
ALL = WriteCost(
    table="Books",
    index="ByShelf",
    units=UNITS,
    entry_bytes=1024.0,
    items=1_000,
    projection="ALL",
    patterns=("shelf",),
)
KEYS = replace(
    ALL,
    projection="KEYS_ONLY",
    units={**UNITS, "update": 0.0},
    entry_bytes=40.0,
    declared=False,
    covers=False,
)
SHELF = Pattern(
    name="shelf",
    table="Books",
    before=Reading(variant="scan", index=None, units=1_250.0, body_bytes=50_000),
    after=Reading(variant="query", index="ByShelf", units=6.5, body_bytes=50_000),
    items=50,
    has_cache_policy=True,
)
BOOK_BY_ID = Pattern(
    name="book",
    table="Books",
    before=Reading(variant="scan", index=None, units=1_250.0, body_bytes=1_000),
    after=Reading(variant="get", index=None, units=0.5, body_bytes=1_000),
    items=1,
    has_cache_policy=True,
)
# a million items, as scans counted them
EVIDENCE = Evidence(
    patterns=(SHELF, BOOK_BY_ID),
    writes=(TABLE, ALL, KEYS),
    table_items={"Books": 1_000_000},
    cpu=(
        Cpu(name="phase-0", seconds=0.5),
        Cpu(name="phase-3", seconds=0.001),
        Cpu(name="phase-3-cold", seconds=0.011),
    ),
    traffic=None,
)
# ten of each a second, two writes a second of which half insert and half change a key
NINE_OF_TEN = HitRate(rate=0.9, source="a run")
TRAFFIC = Assumptions(rps=20, writes_hz=2, mix={"insert": 0.5, "key-change": 0.5}, hit_rate=0.9)


def billed(case: Case, evidence: Evidence, book: PriceBook) -> Bill:
    return bill_of(case, evidence, book, case.demands(evidence))


def cents(usd: Decimal | float) -> str:
    return f"{round_to_cents(Decimal(str(usd))):.2f}"


# ---- units -------------------------------------------------------------------------------


def test_scans_and_queries_go_to_the_table_and_the_index() -> None:
    before = Case(assumptions=TRAFFIC, state=State.BEFORE).demands(EVIDENCE)
    after = Case(assumptions=TRAFFIC, state=State.AFTER).demands(EVIDENCE)
    cached = Case(assumptions=TRAFFIC, state=State.CACHED).demands(EVIDENCE)

    # 10/s × 1,250 twice; a key that changes is a plain update of the table: 2/s × 1 unit
    assert [(each.index, each.read_units_s, each.write_units_s) for each in before] == [
        (None, 25_000, 2)
    ]
    # writes to the index: 2/s × (half of them 1 unit, half of them 2)
    assert [(each.index, each.read_units_s, each.write_units_s) for each in after] == [
        (None, 5, 2),
        ("ByShelf", 65, 3),
    ]
    assert [each.read_units_s for each in cached] == pytest.approx([0.5, 6.5])


def test_to_an_index_whose_keys_cannot_change_a_key_change_is_an_update() -> None:
    """Another index's key is to it an attribute like others: it is billed as an update."""
    inverted = replace(ALL, units={"insert": 2.0, "unchanged": 0.0, "update": 2.0, "delete": 2.0})

    # 2/s × (half of them inserts of 2 units, half of them updates of 2)
    assert write_units_s(inverted, TRAFFIC) == 4
    assert write_units_s(ALL, TRAFFIC) == 3


def test_an_index_without_what_is_asked_needs_a_read_for_each_item() -> None:
    # 50 entries of 40 bytes are one half unit, 50 items of 1 KB half a unit each
    assert units_after(SHELF, EVIDENCE, "KEYS_ONLY") == 0.5 + 25
    after = Case(assumptions=TRAFFIC, state=State.AFTER, projection="KEYS_ONLY").demands(EVIDENCE)

    # the index answers half a unit, the table the rest, and its own get
    assert [each.read_units_s for each in after] == [250 + 5, 5]
    assert units_after(SHELF, EVIDENCE) == 6.5
    assert indexes_of(State.AFTER, EVIDENCE, "KEYS_ONLY") == (KEYS,)
    # there is no index that includes something, so it stays as it is declared
    assert indexes_of(State.AFTER, EVIDENCE, "INCLUDE") == (ALL,)


def test_a_query_is_billed_on_what_it_evaluates_before_its_filter() -> None:
    """1,000 entries are evaluated and 50 returned; the arithmetic is in the comments."""
    # 1,000 × 1,024 bytes are 250 times 4 KB, half a unit each; measured half a unit more, in pages
    read = Reading(variant="query", index="ByShelf", units=125.5, items_read=1_000)
    filtered = replace(SHELF, after=read)
    same = replace(ALL, projection="INCLUDE", declared=False, filters=("shelf",))
    half = replace(same, entry_bytes=512.0)

    def units(*forms: WriteCost, projection: str = "INCLUDE") -> float:
        evidence = replace(EVIDENCE, patterns=(filtered,), writes=(TABLE, ALL, *forms))
        return units_after(filtered, evidence, projection)

    assert units(same) == 125.5
    # 1,000 × 512 bytes are 125 times 4 KB
    assert units(half) == 62.5
    # it holds what the filter reads: 50 items of 1 KB from the table, half a unit each
    assert units(replace(half, covers=False)) == 62.5 + 25
    # 1,000 × 40 bytes are 10 times 4 KB; without the filter's attribute all 1,000 items are read
    assert units(replace(KEYS, filters=()), projection="KEYS_ONLY") == 5 + 500
    # a run that does not say is not taken to filter
    assert units(KEYS, projection="KEYS_ONLY") == 5 + 500
    evidence = replace(EVIDENCE, patterns=(filtered,))
    # 20 requests a second
    after = Case(assumptions=TRAFFIC, state=State.AFTER, projection="KEYS_ONLY").demands(evidence)
    assert [each.read_units_s for each in after] == [20 * 500, 20 * 5]


# ---- what an index costs and saves ---------------------------------------------------------


def test_an_index_costs_its_writes_its_storage_and_its_backfill() -> None:
    full, keys = index_economics(EVIDENCE, TRAFFIC, BOOK)

    # 10/s × 1,250 × 2,628,000 s × $0.125 a million, and with 6.5
    assert cents(full.scan.usd) == "4106.25"
    assert cents(full.query.usd) == "21.35"
    # 3 units a second × 2,628,000 s × $0.625 a million
    assert cents(full.writes.usd) == "4.93"
    # 1,000,000 × (1,024 + 100) bytes are 1.046813 GB, × $0.25
    assert cents(full.storage.usd) == "0.26"
    # a million units, once
    assert cents(full.backfill.usd) == "0.63"
    assert cents(full.saved_usd) == "4079.71"
    # 25.5 units a call
    assert cents(keys.query.usd) == "83.77"
    # 1,000,000 × 140 bytes
    assert cents(keys.storage.usd) == "0.03"
    assert "1,250 RRU" in full.scan.arithmetic
    assert "$4,106.25" in full.scan.arithmetic


def test_an_index_pays_for_itself_where_it_saves_what_it_costs() -> None:
    full, keys = index_economics(EVIDENCE, TRAFFIC, BOOK)

    for each in (full, keys):
        assert each.break_even_hz is not None
        there = replace(TRAFFIC, patterns={"shelf": each.break_even_hz})
        (again,) = (
            other
            for other in index_economics(EVIDENCE, there, BOOK)
            if other.cost.projection == each.cost.projection
        )
        assert again.saved_usd == pytest.approx(0, abs=1e-9)
    # ($4.9275 + $0.2617) ÷ (1,243.5 × 2,628,000 × $0.125 a million)
    assert full.break_even_hz == pytest.approx(0.0127, abs=1e-4)


def test_an_index_that_reads_no_less_never_pays() -> None:
    slow = replace(SHELF, after=Reading(variant="query", index="ByShelf", units=1_250.0))

    (full, _) = index_economics(replace(EVIDENCE, patterns=(slow,)), TRAFFIC, BOOK)

    assert full.break_even_hz is None


def test_entries_that_few_items_have_cost_little() -> None:
    sparse = replace(ALL, entries_share=0.01)

    (one,) = index_economics(replace(EVIDENCE, writes=(TABLE, sparse)), TRAFFIC, BOOK)

    assert cents(one.writes.usd) == "0.05"
    assert cents(one.backfill.usd) == "0.01"


@pytest.mark.parametrize(
    ("items", "free_tier", "usd"),
    [
        pytest.param(1_000_000, False, "0.26", id="a gigabyte"),
        pytest.param(23_000_000, True, "0.00", id="24.08 GB are free"),
        # 30 × 1.046813 = 31.404 GB, 25 of them free
        pytest.param(30_000_000, True, "1.60", id="beyond the free 25 GB"),
    ],
)
def test_storage_has_100_bytes_an_entry(items: float, free_tier: bool, usd: str) -> None:
    assert cents(storage_use(TABLE, items).cost(BOOK, free_tier=free_tier).usd) == usd


# ---- the cache ---------------------------------------------------------------------------


def test_a_cache_saves_its_hits_and_costs_its_node() -> None:
    before = cache_economics(EVIDENCE, TRAFFIC, BOOK, State.BEFORE, NINE_OF_TEN)
    after = cache_economics(EVIDENCE, TRAFFIC, BOOK, State.AFTER, NINE_OF_TEN)

    # 730 × $0.017
    assert cents(after.node.usd) == "12.41"
    # (6.5 + 0.5) × 10/s × 2,628,000 s × $0.125 a million
    assert cents(after.without.usd) == "23.00"
    assert cents(after.saved_usd) == "20.70"
    assert cents(after.net_usd) == "8.29"
    assert after.break_even_rate == pytest.approx(12.41 / 22.995)
    # 20/s × 12.41 ÷ 20.6955
    assert after.break_even_hz == pytest.approx(11.9930, abs=1e-4)
    assert cents(before.saved_usd) == "7391.25"


def test_a_cache_that_can_never_pay_says_so() -> None:
    quiet = replace(TRAFFIC, rps=1)

    economics = cache_economics(EVIDENCE, quiet, BOOK, State.AFTER, NINE_OF_TEN)

    assert economics.break_even_rate is None
    assert economics.net_usd < 0
    none = cache_economics(EVIDENCE, replace(TRAFFIC, rps=0), BOOK, State.AFTER, NINE_OF_TEN)
    assert none.break_even_hz is None


@given(st.floats(0.001, 1e6), st.floats(0.01, 1))
def test_at_its_break_even_the_node_is_paid_by_its_hits(rps: float, hit_rate: float) -> None:
    there = cache_economics(
        EVIDENCE,
        replace(TRAFFIC, rps=rps),
        BOOK,
        State.AFTER,
        HitRate(rate=hit_rate, source="a run"),
    )
    assert there.break_even_hz is not None

    again = cache_economics(
        EVIDENCE,
        replace(TRAFFIC, rps=there.break_even_hz),
        BOOK,
        State.AFTER,
        HitRate(rate=hit_rate, source="a run"),
    )

    assert again.net_usd == pytest.approx(0, abs=1e-6)
    if there.break_even_rate is not None:
        same = cache_economics(
            EVIDENCE,
            replace(TRAFFIC, rps=rps),
            BOOK,
            State.AFTER,
            HitRate(rate=there.break_even_rate, source="a run"),
        )
        assert same.net_usd == pytest.approx(0, abs=1e-6)


# equally wanted keys that no write forgets: a hit rate is in_a_life ÷ (1 + in_a_life)
EVEN = Assumptions(keys=1_000, skew=0, ttl_s=300, invalidations_hz=0)


def test_money_follows_the_hits_of_read_units() -> None:
    """
    What is asked often is cheap and hit, what is dear is asked seldom and missed.

    Cheap: 50/s × 300 s ÷ 1,000 keys = 15 in a life, 15/16 hits, 25 RRU/s. Dear: 0.006 in a life,
    0.5964% hits, 20 RRU/s. So 93.71% of requests are hits, of read units (25 × 0.9375 + 20 ×
    0.005964) ÷ 45 = 52.35%, and of 45 × 2,628,000 s × $0.125 a million = $14.78 that is $7.74.
    """
    cheap = replace(SHELF, name="cheap", after=Reading(variant="get", index=None, units=0.5))
    dear = replace(SHELF, name="dear", after=Reading(variant="get", index=None, units=1_000.0))
    evidence = Evidence(patterns=(cheap, dear), table_items={}, traffic=None)
    traffic = replace(EVEN, patterns={"cheap": 50.0, "dear": 0.02})

    measured = estimate(evidence, traffic, BOOK)

    (economics,) = (row for row in measured.caches if row.state is State.AFTER)
    assert economics.request_hits == pytest.approx(0.93713, abs=1e-5)
    assert economics.unit_hits == pytest.approx(0.52348, abs=1e-5)
    assert cents(economics.saved_usd) == "7.74"
    bill = {
        state: {line.key: float(line.usd or 0) for line in each.lines}
        for state, each in measured.bills.items()
    }
    after, cached = bill[State.AFTER], bill[State.CACHED]
    # lines of a bill are rounded to cents
    assert economics.saved_usd == pytest.approx(after["reads"] - cached["reads"], abs=0.01)
    assert economics.net_usd == pytest.approx(sum(after.values()) - sum(cached.values()), abs=0.01)
    # the node is paid by 12.41 ÷ 14.78 of the read units
    assert economics.break_even_rate == pytest.approx(0.8396, abs=1e-4)


@pytest.mark.parametrize("asked_hz", [0.05, 1.0, 7.0, 20.0, 500.0])
def test_the_rate_that_pays_the_node_is_the_same_wherever_it_is_asked(asked_hz: float) -> None:
    """
    With 60 s and 100 keys, r requests a second have 0.6 r in a life and 0.6 r ÷ (1 + 0.6 r) hits.

    A request of 6.5 RRU is 6.5 × 2,628,000 s × $0.125 a million = $2.13525 a month, the node $12.41:
    0.6 r² = 5.8120 (1 + 0.6 r), so r = (3.4872 + √(3.4872² + 4 × 0.6 × 5.8120)) ÷ 1.2 = 7.1641.
    """
    evidence = Evidence(patterns=(SHELF,), table_items={}, traffic=None)
    traffic = replace(EVEN, keys=100, ttl_s=60, rps=asked_hz)

    economics = cache_economics(evidence, traffic, BOOK, State.AFTER)

    assert economics.break_even_hz == pytest.approx(7.1641, abs=1e-4)
    there = cache_economics(evidence, replace(traffic, rps=7.1641), BOOK, State.AFTER)
    assert there.net_usd == pytest.approx(0, abs=1e-3)
    assert (economics.held, there.held) == (False, False)
    # a hit rate that is given is the same at every rate: 12.41 ÷ (2.13525 × 0.9)
    given_rate = cache_economics(evidence, replace(traffic, hit_rate=0.9), BOOK, State.AFTER)
    assert given_rate.held
    assert given_rate.break_even_hz == pytest.approx(6.4577, abs=1e-4)


@pytest.mark.parametrize("asked_hz", [0.05, 1.0, 4.9, 20.0, 500.0])
def test_the_rate_from_which_provisioning_pays_behind_a_cache_is_one(asked_hz: float) -> None:
    """
    r requests a second miss r ÷ (1 + 0.6 r) times, as above, of 6.5 RRU each.

    A unit a second is $0.3285 a month on demand, an RCU $0.0949, a WCU $0.4745. Twice the mean is
    provisioned for the index, the table takes one RCU, and each of them one WCU. With U units a
    second that is $0.0949 (1 + ⌈2 U⌉) + $0.949, for the last time as much as $0.3285 U at
    ⌈2 U⌉ = 17: U = 8.08889, so r ÷ (1 + 0.6 r) = 1.24444 and r = 4.9123.
    """
    evidence = Evidence(patterns=(SHELF,), table_items={"Books": 1}, traffic=None)

    def cached(traffic: Assumptions) -> Mapping[Mode, float | None]:
        rows = estimate(evidence, traffic, BOOK).modes
        return next(row.break_even_hz for row in rows if row.state is State.CACHED)

    traffic = replace(EVEN, keys=100, ttl_s=60, rps=asked_hz)

    assert cached(traffic)[Mode.PROVISIONED] == pytest.approx(4.9123, abs=1e-4)
    # with 90% hits held, U = 0.65 r
    held = cached(replace(traffic, hit_rate=0.9))
    assert held[Mode.PROVISIONED] == pytest.approx(8.08889 / 0.65, abs=1e-3)
    # no more than 1.67 misses a second of 0.5 RRU are too few for good
    few = replace(SHELF, after=Reading(variant="query", index="ByShelf", units=0.5))
    evidence = replace(evidence, patterns=(few,))
    assert cached(traffic)[Mode.PROVISIONED] is None


@pytest.mark.parametrize(
    ("rps", "writes_hz", "peak_ratio", "keys"), [(20, 1, 2, 78), (5, 0.2, 3, 1_000), (90, 9, 1, 9)]
)
def test_behind_a_cache_on_demand_is_never_cheaper_beyond_the_break_even(
    rps: float, writes_hz: float, peak_ratio: float, keys: int
) -> None:
    traffic = Assumptions(rps=rps, writes_hz=writes_hz, peak_ratio=peak_ratio, keys=keys)

    def row(factor: float) -> ModeRow:
        at = replace(traffic, rps=rps * factor, writes_hz=writes_hz * factor)
        return next(
            each for each in estimate(EVIDENCE, at, BOOK).modes if each.state is State.CACHED
        )

    for mode, crossing in row(1).break_even_hz.items():
        if crossing is None or crossing > 1e4:
            continue
        for beyond in (1.0001, 2):
            costs = row(crossing / rps * beyond).costs
            assert costs[mode].usd <= costs[Mode.ON_DEMAND].usd + Decimal("0.01")
        if crossing:
            costs = row(crossing / rps * 0.9999).costs
            assert costs[mode].usd >= costs[Mode.ON_DEMAND].usd


def test_no_rate_pays_a_node_for_what_is_never_asked_twice() -> None:
    """A picosecond is too short even at the most that is looked at, ten million a second."""
    evidence = Evidence(patterns=(SHELF,), table_items={}, traffic=None)
    traffic = replace(EVEN, ttl_s=1e-12)

    assert cache_economics(evidence, traffic, BOOK, State.AFTER).break_even_hz is None


def test_what_writes_make_an_index_take_can_be_followed() -> None:
    """2 writes/s, half of them inserts of 1 unit, half changes of the key of 2: 2 × 1.5 = 3 WRU/s."""
    (declared, _) = index_economics(EVIDENCE, TRAFFIC, BOOK)

    assert declared.writes.arithmetic.startswith(
        "2/s × (insert 0.5 × 1 + key-change 0.5 × 2) WRU = 3 WRU/s; 3 WRU/s × 2,628,000 s: 7,884,000"
    )
    half = replace(ALL, items=500, entries_share=0.5)
    assert write_terms(half, TRAFFIC).endswith("WRU × 0.5 entries = 1.5 WRU/s")


def test_a_time_to_live_of_its_own_counts_before_the_common_one() -> None:
    """One key asked once a second and kept 3 s: a miss, then 3 hits on average, 3 of 4; 9 s: 9 of 10."""
    alone = replace(TRAFFIC, hit_rate=None, keys=1, rps=2.0, invalidations_hz=0.0, ttl_s=9.0)
    first, second = (each.name for each in EVIDENCE.patterns)

    assert hit_rates(EVIDENCE, replace(alone, ttls={first: 3.0})) == {
        first: pytest.approx(0.75),
        second: pytest.approx(0.9),
    }


@given(st.floats(1, 1e5), st.floats(1.1, 10))
def test_answers_kept_longer_are_hit_more_often(ttl_s: float, times: float) -> None:
    traffic = replace(TRAFFIC, hit_rate=None, ttl_s=ttl_s)
    longer = replace(traffic, ttl_s=ttl_s * times)

    for name, rate in hit_rates(EVIDENCE, traffic).items():
        assert 0 <= rate < hit_rates(EVIDENCE, longer)[name] < 1


# ---- data out and instances ----------------------------------------------------------------


def test_data_out_is_what_answers_weigh() -> None:
    # 50,000 B × 10/s × 2,628,000 s ÷ 2**30 = 1,223.76 GB at $0.09
    assert cents(data_out_use(500_000).cost(BOOK).usd) == "110.14"
    # 100 GB less
    assert cents(data_out_use(500_000).cost(BOOK, free_tier=True).usd) == "101.14"
    # 12,237.578 GB: 10,240 at $0.09 and the rest at $0.085
    assert cents(data_out_use(5_000_000).cost(BOOK).usd) == "1091.39"


@pytest.mark.parametrize(
    ("rate_hz", "peak_ratio", "count", "bound"),
    [
        # a t3.micro may use 2 × 10% for good, and here 1.4 of its 2 vCPUs at the peak
        pytest.param(20, 2, 1, "baseline", id="0.2 vCPU is the baseline of one"),
        pytest.param(20.1, 2, 2, "baseline", id="a little more needs another"),
        pytest.param(10, 20, 2, "peak", id="a peak of 2 vCPU in full is too much for one"),
        pytest.param(0, 2, 1, "baseline", id="no traffic still needs one"),
    ],
)
def test_instances_are_those_whose_credits_never_run_out(
    rate_hz: float, peak_ratio: float, count: int, bound: str
) -> None:
    need = instances_needed(
        rate_hz, 0.010, find_type("t3.micro", BOOK), peak_ratio=peak_ratio, cpu_target=0.7
    )

    assert (need.count, need.bound) == (count, bound)
    # 730 h × $0.0104
    assert cents(need.use(find_type("t3.micro", BOOK)).cost(BOOK).usd) == cents(count * 7.592)


def test_every_type_agrees_with_its_own_rule() -> None:
    """A day's credits are the most that can be saved up; a t3.micro bursts for 160 minutes."""
    for kind in _types().values():
        assert kind.most_credits == pytest.approx(24 * (kind.credits_an_hour or 0))
    assert find_type("t3.micro", BOOK).baseline_vcpus == pytest.approx(2 * 0.10)
    assert find_type("t3.nano", BOOK).baseline_vcpus == pytest.approx(2 * 0.05)
    assert find_type("t3.micro", BOOK).burst_s == pytest.approx(160 * 60)


def test_a_type_that_is_not_burstable_may_use_all_it_has() -> None:
    price = replace(BOOK.price("ec2-t3.micro-hour"), name="ec2-m7g.large-hour", vcpus=2)
    book = replace(BOOK, prices={**BOOK.prices, price.name: price})

    # 1.5 vCPUs on average are within 2 for good; the peak of 3 takes 3 / (2 × 70%) = 2.14
    need = instances_needed(150, 0.010, find_type("m7g.large", book), peak_ratio=2, cpu_target=0.7)

    assert (need.count, need.bound) == (3, "peak")


def test_an_unknown_type_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'t3\.mikro' in us-east-1; did you mean 't3\.micro'"):
        find_type("t3.mikro", BOOK)


# ---- the whole bill ------------------------------------------------------------------------


def test_a_bill_has_a_line_for_everything_that_was_measured() -> None:
    bill = billed(Case(assumptions=TRAFFIC), EVIDENCE, BOOK)

    assert [(line.key, cents(line.usd or 0)) for line in bill.lines] == [
        ("reads", "2.30"),
        ("table-writes", "3.29"),
        ("index-writes", "4.93"),
        ("table-storage", "0.26"),
        ("index-storage", "0.26"),
        ("cache", "12.41"),
        # 0.9 × 1 ms + 0.1 × 11 ms = 2 ms, 20 a second: 0.04 vCPU
        ("instances", "7.59"),
        ("data-out", "112.34"),
    ]
    assert float(bill.total_usd) == pytest.approx(143.38, abs=0.01)


def test_before_there_are_no_indexes_and_no_cache() -> None:
    lines = billed(Case(assumptions=TRAFFIC, state=State.BEFORE), EVIDENCE, BOOK).lines

    assert [line.key for line in lines] == [
        *("reads", "table-writes", "table-storage", "instances", "data-out"),
    ]
    # 20/s × 0.5 s = 10 vCPU ÷ 0.2 of a t3.micro = 50
    assert "50 \N{MULTIPLICATION SIGN} 730 h" in lines[3].arithmetic
    assert _cpu_of(Case(assumptions=TRAFFIC, state=State.AFTER), EVIDENCE) == 0.011


def test_before_has_the_indexes_that_are_there_already() -> None:
    """Two writes a second of 1.5 WRU each to the index (half insert, half change a key), and its storage."""
    existing = replace(EVIDENCE, existing=frozenset({("Books", "ByShelf")}))

    lines = {
        line.key: line.usd
        for line in billed(Case(assumptions=TRAFFIC, state=State.BEFORE), existing, BOOK).lines
    }

    # 3 WRU/s × 2,628,000 s × $0.625 a million; a million entries of 1,124 B = 1.0468 GB
    assert cents(lines["index-writes"] or 0) == "4.93"
    assert cents(lines["index-storage"] or 0) == "0.26"


def test_a_line_without_a_price_says_so_and_is_not_free() -> None:
    ireland = load_book("eu-west-1")

    lines = {line.key: line for line in billed(Case(assumptions=TRAFFIC), EVIDENCE, ireland).lines}

    assert lines["reads"].usd is not None
    assert lines["cache"].usd is None
    assert "redis-cache.t3.micro-hour" in lines["cache"].reason
    with pytest.raises(PriceError):
        index_economics(EVIDENCE, TRAFFIC, ireland)


def test_what_no_run_says_has_no_line() -> None:
    nothing = Evidence(table_items={}, traffic=None)

    assert [each.key for each in billed(Case(), nothing, BOOK).lines] == ["cache"]
    assert [each.command for each in nothing.missing()] == [
        "perfkit bench",
        "perfkit bench --scenario index-cost",
        "perfkit bench --scenario phases",
    ]


def test_free_allowances_go_to_tables_and_their_indexes_once() -> None:
    """25 GB and 25 units of each kind are an account's, not a table's."""
    # 20 million items are 20.9 GB in the table and as much in the index: 16.9 GB of 41.9 are paid
    large = replace(EVIDENCE, table_items={"Books": 20_000_000})
    # a busiest hour of 20 and 30 write units: 25 of 50 are paid
    busy = replace(TRAFFIC, writes_hz=10, free_tier=True)

    lines = {
        line.key: line
        for line in billed(
            Case(assumptions=busy, state=State.AFTER, mode=Mode.PROVISIONED), large, BOOK
        ).lines
    }

    assert cents(lines["table-storage"].usd or 0) == "0.00"
    assert cents(lines["index-storage"].usd or 0) == "4.22"
    assert cents(lines["table-writes"].usd or 0) == "0.00"
    # 730 h × 25 × $0.00065
    assert cents(lines["index-writes"].usd or 0) == "11.86"
