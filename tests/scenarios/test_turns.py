"""Rounds of ways that say themselves what a turn took: budgets, equal answers, what is compared."""

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest

from perfkit.errors import ResultsDifferError
from perfkit.measure.rounds import Plan
from perfkit.scenarios.base import Context, Options
from perfkit.scenarios.turns import Budget, Facts, Turn, Way, compare_ways, measure_ways
from perfkit.workloads.loader import load


@dataclass(slots=True)
class Fake:
    """A way that takes what it is told, without taking any time."""

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

    def turn(self, calls: int) -> Turn:
        self.turns.append(calls)
        seconds = calls * self.seconds
        return Turn(
            samples_s=[self.seconds] * calls,
            elapsed_s=seconds,
            cpu_s=seconds / 2,
            read_units=None if self.units is None else self.units * calls,
            requests=calls,
            digest=self.digest,
            cache={self.cache: (calls, seconds)} if self.cache else {},
            stages_s={"db": seconds / 4},
        )


@pytest.fixture(autouse=True)
def _no_collecting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "collect", lambda: 0)


def context(**plan: float) -> Context:
    return Context(
        workload=load("courses"),
        client=None,
        target={"kind": "embedded"},
        where="nowhere",
        options=Options(plan=Plan(**plan)),  # type: ignore[arg-type]
    )


def budget(**allowed: float) -> Callable[[Way], Budget]:
    return lambda _: Budget(**{"turn_s": 0.01, **allowed})  # type: ignore[arg-type]


def test_a_fixed_number_of_rounds_takes_the_least_calls_of_each() -> None:
    one, other = Fake("one", 0.2), Fake("other", 0.1)

    measured = measure_ways("s", [one, other], context(iterations=4), budget=budget(least_calls=2))

    # the first is the warm-up
    assert one.turns == other.turns == [2, 2, 2, 2, 2]
    assert [variant.calls for variant in measured.variants] == [8, 8]
    assert measured.variants[0].latency_s.p50 == 0.2
    assert measured.variants[0].capacity_units == 2.0
    assert measured.variants[0].client_cpu_s == pytest.approx(0.1)


def test_a_fast_way_fills_its_turn_and_a_slow_one_stops_at_its_budget() -> None:
    slow, fast = Fake("slow", 3.0), Fake("fast", 0.001)

    measured = measure_ways(
        "s",
        [slow, fast],
        context(min_time_s=0.001),
        budget=lambda way: Budget(turn_s=0.01, most_s=4.0 if way.name == "slow" else 99.0),
    )

    # a first turn this long is kept, and two are more than it may take
    assert slow.turns == [1, 1]
    assert measured.variants[0].calls == 2
    assert set(fast.turns[1:]) == {10}


def test_a_way_takes_no_more_turns_than_it_is_given_and_the_first_counts_if_it_says_so() -> None:
    few, many = Fake("few", 0.01), Fake("many", 0.01)

    measured = measure_ways(
        "s",
        [few, many],
        context(min_time_s=9.0),
        budget=lambda way: (
            Budget(turn_s=0.01, most_turns=3, counts_from_s=0.0)
            if way.name == "few"
            else Budget(turn_s=0.01)
        ),
    )

    # the other's first turn is its warm-up
    assert few.turns == [1, 1, 1]
    assert len(many.turns) > 5
    (comparison,), _ = compare_ways(measured, [("q", "many", "few")])
    assert comparison.rounds == 3


def test_ways_that_answer_differently_are_not_compared() -> None:
    ways = [Fake("one", 0.1), Fake("other", 0.1, digest="else")]

    with pytest.raises(ResultsDifferError, match="q: other and one answered differently"):
        measure_ways("s", ways, context(iterations=1), budget=budget())


def test_ways_of_different_questions_may_answer_differently() -> None:
    ways = [Fake("one", 0.1), Fake("one", 0.1, question="r", digest="else")]

    measured = measure_ways("s", ways, context(iterations=1), budget=budget())

    assert [variant.question for variant in measured.variants] == ["q", "r"]


def test_a_comparison_says_how_many_times_faster_and_cheaper() -> None:
    ways = [Fake("slow", 0.4, units=6.0), Fake("fast", 0.1, units=2.0)]
    measured = measure_ways("s", ways, context(iterations=3), budget=budget())

    (comparison,), ratios = compare_ways(measured, [("q", "slow", "fast")])

    assert comparison.latency_ratio == pytest.approx(4.0)
    assert comparison.capacity_ratio == 3.0
    assert comparison.significant
    assert comparison.rounds == 3
    assert list(ratios) == [("q slow", "fast")]


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
    ways = [Fake("one", 0.1, units=before), Fake("other", 0.1, units=after)]
    measured = measure_ways("s", ways, context(iterations=3), budget=budget())

    (comparison,), _ = compare_ways(measured, [("q", "one", "other")])

    assert comparison.capacity_ratio == ratio


def test_what_the_cache_said_is_in_the_variant() -> None:
    ways = [Fake("hits", 0.1, cache="HIT"), Fake("off", 0.1, cache="OFF")]

    hits, off = measure_ways("s", ways, context(iterations=2), budget=budget()).variants

    assert hits.cache is not None
    assert (hits.cache.hits, hits.cache.misses, hits.cache.errors) == (2, 0, 0)
    assert hits.cache.hit_mean_s == pytest.approx(0.1)
    assert off.cache is None


def test_a_service_has_figures_of_its_own() -> None:
    way = Fake("phase-0", 0.5, switches={"cache": True}, concurrency=2)

    (variant,) = measure_ways("s", [way], context(iterations=2), budget=budget()).variants

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
        def turn(self, calls: int) -> Turn:
            self.seconds = 0.5 if self.seconds < 0.2 else 0.1
            return Fake.turn(self, calls)

    steady = Fake("steady", 0.1)
    noisy = [Noisy(f"noisy-{number}", 0.1) for number in range(4)]
    here = context(iterations=6)
    facts = Facts()
    measured = measure_ways("s", [steady, *noisy], here, budget=budget())
    _, ratios = compare_ways(measured, [("q", "steady", each.name) for each in noisy])

    cautions = facts.finish(here, measured, ratios)["cautions"]

    assert sum("after 6 rounds the ratio may be anything" in text for text in cautions) == 1
    assert any(", and 3 other ratios are as uncertain; more rounds" in text for text in cautions)
