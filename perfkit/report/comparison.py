"""Comparisons of runs as a report: a verdict in one line, what to heed, a compact table, the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from perfkit.analysis.judging import (
    CapacityVerdict,
    Figures,
    LatencyVerdict,
    VariantChange,
    judge,
)
from perfkit.analysis.matching import Match, Matching
from perfkit.analysis.selection import target_title
from perfkit.analysis.sides import Side
from perfkit.analysis.writes import WriteChange, compare_writes
from perfkit.measure.changes import RUN_TO_RUN, Change, Method
from perfkit.report.figures import ABSENT, one_line
from perfkit.report.model import (
    Block,
    Cell,
    Column,
    Kind,
    Marked,
    Report,
    Row,
    Section,
    Statement,
    Statements,
    Table,
    Tone,
)
from perfkit.units import format_change, format_share, format_units

__all__ = ["Outcome", "Result", "compare_sides"]

_CHANGE_NOTE = (
    "Of the rounds' medians, with an interval that holds with 95% for all rows of this table"
    " together; p50 is the median of all calls."
)
_UNJUDGED_NOTE = "Shown for information: one run says too little about its tail to judge it."

_IN_USE_NOTE = "Whether the workload says this projection; only what it says can be a regression."
_KINDS = ("insert", "unchanged", "update", "key-change", "delete")

_METHODS = {
    Method.PAIRED: (
        "The runs took turns: each pair gives one ratio, and the interval is Student's t on them, so"
        " what slows the machine for a while cancels."
    ),
    Method.RUNS: "Each run counts as one value; the interval is Welch's t on them.",
    Method.ONE: (
        "One run against several: each run counts as one value, and the interval is Student's t with"
        " the one taken to lie off as far as the several lie from each other, at least as far as one"
        f" of its own rounds and {format_share(RUN_TO_RUN)}. Several runs a side show more."
    ),
    Method.ROUNDS: (
        "One run a side: the interval is Welch's t on its rounds, and takes each run to lie off as"
        f" far as one of its rounds, at least {format_share(RUN_TO_RUN)}. Only several runs a side,"
        " taken in turns, show what differs from run to run."
    ),
}


class Outcome(StrEnum):
    """What a threshold makes of a comparison."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    INVALID = "invalid"
    """No latency could be judged, so the threshold was not tested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """
    A comparison of two sides.

    Args:
        report: For any of the renderers.
        outcome: What the threshold makes of it; None without one.
        regressions: What got worse by the threshold, in words.
        broken: What the candidate cannot do any more, in words; among the regressions if there is a
            threshold, whatever it is.
        summary: The verdict in one line.
    """

    report: Report
    outcome: Outcome | None
    regressions: tuple[str, ...]
    broken: tuple[str, ...]
    summary: str


def compare_sides(
    baseline: Side, candidate: Side, matching: Matching, *, limit: float | None = None
) -> Result:
    """
    Compare what two sides have in common.

    Args:
        baseline: The side that the other is held against.
        candidate: The other.
        matching: Their runs, as `match_sides` brought them together.
        limit: Share from which on a rise is a regression, 0.1 for 10%; None for no threshold.
    """
    found = judge(matching, limit)
    writes, writes_left_out = compare_writes(matching, limit)
    changes, left_out = found.changes, (*found.left_out, *writes_left_out)
    broken = (*found.gone, *(change.failure for change in changes if change.calls_fail))
    risen = (
        *(text for change in changes for text in _regressions(change)),
        *(write.regression for write in writes if write.regressions),
    )
    regressions = () if limit is None else (*broken, *risen)
    outcome = None if limit is None else _outcome(changes, writes, regressions)
    tone, summary = _summary(changes, writes, outcome, broken, risen, limit)
    for title, names in (
        (baseline.title, matching.only_baseline),
        (candidate.title, matching.only_candidate),
    ):
        if names:
            left_out = (*left_out, f"{', '.join(names)}: only in {title}.")
    blocks: list[Block] = [
        Statements(name="verdict", statements=(Statement(text=summary, tone=tone),))
    ]
    heed = [*matching.warnings, *left_out]
    if heed:
        blocks.append(
            Statements(
                name="warnings",
                statements=tuple(Statement(text=text, tone=Tone.WARNING) for text in heed),
            )
        )
    if changes:
        blocks += [_compact(changes), _statements("method", _method(changes))]
    section = Section(
        name="compare",
        title="",
        blocks=tuple(blocks),
        facts={"baseline": baseline.title, "candidate": candidate.title},
        document={
            "baseline": _side(baseline, matching, "baseline"),
            "candidate": _side(candidate, matching, "candidate"),
            "threshold": limit,
            "outcome": outcome,
            "summary": summary,
            "regressions": list(regressions),
            "broken": list(broken),
            "warnings": list(matching.warnings),
            "left_out": list(left_out),
            "changes": [_document(change) for change in changes],
            "write_costs": [_write_document(write) for write in writes],
        },
    )
    sections = [section]
    if changes:
        sections.append(_details(changes, baseline, candidate))
    if writes:
        sections.append(_writes(writes, baseline, candidate))
    return Result(
        report=Report(
            title=f"perfkit compare: {baseline.title} → {candidate.title}",
            sections=tuple(sections),
        ),
        outcome=outcome,
        regressions=regressions,
        broken=broken,
        summary=summary,
    )


def _outcome(
    changes: Sequence[VariantChange], writes: Sequence[WriteChange], regressions: Sequence[str]
) -> Outcome:
    if regressions:
        return Outcome.FAIL
    if not changes and writes:
        return Outcome.PASS
    return Outcome.PASS if any(change.judged for change in changes) else Outcome.INVALID


def _regressions(change: VariantChange) -> list[str]:
    texts = []
    if change.latency_regressed and change.change is not None:
        texts.append(f"{change.name}: latency {_with_interval(change.change)}")
    if change.capacity_regressed:
        before, after = change.baseline.capacity_units, change.candidate.capacity_units
        texts.append(
            f"{change.name}: {format_units(before or 0)} → {format_units(after or 0)} read units"
        )
    return texts


def _summary(
    changes: Sequence[VariantChange],
    writes: Sequence[WriteChange],
    outcome: Outcome | None,
    broken: Sequence[str],
    risen: Sequence[str],
    limit: float | None,
) -> tuple[Tone, str]:
    threshold = "" if limit is None else f" of {format_share(limit)} or more"
    counts = {
        verdict: sum(each.latency is verdict for each in changes) for verdict in LatencyVerdict
    }
    dearer = sum(each.capacity is CapacityVerdict.MORE for each in changes)
    cheaper = sum(each.capacity is CapacityVerdict.LESS for each in changes)
    parts = [f"{count} {verdict}" for verdict, count in counts.items() if count]
    capacity = [
        f"{count} {word} read units"
        for count, word in ((dearer, "with more"), (cheaper, "with fewer"))
        if count
    ]
    taking = {
        verdict: sum(write.declared and verdict in write.verdicts for write in writes)
        for verdict in (CapacityVerdict.MORE, CapacityVerdict.LESS)
    }
    tally = _tally(len(changes), [*parts, *capacity], writes, taking)
    match outcome:
        case Outcome.FAIL:
            by = threshold if risen else ""
            return Tone.WARNING, f"Regression{by}: {_first([*broken, *risen])}. {tally}"
        case Outcome.INVALID:
            return Tone.WARNING, f"No verdict: no latency could be judged. {tally}"
        case Outcome.PASS:
            return Tone.GOOD, f"No regression{threshold} found. {tally}{_missed(changes)}"
        case None:
            worse = (
                counts[LatencyVerdict.SLOWER] or dearer or broken or taking[CapacityVerdict.MORE]
            )
            better = counts[LatencyVerdict.FASTER] or cheaper or taking[CapacityVerdict.LESS]
            words = {
                (True, True): "Better and worse.",
                (True, False): "Worse.",
                (False, True): "Better.",
                (False, False): "No significant change.",
            }
            judged = any(each.judged for each in changes) or worse or better
            judged = judged or bool(writes and not changes)
            said = words[bool(worse), bool(better)] if judged else "Nobody can tell."
            tone = Tone.WARNING if worse else Tone.GOOD if better else Tone.PLAIN
            named = f" {_first(broken)}." if broken else ""
            return tone, f"{said}{named} {tally}{_missed(changes)}"


def _tally(
    changes: int,
    parts: Sequence[str],
    writes: Sequence[WriteChange],
    taking: Mapping[CapacityVerdict, int],
) -> str:
    texts = [f"Of {changes} compared: {', '.join(parts)}."] if changes else []
    if writes:
        declared = sum(write.declared for write in writes)
        moved = [f"{count} take {verdict}" for verdict, count in taking.items() if count]
        texts.append(
            f"Write units of {declared} tables and indexes compared:"
            f" {', '.join(moved) or 'the same'}."
        )
    return " ".join(texts) or "There was nothing to compare."


def _first(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - 3} more" if len(texts) > 3 else ""
    return f"{'; '.join(texts[:3])}{more}"


def _missed(changes: Sequence[VariantChange]) -> str:
    """Return what could hide behind "not significant"."""
    reach = [
        each.change.interval[1]
        for each in changes
        if each.latency is LatencyVerdict.NOT_SIGNIFICANT
        and each.change is not None
        and each.change.interval is not None
    ]
    if not reach:
        return ""
    return f" What is not significant may still be up to {format_change(max(reach))}."


def _with_interval(change: Change) -> str:
    if change.interval is None:
        return format_change(change.ratio)
    low, high = map(format_change, change.interval)
    return f"{format_change(change.ratio)} ({low} to {high})"


def _compact(changes: Sequence[VariantChange]) -> Table:
    return Table(
        name="changes",
        title="",
        main=True,
        columns=(
            *_labels(changes),
            Column(key="p50_baseline_s", title="before", kind=Kind.SECONDS, group="p50"),
            Column(key="p50_candidate_s", title="after", kind=Kind.SECONDS, group="p50"),
            Column(key="change", title="change", note=_CHANGE_NOTE, group="latency", weight=2),
            Column(key="verdict", title="verdict", group="latency", weight=2),
            Column(key="capacity_baseline", title="before", kind=Kind.CAPACITY, group="RCU"),
            Column(key="capacity_candidate", title="after", kind=Kind.CAPACITY, group="RCU"),
            Column(key="capacity_change", title="change", group="RCU", weight=2),
            Column(key="ratio", title="ratio", kind=Kind.RATIO, data_only=True),
            Column(key="ratio_low", title="from", kind=Kind.RATIO, data_only=True),
            Column(key="ratio_high", title="to", kind=Kind.RATIO, data_only=True),
            Column(key="significant", title="significant", data_only=True),
            Column(key="regression", title="regression", data_only=True),
        ),
        rows=tuple(map(_compact_row, changes)),
    )


def _labels(changes: Sequence[VariantChange]) -> tuple[Column, ...]:
    several = any(each.question for each in changes)
    return (
        *_work_columns([each.match for each in changes]),
        Column(key="question", title="question", label=True, data_only=not several),
        Column(key="variant", title="variant", label=True),
    )


def _work_columns(matches: Sequence[Match]) -> tuple[Column, ...]:
    """Return columns that tell matches apart; people see workload and target only where needed."""
    names = {key: {_work(match)[key] for match in matches} for key in ("workload", "target")}
    return (
        Column(key="scenario", title="scenario", label=True),
        *(
            Column(key=key, title=key, label=True, data_only=len(values) < 2)
            for key, values in names.items()
        ),
    )


def _work(match: Match) -> dict[str, str]:
    run = match.runs[0]
    return {
        "scenario": match.scenario,
        "workload": one_line(run.workload),
        "target": target_title(run.target),
    }


def _compact_row(each: VariantChange) -> Row:
    low, high = (each.change and each.change.interval) or (None, None)
    return {
        **_work(each.match),
        "question": each.question or None,
        "variant": each.variant,
        "p50_baseline_s": each.baseline.p50_s,
        "p50_candidate_s": each.candidate.p50_s,
        "change": ABSENT if each.change is None else _with_interval(each.change),
        "verdict": _verdict(each),
        "capacity_baseline": each.baseline.capacity_units,
        "capacity_candidate": each.candidate.capacity_units,
        "capacity_change": _capacity(each),
        "ratio": each.change.ratio if each.change is not None else None,
        "ratio_low": low,
        "ratio_high": high,
        "significant": each.change.significant if each.change is not None else None,
        "regression": each.regressed,
    }


def _verdict(each: VariantChange) -> Cell:
    if each.latency_regressed:
        return Marked(value="slower: regression", tone=Tone.WARNING)
    if each.calls_fail:
        said = "calls fail: regression" if each.regressed else "calls fail, none did before"
        return Marked(value=said, tone=Tone.WARNING)
    if each.reason:
        return f"{each.latency}: {each.reason}"
    tones = {LatencyVerdict.SLOWER: Tone.WARNING, LatencyVerdict.FASTER: Tone.GOOD}
    return Marked(value=str(each.latency), tone=tones.get(each.latency, Tone.PLAIN))


def _capacity(each: VariantChange) -> Cell:
    ratio = each.capacity_ratio
    moved = str(each.capacity) if ratio is None else format_change(ratio)
    match each.capacity:
        case CapacityVerdict.MORE:
            text = f"{moved}: regression" if each.capacity_regressed else moved
            return Marked(value=text, tone=Tone.WARNING)
        case CapacityVerdict.LESS:
            return Marked(value=moved, tone=Tone.GOOD)
        case CapacityVerdict.VARIES:
            return f"{moved}, not judged"
        case _:
            return str(each.capacity)


def _method(changes: Sequence[VariantChange]) -> list[str]:
    methods = {each.change.method for each in changes if each.change is not None}
    texts = [_METHODS[method] for method in Method if method in methods]
    runs = {(each.baseline.runs, each.candidate.runs) for each in changes}
    if len(runs) == 1:
        before, after = next(iter(runs))
        texts.insert(0, f"Runs: {before} before, {after} after.")
    return texts


def _details(changes: Sequence[VariantChange], baseline: Side, candidate: Side) -> Section:
    def pair(key: str, title: str, kind: Kind, *, note: str | None = None) -> tuple[Column, ...]:
        return (
            Column(key=f"{key}_baseline", title="before", kind=kind, group=title, note=note),
            Column(key=f"{key}_candidate", title="after", kind=kind, group=title),
            Column(key=f"{key}_change", title="change", group=title),
        )

    return Section(
        name="compare-details",
        title="Side by side, for one call",
        blocks=(
            Table(
                name="side-by-side",
                title="",
                columns=(
                    *_labels(changes),
                    *pair("p99_s", "p99", Kind.SECONDS, note=_UNJUDGED_NOTE),
                    *pair("mean_s", "mean", Kind.SECONDS, note=_UNJUDGED_NOTE),
                    *pair("bytes_read", "bytes read", Kind.BYTES),
                    *pair("requests", "requests", Kind.COUNT),
                ),
                rows=tuple(map(_details_row, changes)),
            ),
        ),
        facts={"baseline": baseline.title, "candidate": candidate.title},
    )


def _writes(writes: Sequence[WriteChange], baseline: Side, candidate: Side) -> Section:
    found = dict.fromkeys(kind for write in writes for kind in write.units)
    kinds = sorted(found, key=lambda kind: _KINDS.index(kind) if kind in _KINDS else len(_KINDS))
    numbers = tuple(
        Column(
            key=f"{kind.replace('-', '_')}_{side}",
            title=f"{kind} {side}",
            kind=Kind.CAPACITY,
            data_only=True,
        )
        for kind in kinds
        for side in ("baseline", "candidate")
    )
    return Section(
        name="compare-writes",
        title="Write units of one write",
        blocks=(
            Table(
                name="write-costs",
                title="",
                columns=(
                    *_work_columns([each.match for each in writes]),
                    Column(key="table", title="table", label=True),
                    Column(key="index", title="index", label=True),
                    Column(key="projection", title="projection", label=True),
                    Column(key="declared", title="in use", note=_IN_USE_NOTE),
                    *(
                        Column(key=kind.replace("-", "_"), title=kind, group="before → after")
                        for kind in kinds
                    ),
                    Column(key="verdict", title="verdict"),
                    *numbers,
                    Column(key="regression", title="regression", data_only=True),
                ),
                rows=tuple(map(_writes_row, writes)),
            ),
        ),
        facts={"baseline": baseline.title, "candidate": candidate.title},
    )


def _writes_row(each: WriteChange) -> Row:
    row: dict[str, Cell] = {
        **_work(each.match),
        "table": each.table,
        "index": each.index or "(the table itself)",
        "projection": each.projection or None,
        "declared": "yes" if each.declared else "no",
        "verdict": _write_verdict(each),
        "regression": bool(each.regressions),
    }
    tones = {CapacityVerdict.MORE: Tone.WARNING, CapacityVerdict.LESS: Tone.GOOD}
    for kind, (before, after) in each.units.items():
        key = kind.replace("-", "_")
        row[f"{key}_baseline"], row[f"{key}_candidate"] = before, after
        row[key] = Marked(value=each.moved(kind), tone=tones.get(each.verdict(kind), Tone.PLAIN))
    return row


def _write_verdict(each: WriteChange) -> Cell:
    if each.regressions:
        return Marked(value="more: regression", tone=Tone.WARNING)
    moved = [v for v in (CapacityVerdict.MORE, CapacityVerdict.LESS) if v in each.verdicts]
    return " and ".join(moved) or str(CapacityVerdict.SAME)


def _write_document(each: WriteChange) -> Mapping[str, object]:
    return {
        **_work(each.match),
        "table": each.table,
        "index": each.index,
        "projection": each.projection,
        "declared": each.declared,
        "regression": bool(each.regressions),
        "units": {
            kind: {"verdict": each.verdict(kind), "baseline": before, "candidate": after}
            for kind, (before, after) in each.units.items()
        },
    }


def _details_row(each: VariantChange) -> Row:
    row: dict[str, Cell] = {
        **_work(each.match),
        "question": each.question or None,
        "variant": each.variant,
    }
    for key in ("p99_s", "mean_s", "bytes_read", "requests"):
        before, after = getattr(each.baseline, key), getattr(each.candidate, key)
        row[f"{key}_baseline"], row[f"{key}_candidate"] = before, after
        if before and after is not None:
            row[f"{key}_change"] = format_change(after / before)
    return row


def _statements(name: str, texts: Sequence[str]) -> Statements:
    return Statements(
        name=name, statements=tuple(Statement(text=text, tone=Tone.FAINT) for text in texts)
    )


def _side(side: Side, matching: Matching, name: str) -> Mapping[str, object]:
    runs = [run for match in matching.matches for run in getattr(match, name)]
    return {
        "title": side.title,
        "runs": [run.id for run in runs],
        "perfkit": sorted({run.perfkit for run in runs}),
        "machine": runs[0].machine,
    }


def _document(each: VariantChange) -> Mapping[str, object]:
    change = each.change
    return {
        **_work(each.match),
        "question": each.question,
        "variant": each.variant,
        "regression": each.regressed,
        "latency": {
            "verdict": each.latency,
            "reason": each.reason,
            "ratio": None if change is None else change.ratio,
            "interval": None if change is None or not change.interval else list(change.interval),
            "significant": change is not None and change.significant,
            "method": None if change is None else change.method,
        },
        "capacity": {"verdict": each.capacity, "ratio": each.capacity_ratio},
        "baseline": _figures(each.baseline),
        "candidate": _figures(each.candidate),
    }


def _figures(figures: Figures) -> Mapping[str, object]:
    return {name: getattr(figures, name) for name in Figures.__dataclass_fields__}
