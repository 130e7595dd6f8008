"""The service as processes: started, shared, replaced when they die, stopped without a trace."""

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import psutil
import pytest
import redis
import typer
from typer.testing import CliRunner

from perfkit.cli import app as perfkit
from perfkit.dynamodb.targets import Target
from perfkit.errors import ConfigError, TargetError
from perfkit.processes import redis_server
from perfkit.processes.sockets import bind
from perfkit.service import launch
from perfkit.service.process import _is_no_cut_off_request
from perfkit.service.running import Plan, RunningService
from perfkit.service.settings import ServiceSettings, Switches
from perfkit.settings import FOLDER

pytestmark = pytest.mark.processes

COURSES = "/api/courses?semester=1&department=CS"


def eventually(check: Callable[[], Any], *, within_s: float = 60.0) -> Any:
    """Return what *check* returns as soon as that is true."""
    deadline_s = time.monotonic() + within_s
    while not (found := check()):
        assert time.monotonic() < deadline_s, "it never came true"
        time.sleep(0.05)
    return found


def healthy() -> dict[str, Any] | None:
    """Return the service's health once it is up: on a busy machine Redis may be late at first."""
    found = launch.health()
    return found if found["state"] == "up" else None


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def plan(seeded: Path, secret: str) -> Callable[..., Plan]:
    """Return a function that makes plans for a folder of the test's own."""

    def plan(switches: Switches | None = None, *, workers: int = 1, **more: Any) -> Plan:
        settings = ServiceSettings(
            switches=switches or Switches.of_phase(3),
            secret=secret,
            target=Target(data=seeded),
            folder=FOLDER.absolute(),
        )
        return Plan(settings=settings, port=0, workers=workers, **more)

    return plan


@contextmanager
def serving(plan: Plan) -> Iterator[RunningService]:
    service = RunningService(plan)
    service.start()
    try:
        yield service
    finally:
        service.stop()


@pytest.fixture
def headers(token: Callable[..., str]) -> dict[str, str]:
    """Return the headers of a request of the demo user's."""
    return {"Authorization": f"Bearer {token('student123')}"}


def samples(url: str) -> dict[str, float]:
    lines = httpx2.get(f"{url}/metrics", timeout=60).text.splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def test_workers_share_a_port_and_any_of_them_answers_for_all(
    plan: Callable[..., Plan], headers: dict[str, str]
) -> None:
    with serving(plan(workers=2)) as service:
        # a connection each, so that the system spreads them
        statuses = {
            httpx2.get(service.url + COURSES, headers=headers, timeout=60).status_code
            for _ in range(40)
        }
        pids = service.pids

        def counted() -> bool:
            # what others counted is told each second
            found = [samples(service.url).get(name) for _ in range(8)]
            return found == [40] * 8

        name = 'perfkit_requests_total{method="GET",route="/api/courses",status="200"}'
        eventually(counted)
        folder = next(FOLDER.glob("service/counts-*"))
        counting = {int(file.stem.partition("-")[0]) for file in folder.glob("*.prom")}

    assert statuses == {200}
    assert counting == set(pids)
    assert not any(is_running(pid) for pid in pids)
    assert redis_server.find(FOLDER) is None
    assert not list(FOLDER.glob("service/counts-*"))


@contextmanager
def kept_running(service: RunningService) -> Iterator[None]:
    """Let a service look after its processes."""
    stop = threading.Event()
    running = threading.Thread(target=service.run, args=[stop])
    running.start()
    try:
        yield
    finally:
        stop.set()
        running.join()


_LOOKED_AT = """
import gc, socket, threading
from perfkit.service.process import _serve

supervisor, line = socket.socketpair()

def look():
    supervisor.recv(1)
    print(gc.get_freeze_count(), len(gc.get_objects()), flush=True)
    supervisor.close()

threading.Thread(target=look).start()
_serve(socket.create_server(("127.0.0.1", 0)), line)
"""


