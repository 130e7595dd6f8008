"""Writing generated items, chunk by chunk, in this process or in several."""

import contextlib
import math
import multiprocessing
import multiprocessing.connection
import multiprocessing.resource_tracker
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection as Pipe
from multiprocessing.process import BaseProcess
from typing import Any, cast

from perfkit.capacity import Item, item_size
from perfkit.dynamodb.connection import Connection, EngineConnection
from perfkit.dynamodb.errors import answer_errors
from perfkit.dynamodb.limits import waiting_by
from perfkit.dynamodb.ownership import LOOK_EVERY_S, check_same
from perfkit.dynamodb.retries import Backoff, Clock, Pause, RetryingConnection
from perfkit.dynamodb.tables import Identity
from perfkit.dynamodb.targets import Target
from perfkit.embedded.values import key_bytes
from perfkit.errors import PerfkitError, TargetError, ThrottledError
from perfkit.workloads.generator import ItemGenerator
from perfkit.workloads.model import Workload

__all__ = [
    "BATCH_ITEMS",
    "CHUNK_ITEMS",
    "Chunk",
    "Job",
    "Progress",
    "chunks_of",
    "same_items",
    "write",
]

BATCH_ITEMS = 25
"""What BatchWriteItem takes. 25 items of at most 400 KB stay below its 16 MB."""

CHUNK_ITEMS = 1000
"""Items written by one process in order; the same boundaries however many processes there are."""

