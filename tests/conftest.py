"""What the tests share: an empty working folder, clients, tables, servers; more is in fixtures/."""

import asyncio
import functools
import gc
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from inspect import isfunction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
import redis
import typer.main
from botocore import UNSIGNED
from botocore.compat import accepts_kwargs
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.hooks import EventAliaser
from botocore.loaders import create_loader
from botocore.useragent import sanitize_user_agent_string_component
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from perfkit.cost.price_file import FOLDER_VARIABLE
from perfkit.dynamodb import indexes, seeding
from perfkit.dynamodb.client import _options, embedded_client
from perfkit.dynamodb.targets import Target
from perfkit.embedded import Engine
from perfkit.embedded.transport import attach
from perfkit.processes import redis_server as cache
from perfkit.processes.sockets import bind, kept_free, url_of
from perfkit.workloads.loader import load

pytest_plugins = ["browser", "load_runs", "recorders", "stand_ins"]
"""Modules of tests/fixtures."""

PERFKIT = Path(sys.executable).with_name("perfkit")

# neither a busy machine nor chance fails a test: how fast something is, benchmarks say
settings.register_profile("perfkit", deadline=None, max_examples=50, derandomize=True)
settings.register_profile("fast", settings.get_profile("perfkit"), max_examples=20)
settings.load_profile("perfkit")

# a shell starts jobs in the background with Ctrl-C ignored, and what tests start would inherit that
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# tests, modules and each megabyte of JSON that is read are many objects and no garbage
gc.set_threshold(100_000, 10, 10)
_MOST_FILES = 200

# readline, which pytest loads, tells all processes how wide a terminal is, behind Python's back
for _name in ("COLUMNS", "LINES"):
    os.unsetenv(_name)

# in each process pydantic would look for plugins of its own among all packages there are
os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"


# ---- which tests start something -----------------------------------------------------------

_STARTERS = frozenset(
    {"cache_server", "chromium", "live", "record", "server", "stand_in", "start_server"}
)
"""Fixtures that start a process, a server or a browser: what uses them is marked `processes`."""

_SPREAD = ("tests/service/test_launch.py", "tests/scenarios/service/test_services.py")
"""Files that take long and whose tests share nothing: any worker runs any of their tests."""

_EVENTS = frozenset({"os.fork", "os.posix_spawn", "socket.bind", "subprocess.Popen"})
"""Python's audit events of starting one."""

_started: list[str] = []
_connected: list[object] = []


def _watch(event: str, arguments: tuple[object, ...], events: frozenset[str] = _EVENTS) -> None:
    # a default is still there when Python ends and the module's names are not
    if event in events:
        _started.append(event)
    elif event == "socket.connect":
        _connected.append(arguments[1])


sys.addaudithook(_watch)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts something and let it go first: in the end the short tests fill the gaps."""
    for item in items:
        if _STARTERS.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.processes)
    items.sort(key=lambda item: item.get_closest_marker("processes") is None)


class _FileByFile(LoadScopeScheduling):  # type: ignore[misc]
    """Gives each file to one worker, which makes once what its tests share."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, _ = nodeid.partition("::")
        return nodeid if file in _SPREAD else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Give files out in the order of the tests."""
    config.option.loadscopereorder = False
    return _FileByFile(config, log)


def pytest_collection_finish() -> None:
    """Spare what is collected by now, thousands of tests and all modules, each garbage collection."""
    gc.freeze()


@pytest.fixture(autouse=True)
def _marked(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that starts something and is not marked: `make test-fast` counts on it."""
    _started.clear()
    yield
    if _started and request.node.get_closest_marker("processes") is None:
        pytest.fail(f"{_started[0]} in a test that is not marked with pytest.mark.processes")


@pytest.fixture
def connections() -> list[object]:
    """Return the addresses that this process connects to, or tries to, from now on."""
    _connected.clear()
    return _connected


