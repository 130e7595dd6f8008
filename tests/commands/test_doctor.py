"""`perfkit doctor`: what it finds of good and of bad targets, and the policies it prints."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from typer.testing import CliRunner, Result

from perfkit.cli import app
from perfkit.dynamodb import checkup
from perfkit.dynamodb.checkup import CheckState
from perfkit.dynamodb.client import embedded_client
from perfkit.dynamodb.targets import Target, TargetKind

PERFKIT = Path(sys.executable).with_name("perfkit")
REGION, ACCOUNT = "eu-west-1", "123456789012"


def perfkit(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def checks_of(result: Result) -> dict[str, dict[str, str]]:
    return {each["name"]: each for each in json.loads(result.stdout)["checks"]}


# ---- policies --------------------------------------------------------------------------------


@pytest.fixture
def aws(
    server: str, record: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """Return a recorder that is taken for AWS, by this process and by those it starts."""
    recorder = record(server)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "somebody")
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("PERFKIT_TARGET", "aws")
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", recorder.url)
    # nobody else is asked anything, and nobody waits to ask again
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr("perfkit.dynamodb.targets._is_aws_host", lambda _: True)
    monkeypatch.setattr(Target, "caller", lambda _: (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/me"))
    monkeypatch.setattr("perfkit.dynamodb.index_work._intervals", _quick)
    yield recorder
    perfkit("clean", "--yes")


def _quick(_: Any) -> Any:
    from perfkit.dynamodb.index_work import _Intervals

    return _Intervals(0.05, 0.2)


def asked(requests: list[tuple[str, Mapping[str, Any]]]) -> set[tuple[str, str]]:
    """Return what IAM would have been asked: each action with each resource."""
    pairs = set()
    for operation, request in requests:
        if "RequestItems" in request:
            names = [f"table/{table}" for table in request["RequestItems"]]
        elif "ResourceArn" in request:
            names = [request["ResourceArn"].rpartition(":")[2]]
        elif "TableName" in request:
            index = request.get("IndexName")
            names = [f"table/{request['TableName']}" + (f"/index/{index}" if index else "")]
        else:
            names = ["*"]
        pairs |= {(operation, name) for name in names}
        if operation == "CreateTable" and request.get("Tags"):
            # Source: Amazon DynamoDB Developer Guide, tagging restrictions
            pairs |= {("TagResource", name) for name in names}
    return pairs


def allowed(command: str) -> set[tuple[str, str]]:
    result = perfkit("doctor", "--policy", command)
    assert result.exit_code == 0, result.output
    pairs = set()
    for statement in json.loads(result.stdout)["Statement"]:
        assert statement["Effect"] == "Allow"
        for action in statement["Action"]:
            for resource in statement["Resource"]:
                prefix = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:"
                assert resource == "*" or resource.startswith(prefix)
                pairs.add((action.removeprefix("dynamodb:"), resource.removeprefix(prefix)))
    return pairs


def serve(phase: str) -> None:
    """Use the service as its clients do: read every list, take a course and give it up."""
    up = subprocess.run(
        [PERFKIT, "up", "--phase", phase, "--port", "0", "--no-notify"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert up.returncode == 0, up.stderr
    url = re.findall(r"http://[\d.:]+", up.stdout)[0]
    user, token = re.findall(r"Token of (\S+): (\S+)", up.stdout)[0]

    def ask(path: str, method: str = "GET", body: Any = None) -> Any:
        request = urllib.request.Request(
            url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    try:
        courses = ask("/api/courses?semester=1&department=CS")["items"]
        ask(f"/api/instructors/{courses[0]['instructor_id']}/courses")
        ask(f"/api/users/{user}/profile")
        ask(f"/api/courses/{courses[0]['course_id']}/enrollments")
        taken = {each["course_id"] for each in ask("/api/enrollments")["items"]}
        free = next(each["course_id"] for each in courses if each["course_id"] not in taken)
        made = ask("/api/enrollments", "POST", {"course_id": free})
        ask("/api/enrollments/" + made["enrollment_id"], "DELETE")
    finally:
        assert perfkit("down").exit_code == 0


def remove_none() -> None:
    """Look for an index on every table, and find it on none."""
    removed = perfkit("migrate", "plan", "--remove", "Nowhere")
    assert "no table of workload courses has a global index Nowhere" in removed.stderr


def verify_everything_again() -> Result:
    """Verify indexes as if every item seemed to differ, so that everything is asked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("perfkit.migrate.entries.digest_of", lambda *_: os.urandom(16))
        return perfkit("migrate", "verify", "--yes")


