"""
The trace as a file: an SQLite database, committed every half second, that only its owner may read.

docs/decisions/0020-trace-file.md says why it is SQLite.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from struct import Struct
from typing import Any

import orjson

from perfkit.errors import ConfigError, StorageFullError, cannot_write
from perfkit.traffic.exchange import Observed, Touched, is_failure, is_throttle
from perfkit.traffic.shapes import Fingerprint

__all__ = ["FORMAT", "SLOT_S", "TOUCHED", "Totals", "TraceWriter"]

FORMAT = 1
"""Raised when the meaning of a trace changes."""

SLOT_S = 10
"""Details are thinned out by such stretches of time, so that what belongs together stays together."""

TOUCHED = Struct("<HHqq")
"""One item or partition of a request: table and index, by their number, and the two hashes."""

WRITTEN = 1 << 15
"""Added to the number of an index: the item is written."""

_COMMIT_EVERY_S = 0.5
_MOST_FINGERPRINTS = 2_000
_MOST_NAMES = WRITTEN - 1
_CHECK_EVERY = 4
_MOST_EVERY = 1 << 20
"""By then no details are left that could make room: what is large is the rest."""

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE text (id INTEGER PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE described (name TEXT PRIMARY KEY, description TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE fingerprint (id INTEGER PRIMARY KEY, parts TEXT NOT NULL, totals TEXT);
CREATE TABLE request (
    id INTEGER PRIMARY KEY, at_us INTEGER, duration_us INTEGER, fingerprint INTEGER,
    status INTEGER, error INTEGER, connection INTEGER, agent INTEGER, caller BLOB,
    invocation INTEGER, attempt INTEGER, count INTEGER, scanned INTEGER, sent_bytes INTEGER,
    received_bytes INTEGER, item_bytes INTEGER, unprocessed INTEGER, same INTEGER,
    chain INTEGER, page INTEGER, behind INTEGER, units INTEGER, touched BLOB, returned BLOB, body BLOB
);
"""
_INSERT = f"INSERT INTO request VALUES ({', '.join('?' * 25)})"  # noqa: S608 - marks only


@dataclass(slots=True)
class Totals:
    """
    Exact sums over all requests with one fingerprint, those whose details were left out too.

    Args:
        calls: Requests, each attempt of a retried one.
        errors: Those that DynamoDB refused or did not answer.
        throttles: Those refused for lack of capacity.
        failures: Those that went wrong otherwise, by the code of the error.
        retries: Attempts after the first.
        unprocessed: Items and keys that batches gave back.
        duration_s: Time of all.
        count: Items returned or written.
        scanned: Items evaluated.
        sent_bytes: Bytes of requests.
        received_bytes: Bytes of answers.
        units: Consumed units by table and index, the two joined by a dot.
    """

    calls: int = 0
    errors: int = 0
    throttles: int = 0
    retries: int = 0
    unprocessed: int = 0
    duration_s: float = 0.0
    count: int = 0
    scanned: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    units: dict[str, float] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)

    def add(self, seen: Observed) -> None:
        """Count one more."""
        self.calls += 1
        self.errors += bool(seen.error)
        self.throttles += is_throttle(seen.error)
        if is_failure(seen.error):
            self.failures[seen.error] = self.failures.get(seen.error, 0) + 1
        self.retries += seen.attempt > 1
        self.unprocessed += seen.unprocessed
        self.duration_s += seen.duration_s
        self.count += seen.count
        self.scanned += seen.scanned
        self.sent_bytes += seen.sent_bytes
        self.received_bytes += seen.received_bytes
        for table, index, units in seen.units:
            arm = f"{table}.{index}" if index else table
            self.units[arm] = self.units.get(arm, 0.0) + units


