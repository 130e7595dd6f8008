"""perfkit load beside wrk at equal load, and how many requests one process of it makes."""

import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from benchmarks.measuring import interleave
from benchmarks.section import Aim, Section, Table
from benchmarks.serving import QUESTION, RedisServer, running, site
from benchmarks.wrk import MISSING, Load, Wrk
from perfkit.load.plan import LoadPlan, Mix, Request
from perfkit.load.process import Place
from perfkit.load.running import Subject, run_load
from perfkit.runs import Run
from perfkit.service.settings import Switches
from perfkit.units import format_ratio, format_share

__all__ = ["compare"]

_TITLE = "Load"
_USERS = 50
_THINK_S = 0.2
_BUSY_USERS = 16
_SMALL = "benchmarks.small_answer"


def compare(*, quick: bool) -> Section:
    """Measure the same answer with both in turns, and a small one with perfkit as fast as it can."""
    if shutil.which("wrk") is None:
        return Section(title=_TITLE, method=f"Not measured: {MISSING}.", tables=[], aims=[])
    rounds, seconds = (1, 3) if quick else (3, 30)
    loads: dict[str, list[Load]] = {"perfkit": [], "wrk": []}
    shares: list[float] = []
    with ExitStack() as stack:
        place = stack.enter_context(site())
        redis = stack.enter_context(RedisServer.started(place.folder, "cache"))
        plan = place.plan("load", Switches.of_phase(3, notify=False), redis=redis)
        [service] = stack.enter_context(running({"load": plan})).values()
        wrk = Wrk(place.folder, place.token, _USERS, think_s=_THINK_S)
        mix = _mix(QUESTION, {"Authorization": f"Bearer {place.token}"})

        def ours() -> Load:
            run = _run(service.url, mix, _USERS, _THINK_S, seconds)
            shares.append(_share(run))
            return _load_of(run)

        asking: dict[str, Callable[[], Load]] = {
            "perfkit": ours,
            "wrk": lambda: wrk.ask(f"{service.url}{QUESTION}", seconds),
        }

        def turn(name: str) -> list[float]:
            loads[name].append(asking[name]())
            return []

        # the answer is kept
        wrk.ask(f"{service.url}{QUESTION}", 1)
        interleave({name: partial(turn, name) for name in asking}, rounds=rounds)
    with _small() as url:
        fast = _run(url, _mix("/", {}), _BUSY_USERS, 0.0, seconds)
    aims = [
        Aim.at_most("p50 of perfkit ÷ that of wrk", _ratio(loads, lambda each: each.p50_s), 1.15),
        Aim.at_most("p99 of perfkit ÷ that of wrk", _ratio(loads, lambda each: each.p99_s), 1.25),
        Aim.at_least("a small answer, one process", _load_of(fast).rate_hz, 2500, " requests/s"),
    ]
    return Section(
        title=_TITLE,
        method=(
            f"Phase 3 with one worker and without notifications, 50 courses from the cache:"
            f" {_USERS} users who think {_THINK_S:g} s, exponentially, by `perfkit load` and by wrk"
            f" with a delay as long; {rounds} interleaved turns of {seconds} s, medians.\n"
            f"Then a two-byte answer of a bare ASGI application to {_BUSY_USERS} users of one"
            " process who do not think."
        ),
        tables=[
            Table(
                ["50 courses", "requests/s", "p50, ms", "p99, ms", "of a core"],
                [
                    _row("perfkit", loads["perfkit"], format_share(statistics.median(shares))),
                    _row("wrk", loads["wrk"], ""),
                ],
            ),
            Table(
                ["a small answer", "requests/s", "p50, ms", "p99, ms", "of a core"],
                [_row("perfkit", [_load_of(fast)], format_share(_share(fast)))],
            ),
        ],
        aims=[each.unjudged() for each in aims] if quick else aims,
        notes=[
            (
                "perfkit's p50 is"
                f" {format_ratio(_ratio(loads, lambda each: each.p50_s))} that of wrk: what the"
                " generator adds, in Python and on the same cores."
            )
        ],
    )


def _mix(path: str, headers: dict[str, str]) -> Mix:
    request = Request(name=path, method="GET", path=path, headers=headers)
    return Mix(name="benchmark", requests=(request,))


def _run(url: str, mix: Mix, users: int, think_s: float, seconds: int) -> Run:
    plan = LoadPlan(
        urls=(url,), mix=mix, users=users, think_s=think_s, ramp_s=1.0, duration_s=float(seconds)
    )
    subject = Subject(mix=mix.name, workload=mix.name)
    return run_load(plan, subject, Place(), show=lambda *_: None, say=print)


def _load_of(run: Run) -> Load:
    latency_s = run.variants[0].latency_s
    return Load(
        requests=latency_s.count,
        elapsed_s=run.load_test.measured_s if run.load_test is not None else 0.0,
        p50_s=latency_s.p50,
        mean_s=latency_s.mean,
        p99_s=latency_s.p99,
    )


def _share(run: Run) -> float:
    share = None if run.load_test is None else run.load_test.generator_cpu_share
    return round(share or 0.0, 2)


def _ratio(loads: dict[str, list[Load]], figure: Callable[[Load], float]) -> float:
    pairs = zip(loads["perfkit"], loads["wrk"], strict=True)
    return statistics.median(figure(mine) / figure(wrk) for mine, wrk in pairs)


def _row(name: str, loads: list[Load], share: str) -> list[str]:
    return [
        name,
        f"{statistics.median(each.rate_hz for each in loads):,.0f}",
        f"{statistics.median(each.p50_s for each in loads) * 1e3:.2f}",
        f"{statistics.median(each.p99_s for each in loads) * 1e3:.2f}",
        share,
    ]


@contextmanager
def _small() -> Iterator[str]:
    """Run an application that answers two bytes, in a process of its own."""
    process = subprocess.Popen([sys.executable, "-m", _SMALL], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.communicate()
