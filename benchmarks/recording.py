"""What recording adds: to an application's requests, and what a recorder can take at all."""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import boto3
import psutil
from botocore.config import Config

from benchmarks.measuring import interleave, perfkit_command
from benchmarks.section import Aim, Section, Table
from benchmarks.wrk import Load, Wrk
from perfkit.traffic import attach
from perfkit.traffic.trace import read_trace
from perfkit.units import format_bytes, format_duration, format_seconds

__all__ = ["compare"]

_DIRECT, _PROXY, _ATTACHED = "without", "perfkit record", "attach"
_ITEMS = 1_200
_PARTITION = 50
_AT_ONCE = 16
_CLIENTS = 8
_RATE_HZ = 200
_DAY_S = 86_400

_ASK = """
wrk.method = "POST"
wrk.body = '{"TableName":"T","Key":{"pk":{"S":"1"}}}'
wrk.headers["X-Amz-Target"] = "DynamoDB_20120810.GetItem"
wrk.headers["Content-Type"] = "application/x-amz-json-1.0"
"""


@dataclass(frozen=True, slots=True)
class _Capacity:
    """
    What a recorder took of requests that are answered at once.

    Args:
        added_s: Added to the median of one connection, by turns with the stub alone.
        rate_hz: Requests a second over several connections.
        cpu_s: Processor time of the recorder for one request.
    """

    added_s: float
    rate_hz: float
    cpu_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Steady:
    """
    What a recorder takes in the long run.

    Args:
        requests: How many were recorded.
        trace_bytes: Size of the trace.
        memory_bytes: Resident memory of the recorder at the end.
        growth_bytes_s: What that grew by each second of the second half.
    """

    requests: int
    trace_bytes: int
    memory_bytes: int
    growth_bytes_s: float

    @property
    def trace_bytes_a_day(self) -> float:
        """Size of a day's trace at the same rate, all details kept."""
        return self.trace_bytes / self.requests * _RATE_HZ * _DAY_S

    @property
    def memory_bytes_a_day(self) -> float:
        """Resident memory after a day of the same growth."""
        return self.memory_bytes + self.growth_bytes_s * _DAY_S


def compare(*, quick: bool) -> Section:
    """Measure requests with and without a recorder, in turns, and the recorder by itself."""
    rounds, calls, seconds, long_s = (3, 20, 1, 4) if quick else (9, 100, 3, 600)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        command = ["dynamodb", "--port", "0", "--data", str(folder / "data")]
        url = stack.enter_context(_running([*perfkit_command(), *command], folder))
        _fill(url)
        measured = _asked(stack, url, folder, rounds, calls)
        steady = _steadily(url, folder, long_s)
        capacity = _capacity(stack, folder, rounds, seconds)
    rows = [
        [
            f"{case}, {way}",
            *(format_seconds(each) for each in (load.p50_s, load.p99_s)),
            f"{load.rate_hz:,.0f}",
            "" if way == _DIRECT else format_seconds(load.p50_s - found[_DIRECT].p50_s),
        ]
        for case, found in measured.items()
        for way, load in found.items()
    ]
    own = [
        ["requests/s, 16 connections", f"{capacity.rate_hz:,.0f}"],
        ["added to the median, 1 connection", format_seconds(capacity.added_s)],
        ["processor time a request", format_seconds(capacity.cpu_s)],
    ]
    minutes = f"{format_duration(long_s)} at {_RATE_HZ} requests/s"
    long = [
        ["trace", *map(format_bytes, (steady.trace_bytes, round(steady.trace_bytes_a_day)))],
        ["memory", *map(format_bytes, (steady.memory_bytes, round(steady.memory_bytes_a_day)))],
    ]
    return Section(
        title="Recording",
        method=(
            "One boto3 client, requests one after another, against `perfkit dynamodb`: directly,"
            " through `perfkit record`, and directly with `perfkit.traffic.attach`;"
            f" {rounds} interleaved turns of {calls} requests.\n"
            "The recorder by itself: wrk against a stub that answers at once, directly and through"
            f" `perfkit record`, {rounds} interleaved turns of {seconds} s.\n"
            f"In the long run: {_RATE_HZ} requests a second of 8 clients for {long_s} s, seven"
            " GetItems to two queries of 50 and a PutItem. A day is modelled: the trace by its size"
            " for a request, without --max-size; memory by what it grew in the second half."
        ),
        tables=[
            Table(["", "p50", "p99", "requests/s", "added to p50"], rows),
            Table(["the recorder by itself", ""], own),
            Table([f"{steady.requests:,} requests", minutes, "a day"], long),
        ],
        aims=[
            Aim.at_least("requests through a recorder on one core", capacity.rate_hz, 1500, "/s"),
            Aim.at_most("added at the median", capacity.added_s * 1e3, 1, " ms"),
        ],
    )


def _asked(
    stack: ExitStack, url: str, folder: Path, rounds: int, calls: int
) -> dict[str, dict[str, Load]]:
    """Return, by question, what requests took in each way."""
    recorder = stack.enter_context(_recorder(url, folder / "asked.trace", folder))
    direct, proxied, attached = _client(url), _client(recorder), _client(url)
    stack.enter_context(attach(attached, folder / "attached.trace"))
    clients = {_DIRECT: direct, _PROXY: proxied, _ATTACHED: attached}
    questions: dict[str, Callable[[Any], object]] = {
        "GetItem": lambda client: client.get_item(TableName="things", Key=_key(7)),
        "query of 50": lambda client: client.query(
            TableName="things",
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": "p3"}},
        ),
        "1 MB scan page": lambda client: client.scan(TableName="things"),
    }
    return {
        name: {
            way: Load.of(found_s, sum(found_s))
            for way, found_s in interleave(
                {way: _timed(ask, client, calls) for way, client in clients.items()},
                rounds=rounds,
            ).items()
        }
        for name, ask in questions.items()
    }


