"""What the engine knows of a table: keys, indexes, settings, and how items map to stored keys."""

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

from perfkit.capacity import Item
from perfkit.embedded.values import key_bytes

__all__ = [
    "ACCOUNT",
    "MAX_PARTITION_KEY_BYTES",
    "MAX_SORT_KEY_BYTES",
    "REGION",
    "Index",
    "IndexKind",
    "IndexStatus",
    "Keys",
    "Table",
    "Throughput",
    "after",
    "before_prefix_end",
    "escape",
]

REGION = "us-east-1"
ACCOUNT = "123456789012"

MAX_PARTITION_KEY_BYTES = 2048
MAX_SORT_KEY_BYTES = 1024

_DAY_S = 86_400


class IndexKind(StrEnum):
    """Global indexes have keys of their own; local ones share the table's partition key."""

    GLOBAL = "GSI"
    LOCAL = "LSI"


class IndexStatus(StrEnum):
    """`IndexStatus` on the wire; local indexes are always active."""

    CREATING = "CREATING"
    ACTIVE = "ACTIVE"
    DELETING = "DELETING"


# ---- stored keys -----------------------------------------------------------------------
# A stored key is a byte string whose order is the order of the items: four bytes of a hash
# of the partition key (so that a scan visits partitions in no particular order and splits
# into even segments), then each key attribute, escaped so that no value is a prefix of
# another: a zero byte becomes 00 FF and every attribute ends with 00 00.

_END = b"\x00\x00"


def escape(raw: bytes) -> bytes:
    """Return one key attribute as part of a stored key."""
    return raw.replace(b"\x00", b"\x00\xff") + _END


def after(key: bytes) -> bytes:
    """Return the first stored key after all that begin with the escaped attributes *key*."""
    return key[:-1] + b"\x01"


def before_prefix_end(key: bytes) -> bytes:
    """Return the first byte string after all that begin with the bytes *key*."""
    stripped = key.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1])


def _hash_prefix(partition: bytes) -> bytes:
    """Return the four bytes that place a partition among the others."""
    return hashlib.blake2b(partition, digest_size=4).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Partition and sort key attributes; an index may have up to four of each."""

    partition: tuple[str, ...]
    sort: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All key attributes, partition key first."""
        return self.partition + self.sort

    def stored_partition(self, item: Item) -> bytes:
        """Return what the stored keys of all items of the same partition begin with."""
        partition = b"".join([escape(key_bytes(item[name])) for name in self.partition])
        return _hash_prefix(partition) + partition

    def stored(self, item: Item) -> bytes:
        """Return the stored key of an item that has all key attributes."""
        sort = [escape(key_bytes(item[name])) for name in self.sort]
        return self.stored_partition(item) + b"".join(sort)

    def to_wire(self) -> list[dict[str, str]]:
        """Return the KeySchema of an answer."""
        return [{"AttributeName": name, "KeyType": "HASH"} for name in self.partition] + [
            {"AttributeName": name, "KeyType": "RANGE"} for name in self.sort
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """
    Provisioned units a second; zero on an on-demand table.

    Args:
        increased_s: When they were last raised, in seconds since 1970.
        decreased_s: When they were last lowered.
        decreases: How often they were lowered on that day (UTC).
    """

    read: int = 0
    write: int = 0
    increased_s: float | None = None
    decreased_s: float | None = None
    decreases: int = 0

    @property
    def units(self) -> tuple[int, int]:
        """Units for reading and for writing."""
        return self.read, self.write

    def decreases_on_day_of(self, now_s: float) -> int:
        """Return how often the units were lowered on the day of a time."""
        same_day = self.decreased_s is not None and self.decreased_s // _DAY_S == now_s // _DAY_S
        return self.decreases if same_day else 0

    def changed_to(self, other: "Throughput", now_s: float) -> "Throughput":
        """Return other units, with what becomes of the history."""
        raised = other.read > self.read or other.write > self.write
        lowered = other.read < self.read or other.write < self.write
        return replace(
            self,
            read=other.read,
            write=other.write,
            increased_s=now_s if raised else self.increased_s,
            decreased_s=now_s if lowered else self.decreased_s,
            decreases=self.decreases_on_day_of(now_s) + 1 if lowered else self.decreases,
        )


@dataclass(frozen=True, kw_only=True)
class Index:
    """
    One secondary index.

    Args:
        store: Number of the SQL table that holds its entries.
        projection: `ALL`, `KEYS_ONLY` or `INCLUDE`.
        backfilling: Whether the items that were there before are being copied.
        cursor: Row number of the last item copied.
        settings: Members of its description that the engine keeps.
    """

    name: str
    kind: IndexKind
    keys: Keys
    projection: str
    non_key_attributes: tuple[str, ...] = ()
    store: int = 0
    throughput: Throughput = field(default_factory=Throughput)
    status: IndexStatus = IndexStatus.ACTIVE
    backfilling: bool = False
    cursor: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)

    def attributes(self, table_keys: Keys) -> set[str]:
        """Return what entries have, unless the index projects everything."""
        return {*self.keys.names, *table_keys.names, *self.non_key_attributes}

    def view(self, item: Item, table_keys: Keys) -> Item:
        """Return the projected entry of *item*."""
        if self.projection == "ALL":
            return item
        wanted = self.attributes(table_keys)
        return {name: value for name, value in item.items() if name in wanted}


