"""The table of what writes to tables and to their indexes take."""

from perfkit.report.model import Column, Kind, Marked, Provenance, Row, Table, Tone
from perfkit.runs import Run, RunKind, WriteCost

__all__ = ["write_costs_table"]

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
_TWIN_NOTE = (
    "The items are some of the table's own, so figures of the whole table are modelled; a write"
    " with the index takes the units of the table and those of the index."
)


def write_costs_table(run: Run, *, declared_only: bool = False) -> Table:
    """
    Return what writes take, by table, index and projection.

    Args:
        run: With write costs; those of an access pattern's run come from a twin's items.
        declared_only: Leave out projections that the workload does not say.
    """
    costs = [each for each in run.write_costs if each.declared or not declared_only]
    twin = run.kind is RunKind.SCENARIO
    return Table(
        name="index-costs",
        title="Write units of one write, and size, from items of the twin"
        if twin
        else "Write units of one write, and size",
        main=not twin,
        notes=(_UNITS_NOTE, _TWIN_NOTE) if twin else (_UNITS_NOTE,),
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
                    provenance=Provenance.MODELLED if twin else Provenance.MEASURED,
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
        rows=tuple(_row(each) for each in costs),
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