@pytest.fixture
def within() -> Callable[..., Any]:
    """
    Return an async function that awaits all of some things, but no longer than so many seconds.

    What fails at a time limit of the same event loop ends before a later one however slow the
    machine is: timers go off in order.
    """

    async def within(limit_s: float, *awaitables: Awaitable[Any]) -> list[Any]:
        waiting = asyncio.gather(*awaitables)
        await asyncio.wait({waiting}, timeout=limit_s)
        # what was due before may take some more turns of the loop
        for _ in range(1000):
            if waiting.done():
                break
            await asyncio.sleep(0)
        assert waiting.done(), f"not done within {limit_s} s"
        return waiting.result()

    return within


_left_empty: list[Path] = []


@pytest.fixture
def tmp_path(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """Return an empty folder; where a test leaves its own empty, the next one has it."""
    folder = _left_empty.pop() if _left_empty else tmp_path_factory.mktemp("test")
    mode = folder.stat().st_mode
    yield folder
    # of a process something may still come
    starts = request.node.get_closest_marker("processes") is not None
    as_it_was = folder.is_dir() and folder.stat().st_mode == mode and not any(folder.iterdir())
    if as_it_was and not starts:
        _left_empty.append(folder)


@pytest.fixture(autouse=True)
def _few_files_open() -> Iterator[None]:
    """Close what tests left to the garbage collection, which comes seldom, before it is too much."""
    yield
    if sum(1 for _ in Path("/dev/fd").iterdir()) > _MOST_FILES:
        gc.collect()


@pytest.fixture(autouse=True)
def isolated_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run the test in an empty folder, without anybody's AWS settings, prices or width."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "own-prices"))
    return tmp_path


@pytest.fixture(scope="session", autouse=True)
def _measured_cold() -> Iterator[None]:
    """
    Measure reads without their warm-up, most of what tests would call, and without collecting.

    Measuring collects the garbage before: of a whole test suite that takes seconds each time.
    """
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("perfkit.measure.rounds.gc", SimpleNamespace(collect=lambda: 0))
        patched.setattr("perfkit.scenarios.read_sampler._WARM_UP_S", 0.0)
        yield


@pytest.fixture(scope="session", autouse=True)
def _botocore_works_once() -> Iterator[None]:
    """Share what botocore finds out for each client or request: models, names, handlers' arguments."""
    names: dict[str, str] = {}
    alias = EventAliaser._alias_event_name

    def alias_once(self: EventAliaser, name: str) -> str:
        if name not in names:
            names[name] = alias(self, name)
        return names[name]

    with pytest.MonkeyPatch.context() as patched:
        # megabytes of JSON
        patched.setattr("botocore.session.create_loader", functools.cache(create_loader))
        patched.setattr(EventAliaser, "_alias_event_name", alias_once)
        # a session has two hundred handlers, most of them functions of botocore's modules
        once = functools.cache(accepts_kwargs)
        patched.setattr(
            "botocore.hooks.accepts_kwargs",
            # others hold on to what they are bound to, an engine with its files for one
            lambda handler: (
                once if isfunction(handler) and not handler.__closure__ else accepts_kwargs
            )(handler),
        )
        patched.setattr(
            "botocore.useragent.sanitize_user_agent_string_component",
            functools.cache(sanitize_user_agent_string_component),
        )
        yield


@pytest.fixture(scope="session", autouse=True)
def _commands_built_once() -> Iterator[None]:
    """Share what Typer makes of an application, all of perfkit's commands, among all calls of it."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("typer.testing._get_command", functools.cache(typer.main.get_command))
        yield


@pytest.fixture(scope="session")
def session() -> boto3.Session:
    """Return one session for all clients, of which making one takes a while."""
    return boto3.Session()


# requests reach the engine as they are written in the test, wrong ones too
_AS_WRITTEN = Config(parameter_validation=False, retries={"total_max_attempts": 1})


@pytest.fixture
def connect(session: boto3.Session) -> Callable[..., Any]:
    """Return a function that opens a client on a data file or, with a URL, on a server."""

    def connect(path: str | Path = ":memory:") -> Any:
        if str(path).startswith("http"):
            return session.client(
                "dynamodb",
                region_name="us-east-1",
                endpoint_url=str(path),
                config=_AS_WRITTEN.merge(Config(signature_version=UNSIGNED)),
            )
        return embedded_client(path, session=session, config=_AS_WRITTEN)

    return connect


class _Engines:
    """One engine after the other, behind the same client."""

    def __init__(self) -> None:
        self.now = Engine(":memory:")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.now, name)


@pytest.fixture(scope="session")
def _switched(session: boto3.Session) -> tuple[Any, _Engines]:
    client, engines = session.client("dynamodb", **_options(_AS_WRITTEN)), _Engines()
    attach(client, engines)  # type: ignore[arg-type]
    return client, engines


@pytest.fixture
def client(_switched: tuple[Any, _Engines]) -> Iterator[Any]:
    """Return a client on an engine of its own, in memory; making a client takes a while."""
    client, engines = _switched
    engines.now = Engine(":memory:")
    yield client
    engines.now.close()


# ---- tables ------------------------------------------------------------------------------


def key_schema(spec: str) -> list[dict[str, str]]:
    """Return the KeySchema of "hash range" or, with several of each, "h1 h2 / r1 r2"."""
    first, _, rest = spec.partition("/") if "/" in spec else spec.partition(" ")
    return [{"AttributeName": n.partition(":")[0], "KeyType": "HASH"} for n in first.split()] + [
        {"AttributeName": n.partition(":")[0], "KeyType": "RANGE"} for n in rest.split()
    ]


def definitions(*specs: str) -> list[dict[str, str]]:
    """Return the AttributeDefinitions of key specs such as "pk:S sk:N"; S is the default."""
    types: dict[str, str] = {}
    for part in " ".join(specs).replace("/", " ").split():
        name, _, kind = part.partition(":")
        types.setdefault(name, kind or "S")
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()]


def index_request(
    name: str, keys: str, projection: str | Sequence[str] = "ALL", **more: Any
) -> dict[str, Any]:
    """Return one index of a request; a list of names is an INCLUDE projection."""
    projected: dict[str, Any] = {"ProjectionType": projection}
    if not isinstance(projection, str):
        projected = {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(projection)}
    return {"IndexName": name, "KeySchema": key_schema(keys), "Projection": projected, **more}


def table_request(
    name: str = "things",
    keys: str = "pk",
    *,
    gsi: Mapping[str, tuple[Any, ...]] | None = None,
    lsi: Mapping[str, tuple[Any, ...]] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Return an on-demand CreateTable request; an index is (keys, projection)."""
    request: dict[str, Any] = {
        "TableName": name,
        "KeySchema": key_schema(keys),
        "AttributeDefinitions": definitions(
            keys, *(index[0] for index in [*(gsi or {}).values(), *(lsi or {}).values()])
        ),
        "BillingMode": "PAY_PER_REQUEST",
    }
    if gsi:
        request["GlobalSecondaryIndexes"] = [index_request(n, *i) for n, i in gsi.items()]
    if lsi:
        request["LocalSecondaryIndexes"] = [index_request(n, *i) for n, i in lsi.items()]
    return request | more


@pytest.fixture
def make_table(client: Any) -> Callable[..., str]:
    """Return a function that creates a table from `table_request`'s arguments."""

    def make_table(*args: Any, on: Any = client, **kwargs: Any) -> str:
        request = table_request(*args, **kwargs)
        on.create_table(**request)
        return str(request["TableName"])

    return make_table


@pytest.fixture
def build() -> Any:
    """Return the functions that build requests: `build.table(...)`, `build.index(...)`."""
    return SimpleNamespace(table=table_request, index=index_request, definitions=definitions)


@contextmanager
def _refused(
    code: str = "ValidationException", message: str | None = None, *, part: str | None = None
) -> Iterator[Any]:
    with pytest.raises(ClientError) as caught:
        yield caught
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    if message is not None:
        assert error["Message"] == message
    if part is not None:
        assert part in error["Message"]


@pytest.fixture
def refused() -> Any:
    """Return a context manager: the body must fail with an AWS error of this code and text."""
    return _refused


@pytest.fixture
def walk() -> Callable[..., list[dict[str, Any]]]:
    """Return a function that reads all pages of a query or scan into one list of items."""

    def walk(read: Callable[..., Any], **request: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            page = read(**request)
            found += page["Items"]
            if "LastEvaluatedKey" not in page:
                return found
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    return walk


# ---- the built-in workload -------------------------------------------------------------------


@pytest.fixture(scope="session")
def courses_data(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """
    Return a function that returns a data file with the courses workload, made once; read only.

    Its arguments are the scale, and whether the indexes are there.
    """

    @functools.cache
    def courses_data(scale: float, *, indexed: bool = True) -> Path:
        target = Target(data=tmp_path_factory.mktemp("courses") / "data.sqlite3")
        workload = load("courses")
        seeding.seed(seeding.plan(target, workload, scale=scale), processes=1)
        if indexed:
            planned = indexes.plan(target, workload)
            indexes.apply(target, planned, indexes.Goal.PRESENT, pause=lambda _: None)
        return target.data

    return courses_data


@pytest.fixture
def copy_courses(courses_data: Callable[..., Path]) -> Callable[..., Path]:
    """Return a function that copies such a data file to a path, to be written to."""

    def copy_courses(path: Path, scale: float, *, indexed: bool = True) -> Path:
        made = courses_data(scale, indexed=indexed)
        path.parent.mkdir(parents=True, exist_ok=True)
        for file in made.parent.glob(f"{made.name}*"):
            shutil.copy(file, f"{path}{file.name.removeprefix(made.name)}")
        return path

    return copy_courses


# ---- servers -----------------------------------------------------------------------------


@pytest.fixture
def free_port() -> Iterator[Callable[[], int]]:
    """Return a function that gives a free port, which nobody but a server gets during the test."""
    with ExitStack() as kept:
        yield lambda: kept.enter_context(kept_free("127.0.0.1", 0))[1]


@pytest.fixture(scope="session")
def cache_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of a cache server for all tests."""
    running = cache.start(tmp_path_factory.mktemp("cache"))
    yield running.url
    running.stop()


@pytest.fixture
def redis_url(cache_server: str) -> str:
    """Return the URL of an empty cache server."""
    with redis.Redis.from_url(cache_server) as client:
        client.flushall()
    return cache_server


@contextmanager
def run_server(
    data: str | Path, *options: str, setup: str = ""
) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """
    Run `perfkit dynamodb` on a free port of 127.0.0.1; yields its URL and the process.

    *setup* is Python that runs before it, to make limits short.
    """
    script = f"{setup}\nfrom perfkit.cli import main\nmain()"
    command = [sys.executable, "-c", script] if setup else [PERFKIT]
    with subprocess.Popen(
        [*command, "dynamodb", "--port", "0", "--data", str(data), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("DynamoDB at http"), line
            yield line.split()[2], process
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture
def start_server() -> Callable[..., Any]:
    """Return `run_server`, for tests that need a server of their own."""
    return run_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of a server that the tests of a module share."""
    with run_server(tmp_path_factory.mktemp("server") / "data.sqlite3") as (url, _):
        yield url


@contextmanager
def run_live(app: Any) -> Iterator[str]:
    """Run an application as the service's processes do; yields its URL."""
    # FastAPI is not loaded for tests that need none
    import uvicorn

    from perfkit.service.process import server_config

    listener = bind("127.0.0.1", 0)
    server = uvicorn.Server(server_config(app))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield url_of(listener, "127.0.0.1")
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def live() -> Callable[..., Any]:
    """Return `run_live`."""
    return run_live
