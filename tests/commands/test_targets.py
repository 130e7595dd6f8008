"""Where commands go: option before environment before file, no secret kept, limits that stop."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
from typer.testing import CliRunner, Result

from perfkit.cache.settings import CacheSettings
from perfkit.cli import app
from perfkit.commands.options import make_redis_url, make_target
from perfkit.dynamodb.targets import Target, TargetKind
from perfkit.runs import RunStore
from perfkit.scenarios.cache import cached_variants
from perfkit.settings import DATA_FILE
from perfkit.workloads.loader import load

SHOP = (Path(__file__).parents[2] / "examples" / "shop.toml").read_text()


def perfkit(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def target_of(said: str, *options: Any, **named: Any) -> Target:
    """Return the target of some options beside a workload file that says something of it."""
    Path("perfkit.toml").write_text(f"{SHOP}\n[target]\n{said}\n")
    return make_target(*(options or (None, None)), **named, workload=load())


def test_an_option_comes_before_a_variable_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    file = 'at = "aws"\nregion = "eu-west-1"\nprofile = "file"'
    Path("config").write_text("[profile file]\n[profile variable]\n[profile option]\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", "config")

    of_file = target_of(file)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")
    monkeypatch.setenv("AWS_PROFILE", "variable")
    of_variables = target_of(file)
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    both = target_of(file)
    of_options = target_of(file, None, None, "eu-north-1", "option")

    found = [
        (each.kind, each.resolved_region(), each.profile)
        for each in (of_file, of_variables, both, of_options)
    ]
    assert found == [
        (TargetKind.AWS, "eu-west-1", "file"),
        (TargetKind.AWS, "eu-west-2", "variable"),
        (TargetKind.AWS, "eu-west-3", "variable"),
        (TargetKind.AWS, "eu-north-1", "option"),
    ]


def test_what_the_file_says_goes_with_its_own_target(monkeypatch: pytest.MonkeyPatch) -> None:
    file = 'at = "http://localhost:1"\nregion = "eu-west-1"'
    assert target_of(file).resolved_region() == "eu-west-1"
    # another endpoint, and the engine by its option
    assert target_of(file, "http://localhost:2", None).resolved_region() == "us-east-1"
    assert target_of(file, None, Path("x")) == Target(data=Path("x"))
    assert target_of('data = "mine"') == Target(data=Path("mine"))
    monkeypatch.setenv("PERFKIT_DATA", "variable")
    assert target_of('data = "mine"') == Target(data=Path("variable"))
    monkeypatch.delenv("PERFKIT_DATA")
    assert make_target(None, None, workload=load("courses")) == Target(data=DATA_FILE)


def test_a_redis_server_is_named_likewise() -> None:
    Path("perfkit.toml").write_text(f'{SHOP}\n[target]\nredis_url = "rediss://cache.example"\n')

    assert make_redis_url(None, load()) == "rediss://cache.example"
    assert make_redis_url("redis://other", load()) == "redis://other"
    assert make_redis_url(None, load("courses")) is None


@pytest.mark.parametrize(
    "said",
    ['redis_url = "rediss://me:secret@cache"', 'at = "https://me:secret@db.example"'],
)
def test_a_password_in_the_file_is_refused_and_not_repeated(said: str) -> None:
    Path("perfkit.toml").write_text(f"{SHOP}\n[target]\n{said}\n")

    result = perfkit("workload", "validate", "perfkit.toml")

    assert result.exit_code == 2
    assert "expected no password in a file; set PERFKIT_" in result.stderr
    assert "secret" not in result.output


@pytest.mark.processes
def test_the_cache_is_measured_with_the_server_that_is_named(
    courses_data: Callable[..., Path], redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def variants(*arguments: Any) -> Any:
        return cached_variants(*arguments)[:2]

    # without the variants whose servers are killed and hang, and with time for a busy machine
    monkeypatch.setattr("perfkit.scenarios.cache.cached_variants", variants)
    monkeypatch.setattr(
        "perfkit.scenarios.cache.CacheSettings", partial(CacheSettings, time_limit_s=9)
    )
    with redis.Redis.from_url(redis_url) as client:
        client.set("somebody's", "own")

        result = perfkit(
            "bench", "--data", courses_data(0.02), "--scenario", "cache", "--iterations", "1",
            "--redis-url", redis_url,
        )  # fmt: skip

        assert result.exit_code == 0, result.output
        keys = {key.decode() for key in client.scan_iter("*")}
        # and what perfkit put there goes by itself
        left = [key for key in keys if key != "somebody's" and client.ttl(key) < 0]
    (run,) = RunStore(Path(".perfkit/runs")).list().runs
    assert run.settings["redis"] == redis_url.removeprefix("unix://")
    assert len(keys) > 1
    assert ("somebody's" in keys, left) == (True, [])


# ---- limits ------------------------------------------------------------------------------------


def test_a_sum_stops_seeding_which_the_same_command_continues() -> None:
    command = ("seed", "--scale", "0.02", "--max-cost", "0.0007", "--processes", "1")

    first = perfkit(*command)
    assert first.exit_code == 3
    assert "--max-cost 0.0007 is reached" in first.stderr
    # the table that was not finished, then the last one
    assert [perfkit(*command).exit_code for _ in range(2)] == [3, 0]

    status = json.loads(perfkit("status", "--json").stdout)
    assert [table["items"] for table in status["tables"]] == [200, 1000, 123]


def test_a_sum_stops_measuring_and_the_rest_is_named(courses_data: Callable[..., Path]) -> None:
    result = perfkit(
        "bench", "--data", courses_data(0.02), "--iterations", "1", "--max-cost", "0.0003"
    )

    assert result.exit_code == 3
    assert "--max-cost 0.0003 is reached" in result.stderr
    saved = [run.scenario for run in RunStore(Path(".perfkit/runs")).list().runs]
    assert 0 < len(saved) < 5
    assert f"{len(saved)} of 5 scenarios were measured and are saved" in result.stderr
    assert "--scenario profile`" in result.stderr
    # it would measure the first ones again
    assert "the same command again" not in result.stderr

    none = perfkit(
        "bench", "--data", courses_data(0.02), "--iterations", "1", "--max-cost", "0.00001"
    )
    assert none.exit_code == 3
    assert "Not even courses was finished within the limit" in none.stderr
    assert "perfkit bench --scenario" not in none.stderr


def test_what_is_measured_below_a_rate_says_so(courses_data: Callable[..., Path]) -> None:
    result = perfkit(
        "bench", "--data", courses_data(0.02), "--scenario", "profile", "--iterations", "1",
        "--max-rcu", "1000",
    )  # fmt: skip

    assert result.exit_code == 0
    assert "held below 1000 RCU/s; 0 calls throttled" in result.stderr
    (run,) = RunStore(Path(".perfkit/runs")).list().runs
    (doubt,) = [each for each in run.doubts if each.kind == "paced"]
    assert doubt.reason.startswith("held below 1000 RCU/s: latencies are those of calls once sent")


# ---- what goes wrong -----------------------------------------------------------------------------


class _Refusing(http.server.BaseHTTPRequestHandler):
    status, body = 400, b""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def refusing() -> Iterator[Callable[[int, str], str]]:
    """Return a function that starts a server with one answer to everything, and returns its URL."""
    with ExitStack() as stack:

        def start(status: int, body: str) -> str:
            handler = type("_", (_Refusing,), {"status": status, "body": body.encode()})
            server = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}"

        yield start


def error(kind: str, message: str = "") -> str:
    return json.dumps({"__type": f"com.amazon.coral.service#{kind}", "message": message})


@pytest.mark.processes
@pytest.mark.parametrize(
    ("status", "body", "code", "words"),
    [
        pytest.param(
            400, error("ExpiredTokenException", "The security token is expired"), 2,
            "have expired (ExpiredTokenException); sign in again", id="expired",
        ),
        pytest.param(
            400, error("UnrecognizedClientException", "The token is invalid."), 2,
            "does not accept these credentials", id="of another account",
        ),
        pytest.param(
            400, error("AccessDeniedException", "no identity-based policy allows it"), 3,
            "not allowed on", id="a role without permission",
        ),
        pytest.param(404, "<html>", 3, "is not DynamoDB (HTTP status 404); check --target", id="web"),
        pytest.param(200, "<html>", 3, "is not DynamoDB", id="a web server that takes anything"),
        pytest.param(None, "https", 3, "is it http, not https?", id="https, and it is http"),
        pytest.param(None, "closed", 3, "connection refused", id="nobody"),
    ],
)  # fmt: skip
def test_a_target_that_cannot_be_used_is_one_line_with_a_way_out(
    status: int | None, body: str, code: int, words: str, refusing: Callable[[int, str], str]
) -> None:
    url = refusing(status or 500, body)
    if body == "https":
        url = url.replace("http:", "https:")
    elif body == "closed":
        url = "http://127.0.0.1:1"
    for command in ("status", "seed --yes", "bench --yes", "create-indexes --yes", "clean --yes"):
        result = perfkit(*command.split(), "--target", url)

        assert (result.exit_code, result.stdout) == (code, ""), (command, result.output)
        (line,) = result.stderr.splitlines()
        assert line.startswith("Error: ")
        assert words in line
    doctor = perfkit("doctor", "--target", url)
    assert doctor.exit_code == 3
    assert words in doctor.stdout or "is not allowed" in doctor.stdout
