"""
How items lie in the data file, and what that costs as a table grows a hundredfold.

Measured by name only, `python -m benchmarks layouts`: it takes 9 GB of disk and half an hour.
"""

import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import orjson

from benchmarks.measuring import interleave
from benchmarks.section import Aim, Section, Table
from perfkit.embedded.schema import Keys
from perfkit.units import TIMES, format_bytes, format_count
from perfkit.workloads.generator import ItemGenerator
from perfkit.workloads.loader import load

__all__ = ["compare"]

_ITEMS = 50_000
_GROWTH = (1, 10, 100)
_LIMIT = 1.3
_SMALL_MAP, _WHOLE_MAP = 64 << 20, 2 << 30
_PARTITION = 50
"""Entries of an index that a query finds: the items of one user, written at distant times."""
_STEP = 2_000
_BATCH = 25
_MOST_SCANNED = 500_000
_LONG_LOG_BYTES = 32 << 20
_KEYS = Keys(partition=("enrollment_id",))
_USER = Keys(partition=("user_id",))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """
    One way to lay items out, as SQL.

    Args:
        item: Type of what an entry of an index names its item by.
        row: Column of the items that it names.
        sorted_passes: In how many passes, each in order of key, the file is filled; 0 fills
            it in order of number, which is none of key.
    """

    name: str
    page_bytes: int
    create: tuple[str, ...]
    item: str
    row: str
    sorted_passes: int


_LAYOUTS = (
    _Layout(
        name="rows by number",
        page_bytes=4096,
        create=(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, k BLOB NOT NULL, size INTEGER, data BLOB)",
            "CREATE UNIQUE INDEX k ON t (k)",
        ),
        item="INTEGER",
        row="id",
        sorted_passes=0,
    ),
    _Layout(
        name="clustered on the key",
        page_bytes=8192,
        create=("CREATE TABLE t (k BLOB PRIMARY KEY, size INTEGER, data BLOB) WITHOUT ROWID",),
        item="BLOB",
        row="k",
        sorted_passes=4,
    ),
)


