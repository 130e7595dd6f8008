"""`perfkit dynamodb` as a real process: SDKs, the aws command line, bad requests, Ctrl-C."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config

pytestmark = pytest.mark.processes

AWS = Path(sys.executable).with_name("aws")
PERFKIT = Path(sys.executable).with_name("perfkit")
TARGET = "DynamoDB_20120810."


@pytest.fixture
def connection(server: str) -> Iterator[http.client.HTTPConnection]:
    """Return a bare connection to the server."""
    address = urlsplit(server)
    assert address.hostname
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    yield connection
    connection.close()


def post(
    connection: http.client.HTTPConnection, body: bytes, **headers: str
) -> tuple[int, Any, http.client.HTTPResponse]:
    """Return status, decoded body and response; underscores in header names become dashes."""
    connection.request(
        "POST", "/", body, {name.replace("_", "-"): value for name, value in headers.items()}
    )
    response = connection.getresponse()
    content = response.read()
    assert response.headers["x-amz-crc32"] == str(zlib.crc32(content))
    return response.status, json.loads(content), response


# ---- clients -----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["legacy", "standard"])
def test_a_plain_boto3_client_works(
    server: str, session: boto3.Session, build: Any, mode: str
) -> None:
    """Signed, with retries, and with the checks of checksums that the legacy mode does."""
    client = session.client(
        "dynamodb",
        region_name="eu-west-1",
        endpoint_url=server,
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=Config(retries={"mode": mode}),
    )
    table = f"boto3-{mode}"
    item = {"pk": {"S": "ä"}, "sk": {"N": "1"}, "b": {"B": b"\x00\xff"}, "g": {"S": "x"}}

    client.create_table(**build.table(table, "pk sk:N", gsi={"by-g": ("g", "ALL")}))
    client.get_waiter("table_exists").wait(TableName=table)
    client.put_item(TableName=table, Item=item)
    found = client.query(
        TableName=table,
        IndexName="by-g",
        KeyConditionExpression="g = :g",
        ExpressionAttributeValues={":g": {"S": "x"}},
        ReturnConsumedCapacity="INDEXES",
    )
    with pytest.raises(client.exceptions.ConditionalCheckFailedException) as caught:
        client.put_item(
            TableName=table,
            Item=item,
            ConditionExpression="attribute_not_exists(pk)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    with pytest.raises(client.exceptions.TransactionCanceledException) as cancelled:
        client.transact_write_items(
            TransactItems=[
                {
                    "Put": {
                        "TableName": table,
                        "Item": item,
                        "ConditionExpression": "attribute_not_exists(pk)",
                    }
                }
            ]
        )
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_item(TableName="nothing", Key={"pk": {"S": "x"}})
    client.delete_table(TableName=table)
    client.get_waiter("table_not_exists").wait(TableName=table)

    assert found["Items"] == [item]
    assert found["ConsumedCapacity"]["GlobalSecondaryIndexes"] == {"by-g": {"CapacityUnits": 0.5}}
    assert caught.value.response["Item"] == item
    reasons = cancelled.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["ConditionalCheckFailed"]


def test_the_resource_interface_works(server: str) -> None:
    table = (
        boto3.Session()
        .resource(
            "dynamodb",
            region_name="us-east-1",
            endpoint_url=server,
            aws_access_key_id="any",
            aws_secret_access_key="any",
        )
        .create_table(
            TableName="resource",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    )

    with table.batch_writer() as writer:
        for number in range(60):
            writer.put_item(Item={"pk": str(number), "n": number})

    assert table.scan()["Count"] == 60


class _Aws:
    """The aws command line against one server."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_PAGER": "",
        }

    def __call__(self, command: str, **options: Any) -> Any:
        arguments = [str(AWS), "dynamodb", command, "--endpoint-url", self._url]
        for name, value in options.items():
            arguments += [
                f"--{name.replace('_', '-')}",
                value if isinstance(value, str) else json.dumps(value),
            ]
        done = subprocess.run(
            arguments, env=self._environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            return done.stderr.strip()
        return json.loads(done.stdout) if done.stdout else None


def test_the_aws_command_line_works(server: str, build: Any, tmp_path: Path) -> None:
    aws = _Aws(server, tmp_path)
    request = build.table("cli", "pk sk", gsi={"by-g": ("g", "KEYS_ONLY")})
    key = {"pk": {"S": "a"}, "sk": {"S": "1"}}

    created = aws("create-table", cli_input_json=request)
    items = [{**key, "g": {"S": "x"}, "n": {"N": "1"}}, {**key, "sk": {"S": "2"}}]
    aws(
        "batch-write-item",
        request_items={"cli": [{"PutRequest": {"Item": item}} for item in items]},
    )
    updated = aws(
        "update-item",
        table_name="cli",
        key=key,
        update_expression="ADD n :one",
        expression_attribute_values={":one": {"N": "1"}},
        return_values="UPDATED_NEW",
        return_consumed_capacity="TOTAL",
    )
    queried = aws(
        "query",
        table_name="cli",
        index_name="by-g",
        key_condition_expression="g = :g",
        expression_attribute_values={":g": {"S": "x"}},
    )
    # the command line follows LastEvaluatedKey by itself
    scanned = aws("scan", table_name="cli", page_size="1")
    refused = aws("get-item", table_name="cli", key={"pk": {"S": "a"}})

    assert created["TableDescription"]["TableStatus"] == "CREATING"
    assert updated["Attributes"] == {"n": {"N": "2"}}
    assert updated["ConsumedCapacity"] == {"TableName": "cli", "CapacityUnits": 1.0}
    assert queried["Items"] == [{**key, "g": {"S": "x"}}]
    assert scanned["Count"] == 2
    assert refused.endswith(
        "An error occurred (ValidationException) when calling the GetItem operation:"
        " The provided key element does not match the schema"
    )


# ---- the protocol ------------------------------------------------------------------------

SERIALIZATION = "com.amazon.coral.service#SerializationException"
UNKNOWN = "com.amazon.coral.service#UnknownOperationException"
VALIDATION = "com.amazon.coral.validate#ValidationException"
NOT_FOUND = "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"


@pytest.mark.parametrize(
    ("target", "body", "kind"),
    [
        pytest.param("GetItem", b"{", SERIALIZATION, id="half a document"),
        pytest.param("GetItem", b"", SERIALIZATION, id="no document"),
        pytest.param("GetItem", b"[]", SERIALIZATION, id="a list"),
        pytest.param("GetItem", b'"text"', SERIALIZATION, id="text"),
        pytest.param("GetItem", b"\xff\xfe{}", SERIALIZATION, id="not UTF-8"),
        pytest.param("GetItem", b'{"TableName": "\\ud800"}', SERIALIZATION, id="half a character"),
        pytest.param("GetItem", b"[" * 100_000, SERIALIZATION, id="100,000 brackets"),
        pytest.param(
            "GetItem",
            b'{"TableName": "x", "Key": {"a": 1}}',
            SERIALIZATION,
            id="no attribute value",
        ),
        pytest.param(
            "Scan",
            b'{"TableName": "x", "Limit": 9223372036854775808}',
            SERIALIZATION,
            id="a number beyond a long",
        ),
        pytest.param(
            "Query",
            b'{"TableName": "x", "Limit": 2147483648}',
            SERIALIZATION,
            id="a number beyond an integer",
        ),
        pytest.param("GetItem", b"{}", VALIDATION, id="nothing given"),
        pytest.param(
            "GetItem",
            b'{"TableName": "nothing", "Key": {"pk": {"S": "a"}}}',
            NOT_FOUND,
            id="missing table",
        ),
        pytest.param("ListStreams", b"{}", UNKNOWN, id="an operation that is left out"),
        pytest.param("Nonsense", b"{}", UNKNOWN, id="no operation"),
        pytest.param("", b"{}", UNKNOWN, id="empty operation"),
        pytest.param("GetItem.GetItem", b"{}", UNKNOWN, id="one name too many"),
    ],
)
def test_bad_requests(
    connection: http.client.HTTPConnection, target: str, body: bytes, kind: str
) -> None:
    status, answer, response = post(connection, body, X_Amz_Target=TARGET + target)

    assert (status, answer["__type"]) == (400, kind)
    assert response.headers["content-type"] == "application/x-amz-json-1.0"
    assert len(response.headers["x-amzn-requestid"]) >= 32


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X_Amz_Target": "GetItem"},
        {"X_Amz_Target": "DynamoDBStreams_20120810.GetItem"},
        {"X_Amz_Target": "ä"},
    ],
    ids=["no target", "no service", "another service", "not ASCII"],
)
def test_a_target_that_is_not_dynamodbs(
    connection: http.client.HTTPConnection, headers: dict[str, str]
) -> None:
    status, answer, _ = post(connection, b"{}", **headers)

    assert (status, answer["__type"]) == (400, UNKNOWN)


