"""Faults around a load test: Ctrl-C, processes that die, workers on other machines."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from perfkit.cli import app
from perfkit.runs import LoadTest, Run, RunStore
from perfkit.settings import RUNS_FOLDER

pytestmark = pytest.mark.processes

MIX = """
name = "tiny"
[requests.ok]
path = "/ok"
"""

_LIMIT_S = 120.0


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., "subprocess.Popen[str]"]:
    """Return a function that starts `perfkit load` in the test's folder."""
    (tmp_path / "mix.toml").write_text(MIX)

    def start(*arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "perfkit", "load", *arguments],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def wait_for(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + _LIMIT_S
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def generators(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    return [
        each
        for each in psutil.Process(process.pid).children(recursive=True)
        if "perfkit.load.generator" in each.cmdline()
    ]


def saved_test(folder: Path) -> LoadTest:
    (run,) = RunStore(folder / ".perfkit" / "runs").list().runs
    assert run.load_test is not None
    return run.load_test


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_an_early_end_saves_what_was_measured_and_leaves_nothing_behind(
    start: Any, tiny_service: Any, tmp_path: Path, number: signal.Signals
) -> None:
    process = start(
        *("--url", tiny_service.url, "--mix", "mix.toml", "--users", "2", "--think", "0.01"),
        *("--duration", "10m", "--ramp", "0s", "--json"),
    )
    wait_for(lambda: tiny_service.asked["/ok"] > 20)
    children = generators(process)

    process.send_signal(number)
    if number is signal.SIGTERM:
        # timeout sends it to the process and to its group
        process.send_signal(number)
    output, errors = process.communicate(timeout=_LIMIT_S)

    assert process.returncode == 130, errors
    document = json.loads(output)
    assert document["interrupted"]
    assert not document["valid"]
    test = saved_test(tmp_path)
    assert test.interrupted
    assert sum(each.requests for each in test.seconds) > 10
    assert test.invalid[0].startswith("the run was cut short")
    assert not any(each.is_running() for each in children)


def test_what_makes_requests_ends_with_a_parent_that_is_killed(
    start: Any, tiny_service: Any
) -> None:
    process = start("--url", tiny_service.url, "--mix", "mix.toml", "--processes", "2")
    wait_for(lambda: tiny_service.asked["/ok"] > 5)
    children = generators(process)
    assert len(children) == 3

    process.kill()
    process.communicate()

    wait_for(lambda: not any(lives(each) for each in children))


def lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def test_the_only_process_that_dies_ends_the_test_with_a_reason(
    start: Any, tiny_service: Any
) -> None:
    process = start("--url", tiny_service.url, "--mix", "mix.toml")
    wait_for(lambda: tiny_service.asked["/ok"] > 5)

    generators(process)[0].kill()
    _, errors = process.communicate(timeout=_LIMIT_S)

    assert process.returncode == 3
    assert "Error: the process that makes the requests ended (code -9)" in errors


def test_one_of_several_that_dies_makes_the_run_invalid(
    start: Any, tiny_service: Any, tmp_path: Path
) -> None:
    process = start(
        *("--url", tiny_service.url, "--mix", "mix.toml", "--users", "4"),
        *("--processes", "2", "--duration", "8s", "--ramp", "0s"),
    )
    wait_for(lambda: tiny_service.asked["/ok"] > 5)

    generators(process)[-1].kill()
    _, errors = process.communicate(timeout=_LIMIT_S)

    assert process.returncode == 3, errors
    assert "1 process that made requests ended; measure again" in saved_test(tmp_path).invalid


def test_a_master_lets_two_workers_make_the_requests(
    start: Any, tiny_service: Any, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port = str(free_port())
    master = start(
        *("--master", "--expect-workers", "2", "--master-port", port, "--json"),
        *("--url", tiny_service.url, "--mix", "mix.toml", "--rate", "40"),
        *("--duration", "2s", "--ramp", "0s"),
    )
    # workers wait for half a minute at most
    assert master.stderr.readline().startswith("Waiting for 2 workers on 127.0.0.1:")
    workers = [
        start("--worker", "--master-host", "127.0.0.1", "--master-port", port) for _ in range(2)
    ]

    output, errors = master.communicate(timeout=_LIMIT_S)
    ends = [each.communicate(timeout=_LIMIT_S) for each in workers]

    assert master.returncode in {0, 3}, errors
    assert [each.returncode for each in workers] == [0, 0], ends
    document = json.loads(output)
    assert document["overall"]["requests"] == 80
    # one more went before, to see whether anybody is there
    assert tiny_service.asked["/ok"] == 81
    assert document["settings"]["processes"] == 2
    assert saved_test(tmp_path).due == 80
    assert "2 of 2 workers are here" in errors


def test_a_port_that_is_taken_is_said_before_anything_starts(tiny_service: Any) -> None:
    Path("mix.toml").write_text(MIX)
    port = tiny_service.url.rpartition(":")[2]
    where = ["--url", tiny_service.url, "--mix", "mix.toml", "--master", "--master-port", port]

    done = CliRunner().invoke(app, ["load", *where])

    assert done.exit_code == 2
    assert f"cannot listen on 127.0.0.1 port {port}" in done.stderr
    assert "--master-port" in done.stderr


def test_a_service_that_dies_is_measured_as_errors(start: Any) -> None:
    program = (
        "import http.server as h\n"
        "class A(h.BaseHTTPRequestHandler):\n"
        "  protocol_version = 'HTTP/1.1'\n"
        "  def do_GET(self):\n"
        "    self.send_response(200); self.send_header('Content-Length', '2')\n"
        "    self.end_headers(); self.wfile.write(b'ok')\n"
        "  log_message = lambda *_: None\n"
        "s = h.ThreadingHTTPServer(('127.0.0.1', 0), A)\n"
        "print(s.server_address[1], flush=True)\n"
        "s.serve_forever()\n"
    )
    service = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert service.stdout is not None
    port = service.stdout.readline().strip()
    process = start(
        *("--url", f"http://127.0.0.1:{port}", "--mix", "mix.toml", "--users", "2"),
        *("--think", "0.02", "--duration", "5s", "--ramp", "0s", "--json"),
        *("--gate", "errors == 0"),
    )
    # a connection of the probe's, and then those of users
    wait_for(lambda: len(psutil.Process(service.pid).net_connections()) > 2)

    os.kill(service.pid, signal.SIGKILL)
    service.communicate()
    output, errors = process.communicate(timeout=_LIMIT_S)

    document = json.loads(output)
    assert document["errors_by_kind"].keys() >= {"connection refused"}
    # the measurement itself may be invalid on a busy machine
    assert process.returncode == (4 if document["valid"] else 3), errors


def test_requests_that_fail_are_said_before_the_measurement_is_valid(
    tiny_service: Any, tmp_path: Path, make_load_run: Callable[..., Run]
) -> None:
    """Beside an earlier run of another service, with which it cannot be compared."""
    (tmp_path / "mix.toml").write_text('name = "m"\n[requests.gone]\npath = "/slow"\n')
    RunStore(RUNS_FOLDER).save(make_load_run(3))

    done = CliRunner().invoke(
        app,
        [
            *("load", "--url", tiny_service.url, "--mix", "mix.toml", "--users", "2"),
            *("--think", "0.1s", "--timeout", "0.1s", "--duration", "4s", "--ramp", "0s"),
        ],
    )

    # a busy machine may make the measurement itself invalid
    assert done.exit_code in {0, 3}, done.output
    said = " ".join(done.stdout.split())
    found = re.search(r"(\d+) of \1 requests failed \(100%\): \1 timeouts?\. (The|INVALID)", said)
    assert found, said
    assert "perfkit compare" not in done.stderr


def test_locusts_own_page_shows_the_requests_and_is_for_this_machine_to_look_at(
    start: Any, tiny_service: Any, free_port: Callable[[], int]
) -> None:
    port = free_port()
    page = f"http://127.0.0.1:{port}"
    process = start(
        *("--url", tiny_service.url, "--mix", "mix.toml", "--users", "2", "--think", "0.01"),
        # what is done to the page takes a part of that, on a busy machine too
        *("--duration", "12s", "--ramp", "0s", "--web", "--web-port", str(port)),
    )

    def shown() -> dict[str, Any]:
        with suppress(OSError), urllib.request.urlopen(f"{page}/stats/requests") as answer:
            found: dict[str, Any] = json.load(answer)
            return found
        return {"stats": [{"num_requests": 0}]}

    wait_for(lambda: shown()["stats"][-1]["num_requests"] > 20)
    (generator,) = generators(process)
    listening = {
        each.laddr.ip
        for each in generator.net_connections()
        if each.status == psutil.CONN_LISTEN and each.laddr.port == port
    }
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{page}/swarm", data=b"user_count=1000&spawn_rate=1000")
    refused.value.close()
    with pytest.raises(urllib.error.HTTPError) as stopping:
        urllib.request.urlopen(f"{page}/stop")
    stopping.value.close()
    state = shown()["state"]
    _, errors = process.communicate(timeout=_LIMIT_S)

    assert listening == {"127.0.0.1"}
    assert [refused.value.code, stopping.value.code] == [403, 403]
    assert state == "running"
    # it ends by itself, though the page was open; a busy machine may make it invalid
    assert process.returncode in {0, 3}, errors
    assert f"Locust's page: {page}" in errors


def test_metrics_that_are_not_there_are_said_before_the_load(start: Any, tiny_service: Any) -> None:
    common = ("--url", tiny_service.url, "--mix", "mix.toml", "--duration", "1s", "--metrics")

    _, absent = (process := start(*common, f"{tiny_service.url}/status/404")).communicate()
    _, unknown = start(*common, f"{tiny_service.url}/metrics").communicate()

    assert process.returncode == 3
    assert "/status/404 cannot be read" in absent
    assert "/status/404 answers 404" in absent
    assert tiny_service.asked["/ok"] > 0
    assert "/metrics is no Prometheus text" in unknown
