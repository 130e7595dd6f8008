"""What the tests share: an empty working folder, clients, tables, servers of ours and of others."""

import asyncio
import functools
import gc
import http.client
import http.server
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn
from urllib.parse import urlsplit

import boto3
import pytest
import redis
import typer.main
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.hooks import EventAliaser
from botocore.loaders import create_loader
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from perfkit.cost.price_file import FOLDER_VARIABLE
from perfkit.dynamodb import indexes, seeding
from perfkit.dynamodb.client import _options, embedded_client
from perfkit.dynamodb.targets import Target, parse_target
from perfkit.embedded import Engine
from perfkit.embedded.transport import attach
from perfkit.measure.statistics import summarize
from perfkit.processes import redis_server as cache
from perfkit.processes.sockets import bind, url_of
from perfkit.runs import (
    HttpFigures,
    InstanceSample,
    LoadModel,
    LoadSecond,
    LoadSettings,
    LoadTest,
    Run,
    RunKind,
    Variant,
)
from perfkit.traffic.proxy import Proxy
from perfkit.traffic.trace import Trace, read_trace
from perfkit.traffic.trace_file import TraceWriter
from perfkit.traffic.upstream import open_upstream
from perfkit.workloads.loader import load

PERFKIT = Path(sys.executable).with_name("perfkit")

# how fast something is, benchmarks say: a busy machine must not fail a test
settings.register_profile("perfkit", deadline=None, max_examples=50)
settings.load_profile("perfkit")

# a shell starts jobs in the background with Ctrl-C ignored, and what tests start would inherit that
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

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
def _no_collecting() -> Iterator[None]:
    """Measuring collects the garbage before: of a whole test suite that takes seconds each time."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("perfkit.measure.rounds.gc", SimpleNamespace(collect=lambda: 0))
        yield


@pytest.fixture(scope="session", autouse=True)
def _models_read_once() -> Iterator[None]:
    """Share botocore's models, megabytes of JSON, and its names of events among all clients."""
    names: dict[str, str] = {}
    alias = EventAliaser._alias_event_name

    def alias_once(self: EventAliaser, name: str) -> str:
        if name not in names:
            names[name] = alias(self, name)
        return names[name]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("botocore.session.create_loader", functools.cache(create_loader))
        patched.setattr(EventAliaser, "_alias_event_name", alias_once)
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


# ---- servers that are not ours -------------------------------------------------------------
# Engines that know nothing of perfkit. `make stand-ins` installs ministack and dynalite; moto is
# among the tools of development.

CHECKOUT = Path(__file__).parents[1]
STAND_INS = ("moto", "ministack", "dynalite")


def _missing(reason: str) -> NoReturn:
    """Skip for a user who has it not; where everything is to be tested that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def missing() -> Callable[[str], NoReturn]:
    """Return the function that ends a test for the reason that something is not installed."""
    return _missing


@pytest.fixture(scope="session")
def program() -> Callable[..., str]:
    """Return a function that finds a program under one of its names, or ends the test."""

    def program(*names: str) -> str:
        found = next(filter(None, map(shutil.which, names)), None)
        return found or _missing(f"no {names[0]} on the PATH")

    return program


def _stand_in_command(name: str) -> tuple[list[str], dict[str, str]]:
    """Return how a stand-in is started, on 127.0.0.1 and a port that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    if name == "moto":
        return [str(PERFKIT.with_name("moto_server")), "-H", "127.0.0.1", "-p", port], {}
    if name == "ministack":
        own = Path(sys.prefix) / "ministack" / "bin" / "ministack"
        found = str(own) if own.exists() else shutil.which("ministack")
        if found is None:
            _missing("ministack is missing: `make stand-ins` installs it")
        wanted = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": port, "SERVICES": "dynamodb"}
        return [str(found)], wanted
    node, script = shutil.which("node"), CHECKOUT / "node_modules" / "dynalite" / "cli.js"
    if node is None or not script.exists():
        _missing("dynalite is missing: `make stand-ins` installs it")
    options = [f"--{what}TableMs=0" for what in ("create", "update", "delete")]
    return [str(node), str(script), "--host", "127.0.0.1", "--port", port, *options], {}


@contextmanager
def _run_stand_in(name: str, folder: Path) -> Iterator[str]:
    """Run an engine that is not perfkit's; yields its URL."""
    command, variables = _stand_in_command(name)
    log = folder / f"{name}.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, stdout=output, stderr=output, env={**os.environ, **variables}, cwd=folder
        ) as process,
    ):
        try:
            while (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())) is None:
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
            yield found[0]
        finally:
            process.terminate()
            process.wait()


