"""Requests stage by stage: a waterfall for each phase, measured and as a document has it."""

import math
from collections.abc import Iterable, Iterator, Mapping

from perfkit.analysis.phases import is_cold
from perfkit.analysis.selection import Selection
from perfkit.report.about import facts_of
from perfkit.report.figures import format_value
from perfkit.report.model import (
    Column,
    Kind,
    Lane,
    Provenance,
    Row,
    Section,
    Span,
    Statement,
    Statements,
    Table,
    Tone,
    Waterfall,
)
from perfkit.report.quoted import mapping, number
from perfkit.report.waterfall import stages_of
from perfkit.runs import Run, RunKind, Variant

__all__ = ["build"]

_NOTE = (
    "Means, from the header Server-Timing. other: what the service's own stages do not account"
    " for, among it the HTTP server, the connection, the client, and waiting for a processor."
)


def build(selection: Selection) -> Iterable[Section]:
    """Yield a section for each run whose service told its stages."""
    for run in selection.runs:
        if run.kind is not RunKind.PHASES:
            continue
        shown = [each for each in _shown(run) if each.service is not None]
        if not shown:
            continue
        title = "Request flow"
        yield Section(
            name="flow",
            subject=run.scenario,
            title=title if len(selection.groups) == 1 else f"{title}: {selection.title(run)}",
            blocks=(
                Waterfall(
                    name="waterfall",
                    title=f"{run.questions[0]}, stage by stage, each request over its own length",
                    lanes=tuple(lane for each in shown for lane in _lanes(run, each)),
                ),
                Statements(
                    name="flow-note",
                    statements=(
                        Statement(text=_NOTE, tone=Tone.FAINT),
                        *_contradictions(run, shown),
                    ),
                ),
                _table(run, shown),
            ),
            facts=facts_of(run),
        )


def _shown(run: Run) -> list[Variant]:
    """Return the warm variants of the first endpoint, and its last cold one: a miss."""
    variants = [each for each in run.variants if each.question == run.questions[0]]
    warm = [each for each in variants if not is_cold(each.name)]
    return warm + [each for each in variants if is_cold(each.name)][-1:]


def _lanes(run: Run, variant: Variant) -> Iterator[Lane]:
    if variant.service is None:
        return
    stages = stages_of(variant.service.stages_s, variant.latency_s.mean)
    yield Lane(
        title=f"{variant.name}, measured",
        spans=tuple(
            Span(label=each.name, start_s=each.start_s, duration_s=each.duration_s)
            for each in stages
        ),
    )
    spans, at_s = [], 0.0
    said = _said(run, variant)
    for name in said:
        seconds = number(said, name) or 0.0
        spans.append(Span(label=name, start_s=at_s, duration_s=seconds))
        at_s += seconds
    if spans:
        yield Lane(
            title=f"{variant.name}, quoted", spans=tuple(spans), provenance=Provenance.QUOTED
        )


def _said(run: Run, variant: Variant) -> Mapping[str, object]:
    quoted = mapping(run.quoted)
    if variant.question != quoted.get("question"):
        return {}
    return mapping(mapping(quoted.get("flow")).get(variant.name))


def _contradictions(run: Run, variants: list[Variant]) -> Iterator[Statement]:
    """Yield where the document's stages add up to another time than its dashboard has."""
    dashboard = mapping(mapping(run.quoted).get("dashboard"))
    found = []
    for variant in variants:
        said = _said(run, variant)
        mean_s = number(mapping(dashboard.get(variant.name)), "mean_s")
        if not said or mean_s is None:
            continue
        sum_s = math.fsum(number(said, name) or 0.0 for name in said)
        added, mean = (format_value(each, Kind.SECONDS) for each in (sum_s, mean_s))
        if added != mean:
            found.append(f"{variant.name}'s stages add up to {added}, its dashboard says {mean}")
    if found:
        yield Statement(
            text=f"The document's figures do not agree with one another: {'; '.join(found)}."
        )


def _table(run: Run, variants: list[Variant]) -> Table:
    return Table(
        name="flow",
        title="Stages",
        columns=(
            Column(key="question", title="endpoint", data_only=True),
            Column(key="variant", title="variant", label=True),
            Column(key="stage", title="stage", label=True),
            Column(key="start_s", title="from", kind=Kind.SECONDS),
            Column(key="duration_s", title="takes", kind=Kind.SECONDS),
            Column(
                key="quoted_s",
                title="document",
                kind=Kind.SECONDS,
                provenance=Provenance.QUOTED,
            ),
        ),
        rows=tuple(row for each in variants for row in _rows(run, each)),
        data_only=True,
    )


def _rows(run: Run, variant: Variant) -> Iterator[Row]:
    if variant.service is None:
        return
    said = _said(run, variant)
    for stage in stages_of(variant.service.stages_s, variant.latency_s.mean):
        yield {
            "question": variant.question,
            "variant": variant.name,
            "stage": stage.name,
            "start_s": stage.start_s,
            "duration_s": stage.duration_s,
            "quoted_s": number(said, stage.name),
        }
