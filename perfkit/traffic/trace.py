"""Reading a trace: what was recorded, request by request and summed up."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from struct import Struct
from typing import Any

import orjson

from perfkit.errors import TraceError
from perfkit.traffic.exchange import Touched
from perfkit.traffic.failures import Failures, failures_of
from perfkit.traffic.schemas import Schema, read_schema
from perfkit.traffic.shapes import Fingerprint
from perfkit.traffic.trace_file import FORMAT, TOUCHED, WRITTEN, Totals

__all__ = ["Call", "Trace", "read_trace"]


@dataclass(frozen=True, slots=True)
class Call:
    """
    One recorded request.

    Args:
        number: Its place in the recording, from 1.
        at_s: When it came, in seconds since the recording began.
        duration_s: Until the target had answered.
        fingerprint: Number of its fingerprint.
        status: HTTP status; 0 for no answer.
        error: Code of its error; "" for none.
        connection: Number of its connection.
        agent: What sent it, by its own word.
        caller: Trace id of the application's request behind it, in hexadecimal; "" if unknown.
        invocation: The same for all attempts of one call; 0 if unknown.
        attempt: From 1.
        count: Items returned or written.
        scanned: Items evaluated.
        received_bytes: Of the answer.
        item_bytes: Size of one item in it, as DynamoDB counts it; 0 for none.
        unprocessed: Items or keys that a batch gave back.
        same: Equal for equal requests.
        chain: Equal for the pages of one query or scan; 0 for a single page.
        page: Which page, from 0.
        behind: Number of the request whose answer its key was in; 0 for none.
        units: Table, index ("" for the table) and consumed units.
        touched: Items and partitions that it names.
        returned: Key hashes of returned items, of the first hundred.
        body: The request as it was, where values were kept.
    """

    number: int
    at_s: float
    duration_s: float
    fingerprint: int
    status: int
    error: str
    connection: int
    agent: str
    caller: str
    invocation: int
    attempt: int
    count: int
    scanned: int
    received_bytes: int
    item_bytes: int
    unprocessed: int
    same: int
    chain: int
    page: int
    behind: int
    units: tuple[tuple[str, str, float], ...]
    touched: tuple[Touched, ...]
    returned: tuple[int, ...]
    body: bytes | None

    @property
    def end_s(self) -> float:
        """When it was answered, in seconds since the recording began."""
        return self.at_s + self.duration_s

    @property
    def total_units(self) -> float:
        """Units of all tables and indexes."""
        return sum(units for _, _, units in self.units)


@dataclass(frozen=True, slots=True)
class Trace:
    """
    A recording.

    Args:
        path: Its file.
        meta: What is said of the whole.
        fingerprints: By number.
        totals: Exact sums, by number of the fingerprint.
        schemas: Tables that could be described, by name.
        details: How many requests' details it holds.
    """

    path: Path
    meta: dict[str, Any]
    fingerprints: dict[int, Fingerprint]
    totals: dict[int, Totals]
    schemas: dict[str, Schema]
    details: int
    _texts: dict[int, str] = field(repr=False)

    @property
    def requests(self) -> int:
        """All requests, those without details too."""
        return sum(each.calls for each in self.totals.values())

    @property
    def failures(self) -> Failures:
        """What went wrong among them."""
        return failures_of(self.totals.values())

    @property
    def duration_s(self) -> float:
        """How long was recorded."""
        return float(self.meta.get("duration_s") or self.meta.get("last_s") or 0.0)

    @property
    def observed_s(self) -> float:
        """How much of that was looked at: less, where only a share was sampled."""
        return float(self.meta.get("observed_s") or self.duration_s)

    @property
    def region(self) -> str | None:
        """Region of the target; None for one that has none."""
        found = (self.meta.get("target") or {}).get("region")
        return found if isinstance(found, str) else None

    @property
    def capacity_doubt(self) -> str:
        """Why the target's consumed units may be wrong; "" for no reason that is known."""
        return str(self.meta.get("capacity_doubt") or "")

    @property
    def is_complete(self) -> bool:
        """Whether the recording came to its end."""
        return bool(self.meta.get("complete"))

    def calls(self) -> Iterator[Call]:
        """
        Yield the requests whose details were kept, in the order in which they came.

        Raises:
            TraceError: The file is damaged.
        """
        try:
            with closing(_open(self.path)) as database:
                for row in database.execute("SELECT * FROM request ORDER BY at_us, id"):
                    yield self._call(row)
        except sqlite3.Error as error:
            raise _damaged(self.path, error) from error

    def _call(self, row: tuple[Any, ...]) -> Call:
        texts = self._texts
        units = texts.get(row[21], "")
        return Call(
            number=row[0],
            at_s=row[1] / 1e6,
            duration_s=row[2] / 1e6,
            fingerprint=row[3],
            status=row[4],
            error=texts.get(row[5], ""),
            connection=row[6],
            agent=texts.get(row[7], ""),
            caller=row[8].hex() if row[8] else "",
            invocation=row[9] or 0,
            attempt=row[10],
            count=row[11],
            scanned=row[12],
            received_bytes=row[14],
            item_bytes=row[15],
            unprocessed=row[16],
            same=row[17],
            chain=row[18] or 0,
            page=row[19],
            behind=row[20] or 0,
            units=_units(units) if units else (),
            touched=tuple(self._touched(row[22])) if row[22] else (),
            returned=Struct(f"<{len(row[23]) // 8}q").unpack(row[23]) if row[23] else (),
            body=row[24],
        )

    def _touched(self, packed: bytes) -> Iterator[Touched]:
        texts = self._texts
        for table, index, partition, key in TOUCHED.iter_unpack(packed):
            name = texts.get(index & ~WRITTEN, "")
            yield Touched(texts.get(table, ""), name, partition, key, bool(index & WRITTEN))


