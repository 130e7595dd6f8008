"""What every index takes at each write and in storage, with its projections side by side."""

from collections.abc import Iterable

from perfkit.analysis.selection import Selection
from perfkit.report.about import about, facts_of
from perfkit.report.model import Column, Kind, Marked, Provenance, Row, Section, Table, Tone
from perfkit.runs import Run, RunKind, WriteCost

__all__ = ["build"]

_CHANGES = (
    ("insert", "insert"),
    ("unchanged", "same again"),
    ("update", "update"),
    ("key-change", "key change"),
    ("delete", "delete"),
)

_UNITS_NOTE = (
    "Write units of one write to an item that has an entry, as an embedded engine reported them in"
    " this very run; the target was left alone. An update changes one attribute that is no key, each"
    " in its turn; it may make an item a little larger, which counts where it fills its last"
    " kilobyte."
)
_STORED_NOTE = "With the 100 bytes that are billed for each item and each entry."
_FETCH_NOTE = "It lacks attributes that the patterns need: each item found needs a read more."


def build(selection: Selection) -> Iterable[Section]:
    """Yield a section for each run of the scenario."""
    for run in selection.runs:
        if run.kind is RunKind.INDEX_COST and run.write_costs:
            yield Section(
                name="index-cost",
                subject=run.scenario,
                title=selection.title(run),
                blocks=(about(run), _table(run)),
                facts=facts_of(run),
            )


def _table(run: Run) -> Table:
    return Table(
        name="index-costs",
        title="Write units of one write, and size",
        main=True,
        notes=(_UNITS_NOTE,),
        columns=(
            Column(key="table", title="table", label=True),
            Column(key="index", title="index", label=True),
            Column(key="projection", title="projection", label=True),
            *(
                Column(
                    key=f"{key.replace('-', '_')}_units",
                    title=title,
                    kind=Kind.CAPACITY,
                    group="write units",
                )
                for key, title in _CHANGES
            ),
            Column(key="entries", title="entries", kind=Kind.COUNT, provenance=Provenance.MODELLED),
            Column(key="entry_bytes", title="mean entry", kind=Kind.BYTES),
            Column(
                key="stored_bytes",
                title="stored",
                kind=Kind.BYTES,
                note=_STORED_NOTE,
                provenance=Provenance.MODELLED,
            ),
            Column(key="patterns", title="asked by"),
        ),
        rows=tuple(_row(each) for each in run.write_costs),
    )


def _row(cost: WriteCost) -> Row:
    projection: str | Marked = cost.projection
    if cost.index is not None and not cost.covers:
        projection = Marked(value=cost.projection, note=_FETCH_NOTE, tone=Tone.WARNING)
    return {
        "table": cost.table,
        "index": cost.index or "(the table itself)",
        "projection": projection,
        **{
            f"{key.replace('-', '_')}_units": round(cost.units[key], 3)
            for key, _ in _CHANGES
            if key in cost.units
        },
        "entries": round(cost.entries),
        "entry_bytes": round(cost.entry_bytes, 1),
        "stored_bytes": round(cost.stored_bytes),
        "patterns": ", ".join(cost.patterns),
    }
