"""The kinds of attribute a workload file may ask for, each as it is written there."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import StrEnum
from string import Formatter
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Strict,
    Tag,
    model_validator,
)

from perfkit.workloads.literals import Value, literal_type, names_type, wire_value
from perfkit.workloads.words import WORDS

__all__ = [
    "KINDS",
    "Boolean",
    "Choice",
    "Constant",
    "Count",
    "DecimalNumber",
    "Drawn",
    "Elements",
    "Integer",
    "Kind",
    "Kinds",
    "ListOf",
    "MapOf",
    "Padding",
    "Reference",
    "Section",
    "Sequence",
    "SetOf",
    "Template",
    "Timestamp",
    "WordStyle",
    "Words",
    "Written",
    "element_type",
    "number_in",
    "set_number",
]

# what is drawn is drawn from 64 bits, and computed with 28 digits
_MAX_DRAWN = 10**18
_MAX_DECIMAL = 10**15
_MAX_ELEMENTS = 1_000
_MAX_MEMBERS = 100


class Section(BaseModel):
    """A table of the file: every key known, nothing changed once read."""

    model_config = ConfigDict(defer_build=True, extra="forbid", frozen=True)

    @classmethod
    def known_keys(cls) -> Iterable[str]:
        """Return the keys this table of the file may have, as they are written in it."""
        return [field.alias or name for name, field in cls.model_fields.items()]


def _written(value: Any) -> str:
    if not isinstance(value, str) or not value:
        msg = "expected a text of at least one character"
        raise ValueError(msg)
    return value


def _real(value: Any) -> Any:
    """Accept TOML numbers only: pydantic alone would take true for 1 and "2" for 2."""
    if isinstance(value, bool | str):
        msg = "expected a number"
        raise ValueError(msg)  # noqa: TRY004 - pydantic collects ValueErrors
    return value


Written = Annotated[str, BeforeValidator(_written)]
Count = Annotated[int, Strict(), Field(ge=0, le=_MAX_DRAWN)]
Whole = Annotated[int, Strict(), Field(ge=-_MAX_DRAWN, le=_MAX_DRAWN)]
Real = Annotated[float, BeforeValidator(_real), Field(allow_inf_nan=False)]
Positive = Annotated[Real, Field(gt=0)]
Flag = Annotated[bool, Strict()]


_NUMBER_SLOT = re.compile(r"\{(?::(?:0[1-9][0-9]?)?d?)?\}")


def _number_format(text: str) -> str:
    braces = text.count("{"), text.count("}")
    if braces != (1, 1) or not _NUMBER_SLOT.search(text):
        msg = 'expected a text with one place for the number, such as "C{}" or "C{:05}"'
        raise ValueError(msg)
    return text


def set_number(number: int, number_format: str | None) -> str:
    """Return *number* as text, set in *number_format* if there is one."""
    return str(number) if number_format is None else number_format.format(number)


def number_in(text: str, number_format: str | None) -> int | None:
    """Return the number that `set_number` makes *text* of, or None if there is none."""
    prefix, suffix = _NUMBER_SLOT.split(number_format) if number_format else ("", "")
    digits = text.removeprefix(prefix).removesuffix(suffix).strip()
    try:
        number = int(digits)
    except ValueError:
        return None
    return number if set_number(number, number_format) == text else None


NumberFormat = Annotated[Written, AfterValidator(_number_format)]


def _template(text: str) -> str:
    msg = 'expected a text naming other attributes in braces, such as "ORDER#{order_id}"'
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise ValueError(msg) from error
    fields = [(name, spec, conversion) for _, name, spec, conversion in parts if name is not None]
    if not fields or any(not name or spec or conversion for name, spec, conversion in fields):
        raise ValueError(msg)
    return text


class Drawn(Section):
    """What every kind but padding and a plain value has in common."""

    present: Annotated[Positive, Field(le=1)] = 1.0
    """Share of the items that have the attribute at all."""


def _ordered(low: Any, high: Any) -> None:
    if low > high:
        msg = f"expected min to be at most max, got min {low} and max {high}"
        raise ValueError(msg)


class Sequence(Drawn):
    """The item's own number, so that every item has another value."""

    kind: Literal["sequence"]
    format: NumberFormat | None = None
    start: Count = 1

    def text(self, index: int) -> str:
        """Return the value of item *index*."""
        return set_number(self.start + index, self.format)

    def index(self, text: str) -> int | None:
        """Return which item has the value *text*, or None if none can."""
        number = number_in(text, self.format)
        return None if number is None or number < self.start else number - self.start


