"""
The proxy in front of several instances: haproxy or nginx, whichever is on the PATH.

Its configuration is written again for each start, checked by the proxy itself, and readable by
its owner only. haproxy can also move to other instances while it works; nginx is not asked to.
"""

import csv
import io
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from perfkit.errors import TargetError
from perfkit.files import replace_file
from perfkit.processes.http import status_of

__all__ = ["Address", "HaProxy", "Proxy", "find_proxy"]

_MOST_INSTANCES = 16

_HEALTH_PATH = "/healthz"

_SERVERS_PATH = "/usr/local/sbin:/usr/sbin"
"""Where they are on Debian, and not on the PATH of an ordinary user."""

_MOST_SOCKET_PATH_BYTES = 90
"""Linux allows 107, macOS 103, and haproxy keeps ten of these for a name of its own."""

_CHECK_S = 10.0
_WORKS_S = 2.0
_HEALTHY_S = 30.0
_DRAIN_S = 60.0
_POLL_S = 0.05
_COMMAND_S = 5.0

Address = tuple[str, int]
"""Host and port."""

_Rows = Mapping[str, Mapping[str, str]]


class Proxy(Protocol):
    """A proxy that spreads requests over instances."""

    name: str

    @property
    def command(self) -> list[str]:
        """The command line that runs it in the foreground."""

    def configure(self, front: Address, instances: Sequence[Address]) -> None:
        """
        Write the configuration and have it checked.

        Raises:
            TargetError: The proxy refuses it.
        """

    def works(self) -> bool:
        """Tell whether it passes a request on to an instance that is healthy."""

    def close(self) -> None:
        """Remove what it left outside of its folder."""


def find_proxy(folder: Path) -> Proxy | None:
    """
    Return the proxy that is installed, haproxy before nginx; None if neither is.

    Args:
        folder: For its files.
    """
    for name, kind in (("haproxy", HaProxy), ("nginx", _Nginx)):
        path = shutil.which(name) or shutil.which(name, path=_SERVERS_PATH)
        if path is not None:
            return kind(path, folder)
    return None


