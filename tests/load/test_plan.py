"""What is made of a mix, and when requests are due: worked out by hand."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from gevent import Timeout
from hypothesis import given
from hypothesis import strategies as st

from perfkit.errors import ConfigError, TargetError
from perfkit.load.answers import AnswerCounts, kind_of_error
from perfkit.load.drawing import draw_from
from perfkit.load.mix_file import read_mix
from perfkit.load.plan import LoadPlan, Mix, Request, Values
from perfkit.load.schedule import Schedule
from perfkit.load.templates import RequestSource


def times_of(schedule: Schedule) -> list[float]:
    found = []
    while (due_s := schedule.take()) is not None:
        found.append(due_s)
    return found


def test_requests_of_a_rate_are_due_at_fixed_times() -> None:
    assert times_of(Schedule(4.0, 0.0, 2.0)) == [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75]


def test_a_ramp_makes_half_of_what_the_whole_rate_would() -> None:
    times_s = times_of(Schedule(100.0, 2.0, 3.0))

    # 100 in the ramp of 2 s, 300 in the 3 s after it
    assert sum(each < 2.0 for each in times_s) == 100
    assert sum(each >= 2.0 for each in times_s) == 300
    # in the first half of the ramp a quarter of it
    assert sum(each < 1.0 for each in times_s) == 25


@given(st.integers(1, 7), st.floats(1.0, 300.0), st.floats(0.0, 2.0))
def test_processes_share_one_schedule(of: int, rate_hz: float, ramp_s: float) -> None:
    whole = times_of(Schedule(rate_hz, ramp_s, 1.0))

    shares = [times_of(Schedule(rate_hz, ramp_s, 1.0, index=each, of=of)) for each in range(of)]

    assert sorted(each for share in shares for each in share) == whole
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


MIX = Mix(
    name="m",
    requests=(
        Request(name="a", method="GET", path="/a/{u.id}?t={u.token}", weight=3),
        Request(name="b", method="POST", path="/b", body='{"n": {n}, "x": {}}', weight=1),
    ),
    values={
        "u": Values(columns=("id", "token"), rows=tuple((f"i{n}", f"t{n}") for n in range(9))),
        "n": Values(columns=("value",), rows=(("1",), ("2",), ("3",)), skew=1.0),
    },
)


def test_requests_come_by_their_weights_and_values_by_their_skew() -> None:
    source = RequestSource(MIX, seed=1)
    drawn = [source.draw() for _ in range(8000)]

    names = Counter(each.request.name for each in drawn)
    values = Counter(each.body for each in drawn if each.body)
    assert names["a"] / names["b"] == pytest.approx(3, rel=0.1)
    # 1 : 1/2 : 1/3
    assert values['{"n": 1, "x": {}}'] / values['{"n": 2, "x": {}}'] == pytest.approx(2, rel=0.2)
    assert values['{"n": 1, "x": {}}'] / values['{"n": 3, "x": {}}'] == pytest.approx(3, rel=0.2)


def test_the_columns_of_a_name_come_from_one_row() -> None:
    source = RequestSource(MIX, seed=2)

    for _ in range(200):
        drawn = source.draw()
        if drawn.request.name == "a":
            parts = urlsplit(drawn.path)
            assert parts.path.removeprefix("/a/i") == parse_qs(parts.query)["t"][0][1:]


def test_pauses_have_their_mean_and_no_upper_end() -> None:
    source = RequestSource(MIX, seed=3)
    pauses_s = [source.pause(0.2) for _ in range(20000)]

    assert sum(pauses_s) / len(pauses_s) == pytest.approx(0.2, rel=0.05)
    # of an exponential distribution 1/e² is above twice the mean
    assert sum(each > 0.4 for each in pauses_s) / len(pauses_s) == pytest.approx(0.135, abs=0.02)
    assert source.pause(0.0) == 0.0


def test_a_plan_survives_its_way_to_another_process() -> None:
    import json

    plan = LoadPlan(urls=("http://a",), users=3, duration_s=1.0, mix=MIX, rate_hz=5.0)

    assert LoadPlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


FILE = b"""
name = "shop"
headers = { Accept = "text/plain" }
[values.user]
file = "users.csv"
[values.order]
file = "orders.txt"
[values.page]
range = [1, 3]
[values.item]
items = "Things"
where = { open = true }
[requests.look]
path = "/users/{user.id}/orders/{order}?page={page}&item={item.sku}"
[requests.buy]
method = "post"
path = "/buy"
json = { user = "{user.id}", count = 2 }
expect = [201]
weight = 0.5
"""


def draw(
    table: str, columns: Sequence[str], most: int, where: Mapping[str, str | int | bool]
) -> list[tuple[str, ...]]:
    assert (table, list(columns), most, dict(where)) == ("Things", ["sku"], 1000, {"open": True})
    return [("s1",), ("s2",)]


def test_a_mix_file_is_read_with_its_values(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("id,token\n1,one\n2,two\n")
    (tmp_path / "orders.txt").write_text("o1\n\n o2 \n")

    mix = read_mix(FILE, source="shop.toml", folder=tmp_path, draw=draw)

    assert {name: (each.columns, each.rows) for name, each in mix.values.items()} == {
        "user": (("id", "token"), (("1", "one"), ("2", "two"))),
        "order": (("value",), (("o1",), ("o2",))),
        "page": (("value",), (("1",), ("2",), ("3",))),
        "item": (("sku",), (("s1",), ("s2",))),
    }
    look, buy = mix.requests
    assert (look.method, look.headers, look.weight) == ("GET", {"Accept": "text/plain"}, 1.0)
    assert (buy.method, buy.expect, buy.weight) == ("POST", (201,), 0.5)
    assert buy.body == '{"user": "{user.id}", "count": 2}'
    assert buy.headers == {"Accept": "text/plain", "Content-Type": "application/json"}


def no_answer(original: BaseException) -> Exception:
    """Return what Locust's HTTP client raises when it gives up."""
    error = ConnectionError("URL http://127.0.0.1/slow: 0", original)
    error.original = original  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(
    ("error", "status", "expect", "taken_s", "kind"),
    [
        pytest.param(None, 200, (), 0.1, "", id="well"),
        pytest.param(ValueError("x"), 503, (), 0.1, "status 503", id="status"),
        pytest.param(ValueError("x"), 302, (), 0.1, "redirect (status 302)", id="redirect"),
        pytest.param(ValueError("x"), 302, (302,), 0.1, "", id="expected"),
        pytest.param(ValueError("x"), 200, (201,), 0.1, "status 200", id="not the expected one"),
        pytest.param(ValueError("x"), 0, (), 1.0, "timeout", id="timeout"),
        pytest.param(no_answer(Timeout(0.1)), 0, (), 0.099, "timeout", id="early timeout"),
        pytest.param(no_answer(TimeoutError()), 0, (), 0.1, "timeout", id="connecting timeout"),
        pytest.param(ConnectionRefusedError(), 0, (), 0.1, "connection refused", id="refused"),
        pytest.param(ConnectionResetError(), 0, (), 0.1, "connection closed", id="reset"),
        pytest.param(ValueError("odd\nanswer"), 200, (), 0.1, "odd answer", id="a user's own"),
    ],
)
def test_errors_have_kinds_that_can_be_counted(
    error: Exception | None, status: int, expect: tuple[int, ...], taken_s: float, kind: str
) -> None:
    assert kind_of_error(error, status, expect, taken_s, 1.0) == kind


