"""Instances for a rate before and after, and what auto scaling does, as blocks and as JSON."""

from collections.abc import Iterator, Mapping

from perfkit.analysis.fleet import REPLAYED_S, Fleet
from perfkit.cost.instances import INSTANCE_CAVEAT
from perfkit.cost.quantities import short
from perfkit.cost.scaling import POLICY_SOURCES, Replay
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
)
from perfkit.runs import Run
from perfkit.units import TIMES, format_duration, format_many, format_seconds, format_share

__all__ = ["commands_for", "fleet_blocks", "fleet_document", "scaling_words"]

_MODELLED = Provenance.MODELLED
_MOST_SIZES = 5
_FEW = 100
"""Requests of which a mean says little."""

_ENGINE = (
    "The embedded engine works in the service's own processes, so its work is in this CPU, most of"
    " all where it scans; on AWS DynamoDB does it. `perfkit dynamodb` in another terminal, `perfkit"
    " seed` and `perfkit load`, both with --target http://127.0.0.1:8000, measure without it."
)
_UNLIMITED = (
    "Where credits run out, an instance falls to its baseline, or, in unlimited mode, which is the"
    " default of T3 and T4g, what is used beyond it is billed: that is in no amount here."
)
_QUEUE = (
    "Nothing is assumed about queues: p95 is taken to hold as long as no vCPU is busier than the"
    " busiest process of a load test that kept it, and failed nothing."
)


def fleet_blocks(
    fleets: Mapping[str, Fleet],
    rate_hz: float,
    missing: tuple[str, ...],
    *,
    verbose: bool,
) -> tuple[Block, ...]:
    """
    Return what there is to show.

    Args:
        fleets: By side, `before` and `after`.
        rate_hz: Requests a second.
        missing: What no run says, with what to type.
        verbose: Show how each figure came about, and each scale event.
    """
    some = next(iter(fleets.values()))
    blocks: list[Block] = [_instances(fleets, rate_hz), _scaling(fleets)]
    doubts = [*_doubts(fleets)]
    blocks.append(
        Statements(
            name="doubts",
            title="What to heed",
            statements=tuple(
                Statement(text=each, tone=Tone.WARNING if number < len(doubts) else Tone.FAINT)
                for number, each in enumerate((*doubts, *_assumed(some)))
            ),
        )
    )
    if verbose:
        blocks += _arithmetic(fleets)
    if missing:
        blocks.append(
            Statements(
                name="missing",
                title="What no run says, and what measures it",
                statements=tuple(Statement(text=each, tone=Tone.FAINT) for each in missing),
            )
        )
    return tuple(blocks)


def _instances(fleets: Mapping[str, Fleet], rate_hz: float) -> Table:
    some = next(iter(fleets.values()))
    return Table(
        name="instances",
        title=f"{some.kind.name} for {short(rate_hz)} requests/s around the clock, p95 below"
        f" {format_seconds(some.limit_s)}",
        main=True,
        columns=(
            Column(key="side", title="", label=True),
            Column(key="run", title="load test", group="measured"),
            Column(key="cpu_s", title="CPU each", kind=Kind.SECONDS, group="measured"),
            Column(key="p95_s", title="p95", kind=Kind.SECONDS, group="measured"),
            Column(
                key="busy_share",
                title="busiest",
                kind=Kind.SHARE,
                note="How busy processes were at most, of a core, in a load test that kept p95.",
                group="measured",
            ),
            Column(key="count", title="instances", kind=Kind.COUNT, provenance=_MODELLED),
            Column(key="bound", title="decided by"),
            Column(key="usd", title="a month", kind=Kind.USD, provenance=_MODELLED),
            Column(key="bursting", title="on credits", provenance=_MODELLED),
        ),
        rows=tuple(_row(side, fleet) for side, fleet in fleets.items()),
    )


def _row(side: str, fleet: Fleet) -> Row:
    measured = fleet.measured
    count: Cell = fleet.for_good.count
    if fleet.busy is None:
        count = Marked(
            value=fleet.for_good.count,
            note="For processor time alone: no load test of it kept p95.",
            tone=Tone.WARNING,
            provenance=_MODELLED,
        )
    return {
        "side": side,
        "run": measured.title,
        "cpu_s": measured.cpu_s,
        "p95_s": measured.p95_s,
        "busy_share": None if fleet.busy is None else round(fleet.busy.share, 3),
        "count": count,
        "bound": "baseline" if fleet.for_good.bound == "baseline" else "busiest",
        "usd": fleet.usd,
        "bursting": _on_credits(fleet),
    }


