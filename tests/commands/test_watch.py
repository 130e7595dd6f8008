"""`perfkit watch`: the dashboard of a running service, at a terminal, in a pipe, as a document."""

import http.server
import io
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot
from rich.console import Console
from typer.testing import CliRunner

from perfkit.cli import app
from perfkit.commands.watch import _draw
from perfkit.load.board import Board
from perfkit.load.counted import Counted
from perfkit.load.service_samples import Sample

METRICS = b"""\
http_requests_total{status="200"} 90
http_requests_total{status="500"} 10
http_request_duration_seconds_count 100
http_request_duration_seconds_sum 5
"""


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as a service that is not ours does: without a health check, with metrics."""

    def do_GET(self) -> None:
        is_there = self.path == "/metrics"
        self.send_response(200 if is_there else 404)
        self.end_headers()
        self.wfile.write(METRICS if is_there else b"")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def other() -> Iterator[str]:
    """Yield the URL of a service that is not ours."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def sample(instance: str, at_s: float, **given: Any) -> Sample:
    counted: dict[str, Any] = {
        "requests": 150,
        "failed": 0,
        "timed": 150,
        "seconds": 3,
        "buckets": {0.025: 140, 0.05: 150, float("inf"): 150},
        "read_units": 2.5,
        "hits": 148,
        "lookups": 150,
        "cpu_s": 0.25,
    } | given
    return Sample(
        instance=instance, at_s=at_s, healthy=True, interval_s=1.0, counted=Counted(**counted)
    )


def drawn(board: Board) -> str:
    console = Console(file=io.StringIO(), width=80, legacy_windows=False)
    console.print(_draw(board))
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def test_a_service_none_of_whose_instances_works_is_down() -> None:
    board = Board()
    board.add([sample(name, 1) for name in ("one", "two")])
    board.add([Sample(instance=name, at_s=2, healthy=False) for name in ("one", "two")])

    assert board.whole().status == "DOWN"


def test_the_whole_screen() -> None:
    board = Board()
    for second in range(3):
        board.add([sample("instance 1", second, requests=100 * (second + 1))])
        board.add([sample("instance 2", second, failed=3)])
    board.add([Sample(instance="instance 2", at_s=3, healthy=False, problem="connection refused")])

    assert drawn(board) == snapshot("""\
instance       avg     p99 req/s down  5XX CPU RCU/s  hits status
instance 1 20.0 ms 46.2 ms   200    0   0% 25%   2.5 98.7% EXCELLENT
instance 2 20.0 ms 46.2 ms   150    1   2% 25%   2.5 98.7% DOWN
all        20.0 ms 46.2 ms   350    1 0.9% 25%     5 98.7% STRAINED

instance 2: connection refused
requests/s ▂▅▇▇██▆ 300
Figures of the last 10 s; CPU as a share of one core. Ctrl-C ends.\
""")
    assert max(map(len, drawn(board).splitlines())) <= 80


def test_figures_are_of_the_last_ten_seconds() -> None:
    board = Board()
    for second in range(30):
        board.add([sample("one", second, seconds=15 if second < 15 else 3)])

    assert board.whole().figures["mean_s"] == pytest.approx(3 / 150)


def test_an_instance_that_was_replaced_is_forgotten() -> None:
    board = Board()
    board.add([sample("instance 3", 0), sample("instance 1", 0)])
    board.keep(["instance 1"])

    assert [line.name for line in board.lines()] == ["instance 1"]


@pytest.mark.processes
def test_any_service_with_metrics_as_a_document(other: str) -> None:
    answer = CliRunner().invoke(app, ["watch", "--url", other, "--duration", "4", "--json"])

    assert answer.exit_code == 0, answer.output
    document = json.loads(answer.stdout)
    (instance,) = document["instances"]
    assert instance["name"] == other
    assert instance["unhealthy"] == 0
    # nothing was asked of it meanwhile, and it says nothing of a cache
    assert document["all"]["requests_per_s"] == 0
    assert document["all"]["hit_rate"] is None
    assert len(instance["samples"]) >= 2


@pytest.mark.processes
def test_a_line_each_second_without_a_terminal(other: str) -> None:
    answer = CliRunner().invoke(app, ["watch", "--url", other, "--duration", "1"])

    assert answer.exit_code == 0, answer.output
    assert all(
        "idle: avg –, p99 –, req/s 0, down 0" in line  # noqa: RUF001 - a dash
        for line in answer.stdout.splitlines()
    )


@pytest.mark.processes
@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        pytest.param([], 3, "no service is running here; start one with perfkit up", id="none"),
        pytest.param(["--url", "here"], 2, "'here' is no URL of a service", id="no URL"),
        pytest.param(
            ["--url", "http://127.0.0.1:1"],
            3,
            "nothing to watch at http://127.0.0.1:1: connection refused",
            id="unreachable",
        ),
        pytest.param(["--duration", "0"], 2, "--duration", id="no time"),
    ],
)
def test_what_cannot_be_watched(arguments: list[str], code: int, reason: str) -> None:
    answer = CliRunner().invoke(app, ["watch", *arguments])

    assert (answer.exit_code, answer.stdout) == (code, "")
    assert reason in answer.stderr


@pytest.mark.processes
def test_ctrl_c_ends_it_with_its_document(other: str) -> None:
    command = [str(Path(sys.executable).with_name("perfkit")), "watch", "--url", other, "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "Watching; the document comes at the end.\n"
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)

    assert (process.returncode, errors) == (0, "")
    assert json.loads(output)["instances"][0]["name"] == other
