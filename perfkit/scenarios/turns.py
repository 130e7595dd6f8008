"""
Measuring ways to answer that are no single DynamoDB operation: through the cache, over HTTP.

As in `comparison`, ways take their turns in interleaved rounds and only equal answers are
compared. A way says itself what a turn took, so that it may be many requests at a time, made by
another process.
"""

import gc
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from perfkit.errors import ResultsDifferError
from perfkit.measure.doubts import (
    OUTLIERS,
    WIDE,
    Doubt,
    doubt_intervals,
    doubt_machine,
    doubt_series,
)
from perfkit.measure.histogram import Histogram
from perfkit.measure.machine import Load, LoadBetween, describe_machine
from perfkit.measure.rounds import FEWEST_ROUNDS, GC_POLICY, NO_WARM_UP_S, Plan, Series
from perfkit.measure.statistics import Ratio, paired_ratio, summarize
from perfkit.results import CacheFigures, Comparison, ServiceFigures, Variant
from perfkit.scenarios.base import Context, Progress

__all__ = ["Budget", "Facts", "Tally", "Turn", "Way", "Ways", "compare_ways", "measure_ways"]

_FEWEST_IF_LONG = 3
_LONG_ROUND_S = 2.0
_WANTED_ROUNDS = 10
_MOST_CALLS_A_TURN = 2_000


@dataclass(slots=True, kw_only=True)
class Turn:
    """
    What the calls of one turn took.

    Attributes:
        samples_s: Latency of each call.
        elapsed_s: Of the whole turn, as far as it is measured.
        cpu_s: Processor time of whoever answered: this process, or the service's. None: unknown.
        read_units: Of all calls; None if the target does not say.
        requests: To DynamoDB or to the service.
        errors: Calls that failed.
        digest: Tells the answer from others, whatever its order; "" if there was none.
        body_bytes: Size of one answer.
        items: In one answer.
        cache: By what the cache had to say (HIT, MISS, ERROR): calls, and seconds together.
        stages_s: By stage, seconds of all calls together.
        healthy: Whether the service said that it works.
    """

    samples_s: list[float]
    elapsed_s: float
    cpu_s: float | None = None
    read_units: float | None = 0.0
    requests: int = 0
    errors: int = 0
    digest: str = ""
    body_bytes: int | None = None
    items: int = 0
    cache: dict[str, tuple[int, float]] = field(default_factory=dict)
    stages_s: dict[str, float] = field(default_factory=dict)
    healthy: bool = True


