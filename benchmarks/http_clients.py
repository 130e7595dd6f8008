"""perfkit's HTTP client beside wrk and the standard library's, two requests under way at a time."""

import http.client
import multiprocessing
import shutil
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from benchmarks.measuring import interleave
from benchmarks.section import Section, Table
from benchmarks.serving import QUESTION, RedisServer, Site, running, site
from benchmarks.wrk import MISSING, Load, Wrk
from perfkit.scenarios.service.http_load import Job, LoadProcess, load_process
from perfkit.service.settings import Switches
from perfkit.service.tokens import DEMO_USER
from perfkit.units import format_bytes, format_ratio, format_share

__all__ = ["compare"]

_TITLE = "HTTP clients"
_OURS, _WRK, _PLAIN = "perfkit", "wrk", "http.client, two processes"
_CONNECTIONS = 2

_CASES = {
    "50 courses": QUESTION,
    "a profile": f"/api/users/{DEMO_USER}/profile",
}

_NOTE = """\
A median moves with how two requests fall on one worker, in one turn of its loop or one after the \
other; whether a client times well tell mean and rate, which have to agree with each other."""

Ask = Callable[[str, int], Load]
"""Asks for a path for some seconds."""


def compare(*, quick: bool) -> Section:
    """Measure the same answers with each client, in turns; without wrk, say how to get it."""
    if shutil.which("wrk") is None:
        return Section(title=_TITLE, method=f"Not measured: {MISSING}.", tables=[], aims=[])
    rounds, seconds = (3, 1) if quick else (10, 2)
    with ExitStack() as stack:
        place = stack.enter_context(site())
        redis = stack.enter_context(RedisServer.started(place.folder, "cache"))
        plan = place.plan("clients", Switches.of_phase(3, notify=False), redis=redis)
        [service] = stack.enter_context(running({"clients": plan})).values()
        asking: dict[str, Ask] = {
            _OURS: _Ours(stack.enter_context(load_process()), service.url, place),
            _WRK: _wrk(Wrk(place.folder, place.token, _CONNECTIONS), service.url),
            _PLAIN: _Plain(stack, service.url, place.token),
        }
        measured = {
            case: _measure(asking, path, rounds=rounds, seconds=seconds)
            for case, path in _CASES.items()
        }
        sizes = {case: _size(service.url, place.token, path) for case, path in _CASES.items()}
    return Section(
        title=_TITLE,
        method=(
            f"Phase 3 with one worker and without notifications, answers from the cache,"
            f" {_CONNECTIONS} connections, each of which asks again once it is answered; medians of"
            f" {rounds} interleaved turns of {seconds} s, ratios of each round's.\n"
            "Under way: the mean latency a client reports, times its requests a second, divided by"
            " its connections. The rest of the time no request was under way, or none was timed;"
            " above 100% a client reports more than there was."
        ),
        tables=[
            _table(f"{case}, {format_bytes(sizes[case])}", loads)
            for case, loads in measured.items()
        ],
        aims=[],
        notes=[_NOTE],
    )


def _measure(
    asking: Mapping[str, Ask], path: str, *, rounds: int, seconds: int
) -> dict[str, list[Load]]:
    loads: dict[str, list[Load]] = {name: [] for name in asking}

    def turn(name: str) -> list[float]:
        loads[name].append(asking[name](path, seconds))
        return []

    for name in asking:
        # the answer is kept, and connections and modules are there
        asking[name](path, 1)
    interleave({name: partial(turn, name) for name in asking}, rounds=rounds)
    return loads


def _table(case: str, loads: Mapping[str, Sequence[Load]]) -> Table:
    def median(name: str, figure: Callable[[Load], float]) -> float:
        return statistics.median(map(figure, loads[name]))

    def ratio(name: str, figure: Callable[[Load], float]) -> str:
        pairs = zip(loads[name], loads[_WRK], strict=True)
        return format_ratio(statistics.median(figure(mine) / figure(wrk) for mine, wrk in pairs))

    rows = [
        [
            name,
            f"{median(name, lambda load: load.rate_hz):,.0f}",
            f"{median(name, lambda load: load.p50_s) * 1e3:.3f}",
            ratio(name, lambda load: load.p50_s),
            f"{median(name, lambda load: load.mean_s) * 1e3:.3f}",
            ratio(name, lambda load: load.mean_s),
            format_share(median(name, lambda load: load.mean_s * load.rate_hz / _CONNECTIONS)),
        ]
        for name in loads
    ]
    headers = [case, "requests/s", "p50, ms", "÷ wrk", "mean, ms", "÷ wrk", "under way"]
    return Table(headers, rows)


def _size(url: str, token: str, path: str) -> int:
    return _ask_plainly(url, token, path, 0)[1]


def _wrk(wrk: Wrk, url: str) -> Ask:
    return lambda path, seconds: wrk.ask(f"{url}{path}", seconds)


@dataclass(slots=True)
class _Ours:
    """perfkit's client, which is told how many requests to make."""

    load: LoadProcess
    url: str
    place: Site
    rate_hz: float = 100.0

    def __call__(self, path: str, seconds: int) -> Load:
        parts = urlsplit(self.url)
        figures = self.load.ask(
            Job(
                host=parts.hostname or "",
                port=parts.port or 0,
                path=path,
                token=self.place.token,
                concurrency=_CONNECTIONS,
                requests=round(self.rate_hz * seconds),
            )
        )
        load = Load.of(figures.samples_s, figures.elapsed_s)
        self.rate_hz = load.rate_hz
        return load


class _Plain:
    """Processes of their own, each with one connection of the standard library's."""

    def __init__(self, stack: ExitStack, url: str, token: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._pool = stack.enter_context(ProcessPoolExecutor(_CONNECTIONS, context))
        self._ask = partial(_ask_plainly, url, token)

    def __call__(self, path: str, seconds: int) -> Load:
        asking = [self._pool.submit(self._ask, path, seconds) for _ in range(_CONNECTIONS)]
        samples_s = [each_s for done in asking for each_s in done.result()[0]]
        return Load.of(samples_s, seconds)


def _ask_plainly(url: str, token: str, path: str, seconds: float) -> tuple[list[float], int]:
    """Return how long each request took, and the size of the answer."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    connection.connect()
    samples_s: list[float] = []
    start_s = sent_s = time.perf_counter()
    while not samples_s or sent_s < start_s + seconds:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        body = connection.getresponse().read()
        samples_s.append(time.perf_counter() - sent_s)
        sent_s = time.perf_counter()
    connection.close()
    return samples_s, len(body)
