"""
Limits on what a command consumes: rates and a sum of money, held over all its threads and processes.

What was consumed is kept in a small file that every process of the command maps: each call is
entered before it is sent, at what calls of its operation took so far, and corrected by the
ConsumedCapacity of its answer. Without a limit there is no file and nothing is attached to a
client.
"""

import fcntl
import mmap
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any

from perfkit.dynamodb.connection import Connection
from perfkit.dynamodb.errors import THROTTLES, is_transient
from perfkit.embedded.errors import DynamoDBError
from perfkit.errors import ConfigError, LimitReachedError, TargetError
from perfkit.files import TemporaryFolder
from perfkit.measure.clock import RealClock
from perfkit.units import format_quantity

__all__ = [
    "Consumed",
    "Limits",
    "Meter",
    "MeteredConnection",
    "PacedClock",
    "attach",
    "meter_of",
    "waiting_by",
]

_READS = frozenset({"BatchGetItem", "GetItem", "Query", "Scan", "TransactGetItems"})
_WRITES = frozenset({"BatchWriteItem", "DeleteItem", "PutItem", "TransactWriteItems", "UpdateItem"})

_FIELDS = (
    "read_units",
    "write_units",
    # moments on the machine's monotonic clock, which all processes share
    "read_free_at_s",
    "write_free_at_s",
    "expected_usd",
    "calls",
    "throttled",
    "failed",
    "stopped",
    # the most that a call of an operation took, whichever process sent it
    *sorted(_READS | _WRITES),
)
_LAYOUT = struct.Struct(f"{len(_FIELDS)}d")

_PREFIX = "perfkit-limits-"

_MADE_UP_S = 1.0
"""So much of unused time is made up for: without it a slow machine stays below the rate."""


_PAUSE: ContextVar[Callable[[float], None] | None] = ContextVar(
    "perfkit-limits-pause", default=None
)


