"""A service that was changed while it was under load: the answer, its timeline, its stages."""

from collections.abc import Callable, Iterable, Iterator

from perfkit.analysis.load_runs import asked, subject_of, validity
from perfkit.analysis.load_stages import Passage, passage_of
from perfkit.analysis.percentiles import percentile
from perfkit.analysis.selection import Selection
from perfkit.report.about import facts_of
from perfkit.report.figures import format_value
from perfkit.report.model import (
    Block,
    Column,
    Curve,
    Curves,
    Gauge,
    Gauges,
    Kind,
    Panel,
    Point,
    Row,
    Scale,
    Section,
    Statement,
    Statements,
    Table,
    Tone,
    VerticalLine,
)
from perfkit.report.percentiles import few_notes
from perfkit.runs import LoadSecond, LoadStage, LoadTest, Run, Variant
from perfkit.units import format_many, format_ratio, format_seconds, format_share

__all__ = ["build", "headline", "screen", "timeline"]

_LEAST_S = 0.5
"""A last second that was shorter is left out: a single request would be a high rate."""

_FEW = 100
"""Requests of which a percentile says little."""

_BETWEEN_NOTE = (
    "Of whole seconds in which the service stayed as it was. Those in which its instances were"
    " replaced are of no stage; the sums above count them."
)

_THROTTLED_NOTE = "Calls that DynamoDB refused for lack of capacity, repeats too."


def build(selection: Selection) -> Iterable[Section]:
    """Yield a section for each load test with stages."""
    for run in selection.runs:
        if run.load_test is None or not run.load_test.stages:
            continue
        yield Section(
            name="load-stages",
            subject=subject_of(run),
            title=f"Under load: {subject_of(run)}",
            blocks=tuple(_blocks(run, run.load_test)),
            facts=facts_of(run),
        )


def headline(run: Run) -> str:
    """Return what a run shows, as a page calls itself."""
    passage = passage_of(run)
    if passage is None or passage.test.interrupted:
        return "Under load while it was changed"
    if passage.is_calm:
        return f"From {passage.before.name} to {passage.after.name} without a failed request"
    if passage.throttles and passage.calm_from:
        return f"The throttling ends with {_event_of(passage.test, passage.calm_from)}"
    return f"From {passage.before.name} to {passage.after.name} under load"


def _event_of(test: LoadTest, stage: str) -> str:
    """Return with what a stage began; its own name where that was not noted."""
    # not by its time: the stage's first whole second may begin a little before it was noted
    return next((each.name for each in test.events if each.name.startswith(f"{stage}:")), stage)


def screen(run: Run) -> tuple[Block, ...]:
    """Return what fits one screen, the answer first."""
    test, passage = run.load_test, passage_of(run)
    if test is None:
        return ()
    blocks: list[Block] = [Statements(name="answer", statements=tuple(_answer(run, passage)))]
    if test.stages:
        blocks.append(_stages(test))
    if test.events:
        blocks.append(_events(test))
    return tuple(blocks)


def _blocks(run: Run, test: LoadTest) -> Iterator[Block]:
    passage = passage_of(run)
    yield Statements(name="answer", statements=tuple(_answer(run, passage)))
    if passage is not None:
        yield Gauges(name="before-after", title="", panels=tuple(_panels(passage)))
    yield from timeline(test)
    yield _stages(test)
    if test.events:
        yield _events(test)


# ---- the answer --------------------------------------------------------------------------


def _answer(run: Run, passage: Passage | None) -> Iterator[Statement]:
    test = run.load_test
    if test is None:
        return
    if test.interrupted:
        yield Statement(
            text=f"Interrupted after {format_seconds(test.measured_s)}: what follows is of that time.",
            tone=Tone.WARNING,
        )
    if passage is not None:
        yield _failures(passage)
        yield from _changes(passage)
        yield from _few(test)
    items = run.settings.get("items")
    of = f", on {items:,} items" if isinstance(items, int) else ""
    yield Statement(text=f"{asked(test)}{of}.", tone=Tone.FAINT)
    for doubt in run.warnings:
        yield Statement(text=f"{str(doubt)[0].upper()}{str(doubt)[1:]}.", tone=Tone.WARNING)
    for reason in (
        validity(test).reason.split("; ") if test.invalid and not test.interrupted else ()
    ):
        yield Statement(text=f"INVALID: {reason}.", tone=Tone.WARNING)


def _failures(passage: Passage) -> Statement:
    requests = format_many(passage.requests, "request")
    way = f"the service went from {passage.before.name} to {passage.after.name}"
    if passage.is_calm:
        return Statement(text=f"No request failed of {requests} while {way}.", tone=Tone.GOOD)
    parts = []
    if passage.throttles:
        parts.append(f"DynamoDB refused {format_many(passage.throttles, 'call')}")
    if passage.errors:
        share = format_share(passage.errors / passage.requests)
        parts.append(f"{passage.errors:,} of {requests} failed ({share})")
    text = " and ".join(parts) + f" while {way}"
    if not passage.calm_from:
        return Statement(text=f"{text}.", tone=Tone.WARNING)
    return Statement(text=f"{text}; from {passage.calm_from} on, none.", tone=Tone.GOOD)


