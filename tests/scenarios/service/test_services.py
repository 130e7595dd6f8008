"""Scenarios of the reference service: real processes, real HTTP, on a small seeded target."""

import gc
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perfkit.analysis.phases import Promise, hold_against
from perfkit.dynamodb.targets import Target
from perfkit.errors import ConfigError, ResultsDifferError, TargetError
from perfkit.measure.rounds import Budget, Plan, measure
from perfkit.processes.supervisor import cpu_s
from perfkit.runs import Comparison, LatencySummary, Run, RunStore, Variant
from perfkit.scenarios.base import Context, Options
from perfkit.scenarios.registry import find
from perfkit.scenarios.service.http_load import LoadProcess
from perfkit.scenarios.service.services import HttpSampler, endpoints_of, services
from perfkit.service.running import RunningService
from perfkit.service.settings import Switches
from perfkit.workloads.loader import load
from perfkit.workloads.model import Workload

pytestmark = pytest.mark.processes


@pytest.fixture(autouse=True)
def _no_collecting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "collect", lambda: 0)


@pytest.fixture(scope="module")
def workload() -> Workload:
    return load("courses")


@pytest.fixture(scope="module")
def seeded(courses_data: Callable[..., Path]) -> Target:
    """Return a target with a fiftieth of the items (and all the pinned ones) and all indexes."""
    return Target(data=courses_data(0.02))


def make_context(target: Target, workload: Workload, *, iterations: int = 3) -> Context:
    return Context(
        workload=workload,
        client=target.client(),
        target=target.describe(),
        where=target.name,
        options=Options(plan=Plan(iterations=iterations)),
        source=target,
    )