@dataclass(frozen=True, kw_only=True)
class Table:
    """
    One table as the engine stores it.

    Args:
        attributes: Types of the key attributes of the table and its indexes.
        store: Number of the SQL table that holds its items.
        ttl_attribute: Attribute that says when an item expires, None without time to live.
        settings: Members of the description that the engine keeps and does nothing with.
        index_delay_s: By so much at most global indexes and eventually consistent reads lag.
    """

    name: str
    keys: Keys
    attributes: Mapping[str, str]
    created_s: float
    billing: str = "PROVISIONED"
    throughput: Throughput = field(default_factory=Throughput)
    indexes: tuple[Index, ...] = ()
    store: int = 0
    table_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    deletion_protection: bool = False
    ttl_attribute: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    index_delay_s: float = 0.0

    @property
    def arn(self) -> str:
        """The table's resource name."""
        return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{self.name}"

    @cached_property
    def writable_indexes(self) -> tuple[Index, ...]:
        """The indexes that writes keep up to date, in alphabetical order."""
        kept = (i for i in self.indexes if i.status is not IndexStatus.DELETING)
        return tuple(sorted(kept, key=lambda index: index.name))

    @cached_property
    def index_key_types(self) -> tuple[tuple[str, str, str], ...]:
        """(attribute, type, first index that uses it) for every index key attribute."""
        seen: dict[str, tuple[str, str, str]] = {}
        for index in self.writable_indexes:
            for name in index.keys.names:
                if name not in self.keys.names:
                    seen.setdefault(name, (name, self.attributes[name], index.name))
        return tuple(seen.values())

    @cached_property
    def has_local(self) -> bool:
        """Whether the table has local indexes, and so item collections."""
        return any(index.kind is IndexKind.LOCAL for index in self.indexes)

    def index(self, name: str) -> Index | None:
        """Return the index of that name, if there is one."""
        return next((index for index in self.indexes if index.name == name), None)

    def entry_key(self, index: Index, item: Item, key: bytes) -> bytes | None:
        """
        Return the stored key of the item's entry in *index*; None if it is not in it.

        Args:
            key: The stored key of the item in the table.
        """
        keys = index.keys
        parts = []
        for name in keys.names:
            value = item.get(name)
            # values of another type, empty or too long can only come from before the index
            # was made: the backfill leaves such items out without a word, as on AWS
            if value is None or self.attributes[name] not in value:
                return None
            raw = key_bytes(value)
            limit = MAX_PARTITION_KEY_BYTES if name in keys.partition else MAX_SORT_KEY_BYTES
            if not 0 < len(raw) <= limit:
                return None
            parts.append(escape(raw))
        partition = b"".join(parts[: len(keys.partition)])
        return _hash_prefix(partition) + b"".join(parts) + key

    def with_index(self, changed: Index) -> "Table":
        """Return the table with the index of that name replaced or added."""
        rest = tuple(index for index in self.indexes if index.name != changed.name)
        return replace(self, indexes=(*rest, changed))

    def without_index(self, name: str) -> "Table":
        """Return the table without the index, and without attributes only it used."""
        indexes = tuple(index for index in self.indexes if index.name != name)
        used = {*self.keys.names, *(n for index in indexes for n in index.keys.names)}
        attributes = {n: kind for n, kind in self.attributes.items() if n in used}
        return replace(self, indexes=indexes, attributes=attributes)

    def to_json(self) -> dict[str, Any]:
        """Return the form that is stored."""
        stored = asdict(self)
        for index in stored["indexes"]:
            # as versions before these settings read it
            if not index["settings"]:
                del index["settings"]
        # an earlier version does not know it, and need not where it says nothing
        if not self.index_delay_s:
            del stored["index_delay_s"]
        return stored

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Table":
        """Rebuild a table from its stored form."""
        indexes = tuple(
            Index(
                **{
                    **index,
                    "kind": IndexKind(index["kind"]),
                    "status": IndexStatus(index["status"]),
                    "keys": _keys(index["keys"]),
                    "throughput": Throughput(**index["throughput"]),
                    "non_key_attributes": tuple(index["non_key_attributes"]),
                }
            )
            for index in stored["indexes"]
        )
        throughput = Throughput(**stored["throughput"])
        return cls(
            **{
                **stored,
                "keys": _keys(stored["keys"]),
                "throughput": throughput,
                "indexes": indexes,
            }
        )


def _keys(stored: dict[str, Any]) -> Keys:
    return Keys(partition=tuple(stored["partition"]), sort=tuple(stored["sort"]))