def test_a_policy_allows_what_a_command_asks_and_nothing_else(aws: Any) -> None:
    seeding = ("seed", "--scale", "0.005", "--yes", "--processes", "1")
    measuring = ("bench", "--iterations", "1", "--yes", "--scenario")
    steps: dict[str, tuple[Callable[[], Any], ...]] = {
        # into nothing, and over what is there
        "seed": (lambda: perfkit(*seeding), lambda: perfkit(*seeding)),
        "migrate plan": (
            lambda: perfkit("migrate", "plan", "--yes", "--output", "plan.json"),
            remove_none,
        ),
        "migrate preflight": (lambda: perfkit("migrate", "preflight", "--yes"),),
        "migrate apply": (lambda: perfkit("migrate", "apply", "plan.json", "--yes"),),
        "migrate status": (lambda: perfkit("migrate", "status"),),
        "migrate rollback": (lambda: perfkit("migrate", "rollback", "plan.json", "--yes"),),
        "create-indexes": (lambda: perfkit("create-indexes", "--yes"),),
        "migrate verify": (verify_everything_again,),
        "status": (lambda: perfkit("status"),),
        "doctor": (lambda: perfkit("doctor"),),
        "init": (lambda: perfkit("init", "--yes", "--output", "found.toml"),),
        "bench": (
            lambda: perfkit(*measuring, "patterns"),
            lambda: perfkit(*measuring, "n-plus-one"),
        ),
        "up": (lambda: serve("0"), lambda: serve("3")),
        "drop-indexes": (lambda: perfkit("drop-indexes", "--yes"),),
        "clean": (lambda: perfkit("clean", "--yes"),),
    }
    found: dict[str, set[tuple[str, str]]] = {}
    for command, runs in steps.items():
        aws.requests.clear()
        for run in runs:
            result = run()
            assert result is None or result.exit_code == 0, (command, result.output)
        found[command] = asked(aws.requests)

    # whatever the tables are called
    found["init"] = {(action, "*" if name == "*" else "table/*") for action, name in found["init"]}
    for command, pairs in found.items():
        of_tables = {pair for pair in allowed(command) if ":" not in pair[0]}
        assert of_tables == pairs, command
    assert allowed("serve") == found["up"]
    assert allowed("run") == found["seed"] | found["create-indexes"] | found["bench"]


def test_a_policy_without_an_account_has_placeholders_and_one_of_nothing_is_refused() -> None:
    result = perfkit("doctor", "--policy", "clean")
    assert '"arn:aws:dynamodb:REGION:ACCOUNT:table/Users"' in result.stdout
    json.loads(result.stdout)

    result = perfkit("doctor", "--policy", "compare")
    assert result.exit_code == 2
    assert "no command 'compare' that asks DynamoDB; choose from bench, check," in result.stderr


# ---- checks ------------------------------------------------------------------------------------


def test_a_target_in_order_is_found_so(courses_data: Callable[..., Path]) -> None:
    result = perfkit("doctor", "--data", courses_data(0.02), "--json")

    assert result.exit_code == 0
    checks = checks_of(result)
    assert {each["state"] for each in checks.values()} == {"ok"}
    assert checks["capacity"]["found"] == "one item took 0.5 RCU, as DynamoDB bills it"
    assert "about 200 items" in checks["table Courses"]["found"]


