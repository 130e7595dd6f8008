"""What was found, in three sentences: what scans cost, what changes it, and what is doubtful."""

from collections.abc import Iterable, Iterator

from perfkit.analysis.findings import count_promises, fastest, find_savings, unsure
from perfkit.analysis.outcome import Outcome
from perfkit.analysis.phases import sides_of
from perfkit.analysis.selection import Group, Selection, target_title
from perfkit.analysis.verdict import Ruling
from perfkit.cost.bill import Basis
from perfkit.cost.prices import write_amount
from perfkit.report.figures import format_value
from perfkit.report.model import Kind, Section, Statement, Statements, Tone
from perfkit.report.ratios import write_latency
from perfkit.report.sections.cost import bills_of
from perfkit.report.sections.cost_measured import headline
from perfkit.report.sections.doubts import warned_of
from perfkit.runs import Run, RunKind
from perfkit.units import format_many

__all__ = ["build"]


def build(selection: Selection) -> Iterable[Section]:
    """Yield a section for each group that has something to say."""
    for group in selection.groups:
        found = [*_reads(group), *_change(group)]
        if not found:
            continue
        found += _money(group, selection)
        several = len(selection.groups) > 1
        yield Section(
            name="findings",
            subject=group.title if several else "",
            title=f"Findings ({group.title})" if several else "Findings",
            blocks=(
                Statements(
                    name="findings",
                    statements=(
                        *found,
                        Statement(text=_doubt(group, selection), tone=Tone.WARNING),
                    ),
                ),
            ),
            facts={
                "workload": group.runs[0].workload,
                "target": target_title(group.runs[0].target),
            },
        )


def _reads(group: Group) -> Iterator[Statement]:
    """Yield what the access patterns read, and how much less the best way does."""
    savings = find_savings(group)
    if savings is None:
        return
    if savings.best is None:
        yield Statement(text="No access pattern measured here has a way that reads less yet.")
        return
    several = f"{savings.better} of {savings.patterns} access patterns have a way that reads less: "
    yield Statement(
        text=f"{several if savings.patterns > 1 else ''}{_contrast(*savings.best)}.",
        tone=Tone.GOOD,
    )


def _contrast(run: Run, outcome: Outcome) -> str:
    before, after, comparison = outcome.before, outcome.after, outcome.comparison
    if after is None or comparison is None:
        return run.scenario
    ratio = comparison.capacity_ratio
    verdict = write_latency(comparison)
    words = [f"{format_value(ratio, Kind.RATIO)} fewer read units"] if ratio else []
    words.append(str(getattr(verdict, "value", verdict)))
    return (
        f"{run.scenario} costs {_cost(before.capacity_units, before.items_read)} by {before.name}"
        f" and {_cost(after.capacity_units, after.items_read)} by {after.name}:"
        f" {', '.join(words)}"
    )


def _cost(units: float | None, items: int | None) -> str:
    parts = [] if units is None else [f"{format_value(units, Kind.CAPACITY)} RCU"]
    if items is not None:
        parts.append(f"{format_many(items, 'item')} read")
    return " for ".join(parts) or "an unknown number of read units"


def _change(group: Group) -> Iterator[Statement]:
    """Yield what the phases change, or where there are none, the cache."""
    for run in group.runs:
        sides = sides_of(run)
        if sides is not None:
            before, after = sides
            held = count_promises([run])[Ruling.PASS]
            promises = (
                f"; {held} of {len(run.checks)} promises of the phases are kept"
                if run.checks
                else ""
            )
            yield Statement(
                text=f"{run.questions[0]} takes {_seconds(before.latency_s.mean)} on average at"
                f" {before.name} and {_seconds(after.latency_s.mean)} at {after.name}{promises}.",
                tone=Tone.GOOD if after.latency_s.mean < before.latency_s.mean else Tone.WARNING,
            )
            return
    for run in group.runs:
        if run.kind is RunKind.CACHE and run.comparisons:
            best = fastest(run)
            if best is not None:
                verdict = write_latency(best)
                yield Statement(
                    text=f"{best.question}: {best.candidate} is"
                    f" {getattr(verdict, 'value', verdict)} than {best.baseline}.",
                    tone=Tone.GOOD,
                )
            elif any(each.significant for each in run.comparisons):
                yield Statement(
                    text="With the cache nothing measured here is faster than without it.",
                    tone=Tone.WARNING,
                )
            return


def _money(group: Group, selection: Selection) -> Iterator[Statement]:
    """Yield the bill of what was measured, and apart from it what a document says of its own."""
    measured = headline(group, selection)
    if measured:
        yield Statement(
            text=f"Modelled from these runs and the traffic that was given: {measured}."
        )
    costs = selection.costs
    if costs is None or not (costs.options.architecture or _quotes(group)):
        return
    written = [
        f"{'quoted' if each.basis is Basis.QUOTED else 'at list prices'}"
        f" {write_amount(each.before.total_usd)} before, {write_amount(each.after.total_usd)} after"
        for each in bills_of(selection)
        if each.before is not None and each.after is not None
    ]
    if written:
        yield Statement(
            text="Not measured here: a month of the architectures that are described costs"
            f" {'; '.join(written)}.",
            tone=Tone.FAINT,
        )


def _quotes(group: Group) -> bool:
    """Return whether the workload has figures of a document; runs of a cache always have some."""
    return any(run.quoted for run in group.runs if run.kind in {RunKind.SCENARIO, RunKind.PHASES})


def _seconds(value_s: float) -> str:
    return format_value(value_s, Kind.SECONDS)


def _doubt(group: Group, selection: Selection) -> str:
    """Return what a reader should not take for certain."""
    doubts = []
    warned = sum(bool(run.warnings) for run in group.runs)
    if warned:
        doubts.append(f"{warned} of {len(group.runs)} runs carry warnings")
    cautious = sum(bool(run.cautions) for run in group.runs)
    if cautious:
        doubts.append(f"{cautious} of {len(group.runs)} runs have figures with a margin")
    promises = count_promises(group.runs)
    for ruling, words in ((Ruling.FAIL, "are not kept"), (Ruling.INVALID, "cannot be judged")):
        if promises[ruling]:
            doubts.append(f"{promises[ruling]} of {promises.total()} promises {words}")
    alike, total = unsure(group.runs)
    if alike:
        doubts.append(f"{alike} of {total} comparisons show no significant difference")
    if any(run.target.get("kind") == "embedded" for run in group.runs):
        doubts.append("latencies are those of the embedded engine, without a network or AWS")
    if not doubts and warned_of(selection):
        doubts.append("what the warnings above say")
    return f"Doubtful: {'; '.join(doubts)}." if doubts else "Nothing in these runs is in doubt."
