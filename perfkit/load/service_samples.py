"""A running service looked at once a second: the metrics of its dashboard, for each instance."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from threading import Event
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from perfkit.errors import ConfigError
from perfkit.load.counted import Counted, read_counted
from perfkit.measure.clock import Clock, RealClock
from perfkit.processes.http import ask
from perfkit.service.health_report import failing_checks

if TYPE_CHECKING:
    from perfkit.service.launch import Running

__all__ = ["Endpoint", "Sample", "ServiceSampler", "endpoints_of", "figures_of", "parse_base_url"]

_EVERY_S = 1.0

_HEALTH_S = 5.0
"""An instance that takes longer is unhealthy, as a load balancer of AWS has it by default."""

_MOST_AT_A_TIME = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """
    Where an instance is looked at.

    Args:
        name: For people; stays when the instance is started again.
        health_url: Answers 200 while it works. Where there is none, or it answers 404, an instance
            whose metrics can be had is healthy.
        metrics_url: Prometheus text; None where there is none.
        pids: Its processes on this machine; empty where they are not known.
    """

    name: str
    health_url: str | None = None
    metrics_url: str | None = None
    pids: tuple[int, ...] = ()

    @classmethod
    def of_service(cls, name: str, url: str, pids: Sequence[int] = ()) -> "Endpoint":
        """Return that of a service with `/healthz` and `/metrics`, as the reference service has."""
        base = url.rstrip("/")
        return cls(
            name=name,
            health_url=f"{base}/healthz",
            metrics_url=f"{base}/metrics",
            pids=tuple(pids),
        )


def endpoints_of(running: "Running") -> list[Endpoint]:
    """Return the instances of a service that `perfkit up` runs, as they are at the moment."""
    return [Endpoint.of_service(each.name, each.url, each.pids) for each in running.instances]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """
    How an instance was, and what it did since the look before.

    Args:
        instance: Its name.
        at_s: When, in seconds since 1970.
        healthy: Whether its health check answered 200 in time.
        problem: What is wrong, in words; "" if nothing is. A healthy instance may have one:
            something it depends on fails, or its metrics cannot be read.
        interval_s: Since the look before; 0 where there was none to compare with.
        counted: What was counted meanwhile.
    """

    instance: str
    at_s: float
    healthy: bool
    problem: str = ""
    interval_s: float = 0.0
    counted: Counted = field(default_factory=Counted)

    @property
    def requests_per_s(self) -> float | None:
        """Requests answered a second."""
        return _rate(self.counted.requests, self.interval_s)

    @property
    def read_units_per_s(self) -> float | None:
        """Read units consumed a second."""
        return _rate(self.counted.read_units, self.interval_s)

    @property
    def cpu_share(self) -> float | None:
        """Processor time of its processes, as a share of one core; None where one of them is new."""
        return _rate(self.counted.cpu_s, self.interval_s)

    def figures(self) -> dict[str, float | None]:
        """Return the metrics of the dashboard, as `analysis.health` judges them."""
        return figures_of([self])


def _rate(count: float | None, interval_s: float) -> float | None:
    return None if count is None or not interval_s else count / interval_s


def figures_of(samples: Sequence[Sample]) -> dict[str, float | None]:
    """
    Return the metrics of the dashboard of several samples, of one instance or of many.

    Requests and read units are those of all instances together; processor time is the mean of
    the instances, as CloudWatch averages it; how many are unhealthy is that of the last sample
    of each.
    """
    by_instance: dict[str, list[Sample]] = {}
    for sample in samples:
        by_instance.setdefault(sample.instance, []).append(sample)
    each = [_joined(found) for found in by_instance.values()]
    whole = Counted()
    for sample in each:
        whole = whole.plus(sample.counted)
    shares = [sample.cpu_share for sample in each if sample.cpu_share is not None]
    return {
        "mean_s": whole.mean_s,
        "p99_s": whole.percentile(0.99),
        "requests_per_s": _total(sample.requests_per_s for sample in each),
        "unhealthy": float(sum(not sample.healthy for sample in each)),
        "failed_share": whole.failed_share,
        "cpu_share": sum(shares) / len(shares) if shares else None,
        "read_units_per_s": _total(sample.read_units_per_s for sample in each),
        "hit_rate": whole.hit_rate,
    }


def _joined(samples: Sequence[Sample]) -> Sample:
    """Return what one instance did over all its samples, and how it was at the last."""
    whole = Counted()
    for sample in samples:
        whole = whole.plus(replace(sample.counted, memory_bytes=None))
    last = samples[-1]
    return replace(
        last,
        interval_s=sum(sample.interval_s for sample in samples),
        counted=replace(whole, memory_bytes=last.counted.memory_bytes),
    )


def _total(rates: Iterator[float | None]) -> float | None:
    known = [rate for rate in rates if rate is not None]
    return sum(known) if known else None


@dataclass(frozen=True, slots=True)
class _Look:
    """What there was to see of an instance at one moment."""

    at_s: float
    counted: Counted
    cpu_s: Mapping[int, float]


class ServiceSampler:
    """
    Looks at the instances of a service, side by side, and says what changed since it last did.

    Args:
        endpoints: Returns the instances of the moment: one that is started again has other
            processes.
        clock: Tells how much time lies between two looks.
    """

    def __init__(
        self, endpoints: Callable[[], Sequence[Endpoint]], *, clock: Clock | None = None
    ) -> None:
        self._endpoints = endpoints
        self._clock = clock or RealClock()
        self._before: dict[str, _Look] = {}

    def sample(self) -> list[Sample]:
        """Look at every instance once; one that does not answer holds this up for 5 s at most."""
        endpoints = self._endpoints()
        with ThreadPoolExecutor(_MOST_AT_A_TIME) as pool:
            return list(pool.map(self._look, endpoints))

    def each_second(self, stop: Event) -> Iterator[list[Sample]]:
        """
        Yield each second what the instances that were looked at by then say, until *stop* is set.

        An instance that takes longer to answer is left out meanwhile, and its next sample is of a
        longer time; the others are not held up. In a second in which none answers nothing is
        yielded.
        """
        under_way: dict[str, Future[Sample]] = {}
        due_s = time.monotonic()
        pool = ThreadPoolExecutor(_MOST_AT_A_TIME)
        try:
            while not stop.is_set():
                for endpoint in self._endpoints():
                    if endpoint.name not in under_way:
                        under_way[endpoint.name] = pool.submit(self._look, endpoint)
                # seconds that were missed are not made up for
                due_s = max(due_s + _EVERY_S, time.monotonic())
                wait(under_way.values(), timeout=due_s - time.monotonic())
                done = [name for name, future in under_way.items() if future.done()]
                samples = [under_way.pop(name).result() for name in done]
                if samples:
                    yield samples
                stop.wait(max(due_s - time.monotonic(), 0.0))
        finally:
            # ending this does not wait for an instance that hangs
            pool.shutdown(wait=False, cancel_futures=True)

    def _look(self, endpoint: Endpoint) -> Sample:
        works, problem = _check(endpoint)
        counted: Counted | None = None
        if works is not False:
            counted, unreadable = _read_metrics(endpoint)
            problem = problem or unreadable
        healthy = counted is not None if works is None else works
        return self._compare(endpoint, counted or Counted(), healthy=healthy, problem=problem)

    def _compare(
        self, endpoint: Endpoint, counted: Counted, *, healthy: bool, problem: str
    ) -> Sample:
        cpu_s, memory_bytes = _processes(endpoint.pids)
        if memory_bytes is not None:
            counted = replace(counted, memory_bytes=memory_bytes)
        now = _Look(self._clock.now(), counted, cpu_s)
        sample = Sample(
            instance=endpoint.name,
            at_s=time.time(),
            healthy=healthy,
            problem=problem,
            counted=Counted(memory_bytes=counted.memory_bytes),
        )
        if not healthy:
            # what it counted is compared once it answers again
            return sample
        before = self._before.get(endpoint.name)
        self._before[endpoint.name] = now
        if before is None:
            return sample
        meanwhile = counted.since(before.counted)
        if cpu_s:
            # what a process seen for the first time has used, it may have used before that look
            spent_s = (
                sum(max(each - before.cpu_s[pid], 0.0) for pid, each in cpu_s.items())
                if cpu_s.keys() <= before.cpu_s.keys()
                else None
            )
            meanwhile = replace(meanwhile, cpu_s=spent_s)
        return replace(sample, interval_s=now.at_s - before.at_s, counted=meanwhile)


def _check(endpoint: Endpoint) -> tuple[bool | None, str]:
    """Return whether an instance works, None if it has nothing to ask that, and what is wrong."""
    if endpoint.health_url is None:
        return None, ""
    try:
        answer = ask(endpoint.health_url, timeout_s=_HEALTH_S)
    except OSError as error:
        return False, _words(error)
    if answer.status == 404 and endpoint.metrics_url is not None:
        return None, ""
    if answer.status != 200:
        return False, f"{endpoint.health_url} answers {answer.status}"
    try:
        return True, failing_checks(json.loads(answer.body))
    except (ValueError, TypeError, KeyError, AttributeError):
        # another service's health check says what it likes
        return True, ""


def _read_metrics(endpoint: Endpoint) -> tuple[Counted | None, str]:
    """Return what an instance has counted, None if it does not say, and what is wrong."""
    if endpoint.metrics_url is None:
        return Counted(), ""
    try:
        answer = ask(endpoint.metrics_url, timeout_s=_HEALTH_S)
        if answer.status != 200:
            return None, f"{endpoint.metrics_url} answers {answer.status}"
        counted = read_counted(answer.body.decode(errors="replace"))
    except OSError as error:
        return None, _words(error)
    except ValueError as error:
        return Counted(), f"{endpoint.metrics_url} is no Prometheus text: {error}"
    if counted.is_empty:
        return counted, f"{endpoint.metrics_url} has no metric that perfkit knows"
    return counted, ""


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {_HEALTH_S:g} s"
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(reason).lower()


def _processes(pids: Sequence[int]) -> tuple[dict[int, float], int | None]:
    """Return the processor time of each process that lives, and the memory of all."""
    import psutil

    cpu_s: dict[int, float] = {}
    memory_bytes = 0
    for pid in pids:
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                times = process.cpu_times()
                memory_bytes += process.memory_info().rss
        except psutil.Error:
            continue
        cpu_s[pid] = times.user + times.system
    return cpu_s, memory_bytes if cpu_s else None


def parse_base_url(text: str) -> str:
    """
    Return a service's URL without a slash at its end.

    Raises:
        ConfigError: It is none.
    """
    parts = urlsplit(text)
    try:
        port_is_good = parts.port is None or parts.port > 0
    except ValueError:
        port_is_good = False
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_is_good:
        msg = f"{text!r} is no URL of a service; give one like http://127.0.0.1:8080"
        raise ConfigError(msg)
    return text.rstrip("/")