def _private(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def _have_checked(name: str, command: Sequence[str]) -> None:
    answer = subprocess.run(  # noqa: S603 - the proxy from the PATH, our own file
        command, capture_output=True, text=True, check=False, timeout=_CHECK_S
    )
    if answer.returncode != 0:
        lines = (answer.stderr or answer.stdout).strip().splitlines() or ["it does not say why"]
        # haproxy begins with its version
        why = next((line for line in lines if "[ALERT]" in line), lines[0])
        msg = f"{name} refuses its configuration: {why}"
        raise TargetError(msg)


def _written(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _answers(front: Address) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(front[0], front[0])  # noqa: S104 - not bound to
    url = f"http://{_written((host, front[1]))}{_HEALTH_PATH}"
    return status_of(url, timeout_s=_WORKS_S) == 200


class HaProxy:
    """
    haproxy.

    An instance that does not answer a health check twice is left out, one to which no connection
    can be made at once; what could not be sent is sent to another, and a GET whose answer did not
    come at all is asked again.

    Args:
        path: The program.
        folder: For its files.
    """

    name = "haproxy"

    def __init__(self, path: str, folder: Path) -> None:
        self._path = path
        self._folder = folder
        self._front: Address = ("", 0)
        # twice as many, for new instances beside those that they replace
        self._slots: list[Address | None] = [None] * (2 * _MOST_INSTANCES)
        self._socket = folder / "haproxy.sock"
        self._elsewhere: Path | None = None

    @property
    def _file(self) -> Path:
        return self._folder / "haproxy.cfg"

    @property
    def command(self) -> list[str]:
        return [self._path, "-q", "-db", "-f", str(self._file)]

    def configure(self, front: Address, instances: Sequence[Address]) -> None:
        _private(self._folder)
        if len(os.fsencode(self._socket)) > _MOST_SOCKET_PATH_BYTES:
            self._elsewhere = Path(tempfile.mkdtemp(prefix="perfkit-", dir="/tmp"))
            self._socket = self._elsewhere / "haproxy.sock"
        self._front = front
        self._slots[: len(instances)] = instances
        self._write()
        _have_checked(self.name, [self._path, "-c", "-f", str(self._file)])

    def _write(self) -> None:
        servers = [
            f"    server s{number} {_written(address or ('127.0.0.1', 1))}"
            + ("" if address else " disabled")
            for number, address in enumerate(self._slots)
        ]
        marked_down = "observe layer4 error-limit 1 on-error mark-down"
        lines = [
            "global",
            "    maxconn 4096",
            # as many as the system allows will do
            "    no strict-limits",
            f"    stats socket {self._socket} mode 600 level admin",
            "defaults",
            "    mode http",
            "    timeout connect 1s",
            "    timeout client 75s",
            "    timeout server 60s",
            "    timeout check 5s",
            "    retries 3",
            "    option redispatch 1",
            "    retry-on conn-failure empty-response",
            "frontend front",
            f"    bind {_written(self._front)}",
            "    default_backend instances",
            "backend instances",
            "    balance roundrobin",
            f"    option httpchk GET {_HEALTH_PATH}",
            "    http-check expect status 200",
            # what may have been done is not done again
            "    http-request disable-l7-retry unless METH_GET",
            f"    default-server check inter 1s fall 2 rise 1 {marked_down}",
            *servers,
        ]
        replace_file(self._file, ("\n".join(lines) + "\n").encode(), mode=0o600)

    def works(self) -> bool:
        return _answers(self._front)

    def replace(self, instances: Sequence[Address]) -> None:
        """
        Pass requests on to other instances, and return when the old ones have answered theirs.

        Raises:
            TargetError: A new instance is not healthy, and the old ones go on; or haproxy does
                not answer.
        """
        before = [number for number, address in enumerate(self._slots) if address is not None]
        free = [number for number, address in enumerate(self._slots) if address is None]
        new = dict(zip(free, instances, strict=False))
        try:
            self._take_in(new)
        except BaseException:
            for number in new:
                self._tell(f"set server instances/s{number} state maint")
            raise
        for number in before:
            self._tell(f"set server instances/s{number} state drain")
        self._slots = [new.get(number) for number in range(len(self._slots))]
        # should it be started again, it begins with these
        self._write()
        # a request that is still not answered then is cut off
        self._await(
            lambda rows: not any(int(rows[f"s{number}"]["scur"]) for number in before), _DRAIN_S
        )
        for number in before:
            self._tell(f"set server instances/s{number} state maint")

    def _take_in(self, new: Mapping[int, Address]) -> None:
        for number, (host, port) in new.items():
            self._tell(f"set server instances/s{number} addr {host} port {port}")
            self._tell(f"set server instances/s{number} state ready")
        if not self._await(
            lambda rows: all(rows[f"s{number}"]["status"].startswith("UP") for number in new),
            _HEALTHY_S,
        ):
            msg = f"the new instances are not healthy after {_HEALTHY_S:g} s"
            raise TargetError(msg)

    def _await(self, is_so: Callable[[_Rows], bool], within_s: float) -> bool:
        deadline_s = time.monotonic() + within_s
        while not is_so(self._rows()):
            if time.monotonic() > deadline_s:
                return False
            time.sleep(_POLL_S)
        return True

    def _rows(self) -> _Rows:
        text = self._tell("show stat").removeprefix("# ")
        return {
            row["svname"]: row
            for row in csv.DictReader(io.StringIO(text))
            if row["pxname"] == "instances"
        }

    def _tell(self, command: str) -> str:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(_COMMAND_S)
                connection.connect(str(self._socket))
                connection.sendall(f"{command}\n".encode())
                parts = []
                while part := connection.recv(65536):
                    parts.append(part)
        except OSError as error:
            msg = f"haproxy does not take commands: {error}"
            raise TargetError(msg) from error
        return b"".join(parts).decode()

    def close(self) -> None:
        if self._elsewhere is not None:
            shutil.rmtree(self._elsewhere, ignore_errors=True)


class _Nginx:
    """
    nginx.

    It has no health checks of its own: an instance that refuses is left out for a second, and
    what could not be sent to it, and a GET it did not answer, goes to another.

    Args:
        path: The program.
        folder: For its files.
    """

    name = "nginx"

    def __init__(self, path: str, folder: Path) -> None:
        self._path = path
        self._folder = folder
        self._front: Address = ("", 0)

    @property
    def _arguments(self) -> list[str]:
        log = str(self._folder / "nginx.log")
        return [self._path, "-p", str(self._folder), "-c", "nginx.conf", "-e", log]

    @property
    def command(self) -> list[str]:
        return self._arguments

    def configure(self, front: Address, instances: Sequence[Address]) -> None:
        _private(self._folder)
        self._front = front
        folders = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        lines = [
            "daemon off;",
            "worker_processes 1;",
            "pid nginx.pid;",
            "error_log nginx.log warn;",
            "events { worker_connections 4096; }",
            "http {",
            "    access_log off;",
            *(f"    {name}_temp_path temporary_{name};" for name in folders),
            "    keepalive_timeout 75s;",
            "    keepalive_requests 1000000;",
            "    upstream instances {",
            *(
                f"        server {_written(address)} max_fails=1 fail_timeout=1s;"
                for address in instances
            ),
            "        keepalive 256;",
            "    }",
            "    server {",
            f"        listen {_written(front)};",
            "        location / {",
            "            proxy_pass http://instances;",
            "            proxy_http_version 1.1;",
            '            proxy_set_header Connection "";',
            "            proxy_set_header Host $http_host;",
            "            proxy_connect_timeout 1s;",
            "            proxy_read_timeout 60s;",
            "            proxy_next_upstream error;",
            "        }",
            "    }",
            "}",
        ]
        text = "\n".join(lines) + "\n"
        replace_file(self._folder / "nginx.conf", text.encode(), mode=0o600)
        _have_checked(self.name, [*self._arguments, "-t", "-q"])

    def works(self) -> bool:
        return _answers(self._front)

    def close(self) -> None:
        """There is nothing outside of its folder."""
