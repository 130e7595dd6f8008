"""
Token buckets that all processes of a data file share: a small file of records, mapped.

A bucket that nothing was taken from for long is full, so it needs no record: records are made
when units are taken, and those of an hour ago are free to be used again.
"""

import fcntl
import hashlib
import mmap
import os
import struct
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from perfkit.errors import cannot_write

__all__ = ["Bucket", "Buckets"]

_RECORD = struct.Struct("16sdd")
_RECORDS = 1 << 13
_PROBES = 64
"""Records looked at for one bucket; where all are in use, the oldest is taken for full."""
_FORGOTTEN_S = 3600.0
_FREE = bytes(16)


@dataclass(frozen=True, slots=True)
class Bucket:
    """
    What units come from.

    Args:
        name: Tells it from all others.
        rate: Units that flow in a second.
        most: Units that it holds.
        key: Where its record is.
    """

    name: str
    rate: float
    most: float
    key: bytes = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.blake2b(self.name.encode(), digest_size=16).digest()
        object.__setattr__(self, "key", digest)


class Buckets:
    """
    The levels of all buckets of a data file.

    A request goes ahead while its buckets hold anything at all, and may take more than that: what
    it takes is known when it is done. So a bucket may be in debt by what was under way, and over
    any time no more is taken than flowed in.

    Args:
        path: The file, made if it is missing; None keeps the levels in this object.
        create: Whether to make it; without, and where there is none, they stay in this object.
        clock: Seconds since 1970, the same for all processes.

    Raises:
        ConfigError: The file cannot be made or opened.
        StorageFullError: No space left for it.
    """

    def __init__(
        self, path: Path | None, *, create: bool = True, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = path if path is not None and (create or path.exists()) else None
        self._clock = clock
        self._guard = threading.Lock()
        self._file: int | None = None
        self._map: mmap.mmap
        self._process = 0
        self._open()

    def _open(self) -> None:
        self._process = os.getpid()
        size = _RECORD.size * _RECORDS
        if self._path is None:
            self._map = mmap.mmap(-1, size)
            return
        try:
            self._path.absolute().parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                if os.fstat(self._file).st_size != size:
                    # written and not only made longer: a mapped page that finds no space on the
                    # disk ends the process
                    os.pwrite(self._file, bytes(size), 0)
                    os.ftruncate(self._file, size)
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)
            self._map = mmap.mmap(self._file, size)
        except OSError as error:
            raise cannot_write(
                error,
                full=f"no space left to write {self._path}; free some, and run the command again",
                otherwise=f"cannot use {self._path}: {error.strerror}; name another file with --data",
            ) from error

    def empty(self, buckets: Sequence[Bucket]) -> int | None:
        """Return which of some buckets is empty, the first of them; None if each holds anything."""
        with self._guard:
            now_s = self._begin()
            try:
                for number, bucket in enumerate(buckets):
                    if self._level(bucket, now_s)[1] <= 0:
                        return number
            finally:
                self._end()
        return None

    def take(self, taken: Sequence[tuple[Bucket, float]]) -> None:
        """Take units out of buckets."""
        with self._guard:
            now_s = self._begin()
            try:
                for bucket, units in taken:
                    place, level = self._level(bucket, now_s)
                    _RECORD.pack_into(self._map, place, bucket.key, level - units, now_s)
            finally:
                self._end()

    # no context manager: each request comes here twice, and that would take as long as the rest
    def _begin(self) -> float:
        if self._process != os.getpid():
            # a lock is one of the open file, which a forked process shares with its parent
            self._open()
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_EX)
        return self._clock()

    def _end(self) -> None:
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _level(self, bucket: Bucket, now_s: float) -> tuple[int, float]:
        """Return the place of a bucket's record, or of one for it, and its level."""
        start = int.from_bytes(bucket.key[:4], "little") % _RECORDS
        free, oldest_s = -1, float("inf")
        for probe in range(_PROBES):
            place = (start + probe) % _RECORDS * _RECORD.size
            key, level, at_s = _RECORD.unpack_from(self._map, place)
            if key == bucket.key:
                # a clock that was set back adds nothing
                level += max(0.0, now_s - at_s) * bucket.rate
                return place, min(level, bucket.most)
            if key == _FREE or now_s - at_s > _FORGOTTEN_S:
                at_s = float("-inf")
            if at_s < oldest_s:
                free, oldest_s = place, at_s
            if key == _FREE:
                break
        return free, bucket.most

    def close(self) -> None:
        """Close the file."""
        with self._guard:
            self._map.close()
            if self._file is not None:
                os.close(self._file)
                self._file = None
