"""One section for each access pattern: its variants, how they compare, and before and after."""

from collections.abc import Iterable, Mapping

from perfkit.analysis.outcome import Outcome, find_outcome
from perfkit.analysis.percentiles import percentile
from perfkit.analysis.selection import Selection
from perfkit.report.about import about, cautions, facts_of
from perfkit.report.before_after import STRONG_NOTE, before_after, latency_note
from perfkit.report.model import (
    Block,
    Cell,
    Column,
    Kind,
    Marked,
    Provenance,
    Row,
    Section,
    Table,
    Tone,
    plain,
)
from perfkit.report.modelled import left_out, modelled_table, units_cell
from perfkit.report.percentiles import few_notes
from perfkit.report.ratios import interval_notes, write_capacity, write_latency
from perfkit.report.write_costs import write_costs_table
from perfkit.runs import Comparison, Run, RunKind, Variant

__all__ = ["build"]

_CPU_NOTE = (
    "Processor time of the calling process for one call: boto3, and for the embedded target the"
    " engine itself."
)


def build(selection: Selection) -> Iterable[Section]:
    """Yield a section for each run that compared variants."""
    for run in selection.runs:
        if run.kind is not RunKind.SCENARIO:
            continue
        blocks: list[Block] = [about(run)]
        if run.variants:
            blocks.append(_variants(run))
        if run.comparisons:
            blocks.append(_comparisons(run))
        if run.modelled:
            blocks.append(modelled_table(run))
            reasons = left_out(run.modelled)
            if reasons.statements:
                blocks.append(reasons)
        if run.write_costs:
            blocks.append(write_costs_table(run, declared_only=True))
        outcome = find_outcome(run)
        if outcome is not None and run.quoted:
            blocks.append(_beside_quoted(run, outcome))
        # those of a single run stand at the top of the report
        if run.cautions and len(selection.runs) > 1:
            blocks.append(cautions(run))
        yield Section(
            name="access-pattern",
            subject=run.scenario,
            title=selection.title(run),
            blocks=tuple(blocks),
            facts=facts_of(run),
        )


def _variants(run: Run) -> Table:
    sources = {variant.capacity_strong_source for variant in run.variants}
    # Marked once in the heading if that is true of all, else figure by figure.
    strong = Provenance.MODELLED if sources == {"modelled"} else Provenance.MEASURED
    failed = any(variant.errors or variant.retries for variant in run.variants)

    def seconds(key: str, title: str, *, note: str | None = None, weight: int = 2) -> Column:
        return Column(
            key=key, title=title, kind=Kind.SECONDS, group="latency", note=note, weight=weight
        )

    return Table(
        name="variants",
        title="One call of each variant",
        main=True,
        notes=few_notes(run.variants, 0.5, 0.95, 0.99),
        columns=(
            Column(key="variant", title="variant", label=True),
            Column(key="operation", title="operation", data_only=True),
            Column(key="index", title="index", data_only=True),
            Column(key="consistency", title="consistency", data_only=True),
            Column(key="concurrency", title="concurrency", kind=Kind.COUNT, data_only=True),
            Column(key="requests", title="requests", kind=Kind.COUNT, group="reads"),
            Column(key="items_read", title="items", kind=Kind.COUNT, group="reads", weight=2),
            Column(key="items_returned", title="returned", kind=Kind.COUNT, group="reads"),
            Column(key="wasted_share", title="wasted", kind=Kind.SHARE, group="reads", weight=2),
            Column(key="items_received", title="received", kind=Kind.COUNT, data_only=True),
            Column(key="bytes_read", title="bytes", kind=Kind.BYTES, data_only=True),
            Column(key="capacity_units", title="billed", kind=Kind.CAPACITY, group="RCU", weight=2),
            Column(
                key="capacity_units_strong",
                title="strong",
                kind=Kind.CAPACITY,
                group="RCU",
                note=STRONG_NOTE,
                provenance=strong,
            ),
            *_spread_columns(run),
            Column(key="capacity_source", title="counted by", data_only=True),
            Column(key="capacity_strong_source", title="strong is", data_only=True),
            seconds("p50_s", "p50", note=latency_note([run])),
            seconds("p95_s", "p95"),
            seconds("p99_s", "p99"),
            seconds("mean_s", "mean", weight=1),
            Column(key="client_cpu_s", title="client CPU", kind=Kind.SECONDS, note=_CPU_NOTE),
            Column(key="max_s", title="max", kind=Kind.SECONDS, data_only=True),
            Column(key="calls", title="calls", kind=Kind.COUNT, data_only=True),
            Column(key="errors", title="errors", kind=Kind.COUNT, data_only=not failed),
            Column(key="retries", title="retries", kind=Kind.COUNT, data_only=not failed),
        ),
        rows=tuple(_variant(variant, mixed=len(sources) > 1) for variant in run.variants),
    )