def test_deeply_nested_values_are_refused(connection: http.client.HTTPConnection) -> None:
    for levels in (40, 400, 1000):
        nested = '{"M":{"m":' * levels + '{"S":"x"}' + "}}" * levels
        body = f'{{"TableName":"nothing","Item":{{"pk":{{"S":"a"}},"deep":{nested}}}}}'

        status, answer, _ = post(connection, body.encode(), X_Amz_Target=f"{TARGET}PutItem")

        assert status == 400
        assert answer["__type"] in (VALIDATION, SERIALIZATION)


def test_one_connection_serves_many_requests(connection: http.client.HTTPConnection) -> None:
    post(connection, b"{}", X_Amz_Target=f"{TARGET}ListTables")
    opened = connection.sock

    for target in ("ListTables", "Nonsense", "DescribeLimits"):
        post(connection, b"{}", X_Amz_Target=TARGET + target)

    assert opened is not None
    assert connection.sock is opened


def test_a_health_check_is_answered(connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/")
    response = connection.getresponse()

    assert (response.status, response.read()[:8]) == (200, b"healthy:")


def test_a_huge_body_is_refused_and_the_server_goes_on(
    connection: http.client.HTTPConnection, server: str
) -> None:
    address = urlsplit(server)
    assert address.hostname
    huge = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    try:
        huge.request("POST", "/", b"x" * (25 << 20), {"X-Amz-Target": f"{TARGET}PutItem"})
        status = huge.getresponse().status
    except (BrokenPipeError, ConnectionResetError):
        # refused before all of it was sent
        status = 413
    finally:
        huge.close()

    assert status == 413
    assert post(connection, b"{}", X_Amz_Target=f"{TARGET}ListTables")[0] == 200


def test_a_body_just_below_the_limit_of_16_mb_is_read(
    connection: http.client.HTTPConnection,
) -> None:
    fill = "x" * (15 << 20)
    body = json.dumps({"TableName": "nothing", "Item": {"pk": {"S": "a"}, "fill": {"S": fill}}})

    status, answer, _ = post(connection, body.encode(), X_Amz_Target=f"{TARGET}PutItem")

    assert (status, answer["message"]) == (400, "Item size has exceeded the maximum allowed size")


def test_a_client_that_hangs_up_does_no_harm(
    connection: http.client.HTTPConnection, server: str
) -> None:
    address = urlsplit(server)
    for sent in (
        b"",
        b"POST / HTTP/1.1\r\nHost: x\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
        b"NONSENSE\r\n\r\n",
    ):
        with socket.create_connection((str(address.hostname), int(address.port or 0))) as raw:
            raw.sendall(sent)

    assert post(connection, b"{}", X_Amz_Target=f"{TARGET}ListTables")[0] == 200


def test_several_connections_write_and_read_at_once(
    server: str, connect: Callable[..., Any], make_table: Callable[..., str]
) -> None:
    make_table("busy", on=connect(server))
    clients = [connect(server) for _ in range(6)]

    def work(number: int) -> None:
        client = clients[number]
        for turn in range(20):
            key = {"pk": {"S": f"{number}-{turn}"}}
            client.put_item(TableName="busy", Item=key)
            assert client.get_item(TableName="busy", Key=key)["Item"] == key
            client.update_item(
                TableName="busy",
                Key={"pk": {"S": "counter"}},
                UpdateExpression="ADD n :one",
                ExpressionAttributeValues={":one": {"N": "1"}},
            )

    with ThreadPoolExecutor(len(clients)) as pool:
        list(pool.map(work, range(len(clients))))

    counter = clients[0].get_item(TableName="busy", Key={"pk": {"S": "counter"}})["Item"]
    assert counter["n"] == {"N": "120"}
    assert clients[0].scan(TableName="busy")["Count"] == 121


# ---- the process -------------------------------------------------------------------------


def test_ctrl_c_ends_it_cleanly_and_data_stays(
    start_server: Callable[..., Any],
    connect: Callable[..., Any],
    make_table: Callable[..., str],
) -> None:
    with start_server("data.sqlite3") as (url, process):
        client = connect(url)
        make_table("things", on=client)
        # a connection that is kept open must not hold the end up
        client.put_item(TableName="things", Item={"pk": {"S": "a"}})
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)

    assert (process.returncode, output, errors) == (0, "", "")
    assert connect("data.sqlite3").scan(TableName="things")["Count"] == 1


