"""
Whose tables are whose: perfkit's mark on tables it made, and the refusal of all others.

A table's mark is the tag `created-by=perfkit`. Where a target keeps no tags (some answer
UnknownOperationException, some take them and forget them), it is a record under
`.perfkit/tables` that names endpoint, region, table and the table's identity: a table that
somebody else re-creates under the same name has another identity, and is his.
"""

import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from perfkit.dynamodb.connection import Connection
from perfkit.dynamodb.errors import answer_errors
from perfkit.dynamodb.retries import RetryingConnection
from perfkit.dynamodb.tables import (
    SCALE_TAG,
    TAG,
    TAGLESS,
    Identity,
    TableState,
    describe,
    seeded_scale,
    tags,
)
from perfkit.dynamodb.targets import Target
from perfkit.embedded.errors import DynamoDBError
from perfkit.errors import ConfigError, PerfkitError, cannot_write
from perfkit.files import replace_file
from perfkit.hosts import is_loopback
from perfkit.settings import TABLES_FOLDER

__all__ = [
    "LOOK_EVERY_S",
    "Mark",
    "Ownership",
    "check_same",
    "declare_existing",
    "not_made",
    "not_ours",
    "not_the_same",
    "unmarked",
]

LOOK_EVERY_S = 0.25
"""How long a table that is being written to is taken for the same one."""

_FORMAT = 1
"""Of a record. 1: first."""

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What a table of perfkit's own says of itself: the scale it was filled at, if it was."""

    scale: float | None = None


def not_ours(names: Sequence[str], where: str, *, begun: bool = False) -> ConfigError:
    """Return the refusal to touch tables that carry no mark, before or after something was *begun*."""
    one = len(names) == 1
    tables = f"table {names[0]}" if one else f"tables {', '.join(names)}"
    left = ("It was" if one else "They were") + " left alone" if begun else "Nothing was changed"
    return ConfigError(
        f"{tables} in {where} {'does' if one else 'do'} not carry perfkit's mark: it fills, changes"
        f" and deletes only tables that it created itself. {left}; `perfkit bench` measures what is"
        " there, and under another name in the workload perfkit makes a table of its own"
    )


def not_made(names: Sequence[str]) -> str:
    """Return that a workload says perfkit makes tables, and somebody else did, with what to do."""
    return f"perfkit did not create {', '.join(names)}: {declare_existing(len(names))}"


def declare_existing(count: int) -> str:
    """Return what to do about so many tables that a workload says perfkit makes, and somebody did."""
    one = count == 1
    return (
        f"say in the workload that {'it exists, without its' if one else 'they exist, without their'}"
        " items, as `perfkit init` writes it, and `perfkit migrate plan` plans indexes; or give"
        f" {'it another name' if one else 'them other names'}"
    )


def check_same(connection: Connection, name: str, identity: Identity, where: str) -> TableState:
    """
    Make sure that a table is still the one that was looked at, and return its state.

    Raises:
        ConfigError: It is another one, or gone.
    """
    state = describe(connection, name)
    if state is None or state.identity != identity:
        raise not_the_same(name, where, is_there=state is not None)
    return state


def not_the_same(name: str, where: str, *, is_there: bool) -> ConfigError:
    """Return the refusal to go on with a table that another one took the place of, or nothing."""
    what = "re-created" if is_there else "deleted"
    return ConfigError(
        f"table {name} in {where} was {what} by somebody else meanwhile; it was left alone"
    )


def unmarked(target: Target, names: Iterable[str]) -> tuple[str, ...]:
    """
    Return which of some tables are there and not perfkit's.

    Raises:
        TargetError: The target does not answer.
    """
    if not target.may_exist:
        return ()
    ownership = Ownership(target)
    with (
        RetryingConnection(target.connect()) as connection,
        answer_errors("looking at the tables", target.name),
    ):
        states = [describe(connection, name) for name in names]
        return tuple(
            state.name
            for state in states
            if state is not None and ownership.mark_of(connection, state) is None
        )


