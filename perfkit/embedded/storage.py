"""
The SQLite file under the embedded engine: connections, transactions, rows.

One file holds everything.  `catalog` has one row a table (its definition as JSON and a
version number, so that any process notices a change by reading one integer); items of a
table are in `t<N>`, entries of an index in `i<N>`, each under its stored key (see
`schema`).  An entry of an index that projects everything only points to the item's row.
Beside each is its size in bytes as it is billed and what it weighs in a page (see `pages`),
which is NULL for what a version without that column wrote.
"""

import errno
import fcntl
import os
import sqlite3
import tempfile
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic

import orjson

from perfkit.embedded.latency import Latency
from perfkit.embedded.schema import Index, Table
from perfkit.embedded.throughput import Enforcement
from perfkit.errors import ConfigError, DataFileError, StorageFullError, TargetError

__all__ = ["BusyError", "Storage", "Transaction"]

_DATA_FILE_VERSION = 2
"""
Stored in the file's `user_version`; older files become this when they are opened to write.

1: first. 2: a column for the weight; definitions with streams and a time to live.
"""

_APPLICATION_ID = 0x50464B54  # "PFKT"
_BUSY_TIMEOUT_S = 60.0
_LONG_LOG_BYTES = 32 << 20
"""From here on a writer copies the log into the file after its turn, while others write."""
_LONGEST_LOG_BYTES = 128 << 20
"""From here on it does so within its turn, so that the log starts over."""
_LEAST_FREE_BYTES = 1 << 20
_MAPPED_BYTES = 2 << 30
_CLOSE_WITHIN_S = 1.0
"""What is still in use after so long is left to the end of the process."""
_FILES_OF_A_DATABASE = 4
"""The file, its log, the index of the log, and the folder while files are made in it."""

_CATALOG = """
CREATE TABLE IF NOT EXISTS catalog (
  name TEXT PRIMARY KEY, version INTEGER NOT NULL, definition BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stores (
  id INTEGER PRIMARY KEY, items INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS sequence (next INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS tags (
  name TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (name, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tokens (
  token TEXT PRIMARY KEY, request BLOB NOT NULL, expires_s REAL NOT NULL, answer BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tokens_by_expiry ON tokens (expires_s);
"""


class BusyError(Exception):
    """Another process or thread is writing."""


