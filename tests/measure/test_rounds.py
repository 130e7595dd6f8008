"""Rounds: who is called when, how often, and what is recorded of it."""

from dataclasses import dataclass
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.errors import ConfigError
from perfkit.measure.clock import FakeClock, RealClock
from perfkit.measure.measurement import Measurement, Sampler, sample_calls
from perfkit.measure.rounds import Budget, Plan, measure


@dataclass(slots=True)
class Called:
    """A variant that notes each call and takes exactly the time it is given."""

    name: str
    seconds: float
    clock: FakeClock
    calls: list[str]
    question: str = ""
    operation: str = "test"
    concurrency: int = 1
    switches: None = None

    def sample(self, calls: int) -> Measurement:
        return sample_calls(self._call, calls, self.clock, lambda *_: None)

    def _call(self) -> None:
        self.calls.append(self.name)
        self.clock.advance(self.seconds, cpu_s=self.seconds / 2)


class Stage:
    """Variants that take exactly the time they are given, and a record of who was called."""

    def __init__(self, **seconds: float) -> None:
        self.clock = FakeClock()
        self.seconds = seconds
        self.calls: list[str] = []
        self.shares: list[float] = []

    def measure(self, plan: Plan) -> dict[str, Measurement]:
        def note(doing: str, share: float) -> None:
            if doing == "measuring":
                self.shares.append(share)

        samplers: list[Sampler] = [
            Called(name, seconds, self.clock, self.calls) for name, seconds in self.seconds.items()
        ]
        turn_s = min(max(plan.min_time_s / (20 * len(samplers)), 0.005), 0.25)
        measured = measure(
            samplers,
            plan,
            self.clock,
            budget=lambda _: Budget(turn_s=turn_s, counts_from_s=inf),
            progress=note,
        )
        # the first of each is its warm-up
        del self.calls[: len(samplers)]
        return {name: one for (_, name), one in measured.measurements.items()}


def test_fixed_iterations_are_exact_and_interleaved() -> None:
    stage = Stage(scan=1.0, query=0.001, get=0.0001)

    series = stage.measure(Plan(iterations=10))

    assert {name: one.calls for name, one in series.items()} == {"scan": 10, "query": 10, "get": 10}
    rounds = [stage.calls[start : start + 3] for start in range(0, 30, 3)]
    assert all(sorted(order) == ["get", "query", "scan"] for order in rounds)


def test_the_order_changes_between_rounds_and_is_the_same_next_time() -> None:
    one, same, other = (Stage(a=0.1, b=0.1, c=0.1) for _ in range(3))

    one.measure(Plan(iterations=20))
    same.measure(Plan(iterations=20))
    other.measure(Plan(iterations=20, random_seed=2))

    assert one.calls == same.calls
    assert one.calls != other.calls
    assert len({tuple(one.calls[start : start + 3]) for start in range(0, 60, 3)}) == 6


def test_each_variant_comes_first_about_as_often() -> None:
    stage = Stage(a=0.1, b=0.1, c=0.1, d=0.1)

    stage.measure(Plan(iterations=400))

    firsts = [stage.calls[start] for start in range(0, 1600, 4)]
    assert all(60 <= firsts.count(name) <= 140 for name in "abcd")


def test_a_fast_variant_is_called_again_and_again_within_its_turn() -> None:
    stage = Stage(scan=0.5, query=0.001)

    series = stage.measure(Plan(min_time_s=3.0))

    assert series["query"].calls >= 50 * len(series["query"].rounds_s)
    assert series["scan"].calls == len(series["scan"].rounds_s)
    assert len(series["scan"].rounds_s) == len(series["query"].rounds_s)


def test_measuring_ends_when_its_time_is_spent() -> None:
    stage = Stage(scan=0.05, query=0.001)

    series = stage.measure(Plan(min_time_s=4.0))

    spent_s = sum(sum(one.samples_s) for one in series.values())
    assert 4.0 <= spent_s <= 4.0 + 0.05 + 0.25


def test_slow_variants_get_five_rounds_and_very_slow_ones_three() -> None:
    slow, very_slow = Stage(scan=1.5, query=0.01), Stage(scan=9.0, query=0.01)

    assert slow.measure(Plan(min_time_s=1.0))["scan"].calls == 5
    assert very_slow.measure(Plan(min_time_s=1.0))["scan"].calls == 3


def test_a_call_that_takes_no_time_does_not_go_on_for_ever() -> None:
    stage = Stage(nothing=0.0, something=0.01)

    series = stage.measure(Plan(min_time_s=0.1))

    assert series["nothing"].calls <= 2_000 * len(series["nothing"].rounds_s)


def test_samples_are_what_the_caller_waited_and_cpu_what_was_computed() -> None:
    stage = Stage(scan=0.2, query=0.01)

    series = stage.measure(Plan(iterations=4))

    assert list(series["scan"].samples_s) == pytest.approx([0.2] * 4)
    assert series["scan"].cpu_s == pytest.approx(0.1 * 4)
    assert series["query"].rounds_s == pytest.approx([0.01] * 4)


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.floats(1e-4, 5), min_size=1),
    st.floats(0.01, 5),
)
def test_progress_rises_to_exactly_one(seconds: dict[str, float], min_time_s: float) -> None:
    stage = Stage(**seconds)

    stage.measure(Plan(min_time_s=min_time_s))

    assert stage.shares[-1] == 1.0
    assert all(0 < share < 1 for share in stage.shares[:-1])


@pytest.mark.parametrize("iterations", [0, -1])
def test_no_iterations_are_refused(iterations: int) -> None:
    with pytest.raises(ConfigError, match=f"got {iterations}"):
        Plan(iterations=iterations)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_no_time_is_refused(seconds: float) -> None:
    with pytest.raises(ConfigError, match="--min-time must be above"):
        Plan(min_time_s=seconds)


def test_each_answer_is_handed_on_after_its_time_was_taken() -> None:
    clock = FakeClock()
    answers: list[str] = []

    def count(_: Measurement, answer: str) -> None:
        clock.advance(9.0)
        answers.append(answer)

    def call() -> str:
        clock.advance(0.25, cpu_s=0.125)
        return f"answer {len(answers)}"

    measured = sample_calls(call, 2, clock, count)

    assert list(measured.samples_s) == [0.25, 0.25]
    assert (measured.elapsed_s, measured.cpu_s) == (0.5, 0.25)
    assert answers == ["answer 0", "answer 1"]


def test_the_real_clock_sees_a_known_delay() -> None:
    clock = RealClock()

    measured = sample_calls(lambda: clock.sleep(0.02), 1, clock, lambda *_: None)

    assert measured.elapsed_s >= 0.0199


def test_the_real_clock_counts_computing() -> None:
    measured = sample_calls(lambda: sum(range(2_000_000)), 1, RealClock(), lambda *_: None)

    assert measured.cpu_s is not None
    assert measured.cpu_s > 0.001
