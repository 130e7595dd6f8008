"""What runs found as a table: before and after, as measured, as modelled and as quoted."""

from collections.abc import Mapping, Sequence

from perfkit.analysis.outcome import Outcome, find_outcome
from perfkit.report.figures import format_value
from perfkit.report.model import Cell, Column, Kind, Marked, Provenance, Row, Table
from perfkit.report.modelled import modelled_cell, units_cell
from perfkit.report.percentiles import median_cell
from perfkit.report.quoted import mapping, number
from perfkit.runs import Run, Variant

__all__ = ["STRONG_NOTE", "before_after", "latency_note"]

_EMBEDDED_NOTE = (
    "Measured through boto3 against the embedded engine on this machine: engine latencies, with"
    " no network and no AWS in them."
)
_RATIO_NOTE = (
    "The middle of the ratios of all rounds, with its interval in the pattern's own table; not the"
    " quotient of the two medians."
)
STRONG_NOTE = (
    "If every read were strongly consistent: one unit for each 4 KB. Eventually consistent reads,"
    " which perfkit makes as DynamoDB does by default, are billed half, and a global index has no"
    " others."
)
_NOT_SIGNIFICANT = "No significant difference."


def before_after(runs: Sequence[Run], *, name: str, title: str) -> Table:
    """
    Return before and after of each run, with a row for each source of figures.

    Args:
        runs: Runs of one group, one a scenario.
        name: The table's name.
        title: The table's heading.
    """
    note = latency_note(runs)
    return Table(
        name=name,
        title=title,
        columns=(
            Column(key="pattern", title="pattern", label=True, data_only=len(runs) == 1),
            Column(key="figures", title="figures", label=True),
            Column(key="before", title="before", data_only=True),
            Column(key="after", title="after", data_only=True),
            *_pair("latency", "latency_{}_s", Kind.SECONDS, note),
            _column("latency", "latency_ratio", "faster", Kind.RATIO, _RATIO_NOTE),
            *_pair("RCU", "capacity_units_{}", Kind.CAPACITY),
            _column("RCU", "capacity_ratio", "cheaper", Kind.RATIO),
            *_pair("wasted items", "items_wasted_{}", Kind.COUNT),
            Column(
                key="items_read_before", title="items read before", kind=Kind.COUNT, data_only=True
            ),
            Column(
                key="items_read_after", title="items read after", kind=Kind.COUNT, data_only=True
            ),
        ),
        rows=tuple(row for run in runs for row in _rows(run)),
    )


def latency_note(runs: Sequence[Run]) -> str | None:
    """Return the footnote that latencies of these runs need."""
    return _EMBEDDED_NOTE if any(run.target.get("kind") == "embedded" for run in runs) else None


def _column(group: str, key: str, title: str, kind: Kind, note: str | None = None) -> Column:
    return Column(key=key, title=title, kind=kind, group=group, note=note)


def _pair(group: str, key: str, kind: Kind, note: str | None = None) -> tuple[Column, Column]:
    return (
        _column(group, key.format("before"), "before", kind, note),
        _column(group, key.format("after"), "after", kind),
    )


def _rows(run: Run) -> list[Row]:
    outcome = find_outcome(run)
    if outcome is None:
        return []
    rows = [_measured(run, outcome), *_modelled(run, outcome)]
    if run.quoted:
        rows += [*_strong(run, outcome), _quoted(run, run.quoted, outcome)]
    return rows


def _measured(run: Run, outcome: Outcome) -> Row:
    before, after, comparison = outcome.before, outcome.after, outcome.comparison
    row: dict[str, Cell] = {
        "pattern": run.scenario,
        "figures": before.provenance,
        "before": before.name,
        "latency_before_s": median_cell(before),
        "capacity_units_before": units_cell(before),
        "items_read_before": before.items_read,
        "items_wasted_before": before.items_wasted,
    }
    if after is None or comparison is None:
        return row
    return row | {
        "after": after.name,
        "latency_after_s": median_cell(after),
        "latency_ratio": comparison.latency_ratio
        if comparison.significant
        else Marked(value=comparison.latency_ratio, note=_NOT_SIGNIFICANT),
        "capacity_units_after": after.capacity_units,
        "capacity_ratio": comparison.capacity_ratio,
        "items_read_after": after.items_read,
        "items_wasted_after": after.items_wasted,
    }


def _modelled(run: Run, outcome: Outcome) -> list[Row]:
    before, after = outcome.before, outcome.modelled
    if after is None:
        return []
    return [
        {
            "pattern": run.scenario,
            "figures": Provenance.MODELLED,
            "before": before.name,
            "after": after.name,
            "capacity_units_before": before.capacity_units,
            "capacity_units_after": modelled_cell(after),
            "capacity_ratio": Marked(value=outcome.modelled_ratio, provenance=Provenance.MODELLED),
            "items_read_before": before.items_read,
            "items_read_after": Marked(
                value=round(after.items_read), provenance=Provenance.MODELLED
            ),
        }
    ]


def _strong(run: Run, outcome: Outcome) -> list[Row]:
    before, after = outcome.before, outcome.after
    if before.capacity_units_strong is None:
        return []
    sources = {each.capacity_strong_source for each in (before, after) if each is not None}
    provenance = Provenance.MEASURED if sources == {"measured"} else Provenance.MODELLED
    units_after = after.capacity_units_strong if after is not None else None
    return [
        {
            "pattern": run.scenario,
            "figures": Marked(value=f"strong, {provenance}", note=STRONG_NOTE),
            "before": before.name,
            "after": after.name if after is not None else None,
            "capacity_units_before": before.capacity_units_strong,
            "capacity_units_after": units_after,
            "capacity_ratio": before.capacity_units_strong / units_after if units_after else None,
        }
    ]


def _quoted(run: Run, quoted: Mapping[str, object], outcome: Outcome) -> Row:
    before, after = (mapping(quoted.get(side)) for side in ("before", "after"))
    row: dict[str, Cell] = {
        "pattern": run.scenario,
        "figures": Marked(
            value=Provenance.QUOTED, note=_quoted_note(quoted, before, outcome.before)
        ),
        "latency_ratio": number(quoted, "latency_ratio"),
        "capacity_ratio": number(quoted, "capacity_ratio"),
    }
    for side, figures in (("before", before), ("after", after)):
        row |= {
            f"latency_{side}_s": number(figures, "latency_s"),
            f"capacity_units_{side}": number(figures, "rcu"),
            f"items_read_{side}": number(figures, "items_read"),
            f"items_wasted_{side}": number(figures, "wasted"),
        }
    return row


def _quoted_note(
    quoted: Mapping[str, object], before: Mapping[str, object], measured: Variant
) -> str:
    sentences = [f"Quoted from: {quoted.get('source') or 'the workload file'}."]
    units, items = number(before, "rcu"), number(before, "items_read")
    billed, strong = measured.capacity_units, measured.capacity_units_strong
    if (
        units is not None
        and billed is not None
        and strong is not None
        and abs(units - strong) < abs(units - billed)
    ):
        sentences.append("It counts RCU as if every read were strongly consistent.")
    if items is not None and measured.items_read is not None and items != measured.items_read:
        sentences.append(
            f"There a call read {format_value(items, Kind.COUNT)} items,"
            f" here {format_value(measured.items_read, Kind.COUNT)}: the two are not alike."
        )
    return " ".join(sentences)
