"""Instances for a rate, from load tests that a hand put together: worked out on paper."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from perfkit.analysis.fleet import Measured, find_sides, fleet_of, measured_of, replay_of
from perfkit.cost.instances import find_type
from perfkit.cost.price_file import load_book
from perfkit.cost.scaling import Policy
from perfkit.errors import ConfigError, EvidenceError
from perfkit.runs import LoadStage, Run

MakeRun = Callable[..., Run]

BOOK = load_book("us-east-1")
MICRO = find_type("t3.micro", BOOK)


def measured(run: Run) -> Measured:
    found = measured_of(run)
    assert found is not None
    return found


def test_a_request_takes_the_cores_in_use_by_the_rate(make_load_run: MakeRun) -> None:
    """Half a core at 250 requests a second is 2 ms each."""
    found = measured(make_load_run())

    assert found.cpu_s == pytest.approx(0.002)
    assert found.busy_share == pytest.approx(0.5)


def test_what_a_t3_micro_may_use_for_good_decides_until_it_may_burst(
    make_load_run: MakeRun,
) -> None:
    """
    12 credits an hour are 12 / 60 = 0.2 vCPU; 400/s of 2 ms are 0.8 vCPU, four times that.

    Half of its two vCPUs at a time, as busy as the test was with p95 kept, is 1 vCPU: one is
    enough as long as 288 credits, 17,280 vCPU seconds, last at 0.8 - 0.2: 28,800 s, eight hours.
    Four for 730 hours at $0.0104 are $30.37.
    """
    test = measured(make_load_run())

    fleet = fleet_of(test, [test], 400, 0.2, MICRO, Policy(), BOOK)

    assert (fleet.for_good.count, fleet.for_good.bound) == (4, "baseline")
    assert fleet.bursting == 1
    assert fleet.lasts_s == pytest.approx(28_800)
    assert fleet.usd == pytest.approx(30.37, abs=0.005)


def test_how_busy_processes_were_with_p95_kept_decides_where_credits_do_not(
    make_load_run: MakeRun,
) -> None:
    """An m7g.large has no credits: 400/s of 2 ms are 0.8 vCPU of 2, at 20% each: 2 instances."""
    book = load_book("us-east-1")
    kind = replace(find_type("t3.micro", book), name="m9.test", credits_an_hour=None)
    slow = measured(make_load_run(p95_s=0.5))
    kept = measured(make_load_run(cores=[0.2] * 60, rate_hz=100, run_id="load-kept"))

    fleet = fleet_of(slow, [slow, kept], 400, 0.2, kind, Policy(), book)

    assert fleet.busy is not None
    assert fleet.busy.run == "load-kept"
    assert fleet.busy.share == pytest.approx(0.2)
    assert (fleet.for_good.count, fleet.for_good.bound) == (2, "peak")
    assert (fleet.bursting, fleet.usd) == (None, None)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"p95_s": 0.2}, id="at the limit"),
        pytest.param({"errors": 1}, id="a request failed"),
        pytest.param({"invalid": ("the generator was saturated",)}, id="invalid"),
    ],
)
def test_a_test_that_did_not_keep_the_limit_promises_nothing(
    given: dict[str, Any], make_load_run: MakeRun
) -> None:
    test = measured(make_load_run(**given))

    fleet = fleet_of(test, [test], 400, 0.2, MICRO, Policy(), BOOK)

    assert (fleet.busy, fleet.bursting) == (None, None)
    assert fleet.for_good.count == 4


def test_of_two_processes_each_is_half_as_busy(make_load_run: MakeRun) -> None:
    found = measured(make_load_run(cores=[1.2] * 60, workers=2))

    assert found.busy_share == pytest.approx(0.6)
    # on two vCPUs that are 60% busy it wants 0.6 / 0.5 instances
    assert replay_of(found, Policy()).end == 2


def test_a_test_is_repeated_for_an_hour(make_load_run: MakeRun) -> None:
    """Half a minute at 80% and half at 10% are minutes of 45%."""
    found = measured(make_load_run(cores=[0.8] * 30 + [0.1] * 30))

    replayed = replay_of(found, Policy())

    assert (replayed.minutes, replayed.is_stable) == (60, True)
    assert not replay_of(found, Policy(target=0.4)).is_stable


def test_the_newest_of_the_first_and_the_last_phase_are_the_two_sides(
    make_load_run: MakeRun,
) -> None:
    runs = [make_load_run(phase) for phase in (0, 2, 3)]

    sides = find_sides(runs)

    assert sides.before is not None
    assert sides.after is not None
    assert (sides.before.run.id, sides.after.run.id) == ("load-0", "load-3")
    assert find_sides(runs[:1]).after is None
    assert find_sides(runs[2:]).before is None


def test_a_run_like_aws_never_stands_beside_one_that_is_not(make_load_run: MakeRun) -> None:
    like_aws = {"kind": "embedded", "modelled": {"throughput": "enforced"}}
    plain, modelled = make_load_run(0), make_load_run(3, target=like_aws)

    sides = find_sides([plain, modelled], after=modelled)

    assert sides.before is None
    assert {each.run.id for each in sides.alike(measured(modelled))} == {"load-3"}
    with pytest.raises(ConfigError, match="only runs on the same one are compared"):
        find_sides([], before=plain, after=modelled)


def test_runs_of_two_workloads_are_no_before_and_after(make_load_run: MakeRun) -> None:
    ours, theirs = make_load_run(0), replace(make_load_run(3), workload="orders")

    with pytest.raises(ConfigError, match="workload courses and load-3 with workload orders"):
        find_sides([], before=ours, after=theirs)


def test_a_run_in_which_nothing_ended_says_that(make_load_run: MakeRun) -> None:
    assert "raise --duration" in find_sides([make_load_run(rate_hz=0.0)]).problems[0]


def test_a_run_whose_service_was_changed_meanwhile_is_of_neither_side(
    make_load_run: MakeRun,
) -> None:
    run = make_load_run()
    assert run.load_test is not None
    stages = (LoadStage(name="phase 0", start_s=5.0, end_s=9.0),)
    changed = replace(run, load_test=replace(run.load_test, stages=stages))

    with pytest.raises(EvidenceError, match="the service was changed meanwhile"):
        find_sides([], before=changed)


def test_a_run_without_processor_time_says_what_is_missing(make_load_run: MakeRun) -> None:
    bare = make_load_run(cores=[])

    assert "process_cpu_seconds_total" in find_sides([bare]).problems[0]
    with pytest.raises(EvidenceError, match="says nothing of processor time"):
        find_sides([], after=bare)


def test_two_mixes_of_one_phase_are_no_before_and_after(make_load_run: MakeRun) -> None:
    def asked(mix: str, run_id: str, started_at: str) -> Run:
        run = replace(make_load_run(run_id=run_id), started_at=started_at)
        assert run.load_test is not None
        settings = replace(run.load_test.settings, mix=mix)
        return replace(run, load_test=replace(run.load_test, settings=settings))

    runs = [
        asked("courses", "load-1", "2026-01-01T00:00:00Z"),
        asked("mine", "load-2", "2026-01-02T00:00:00Z"),
    ]

    sides = find_sides(runs)

    assert sides.before is None
    assert sides.after is not None
    assert sides.after.run.id == "load-2"
