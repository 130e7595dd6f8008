"""`perfkit prices`: fetching today's prices from a stand-in of AWS, all of them or none."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot
from typer.testing import CliRunner, Result

from perfkit.cli import app
from perfkit.cost.instances import find_type
from perfkit.cost.price_file import load_book, own_file
from perfkit.cost.price_list import Selector, bulk_products, read_price, selectors
from perfkit.cost.refresh import PriceList, refresh
from perfkit.errors import PerfkitError, PriceError

pytestmark = pytest.mark.processes

TODAY = date(2026, 11, 25)
FREE_FOREVER = ("0", "Inf", "0.0000000000")
"""What the list has for hours that a reservation covers; no free tier."""

Dimension = tuple[str, str, str]


def product(
    service: str, usage: str, *dimensions: Dimension, family: str = "", **attributes: str
) -> dict[str, Any]:
    """Return an entry in the shape of the price list; as recorded, every value is a text."""
    attributes = {"regionCode": "us-east-1", **attributes}
    sku = re.sub(r"\W", "", f"{service}{usage}{attributes}").upper()
    return {
        "product": {
            "sku": sku,
            "productFamily": family,
            "attributes": {"servicecode": service, "usagetype": usage, **attributes},
        },
        "serviceCode": service,
        "terms": {
            "OnDemand": {
                f"{sku}.JRTCKXETXF": {
                    "offerTermCode": "JRTCKXETXF",
                    "sku": sku,
                    "effectiveDate": "2026-11-01T00:00:00Z",
                    "priceDimensions": {
                        f"{sku}.JRTCKXETXF.{number}": {
                            "rateCode": f"{sku}.JRTCKXETXF.{number}",
                            "unit": "Hrs",
                            "beginRange": begin,
                            "endRange": end,
                            "pricePerUnit": {"USD": usd},
                            "appliesTo": [],
                        }
                        for number, (begin, end, usd) in enumerate(dimensions)
                    },
                }
            }
        },
        "version": "20261101000000",
        "publicationDate": "2026-11-01T00:00:00Z",
    }


def flat(usd: str) -> Dimension:
    return ("0", "Inf", usd)


def catalogue(prefix: str = "", region: str = "us-east-1") -> list[dict[str, Any]]:
    """Return a price list: what perfkit asks for, and neighbours that it must not take."""
    listed = _catalogue(prefix)
    for each in listed:
        code = each["product"]["attributes"].pop("regionCode")
        if each["serviceCode"] != "AWSDataTransfer":
            each["product"]["attributes"]["regionCode"] = region if code == "us-east-1" else code
        elif each["product"]["attributes"]["usagetype"].startswith(f"{prefix}DataTransfer"):
            each["product"]["attributes"]["fromRegionCode"] = region
    return listed


def _catalogue(prefix: str) -> list[dict[str, Any]]:
    linux = {
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
    }
    ddb, elb, cache = "AmazonDynamoDB", "AWSELB", "AmazonElastiCache"
    application = "Load Balancer-Application"
    return [
        product(
            ddb,
            f"{prefix}ReadCapacityUnit-Hrs",
            ("0", "18600", "0.0000000000"),
            ("18600", "Inf", "0.0001400000"),
        ),
        product(
            ddb,
            f"{prefix}WriteCapacityUnit-Hrs",
            ("18600", "Inf", "0.0007000000"),
            ("0", "18600", "0.0000000000"),
        ),
        product(ddb, f"{prefix}ReadRequestUnits", flat("0.0000001300")),
        product(ddb, f"{prefix}IA-ReadRequestUnits", flat("0.0000009900")),
        product(ddb, f"{prefix}WriteRequestUnits", flat("0.0000006600")),
        product(
            ddb,
            f"{prefix}TimedStorage-ByteHrs",
            ("0", "25", "0.0000000000"),
            ("25", "Inf", "0.2600000000"),
        ),
        *(
            product(
                "AmazonEC2",
                f"{prefix}BoxUsage:{kind}",
                flat("0.0110000000"),
                instanceType=kind,
                vcpu="2",
                **linux,
            )
            for kind in ("t3.micro", "t4g.micro", "t3.nano", "t4g.nano", "m7g.large")
        ),
        product(
            "AmazonEC2",
            f"{prefix}BoxUsage:t3.micro",
            flat("0.0200000000"),
            instanceType="t3.micro",
            **{**linux, "operatingSystem": "Windows"},
        ),
        # a local zone of the region, and another region
        product(
            "AmazonEC2",
            "LAX1-BoxUsage:t3.micro",
            flat("0.0300000000"),
            instanceType="t3.micro",
            regionCode="us-east-1-lax-1",
            **linux,
        ),
        *(
            product(
                cache,
                f"{prefix}NodeUsage:cache.{kind}",
                FREE_FOREVER,
                flat(usd),
                cacheEngine=engine,
                instanceType=f"cache.{kind}",
            )
            for kind in ("t3.micro", "t4g.micro")
            for engine, usd in (("Redis", "0.0180000000"), ("Valkey", "0.0144000000"))
        ),
        product(elb, f"{prefix}LoadBalancerUsage", flat("0.0230000000"), family=application),
        product(elb, f"{prefix}LoadBalancerUsage", flat("0.0250000000"), family="Load Balancer"),
        product(elb, f"{prefix}LCUUsage", flat("0.0081000000"), family=application),
        product("AmazonVPC", f"{prefix}PublicIPv4:InUseAddress", flat("0.0050000000")),
        product(
            "AWSDataTransfer",
            f"{prefix}DataTransfer-Out-Bytes",
            ("0", "10240", "0.0910000000"),
            ("10240", "51200", "0.0850000000"),
            ("51200", "Inf", "0.0700000000"),
        ),
        product("AWSDataTransfer", "Global-DataTransfer-Out-Bytes", ("0", "100", "0.0000000000")),
    ]


class StandIn(ThreadingHTTPServer):
    """Answers as the Price List API does and has the price list file of DynamoDB."""

    products: list[dict[str, Any]]
    asked: list[str]
    refusal: tuple[int, str] | None
    offer: bytes | None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: StandIn

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        wanted = {each["Field"]: each["Value"] for each in question["Filters"]}
        self.server.asked.append(" ".join(map(str, wanted.values())))
        if self.server.refusal is not None:
            status, code = self.server.refusal
            self.answer(status, json.dumps({"__type": code, "message": "not today"}).encode())
            return
        found = [
            json.dumps(each)
            for each in self.server.products
            if each["serviceCode"] == question["ServiceCode"]
            and all(
                {**each["product"], **each["product"]["attributes"]}.get(field) == value
                for field, value in wanted.items()
            )
        ]
        # one a page, so that reading only the first page is noticed
        start = int(question.get("NextToken", "0"))
        page = {"FormatVersion": "aws_v1", "PriceList": found[start : start + 1]}
        if start + 1 < len(found):
            page["NextToken"] = str(start + 1)
        self.answer(200, json.dumps(page).encode())

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        region = re.fullmatch(
            r"/offers/v1\.0/aws/AmazonDynamoDB/current/([a-z0-9-]+)/index\.json", self.path
        )
        if region is None or self.server.offer is None:
            self.answer(404, b"no such file")
            return
        self.answer(200, self.server.offer)

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    server = StandIn(("127.0.0.1", 0), Handler)
    server.products, server.asked, server.refusal = catalogue(), [], None
    server.offer = offer_file(catalogue())
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_ENDPOINT_URL_PRICING", server.url)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def no_credentials(aws: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    return aws


def offer_file(products: list[dict[str, Any]]) -> bytes:
    """Return products in the shape of a service price list file."""
    mine = [each for each in products if each["serviceCode"] == "AmazonDynamoDB"]
    document = {
        "formatVersion": "v1.0",
        "offerCode": "AmazonDynamoDB",
        "publicationDate": "2026-11-01T00:00:00Z",
        "products": {each["product"]["sku"]: each["product"] for each in mine},
        "terms": {"OnDemand": {each["product"]["sku"]: each["terms"]["OnDemand"] for each in mine}},
    }
    return json.dumps(document).encode()


def perfkit_prices(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["prices", *arguments])


def refused(*arguments: str) -> str:
    """Return the one line of a refusal, after which nothing may have changed."""
    before = own_file("us-east-1").read_text() if own_file("us-east-1").exists() else None
    result = perfkit_prices("refresh", *arguments)
    after = own_file("us-east-1").read_text() if own_file("us-east-1").exists() else None
    assert result.exit_code in {2, 3}, result.output
    assert result.stdout == ""
    assert before == after
    return result.stderr


# --- with credentials


@pytest.mark.usefixtures("aws")
def test_a_refresh_replaces_what_the_price_list_has() -> None:
    result = perfkit_prices("refresh")

    assert result.exit_code == 0, result.output
    book = load_book("us-east-1")
    rcu = book.price("dynamodb-rcu-hour")
    assert (rcu.each_usd, rcu.free) == (Decimal("0.00014"), Decimal(18_600))
    assert rcu.source == "AWS Price List API"
    assert book.price("dynamodb-read-request").cost(10_000_000).usd == Decimal("1.3")
    assert book.price("ec2-t3.micro-hour").each_usd == Decimal("0.011")
    assert book.price("alb-hour").each_usd == Decimal("0.023")
    assert book.price("redis-cache.t3.micro-hour").each_usd == Decimal("0.018")
    assert book.price("redis-cache.t3.micro-hour").free == 0
    assert not book.price("redis-cache.t3.micro-hour").second_hand
    out = book.price("data-out")
    assert out.free == 100
    assert [(tier.start, tier.end) for tier in out.tiers] == [
        (Decimal(0), Decimal(10_240)),
        (Decimal(10_240), Decimal(51_200)),
        (Decimal(51_200), None),
    ]
    assert [str(tier.price_usd) for tier in out.tiers] == ["0.091", "0.085", "0.07"]


@pytest.mark.usefixtures("aws")
def test_what_a_refresh_cannot_look_up_keeps_its_source_and_date() -> None:
    before = load_book("us-east-1").price("cloudwatch-metric")

    result = perfkit_prices("refresh")

    assert load_book("us-east-1").price("cloudwatch-metric") == before
    assert "Not in that source, so as before: " in result.stderr
    assert "cloudwatch-metric" in result.stderr


@pytest.mark.usefixtures("aws")
def test_reports_use_the_refreshed_prices() -> None:
    perfkit_prices("refresh")

    answer = CliRunner().invoke(app, ["report", "--cost", "--prices", "list", "--json"])

    lines = {
        line["service"]: line["monthly"]
        for line in json.loads(answer.stdout)["cost"]["before"]["lines"]
    }
    assert lines["EC2 (ASG)"] == 24.09  # 3 * 730 * 0.011
    assert lines["Data Transfer"] == 45.5  # 500 * 0.091


@pytest.mark.parametrize(
    ("prefix", "region"),
    [
        pytest.param("EUW2-", "eu-west-2", id="a region whose code is like its name"),
        pytest.param("APS5-", "ap-south-2", id="one whose code is not"),
        pytest.param("XYZ9-", "eu-south-9", id="one that is newer than botocore"),
    ],
)
def test_every_region_has_its_prices_whatever_its_code(
    aws: StandIn, prefix: str, region: str
) -> None:
    aws.products = [*catalogue(), *catalogue(prefix, region)]
    for each in aws.products[: len(catalogue())]:
        for term in each["terms"]["OnDemand"].values():
            for dimension in term["priceDimensions"].values():
                dimension["pricePerUnit"]["USD"] = "7"

    result = perfkit_prices("refresh", "--region", region)

    assert result.exit_code == 0, result.output
    book = load_book(region)
    assert book.price("dynamodb-storage").each_usd == Decimal("0.26")
    assert book.price("ec2-t3.micro-hour").each_usd == Decimal("0.011")
    assert book.price("data-out").each_usd == Decimal("0.091")


def test_further_instances_can_be_asked_for(aws: StandIn) -> None:
    result = perfkit_prices("refresh", "--add", "ec2-m7g.large-hour")

    assert result.exit_code == 0, result.output
    assert load_book("us-east-1").price("ec2-m7g.large-hour").unit == "instance hour"
    # and stays among those that the next refresh renews
    aws.asked.clear()
    perfkit_prices("refresh")
    assert any("m7g.large" in each for each in aws.asked)
    # its vCPUs are known, so what-if can count how many of it a rate needs
    assert find_type("m7g.large", load_book("us-east-1")).vcpus == 2


def test_a_region_need_not_offer_every_usual_type(aws: StandIn) -> None:
    aws.products = [
        each
        for each in catalogue("APS7-", "ap-southeast-5")
        if "t3.micro" not in each["product"]["attributes"]["usagetype"]
    ]

    result = perfkit_prices("refresh", "--region", "ap-southeast-5")

    assert result.exit_code == 0, result.output
    assert (
        "Not offered in ap-southeast-5: ec2-t3.micro-hour, redis-cache.t3.micro-hour."
        in result.stderr
    )
    assert "ec2-t3.micro-hour" not in load_book("ap-southeast-5")


@pytest.mark.usefixtures("aws")
def test_rows_of_ones_own_stay() -> None:
    own = own_file("us-east-1")
    own.parent.mkdir(parents=True)
    own.write_text(
        "region = 'us-east-1'\n[prices.widget]\nprice = 1\nunit = 'widget'\nsource = 'me'\n"
    )

    perfkit_prices("refresh")

    assert load_book("us-east-1").price("widget").source == "me"


@pytest.mark.usefixtures("aws")
def test_json_says_what_was_fetched_and_what_was_not() -> None:
    document = json.loads(perfkit_prices("refresh", "--json").stdout)

    assert document["source"] == "AWS Price List API"
    assert "dynamodb-storage" in {each["name"] for each in document["fetched"]}
    assert "nat-hour" in {each["name"] for each in document["left"]}


def test_the_answer_has_the_shape_that_botocore_knows() -> None:
    client = boto3.client(
        "pricing", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    selector = selectors("us-east-1", ["ec2-t3.micro-hour"])[0]
    entry = next(each for each in catalogue() if "BoxUsage:t3.micro" in json.dumps(each))
    with Stubber(client) as stub:
        stub.add_response(
            "get_products",
            {"FormatVersion": "aws_v1", "PriceList": [json.dumps(entry)]},
            {
                "ServiceCode": "AmazonEC2",
                "FormatVersion": "aws_v1",
                "Filters": [
                    {"Type": "TERM_MATCH", "Field": field, "Value": value}
                    for field, value in (
                        ("regionCode", "us-east-1"),
                        ("instanceType", "t3.micro"),
                        ("operatingSystem", "Linux"),
                        ("tenancy", "Shared"),
                        ("preInstalledSw", "NA"),
                        ("capacitystatus", "Used"),
                    )
                ],
            },
        )

        products = PriceList(client).products(selector)

    assert read_price(products, selector, source="x", today=TODAY).each_usd == Decimal("0.011")


# --- all or nothing


def without(usage: str) -> list[dict[str, Any]]:
    return [each for each in catalogue() if each["product"]["attributes"]["usagetype"] != usage]


def test_one_price_that_is_missing_leaves_everything_as_it_was(aws: StandIn) -> None:
    perfkit_prices("refresh")
    aws.products = without("LCUUsage")

    assert refused() == snapshot(
        "Error: the price list has no price for alb-lcu-hour (AWSELB LCUUsage); nothing was changed\n"
    )


@pytest.mark.parametrize(
    "dimensions",
    [
        pytest.param([("0", "10", "0.1"), ("20", "Inf", "0.2")], id="a gap"),
        pytest.param([("0", "10", "0.1")], id="an end"),
        pytest.param([("5", "Inf", "0.1")], id="no beginning"),
        pytest.param([("0", "Inf", "0.1"), ("0", "Inf", "0.2")], id="two prices"),
        pytest.param([("0", "Inf", "0.0")], id="only what is free"),
        pytest.param([("0", "Inf", "cheap")], id="no number"),
        pytest.param([("0", "Inf", "NaN")], id="not a number"),
        pytest.param([("0", "Inf", "-1")], id="below nothing"),
        pytest.param([("0", "Inf", "99999999")], id="absurd"),
        pytest.param([], id="nothing"),
    ],
)
def test_a_price_that_will_not_do_names_its_selector(
    aws: StandIn, dimensions: list[Dimension]
) -> None:
    aws.products = [*without("LCUUsage")]
    aws.products.append(
        product("AWSELB", "LCUUsage", *dimensions, family="Load Balancer-Application")
    )

    message = refused()

    assert "alb-lcu-hour (AWSELB LCUUsage)" in message
    assert len(message.splitlines()) == 1


def test_an_entry_of_another_shape_names_its_selector(aws: StandIn) -> None:
    entry = product("AWSELB", "LCUUsage", flat("1"), family="Load Balancer-Application")
    del next(iter(entry["terms"]["OnDemand"].values()))["priceDimensions"]
    aws.products = [*without("LCUUsage"), entry]

    assert "entry for alb-lcu-hour (AWSELB LCUUsage) cannot be understood" in refused()


def test_refused_credentials_are_named(aws: StandIn) -> None:
    aws.refusal = (400, "UnrecognizedClientException")
    assert refused() == snapshot(
        "Error: looking up dynamodb-rcu-hour (AmazonDynamoDB ReadCapacityUnit-Hrs): the AWS Price List API does not accept these credentials (UnrecognizedClientException: not today); check --profile and the AWS_* environment variables\n"
    )

    aws.refusal = (400, "AccessDeniedException")
    assert refused() == snapshot(
        "Error: looking up dynamodb-rcu-hour (AmazonDynamoDB ReadCapacityUnit-Hrs): not allowed on the AWS Price List API (not today); use credentials that may do this\n"
    )


@pytest.mark.usefixtures("aws")
def test_a_full_disk_leaves_the_old_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    perfkit_prices("refresh")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)

    assert "no space left to write" in refused()
    assert [path.name for path in own_file("us-east-1").parent.iterdir()] == ["us-east-1.toml"]


@pytest.mark.usefixtures("aws")
def test_a_place_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PERFKIT_PRICES", str(tmp_path / "file" / "folder"))

    result = perfkit_prices("refresh")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "cannot write" in result.stderr
    assert "PERFKIT_PRICES" in result.stderr


@pytest.mark.usefixtures("aws")
def test_own_prices_that_will_not_do_are_not_overwritten() -> None:
    own = own_file("us-east-1")
    own.parent.mkdir(parents=True)
    own.write_text("region = 3")

    assert "region = 3: expected a text" in refused()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--region", "mars-1"), "cannot look up prices of region 'mars-1'"),
        (("--region", "../x"), "cannot look up prices of region '../x'"),
        (("--region", "cn-north-1"), "those of aws-cn are in another price list"),
        (("--add", "widget"), "cannot look up widget; --add takes instances and cache nodes"),
        (("--offers", "http://x", "--profile", "p"), "--offers needs no credentials"),
        (("--profile", "nobody"), "nobody"),
        (("--offers", "file:///etc/passwd"), "is no web address"),
    ],
)
def test_options_that_cannot_be_followed_are_refused(
    aws: StandIn, arguments: tuple[str, ...], part: str
) -> None:
    assert part in refused(*arguments)
    assert aws.asked == []


# --- without credentials


def test_without_credentials_dynamodb_s_prices_come_from_a_file(
    no_credentials: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = no_credentials
    monkeypatch.setattr("perfkit.cost.refresh.BULK_URL", aws.url)

    result = perfkit_prices("refresh")

    assert result.exit_code == 0, result.output
    assert "No AWS credentials" in result.stderr
    assert aws.asked == ["/offers/v1.0/aws/AmazonDynamoDB/current/us-east-1/index.json"]
    book = load_book("us-east-1")
    assert book.price("dynamodb-wcu-hour").each_usd == Decimal("0.0007")
    assert book.price("dynamodb-wcu-hour").source == "AWS price list file of DynamoDB"
    assert book.price("alb-hour").source.startswith("AWS Price List bulk API")


def test_the_file_can_come_from_a_mirror(aws: StandIn) -> None:
    result = perfkit_prices("refresh", "--offers", f"{aws.url}/")

    assert result.exit_code == 0, result.output
    assert result.stdout.endswith(": 5 prices from the AWS price list file of DynamoDB\n")


@pytest.mark.parametrize(
    ("offer", "part"),
    [
        (None, "HTTP Error 404"),
        (b"<html>", "is no JSON"),
        (b"[]", "no price list file"),
        (b'{"products": {}, "terms": {}}', "no price list file"),
        (b'{"products": {"a": 3}, "terms": {"OnDemand": {}}}', "cannot be understood"),
        (b'{"products": {}, "terms": {"OnDemand": {}}}', "no price for dynamodb-rcu-hour"),
    ],
)
def test_a_file_that_is_none_changes_nothing(aws: StandIn, offer: bytes | None, part: str) -> None:
    aws.offer = offer

    assert part in refused("--offers", aws.url)


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["products", "terms", "OnDemand", "attributes", "usagetype"]),
                inner,
                max_size=3,
            )
        ),
        max_leaves=10,
    )
)
def test_any_document_is_prices_or_an_error(document: Any) -> None:
    selector = selectors("us-east-1", ["dynamodb-storage"])[0]

    with pytest.raises(PriceError):
        read_price(bulk_products(document), selector, source="x", today=TODAY)


class Broken:
    """A source that answers a few questions and then no more."""

    name = "broken"
    services: tuple[str, ...] | None = None

    def __init__(self, answers: int) -> None:
        self.left = answers

    def products(self, selector: Selector) -> list[Mapping[str, Any]]:
        self.left -= 1
        if self.left < 0:
            msg = f"no answer about {selector}"
            raise PriceError(msg)
        return list(catalogue())

    def close(self) -> None:
        pass


@pytest.mark.parametrize("answers", [0, 1, 7])
def test_a_source_that_stops_half_way_writes_nothing(answers: int) -> None:
    with pytest.raises(PerfkitError, match="no answer about"):
        refresh(Broken(answers), "us-east-1", today=TODAY)

    assert not own_file("us-east-1").exists()


# --- perfkit prices show


def test_all_prices_are_shown_with_source_and_date() -> None:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["prices", "show", "-v"])

    assert result.exit_code == 0
    row = next(line for line in result.stdout.splitlines() if line.startswith("redis-cache.t3"))
    assert re.split(r"\s{2,}", row.strip()) == snapshot(
        [
            "redis-cache.t3.micro-hour",
            "$0.017³",
            "node hour",
            "undated",
            "price fixtures in public repositories",
        ]
    )
    assert "second-hand" in result.stdout


def test_what_most_bills_need_is_shown_on_one_screen() -> None:
    def show(*options: str) -> list[str]:
        result = CliRunner(env={"COLUMNS": "80"}).invoke(app, ["prices", "show", *options])
        return result.stdout.splitlines()

    lines = show()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    rows = [re.split(r"\s{2,}", line.strip()) for line in lines]
    assert ["data-out", "$0.09⁴", "GB", "100", "2026-09-23"] in rows
    shown = {row[0] for row in rows}
    both_modes = {
        f"dynamodb-{kind}"
        for kind in ("read-request", "write-request", "rcu-hour", "wcu-hour", "storage")
    }
    assert both_modes <= shown
    assert "dynamodb-ia-storage" not in shown
    assert "⁴ the first 10,240; -v shows the tiers above" in lines
    assert lines[-1] == "More: perfkit prices show -v"
    assert show("--region", "eu-west-1")[-1] == "More: perfkit prices show --region eu-west-1 -v"


def test_of_prices_that_few_bills_need_all_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERFKIT_PRICES", str(tmp_path))
    (tmp_path / "mars-1.toml").write_text("""
region = "mars-1"

[prices."ec2-m5.large-hour"]
price = 0.1
unit = "instance hour"
source = "us"
date = 2026-10-01
""")

    shown = perfkit_prices("show", "--region", "mars-1")

    assert "ec2-m5.large-hour" in shown.stdout
    assert "More:" not in shown.stdout


def test_json_has_every_price_of_the_book() -> None:
    document = json.loads(perfkit_prices("show", "--region", "eu-west-1", "--json").stdout)

    assert {each["name"] for each in document["prices"]} == set(load_book("eu-west-1").prices)
    assert next(each for each in document["prices"] if each["name"] == "alb-hour") == snapshot(
        {
            "name": "alb-hour",
            "unit": "load balancer hour",
            "per": 1,
            "tiers": [{"from": 0.0, "to": None, "price": 0.0252}],
            "free": 0.0,
            "vcpus": None,
            "source": "AWS Price List bulk API, as in clont 0.3.0",
            "date": "2026-09-29",
            "second_hand": False,
        }
    )


def test_an_unknown_region_has_no_prices_to_show() -> None:
    result = perfkit_prices("show", "--region", "eu-west-3")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "no prices known for region 'eu-west-3'" in result.stderr