def test_looking_for_garbage_leaves_out_what_a_worker_is_made_of(plan: Callable[..., Plan]) -> None:
    """Otherwise some requests wait for a tenth of a second while all of boto3 is looked at."""
    settings = plan(Switches.of_phase(0, notify=False)).settings

    done = subprocess.run(
        [sys.executable, "-c", _LOOKED_AT],
        env={**os.environ, **settings.to_environment()},
        capture_output=True,
        text=True,
        check=True,
    )

    left_out, looked_at = map(int, done.stdout.split())
    assert left_out > 10 * looked_at


def test_a_worker_that_dies_is_replaced(plan: Callable[..., Plan], headers: dict[str, str]) -> None:
    with serving(plan(workers=2)) as service, kept_running(service):
        first = set(service.pids)
        os.kill(min(first), signal.SIGKILL)
        (new,) = eventually(lambda: set(service.pids) - first)
        folder = next(FOLDER.glob("service/counts-*"))

        def answered_by_the_new_one() -> bool:
            # on a busy machine the new one takes seconds to begin
            answer = httpx2.get(service.url + COURSES, headers=headers, timeout=60)
            assert answer.status_code == 200
            return any("/api/courses" in file.read_text() for file in folder.glob(f"{new}-*.prom"))

        eventually(answered_by_the_new_one)
        assert len(service.pids) == 2


def test_a_cache_server_that_dies_is_replaced(
    plan: Callable[..., Plan], headers: dict[str, str]
) -> None:
    with (
        serving(plan()) as service,
        httpx2.Client(headers=headers, timeout=60) as client,
    ):

        def states() -> set[str]:
            answers = [client.get(service.url + COURSES) for _ in range(20)]
            assert {answer.status_code for answer in answers} == {200}
            return {answer.headers["x-cache"] for answer in answers}

        eventually(lambda: "HIT" in states())
        found = redis_server.find(FOLDER)
        assert found is not None
        assert found.pid is not None
        os.kill(found.pid, signal.SIGKILL)
        eventually(lambda: redis_server.find(FOLDER) is None)

        assert states() == {"ERROR"}
        with kept_running(service):
            eventually(lambda: states() == {"HIT"})


def test_a_service_that_cannot_start_says_so(plan: Callable[..., Plan]) -> None:
    broken = plan(Switches(notify=False))
    workload = FOLDER.absolute() / "broken.toml"
    workload.parent.mkdir(exist_ok=True)
    workload.write_text("name = 5")
    settings = ServiceSettings(
        switches=broken.settings.switches,
        secret=broken.settings.secret,
        workload=str(workload),
        folder=broken.settings.folder,
    )

    with pytest.raises(TargetError, match="worker 1 ended at once"):
        RunningService(Plan(settings=settings, port=0)).start()


def test_a_port_that_is_taken_is_refused(plan: Callable[..., Plan]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wanted = plan(Switches(notify=False))
        again = Plan(settings=wanted.settings, port=taken.getsockname()[1])
        with pytest.raises(ConfigError, match="choose another --port"):
            RunningService(again).start()


@pytest.mark.parametrize("host", ["nowhere.invalid", "192.0.2.1"])
def test_an_address_that_is_not_here_is_not_blamed_on_the_port(host: str) -> None:
    """`.invalid` never resolves (RFC 2606), and 192.0.2.1 is nobody's (RFC 5737)."""
    with pytest.raises(ConfigError, match="choose another --host"):
        bind(host, 0, shared=False)


def test_two_services_do_not_share_a_port(plan: Callable[..., Plan]) -> None:
    with serving(plan(Switches(notify=False))) as service:
        port = int(service.url.rpartition(":")[2])
        again = Plan(settings=plan(Switches(notify=False)).settings, port=port)
        with pytest.raises(ConfigError, match="choose another --port"):
            RunningService(again).start()


# ---- commands ----------------------------------------------------------------------------


@pytest.fixture
def command() -> list[str]:
    """Return what runs a command of the service."""
    program = (
        "import sys, typer\n"
        "from perfkit.commands.down import down\n"
        "from perfkit.commands.serve import serve\n"
        "from perfkit.commands.up import up\n"
        "from perfkit.commands.worker import worker\n"
        "app = typer.Typer()\n"
        "for each in (serve, up, down, worker):\n"
        "    app.command(each.__name__)(each)\n"
        "app()\n"
    )
    return [sys.executable, "-c", program]


@pytest.fixture
def run(command: list[str]) -> Callable[..., Any]:
    """
    Return a function that runs a command of the service.

    `up` gets a process of its own, because what it leaves behind must not be this one's child.
    """

    def run(*arguments: str) -> Any:
        if arguments[0] == "up":
            return subprocess.run(
                [*command, *arguments], capture_output=True, text=True, check=False, timeout=120
            )
        done = CliRunner().invoke(perfkit, list(arguments))
        return SimpleNamespace(returncode=done.exit_code, stdout=done.stdout, stderr=done.stderr)

    return run


def test_serve_ends_cleanly(command: list[str], seeded: Path) -> None:
    arguments = ["serve", "--port", "0", "--data", str(seeded), "--phase", "3"]
    with subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(5)]
        url = lines[0].split()[2].rstrip(",")
        token = lines[2].split()[-1]
        headers = {"Authorization": f"Bearer {token}"}
        answer = httpx2.get(url + COURSES, headers=headers, timeout=60)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)

    assert lines[0].startswith("Service at http://127.0.0.1:")
    assert "cache, sessions, indexes" in lines[1]
    assert lines[2].startswith("Token of student123: ")
    assert lines[3].startswith("Try: curl")
    assert answer.status_code == 200
    assert process.returncode == 0
    assert output == ""
    assert errors == "Notifications are queued; `perfkit worker` delivers them.\n"
    assert redis_server.find(FOLDER) is None


