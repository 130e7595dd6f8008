"""
Throughput that is enforced, modelled on AWS's: which buckets a request takes its units from.

A provisioned table or global index has a bucket that fills at its units a second and holds 300 s
of them. Each of its partitions, and each of an on-demand table's, fills at 3,000 read and 1,000
write units a second and holds one second. An on-demand maximum is a bucket of one second. What
AWS does beyond that, splitting partitions and raising an on-demand table's throughput, is not
modelled: their number follows from size and throughput alone.
Sources: AWS developer guide, burst-adaptive-capacity, bp-partition-key-design, gsi-throttling,
warm-throughput, on-demand-capacity-mode-max-throughput, throttling-diagnosing; messages as in
botocore's model of TransactionCanceledException.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import Protocol

from perfkit.embedded.buckets import Bucket, Buckets
from perfkit.embedded.errors import ThrottleError
from perfkit.embedded.schema import Index, IndexKind, Table

__all__ = ["Enforcement"]

_BURST_S = 300.0
"""So much of its unused throughput a provisioned table keeps."""

_PARTITION_UNITS = {"Read": 3000.0, "Write": 1000.0}
"""What a partition serves in a second."""

_PARTITION_BYTES = 10 * 10**9
_ON_DEMAND_PARTITIONS = 4
"""A new on-demand table serves 12,000 read and 4,000 write units a second: four partitions'."""

_HASHES = 1 << 32
_LOOK_AT_SIZE_S = 10.0


class _Direction(StrEnum):
    """What is throttled, as reasons name it."""

    READ = "Read"
    WRITE = "Write"


class _Limit(StrEnum):
    """Why, as reasons name it."""

    PROVISIONED = "ProvisionedThroughputExceeded"
    PARTITION = "KeyRangeThroughputExceeded"
    ON_DEMAND_MOST = "MaxOnDemandThroughputExceeded"


class Sizes(Protocol):
    """A transaction, as far as it says how much a table or an index holds."""

    def totals(self, store: int) -> tuple[int, int]:
        """Return (items, bytes)."""


@dataclass(frozen=True, slots=True)
class _Source:
    """One bucket a request takes from, and what to answer when it is empty."""

    bucket: Bucket
    limit: _Limit
    index: str | None


@lru_cache(maxsize=4096)
def _bucket(name: str, rate: float, most: float) -> Bucket:
    return Bucket(name, rate, most)


