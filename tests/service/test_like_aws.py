"""What the service adds where AWS is modelled: a load balancer, a cache in another zone, indexes that lag."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from typer.testing import CliRunner

from perfkit.cache.breaker import CircuitBreaker
from perfkit.cache.connection import CacheUnavailableError, Connection
from perfkit.cli import app
from perfkit.dynamodb.targets import Target
from perfkit.embedded.latency import read_profile
from perfkit.load.reference_service import running_service
from perfkit.service import launch
from perfkit.service.app import make_cache
from perfkit.service.settings import ServiceSettings, Switches
from perfkit.workloads.loader import load

pytestmark = pytest.mark.processes

PROFILE = (
    "read_ms = 0\nwrite_ms = 0\npage_ms = 0\nitem_ms = 0\nfirst_connection_ms = 0\n"
    "cross_zone_ms = {cross_zone}\nload_balancer_ms = {load_balancer}\n"
)


@pytest.fixture
def profile(tmp_path: Path) -> Callable[..., str]:
    """Return a function that writes a profile of milliseconds, and returns its path."""

    def profile(*, cross_zone: float = 0, load_balancer: float = 0) -> str:
        file = tmp_path / "mine.toml"
        file.write_text(PROFILE.format(cross_zone=cross_zone, load_balancer=load_balancer))
        return str(file)

    return profile


def test_a_request_passes_a_load_balancer_and_a_health_check_does_not(
    profile: Callable[..., str], make_app: Callable[..., FastAPI], seeded: Path
) -> None:
    target = Target(data=seeded, latency=profile(load_balancer=300))

    with TestClient(make_app(0, target=target)) as client:
        begun_s = time.monotonic()
        answer = client.get("/api/courses?semester=1&department=CS")
        took_s = time.monotonic() - begun_s
    minute = Target(data=seeded, latency=profile(load_balancer=60_000))
    with TestClient(make_app(0, target=minute)) as client:
        begun_s = time.monotonic()
        client.get("/healthz")
        checked_s = time.monotonic() - begun_s

    # no token: refused, after the load balancer
    assert answer.status_code == 401
    assert took_s >= 0.3
    # the service's own times are those that its load balancer sees
    total_ms = float(answer.headers["server-timing"].rpartition("total;dur=")[2].split(",")[0])
    assert total_ms <= (took_s - 0.3) * 1e3 + 1
    assert checked_s < 60


def test_a_cache_in_another_zone_takes_longer_and_within_its_limit(redis_url: str) -> None:
    async def ask(trip_s: float, limit_s: float) -> tuple[list[Any], float]:
        connection = Connection(redis_url, CircuitBreaker(), limit_s, trip_s=trip_s)
        begun_s = time.monotonic()
        try:
            return await connection.ask(("ECHO", b"x")), time.monotonic() - begun_s
        finally:
            await connection.close()

    replies, took_s = asyncio.run(ask(0.2, 30.0))

    assert replies == [b"x"]
    assert took_s >= 0.2
    with pytest.raises(CacheUnavailableError, match="no answer"):
        asyncio.run(ask(30.0, 0.05))


@pytest.mark.parametrize(
    ("target", "lag_s", "trip_s"),
    [
        pytest.param({}, 0.0, 0.0, id="as it is"),
        pytest.param({"index_delay_s": 1.0}, 1.0, 0.0, id="indexes lag"),
        pytest.param({"latency": "aws"}, 0.0, 0.001, id="as far away as on AWS"),
    ],
)
def test_the_cache_knows_what_is_modelled(
    target: dict[str, Any], lag_s: float, trip_s: float, tmp_path: Path
) -> None:
    """Answers that a lagging index may have given are not kept for long."""
    settings = ServiceSettings(
        switches=Switches.of_phase(3),
        secret="for the tests, and long enough for HS256",
        target=Target(data=tmp_path / "data.sqlite3", **target),
        redis_url="redis://127.0.0.1:1",
    )

    cache = make_cache(settings, load("courses"))

    settings_of_it = cache._settings
    assert (settings_of_it.index_lag_s, settings_of_it.trip_s) == (lag_s, trip_s)


def up(data: Path, *options: str) -> None:
    """Start a service as a user would: what it leaves behind must not be this process's child."""
    command = [sys.executable, "-m", "perfkit", "up", "--phase", "0", "--no-notify", "--port", "0"]
    command += ["--data", str(data), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_run_on_a_service_that_is_up_says_what_that_models(data: Path) -> None:
    try:
        up(data)
        refused = CliRunner().invoke(app, ["load", "--like-aws", "--data", str(data)])
        plain = running_service(None)
        launch.down()
        up(data, "--like-aws")
        modelled = running_service(None)
    finally:
        launch.down()

    assert refused.exit_code == 2
    assert "start it with `perfkit up --like-aws`" in refused.stderr
    assert plain is not None
    assert modelled is not None
    assert plain.target == {"kind": "embedded"}
    assert modelled.target == {
        "kind": "embedded",
        "modelled": {
            "throughput": "enforced",
            "latency": read_profile("aws").describe(),
            "index delay": 1.0,
        },
    }
    assert modelled.workers == 1