class _Items:
    """Makes items of the enrollments' size; only their numbers differ."""

    def __init__(self, count: int) -> None:
        generator = ItemGenerator(load("courses"))
        item = generator.item("Enrollments", 0)
        item["enrollment_id"], item["user_id"] = {"S": "<<<id>>>"}, {"S": "<<user>>"}
        self._template = orjson.dumps(item)
        self._users = max(1, count // _PARTITION)

    def data(self, number: int) -> bytes:
        user = b"%08d" % (number % self._users)
        return self._template.replace(b"<<<id>>>", b"%08d" % number).replace(b"<<user>>", user)

    def key(self, number: int) -> bytes:
        return _KEYS.stored({"enrollment_id": {"S": f"{number:08}"}})

    def partition(self, number: int) -> bytes:
        return _USER.stored({"user_id": {"S": f"{number % self._users:08}"}})

    def some_partition(self) -> bytes:
        return self.partition(random.randrange(self._users))


class _File:
    """One filled data file, and the operations on it with the engine's own statements."""

    def __init__(self, folder: Path, layout: _Layout, count: int) -> None:
        self.path = folder / f"{count}.sqlite3"
        self.count = count
        self._layout = layout
        self._items = _Items(count)
        self._next = count
        self._connections: dict[int, sqlite3.Connection] = {}
        self._fill()

    def _fill(self) -> None:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            run = connection.execute
            for pragma in (
                f"page_size = {self._layout.page_bytes}",
                "journal_mode = OFF",
                "synchronous = OFF",
                "locking_mode = EXCLUSIVE",
                "cache_size = -1048576",
            ):
                run(f"PRAGMA {pragma}")
            for statement in self._layout.create:
                run(statement)
            run("BEGIN")
            connection.executemany("INSERT INTO t (k, size, data) VALUES (?, ?, ?)", self._rows())
            run("COMMIT")

    def _rows(self) -> Iterator[tuple[bytes, int, bytes]]:
        make = self._items
        passes = self._layout.sorted_passes
        for first in range(passes or 1):
            numbers = range(first, self.count, passes or 1)
            if not passes:
                yield from ((make.key(n), 1024, make.data(n)) for n in numbers)
            else:
                # in one pass all pages would be full and in order, as no application writes them
                keyed = sorted((make.key(n), n) for n in numbers)
                yield from ((key, 1024, make.data(n)) for key, n in keyed)

    def connection(self, mapped: int) -> sqlite3.Connection:
        if mapped not in self._connections:
            connection = sqlite3.connect(self.path, isolation_level=None, cached_statements=512)
            for pragma in (
                "journal_mode = WAL",
                "synchronous = NORMAL",
                "cache_size = -65536",
                f"mmap_size = {mapped}",
                "wal_autocheckpoint = 0",
                f"journal_size_limit = {_LONG_LOG_BYTES}",
            ):
                connection.execute(f"PRAGMA {pragma}")
            self._connections[mapped] = connection
        return self._connections[mapped]

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        log = Path(f"{self.path}-wal")
        if log.exists() and log.stat().st_size > _LONG_LOG_BYTES:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    # each returns seconds an item

    def scan(self, mapped: int) -> float:
        """Read items in order of key, up to 500,000, and look for some bytes in each."""
        sql = "SELECT size, data FROM t ORDER BY k LIMIT ?"
        start_s = time.process_time()
        found = read = 0
        for _, data in self.connection(mapped).execute(sql, (_MOST_SCANNED,)):
            read += 1
            if b"nobody" in data:
                found += 1
        return (time.process_time() - start_s) / read

    def query(self, mapped: int) -> float:
        """Read the items of 200 users through the index."""
        run = self.connection(mapped).execute
        sql = (
            "SELECT e.size, t.data FROM i e CROSS JOIN t ON"
            f" t.{self._layout.row} = e.item WHERE e.k >= ? AND e.k < ? ORDER BY e.k LIMIT ?"
        )
        users = [self._items.some_partition() for _ in range(200)]
        read = 0
        start_s = time.process_time()
        for user in users:
            read += len(run(sql, (user, user[:-1] + b"\x01", -1)).fetchall())
        return (time.process_time() - start_s) / read

    def write(self, mapped: int) -> float:
        """Write 2,500 new items with their entries, 25 a transaction."""
        connection = self.connection(mapped)
        run = connection.execute
        numbers = iter(range(self._next, self._next + 2_500))
        self._next += 2_500
        start_s = time.process_time()
        while batch := list(islice(numbers, _BATCH)):
            run("BEGIN IMMEDIATE")
            for number in batch:
                key = self._items.key(number)
                run("SELECT size, data FROM t WHERE k = ?", (key,)).fetchone()
                row = (key, 1024, self._items.data(number))
                cursor = run("INSERT INTO t (k, size, data) VALUES (?, ?, ?)", row)
                named = cursor.lastrowid if self._layout.row == "id" else key
                entry = self._items.partition(number) + key
                run("SELECT size FROM i WHERE k = ?", (entry,)).fetchone()
                run("INSERT INTO i VALUES (?, ?, ?, NULL)", (entry, named, 1024))
            run("COMMIT")
            self._checkpoint(connection)
        return (time.process_time() - start_s) / 2_500

    def backfill(self, mapped: int) -> float:
        """Make the index of all items, 2,000 a transaction."""
        connection = self.connection(mapped)
        run, row = connection.execute, self._layout.row
        run("DROP TABLE IF EXISTS i")
        run(
            f"CREATE TABLE i (k BLOB PRIMARY KEY, item {self._layout.item} NOT NULL,"
            " size INTEGER NOT NULL, data BLOB) WITHOUT ROWID"
        )
        cursor: int | bytes = 0 if row == "id" else b""
        start_s = time.process_time()
        while True:
            run("BEGIN IMMEDIATE")
            rows = run(
                f"SELECT {row}, data FROM t WHERE {row} > ? ORDER BY {row} LIMIT ?", (cursor, _STEP)
            ).fetchall()
            for named, data in rows:
                item = orjson.loads(data)
                entry = _USER.stored(item) + _KEYS.stored(item)
                run("SELECT size FROM i WHERE k = ?", (entry,)).fetchone()
                run("INSERT INTO i VALUES (?, ?, ?, NULL)", (entry, named, 1024))
            run("COMMIT")
            self._checkpoint(connection)
            if len(rows) < _STEP:
                return (time.process_time() - start_s) / self.count
            cursor = rows[-1][0]


def compare(*, quick: bool) -> Section:
    """Measure all layouts, one after the other; within one, the sizes take turns."""
    items = 500 if quick else _ITEMS
    found: dict[str, list[float]] = {}
    for layout in _LAYOUTS:
        found |= _measure(layout, items)
    headers = ["µs an item", *(f"{format_count(items * growth)}" for growth in _GROWTH)]
    headers += [f"{TIMES}{growth} ÷ {TIMES}1" for growth in _GROWTH[1:]]
    rows = []
    aims = []
    for name, figures in found.items():
        small = figures[0]
        ratios = [figure / small for figure in figures[1:]]
        rows.append(
            [name, *(f"{figure * 1e6:.2f}" for figure in figures), *(f"{r:.2f}" for r in ratios)]
        )
        if name.startswith(_LAYOUTS[0].name) and "64 MB" not in name:
            aims.append(Aim.at_most(f"{name}, largest growth", max(ratios), _LIMIT))
    return Section(
        title="Layouts of the data file",
        method=(
            "The engine's own SQL statements on each layout, in Python's sqlite3 with 64 MB of"
            " cache; items of 1,024 bytes.\n"
            "Medians of processor time, the system's included: what waits for a disk is not in it."
            " Within a layout the three sizes take turns in one process; a backfill is timed"
            " once.\n"
            f"A scan in order of key reads up to {_MOST_SCANNED:,} items; a query 50 by an index,"
            " written at distant times; writes are 25 a transaction, with one index; a backfill"
            " makes that index, 2,000 items a transaction."
        ),
        tables=[Table(headers, rows)],
        aims=aims,
    )


def _measure(layout: _Layout, items: int) -> dict[str, list[float]]:
    with tempfile.TemporaryDirectory(prefix="layouts-") as name:
        files = []
        try:
            for growth in _GROWTH:
                start_s = time.monotonic()
                files.append(_File(Path(name), layout, items * growth))
                _say(
                    f"{layout.name}: filled {items * growth:,} in {time.monotonic() - start_s:.0f} s"
                )
            backfill = f"{layout.name}, backfill"
            found = {backfill: _turns(files, _File.backfill, _WHOLE_MAP, rounds=1)}
            _say(f"{backfill}: {[round(f * 1e6, 2) for f in found[backfill]]}")
            for operation, rounds in ((_File.scan, 3), (_File.query, 9), (_File.write, 9)):
                for mapped in (_SMALL_MAP, _WHOLE_MAP):
                    if operation is _File.write and mapped == _SMALL_MAP:
                        continue
                    what = f"{layout.name}, {operation.__name__}, {format_bytes(mapped)} mapped"
                    found[what] = _turns(files, operation, mapped, rounds=rounds)
                    _say(f"{what}: {[round(f * 1e6, 2) for f in found[what]]}")
            _say(f"{layout.name}: {[format_bytes(f.path.stat().st_size) for f in files]}")
        finally:
            for file in files:
                file.close()
    return found


def _turns(
    files: list[_File], operation: Callable[[_File, int], float], mapped: int, *, rounds: int
) -> list[float]:
    turns = {
        str(number): partial(_timed, operation, file, mapped) for number, file in enumerate(files)
    }
    if rounds > 1:
        for turn in turns.values():
            turn()
    return [statistics.median(s) for s in interleave(turns, rounds=rounds).values()]


def _timed(operation: Callable[[_File, int], float], file: _File, mapped: int) -> list[float]:
    return [operation(file, mapped)]


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)
