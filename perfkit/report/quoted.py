"""Figures of a document, as a run holds them: values by name, of any kind."""

from collections.abc import Mapping

__all__ = ["mapping", "number"]


def mapping(value: object) -> Mapping[str, object]:
    """Return *value* if it holds values by name, else nothing by any name."""
    return value if isinstance(value, dict) else {}


def number(figures: Mapping[str, object], key: str) -> float | None:
    """Return a number by its name; None if there is no such number."""
    value = figures.get(key)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
