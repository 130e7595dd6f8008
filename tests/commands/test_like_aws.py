"""AWS's limits and delays, modelled where asked for: what is refused, and what a run says of it."""

from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from perfkit.analysis.selection import target_title
from perfkit.cli import app
from perfkit.commands.options import make_target
from perfkit.dynamodb.client import embedded_client
from perfkit.embedded.latency import read_profile

PLAIN = {"kind": "embedded"}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.toml").write_text("read_ms = 5\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "variables", "says"),
    [
        pytest.param(
            ["bench", "--like-aws", "--target", "http://127.0.0.1:1"],
            {},
            "--like-aws goes with the embedded target only, not with http://127.0.0.1:1",
            id="another target",
        ),
        pytest.param(
            ["load", "--like-aws", "--url", "http://127.0.0.1:1", "--mix", "bad.toml"],
            {},
            "--like-aws goes with the reference service",
            id="another service",
        ),
        pytest.param(
            ["up", "--like-aws", "--target", "http://127.0.0.1:1"],
            {},
            "--like-aws goes with the embedded target only, not with http://127.0.0.1:1",
            id="another target, in the background",
        ),
        pytest.param(
            ["run", "--like-aws", "--target", "http://127.0.0.1:1"],
            {},
            "--like-aws goes with the embedded target only, not with http://127.0.0.1:1",
            id="another target of the whole job",
        ),
        pytest.param(
            ["run", "--full", "--patterns-only"], {}, "contradict each other", id="full and not"
        ),
        pytest.param(
            ["bench"], {"PERFKIT_LATENCY": "bad.toml"}, "bad.toml lacks write_ms", id="bad profile"
        ),
        pytest.param(
            ["bench"],
            {"PERFKIT_ENFORCE_THROUGHPUT": "maybe"},
            "PERFKIT_ENFORCE_THROUGHPUT is 'maybe'; set it to 1 or 0",
            id="bad variable",
        ),
        pytest.param(
            ["dynamodb", "--port", "0", "--latency", "bad.toml"],
            {},
            "bad.toml lacks write_ms",
            id="bad profile to serve",
        ),
    ],
)
def test_what_will_not_do_is_refused_in_one_line(
    arguments: list[str], variables: dict[str, str], says: str
) -> None:
    result = CliRunner().invoke(app, arguments, env=variables)

    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_run_says_what_was_modelled(tmp_path: Path) -> None:
    data = tmp_path / "data.sqlite3"

    plain = make_target(None, data)
    like_aws = make_target(None, data, like_aws=True)

    assert plain.condition() == PLAIN
    assert like_aws.condition() == {
        **PLAIN,
        "modelled": {
            "throughput": "enforced",
            "latency": read_profile("aws").describe(),
            "index delay": 1.0,
        },
    }


def test_a_run_says_which_throughput_was_enforced(tmp_path: Path) -> None:
    """One of 100 RCU refuses other requests than one on demand: they are never compared."""
    data = tmp_path / "data.sqlite3"
    client = embedded_client(data)
    client.create_table(**table(BillingMode="PAY_PER_REQUEST"))
    on_demand = make_target(None, data, like_aws=True).condition()
    units = {"ReadCapacityUnits": 100, "WriteCapacityUnits": 50}
    client.update_table(TableName="Orders", BillingMode="PROVISIONED", ProvisionedThroughput=units)

    provisioned = make_target(None, data, like_aws=True).condition()

    assert on_demand["modelled"]["throughput"] == "enforced"
    assert provisioned["modelled"]["throughput"] == "enforced; Orders 100 RCU, 50 WCU"
    assert target_title(on_demand) != target_title(provisioned)
    assert "throughput (provisioned), latency" in target_title(provisioned)


def test_an_index_makes_no_other_target_of_its_table(tmp_path: Path) -> None:
    """What an index changes is what runs before and after it are compared for."""
    data = tmp_path / "data.sqlite3"
    units = {"ReadCapacityUnits": 100, "WriteCapacityUnits": 50}
    client = embedded_client(data)
    client.create_table(**table(BillingMode="PROVISIONED", ProvisionedThroughput=units))
    before = make_target(None, data, like_aws=True).condition()
    index = {
        "IndexName": "by-customer",
        "KeySchema": [{"AttributeName": "customer", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
        "ProvisionedThroughput": units,
    }
    client.update_table(
        TableName="Orders",
        AttributeDefinitions=[{"AttributeName": "customer", "AttributeType": "S"}],
        GlobalSecondaryIndexUpdates=[{"Create": index}],
    )

    assert make_target(None, data, like_aws=True).condition() == before


def test_a_lag_that_a_file_keeps_is_in_later_runs_too(tmp_path: Path) -> None:
    data = tmp_path / "data.sqlite3"
    make_target(None, data, like_aws=True).connect().close()

    assert make_target(None, data).condition() == {**PLAIN, "modelled": {"index delay": 1.0}}


def table(**throughput: Any) -> dict[str, Any]:
    return {
        "TableName": "Orders",
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        **throughput,
    }


def test_boto3_finds_reason_and_resource_in_a_refusal() -> None:
    client = embedded_client(
        ":memory:", enforce_throughput=True, config=Config(retries={"total_max_attempts": 1})
    )
    units = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
    arn = client.create_table(**table(ProvisionedThroughput=units))["TableDescription"]["TableArn"]

    def write_on() -> None:
        for number in range(100_000):
            client.put_item(TableName="Orders", Item={"id": {"S": str(number)}})

    with pytest.raises(client.exceptions.ProvisionedThroughputExceededException) as refused:
        write_on()

    assert refused.value.response["ThrottlingReasons"] == [
        {"reason": "TableWriteProvisionedThroughputExceeded", "resource": arn}
    ]


def test_a_throughput_of_nothing_is_refused() -> None:
    client = embedded_client(":memory:", config=Config(parameter_validation=False))
    units = {"ReadCapacityUnits": 0, "WriteCapacityUnits": 1}

    for throughput in (
        {"ProvisionedThroughput": units},
        {"BillingMode": "PAY_PER_REQUEST", "OnDemandThroughput": {"MaxReadRequestUnits": 0}},
    ):
        with pytest.raises(ClientError, match="ValidationException"):
            client.create_table(**table(**throughput))


@pytest.mark.parametrize("is_kept", [True, False])
def test_the_lag_is_said_to_stay_only_in_a_file_that_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, is_kept: bool
) -> None:
    data = tmp_path / f"{is_kept}.sqlite3"

    make_target("embedded", data, like_aws=True, is_kept=is_kept)

    said = capsys.readouterr().err
    assert "Modelled as on AWS" in said
    assert (data.name in said) == is_kept
