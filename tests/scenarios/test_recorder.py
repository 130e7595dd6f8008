"""A run made of what was measured: where it comes from, and what is doubtful about it."""

from types import SimpleNamespace
from typing import Any

from perfkit.measure.clock import FakeClock
from perfkit.measure.measurement import Measurement, sample_calls
from perfkit.measure.rounds import Budget, Measured, Plan, measure
from perfkit.runs import Doubt, DoubtKind, RunKind
from perfkit.scenarios.base import Context, Options
from perfkit.scenarios.recorder import Recorder


class Slow:
    """A variant of one second."""

    name, question, operation, concurrency, switches = "slow", "", "Test", 1, None

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock

    def sample(self, calls: int) -> Measurement:
        return sample_calls(lambda: self._clock.advance(1.0), calls, self._clock, lambda *_: None)


def make_context(clock: FakeClock, **changes: Any) -> Context:
    return Context(
        workload=SimpleNamespace(name="test", digest="abc"),  # type: ignore[arg-type]
        client=None,
        target={"kind": "endpoint"},
        where="http://localhost:8000",
        options=Options(plan=Plan(iterations=12)),
        clock=clock,
        **changes,
    )


def begin(context: Context) -> Recorder:
    scenario: Any = SimpleNamespace(name="things", description="One thing")
    return Recorder(RunKind.SCENARIO, scenario, context)


def of_slow(context: Context, clock: FakeClock) -> Measured:
    return measure([Slow(clock)], context.options.plan, clock, budget=lambda _: Budget(turn_s=0.1))


def test_a_run_holds_what_was_measured_and_how_long_it_took() -> None:
    clock = FakeClock()
    context = make_context(clock)
    recorder = begin(context)

    run = recorder.finish(of_slow(context, clock), settings={"scale": 0.5}, next_steps=("go on",))

    assert (run.scenario, run.description) == ("things", "One thing")
    assert (run.workload, run.workload_digest) == ("test", "abc")
    assert run.duration_s == 13.0
    assert (run.settings["rounds"], run.settings["scale"]) == (12, 0.5)
    assert run.next_steps == ("go on",)
    (variant,) = run.variants
    assert (variant.calls, variant.capacity_source) == (12, "endpoint")


def test_what_is_known_of_the_target_comes_before_other_doubts() -> None:
    clock = FakeClock()
    context = make_context(clock, capacity_doubt="http://localhost:8000 is moto")
    recorder = begin(context)

    run = recorder.finish(
        of_slow(context, clock), doubts=[Doubt(DoubtKind.DATA, "nothing was found", "seed")]
    )

    assert [each.kind for each in run.doubts][:2] == [DoubtKind.CAPACITY, DoubtKind.DATA]
    assert tuple(map(str, run.warnings)) == (
        "http://localhost:8000 is moto; compare capacity on the embedded target or on AWS",
        "nothing was found; seed",
    )


def test_where_nothing_was_timed_nothing_is_doubted_about_time() -> None:
    clock = FakeClock()

    run = begin(make_context(clock)).finish(settings={"sample_items": 60})

    assert run.settings == {"sample_items": 60}
    assert (run.variants, run.warnings, run.cautions) == ((), (), ())
