"""A described architecture with its numbers replaced by measured ones, where there are any."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from perfkit.cost.architecture import Architecture, Billed, Table
from perfkit.cost.demand import Place
from perfkit.cost.quantities import SECONDS_A_MONTH
from perfkit.units import format_quantity

__all__ = ["MeasuredUnits", "with_measured"]

_TOLERANCE = Decimal("0.1")
"""A file's number and a measured one agree up to this share of the measured one."""

_Owner = TypeVar("_Owner", bound=Billed)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredUnits:
    """
    What a table or index takes in a month.

    Args:
        reads: Read units.
        writes: Write units; None where nothing measured them.
        stored_gb: Gigabytes stored; None where nothing measured them.
        source: Where it is from, for people.
    """

    reads: Decimal
    writes: Decimal | None
    stored_gb: Decimal | None
    source: str


def with_measured(
    side: Architecture, measured: Mapping[Place, MeasuredUnits]
) -> tuple[Architecture, tuple[str, ...]]:
    """
    Return an architecture with measured units, and a line on each number that disagreed.

    Request units and stored gigabytes become the measured ones. Provisioned capacity stays as the
    file has it, because that is what is paid; a line says where it is less than what is asked for on
    average.

    Args:
        side: What a file describes.
        measured: By table and index.
    """
    notes: list[str] = []

    def changed(owner: _Owner, place: Place) -> _Owner:
        found = measured.get(place)
        if found is None:
            return owner
        update = dict(_measured(owner, found))
        name = ".".join(filter(None, place))
        notes.extend(_disagreements(side.title, name, owner, found, update))
        return owner.model_copy(update=update)

    tables: dict[str, Table] = {}
    for name, table in side.tables.items():
        own = changed(table, (name, None))
        indexes = {index: changed(each, (name, index)) for index, each in table.indexes.items()}
        tables[name] = own.model_copy(update={"indexes": indexes})
    return side.model_copy(update={"tables": tables}), tuple(notes)


def _measured(owner: Billed, found: MeasuredUnits) -> Iterator[tuple[str, Decimal]]:
    if owner.read_requests is not None:
        yield "read_requests", found.reads
        if found.writes is not None:
            yield "write_requests", found.writes
    # a file that says nothing of storage leaves it out of its bill
    if owner.storage_gb and found.stored_gb is not None:
        yield "storage_gb", found.stored_gb


_WORDS = {
    "read_requests": "read units a month",
    "write_requests": "write units a month",
    "storage_gb": "GB stored",
}


def _disagreements(
    title: str, name: str, owner: Billed, found: MeasuredUnits, update: Mapping[str, Decimal]
) -> Iterator[str]:
    for key, measured in update.items():
        stated = getattr(owner, key)
        if abs(stated - measured) > _TOLERANCE * measured:
            yield (
                f"{title}, {name}: the file says {format_quantity(stated)} {_WORDS[key]}, measured are"
                f" {format_quantity(round(measured, 3))} ({found.source}); the bill takes the measured"
            )
    for provisioned, asked, letter in (
        (owner.rcu, found.reads, "R"),
        (owner.wcu, found.writes, "W"),
    ):
        mean = None if asked is None else asked / SECONDS_A_MONTH
        if provisioned is not None and mean is not None and mean > provisioned * (1 + _TOLERANCE):
            yield (
                f"{title}, {name}: the file provisions {format_quantity(provisioned)} {letter}CU,"
                f" measured are {format_quantity(round(mean, 1))} a second on average"
                f" ({found.source}), which it cannot carry; the bill takes the file's"
            )