def _changes(passage: Passage) -> Iterator[Statement]:
    before, after = passage.before.figures, passage.after.figures
    if before is None or after is None:
        return
    parts = []
    for what, kind, unit, ratio, of in (
        (
            "the 95th percentile of the response time",
            Kind.SECONDS,
            "",
            passage.latency_ratio,
            lambda each: percentile(each.latency_s, 0.95),
        ),
        (
            "what a request reads",
            Kind.CAPACITY,
            " RCU",
            passage.capacity_ratio,
            lambda each: each.capacity_units,
        ),
    ):
        if ratio is not None:
            parts.append(
                f"{what} went from {format_value(of(before), kind)}{unit} to"
                f" {format_value(of(after), kind)}{unit} ({format_ratio(ratio)})"
            )
    if parts:
        text = ", ".join(parts)
        yield Statement(text=f"{text[0].upper()}{text[1:]}.")
    if before.http is not None and after.http is not None:
        users = format_many(passage.test.settings.users, "user")
        rates = [format_value(_rate(each), Kind.COUNT) for each in (before, after)]
        yield Statement(
            text=f"The same {users} made {rates[0]} requests a second at first, {rates[1]} in the end."
        )


def _few(test: LoadTest) -> Iterator[Statement]:
    few = [
        f"{format_many(each.figures.requests, 'request')} at {each.name}"
        for each in test.stages
        if each.figures is not None and each.figures.requests < _FEW
    ]
    if few:
        yield Statement(
            text=f"Doubtful: there were only {', '.join(few)}, and percentiles of fewer than {_FEW}"
            " vary much from one time to the next; more --users or a longer --pace make more.",
            tone=Tone.WARNING,
        )


# ---- before and after --------------------------------------------------------------------


def _panels(passage: Passage) -> Iterator[Panel]:
    sides = (passage.before, passage.after)
    for stage in sides:
        figures = stage.figures
        if figures is None:
            continue
        length = format_seconds(stage.end_s - stage.start_s)
        failed = figures.errors / figures.requests
        yield Panel(
            title=stage.name,
            gauges=tuple(_gauges(stage, sides)),
            status=f"{format_share(failed)} failed" if failed else "none failed",
            reason=f"{format_many(figures.requests, 'request')} in {length}",
            tone=Tone.WARNING if failed else Tone.GOOD if stage is passage.after else Tone.PLAIN,
        )


_Figure = Callable[[Variant], float | None]


def _gauges(stage: LoadStage, sides: tuple[LoadStage, LoadStage]) -> Iterator[Gauge]:
    figures: tuple[tuple[str, Kind, str, _Figure], ...] = (
        ("response time, median", Kind.SECONDS, "", lambda each: percentile(each.latency_s, 0.5)),
        ("response time, p95", Kind.SECONDS, "", lambda each: percentile(each.latency_s, 0.95)),
        ("read units of a request", Kind.CAPACITY, " RCU", lambda each: each.capacity_units),
        ("requests answered", Kind.COUNT, "/s", _answered_per_s),
    )
    for label, kind, unit, of in figures:
        values = [None if each.figures is None else of(each.figures) for each in sides]
        most = max((each for each in values if each is not None), default=0.0)
        value = None if stage.figures is None else of(stage.figures)
        yield Gauge(
            label=label,
            value=value,
            kind=kind,
            fill=None if value is None or not most else value / most,
            tone=Tone.GOOD if stage is sides[-1] else Tone.PLAIN,
            unit=unit,
        )


def _answered_per_s(variant: Variant) -> float | None:
    rate = _rate(variant)
    if rate is None:
        return None
    return _rounded(rate * (1 - variant.errors / variant.requests))


def _rate(variant: Variant) -> float | None:
    return None if variant.http is None else _rounded(variant.http.requests_per_s)


def _rounded(rate: float) -> float:
    return round(rate, 1 if rate < 100 else 0)


# ---- the timeline ------------------------------------------------------------------------


