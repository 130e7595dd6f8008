"""Several instances behind a proxy: spread, killed, started again, switched, ended without a trace."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import httpx2
import psutil
import pytest
from typer.testing import CliRunner

from perfkit.cli import app
from perfkit.dynamodb.targets import Target
from perfkit.errors import ConfigError, TargetError
from perfkit.load.service_samples import (
    Endpoint,
    Sample,
    ServiceSampler,
    endpoints_of,
    figures_of,
)
from perfkit.processes import proxy
from perfkit.service import launch
from perfkit.service.running import Plan, RunningService
from perfkit.service.settings import ServiceSettings, Switches
from perfkit.service.tokens import Tokens

pytestmark = pytest.mark.processes

PERFKIT = Path(sys.executable).with_name("perfkit")
COURSES = "/api/courses?semester=1&department=CS"


def eventually(check: Callable[[], Any], *, within_s: float = 60.0) -> Any:
    """Return what *check* returns as soon as that is true."""
    deadline_s = time.monotonic() + within_s
    while not (found := check()):
        assert time.monotonic() < deadline_s, "it never came true"
        time.sleep(0.05)
    return found


def processes_of(folder: Path) -> list[str]:
    """Return the command lines of the processes that work for a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            ours = process.cwd() == str(folder) or str(folder) in " ".join(process.cmdline())
            if ours and process.pid != os.getpid():
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            # gone, or somebody else's
            continue
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the service that the tests of this module share."""
    return tmp_path_factory.mktemp("instances")


@pytest.fixture
def perfkit(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return a function that runs a command there, in this process."""

    def perfkit(*arguments: str) -> Any:
        monkeypatch.chdir(home)
        return CliRunner().invoke(app, list(arguments))

    return perfkit


@pytest.fixture(scope="module")
def options(home: Path, seeded: Path, missing: Callable[[str], NoReturn]) -> Iterator[list[str]]:
    """Yield what `up` is given each time; what it starts is ended after the module."""
    if not isinstance(proxy.find_proxy(home), proxy.HaProxy):
        missing("haproxy is missing: install it with the system's package manager")
    # a client of boto3 for each request is what takes most of the time of phase 0
    yield ["up", "--port", "0", "--data", str(seeded), "--no-notify", "--pooling"]
    launch.down(home / ".perfkit")


@pytest.fixture
def running(options: list[str], home: Path) -> launch.Running:
    """Return two instances at phase 0; who asks first starts them, or after a test that changed them."""
    found = launch.find(home / ".perfkit")
    if found is not None and len(found.instances) != 2:
        launch.down(home / ".perfkit")
        found = None
    if found is None:
        # in a process of its own: it leaves another one running
        command = [str(PERFKIT), *options, "--instances", "2", "--phase", "0"]
        answer = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stderr
        found = launch.find(home / ".perfkit")
        assert found is not None
        assert "haproxy spreads requests over 2 instances, by /healthz:" in answer.stdout
        for instance in found.instances:
            assert f"  {instance.name}: {instance.url}\n" in answer.stdout
    return found


class Clients:
    """Users who ask one request after the other, each over one connection, and what they got."""

    def __init__(self, running: launch.Running, home: Path) -> None:
        at = urlsplit(running.url)
        self._at = (at.hostname or "", at.port)
        token = Tokens(launch.read_secret(home / ".perfkit")).issue("student123")
        self._headers = {"Authorization": f"Bearer {token}"}
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self.answers: Counter[str] = Counter()

    @contextmanager
    def asking(self, *requests: tuple[str, str]) -> Iterator[None]:
        threads = [threading.Thread(target=self._ask, args=request) for request in requests]
        for thread in threads:
            thread.start()
        try:
            self.await_more(10)
            yield
            self.await_more(10)
        finally:
            self._ending.set()
            for thread in threads:
                thread.join()

    def await_more(self, count: int) -> None:
        """Wait until there are so many more answers."""
        wanted = self.answers.total() + count
        eventually(lambda: self.answers.total() >= wanted)

    def _ask(self, method: str, path: str) -> None:
        connection = http.client.HTTPConnection(*self._at, timeout=60)
        while not self._ending.is_set():
            try:
                connection.request(method, path, headers=self._headers)
                answer = connection.getresponse()
                answer.read()
                got = f"{method} {answer.status}"
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                got = f"{method} {error!r}"
            with self._lock:
                self.answers[got] += 1
            # what is being started needs the processors, too
            self._ending.wait(0.02)
        connection.close()


def samples_of(home: Path) -> ServiceSampler:
    def endpoints() -> list[Endpoint]:
        found = launch.find(home / ".perfkit")
        assert found is not None
        return endpoints_of(found)

    return ServiceSampler(endpoints)


