"""
Prices of one region and what a quantity costs by them, in exact decimals of US dollars.

Money is never a float here: 0.1 + 0.2 must be 0.3 and not something next to it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from difflib import get_close_matches

from perfkit.cost import names
from perfkit.errors import PriceError
from perfkit.units import TIMES, format_many, format_quantity

__all__ = [
    "HOURS_A_MONTH",
    "Amount",
    "Price",
    "PriceBook",
    "Tier",
    "age_warnings",
    "free_tier_note",
    "local_day",
    "number",
    "round_to_cents",
]

HOURS_A_MONTH = 730
"""
Hours in a month of list prices: the 8,760 of a year by 12.

Source: AWS Pricing Calculator, which works out every monthly amount with "730 hours in a month".
"""

_OLD_AFTER = timedelta(days=90)
"""Prices older than this are warned about."""

_CENT = Decimal("0.01")

_HALF_A_CENT = _CENT / 2

# more than anybody uses of anything, and few enough digits for exact decimals
_MOST = 10**18


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """
    A stretch of a month's quantity with a price of its own.

    Args:
        start: Where it begins, in the price's unit.
        end: Where the next one begins; None for the last one.
        price_usd: Price of `Price.per` units.
    """

    start: Decimal
    end: Decimal | None
    price_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """
    What a quantity costs.

    Args:
        usd: Exact; nothing is rounded.
        arithmetic: How it came about, for people: `250 GB-months` times a price and the result.
    """

    usd: Decimal
    arithmetic: str


def number(amount: Amount | Decimal | None) -> float | None:
    """Return US dollars as tables and programs take them; None for none."""
    usd = amount.usd if isinstance(amount, Amount) else amount
    return None if usd is None else float(usd)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """
    What one thing costs in one region.

    Args:
        name: Name in the price book: `dynamodb-rcu-hour`.
        unit: What one of it is: `RCU-hour`, `GB-month`.
        per: For how many units the price is: 1,000,000 where AWS prices by the million.
        tiers: From 0 on without a gap, the last one without an end.
        source: Where the price was read.
        date: When that was so; None where the source bears no date.
        second_hand: The source is not AWS itself or a copy of its price list.
        free: Units a month that the free tier gives to an account.
        vcpus: Of an instance, its virtual processors, where the source says them.
    """

    name: str
    unit: str
    tiers: tuple[Tier, ...]
    source: str
    date: date | None
    second_hand: bool = False
    per: int = 1
    free: Decimal = Decimal(0)
    vcpus: int | None = None

    @property
    def flat_usd(self) -> Decimal | None:
        """Return the price of `per` units where it is the same for any quantity."""
        return self.tiers[0].price_usd if len(self.tiers) == 1 else None

    @property
    def each_usd(self) -> Decimal:
        """Return what the first unit costs."""
        return self.tiers[0].price_usd / self.per

    def cost(
        self, quantity: Decimal | float, *, after: Decimal | float = 0, free_tier: bool = False
    ) -> Amount:
        """
        Return what a month's quantity costs, tier by tier.

        Args:
            quantity: In `unit`, 0 or more.
            after: How much of the same was charged before in this month: tiers and the free
                allowance go on from there.
            free_tier: The account has used nothing of its free allowance.

        Raises:
            PriceError: *quantity* or *after* is negative or no finite number.
        """
        amount, begun = _exact(quantity, self), _exact(after, self)
        end = begun + amount
        free_end = self.free if free_tier else Decimal(0)
        free = max(Decimal(0), min(end, free_end) - begun)
        parts = [f"{self._many(free)} free"] if free else []
        total = Decimal(0)
        for tier in self.tiers:
            first = max(tier.start, begun, free_end)
            last = end if tier.end is None else min(end, tier.end)
            if last <= first:
                continue
            total += (last - first) / self.per * tier.price_usd
            parts.append(f"{self._many(last - first)} {TIMES} {self.written(tier)}")
        text = " + ".join(parts) or self._many(Decimal(0))
        return Amount(usd=total, arithmetic=f"{text} = {_write_exact(total)}")

    def written(self, tier: Tier) -> str:
        """Return a tier's price for people: `$0.09`, `$0.125 per 1,000,000`."""
        per = "" if self.per == 1 else f" per {self.per:,}"
        return f"{_write_price(tier.price_usd)}{per}"

    @property
    def free_text(self) -> str:
        """Return the free allowance for people: `25 GB-months of dynamodb-storage`."""
        return f"{self._many(self.free)} of {self.name}"

    def _many(self, quantity: Decimal) -> str:
        # GB and ECPU have no plural
        return format_many(quantity, self.unit, self.unit if self.unit.isupper() else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBook:
    """
    All known prices of one region.

    Args:
        region: The AWS region they hold in.
        prices: By name.
        sources: Files they come from, the ones that win first.
        used: Those that were asked for so far, by name: of these a report says how old they are.
        lacking: Names that were asked for so far and have no price.
        because: Why they are of this region, where another one's were meant.
    """

    region: str
    prices: Mapping[str, Price]
    sources: tuple[str, ...] = field(default=())
    used: dict[str, Price] = field(default_factory=dict, compare=False, repr=False)
    lacking: dict[str, None] = field(default_factory=dict, compare=False, repr=False)
    because: str = ""

    @property
    def place(self) -> str:
        """The region, and why it is not the one that was meant."""
        return f"{self.region} ({self.because})" if self.because else self.region

    def __contains__(self, name: object) -> bool:
        return name in self.prices

    def price(self, name: str) -> Price:
        """
        Return a price.

        Raises:
            PriceError: There is none of that name in this region: never is it taken to be $0.
        """
        if name in self.prices:
            self.used[name] = self.prices[name]
            return self.prices[name]
        self.lacking[name] = None
        close = self._nearest(name)
        nearest = f"did you mean '{close}'? " if close else ""
        # of what is there, what resembles it most: a whole book is too long for a line
        service = name.partition("-")[0]
        family = [each for each in sorted(self.prices) if each.partition("-")[0] == service]
        listed = ", ".join(family or sorted(self.prices)) or "nothing"
        # of instances and nodes there are too many for a refresh to fetch all
        add = f" --add {name}" if names.is_of_a_type(name) and not close else ""
        msg = (
            f"no price '{name}' for {self.region}; {nearest}there is {listed}"
            f" (`perfkit prices show -v`); fetch it with `perfkit prices refresh --region {self.region}{add}`"
            " or add it to a price file (--prices FILE)"
        )
        raise PriceError(msg)

    def _nearest(self, name: str) -> str | None:
        """Return the price that a mistyped type means; other names are perfkit's own, and right."""
        family, separator, _ = name.rpartition(".")
        if not separator:
            return None
        # another family is another machine, however alike the names look
        same = [each for each in self.prices if each.rpartition(".")[0] == family]
        return next(iter(get_close_matches(name, same, n=1, cutoff=0.85)), None)


def local_day() -> date:
    """Return today in local time: prices are dated by the day, and not by a time zone."""
    return date.today()  # noqa: DTZ011


def age_warnings(prices: Iterable[Price], *, today: date | None, region: str) -> tuple[str, ...]:
    """
    Return what to heed about the age of the prices that a report used; nothing if they are fresh.

    Args:
        prices: The rows used.
        today: The day of the report; None for today in local time.
        region: Where the prices hold.
    """
    day_of_report = today or local_day()
    used = tuple({price.name: price for price in prices}.values())
    old = sorted(
        (price.date, price.name)
        for price in used
        if price.date is not None and day_of_report - price.date > _OLD_AFTER
    )
    undated = sorted(price.name for price in used if price.date is None)
    warnings = []
    if old:
        day, name = old[0]
        others = f" and {len(old) - 1} more" if len(old) > 1 else ""
        warnings.append(
            f"prices of {region} are older than {_OLD_AFTER.days} days: {name} is of"
            f" {day.isoformat()}{others}; `perfkit prices refresh` renews what it can look up"
        )
    if undated:
        warnings.append(
            f"undated prices of {region}, of unknown age: {', '.join(undated)};"
            " `perfkit prices refresh` renews what it can look up"
        )
    return tuple(warnings)


def free_tier_note(prices: Iterable[Price]) -> str:
    """Return in one sentence what `--free-tier` takes off these prices, and what it does not."""
    taken = dict.fromkeys(price.free_text for price in prices if price.free)
    return (
        f"The free tier that is taken off: {', '.join(taken) or 'nothing'}. Nothing else that AWS"
        " gives away is, such as a new account's first year of instances and load balancers."
    )


def round_to_cents(usd: Decimal) -> Decimal:
    """
    Round an amount to cents, half a cent up, as a line of an AWS bill is.

    What is less than half a cent stays as it is, because it is not nothing.
    """
    if abs(usd) < _HALF_A_CENT:
        return usd
    return usd.quantize(_CENT, rounding=ROUND_HALF_UP)


def _write_exact(usd: Decimal) -> str:
    """Write an amount as it is before anybody rounds it to cents: `$4.745`."""
    return f"${_with_cents(format_quantity(usd))}"


def _write_price(usd: Decimal) -> str:
    """Write a price with every figure it has and cents at least: `$0.00013`, `$0.40`."""
    return f"${_with_cents(f'{usd:,f}')}"


def _with_cents(text: str) -> str:
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.rstrip('0'):0<2}"


def _exact(quantity: Decimal | float, price: Price) -> Decimal:
    # through text: 0.1 as a float is a little more than a tenth
    exact = quantity if isinstance(quantity, Decimal) else Decimal(str(quantity))
    if not exact.is_finite() or not 0 <= exact <= _MOST:
        msg = (
            f"cannot price {quantity} {price.unit} ({price.name});"
            f" give a number from 0 to {_MOST:,}"
        )
        raise PriceError(msg)
    return exact