class Way(Protocol):
    """One way to answer a question."""

    @property
    def name(self) -> str:
        """What the variant is called."""

    @property
    def question(self) -> str:
        """What it answers; ways of one question must answer alike."""

    @property
    def operation(self) -> str:
        """What is called."""

    @property
    def concurrency(self) -> int:
        """Calls under way at once."""

    @property
    def switches(self) -> Mapping[str, bool] | None:
        """Of the service that answers; None where there is none."""

    def turn(self, calls: int) -> Turn:
        """Answer so often, and say what it took; what is prepared before is not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """
    How much measuring a way gets.

    Args:
        turn_s: Seconds a turn should last, if a call is shorter.
        least_calls: Calls of a turn however long they take.
        most_s: Seconds all its turns may take together; a way that has had them sits out the
            rest of the rounds. At least one turn is taken.
        most_turns: Likewise, by number.
        counts_from_s: A first turn that lasts this long is no warm-up, and counts.
    """

    turn_s: float
    least_calls: int = 1
    most_calls: int = _MOST_CALLS_A_TURN
    most_s: float = float("inf")
    most_turns: float = float("inf")
    counts_from_s: float = NO_WARM_UP_S

    def is_spent_by(self, tally: "Tally") -> bool:
        """Tell whether a way has had its turns."""
        return tally.elapsed_s >= self.most_s or tally.turns >= self.most_turns


@dataclass(slots=True)
class Tally:
    """What the turns of one way took together."""

    series: Series = field(default_factory=Series)
    # rounds in which it had its turn
    rounds: list[int] = field(default_factory=list)
    elapsed_s: float = 0.0
    cpu_s: float | None = 0.0
    read_units: float | None = 0.0
    requests: int = 0
    errors: int = 0
    items: int = 0
    body_bytes: int | None = None
    digest: str = ""
    cache: dict[str, tuple[int, float]] = field(default_factory=dict)
    stages_s: dict[str, float] = field(default_factory=dict)
    turns: int = 0
    healthy_turns: int = 0

    def add(self, number: int, turn: Turn) -> None:
        """Take in the turn of round *number*."""
        self.series.samples_s.extend(turn.samples_s)
        self.series.rounds_s.append(statistics.median(turn.samples_s))
        self.series.cpu_s += turn.cpu_s or 0.0
        self.rounds.append(number)
        self.elapsed_s += turn.elapsed_s
        self.cpu_s = _sum(self.cpu_s, turn.cpu_s)
        self.read_units = _sum(self.read_units, turn.read_units)
        self.requests += turn.requests
        self.errors += turn.errors
        self.items, self.body_bytes = turn.items, turn.body_bytes
        self.digest = turn.digest
        self.turns += 1
        self.healthy_turns += turn.healthy
        for state, (count, seconds) in turn.cache.items():
            before = self.cache.get(state, (0, 0.0))
            self.cache[state] = (before[0] + count, before[1] + seconds)
        for stage, seconds in turn.stages_s.items():
            self.stages_s[stage] = self.stages_s.get(stage, 0.0) + seconds

    def rounds_in(self, numbers: Sequence[int]) -> list[float]:
        """Return the median of each of these rounds."""
        by_round = dict(zip(self.rounds, self.series.rounds_s, strict=True))
        return [by_round[number] for number in numbers]


def _sum(total: float | None, more: float | None) -> float | None:
    return None if total is None or more is None else total + more


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """What measuring some ways gave."""

    variants: tuple[Variant, ...]
    tallies: Mapping[tuple[str, str], Tally]


def measure_ways(
    scenario: str,
    ways: Sequence[Way],
    context: Context,
    *,
    budget: Callable[[Way], Budget],
    time_share: float = 1.0,
    fewest_rounds: int = FEWEST_ROUNDS,
    share: tuple[float, float] = (0.0, 1.0),
) -> Ways:
    """
    Measure ways in interleaved rounds, after a turn of each that does not count unless it is long.

    With `iterations` there are so many rounds of `least_calls` each. Otherwise rounds go on for
    the plan's time, up to ten of them where they are short; at least three where they are long.

    Args:
        scenario: Name, for progress.
        ways: Each with a name of its own within its question.
        context: What to measure with.
        budget: How much each gets.
        time_share: Of the plan's time, where a scenario measures several questions.
        fewest_rounds: However long they take, unless they take longer than two seconds.
        share: Of the scenario's progress, from and to.

    Raises:
        ResultsDifferError: Two ways of one question answered differently.
        TargetError: A way could not be asked.
    """
    plan = context.options.plan
    budgets = {_key(way): budget(way) for way in ways}
    tallies = {_key(way): Tally() for way in ways}
    digests: dict[str, tuple[str, str]] = {}
    expected_s: dict[tuple[str, str], float] = {}
    low, high = share
    kept: dict[tuple[str, str], Turn] = {}
    for way in reversed(ways):
        context.progress(Progress(scenario, f"checking {way.question} {way.name}".strip(), low))
        allowed = budgets[_key(way)]
        turn = way.turn(allowed.least_calls)
        _check(digests, way, turn)
        expected_s[_key(way)] = statistics.median(turn.samples_s)
        if plan.iterations is None and turn.elapsed_s >= allowed.counts_from_s:
            kept[_key(way)] = turn
    shuffle = random.Random(plan.random_seed).shuffle  # noqa: S311 - an order, no secret
    order = list(ways)
    number, spent_s = 0, sum(turn.elapsed_s for turn in kept.values())
    while True:
        shuffle(order)
        gc.collect()
        started_s = time.perf_counter()
        for way in order:
            key = _key(way)
            allowed, tally = budgets[key], tallies[key]
            if plan.iterations is None and allowed.is_spent_by(tally):
                continue
            calls = allowed.least_calls
            if plan.iterations is None:
                calls = _calls_in(allowed, expected_s[key], way.concurrency)
            turn = kept.pop(key) if key in kept else way.turn(calls)
            _check(digests, way, turn)
            tally.add(number, turn)
            expected_s[key] = statistics.median(turn.samples_s)
        spent_s += time.perf_counter() - started_s
        number += 1
        wanted = _rounds(plan, spent_s / number, time_share, fewest_rounds)
        done = min(number / wanted, 1.0)
        context.progress(Progress(scenario, "measuring", low + (high - low) * done))
        if number >= wanted:
            break
    return Ways(
        variants=tuple(_variant(way, tallies[_key(way)], context) for way in ways),
        tallies=tallies,
    )


def _key(way: Way) -> tuple[str, str]:
    return way.question, way.name


def _rounds(plan: Plan, round_s: float, time_share: float, fewest: int) -> int:
    if plan.iterations is not None:
        return plan.iterations
    floor = _FEWEST_IF_LONG if round_s > _LONG_ROUND_S else fewest
    in_time = round(plan.min_time_s * time_share / max(round_s, 1e-6))
    return max(floor, min(_WANTED_ROUNDS, in_time))


def _calls_in(budget: Budget, call_s: float, concurrency: int) -> int:
    """Return how many calls fill a turn; fixed before it begins, so that no slow call ends one."""
    wanted = round(budget.turn_s * concurrency / max(call_s, 1e-9))
    return max(budget.least_calls, min(wanted, budget.most_calls))


def _check(digests: dict[str, tuple[str, str]], way: Way, turn: Turn) -> None:
    """Make sure that the answer is the one the other ways of the question gave."""
    if not turn.digest:
        return
    name, digest = digests.setdefault(way.question, (way.name, turn.digest))
    if digest != turn.digest:
        msg = (
            f"{way.question}: {name} and {way.name} answered differently. Did somebody write"
            " meanwhile? Measure again when nobody does; if it stays so, one of the two is wrong"
        )
        raise ResultsDifferError(msg)


def _variant(way: Way, tally: Tally, context: Context) -> Variant:
    calls = tally.series.calls
    units = None if tally.read_units is None else tally.read_units / calls
    return Variant(
        name=way.name,
        question=way.question,
        operation=way.operation,
        concurrency=way.concurrency,
        calls=calls,
        requests=tally.requests,
        requests_per_call=tally.requests / calls,
        errors=tally.errors,
        items_read=None,
        items_returned=tally.items,
        bytes_read=None,
        capacity_units=units,
        capacity_source="none" if units is None else str(context.target.get("kind", "unknown")),
        latency_s=summarize(tally.series.samples_s),
        histogram=Histogram(tally.series.samples_s).encode(),
        client_cpu_s=None
        if way.switches is not None or tally.cpu_s is None
        else tally.cpu_s / calls,
        rounds_s=tuple(tally.series.rounds_s),
        body_bytes=tally.body_bytes,
        cache=_cache_figures(tally),
        service=_service_figures(way, tally),
    )


def _cache_figures(tally: Tally) -> CacheFigures | None:
    counts = {state: count for state, (count, _) in tally.cache.items()}
    means = {state: seconds / count for state, (count, seconds) in tally.cache.items() if count}
    if not set(counts) & {"HIT", "MISS", "ERROR"}:
        return None
    return CacheFigures(
        hits=counts.get("HIT", 0),
        misses=counts.get("MISS", 0),
        errors=counts.get("ERROR", 0),
        hit_mean_s=means.get("HIT"),
        miss_mean_s=means.get("MISS"),
        error_mean_s=means.get("ERROR"),
    )


def _service_figures(way: Way, tally: Tally) -> ServiceFigures | None:
    if way.switches is None:
        return None
    calls, elapsed_s = tally.series.calls, max(tally.elapsed_s, 1e-9)
    return ServiceFigures(
        switches=dict(way.switches),
        requests_per_s=calls / elapsed_s,
        read_units_per_s=None if tally.read_units is None else tally.read_units / elapsed_s,
        failed_share=tally.errors / calls,
        healthy=int(tally.healthy_turns == tally.turns),
        instances=1,
        cpu_s=None if tally.cpu_s is None else tally.cpu_s / calls,
        cpu_share=None if tally.cpu_s is None else tally.cpu_s / elapsed_s,
        stages_s={stage: seconds / calls for stage, seconds in tally.stages_s.items()},
    )


def compare_ways(
    ways: Ways, pairs: Sequence[tuple[str, str, str]]
) -> tuple[tuple[Comparison, ...], dict[tuple[str, str], Ratio]]:
    """
    Compare ways of one question in the rounds that both took part in.

    Args:
        ways: As measured.
        pairs: Question, baseline, candidate.

    Returns:
        The comparisons, and their ratios by the names of the two.
    """
    comparisons = []
    ratios = {}
    for question, baseline, candidate in pairs:
        one, other = ways.tallies[question, baseline], ways.tallies[question, candidate]
        shared = [number for number in one.rounds if number in set(other.rounds)]
        if not shared:
            continue
        ratio = paired_ratio(one.rounds_in(shared), other.rounds_in(shared))
        ratios[f"{question} {baseline}".strip(), candidate] = ratio
        comparisons.append(
            Comparison(
                question=question,
                baseline=baseline,
                candidate=candidate,
                latency_ratio=ratio.value,
                latency_ratio_ci95=ratio.interval,
                capacity_ratio=_capacity_ratio(one, other),
                # anything else has ended the scenario before
                results_equal=True,
                significant=ratio.significant,
                rounds=ratio.rounds,
            )
        )
    return tuple(comparisons), ratios


def _capacity_ratio(one: Tally, other: Tally) -> float | None:
    if one.read_units is None or other.read_units is None:
        return None
    if not one.read_units or not other.read_units:
        # nothing against nothing is the same; anything against nothing is no number of times
        return 1.0 if one.read_units == other.read_units else None
    return (one.read_units / one.series.calls) / (other.read_units / other.series.calls)


def _cautions(
    ways: Ways, ratios: Mapping[tuple[str, str], Ratio], plan: Plan, load: LoadBetween, cores: int
) -> Iterator[Doubt]:
    """
    Yield why figures are less exact than they look.

    With dozens of variants one sentence each would bury the others: what is alike is said once.
    """
    series = {
        f"{question} {name}".strip(): tally.series
        for (question, name), tally in ways.tallies.items()
    }
    yield from _together(
        doubt_series(series, plan),
        OUTLIERS,
        "1 other variant has",
        "{} other variants have",
        "such calls",
    )
    yield from _together(
        doubt_intervals(ratios, plan),
        WIDE,
        "1 other ratio is",
        "{} other ratios are",
        "as uncertain",
    )
    yield from doubt_machine(load, cores)


def _together(
    doubts: Iterator[Doubt], words: str, one: str, several: str, likewise: str
) -> Iterator[Doubt]:
    """Yield one doubt for all those whose reason has these words, and the others as they are."""
    alike = []
    for doubt in doubts:
        if words in doubt.reason:
            alike.append(doubt)
        else:
            yield doubt
    if alike:
        others = len(alike) - 1
        subject = one if others == 1 else several.format(others)
        more = f", and {subject} {likewise}" if others else ""
        yield Doubt(f"{alike[0].reason}{more}", alike[0].hint)


class Facts:
    """The machine, and how busy others kept it from the moment this was made."""

    def __init__(self) -> None:
        self._started_s = time.perf_counter()
        self._before = Load.now()

    def finish(
        self,
        context: Context,
        ways: Ways,
        ratios: Mapping[tuple[str, str], Ratio],
        *,
        helpers_cpu_s: float = 0.0,
    ) -> dict[str, Any]:
        """
        Return the fields of a run that say how it was measured.

        Args:
            context: What was measured with.
            ways: What was measured.
            ratios: As `compare_ways` returned them.
            helpers_cpu_s: Processor time of processes that are part of the measurement: theirs
                is no disturbance.
        """
        after = Load.now()
        after = replace(after, own_cpu_s=after.own_cpu_s + helpers_cpu_s)
        load, machine = LoadBetween(before=self._before, after=after), describe_machine()
        plan = context.options.plan
        rounds = {tally.turns for tally in ways.tallies.values()}
        doubts = [Doubt(context.capacity_doubt, _TRUST)] if context.capacity_doubt else []
        return {
            "machine": machine,
            "settings": {
                **context.options.to_dict(),
                "rounds": max(rounds, default=0),
                "garbage_collector": GC_POLICY,
                "others_cpu_share": load.others_share,
                "stolen_cpu_share": load.stolen_share,
            },
            "warnings": tuple(map(str, doubts)),
            "cautions": tuple(map(str, _cautions(ways, ratios, plan, load, machine["cores"]))),
            "duration_s": time.perf_counter() - self._started_s,
        }


_TRUST = "compare capacity on the embedded target or on AWS"
