"""What tables consume on AWS, in moto's CloudWatch and DynamoDB, and the bill: hand-worked."""
# ruff: noqa: RUF001, RUF003 - the signs of arithmetic

import functools
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws
from moto.cloudwatch.models import cloudwatch_backends
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from typer.testing import CliRunner, Result

from perfkit.cli import app
from perfkit.cost.consumption import Consumption, bill_of_consumption, consumption
from perfkit.cost.price_file import load_book
from perfkit.dynamodb.permissions import needs
from perfkit.dynamodb.targets import Target, TargetKind
from perfkit.errors import ConfigError, TargetError
from perfkit.settings import RUNS_FOLDER
from perfkit.workloads.loader import load

RUNS = Path(__file__).parents[1] / "report" / "runs"
NOW = datetime(2026, 11, 30, 12, 34, tzinfo=UTC)
LAST_HOUR = datetime(2026, 11, 30, 11, 30, tzinfo=UTC)
REGION = "eu-west-1"
TARGET = Target(kind=TargetKind.AWS, region=REGION)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        yield


@functools.cache
def dynamodb() -> Any:
    """Return one client for all tables: making it takes longer than making them."""
    return boto3.client("dynamodb", region_name=REGION)


def make(
    name: str, *indexes: str, provisioned: tuple[int, int] | None = None, days: int = 90
) -> None:
    """Make a table as old as *days* whose indexes have its own key."""
    keys = [{"AttributeName": "id", "KeyType": "HASH"}]
    throughput = {}
    if provisioned is not None:
        reads, writes = provisioned
        throughput = {
            "ProvisionedThroughput": {"ReadCapacityUnits": reads, "WriteCapacityUnits": writes}
        }
    dynamodb().create_table(
        TableName=name,
        KeySchema=keys,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST" if provisioned is None else "PROVISIONED",
        **throughput,
        **(
            {
                "GlobalSecondaryIndexes": [
                    {
                        "IndexName": index,
                        "KeySchema": keys,
                        "Projection": {"ProjectionType": "ALL"},
                        **throughput,
                    }
                    for index in indexes
                ]
            }
            if indexes
            else {}
        ),
    )
    table = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables[name]
    table.created_at = NOW.replace(tzinfo=None) - timedelta(days=days)


def count(metric: str, value: float, at: datetime, table: str, index: str | None = None) -> None:
    """Put a sum as DynamoDB puts it; CloudWatch refuses names that begin with AWS from others."""
    naive = at.astimezone(UTC).replace(tzinfo=None)
    dimensions = [{"Name": "TableName", "Value": table}]
    if index is not None:
        dimensions.append({"Name": "GlobalSecondaryIndexName", "Value": index})
    datum = {"MetricName": metric, "Dimensions": dimensions, "Value": value, "Timestamp": naive}
    cloudwatch_backends[DEFAULT_ACCOUNT_ID][REGION].put_metric_data("AWS/DynamoDB", [datum])


def look(*tables: str, days: int = 14) -> Consumption:
    return consumption(TARGET, tables, days=days, now=NOW)


@pytest.mark.usefixtures("aws")
def test_a_month_is_what_was_consumed_times_730_hours_by_those_looked_at() -> None:
    make("Orders", "ByCustomer")
    for hours in range(5):
        count("ConsumedReadCapacityUnits", 200_000, LAST_HOUR - timedelta(hours=hours), "Orders")
    count("ConsumedReadCapacityUnits", 50_000, LAST_HOUR, "Orders", "ByCustomer")
    count("ConsumedWriteCapacityUnits", 10_000, LAST_HOUR, "Orders", "ByCustomer")
    # before the window, and in the hour that is not over
    count("ConsumedReadCapacityUnits", 9e9, NOW - timedelta(days=15), "Orders")
    count("ConsumedReadCapacityUnits", 9e9, NOW, "Orders")

    found = look("Orders", "Gone")

    assert found.absent == ("Gone",)
    orders, index = found.parts
    assert (orders.name, orders.read_units, orders.hours) == ("Orders", 1_000_000, 336)
    assert (index.name, index.read_units, index.write_units) == (
        "Orders.ByCustomer",
        50_000,
        10_000,
    )
    lines = bill_of_consumption(found, load_book("us-east-1")).lines[::2]
    # 1,000,000 × 730 / 336 = 2,172,619 RRU at $0.125 a million = $0.27158
    assert float(lines[0].usd or 0) == 0.27
    # 108,631 RRU = $0.013579, and 21,726 WRU at $0.625 a million = $0.013579
    assert float(lines[1].usd or 0) == 0.03
    assert "1,000,000.0 RRU ÷ 336 h × 730 h" in lines[0].arithmetic