@lru_cache(4096)
def _units(text: str) -> tuple[tuple[str, str, float], ...]:
    return tuple((table, index, units) for table, index, units in orjson.loads(text))


def read_trace(path: Path) -> Trace:
    """
    Read what a trace says of the whole; `Trace.calls` reads the rest.

    Raises:
        TraceError: It is not there, is no trace, is damaged, or comes from another version.
    """
    if not path.is_file():
        msg = f"no trace {path}; `perfkit record` makes one"
        raise TraceError(msg)
    if path.stat().st_size == 0:
        msg = f"{path} is empty; `perfkit record` makes a trace"
        raise TraceError(msg)
    try:
        with closing(_open(path)) as database:
            meta = _meta(database, path)
            found = database.execute("PRAGMA quick_check(1)").fetchone()
            if found is None or found[0] != "ok":
                raise _damaged(path, found[0] if found else "")
            texts = dict(database.execute("SELECT id, value FROM text"))
            kept = database.execute("SELECT id, parts, totals FROM fingerprint").fetchall()
            described = database.execute("SELECT name, description FROM described").fetchall()
            details = database.execute("SELECT count(*) FROM request").fetchone()[0]
    except sqlite3.Error as error:
        raise _damaged(path, error) from error
    schemas = {name: read_schema(orjson.loads(text)) for name, text in described}
    return Trace(
        path=path,
        meta=meta,
        fingerprints={number: Fingerprint(**orjson.loads(parts)) for number, parts, _ in kept},
        totals={number: Totals(**orjson.loads(totals)) for number, _, totals in kept if totals},
        schemas={name: schema for name, schema in schemas.items() if schema is not None},
        details=details,
        _texts=texts,
    )


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


def _meta(database: sqlite3.Connection, path: Path) -> dict[str, Any]:
    try:
        rows = database.execute("SELECT name, value FROM meta").fetchall()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        msg = f"{path} is no trace of perfkit's; `perfkit record` makes one"
        raise TraceError(msg) from error
    except sqlite3.DatabaseError as error:
        if "not a database" not in str(error):
            raise
        msg = f"{path} is no trace of perfkit's; `perfkit record` makes one"
        raise TraceError(msg) from error
    meta = {name: orjson.loads(value) for name, value in rows}
    if meta.get("format") != FORMAT:
        msg = (
            f"{path} is a trace of format {meta.get('format')}, and this perfkit reads {FORMAT};"
            " read it with the perfkit that recorded it, or record again"
        )
        raise TraceError(msg)
    return meta


def _damaged(path: Path, error: object) -> TraceError:
    return TraceError(f"{path} is damaged ({error}); copy it again, or record again")
