"""Interleaved rounds: every variant has its turn in every round, so that drift hits all alike."""

import gc
import random
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Self

from perfkit.errors import ConfigError, ResultsDifferError
from perfkit.measure.clock import Clock
from perfkit.measure.measurement import Measurement, Sampler, to_variant
from perfkit.runs import Variant

__all__ = ["FEWEST_ROUNDS", "GC_POLICY", "Budget", "Measured", "Plan", "Rounds", "measure"]

# The collector runs as it does in a service; it is only brought to the same state before each round.
GC_POLICY = "on; collected before each round"

_NO_WARM_UP_S = 1.0
"""A first call this long is no warm-up: what there is to warm is little beside it, and it counts."""

FEWEST_ROUNDS = 5
_FEWEST_ROUNDS_IF_LONG = 3
_LONG_ROUND_S = 2.0
_MOST_CALLS_A_TURN = 2_000
_WARM_UP_CALLS = 10
_SLOW_S = 0.2
"""Calls that take longer are worth saying which variant is being called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    How long to measure.

    With `iterations` each variant has exactly so many turns, of the least number of calls.
    Otherwise rounds go on for `min_time_s`, and at least 5 of them, or 3 where a round takes longer
    than 2 s; within a round a fast variant is called again and again, so that its turn is no blink.
    """

    iterations: int | None = None
    min_time_s: float = 3.0
    random_seed: int = 1

    def __post_init__(self) -> None:
        if self.iterations is not None and self.iterations < 1:
            msg = f"--iterations must be at least 1, got {self.iterations}"
            raise ConfigError(msg)
        if not 0 < self.min_time_s <= 86_400:
            msg = f"--min-time must be above 0 s and at most 86,400 s, got {self.min_time_s:g}"
            raise ConfigError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """
    How much measuring a variant gets.

    Args:
        turn_s: Seconds a turn should last, if a call is shorter.
        least_calls: Calls of a turn however long they take.
        most_calls: Calls of a turn however short they are.
        most_s: Seconds all its turns may take together; a variant that has had them sits out the
            rest of the rounds. At least one turn is taken.
        most_turns: Likewise, by number.
        counts_from_s: A first turn that lasts this long is no warm-up, and counts.
        warm_up_s: A faster variant is called until its calls took so long, or ten times.
    """

    turn_s: float
    least_calls: int = 1
    most_calls: int = _MOST_CALLS_A_TURN
    most_s: float = inf
    most_turns: float = inf
    counts_from_s: float = _NO_WARM_UP_S
    warm_up_s: float = 0.0

    def is_spent_by(self, measurement: Measurement) -> bool:
        """Tell whether a variant has had its turns."""
        return measurement.elapsed_s >= self.most_s or len(measurement.rounds) >= self.most_turns

    def calls_in_turn(self, call_s: float, concurrency: int) -> int:
        """Return how many calls fill a turn; fixed before it, so that no slow call ends one."""
        wanted = round(self.turn_s * concurrency / max(call_s, 1e-9))
        return max(self.least_calls, min(wanted, self.most_calls))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """
    How many rounds there are, where the plan does not fix their number.

    Args:
        fewest: However long they take, unless they take longer than two seconds.
        most: However short they are.
        time_share: Of the plan's time, where a scenario measures several questions.
    """

    fewest: int = FEWEST_ROUNDS
    most: float = inf
    time_share: float = 1.0

    def done(self, plan: Plan, number: int, spent_s: float) -> float:
        """Return which share of measuring is done after *number* rounds, 1 at its end."""
        if plan.iterations is not None:
            return number / plan.iterations
        floor = self.fewest
        if spent_s / number > _LONG_ROUND_S:
            floor = min(floor, _FEWEST_ROUNDS_IF_LONG)
        in_time = spent_s / (plan.min_time_s * self.time_share)
        return min(max(in_time, number / self.most), number / floor, 1.0)


Key = tuple[str, str]
"""Question and name of a variant."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What measuring some variants gave, by question and name."""

    samplers: Sequence[Sampler]
    measurements: Mapping[Key, Measurement]

    @classmethod
    def join(cls, parts: Iterable[Self]) -> Self:
        """Return what several questions gave as one."""
        parts = tuple(parts)
        return cls(
            [sampler for part in parts for sampler in part.samplers],
            {key: one for part in parts for key, one in part.measurements.items()},
        )

    def variants(self, counted_by: str) -> tuple[Variant, ...]:
        """Return the variants of a run; the target of kind *counted_by* counted their capacity."""
        return tuple(
            to_variant(sampler, self.measurements[_key(sampler)], counted_by)
            for sampler in self.samplers
        )


def _ignore(_doing: str, _share: float) -> None:
    """Take no notice."""


def _agree() -> None:
    """Find nothing wrong."""


