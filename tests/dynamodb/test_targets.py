"""Targets: what their names mean, how they are reached, what is said of them, and what goes wrong."""

import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.stub import Stubber
from moto import mock_aws

from perfkit.dynamodb import targets
from perfkit.dynamodb.errors import as_answer, aws_errors, explain
from perfkit.dynamodb.retries import Backoff, RetryingConnection
from perfkit.dynamodb.tables import describe
from perfkit.dynamodb.targets import Target, TargetKind, parse_target
from perfkit.embedded import DynamoDBError
from perfkit.errors import ConfigError, PerfkitError, TargetError, ThrottledError


@pytest.fixture(autouse=True)
def _nobodys_aws_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.mark.parametrize(
    ("text", "kind", "is_aws", "is_guarded"),
    [
        pytest.param(None, TargetKind.EMBEDDED, False, False, id="nothing said"),
        pytest.param("embedded", TargetKind.EMBEDDED, False, False, id="embedded"),
        pytest.param("aws", TargetKind.AWS, True, True, id="aws"),
        pytest.param("http://localhost:8000", TargetKind.ENDPOINT, False, False, id="localhost"),
        pytest.param("http://127.0.0.1:8000/", TargetKind.ENDPOINT, False, False, id="loopback"),
        pytest.param("http://[::1]:8000", TargetKind.ENDPOINT, False, False, id="loopback, v6"),
        pytest.param("http://db.example:8000", TargetKind.ENDPOINT, False, True, id="elsewhere"),
        pytest.param(
            "https://dynamodb.eu-west-1.amazonaws.com", TargetKind.ENDPOINT, True, True, id="AWS"
        ),
    ],
)
def test_a_target_is_named_in_one_word_or_by_its_address(
    text: str | None, kind: TargetKind, is_aws: bool, is_guarded: bool
) -> None:
    target = parse_target(text)

    assert (target.kind, target.is_aws, target.is_guarded) == (kind, is_aws, is_guarded)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param({"text": "local"}, "no target 'local'; use embedded, aws", id="unknown"),
        pytest.param({"text": "localhost:8000"}, "such as http://localhost:8000", id="no scheme"),
        pytest.param({"text": "http://localhost:port"}, "is no address", id="bad port"),
        pytest.param(
            {"text": "aws", "data": Path("x")}, "--data x goes with the embedded", id="data"
        ),
        pytest.param({"text": None, "region": "eu-west-1"}, "--region eu-west-1", id="region"),
        pytest.param({"text": None, "data": Path(":memory:")}, "name a file", id="memory"),
    ],
)
def test_a_target_that_cannot_be_meant_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_target(**arguments)


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://dynamodb.eu-west-1.amazonaws.com", "eu-west-1"),
        ("https://dynamodb-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("https://vpce-0a-1b.dynamodb.us-east-2.vpce.amazonaws.com", "us-east-2"),
        ("https://123456789012.ddb.ap-south-1.amazonaws.com", "ap-south-1"),
        ("http://localhost:8000", "us-east-1"),
    ],
)
def test_the_region_is_read_from_an_address_of_aws(url: str, region: str) -> None:
    assert parse_target(url).resolved_region() == region


def test_what_a_run_file_says_holds_no_password() -> None:
    target = parse_target("http://somebody:secret@localhost:8000/?token=secret")

    assert target.describe() == {
        "kind": "endpoint",
        "region": "us-east-1",
        "endpoint": "http://localhost:8000/",
    }
    assert "secret" not in target.name


CONFIG = """
[default]
services = mine
[services mine]
dynamodb =
  endpoint_url = http://localhost:4566
"""


