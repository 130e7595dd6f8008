"""Run files read and written: JSON there, records here."""

import json
from functools import lru_cache
from math import isfinite
from typing import TYPE_CHECKING, Any, Never

from perfkit import __version__
from perfkit.errors import RunFileError
from perfkit.runs.records import FORMAT, Run

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

__all__ = ["decode", "encode"]


def encode(run: Run) -> bytes:
    """Return the content of a run file."""
    return json.dumps(run.to_dict(), ensure_ascii=False, allow_nan=False, indent=1).encode() + b"\n"


def decode(text: bytes | str, source: str) -> Run:
    """
    Return the run that the content of a run file describes.

    Unknown keys are ignored and missing ones get their default, so a file written by a newer
    perfkit of the same format loads.

    Args:
        text: All of it.
        source: Where it came from, for messages.

    Raises:
        RunFileError: *text* is cut short, no run, of a newer format, or has a value of a wrong type
            or one that nothing measures, such as a negative count.
    """
    from pydantic import ValidationError

    try:
        data = json.loads(text, parse_float=_read_float, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        # UnicodeDecodeError and JSONDecodeError are both ValueErrors
        msg = f"{source} is cut short or is no JSON ({error}); leave it out and measure again"
        raise RunFileError(msg) from error
    version = data.get("format") if isinstance(data, dict) else None
    if type(version) is not int or version < 1:
        msg = f'{source} is not a perfkit run (no "format" number); leave it out'
        raise RunFileError(msg)
    if version > FORMAT:
        msg = (
            f"{source} has run format {version}, and perfkit {__version__} reads up to"
            f" {FORMAT}; upgrade perfkit or measure again"
        )
        raise RunFileError(msg)
    if version == 1:
        text = json.dumps(_from_format_1(data))
    try:
        return _adapter().validate_json(text, strict=True)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        if found["type"] == "enum":
            msg = (
                f"{source} holds a run of kind {found['input']!r}, which perfkit {__version__} does"
                " not know; upgrade perfkit or leave it out"
            )
            raise RunFileError(msg) from error
        msg = f"{source} is damaged: {_explain(found)}; leave it out and measure again"
        raise RunFileError(msg) from error


@lru_cache(maxsize=1)
def _adapter() -> "TypeAdapter[Run]":
    from pydantic import TypeAdapter

    return TypeAdapter(Run)


_TRAFFIC = "traffic_"
_LOADS = {"others_cpu_share": "others_share", "stolen_cpu_share": "stolen_share"}


def _from_format_1(data: dict[str, Any]) -> dict[str, Any]:
    """Return a run of format 1 as one of format 2."""
    settings = data.get("settings")
    if not isinstance(settings, dict):
        return data
    traffic = {
        key.removeprefix(_TRAFFIC): value
        for key, value in settings.items()
        if key.startswith(_TRAFFIC)
    }
    moved = {_LOADS[key]: value for key, value in settings.items() if key in _LOADS}
    kept = {
        key: value
        for key, value in settings.items()
        if key not in _LOADS and not key.startswith(_TRAFFIC)
    }
    doubts = []
    for key, kind in (("warnings", "warning"), ("cautions", "caution")):
        texts = data.get(key, [])
        # what is damaged is found, and named, afterwards
        doubts += [
            {"kind": kind, "reason": each}
            for each in (texts if isinstance(texts, list) else [texts])
        ]
    return {
        **data,
        "format": FORMAT,
        "doubts": doubts,
        "settings": kept,
        "load": moved,
        "traffic": traffic or None,
    }


_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "an object",
    "dataclass_type": "an object",
    "tuple_type": "a list",
    "too_long": "a list of {max_length}",
    "not_such_text": "{what}",
    "greater_than": "above {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than_equal": "at most {le:g}",
}


def _explain(error: "ErrorDetails") -> str:
    """Return which value is wrong, what it should be, and what it is."""
    kind, context, steps = error["type"], error.get("ctx", {}), error["loc"]
    if kind == "missing" and isinstance(steps[-1], int):
        # what is missing in a pair is no key: the list is too short
        kind, context, steps = "too_long", {"max_length": 2}, steps[:-1]
    place = "run" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    if kind == "missing":
        return f"{place} is missing"
    expected = _EXPECTED.get(kind, "")
    expected = expected.format(**context) if expected else error["msg"]
    try:
        found = json.dumps(error["input"])[:60]
    except (TypeError, ValueError):
        found = str(error["input"])[:60]
    return f"{place} should be {expected}, found {found}"


def _read_float(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        msg = f"{text} is too large a number"
        raise ValueError(msg)
    return number


def _refuse_constant(name: str) -> Never:
    msg = f"{name} is no number"
    raise ValueError(msg)
