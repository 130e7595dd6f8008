"""Queries by indexes that do not exist, as twins say: figures with their intervals, all modelled."""

from collections.abc import Iterable, Sequence
from typing import Any

from perfkit.report.figures import format_value
from perfkit.report.model import (
    Cell,
    Column,
    Kind,
    Marked,
    Provenance,
    Row,
    Statement,
    Statements,
    Table,
    Tone,
)
from perfkit.runs import Modelled, Run, Variant
from perfkit.units import format_bytes, format_count, format_share

__all__ = [
    "left_out",
    "modelled_cell",
    "modelled_table",
    "notes_of",
    "units_cell",
    "write_modelled",
]

_SOURCES = {
    "answer": (
        "Units of the very items that today's form returned in this run, as entries of the index:"
        " of each page of 1 MB the whole blocks of 4 KB, at half a unit."
    ),
    "sample": (
        "A twin of {sample} of {table} items, copied into a temporary file, indexed and asked"
        " there; matches scaled to the table with the interval of a cluster sample (Korn and"
        " Graubard 1998), and their sizes with Student's t."
    ),
    "table": "A twin of all {table} items, copied into a temporary file, indexed and asked there.",
}
_STORED_NOTE = "Entries with the 100 bytes that are billed for each, scaled to the table."


def _note_of(each: Modelled) -> str:
    """Return how a query's figures came to be."""
    return _SOURCES[each.source].format(
        sample=format_count(each.sample_items), table=format_count(each.table_items)
    )


def _written_interval(interval: tuple[float, float], kind: Kind) -> str:
    """Return an interval, or "exact" where both ends are one."""
    low, high = interval
    return "exact" if low == high else f"{format_value(low, kind)} to {format_value(high, kind)}"


def modelled_cell(each: Modelled) -> Marked:
    """Return a modelled query's units, marked, with its interval as a footnote if it has one."""
    interval = _written_interval(each.capacity_units_ci95, Kind.CAPACITY)
    return Marked(
        value=each.capacity_units,
        provenance=Provenance.MODELLED,
        note=None if interval == "exact" else f"95% interval: {interval} RCU.",
    )


def notes_of(modelled: Iterable[Modelled]) -> str | None:
    """Return how the figures of these queries came to be, each way once; None if there are none."""
    return " ".join(dict.fromkeys(map(_note_of, modelled))) or None


def units_cell(variant: Variant) -> Cell:
    """
    Return a variant's units; marked where they are modelled.

    With their interval, where some pages of a scan say them.
    """
    if variant.units_are_modelled and variant.capacity_units_ci95 is None:
        return Marked(value=variant.capacity_units, provenance=Provenance.MODELLED)
    if variant.provenance != Provenance.MODELLED or variant.capacity_units_ci95 is None:
        return variant.capacity_units
    units = _written_interval(variant.capacity_units_ci95, Kind.CAPACITY)
    note = f"{variant.name}: of some pages, and the described size. 95% interval: {units} RCU"
    if variant.latency_mean_ci95 is not None:
        seconds = _written_interval(variant.latency_mean_ci95, Kind.SECONDS)
        note += f", {seconds} on average"
    return Marked(value=variant.capacity_units, provenance=Provenance.MODELLED, note=f"{note}.")


def write_modelled(each: Modelled) -> str:
    """Return a modelled query in words: `2.5 RCU by query (twin), modelled: 1.5 to 4`."""
    interval = _written_interval(each.capacity_units_ci95, Kind.CAPACITY)
    units = format_value(each.capacity_units, Kind.CAPACITY)
    reach = "modelled" if interval == "exact" else f"modelled, {interval}"
    return f"{units} RCU ({reach})"


