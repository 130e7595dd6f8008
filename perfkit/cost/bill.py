"""A month's bill: what is used, what each line of it costs and how, and two bills side by side."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from perfkit.cost.prices import Amount, Price, PriceBook, round_to_cents
from perfkit.errors import PriceError
from perfkit.units import format_usd

__all__ = [
    "Basis",
    "Bill",
    "Comparison",
    "Line",
    "Mark",
    "Pair",
    "Usage",
    "Use",
    "charge",
    "compare",
    "difference_usd",
    "key_of",
]


class Basis(StrEnum):
    """Where the amounts of a bill come from."""

    QUOTED = "quoted"
    """A document states them."""

    MODELLED = "modelled"
    """What is used, described or measured, at list prices."""


class Mark(StrEnum):
    """How a line stands to that of the earlier bill, in the reference document's signs."""

    LESS = "↓"
    MORE = "↑"
    SAME = "="


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """
    How much of one price a month takes.

    Args:
        price: Name of the price.
        quantity: In the price's unit.
        arithmetic: How the quantity came about; empty where there is none.
    """

    price: str
    quantity: Decimal | float
    arithmetic: str = ""

    def cost(
        self, book: PriceBook, *, after: Decimal | float = 0, free_tier: bool = False
    ) -> Amount:
        """
        Return what it costs, exactly.

        Args:
            book: Prices.
            after: How much of the same was charged before in this month.
            free_tier: The account has used nothing of its free allowance.

        Raises:
            PriceError: The book lacks the price.
        """
        amount = book.price(self.price).cost(self.quantity, after=after, free_tier=free_tier)
        if not self.arithmetic:
            return amount
        return Amount(usd=amount.usd, arithmetic=f"{self.arithmetic}: {amount.arithmetic}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """
    A line of a bill before it is priced.

    Args:
        key: What it is compared by: the same for a line of an earlier and of a later bill, and no
            other line's of its own.
        service: What it is called.
        configuration: What it is for.
        uses: What it takes.
    """

    key: str
    service: str
    configuration: str = ""
    uses: tuple[Use, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """
    A line of a bill.

    Args:
        key: The earlier line that it is compared with has the same, and no other line of its bill.
        service: What it is called.
        configuration: What it is for.
        usd: US dollars a month, to cents as on a bill; None where a price is not known.
        basis: Where the amount comes from.
        arithmetic: How it came about; empty where it is not known.
        prices: The list prices that went into it.
        reason: Why there is no amount.
        mark: How it stands to the earlier bill; None on that one itself.
    """

    key: str
    service: str
    configuration: str = ""
    usd: Decimal | None
    basis: Basis = Basis.MODELLED
    arithmetic: str = ""
    prices: tuple[Price, ...] = ()
    reason: str = ""
    mark: Mark | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """A month's bill."""

    title: str = ""
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()

    @property
    def total_usd(self) -> Decimal:
        """Return the sum of the lines that have an amount, in US dollars a month."""
        return _total(line.usd for line in self.lines)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return why lines have no amount."""
        return tuple(line.reason for line in self.lines if line.reason)


Pair = tuple[Line | None, Line | None]
"""The same line of an earlier and of a later bill; None where one of them lacks it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """
    Two bills of one basis; either may be missing.

    Args:
        basis: Where the amounts come from.
        before: The earlier bill.
        after: The later one, its lines marked against the earlier.
    """

    basis: Basis = Basis.MODELLED
    before: Bill | None
    after: Bill | None

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Return earlier and later lines side by side, in the later bill's order, gone ones last."""
        earlier = {} if self.before is None else {line.key: line for line in self.before.lines}
        later = () if self.after is None else self.after.lines
        kept = tuple((earlier.pop(line.key, None), line) for line in later)
        return (*kept, *((line, None) for line in earlier.values()))

    @property
    def left_out(self) -> tuple[Pair, ...]:
        """Return the lines that one of the bills has no price for: they are in neither total."""
        return tuple(pair for pair in self.pairs if difference_usd(*pair) is None)

    @property
    def totals_usd(self) -> tuple[Decimal, Decimal]:
        """Return both totals of the same lines, so that they differ by what is known."""
        known = [pair for pair in self.pairs if difference_usd(*pair) is not None]
        return (
            _total(before.usd for before, _ in known if before is not None),
            _total(after.usd for _, after in known if after is not None),
        )

    @property
    def savings_usd(self) -> Decimal | None:
        """Return what the later bill saves a month, above 0 where it is the lower one."""
        if self.before is None or self.after is None:
            return None
        before, after = self.totals_usd
        return before - after

    @property
    def annual_savings_usd(self) -> Decimal | None:
        """Return what it saves in twelve months."""
        return None if self.savings_usd is None else 12 * self.savings_usd

    @property
    def reduction(self) -> Decimal | None:
        """Return the share of the earlier bill that is saved: 0.42 is 42%."""
        savings, before = self.savings_usd, self.totals_usd[0]
        return savings / before if savings is not None and before else None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return why lines have no amount, each reason once."""
        bills = (bill for bill in (self.before, self.after) if bill is not None)
        return tuple(dict.fromkeys(reason for bill in bills for reason in bill.reasons))

    @property
    def prices(self) -> tuple[Price, ...]:
        """Return the list prices that went into either bill, each once."""
        lines = [line for bill in (self.before, self.after) if bill for line in bill.lines]
        return tuple({price.name: price for line in lines for price in line.prices}.values())


def key_of(pair: Pair) -> str:
    """Return what the lines of a pair are compared by."""
    return next(line.key for line in pair if line is not None)


def difference_usd(before: Line | None, after: Line | None) -> Decimal | None:
    """Return after less before, a missing line being nothing; None where one has no price."""
    amounts = [Decimal(0) if line is None else line.usd for line in (before, after)]
    if amounts[0] is None or amounts[1] is None:
        return None
    return amounts[1] - amounts[0]


def _total(amounts: Iterable[Decimal | None]) -> Decimal:
    return round_to_cents(sum((usd for usd in amounts if usd is not None), Decimal(0)))


def charge(
    usages: Iterable[Usage], book: PriceBook, *, free_tier: bool = False
) -> tuple[Line, ...]:
    """
    Return priced lines, one after the other: tiers and free allowances go on from line to line.

    A line that lacks a price has none, and says why; it is never $0.
    """
    charged: dict[str, Decimal | float] = {}
    lines = []
    for usage in usages:
        # a line that is not priced uses up no allowance
        with_this = dict(charged)
        try:
            amounts = []
            for use in usage.uses:
                after = with_this.get(use.price, 0)
                amounts.append(use.cost(book, after=after, free_tier=free_tier))
                with_this[use.price] = _sum(after, use.quantity)
            usd: Decimal | None = round_to_cents(sum((each.usd for each in amounts), Decimal(0)))
            arithmetic, reason = _together([each.arithmetic for each in amounts], usd), ""
            prices = tuple(book.price(use.price) for use in usage.uses)
            charged = with_this
        except PriceError as error:
            usd, arithmetic, prices, reason = None, "", (), str(error)
        lines.append(
            Line(
                key=usage.key,
                service=usage.service,
                configuration=usage.configuration,
                usd=usd,
                arithmetic=arithmetic,
                prices=prices,
                reason=reason,
            )
        )
    return tuple(lines)


def _sum(before: Decimal | float, more: Decimal | float) -> Decimal:
    # through text: 0.1 as a float is a little more than a tenth
    return Decimal(str(before)) + Decimal(str(more))


def _together(texts: list[str], usd: Decimal | None) -> str:
    together = [f"together {format_usd(usd)}"] if len(texts) > 1 and usd is not None else []
    return "; ".join([*texts, *together])


def compare(before: Bill | None, after: Bill | None, basis: Basis = Basis.MODELLED) -> Comparison:
    """Return two bills side by side, the later one's lines marked against the earlier's."""
    if before is not None and after is not None:
        earlier = {line.key: line.usd for line in before.lines}
        after = replace(
            after,
            lines=tuple(
                replace(line, mark=_mark(earlier.get(line.key, Decimal(0)), line.usd))
                for line in after.lines
            ),
        )
    return Comparison(basis=basis, before=before, after=after)


def _mark(before: Decimal | None, after: Decimal | None) -> Mark | None:
    if before is None or after is None:
        return None
    if before == after:
        return Mark.SAME
    return Mark.LESS if after < before else Mark.MORE
