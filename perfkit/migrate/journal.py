"""
What migrations did to a table: one JSON document a line, added before and after each step.

The record that an index was asked for here is the mark by which rollback knows it.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from perfkit import __version__
from perfkit.dynamodb.index_work import Goal, Noted, Step
from perfkit.dynamodb.tables import Definition, Identity, Keys, TableState
from perfkit.dynamodb.targets import Target
from perfkit.errors import ConfigError, cannot_write
from perfkit.migrate.checkpoint import held, place_of
from perfkit.settings import MIGRATIONS_FOLDER

__all__ = ["Journal", "Looked", "Made", "journal_of", "journals"]

_FORMAT = 1
"""Of a line. 1: first."""

_LOOKED = "looked"
"""The step of a preflight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """
    An index that was asked for here, and not deleted here since.

    Args:
        definition: As it was asked for.
        arn: Of its table.
        identity: Which table of that name.
        since: When, in UTC.
        command: By which command.
        is_sure: The target accepted it; else the answer was never seen.
        is_scaled: A scaling policy was given to it.
        is_going: The target accepted its deletion, so one that is not DELETING is a new one.
    """

    definition: Definition
    arn: str
    identity: Identity
    since: str
    command: str
    is_sure: bool = False
    is_scaled: bool = False
    is_going: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """
    What a preflight found in a table.

    Args:
        at: When, in UTC.
        indexes: Names of the indexes it was about, each with the key it was to have.
        refused: Items that could not be written any more once the indexes are there.
        items: Items read.
        whole: All of the table, and no sample, was read.
    """

    at: str
    indexes: Mapping[str, Sequence[str]]
    refused: int
    items: int
    whole: bool

    def is_about(self, definition: Definition) -> bool:
        """Return whether it looked for an index of this name and key."""
        return self.indexes.get(definition.name) == _typed(definition.keys)


def _typed(keys: Keys) -> list[str]:
    return [f"{name} {kind}" for name, kind in keys.partition + keys.sort]


class Journal:
    """
    The journal of one table.

    Args:
        path: Its file.
        table: The table.
        command: What is being done, and noted with each line.
    """

    def __init__(self, path: Path, table: str, command: str = "") -> None:
        self.path = path
        self.table = table
        self._command = command

    def lines(self) -> list[dict[str, Any]]:
        """
        Return what was noted, oldest first; a last line that was cut short does not count.

        Raises:
            ConfigError: Another line is damaged, or of a newer perfkit.
        """
        try:
            texts = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            msg = f"cannot read journal {self.path} ({error.strerror}); make it readable"
            raise ConfigError(msg) from error
        found = []
        # what follows the last end of a line was never written whole
        for number, text in enumerate(texts[:-1], start=1):
            try:
                line = json.loads(text)
                version = int(line["format"])
                if version <= _FORMAT:
                    _check_line(line)
            except (ValueError, TypeError, KeyError) as error:
                msg = (
                    f"line {number} of journal {self.path} is damaged; put back an earlier copy, or"
                    " move it away: then nothing is known of what was made here"
                )
                raise ConfigError(msg) from error
            if version > _FORMAT:
                msg = f"journal {self.path} was written by a newer perfkit than {__version__}; upgrade"
                raise ConfigError(msg)
            found.append(line)
        return found

    def made(self, table: TableState) -> dict[str, Made]:
        """
        Return the indexes of a table that were asked for here, by name.

        One whose deletion was accepted and that is there again is somebody else's.
        """
        found: dict[str, Made] = {}
        for line in self._lines_of(table):
            name, step = line["index"]["name"], line["step"]
            if line["goal"] == Goal.ABSENT:
                if step == Step.DONE:
                    found.pop(name, None)
                elif name in found and step == Step.ACCEPTED:
                    found[name] = replace(found[name], is_going=True)
            elif step == Step.ASKED:
                # it was not there: whatever was made before is gone
                found[name] = _made(line)
            elif step == Step.REFUSED:
                found.pop(name, None)
            elif name in found and step in {Step.ACCEPTED, Step.FOUND, "scaled"}:
                found[name] = _sure(found[name], is_scaled=step == "scaled")
            elif name in found and step == "unscaled":
                found[name] = replace(found[name], is_scaled=False)
        there = {each.name for each in table.indexes if each.status != "DELETING"}
        return {
            name: each for name, each in found.items() if not each.is_going or name not in there
        }

    def deleted_since(self, table: TableState, since: datetime) -> set[str]:
        """Return the names of a table's indexes whose deletion was accepted or seen since then."""
        return {
            line["index"]["name"]
            for line in self._lines_of(table)
            if line["goal"] == Goal.ABSENT
            and line["step"] in {Step.ACCEPTED, Step.DONE}
            and datetime.fromisoformat(line["at"]) >= since
        }

    def looked(self, table: TableState) -> Looked | None:
        """Return what the newest preflight found in this very table; None where there was none."""
        found = [
            line
            for line in self.lines()
            if line["step"] == _LOOKED and Identity(**line["table_id"]) == table.identity
        ]
        return Looked(at=found[-1]["at"], **found[-1]["found"]) if found else None

    def add_looked(
        self,
        table: TableState,
        indexes: Mapping[str, Keys],
        *,
        refused: int,
        items: int,
        whole: bool,
    ) -> None:
        """Note what a preflight found; see `Looked` and `note`."""
        found = {
            "indexes": {name: _typed(keys) for name, keys in indexes.items()},
            "refused": refused,
            "items": items,
            "whole": whole,
        }
        detail = f"{refused:,} of {items:,} items read would no longer be writable"
        self._append(self._line(table, _LOOKED, detail) | {"found": found})

    def _lines_of(self, table: TableState) -> Iterator[dict[str, Any]]:
        """Yield what was noted of the indexes of this very table."""
        for line in self.lines():
            if Identity(**line["table_id"]) == table.identity and "index" in line:
                yield line

    def note(self, noted: Noted) -> None:
        """
        Add a step of an index.

        Raises:
            StorageFullError: The disk is full; nothing of the line is left.
            ConfigError: The file cannot be written to.
        """
        self.add(noted.table, noted.step, noted.wanted.definition, noted.wanted.goal, noted.detail)

    def add(
        self,
        table: TableState,
        step: str,
        definition: Definition | None = None,
        goal: Goal = Goal.PRESENT,
        detail: str = "",
    ) -> None:
        """
        Add a line; see `note`.

        Args:
            table: As it was looked at last.
            step: What happens or happened.
            definition: The index it is about, if it is about one.
            goal: What is wanted of it.
            detail: For people.
        """
        line = self._line(table, step, detail)
        if definition is not None:
            line |= {"goal": str(goal), "index": asdict(definition)}
        self._append(line)

    def _line(self, table: TableState, step: str, detail: str) -> dict[str, Any]:
        line: dict[str, Any] = {
            "format": _FORMAT,
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "command": self._command,
            "process": os.getpid(),
            "step": str(step),
            "table": table.name,
            "arn": table.arn,
            "table_id": asdict(table.identity),
        }
        if detail:
            line["detail"] = detail
        return line

    def _append(self, line: Mapping[str, Any]) -> None:
        text = json.dumps(line, ensure_ascii=False).encode() + b"\n"
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                _write_whole(descriptor, text)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise cannot_write(
                error,
                full=f"no space left for journal {self.path}; free some and run the same command"
                " again: nothing is done that is not noted before",
                otherwise=f"cannot write journal {self.path} ({error.strerror}); make it writable",
            ) from error