class Transaction:
    """One open transaction: reads one consistent state, or writes."""

    def __init__(self, connection: sqlite3.Connection, cache: dict[str, tuple[int, Table]]) -> None:
        self.run = connection.execute
        self._cache = cache
        self._growth: dict[int, list[int]] = {}

    # -- catalog

    def table(self, name: str) -> Table | None:
        """Return the table of that name, if there is one."""
        row = self.run("SELECT version FROM catalog WHERE name = ?", (name,)).fetchone()
        if row is None:
            return None
        cached = self._cache.get(name)
        if cached is None or cached[0] != row[0]:
            (definition,) = self.run(
                "SELECT definition FROM catalog WHERE name = ?", (name,)
            ).fetchone()
            cached = (row[0], Table.from_json(orjson.loads(definition)))
            if cached[1].name != name:
                msg = f"the definition of {name} is one of {cached[1].name}"
                raise ValueError(msg)
            self._cache[name] = cached
        return cached[1]

    def table_names(self, start: str, limit: int) -> list[str]:
        """Return up to *limit* table names after *start*, in byte order."""
        rows = self.run(
            "SELECT name FROM catalog WHERE name > ? ORDER BY name LIMIT ?", (start, limit)
        )
        return [name for (name,) in rows]

    def save(self, table: Table) -> None:
        """Write a table's definition."""
        self.run(
            "INSERT INTO catalog VALUES (?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE SET version = excluded.version,"
            " definition = excluded.definition",
            (table.name, self._next(), orjson.dumps(table.to_json())),
        )

    def add_table(self, table: Table) -> Table:
        """Create a table and its indexes, empty."""
        table = replace(table, store=self._new_store())
        self.run(
            f"CREATE TABLE t{table.store} (id INTEGER PRIMARY KEY, k BLOB NOT NULL,"
            " size INTEGER NOT NULL, weight INTEGER, data BLOB NOT NULL)"
        )
        self.run(f"CREATE UNIQUE INDEX k{table.store} ON t{table.store} (k)")
        for index in table.indexes:
            table = table.with_index(self.add_index(index))
        self.save(table)
        return table

    def add_index(self, index: Index) -> Index:
        """Create the store of an index, empty."""
        index = replace(index, store=self._new_store())
        self.run(
            f"CREATE TABLE i{index.store} (k BLOB PRIMARY KEY, item INTEGER NOT NULL,"
            " size INTEGER NOT NULL, weight INTEGER, data BLOB) WITHOUT ROWID"
        )
        return index

    def remove_index(self, index: Index) -> None:
        """Remove the store of an index."""
        self.run(f"DROP TABLE i{index.store}")
        self.run("DELETE FROM stores WHERE id = ?", (index.store,))

    def remove_table(self, table: Table) -> None:
        """Remove a table, its indexes and its tags."""
        for index in table.indexes:
            self.remove_index(index)
        self.run(f"DROP TABLE t{table.store}")
        self.run("DELETE FROM stores WHERE id = ?", (table.store,))
        self.run("DELETE FROM tags WHERE name = ?", (table.name,))
        self.run("DELETE FROM catalog WHERE name = ?", (table.name,))

    def _next(self) -> int:
        (number,) = self.run("UPDATE sequence SET next = next + 1 RETURNING next").fetchone()
        return int(number)

    def _new_store(self) -> int:
        number = self._next()
        self.run("INSERT INTO stores (id) VALUES (?)", (number,))
        return number

    # -- items and entries

    def find(self, table: Table, key: bytes) -> tuple[int, int, bytes] | None:
        """Return (row number, size, JSON) of the item under a stored key."""
        row: tuple[int, int, bytes] | None = self.run(
            f"SELECT id, size, data FROM t{table.store} WHERE k = ?", (key,)
        ).fetchone()
        return row

    def put(
        self,
        table: Table,
        key: bytes,
        size: int,
        weight: int,
        data: bytes,
        old: tuple[int, int, bytes] | None,
    ) -> int:
        """Write one item over *old* and return its row number."""
        if old is None:
            cursor = self.run(
                f"INSERT INTO t{table.store} (k, size, weight, data) VALUES (?, ?, ?, ?)",
                (key, size, weight, data),
            )
            self._grow(table.store, 1, size)
            return cursor.lastrowid or 0
        self.run(
            f"UPDATE t{table.store} SET size = ?, weight = ?, data = ? WHERE id = ?",
            (size, weight, data, old[0]),
        )
        self._grow(table.store, 0, size - old[1])
        return old[0]

    def delete(self, table: Table, old: tuple[int, int, bytes]) -> None:
        """Remove one item."""
        self.run(f"DELETE FROM t{table.store} WHERE id = ?", (old[0],))
        self._grow(table.store, -1, -old[1])

    def put_entry(
        self,
        index: Index,
        key: bytes,
        item_row: int,
        size: int,
        weight: int,
        data: bytes | None,
        *,
        is_new: bool = False,
    ) -> None:
        """Write one entry of an index, over the one under the same key unless it *is_new*."""
        old = None
        if not is_new:
            old = self.run(f"SELECT size FROM i{index.store} WHERE k = ?", (key,)).fetchone()
        if old is None:
            self.run(
                f"INSERT INTO i{index.store} (k, item, size, weight, data) VALUES (?, ?, ?, ?, ?)",
                (key, item_row, size, weight, data),
            )
            self._grow(index.store, 1, size)
            return
        self.run(
            f"UPDATE i{index.store} SET item = ?, size = ?, weight = ?, data = ? WHERE k = ?",
            (item_row, size, weight, data, key),
        )
        self._grow(index.store, 0, size - old[0])

    def delete_entry(self, index: Index, key: bytes) -> None:
        """Remove one entry of an index; one that the backfill has not made yet is no error."""
        row = self.run(f"DELETE FROM i{index.store} WHERE k = ? RETURNING size", (key,)).fetchone()
        if row is not None:
            self._grow(index.store, -1, -row[0])

    def totals(self, store: int) -> tuple[int, int]:
        """Return (items, bytes) of a table or an index."""
        row = self.run("SELECT items, bytes FROM stores WHERE id = ?", (store,)).fetchone()
        return (row[0], row[1]) if row else (0, 0)

    def _grow(self, store: int, items: int, size: int) -> None:
        growth = self._growth.setdefault(store, [0, 0])
        growth[0] += items
        growth[1] += size

    def finish(self) -> None:
        """Write what the transaction added to the totals."""
        for store, (items, size) in self._growth.items():
            if items or size:
                self.run(
                    "UPDATE stores SET items = items + ?, bytes = bytes + ? WHERE id = ?",
                    (items, size, store),
                )


