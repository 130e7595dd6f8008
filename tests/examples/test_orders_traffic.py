"""The order service under a recorder: every planted fault is found, and nothing else."""

import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

import boto3
import orjson
import pytest
from multidict import CIMultiDict
from typer.testing import CliRunner

from perfkit.cli import app
from perfkit.dynamodb.safety import RequestPrices
from perfkit.traffic.figures import summarize
from perfkit.traffic.findings import Finding, Rule, Settings
from perfkit.traffic.rules import find
from perfkit.traffic.trace import Trace
from perfkit.traffic.upstream import Answer, Upstream
from perfkit.workloads.loader import load

pytestmark = pytest.mark.processes

PRICES = RequestPrices(
    region="us-east-1", read_unit_usd=0.125e-6, write_unit_usd=0.625e-6, source="test"
)

EXAMPLE = Path(__file__).parents[2] / "examples" / "orders"

Ask = Callable[[Any], Any]


def product(number: int) -> dict[str, Any]:
    return {"category": "toys", "sku": f"N-{number}", "title": "New", "price": 1, "stock": 3}


def ordered(number: int) -> dict[str, Any]:
    address = {"name": "A", "street": "B", "zip": "1", "city": "C", "country": "DE"}
    wanted = [{"category": "books", "sku": f"BO-{number + 1:03}", "quantity": 1}]
    return {"customer_id": "C-00002", "wanted": wanted, "address": address}


def ok(response: Any) -> Any:
    assert response.status_code < 300, response.text
    return response


FAULTY: dict[str, Ask] = {
    "orders of a customer": lambda shop: ok(shop.http.get("/customers/C-00007/orders")),
    "orders with a coupon": lambda shop: ok(shop.http.get("/coupons/FRIENDS/orders")),
    "orders with customers": lambda shop: ok(shop.http.get("/statuses/shipped/orders")),
    "parcels": lambda shop: (
        [ok(shop.http.post("/orders", json=ordered(number))) for number in range(6)],
        ok(shop.http.get("/warehouses/W1/parcels")),
    ),
    "products": lambda shop: [ok(shop.http.get("/products?category=books")) for _ in range(40)],
    "import": lambda shop: ok(shop.http.post("/products", json=[product(n) for n in range(30)])),
}


def clean(shop: Any) -> None:
    """Ask the endpoints that are as they should be, some of them often."""
    for number in range(1, 8):
        ok(shop.http.get(f"/orders/O-{number * 100:06}"))
        ok(shop.http.get(f"/orders/O-{number * 100:06}/invoice"))
        ok(shop.http.get(f"/orders?day=2025-11-{number:02}"))
        ok(shop.http.get(f"/customers/C-{number:05}"))
        ok(shop.http.patch(f"/orders/O-{number * 100:06}", json={"status": "shipped"}))
        ok(shop.http.post("/orders", json=ordered(number)))


@pytest.fixture
def findings(
    filled: str, open_shop: Callable[[str], Any], recorder: Callable[..., Any]
) -> Callable[..., tuple[list[Finding], Trace]]:
    """Return a function that has something asked, and returns what the rules find in it."""

    def findings(ask: Ask, **options: Any) -> tuple[list[Finding], Trace]:
        recording = recorder(filled, **options)
        # the shop's own handlers ask for units; the recorder sees what the service itself would
        shop = open_shop(recording.url)
        ask(shop)
        trace = recording.trace()
        return rules(trace), trace

    return findings


def rules(trace: Trace) -> list[Finding]:
    """Return what the rules find."""
    return list(find(summarize(trace, PRICES), Settings(idle_after_s=0, cache_node_usd=12.41)))


def places(found: list[Finding]) -> list[tuple[str, str]]:
    # every order that is written pays for an index that nothing reads: a test of its own
    return [
        (str(each.rule), each.request.partition(":")[0])
        for each in found
        if each.rule is not Rule.IDLE_INDEX
    ]


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("orders of a customer", [("scan", "Scan Orders")]),
        ("orders with a coupon", [("scan", "Scan Orders"), ("filter", "Scan Orders")]),
        ("orders with customers", [("n-plus-one", "GetItem Customers")]),
        ("parcels", [("narrow-index", "Query Orders.to-pack")]),
        ("products", [("repeated-read", "Query Products")]),
        ("import", []),
    ],
)
def test_every_planted_fault_is_found(
    endpoint: str,
    expected: list[tuple[str, str]],
    findings: Callable[..., tuple[list[Finding], Trace]],
) -> None:
    found, _ = findings(FAULTY[endpoint])

    assert places(found) == expected