@pytest.mark.parametrize(
    ("settings", "config", "url"),
    [
        pytest.param({}, "", None, id="nothing said"),
        pytest.param(
            {"AWS_ENDPOINT_URL": "http://localhost:1"}, "", "http://localhost:1", id="all"
        ),
        pytest.param(
            {"AWS_ENDPOINT_URL": "http://localhost:1", "AWS_ENDPOINT_URL_DYNAMODB": "http://db:2/"},
            "",
            "http://db:2",
            id="its own before all services'",
        ),
        pytest.param({}, CONFIG, "http://localhost:4566", id="the profile's"),
        pytest.param(
            {
                "AWS_ENDPOINT_URL": "http://localhost:1",
                "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
            },
            CONFIG,
            None,
            id="ignored",
        ),
        pytest.param(
            {"AWS_ENDPOINT_URL_DYNAMODB": "https://vpce-0a.dynamodb.eu-west-1.vpce.amazonaws.com"},
            "",
            None,
            id="AWS by another address",
        ),
    ],
)
def test_aws_is_what_its_own_settings_make_of_it(
    settings: dict[str, str], config: str, url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    Path(os.environ["AWS_CONFIG_FILE"]).write_text(config)

    target = parse_target("aws", region="eu-west-1")

    if url is None:
        assert (target.is_aws, target.is_guarded) == (True, True)
        assert target.describe() == {"kind": "aws", "region": "eu-west-1"}
    else:
        assert (target.is_aws, target.name) == (False, url)
        assert target.describe() == {"kind": "endpoint", "region": "eu-west-1", "endpoint": url}
    # the default stays the engine in the process: nobody's items go anywhere by a variable
    assert parse_target(None).kind is TargetKind.EMBEDDED


def test_a_stand_in_needs_no_configuration() -> None:
    client = parse_target("http://localhost:8000").client()

    credentials = client._request_signer._credentials
    assert (client.meta.region_name, credentials.access_key) == ("us-east-1", "perfkit")


def test_a_stand_in_gets_what_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")

    client = parse_target("http://localhost:8000").client()

    credentials = client._request_signer._credentials
    assert (client.meta.region_name, credentials.access_key) == ("eu-north-1", "mine")


def test_client_options_reach_boto3() -> None:
    client = parse_target("http://localhost:8000").client(
        max_attempts=3, pool_connections=7, parameter_validation=False
    )

    config = client.meta.config
    assert config.retries == {"mode": "standard", "total_max_attempts": 3}
    assert config.max_pool_connections == 7
    with Stubber(client) as stub:
        stub.add_client_error("list_tables")
        # boto3 itself would refuse text for a number
        with pytest.raises(ClientError):
            client.list_tables(Limit="many")


def test_the_embedded_engine_answers_by_both_ways(tmp_path: Path) -> None:
    target = Target(data=tmp_path / "data.sqlite3")

    connection = target.connect()
    try:
        assert connection.execute("ListTables", {}) == {"TableNames": []}
        assert target.client().list_tables()["TableNames"] == []
    finally:
        connection.close()


# ---- what goes wrong -----------------------------------------------------------------------


def reach(target: Target) -> None:
    connection = RetryingConnection(target.connect(), backoff=Backoff(pause=lambda _: None))
    try:
        describe(connection, "Courses")
    except DynamoDBError as error:
        raise explain(error, doing="looking", where=target.name) from error
    finally:
        connection.close()


def test_nobody_at_the_address_is_one_clear_line() -> None:
    with pytest.raises(TargetError) as caught:
        reach(parse_target("http://127.0.0.1:1"))

    assert str(caught.value) == (
        "looking: no answer from http://127.0.0.1:1 (connection refused): is it running?"
    )


def test_a_region_that_is_not_there_is_asked_for_by_its_name() -> None:
    error = EndpointConnectionError(endpoint_url="https://dynamodb.atlantis-9.amazonaws.com")
    error.kwargs["error"] = "[Errno -2] Failed to resolve 'dynamodb.atlantis-9.amazonaws.com'"

    explained = explain(
        as_answer(error, where="AWS (atlantis-9)"), doing="looking", where="AWS (atlantis-9)"
    )

    assert "is the region spelt right" in str(explained)


@pytest.fixture
def web_server() -> Iterator[str]:
    """Serve web pages, as what runs on port 8000 quite often does."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.processes
def test_something_that_is_not_dynamodb_is_named_as_such(
    web_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # an error of the service is repeated for 30 s; what names none on the first call, never
    monkeypatch.setattr("perfkit.dynamodb.retries.Backoff.wait", lambda *_: pytest.fail("repeats"))

    with pytest.raises(TargetError, match=r"is not DynamoDB \(HTTP status 501\); check --target"):
        reach(parse_target(web_server))


def test_missing_credentials_say_how_to_get_some() -> None:
    with pytest.raises(ConfigError, match=r"no complete credentials for AWS \(eu-west-1\): set"):
        reach(parse_target("aws", region="eu-west-1"))


def test_a_missing_region_says_how_to_name_one() -> None:
    with pytest.raises(ConfigError, match="no region for AWS: give --region or set AWS_REGION"):
        reach(parse_target("aws"))


def test_an_unknown_profile_is_named() -> None:
    with pytest.raises(ConfigError, match="nobody"):
        reach(parse_target("aws", region="eu-west-1", profile="nobody"))


@pytest.mark.parametrize(
    ("code", "message", "kind", "part"),
    [
        ("ThrottlingException", "Rate exceeded", ThrottledError, "lack of capacity"),
        ("ExpiredTokenException", "The token is expired", ConfigError, "have expired"),
        ("UnrecognizedClientException", "The token is invalid", ConfigError, "not accept these"),
        ("InvalidSignatureException", "Signature expired: now", ConfigError, "have expired"),
        ("AccessDeniedException", "no dynamodb:Scan", TargetError, "not allowed on x"),
        ("ResourceNotFoundException", "not found", TargetError, "`perfkit seed` creates"),
        ("ResourceInUseException", "in use", TargetError, "run again shortly"),
        ("ValidationException", "odd.", TargetError, "x answered ValidationException: odd"),
    ],
)
def test_an_answer_becomes_a_line_with_a_way_out(
    code: str, message: str, kind: type[PerfkitError], part: str
) -> None:
    response: Any = {"Error": {"Code": code, "Message": message}}

    with pytest.raises(PerfkitError) as caught, aws_errors("looking", "x"):
        raise ClientError(response, "DescribeTable")

    assert type(caught.value) is kind
    assert part in str(caught.value)


# ---- what is known of a target ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "part"),
    [
        pytest.param({"server": "amazon.com"}, "is moto", id="moto"),
        pytest.param({"server": "Werkzeug/3.1 Python/3.11"}, "is moto", id="moto's server"),
        pytest.param({"server": "Jetty(12.0.14)"}, "is DynamoDB Local", id="DynamoDB Local"),
        pytest.param({"x-localstack": "true"}, "is LocalStack", id="LocalStack"),
        pytest.param({}, "is unchecked", id="anything else"),
    ],
)
def test_doubtful_capacity_answers_are_known_by_who_answers(
    headers: dict[str, str], part: str
) -> None:
    assert part in str(targets._doubt("x", headers))


def test_nothing_is_doubted_without_reason() -> None:
    assert parse_target(None).capacity_doubt() is None
    assert parse_target("aws", region="eu-west-1").capacity_doubt() is None
    assert targets._doubt("x", {"server": "perfkit"}) is None


@pytest.mark.processes
def test_who_answers_at_an_endpoint_is_looked_at(web_server: str) -> None:
    with pytest.raises(TargetError, match="is not DynamoDB"):
        parse_target(web_server).capacity_doubt()


@mock_aws
def test_the_account_number_is_known_on_aws_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")

    assert parse_target("aws", region="eu-west-1").account() == "123456789012"
    assert parse_target(None).account() is None