def _write_whole(descriptor: int, text: bytes) -> None:
    """Add a line, after the last whole one, or nothing of it."""
    end = _end_of_lines(descriptor)
    try:
        os.ftruncate(descriptor, end)
        os.lseek(descriptor, end, os.SEEK_SET)
        while text:
            # a disk that fills takes a part of it first
            text = text[os.write(descriptor, text) :]
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, end)
        raise


def _end_of_lines(descriptor: int) -> int:
    """Return where the last whole line ends: a kill may have cut the one after it."""
    size = os.lseek(descriptor, 0, os.SEEK_END)
    start = max(0, size - (1 << 16))
    tail = os.pread(descriptor, size - start, start)
    return start + tail.rfind(b"\n") + 1


def _check_line(line: dict[str, Any]) -> None:
    """
    Make sure that a line says what is looked for in it.

    Raises:
        ValueError: It says it wrongly; TypeError and KeyError likewise.
    """
    datetime.fromisoformat(line["at"])
    Identity(**line["table_id"])
    if line["step"] == _LOOKED:
        Looked(at=line["at"], **line["found"])
    if "index" in line:
        Goal(line["goal"])
        _made(line)
    str(line["step"] + line["command"])


def _made(line: dict[str, Any]) -> Made:
    index = line["index"]
    keys = {
        part: tuple((name, kind) for name, kind in index["keys"][part])
        for part in ("partition", "sort")
    }
    return Made(
        definition=Definition(
            name=index["name"],
            keys=Keys(**keys),
            projection=index["projection"],
            non_key_attributes=tuple(index["non_key_attributes"]),
            capacity=None if index["capacity"] is None else tuple(index["capacity"]),
        ),
        arn=line["arn"],
        identity=Identity(**line["table_id"]),
        since=line["at"],
        command=line["command"],
    )


def _sure(made: Made, *, is_scaled: bool) -> Made:
    return replace(made, is_sure=True, is_scaled=made.is_scaled or is_scaled)


def journal_of(
    target: Target, table: str, command: str = "", folder: Path = MIGRATIONS_FOLDER
) -> Journal:
    """Return the journal of a table; one file each, so that tables do not wait for one another."""
    text = json.dumps([sorted(place_of(target).items()), table])
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Journal(folder / f"journal-{table[:100]}-{digest}.jsonl", table, command)


@contextmanager
def journals(
    target: Target, tables: Sequence[str], command: str, folder: Path = MIGRATIONS_FOLDER
) -> Iterator[dict[str, Journal]]:
    """
    Keep other processes from changing the same tables from this folder, and yield their journals.

    Raises:
        ConfigError: Another one does, or the folder cannot be written to.
    """
    found = {name: journal_of(target, name, command, folder) for name in sorted(set(tables))}
    with ExitStack() as stack:
        for name, journal in found.items():
            busy = f"another command changes the indexes of {name} from this folder; wait for it"
            stack.enter_context(held(journal.path, busy=busy))
        yield found
