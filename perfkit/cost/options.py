"""What a reader asks to be shown about costs."""

from dataclasses import dataclass, replace
from datetime import date
from difflib import get_close_matches
from pathlib import Path

from perfkit.cost.assumptions import Assumptions, read_rps
from perfkit.errors import ConfigError

__all__ = ["LIST", "QUOTED", "CostOptions", "check_prices"]

QUOTED = "quoted"
"""Amounts as the architecture's document states them."""

LIST = "list"
"""Amounts worked out from the price book of a region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostOptions:
    """
    What a reader asks to be shown about costs.

    Args:
        region: Whose list prices, and where CloudWatch is asked; None for the price file's, else
            where CloudWatch was asked, else the runs' where all prices they need are known, else
            us-east-1.
        prices: `quoted`, `list` or the path of a price file; None for quoted and list.
        architecture: The file that says what runs; None for the reference document's.
        cloudwatch_days: Bill what tables on AWS consumed in so many days; None for no look there.
        profile: AWS profile to look with; None takes what the environment says.
        rps: Requests a second as `--rps` gives them: "20" of all access patterns, "NAME=5" of one.
        explain: Show each amount's arithmetic.
        free_tier: Leave out what AWS gives to every account each month.
        today: The day of the report, which the age of prices is counted to; None for today.
    """

    region: str | None = None
    prices: str | None = None
    architecture: Path | None = None
    cloudwatch_days: int | None = None
    profile: str | None = None
    rps: tuple[str, ...] = ()
    explain: bool = False
    free_tier: bool = False
    today: date | None = None

    def __post_init__(self) -> None:
        self.traffic()

    def traffic(self, base: Assumptions | None = None) -> Assumptions:
        """
        Return what is assumed of traffic.

        Args:
            base: What an architecture file or a run says; None for the usual.

        Raises:
            ConfigError: `rps` is no rate.
        """
        base = replace(base or Assumptions(), free_tier=self.free_tier)
        return read_rps(self.rps, base)

    @property
    def price_file(self) -> Path | None:
        """Return the file of list prices that was named, if one was."""
        return None if self.prices in {None, QUOTED, LIST} else Path(str(self.prices))


def check_prices(text: str | None) -> str | None:
    """
    Return what `--prices` says, once it is one of the words or the name of a file.

    Raises:
        ConfigError: It is neither.
    """
    if text in {None, QUOTED, LIST} or Path(str(text)).is_file():
        return text
    near = get_close_matches(str(text), (QUOTED, LIST), n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    msg = f"--prices {text}: no such file; {hint}give quoted, list or the path of a price file"
    raise ConfigError(msg)