def test_nothing_is_found_on_clean_endpoints(
    findings: Callable[..., tuple[list[Finding], Trace]],
) -> None:
    found, trace = findings(clean)

    assert places(found) == []
    idle = {each.request for each in found if each.rule is Rule.IDLE_INDEX}
    assert "Orders.by-channel" in idle
    assert "Orders.by-day" not in idle
    assert trace.requests > 50


def customers(shop: Any) -> None:
    """Ask for one customer three times as often as for all others."""
    for number in range(1, 51):
        ok(shop.http.get(f"/customers/C-{number:05}"))
        for _ in range(3):
            ok(shop.http.get("/customers/C-00001"))


def test_a_hot_key_is_found(
    findings: Callable[..., tuple[list[Finding], Trace]],
) -> None:
    found, _ = findings(customers)

    (hot,) = [each for each in found if each.rule is Rule.HOT_KEY]
    assert hot.request == "GetItem Customers"
    assert "one key takes 75.5% of what Customers" in hot.what


class Busy:
    """A target that does not get round to the last item of each batch."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def send(self, method: str, path: str, headers: CIMultiDict[str], body: bytes) -> Answer:
        request = orjson.loads(body)
        left = {}
        if headers["X-Amz-Target"].endswith("BatchWriteItem"):
            for table, writes in request["RequestItems"].items():
                if len(writes) > 1:
                    left[table] = [writes.pop()]
        answer = await self._upstream.send(method, path, headers, orjson.dumps(request))
        if not left:
            return answer
        given = orjson.loads(answer.body) | {"UnprocessedItems": left}
        answer.headers.popall("x-amz-crc32")
        return Answer(answer.status, answer.headers, orjson.dumps(given))

    async def close(self) -> None:
        await self._upstream.close()


def test_items_that_nobody_sends_again_are_found(
    findings: Callable[..., tuple[list[Finding], Trace]],
) -> None:
    def batch_writer(_: Any) -> None:
        with boto3.resource("dynamodb").Table("Products").batch_writer() as batch:
            for number in range(30):
                batch.put_item(Item=product(number))

    forgotten, _ = findings(FAULTY["import"], changed=Busy)
    repeated, trace = findings(batch_writer, changed=Busy)

    assert places(forgotten) == [("throttled", "BatchWriteItem Products")]
    assert "2 items came back unprocessed and were not written" in forgotten[0].what
    assert sum(each.unprocessed for each in trace.totals.values()) > 0
    assert repeated == []


class Counting:
    """A target beside which is counted what its answers say of consumed units."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self.units: dict[str, float] = defaultdict(float)

    async def send(self, method: str, path: str, headers: CIMultiDict[str], body: bytes) -> Answer:
        answer = await self._upstream.send(method, path, headers, body)
        consumed = json.loads(answer.body).get("ConsumedCapacity", [])
        for each in consumed if isinstance(consumed, list) else [consumed]:
            arms = {"": each["Table"]} | each.get("GlobalSecondaryIndexes", {})
            for index, given in arms.items():
                self.units[f"{each['TableName']}.{index}"] += given["CapacityUnits"]
        return answer

    async def close(self) -> None:
        await self._upstream.close()


