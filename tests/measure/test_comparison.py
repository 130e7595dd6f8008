"""Turns of variants that report what they took: budgets, equal answers, what is compared."""

from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest

from perfkit.errors import ResultsDifferError
from perfkit.measure.clock import RealClock
from perfkit.measure.comparison import compare, doubt_measured
from perfkit.measure.machine import Load, LoadBetween
from perfkit.measure.measurement import Measurement, Sampler
from perfkit.measure.rounds import Budget, Measured, Plan, Rounds, measure


@dataclass(slots=True)
class Fake:
    """A variant that reports what it was made with, and takes no time."""

    name: str
    seconds: float
    question: str = "q"
    digest: str = "same"
    units: float | None = 2.0
    cache: str = ""
    operation: str = "fake"
    concurrency: int = 1
    switches: Mapping[str, bool] | None = None
    turns: list[int] = field(default_factory=list)

    def sample(self, calls: int) -> Measurement:
        self.turns.append(calls)
        seconds = calls * self.seconds
        return Measurement(
            samples_s=array("d", [self.seconds] * calls),
            elapsed_s=seconds,
            cpu_s=seconds / 2,
            read_units=None if self.units is None else self.units * calls,
            requests=calls,
            digest=self.digest,
            cache={self.cache: (calls, seconds)} if self.cache else {},
            stages_s={"db": seconds / 4},
        )


def short_turns(_: Sampler) -> Budget:
    return Budget(turn_s=0.01)


def measured(
    *samplers: Fake, plan: Plan, budget: Callable[[Sampler], Budget] = short_turns
) -> Measured:
    return measure(samplers, plan, RealClock(), budget=budget, rounds=Rounds(most=10))


def test_a_fixed_number_of_rounds_takes_the_least_calls_of_each() -> None:
    one, other = Fake("one", 0.2), Fake("other", 0.1)

    found = measured(
        one, other, plan=Plan(iterations=4), budget=lambda _: Budget(turn_s=0.01, least_calls=2)
    )

    # the first is the warm-up
    assert one.turns == other.turns == [2, 2, 2, 2, 2]
    variants = found.variants("embedded")
    assert [variant.calls for variant in variants] == [8, 8]
    assert variants[0].latency_s.p50 == 0.2
    assert variants[0].capacity_units == 2.0
    assert variants[0].capacity_source == "embedded"
    assert variants[0].client_cpu_s == pytest.approx(0.1)


def test_a_fast_variant_fills_its_turn_and_a_slow_one_stops_at_its_budget() -> None:
    slow, fast = Fake("slow", 3.0), Fake("fast", 0.001)

    found = measured(
        slow,
        fast,
        plan=Plan(min_time_s=0.001),
        budget=lambda each: Budget(turn_s=0.01, most_s=4.0 if each.name == "slow" else 99.0),
    )

    # a first turn this long is kept, and two are more than it may take
    assert slow.turns == [1, 1]
    assert found.variants("embedded")[0].calls == 2
    assert set(fast.turns[1:]) == {10}


def test_several_calls_under_way_at_once_fill_a_turn_sooner() -> None:
    both = Fake("both", 0.001, concurrency=2)

    measured(both, plan=Plan(min_time_s=0.001))

    assert set(both.turns[1:]) == {20}


def test_a_fast_variant_is_called_until_it_is_warm() -> None:
    cold, warm = Fake("cold", 0.04), Fake("warm", 0.001)

    found = measured(
        cold,
        warm,
        plan=Plan(iterations=2),
        budget=lambda _: Budget(turn_s=0.01, warm_up_s=0.1),
    )

    # three calls are 0.12 s; of the faster one ten are enough; then two rounds
    assert (len(cold.turns), len(warm.turns)) == (3 + 2, 10 + 2)
    assert [variant.calls for variant in found.variants("embedded")] == [2, 2]


def test_a_variant_has_no_more_turns_than_it_may_and_the_first_counts_if_it_says_so() -> None:
    few, many = Fake("few", 0.01), Fake("many", 0.01)

    found = measured(
        few,
        many,
        plan=Plan(min_time_s=9.0),
        budget=lambda each: (
            Budget(turn_s=0.01, most_turns=3, counts_from_s=0.0)
            if each.name == "few"
            else Budget(turn_s=0.01)
        ),
    )

    # the other's first turn is its warm-up
    assert few.turns == [1, 1, 1]
    assert len(many.turns) == 1 + 10
    (comparison,) = compare(found, [("q", "many", "few")])
    assert comparison.rounds == 3


def test_variants_that_answer_differently_are_not_compared() -> None:
    one, other = Fake("one", 0.1), Fake("other", 0.1, digest="else")

    with pytest.raises(ResultsDifferError, match="q: other and one answered differently"):
        measured(one, other, plan=Plan(iterations=1))


