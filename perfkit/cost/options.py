"""What a reader wants to know about cost."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

__all__ = ["LIST", "QUOTED", "CostOptions"]

QUOTED = "quoted"
"""Amounts as the architecture's document states them."""

LIST = "list"
"""Amounts worked out from the price book of a region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostOptions:
    """
    What a reader wants to know about cost.

    Args:
        region: Whose list prices; None for the price file's, else us-east-1.
        prices: `quoted`, `list` or the path of a price file; None for quoted and list.
        architecture: The file that says what runs; None for the reference document's.
        requests_per_s: Requests a second that the service gets, spread over its access patterns.
        explain: Show each amount's arithmetic.
        free_tier: Leave out what AWS gives to every account each month.
        today: The day of the report, which the age of prices is counted to; None for today.
    """

    region: str | None = None
    prices: str | None = None
    architecture: Path | None = None
    requests_per_s: float | None = None
    explain: bool = False
    free_tier: bool = False
    today: date | None = None

    @property
    def price_file(self) -> Path | None:
        """Return the file of list prices that was named, if one was."""
        return None if self.prices in {None, QUOTED, LIST} else Path(str(self.prices))