def _timed(ask: Callable[[Any], object], client: Any, calls: int) -> Callable[[], Sequence[float]]:
    def measure() -> Sequence[float]:
        found = []
        for _ in range(calls):
            begun_s = time.perf_counter()
            ask(client)
            found.append(time.perf_counter() - begun_s)
        return found

    return measure


def _key(number: int) -> dict[str, Any]:
    return {"pk": {"S": f"p{number // _PARTITION}"}, "sk": {"S": f"{number:05}"}}


def _fill(url: str) -> None:
    client = _client(url)
    client.create_table(
        TableName="things",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")
        ],
    )
    for start in range(0, _ITEMS, 25):
        puts = [
            {"PutRequest": {"Item": _key(number) | {"text": {"S": "x" * 980}}}}
            for number in range(start, start + 25)
        ]
        client.batch_write_item(RequestItems={"things": puts})


def _client(url: str) -> Any:
    return boto3.client(
        "dynamodb",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=Config(retries={"total_max_attempts": 1}),
    )


def _capacity(stack: ExitStack, folder: Path, rounds: int, seconds: int) -> _Capacity:
    root = Path(__file__).parent.parent
    stub = stack.enter_context(_running([sys.executable, "-m", "benchmarks.stub"], root))
    trace = folder / "stub.trace"
    with _recorder(stub, trace, folder) as url:
        process = _process_of(url)
        one = Wrk(folder, "none", 1, request=_ASK)
        many = Wrk(folder, "none", _AT_ONCE, request=_ASK)
        turns = interleave(
            {place: partial(_median, one, place, seconds) for place in (stub, url)}, rounds=rounds
        )
        begun_s, requests = sum(process.cpu_times()[:2]), 0
        rates = []
        for _ in range(rounds):
            load = many.ask(url, seconds)
            rates.append(load.rate_hz)
            requests += load.requests
        cpu_s = (sum(process.cpu_times()[:2]) - begun_s) / requests
    return _Capacity(
        added_s=median(
            ours_s - alone_s for alone_s, ours_s in zip(turns[stub], turns[url], strict=True)
        ),
        rate_hz=median(rates),
        cpu_s=cpu_s,
    )


def _steadily(target: str, folder: Path, seconds: int) -> _Steady:
    """Record requests at a steady rate, and look at trace and memory."""
    trace = folder / "long.trace"
    with _recorder(target, trace, folder) as url:
        process = _process_of(url)
        asyncio.run(_ask(url, range(seconds // 2 * _RATE_HZ)))
        half_bytes = process.memory_info().rss
        asyncio.run(_ask(url, range(seconds // 2 * _RATE_HZ)))
        memory_bytes = process.memory_info().rss
    return _Steady(
        requests=read_trace(trace).requests,
        trace_bytes=trace.stat().st_size,
        memory_bytes=memory_bytes,
        growth_bytes_s=(memory_bytes - half_bytes) / (seconds / 2),
    )


async def _ask(url: str, numbers: range) -> None:
    """Send requests when they are due, each client one after another."""
    begun_s = time.monotonic()

    async def client(session: aiohttp.ClientSession, own: range) -> None:
        for number in own:
            await asyncio.sleep(begun_s + number / _RATE_HZ - time.monotonic())
            operation, request = _request(number)
            headers = {"X-Amz-Target": f"DynamoDB_20120810.{operation}"}
            async with session.post(url, json=request, headers=headers) as answer:
                answer.raise_for_status()
                await answer.read()

    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        for first in range(_CLIENTS):
            group.create_task(client(session, numbers[first::_CLIENTS]))


def _request(number: int) -> tuple[str, dict[str, Any]]:
    key = _key(number * 7919 % _ITEMS)
    match number % 10:
        case 0:
            return "PutItem", {"TableName": "things", "Item": key | {"text": {"S": "x" * 980}}}
        case 1 | 2:
            asked = {"TableName": "things", "KeyConditionExpression": "pk = :pk"}
            return "Query", asked | {"ExpressionAttributeValues": {":pk": key["pk"]}}
        case _:
            return "GetItem", {"TableName": "things", "Key": key}


def _median(wrk: Wrk, url: str, seconds: int) -> list[float]:
    return [wrk.ask(url, seconds).p50_s]


def _process_of(url: str) -> psutil.Process:
    port = int(url.rpartition(":")[2])
    for each in psutil.Process().children(recursive=True):
        if any(one.laddr.port == port for one in each.net_connections("tcp")):
            return each
    msg = f"no process listens on {url}"
    raise RuntimeError(msg)


@contextmanager
def _recorder(target: str, trace: Path, folder: Path) -> Iterator[str]:
    command = ["record", "--target", target, "--port", "0", "--output", str(trace)]
    with _running([*perfkit_command(), *command], folder, marker="AWS_ENDPOINT_URL") as url:
        yield url


@contextmanager
def _running(command: Sequence[str], folder: Path, marker: str = "http://") -> Iterator[str]:
    """Run a server, and give the address it prints."""
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = next(line for line in process.stdout if marker in line)
            yield "http://" + line.partition("http://")[2].split()[0]
        finally:
            process.terminate()
            process.wait()