@pytest.fixture(scope="session")
def run_stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """Return a function that gives the URL of a stand-in, started when it is first asked for."""
    started: dict[str, str] = {}
    with ExitStack() as stack:

        def url(name: str) -> str:
            if name not in started:
                running = _run_stand_in(name, tmp_path_factory.mktemp(name))
                started[name] = stack.enter_context(running)
            return started[name]

        yield url


def client_of(url: str) -> Any:
    """Return an ordinary boto3 client of a server that checks no credentials."""
    return boto3.client(
        "dynamodb",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="somebody",
        aws_secret_access_key="else",
        config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.fixture(name="client_of")
def _client_of() -> Callable[[str], Any]:
    """Return `client_of`."""
    return client_of


@pytest.fixture(scope="session")
def empty_stand_in(run_stand_in: Callable[[str], str]) -> Callable[[str], str]:
    """Return a function that takes all tables of a stand-in away, and gives its URL."""

    def url(name: str) -> str:
        found = run_stand_in(name)
        client = client_of(found)
        for table in client.list_tables()["TableNames"]:
            client.delete_table(TableName=table)
            # dynalite deletes in its own time
            client.get_waiter("table_not_exists").wait(
                TableName=table, WaiterConfig={"Delay": 1, "MaxAttempts": 120}
            )
        return found

    return url


@pytest.fixture(params=STAND_INS)
def stand_in(request: pytest.FixtureRequest, empty_stand_in: Callable[[str], str]) -> str:
    """Return the URL of each stand-in in turn, without any tables."""
    return empty_stand_in(request.param)


class Recorder:
    """
    A server in front of another one that counts what is asked, and can be made worse.

    Attributes:
        url: Where it is.
        operations: How often each operation was asked for.
        requests: Every operation that was asked for, with what it was asked.
        tagless: Answer as a server that knows no tags.
        before: Called with the operation before each request is passed on.
    """

    def __init__(self, upstream: str) -> None:
        self.operations: Counter[str] = Counter()
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.tagless = False
        self.before: Callable[[str], None] = lambda _: None
        recorder, behind = self, urlsplit(upstream)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # header and body in two packets would wait 40 ms for each other
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                operation = self.headers["X-Amz-Target"].rpartition(".")[2]
                recorder.operations[operation] += 1
                recorder.requests.append((operation, json.loads(body)))
                recorder.before(operation)
                if recorder.tagless and "Tag" in operation:
                    kind = "com.amazon.coral.service#UnknownOperationException"
                    self._answer(400, json.dumps({"__type": kind}).encode(), {})
                    return
                if recorder.tagless and operation == "CreateTable":
                    wanted = json.loads(body)
                    wanted.pop("Tags", None)
                    body = json.dumps(wanted).encode()
                passed = {
                    name: value
                    for name, value in self.headers.items()
                    if name.lower() not in {"host", "content-length", "connection"}
                }
                connection = http.client.HTTPConnection(behind.hostname or "", behind.port)
                try:
                    connection.request("POST", "/", body, passed)
                    answer = connection.getresponse()
                    self._answer(answer.status, answer.read(), dict(answer.getheaders()))
                finally:
                    connection.close()

            def _answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() in {"content-type", "x-amz-crc32", "x-amzn-requestid"}:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def record() -> Iterator[Callable[[str], Recorder]]:
    """Return a function that puts a `Recorder` in front of a server."""
    with ExitStack() as stack:

        def start(upstream: str) -> Recorder:
            recorder = Recorder(upstream)
            stack.callback(recorder.close)
            return recorder

        yield start


# ---- `perfkit record` within the process of the test ---------------------------------------


class TrafficRecorder:
    """
    A recorder in a thread; `changed` puts something between it and its target.

    Attributes:
        url: Where it is.
        warnings: What it had to say.
    """

    def __init__(self, target: Target, path: Path, **options: Any) -> None:
        self.warnings: list[str] = []
        self._path = path
        self._most_bytes = options.pop("most_bytes", 1 << 30)
        self._changed = options.pop("changed", lambda upstream: upstream)
        self._options = options
        self._listener = bind("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._ready = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._run(target),))
        self._thread.start()
        assert self._ready.wait(60)

    async def _run(self, target: Target) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        upstream = self._changed(await open_upstream(target))
        self.writer = TraceWriter(
            self._path,
            {
                "target": target.describe(),
                "keeps_values": self._options.get("keep_values", False),
            },
            most_bytes=self._most_bytes,
            warn=self.warnings.append,
        )
        self.proxy = Proxy(upstream, self.writer, host="127.0.0.1", **self._options)
        await self.proxy.start(self._listener)
        self._ready.set()
        await self._end.wait()
        duration_s = self.proxy.elapsed_s
        await self.proxy.stop()
        self.writer.note(complete=True, duration_s=duration_s, unread=self.proxy.unread)
        self.writer.close()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join()
        self._listener.close()

    def trace(self) -> Trace:
        """End the recording and return it."""
        self.stop()
        return read_trace(self._path)

    def client(self) -> Any:
        """Return an ordinary client that comes by here."""
        return client_of(self.url)


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Callable[..., TrafficRecorder]]:
    """Return a function that puts a recorder in front of a target: a URL, or a data file."""
    with ExitStack() as stack:
        numbers = iter(range(1, 100))

        def start(target: str | Path = "embedded", **options: Any) -> TrafficRecorder:
            if str(target).startswith("http"):
                found = parse_target(str(target))
            else:
                data = tmp_path / "data.sqlite3" if target == "embedded" else Path(target)
                found = parse_target(None, data)
            made = TrafficRecorder(found, tmp_path / f"{next(numbers)}.trace", **options)
            stack.callback(made.stop)
            return made

        yield start


@pytest.fixture
def make_load_run() -> Callable[..., Run]:
    """
    Return a function that makes load tests of the reference service, of one instance for a minute.

    *cores* says how busy it was in each second after a ramp of five; `quoted` and what else a run
    holds may be given, too.
    """

    def make(
        phase: int = 3,
        *,
        cores: Sequence[float] = (0.5,) * 60,
        rate_hz: float = 250.0,
        p95_s: float = 0.02,
        errors: int = 0,
        workers: int | None = 1,
        run_id: str = "",
        target: dict[str, object] | None = None,
        invalid: tuple[str, ...] = (),
        **more: Any,
    ) -> Run:
        summary = replace(summarize([p95_s] * 200), p95=p95_s)
        total = Variant(
            name="load", operation="all requests", calls=1000, requests=1000, errors=errors,
            items_read=None, items_returned=0, bytes_read=None, capacity_units=None,
            capacity_source="none", latency_s=summary, histogram="",
            http=HttpFigures(
                requests_per_s=rate_hz, statuses={}, errors_by_kind={}, service_s=summary,
                service_histogram="",
            ),
        )  # fmt: skip
        test = LoadTest(
            settings=LoadSettings(
                model=LoadModel.CLOSED, users=50, duration_s=60.0, ramp_s=5.0, mix="courses",
                phase=phase, switches={"cache": phase > 0}, service_workers=workers,
            ),
            measured_s=60.0,
            invalid=invalid,
            seconds=tuple(
                LoadSecond(at_s=5.5 + number, users=50, requests=round(rate_hz), errors=0)
                for number in range(-5, 60)
            ),
            # the ramp is idle, and no part of it
            instances=(
                InstanceSample(at_s=3.0, instance="1", cpu_share=0.0),
                *(
                    InstanceSample(at_s=5.5 + number, instance="1", cpu_share=share)
                    for number, share in enumerate(cores)
                ),
            ),
        )  # fmt: skip
        return Run(
            kind=RunKind.LOAD,
            scenario="load",
            workload="courses",
            target=target or {"kind": "embedded"},
            started_at=f"2026-01-0{phase + 1}T00:00:00Z",
            id=run_id or f"load-{phase}",
            variants=(total,),
            load_test=test,
            **more,
        )

    return make


# ---- pages in a browser --------------------------------------------------------------------


_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def chromium(program: Callable[..., str]) -> Iterator[Any]:
    """Start Chromium once for this module: Playwright keeps an event loop while it runs."""
    from playwright.sync_api import sync_playwright

    executable = program("chromium", "chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(_ARGUMENTS))
        yield browser
        browser.close()


@dataclass
class Opened:
    """A page that is open, and what it said and asked for."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def evaluate(self, script: str, argument: object = None) -> Any:
        return self.page.evaluate(script, argument)


@pytest.fixture
def open_page(chromium: Any, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """Return a function that opens a page, or that of a report, from disk."""
    from perfkit.report.html import render_report

    contexts = []

    def open_page(text: Any, *, width: int = 1280, before: str = "", **options: Any) -> Opened:
        file = tmp_path / "report.html"
        file.write_text(
            text if isinstance(text, str) else render_report(text),
            encoding="utf-8",
            newline="\n",
        )
        context = chromium.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        if before:
            context.add_init_script(before)
        page = context.new_page()
        opened = Opened(page)
        page.on("console", lambda message: opened.complaints.append(message.text))
        page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        page.on("dialog", lambda dialog: opened.complaints.append(dialog.message))
        page.on("request", lambda request: opened.requests.append(request.url))
        page.goto(file.as_uri())
        if options.get("java_script_enabled", True):
            page.locator(".settled").wait_for(state="attached")
        return opened

    yield open_page
    for context in contexts:
        context.close()
