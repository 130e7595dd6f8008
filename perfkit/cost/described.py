"""Bills of described architectures, before and after: as a document states them, or at list prices."""

from collections.abc import Sequence

from perfkit.cost.architecture import Architecture, Architectures, QuotedLine
from perfkit.cost.architecture_lines import usages_of
from perfkit.cost.bill import Basis, Bill, Comparison, Line, Usage, charge, compare
from perfkit.cost.prices import PriceBook
from perfkit.errors import ArchitectureError, PriceError
from perfkit.units import format_usd

__all__ = ["by_list", "quoted"]


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
        None if side is None else _quoted_bill(side, own, architectures)
        for side, own in zip(sides, keys, strict=True)
    )
    return compare(before, after, Basis.QUOTED)


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
    usages = [
        () if side is None else usages_of(side)
        for side in (architectures.before, architectures.after)
    ]
    _require(book, [use for side in usages for use in side])
    before, after = (
        None
        if side is None
        else Bill(title=side.title, lines=charge(used, book, free_tier=free_tier), notes=side.notes)
        for side, used in zip((architectures.before, architectures.after), usages, strict=True)
    )
    return compare(before, after)


def _require(book: PriceBook, usages: Sequence[Usage]) -> None:
    wanted = dict.fromkeys(use.price for usage in usages for use in usage.uses)
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
        same = earlier.setdefault(line.follows, [])
        keys_before.append(f"{line.follows}/{len(same) + 1}")
        same.append((line.configuration, keys_before[-1]))
    counts = {service: len(same) for service, same in earlier.items()}
    keys_after: list[str | None] = []
    for line in after:
        same = earlier.get(line.follows, [])
        kept = next((each for each in same if each[0] == line.configuration), None)
        if kept is not None:
            same.remove(kept)
        keys_after.append(None if kept is None else kept[1])
    for number, line in enumerate(after):
        if keys_after[number] is None:
            same = earlier.get(line.follows, [])
            if same:
                keys_after[number] = same.pop(0)[1]
            else:
                counts[line.follows] = counts.get(line.follows, 0) + 1
                keys_after[number] = f"{line.follows}/{counts[line.follows]}"
    return tuple(keys_before), tuple(key for key in keys_after if key is not None)


def _quoted_bill(side: Architecture, keys: Sequence[str], architectures: Architectures) -> Bill:
    source = architectures.quoted_source or "the architecture file"
    return Bill(
        title=side.title,
        lines=tuple(
            Line(
                key=key,
                service=line.service,
                configuration=line.configuration,
                usd=line.monthly,
                basis=Basis.QUOTED,
                arithmetic=f"{format_usd(line.monthly)}, as quoted by {source}",
            )
            for line, key in zip(side.quoted, keys, strict=True)
        ),
        notes=side.quoted_notes,
    )
