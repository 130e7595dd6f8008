"""Consumed capacity of one request, gathered per table and index and put into the answer's form."""

from typing import Any

from perfkit.embedded.throughput import Enforcement

__all__ = ["Meter"]


class Meter:
    """
    Capacity units that one request takes from one table and its indexes.

    Args:
        table: Name of the table.
        enforcement: What admits the writes that are metered; None lets all of them be.
    """

    def __init__(self, table: str, enforcement: Enforcement | None = None) -> None:
        self.table = table
        self.enforcement = enforcement
        self.table_units: float | None = None
        self.global_units: dict[str, float] = {}
        self.local_units: dict[str, float] = {}

    def add_table(self, units: float) -> None:
        """Count units of the table itself; 0 makes it appear in the answer."""
        self.table_units = (self.table_units or 0.0) + units

    def add_index(self, name: str, units: float, *, local: bool) -> None:
        """Count units of one index."""
        arms = self.local_units if local else self.global_units
        arms[name] = arms.get(name, 0.0) + units

    def add(self, other: "Meter") -> None:
        """Count what another request of the same table took."""
        self.add_table(other.table_units or 0.0)
        for name, units in other.global_units.items():
            self.add_index(name, units, local=False)
        for name, units in other.local_units.items():
            self.add_index(name, units, local=True)

    @property
    def total(self) -> float:
        """Units of the table and all its indexes."""
        return (
            (self.table_units or 0.0)
            + sum(self.global_units.values())
            + sum(self.local_units.values())
        )

    def answer(self, mode: str | None, split: str | None = None) -> dict[str, Any] | None:
        """
        Return the ConsumedCapacity member, or None where none was asked for.

        Args:
            mode: `TOTAL`, `INDEXES`, `NONE` or None.
            split: `ReadCapacityUnits` or `WriteCapacityUnits`, which only transactions
                report, at every level.
        """
        if mode not in ("TOTAL", "INDEXES"):
            return None

        def units(amount: float) -> dict[str, float]:
            return {"CapacityUnits": amount} | ({split: amount} if split else {})

        answer: dict[str, Any] = {"TableName": self.table, **units(self.total)}
        if mode == "INDEXES":
            answer["Table"] = units(self.table_units or 0.0)
            for member, arms in (
                ("GlobalSecondaryIndexes", self.global_units),
                ("LocalSecondaryIndexes", self.local_units),
            ):
                if arms:
                    answer[member] = {name: units(amount) for name, amount in arms.items()}
        return answer