class _Handle:
    """What one transaction at a time has open."""

    connection: sqlite3.Connection
    file: tuple[int, int] | None

    def __init__(self, lock: int | None) -> None:
        self.lock = lock
        self.process = os.getpid()
        self.closed = False
        # held during a transaction: SQLite crashes if a connection is closed within one
        self.in_use = threading.RLock()

    def close(self) -> None:
        """Close both; in a forked child leave them to the parent."""
        if self.process != os.getpid():
            return
        self.closed = True
        with suppress(AttributeError, sqlite3.Error):
            self.connection.close()
        if self.lock is not None:
            os.close(self.lock)
            self.lock = None

    __del__ = close


_INHERITED: list[_Handle] = []
"""What a forked process got from its parent: kept, because dropping it would close it."""


class Storage:
    """
    A data file, opened as many times as there are transactions at once.

    Args:
        path: File, made with its folder if missing; `:memory:` keeps all in this object.
        read_only: Open a file that is there, and write nothing: neither into it nor beside it.
            So it opens on a full disk and in a folder that may not be written to.
        enforcement: Holds requests to the tables' throughput; None lets all of them be.
        latency: Is told what requests come to; None where they take as long as they take.

    Raises:
        DataFileError: The file is no perfkit data file, is damaged or is from a newer version.
        ConfigError: The file or its folder cannot be written, or not be read without writing.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        read_only: bool = False,
        enforcement: Enforcement | None = None,
        latency: Latency | None = None,
    ) -> None:
        self.path = str(path)
        self.latency = latency
        self.enforcement = enforcement
        self.read_only = read_only
        self._in_memory = self.path == ":memory:"
        self._log = f"{self.path}-wal"
        # in memory all threads share one connection, so reads queue as well
        self._guard = threading.RLock() if self._in_memory else nullcontext()
        self._idle: list[_Handle] = []
        self._cache: dict[str, tuple[int, Table]] = {}
        self._handles: weakref.WeakSet[_Handle] = weakref.WeakSet()
        self._shared = self._open() if self._in_memory else None
        with self._lent():
            pass

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Run the body against one consistent state of the file."""
        with self._guard, self._errors(), self._lent() as handle:
            connection = handle.connection
            with handle.in_use:
                # all within the try: an interrupt may come between any two lines
                try:
                    connection.execute("BEGIN")
                    yield Transaction(connection, self._cache)
                finally:
                    if connection.in_transaction:
                        connection.execute("COMMIT")

    @contextmanager
    def write(self, *, wait: bool = True) -> Iterator[Transaction]:
        """
        Run the body as the file's only writer; all of it is kept, or on an error nothing.

        Raises:
            BusyError: Another is writing, and this one is not to *wait* for it.
        """
        with self._guard, self._errors(), self._lent() as handle:
            connection = handle.connection
            with handle.in_use, _exclusive(handle.lock, wait=wait):
                try:
                    connection.execute("BEGIN IMMEDIATE")
                    transaction = Transaction(connection, self._cache)
                    yield transaction
                    transaction.finish()
                    connection.execute("COMMIT")
                except BaseException:
                    self._cache.clear()
                    # on a full disk SQLite has rolled back by itself
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
                log_bytes = self._log_bytes()
                if log_bytes > _LONGEST_LOG_BYTES:
                    _checkpoint(connection, "RESTART")
                    return
            if log_bytes > _LONG_LOG_BYTES:
                with handle.in_use:
                    _checkpoint(connection, "PASSIVE")

    def state(self) -> tuple[int, ...]:
        """Return what changes with what is stored in the file: its sizes and times."""
        if self._in_memory:
            return ()
        state: list[int] = []
        for name in (self.path, self._log):
            with suppress(FileNotFoundError):
                status = Path(name).stat()
                state += [status.st_ino, status.st_size, status.st_mtime_ns]
        return tuple(state)

    def _log_bytes(self) -> int:
        """Return how long the write-ahead log is."""
        if self._in_memory:
            return 0
        try:
            return os.stat(self._log).st_size  # noqa: PTH116 - as in _identity
        except FileNotFoundError:
            return 0

    def close(self) -> None:
        """Close what is open and not in use; a transaction that is under way goes on."""
        deadline_s = monotonic() + _CLOSE_WITHIN_S
        for handle in list(self._handles):
            # a writer may have to wait for another process for as long as that likes
            if handle.in_use.acquire(timeout=max(0.0, deadline_s - monotonic())):
                try:
                    handle.close()
                finally:
                    handle.in_use.release()
        # what came over a fork is its parent's to close
        _INHERITED.extend(handle for handle in self._idle if handle.process != os.getpid())
        self._idle.clear()

    @contextmanager
    def _lent(self) -> Iterator[_Handle]:
        """Lend a connection for one transaction."""
        if self._shared is not None:
            yield self._shared
            return
        handle = self._take()
        try:
            yield handle
        finally:
            # one that is not given back is closed by being forgotten
            if not handle.closed and not handle.connection.in_transaction:
                self._idle.append(handle)

    def _take(self) -> _Handle:
        # the last one given back first: what it has cached is what was written last, if nobody
        # else wrote, and few are open
        while True:
            try:
                handle = self._idle.pop()
            except IndexError:
                return self._open()
            if handle.process != os.getpid():
                # a connection must not be used, nor closed, on the other side of a fork
                _INHERITED.append(handle)
            elif handle.file == _identity(self.path):
                return handle
            # without this question, what is written after somebody removed the file would be
            # lost without a word
            else:
                handle.close()

    def _open(self) -> _Handle:
        with self._errors():
            lock = None
            made = False
            if not self._in_memory and not self.read_only:
                path = Path(self.path)
                path.absolute().parent.mkdir(parents=True, exist_ok=True)
                # a file of its own: opening and closing the database file itself, even to look
                # at it, would drop the locks that SQLite has on it for this process
                lock, made = _open_lock(f"{path}-lock")
            handle = _Handle(lock)
            try:
                if self.read_only:
                    handle.connection = self._connect_to_read()
                else:
                    handle.connection = _connect(self.path)
                # only changing the file needs the lock: a reader must not queue behind writers
                with _exclusive(None if self._is_up_to_date(handle.connection) else lock):
                    self._prepare(handle.connection)
            except BaseException:
                handle.close()
                if made:
                    Path(f"{self.path}-lock").unlink(missing_ok=True)
                raise
            handle.file = _identity(self.path)
            self._cache.clear()
        self._handles.add(handle)
        return handle

    def _is_up_to_date(self, connection: sqlite3.Connection) -> bool:
        """Return whether the file neither has to be made nor brought to this version."""
        # of an empty file without SQLite: a reader would be in the way of who makes it
        if self._in_memory or _is_empty(self.path):
            return False
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        return bool(version >= _DATA_FILE_VERSION)

    def _connect_to_read(self) -> sqlite3.Connection:
        """
        Return a connection that writes nothing.

        Source: https://www.sqlite.org/wal.html#readonly
        """
        address = Path(self.path).absolute().as_uri()
        connection = _connect(f"{address}?mode=ro", uri=True)
        try:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.Error as error:
            connection.close()
            code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
            if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_BUSY):
                raise
            if self._log_bytes():
                # what is in the log counts, and cannot be read without a file beside it
                msg = (
                    f"cannot read {self.path} without writing beside it ({error}): its last"
                    " changes are still in its log; make a little room, or the folder writable,"
                    " and run again"
                )
                raise ConfigError(msg) from error
            # the log is empty, so nobody is writing and all is in the file itself
            return _connect(f"{address}?immutable=1", uri=True)
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        run = connection.execute
        (application,) = run("PRAGMA application_id").fetchone()
        (version,) = run("PRAGMA user_version").fetchone()
        (tables,) = run("SELECT count(*) FROM sqlite_schema").fetchone()
        if tables and application != _APPLICATION_ID:
            msg = (
                f"{self.path} is an SQLite file, but not one of perfkit's; name another with --data"
            )
            raise DataFileError(msg)
        if version > _DATA_FILE_VERSION:
            msg = (
                f"{self.path} has format {version} and this perfkit reads up to"
                f" {_DATA_FILE_VERSION}; upgrade perfkit or name another file with --data"
            )
            raise DataFileError(msg)
        if self.read_only:
            if not tables:
                msg = f"{self.path} is empty; name another with --data"
                raise DataFileError(msg)
            return
        run("PRAGMA journal_mode = WAL")
        # a killed process loses nothing; a power cut may lose the last moments
        run("PRAGMA synchronous = NORMAL")
        run("PRAGMA cache_size = -65536")
        # all of the file that SQLite maps, 2 GB: a scan in order of key visits pages at random,
        # and reading one that is not mapped is a call of the system. The pages are the
        # system's, shared and given back when it needs them, though they count as resident
        run(f"PRAGMA mmap_size = {_MAPPED_BYTES}")
        # by itself SQLite copies the log into the file while it holds the write lock, and
        # the other writers wait for the disk
        run("PRAGMA wal_autocheckpoint = 0")
        run(f"PRAGMA journal_size_limit = {_LONG_LOG_BYTES}")
        if not tables:
            run("BEGIN IMMEDIATE")
            for statement in _CATALOG.split(";"):
                run(statement)
            run("INSERT INTO sequence VALUES (0)")
            run(f"PRAGMA application_id = {_APPLICATION_ID}")
            run(f"PRAGMA user_version = {_DATA_FILE_VERSION}")
            run("COMMIT")
        elif version < _DATA_FILE_VERSION:
            run("BEGIN IMMEDIATE")
            stores = run("SELECT name FROM sqlite_schema WHERE name GLOB '[ti][0-9]*'").fetchall()
            for (store,) in stores:
                run(f"ALTER TABLE {store} ADD COLUMN weight INTEGER")
            run(f"PRAGMA user_version = {_DATA_FILE_VERSION}")
            run("COMMIT")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Say in one line what is wrong with the file."""
        try:
            yield
        except sqlite3.Error as error:
            raise _explain(self.path, error) from error
        except UnicodeDecodeError as error:
            # from the names in a damaged catalogue, or from SQLite's words about them
            raise _damaged(self.path, error) from error
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise _full(self.path) from error
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise _too_many_files(self.path) from error
            msg = f"cannot use {self.path}: {error.strerror}; name another file with --data"
            raise ConfigError(msg) from error


def _connect(database: str, *, uri: bool = False) -> sqlite3.Connection:
    return sqlite3.connect(
        database,
        timeout=_BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=512,
        uri=uri,
    )


def _checkpoint(connection: sqlite3.Connection, mode: str) -> None:
    # what was just written is kept whether or not this succeeds, so it must not look refused
    with suppress(sqlite3.Error):
        connection.execute(f"PRAGMA wal_checkpoint({mode})")


@contextmanager
def _exclusive(lock: int | None, *, wait: bool = True) -> Iterator[None]:
    # SQLite's own wait for its write lock polls with sleeps of up to 0.1 s; queueing at a
    # lock of the system wakes the next writer at once, and a killed process frees it
    if lock is None:
        yield
        return
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError from error
        yield
    finally:
        fcntl.flock(lock, fcntl.LOCK_UN)


def _open_lock(path: str) -> tuple[int, bool]:
    """Return the lock file's descriptor, and whether it was made now."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_EXCL, 0o644), True
    except FileExistsError:
        return os.open(path, flags, 0o644), False