class Enforcement:
    """
    Admits requests to tables and their global indexes, and takes what they consumed.

    Args:
        buckets: The levels, shared by all processes of the file.
        clock: Seconds that only grow: when to look again how large a table is.
    """

    def __init__(self, buckets: Buckets, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._buckets = buckets
        self._clock = clock
        self._partitions: dict[tuple[object, ...], tuple[float, int]] = {}

    @classmethod
    def beside(cls, data: str | Path, *, read_only: bool = False) -> "Enforcement":
        """
        Return one whose levels are shared by all that have a data file open and enforce.

        Args:
            data: The file; `:memory:` shares with nobody.
            read_only: Make no file for the levels.

        Raises:
            ConfigError: The file of the levels cannot be made or opened.
            StorageFullError: No space left for it.
        """
        if str(data) == ":memory:":
            return cls(Buckets(None))
        return cls(Buckets(Path(f"{data}-throughput"), create=not read_only))

    def read(
        self, transaction: Sizes, table: Table, index: Index | None, place: bytes
    ) -> "Admitted":
        """
        Return where a read takes its units from.

        Args:
            index: The index that is read, None for the table.
            place: What the stored key of its partition begins with.

        Raises:
            ThrottleError: A bucket is empty.
        """
        owner = index if index is not None and index.kind is IndexKind.GLOBAL else None
        sources = list(self._sources(transaction, table, owner, _Direction.READ, place))
        self._admit(table, sources, _Direction.READ)
        return Admitted(self._buckets, [[source.bucket for source in sources]])

    def write(
        self, transaction: Sizes, table: Table, place: bytes, entries: dict[str, bytes]
    ) -> "Admitted":
        """
        Return where a write takes its units from: the table's first, then each global index's.

        An index that cannot keep up refuses the write of any item, also of one that it does not
        hold.

        Args:
            place: What the stored key of the item begins with.
            entries: Likewise of its entry, by the name of each index that gets or loses one.

        Raises:
            ThrottleError: A bucket is empty.
        """
        everything = [list(self._sources(transaction, table, None, _Direction.WRITE, place))]
        for index in _global(table):
            entry = entries.get(index.name)
            everything.append(
                list(self._sources(transaction, table, index, _Direction.WRITE, entry))
            )
        self._admit(table, [each for sources in everything for each in sources], _Direction.WRITE)
        return Admitted(
            self._buckets, [[each.bucket for each in sources] for sources in everything]
        )

    def _admit(self, table: Table, sources: Sequence[_Source], direction: _Direction) -> None:
        number = self._buckets.empty([each.bucket for each in sources])
        if number is not None:
            source = sources[number]
            raise ThrottleError(
                reason=f"{'Table' if source.index is None else 'Index'}{direction}{source.limit}",
                resource=table.arn if source.index is None else f"{table.arn}/index/{source.index}",
                of_index=source.index is not None,
                is_on_demand=table.billing == "PAY_PER_REQUEST",
                of_maximum=source.limit is _Limit.ON_DEMAND_MOST,
            )

    def _sources(
        self,
        transaction: Sizes,
        table: Table,
        index: Index | None,
        direction: _Direction,
        place: bytes | None,
    ) -> Iterator[_Source]:
        """Yield the buckets of a table or a global index; of no partition where there is no place."""
        of = table if index is None else index
        name = None if index is None else index.name
        whose = f"{table.table_id}/{name or ''}/{direction}"
        if table.billing != "PAY_PER_REQUEST":
            units = of.throughput.read if direction is _Direction.READ else of.throughput.write
            yield _Source(_bucket(whose, units, units * _BURST_S), _Limit.PROVISIONED, name)
        else:
            most = of.settings.get("OnDemandThroughput", {}).get(f"Max{direction}RequestUnits", -1)
            if most > 0:
                yield _Source(_bucket(whose, most, most), _Limit.ON_DEMAND_MOST, name)
        if place is not None:
            partitions = self._count_partitions(transaction, table, index)
            number = int.from_bytes(place[:4].ljust(4, b"\0"), "big") * partitions // _HASHES
            rate = _PARTITION_UNITS[direction]
            bucket = _bucket(f"{whose}/{number}/{partitions}", rate, rate)
            yield _Source(bucket, _Limit.PARTITION, name)

    def _count_partitions(self, transaction: Sizes, table: Table, index: Index | None) -> int:
        """Return the partitions of a table or a global index: by its throughput, and by its size."""
        of = table if index is None else index
        warm = of.settings.get("WarmThroughput", {})
        key = (table.table_id, of.name, table.billing, of.throughput.units, *warm.values())
        now_s = self._clock()
        known = self._partitions.get(key)
        if known is not None and now_s < known[0]:
            return known[1]
        _, size_bytes = transaction.totals(of.store)
        for_units: int
        if table.billing == "PAY_PER_REQUEST":
            for_units = max(
                _ON_DEMAND_PARTITIONS,
                ceil(warm.get("ReadUnitsPerSecond", 0) / _PARTITION_UNITS["Read"]),
                ceil(warm.get("WriteUnitsPerSecond", 0) / _PARTITION_UNITS["Write"]),
            )
        else:
            read, write = of.throughput.units
            for_units = ceil(read / _PARTITION_UNITS["Read"] + write / _PARTITION_UNITS["Write"])
        partitions: int = max(1, for_units, ceil(size_bytes / _PARTITION_BYTES))
        self._partitions[key] = (now_s + _LOOK_AT_SIZE_S, partitions)
        return partitions

    def close(self) -> None:
        """Close the file of the levels."""
        self._buckets.close()


class Admitted:
    """A request that goes ahead; it takes its units when they are known."""

    def __init__(self, buckets: Buckets, sources: list[list[Bucket]]) -> None:
        self._buckets = buckets
        self._sources = sources

    def take(self, *units: float) -> None:
        """Take the units of each: of the table or index read, or of the table and each index."""
        taken = [
            (bucket, amount)
            for sources, amount in zip(self._sources, units, strict=False)
            for bucket in sources
            if amount
        ]
        self._buckets.take(taken)


def _global(table: Table) -> list[Index]:
    return [index for index in table.writable_indexes if index.kind is IndexKind.GLOBAL]
