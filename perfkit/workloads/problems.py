"""What is wrong with a workload file: which key, which value, what would be accepted."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Annotated, Any, Self, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from perfkit.errors import WorkloadError
from perfkit.workloads.hints import key_hint, kind_hint, value_hint

__all__ = [
    "InvalidWorkloadError",
    "Problem",
    "nearest",
    "structural_problems",
    "toml_path",
    "written",
]

_SHOWN_CHARACTERS = 60
# `X | Y` is one of them, or the other when X is annotated
_UNIONS = (UnionType, Union)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing a workload file says that it may not."""

    key: str
    """Where, in the file's own terms: `tables.Courses.items`; empty for the whole file."""
    value: str | None
    """What is there, as TOML would write it; None where a key is missing or unknown."""
    message: str
    path: tuple[str | int, ...] = ()
    """The key's path: names of tables and keys, and positions in lists."""
    line: int | None = None
    """Of the file, counted from 1; None where that is not known."""

    @classmethod
    def at(cls, *path: str | int, message: str, value: Any = None) -> Self:
        """Return a problem with the key at *path*, and with *value* if that is there."""
        shown = None if value is None else written(value)
        # an expression may span lines, and a message quote it
        return cls(key=toml_path(path), value=shown, message=" ".join(message.split()), path=path)

    def at_line(self, source: str) -> str:
        """Return the problem as a line of text, with where it is: `shop.toml:12: …`."""
        return f"{source}{'' if self.line is None else f':{self.line}'}: {self}"

    def __str__(self) -> str:
        place = self.key if self.value is None else f"{self.key} = {self.value}"
        return f"{place}: {self.message}" if place else self.message


class InvalidWorkloadError(WorkloadError):
    """A file was read and says things it may not; each of `problems` is a line of the text."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problem.at_line(source) for problem in self.problems))


def nearest(name: str, names: Iterable[str]) -> str:
    """Return advice for a name that is none of *names*: the closest one, then all of them."""
    choices = sorted(names)
    if not choices:
        return "there is none"
    meant = key_hint(name, choices)
    # by small letters, so that "courses" finds "Courses"
    lowered = {choice.lower(): choice for choice in choices}
    # comparing is quadratic, and no name is longer
    close = get_close_matches(name.lower()[:255], lowered, n=1)
    likely = meant or (lowered[close[0]] if close else None)
    advice = f"did you mean {likely!r}? " if likely else ""
    return f"{advice}choose from {', '.join(choices)}"


def written(value: Any) -> str:
    """Return *value* as TOML would write it, cut where it gets long."""
    match value:
        case str():
            text = json.dumps(value, ensure_ascii=False)
        case bool():
            text = str(value).lower()
        case Mapping():
            text = (
                "{ " + ", ".join(f"{key} = {written(item)}" for key, item in value.items()) + " }"
            )
        case list() | tuple():
            text = "[" + ", ".join(map(written, value)) + "]"
        case date() | time():
            text = value.isoformat()
        case _:
            text = str(value)
    if len(text) > _SHOWN_CHARACTERS:
        text = text[: _SHOWN_CHARACTERS - 1] + "…"
    return text


def toml_path(parts: Iterable[str | int]) -> str:
    """Return a key's path as TOML writes it, list positions in brackets: `a."b c".values[0]`."""
    path = ""
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
            continue
        bare = part.replace("_", "").replace("-", "")
        shown = part if bare.isascii() and bare.isalnum() else json.dumps(part, ensure_ascii=False)
        path += f".{shown}" if path else shown
    return path


def structural_problems(
    root: type[BaseModel], data: Mapping[str, Any], error: ValidationError
) -> list[Problem]:
    """Translate what pydantic refused in *data*, read as *root*, into the file's own terms."""
    # others want only the words of a problem, without the model of a workload file
    from perfkit.workloads.kinds import KINDS

    problems = []
    for entry in error.errors(include_url=False):
        path, value = _find(data, entry["loc"])
        kind, context = entry["type"], entry.get("ctx", {})
        if kind == "missing":
            path.append(entry["loc"][-1])
            wanted = _wanted(str(path[-1]), _held_at(root, entry["loc"]))
            problem = Problem.at(*path, message=f"missing; {wanted}")
        elif kind == "extra_forbidden":
            advice = nearest(str(path[-1]), _known_keys(_held_at(root, entry["loc"][:-1])))
            problem = Problem.at(*path, message=f"no such key; {advice}")
        elif kind == "union_tag_invalid":
            given = value["kind"]
            meant = kind_hint(str(given))
            # an element of a list, a set or a map is not of every kind
            able = KINDS.keys() & set(re.findall(r"'(\w+)'", context["expected_tags"]))
            choices = (
                f"choose from {', '.join(sorted(able))}" if meant else nearest(str(given), able)
            )
            text = "; ".join(filter(None, ["no such kind", meant, choices]))
            problem = Problem.at(*path, "kind", value=given, message=text)
        else:
            message = _expectation(kind, context) or entry["msg"]
            key = next((str(part) for part in reversed(path) if isinstance(part, str)), "")
            if kind in _WRONG_TYPES or message == "expected a number":
                hint = value_hint(key, value, kind)
            elif kind == "union_tag_not_found":
                hint = _missing_kind(value)
            else:
                hint = _beyond(key, value)
            if hint is not None:
                message = f"{message}; {hint}"
            problem = Problem.at(*path, value=value, message=message)
        problems.append(problem)
    # one value may be read in two places, and is then wrong in both
    return list(dict.fromkeys(problems))