def test_requests_are_spread_and_each_instance_counts_its_own(
    running: launch.Running, home: Path
) -> None:
    sampler = samples_of(home)
    token = Tokens(launch.read_secret(home / ".perfkit")).issue("student123")
    statuses: set[int] = set()

    def ask_ten_times() -> list[Sample]:
        sampler.sample()
        with httpx2.Client(headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
            statuses.update(client.get(running.url + COURSES).status_code for _ in range(10))
        found = sampler.sample()
        # haproxy looks once a second whether one that another test has killed is back
        return found if [each.counted.requests for each in found] == [5, 5] else []

    samples = eventually(ask_ten_times)

    assert statuses == {200}
    assert all(sample.counted.memory_bytes for sample in samples)
    figures = figures_of(samples)
    assert (figures["unhealthy"], figures["failed_share"]) == (0, 0)
    # each scans the whole table of courses
    assert (figures["read_units_per_s"] or 0) > 0


def test_status_shows_the_instances(running: launch.Running, perfkit: Callable[..., Any]) -> None:
    data = ["--data", str(Path("nothing.sqlite3"))]
    shown = perfkit("status", *data)
    document = json.loads(perfkit("status", "--json", *data).stdout)["service"]

    urls = [instance.url for instance in running.instances]
    assert f"Instances behind haproxy: {urls[0]} up, {urls[1]} up\n" in shown.stdout
    assert (document["state"], document["proxy"]) == ("up", "haproxy")
    assert [each["state"] for each in document["instances"]] == ["up", "up"]
    assert [each["pids"] for each in document["instances"]] == [
        instance.pids for instance in running.instances
    ]


def test_one_that_is_killed_costs_at_most_what_was_under_way(
    running: launch.Running, home: Path
) -> None:
    sampler = samples_of(home)
    clients = Clients(running, home)
    (doomed,) = running.instances[1].pids
    with clients.asking(("GET", COURSES), ("DELETE", "/api/enrollments/none")):
        # who would start it again is held up until it was looked at
        os.kill(running.pid, signal.SIGSTOP)
        try:
            os.kill(doomed, signal.SIGKILL)
            figures = figures_of(sampler.sample())
        finally:
            os.kill(running.pid, signal.SIGCONT)
        clients.await_more(10)

        def is_back() -> bool:
            found = launch.find(home / ".perfkit")
            assert found is not None
            pids = found.instances[1].pids
            return pids not in ([], [doomed]) and not figures_of(sampler.sample())["unhealthy"]

        eventually(is_back)

    assert figures["unhealthy"] == 1
    failed = {
        got: count for got, count in clients.answers.items() if got[-3:] not in {"200", "404"}
    }
    # a GET without an answer is asked again; of the other client one request is under way
    assert all(got.startswith("DELETE") for got in failed), failed
    assert sum(failed.values()) <= 1


def test_a_proxy_that_is_killed_is_started_again(running: launch.Running, home: Path) -> None:
    (pid,) = [
        process.pid
        for process in psutil.process_iter(["name", "cmdline"])
        if process.info["name"] == "haproxy" and str(home) in " ".join(process.info["cmdline"])
    ]
    os.kill(pid, signal.SIGKILL)

    def answers() -> bool:
        try:
            return httpx2.get(f"{running.url}/healthz", timeout=60).status_code == 200
        except httpx2.TransportError:
            return False

    eventually(lambda: not psutil.pid_exists(pid))
    eventually(answers)


def test_a_switch_fails_no_request(
    running: launch.Running, home: Path, options: list[str], perfkit: Callable[..., Any]
) -> None:
    before = {pid for instance in running.instances for pid in instance.pids}
    clients = Clients(running, home)
    with clients.asking(("GET", COURSES), ("GET", COURSES), ("DELETE", "/api/enrollments/none")):
        answer = perfkit(*options, "--instances", "3", "--phase", "3")

    assert answer.exit_code == 0, answer.output
    assert set(clients.answers) == {"GET 200", "DELETE 404"}
    found = launch.find(home / ".perfkit")
    assert found is not None
    assert found.url == running.url
    assert len(found.instances) == 3
    assert found.switches["cache"]
    assert not any(psutil.pid_exists(pid) for pid in before)
    token = Tokens(launch.read_secret(home / ".perfkit")).issue("student123")
    with httpx2.Client(headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
        eventually(lambda: client.get(running.url + COURSES).headers["x-cache"] == "HIT")


@pytest.mark.parametrize(
    ("more", "code", "reason"),
    [
        pytest.param([], 3, "stop it first with `perfkit down`", id="without instances"),
        pytest.param(["--instances", "2", "--max-rcu", "5"], 2, "limits hold", id="limits"),
        pytest.param(["--instances", "2", "--port", "1"], 2, "replaced there only", id="elsewhere"),
        pytest.param(
            ["--instances", "2", "--smtp-host", "127.0.0.1"], 2, "or mail server", id="servers"
        ),
    ],
)
def test_what_is_no_switch_is_refused(
    more: list[str],
    code: int,
    reason: str,
    running: launch.Running,
    home: Path,
    options: list[str],
    perfkit: Callable[..., Any],
) -> None:
    answer = perfkit(*options, *more)

    assert (answer.exit_code, reason in answer.stderr) == (code, True), answer.stderr
    found = launch.find(home / ".perfkit")
    assert found is not None
    assert found.url == running.url


@pytest.mark.skipif(sys.platform != "linux", reason="looks at other processes' folders")
def test_nothing_is_left_of_a_service_that_is_killed(running: launch.Running, home: Path) -> None:
    assert any("haproxy" in line for line in processes_of(home))

    os.kill(running.pid, signal.SIGKILL)

    eventually(lambda: not processes_of(home))
    assert launch.health(home / ".perfkit") == {"state": "down"}


# ---- other proxies, or none --------------------------------------------------------------


@pytest.fixture
def plan(seeded: Path, secret: str, tmp_path: Path) -> Plan:
    """Return a plan of two instances without mail and cache."""
    settings = ServiceSettings(
        switches=Switches(notify=False),
        secret=secret,
        target=Target(data=seeded),
        folder=tmp_path / ".perfkit",
    )
    return Plan(settings=settings, port=0, instances=2)


def test_without_a_proxy_there_is_a_url_for_each(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("perfkit.processes.proxy._SERVERS_PATH", "")
    service = RunningService(plan)
    service.start()
    try:
        instances = service.instances
        statuses = [httpx2.get(f"{each.url}/healthz", timeout=60).status_code for each in instances]
        with pytest.raises(TargetError, match="switched behind haproxy"):
            service.switch(plan)
    finally:
        service.stop()

    assert service.proxy is None
    assert statuses == [200, 200]
    assert len({each.url for each in instances}) == 2
    assert service.url == instances[0].url
    assert not any(psutil.pid_exists(pid) for each in instances for pid in each.pids)


def test_nginx_spreads_requests_where_haproxy_is_missing(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, missing: Callable[[str], NoReturn], tmp_path: Path
) -> None:
    which = shutil.which
    monkeypatch.setattr(
        "shutil.which", lambda name, **more: None if name == "haproxy" else which(name, **more)
    )
    if proxy.find_proxy(tmp_path) is None:
        missing("nginx is missing: install it with the system's package manager")
    service = RunningService(plan)
    service.start()
    try:
        sampler = ServiceSampler(
            lambda: [Endpoint.of_service(each.name, each.url) for each in service.instances]
        )
        sampler.sample()
        for _ in range(6):
            httpx2.get(f"{service.url}/api/courses", timeout=60)
        spread = [sample.counted.requests for sample in sampler.sample()]
        (doomed, *_) = service.instances[0].pids
        os.kill(doomed, signal.SIGKILL)
        statuses = {httpx2.get(f"{service.url}/healthz", timeout=60).status_code for _ in range(6)}
    finally:
        service.stop()

    assert service.proxy == "nginx"
    assert spread == [3, 3]
    assert statuses == {200}
    eventually(lambda: not processes_of(tmp_path))


@pytest.mark.parametrize("count", ["0", "-1", "17", "x"])
def test_how_many_instances_there_can_be(count: str, perfkit: Callable[..., Any]) -> None:
    answer = perfkit("up", "--instances", count)

    assert answer.exit_code == 2
    assert "--instances" in answer.stderr


def test_a_configuration_that_the_proxy_refuses_is_an_error(
    tmp_path: Path, missing: Callable[[str], NoReturn]
) -> None:
    found = proxy.find_proxy(tmp_path)
    if found is None:
        missing("haproxy is missing: install it with the system's package manager")

    with pytest.raises(TargetError, match=f"{found.name} refuses its configuration: "):
        found.configure(("127.0.0.1", 99_999_999), [("127.0.0.1", 1)])


def test_a_proxy_works_in_a_folder_of_any_length(
    tmp_path: Path, missing: Callable[[str], NoReturn]
) -> None:
    """A socket's path may have 97 bytes for haproxy, which no folder of a project's knows of."""
    for length in range(20, 140, 6):
        found = proxy.find_proxy(tmp_path / ("x" * length))
        if found is None:
            missing("haproxy is missing: install it with the system's package manager")
        found.configure(("127.0.0.1", 8080), [("127.0.0.1", 1)])
        found.close()


def test_the_files_of_a_proxy_are_its_owners(plan: Plan) -> None:
    found = proxy.find_proxy(plan.settings.folder)
    if found is not None:
        found.configure(("127.0.0.1", 8080), [("127.0.0.1", 1)])
        modes = {file.stat().st_mode & 0o077 for file in plan.settings.folder.iterdir()}

        assert modes == {0}
        assert plan.settings.folder.stat().st_mode & 0o077 == 0


def test_ports_follow_one_another_where_one_is_given(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no port after the last one."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("perfkit.processes.proxy._SERVERS_PATH", "")
    with pytest.raises(ConfigError, match="choose another --port"):
        RunningService(Plan(settings=plan.settings, port=65535, instances=2)).start()
