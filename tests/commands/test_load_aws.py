"""What `perfkit load` shows and asks before it spends, and what it reads of CloudWatch after."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.cloudwatch.models import cloudwatch_backends
from moto.core.models import DEFAULT_ACCOUNT_ID
from typer.testing import CliRunner, Result

from perfkit.cli import app
from perfkit.commands.load_aws import add_cloudwatch
from perfkit.dynamodb.client import embedded_client
from perfkit.dynamodb.targets import Target, TargetKind
from perfkit.load.cloudwatch import Watched
from perfkit.load.reference_service import ServiceUnderTest
from perfkit.measure.histogram import Histogram
from perfkit.measure.statistics import summarize
from perfkit.report.plain import render_blocks
from perfkit.report.sections.load import blocks_of
from perfkit.runs import (
    LoadModel,
    LoadSettings,
    LoadTest,
    RateSearch,
    Run,
    RunKind,
    RunStore,
    Variant,
    now_utc,
)
from perfkit.runs.codec import decode, encode
from perfkit.service.settings import Switches
from perfkit.settings import RUNS_FOLDER
from perfkit.workloads.loader import load as load_workload

REGION = "eu-west-1"

MIX = """
name = "shop"
[values.item]
items = "Shop"
[requests.item]
path = "/{item.pk}"
"""


def perfkit(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a client of a DynamoDB that is not AWS's."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_REGION", REGION)
    with mock_aws():
        yield boto3.client("dynamodb", region_name=REGION)


def make(client: Any, name: str, key: str) -> None:
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for number in range(30):
        client.put_item(TableName=name, Item={key: {"S": f"x{number}"}})


def make_courses(client: Any) -> None:
    for name, key in (
        ("Courses", "course_id"),
        ("Enrollments", "enrollment_id"),
        ("Users", "user_id"),
    ):
        make(client, name, key)


def test_on_aws_it_says_what_it_reads_and_what_that_costs_before_it_begins(aws: Any) -> None:
    make_courses(aws)
    load = ("load", "--target", "aws", "--users", "10", "--think", "1s", "--duration", "100s")

    scanning, querying, dear = (
        perfkit(*load, "--ramp", "0s", "--phase", "0"),
        perfkit(*load, "--ramp", "0s", "--phase", "3"),
        perfkit(*load, "--ramp", "0s", "--phase", "0", "--max-cost", "0.01", "--yes"),
    )

    assert [each.exit_code for each in (scanning, querying, dear)] == [2, 2, 2]
    # 50,000 enrollments of 1,024 bytes at most, half a unit for 4 KB
    assert "up to 1,000 requests, each a scan of up to 6,250 RCU (Enrollments)" in scanning.stderr
    assert "read up to 1,000 items of Courses for values of requests" in scanning.stderr
    assert "Roughly $" in scanning.stderr
    assert "add --yes to go ahead. Nothing was done" in scanning.stderr
    assert "up to 1,000 requests, which query and get" in querying.stderr
    assert "What queries and gets take is not known before" in querying.stderr
    assert "more than --max-cost 0.01; nothing was done" in dear.stderr


def test_an_earlier_test_of_the_phase_says_what_a_request_takes(aws: Any) -> None:
    make_courses(aws)
    times_s = [0.01, 0.02]
    settings = LoadSettings(model=LoadModel.CLOSED, users=1, duration_s=1.0, phase=3, switches={})
    total = Variant(
        name="load", question="", operation="all requests", calls=2, requests=2, errors=0,
        items_read=None, items_returned=0, bytes_read=None, capacity_units=1.5,
        capacity_source="aws", latency_s=summarize(times_s), histogram=Histogram(times_s).encode(),
    )  # fmt: skip
    earlier = Run(
        kind=RunKind.LOAD, scenario="load", workload="courses",
        workload_digest=load_workload("courses").digest, target={"kind": "aws"},
        started_at=now_utc(), id="load-3", variants=(total,),
        load_test=LoadTest(settings=settings),
    )  # fmt: skip
    RunStore(RUNS_FOLDER).save(earlier)

    result = perfkit(
        *("load", "--target", "aws", "--phase", "3", "--rate", "10", "--duration", "100s"),
        *("--ramp", "0s"),
    )

    assert "up to 1,000 requests of 1.5 RCU each, as in run load-3" in result.stderr


@pytest.mark.processes
def test_items_of_somebodys_table_are_read_for_values_only_if_that_is_allowed(
    start_server: Callable[..., Any], client_of: Callable[[str], Any], tmp_path: Path
) -> None:
    (tmp_path / "mix.toml").write_text(MIX)
    # nobody listens there: that is said once the values have been drawn
    load = ("load", "--url", "http://127.0.0.1:1", "--mix", "mix.toml", "--target")
    with start_server(tmp_path / "somebodys.sqlite3") as (url, _):
        make(client_of(url), "Shop", "pk")

        refused, allowed = perfkit(*load, url), perfkit(*load, url, "--yes")

    assert refused.exit_code == 2
    assert "of which perfkit did not create Shop" in refused.stderr
    assert "read up to 1,000 items of Shop" in refused.stderr
    assert "add --yes to go ahead" in refused.stderr
    assert allowed.exit_code == 3
    assert "http://127.0.0.1:1 cannot be reached" in allowed.stderr


def test_a_service_with_its_tables_elsewhere_is_not_loaded_as_one_that_costs_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = ServiceUnderTest(
        urls=("http://127.0.0.1:1",),
        instances=lambda: (),
        switches=asdict(Switches.of_phase(0)),
        target={"kind": "aws", "region": REGION},
    )
    monkeypatch.setattr("perfkit.load.reference_service.running_service", lambda _: there)

    result, held = perfkit("load"), perfkit("load", "--max-rcu", "100", "--target", "aws")

    assert [result.exit_code, held.exit_code] == [2, 2]
    assert "--max-rcu holds from the start of a service, and one is up" in held.stderr
    assert (
        f"has its tables on aws {REGION}, and this command's target is the embedded engine"
        in result.stderr
    )
    assert "perfkit down" in result.stderr


def test_of_the_embedded_file_it_is_said_whose_items_are_read(tmp_path: Path) -> None:
    (tmp_path / "mix.toml").write_text(MIX)
    make(embedded_client(), "Shop", "pk")

    result = perfkit("load", "--url", "http://127.0.0.1:1", "--mix", "mix.toml")

    assert result.exit_code == 3
    assert "Drawing values from Shop, which perfkit did not create." in result.stderr


def test_cloudwatch_is_of_aws() -> None:
    result = perfkit("load", "--phase", "0", "--cloudwatch")

    assert result.exit_code == 2
    assert "CloudWatch is AWS's" in result.stderr
    assert "add --target aws" in result.stderr


@pytest.mark.usefixtures("aws")
def test_a_load_balancer_that_is_not_there_is_said_before_the_load(tmp_path: Path) -> None:
    (tmp_path / "mix.toml").write_text('name = "m"\n[requests.a]\npath = "/"\n')

    result = perfkit(
        *("load", "--url", "http://127.0.0.1:1", "--mix", "mix.toml", "--target", "aws"),
        *("--load-balancer", "shop"),
    )

    assert result.exit_code == 2
    assert "there is no load balancer shop in eu-west-1" in result.stderr


@pytest.mark.usefixtures("aws")
def test_a_run_keeps_what_cloudwatch_says_of_its_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("perfkit.load.cloudwatch.LATE_S", 0.0)
    settings = LoadSettings(model=LoadModel.CLOSED, users=1, duration_s=1.0)
    run = Run(
        kind=RunKind.LOAD, scenario="load", workload="shop", target={"kind": "url"},
        started_at=now_utc(), load_test=LoadTest(settings=settings),
    )  # fmt: skip
    cloudwatch_backends[DEFAULT_ACCOUNT_ID][REGION].put_metric_data(
        "AWS/DynamoDB",
        [
            {
                "MetricName": "ConsumedReadCapacityUnits",
                "Dimensions": [{"Name": "TableName", "Value": "Orders"}],
                "Value": 1234.0,
                # moto keeps them without a zone
                "Timestamp": datetime.fromisoformat(run.started_at).replace(tzinfo=None),
            }
        ],
    )
    target = Target(kind=TargetKind.AWS, region=REGION)

    found = add_cloudwatch(run, target, Watched(tables=(("Orders", ()),)))

    assert decode(encode(found), "the file") == found
    text = render_blocks(blocks_of(found), 120)
    row = next(line for line in text.splitlines() if "ConsumedReadCapacityUnits" in line)
    assert "Orders" in row
    assert "1,234" in row
    assert json.loads(encode(found))["load_test"]["cloudwatch"]


@pytest.mark.parametrize(
    ("search", "units"),
    [
        pytest.param(None, 300.0, id="one test"),
        pytest.param(
            RateSearch(limit_s=0.2, low_hz=10.0, high_hz=20.0), 100.0, id="one of several"
        ),
    ],
)
@pytest.mark.usefixtures("aws")
def test_of_a_search_cloudwatch_is_asked_about_the_trial_that_is_kept(
    search: RateSearch | None, units: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It began ten minutes ago and took ten seconds; others came after it."""
    monkeypatch.setattr("perfkit.load.cloudwatch.LATE_S", 0.0)
    started = datetime.now(UTC) - timedelta(minutes=10)
    settings = LoadSettings(model=LoadModel.OPEN, users=20, rate_hz=10.0, duration_s=10.0)
    run = Run(
        kind=RunKind.LOAD, scenario="load", workload="shop", target={"kind": "url"},
        started_at=started.isoformat(), load_test=LoadTest(settings=settings, search=search),
    )  # fmt: skip
    metric = {
        "MetricName": "ConsumedReadCapacityUnits",
        "Dimensions": [{"Name": "TableName", "Value": "Orders"}],
    }
    for minutes, value in ((0, 100.0), (5, 200.0)):
        cloudwatch_backends[DEFAULT_ACCOUNT_ID][REGION].put_metric_data(
            "AWS/DynamoDB",
            # moto keeps them without a zone
            [
                {
                    **metric,
                    "Value": value,
                    "Timestamp": (started + timedelta(minutes=minutes)).replace(tzinfo=None),
                }
            ],
        )
    target = Target(kind=TargetKind.AWS, region=REGION)

    found = add_cloudwatch(run, target, Watched(tables=(("Orders", ()),)))

    assert found.load_test is not None
    read = next(
        each for each in found.load_test.cloudwatch if each.name == "ConsumedReadCapacityUnits"
    )
    assert sum(read.minutes.values()) == units