_WRONG_TYPES = frozenset(
    {
        "bool_type",
        "dict_type",
        "float_type",
        "int_from_float",
        "int_type",
        "model_attributes_type",
        "model_type",
        "tuple_type",
    }
)


def _beyond(key: str, value: Any) -> str | None:
    """Return what is meant by a share above 1."""
    shares = {"present", "probability"}
    if key in shares and isinstance(value, int | Decimal) and 2 <= value <= 100:
        return f"write {Decimal(value) / 100:f} for {value}%"
    return None


def _missing_kind(value: Mapping[str, Any]) -> str | None:
    """Return which kind a table without one has keys of."""
    from perfkit.workloads.kinds import KINDS

    able = [name for name, kind in KINDS.items() if value.keys() <= set(kind.known_keys())]
    return f'write kind = "{able[0]}" in it' if len(able) == 1 else None


def _find(data: Any, location: Iterable[str | int]) -> tuple[list[str | int], Any]:
    """Return the path of *location* that exists in the file, and what is there."""
    path: list[str | int] = []
    value = data
    for part in location:
        if part == "[key]":
            # pydantic means the name itself, not what is under it
            return path, path[-1]
        held = (
            part in value
            if isinstance(value, dict)
            else isinstance(part, int) and isinstance(value, list)
        )
        # other parts are pydantic's own: the kind chosen, the entity a table stands for
        if held:
            path.append(part)
            value = value[part]
    return path, value


def _held_at(root: type[BaseModel], location: Iterable[str | int]) -> Any:
    """Return the type of what is at a place of the file, by walking the types down to it."""
    from perfkit.workloads.kinds import KINDS

    held: Any = root
    for part in location:
        if isinstance(held, type) and issubclass(held, BaseModel):
            held = _plain(_fields(held)[str(part)])
        elif get_origin(held) in _UNIONS:
            held = KINDS[str(part)]
        else:
            # what a dict holds, or a tuple of any length
            held = _plain([arg for arg in get_args(held) if arg is not Ellipsis][-1])
    return held


def _fields(held: type[BaseModel]) -> dict[str, Any]:
    """Return what a table of the file holds, by the keys that are written in it."""
    return {field.alias or name: field.annotation for name, field in held.model_fields.items()}


def _known_keys(held: Any) -> Iterable[str]:
    keys: Iterable[str] = held.known_keys() if hasattr(held, "known_keys") else _fields(held)
    return keys


def _plain(annotation: Any) -> Any:
    """Return a type without its constraints and without None."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in _UNIONS and NoneType in get_args(annotation):
        return _plain(next(arg for arg in get_args(annotation) if arg is not NoneType))
    return annotation


_MISSING = {
    "attributes": "expected a table of attributes and their values",
    "description": "expected one sentence for people",
    "filter": "expected the question as a DynamoDB filter expression",
    "first": "expected how items are found: scan, scan-filtered or query",
    "format": 'expected a text naming other attributes in braces, such as "ORDER#{order_id}"',
    "items": "expected how many there are, such as items = 10_000",
    "key_condition": "expected the question as a DynamoDB key condition",
    "name": "expected a short name for the workload",
    "partition_key": "expected the name of an attribute",
    "of": 'expected what it is made of, such as of = { kind = "words", min = 1, max = 2 }',
    "table": "expected the name of a table of this file",
    "tables": "expected at least one table, such as [tables.Orders]",
    "then": "expected what is asked for each item found: its table, and get or query",
    "ttl_s": "expected how many seconds an answer is kept",
    "values": "expected a list of values to choose from",
    "where": "expected attributes and the values they have",
}


_TYPES: Mapping[Any, str] = {
    str: "expected a text",
    int: "expected a whole number",
    Decimal: "expected a number",
}


def _wanted(key: str, held: Any) -> str:
    return _MISSING.get(key, _TYPES.get(held, "it is required here"))


_EXPECTATIONS = {
    "bool_type": "expected true or false",
    "dict_type": "expected a table",
    "finite_number": "expected a finite number",
    "float_type": "expected a number",
    "int_type": "expected a whole number",
    "model_attributes_type": "expected a table",
    "model_type": "expected a table",
    "string_type": "expected a text",
    "tuple_type": "expected a list",
    "union_tag_not_found": "expected a plain value, or a table with a kind",
}


def _expectation(kind: str, context: Mapping[str, Any]) -> str | None:
    """Return what pydantic wanted, in a few words; None for what this file format never meets."""
    match kind:
        case "value_error":
            return str(context["error"])
        case "enum":
            return f"expected {context['expected']}"
        case "greater_than":
            return f"expected more than {context['gt']:,}"
        case "greater_than_equal":
            return f"expected at least {context['ge']:,}"
        case "less_than":
            return f"expected less than {context['lt']:,}"
        case "less_than_equal":
            return f"expected at most {context['le']:,}"
        case "too_short":
            return f"expected at least {context['min_length']} in it"
        case "too_long":
            return f"expected at most {context['max_length']} in it, got {context['actual_length']}"
        case "string_too_short" | "string_too_long":
            return "expected a name of 1 to 255 characters"
        case _:
            return _EXPECTATIONS.get(kind)