@pytest.fixture(params=["boto3", "pynamodb", "javascript"])
def shop_day(
    request: pytest.FixtureRequest,
    open_shop: Callable[[str], Any],
    anybody: dict[str, str],
    program: Callable[..., str],
    missing: Callable[[str], Any],
) -> Callable[..., None]:
    """Return a function that asks all questions at a URL, or the clean ones, with each SDK in turn."""

    def with_boto3(url: str, *questions: str) -> None:
        shop = open_shop(url)
        for ask in () if questions else (*FAULTY.values(), customers):
            ask(shop)
        clean(shop)

    if request.param == "boto3":
        return with_boto3
    if request.param == "pynamodb":
        command = [sys.executable, str(EXAMPLE / "shop_pynamodb.py")]
    else:
        command = [program("node"), str(EXAMPLE / "shop.mjs")]
        if not (EXAMPLE.parents[1] / "node_modules" / "@aws-sdk").exists():
            missing("the AWS SDK for JavaScript is missing: `make stand-ins` installs it")

    def with_script(url: str, *questions: str) -> None:
        place = {"AWS_ENDPOINT_URL_DYNAMODB": url, "AWS_REGION": "us-east-1"}
        done = subprocess.run(
            [*command, *questions],
            env=anybody | place,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    return with_script


def test_every_fault_is_found_among_clean_traffic_and_nothing_else(
    shop_day: Callable[..., None], filled: str, recorder: Callable[..., Any]
) -> None:
    counting: list[Counting] = []

    def changed(upstream: Upstream) -> Busy:
        counting.append(Counting(upstream))
        return Busy(counting[0])

    recording, alone = recorder(filled, changed=changed), recorder(filled)

    shop_day(recording.url)
    shop_day(alone.url, "clean")

    trace = recording.trace()
    assert sorted((str(each.rule), each.request) for each in rules(trace)) == [
        ("filter", "Scan Orders: filter coupon = :v"),
        ("hot-key", "GetItem Customers"),
        ("idle-index", "Orders.by-channel"),
        ("n-plus-one", "GetItem Customers"),
        ("narrow-index", "Query Orders.to-pack: pack_at = :v"),
        ("repeated-read", "GetItem Customers"),
        ("repeated-read", "Query Products: category = :v"),
        ("scan", "Scan Orders"),
        ("scan", "Scan Orders: filter coupon = :v"),
        ("throttled", "BatchWriteItem Products: put"),
    ]
    assert places(rules(alone.trace())) == []
    recorded: dict[str, float] = defaultdict(float)
    for call in trace.calls():
        for table, index, units in call.units:
            recorded[f"{table}.{index}"] += units
    # exactly, and by table and index
    assert recorded == {arm: units for arm, units in counting[0].units.items() if units}
    assert recorded["Orders.by-channel"] > 0


@pytest.mark.parametrize("keep_values", [True, False], ids=["values", "no values"])
def test_a_recording_becomes_a_workload_that_every_command_takes(
    filled: str,
    open_shop: Callable[[str], Any],
    recorder: Callable[..., Any],
    *,
    keep_values: bool,
) -> None:
    recording = recorder(filled, keep_values=keep_values)
    shop = open_shop(recording.url)
    clean(shop)
    FAULTY["orders with a coupon"](shop)
    trace = recording.trace()

    written = CliRunner().invoke(app, ["traffic", "workload", str(trace.path)])

    assert written.exit_code == 0, written.output
    text = Path("perfkit.toml").read_text()
    # the recording is shorter than a minute, so its rates are the user's to state
    assert load("perfkit.toml").traffic is None
    Path("stated.toml").write_text(
        re.sub(r"^# (?=\[traffic|.* = \{ rps)", "", text, flags=re.MULTILINE)
    )
    workload = load("stated.toml")
    assert {each.name for each in workload.patterns} == {
        "customers-by-key",
        "orders-by-day",
        "orders-by-key",
        "orders-scan-coupon",
    }
    assert workload.traffic is not None
    assert workload.traffic.reads_hz["orders-by-day"] == pytest.approx(
        7 / trace.duration_s, rel=0.01
    )
    assert ("FRIENDS" in Path("perfkit.toml").read_text()) is keep_values
    assert Path("perfkit.toml").stat().st_mode & 0o777 == 0o600
    # as it is: its target too is written there
    said = perfkit("bench", "--min-time", "0.01", "--yes")
    assert all(each.name in said for each in workload.patterns)
    Path("stated.toml").replace("perfkit.toml")
    bill = perfkit("report", "--cost")
    assert "orders-scan-coupon" in bill
    assert "a month" in bill
    assert "Every index of the workload is there" in perfkit("migrate", "plan", "--yes")
    if keep_values:
        # a server that answers, and orders' numbers to ask it for
        Path("mix.toml").write_text(MIX)
        asked = ["--url", filled, "--mix", "mix.toml", "--workload", "perfkit.toml", "--yes"]
        # 3: on a busy machine it may be too late for a verdict
        loaded = perfkit(
            "load", *asked, "--users", "1", "--duration", "0.2s", "--json", codes={0, 3}
        )
        assert json.loads(loaded)["errors_by_kind"] == {}


MIX = """
name = "orders"
[values.order]
items = "Orders"
[requests.healthy]
path = "/?order={order.order_id}"
"""


def perfkit(*arguments: str, codes: Container[int] = (0,)) -> str:
    """Return what a command prints."""
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code in codes, done.output
    return done.stdout