@contextmanager
def waiting_by(pause: Callable[[float], None]) -> Iterator[None]:
    """
    Let calls of this thread wait for their turn by *pause*, which may raise to end them.

    An interrupt reaches the main thread of one process only, and at a low rate a turn is minutes
    away.
    """
    token = _PAUSE.set(pause)
    try:
        yield
    finally:
        _PAUSE.reset(token)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    What a command may consume.

    Args:
        max_rcu: Read units a second; None for no limit.
        max_wcu: Write units a second; None for no limit.
        max_cost_usd: What all units together may cost; None for no limit.
        read_unit_usd: What a read unit costs.
        write_unit_usd: What a write unit costs.
        price: Whose prices these are, for messages.
        file: What the processes of the command share.
    """

    max_rcu: float | None = None
    max_wcu: float | None = None
    max_cost_usd: float | None = None
    read_unit_usd: float
    write_unit_usd: float
    price: str
    file: Path

    @classmethod
    def start(
        cls,
        *,
        max_rcu: float | None = None,
        max_wcu: float | None = None,
        max_cost_usd: float | None = None,
        read_unit_usd: float,
        write_unit_usd: float,
        price: str,
    ) -> "Limits":
        """
        Return limits of which nothing is consumed yet; their file goes when this process ends.

        If it is killed the file goes when the next one is made.

        Raises:
            ConfigError: A limit is not a number above 0.
        """
        for option, value in (("--max-rcu", max_rcu), ("--max-wcu", max_wcu)):
            if value is not None and not (isfinite(value) and value > 0):
                msg = f"{option} must be above 0 units a second, got {value:g}"
                raise ConfigError(msg)
        if max_cost_usd is not None and not (isfinite(max_cost_usd) and max_cost_usd >= 0):
            msg = f"--max-cost must be at least 0 dollars, got {max_cost_usd:g}"
            raise ConfigError(msg)
        file = TemporaryFolder(_PREFIX).path / "consumed"
        file.write_bytes(_LAYOUT.pack(*(0.0 for _ in _FIELDS)))
        return cls(
            max_rcu=max_rcu,
            max_wcu=max_wcu,
            max_cost_usd=max_cost_usd,
            read_unit_usd=read_unit_usd,
            write_unit_usd=write_unit_usd,
            price=price,
            file=file,
        )

    @property
    def rates(self) -> str:
        """The rates as a person reads them, e.g. `100 RCU/s`; empty if there is none."""
        given = ((self.max_rcu, "RCU/s"), (self.max_wcu, "WCU/s"))
        return " and ".join(f"{value:g} {unit}" for value, unit in given if value is not None)

    def cost_usd(self, read_units: float, write_units: float) -> float:
        """Return what units cost."""
        return read_units * self.read_unit_usd + write_units * self.write_unit_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumed:
    """What all calls of a command took so far."""

    read_units: float
    write_units: float
    cost_usd: float
    calls: int
    throttled: int
    failed: int


class Meter:
    """
    Holds one process to the limits that its command has in all its processes.

    A call gets its turn when those before are paid off at the rate. Of time that was left unused,
    because the machine or the target was slow, up to a second is made up for; so over any stretch
    of time no more is consumed than at the rate in this time and a second, and one call. A call that
    would pass the sum of money, as far as earlier ones of its operation tell, is not sent. Before
    an operation is known, each thread of each process may have a call of it under way.

    Args:
        limits: The limits.
        clock: Seconds that only grow, the same in all processes.
        pause: Sleeps.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._pause = pause
        self._open = threading.local()
        self._lock = threading.Lock()
        # open as long as the process lives
        self._file = os.open(limits.file, os.O_RDWR | os.O_CLOEXEC)
        self._map = mmap.mmap(self._file, _LAYOUT.size)
        self._waiting = self._flying = 0
        self._idle_s = 0.0
        self._turned_s = time.perf_counter()

    # -- one call

    def allow(self, operation: str) -> None:
        """
        Wait until a call may be sent, and enter it.

        Raises:
            LimitReachedError: It would pass --max-cost.
        """
        if operation not in _READS and operation not in _WRITES:
            return
        limits = self._limits
        with self._ledger() as ledger:
            expected = ledger[operation]
            reads, writes = _split(operation, expected)
            expected_usd = limits.cost_usd(reads, writes)
            if limits.max_cost_usd is not None:
                spent_usd = limits.cost_usd(ledger["read_units"], ledger["write_units"])
                due_usd = spent_usd + ledger["expected_usd"] + expected_usd
                # what ended one process of a command ends all
                if ledger["stopped"] or due_usd >= limits.max_cost_usd:
                    ledger["stopped"] = 1.0
                    raise self._reached(ledger)
            ledger["expected_usd"] += expected_usd
            start_s = now_s = self._clock()
            for name, rate, units in (
                ("read_free_at_s", limits.max_rcu, reads),
                ("write_free_at_s", limits.max_wcu, writes),
            ):
                if rate is not None and _is_of(operation, name):
                    # in the past where time was left unused
                    begin_s = _begin(ledger[name], now_s)
                    ledger[name] = begin_s + units / rate
                    start_s = max(start_s, begin_s)
        self._open.call = (operation, expected)
        if start_s > now_s:
            self._turn(waiting=1)
            try:
                (_PAUSE.get() or self._pause)(start_s - now_s)
            except BaseException:
                self._turn(waiting=-1)
                self._close(0.0)
                raise
            self._turn(waiting=-1, flying=1)
        else:
            self._turn(flying=1)

    def settle(
        self, operation: str, answer: Mapping[str, Any] | None, error: DynamoDBError | None = None
    ) -> None:
        """
        Account for a call that was allowed: its answer, or why there is none.

        Raises:
            TargetError: The answer does not say what the call consumed.
        """
        call = getattr(self._open, "call", None)
        if call is None or call[0] != operation:
            return
        self._turn(flying=-1)
        if error is not None or answer is None:
            throttled = error is not None and error.code in THROTTLES
            failed = error is None or (not throttled and is_transient(error))
            self._close(0.0, throttled=throttled, failed=failed)
            return
        units = _units(answer)
        left = answer.get("UnprocessedItems") or answer.get("UnprocessedKeys")
        self._close(units or 0.0, throttled=bool(left))
        if units is None:
            msg = (
                "the target does not say what its calls consume, so no limit can be held there:"
                " leave out --max-rcu, --max-wcu and --max-cost, or name another --target"
            )
            raise TargetError(msg)

    def _close(self, units: float, *, throttled: bool = False, failed: bool = False) -> None:
        operation, expected = self._open.call
        self._open.call = None
        limits = self._limits
        reads, writes = _split(operation, units)
        expected_reads, expected_writes = _split(operation, expected)
        with self._ledger() as ledger:
            ledger[operation] = max(units, ledger[operation])
            ledger["read_units"] += reads
            ledger["write_units"] += writes
            ledger["expected_usd"] -= limits.cost_usd(expected_reads, expected_writes)
            ledger["calls"] += 1
            ledger["throttled"] += throttled
            ledger["failed"] += failed
            now_s = self._clock()
            if limits.max_rcu is not None and reads != expected_reads:
                _pay(ledger, "read_free_at_s", (reads - expected_reads) / limits.max_rcu, now_s)
            if limits.max_wcu is not None and writes != expected_writes:
                _pay(ledger, "write_free_at_s", (writes - expected_writes) / limits.max_wcu, now_s)

    # -- all calls

    @property
    def consumed(self) -> Consumed:
        """What the command took so far, in all its processes."""
        with self._ledger() as ledger:
            return Consumed(
                read_units=ledger["read_units"],
                write_units=ledger["write_units"],
                cost_usd=self._limits.cost_usd(ledger["read_units"], ledger["write_units"]),
                calls=int(ledger["calls"]),
                throttled=int(ledger["throttled"]),
                failed=int(ledger["failed"]),
            )

    def check(self) -> None:
        """
        Say that a call was not sent, in whichever process of the command that was.

        Raises:
            LimitReachedError: One was not.
        """
        with self._ledger() as ledger:
            if ledger["stopped"]:
                raise self._reached(ledger)

    @property
    def idle_s(self) -> float:
        """Seconds this process has waited for its turn with no call under way."""
        self._turn()
        return self._idle_s

    def _turn(self, *, waiting: int = 0, flying: int = 0) -> None:
        with self._lock:
            now_s = time.perf_counter()
            if self._waiting and not self._flying:
                self._idle_s += now_s - self._turned_s
            self._turned_s = now_s
            self._waiting += waiting
            self._flying += flying

    @contextmanager
    def _ledger(self) -> Iterator[dict[str, float]]:
        """Give the figures that the processes share, and keep what becomes of them."""
        # the lock on the file is one of the process: its threads need another
        with self._lock:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                ledger = dict(zip(_FIELDS, _LAYOUT.unpack_from(self._map), strict=True))
                try:
                    yield ledger
                finally:
                    _LAYOUT.pack_into(self._map, 0, *ledger.values())
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _reached(self, ledger: Mapping[str, float]) -> LimitReachedError:
        limits = self._limits
        spent_usd = limits.cost_usd(ledger["read_units"], ledger["write_units"])
        return LimitReachedError(
            f"--max-cost {format_quantity(Decimal(str(limits.max_cost_usd)))} is reached: {ledger['read_units']:,.1f} read and"
            f" {ledger['write_units']:,.1f} write units were consumed, ${spent_usd:.6f} at the"
            f" prices of {limits.price}, and the next call would pass it; what was done stays, and"
            " what is left takes as much again, or more"
        )


