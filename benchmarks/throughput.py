"""The service under wrk's load, against the plain application and with notifications queued."""

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import redis
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.measuring import interleave
from benchmarks.plain_fastapi import body_key, session_key
from benchmarks.serving import QUESTION, Caller, RedisServer, Site, plain, running
from benchmarks.wrk import Load, Wrk
from perfkit.errors import ResultsDifferError, TargetError
from perfkit.processes.supervisor import cpu_s
from perfkit.queue.sink import start_sink
from perfkit.scenarios.service.http_load import Job, load_process
from perfkit.service.running import RunningService
from perfkit.service.settings import Switches
from perfkit.service.tokens import DEMO_USER

__all__ = ["NOTIFYING", "PHASE_0", "PHASE_0_CONNECTIONS", "PHASE_3", "PLAIN"]
__all__ += ["WORKERS", "Throughput", "Under", "measure"]

PHASE_3 = "phase 3, --no-notify"
NOTIFYING = "phase 3, --notify"
PHASE_0 = "phase 0"
PLAIN = "plain FastAPI"

WORKERS = 2

PHASE_0_CONNECTIONS = 10
"""At 50 its requests would wait for longer than the service lets them."""


def _nothing() -> None:
    pass


@dataclass(slots=True, kw_only=True)
class Under:
    """
    One contender under load, turn by turn.

    Args:
        url: What it is asked for.
        pids: Its processes.
        prepare: Called before a turn.
        settle: Called after one, so that nothing goes on in those of others.
    """

    url: str
    pids: Sequence[int]
    prepare: Callable[[], None] = _nothing
    settle: Callable[[], None] = _nothing
    loads: list[Load] = field(default_factory=list)
    cpu_s: float = 0.0

    @property
    def requests(self) -> int:
        return sum(load.requests for load in self.loads)

    @property
    def rates_hz(self) -> list[float]:
        return [load.rate_hz for load in self.loads]

    @property
    def rate_hz(self) -> float:
        return statistics.median(self.rates_hz)

    @property
    def p99_s(self) -> float:
        return statistics.median(load.p99_s for load in self.loads)

    @property
    def cpu_each_s(self) -> float | None:
        """Processor time a request costs its processes; None where it cannot be told."""
        return self.cpu_s / self.requests if self.cpu_s else None

    def times(self, other: "Under") -> float:
        """Return how many times as many requests it answers, the median over the rounds."""
        pairs = zip(self.rates_hz, other.rates_hz, strict=True)
        return statistics.median(mine / theirs for mine, theirs in pairs)

    def turn(self, wrk: Wrk, seconds: int) -> list[float]:
        """Answer requests for some seconds."""
        self.prepare()
        before_s = cpu_s(self.pids)
        load = wrk.ask(self.url, seconds)
        self.loads.append(load)
        after_s = cpu_s(self.pids)
        if before_s is not None and after_s is not None:
            self.cpu_s += after_s - before_s
        self.settle()
        return [load.rate_hz]


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """
    What was measured, by contender.

    Attributes:
        rounds: Turns each of them had, but phase 0.
        seconds: How long a turn was.
        body_bytes: Of the answer.
        found: Share of requests to phase 3 that the cache answered.
        queued: Share of requests to the notifying one whose notifications were queued.
        mails: Mails its worker delivered meanwhile.
    """

    under: Mapping[str, Under]
    rounds: int
    seconds: int
    body_bytes: int
    found: float
    queued: float
    mails: int


def measure(place: Site, *, quick: bool) -> Throughput:
    """
    Measure all contenders in turns, and then phase 0.

    Raises:
        ResultsDifferError: They do not all give the same answer.
        TargetError: Something does not start, or does not answer.
    """
    rounds, seconds = (2, 1) if quick else (5, 4)
    # each is another, and the plain application knows one
    token = place.token
    wrk = Wrk(place.folder, token)
    with ExitStack() as stack:
        shared = stack.enter_context(RedisServer.started(place.folder, "shared"))
        queue = stack.enter_context(RedisServer.started(place.folder, "queue"))
        sink = start_sink()
        stack.callback(sink.stop)
        by_hand = stack.enter_context(plain(place.folder, shared, workers=WORKERS))
        plans = {
            PHASE_3: place.plan(
                "phase-3", Switches.of_phase(3, notify=False), redis=shared, workers=WORKERS
            ),
            NOTIFYING: place.plan(
                "notifying",
                Switches.of_phase(3),
                redis=queue,
                smtp_url=sink.settings.url,
                workers=WORKERS,
                deliver=True,
            ),
        }
        services = stack.enter_context(running(plans))
        bodies = {name: _ask_once(service, place) for name, service in services.items()}
        _share(shared, token, bodies[PHASE_3])
        under = {
            name: Under(
                url=f"{service.url}{QUESTION}",
                pids=service.pids,
                prepare=_warming(service, place),
                settle=_emptying(queue) if name == NOTIFYING else _nothing,
            )
            for name, service in services.items()
        }
        with Caller(by_hand.url, token) as caller:
            caller.await_answer()
            bodies[PLAIN] = caller.body
        under[PLAIN] = Under(url=f"{by_hand.url}{QUESTION}", pids=by_hand.pids)
        for each in under.values():
            each.prepare()
            wrk.ask(each.url, 1)
            each.settle()
        answers = _Count(services[PHASE_3], place, "perfkit_cache_answers", "state")
        told = _Count(services[NOTIFYING], place, "perfkit_notifications", "outcome")
        mails = sink.received
        turns = {name: _turn(each, wrk, seconds) for name, each in under.items()}
        interleave(turns, rounds=rounds)
        figures = Throughput(
            under=under,
            rounds=rounds,
            seconds=seconds,
            body_bytes=len(bodies[PHASE_3]),
            found=answers.share("HIT"),
            queued=told.share("queued"),
            mails=sink.received - mails,
        )
    under[PHASE_0], bodies[PHASE_0] = _phase_0(place, requests=10 if quick else 40)
    _check_same(bodies)
    return figures