class Ownership:
    """
    Tells perfkit's own tables on a target from all others, and keeps what that takes.

    Args:
        target: Where the tables are.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._folder = TABLES_FOLDER
        # AWS shows a new table's tags a little late
        self._created: dict[str, Identity] = {}

    @cached_property
    def _stand_in_url(self) -> str | None:
        return self._target.stand_in_url

    @property
    def _may_forget_tags(self) -> bool:
        """Whether the target is a stand-in of somebody's, of which nobody knows whether it keeps tags."""
        return self._stand_in_url is not None

    def mark_of(self, connection: Connection, state: TableState) -> Mark | None:
        """Return the mark of a table, None if it is not perfkit's."""
        found = tags(connection, state)
        if found.get(TAG["Key"]) == TAG["Value"]:
            return Mark(scale=seeded_scale(found))
        if not state.identity.is_known:
            return None
        record = self._record(state.name)
        if record is not None and record[0] == state.identity:
            return Mark(scale=record[1])
        return Mark() if self._created.get(state.name) == state.identity else None

    def check(self, connection: Connection, name: str, identity: Identity) -> None:
        """
        Make sure, right before a table is changed, that it is the one that was planned and perfkit's.

        Raises:
            ConfigError: It is another one by now, or lost its mark.
        """
        state = check_same(connection, name, identity, self._target.name)
        if self.mark_of(connection, state) is None:
            raise not_ours([name], self._target.name, begun=True)

    # -- records

    def prepare(self) -> None:
        """
        Make sure that a record can be written, before there is a table it would be missing of.

        Raises:
            StorageFullError: The disk is full.
            ConfigError: The folder cannot be written to.
        """
        if self._may_forget_tags:
            probe = self._folder / f".probe.{os.getpid()}.tmp"
            self._save(probe, {"format": _FORMAT, "room": "." * 500})
            with suppress(OSError):
                probe.unlink()

    def note_created(self, state: TableState) -> None:
        """
        Remember a table that was created this moment, as the answer described it.

        Raises:
            StorageFullError: The disk is full.
            ConfigError: The folder cannot be written to.
        """
        self._created[state.name] = state.identity
        if self._may_forget_tags and state.identity.is_known:
            # at once and whatever becomes of the tag: without either the table would be nobody's
            self._write_record(state.name, state.identity, None)

    def note_scale(self, connection: Connection, state: TableState, scale: float) -> None:
        """
        Keep the scale a table of perfkit's own is filled at, where its mark is kept.

        Raises:
            StorageFullError: The disk is full.
            ConfigError: The folder cannot be written to.
        """
        if self._record(state.name) is not None:
            if tags(connection, state).get(TAG["Key"]) != TAG["Value"]:
                self._write_record(state.name, state.identity, scale)
                return
            # the target keeps tags, and one mark is enough
            self.forget(state.name)
        wanted = [{"Key": SCALE_TAG, "Value": f"{scale:g}"}]
        try:
            connection.execute("TagResource", {"ResourceArn": state.arn, "Tags": wanted})
        except DynamoDBError as error:
            if error.code not in TAGLESS:
                raise

    def forget(self, name: str) -> None:
        """Remove what is kept of a table, if anything is."""
        self._created.pop(name, None)
        if self._may_forget_tags:
            # a record that stays names a table that is no more
            with suppress(OSError):
                self._file(name).unlink()

    def _record(self, name: str) -> tuple[Identity, float | None] | None:
        """Return identity and scale of the table that was made under a name; None if none was."""
        if not self._may_forget_tags:
            return None
        try:
            kept = json.loads(self._file(name).read_bytes())
            if kept["format"] != _FORMAT or {key: kept[key] for key in _PLACE} != self._place(name):
                return None
            identity = Identity(table_id=kept["table_id"], created_s=kept["created_s"])
            scale = kept["scale"]
        except (OSError, ValueError, TypeError, KeyError):
            # a record that cannot be read proves nothing
            return None
        return identity, scale

    def _write_record(self, name: str, identity: Identity, scale: float | None) -> None:
        kept: dict[str, Any] = {
            "format": _FORMAT,
            **self._place(name),
            "table_id": identity.table_id,
            "created_s": identity.created_s,
            "scale": scale,
        }
        self._save(self._file(name), kept)

    def _save(self, path: Path, content: dict[str, Any]) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            replace_file(path, json.dumps(content, indent=1).encode() + b"\n")
        except OSError as error:
            raise _cannot_save(self._folder, error) from error

    def _place(self, name: str) -> dict[str, str]:
        """Return what a record is found by."""
        url = urlsplit(self._stand_in_url or "")
        host = (url.hostname or "").lower()
        # a machine has several names for itself; which table it is, its identity says
        host = "localhost" if is_loopback(host) else host
        port = url.port or _PORTS.get(url.scheme, 0)
        return {
            "endpoint": f"{url.scheme}://{host}:{port}{url.path.rstrip('/')}",
            # DynamoDB Local keeps the tables of each region, and of each access key, apart; of
            # which key this is, the identity decides
            "region": self._target.resolved_region(),
            "table": name,
        }

    def _file(self, name: str) -> Path:
        # one file a table: two processes never write into one
        digest = sha256("\n".join(self._place(name).values()).encode()).hexdigest()[:16]
        return self._folder / f"{name[:100]}-{digest}.json"


_PLACE = ("endpoint", "region", "table")


def _cannot_save(folder: Path, error: OSError) -> PerfkitError:
    return cannot_write(
        error,
        full=f"no space left in {folder} to note which tables are perfkit's; free some and run again",
        otherwise=f"cannot note in {folder} which tables are perfkit's ({error.strerror or error});"
        " make the folder writable or work in another one",
    )
