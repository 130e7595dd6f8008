"""Bills of a month before and after, line by line, and what one saves against the other."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from perfkit.cost.architecture import Architecture, Architectures, QuotedLine
from perfkit.cost.bill import UsedLine, used_lines
from perfkit.cost.prices import Price, PriceBook, round_to_cents, write_amount
from perfkit.errors import ArchitectureError, PriceError

__all__ = ["Basis", "Comparison", "Line", "Mark", "Statement", "by_list", "quoted"]


class Basis(StrEnum):
    """Where the amounts of a bill come from."""

    QUOTED = "quoted"
    """A document states them."""

    MODELLED = "modelled"
    """What runs, at list prices."""


class Mark(StrEnum):
    """How a line stands to that of the earlier bill, in the reference document's signs."""

    LESS = "↓"
    MORE = "↑"
    SAME = "="


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """
    A line of a bill.

    Args:
        key: The earlier line that it is compared with has the same, and no other line of its bill.
        service: What it is called.
        configuration: What it is for.
        monthly_usd: US dollars a month, rounded to cents as on a bill.
        basis: Where the amount comes from.
        arithmetic: How it came about.
        prices: The list prices that went into it.
        mark: How it stands to the earlier bill; None on that one itself.
    """

    key: str
    service: str
    configuration: str
    monthly_usd: Decimal
    basis: Basis
    arithmetic: str
    prices: tuple[Price, ...] = ()
    mark: Mark | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A month's bill."""

    title: str
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()

    @property
    def total_usd(self) -> Decimal:
        """Return the sum of the lines, in US dollars a month."""
        return sum((line.monthly_usd for line in self.lines), Decimal(0))

    @property
    def prices(self) -> tuple[Price, ...]:
        """Return the list prices that went into it, each once."""
        return tuple({price.name: price for line in self.lines for price in line.prices}.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """
    The bills of one basis; either may be missing.

    Args:
        basis: Where the amounts come from.
        before: The earlier bill.
        after: The later one, its lines marked against the earlier.
    """

    basis: Basis
    before: Statement | None
    after: Statement | None

    @property
    def savings_usd(self) -> Decimal | None:
        """Return what the later bill saves a month, above 0 where it is the lower one."""
        if self.before is None or self.after is None:
            return None
        return self.before.total_usd - self.after.total_usd

    @property
    def annual_savings_usd(self) -> Decimal | None:
        """Return what it saves in twelve months."""
        return None if self.savings_usd is None else 12 * self.savings_usd

    @property
    def reduction(self) -> Decimal | None:
        """Return the share of the earlier bill that is saved: 0.42 is 42%."""
        if self.savings_usd is None or self.before is None or not self.before.total_usd:
            return None
        return self.savings_usd / self.before.total_usd

    @property
    def pairs(self) -> tuple[tuple[Line | None, Line | None], ...]:
        """Return earlier and later lines side by side, in the later bill's order, gone ones last."""
        earlier = {} if self.before is None else {line.key: line for line in self.before.lines}
        later = () if self.after is None else self.after.lines
        kept = tuple((earlier.pop(line.key, None), line) for line in later)
        return (*kept, *((line, None) for line in earlier.values()))

    @property
    def prices(self) -> tuple[Price, ...]:
        """Return the list prices that went into either bill, each once."""
        sides = [side for side in (self.before, self.after) if side is not None]
        return tuple({each.name: each for side in sides for each in side.prices}.values())


def quoted(architectures: Architectures) -> Comparison:
    """
    Return the bills as a document states them.

    Raises:
        ArchitectureError: It states none for one of the architectures.
    """
    if not architectures.quoted:
        msg = (
            f"{architectures.file or architectures.name} quotes no prices for all it describes;"
            " add [[before.quoted]] and [[after.quoted]], or give --prices list"
        )
        raise ArchitectureError(msg)
    sides = (architectures.before, architectures.after)
    keys = _quoted_keys(*(() if side is None else side.quoted for side in sides))
    before, after = (
        None if side is None else _quoted_statement(side, own, architectures)
        for side, own in zip(sides, keys, strict=True)
    )
    return Comparison(basis=Basis.QUOTED, before=before, after=_marked(after, before))


def by_list(
    architectures: Architectures, book: PriceBook, *, free_tier: bool = False
) -> Comparison:
    """
    Return the bills at list prices.

    Args:
        architectures: What runs.
        book: The prices.
        free_tier: Leave out what AWS gives to every account each month.

    Raises:
        PriceError: The book lacks prices; all of them are named.
    """
    sides = (architectures.before, architectures.after)
    used = tuple(None if side is None else used_lines(side) for side in sides)
    _require(book, (line for lines in used if lines is not None for line in lines))
    before, after = (
        None
        if side is None or lines is None
        else Statement(
            title=side.title,
            lines=_priced(lines, book, free_tier=free_tier),
            notes=side.notes,
        )
        for side, lines in zip(sides, used, strict=True)
    )
    return Comparison(basis=Basis.MODELLED, before=before, after=_marked(after, before))


def _require(book: PriceBook, lines: Iterable[UsedLine]) -> None:
    wanted = dict.fromkeys(use.price for line in lines for use in line.uses)
    missing = [name for name in wanted if name not in book]
    if len(missing) == 1:
        book.price(missing[0])
    if missing:
        msg = (
            f"no prices for {book.region} of {', '.join(missing)}; fetch them with `perfkit prices"
            f" refresh --region {book.region}` or add them to a price file (--prices FILE)"
        )
        raise PriceError(msg)


def _quoted_keys(
    before: Sequence[QuotedLine], after: Sequence[QuotedLine]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """
    Return what the lines of both bills are compared by, in their order.

    Several lines of one service are told apart by their configuration, and those that changed it
    by their order.
    """
    earlier: dict[str, list[tuple[str, str]]] = {}
    keys_before = []
    for line in before:
        same = earlier.setdefault(line.replaces, [])
        keys_before.append(f"{line.replaces}/{len(same) + 1}")
        same.append((line.configuration, keys_before[-1]))
    counts = {service: len(same) for service, same in earlier.items()}
    keys_after: list[str | None] = []
    for line in after:
        same = earlier.get(line.replaces, [])
        kept = next((each for each in same if each[0] == line.configuration), None)
        if kept is not None:
            same.remove(kept)
        keys_after.append(None if kept is None else kept[1])
    for number, line in enumerate(after):
        if keys_after[number] is None:
            same = earlier.get(line.replaces, [])
            if same:
                keys_after[number] = same.pop(0)[1]
            else:
                counts[line.replaces] = counts.get(line.replaces, 0) + 1
                keys_after[number] = f"{line.replaces}/{counts[line.replaces]}"
    return tuple(keys_before), tuple(key for key in keys_after if key is not None)


def _quoted_statement(
    side: Architecture, keys: Sequence[str], architectures: Architectures
) -> Statement:
    source = architectures.quoted_source or "the architecture file"
    return Statement(
        title=side.title,
        lines=tuple(
            Line(
                key=key,
                service=line.service,
                configuration=line.configuration,
                monthly_usd=line.monthly_usd,
                basis=Basis.QUOTED,
                arithmetic=f"{write_amount(line.monthly_usd)}, as quoted by {source}",
            )
            for line, key in zip(side.quoted, keys, strict=True)
        ),
        notes=side.quoted_notes,
    )


def _priced(lines: tuple[UsedLine, ...], book: PriceBook, *, free_tier: bool) -> tuple[Line, ...]:
    """Price lines one after the other: tiers and free allowances go on from line to line."""
    charged: dict[str, Decimal] = {}
    priced = []
    for line in lines:
        exact, texts, prices = Decimal(0), [], []
        for use in line.uses:
            price = book.price(use.price)
            after = charged.get(use.price, Decimal(0))
            amount = price.cost(use.quantity, after=after, free_tier=free_tier)
            charged[use.price] = after + use.quantity
            exact += amount.usd
            texts.append(
                f"{use.arithmetic}: {amount.arithmetic}" if use.arithmetic else amount.arithmetic
            )
            prices.append(price)
        total = round_to_cents(exact)
        arithmetic = "; ".join(texts)
        if len(texts) > 1:
            arithmetic += f"; together {write_amount(total)}"
        priced.append(
            Line(
                key=line.key,
                service=line.service,
                configuration=line.configuration,
                monthly_usd=total,
                basis=Basis.MODELLED,
                arithmetic=arithmetic,
                prices=tuple(prices),
            )
        )
    return tuple(priced)


def _marked(after: Statement | None, before: Statement | None) -> Statement | None:
    if after is None or before is None:
        return after
    earlier = {line.key: line.monthly_usd for line in before.lines}
    return replace(
        after,
        lines=tuple(
            replace(line, mark=_mark(earlier.get(line.key, Decimal(0)), line.monthly_usd))
            for line in after.lines
        ),
    )


def _mark(before: Decimal, after: Decimal) -> Mark:
    if before == after:
        return Mark.SAME
    return Mark.LESS if after < before else Mark.MORE