def test_what_is_missing_says_what_makes_it(server: str, courses_data: Callable[..., Path]) -> None:
    checks = checks_of(perfkit("doctor", "--target", server, "--json"))
    assert (checks["table Users"]["state"], checks["table Users"]["found"]) == (
        "warning", "is not there",
    )  # fmt: skip
    assert checks["clock"]["state"] == "ok"

    found = perfkit("doctor", "--data", courses_data(0.02, indexed=False)).stdout
    assert "without index CoursesBySemester, CoursesByInstructor" in found
    assert "-> `perfkit create-indexes --dry-run`" in found


@pytest.mark.processes
def test_what_it_advises_beside_somebodys_table_is_not_refused() -> None:
    seed = ("seed", "--scale", "0.005", "--processes", "1")
    assert perfkit(*seed).exit_code == 0
    client = embedded_client()
    client.delete_table(TableName="Courses")
    arn = client.describe_table(TableName="Users")["Table"]["TableArn"]
    client.untag_resource(ResourceArn=arn, TagKeys=["created-by"])

    checks = checks_of(perfkit("doctor", "--json"))

    courses, users = checks["table Courses"], checks["table Users"]
    assert (courses["state"], users["state"]) == ("warning", "warning")
    assert users["found"].endswith("; perfkit did not create it")
    assert users["remedy"].startswith("say in the workload that it exists")
    assert "without --table seed refuses, because perfkit did not create Users" in courses["remedy"]
    assert perfkit(*seed).exit_code == 2
    (advised,) = re.findall(r"`perfkit seed (.*?)`", courses["remedy"])
    assert perfkit(*seed, *advised.split()).exit_code == 0


@pytest.mark.processes
def test_of_many_tables_those_that_are_alike_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    tables = "".join(
        f"""
        [tables.Table{number:02}]
        items = 1
        partition_key = "id"
        [tables.Table{number:02}.attributes]
        id = {{ kind = "sequence", format = "{{}}" }}
        """
        for number in range(30)
    )
    Path("perfkit.toml").write_text(f'name = "large"\ndescription = "Many tables"\n{tables}')
    assert perfkit("seed", "--processes", "1").exit_code == 0
    client = embedded_client()
    for number in (3, 5):
        client.delete_table(TableName=f"Table{number:02}")

    # somebody else's, with items more or less
    for number in range(10, 20):
        name = f"Table{number:02}"
        arn = client.describe_table(TableName=name)["Table"]["TableArn"]
        client.untag_resource(ResourceArn=arn, TagKeys=["created-by"])
        for item in range(number):
            client.put_item(TableName=name, Item={"id": {"S": f"more {item}"}})

    short, whole = perfkit("doctor"), perfkit("doctor", "-v")

    assert (short.exit_code, whole.exit_code) == (0, 0)
    lines = short.stdout.splitlines()
    assert len(lines) <= 20
    assert max(map(len, lines)) <= 80
    found = " ".join(short.stdout.split())
    assert "tables Table00, Table01, Table02 and 15 more: each may be read" in found
    assert (
        "tables Table10, Table11, Table12 and 7 more: each may be read; perfkit did not create it"
        " -> say in the workload that it exists" in found
    )
    assert (
        "tables Table03, Table05: each is not there"
        " -> `perfkit seed --table NAME` creates and fills it" in found
    )
    assert "Table29" not in found
    assert "table Table29: may be read; about 1 item, ACTIVE" in whole.stdout


@pytest.mark.processes
def test_a_stand_in_that_counts_wrongly_is_found_out(empty_stand_in: Callable[[str], str]) -> None:
    url = empty_stand_in("moto")
    assert perfkit("seed", "--target", url, "--scale", "0.005", "--table", "Users").exit_code == 0

    checks = checks_of(perfkit("doctor", "--target", url, "--json"))

    assert "is moto" in checks["server"]["found"]
    assert checks["capacity"]["found"] == "100 items took 1 RCU, which DynamoDB bills as 12.5"
    assert perfkit("clean", "--target", url, "--yes").exit_code == 0


