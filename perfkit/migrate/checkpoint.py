"""
How far a full preflight is, kept in a file so that it continues where it was.

The positions of its segments are keys of items, so only their owner may read the file.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from perfkit import __version__
from perfkit.dynamodb.tables import Identity, Keys, TableState
from perfkit.dynamodb.targets import Target, TargetKind
from perfkit.errors import ConfigError, cannot_write
from perfkit.files import write_private
from perfkit.migrate.proposals import Proposal
from perfkit.migrate.tally import Tally
from perfkit.settings import MIGRATIONS_FOLDER
from perfkit.workloads.model import Workload

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = [
    "Checkpoint",
    "Segment",
    "TableProgress",
    "begun",
    "digest_of",
    "file_of",
    "held",
    "load",
    "place_of",
    "save",
    "state_digest",
]

_FORMAT = 1
"""Of the file. 1: first."""

_RESTART = "--restart starts over"


@dataclass(slots=True, kw_only=True)
class Segment:
    """
    One segment of a parallel scan.

    Args:
        start: Key after which to read on, on the wire; None for the beginning.
        is_done: It is read to its end.
        tally: What its items said so far.
    """

    start: dict[str, dict[str, str]] | None = None
    is_done: bool = False
    tally: Tally = field(default_factory=Tally)


@dataclass(slots=True, kw_only=True)
class TableProgress:
    """
    How far a table is.

    Args:
        table: Its name.
        identity: Which table of that name it is.
        digest: Of the indexes it has and of those in question.
        kinds_by: What tells kinds of items apart; None where there is one kind.
        page_items: Most items a page; None for as many as there is room for.
        read_units: Consumed so far.
        segments: In order.
    """

    table: str
    identity: Identity
    digest: str
    kinds_by: str | None
    page_items: int | None
    read_units: float
    segments: list[Segment]

    @property
    def read_items(self) -> int:
        """Items read so far."""
        return sum(each.tally.items for each in self.segments)

    @property
    def is_done(self) -> bool:
        """Whether the table is read to its end."""
        return all(each.is_done for each in self.segments)


@dataclass(slots=True, kw_only=True)
class Checkpoint:
    """
    How far a preflight is.

    Args:
        place: Where its tables are.
        tables: Those begun, in order.
        violations: The file that keys of violating items are written to; None for none.
        violations_bytes: What of that file belongs to the pages counted here.
        format: Of the file.
    """

    place: dict[str, str]
    tables: list[TableProgress] = field(default_factory=list)
    violations: str | None = None
    violations_bytes: int = 0
    format: int = _FORMAT

    def table(self, proposal: Proposal) -> TableProgress | None:
        """
        Return how far a table is, None if it is not begun.

        Raises:
            ConfigError: It is another table by now, or other indexes are in question.
        """
        name = proposal.state.name
        found = next((each for each in self.tables if each.table == name), None)
        if found is None:
            return None
        if found.identity != proposal.state.identity:
            msg = (
                f"table {name} was re-created since this preflight began, so what was read of it"
                f" does not count; {_RESTART}"
            )
            raise ConfigError(msg)
        if found.digest != digest_of(proposal):
            msg = (
                f"the indexes of {name}, there or proposed, are others than when this preflight"
                f" began; {_RESTART}"
            )
            raise ConfigError(msg)
        return found


def digest_of(proposal: Proposal) -> str:
    """Return what tells one set of indexes, there and proposed, from another."""
    wanted = sorted((each.name, str(Keys.of(each))) for each in proposal.indexes)
    text = json.dumps([state_digest(proposal.state), wanted])
    return hashlib.sha256(text.encode()).hexdigest()


def state_digest(state: TableState) -> str:
    """Return what tells the global indexes that a table has from others, whatever their status."""
    there = sorted(
        (each.name, str(each.keys), each.projection, list(each.non_key_attributes))
        for each in state.indexes
    )
    return hashlib.sha256(json.dumps(there).encode()).hexdigest()


def place_of(target: Target) -> dict[str, str]:
    """Return where a target is, in a form that two commands in one folder can compare."""
    place = {name: str(value) for name, value in target.describe().items()}
    if target.kind is TargetKind.EMBEDDED:
        place["data"] = str(target.data.resolve())
    return place


def file_of(place: Mapping[str, str], workload: Workload, folder: Path = MIGRATIONS_FOLDER) -> Path:
    """Return the file that says how far the preflight of a workload is."""
    text = json.dumps([sorted(place.items()), workload.name])
    return folder / f"preflight-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


@contextmanager
def held(
    path: Path,
    *,
    busy: str = "another preflight of this workload and target runs in this folder; wait for it",
) -> Iterator[None]:
    """
    Keep other processes from doing the same, as long as this one lives.

    Args:
        path: The file that says how far it is; the lock is beside it.
        busy: What to say where another process holds it.

    Raises:
        ConfigError: One does, or the folder cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(
            path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600
        )
    except OSError as error:
        raise cannot_write(
            error,
            full=f"no space left in {path.parent}; free some and run the same command again",
            otherwise=f"cannot write to {path.parent} ({error.strerror}); make it writable or work"
            " elsewhere",
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(busy) from error
        yield
    finally:
        os.close(descriptor)


def save(path: Path, checkpoint: Checkpoint) -> None:
    """
    Write how far it is, in one step.

    Raises:
        StorageFullError: The disk or the quota is full; what was written before stays.
        ConfigError: The place cannot be written to.
    """
    text = _adapter().dump_json(checkpoint).decode()
    write_private(path, text, replace=True, advice="work in another folder")


def load(path: Path) -> Checkpoint | None:
    """
    Return how far it was, None if nothing is begun.

    Raises:
        ConfigError: The file is damaged or of a newer perfkit.
    """
    from pydantic import ValidationError

    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        msg = f"cannot read {path} ({error.strerror}); {_RESTART}"
        raise ConfigError(msg) from error
    try:
        content = json.loads(text)
        if isinstance(content, dict) and content.get("format") != _FORMAT:
            msg = f"{path} was written by another perfkit than {__version__}; {_RESTART}"
            raise ConfigError(msg)
        return _adapter().validate_json(text)
    except (ValueError, ValidationError) as error:
        msg = f"{path}, which says how far the preflight is, is damaged; {_RESTART}"
        raise ConfigError(msg) from error


@lru_cache(maxsize=1)
def _adapter() -> "TypeAdapter[Checkpoint]":
    from pydantic import TypeAdapter

    return TypeAdapter(Checkpoint)


def begun(checkpoint: Checkpoint, proposals: Sequence[Proposal]) -> dict[str, TableProgress | None]:
    """
    Return how far each table is.

    Raises:
        ConfigError: See `Checkpoint.table`; or it was begun with a table that is no longer in it.
    """
    found = {each.state.name: checkpoint.table(each) for each in proposals}
    for each in checkpoint.tables:
        if each.table not in found:
            msg = f"this preflight was begun with table {each.table}, too; {_RESTART}"
            raise ConfigError(msg)
    return found
