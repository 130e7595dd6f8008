"""
A Redis server of one's own: started on a private socket, found again, stopped.

Everything is in `FOLDER/cache/`, which only its owner can enter: the socket, the server's pid,
its log, a lock that keeps two processes from starting two servers, and one that whoever started
it holds as long as it lives. Where the path is too long for a socket, it is in a short temporary
folder and the file `socket-path` says where.
"""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from perfkit.cache import process
from perfkit.cache.address import parse_url, unix_url
from perfkit.errors import TargetError

__all__ = ["Server", "find", "resolve", "start"]

SUBFOLDER = "cache"
SOCKET = "cache.sock"
SOCKET_LINK = "socket-path"
LOG = "cache.log"
PID = "cache.pid"
LOCK = "lock"
OWNER = "owner"

MAX_SOCKET_PATH_BYTES = 100
"""Linux allows 107, macOS 103."""

MAX_MEMORY = "256mb"
"""Beyond it, what was not used for longest is evicted, if it expires at all: queues do not."""

KEPT = ("appendonlydir", "appendonly.aof")
"""What a persistent server writes, from Redis 7 on and before."""


class Server:
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
        held: tuple[int, ...] = (),
    ) -> None:
        self._home = home
        self._held = held
        self.pid = pid
        self.answers = answers
        self.started_here = started_here

    @property
    def url(self) -> str:
        return unix_url(str(_socket_path(self._home)))

    @property
    def has_owner(self) -> bool:
        """Whether the process that started it, and ends it when it ends, is still there."""
        with contextlib.suppress(OSError), (self._home / OWNER).open("rb") as file:
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
        for descriptor in self._held:
            os.close(descriptor)
        self._held = ()


def resolve(redis_url: str | None, folder: Path) -> str:
    """
    Return the URL of the server to use: the one given, else that of the folder's own.

    The folder's own is started if it is not running, and then ends with this process.

    Raises:
        ConfigError: *redis_url* is none.
        TargetError: The folder's own server cannot be started.
    """
    if redis_url is None:
        return start(folder).url
    parse_url(redis_url)
    return redis_url


def start(folder: Path, *, persistent: bool = False, detached: bool = False) -> Server:
    """
    Return the server of *folder*, started unless it is already running.

    Args:
        folder: perfkit's folder; the server's things are in a folder of their own in it.
        persistent: Keep a log of all writes on disk, for queues that must outlive the server.
            Once there is such a log, every later server of the folder reads and continues it.
        detached: Let it go on after this process; else it ends with it, even if that is killed.

    Raises:
        TargetError: There is no server program, it does not start, the folder cannot be
            written, or a server is there that does not answer.
    """
    home = _private(folder.absolute() / SUBFOLDER)
    with _locked(home):
        server = _find(home)
        if server is None:
            return _launch(home, persistent=persistent, detached=detached)
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


def find(folder: Path) -> Server | None:
    """
    Return the server that is running in *folder*, None if there is none.

    Raises:
        TargetError: Something else listens on its socket.
    """
    return _find(folder.absolute() / SUBFOLDER)


def _find(home: Path) -> Server | None:
    path = _socket_path(home)
    try:
        pid = process.pid_at(path)
    except TimeoutError:
        return Server(home, _pid_of_silent(home, path), answers=False)
    except OSError:
        return None
    if pid is None:
        msg = f"{path} is used by something that is no Redis server; stop it or remove the socket"
        raise TargetError(msg)
    return Server(home, pid)


def _keeps_log(path: Path) -> bool:
    """Have a running server keep a log of its writes; return whether it does."""
    with contextlib.suppress(OSError):
        return process.talk(path, "CONFIG SET appendonly yes", r"\+OK") is not None
    return False


def _pid_of_silent(home: Path, path: Path) -> int | None:
    """Return the pid that a server left in its file, if that process is it."""
    try:
        pid = int((home / PID).read_text())
    except (OSError, ValueError):
        return None
    # a server shows its socket in its title, or in its arguments
    return pid if str(path) in process.arguments_of(pid) else None


def _end(server: Server, path: Path) -> None:
    if server.pid is None:
        msg = f"the server at {path} does not answer and its process is unknown; end it by hand"
        raise TargetError(msg)
    process.end(server.pid, path, gently=server.answers)


def _launch(home: Path, *, persistent: bool, detached: bool) -> Server:
    program = process.find_program()
    _clean_up(home)
    # a log that is not read back would be overwritten, and with it what waits in a queue
    persistent = persistent or any((home / name).exists() for name in KEPT)
    path = _make_socket_path(home)
    arguments = [
        *("--port", "0"),
        *("--unixsocket", str(path), "--unixsocketperm", "700"),
        *("--dir", str(home), "--pidfile", str(home / PID), "--logfile", str(home / LOG)),
        *("--save", "", "--appendonly", "yes" if persistent else "no"),
        *("--maxmemory", MAX_MEMORY, "--maxmemory-policy", "volatile-lru"),
    ]
    pid, watch = process.launch(program, arguments, path, home / LOG, watched=not detached)
    # closed with this process, however that ends: the server then ends, and has no owner
    held = () if watch is None else (watch, _own(home))
    return Server(home, pid, started_here=True, held=held)


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
        file = (home / LOCK).open("w")
    except OSError as error:
        raise _unusable(home, error) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _own(home: Path) -> int:
    """Return a descriptor that tells, as long as it is open, that the server has an owner."""
    descriptor = os.open(home / OWNER, os.O_RDWR | os.O_CREAT, 0o600)
    # shared: a server that was ended from outside may have another by the same owner after it
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def _socket_path(home: Path) -> Path:
    try:
        return Path((home / SOCKET_LINK).read_text())
    except OSError:
        return home / SOCKET


def _make_socket_path(home: Path) -> Path:
    path = home / SOCKET
    if len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
        path = Path(tempfile.mkdtemp(prefix="perfkit-", dir="/tmp"), SOCKET)
        (home / SOCKET_LINK).write_text(str(path))
    return path


def _clean_up(home: Path) -> None:
    """Remove what a server left that is no more."""
    path = _socket_path(home)
    for file in (path, home / PID, home / SOCKET_LINK):
        file.unlink(missing_ok=True)
    if path.parent != home:
        with contextlib.suppress(OSError):
            path.parent.rmdir()
