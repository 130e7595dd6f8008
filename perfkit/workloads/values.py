"""How each kind of attribute turns an item's number into a value."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from perfkit.workloads import draws
from perfkit.workloads.kinds import (
    Boolean,
    Choice,
    Constant,
    DecimalNumber,
    Drawn,
    Integer,
    Kinds,
    ListOf,
    MapOf,
    Sequence,
    SetOf,
    Template,
    Timestamp,
    Words,
    WordStyle,
    element_type,
)
from perfkit.workloads.literals import literal_content
from perfkit.workloads.words import WORDS

__all__ = ["Make", "Value", "Values", "absent_sometimes", "joined", "plain"]

Value = Any
"""What stands on the wire: text for S and N, the flag for BOOL, …; None where it is absent."""

Values = dict[str, Value]
Make = Callable[[int, int], Value]
"""Item number and attempt in; another attempt gives another value, where there is one."""


def plain(kind: Kinds, key: int) -> Make:
    """Return what makes the values of a kind that needs no other attribute."""
    match kind:
        case Sequence():
            return _sequence(kind)
        case Choice():
            return _choice(kind, key)
        case Integer():
            return _integer(kind, key)
        case DecimalNumber():
            return _decimal(kind, key)
        case Timestamp():
            return _timestamp(kind, key)
        case Words():
            return _words(kind, key)
        case Boolean():
            threshold = int(kind.probability * 2**64)
            return lambda index, attempt: draws.mix(key, index, attempt) < threshold
        case Constant():
            value = literal_content(kind.value)
            return lambda _index, _attempt: value
        case ListOf():
            return _list(kind, key)
        case SetOf():
            return _set(kind, key)
        case MapOf():
            return _map(kind, key)
        case _:
            msg = f"a {type(kind).__name__} needs more than an item's number"
            raise TypeError(msg)


def absent_sometimes(make: Make, key: int, present: float) -> Make:
    """Return *make* with a value only in a share *present* of the items."""
    threshold = int(present * 2**64)
    return lambda index, attempt: (
        make(index, attempt) if draws.mix(key, index) < threshold else None
    )


def joined(template: Template, key: int) -> Callable[[int, Values], Value]:
    """Return what sets an item's values into *template*: absent where one of them is."""
    pieces = tuple(template.pieces())
    threshold = int(template.present * 2**64)

    def join(index: int, row: Values) -> Value:
        if threshold < 2**64 and draws.mix(key, index) >= threshold:
            return None
        joined = ""
        for literal, name in pieces:
            joined += literal
            if name is not None:
                value = row[name]
                if value is None:
                    return None
                joined += value if isinstance(value, str) else str(value).lower()
        return joined

    return join


def _sequence(kind: Sequence) -> Make:
    start = kind.start
    if kind.format is None:
        return lambda index, _attempt: str(start + index)
    fill = kind.format.format
    return lambda index, _attempt: fill(start + index)


def _choice(kind: Choice, key: int) -> Make:
    values = [literal_content(value) for value in kind.values]
    draw = draws.choice(key, kind.weights) if kind.weights else draws.uniform(key, len(values))
    return lambda index, attempt: values[draw(index, attempt)]


def _number(kind: Integer | Timestamp, key: int) -> draws.Draw:
    count = kind.max - kind.min + 1
    if kind.unique:
        place = draws.permutation(key, count)
        return lambda index, _attempt: place(index)
    return draws.uniform(key, count)


def _integer(kind: Integer, key: int) -> Make:
    draw, least = _number(kind, key), kind.min
    if kind.format is None:
        return lambda index, attempt: str(least + draw(index, attempt))
    fill = kind.format.format
    return lambda index, attempt: fill(least + draw(index, attempt))


def _decimal(kind: DecimalNumber, key: int) -> Make:
    places = kind.places
    unit = 10**places
    least = int(kind.min * unit)
    draw = draws.uniform(key, int(kind.max * unit) - least + 1)

    def make(index: int, attempt: int) -> str:
        number = least + draw(index, attempt)
        whole, rest = divmod(abs(number), unit)
        # as the service gives numbers back: 3.50 is 3.5 and 3.00 is 3
        decimals = f"{rest:0{places}}".rstrip("0")
        return f"{'-' if number < 0 else ''}{whole}{'.' if decimals else ''}{decimals}"

    return make


def _timestamp(kind: Timestamp, key: int) -> Make:
    draw, earliest = _number(kind, key), kind.min
    if kind.epoch:
        return lambda index, attempt: str(earliest + draw(index, attempt))

    def make(index: int, attempt: int) -> str:
        moment = datetime.fromtimestamp(earliest + draw(index, attempt), UTC)
        return f"{moment.isoformat()[:19]}Z"

    return make


def _words(kind: Words, key: int) -> Make:
    least, count = kind.min, kind.max - kind.min + 1
    dictionary = [word.title() for word in WORDS] if kind.style is WordStyle.TITLE else WORDS
    size = len(dictionary)

    def make(index: int, attempt: int) -> str:
        bits = draws.mix(key, index, attempt)
        number = least + (bits * count >> 64)
        chosen = []
        for position in range(number):
            # 64 bits are good for six words of the dictionary
            bits = bits // size if position % 6 else draws.mix(key, bits, attempt)
            chosen.append(dictionary[bits % size])
        text = " ".join(chosen)
        return f"{text[0].upper()}{text[1:]}." if kind.style is WordStyle.SENTENCE else text

    return make


# far more redraws than a hundred members of a hundred equally likely ones need
_MAX_REDRAWS = 10_000


def _list(kind: ListOf, key: int) -> Make:
    make, of_type = plain(kind.of, draws.mix(key, 1)), element_type(kind.of)
    size = draws.uniform(key, kind.max - kind.min + 1)

    def make_list(index: int, attempt: int) -> Value:
        length = kind.min + size(index, attempt)
        place = draws.mix(key, index, attempt)
        return [{of_type: make(place + number, 0)} for number in range(length)]

    return make_list


def _set(kind: SetOf, key: int) -> Make:
    make = plain(kind.of, draws.mix(key, 1))
    size = draws.uniform(key, kind.max - kind.min + 1)
    # a value that is hardly ever drawn must not be waited for
    spare = (
        [literal_content(value) for value in kind.of.values] if isinstance(kind.of, Choice) else []
    )

    def make_set(index: int, attempt: int) -> Value:
        length = kind.min + size(index, attempt)
        place = draws.mix(key, index, attempt)
        members: dict[str, None] = {}
        for number in range(_MAX_REDRAWS if not spare else 10 * length):
            if len(members) == length:
                break
            members.setdefault(make(place + number, 0))
        for value in spare:
            if len(members) < length:
                members.setdefault(value)
        return list(members)

    return make_set


def _map(kind: MapOf, key: int) -> Make:
    makers = []
    for number, (name, element) in enumerate(kind.attributes.items()):
        own = draws.mix(key, number + 1)
        make = plain(element, own)
        if isinstance(element, Drawn) and element.present < 1:
            make = absent_sometimes(make, draws.mix(own, 1), element.present)
        makers.append((name, element_type(element), make))

    def make_map(index: int, attempt: int) -> Value:
        made = ((name, of_type, make(index, attempt)) for name, of_type, make in makers)
        return {name: {of_type: value} for name, of_type, value in made if value is not None}

    return make_map