def measure(
    samplers: Sequence[Sampler],
    plan: Plan,
    clock: Clock,
    *,
    budget: Callable[[Sampler], Budget],
    rounds: Rounds | None = None,
    check: Callable[[], None] = _agree,
    progress: Callable[[str, float], None] = _ignore,
) -> Measured:
    """
    Measure variants in interleaved rounds, after a turn of each that does not count if it is short.

    The answers of that first turn are checked before anything is measured, and all later ones that
    have a digest as they come. The order within a round is shuffled with the plan's seed: no
    variant always follows the same neighbour, and the order is the same next time.

    Args:
        samplers: At least one, each with a name of its own within its question.
        plan: How long to measure.
        clock: Time.
        budget: How much each gets.
        rounds: How many rounds there are.
        check: Raises `ResultsDifferError` if the last answers of the samplers do not belong
            together, for those whose answers no digest tells apart.
        progress: Gets what is being done, and which share of it is done, 0 to 1.

    Raises:
        ResultsDifferError: Two variants of one question answered differently, also when asked a
            second time.
        TargetError: A variant could not be asked.
    """
    rounds = rounds or Rounds()
    budgets = {_key(each): budget(each) for each in samplers}
    try:
        digests, first = _warm_up(samplers, budgets, check, progress)
    except ResultsDifferError:
        # an index follows its table within moments: ask once more before calling it wrong
        digests, first = _warm_up(samplers, budgets, check, progress)
    counted: dict[Key, Measurement] = {}
    call_s: dict[Key, float] = {}
    for each in samplers:
        key = _key(each)
        measurement = first[key]
        # where the number of turns is fixed, none of them was before
        if plan.iterations is None and measurement.elapsed_s >= budgets[key].counts_from_s:
            counted[key] = measurement
        call_s[key] = _settle(each, measurement, budgets[key])

    found = {key: Measurement() for key in budgets}
    shuffle = random.Random(plan.random_seed).shuffle  # noqa: S311 - an order, no secret
    order = list(samplers)
    number, spent_s, done = 0, 0.0, 0.0
    while done < 1:
        shuffle(order)
        gc.collect()
        started_s = clock.now()
        for each in order:
            key = _key(each)
            allowed, so_far = budgets[key], found[key]
            if plan.iterations is None and allowed.is_spent_by(so_far):
                continue
            if key in counted:
                measurement = counted.pop(key)
                spent_s += measurement.elapsed_s
            else:
                calls = allowed.least_calls
                if plan.iterations is None:
                    calls = allowed.calls_in_turn(call_s[key], each.concurrency)
                if call_s[key] >= _SLOW_S:
                    progress(f"measuring {each.name}", done)
                measurement = each.sample(calls)
                _check(digests, each, measurement)
            so_far.add(number, measurement)
            call_s[key] = measurement.median_s
        spent_s += clock.now() - started_s
        number += 1
        done = rounds.done(plan, number, spent_s)
        progress("measuring", done)
    check()
    return Measured(samplers, found)


def _key(sampler: Sampler) -> Key:
    return sampler.question, sampler.name


_Digests = dict[str, tuple[str, str]]
"""By question: the variant that answered it first, and its answer."""


def _warm_up(
    samplers: Sequence[Sampler],
    budgets: Mapping[Key, Budget],
    check: Callable[[], None],
    progress: Callable[[str, float], None],
) -> tuple[_Digests, dict[Key, Measurement]]:
    """Give each a turn; the cheapest, usually named last, go first and find errors soon."""
    digests: _Digests = {}
    turns = {}
    for each in reversed(samplers):
        progress(f"checking {each.question} {each.name}".replace("  ", " "), 0.0)
        measurement = each.sample(budgets[_key(each)].least_calls)
        _check(digests, each, measurement)
        turns[_key(each)] = measurement
    check()
    return digests, turns


def _settle(sampler: Sampler, first: Measurement, budget: Budget) -> float:
    """Call a fast variant until it is warm, and return what a call takes, about, in seconds."""
    taken_s = list(_warming(sampler, first, budget))
    return statistics.median(taken_s)


def _warming(sampler: Sampler, first: Measurement, budget: Budget) -> Iterator[float]:
    spent_s = 0.0
    for number in range(_WARM_UP_CALLS):
        call_s = first.median_s if number == 0 else sampler.sample(1).median_s
        yield call_s
        spent_s += call_s
        if spent_s >= budget.warm_up_s:
            return


def _check(digests: _Digests, sampler: Sampler, measurement: Measurement) -> None:
    """Make sure that the answer is the one the other variants of the question gave."""
    if not measurement.digest:
        return
    name, digest = digests.setdefault(sampler.question, (sampler.name, measurement.digest))
    if digest != measurement.digest:
        msg = (
            f"{sampler.question}: {name} and {sampler.name} answered differently. Did somebody"
            " write meanwhile? Measure again when nobody does; if it stays so, one of the two is"
            " wrong"
        )
        raise ResultsDifferError(msg)