class Choice(Drawn):
    """One of a few values."""

    kind: Literal["choice"]
    values: Annotated[tuple[Value, ...], Field(min_length=1)]
    weights: tuple[Positive, ...] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len({literal_type(value) for value in self.values}) > 1:
            msg = "expected values of one type: all text, all numbers or all true/false"
            raise ValueError(msg)
        if len({repr(wire_value(value)) for value in self.values}) < len(self.values):
            msg = "expected each value once; use weights to prefer some"
            raise ValueError(msg)
        if self.weights is not None and len(self.weights) != len(self.values):
            msg = f"expected one weight for each of the {len(self.values)} values, got {len(self.weights)}"
            raise ValueError(msg)
        return self


class Integer(Drawn):
    """A whole number between two bounds, both included, as it is or set in a text."""

    kind: Literal["integer"]
    min: Whole
    max: Whole
    format: NumberFormat | None = None
    unique: Flag = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _ordered(self.min, self.max)
        if self.format is not None and self.min < 0:
            msg = f"expected a min of at least 0 beside a format, got {self.min}"
            raise ValueError(msg)
        return self


class DecimalNumber(Drawn):
    """A number with a fixed number of decimal places between two bounds, both included."""

    kind: Literal["decimal"]
    min: Annotated[Decimal, BeforeValidator(_real), Field(ge=-_MAX_DECIMAL)]
    max: Annotated[Decimal, BeforeValidator(_real), Field(le=_MAX_DECIMAL)]
    places: Annotated[int, Strict(), Field(ge=1, le=10)] = 2

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _ordered(self.min, self.max)
        for bound in (self.min, self.max):
            if (bound * 10**self.places) % 1:
                msg = f"expected bounds of at most {self.places} decimal places, got {bound}"
                raise ValueError(msg)
        return self


def _moment_s(value: Any) -> int:
    """Return a TOML date or time as seconds since 1970; without a zone it is UTC."""
    if not isinstance(value, date):
        msg = "expected a date such as 2026-01-31 or 2026-01-31T08:00:00Z, without quotes"
        raise ValueError(msg)  # noqa: TRY004 - pydantic collects ValueErrors
    if not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    return int(value.timestamp())


Moment = Annotated[int, BeforeValidator(_moment_s)]


class Timestamp(Drawn):
    """A moment between two others, both included, to the second."""

    kind: Literal["timestamp"]
    min: Moment
    max: Moment
    epoch: Flag = False
    """Seconds since 1970 as a number rather than ISO 8601 text."""
    unique: Flag = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.min > self.max:
            msg = "expected min to be no later than max"
            raise ValueError(msg)
        return self


class WordStyle(StrEnum):
    """How words are set."""

    PLAIN = "plain"
    TITLE = "title"
    SENTENCE = "sentence"


class Words(Drawn):
    """Some words of a small dictionary."""

    kind: Literal["words"]
    min: Annotated[int, Strict(), Field(ge=1, le=1000)]
    max: Annotated[int, Strict(), Field(ge=1, le=1000)]
    style: WordStyle = WordStyle.PLAIN

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _ordered(self.min, self.max)
        return self


class Boolean(Drawn):
    """True or false."""

    kind: Literal["boolean"]
    probability: Annotated[Real, Field(ge=0, le=1)] = 0.5


class Reference(Drawn):
    """An attribute of another kind of item, so that it names one that exists."""

    kind: Literal["reference"]
    table: Written | None = None
    entity: Written | None = None
    attribute: Written | None = None
    zipf: Positive | None = None
    """Exponent of the popularity of the items referred to; uniform without it."""
    unique: Flag = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.unique and self.zipf is not None:
            msg = "expected either unique or zipf: a unique reference has no favourites"
            raise ValueError(msg)
        return self


class Template(Drawn):
    """A text made from other attributes of the same item."""

    kind: Literal["template"]
    format: Annotated[Written, AfterValidator(_template)]

    def pieces(self) -> Iterator[tuple[str, str | None]]:
        """Yield the text before each named attribute and its name, at the end None."""
        for literal, name, _, _ in Formatter().parse(self.format):
            yield literal, name

    @property
    def names(self) -> tuple[str, ...]:
        """The attributes it is made from."""
        return tuple(name for _, name in self.pieces() if name is not None)


class Padding(Section):
    """Text that fills the item up to its size."""

    kind: Literal["padding"]


class Constant(Section):
    """The same value in every item."""

    value: Value


class ListOf(Drawn):
    """A list of so many elements, each drawn on its own."""

    kind: Literal["list"]
    of: "Element"
    min: Annotated[int, Strict(), Field(ge=0, le=_MAX_ELEMENTS)]
    max: Annotated[int, Strict(), Field(ge=0, le=_MAX_ELEMENTS)]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _ordered(self.min, self.max)
        _check_element(self.of)
        return self


