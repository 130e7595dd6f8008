"""What the tests of the service share: seeded tables, a cache server, the service in process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from perfkit.dynamodb.targets import Target
from perfkit.queue.model import Item, Outcome
from perfkit.service.app import create_app
from perfkit.service.settings import ServiceSettings, Switches
from perfkit.service.tokens import Tokens

SECRET = "for the tests, and long enough for HS256"
USER = "student123"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class RecordingNotifier:
    """Keeps what it is handed."""

    def __init__(self) -> None:
        self.items: list[Item] = []

    async def notify(self, *items: Item) -> Outcome:
        self.items += items
        return Outcome.SENT

    async def statistics(self) -> None:
        return None

    async def close(self) -> None:
        """Nothing was begun."""


@pytest.fixture(scope="session")
def seeded(courses_data: Callable[..., Path]) -> Path:
    """Return a data file with the courses workload at a hundredth, indexes included; read only."""
    return courses_data(0.01)


@pytest.fixture
def data(copy_courses: Callable[..., Path], tmp_path: Path) -> Path:
    """Return a copy of the seeded data file, to be written to."""
    return copy_courses(tmp_path / "data.sqlite3", 0.01)


@pytest.fixture
def quick_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make new boto3 clients in 3 ms instead of 80: all share what boto3 reads from its files."""
    session = boto3.Session()
    monkeypatch.setattr("boto3.Session", lambda **_: session)


@pytest.fixture
def notifier() -> RecordingNotifier:
    """Return a notifier that keeps what it is handed."""
    return RecordingNotifier()


@pytest.fixture
def make_app(
    seeded: Path, redis_url: str, notifier: RecordingNotifier, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., FastAPI]:
    """
    Return a function that makes the application from switches, or a phase, and settings.

    With `told` off, mails go where the switches say and not to the recording notifier. The time
    limits are generous, so that a busy machine is not taken for a fault, unless it is `hasty`.
    """

    def make_app(
        switches: Switches | int = 3,
        *,
        data: Path | None = None,
        target: Target | None = None,
        told: bool = True,
        hasty: bool = False,
        **settings: Any,
    ) -> FastAPI:
        if isinstance(switches, int):
            switches = Switches.of_phase(switches)
        if not hasty:
            monkeypatch.setattr("perfkit.service.app._REDIS_LIMIT_S", 10.0)
            monkeypatch.setattr("perfkit.service.health._TIMEOUT_S", 60.0)
        given: dict[str, Any] = {
            "secret": SECRET,
            "target": target or Target(data=data or seeded),
            "redis_url": redis_url,
            "smtp_url": "smtp://127.0.0.1:1",
        }
        return create_app(
            ServiceSettings(switches=switches, **given | settings),
            clock=lambda: NOW,
            notifier=notifier if switches.notify and told else None,
        )

    return make_app


@pytest.fixture
def serve(make_app: Callable[..., FastAPI]) -> Callable[..., Any]:
    """Return a function that runs the service in this process and yields a client of it."""

    @contextmanager
    def serve(
        switches: Switches | int = 3, *, user: str | None = USER, **settings: Any
    ) -> Iterator[TestClient]:
        app = make_app(switches, **settings)
        with TestClient(app, raise_server_exceptions=False) as client:
            if user is not None:
                client.headers["Authorization"] = f"Bearer {Tokens(SECRET).issue(user)}"
            yield client

    return serve


@pytest.fixture
def token() -> Callable[..., str]:
    """Return a function that issues tokens of the service under test."""
    return Tokens(SECRET).issue


@pytest.fixture
def secret() -> str:
    """Return the key of the service under test."""
    return SECRET
