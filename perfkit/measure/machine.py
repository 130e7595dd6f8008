"""The machine a run was measured on: what it is, and how busy others kept it meanwhile."""

import os
import platform
import sqlite3
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Self

import psutil

__all__ = ["Load", "LoadBetween", "describe_machine"]

_GIB = 1024**3


def describe_machine() -> dict[str, Any]:
    """
    Return processor, memory, system and versions, as a run file keeps them.

    No host name, user name, address or path: run files are made to be handed around.
    """
    return {
        "cpu": _cpu_model(),
        "cores": _usable_cores(),
        "memory_gib": _memory_gib(),
        "os": f"{platform.system()} {platform.release()} {platform.machine()}".strip(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "boto3": _version("boto3"),
        "botocore": _version("botocore"),
        "sqlite": sqlite3.sqlite_version,
    }


def _cpu_model() -> str:
    for line in _read(Path("/proc/cpuinfo")).splitlines():
        key, _, value = line.partition(":")
        # "Model" is what a Raspberry Pi calls itself; other ARM kernels name no model at all
        if key.strip() in {"model name", "Model"} and value.strip():
            return value.strip()
    if platform.system() == "Darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        try:
            answer = subprocess.run(  # noqa: S603 - a fixed command
                command, capture_output=True, text=True, timeout=5, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return platform.machine()
        return answer.stdout.strip() or platform.machine()
    return platform.processor() or platform.machine() or "unknown"


def _usable_cores() -> int:
    """Return how many cores this process may use, which a container may have cut down."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quota, _, period = _read(Path("/sys/fs/cgroup/cpu.max")).strip().partition(" ")
    if quota.isdigit() and period.isdigit() and int(period) > 0:
        cores = min(cores, max(1, round(int(quota) / int(period))))
    return cores


def _memory_gib() -> float:
    return round(psutil.virtual_memory().total / _GIB, 1)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """
    The machine's counters at one moment; None where the system has none.

    `busy_s` is the CPU time all processes used since start, `stolen_s` what the hypervisor gave
    to other machines, `total_s` all of it and the idle time, summed over the cores.
    """

    own_cpu_s: float
    busy_s: float | None = None
    stolen_s: float | None = None
    total_s: float | None = None
    load_average: float | None = None

    @classmethod
    def now(cls) -> Self:
        """Return the counters as they stand."""
        times, cpu = os.times(), psutil.cpu_times()
        # what a system does not count is no attribute there
        busy_s = sum(
            getattr(cpu, name, 0.0) for name in ("user", "nice", "system", "irq", "softirq")
        )
        stolen_s = getattr(cpu, "steal", 0.0)
        return cls(
            own_cpu_s=times.user + times.system + times.children_user + times.children_system,
            busy_s=busy_s,
            stolen_s=stolen_s,
            total_s=busy_s + cpu.idle + getattr(cpu, "iowait", 0.0) + stolen_s,
            load_average=_load_average(),
        )


def _load_average() -> float | None:
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBetween:
    """How busy the machine was between two moments, not counting perfkit itself."""

    before: Load
    after: Load

    @property
    def others_share(self) -> float | None:
        """Share of the machine's CPU time other processes used, 0 to 1; None if not known."""
        own_s = self.after.own_cpu_s - self.before.own_cpu_s
        share = self._share_of(self.before.busy_s, self.after.busy_s, own_s)
        # differences of sums: what is left of nothing is not quite 0
        return None if share is None else round(share, 6)

    @property
    def stolen_share(self) -> float | None:
        """Share of the machine's CPU time the hypervisor took away; None if not known."""
        return self._share_of(self.before.stolen_s, self.after.stolen_s)

    def _share_of(
        self, before_s: float | None, after_s: float | None, less_s: float = 0.0
    ) -> float | None:
        total_before_s, total_after_s = self.before.total_s, self.after.total_s
        if before_s is None or after_s is None or total_before_s is None or total_after_s is None:
            return None
        total_s = total_after_s - total_before_s
        # too short to say anything with a clock that ticks a hundred times a second
        if total_s < 0.5:
            return None
        return min(max((after_s - before_s - less_s) / total_s, 0.0), 1.0)
