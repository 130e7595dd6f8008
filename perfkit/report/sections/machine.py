"""The machine and the versions behind the figures, and how they were measured."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence

from perfkit.analysis.selection import Selection
from perfkit.report.model import Column, Row, Section, Table
from perfkit.runs import Run
from perfkit.units import format_share

__all__ = ["build"]

_UNITS: Mapping[str, Callable[[float], str]] = {
    "_gib": lambda value: f"{value:g} GiB",
    "_s": lambda value: f"{value:g} s",
    "_share": format_share,
}


def build(selection: Selection) -> Iterable[Section]:
    """Yield one section: a row for each fact, and a set of rows for each different machine."""
    described: dict[str, list[Run]] = {}
    for run in selection.runs:
        identity = json.dumps([run.perfkit, run.machine], sort_keys=True)
        described.setdefault(identity, []).append(run)
    if not described:
        return
    yield Section(
        name="machine",
        title="Machine and versions",
        blocks=(
            Table(
                name="machine",
                title="",
                columns=(
                    Column(key="runs", title="runs", label=True, data_only=len(described) == 1),
                    Column(key="fact", title="fact", label=True),
                    Column(key="value", title="value"),
                ),
                rows=tuple(row for runs in described.values() for row in _rows(selection, runs)),
            ),
        ),
    )


def _rows(selection: Selection, runs: Sequence[Run]) -> Iterable[Row]:
    names = ", ".join(selection.title(run) for run in runs)
    # A setting that differs between the runs is no fact about all of them.
    settings = {
        key: value
        for key, value in runs[0].settings.items()
        if all(run.settings.get(key) == value for run in runs)
    }
    loads = {run.load for run in runs}
    load = {
        "others_cpu_share": runs[0].load.others_share,
        "stolen_cpu_share": runs[0].load.stolen_share,
    }
    facts = {
        "perfkit": runs[0].perfkit,
        **runs[0].machine,
        **settings,
        **(load if len(loads) == 1 else {}),
    }
    for key, value in facts.items():
        if value is not None:
            name, text = _written(key, value)
            yield {"runs": names, "fact": name, "value": text}


def _written(key: str, value: object) -> tuple[str, str]:
    """Return a fact's name and value as words; the key says the unit."""
    if key == "random_seed":
        return "seed of the order of calls", str(value)
    if isinstance(value, bool):
        return key.replace("_", " "), "yes" if value else "no"
    if isinstance(value, int | float):
        for suffix, write in _UNITS.items():
            if key.endswith(suffix):
                return key.removesuffix(suffix).replace("_", " "), write(value)
    return key.replace("_", " "), str(value)
