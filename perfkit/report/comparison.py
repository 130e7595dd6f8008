"""Comparisons of runs as a report: the verdict first, a compact table, what to doubt, the rest."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from perfkit.analysis.comparing import Compared, Conditions
from perfkit.analysis.judging import Amount, Direction, Figures, VariantChange, with_interval
from perfkit.analysis.matching import Match, Matching
from perfkit.analysis.selection import target_title
from perfkit.analysis.sides import Side
from perfkit.analysis.verdict import Ruling
from perfkit.analysis.writes import WriteChange
from perfkit.measure.changes import Method
from perfkit.report.figures import ABSENT, one_line, tone_of
from perfkit.report.layout import first_rows
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
from perfkit.runs import Variant
from perfkit.units import capitalised, format_change, format_many, format_share

__all__ = ["build_comparison", "shorten", "why_invalid"]

_CHANGE_NOTE = (
    "Of the rounds' medians, with an interval that holds with 95% for all rows of this table"
    " together; p50 is the median of all calls."
)
_GATE_NOTE = (
    "Of the rounds' medians; the lower end is wrong in 2.5% of whole comparisons at most, the upper"
    " end in 2.5% of single rows, as one row is enough to fail and all must pass. p50 is the median"
    " of all calls."
)
_CONTROL_NOTE = "Of its ratio to {}, round by round: what slowed the whole run cancels."
_UNJUDGED_NOTE = "Shown for information: one run says too little about its tail to judge it."

_IN_USE_NOTE = "Whether the workload says this projection; only what it says can be a regression."
_KINDS = ("insert", "unchanged", "update", "key-change", "delete")

_METHODS = {
    Method.PAIRED: (
        "The runs took turns: each pair gives one ratio, and the interval is Student's t on them, so"
        " what slows the machine for a while cancels."
    ),
    Method.RUNS: "Each run counts as one value; the interval is Welch's t on them.",
    Method.SINGLE: (
        "A side of one run: the interval is what its rounds scatter, and by how far whole runs of the"
        " same code are known to lie apart. Only several runs a side, taken in turns, show that."
    ),
}

_ROWS_ON_A_SCREEN = 10
_DOUBTS_ON_A_SCREEN = 4


def build_comparison(compared: Compared) -> Report:
    """Return everything there is to say of two sides, for any of the renderers."""
    changes, writes = compared.changes, compared.writes
    tone, summary = _tone(compared), _summarize(compared)
    blocks: list[Block] = [
        Statements(name="verdict", statements=(Statement(text=summary, tone=tone),))
    ]
    if changes:
        blocks.append(_compact(compared))
    blocks += _statements("warnings", _doubts(compared), Tone.WARNING)
    blocks += _statements("cautions", compared.cautions, Tone.FAINT, title="Cautions of the runs")
    if changes:
        blocks += _statements("method", _method(compared), Tone.FAINT)
    section = Section(
        name="compare",
        title="",
        blocks=tuple(blocks),
        facts=_titles(compared),
        document=_document(compared, summary),
    )
    sections = [section]
    if changes:
        sections.append(_details(compared))
    if writes:
        sections.append(_writes(writes, compared.baseline, compared.candidate))
    return Report(
        title=f"perfkit compare: {compared.baseline.title} → {compared.candidate.title}",
        sections=tuple(sections),
    )


def shorten(report: Report, compared: Compared) -> Report:
    """
    Return what fits a screen: the verdict, the rows that matter most, the first doubts, what next.

    Args:
        report: As `build_comparison` made it.
        compared: What it was made of.
    """
    section = report.sections[0]
    blocks = [block for block in section.blocks if block.name in {"verdict", "changes"}]
    hidden = 0
    notes: list[str] = []
    if compared.changes:
        first = {id(each) for each in sorted(compared.changes, key=_weight)[:_ROWS_ON_A_SCREEN]}
        hidden = len(compared.changes) - len(first)
        rows = tuple(each for each in compared.changes if id(each) in first)
        table = _compact(replace(compared, changes=rows))
        if not compared.capacity_only and all(
            each.capacity is Amount.SAME for each in compared.changes
        ):
            columns = tuple(each for each in table.columns if each.group != "RCU")
            table = replace(table, columns=columns)
            notes.append("Read units are the same in every row.")
        blocks[-1] = table
    moved = [each for each in compared.writes if _moved_kinds(each)]
    if moved:
        blocks.append(_moved_writes(moved))
    doubts = _doubts(compared)
    if len(doubts) > _DOUBTS_ON_A_SCREEN:
        more = len(doubts) - _DOUBTS_ON_A_SCREEN + 1
        doubts = [*doubts[: _DOUBTS_ON_A_SCREEN - 1], f"{format_many(more, 'more doubt')}: see -v."]
    if hidden:
        doubts.append(f"{format_many(hidden, 'more row')}, none of them worse: see -v.")
    if compared.cautions:
        doubts.append(
            f"{format_many(len(compared.cautions), 'caution')} in"
            f" {format_many(compared.cautious_runs, 'run')}: see -v."
        )
    blocks += _statements("capacity", notes, Tone.PLAIN)
    blocks += _statements("warnings", doubts, Tone.WARNING)
    blocks += _statements("next", list(_next(compared)), Tone.PLAIN)
    return replace(report, sections=(replace(section, blocks=tuple(blocks)),))


def _moved_writes(moved: Sequence[WriteChange]) -> Table:
    """Return the writes that take more or fewer units: those in use, and that take more, first."""
    ordered = sorted(
        moved, key=lambda each: (not each.declared, Amount.MORE not in each.directions)
    )
    table = Table(
        name="write-costs",
        title="Write units of one write",
        columns=(
            *_work_columns([each.match for each in moved]),
            Column(key="table", title="table", label=True),
            Column(key="index", title="index", label=True),
            Column(key="projection", title="projection", label=True),
            Column(key="declared", title="in use"),
            Column(key="moved", title="before → after"),
            Column(key="verdict", title="verdict"),
        ),
        rows=tuple(
            {
                **_work(each.match),
                "table": each.table,
                "index": each.index or "(the table itself)",
                "projection": each.projection or None,
                "declared": "yes" if each.declared else "no",
                "moved": ", ".join(f"{kind} {each.moved(kind)}" for kind in _moved_kinds(each)),
                "verdict": _write_verdict(each),
            }
            for each in ordered
        ),
    )
    return first_rows(table, _ROWS_ON_A_SCREEN)


def _moved_kinds(each: WriteChange) -> list[str]:
    """Return the kinds of write that take other units, or whose units only one side knows."""
    return [
        kind
        for kind, (before, after) in each.units.items()
        if before != after and each.direction(kind) is not Amount.SAME
    ]


def _weight(change: VariantChange) -> tuple[int, float]:
    """Return where a row stands when there is no room for all: what failed first."""
    verdict = change.verdict
    order = {Ruling.FAIL: 0, Ruling.INVALID: 1, Ruling.PASS: 2}
    worse = change.capacity is Amount.MORE or change.direction is Direction.SLOWER
    rank = order[verdict.ruling] if verdict is not None else int(not worse)
    return rank, -(change.change.ratio if change.change else 0.0)


def _next(compared: Compared) -> Iterator[str]:
    """Yield what to do about latencies that nobody can judge."""
    if compared.capacity_only:
        return
    if not compared.changes or not (compared.undecided or compared.limit is None):
        return
    if compared.limit is None and any(
        each.direction is not Direction.CANNOT_TELL for each in compared.changes
    ):
        return
    if any(each.pace for each in compared.conditions):
        more = "measure both sides with the same --max-rcu, or both without"
    elif all(each.match.in_turns for each in compared.changes):
        more = "measure more or longer runs in turns, when the machine has less else to do"
    else:
        more = "measure both sides in turns, eight runs each (docs/compare.md)"
    named = any(each.controls for each in compared.conditions)
    control = "" if named else "; --control NAME takes a variant that the change cannot touch"
    yield f"Next: {more}{control}."


def _summarize(compared: Compared) -> str:
    """Return the verdict in one line; without a limit, what changed."""
    limit = f" of {format_share(compared.limit)} or more" if compared.limit else ""
    best = [str(each) for each in compared.best]
    tally = f"{_first(best)}. {_tally(compared)}" if best else _tally(compared)
    verdict = compared.verdict
    if verdict is None:
        return _what_changed(compared, tally)
    match verdict.ruling:
        case Ruling.FAIL:
            # what broke is a regression by every limit
            by = limit if len(compared.regressions) > len(compared.broken) else ""
            return f"Fail: regression{by}: {_first(compared.regressions)}. {tally}"
        case Ruling.INVALID:
            return f"Invalid: {why_invalid(compared)}. {tally}"
        case Ruling.PASS:
            return f"Pass: no regression{limit}. {tally}"


def why_invalid(compared: Compared) -> str:
    """Return how many latencies cannot be judged, and why, in one line."""
    undecided = compared.undecided
    if not undecided:
        verdict = compared.verdict
        return verdict.reason if verdict is not None else ""
    reasons: dict[str, int] = {}
    for change in undecided:
        verdict = change.latency_verdict
        reason = verdict.reason if verdict is not None else ""
        reasons[reason] = reasons.get(reason, 0) + 1
    judged = sum(not each.is_control for each in compared.changes)
    most = max(reasons, key=lambda reason: reasons[reason])
    others = f" (and {len(reasons) - 1} more reasons)" if len(reasons) > 2 else ""
    if len(reasons) == 2:
        others = f"; or {next(reason for reason in reasons if reason != most)}"
    return f"{len(undecided)} of {format_many(judged, 'latency', 'latencies')} cannot be judged: {most}{others}"


def _tone(compared: Compared) -> Tone:
    verdict = compared.verdict
    if verdict is not None:
        return tone_of(verdict)
    worse, better = _moved(compared)
    return Tone.WARNING if worse else Tone.GOOD if better else Tone.PLAIN


def _moved(compared: Compared) -> tuple[bool, bool]:
    """Return whether anything got worse, and whether anything got better."""
    changes = compared.changes
    amounts = {
        *(each.capacity for each in changes),
        *(each for write in compared.writes if write.declared for each in write.directions),
    }
    directions = {each.direction for each in changes}
    best = [each.rises for each in compared.best]
    worse = Direction.SLOWER in directions or Amount.MORE in amounts or bool(compared.broken)
    better = Direction.FASTER in directions or Amount.LESS in amounts
    return worse or True in best, better or False in best


def _what_changed(compared: Compared, tally: str) -> str:
    words = {
        (True, True): "Better and worse.",
        (True, False): "Worse.",
        (False, True): "Better.",
        (False, False): "No significant change.",
    }
    changes = compared.changes
    worse, better = _moved(compared)
    is_known = (
        worse or better or any(each.direction is not Direction.CANNOT_TELL for each in changes)
    )
    is_known = is_known or bool(compared.writes and not changes)
    first = words[worse, better] if is_known else "It cannot be told whether anything changed."
    # what the best form was, and is no more, is said of it
    told = {f"{each.title}, {each.before.name} is gone" for each in compared.best}
    broken = [text for text in compared.broken if text not in told]
    named = f" {_first(broken)}." if broken else ""
    return f"{first}{named} {tally}{_missed(changes)}"


def _tally(compared: Compared) -> str:
    texts = []
    changes = compared.changes
    if changes:
        parts = []
        for direction in () if compared.capacity_only else Direction:
            count = sum(each.direction is direction and not each.is_control for each in changes)
            parts += [f"{count} {direction}"] if count else []
        controls = sum(each.is_control for each in changes)
        parts += [format_many(controls, "control")] if controls else []
        amounts = [(Amount.MORE, "with more"), (Amount.LESS, "with fewer")]
        if compared.capacity_only:
            amounts += [
                (Amount.SAME, "with the same"),
                (Amount.VARIES, "with varying"),
                (Amount.NOT_KNOWN, "without"),
            ]
        for amount, words in amounts:
            count = sum(each.capacity is amount for each in changes)
            parts += [f"{count} {words} read units"] if count else []
        texts.append(f"Of {len(changes)} compared: {', '.join(parts)}.")
    if compared.writes:
        declared = [write for write in compared.writes if write.declared]
        moved = [
            f"{count} take {amount}"
            for amount in (Amount.MORE, Amount.LESS)
            if (count := sum(amount in write.directions for write in declared))
        ]
        texts.append(
            f"Write units of {len(declared)} tables and indexes compared:"
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
        if each.direction is Direction.NOT_SIGNIFICANT
        and each.change is not None
        and each.change.interval is not None
    ]
    if not reach:
        return ""
    return f" What is not significant may still be up to {format_change(max(reach))}."


def _doubts(compared: Compared) -> list[str]:
    """Return what speaks against relying on the figures, and what was left out."""
    texts: list[str] = []
    # what speaks against latencies says nothing of what was counted
    conditions = () if compared.capacity_only else compared.conditions
    several = len({_under(each) for each in conditions}) > 1
    for each in conditions:
        if not each.match.runs[0].variants:
            continue
        name = f"{each.match.title}: " if several else ""
        texts += [_sentence(f"{name}{text}") for text in _under(each) if text]
    return [*dict.fromkeys([*texts, *compared.matching.warnings, *compared.left_out])]


def _sentence(text: str) -> str:
    return f"{capitalised(text)}."


def _under(each: Conditions) -> tuple[str, ...]:
    return each.pace, each.order, each.load


def _method(compared: Compared) -> list[str]:
    changes = () if compared.capacity_only else compared.changes
    methods = {each.change.method for each in changes if each.change is not None}
    texts = [_METHODS[method] for method in Method if method in methods]
    runs = {(each.baseline.runs, each.candidate.runs) for each in compared.changes}
    if len(runs) == 1:
        before, after = next(iter(runs))
        texts.insert(0, f"Runs: {before} before, {after} after.")
    return texts


def _compact(compared: Compared) -> Table:
    changes = compared.changes
    columns = (
        *_labels(changes),
        Column(key="p50_baseline_s", title="before", kind=Kind.SECONDS, group="p50"),
        Column(key="p50_candidate_s", title="after", kind=Kind.SECONDS, group="p50"),
        Column(
            key="change",
            title="change",
            note=_CHANGE_NOTE if compared.limit is None else _GATE_NOTE,
            group="latency",
            weight=2,
        ),
        Column(key="direction", title="direction", data_only=True),
        Column(key="verdict", title="verdict", group="latency", weight=2),
        Column(key="capacity_baseline", title="before", kind=Kind.CAPACITY, group="RCU"),
        Column(key="capacity_candidate", title="after", kind=Kind.CAPACITY, group="RCU"),
        Column(key="capacity_change", title="change", group="RCU", weight=2),
        Column(key="ratio", title="ratio", kind=Kind.RATIO, data_only=True),
        Column(key="ratio_low", title="from", kind=Kind.RATIO, data_only=True),
        Column(key="ratio_high", title="to", kind=Kind.RATIO, data_only=True),
        Column(key="significant", title="significant", data_only=True),
        Column(key="control", title="control", data_only=True),
        Column(key="regression", title="regression", data_only=True),
    )
    if compared.capacity_only:
        kept = {"RCU", "regression"}
        columns = tuple(each for each in columns if each.label or kept & {each.group, each.key})
    return Table(
        name="changes",
        title="",
        main=True,
        columns=columns,
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
    low, high = _shown_interval(each) or (None, None)
    return {
        **_work(each.match),
        "question": each.question or None,
        "variant": each.variant,
        "p50_baseline_s": each.baseline.p50_s,
        "p50_candidate_s": each.candidate.p50_s,
        "change": _latency(each),
        "direction": None if each.is_control else str(each.direction),
        "verdict": _verdict(each),
        "capacity_baseline": each.baseline.capacity_units,
        "capacity_candidate": each.candidate.capacity_units,
        "capacity_change": _capacity(each),
        "ratio": each.change.ratio if each.change is not None else None,
        "ratio_low": low,
        "ratio_high": high,
        "significant": each.change.significant if each.change is not None else None,
        "control": each.control or None,
        "regression": each.regressed,
    }


def _shown_interval(each: VariantChange) -> tuple[float, float] | None:
    """Return the interval that the verdict rests on."""
    if each.change is None:
        return None
    return each.change.interval if each.limit is None else each.change.gate


def _latency(each: VariantChange) -> Cell:
    if each.change is None:
        return ABSENT
    text = with_interval(each.change.ratio, _shown_interval(each))
    return Marked(value=text, note=_CONTROL_NOTE.format(each.control)) if each.control else text


def _verdict(each: VariantChange) -> Cell:
    """Return pass, fail or invalid; without a limit, where the latency went."""
    if each.is_control:
        return Marked(value="control", note=each.reason or None)
    if each.calls_fail:
        text = "calls fail, none did before" if each.limit is None else "fail: calls fail"
        return Marked(value=text, tone=Tone.WARNING)
    verdict = each.latency_verdict
    if verdict is not None:
        tone = tone_of(verdict)
        return Marked(value=str(verdict.ruling), tone=tone, note=verdict.reason or None)
    tones = {Direction.SLOWER: Tone.WARNING, Direction.FASTER: Tone.GOOD}
    return Marked(
        value=str(each.direction),
        tone=tones.get(each.direction, Tone.PLAIN),
        note=each.reason or None,
    )


def _capacity(each: VariantChange) -> Cell:
    ratio = each.capacity_ratio
    moved = str(each.capacity) if ratio is None else format_change(ratio)
    match each.capacity:
        case Amount.MORE:
            verdict = each.capacity_verdict
            fails = verdict is not None and verdict.ruling is Ruling.FAIL
            return Marked(value=f"{moved}: fail" if fails else moved, tone=Tone.WARNING)
        case Amount.LESS:
            return Marked(value=moved, tone=Tone.GOOD)
        case Amount.VARIES:
            return f"{moved}, not judged"
        case _:
            return str(each.capacity)


def _details(compared: Compared) -> Section:
    changes = compared.changes

    def pair(key: str, title: str, kind: Kind, *, note: str | None = None) -> tuple[Column, ...]:
        return (
            Column(key=f"{key}_baseline", title="before", kind=kind, group=title, note=note),
            Column(key=f"{key}_candidate", title="after", kind=kind, group=title),
            Column(key=f"{key}_change", title="change", group=title),
        )

    counters = (
        *pair("bytes_read", "bytes read", Kind.BYTES),
        *pair("requests", "requests", Kind.COUNT),
    )
    latencies = (
        *pair("p99_s", "p99", Kind.SECONDS, note=_UNJUDGED_NOTE),
        *pair("mean_s", "mean", Kind.SECONDS, note=_UNJUDGED_NOTE),
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
                    *(() if compared.capacity_only else latencies),
                    *counters,
                ),
                rows=tuple(map(_details_row, changes)),
            ),
        ),
        facts=_titles(compared),
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
    tones = {Amount.MORE: Tone.WARNING, Amount.LESS: Tone.GOOD}
    for kind, (before, after) in each.units.items():
        key = kind.replace("-", "_")
        row[f"{key}_baseline"], row[f"{key}_candidate"] = before, after
        row[key] = Marked(value=each.moved(kind), tone=tones.get(each.direction(kind), Tone.PLAIN))
    return row


def _write_verdict(each: WriteChange) -> Cell:
    if each.regressions:
        return Marked(value="more: fail", tone=Tone.WARNING)
    moved = [v for v in (Amount.MORE, Amount.LESS) if v in each.directions]
    return " and ".join(moved) or str(Amount.SAME)


def _write_document(each: WriteChange) -> Mapping[str, object]:
    return {
        **_work(each.match),
        "table": each.table,
        "index": each.index,
        "projection": each.projection,
        "declared": each.declared,
        "regression": bool(each.regressions),
        "units": {
            kind: {"direction": each.direction(kind), "baseline": before, "candidate": after}
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


def _statements(
    name: str, texts: Sequence[str], tone: Tone, *, title: str = ""
) -> Iterator[Statements]:
    """Yield a block of sentences, if there are any."""
    if texts:
        statements = tuple(Statement(text=text, tone=tone) for text in texts)
        yield Statements(name=name, statements=statements, title=title)


def _titles(compared: Compared) -> Mapping[str, object]:
    return {"baseline": compared.baseline.title, "candidate": compared.candidate.title}


def _document(compared: Compared, summary: str) -> Mapping[str, object]:
    verdict = compared.verdict
    return {
        "baseline": _side(compared.baseline, compared.matching, "baseline"),
        "candidate": _side(compared.candidate, compared.matching, "candidate"),
        "threshold": compared.limit,
        "outcome": None if verdict is None else verdict.ruling,
        "summary": summary,
        "regressions": list(compared.regressions),
        "broken": list(compared.broken),
        "best": [
            {"scenario": each.title, "baseline": _best(each.before), "candidate": _best(each.after)}
            for each in compared.best
        ],
        "warnings": list(compared.matching.warnings),
        "left_out": list(compared.left_out),
        "conditions": [_conditions(each) for each in compared.conditions],
        "cautions": list(compared.cautions),
        "changes": [_change(change) for change in compared.changes],
        "write_costs": [_write_document(write) for write in compared.writes],
    }


def _best(form: Variant) -> Mapping[str, object]:
    return {"variant": form.name, "capacity_units": form.capacity_units}


def _conditions(each: Conditions) -> Mapping[str, object]:
    return {
        **_work(each.match),
        "in_turns": each.match.in_turns,
        "pace": each.pace,
        "order": each.order,
        "load": {
            side: None
            if load is None
            else {"median": load.median, "least": load.least, "most": load.most}
            for side, load in (("baseline", each.before), ("candidate", each.after))
        },
        "controls": list(each.controls),
    }


def _side(side: Side, matching: Matching, name: str) -> Mapping[str, object]:
    runs = [run for match in matching.matches for run in getattr(match, name)]
    return {
        "title": side.title,
        "runs": [run.id for run in runs],
        "perfkit": sorted({run.perfkit for run in runs}),
        "machine": runs[0].machine,
    }


def _change(each: VariantChange) -> Mapping[str, object]:
    change, latency, capacity = each.change, each.latency_verdict, each.capacity_verdict
    interval = None if change is None else change.interval
    gate = None if change is None or each.limit is None else change.gate
    return {
        **_work(each.match),
        "question": each.question,
        "variant": each.variant,
        "regression": each.regressed,
        "latency": {
            "verdict": None if latency is None else latency.ruling,
            "direction": None if each.is_control else each.direction,
            "reason": each.reason if latency is None else latency.reason,
            "ratio": None if change is None else change.ratio,
            "interval": None if interval is None else list(interval),
            "gate_interval": None if gate is None else list(gate),
            "significant": change is not None and change.significant,
            "method": None if change is None else change.method,
            "control": each.control or None,
            "is_control": each.is_control,
        },
        "capacity": {
            "verdict": None if capacity is None else capacity.ruling,
            "direction": each.capacity,
            "ratio": each.capacity_ratio,
        },
        "baseline": _figures(each.baseline),
        "candidate": _figures(each.candidate),
    }


def _figures(figures: Figures) -> Mapping[str, object]:
    return {name: getattr(figures, name) for name in Figures.__dataclass_fields__}