def test_ctrl_c_lets_requests_finish(
    start_server: Callable[..., Any],
    connect: Callable[..., Any],
    make_table: Callable[..., str],
) -> None:
    acknowledged: list[int] = []
    with start_server("data.sqlite3") as (url, process):
        client = connect(url)
        make_table("things", on=client)

        def write() -> None:
            for number in range(100_000):
                try:
                    client.put_item(TableName="things", Item={"pk": {"S": str(number)}})
                except Exception:  # noqa: BLE001 - the server is gone
                    return
                acknowledged.append(number)
                if number == 20:
                    process.send_signal(signal.SIGINT)

        writer = threading.Thread(target=write)
        writer.start()
        _, errors = process.communicate(timeout=60)
        writer.join()

    assert (process.returncode, errors) == (0, "")
    assert connect("data.sqlite3").scan(TableName="things")["Count"] >= len(acknowledged) > 20


def test_a_port_in_use_is_named(server: str) -> None:
    port = urlsplit(server).port

    done = subprocess.run(
        [PERFKIT, "dynamodb", "--port", str(port), "--data", ":memory:"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1 port {port}" in done.stderr
    assert "choose another --port" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_data_file_that_is_none_is_named() -> None:
    Path("notes.txt").write_text("no database " * 100)

    done = subprocess.run(
        [PERFKIT, "dynamodb", "--port", "0", "--data", "notes.txt"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 3
    assert "notes.txt is no perfkit data file" in done.stderr
    assert "Traceback" not in done.stderr


def test_memory_serves_one_database_to_all_connections(
    start_server: Callable[..., Any],
    connect: Callable[..., Any],
    make_table: Callable[..., str],
) -> None:
    with start_server(":memory:") as (url, _):
        make_table("things", on=connect(url))
        names = connect(url).list_tables()["TableNames"]

    assert names == ["things"]
    assert not list(Path().iterdir())