class SetOf(Drawn):
    """A set of so many texts, or so many numbers."""

    kind: Literal["set"]
    of: "Element"
    min: Annotated[int, Strict(), Field(ge=1, le=_MAX_MEMBERS)]
    max: Annotated[int, Strict(), Field(ge=1, le=_MAX_MEMBERS)]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _ordered(self.min, self.max)
        _check_element(self.of)
        if element_type(self.of) not in {"S", "N"}:
            msg = "expected a set of texts or of numbers"
            raise ValueError(msg)
        known = _variety(self.of)
        if known < self.max:
            msg = f"there are {known:,} different members; expected a max of at most that"
            raise ValueError(msg)
        return self


class MapOf(Drawn):
    """A map with attributes of its own."""

    kind: Literal["map"]
    attributes: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=65_535)], "Element"],
        Field(min_length=1),
    ]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for element in self.attributes.values():
            _check_not_unique(element)
        return self


def _check_element(kind: "Elements") -> None:
    _check_not_unique(kind)
    if isinstance(kind, Drawn) and kind.present < 1:
        msg = "every element is there; expected present to be left out of it"
        raise ValueError(msg)


def _check_not_unique(kind: "Elements") -> None:
    if isinstance(kind, Integer | Timestamp) and kind.unique:
        msg = "an element is not unique in the table; expected unique to be left out of it"
        raise ValueError(msg)


def _variety(kind: "Elements") -> int:
    """Return how many different values a kind that makes a text or a number has, at least."""
    match kind:
        case Choice():
            return len(kind.values)
        case Integer() | Timestamp():
            return kind.max - kind.min + 1
        case DecimalNumber():
            return int((kind.max - kind.min) * 10**kind.places) + 1
        case Words():
            return len(WORDS)
        case _:
            return 1


def element_type(kind: "Elements") -> str:
    """Return the DynamoDB type of what *kind* makes, of those that need nothing but a number."""
    match kind:
        case Boolean():
            return "BOOL"
        case Choice():
            return literal_type(kind.values[0])
        case Constant():
            return literal_type(kind.value)
        case DecimalNumber():
            return "N"
        case Integer():
            return "N" if kind.format is None else "S"
        case Timestamp():
            return "N" if kind.epoch else "S"
        case ListOf():
            return "L"
        case MapOf():
            return "M"
        case SetOf():
            return f"{element_type(kind.of)}S"
        case Words():
            return "S"


KINDS: dict[str, type[Section]] = {
    "boolean": Boolean,
    "choice": Choice,
    "decimal": DecimalNumber,
    "integer": Integer,
    "list": ListOf,
    "map": MapOf,
    "padding": Padding,
    "reference": Reference,
    "sequence": Sequence,
    "set": SetOf,
    "template": Template,
    "timestamp": Timestamp,
    "words": Words,
}

Elements = (
    Boolean
    | Choice
    | Constant
    | DecimalNumber
    | Integer
    | ListOf
    | MapOf
    | SetOf
    | Timestamp
    | Words
)
"""What a list, a map or a set may be made of."""

Kinds = Elements | Padding | Reference | Sequence | Template


# no kind a file could name
_PLAIN = " plain"


def _tag(value: Any) -> str | None:
    if isinstance(value, dict) and not names_type(value):
        return str(value["kind"]) if "kind" in value else None
    return _PLAIN


_Plain = Annotated[Constant, BeforeValidator(lambda value: {"value": value}), Tag(_PLAIN)]

Element = Annotated[
    Annotated[Boolean, Tag("boolean")]
    | Annotated[Choice, Tag("choice")]
    | Annotated[DecimalNumber, Tag("decimal")]
    | Annotated[Integer, Tag("integer")]
    | Annotated[ListOf, Tag("list")]
    | Annotated[MapOf, Tag("map")]
    | Annotated[SetOf, Tag("set")]
    | Annotated[Timestamp, Tag("timestamp")]
    | Annotated[Words, Tag("words")]
    | _Plain,
    Discriminator(_tag),
]

Kind = Annotated[
    Annotated[Boolean, Tag("boolean")]
    | Annotated[Choice, Tag("choice")]
    | Annotated[DecimalNumber, Tag("decimal")]
    | Annotated[Integer, Tag("integer")]
    | Annotated[ListOf, Tag("list")]
    | Annotated[MapOf, Tag("map")]
    | Annotated[Padding, Tag("padding")]
    | Annotated[Reference, Tag("reference")]
    | Annotated[Sequence, Tag("sequence")]
    | Annotated[SetOf, Tag("set")]
    | Annotated[Template, Tag("template")]
    | Annotated[Timestamp, Tag("timestamp")]
    | Annotated[Words, Tag("words")]
    | _Plain,
    Discriminator(_tag),
]

for _kind in (ListOf, MapOf, SetOf):
    _kind.model_rebuild()
