"""The file request logs end up in: one JSON object a line."""

import json
import logging
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["LOG_FILE", "LogFile"]

_LOGGER = logging.getLogger(__name__)

LOG_FILE = "requests.jsonl"


class LogFile:
    """
    Appends lines, from any number of threads and processes.

    Lines are handed to the system before `append` returns, so that no killed process loses one;
    the disk has them after the next `sync`, so that a power failure loses what came since.
    The file is opened for each batch: it can be moved away at any time.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._written = False
        self._torn = False

    def append(self, records: Iterable[Mapping[str, Any]]) -> None:
        """
        Write each record as a line.

        Raises:
            OSError: The file cannot be written, or not all of it.
        """
        content = b"".join(_line(record) for record in records)
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = self._open(os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            try:
                # what a full disk cut short must not run into the next line
                self._write(file, b"\n" + content if self._torn else content)
            finally:
                os.close(file)

    def sync(self) -> None:
        """Have the disk keep what was written since the last time; if it cannot, say so."""
        if not self._written:
            return
        self._written = False
        try:
            file = self._open(os.O_RDONLY)
            try:
                os.fsync(file)
            finally:
                os.close(file)
        except FileNotFoundError:
            # moved away; whoever moves a log keeps it
            return
        except OSError as error:
            self._written = True
            _LOGGER.warning("%s may not be on the disk: %s", self.path, error.strerror)

    def _open(self, flags: int) -> int:
        return os.open(self.path, flags, 0o600)

    def _write(self, file: int, content: bytes) -> None:
        self._torn = True
        while content:
            # one write for everything, so that lines of several processes do not mix
            content = content[os.write(file, content) :]
        self._torn = False
        self._written = True


def _line(record: Mapping[str, Any]) -> bytes:
    # whatever came through the queue as JSON can be written like this, lone surrogates too
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"