class TraceWriter:
    """
    Writes a trace in a thread of its own, so that recording never waits for the disk.

    Args:
        path: The file; must not be there yet.
        meta: What is said of the whole recording.
        most_bytes: Size beyond which details are thinned out; totals stay exact.
        warn: Called once, from any thread, when recording has to stop.

    Raises:
        ConfigError: There is such a file, or it cannot be written.
        StorageFullError: The disk is full.
    """

    def __init__(
        self,
        path: Path,
        meta: Mapping[str, Any],
        *,
        most_bytes: int,
        warn: Callable[[str], None],
    ) -> None:
        self.path = path
        self.recorded = 0
        self.failure = ""
        self._most_bytes = most_bytes
        self._warn = warn
        self._lock = threading.Lock()
        self._texts: dict[str, int] = {}
        self._new_texts: list[tuple[int, str]] = []
        self._numbers: dict[Fingerprint, int] = {}
        self._totals: dict[int, Totals] = {}
        self._changed: set[int] = set()
        self._new: list[Fingerprint] = []
        self._rows: list[tuple[Any, ...]] = []
        self._described: dict[str, str] = {}
        self._meta: dict[str, Any] = {}
        self._every = 1
        self._last_s = 0.0
        self._database = _create(path, {"format": FORMAT, **meta})
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="trace", daemon=True)
        self._thread.start()

    def add(self, seen: Observed) -> None:
        """Take one request."""
        if self.failure:
            return
        with self._lock:
            self.recorded += 1
            number = self._number(seen.fingerprint)
            self._totals[number].add(seen)
            self._changed.add(number)
            self._last_s = max(self._last_s, seen.at_s + seen.duration_s)
            if self._is_kept(seen.at_s):
                self._rows.append(self._row(number, seen))

    def describe(self, table: str, description: Mapping[str, Any]) -> None:
        """Take what DescribeTable says of a table."""
        with self._lock:
            self._described[table] = orjson.dumps(description, default=str).decode()

    def totals(self) -> dict[Fingerprint, Totals]:
        """Return the totals so far; they go on growing."""
        with self._lock:
            return {
                fingerprint: self._totals[number]
                for fingerprint, number in self._numbers.items()
                if number in self._totals
            }

    def note(self, **meta: Any) -> None:
        """Take something more to say of the whole recording."""
        with self._lock:
            self._meta |= meta

    def close(self) -> None:
        """Write what is left, and leave one file behind."""
        self._end.set()
        self._thread.join()

    # ---- in whichever thread records

    def _number(self, fingerprint: Fingerprint) -> int:
        number = self._numbers.get(fingerprint)
        if number is not None:
            return number
        if len(self._numbers) >= _MOST_FINGERPRINTS:
            # expressions with names made up for each request: no end of them
            folded = Fingerprint(
                operation=fingerprint.operation, table=fingerprint.table, change="(others)"
            )
            if folded != fingerprint and (
                folded in self._numbers or len(self._numbers) < 2 * _MOST_FINGERPRINTS
            ):
                return self._number(folded) if folded in self._numbers else self._make(folded)
        return self._make(fingerprint)

    def _make(self, fingerprint: Fingerprint) -> int:
        number = self._numbers[fingerprint] = len(self._numbers) + 1
        self._totals[number] = Totals()
        self._new.append(fingerprint)
        return number

    def _text(self, text: str) -> int:
        if not text:
            return 0
        number = self._texts.get(text)
        if number is None:
            number = self._texts[text] = len(self._texts) + 1
            self._new_texts.append((number, text))
        return number

    def _is_kept(self, at_s: float) -> bool:
        return int(at_s // SLOT_S) % self._every == 0

    def _row(self, number: int, seen: Observed) -> tuple[Any, ...]:
        units = orjson.dumps(seen.units).decode() if seen.units else ""
        return (
            seen.number,
            round(seen.at_s * 1e6),
            round(seen.duration_s * 1e6),
            number,
            seen.status,
            self._text(seen.error),
            seen.connection,
            self._text(seen.agent),
            seen.caller,
            seen.invocation or None,
            seen.attempt,
            seen.count,
            seen.scanned,
            seen.sent_bytes,
            seen.received_bytes,
            seen.item_bytes,
            seen.unprocessed,
            seen.same,
            seen.chain or None,
            seen.page,
            seen.behind or None,
            self._text(units),
            b"".join(map(self._pack, seen.touched)) or None,
            Struct(f"<{len(seen.returned)}q").pack(*seen.returned) or None,
            seen.body,
        )

    def _pack(self, touched: Touched) -> bytes:
        table, index = self._text(touched.table), self._text(touched.index)
        if max(table, index) > _MOST_NAMES:
            table = index = 0
        index += WRITTEN * touched.writes
        return TOUCHED.pack(table, index, touched.partition, touched.key)

    # ---- in the thread that writes

    def _run(self) -> None:
        turn = 0
        ended = False
        while not ended:
            ended = self._end.wait(_COMMIT_EVERY_S)
            turn += 1
            try:
                self._commit()
                if turn % _CHECK_EVERY == 0:
                    self._thin_out()
            except Exception as error:  # noqa: BLE001 - what nobody writes must not pile up
                self._stop(error)
                break
        try:
            if not self.failure:
                # one file, that can be copied as it is
                self._database.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.Error:
            # somebody is reading it; the next who opens it puts the two together
            pass
        finally:
            self._database.close()

    def _stop(self, error: Exception) -> None:
        full = "full" in str(error)
        why = "there is no space left" if full else str(error)
        self.failure = why
        with self._lock:
            self._rows.clear()
        self._warn(
            f"recording stopped after {self.recorded:,} requests, because {why}; the application"
            f" goes on. {self.path} holds what was recorded until then"
        )

    def _commit(self) -> None:
        with self._lock:
            rows, self._rows = self._rows, []
            texts, self._new_texts = self._new_texts, []
            fresh, self._new = self._new, []
            described, self._described = self._described, {}
            changed, self._changed = self._changed, set()
            totals = [(orjson.dumps(self._totals[each]).decode(), each) for each in changed]
            numbered = [(self._numbers[each], orjson.dumps(each).decode()) for each in fresh]
            meta = {**self._meta, "last_s": self._last_s, "details_every": self._every}
        if not (rows or totals or described or self._meta):
            return
        with self._database as database:
            database.executemany("INSERT INTO text VALUES (?, ?)", texts)
            database.executemany("INSERT INTO fingerprint VALUES (?, ?, NULL)", numbered)
            database.executemany("UPDATE fingerprint SET totals = ? WHERE id = ?", totals)
            database.executemany(_INSERT, rows)
            database.executemany("REPLACE INTO described VALUES (?, ?)", described.items())
            _write_meta(database, meta)

    def _thin_out(self) -> None:
        """Leave out the details of every other stretch of time once there are too many."""
        pages, free, size = (
            self._database.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        if (pages - free) * size <= self._most_bytes or self._every >= _MOST_EVERY:
            return
        with self._lock:
            self._every *= 2
        with self._database as database:
            database.execute(
                "DELETE FROM request WHERE (at_us / ?) % ? <> 0",
                (SLOT_S * 1_000_000, self._every),
            )


def _create(path: Path, meta: Mapping[str, Any]) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError as error:
        msg = f"{path} is there already; give another --output"
        raise ConfigError(msg) from error
    except OSError as error:
        raise cannot_write(
            error,
            full=f"no space left to write {path}",
            otherwise=f"cannot write {path} ({error.strerror}); give another --output",
        ) from error
    # SQLite gives the files beside it the same mode
    database = sqlite3.connect(path, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        # a commit survives the process; what a power cut takes may be lost
        database.execute("PRAGMA synchronous = NORMAL")
        database.executescript(_SCHEMA)
        with database:
            _write_meta(database, meta)
    except sqlite3.Error as error:
        database.close()
        path.unlink(missing_ok=True)
        msg = f"cannot write {path} ({error}); free some space or give another --output"
        raise StorageFullError(msg) from error
    return database


def _write_meta(database: sqlite3.Connection, meta: Mapping[str, Any]) -> None:
    values = [(name, orjson.dumps(value).decode()) for name, value in meta.items()]
    database.executemany("REPLACE INTO meta VALUES (?, ?)", values)