def timeline(test: LoadTest) -> Iterator[Curves]:
    """Yield what a load test was like from second to second; read units where the service says them."""
    lines = tuple(VerticalLine(x=each.at_s, label=each.name) for each in test.events)
    seconds = _whole_seconds(test)

    def chart(name: str, title: str, y: tuple[str, Kind, bool], *curves: Curve) -> Curves:
        y_title, kind, logarithmic = y
        return Curves(
            name=name,
            title=title,
            x_title="since the first request",
            x_kind=Kind.SECONDS,
            y_title=y_title,
            y_kind=kind,
            y_scale=Scale.LOGARITHMIC if logarithmic else Scale.LINEAR,
            curves=curves,
            lines=lines,
            wide=True,
        )

    def curve(label: str, of: Callable[[LoadSecond], float | None], *, rate: bool) -> Curve:
        return Curve(
            label=label,
            points=tuple(
                Point(each.at_s, value / length_s if rate else value)
                for each, length_s in seconds
                if (value := of(each)) is not None
            ),
        )

    yield chart(
        "timeline-latency",
        "Response time",
        ("response time", Kind.SECONDS, True),
        curve("95th percentile", lambda each: each.p95_s, rate=False),
        curve("median", lambda each: each.p50_s, rate=False),
    )
    if any(each.read_units is not None for each in test.seconds):
        yield chart(
            "timeline-read-units",
            "Read units a second",
            ("RCU/s", Kind.COUNT, False),
            # a second without an answer says nothing, and read nothing
            curve("read units", lambda each: each.read_units or 0.0, rate=True),
        )
    yield chart(
        "timeline-requests",
        "Requests answered a second",
        ("a second", Kind.COUNT, False),
        curve("answered", lambda each: each.requests - each.errors, rate=True),
    )
    title = "Failed requests a second"
    failures = [curve("failed requests", lambda each: each.errors, rate=True)]
    if any(each.throttles is not None for each in test.seconds):
        title = "Failed requests and throttled calls a second"
        failures.append(curve("throttled calls", lambda each: each.throttles or 0, rate=True))
    # nothing is to be seen where nothing failed, and the table says so
    if any(each.errors or each.throttles for each in test.seconds):
        yield chart("timeline-failures", title, ("a second", Kind.COUNT, False), *failures)


def _whole_seconds(test: LoadTest) -> list[tuple[LoadSecond, float]]:
    """Return the seconds until users leave, with how long each of them really was."""
    # at a rate users leave as soon as no request is left for them, well before the last one
    at_rate = test.settings.rate_hz is not None
    most = max((each.users for each in test.seconds), default=0)
    end = max(
        (
            number
            for number, each in enumerate(test.seconds, 1)
            if (each.requests if at_rate else each.users == most)
        ),
        default=0,
    )
    found, before_s = [], 0.0
    for each in test.seconds[:end]:
        length_s = each.at_s - before_s
        if length_s >= _LEAST_S:
            found.append((each, length_s))
            before_s = each.at_s
    return found


# ---- stages and events -------------------------------------------------------------------


def _stages(test: LoadTest) -> Table:
    variants = tuple(each.figures for each in test.stages if each.figures is not None)
    return Table(
        name="stages",
        title="Stage by stage",
        main=True,
        notes=(_BETWEEN_NOTE, *few_notes(variants, 0.95)),
        columns=(
            Column(key="stage", title="stage", label=True),
            Column(key="p50_s", title="p50", kind=Kind.SECONDS, group="response time"),
            Column(key="p95_s", title="p95", kind=Kind.SECONDS, group="response time"),
            Column(key="capacity_units", title="RCU", kind=Kind.CAPACITY),
            Column(key="hit_rate", title="hits", kind=Kind.SHARE),
            Column(key="requests_per_s", title="/s", kind=Kind.COUNT, group="requests"),
            Column(key="errors", title="failed", kind=Kind.COUNT, group="requests"),
            Column(key="throttles", title="throttled", kind=Kind.COUNT, note=_THROTTLED_NOTE),
            Column(key="requests", title="requests", kind=Kind.COUNT, data_only=True),
            Column(key="start_s", title="from", kind=Kind.SECONDS, data_only=True),
            Column(key="end_s", title="to", kind=Kind.SECONDS, data_only=True),
        ),
        rows=tuple(map(_row, test.stages)),
    )


def _row(stage: LoadStage) -> Row:
    row: dict[str, float | str | None] = {
        "stage": stage.name,
        "start_s": stage.start_s,
        "end_s": stage.end_s,
    }
    figures = stage.figures
    if figures is None:
        return row
    return row | {
        "p50_s": percentile(figures.latency_s, 0.5),
        "p95_s": percentile(figures.latency_s, 0.95),
        "capacity_units": figures.capacity_units,
        "hit_rate": figures.hit_rate,
        "requests_per_s": _rate(figures),
        "requests": figures.requests,
        "errors": figures.errors,
        "throttles": None if figures.http is None else figures.http.throttles,
    }


def _events(test: LoadTest) -> Table:
    return Table(
        name="events",
        title="What was done meanwhile",
        columns=(
            Column(key="at_s", title="at", kind=Kind.SECONDS),
            Column(key="event", title="event", label=True),
            Column(key="detail", title="what"),
        ),
        rows=tuple(
            {"at_s": each.at_s, "event": each.name, "detail": each.detail} for each in test.events
        ),
    )