@pytest.fixture
def supervised(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Return the processes of all services that were started."""
    pids: list[int] = []
    start = RunningService.start

    def starting(self: RunningService) -> None:
        start(self)
        pids.extend(self.pids)

    monkeypatch.setattr(RunningService, "start", starting)
    yield pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


# ---- phases ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def phases_run(seeded: Target, workload: Workload) -> Run:
    (scenario,) = find(workload, ["phases"])
    return scenario.measure(make_context(seeded, workload, iterations=2))


ENDPOINTS = ("GET /api/courses", "GET /api/enrollments", "GET /api/users/{id}/profile")


def test_every_endpoint_is_asked_at_every_phase(phases_run: Run) -> None:
    assert phases_run.kind == "phases"
    assert phases_run.questions == ENDPOINTS
    for question in ENDPOINTS:
        names = [each.name for each in phases_run.variants if each.question == question]
        assert names == [
            "phase-0",
            *("phase-1", "phase-1-cold"),
            *("phase-2", "phase-2-cold"),
            *("phase-3", "phase-3-cold"),
        ]


def test_read_units_are_those_of_each_phases_way_to_ask(phases_run: Run) -> None:
    # 200 courses are 25 RCU by scan and 50 of them 6.5 by index; loading the user is 0.5
    units = {
        each.name: each.capacity_units
        for each in phases_run.variants
        if each.question == "GET /api/courses"
    }
    assert units == {
        "phase-0": 25.5,
        "phase-1": 0.0,
        "phase-1-cold": 25.5,
        "phase-2": 0.0,
        "phase-2-cold": 7.0,
        "phase-3": 0.0,
        "phase-3-cold": 7.0,
    }


def test_warm_requests_hit_and_cold_ones_miss(phases_run: Run) -> None:
    for variant in phases_run.variants:
        if variant.name == "phase-0":
            assert variant.cache is None
            continue
        assert variant.cache is not None
        if variant.name.endswith("-cold"):
            assert (variant.cache.hits, variant.cache.misses) == (0, variant.calls)
        else:
            assert (variant.cache.hits, variant.cache.misses) == (variant.calls, 0)


def test_the_dashboards_figures_are_there(phases_run: Run) -> None:
    for variant in phases_run.variants:
        service = variant.service
        assert service is not None
        assert service.requests_per_s > 0
        assert service.failed_share == 0
        assert service.healthy == service.instances == 1
        assert service.read_units_per_s is not None
        assert service.cpu_s is None or service.cpu_s >= 0
        assert variant.body_bytes


def test_only_phase_3_does_not_wait_for_the_mail(phases_run: Run) -> None:
    waited = {
        each.name: each.latency_s.p50
        for each in phases_run.variants
        if each.question == "GET /api/courses" and not each.name.endswith("-cold")
    }

    # the mail server takes 400 ms, whatever else there is
    assert all(waited[name] >= 0.4 for name in ("phase-0", "phase-1", "phase-2"))
    assert waited["phase-3"] < 0.4


def test_the_stages_are_those_of_server_timing_and_fit_into_the_whole(phases_run: Run) -> None:
    variant = phases_run.variant("phase-0", "GET /api/courses")

    assert variant is not None
    assert variant.service is not None
    stages = dict(variant.service.stages_s)
    total_s = stages.pop("total")
    assert list(stages) == ["auth", "parse", "cache", "db", "serialize", "notify"]
    assert stages["db"] > 0
    assert stages["notify"] >= 0.4
    assert sum(stages.values()) <= total_s * 1.01 <= variant.latency_s.mean * 1.02


def test_read_units_fell_as_promised_or_not(phases_run: Run) -> None:
    check = next(
        each
        for each in phases_run.checks
        if each.question == "GET /api/courses" and each.figure == "read units"
    )

    # 25.5 to 7 is 72.5% less, on a table a fiftieth of its size
    assert check.measured == pytest.approx(1 - 7 / 25.5)
    assert (check.promised, check.verdict) == (0.95, "fail")
    assert len(phases_run.checks) == 9


def test_a_run_survives_its_file(phases_run: Run, tmp_path: Path) -> None:
    store = RunStore(tmp_path)

    loaded = store.load(store.save(phases_run))

    assert loaded.variants == phases_run.variants
    assert loaded.checks == phases_run.checks


def test_an_interrupt_leaves_nothing_running(
    seeded: Target,
    workload: Workload,
    supervised: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(LoadProcess, "ask", interrupt)
    (scenario,) = find(workload, ["phases"])

    with pytest.raises(KeyboardInterrupt):
        scenario.measure(make_context(seeded, workload))

    assert len(supervised) == 4


def test_without_tables_it_is_said_what_makes_them(
    tmp_path: Path,
    workload: Workload,
    supervised: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("perfkit.scenarios.service.services._TIMEOUT_S", 0.1)
    target = Target(data=tmp_path / "empty.sqlite3")
    client = target.client()
    client.list_tables()
    (scenario,) = find(workload, ["n-plus-one"])

    with pytest.raises(TargetError, match="perfkit seed"):
        scenario.measure(make_context(target, workload))
    with (
        pytest.raises(TargetError, match=r"phase-3 does not work .* dynamodb: .*`perfkit seed`"),
        services(make_context(target, workload), {"phase-3": Switches.of_phase(3)}),
    ):
        pass

    assert supervised


def test_bodies_that_differ_are_never_compared(
    seeded: Target, workload: Workload, supervised: list[int]
) -> None:
    context = make_context(seeded, workload, iterations=1)
    courses = endpoints_of(workload)[0]
    other = replace(courses, path=courses.path.replace("=CS", "=MA"))
    with services(context, {"phase-3": Switches.of_phase(3)}) as running:
        service = running.by_name["phase-3"]
        samplers = [
            HttpSampler("one", courses, service, running),
            HttpSampler("two", other, service, running),
        ]
        with pytest.raises(ResultsDifferError, match="two and one answered differently"):
            measure(
                samplers,
                context.options.plan,
                context.clock,
                budget=lambda _: Budget(turn_s=0.01),
            )
        missing = replace(courses, path="/api/nowhere")
        with pytest.raises(TargetError, match="answered 404"):
            HttpSampler("one", missing, service, running).sample(1)

    assert supervised


def test_services_need_a_target_of_their_own(seeded: Target, workload: Workload) -> None:
    context = replace(make_context(seeded, workload), source=None)
    (scenario,) = find(workload, ["phases"])

    with pytest.raises(ConfigError, match="connect on their own"):
        scenario.measure(context)


def test_processor_time_is_that_of_a_process() -> None:
    before = cpu_s([os.getpid()])
    sum(number * number for number in range(2_000_000))
    after = cpu_s([os.getpid()])

    if before is None or after is None:
        pytest.skip("this system does not tell")
    assert after > before
    assert cpu_s([2**22 + 1]) is None


# ---- verdicts ----------------------------------------------------------------------------


def variant(name: str, *, units: float | None = 10.0, errors: int = 0) -> Variant:
    latency_s = LatencySummary(count=1, mean=1.0, p50=1.0, p90=1.0, p95=1.0, p99=1.0, max=1.0)
    return Variant(
        name=name,
        question="q",
        operation="GET",
        calls=1,
        requests=1,
        errors=errors,
        items_read=None,
        items_returned=1,
        bytes_read=None,
        capacity_units=units,
        capacity_source="embedded",
        latency_s=latency_s,
        histogram="",
    )


def comparison(ratio: float, low: float | None, high: float = 0.0) -> Comparison:
    return Comparison(
        baseline="phase-0",
        candidate="phase-1",
        question="q",
        latency_ratio=ratio,
        latency_ratio_ci95=None if low is None else (low, high),
        capacity_ratio=None,
        results_equal=True,
    )


LESS_LATENCY = Promise(phase=1, figure="latency", share=0.8)
LESS_UNITS = Promise(phase=1, figure="read units", share=0.95)


@pytest.mark.parametrize(
    ("compared", "verdict"),
    [
        # 5 times as fast is 80% less
        pytest.param(comparison(8.0, 5.0, 12.0), "pass", id="all above"),
        pytest.param(comparison(3.0, 2.0, 4.9), "fail", id="all below"),
        pytest.param(comparison(6.0, 4.0, 9.0), "invalid", id="on both sides"),
        pytest.param(comparison(8.0, None), "invalid", id="no interval"),
        pytest.param(comparison(0.5, 0.4, 0.6), "fail", id="slower"),
    ],
)
def test_a_promise_is_kept_broken_or_not_told(compared: Comparison, verdict: str) -> None:
    variants = [variant("phase-0"), variant("phase-1")]

    (check,) = hold_against([LESS_LATENCY], variants, [compared])

    assert check.verdict == verdict
    assert check.measured == pytest.approx(1 - 1 / compared.latency_ratio)
    assert bool(check.reason) is (verdict == "invalid")


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        pytest.param(100.0, 5.0, "pass", id="exactly as promised"),
        pytest.param(100.0, 5.5, "fail", id="a little less"),
        pytest.param(None, 5.0, "invalid", id="unknown"),
    ],
)
def test_read_units_are_counted_and_need_no_interval(
    before: float | None, after: float, verdict: str
) -> None:
    variants = [variant("phase-0", units=before), variant("phase-1-cold", units=after)]

    (check,) = hold_against([LESS_UNITS], variants, [])

    assert check.verdict == verdict


def test_failed_requests_make_no_verdict() -> None:
    variants = [variant("phase-0"), variant("phase-1", errors=1)]

    (check,) = hold_against([LESS_LATENCY], variants, [comparison(8.0, 5.0, 12.0)])

    assert (check.verdict, check.reason) == ("invalid", "requests failed at phase-1")


# ---- ablation and single switches --------------------------------------------------------


def test_ablation_turns_every_switch_off_alone(seeded: Target, workload: Workload) -> None:
    (scenario,) = find(workload, ["ablation"])

    run = scenario.measure(make_context(seeded, workload, iterations=1))

    off = [name for name in Switches.names() if name != "notify"]
    for question in ENDPOINTS[:2]:
        names = [each.name for each in run.variants if each.question == question]
        assert names == [
            name
            for switch in ["phase-3", *(f"without {switch}" for switch in off)]
            for name in (switch, f"{switch}-cold")
        ]
    for each in run.variants:
        assert each.service is not None
        on = {name for name, state in each.service.switches.items() if state}
        lacking = each.name.removesuffix("-cold").removeprefix("without ")
        assert set(Switches.names()) - on == ({lacking} if lacking != "phase-3" else set())
    cold = {
        each.name: each.capacity_units for each in run.variants if each.question == ENDPOINTS[0]
    }
    assert cold["without indexes-cold"] == 25.5
    assert cold["phase-3-cold"] == 7.0
    assert cold["without sessions"] == 0.5


@pytest.mark.parametrize(
    ("name", "units_off", "units_on", "requests_off", "requests_on"),
    [
        ("n-plus-one", 3.5, 3.5, 6, 2),
        ("pooling", 0.5, 0.5, 1, 1),
        ("auth", 0.5, 0.0, 1, 1),
        ("serialize", 0.0, 0.0, 0, 0),
        ("email", 0.0, 0.0, 1, 1),
    ],
)
def test_off_and_on_answer_alike_and_consume_what_they_must(
    name: str,
    units_off: float,
    units_on: float,
    requests_off: int,
    requests_on: int,
    seeded: Target,
    workload: Workload,
) -> None:
    (scenario,) = find(workload, [name])

    run = scenario.measure(make_context(seeded, workload))

    off, on = run.variants
    assert (run.kind, off.name, on.name) == ("switch", "off", "on")
    assert (off.capacity_units, on.capacity_units) == (units_off, units_on)
    assert (off.requests_per_call, on.requests_per_call) == (requests_off, requests_on)
    assert off.body_bytes == on.body_bytes
    (compared,) = run.comparisons
    assert (compared.baseline, compared.candidate) == ("off", "on")


def test_a_lost_notification_is_an_error(
    seeded: Target, workload: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    from perfkit.queue import worker
    from perfkit.scenarios.service import email

    class Loses(worker.Worker):
        def _deliver_mail(self, message: Any) -> None:
            """Say that it was delivered."""
            self._delivered([message])
            del self._in_hand[message.id]

    monkeypatch.setattr(worker, "Worker", Loses)
    monkeypatch.setattr(email, "_DELIVERY_S", 1.0)
    (scenario,) = find(workload, ["email"])

    with pytest.raises(ResultsDifferError, match="notifications were taken and"):
        scenario.measure(make_context(seeded, workload, iterations=1))
