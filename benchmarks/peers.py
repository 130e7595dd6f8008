"""The engines to compare: which are here, how each is started and stopped, what is missing."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path

from benchmarks.measuring import perfkit_command
from perfkit.errors import TargetError

__all__ = ["Contender", "Reach", "contenders"]

_CHECKOUT = Path(__file__).parents[1]
_STARTS_WITHIN_S = 30.0


class Reach(StrEnum):
    """How a client reaches an engine."""

    EMBEDDED = "embedded"
    CANNED = "canned"
    MOTO = "moto"
    HTTP = "http"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """
    One engine, running.

    Args:
        version: With what is worth knowing about how it runs.
        place: Data file or URL; nothing for moto.
        is_peer: Whether perfkit's figures are held against it.
        prefix: One character that begins the keys of what it writes.
    """

    name: str
    version: str
    reach: Reach
    place: str
    is_peer: bool
    prefix: str


@contextmanager
def contenders(folder: Path) -> Iterator[tuple[list[Contender], list[str]]]:
    """
    Start everything that is here; stop it at the end.

    Args:
        folder: For perfkit's data file and for what servers print.

    Returns:
        The engines, and sentences about those that are missing.
    """
    data = str(folder / "engines.sqlite3")
    perfkit = metadata.version("perfkit")
    boto3 = metadata.version("boto3")
    missing: list[str] = []
    with ExitStack() as stack:
        found = [
            Contender(
                name="boto3 alone",
                version=f"{boto3} with recorded answers",
                reach=Reach.CANNED,
                place=data,
                is_peer=False,
                prefix="B",
            ),
            Contender(
                name="perfkit",
                version=f"{perfkit} in process, on a file",
                reach=Reach.EMBEDDED,
                place=data,
                is_peer=False,
                prefix="P",
            ),
            Contender(
                name="perfkit HTTP",
                version=f"{perfkit}, one `perfkit dynamodb` on the same file",
                reach=Reach.HTTP,
                place=stack.enter_context(_perfkit_server(data, folder)),
                is_peer=False,
                prefix="H",
            ),
            Contender(
                name="moto",
                version=f"{metadata.version('moto')} in process, in memory",
                reach=Reach.MOTO,
                place="",
                is_peer=True,
                prefix="M",
            ),
        ]
        for start in (_dynalite, _ministack, *_local_jar()):
            try:
                found.append(stack.enter_context(start(folder)))
            except TargetError as error:
                missing.append(str(error))
        yield found, missing


@contextmanager
def _server(
    command: list[str], log: Path, settings: Mapping[str, str] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            env={**os.environ, **(settings or {})},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(process: "subprocess.Popen[bytes]", log: Path, sign: str) -> str:
    """Return the first line with *sign* that a server prints once it is up."""
    deadline_s = time.monotonic() + _STARTS_WITHIN_S
    while time.monotonic() < deadline_s:
        for line in log.read_text(errors="replace").splitlines():
            if sign in line:
                return line
        if process.poll() is not None:
            break
        time.sleep(0.05)
    last = " ".join(log.read_text(errors="replace").split()[-12:])
    msg = f"{Path(process.args[0]).name} did not start: {last}"  # type: ignore[index, arg-type]
    raise TargetError(msg)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def _perfkit_server(data: str, folder: Path) -> Iterator[str]:
    log = folder / "perfkit.log"
    with _server([*perfkit_command(), "dynamodb", "--port", "0", "--data", data], log) as process:
        line = _wait_for(process, log, "DynamoDB at ")
        yield line.removeprefix("DynamoDB at ").split()[0]


@contextmanager
def _dynalite(folder: Path) -> Iterator[Contender]:
    node, script = shutil.which("node"), _CHECKOUT / "node_modules" / "dynalite" / "cli.js"
    if node is None or not script.exists():
        what = "node" if node is None else "its npm package"
        msg = f"dynalite is missing ({what}): `make stand-ins` installs it"
        raise TargetError(msg)
    version = json.loads(script.with_name("package.json").read_text())["version"]
    port, log = _free_port(), folder / "dynalite.log"
    command = [node, str(script), "--host", "127.0.0.1", "--port", str(port), "--createTableMs=0"]
    with _server(command, log) as process:
        _wait_for(process, log, "listening at")
        yield Contender(
            name="dynalite",
            version=f"{version} over HTTP, in memory",
            reach=Reach.HTTP,
            place=f"http://127.0.0.1:{port}",
            is_peer=True,
            prefix="D",
        )


@contextmanager
def _ministack(folder: Path) -> Iterator[Contender]:
    # in an environment of its own, because it pins an older botocore than boto3 needs here
    script = Path(sys.prefix) / "ministack" / "bin" / "ministack"
    if not script.exists():
        msg = "ministack is missing: `make stand-ins` installs it"
        raise TargetError(msg)
    version = "from importlib import metadata; print(metadata.version('ministack'))"
    asked = [str(script.with_name("python")), "-c", version]
    found = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    port, log = _free_port(), folder / "ministack.log"
    # by itself it listens on all interfaces
    settings = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "SERVICES": "dynamodb"}
    with _server([str(script)], log, settings) as process:
        _wait_for(process, log, "Running on http://127.0.0.1")
        yield Contender(
            name="ministack",
            version=f"{found} over HTTP, in memory",
            reach=Reach.HTTP,
            place=f"http://127.0.0.1:{port}",
            is_peer=True,
            prefix="S",
        )


def _local_jar() -> Iterator[Callable[[Path], AbstractContextManager[Contender]]]:
    """Yield DynamoDB Local if a jar of it is named; nothing here installs or looks for one."""
    if os.environ.get("DYNAMODB_LOCAL_JAR"):
        yield _dynamodb_local


@contextmanager
def _dynamodb_local(folder: Path) -> Iterator[Contender]:
    java = shutil.which("java")
    jar = Path(os.environ["DYNAMODB_LOCAL_JAR"])
    if java is None or not jar.exists():
        what = "java" if java is None else str(jar)
        msg = f"DynamoDB Local is missing ({what})"
        raise TargetError(msg)
    libraries = jar.with_name("DynamoDBLocal_lib")
    port, log = _free_port(), folder / "dynamodb-local.log"
    command = [java, f"-Djava.library.path={libraries}", "-jar", str(jar), "-inMemory"]
    with _server([*command, "-port", str(port)], log) as process:
        version = _wait_for(process, log, "Version:").split()[-1]
        yield Contender(
            name="DynamoDB Local",
            version=f"{version} over HTTP, in memory",
            reach=Reach.HTTP,
            place=f"http://127.0.0.1:{port}",
            is_peer=True,
            prefix="L",
        )
