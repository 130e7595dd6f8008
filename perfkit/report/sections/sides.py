"""Before and after of a run over the phases, and what a document says of them."""

from collections.abc import Mapping

from perfkit.results import Run, Variant

__all__ = ["COLD", "mapping", "number", "sides_of"]

COLD = "-cold"
"""How the names of variants end whose cache is empty before every request."""


def sides_of(run: Run) -> tuple[Variant, Variant] | None:
    """Return the first and the last phase of a run's first endpoint, warm; None without two."""
    if run.kind != "phases" or not run.variants:
        return None
    warm = [
        each
        for each in run.variants
        if each.question == run.questions[0] and not each.name.endswith(COLD)
    ]
    return (warm[0], warm[-1]) if len(warm) > 1 else None


def mapping(value: object) -> Mapping[str, object]:
    """Return *value* if it holds values by name, else nothing by any name."""
    return value if isinstance(value, dict) else {}


def number(figures: Mapping[str, object], key: str) -> float | None:
    """Return a number by its name; None if there is no such number."""
    value = figures.get(key)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