@pytest.mark.processes
def test_a_stand_in_is_not_vouched_for_by_a_single_item(
    empty_stand_in: Callable[[str], str],
) -> None:
    url = empty_stand_in("ministack")
    client = Target(kind=TargetKind.ENDPOINT, endpoint_url=url).client()
    client.create_table(
        TableName="Users",
        KeySchema=[{"AttributeName": "user_id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "user_id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client.put_item(TableName="Users", Item={"user_id": {"S": "u"}})

    # half a unit is what it answers for anything
    check = checks_of(perfkit("doctor", "--target", url, "--json"))["capacity"]

    assert check["state"] == "warning"
    assert check["found"].startswith("one item took 0.5 RCU, as DynamoDB bills it; ")
    client.delete_table(TableName="Users")


def test_redis_is_asked_and_its_password_kept(cache_server: str) -> None:
    asked = checks_of(perfkit("doctor", "--redis-url", cache_server, "--json"))["Redis"]
    assert asked["state"] == "ok"
    assert "answers, Redis" in asked["found"]

    result = perfkit("doctor", "--redis-url", "redis://me:secret@127.0.0.1:1")

    assert result.exit_code == 3
    assert "no Redis server answers at 127.0.0.1:1" in result.stdout
    assert "secret" not in result.output


@pytest.mark.parametrize(
    ("ahead_s", "state", "words"),
    [(0, "ok", "agree"), (-42, "warning", "42 s behind"), (900, "failed", "900 s ahead")],
)
def test_a_clock_that_is_off_is_found_by_the_date_of_an_answer(
    ahead_s: float, state: str, words: str
) -> None:
    said = format_datetime(datetime.now(UTC) - timedelta(seconds=ahead_s), usegmt=True)

    check = checkup._clock(checkup._Answer({}, None, "", {"date": said}, 0.0))

    assert check.state == state
    # the header has whole seconds, and this takes a moment, on a busy machine some seconds
    numbers = {re.sub(r"\d+", str(abs(ahead_s) + late), words) for late in range(-30, 31)}
    assert any(each in check.found for each in numbers)


@pytest.mark.parametrize(
    ("decision", "state"), [("allowed", CheckState.OK), ("implicitDeny", CheckState.WARNING)]
)
def test_permissions_to_write_are_asked_of_iam(
    decision: str, state: CheckState, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Target(kind=TargetKind.AWS, region=REGION)
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/Deploy/me"
    monkeypatch.setattr(Target, "caller", lambda _: (ACCOUNT, session))
    iam = boto3.client("iam", REGION, aws_access_key_id="x", aws_secret_access_key="x")
    monkeypatch.setattr(Target, "client", lambda *_, **__: iam)
    resource = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/Users"
    with Stubber(iam) as stub:
        stub.add_response(
            "simulate_principal_policy",
            {
                "EvaluationResults": [
                    {"EvalActionName": "dynamodb:DeleteTable", "EvalDecision": decision}
                ]
            },
            {
                "PolicySourceArn": f"arn:aws:iam::{ACCOUNT}:role/Deploy",
                "ActionNames": ["dynamodb:DeleteTable"],
                "ResourceArns": [resource],
            },
        )
        asked = checkup._writes(target, {"dynamodb:DeleteTable": frozenset({"table/Users"})})
        stub.add_client_error("simulate_principal_policy", "AccessDenied")
        refused = checkup._writes(target, {"dynamodb:DeleteTable": frozenset({"table/Users"})})

    assert asked.state is state
    assert "dynamodb:DeleteTable" in asked.found
    assert refused.state is CheckState.UNKNOWN
    assert "AccessDenied" in refused.found
