"""Price files: the ones that come with perfkit, the user's own, and what either may say."""

import os
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from difflib import get_close_matches
from importlib import resources
from itertools import pairwise
from pathlib import Path

from perfkit.cost import names
from perfkit.cost.prices import Price, PriceBook, Tier
from perfkit.cost.reading import Fields, describe, parse
from perfkit.errors import PriceError
from perfkit.workloads.problems import Problem, nearest

__all__ = [
    "DEFAULT_REGION",
    "FOLDER_VARIABLE",
    "load_book",
    "own_file",
    "read_price_file",
    "shipped_regions",
    "write_price_file",
]

DEFAULT_REGION = "us-east-1"

FOLDER_VARIABLE = "PERFKIT_PRICES"
"""Environment variable that names another folder for the user's own price files."""

_MOST_USD = 1_000_000
"""No unit that AWS sells costs more; what does is a slip of the decimal point."""

_MOST_UNITS = 10**15

# AWS had nothing to sell before
_EARLIEST = date(2006, 1, 1)

_BOOKS = resources.files("perfkit.cost").joinpath("books")


def shipped_regions() -> tuple[str, ...]:
    """Return the regions whose prices come with perfkit."""
    names = (entry.name for entry in _BOOKS.iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


def own_file(region: str) -> Path:
    """
    Return where the user's own prices of a region are kept, whether there are any or not.

    The folder is what `PERFKIT_PRICES` says, else `perfkit/prices` where the XDG base directory
    specification has configuration: `$XDG_CONFIG_HOME` or `~/.config`.
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder:
        return Path(folder) / f"{region}.toml"
    configuration = os.environ.get("XDG_CONFIG_HOME", "")
    # the specification: a relative path is to be ignored
    base = Path(configuration) if configuration.startswith("/") else Path.home() / ".config"
    return base / "perfkit" / "prices" / f"{region}.toml"


def load_book(region: str | None = None, file: Path | None = None) -> PriceBook:
    """
    Return the prices of a region.

    Of a row that several have, the named file's counts before the user's own file's, and that
    before the one that comes with perfkit; each keeps its own source and date.

    Args:
        region: None takes the named file's, else `DEFAULT_REGION`.
        file: A price file named on the command line.

    Raises:
        PriceError: No prices are known for the region, a file says what it may not or cannot be
            read, or the named file is for another region or has a price that nothing asks for.
    """
    layers: list[tuple[str, PriceBook]] = []
    if file is not None:
        named = read_price_file(_content(file), source=str(file))
        if region not in {None, named.region}:
            msg = f"{file} has prices of {named.region}; leave out --region {region} or change it"
            raise PriceError(msg)
        _refuse_unknown(named)
        region = named.region
        layers.append((str(file), named))
    region = region or DEFAULT_REGION
    _refuse_odd_region(region)
    own = own_file(region)
    if own.exists() and (file is None or own.resolve() != file.resolve()):
        book = read_price_file(_content(own), source=str(own))
        if book.region != region:
            msg = f"{own}: it has prices of {book.region}; move it to {own_file(book.region)}"
            raise PriceError(msg)
        layers.append((str(own), book))
    if region in shipped_regions():
        content = _BOOKS.joinpath(f"{region}.toml").read_bytes()
        layers.append((f"perfkit's own prices of {region}", _read(content, "built-in", None)))
    if not layers:
        msg = (
            f"no prices known for region '{region}'; {nearest(region, shipped_regions())}; fetch"
            f" more with `perfkit prices refresh --region {region}` or give a file with --prices"
        )
        raise PriceError(msg)
    prices: dict[str, Price] = {}
    for _, book in reversed(layers):
        prices.update(book.prices)
    return PriceBook(region=region, prices=prices, sources=tuple(name for name, _ in layers))


def read_price_file(content: bytes, *, source: str) -> PriceBook:
    """
    Return the prices of one file, and only those.

    Args:
        content: A price file's bytes.
        source: What to call it in messages.

    Raises:
        PriceError: It says what it may not: a line for each problem.
    """
    return _read(content, source, date.today() + timedelta(days=1))  # noqa: DTZ011  # a day's grace


def _refuse_odd_region(region: str) -> None:
    # it becomes a file name
    if not region.replace("-", "").isalnum() or not region.isascii():
        msg = f"'{region}' is no AWS region; give one such as {', '.join(shipped_regions())}"
        raise PriceError(msg)


def _refuse_unknown(book: PriceBook) -> None:
    """Refuse names that nothing asks for: a mistyped one would leave the built-in price in force."""
    problems = []
    for name in book.prices:
        if names.unit_of(name) is not None:
            continue
        shapes = "ec2-TYPE-hour, redis-TYPE-hour, valkey-TYPE-hour and TYPE-hour of DAX"
        shipped = _read(
            _BOOKS.joinpath(f"{DEFAULT_REGION}.toml").read_bytes(), "built-in", None
        ).prices
        near = get_close_matches(name, {**shipped, **names.FIXED}, n=1, cutoff=0.8)
        hint = f"did you mean '{near[0]}'? " if near else ""
        message = (
            f"nothing asks for a price of that name; {hint}`perfkit prices show` lists the names,"
            f" instances and nodes are {shapes}"
        )
        problems.append(Problem.at("prices", name, message=message))
    if problems:
        raise PriceError(describe(book.sources[0], problems))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"cannot read the price file {path} ({error.strerror}); give --prices another one"
        raise PriceError(msg) from error


def _read(content: bytes, source: str, latest: date | None) -> PriceBook:
    problems: list[Problem] = []
    file = parse(content, problems)
    region, prices = "", {}
    if not problems:
        region = file.text("region")
        prices = dict(_prices(file, latest))
        file.finish()
    if problems:
        raise PriceError(describe(source, problems))
    return PriceBook(region=region, prices=prices, sources=(source,))


def _prices(file: Fields, latest: date | None) -> Iterator[tuple[str, Price]]:
    for name, row in file.named_tables("prices", required=True):
        per = row.whole("per", default=1, least=1, most=10**9)
        if str(per).strip("0") != "1":
            row.wrong("per", "expected a power of ten, such as 1_000_000")
            per = 1
        unit, wanted = row.text("unit"), names.unit_of(name)
        if unit and wanted is not None and unit.strip().lower() != wanted.lower():
            row.wrong("unit", f'expected "{wanted}", which quantities are in; convert the price')
        price = Price(
            name=name,
            # as it is printed
            unit=wanted or unit,
            tiers=_tiers(row),
            source=row.text("source"),
            date=_date(row, latest),
            second_hand=row.flag("second_hand", default=False),
            per=per,
            free=row.number("free", default=0, most=_MOST_UNITS),
        )
        row.finish()
        yield name, price


def _date(row: Fields, latest: date | None) -> date | None:
    day = row.day("date")
    if day is not None and day < _EARLIEST:
        row.wrong("date", f"expected {_EARLIEST} or later: AWS had no prices before")
    if day is not None and latest is not None and day > latest:
        row.wrong("date", "expected a day that has come, not one in the future")
    return day


def _tiers(row: Fields) -> tuple[Tier, ...]:
    """Return the tiers of a row; a flat price is one tier without an end."""
    # both are asked for, so that either is proposed for a mistyped key
    if all([row.has("price"), row.has("tiers")]):
        row.wrong("price", "expected either a price or tiers, not both")
    if not row.has("tiers"):
        return (Tier(start=Decimal(0), end=None, price_usd=_usd(row)),)
    tiers = []
    known = len(row.problems)
    for tier in row.tables("tiers"):
        start = tier.number("from", most=_MOST_UNITS)
        end = tier.number("to", most=_MOST_UNITS) if tier.has("to") else None
        price_usd = _usd(tier)
        tier.finish()
        tiers.append(Tier(start=start, end=end, price_usd=price_usd))
    if len(row.problems) > known:
        return tuple(tiers)
    if not tiers:
        row.wrong("tiers", "expected at least one tier, such as { from = 0, price = 0.09 }")
        return ()
    fault = _fault(tiers)
    if fault:
        row.problems.append(Problem.at(*row.path, "tiers", message=fault))
    return tuple(tiers)


def _usd(row: Fields) -> Decimal:
    price_usd = row.number("price", most=_MOST_USD)
    if price_usd == 0:
        row.wrong("price", "expected more than 0; what is free a month goes into the key free")
    return price_usd


def _fault(tiers: list[Tier]) -> str | None:
    """Return what is wrong with the order of tiers: every unit must be in exactly one."""
    if tiers[0].start != 0:
        return f"the first tier begins at {tiers[0].start:,}; expected from = 0"
    for number, (tier, following) in enumerate(pairwise(tiers), start=1):
        pair = f"tiers {number} and {number + 1}"
        if tier.end is None:
            return f"tier {number} has no end (to), so tier {number + 1} is never reached"
        if tier.end <= tier.start:
            return f"tier {number} ends at {tier.end:,}, before it begins at {tier.start:,}"
        if tier.end < following.start:
            return f"gap between {pair}: nothing from {tier.end:,} to {following.start:,}"
        if tier.end > following.start:
            return f"{pair} overlap from {following.start:,} to {tier.end:,}"
    last = tiers[-1]
    if last.end is not None:
        return (
            f"tier {len(tiers)}, the last one, ends at {last.end:,}, so what is above has no price;"
            " leave out its key to"
        )
    return None


def write_price_file(region: str, prices: Mapping[str, Price], *, heading: str) -> str:
    """Return a price file's text, which reads back as the same prices."""
    lines = [*(f"# {line}" for line in heading.splitlines()), "", f"region = {_quoted(region)}"]
    for name, price in prices.items():
        lines += ["", f"[prices.{_quoted(name)}]"]
        if price.flat_usd is not None:
            lines.append(f"price = {_number(price.flat_usd)}")
        else:
            lines += ["tiers = [", *(f"  {_tier(tier)}," for tier in price.tiers), "]"]
        lines.append(f"unit = {_quoted(price.unit)}")
        if price.per != 1:
            lines.append(f"per = {price.per}")
        if price.free:
            lines.append(f"free = {_number(price.free)}")
        lines.append(f"source = {_quoted(price.source)}")
        if price.date is not None:
            lines.append(f"date = {price.date.isoformat()}")
        if price.second_hand:
            lines.append("second_hand = true")
    return "\n".join(lines) + "\n"


def _tier(tier: Tier) -> str:
    end = "" if tier.end is None else f"to = {_number(tier.end)}, "
    return f"{{ from = {_number(tier.start)}, {end}price = {_number(tier.price_usd)} }}"


def _number(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _quoted(text: str) -> str:
    import json

    # JSON's escapes are TOML's, except for characters beyond the basic plane
    return json.dumps(text, ensure_ascii=False)
