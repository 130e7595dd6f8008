"""A server of one's own: started once, found again, gone when it should be."""

import contextlib
import os
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from perfkit.cache.address import parse_url
from perfkit.errors import TargetError
from perfkit.processes import redis_server as server
from perfkit.processes.redis_server import RedisServer as Server

pytestmark = pytest.mark.processes

TIMEOUT_S = 60.0
"""Generous: the machine may be busy with other things."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder with a short path; whatever runs in it at the end is stopped."""
    path = Path(tempfile.mkdtemp(prefix="pk-"))
    yield path
    with contextlib.suppress(TargetError):
        found = server.find(path)
        if found is not None:
            found.stop()
    shutil.rmtree(path, ignore_errors=True)


def until(condition: Callable[[], bool]) -> bool:
    """Wait for *condition*; return whether it came true."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline_s:
        if condition():
            return True
        time.sleep(0.02)
    return False


def say(found: Server, command: str) -> str:
    """Return the server's answer to one command."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIMEOUT_S)
        connection.connect(parse_url(found.url).path)
        connection.sendall(f"{command}\r\n".encode())
        return connection.recv(65536).decode()


def python(folder: Path, code: str) -> "subprocess.Popen[str]":
    """Run *code* in a process of its own, with `folder` and `server` at hand."""
    start = "import sys, time; from pathlib import Path; from perfkit.processes import redis_server as server;"
    return subprocess.Popen(
        [sys.executable, "-c", f"{start} folder = Path(sys.argv[1]);\n{code}", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def line_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def programs() -> list[str]:
    """Return the kinds of server that can be tested here."""
    return [name for name in ("redis-server", "valkey-server") if shutil.which(name)] + ["wheel"]


@pytest.fixture(params=programs())
def program(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let only one kind of server be found."""
    which = shutil.which
    monkeypatch.setattr(
        shutil, "which", lambda name: which(name) if name == request.param else None
    )
    return str(request.param)


# ---- start, find, stop -------------------------------------------------------------------


def test_a_server_starts_answers_and_stops(folder: Path, program: str) -> None:
    started = server.start(folder)

    assert started.started_here
    assert say(started, "PING") == "+PONG\r\n"
    started.stop()
    assert server.find(folder) is None
    left = {file.name for file in (folder / "cache").iterdir()}
    assert left == {"lock", "owner", "cache.log"}, program


def test_nobody_else_gets_at_it(folder: Path) -> None:
    started = server.start(folder)

    assert stat.S_IMODE((folder / "cache").stat().st_mode) == 0o700
    assert stat.S_IMODE(Path(parse_url(started.url).path).stat().st_mode) == 0o700
    assert "tcp_port:0" in say(started, "INFO server")


def test_a_running_one_is_used_again(folder: Path) -> None:
    first = server.start(folder)

    second = server.start(folder)

    assert (second.url, second.pid) == (first.url, first.pid)
    assert not second.started_here
    found = server.find(folder)
    assert found is not None
    assert (found.pid, found.answers) == (first.pid, True)


def test_whoever_stops_it_stops_it_for_all(folder: Path) -> None:
    first = server.start(folder)
    other = server.find(folder)
    assert other is not None

    other.stop()
    first.stop()
    first.stop()

    assert server.find(folder) is None


def test_nothing_is_found_where_nothing_is(folder: Path) -> None:
    assert server.find(folder) is None
    assert server.find(folder / "missing") is None


def test_it_starts_again_after_it_was_killed(folder: Path) -> None:
    """The socket and the pid file of the dead one are in the way, and no more than that."""
    first = server.start(folder)
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    assert until(lambda: server.find(folder) is None)
    assert (folder / "cache" / "cache.sock").exists()

    second = server.start(folder)

    assert second.started_here
    assert second.pid != first.pid
    assert say(second, "PING") == "+PONG\r\n"


def test_a_pid_file_of_a_stranger_is_no_danger(folder: Path) -> None:
    home = folder / "cache"
    home.mkdir()
    (home / "cache.pid").write_text(str(os.getpid()))

    server.start(folder).stop()

    assert not (home / "cache.pid").exists()


def test_nothing_but_the_cache_is_lost_with_it(folder: Path, program: str) -> None:
    """A queue must survive: what a persistent server was told is there after a kill."""
    first = server.start(folder, persistent=True)
    assert say(first, "SET message hello") == "+OK\r\n"
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    assert until(lambda: server.find(folder) is None)

    # the log on disk is read even by one who did not ask for it
    second = server.start(folder)

    assert say(second, "GET message") == "$5\r\nhello\r\n", program
    assert say(second, "CONFIG GET appendonly").split()[-1] == "yes"
    second.stop()


def test_a_running_one_can_become_persistent(folder: Path) -> None:
    server.start(folder)

    again = server.start(folder, persistent=True)

    assert say(again, "CONFIG GET appendonly").split()[-1] == "yes"
    again.stop()
    assert (folder / "cache" / "appendonlydir").exists()


def test_it_writes_nothing_to_disk_unless_asked(folder: Path) -> None:
    started = server.start(folder)

    assert say(started, "CONFIG GET save") == "*2\r\n$4\r\nsave\r\n$0\r\n\r\n"
    assert say(started, "CONFIG GET appendonly").split()[-1] == "no"
    assert say(started, "CONFIG GET maxmemory-policy").split()[-1] == "volatile-lru"


def test_a_long_path_gets_a_short_socket(folder: Path) -> None:
    deep = folder / ("x" * 60) / ("y" * 60)

    started = server.start(deep)

    path = Path(parse_url(started.url).path)
    found = server.find(deep)
    try:
        assert len(os.fsencode(path)) <= server._MAX_SOCKET_PATH_BYTES
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert found is not None
        assert found.url == started.url
    finally:
        started.stop()
    assert not path.parent.exists()
    assert server.find(deep) is None


def test_a_folder_with_odd_letters_will_do(folder: Path) -> None:
    started = server.start(folder / "a b%ä'\"$x")

    assert say(started, "PING") == "+PONG\r\n"
    started.stop()


# ---- several processes -------------------------------------------------------------------


def test_processes_that_start_at_once_share_one(folder: Path) -> None:
    code = "s = server.start(folder); print(s.pid, s.started_here, flush=True); sys.stdin.read()"
    processes = [python(folder, code) for _ in range(4)]
    try:
        said = [line_of(process).split() for process in processes]

        assert len({pid for pid, _ in said}) == 1
        assert sorted(here for _, here in said) == ["False", "False", "False", "True"]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@pytest.mark.parametrize("end", ["sys.exit()", "import os; os.kill(os.getpid(), 9)"])
def test_it_ends_with_its_starter(folder: Path, end: str) -> None:
    code = f"print(server.start(folder).pid, flush=True); {end}"
    with python(folder, code) as process:
        assert int(line_of(process)) > 0

    assert until(lambda: server.find(folder) is None)


def test_it_ends_even_if_it_hangs(folder: Path) -> None:
    with python(folder, "print(server.start(folder).pid, flush=True); time.sleep(60)") as process:
        pid = int(line_of(process))
        os.kill(pid, signal.SIGSTOP)
        process.kill()

    try:
        assert until(lambda: server.find(folder) is None)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def test_a_thread_that_ends_takes_nothing_along(folder: Path) -> None:
    thread = threading.Thread(target=server.start, args=(folder,))
    thread.start()
    thread.join()

    time.sleep(0.3)

    assert server.find(folder) is not None


def test_a_starter_may_have_thousands_of_files_open(folder: Path) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < 4096:
        pytest.skip(f"a process may have {most} files open here")
    code = (
        "import os, resource\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, (4096, {most}))\n"
        "kept = [os.open(os.devnull, os.O_RDONLY) for _ in range(1500)]\n"
        "print(server.start(folder).pid, flush=True); input()"
    )
    with python(folder, code) as process:
        assert line_of(process).isdigit()
        assert server.find(folder) is not None

        process.communicate("\n")

    assert until(lambda: server.find(folder) is None)


def test_it_ends_even_if_its_guard_is_killed(folder: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux tells a process that its parent is gone")
    started = server.start(folder)
    assert started.pid is not None
    guard = psutil.Process(started.pid).parent()
    assert guard is not None
    guard.kill()

    assert until(lambda: server.find(folder) is None)


# ---- what goes wrong ---------------------------------------------------------------------


def test_without_a_program_the_ways_out_are_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(server, "find_spec", lambda _: None)

    with pytest.raises(TargetError, match=r"install one of them, or name .* --redis-url"):
        server.start(folder)


def test_a_program_that_fails_is_quoted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = folder / "redis-server"
    bad.write_text("#!/bin/sh\necho out of luck\nexit 3\n")
    bad.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda _: str(bad))

    with pytest.raises(TargetError, match=r"did not start: out of luck; see .*cache\.log"):
        server.start(folder)


def test_the_log_tells_why_it_failed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_MAX_MEMORY", "nonsense")

    with pytest.raises(TargetError, match=r"did not start: .*memory"):
        server.start(folder)


def test_a_folder_that_cannot_be_made_is_named(folder: Path) -> None:
    (folder / "file").touch()

    with pytest.raises(TargetError, match=r"no cache server can be kept in .*/file/cache: Not a"):
        server.start(folder / "file")


@pytest.mark.skipif(not os.access("/proc", os.F_OK), reason="needs a folder nobody can write")
def test_a_folder_that_cannot_be_written_is_named() -> None:
    with pytest.raises(TargetError, match="make the folder writable, or name a server"):
        server.start(Path("/proc/sys"))


def test_a_hanging_one_is_reported_and_can_be_stopped(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_ANSWER_S", 0.5)
    started = server.start(folder)
    assert started.pid is not None
    os.kill(started.pid, signal.SIGSTOP)

    with pytest.raises(TargetError, match=rf"process {started.pid}\) does not answer"):
        server.start(folder)

    found = server.find(folder)
    assert found is not None
    assert (found.answers, found.pid) == (False, started.pid)
    found.stop()
    assert server.find(folder) is None


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+OK\r\n", b""])
def test_a_stranger_on_the_socket_is_left_alone(folder: Path, answer: bytes) -> None:
    path = folder / "cache" / "cache.sock"
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(path))
        stranger.listen()

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with stranger.accept()[0] as connection:
                        connection.recv(100)
                        connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with pytest.raises(TargetError, match="used by something that is no Redis server"):
            server.start(folder)
        stranger.shutdown(socket.SHUT_RDWR)
        thread.join(TIMEOUT_S)


# ---- kept running ------------------------------------------------------------------------


@pytest.fixture
def kept(folder: Path) -> Iterator[threading.Event]:
    """Keep the folder's server running until the test is over."""
    stop = threading.Event()
    keeping = threading.Thread(target=server.keep, args=(folder, stop), kwargs={"persistent": True})
    keeping.start()
    yield stop
    stop.set()
    keeping.join()


def kill(folder: Path) -> int:
    found = server.find(folder)
    assert found is not None
    assert found.pid is not None
    os.kill(found.pid, signal.SIGKILL)
    return found.pid


def test_a_server_that_dies_is_replaced(folder: Path, kept: threading.Event) -> None:
    assert not kept.is_set()
    assert until(lambda: server.find(folder) is not None)
    killed = kill(folder)

    def is_replaced() -> bool:
        found = server.find(folder)
        return found is not None and found.pid not in {killed, None}

    assert until(is_replaced)


def test_one_that_does_not_start_is_tried_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As when it is killed while it starts, or the disk is full: later it works again."""
    monkeypatch.setattr(server, "_KEEP_S", 0.05)
    monkeypatch.setattr(server, "_MAX_MEMORY", "nonsense")
    stop = threading.Event()
    keeping = threading.Thread(target=server.keep, args=(folder, stop))
    keeping.start()
    try:
        assert until(lambda: caplog.text.count("did not start") >= 2)
        pauses = [
            record.args[1]
            for record in caplog.records
            if isinstance(record.args, tuple) and len(record.args) == 2
        ]
        monkeypatch.setattr(server, "_MAX_MEMORY", "64mb")

        assert until(lambda: server.find(folder) is not None)
    finally:
        stop.set()
        keeping.join()
    assert pauses[:2] == [0.1, 0.2]


def damage_commands(log: Path) -> None:
    (file,) = log.glob("*.incr.aof")
    content = file.read_bytes()
    file.write_bytes(content[:30] + b"no protocol of Redis" + content[50:])


def damage_list(log: Path) -> None:
    (file,) = log.glob("*.manifest")
    file.write_text("nonsense\n")


def lose_a_part(log: Path) -> None:
    next(log.glob("*.base.rdb")).unlink()


@pytest.mark.parametrize("damage", [damage_commands, damage_list, lose_a_part])
def test_a_damaged_log_of_writes_is_set_aside_with_a_word(
    folder: Path, program: str, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    first = server.start(folder, persistent=True)
    for number in range(20):
        say(first, f"SET message{number} hello")
    first.stop()
    log = folder / "cache" / "appendonlydir"
    damage(log)

    second = server.start(folder, persistent=True)

    assert say(second, "GET message1") == "$-1\r\n", program
    (kept,) = (folder / "cache").glob("appendonlydir.damaged-*")
    assert f"is set aside in {kept}" in caplog.text
    second.stop()


def test_a_log_of_writes_that_was_cut_short_is_read_up_to_there(folder: Path) -> None:
    first = server.start(folder, persistent=True)
    for number in range(20):
        say(first, f"SET message{number} hello")
    first.stop()
    (file,) = (folder / "cache" / "appendonlydir").glob("*.incr.aof")
    file.write_bytes(file.read_bytes()[:-5])

    second = server.start(folder)

    assert say(second, "GET message1") == "$5\r\nhello\r\n"
    second.stop()