def _identity(path: str) -> tuple[int, int] | None:
    """Return what tells a file from another under the same name; None if there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - runs for every request, and Path takes 5 times as long
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _is_empty(path: str) -> bool:
    try:
        return not Path(path).stat().st_size
    except FileNotFoundError:
        return True


def _full(path: str) -> StorageFullError:
    return StorageFullError(
        f"no space left to write {path}; what was written before is kept: free some space,"
        " or name a file elsewhere with --data, and run the command again"
    )


def _damaged(path: str, error: Exception) -> DataFileError:
    return DataFileError(
        f"{path} is no perfkit data file or is damaged ({error}); move it away, or name"
        " another with --data"
    )


def _too_many_files(path: str) -> TargetError:
    return TargetError(
        f"too many open files to open {path}; allow more with `ulimit -n 256` in the shell and run"
        " the command again"
    )


def _explain(path: str, error: sqlite3.Error) -> Exception:
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return _full(path)
    if code == sqlite3.SQLITE_IOERR and not _can_grow(path):
        return _full(path)
    if code == sqlite3.SQLITE_CANTOPEN and _no_descriptor_left():
        return _too_many_files(path)
    # Python's own module gives no code to a text that is none
    undecodable = str(error).startswith("Could not decode")
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT) or undecodable:
        return _damaged(path, error)
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return ConfigError(f"cannot write {path} ({error}); name another file with --data")
    if code == sqlite3.SQLITE_BUSY:
        return TargetError(f"{path} is held by another process ({error}); try again when it ends")
    return DataFileError(
        f"cannot read or write {path} ({error}); what was written before is kept: check the disk"
        " and the limit on the size of files, or name a file elsewhere with --data"
    )


def _no_descriptor_left() -> bool:
    # SQLite keeps to itself why it cannot open a file
    opened: list[int] = []
    try:
        opened.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(_FILES_OF_A_DATABASE))
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE)
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return False


def _can_grow(path: str) -> bool:
    # tried out, because a quota is not to be seen in the free space
    try:
        with tempfile.TemporaryFile(dir=Path(path).absolute().parent) as probe:
            probe.write(bytes(_LEAST_FREE_BYTES))
            probe.flush()
    except OSError:
        return False
    return True
