"""Single optimisations off against on, all in one table."""

from collections.abc import Iterable

from perfkit.analysis.percentiles import percentile
from perfkit.analysis.selection import Selection, target_title
from perfkit.report.about import cautions
from perfkit.report.model import Block, Cell, Column, Kind, Row, Section, Table
from perfkit.report.percentiles import few_notes
from perfkit.report.ratios import interval_notes, write_capacity, write_latency
from perfkit.runs import Run, RunKind

__all__ = ["build"]

_NOTE = "Through the service's own code in one process, with nothing else of a request around it."


def build(selection: Selection) -> Iterable[Section]:
    """Yield a section for each group that has such runs."""
    for group in selection.groups:
        runs = tuple(run for run in group.runs if run.kind is RunKind.SWITCH and run.variants)
        if not runs:
            continue
        several = len(selection.groups) > 1
        blocks: list[Block] = [_table(runs)]
        if len(selection.runs) > 1:
            blocks += [cautions(run) for run in runs[:1] if run.cautions]
        yield Section(
            name="switches",
            subject=group.title if several else "",
            title=f"Off against on ({group.title})" if several else "Off against on",
            blocks=tuple(blocks),
            facts={"workload": runs[0].workload, "target": target_title(runs[0].target)},
        )


def _table(runs: tuple[Run, ...]) -> Table:
    return Table(
        name="switches",
        title="One call of each",
        main=True,
        notes=(
            _NOTE,
            *few_notes([each for run in runs for each in run.variants], 0.5, 0.99),
            *interval_notes(each for run in runs for each in run.comparisons),
        ),
        columns=(
            Column(key="scenario", title="scenario", label=True),
            Column(key="variant", title="variant", label=True),
            Column(key="operation", title="does"),
            Column(key="p50_s", title="p50", kind=Kind.SECONDS, group="latency"),
            Column(key="p99_s", title="p99", kind=Kind.SECONDS, group="latency"),
            Column(key="mean_s", title="mean", kind=Kind.SECONDS, group="latency", weight=0),
            Column(key="capacity_units", title="RCU", kind=Kind.CAPACITY),
            Column(key="client_cpu_s", title="CPU", kind=Kind.SECONDS),
            Column(key="requests", title="requests", kind=Kind.COUNT, data_only=True),
            Column(key="calls", title="calls", kind=Kind.COUNT, data_only=True),
            Column(key="latency", title="on against off"),
            Column(key="capacity", title="RCU on against off", data_only=True),
            Column(key="latency_ratio", title="faster", kind=Kind.RATIO, data_only=True),
        ),
        rows=tuple(row for run in runs for row in _rows(run)),
    )


def _rows(run: Run) -> Iterable[Row]:
    compared = {each.candidate: each for each in run.comparisons}
    for variant in run.variants:
        comparison = compared.get(variant.name)
        row: dict[str, Cell] = {
            "scenario": run.scenario,
            "variant": variant.name,
            "operation": variant.operation,
            "p50_s": percentile(variant.latency_s, 0.5),
            "p99_s": percentile(variant.latency_s, 0.99),
            "mean_s": variant.latency_s.mean,
            "capacity_units": variant.capacity_units,
            "client_cpu_s": variant.client_cpu_s,
            "requests": variant.requests_per_call,
            "calls": variant.calls,
        }
        if comparison is not None:
            row |= {
                "latency": write_latency(comparison),
                "capacity": write_capacity(comparison.capacity_ratio),
                "latency_ratio": comparison.latency_ratio,
            }
        yield row
