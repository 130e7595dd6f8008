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

from perfkit.capacity import AttributeValue

__all__ = [
    "KINDS",
    "Boolean",
    "Choice",
    "Constant",
    "Count",
    "DecimalNumber",
    "Drawn",
    "Integer",
    "Kind",
    "Kinds",
    "Padding",
    "Reference",
    "Scalar",
    "Section",
    "Sequence",
    "Template",
    "Timestamp",
    "WordStyle",
    "Words",
    "Written",
    "number_in",
    "plain_value",
    "scalar_text",
    "scalar_type",
    "set_number",
    "wire_value",
]

# DynamoDB keeps 38 digits of a number
_MAX_DIGITS = 38
# what is drawn is drawn from 64 bits, and computed with 28 digits
_MAX_DRAWN = 10**18
_MAX_DECIMAL = 10**15


class Section(BaseModel):
    """A table of the file: every key known, nothing changed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def known_keys(cls) -> Iterable[str]:
        """Return the keys this table of the file may have."""
        return cls.model_fields


def _written(value: Any) -> str:
    if not isinstance(value, str) or not value:
        msg = "expected a text of at least one character"
        raise ValueError(msg)
    return value


def _scalar(value: Any) -> Any:
    if isinstance(value, str | bool):
        return value
    if isinstance(value, int | Decimal):
        number = Decimal(value)
        digits = len(number.as_tuple().digits)
        if number.is_finite() and max(digits, abs(number.adjusted())) <= _MAX_DIGITS:
            return value
    msg = "expected a text, a number of at most 38 digits, true or false"
    raise ValueError(msg)


def _real(value: Any) -> Any:
    """Accept TOML numbers only: pydantic alone would take true for 1 and "2" for 2."""
    if isinstance(value, bool | str):
        msg = "expected a number"
        raise ValueError(msg)  # noqa: TRY004 - pydantic collects ValueErrors
    return value


Written = Annotated[str, BeforeValidator(_written)]
Scalar = Annotated[Any, BeforeValidator(_scalar)]
Count = Annotated[int, Strict(), Field(ge=0, le=_MAX_DRAWN)]
Whole = Annotated[int, Strict(), Field(ge=-_MAX_DRAWN, le=_MAX_DRAWN)]
Real = Annotated[float, BeforeValidator(_real), Field(allow_inf_nan=False)]
Positive = Annotated[Real, Field(gt=0)]
Flag = Annotated[bool, Strict()]


def scalar_type(value: Any) -> str:
    """Return the DynamoDB type of a plain value of the file: S, N or BOOL."""
    if isinstance(value, bool):
        return "BOOL"
    return "S" if isinstance(value, str) else "N"


def scalar_text(value: Any) -> str | bool:
    """Return what stands on the wire for a plain value: text for S and N, the flag for BOOL."""
    if isinstance(value, bool | str):
        return value
    # never with an exponent; 1.50 as the service would give it back
    text = format(Decimal(value), "f") if value else "0"
    return text.rstrip("0").rstrip(".") if "." in text else text


def wire_value(value: Any) -> AttributeValue:
    """Return a plain value of the file as DynamoDB takes it."""
    return {scalar_type(value): scalar_text(value)}


def plain_value(wire: AttributeValue) -> Any:
    """Return what the file says for a value on the wire: the reverse of `wire_value`."""
    ((kind, content),) = wire.items()
    return Decimal(content) if kind == "N" else content


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
    values: Annotated[tuple[Scalar, ...], Field(min_length=1)]
    weights: tuple[Positive, ...] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len({scalar_type(value) for value in self.values}) > 1:
            msg = "expected values of one type: all text, all numbers or all true/false"
            raise ValueError(msg)
        if len(set(self.values)) < len(self.values):
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
    """The same plain value in every item."""

    value: Scalar


KINDS: dict[str, type[Section]] = {
    "boolean": Boolean,
    "choice": Choice,
    "decimal": DecimalNumber,
    "integer": Integer,
    "padding": Padding,
    "reference": Reference,
    "sequence": Sequence,
    "template": Template,
    "timestamp": Timestamp,
    "words": Words,
}

Kinds = (
    Boolean
    | Choice
    | Constant
    | DecimalNumber
    | Integer
    | Padding
    | Reference
    | Sequence
    | Template
    | Timestamp
    | Words
)


# no kind a file could name
_PLAIN = " plain"


def _tag(value: Any) -> str | None:
    if isinstance(value, dict):
        return str(value["kind"]) if "kind" in value else None
    return _PLAIN


Kind = Annotated[
    Annotated[Boolean, Tag("boolean")]
    | Annotated[Choice, Tag("choice")]
    | Annotated[DecimalNumber, Tag("decimal")]
    | Annotated[Integer, Tag("integer")]
    | Annotated[Padding, Tag("padding")]
    | Annotated[Reference, Tag("reference")]
    | Annotated[Sequence, Tag("sequence")]
    | Annotated[Template, Tag("template")]
    | Annotated[Timestamp, Tag("timestamp")]
    | Annotated[Words, Tag("words")]
    | Annotated[Constant, BeforeValidator(lambda value: {"value": value}), Tag(_PLAIN)],
    Discriminator(_tag),
]