def _on_credits(fleet: Fleet) -> str | None:
    if fleet.bursting is None:
        return None
    if fleet.lasts_s is None:
        return f"{fleet.bursting} for good"
    return f"{fleet.bursting} for {format_duration(fleet.lasts_s)}"


def _scaling(fleets: Mapping[str, Fleet]) -> Table:
    some = next(iter(fleets.values())).scaling
    policy = some.policy
    return Table(
        name="scaling",
        title=f"Auto scaling at {format_share(policy.target)} CPU, {policy.least} to {policy.most}"
        f" instances: each test at its own rate for {format_duration(REPLAYED_S)}",
        columns=(
            Column(key="side", title="", label=True),
            Column(key="cpu_share", title="CPU of a process", kind=Kind.SHARE),
            Column(key="events", title="scale events", kind=Kind.COUNT, provenance=_MODELLED),
            Column(key="start", title="at first", kind=Kind.COUNT, group="instances"),
            Column(
                key="end",
                title="at last",
                kind=Kind.COUNT,
                group="instances",
                provenance=_MODELLED,
            ),
        ),
        rows=tuple(
            {
                "side": side,
                "cpu_share": round(fleet.measured.busy_share, 3),
                "events": len(fleet.scaling.events),
                "start": fleet.scaling.start,
                "end": fleet.scaling.end,
            }
            for side, fleet in fleets.items()
        ),
    )


def scaling_words(replay: Replay) -> str:
    """Return what became of a group in an hour, in a few words: `2 scale events (1 → 2 → 4)`."""
    if replay.is_stable:
        return "no scale events"
    sizes = [replay.start, *(each.after for each in replay.events)]
    shown = [*sizes[:_MOST_SIZES], *(["…"] if sizes[_MOST_SIZES:] else [])]
    events = format_many(len(replay.events), "scale event")
    return f"{events} ({' → '.join(map(str, shown))})"


def _doubts(fleets: Mapping[str, Fleet]) -> Iterator[str]:
    """Yield what speaks against the figures of one side or of both."""
    for side, fleet in fleets.items():
        measured, test = fleet.measured, fleet.measured.run.load_test
        for reason in () if test is None else test.invalid:
            yield f"{side}: the load test is INVALID: {reason}."
        if measured.requests < _FEW:
            yield (
                f"{side}: only {format_many(measured.requests, 'request')} ended while it was measured;"
                " raise --duration of `perfkit load`."
            )
        if fleet.busy is None:
            p95 = (
                "" if measured.p95_s is None else f", {format_seconds(measured.p95_s)} in this one"
            )
            yield (
                f"{side}: no load test of it kept p95 below {format_seconds(fleet.limit_s)}{p95}; more"
                " instances are not known to help."
            )
        if measured.failed_share:
            share = format_share(measured.failed_share)
            yield f"{side}: {share} of the requests failed, and their CPU is in the mean."
        if fleet.scaling.short_min:
            minutes = format_many(fleet.scaling.short_min, "minute")
            yield (
                f"{side}: for {minutes} auto scaling saw 100%, so at least so much was asked for; users"
                " who wait ask more as soon as they are answered sooner."
            )
        if test is not None and test.settings.service_workers is None:
            yield (
                f"{side}: the run does not say how many processes the service had; taken for"
                f" {measured.workers} an instance."
            )
    if any(fleet.measured.run.target.get("kind") == "embedded" for fleet in fleets.values()):
        yield _ENGINE


def _assumed(some: Fleet) -> Iterator[str]:
    yield INSTANCE_CAVEAT
    yield _QUEUE
    if some.kind.credits_an_hour is not None:
        yield _UNLIMITED


