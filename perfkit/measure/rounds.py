"""Interleaved rounds: every variant takes its turn in every round, so that drift hits all alike."""

# array[float] is no type at run time before Python 3.12
from __future__ import annotations

import gc
import random
import statistics
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from perfkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from perfkit.measure.clock import Clock

__all__ = [
    "FEWEST_ROUNDS",
    "GC_POLICY",
    "NO_WARM_UP_S",
    "Plan",
    "Series",
    "TimedCall",
    "measure_rounds",
    "time_call",
]

T = TypeVar("T")

# The collector runs as it does in a service; it is only brought to the same state before each round.
GC_POLICY = "on; collected before each round"

NO_WARM_UP_S = 1.0
"""A first call this long is no warm-up: what there is to warm is little beside it, and it counts."""

FEWEST_ROUNDS = 5
_FEWEST_ROUNDS_IF_LONG = 3
_LONG_ROUND_S = 2.0
_WANTED_ROUNDS = 20
_SHORTEST_TURN_S = 0.005
_LONGEST_TURN_S = 0.25
_MOST_CALLS_A_TURN = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    How long to measure.

    With `iterations` each variant is called exactly so often, once a round. Otherwise rounds go
    on for `min_time_s`, and at least 5 of them, or 3 where a round takes longer than 2 s; within
    a round a fast variant is called again and again, so that its turn is no blink.
    """

    iterations: int | None = None
    min_time_s: float = 3.0
    random_seed: int = 1

    def __post_init__(self) -> None:
        if self.iterations is not None and self.iterations < 1:
            msg = f"iterations must be at least 1, got {self.iterations}"
            raise ConfigError(msg)
        if not 0 < self.min_time_s <= 86_400:
            msg = (
                f"the time to measure must be above 0 s and at most 86,400 s, got {self.min_time_s}"
            )
            raise ConfigError(msg)


@dataclass(frozen=True, slots=True)
class TimedCall(Generic[T]):
    """One call: its answer, how long the caller waited, and the CPU time of this process."""

    answer: T
    seconds: float
    cpu_s: float


@dataclass(slots=True)
class Series:
    """What one variant's calls took."""

    samples_s: array[float] = field(default_factory=lambda: array("d"))
    # median of each round
    rounds_s: list[float] = field(default_factory=list)
    cpu_s: float = 0.0

    @property
    def calls(self) -> int:
        return len(self.samples_s)


def time_call(call: Callable[[], T], clock: Clock) -> TimedCall[T]:
    """Make one call and return its answer with what it took."""
    cpu_s, start = clock.cpu(), clock.now()
    answer = call()
    return TimedCall(answer, clock.now() - start, clock.cpu() - cpu_s)


def measure_rounds(
    calls: Mapping[str, Callable[[], T]],
    plan: Plan,
    clock: Clock,
    *,
    expected_s: Mapping[str, float],
    first: Mapping[str, TimedCall[T]] | None = None,
    on_answer: Callable[[str, T], None],
    on_round: Callable[[float], None],
) -> dict[str, Series]:
    """
    Call every variant in interleaved rounds.

    The order within a round is shuffled with the plan's seed: no variant always follows the same
    neighbour, and the order is the same next time.

    Args:
        calls: The variants by name; each callable answers the question once.
        plan: How long to measure.
        clock: Time.
        expected_s: What a call of each variant took before, in its warm-up.
        first: Calls made already, for variants too slow to be warmed up: their first turns.
        on_answer: Gets each measured answer, after its time was taken.
        on_round: Gets the share done, 0 to 1, after each round.

    Returns:
        The series of each variant; all have the same number of rounds.
    """
    series = {name: Series() for name in calls}
    turn_s = min(
        max(plan.min_time_s / (_WANTED_ROUNDS * len(calls)), _SHORTEST_TURN_S), _LONGEST_TURN_S
    )
    shuffle = random.Random(plan.random_seed).shuffle  # noqa: S311 - an order, no secret
    order = list(calls)
    ready = dict(first or {})
    spent_s, rounds = 0.0, 0
    while True:
        shuffle(order)
        gc.collect()
        round_s = 0.0
        for name in order:
            one = series[name]
            call_s = one.rounds_s[-1] if one.rounds_s else expected_s[name]
            calls_a_turn = 1 if plan.iterations is not None else _calls_in(turn_s, call_s)
            if name in ready:
                made = ready.pop(name)
                turn, cpu_s = array("d", [made.seconds]), made.cpu_s
                on_answer(name, made.answer)
            else:
                turn, cpu_s = _take_turn(name, calls[name], calls_a_turn, clock, on_answer)
            one.samples_s.extend(turn)
            one.rounds_s.append(statistics.median(turn))
            one.cpu_s += cpu_s
            round_s += sum(turn)
        rounds += 1
        spent_s += round_s
        if plan.iterations is not None:
            done = rounds / plan.iterations
        else:
            floor = _FEWEST_ROUNDS_IF_LONG if spent_s / rounds > _LONG_ROUND_S else FEWEST_ROUNDS
            done = min(spent_s / plan.min_time_s, rounds / floor)
        on_round(min(done, 1.0))
        if done >= 1:
            return series


def _calls_in(turn_s: float, call_s: float) -> int:
    """Return how many calls fill a turn; fixed before it begins, so that no slow call ends one."""
    if call_s * _MOST_CALLS_A_TURN <= turn_s:
        return _MOST_CALLS_A_TURN
    return max(1, round(turn_s / call_s))


def _take_turn(
    name: str,
    call: Callable[[], T],
    count: int,
    clock: Clock,
    on_answer: Callable[[str, T], None],
) -> tuple[array[float], float]:
    samples_s = array("d")
    now = clock.now
    cpu_s = clock.cpu()
    for _ in range(count):
        start = now()
        answer = call()
        samples_s.append(now() - start)
        on_answer(name, answer)
    return samples_s, clock.cpu() - cpu_s