def test_everything_ends_with_a_killed_service(command: list[str], seeded: Path) -> None:
    options = ["serve", "--port", "0", "--data", str(seeded), "--workers", "2"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(5):
            process.stdout.readline()
        pids = [
            child.pid
            for child in psutil.Process(process.pid).children()
            if "perfkit.service.process" in child.cmdline()
        ]
        process.kill()

    assert len(pids) == 2
    eventually(lambda: not any(is_running(pid) for pid in pids))
    eventually(lambda: redis_server.find(FOLDER) is None)


def test_up_runs_in_the_background_until_down(run: Callable[..., Any], seeded: Path) -> None:
    assert launch.health() == {"state": "down"}
    started = run("up", "--port", "0", "--data", str(seeded), "--workers", "2")
    try:
        health = eventually(healthy)
        again = run("up", "--port", "0", "--data", str(seeded))
        token = started.stdout.splitlines()[2].split()[-1]
        headers = {"Authorization": f"Bearer {token}"}
        answer = httpx2.get(health["url"] + COURSES, headers=headers, timeout=60)
        running = launch.find()
        delivered = eventually((FOLDER / "requests.jsonl").exists)
    finally:
        stopped = run("down")
    stopped_again = run("down")

    assert started.returncode == 0, started.stderr
    assert health["state"] == "up"
    assert {name: check["status"] for name, check in health["checks"].items()} == {
        "dynamodb": "ok",
        "cache": "ok",
        "notifications": "ok",
    }
    assert again.returncode != 0
    assert answer.status_code == 200
    assert delivered
    assert running is not None
    assert len(running.pids) == 3
    assert "Stopped the service" in stopped.stdout
    assert stopped_again.stdout == "Nothing was running.\n"
    assert launch.health() == {"state": "down"}
    assert not any(is_running(pid) for pid in running.pids)
    assert redis_server.find(FOLDER) is None


def of_this_folder() -> list[int]:
    """Return the processes that work for this test's folder, by their working directory."""
    here, found = str(Path.cwd()), []
    for process in psutil.process_iter():
        try:
            if process.cwd() == here and process.pid != os.getpid():
                found.append(process.pid)
        except psutil.Error:
            # gone, or somebody else's
            continue
    return found


def test_of_two_that_start_at_once_one_is_refused(
    command: list[str], run: Callable[..., Any], seeded: Path
) -> None:
    """Two left a service that no `down` could end."""
    options = ["up", "--port", "0", "--data", str(seeded), "--phase", "1"]
    starting = [
        subprocess.Popen(
            [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    answers = [process.communicate(timeout=120) for process in starting]
    try:
        codes = [process.returncode for process in starting]
        refused = codes.index(max(codes))

        assert min(codes) == 0, answers
        assert codes[refused] != 0
        assert "a service is " in answers[refused][1]
        assert eventually(healthy)
    finally:
        stopped = run("down")
    assert "Stopped the service at" in stopped.stdout
    eventually(lambda: not of_this_folder())


@pytest.mark.parametrize("after_s", [0.0, 0.8])
def test_ctrl_c_while_it_starts_ends_what_was_started(
    after_s: float, command: list[str], run: Callable[..., Any], seeded: Path
) -> None:
    options = ["up", "--port", "0", "--data", str(seeded), "--workers", "2"]
    with subprocess.Popen(
        [*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        # from here on there is something to end; how far it comes until then is chance
        eventually((FOLDER / "service" / "service.log").exists)
        time.sleep(after_s)
        process.send_signal(signal.SIGINT)
        process.wait(60)

    if process.returncode == 0:
        # it was quicker
        assert run("down").returncode == 0
    eventually(lambda: not of_this_folder())
    assert launch.health() == {"state": "down"}
    assert redis_server.find(FOLDER) is None


def test_down_ends_a_service_that_is_still_starting(
    command: list[str], run: Callable[..., Any], seeded: Path
) -> None:
    options = ["up", "--port", "0", "--data", str(seeded)]
    with subprocess.Popen(
        [*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ):
        lock = FOLDER / "service" / "lock"
        eventually(lambda: lock.exists() and lock.read_text())
        stopped = run("down")

    assert "Stopped the service" in stopped.stdout
    eventually(lambda: not of_this_folder())


@pytest.mark.skipif(sys.platform != "linux", reason="needs limits of other processes")
def test_workers_answer_on_a_full_disk_and_recover(
    plan: Callable[..., Plan], headers: dict[str, str]
) -> None:
    """What cannot be written is not written; once it was a memory map, and the end of them."""
    name = 'perfkit_requests_total{method="GET",route="/api/courses",status="200"}'
    with serving(plan(Switches.of_phase(3, notify=False), workers=2)) as service:
        pids = list(service.pids)
        for pid in pids:
            # a write beyond it fails as on a full disk
            psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE, (0, -1))
        full = [
            httpx2.get(service.url + COURSES, headers=headers, timeout=60).status_code
            for _ in range(20)
        ]
        told = httpx2.get(f"{service.url}/metrics", timeout=60).status_code
        for pid in pids:
            psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE, (-1, -1))
        eventually(lambda: [samples(service.url).get(name) for _ in range(6)] == [20] * 6)

        assert service.pids == pids
    assert (set(full), told) == ({200}, 200)


def test_a_queue_that_was_damaged_is_set_aside_while_requests_go_on(
    plan: Callable[..., Plan], headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with (
        serving(plan()) as service,
        httpx2.Client(headers=headers, timeout=60) as client,
    ):

        def state() -> str:
            answer = client.get(service.url + COURSES)
            assert answer.status_code == 200
            return str(answer.headers["x-cache"])

        eventually(lambda: state() == "HIT")
        found = redis_server.find(FOLDER)
        assert found is not None
        assert found.pid is not None
        os.kill(found.pid, signal.SIGKILL)
        eventually(lambda: redis_server.find(FOLDER) is None)
        (log,) = (FOLDER / "cache" / "appendonlydir").glob("*.manifest")
        log.write_text("nonsense")
        with kept_running(service):
            eventually(lambda: state() == "HIT")

    assert "is set aside in" in caplog.text
    assert list((FOLDER / "cache").glob("appendonlydir.damaged-*"))


def test_down_leaves_the_cache_server_of_a_service_in_the_foreground_alone(
    command: list[str], run: Callable[..., Any], seeded: Path
) -> None:
    """Only `up`'s own is to be stopped: the server has the same process before and after."""
    options = ["--port", "0", "--data", str(seeded)]

    def server_pid() -> int | None:
        found = redis_server.find(FOLDER)
        return None if found is None else found.pid

    with subprocess.Popen([*command, "serve", *options], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            for _ in range(5):
                process.stdout.readline()
            before = server_pid()
            idle = run("down")
            started = run("up", *options)
            stopped = run("down")
            after = server_pid()
        finally:
            process.terminate()

    assert started.returncode == 0, started.stderr
    assert idle.stdout == "Nothing was running.\n"
    assert stopped.stdout.startswith("Stopped the service at ")
    assert stopped.stdout.count("\n") == 1
    for each in (idle, stopped):
        assert each.returncode == 0
        assert "The cache server goes on" in each.stderr
    assert before == after is not None
    assert server_pid() is None


def test_a_stale_state_is_not_mistaken_for_a_service(tmp_path: Path) -> None:
    """Another process may have come by the number of one that is gone: it is left alone."""
    state = launch.Running(pid=os.getpid(), born=0.0, url="http://x", pids=[], switches={})
    folder = tmp_path / "service"
    folder.mkdir()
    (folder / "state.json").write_text(
        json.dumps({name: getattr(state, name) for name in state.__slots__})
    )

    assert launch.find(tmp_path) is None
    assert launch.down(tmp_path) == []
    assert not (folder / "state.json").exists()


def test_a_damaged_state_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "service"
    folder.mkdir()
    (folder / "state.json").write_text("{")

    assert launch.health(tmp_path) == {"state": "down"}


def test_the_secret_stays_the_same_and_is_nobody_elses(tmp_path: Path) -> None:
    secret = launch.read_secret(tmp_path)

    assert launch.read_secret(tmp_path) == secret
    assert len(secret) >= 32
    assert (tmp_path / "service" / "secret").stat().st_mode & 0o777 == 0o600


def serve_alone(*arguments: str) -> Any:
    return alone("serve", *arguments)


def alone(name: str, *arguments: str) -> Any:
    """Return what a command raises."""
    from perfkit.commands.serve import serve
    from perfkit.commands.up import up

    commands: dict[str, Callable[..., None]] = {"serve": serve, "up": up}
    app = typer.Typer()
    app.command()(commands[name])
    return CliRunner().invoke(app, list(arguments)).exception


@pytest.mark.parametrize("name", ["serve", "up"])
@pytest.mark.parametrize("url", ["foo", "http://x"])
def test_a_wrong_redis_url_is_refused_before_anything_is_started(
    name: str, url: str, seeded: Path
) -> None:
    error = alone(name, "--redis-url", url, "--data", str(seeded), "--port", "0")

    assert isinstance(error, ConfigError)
    assert str(error).startswith(f"'{url}' is no Redis URL: ")
    assert not FOLDER.exists()


def test_up_with_a_queue_wants_its_server(seeded: Path, tmp_path: Path) -> None:
    url = f"unix://{tmp_path}/nobody"
    error = alone("up", "--redis-url", url, "--data", str(seeded), "--port", "0")

    assert isinstance(error, TargetError)
    assert f"no Redis server answers at {tmp_path}/nobody" in str(error)
    assert not (FOLDER / "service" / "service.log").exists()


def test_serve_warns_of_a_redis_server_that_is_not_there(
    command: list[str], seeded: Path, tmp_path: Path
) -> None:
    options = ["--phase", "1", "--redis-url", f"unix://{tmp_path}/nobody", "--port", "0"]
    with subprocess.Popen(
        [*command, "serve", *options, "--data", str(seeded)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(5)]
        process.terminate()
        _, said = process.communicate(timeout=60)

    assert process.returncode == 0
    assert lines[0].startswith("Service at ")
    # wrapped where the path ends a line
    assert " ".join(said.split()).startswith(
        f"Warning: no Redis server answers at {tmp_path}/nobody: "
    )
    assert said.count("Warning: ") == 1
    assert "Traceback" not in said


def test_serve_ends_where_a_request_would_pass_the_sum(seeded: Path) -> None:
    options = ["--phase", "0", "--no-notify", "--port", "0", "--max-cost", "0.00001"]
    with subprocess.Popen(
        [sys.executable, "-m", "perfkit", "serve", *options, "--data", str(seeded)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[2].rstrip(",")
        token = [process.stdout.readline() for _ in range(2)][1].split()[-1]
        headers = {"Authorization": f"Bearer {token}"}
        # the sum is reached by whichever request; then the service goes away
        with suppress(httpx2.TransportError), httpx2.Client(headers=headers, timeout=60) as client:
            while process.poll() is None:
                client.get(f"{url}/api/courses?semester=1")
        errors = process.communicate(timeout=60)[1]

    assert process.returncode == 3
    assert "--max-cost 0.00001 is reached" in errors


def test_the_dead_letters_are_those_of_the_running_service(
    run: Callable[..., Any], seeded: Path, redis_url: str
) -> None:
    """There is no server in the folder: without the service's there would be nobody to ask."""
    started = run("up", "--port", "0", "--data", str(seeded), "--redis-url", redis_url)
    try:
        state = FOLDER / "service" / "state.json"
        mode = state.stat().st_mode & 0o777
        listed = run("worker", "--dead-letters")
    finally:
        run("down")

    assert started.returncode == 0, started.stderr
    assert (listed.returncode, listed.stderr) == (0, "0 dead letters.\n")
    assert mode == 0o600


def test_the_password_of_the_queue_is_kept_nowhere(
    run: Callable[..., Any], seeded: Path, redis_url: str
) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.acl_setuser("me", enabled=True, passwords=["+pass-word"], commands=["+@all"],
                           keys=["*"], channels=["*"])  # fmt: skip
    named = redis_url.replace("unix://", "unix://me:pass-word@")
    started = run("up", "--port", "0", "--data", str(seeded), "--redis-url", named)
    try:
        files = [path for path in FOLDER.rglob("*") if path.is_file()]
        kept = [path for path in files if b"pass-word" in path.read_bytes()]
        refused = run("worker", "--dead-letters")
        listed = run("worker", "--dead-letters", "--redis-url", named)
    finally:
        run("down")
        with redis.Redis.from_url(redis_url) as client:
            client.acl_deluser("me")

    assert started.returncode == 0, started.stderr
    assert (kept, "pass-word" in started.stdout + started.stderr) == ([], False)
    assert refused.returncode != 0
    assert "set PERFKIT_REDIS_URL to the whole URL" in refused.stderr
    assert (listed.returncode, listed.stderr) == (0, "0 dead letters.\n")


def test_serve_says_what_to_do_before_there_are_tables(tmp_path: Path) -> None:
    error = serve_alone("--data", str(tmp_path / "none.sqlite3"))

    assert isinstance(error, TargetError)
    assert "perfkit seed" in str(error)
    assert not (tmp_path / "none.sqlite3").exists()


def test_serve_says_what_to_do_about_empty_tables(tmp_path: Path) -> None:
    from perfkit.dynamodb.tables import create
    from perfkit.workloads.loader import load

    target, workload = Target(data=tmp_path / "empty.sqlite3"), load("courses")
    connection = target.connect()
    create(connection, workload.table("Courses"))
    error = serve_alone("--data", str(target.data))
    for name in ("Enrollments", "Users"):
        create(connection, workload.table(name))
    empty = serve_alone("--data", str(target.data))
    connection.close()

    assert "no table Enrollments, Users" in str(error)
    assert "nothing is in Courses, Enrollments, Users" in str(empty)


def test_serve_says_what_to_do_without_indexes(data: Path) -> None:
    from perfkit.dynamodb import indexes
    from perfkit.workloads.loader import load

    target = Target(data=data)
    indexes.apply(target, indexes.plan(target, load("courses")), indexes.Goal.ABSENT)
    error = serve_alone("--data", str(data), "--phase", "2")

    assert isinstance(error, TargetError)
    assert "CoursesBySemester" in str(error)
    assert "perfkit create-indexes" in str(error)
    assert "--no-indexes" in str(error)


def test_the_service_serves_courses_only(data: Path) -> None:
    example = Path(__file__).parents[2] / "examples" / "shop.toml"
    error = serve_alone("--data", str(data), "--workload", str(example))

    assert isinstance(error, ConfigError)
    assert "the service serves the workload courses" in str(error)


def test_requests_that_the_end_cuts_off_are_no_errors() -> None:
    cut_off, broken = (
        logging.makeLogRecord({"exc_info": (type(each), each, None)})
        for each in (asyncio.CancelledError(), ValueError())
    )

    assert not _is_no_cut_off_request(cut_off)
    assert _is_no_cut_off_request(broken)
    assert _is_no_cut_off_request(logging.makeLogRecord({"msg": "Cancel 2 running task(s)"}))
