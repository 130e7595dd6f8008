"""The order service of `examples/orders/` over tables that its own loader has filled."""

import importlib.util
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from starlette.testclient import TestClient

EXAMPLE = Path(__file__).parents[2] / "examples" / "orders"
ORDERS = 1_000


def module(name: str) -> ModuleType:
    """Import a script of the example, which is no package."""
    spec = importlib.util.spec_from_file_location(f"orders_{name}", EXAMPLE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="session")
def loader() -> ModuleType:
    return module("load")


@pytest.fixture(scope="session")
def orders(loader: ModuleType) -> list[dict[str, Any]]:
    """Return the orders that `load` writes."""
    return list(loader.orders(seed=1, number_of_orders=ORDERS))


@pytest.fixture(scope="session")
def load(anybody: dict[str, str]) -> Callable[..., str]:
    """Return a function that fills the tables at a URL, as a user would; it returns what it says."""

    def load(url: str, number: int = ORDERS) -> str:
        command = [sys.executable, str(EXAMPLE / "load.py"), "--endpoint-url", url]
        done = subprocess.run(
            [*command, "--orders", str(number)],
            env=anybody,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return load


@pytest.fixture(scope="session")
def anybody() -> dict[str, str]:
    """Return an environment with credentials and a region, and nothing else of AWS."""
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")
    return dict(zip(keys, ("any", "any", "us-east-1"), strict=True))


@pytest.fixture(scope="module")
def filled(server: str, load: Callable[..., str]) -> str:
    """Return the URL of a server with the tables, which the tests of a module share."""
    load(server)
    return server


class Shop:
    """
    The service, and what it asks of DynamoDB.

    Attributes:
        http: Asks the service.
        events: Of its client, for handlers of botocore's.
        calls: How often it asked for each operation.
        read_units: What reading took, by what DynamoDB answered it.
    """

    def __init__(self, http: TestClient, database: Any) -> None:
        self.http = http
        self.calls: Counter[str] = Counter()
        self.read_units = 0.0
        self.events = database.meta.events
        for operation in ("GetItem", "BatchGetItem", "Query", "Scan"):
            self.events.register(f"provide-client-params.dynamodb.{operation}", _ask_for_units)
            self.events.register(f"after-call.dynamodb.{operation}", self._count)

    def _count(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        self.calls[model.name] += 1
        consumed = parsed["ConsumedCapacity"]
        for each in consumed if isinstance(consumed, list) else [consumed]:
            self.read_units += each["CapacityUnits"]


def _ask_for_units(params: dict[str, Any], **_: Any) -> dict[str, Any]:
    return params | {"ReturnConsumedCapacity": "TOTAL"}


@pytest.fixture
def open_shop(
    anybody: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Shop]]:
    """Return a function that runs the service on the tables at a URL."""
    clients = []

    def open_shop(url: str) -> Shop:
        for name, value in {**anybody, "AWS_ENDPOINT_URL_DYNAMODB": url}.items():
            monkeypatch.setenv(name, value)
        service = module("service")
        client = TestClient(service.app)
        clients.append(client)
        return Shop(client, service.dynamodb())

    yield open_shop
    for client in clients:
        client.close()


@pytest.fixture
def shop(filled: str, open_shop: Callable[[str], Shop]) -> Shop:
    """Return the service on the tables that a module shares."""
    return open_shop(filled)