def _split(operation: str, units: float) -> tuple[float, float]:
    return (units, 0.0) if operation in _READS else (0.0, units)


def _is_of(operation: str, field: str) -> bool:
    return (operation in _READS) is (field == "read_free_at_s")


def _pay(ledger: dict[str, float], name: str, seconds: float, now_s: float) -> None:
    """Move the moment the next call may go: later for units that were not expected."""
    start_s = _begin(ledger[name], now_s) if seconds > 0 else ledger[name]
    ledger[name] = start_s + seconds


def _begin(free_s: float, now_s: float) -> float:
    """Return from when a call is paid for: when those before are, but before the first one now."""
    return max(free_s, now_s - _MADE_UP_S) if free_s else now_s


def _units(answer: Mapping[str, Any]) -> float | None:
    consumed = answer.get("ConsumedCapacity")
    if isinstance(consumed, Mapping):
        consumed = [consumed]
    if not consumed:
        return None
    return float(sum(each.get("CapacityUnits", 0.0) for each in consumed))


@cache
def _meter(limits: Limits, _process: int) -> Meter:
    return Meter(limits)


def meter_of(limits: Limits) -> Meter:
    """Return this process's meter of some limits."""
    return _meter(limits, os.getpid())


def _asking(operation: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a request that asks what it consumes."""
    if operation in _READS or operation in _WRITES:
        return {"ReturnConsumedCapacity": "TOTAL", **request}
    return request


def attach(client: Any, limits: Limits) -> None:
    """
    Hold a boto3 client to limits, by botocore's events; each attempt counts as a call.

    Args:
        client: A client of the service `dynamodb`; only this client is changed.
        limits: The limits.
    """
    meter = meter_of(limits)

    def ask(params: dict[str, Any], model: Any, **_: Any) -> Any:
        return dict(_asking(model.name, params))

    def wait(event_name: str, **_: Any) -> None:
        meter.allow(event_name.rpartition(".")[2])

    def settle(
        event_name: str, parsed_response: Any, exception: Exception | None, **_: Any
    ) -> None:
        error = None
        if parsed_response and "Error" in parsed_response:
            error = DynamoDBError(
                str(parsed_response["Error"].get("Code", "")),
                "",
                status=parsed_response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400),
            )
        answered = exception is None and error is None
        meter.settle(event_name.rpartition(".")[2], parsed_response if answered else None, error)

    events = client.meta.events
    events.register("provide-client-params.dynamodb", ask)
    # before whatever answers in place of the network
    events.register_first("before-send.dynamodb", wait)
    events.register("response-received.dynamodb", settle)


class MeteredConnection:
    """A connection held to limits by this process's meter of them."""

    def __init__(self, connection: Connection, meter: Meter) -> None:
        self._connection = connection
        self._meter = meter

    def execute(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """
        Return the answer to one operation, in its turn.

        Raises:
            DynamoDBError: An error answer.
            LimitReachedError: It would pass --max-cost.
        """
        self._meter.allow(operation)
        try:
            answer = self._connection.execute(operation, _asking(operation, request))
        except DynamoDBError as error:
            self._meter.settle(operation, None, error)
            raise
        except BaseException:
            self._meter.settle(operation, None)
            raise
        self._meter.settle(operation, answer)
        return answer

    def close(self) -> None:
        self._connection.close()


class PacedClock(RealClock):
    """The machine's clock, which stands still while calls wait for their turn."""

    def __init__(self, limits: Limits) -> None:
        self._meter = meter_of(limits)

    def now(self) -> float:
        return super().now() - self._meter.idle_s