def _arithmetic(fleets: Mapping[str, Fleet]) -> Iterator[Block]:
    for side, fleet in fleets.items():
        events = (
            f"minute {each.minute}: {each.before} → {each.after} instances at"
            f" {format_share(round(each.used, 3))} CPU"
            for each in fleet.scaling.events
        )
        yield Statements(
            name=f"arithmetic-{side}",
            title=f"How it came about: {side}",
            statements=tuple(Statement(text=f"{text}.") for text in (*fleet.arithmetic(), *events)),
        )
    policy = next(iter(fleets.values())).scaling.policy
    yield Statements(
        name="policy",
        title="The policy",
        statements=(
            Statement(
                text=f"It grows after {policy.out_after} one-minute datapoints above"
                f" {format_share(policy.target)}, to instances {TIMES} CPU ÷ target, rounded up, and shrinks after"
                f" {policy.in_after} below {format_share(policy.target * policy.in_below)}; a new"
                f" instance counts after {policy.warm_up_min} minutes, until when nothing shrinks."
            ),
            Statement(text=f"Sources: {POLICY_SOURCES}; {_source(fleets)}.", tone=Tone.FAINT),
        ),
    )


def _source(fleets: Mapping[str, Fleet]) -> str:
    return next(iter(fleets.values())).kind.source


def fleet_document(
    fleets: Mapping[str, Fleet], rate_hz: float, limit_s: float, missing: tuple[str, ...]
) -> dict[str, object]:
    """Return the same as plain JSON values; all but what is under `measured` is modelled."""
    some = next(iter(fleets.values()))
    policy = some.scaling.policy
    return {
        "format": 1,
        "kind": "fleet",
        "rate_hz": rate_hz,
        "p95_limit_s": limit_s,
        "instance": {
            "type": some.kind.name,
            "vcpus": some.kind.vcpus,
            "baseline_vcpus": some.kind.baseline_vcpus,
            "credits_an_hour": some.kind.credits_an_hour,
            "most_credits": some.kind.most_credits,
            "source": some.kind.source,
        },
        "policy": {
            "target_cpu_share": policy.target,
            "min": policy.least,
            "max": policy.most,
            "warm_up_min": policy.warm_up_min,
            "out_after_datapoints": policy.out_after,
            "in_after_datapoints": policy.in_after,
            "in_below_cpu_share": policy.target * policy.in_below,
            "source": POLICY_SOURCES,
        },
        "sides": {side: _document(fleet) for side, fleet in fleets.items()},
        "missing": list(missing),
        "warnings": [*_doubts(fleets), *_assumed(some)],
    }


def _document(fleet: Fleet) -> dict[str, object]:
    measured, busy, scaling = fleet.measured, fleet.busy, fleet.scaling
    return {
        "measured": {
            "run": measured.run.id,
            "subject": measured.title,
            "requests_per_s": measured.rate_hz,
            "failed_share": measured.failed_share,
            "p95_s": measured.p95_s,
            "cpu_s": measured.cpu_s,
            "cores": measured.cores,
            "instances": measured.instances,
            "workers": measured.workers,
            "busiest_with_p95_kept": None
            if busy is None
            else {"share": busy.share, "requests_per_s": busy.rate_hz, "run": busy.run},
        },
        "provenance": _MODELLED.value,
        "p95_kept": busy is not None,
        "instances": fleet.for_good.count,
        "decided_by": fleet.for_good.bound,
        "usd_a_month": fleet.usd,
        "bursting": None
        if fleet.bursting is None
        else {"instances": fleet.bursting, "lasts_s": fleet.lasts_s},
        "scaling": {
            "minutes": scaling.minutes,
            "start": scaling.start,
            "end": scaling.end,
            "stable": scaling.is_stable,
            "minutes_without_cpu_to_spare": scaling.short_min,
            "events": [
                {
                    "minute": each.minute,
                    "before": each.before,
                    "after": each.after,
                    "cpu_share": each.used,
                }
                for each in scaling.events
            ],
        },
        "arithmetic": list(fleet.arithmetic()),
    }


def commands_for(missing: tuple[str, ...], beside: Run | None) -> tuple[str, ...]:
    """
    Return what to type for the sides that no run is there of.

    Args:
        missing: `before`, `after` or both.
        beside: The run of the other side; None where there is none.
    """
    like = " --like-aws" if beside is not None and beside.modelled_of_aws else ""
    phases = {"before": 0, "after": 3}
    return tuple(
        f"{side}: `perfkit load --phase {phases[side]} --duration 5m{like}`" for side in missing
    )