@pytest.mark.usefixtures("aws")
def test_a_younger_table_is_looked_at_since_it_was_made() -> None:
    make("Orders", days=2)
    count("ConsumedReadCapacityUnits", 47_500, LAST_HOUR, "Orders")

    (orders,) = look("Orders").parts

    # made two days and 34 minutes before the last full hour ended, less those 34 minutes
    assert orders.hours == pytest.approx(48 - 34 / 60)
    assert orders.reads_a_month == pytest.approx(47_500 * 730 / (48 - 34 / 60))


@pytest.mark.usefixtures("aws")
def test_local_indexes_are_stored_beside_their_table(monkeypatch: pytest.MonkeyPatch) -> None:
    make("Orders")
    described = boto3.client("dynamodb", region_name=REGION).describe_table(TableName="Orders")
    local = {"IndexName": "ByDay", "IndexSizeBytes": 500, "ItemCount": 10}
    table = described["Table"] | {
        "TableSizeBytes": 1000,
        "ItemCount": 10,
        "LocalSecondaryIndexes": [local],
    }
    monkeypatch.setattr("perfkit.cost.consumption._describe", lambda *_: table)

    (orders,) = look("Orders").parts

    # 100 bytes more for each item and each entry
    assert orders.stored_bytes == 1000 + 10 * 100 + 500 + 10 * 100


@pytest.mark.usefixtures("aws")
def test_provisioned_capacity_is_billed_as_it_was_used_or_not() -> None:
    make("Orders", provisioned=(100, 50))
    make("Books", provisioned=(100, 50))
    # auto scaling had 20 for an hour and 40 for another; of Books CloudWatch says nothing
    count("ProvisionedReadCapacityUnits", 20, LAST_HOUR, "Orders")
    count("ProvisionedReadCapacityUnits", 40, LAST_HOUR - timedelta(hours=1), "Orders")

    orders, books = look("Orders", "Books").parts

    assert (orders.read_capacity, orders.write_capacity) == (30, 50)
    assert (books.read_capacity, books.write_capacity) == (100, 50)
    # (30 × $0.00013 + 50 × $0.00065) × 730 = $26.572, (100 × $0.00013 + …) × 730 = $33.215
    lines = bill_of_consumption(look("Orders", "Books"), load_book("us-east-1")).lines[::2]
    assert [float(line.usd or 0) for line in lines] == [26.57, 33.22]


class Stubbed:
    """A target whose CloudWatch answers what a test says."""

    name, region = "AWS (eu-west-1)", REGION

    def __init__(self) -> None:
        self.dynamodb = boto3.client("dynamodb", region_name=REGION)
        self.cloudwatch = boto3.client("cloudwatch", region_name=REGION)

    def client(self, service: str = "dynamodb") -> Any:
        return self.dynamodb if service == "dynamodb" else self.cloudwatch

    def resolved_region(self) -> str:
        return REGION


def answer(
    *values: tuple[str, float],
    status: str = "Complete",
    token: str = "",
    at: datetime = LAST_HOUR,
) -> dict[str, Any]:
    results = [
        {"Id": name, "Timestamps": [at], "Values": [value], "StatusCode": status}
        for name, value in values
    ]
    return {"MetricDataResults": results, **({"NextToken": token} if token else {})}


@pytest.mark.usefixtures("aws")
def test_answers_come_in_pages_and_500_questions_at_a_time() -> None:
    names = [f"T{number}" for number in range(126)]
    for name in names:
        make(name)
    target, asked = Stubbed(), []
    target.cloudwatch.meta.events.register(
        "before-parameter-build.cloudwatch.GetMetricData",
        lambda params, **_: asked.append((len(params["MetricDataQueries"]), params["StartTime"])),
    )
    every = [(f"q{number}", 1.0) for number in range(500)]
    with Stubber(target.cloudwatch) as stub:
        # values of one metric may go on in the next page
        pages = (
            answer(*every, status="PartialData", token="x"),
            answer(*every, at=LAST_HOUR - timedelta(hours=1)),
            answer(*every[:4]),
        )
        for page in pages:
            stub.add_response("get_metric_data", page)

        found = consumption(target, names, days=14, now=NOW)  # type: ignore[arg-type]

    assert [number for number, _ in asked] == [500, 500, 4]
    assert asked[0][1] == datetime(2026, 11, 16, 12, tzinfo=UTC)
    assert (found.parts[0].read_units, found.parts[125].read_units) == (2.0, 1.0)