def _variant(variant: Variant, *, mixed: bool) -> Row:
    latency_s = variant.latency_s
    strong: Cell = variant.capacity_units_strong
    if mixed and variant.capacity_strong_source == "modelled":
        strong = Marked(value=variant.capacity_units_strong, provenance=Provenance.MODELLED)
    return {
        "variant": variant.name,
        "operation": variant.operation,
        "index": variant.index,
        "consistency": variant.consistency,
        "concurrency": variant.concurrency,
        "requests": variant.requests_of_a_call,
        "items_read": variant.items_read,
        "items_returned": variant.items_returned,
        "wasted_share": variant.wasted_share,
        "items_received": variant.items_received,
        "bytes_read": variant.bytes_read,
        "capacity_units": units_cell(variant),
        "capacity_units_strong": strong,
        **_spread(variant),
        "capacity_source": variant.capacity_source,
        "capacity_strong_source": variant.capacity_strong_source,
        "p50_s": percentile(latency_s, 0.5),
        "p95_s": percentile(latency_s, 0.95),
        "p99_s": percentile(latency_s, 0.99),
        "mean_s": latency_s.mean,
        "max_s": latency_s.max,
        "client_cpu_s": variant.client_cpu_s,
        "calls": variant.calls,
        "errors": variant.errors,
        "retries": variant.retries,
    }


def _spread_columns(run: Run) -> tuple[Column, ...]:
    """Return columns for how far a variant's calls lie apart with different parameters."""
    sets = max(len(each.items_returned_by_set) for each in run.variants)
    if not sets:
        return ()
    note = f"Of one call with each of {sets} sets of parameters; all other counts are their means."
    return (
        Column(
            key="capacity_units_least",
            title="least",
            kind=Kind.CAPACITY,
            group="RCU by parameters",
            note=note,
        ),
        Column(
            key="capacity_units_most", title="most", kind=Kind.CAPACITY, group="RCU by parameters"
        ),
        Column(
            key="items_returned_least",
            title="least",
            kind=Kind.COUNT,
            group="returned by parameters",
        ),
        Column(
            key="items_returned_most", title="most", kind=Kind.COUNT, group="returned by parameters"
        ),
    )


def _spread(variant: Variant) -> Row:
    units, items = variant.capacity_units_by_set, variant.items_returned_by_set
    return {
        "capacity_units_least": min(units, default=None),
        "capacity_units_most": max(units, default=None),
        "items_returned_least": min(items, default=None),
        "items_returned_most": max(items, default=None),
    }


def _comparisons(run: Run) -> Table:
    baselines = {comparison.baseline for comparison in run.comparisons}
    one = len(baselines) == 1
    return Table(
        name="comparisons",
        title=f"Compared with {next(iter(baselines))}" if one else "Compared",
        notes=interval_notes(run.comparisons),
        columns=(
            Column(key="candidate", title="variant", label=True),
            Column(key="baseline", title="against", label=True, data_only=one),
            Column(key="latency", title="latency"),
            Column(key="capacity", title="RCU"),
            Column(key="latency_ratio", title="faster", kind=Kind.RATIO, data_only=True),
            Column(key="latency_ratio_low", title="from", kind=Kind.RATIO, data_only=True),
            Column(key="latency_ratio_high", title="to", kind=Kind.RATIO, data_only=True),
            Column(key="significant", title="significant", data_only=True),
            Column(key="capacity_ratio", title="cheaper", kind=Kind.RATIO, data_only=True),
            Column(key="results_equal", title="same items", data_only=True),
        ),
        rows=tuple(_comparison(comparison) for comparison in run.comparisons),
    )


def _comparison(comparison: Comparison) -> Row:
    low, high = comparison.latency_ratio_ci95 or (None, None)
    verdicts: Mapping[str, Cell] = {
        "latency": write_latency(comparison),
        "capacity": write_capacity(comparison.capacity_ratio),
    }
    if comparison.unchecked:
        note = (
            "Modelled: some pages of a scan were read, so whether both return the same items was not"
            " checked over the whole table."
        )
        verdicts = {
            key: Marked(value=plain(cell), provenance=Provenance.MODELLED, note=note)
            for key, cell in verdicts.items()
        }
    elif not comparison.results_equal:
        verdicts = {
            "latency": Marked(value="returned other items: not compared", tone=Tone.WARNING)
        }
    return {
        "candidate": comparison.candidate,
        "baseline": comparison.baseline,
        **verdicts,
        "latency_ratio": comparison.latency_ratio,
        "latency_ratio_low": low,
        "latency_ratio_high": high,
        "significant": comparison.significant,
        "capacity_ratio": comparison.capacity_ratio,
        "results_equal": comparison.results_equal,
    }


def _beside_quoted(run: Run, outcome: Outcome) -> Table:
    before, after = outcome.before.name, outcome.after.name if outcome.after is not None else None
    change = f"{before} before, {after} after" if after is not None else f"{before} before"
    return before_after(
        [run],
        name="beside-quoted",
        title=f"Beside the quoted figures ({change}; measured latency: p50)",
    )
