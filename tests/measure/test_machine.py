"""The machine: what a run file says about it, and what it never says."""

import getpass
import json
import os
import platform
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from perfkit.measure import machine
from perfkit.measure.machine import Load, LoadBetween, describe_machine


def test_a_machine_is_described_by_kind_not_by_name() -> None:
    described = describe_machine()

    text = json.dumps(described)
    assert described["cores"] >= 1
    assert described["python"].endswith(platform.python_version())
    assert described["boto3"]
    assert described["botocore"]
    assert described["sqlite"]
    assert described["cpu"]
    for private in (socket.gethostname(), str(Path.home())):
        assert private not in text
    assert getpass.getuser() not in described.values()


def test_a_machine_that_says_nothing_is_still_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_read", lambda _: "")
    monkeypatch.setattr(platform, "processor", lambda: "")

    assert describe_machine()["cpu"] == platform.machine()


@pytest.mark.parametrize(
    ("quota", "cores"), [("150000 100000", 2), ("50000 100000", 1), ("max 100000", 8), ("", 8)]
)
def test_a_containers_share_of_the_cores_counts(
    monkeypatch: pytest.MonkeyPatch, quota: str, cores: int
) -> None:
    monkeypatch.setattr(machine, "_read", lambda _: quota)
    # where /proc says nothing of it, the first to ask for the processor starts `uname`
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)

    assert describe_machine()["cores"] == cores


def test_the_systems_counters_are_sorted_into_busy_stolen_and_idle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted = SimpleNamespace(
        user=6.0, nice=0.5, system=3.0, idle=170.0, iowait=6.0, irq=0.1, softirq=0.4, steal=2.0
    )
    monkeypatch.setattr("psutil.cpu_times", lambda: counted)

    load = Load.now()

    assert load.busy_s == pytest.approx(10.0)  # user, nice, system, irq, softirq
    assert load.stolen_s == pytest.approx(2.0)
    assert load.total_s == pytest.approx(188.0)


def test_a_system_that_counts_less_is_read_as_far_as_it_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """macOS counts four kinds."""
    counted = SimpleNamespace(user=6.0, nice=1.0, system=3.0, idle=10.0)
    monkeypatch.setattr("psutil.cpu_times", lambda: counted)

    load = Load.now()

    assert (load.busy_s, load.stolen_s, load.total_s) == (10.0, 0.0, 20.0)


def test_shares_between_two_moments_leave_out_perfkit() -> None:
    between = LoadBetween(
        before=Load(own_cpu_s=1, busy_s=10, stolen_s=1, total_s=100),
        after=Load(own_cpu_s=3, busy_s=15, stolen_s=2, total_s=120),
    )

    assert between.others_share == pytest.approx(0.15)
    assert between.stolen_share == pytest.approx(0.05)


def test_now_is_now() -> None:
    first, second = Load.now(), Load.now()

    assert second.own_cpu_s >= first.own_cpu_s
