"""What measuring reads adds up, checks and doubts, shown with reads made for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Self

import pytest
from botocore.exceptions import ClientError

from perfkit.capacity import Consistency, Item
from perfkit.errors import ResultsDifferError, TargetError, ThrottledError
from perfkit.measure.clock import FakeClock
from perfkit.measure.rounds import Plan
from perfkit.scenarios.base import Context, Options
from perfkit.scenarios.read_sampler import MeasuredReads, measure_reads
from perfkit.scenarios.reading import Answer

ITEM: Item = {"id": {"S": "x" * 1022}}  # 1,024 bytes


@dataclass
class Puppet:
    """A read that takes the time and gives the answers it was made with."""

    clock: FakeClock
    name: str = "scan"
    seconds: float = 0.1
    answers: Callable[[int], Answer] = lambda _: give()
    strong: float | None = None
    operation: str = "Scan"
    table: str = "things"
    index: str | None = None
    consistency: Consistency = Consistency.EVENTUAL
    concurrency: int = 1
    filtered: bool = False
    called: int = field(default=0, init=False)

    def call(self) -> Answer:
        self.clock.advance(self.seconds, cpu_s=self.seconds / 4)
        self.called += 1
        return self.answers(self.called)

    def count_strong(self) -> float | None:
        return self.strong

    def through(self, _: Any, /) -> Self:
        return self

    def close(self) -> None:
        """Nothing was started."""


def give(
    items: int = 8,
    *,
    pages: int = 1,
    units: float | None = 1.0,
    retries: int = 0,
    read: int | None = None,
) -> Answer:
    """Return an answer of *items*, the first page charged *units*."""
    answer = Answer()
    for page in range(pages):
        found = [ITEM] * items if page == 0 else []
        response: dict[str, Any] = {"ResponseMetadata": {"RetryAttempts": retries}}
        if units is not None:
            response["ConsumedCapacity"] = {"CapacityUnits": units}
        answer.count(response, found, len(found) if read is None else read)
        answer.items += found
    return answer


def measure(
    *puppets: Puppet,
    plan: Plan | None = None,
    check: Callable[[Mapping[str, Answer]], None] = lambda _: None,
) -> MeasuredReads:
    context = Context(
        workload=SimpleNamespace(name="test"),  # type: ignore[arg-type]
        client=None,
        target={"kind": "endpoint"},
        where="http://localhost:8000",
        options=Options(plan=plan or Plan(iterations=10)),
        clock=puppets[0].clock,
    )
    return measure_reads("things", [[puppet] for puppet in puppets], context, check)


def reasons(measured: MeasuredReads) -> list[str]:
    return [str(each) for each in measured.doubts]


def refuse(code: str) -> Callable[[int], Answer]:
    def answers(_: int) -> Answer:
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, "Scan")

    return answers


def test_a_steady_read_is_beyond_doubt() -> None:
    clock = FakeClock()

    measured = measure(Puppet(clock), Puppet(clock, name="query", seconds=0.01))

    assert reasons(measured) == []
    assert measured.comparisons[0].latency_ratio == pytest.approx(10)
    assert measured.comparisons[0].significant


def test_equal_reads_do_not_differ() -> None:
    clock = FakeClock()

    measured = measure(Puppet(clock), Puppet(clock, name="same"))

    assert measured.comparisons[0].latency_ratio == pytest.approx(1)
    assert not measured.comparisons[0].significant


def test_figures_are_for_one_call_and_counters_for_all() -> None:
    clock = FakeClock()

    measured = measure(Puppet(clock, answers=lambda _: give(pages=3, retries=2)))

    (variant,) = measured.variants
    assert (variant.calls, variant.requests, variant.retries) == (10, 30, 60)
    assert (variant.requests_per_call, variant.capacity_units) == (3, 3.0)
    assert (variant.items_read, variant.items_returned) == (8, 8)
    assert variant.client_cpu_s == pytest.approx(0.025)
    assert variant.latency_s.p50 == pytest.approx(0.1)


def test_warm_up_calls_are_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    # tests of more than this measure without
    monkeypatch.setattr("perfkit.scenarios.read_sampler._WARM_UP_S", 0.1)
    clock = FakeClock()
    slow_start = Puppet(clock, seconds=0.001)

    def answers(number: int) -> Answer:
        if number <= 5:
            clock.advance(0.01)
        return give()

    slow_start.answers = answers
    measured = measure(slow_start)

    assert slow_start.called > 10
    assert measured.variants[0].latency_s.max == pytest.approx(0.001)


def test_the_first_call_counts_if_it_is_too_slow_to_be_a_warm_up() -> None:
    clock = FakeClock()
    slow, quick = Puppet(clock, seconds=2.5), Puppet(clock, "query", 0.9)

    variants = measure(slow, quick, plan=Plan(min_time_s=0.001)).variants

    # three rounds of 3.4 s: the slow one's first call is its first round
    assert [variant.calls for variant in variants] == [3, 3]
    assert (slow.called, quick.called) == (3, 4)
    assert variants[0].client_cpu_s == pytest.approx(0.625)


def test_iterations_are_counted_after_the_first_call_however_slow() -> None:
    clock = FakeClock()
    slow = Puppet(clock, seconds=2.5)

    (variant,) = measure(slow, plan=Plan(iterations=2)).variants

    assert (variant.calls, slow.called) == (2, 3)


def test_capacity_the_target_does_not_tell_is_not_invented() -> None:
    clock = FakeClock()

    measured = measure(
        Puppet(clock, answers=lambda _: give(units=None, read=100)),
        Puppet(clock, name="query", answers=lambda _: give(units=None)),
    )

    scan = measured.variants[0]
    assert scan.capacity_units is None
    assert scan.capacity_units_strong is None
    assert (scan.capacity_source, scan.capacity_strong_source) == ("none", "none")
    assert (scan.bytes_read, scan.bytes_read_source) == (None, "none")
    assert measured.comparisons[0].capacity_ratio is None
    assert any("does not say what capacity" in reason for reason in reasons(measured))


def test_capacity_that_cannot_be_right_is_doubted_and_not_built_upon() -> None:
    """A stand-in that charges a constant: 100 items of 1 KB are 25 blocks, so 12.5 units."""
    clock = FakeClock()

    measured = measure(Puppet(clock, answers=lambda _: give(100, units=0.5, read=200)))

    (reason,) = reasons(measured)
    assert reason == (
        "scan: the target charges 0.5 RCU for a page of 100 items of together 102,400 bytes,"
        " which DynamoDB bills as 12.5; compare capacity on the embedded target or on AWS"
    )
    assert measured.variants[0].capacity_units == 0.5
    assert (measured.variants[0].bytes_read, measured.variants[0].bytes_read_source) == (
        None, "none",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("units", "filtered", "doubted"),
    [
        pytest.param(12.5, False, False, id="exact"),
        pytest.param(13.0, False, False, id="one block more"),
        pytest.param(25.0, False, True, id="double"),
        pytest.param(25.0, True, False, id="the rest was filtered out"),
        pytest.param(6.0, True, True, id="half, filtered"),
    ],
)
def test_only_impossible_capacity_is_doubted(units: float, filtered: bool, doubted: bool) -> None:
    clock = FakeClock()

    measured = measure(Puppet(clock, answers=lambda _: give(100, units=units), filtered=filtered))

    assert bool(reasons(measured)) == doubted


def test_strong_units_are_measured_where_possible_else_modelled() -> None:
    clock = FakeClock()

    measured = measure(
        Puppet(clock, strong=2.5),
        Puppet(clock, name="query"),
        Puppet(clock, name="get", consistency=Consistency.STRONG, answers=lambda _: give(units=2)),
    )

    assert [
        (variant.capacity_units_strong, variant.capacity_strong_source)
        for variant in measured.variants
    ] == [(2.5, "measured"), (2.0, "modelled"), (2.0, "measured")]


def differ(times: int) -> Callable[[Mapping[str, Answer]], None]:
    """Return a check that fails that often, then passes."""
    left = times

    def check(_: Mapping[str, Answer]) -> None:
        nonlocal left
        left -= 1
        if left >= 0:
            msg = "different items"
            raise ResultsDifferError(msg)

    return check


def test_an_index_a_moment_behind_is_asked_once_more() -> None:
    assert measure(Puppet(FakeClock()), check=differ(1)).variants


def test_answers_that_stay_different_are_an_error() -> None:
    puppet = Puppet(FakeClock())

    with pytest.raises(ResultsDifferError):
        measure(puppet, check=differ(2))

    assert puppet.called == 2


def test_answers_are_checked_again_after_measuring() -> None:
    checked: list[int] = []

    measure(Puppet(FakeClock()), check=lambda answers: checked.append(len(answers)))

    assert checked == [1, 1]


def test_an_answer_that_changes_meanwhile_is_doubted() -> None:
    puppet = Puppet(FakeClock(), answers=lambda number: give(8 if number < 9 else 9))

    measured = measure(puppet)

    assert "scan: the answer held 8 to 9 items while it was measured" in reasons(measured)[0]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ProvisionedThroughputExceededException", ThrottledError),
        ("ResourceNotFoundException", TargetError),
        ("InternalServerError", TargetError),
    ],
)
def test_a_refusal_is_explained_with_the_scenarios_name(code: str, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=r"measuring things.*localhost:8000"):
        measure(Puppet(FakeClock(), answers=refuse(code)))
