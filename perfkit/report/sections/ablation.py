"""What each switch is worth: how much slower and more expensive the service is without it."""

from collections.abc import Iterable

from perfkit.analysis.selection import Selection
from perfkit.report.about import about, cautions, facts_of
from perfkit.report.model import Block, Cell, Column, Kind, Row, Section, Table
from perfkit.report.ratios import interval_notes, write_short
from perfkit.report.sections.phases import endpoints
from perfkit.runs import Comparison, Run, RunKind

__all__ = ["build"]

_COLD = "-cold"


def build(selection: Selection) -> Iterable[Section]:
    """Yield a section for each run that turned switches off alone."""
    for run in selection.runs:
        if run.kind is not RunKind.ABLATION or not run.variants:
            continue
        blocks: list[Block] = [about(run), _worth(run), endpoints(run)]
        if run.cautions and len(selection.runs) > 1:
            blocks.append(cautions(run))
        yield Section(
            name="ablation",
            subject=run.scenario,
            title=selection.title(run),
            blocks=tuple(blocks),
            facts=facts_of(run),
        )


def _worth(run: Run) -> Table:
    compared = {(each.question, each.candidate): each for each in run.comparisons}
    names = dict.fromkeys(
        (each.question, each.candidate.removesuffix(_COLD)) for each in run.comparisons
    )
    return Table(
        name="worth",
        title="Phase 3 without one switch, against phase 3",
        main=True,
        notes=interval_notes(run.comparisons),
        columns=(
            Column(key="question", title="endpoint", label=True),
            Column(key="variant", title="variant", label=True),
            Column(key="warm", title="warm (95% CI)"),
            Column(key="cold", title="with an empty cache (95% CI)"),
            Column(key="units_warm", title="RCU warm", kind=Kind.CAPACITY, data_only=True),
            Column(key="units_cold", title="RCU empty", kind=Kind.CAPACITY, data_only=True),
            Column(key="warm_ratio", title="warm ratio", kind=Kind.RATIO, data_only=True),
            Column(key="cold_ratio", title="cold ratio", kind=Kind.RATIO, data_only=True),
        ),
        rows=tuple(
            _row(
                run,
                question,
                name,
                compared.get((question, name)),
                compared.get((question, f"{name}{_COLD}")),
            )
            for question, name in names
        ),
    )


def _row(
    run: Run, question: str, name: str, warm: Comparison | None, cold: Comparison | None
) -> Row:
    return {
        "question": question,
        "variant": name,
        "warm": _verdict(warm),
        "cold": _verdict(cold),
        "units_warm": _units(run, question, name),
        "units_cold": _units(run, question, f"{name}{_COLD}"),
        "warm_ratio": None if warm is None else warm.latency_ratio,
        "cold_ratio": None if cold is None else cold.latency_ratio,
    }


def _verdict(comparison: Comparison | None) -> Cell:
    return None if comparison is None else write_short(comparison)


def _units(run: Run, question: str, name: str) -> float | None:
    variant = run.variant(name, question)
    if variant is None or variant.capacity_units is None:
        return None
    return round(variant.capacity_units, 3)