def modelled_table(run: Run) -> Table:
    """Return what queries by indexes that do not exist would take, beside what the first variant took."""
    before = run.variants[0].capacity_units if run.variants else None

    def column(key: str, title: str, kind: Kind, **more: Any) -> Column:
        return Column(key=key, title=title, kind=kind, provenance=Provenance.MODELLED, **more)

    return Table(
        name="modelled",
        title="With an index that does not exist yet, as a twin says",
        notes=tuple(dict.fromkeys(f"{each.name}: {_note_of(each)}" for each in run.modelled)),
        columns=(
            Column(key="form", title="form", label=True),
            Column(key="index", title="index", label=True),
            Column(key="operation", title="operation", data_only=True),
            column("capacity_units", "RCU", Kind.CAPACITY),
            Column(key="interval", title="95% interval"),
            column("items_read", "items", Kind.COUNT),
            column("capacity_ratio", "cheaper", Kind.RATIO),
            column("stored_bytes", "stored", Kind.BYTES, note=_STORED_NOTE),
            Column(key="stored_interval", title="stored, 95%"),
            column("violating_share", "violate its keys", Kind.SHARE),
            Column(key="source", title="from", data_only=True),
            *(
                column(key, key.replace("_", " "), Kind.CAPACITY, data_only=True)
                for key in ("capacity_units_low", "capacity_units_high")
            ),
            *(
                column(key, key.replace("_", " "), Kind.COUNT, data_only=True)
                for key in (
                    "items_read_low",
                    "items_read_high",
                    "items_returned",
                    "sample_items",
                    "table_items",
                )
            ),
            *(
                column(key, key.replace("_", " "), Kind.BYTES, data_only=True)
                for key in ("stored_bytes_low", "stored_bytes_high")
            ),
            *(
                column(key, key.replace("_", " "), Kind.SHARE, data_only=True)
                for key in ("violating_share_low", "violating_share_high")
            ),
        ),
        rows=tuple(_row(each, before) for each in run.modelled),
    )


def _row(each: Modelled, before: float | None) -> Row:
    ratio: Cell = None
    if before and not each.differs:
        ratio = before / each.capacity_units
    if each.differs:
        ratio = Marked(value="returns other items", tone=Tone.WARNING)
    return {
        "form": each.name,
        "index": each.index,
        "operation": each.operation,
        "capacity_units": each.capacity_units,
        "interval": _written_interval(each.capacity_units_ci95, Kind.CAPACITY),
        "items_read": round(each.items_read),
        "capacity_ratio": ratio,
        "stored_bytes": round(each.stored_bytes),
        "stored_interval": _bytes(each.stored_bytes_ci95),
        "violating_share": each.violating_share,
        "source": each.source,
        "capacity_units_low": each.capacity_units_ci95[0],
        "capacity_units_high": each.capacity_units_ci95[1],
        "items_read_low": round(each.items_read_ci95[0]),
        "items_read_high": round(each.items_read_ci95[1]),
        "items_returned": round(each.items_returned),
        "sample_items": each.sample_items,
        "table_items": each.table_items,
        "stored_bytes_low": round(each.stored_bytes_ci95[0]),
        "stored_bytes_high": round(each.stored_bytes_ci95[1]),
        "violating_share_low": each.violating_share_ci95[0],
        "violating_share_high": each.violating_share_ci95[1],
    }


def _bytes(interval: tuple[float, float]) -> str:
    low, high = (format_bytes(round(each)) for each in interval)
    return "exact" if low == high else f"{low} to {high}"


def left_out(modelled: Sequence[Modelled]) -> Statements:
    """Return why items would not be in these indexes; no statements where all would be."""
    lines = []
    for each in modelled:
        if not each.left_out:
            continue
        low, high = (format_share(end) for end in each.violating_share_ci95)
        share = f"{low} to {high}" if low != high else low
        lines.append(
            Statement(
                text=f"Of {format_count(each.sample_items)} items of {each.table} not in"
                f" {each.index}: {', '.join(each.left_out)}. Of the table {share} violate its keys"
                " (modelled): once it is there, DynamoDB refuses to write such items."
                if each.violating_share
                else f"Of {format_count(each.sample_items)} items of {each.table} not in"
                f" {each.index}: {', '.join(each.left_out)}."
            )
        )
    return Statements(name="left-out", statements=tuple(lines))