def test_an_answer_that_differs_later_ends_the_measuring() -> None:
    class Changing(Fake):
        def sample(self, calls: int) -> Measurement:
            turn = Fake.sample(self, calls)
            turn.digest = "same" if len(self.turns) < 4 else "else"
            return turn

    with pytest.raises(ResultsDifferError, match="q: steady and changing answered differently"):
        measured(Changing("changing", 0.1), Fake("steady", 0.1), plan=Plan(iterations=9))


def test_variants_of_different_questions_may_answer_differently() -> None:
    one, other = Fake("one", 0.1), Fake("one", 0.1, question="r", digest="else")

    found = measured(one, other, plan=Plan(iterations=1))

    assert [variant.question for variant in found.variants("embedded")] == ["q", "r"]


def test_several_questions_are_measured_apart_and_reported_as_one() -> None:
    parts = [
        measured(Fake("a", 0.1, question=name), plan=Plan(iterations=1)) for name in ("q", "r")
    ]

    joined = Measured.join(parts)

    assert list(joined.measurements) == [("q", "a"), ("r", "a")]
    assert [variant.question for variant in joined.variants("embedded")] == ["q", "r"]


def test_a_comparison_says_how_many_times_faster_and_cheaper() -> None:
    found = measured(
        Fake("slow", 0.4, units=6.0), Fake("fast", 0.1, units=2.0), plan=Plan(iterations=3)
    )

    (comparison,) = compare(found, [("q", "slow", "fast")])

    assert comparison.latency_ratio == pytest.approx(4.0)
    assert comparison.capacity_ratio == 3.0
    assert comparison.significant
    assert comparison.rounds == 3


@pytest.mark.parametrize(
    ("before", "after", "ratio"),
    [
        pytest.param(0.0, 0.0, 1.0, id="nothing against nothing"),
        pytest.param(5.0, 0.0, None, id="something against nothing"),
        pytest.param(0.0, 5.0, None, id="nothing against something"),
        pytest.param(None, 5.0, None, id="unknown"),
    ],
)
def test_capacity_of_nothing_is_no_number_of_times(
    before: float | None, after: float, ratio: float | None
) -> None:
    found = measured(
        Fake("one", 0.1, units=before), Fake("other", 0.1, units=after), plan=Plan(iterations=3)
    )

    (comparison,) = compare(found, [("q", "one", "other")])

    assert comparison.capacity_ratio == ratio


def test_what_the_cache_said_is_in_the_variant() -> None:
    found = measured(
        Fake("hits", 0.1, cache="HIT"), Fake("off", 0.1, cache="OFF"), plan=Plan(iterations=2)
    )

    hits, off = found.variants("embedded")

    assert hits.cache is not None
    assert (hits.cache.hits, hits.cache.misses, hits.cache.errors) == (2, 0, 0)
    assert hits.cache.hit_mean_s == pytest.approx(0.1)
    assert off.cache is None


def test_a_service_has_figures_of_its_own() -> None:
    asked = Fake("phase-0", 0.5, switches={"cache": True}, concurrency=2)

    (variant,) = measured(asked, plan=Plan(iterations=2)).variants("embedded")

    assert variant.service is not None
    assert variant.service.requests_per_s == pytest.approx(2.0)
    assert variant.service.read_units_per_s == pytest.approx(4.0)
    assert variant.service.cpu_s == pytest.approx(0.25)
    assert variant.service.cpu_share == pytest.approx(0.5)
    assert variant.service.stages_s == pytest.approx({"db": 0.125})
    assert variant.service.healthy == variant.service.instances == 1
    # that is the service's, not this process's
    assert variant.client_cpu_s is None


def test_many_alike_cautions_are_one() -> None:
    # each of three alternating turns differs from the one before by far
    class Noisy(Fake):
        def sample(self, calls: int) -> Measurement:
            self.seconds = 0.5 if self.seconds < 0.2 else 0.1
            return Fake.sample(self, calls)

    noisy = [Noisy(f"noisy-{number}", 0.1) for number in range(4)]
    plan = Plan(iterations=6)
    found = measured(Fake("steady", 0.1), *noisy, plan=plan)
    comparisons = compare(found, [("q", "steady", each.name) for each in noisy])
    idle = LoadBetween(before=Load(own_cpu_s=0.0), after=Load(own_cpu_s=0.0))

    cautions = [str(each) for each in doubt_measured(found, comparisons, plan, idle, 2)]

    assert sum("after 6 rounds the ratio may be anything" in text for text in cautions) == 1
    assert any(", and 3 other ratios are as uncertain; more rounds" in text for text in cautions)