@pytest.mark.usefixtures("aws")
def test_an_answer_that_is_not_whole_makes_no_bill() -> None:
    make("Orders")
    target = Stubbed()
    with Stubber(target.cloudwatch) as stub:
        stub.add_response("get_metric_data", answer(("q0", 1.0), status="InternalError"))

        with pytest.raises(TargetError, match="has not answered for all of Orders"):
            consumption(target, ["Orders"], days=14, now=NOW)  # type: ignore[arg-type]


@pytest.mark.usefixtures("aws")
def test_a_role_that_may_not_ask_is_told_so_in_one_line() -> None:
    make("Orders")
    target = Stubbed()
    with Stubber(target.cloudwatch) as stub:
        stub.add_client_error("get_metric_data", "AccessDenied", "not you", expected_params=None)

        with pytest.raises(TargetError, match="asking CloudWatch for consumed units") as refused:
            consumption(target, ["Orders"], days=14, now=NOW)  # type: ignore[arg-type]

    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.usefixtures("aws")
def test_tables_that_are_elsewhere_are_named() -> None:
    with pytest.raises(ConfigError, match="none of the tables Orders is in AWS"):
        look("Orders")


@pytest.mark.usefixtures("aws")
def test_a_report_s_policy_allows_what_is_asked_and_nothing_else() -> None:
    make("Courses", "CoursesBySemester")
    target, asked = Stubbed(), set()
    for client in (target.dynamodb, target.cloudwatch):
        client.meta.events.register(
            "before-call.*",
            lambda model, **_: asked.add(f"{model.service_model.signing_name}:{model.name}"),
        )
    # as IAM names services
    names = {"monitoring:GetMetricData": "cloudwatch:GetMetricData"}

    consumption(target, ["Courses"], days=14, now=NOW)  # type: ignore[arg-type]

    assert {names.get(each, each) for each in asked} == set(needs("report", load()))


# --- the command


def report(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["report", "--cost", *arguments])


@pytest.mark.usefixtures("aws")
def test_the_report_bills_today_and_says_that_calls_are_not_known() -> None:
    shutil.copytree(RUNS, RUNS_FOLDER)
    make("Courses")
    count("ConsumedReadCapacityUnits", 336e6, datetime.now(UTC) - timedelta(hours=2), "Courses")

    document = json.loads(report("--traffic", "cloudwatch", "--region", REGION, "--json").stdout)[
        "cost"
    ]["cloudwatch"]

    (line,) = document["lines"]
    assert (line["table"], line["read_units"]) == ("Courses", 336e6)
    # 730,000,000 RRU at $0.1415 a million in Ireland, for whose storage the book has no price
    assert line["monthly"] == pytest.approx(103.3, abs=0.2)
    assert line["storage_monthly"] is None
    assert (document["days"], document["patterns"]) == (14, None)
    assert document["absent"] == ["Enrollments", "Users"]
    shown = report("--traffic", "cloudwatch", "--region", REGION)
    assert "is not known: nothing counts calls" in " ".join(shown.stdout.split())
    assert "a million calls of courses" in shown.stdout
    assert "None of the runs were measured on AWS" in shown.stderr


@pytest.mark.usefixtures("aws")
def test_messages_name_the_region_that_a_variable_says(monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(RUNS, RUNS_FOLDER)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)

    answer = report("--traffic", "cloudwatch")

    assert answer.exit_code == 2
    assert f"is in AWS ({REGION}); give the --region and --profile" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--traffic-days", "7"), "--traffic-days changes nothing without --traffic cloudwatch"),
        (("--profile", "p"), "--profile changes nothing without --traffic cloudwatch"),
        (("--traffic", "cloudwatch"), "bills the tables of saved runs, and there are none"),
    ],
)
def test_options_that_cannot_be_followed_are_refused(arguments: tuple[str, ...], part: str) -> None:
    result = report(*arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert part in result.stderr
