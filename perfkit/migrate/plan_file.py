"""Plans written and read: JSON there, records here."""

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from perfkit import __version__
from perfkit.errors import ConfigError
from perfkit.migrate.plan import FORMAT, Plan

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ["encode", "read_plan"]


def encode(plan: Plan) -> str:
    """Return the content of a plan's file."""
    return _adapter().dump_json(plan, indent=1).decode() + "\n"


def read_plan(path: Path) -> Plan:
    """
    Return a saved plan.

    Raises:
        ConfigError: There is no such file, or it is cut short, no plan or of a newer perfkit.
    """
    from pydantic import ValidationError

    try:
        text = path.read_bytes()
    except OSError as error:
        msg = f"cannot read plan {path} ({error.strerror or error})"
        raise ConfigError(msg) from error
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        msg = f"{path} is cut short or is no JSON ({error}); make the plan again"
        raise ConfigError(msg) from error
    version = content.get("format") if isinstance(content, dict) else None
    if type(version) is not int or "tables" not in content:
        msg = (
            f"{path} is no plan of a migration; make one with `perfkit migrate plan --output FILE`"
        )
        raise ConfigError(msg)
    if version > FORMAT:
        msg = (
            f"{path} has plan format {version}, and perfkit {__version__} reads up to {FORMAT};"
            " upgrade perfkit or make the plan again"
        )
        raise ConfigError(msg)
    try:
        return _adapter().validate_json(text, strict=True)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        where = ".".join(map(str, found["loc"]))
        msg = f"{path} is damaged: {where}: {found['msg']}; make the plan again"
        raise ConfigError(msg) from error


@lru_cache(maxsize=1)
def _adapter() -> "TypeAdapter[Plan]":
    from pydantic import TypeAdapter

    return TypeAdapter(Plan)
