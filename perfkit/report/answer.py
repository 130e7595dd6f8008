"""The answer drawn: one screen for a terminal, and the sentences with which a report begins."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from textwrap import shorten

from perfkit.analysis.answer import Answer, MillionCalls, MonthlyBill, PatternFinding
from perfkit.analysis.findings import fastest
from perfkit.analysis.load_runs import outcome_of, summary_of
from perfkit.analysis.percentiles import percentile
from perfkit.analysis.selection import target_title
from perfkit.analysis.verdict import Ruling, Verdict
from perfkit.cost.quantities import short
from perfkit.report.figures import format_value
from perfkit.report.layout import first_rows
from perfkit.report.model import (
    Block,
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
    plain,
)
from perfkit.report.modelled import modelled_cell, notes_of, units_cell, write_modelled
from perfkit.report.percentiles import median_cell
from perfkit.report.quoted import mapping, number
from perfkit.report.ratios import write_short
from perfkit.runs import Comparison, Run, Variant
from perfkit.units import format_bytes, format_many, format_ratio, format_seconds, format_usd

__all__ = ["also", "begin", "patterns_table", "screen", "sentences", "write_doubts", "write_money"]

_MOST_ROWS = 15
"""Rows of a table on one screen, or patterns; the rest is in the report."""

_MOST_GROUPS = 5

_MOST_DOUBTS = 220
"""Characters of doubts on one screen: less than three lines of 80."""

_SHOWN_ELSEWHERE = frozenset({"scenario", "phases", "cache"})
"""Kinds of runs that have their own lines."""

_TONES = {Ruling.PASS: Tone.GOOD, Ruling.FAIL: Tone.WARNING, Ruling.INVALID: Tone.WARNING}


def screen(answer: Answer, *, next_step: str, more: str = "") -> tuple[Block, ...]:
    """
    Return what fits one screen: what was found, what it is worth, what is doubtful, what to type.

    Args:
        answer: Of one group of runs.
        next_step: What to type next where nothing is missing from the runs.
        more: Where everything else is, if no next step says so.
    """
    blocks: list[Block] = [_statements("done", Statement(text=begin(answer)))]
    runs = answer.group.runs
    if len(answer.patterns) == 1 and len(runs) == 1:
        blocks.append(_variants_table(runs[0]))
    elif answer.patterns:
        blocks.append(patterns_table(answer, most=_MOST_ROWS))
    else:
        blocks += [table for run in runs for table in _own_table(run)][:1]
    found = tuple(_found(answer))
    if found:
        blocks.append(_statements("found", *found))
    blocks.append(_statements("outlook", *_outlook(answer, next_step, more)))
    return tuple(blocks)


def also(answers: Sequence[Answer], notes: Sequence[str] = ()) -> Statements:
    """
    Return a line on each further group of runs: one screen has room for one.

    Args:
        answers: Of the further groups.
        notes: Why they are groups of their own.
    """
    shown = [f"Also saved: {begin(each)}" for each in answers[:_MOST_GROUPS]]
    left = len(answers) - len(shown)
    if left:
        shown.append(f"and {format_many(left, 'other workload or target', 'others')}")
    shown += [f"{each}; `perfkit report -v` shows both" for each in notes[:_MOST_GROUPS]]
    return _statements("also", *(Statement(text=text) for text in shown))


def _statements(name: str, *statements: Statement) -> Statements:
    return Statements(name=name, statements=statements)


def begin(answer: Answer) -> str:
    """Return what was measured, of how much, where and when."""
    runs = answer.group.runs
    first, last = answer.days
    day = first if first == last else f"{first} to {last}"
    what = format_many(len(answer.patterns), "access pattern")
    if len(answer.patterns) == 1:
        what = f"access pattern {answer.patterns[0].name}"
    elif not answer.patterns:
        what = ", ".join(dict.fromkeys(run.scenario for run in runs))
    items = f", {answer.items:,} items" if answer.items and answer.patterns else ""
    return f"{runs[0].workload}: {what}{items}, {_where(runs[0])}, {day}"


def _where(run: Run) -> str:
    if run.modelled_of_aws:
        return f"embedded DynamoDB like AWS (modelled: {', '.join(run.modelled_of_aws)})"
    embedded = run.target.get("kind") == "embedded"
    return "embedded DynamoDB" if embedded else target_title(run.target)


# --- tables


def patterns_table(answer: Answer, *, most: int | None = None) -> Table:
    """
    Return every pattern before and after, with a document's figures under those it quotes.

    What costs most comes first.

    Args:
        answer: With its patterns.
        most: How many patterns one screen has room for, where columns are left out rather than
            the table cut; None for all.
    """
    patterns = sorted(answer.patterns, key=partial(_spending, answer), reverse=True)[:most]
    count = len(answer.patterns)
    cut = len(patterns) < count
    return Table(
        name="answer",
        title=f"The {len(patterns)} of {count} patterns that cost most" if cut else "",
        one_piece=most is not None,
        columns=(
            Column(key="pattern", title="pattern", label=True),
            Column(key="ways", title="by", label=True),
            Column(key="units_before", title="RCU", kind=Kind.CAPACITY, group="today", weight=2),
            Column(key="latency_before_s", title="median", kind=Kind.SECONDS, group="today"),
            Column(
                key="units_after",
                title="RCU",
                kind=Kind.CAPACITY,
                group="after",
                weight=2,
                note=notes_of(each.modelled for each in patterns if each.modelled is not None),
            ),
            Column(
                key="latency_after_s", title="median", kind=Kind.SECONDS, group="after", weight=0
            ),
            Column(key="capacity_ratio", title="RCU", kind=Kind.RATIO, group="gain", weight=2),
            Column(key="latency_ratio", title="time", kind=Kind.RATIO, group="gain", weight=0),
            Column(key="wasted", title="wasted", kind=Kind.SHARE),
        ),
        rows=tuple(row for each in patterns for row in _pattern_rows(each)),
    )


def _spending(answer: Answer, finding: PatternFinding) -> tuple[Decimal, float]:
    """Return what to order patterns by: the month's dollars where known, then a call's units."""
    money = answer.money
    spent = money.reads_before if isinstance(money, MonthlyBill) else {}
    # what is asked seldom may read most and cost little
    return spent.get(finding.name, Decimal(0)), finding.before.capacity_units or 0.0


def _pattern_rows(finding: PatternFinding) -> Iterator[Row]:
    before, after, comparison = finding.before, finding.after, finding.comparison
    row: dict[str, Cell] = {
        "pattern": finding.name,
        "ways": f"{before.name}→{after.name}" if after is not None else before.name,
        "units_before": units_cell(before),
        "latency_before_s": _marked(
            _median(before), modelled=before.provenance == Provenance.MODELLED
        ),
        "units_after": None if after is None else units_cell(after),
        "latency_after_s": None if after is None else _median(after),
        "capacity_ratio": None
        if comparison is None
        else _marked(
            _gain(comparison.capacity_ratio),
            modelled=comparison.unchecked or before.units_are_modelled,
        ),
        "latency_ratio": _marked(comparison.latency_ratio, modelled=comparison.unchecked)
        if comparison is not None and comparison.significant
        else None,
        "wasted": before.wasted_share,
    }
    if finding.modelled is None:
        yield row
    else:
        modelled: dict[str, Cell] = {
            "pattern": finding.name,
            "ways": finding.modelled.name,
            "units_after": modelled_cell(finding.modelled),
            "capacity_ratio": Marked(
                value=finding.outcome.modelled_ratio, provenance=Provenance.MODELLED
            ),
        }
        if after is None:
            # one line says both: what is measured of today, and what is modelled of after
            ways = f"{before.name}→{finding.modelled.name}"
            yield {**row, **modelled, "ways": ways}
        else:
            yield row
            yield modelled
    quoted = finding.run.quoted
    if quoted:
        sides = {side: mapping(quoted.get(side)) for side in ("before", "after")}
        wasted, read = (number(sides["before"], key) for key in ("wasted", "items_read"))
        yield {
            "pattern": finding.name,
            "ways": Marked(
                value=Provenance.QUOTED,
                note=_quoted_note(quoted, sides["before"], before),
            ),
            "units_before": number(sides["before"], "rcu"),
            "latency_before_s": number(sides["before"], "latency_s"),
            "units_after": number(sides["after"], "rcu"),
            "latency_after_s": number(sides["after"], "latency_s"),
            "capacity_ratio": number(quoted, "capacity_ratio"),
            "latency_ratio": number(quoted, "latency_ratio"),
            "wasted": wasted / read if wasted is not None and read else None,
        }


def _marked(cell: Cell, *, modelled: bool) -> Cell:
    if not modelled:
        return cell
    if isinstance(cell, Marked):
        return replace(cell, provenance=Provenance.MODELLED)
    return Marked(value=cell, provenance=Provenance.MODELLED)


def _against(comparison: Comparison) -> Cell:
    return _marked(write_short(comparison), modelled=comparison.unchecked)


def _gain(ratio: float | None) -> float | None:
    """Return how many times cheaper, or nothing: 1.00 times is no gain."""
    return None if ratio is None or round(ratio, 2) == 1 else ratio


def _median(variant: Variant) -> float:
    value = percentile(variant.latency_s, 0.5)
    return variant.latency_s.mean if value is None else value


def _quoted_note(
    quoted: Mapping[str, object], before: Mapping[str, object], measured: Variant
) -> str:
    source = str(quoted.get("source") or "the workload file")
    units, strong = number(before, "rcu"), measured.capacity_units_strong
    if units is not None and strong is not None and abs(units - strong) <= strong * 0.1:
        return f"Quoted from: {source}, which counts strongly consistent reads: twice the units."
    return f"Quoted from: {source}."


def _variants_table(run: Run) -> Table:
    """Return every variant of one pattern, against the first of them."""
    compared = {each.candidate: each for each in run.comparisons}
    rows: list[Row] = [
        {
            "variant": each.name,
            "calls": each.calls,
            "units": units_cell(each),
            "latency_s": _marked(
                median_cell(each), modelled=each.provenance == Provenance.MODELLED
            ),
            "wasted": each.wasted_share,
            "against": _against(compared[each.name]) if each.name in compared else "",
        }
        for each in run.variants
    ]
    first = run.variants[0].name if run.variants else ""
    first_units = run.variants[0].capacity_units if run.variants else None
    for modelled in run.modelled:
        ratio = first_units / modelled.capacity_units if first_units else None
        rows.append(
            {
                "variant": modelled.name,
                "units": modelled_cell(modelled),
                "against": Marked(
                    value=f"{format_ratio(ratio)} fewer RCU", provenance=Provenance.MODELLED
                )
                if ratio is not None and ratio > 1 and not modelled.differs
                else "",
            }
        )
    table = Table(
        name="answer",
        title="",
        columns=(
            Column(key="variant", title="variant", label=True),
            Column(key="calls", title="calls", kind=Kind.COUNT, weight=0),
            Column(key="units", title="RCU", kind=Kind.CAPACITY),
            Column(key="latency_s", title="latency", kind=Kind.SECONDS),
            Column(key="wasted", title="wasted", kind=Kind.SHARE),
            Column(key="against", title=f"against {first} (95% interval)"),
        ),
        rows=tuple(rows),
    )
    return first_rows(table, _MOST_ROWS, what="variants")


def _own_table(run: Run) -> Iterator[Table]:
    """Yield the one table that says most of a run of another kind than access patterns."""
    if run.comparisons:
        yield _comparisons_table(run)
    elif run.hours:
        yield _hours_table(run)
    elif run.write_costs:
        yield _writes_table(run)


def _comparisons_table(run: Run) -> Table:
    rows: list[Row] = []
    for each in run.comparisons:
        candidate = run.variant(each.candidate, each.question)
        before = run.variant(each.baseline, each.question)
        rows.append(
            {
                "question": each.question,
                "variant": f"{each.baseline} → {each.candidate}",
                "before_s": None if before is None else median_cell(before),
                "after_s": None if candidate is None else median_cell(candidate),
                "ratio": write_short(each),
            }
        )
    several = len(run.questions) > 1
    table = Table(
        name="answer",
        title="",
        columns=(
            Column(key="question", title="question", label=several, data_only=not several),
            Column(key="variant", title="before → after", label=True),
            Column(key="before_s", title="before", kind=Kind.SECONDS),
            Column(key="after_s", title="after", kind=Kind.SECONDS),
            Column(key="ratio", title="latency (95% interval)"),
        ),
        rows=tuple(rows),
    )
    return first_rows(table, _MOST_ROWS, what="comparisons")


def _hours_table(run: Run) -> Table:
    table = Table(
        name="answer",
        title="",
        columns=(
            Column(key="hour", title="traffic", label=True),
            Column(key="ttl", title="kept", kind=Kind.SECONDS),
            Column(key="hit_rate", title="hits", kind=Kind.SHARE),
            Column(key="mean_s", title="mean", kind=Kind.SECONDS),
            Column(key="units", title="RCU", kind=Kind.CAPACITY),
            Column(key="figures", title="figures"),
        ),
        rows=tuple(
            {
                "hour": each.name,
                "ttl": each.ttl_s,
                "hit_rate": each.cache.hit_rate,
                "mean_s": each.cache.worked_out_mean_s if each.mean_s is None else each.mean_s,
                "units": each.read_units,
                "figures": each.provenance,
            }
            for each in run.hours
        ),
    )
    return first_rows(table, _MOST_ROWS)


def _writes_table(run: Run) -> Table:
    declared = [each for each in run.write_costs if each.declared]
    table = Table(
        name="answer",
        title="Write units of one write",
        columns=(
            Column(key="table", title="table", label=True),
            Column(key="index", title="index", label=True),
            Column(key="insert", title="insert", kind=Kind.CAPACITY),
            Column(key="update", title="update", kind=Kind.CAPACITY),
            Column(key="delete", title="delete", kind=Kind.CAPACITY),
            Column(
                key="stored",
                title="stored",
                kind=Kind.BYTES,
                provenance=Provenance.MODELLED,
            ),
        ),
        rows=tuple(
            {
                "table": each.table,
                "index": each.index or "(the table itself)",
                "insert": _rounded(each.units.get("insert")),
                "update": _rounded(each.units.get("update")),
                "delete": _rounded(each.units.get("delete")),
                "stored": each.stored_bytes,
            }
            for each in declared
        ),
    )
    return first_rows(table, _MOST_ROWS)


def _rounded(units: float | None) -> float | None:
    return None if units is None else round(units, 3)


# --- lines


def _found(answer: Answer) -> Iterator[Statement]:
    phases, cache = answer.phases, answer.cache
    if phases is not None:
        text = (
            f"{phases.question} took {format_seconds(phases.before.latency_s.mean)},"
            f" now {format_seconds(phases.after.latency_s.mean)}"
        )
        if phases.verdict is None:
            yield Statement(text=f"Phases: {text}")
        else:
            yield Statement(
                text=f"Phases: {phases.verdict.ruling}, {phases.kept} of {phases.promises}"
                f" promises kept; {text}",
                tone=_TONES[phases.verdict.ruling],
            )
    if cache is not None:
        yield Statement(
            text=f"Cache: {cache.verdict.ruling}, {_cache_words(cache.ratios, cache.verdict)}",
            tone=_TONES[cache.verdict.ruling],
        )
    for run in answer.group.runs:
        if run.load_test is not None:
            verdict = outcome_of(run.load_test)
            word = "" if verdict.ruling is Ruling.PASS else f" ({verdict.ruling})"
            yield Statement(text=f"Load: {summary_of(run)}{word}", tone=_TONES[verdict.ruling])
            continue
        best = None if run.kind in _SHOWN_ELSEWHERE else fastest(run)
        if best is not None and len(answer.group.runs) > 1:
            about = f"{best.question}, " if len(run.questions) > 1 else ""
            yield Statement(
                text=f"{run.scenario}: {about}{best.candidate} is {_words(write_short(best))} than"
                f" {best.baseline}"
            )
    if answer.money is not None:
        yield Statement(text=f"Cost: {write_money(answer)} (modelled)")


def _words(cell: Cell) -> str:
    return str(plain(cell))


def _cache_words(ratios: Sequence[float], verdict: Verdict) -> str:
    if verdict.ruling is not Ruling.PASS:
        return verdict.evidence or verdict.reason
    least, most = format_ratio(ratios[0]), format_ratio(ratios[-1])
    reach = most if least == most else f"{least} to {most}"
    return f"no call failed with its server killed; warm {reach} faster"


def write_money(answer: Answer) -> str:
    """Return what is paid today and would be, in one sentence without its full stop."""
    money = answer.money
    if isinstance(money, MonthlyBill):
        text = f"{short(money.rate_hz)} requests/s cost {format_usd(float(money.before))} a month"
        return f"{text} today{_or_better(money)}"
    if money is None:
        return "not known"
    of_each = " of each pattern" if len(answer.patterns) > 1 else ""
    text = f"a million calls{of_each} cost {format_usd(float(money.before))}"
    if money.after is not None:
        text += f" today, {format_usd(float(money.after))} after"
    if money.inserts is not None:
        text += (
            f"; the indexes add {format_usd(float(money.inserts))} to a million new items"
            " in each table"
        )
    return text


def _or_better(money: MonthlyBill) -> str:
    """Return what better reads and the cache make of a month, if they change it."""
    better = money.after is not None and money.after != money.before
    text = f", {format_usd(float(money.after or 0))} with the better reads" if better else ""
    if _cache_saves(money):
        return f"{text} and {format_usd(float(money.cached or 0))} behind the cache"
    return text if money.cached is None else f"{text}{_or_cached(money)}"


def _cache_saves(money: MonthlyBill) -> bool:
    uncached = money.before if money.after is None else money.after
    return money.cached is not None and money.cached < uncached


def _outlook(answer: Answer, next_step: str, more: str) -> Iterator[Statement]:
    if answer.doubts:
        yield Statement(text=f"Doubtful: {write_doubts(answer.doubts)}", tone=Tone.WARNING)
    if answer.steps or next_step:
        yield Statement(text=f"Next: {answer.steps[0] if answer.steps else next_step}")
    if more:
        yield Statement(text=f"More: {more}")


def write_doubts(
    doubts: Sequence[str], most: int = _MOST_DOUBTS, *, more: str = "`perfkit report -v`"
) -> str:
    """
    Return doubts in one sentence; those for which there is no room are counted.

    Args:
        doubts: The weightiest first.
        most: Characters there are.
        more: Where all are.
    """
    text = "; ".join(doubts)
    if len(text) <= most:
        return f"{text}."
    kept: list[str] = []
    room = most - len(f"; 99 more: {more}.")
    for each in doubts:
        if kept and len("; ".join([*kept, each])) > room:
            break
        kept.append(each if len(each) <= room else shorten(each, room, placeholder=" …"))
    left = len(doubts) - len(kept)
    return "; ".join(kept) + (f"; {left} more: {more}." if left else ".")


# --- sentences


def sentences(answer: Answer) -> Iterator[Statement]:
    """Yield what is read or paid today, what it could be, and what it takes to get there."""
    if answer.patterns:
        yield _today(answer)
        yield _could_be(answer)
        if answer.indexes is not None and answer.better:
            yield Statement(text=_takes(answer))
    phases, cache = answer.phases, answer.cache
    if phases is not None:
        kept = (
            f"; {phases.kept} of {phases.promises} promises of the phases are kept"
            if phases.promises
            else ""
        )
        before_s, after_s = phases.before.latency_s.mean, phases.after.latency_s.mean
        yield Statement(
            text=f"The service answers in {format_seconds(before_s)} on average at"
            f" {_phase(phases.before)} and in {format_seconds(after_s)} at {_phase(phases.after)}"
            f" ({phases.question}){kept}.",
            tone=Tone.GOOD if after_s < before_s else Tone.WARNING,
        )
    elif cache is not None:
        words = _cache_words(cache.ratios, cache.verdict)
        yield Statement(text=f"Cache: {words}.", tone=_TONES[cache.verdict.ruling])


def _phase(variant: Variant) -> str:
    return variant.name.replace("-", " ")


def _today(answer: Answer) -> Statement:
    money = answer.money
    spent = money.reads_before if isinstance(money, MonthlyBill) else {}
    worst = max(answer.patterns, key=partial(_spending, answer))
    reads = f"{worst.name} reads {_reads(worst.before)} by {worst.before.name}"
    if worst.name in spent:
        reads += f", {format_usd(float(spent[worst.name]))} of it"
    if isinstance(money, MonthlyBill):
        return Statement(
            text=f"Today {short(money.rate_hz)} requests a second cost"
            f" {format_usd(float(money.before))} a month (modelled): {reads}."
        )
    if isinstance(money, MillionCalls):
        return Statement(
            text=f"Today a million calls of each of"
            f" {format_many(len(answer.patterns), 'access pattern')} cost"
            f" {format_usd(float(money.before))} (modelled): {reads}."
            if len(answer.patterns) > 1
            else f"Today a million calls cost {format_usd(float(money.before))} (modelled):"
            f" {reads}."
        )
    return Statement(text=f"Today {reads}.")


def _reads(variant: Variant) -> str:
    units, items = variant.capacity_units, variant.items_read
    parts = [] if items is None else [format_many(items, "item")]
    if units is not None:
        modelled = " (modelled)" if variant.units_are_modelled else ""
        parts.append(f"{format_value(units, Kind.CAPACITY)} RCU{modelled}")
    return " for ".join(parts) or "an unknown number of items"


def _could_be(answer: Answer) -> Statement:
    better, count = answer.better, len(answer.patterns)
    money = answer.money
    if not better:
        text = "No access pattern measured here has a variant that reads less yet"
        faster = [each for each in answer.patterns if each.after is not None]
        if faster:
            text += f"; {', '.join(f'{each.name} is faster by {_by(each)}' for each in faster)}"
        return Statement(text=f"{text}{_or_cached(money)}.")
    best = max(better, key=lambda each: (_saved(each, money), _ratio(each)))
    reads = fewer = ""
    if best.modelled is not None:
        reads = (
            f"{best.name} would take {write_modelled(best.modelled)} by index"
            f" {best.modelled.index}, which does not exist yet"
        )
        fewer = _fewer(_ratio(best))
    elif best.after is not None:
        reads = f"{best.name} reads {_reads(best.after)} by {best.after.name}"
        fewer = _fewer(_ratio(best))
    of = f" ({len(better)} of {count} patterns have a better variant)" if count > 1 else ""
    if isinstance(money, MonthlyBill) and money.after is not None and money.after >= money.before:
        same = money.after == money.before
        text = (
            "Better variants change nothing of that bill"
            if same
            else f"With the better variants it would be {format_usd(float(money.after))} a month,"
            " as indexes are written and stored too"
        )
        return Statement(text=f"{text}{of}: {reads}{fewer}{_or_cached(money)}.")
    return Statement(
        text=f"It could be {_worth(money)}{of}: {reads}{fewer}{_or_cached(money)}.", tone=Tone.GOOD
    )


def _by(finding: PatternFinding) -> str:
    return finding.after.name if finding.after is not None else finding.before.name


def _saved(finding: PatternFinding, money: MillionCalls | MonthlyBill | None) -> Decimal:
    """Return what the better variant of a pattern saves a month of reads; 0 without a month."""
    if not isinstance(money, MonthlyBill):
        return Decimal(0)
    before = money.reads_before.get(finding.name, Decimal(0))
    return before - money.reads_after.get(finding.name, before)


def _or_cached(money: MillionCalls | MonthlyBill | None) -> str:
    """Return what a month costs behind the cache, if nothing better is known."""
    if not isinstance(money, MonthlyBill) or money.cached is None:
        return ""
    if not _cache_saves(money):
        return (
            f"; a cache would cost more than it saves, {format_usd(float(money.cached or 0))} a month"
            " with it"
        )
    if money.after is not None and money.after < money.before:
        # told beside what better variants save
        return ""
    return f"; behind the cache it would be {format_usd(float(money.cached or 0))} a month"


def _fewer(ratio: float) -> str:
    """Return how many fewer read units; 0 where they are not known."""
    if not ratio:
        return ""
    if round(ratio, 2) == 1:
        return ", as many read units"
    return f", {format_value(ratio, Kind.RATIO)} fewer read units"


def _ratio(finding: PatternFinding) -> float:
    if finding.modelled is not None:
        return finding.outcome.modelled_ratio or 0.0
    comparison = finding.comparison
    return 0.0 if comparison is None else comparison.capacity_ratio or 0.0


def _worth(money: MillionCalls | MonthlyBill | None) -> str:
    if money is None or money.after is None:
        return "less"
    text = format_usd(float(money.after))
    if isinstance(money, MillionCalls):
        return text
    cached = (
        f", {format_usd(float(money.cached or 0))} behind the cache" if _cache_saves(money) else ""
    )
    return f"{text} a month{cached}"


def _takes(answer: Answer) -> str:
    indexes = answer.indexes
    if indexes is None:
        return ""
    parts = []
    if indexes.names:
        text = f"{format_many(len(indexes.names), 'index', 'indexes')} ({', '.join(indexes.names)}"
        if indexes.stored_bytes is not None:
            text += f"; {format_bytes(round(indexes.stored_bytes))}"
        text += ")"
        money = answer.money
        if isinstance(money, MillionCalls) and money.inserts is not None:
            text += (
                f", which add {format_usd(float(money.inserts))} to a million new items in each"
                " table"
            )
        parts.append(text)
    if indexes.there:
        many = format_many(len(indexes.there), "index", "indexes")
        parts.append(f"reads by {many} already there ({', '.join(indexes.there)})")
    if indexes.by_key:
        parts.append(f"reads by key for {', '.join(indexes.by_key)}")
    if indexes.batched:
        parts.append(f"batches for {', '.join(indexes.batched)}")
    return f"To get there takes {', and '.join(parts)}."