_REPORT_EVERY_S = 0.1
_STOP_WITHIN_S = 30.0
_REFUSED_FOR_S = 300.0
_MOST_REFUSALS = 30
_LOAD_BYTES = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """
    Items *start* to *stop* of a table.

    Args:
        look_first: Skip the chunk if its last batch is there already.
    """

    table: str
    start: int
    stop: int
    look_first: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """
    What every writing process needs to know; goes to it by pickle.

    Args:
        identities: The tables of perfkit's own, by name; nothing is written into another one.
    """

    target: Target
    workload: Workload
    random_seed: int
    scale: float
    identities: Mapping[str, Identity] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What has happened to one table since the last report."""

    table: str
    written: int = 0
    skipped: int = 0
    write_units: float = 0.0
    read_units: float = 0.0
    refusals: int = 0

    def __add__(self, other: "Progress") -> "Progress":
        return Progress(
            table=self.table,
            written=self.written + other.written,
            skipped=self.skipped + other.skipped,
            write_units=self.write_units + other.write_units,
            read_units=self.read_units + other.read_units,
            refusals=self.refusals + other.refusals,
        )


Report = Callable[[Progress], None]


def chunks_of(table: str, items: int, *, look_first: bool) -> Iterator[Chunk]:
    """Cut a table of *items* items into chunks."""
    for start in range(0, items, CHUNK_ITEMS):
        stop = min(start + CHUNK_ITEMS, items)
        yield Chunk(table=table, start=start, stop=stop, look_first=look_first)


def write(job: Job, chunks: Sequence[Chunk], *, processes: int, report: Report) -> None:
    """
    Write every chunk; returns when every item has been acknowledged.

    Args:
        job: What to write and where.
        chunks: The items; each chunk once.
        processes: Processes to write in; 1 writes in this one.
        report: Called with what was done, several times a second.

    Raises:
        PerfkitError: What stopped it; everything reported until then is stored.
    """
    if processes == 1 or len(chunks) < 2:
        _write_here(job, chunks, report=report, check=lambda: None, pause=time.sleep)
    else:
        _write_in_processes(job, chunks, min(processes, len(chunks)), report)


def _write_here(
    job: Job, chunks: Sequence[Chunk], *, report: Report, check: Callable[[], None], pause: Pause
) -> None:
    backoff = Backoff(pause=pause)
    direct = job.target.connect()
    # limits are held batch by batch; without them the embedded engine takes a chunk at once
    load = direct.load if isinstance(direct, EngineConnection) else None
    with RetryingConnection(direct, backoff=backoff) as connection:
        same = _SameTables(connection, job, check)
        writer = _ChunkWriter(
            connection=connection,
            load=load,
            generator=ItemGenerator(job.workload, job.random_seed, job.scale),
            workload=job.workload,
            backoff=backoff,
            report=report,
            check=same.check,
        )
        with waiting_by(pause):
            for chunk in chunks:
                with answer_errors(f"writing items of {chunk.table}", job.target.name):
                    writer.write(chunk)


class _SameTables:
    """
    Looks again and again whether the tables are those that perfkit may write to.

    DynamoDB takes a write by the table's name alone: whose it is by then can only be seen
    shortly before.

    Args:
        connection: Where the tables are.
        job: Names the tables and what tells them from others.
        check: Called each time, too; raises to stop.
    """

    def __init__(self, connection: Connection, job: Job, check: Callable[[], None]) -> None:
        self._connection = connection
        self._job = job
        self._check = check
        self._looked_s: dict[str, float] = {}

    def check(self, table: str) -> None:
        """
        Make sure of a table before a write.

        Raises:
            ConfigError: It is another one by now, or gone.
        """
        self._check()
        now_s = time.monotonic()
        if now_s - self._looked_s.get(table, -math.inf) >= LOOK_EVERY_S:
            check_same(self._connection, table, self._job.identities[table], self._job.target.name)
            self._looked_s[table] = now_s


# ---- one chunk -------------------------------------------------------------------------


@dataclass(kw_only=True)
class _ChunkWriter:
    """
    Writes chunks over one connection.

    Batches of a chunk are written in order, each only when the one before is complete; so a
    last batch that is stored and equal means that all the batches before it were stored too,
    and an equal first item that no other seeding has begun to replace them since.

    Args:
        connection: Repeats what is throttled; unprocessed items are repeated here.
        load: Writes many items at once where the target can, None where it cannot.
        generator: Makes the items.
        workload: Says which attributes are keys.
        backoff: How to wait when items come back unprocessed.
        report: Called with what was done.
        check: Called before each request that writes, with the table's name; raises to stop.
        clock: Seconds that only grow.
    """

    connection: Connection
    load: Callable[[str, Sequence[Item]], float] | None = None
    generator: ItemGenerator
    workload: Workload
    backoff: Backoff
    report: Report
    check: Callable[[str], None]
    clock: Clock = time.monotonic
    _reported_s: float = field(default=0.0, init=False)

    def write(self, chunk: Chunk) -> None:
        """Write one chunk, or find that it is there."""
        done = Progress(table=chunk.table)
        waits = self.backoff.waits
        if chunk.look_first:
            last = chunk.start + (chunk.stop - chunk.start - 1) // BATCH_ITEMS * BATCH_ITEMS
            ends = [
                self.generator.item(chunk.table, chunk.start),
                *self.generator.items(chunk.table, last, chunk.stop),
            ]
            table = self.workload.table(chunk.table)
            keys = tuple(key.name for key in table.keys)
            complete, units = same_items(
                self.connection,
                chunk.table,
                keys,
                ends,
                backoff=self.backoff,
            )
            done += Progress(table=chunk.table, read_units=units)
            if complete:
                self.report(done + Progress(table=chunk.table, skipped=chunk.stop - chunk.start))
                return
        items = self.generator.items(chunk.table, chunk.start, chunk.stop)
        if self.load is not None:
            for part in _loads(items):
                self.check(chunk.table)
                units = self.load(chunk.table, part)
                done += Progress(table=chunk.table, written=len(part), write_units=units)
            self.report(done)
            return
        for batch in _batches(items):
            done += self._write_batch(chunk.table, batch)
            if self.clock() - self._reported_s >= _REPORT_EVERY_S:
                self.report(replace(done, refusals=self.backoff.waits - waits))
                done = Progress(table=chunk.table)
                waits = self.backoff.waits
                self._reported_s = self.clock()
        self.report(replace(done, refusals=self.backoff.waits - waits))

    def _write_batch(self, table: str, items: list[Item]) -> Progress:
        requests: list[dict[str, Any]] = [{"PutRequest": {"Item": item}} for item in items]
        units = 0.0
        attempt = 0
        accepted_s = self.clock()
        while True:
            self.check(table)
            answer = self.connection.execute(
                "BatchWriteItem",
                {"RequestItems": {table: requests}, "ReturnConsumedCapacity": "TOTAL"},
            )
            consumed = sum(part["CapacityUnits"] for part in answer.get("ConsumedCapacity", ()))
            units += consumed
            left = answer.get("UnprocessedItems", {}).get(table, [])
            if not left:
                # every item of the batch is stored
                return Progress(table=table, written=len(items), write_units=units)
            if len(left) < len(requests):
                accepted_s = self.clock()
            elif self.clock() - accepted_s >= _REFUSED_FOR_S:
                msg = (
                    f"writing items of {table}: none of {len(left)} items was accepted for"
                    f" {_REFUSED_FOR_S:.0f} s; raise the table's write capacity, or run again"
                    " later: what is written stays"
                )
                raise ThrottledError(msg)
            self.backoff.wait(attempt)
            attempt += 1
            requests = left


def _loads(items: Iterator[Item]) -> Iterator[list[Item]]:
    """Cut items into lists of a few megabytes."""
    part: list[Item] = []
    size_bytes = 0
    for item in items:
        part.append(item)
        size_bytes += item_size(item)
        if size_bytes >= _LOAD_BYTES:
            yield part
            part = []
            size_bytes = 0
    if part:
        yield part


def _batches(items: Iterator[Item]) -> Iterator[list[Item]]:
    batch: list[Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == BATCH_ITEMS:
            yield batch
            batch = []
    if batch:
        yield batch


def _key(item: Item, keys: tuple[str, ...]) -> tuple[bytes, ...]:
    # as the engine compares keys: the number 1.50 is the number 1.5
    return tuple(key_bytes(item[name]) for name in keys)


def same_items(
    connection: Connection,
    table: str,
    keys: tuple[str, ...],
    items: Sequence[Item],
    *,
    backoff: Backoff,
) -> tuple[bool, float]:
    """
    Tell whether a table holds exactly these items under their keys.

    Args:
        connection: Where the table is.
        table: Its name.
        keys: Its key attributes.
        items: What it should hold.
        backoff: How to wait when keys come back unprocessed.

    Returns:
        Whether all are there and equal, and the read units it took to know.

    Raises:
        ThrottledError: Keys kept coming back unprocessed.
    """
    units = 0.0
    for start in range(0, len(items), BATCH_ITEMS):
        wanted = {_key(item, keys): item for item in items[start : start + BATCH_ITEMS]}
        pending: list[Item] = [{key: item[key] for key in keys} for item in wanted.values()]
        attempt = 0
        while pending:
            answer = connection.execute(
                "BatchGetItem",
                {
                    "RequestItems": {table: {"Keys": pending, "ConsistentRead": True}},
                    "ReturnConsumedCapacity": "TOTAL",
                },
            )
            consumed = sum(part["CapacityUnits"] for part in answer.get("ConsumedCapacity", ()))
            units += consumed
            for found in answer["Responses"].get(table, ()):
                expected = wanted.pop(_key(found, keys), None)
                if expected is None or found != expected:
                    return False, units
            left = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
            attempt = attempt + 1 if len(left) == len(pending) else 0
            if attempt > _MOST_REFUSALS:
                msg = (
                    f"reading items of {table}: none of {len(left)} keys was processed in"
                    f" {attempt} attempts; raise the table's read capacity, or run again later"
                )
                raise ThrottledError(msg)
            pending = left
            if pending:
                backoff.wait(attempt)
        if wanted:
            return False, units
    return True, units


# ---- several processes -----------------------------------------------------------------
# Each process has a pipe of its own, so that one that is killed blocks no other. The pipe is
# also how they end: "stop", or its far end closing because the parent is gone, wakes even a
# process that waits out a throttle.

_STOP = "stop"


class _StoppedError(Exception):
    """The parent asked to stop, or is gone."""


@dataclass(frozen=True, slots=True)
class _Done:
    """A process wrote all it had to."""


def _write_in_processes(job: Job, chunks: Sequence[Chunk], processes: int, report: Report) -> None:
    context = multiprocessing.get_context("spawn")
    running: dict[Pipe, BaseProcess] = {}
    try:
        with _interrupts_held():
            for number in range(processes):
                ours, theirs = context.Pipe()
                process = context.Process(
                    target=_worker,
                    args=(theirs, job, chunks[number::processes]),
                    name=f"perfkit-seed-{number + 1}",
                    daemon=True,
                )
                process.start()
                theirs.close()
                running[ours] = process
        failure = _listen(running, report, until_failure=True)
        if failure is not None:
            raise failure
    finally:
        _end(running, report)


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """
    Hold Ctrl-C back while processes start, so that they never see it.

    A blocked signal stays blocked in what is started meanwhile; this process gets it when the
    block ends.
    """
    # starting the first process would unblock the signal when it starts this helper
    multiprocessing.resource_tracker.ensure_running()
    held: list[int] = []
    handler = signal.getsignal(signal.SIGINT)
    # another thread may receive it, and it is answered in this one whatever this one blocks
    replaced = callable(handler) and threading.current_thread() is threading.main_thread()
    if replaced:
        signal.signal(signal.SIGINT, lambda number, _: held.append(number))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        if replaced:
            signal.signal(signal.SIGINT, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if held:
            signal.raise_signal(signal.SIGINT)


def _listen(
    running: dict[Pipe, BaseProcess], report: Report, *, until_failure: bool
) -> PerfkitError | None:
    """Pass reports on until every process is done; return the first failure."""
    failure: PerfkitError | None = None
    deadline_s = None if until_failure else time.monotonic() + _STOP_WITHIN_S
    while running and not (until_failure and failure):
        left_s = None if deadline_s is None else max(0.0, deadline_s - time.monotonic())
        ready = multiprocessing.connection.wait(list(running), timeout=left_s)
        if not ready:
            break
        for pipe in cast("list[Pipe]", ready):
            try:
                message = pipe.recv()
            except (EOFError, OSError):
                failure = failure or _lost(running[pipe])
                message = None
            match message:
                case Progress():
                    report(message)
                    continue
                case PerfkitError():
                    failure = failure or message
            running.pop(pipe).join()
            pipe.close()
    return failure


def _lost(process: BaseProcess) -> PerfkitError:
    process.join()
    code = process.exitcode or 0
    how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
    return TargetError(
        f"a writing process {how}; nothing that was written is lost: run again to write the rest"
    )


def _end(running: dict[Pipe, BaseProcess], report: Report) -> None:
    """Stop what still runs, and count what it wrote until then."""
    try:
        for pipe in running:
            with contextlib.suppress(OSError):
                pipe.send(_STOP)
        _listen(running, report, until_failure=False)
    finally:
        # only after a second Ctrl-C, or if one hangs
        for process in running.values():
            process.terminate()
            process.join()


def _worker(pipe: Pipe, job: Job, chunks: Sequence[Chunk]) -> None:
    """Write the chunks in a process of its own; everything it says goes through the pipe."""

    def send(message: object) -> None:
        try:
            pipe.send(message)
        except OSError as error:
            raise _StoppedError from error

    def check() -> None:
        if pipe.poll():
            raise _StoppedError

    def pause(seconds: float) -> None:
        if pipe.poll(seconds):
            raise _StoppedError

    with contextlib.suppress(_StoppedError):
        try:
            _write_here(job, chunks, report=send, check=check, pause=pause)
        except PerfkitError as error:
            send(error)
        else:
            send(_Done())