def test_server_timing_is_read_as_the_standard_writes_it() -> None:
    counts = AnswerCounts()

    counts._add_stages('db;dur=53.5;desc="a, b", cache;desc="x", app;dur=1, db;dur="6.5"')

    assert counts.stages_s == pytest.approx({"db": 0.06, "app": 0.001})


def test_values_are_drawn_from_items_that_have_what_is_wanted() -> None:
    from perfkit.dynamodb.targets import Target

    target = Target()
    client = target.client()
    client.create_table(
        TableName="Things",
        KeySchema=[{"AttributeName": "sku", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "sku", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for number in range(30):
        item = {"sku": {"S": f"s{number}"}, "open": {"BOOL": number % 2 == 0}}
        client.put_item(TableName="Things", Item={**item, "price": {"N": str(number)}})

    rows = draw_from(target, {"token": ("sku", str.upper)})(
        "Things", ["price", "token"], 100, {"open": True}
    )

    assert sorted(rows) == sorted((str(each), f"S{each}") for each in range(0, 30, 2))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("chat-message", "did you mean chat-messages? Else correct the mix"),
        ("course", "did you mean courses? Else correct the mix"),
        ("courses", "create it with `perfkit seed`"),
        ("zebra", "to draw values from; correct the mix, or name another --target"),
    ],
)
def test_a_table_that_is_not_there_is_seeded_only_where_it_is_of_the_workload(
    table: str, said: str
) -> None:
    from perfkit.dynamodb.targets import Target

    target = Target()
    target.client().create_table(
        TableName="chat-messages",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )

    with pytest.raises(TargetError) as refused:
        draw_from(target, {}, {"courses"})(table, ["id"], 9, {})

    assert said in str(refused.value)
    assert ("perfkit seed" in str(refused.value)) == (table == "courses")


def test_a_misspelt_key_of_a_mix_is_answered_with_the_keys_as_they_are_written() -> None:
    mix = b'name = "m"\n[requests.a]\npath = "/"\nwieght = 3\n[values.v]\nrang = [1, 2]\n'

    with pytest.raises(ConfigError) as raised:
        read_mix(mix, source="m.toml", folder=Path())

    words = str(raised.value)
    assert (
        "did you mean 'weight'? choose from body, expect, headers, json, method, path, w" in words
    )
    assert "did you mean 'range'? choose from file, items, list, most, range, skew, where" in words
