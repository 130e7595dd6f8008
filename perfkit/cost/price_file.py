"""Price files: the ones that come with perfkit, the user's own, and what either may say."""

import os
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from difflib import get_close_matches
from functools import lru_cache
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from perfkit.cost import names, toml_file
from perfkit.cost.prices import Price, PriceBook, Tier
from perfkit.cost.toml_file import Day, Flag, Number, Section, Tables, Text, Whole, up_to
from perfkit.errors import PriceError
from perfkit.workloads.problems import Problem, nearest

__all__ = [
    "DEFAULT_REGION",
    "has_prices",
    "load_book",
    "own_file",
    "read_price_file",
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


def _shipped_regions() -> tuple[str, ...]:
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


def has_prices(region: str) -> bool:
    """Tell whether any prices of a region are known without being named."""
    return region in _shipped_regions() or own_file(region).exists()


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
    if region in _shipped_regions():
        layers.append((f"perfkit's own prices of {region}", _shipped_book(region)))
    if not layers:
        msg = (
            f"no prices known for region '{region}'; {nearest(region, _shipped_regions())}; fetch"
            f" more with `perfkit prices refresh --region {region}` or give a file with --prices"
        )
        raise PriceError(msg)
    prices: dict[str, Price] = {}
    for _, book in reversed(layers):
        prices.update(book.prices)
    return PriceBook(region=region, prices=prices, sources=tuple(name for name, _ in layers))


@lru_cache
def _shipped_book(region: str) -> PriceBook:
    return _read(_BOOKS.joinpath(f"{region}.toml").read_bytes(), "built-in", None)


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
        msg = f"'{region}' is no AWS region; give one such as {', '.join(_shipped_regions())}"
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
            f"nothing asks for a price of that name; {hint}`perfkit prices show -v` lists the names,"
            f" instances and nodes are {shapes}"
        )
        problems.append(Problem.at("prices", name, message=message))
    if problems:
        raise PriceError(toml_file.problems_text(book.sources[0], problems))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"cannot read the price file {path} ({error.strerror}); give --prices another one"
        raise PriceError(msg) from error


def _read(content: bytes, source: str, latest: date | None) -> PriceBook:
    file = toml_file.read(_BookFile, content, source=source, error=PriceError)
    problems = [*_foreign_units(file), *_days_to_come(file, latest)]
    if problems:
        raise PriceError(toml_file.problems_text(source, problems))
    prices = {name: row.price_of(name) for name, row in file.prices.items()}
    return PriceBook(region=file.region, prices=prices, sources=(source,))


def _foreign_units(file: "_BookFile") -> Iterator[Problem]:
    for name, row in file.prices.items():
        wanted = names.unit_of(name)
        if wanted is not None and row.unit.strip().lower() != wanted.lower():
            message = f'expected "{wanted}", which quantities are in; convert the price'
            yield Problem.at("prices", name, "unit", value=row.unit, message=message)


def _days_to_come(file: "_BookFile", latest: date | None) -> Iterator[Problem]:
    for name, row in file.prices.items():
        if latest is not None and row.date is not None and row.date > latest:
            message = "expected a day that has come, not one in the future"
            yield Problem.at("prices", name, "date", value=row.date, message=message)


def _above_0(price: Decimal) -> Decimal:
    if not price:
        msg = "expected more than 0; what is free a month goes into the key free"
        raise ValueError(msg)
    return price


_Usd = Annotated[Number, up_to(_MOST_USD), AfterValidator(_above_0)]
_Units = Annotated[Number, up_to(_MOST_UNITS)]


class _Tier(Section):
    """A stretch of a month's quantity with a price of its own."""

    start: Annotated[_Units, Field(alias="from")]
    to: _Units | None = None
    price: _Usd


def _power_of_ten(per: int) -> int:
    if str(per).strip("0") != "1":
        msg = "expected a power of ten, such as 1_000_000"
        raise ValueError(msg)
    return per


def _old_enough(day: date) -> date:
    if day < _EARLIEST:
        msg = f"expected {_EARLIEST} or later: AWS had no prices before"
        raise ValueError(msg)
    return day


class _Row(Section):
    """A price: the same for any quantity, or in tiers."""

    unit: Text
    source: Text
    date: Annotated[Day, AfterValidator(_old_enough)] | None = None
    second_hand: Flag = False
    per: Annotated[Whole, up_to(10**9, least=1), AfterValidator(_power_of_ten)] = 1
    free: _Units = Decimal(0)
    vcpus: Annotated[Whole, up_to(10_000, least=1)] | None = None
    tiers: Annotated[tuple[_Tier, ...], Tables] | None = None
    price: _Usd | None = None

    @field_validator("tiers")
    @classmethod
    def _ordered(cls, tiers: tuple[_Tier, ...] | None) -> tuple[_Tier, ...] | None:
        fault = None if tiers is None else _fault(tiers)
        if fault:
            raise ValueError(fault)
        return tiers

    @model_validator(mode="before")
    @classmethod
    def _either(cls, value: Any) -> Any:
        if isinstance(value, dict) and "price" in value and "tiers" in value:
            msg = "expected either a price or tiers, not both"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _priced(self) -> Self:
        if self.price is None and self.tiers is None:
            msg = "missing its price; expected price, or tiers"
            raise ValueError(msg)
        return self

    def price_of(self, name: str) -> Price:
        """Return the price; a flat one is one tier without an end."""
        flat = (Tier(start=Decimal(0), end=None, price_usd=self.price or Decimal(0)),)
        return Price(
            name=name,
            # as it is printed
            unit=names.unit_of(name) or self.unit,
            tiers=flat
            if self.tiers is None
            else tuple(
                Tier(start=each.start, end=each.to, price_usd=each.price) for each in self.tiers
            ),
            source=self.source,
            date=self.date,
            second_hand=self.second_hand,
            per=self.per,
            free=self.free,
            vcpus=self.vcpus,
        )


class _BookFile(Section):
    """A price file."""

    region: Text
    prices: dict[str, _Row]


def _fault(tiers: tuple[_Tier, ...]) -> str | None:
    """Return what is wrong with the order of tiers: every unit must be in exactly one."""
    if not tiers:
        return "expected at least one tier, such as { from = 0, price = 0.09 }"
    if tiers[0].start != 0:
        return f"the first tier begins at {tiers[0].start:,}; expected from = 0"
    for number, (tier, following) in enumerate(pairwise(tiers), start=1):
        pair = f"tiers {number} and {number + 1}"
        if tier.to is None:
            return f"tier {number} has no end (to), so tier {number + 1} is never reached"
        if tier.to <= tier.start:
            return f"tier {number} ends at {tier.to:,}, before it begins at {tier.start:,}"
        if tier.to < following.start:
            return f"gap between {pair}: nothing from {tier.to:,} to {following.start:,}"
        if tier.to > following.start:
            return f"{pair} overlap from {following.start:,} to {tier.to:,}"
    last = tiers[-1]
    if last.to is not None:
        return (
            f"tier {len(tiers)}, the last one, ends at {last.to:,}, so what is above has no price;"
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
        if price.vcpus:
            lines.append(f"vcpus = {price.vcpus}")
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
