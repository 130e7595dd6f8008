"""How a workload file is written: TOML on lines that people can read, of characters they can see."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from perfkit.capacity import AttributeValue

__all__ = [
    "LINE_WIDTH",
    "comment",
    "short_name",
    "slots_of",
    "visible",
    "write_key",
    "write_names",
    "write_parameters",
    "write_string",
]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
LINE_WIDTH = 96


def _write_value(value: AttributeValue) -> str:
    """Return a value of an item, as parameters and keys are written."""
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return write_string(content)
        case "N":
            return format(Decimal(content), "f")
        case "BOOL":
            return "true" if content else "false"
        case _:
            return f"{{ {kind} = {write_string(content)} }}"


def write_key(name: str) -> str:
    """Return the name of an entry, in quotes where it needs them."""
    return name if _BARE.fullmatch(name) else write_string(name)


def write_string(text: str) -> str:
    """Return a TOML string on one line, of characters that can be seen."""
    return "".join(map(_letter, json.dumps(text, ensure_ascii=False)))


def _letter(letter: str) -> str:
    if letter.isprintable():
        return letter
    return f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else f"\\U{ord(letter):08x}"


def visible(text: str) -> str:
    """Return text with codes for characters that cannot be seen."""
    return "".join(map(_letter, text))


def short_name(text: str) -> str:
    """Return a name of small letters, digits and hyphens, "" if nothing is left."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", text).lower()
    return re.sub(r"[^a-z0-9_]+", "-", words).strip("-_")[:63]


def slots_of(names: Iterable[str]) -> dict[str, str]:
    """Return what each attribute is called after `:` and `#`, where only letters and digits go."""
    slots: dict[str, str] = {}
    for name in names:
        stem = re.sub(r"[^A-Za-z0-9_]", "_", name)[:40] or "_"
        slot, number = stem, 2
        while slot in slots.values():
            slot, number = f"{stem}{number}", number + 1
        slots[name] = slot
    return slots


def write_names(names: Mapping[str, str]) -> Iterator[str]:
    """Yield the line that says which attribute each `#` of a pattern stands for."""
    if names:
        yield f"names = {_inline({slot: write_string(name) for slot, name in names.items()})}"


def write_parameters(sets: Iterable[Mapping[str, AttributeValue]]) -> Iterator[str]:
    """Yield the lines that give a pattern's parameters, each combination of values once."""
    written = [_inline({slot: _write_value(each[slot]) for slot in each}) for each in sets]
    different = list(dict.fromkeys(written))
    if len(different) == 1:
        yield f"parameters = {different[0]}"
        return
    yield "parameters = ["
    for text in different:
        yield f"  {text},"
    yield "]"


def _inline(entries: Mapping[str, str]) -> str:
    return f"{{ {', '.join(f'{write_key(name)} = {text}' for name, text in entries.items())} }}"


def comment(text: str) -> Iterator[str]:
    """Yield a sentence as comment lines."""
    line = "#"
    for word in visible(text).split(" "):
        if len(line) + len(word) >= LINE_WIDTH and line != "#":
            yield line
            line = "#"
        line += f" {word}"
    yield line
