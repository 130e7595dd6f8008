"""The file with the keys of items that violate a proposed index."""

import json
import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from perfkit.capacity import Item
from perfkit.dynamodb.index_items import Violation
from perfkit.errors import ConfigError, StorageFullError
from perfkit.migrate.proposals import Proposal
from perfkit.migrate.tally import Tally, is_refused

__all__ = ["ViolationsFile", "check_free", "check_own"]

_LINE_START = b'{"table": "'
"""What every line of a file of violations begins with."""


def check_free(path: Path, *, replace: bool) -> None:
    """
    Refuse a place for a new file where something is.

    Args:
        path: Where.
        replace: A file that is there may be replaced.

    Raises:
        ConfigError: Something is there, or is no ordinary file.
    """
    if not path.exists():
        return
    if not path.is_file():
        msg = f"{path} is no ordinary file; give another --violations"
        raise ConfigError(msg)
    if not replace:
        msg = f"{path} is there already; --force replaces it, or give another --violations"
        raise ConfigError(msg)


def check_own(path: Path, kept_bytes: int) -> None:
    """
    Refuse to go on in a file that somebody put in the place of the preflight's own.

    Args:
        path: Where it was.
        kept_bytes: So much of it counts.

    Raises:
        ConfigError: It is not what a preflight wrote.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        start = file.read(len(_LINE_START))
        file.seek(max(0, kept_bytes - 1))
        end = file.read(1)
    if not _LINE_START.startswith(start) or (kept_bytes and end != b"\n"):
        msg = (
            f"{path} is not what this preflight wrote; move it away and add"
            " --restart, which starts over"
        )
        raise ConfigError(msg)


class ViolationsFile:
    """
    Keys of items that violate a proposed index, one JSON document a line; its owner's alone.

    Args:
        path: Where.
        most: At most so many keys of each index, attribute and reason; None for all.
        continue_at: Bytes to keep of a file begun before; 0 begins one, in whatever's place.

    Raises:
        ConfigError: There is none to continue, or the place cannot be written to.
    """

    def __init__(
        self,
        path: Path,
        *,
        most: int | None = None,
        continue_at: int = 0,
    ) -> None:
        self.path = path
        self._most = most
        self._written: Counter[tuple[str, str, str, str]] = Counter()
        flags = os.O_WRONLY | os.O_CLOEXEC | (0 if continue_at else os.O_CREAT)
        try:
            descriptor = os.open(path, flags, 0o600)
            os.fchmod(descriptor, 0o600)
            self._file = os.fdopen(descriptor, "wb")
            if os.fstat(descriptor).st_size < continue_at:
                msg = f"{path} is shorter than this preflight left it; --restart starts over"
                raise ConfigError(msg)
            self._file.truncate(continue_at)
            self._file.seek(continue_at)
        except OSError as error:
            msg = f"cannot write {path} ({error.strerror or error}); give another --violations"
            raise ConfigError(msg) from error

    def count_written(self, table: str, tally: Tally) -> None:
        """Take into account what was written of a table before."""
        for index, each in tally.indexes.items():
            for attribute, reasons in each.reasons.items():
                for reason, items in reasons.items():
                    self._written[table, index, attribute, reason] += items

    def write(self, proposal: Proposal, item: Item, index: str, violation: Violation) -> None:
        """
        Add a line for an item of a table.

        Raises:
            StorageFullError: There is no room.
        """
        state = proposal.state
        kind = (state.name, index, violation.attribute, str(violation.reason))
        self._written[kind] += 1
        if self._most is not None and self._written[kind] > self._most:
            return
        line = {
            "table": state.name,
            "key": {name: item[name] for name in state.keys.names if name in item},
            "index": index,
            "attribute": violation.attribute,
            "reason": str(violation.reason),
            "refused": is_refused(violation),
            "found": violation.found,
            "wanted": violation.wanted,
        }
        self._try(lambda: self._file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n"))

    def flush(self) -> int:
        """Force to disk what was written, and return the size of the file."""
        self._try(self._file.flush)
        self._try(lambda: os.fsync(self._file.fileno()))
        return self._file.tell()

    def _try(self, write: Callable[[], object]) -> None:
        try:
            write()
        except OSError as error:
            msg = f"cannot write {self.path} ({error.strerror or error}); free some space and run the same command again"
            raise StorageFullError(msg) from error

    def close(self) -> None:
        with suppress(OSError):
            self._file.close()
