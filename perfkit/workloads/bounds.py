"""What can be known of an attribute without making it: its longest value, whether it is unique."""

from math import floor

from perfkit.capacity import attribute_value_size
from perfkit.workloads.kinds import (
    Boolean,
    Choice,
    Constant,
    DecimalNumber,
    Drawn,
    Elements,
    Integer,
    ListOf,
    MapOf,
    Padding,
    Reference,
    Sequence,
    SetOf,
    Template,
    Timestamp,
    Words,
    element_type,
    set_number,
)
from perfkit.workloads.literals import literal_content, wire_value
from perfkit.workloads.model import Attribute, Entity, Workload
from perfkit.workloads.words import WORDS

__all__ = ["first_text", "is_unique", "largest_bytes", "may_be_empty", "present_share"]


def largest_bytes(workload: Workload, entity: Entity, attribute: Attribute) -> int:
    """Return the most bytes a value may take at scale 1, its name not counted."""
    match attribute.generator:
        case Boolean():
            return 1
        case ListOf() as kind:
            return 3 + kind.max * (1 + _largest_element(workload, entity, kind.of))
        case SetOf() as kind:
            return kind.max * _largest_element(workload, entity, kind.of)
        case MapOf() as kind:
            return 3 + sum(
                1 + len(name.encode()) + _largest_element(workload, entity, element)
                for name, element in kind.attributes.items()
            )
        case Reference() if attribute.target is not None:
            target = attribute.target
            return largest_bytes(workload, workload.entity(target), workload.attribute(target))
        case Choice() as kind if attribute.type not in {"S", "N"}:
            return max(attribute_value_size(wire_value(value)) for value in kind.values)
        case Constant() as kind if attribute.type not in {"S", "N"}:
            return attribute_value_size(wire_value(kind.value))
    return attribute_value_size({attribute.type: _longest(workload, entity, attribute)})


def _largest_element(workload: Workload, entity: Entity, kind: Elements) -> int:
    """Return the most bytes an element of a list, a set or a map may take."""
    return largest_bytes(
        workload, entity, Attribute(name="", type=element_type(kind), generator=kind)
    )


def _longest(workload: Workload, entity: Entity, attribute: Attribute) -> str:
    """Return a text as long as any value of *attribute*; of a number, as many digits."""
    match attribute.generator:
        case Sequence() as kind:
            # numbers with as many nines: 100 takes fewer bytes than 99
            last = _nines(kind.start + max(entity.items - 1, 0))
            return set_number(last, kind.format)
        case Integer() as kind:
            return _widest(kind.min, kind.max, kind.format)
        case DecimalNumber() as kind:
            return f"{_widest(floor(kind.min), floor(kind.max))}.{'9' * kind.places}"
        case Choice() as kind:
            texts = [str(literal_content(value)) for value in kind.values]
            if attribute.type == "N":
                sign = "-" if any(text.startswith("-") for text in texts) else ""
                return sign + "9" * max(map(len, texts))
            return max(texts, key=lambda text: len(text.encode()))
        case Constant() as kind:
            return str(literal_content(kind.value))
        case Timestamp() as kind:
            return _widest(kind.min, kind.max) if kind.epoch else "2026-01-31T08:00:00Z"
        case Words() as kind:
            # a sentence ends with a full stop
            return " ".join([max(WORDS, key=len)] * kind.max) + "."
        case Template() as kind:
            return "".join(
                literal + (_longest(workload, entity, entity.attribute(name)) if name else "")
                for literal, name in kind.pieces()
            )
        case Reference() if attribute.target is not None:
            target = attribute.target
            return _longest(workload, workload.entity(target), workload.attribute(target))
        case Boolean():
            return "false"
        case _:
            return ""


def _widest(low: int, high: int, number_format: str | None = None) -> str:
    """Return a number as long as any from *low* to *high*, with a sign if one may have it."""
    widest = max(_nines(low), _nines(high))
    return ("-" if low < 0 else "") + set_number(widest, number_format)


def _nines(number: int) -> int:
    """Return nines, as many as *number* has digits: no number of that length takes more bytes."""
    return int("9" * len(str(abs(number))))


def present_share(entity: Entity, attribute: Attribute) -> float:
    """Return the share of the items of *entity* that have *attribute*."""
    kind = attribute.generator
    share = kind.present if isinstance(kind, Drawn) else 1.0
    if isinstance(kind, Template):
        # a name may stand in it twice
        for name in set(kind.names):
            share *= present_share(entity, entity.attribute(name))
    return share


def may_be_empty(workload: Workload, attribute: Attribute) -> bool:
    """Return whether *attribute* may be an empty text, which no key may be."""
    match attribute.generator:
        case Choice() as kind:
            return "" in kind.values
        case Constant() as kind:
            return bool(kind.value == "")
        case Padding():
            return True
        case Reference() if attribute.target is not None:
            return may_be_empty(workload, workload.attribute(attribute.target))
        case _:
            return False


def is_unique(workload: Workload, entity: Entity, attribute: Attribute) -> bool:
    """Return whether no two items of *entity* can have the same value of *attribute*."""
    match attribute.generator:
        case Sequence():
            return True
        case Integer() | Timestamp() as kind:
            return kind.unique
        case Reference() as kind if kind.unique and attribute.target is not None:
            target = attribute.target
            return is_unique(workload, workload.entity(target), workload.attribute(target))
        case Template() as kind:
            # "{a}{b}" makes 1 and 23 the same text as 12 and 3
            pieces = list(kind.pieces())
            apart = all(literal for literal, name in pieces[1:] if name is not None)
            return apart and any(
                is_unique(workload, entity, entity.attribute(name)) for name in kind.names
            )
        case _:
            return False


def first_text(workload: Workload, entity: Entity, attribute: Attribute) -> tuple[str, bool]:
    """Return what every value of a text attribute starts with, and whether that is all of it."""
    match attribute.generator:
        case Constant() as kind:
            return str(literal_content(kind.value)), True
        case Sequence(format=str() as text) | Integer(format=str() as text):
            return text.partition("{")[0], False
        case Template() as kind:
            literal, name = next(kind.pieces())
            if literal or name is None:
                return literal, False
            return first_text(workload, entity, entity.attribute(name))[0], False
        case Reference() if attribute.target is not None:
            target = attribute.target
            return first_text(workload, workload.entity(target), workload.attribute(target))
        case _:
            return "", False
