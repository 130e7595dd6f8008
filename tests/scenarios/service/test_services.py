"""Scenarios of the reference service: real processes, real HTTP, on a small seeded target."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perfkit.dynamodb.targets import Target
from perfkit.errors import ConfigError, ResultsDifferError, TargetError
from perfkit.measure.rounds import Budget, measure
from perfkit.processes.supervisor import cpu_s
from perfkit.scenarios.base import Context
from perfkit.scenarios.registry import find
from perfkit.scenarios.service.services import HttpSampler, endpoints_of, services
from perfkit.service.running import RunningService
from perfkit.service.settings import Switches
from perfkit.workloads.model import Workload

pytestmark = pytest.mark.processes

MakeContext = Callable[..., Context]


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


# ---- services ------------------------------------------------------------------------------


def test_an_interrupt_leaves_nothing_running(
    seeded: Target, workload: Workload, supervised: list[int], make_context: MakeContext
) -> None:
    phases = {f"phase-{phase}": Switches.of_phase(phase) for phase in (0, 3)}

    with pytest.raises(KeyboardInterrupt), services(make_context(seeded, workload), phases):
        raise KeyboardInterrupt

    assert len(supervised) == 2


def test_without_tables_it_is_said_what_makes_them(
    tmp_path: Path,
    workload: Workload,
    supervised: list[int],
    monkeypatch: pytest.MonkeyPatch,
    make_context: MakeContext,
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
    seeded: Target, workload: Workload, supervised: list[int], make_context: MakeContext
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


def test_services_need_a_target_of_their_own(
    seeded: Target, workload: Workload, make_context: MakeContext
) -> None:
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


# ---- ablation and single switches --------------------------------------------------------


@pytest.mark.usefixtures("within_this_process")
def test_ablation_turns_every_switch_off_alone(
    seeded: Target, workload: Workload, make_context: MakeContext
) -> None:
    (scenario,) = find(workload, ["ablation"])

    run = scenario.measure(make_context(seeded, workload, iterations=1))

    off = [name for name in Switches.names() if name != "notify"]
    for question in ("GET /api/courses", "GET /api/enrollments"):
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
        each.name: each.capacity_units
        for each in run.variants
        if each.question == "GET /api/courses"
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
    make_context: MakeContext,
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
    seeded: Target, workload: Workload, monkeypatch: pytest.MonkeyPatch, make_context: MakeContext
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