def _turn(under: Under, wrk: Wrk, seconds: int) -> Callable[[], list[float]]:
    return lambda: under.turn(wrk, seconds)


def _ask_once(service: RunningService, place: Site) -> bytes:
    with Caller(service.url, place.token) as caller:
        caller.call()
        return caller.body


def _warming(service: RunningService, place: Site) -> Callable[[], None]:
    """Return what has a service keep the answer if it does not."""

    def warm() -> None:
        _ask_once(service, place)

    return warm


def _emptying(server: RedisServer) -> Callable[[], None]:
    """Return what forgets everything in a server, mails that wait to be delivered above all."""

    def empty() -> None:
        with redis.Redis(unix_socket_path=str(server.path)) as client:
            client.flushdb()

    return empty


def _share(server: RedisServer, token: str, body: bytes) -> None:
    """Put into a server what the plain application looks up there."""
    with redis.Redis(unix_socket_path=str(server.path)) as client:
        client.set(session_key(token), DEMO_USER)
        client.set(body_key("1", "CS"), body)


class _Count:
    """What a metric of a service counts from now on, by the values of one of its labels."""

    def __init__(self, service: RunningService, place: Site, metric: str, label: str) -> None:
        self._service = service
        self._place = place
        self._metric = metric
        self._label = label
        self._before = self._read()

    def share(self, value: str) -> float:
        """Return the share that has this value."""
        counts = self._read()
        counts.subtract(self._before)
        if not counts.total():
            msg = f"the service counted nothing as {self._metric}"
            raise TargetError(msg)
        return counts[value] / counts.total()

    def _read(self) -> Counter[str]:
        with Caller(self._service.url, self._place.token, "/metrics") as caller:
            caller.call()
            text = caller.body.decode()
        counts: Counter[str] = Counter()
        for family in text_string_to_metric_families(text):
            if family.name == self._metric:
                for sample in family.samples:
                    # reading the metrics is counted too, as another route
                    if sample.labels.get("route") != "/metrics":
                        counts[sample.labels[self._label]] += round(sample.value)
        return counts


def _phase_0(place: Site, *, requests: int) -> tuple[Under, bytes]:
    """Measure phase 0 alone: what wrk leaves unanswered would keep it busy for seconds."""
    with ExitStack() as stack:
        sink = start_sink()
        stack.callback(sink.stop)
        plan = place.plan(
            "phase-0", Switches.of_phase(0), smtp_url=sink.settings.url, workers=WORKERS
        )
        [service] = stack.enter_context(running({PHASE_0: plan})).values()
        body = _ask_once(service, place)
        parts = urlsplit(service.url)
        job = Job(
            host=parts.hostname or "",
            port=parts.port or 0,
            path=QUESTION,
            token=place.token,
            concurrency=PHASE_0_CONNECTIONS,
            requests=requests,
        )
        before_s = cpu_s(service.pids)
        figures = stack.enter_context(load_process()).ask(job)
        after_s = cpu_s(service.pids)
    if figures.statuses != {"200": requests}:
        msg = f"phase 0 answered {figures.statuses}: {figures.example[:200]}"
        raise TargetError(msg)
    load = Load.of(figures.samples_s, figures.elapsed_s)
    used_s = 0.0 if before_s is None or after_s is None else after_s - before_s
    under = Under(url=service.url, pids=service.pids, loads=[load], cpu_s=used_s)
    return under, body


def _check_same(bodies: Mapping[str, bytes]) -> None:
    for name, body in bodies.items():
        if body != bodies[PHASE_3]:
            msg = f"{name} and {PHASE_3} gave different answers: {body[:80]!r}"
            raise ResultsDifferError(msg)
