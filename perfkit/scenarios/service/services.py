"""
Services measured side by side: started each on a port of its own, asked over HTTP one at a time.

Only the one that is being measured gets requests; the others wait. So drift of the machine hits
all alike, and none has to be started, warmed and stopped within a round.
"""

import secrets
import tempfile
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from perfkit.errors import ConfigError, TargetError
from perfkit.measure.measurement import Measurement, Sampler
from perfkit.measure.rounds import Budget, Measured, Rounds, measure
from perfkit.processes.http import status_of
from perfkit.processes.supervisor import cpu_s
from perfkit.scenarios.base import MOST_ROUNDS, Context
from perfkit.scenarios.service.http_load import Figures, Job, LoadProcess, load_process
from perfkit.service.health_report import await_healthy
from perfkit.workloads.model import Workload

if TYPE_CHECKING:
    from perfkit.dynamodb.targets import Target
    from perfkit.service.settings import Switches

__all__ = ["Endpoint", "HttpSampler", "Service", "Services", "endpoints_of"]
__all__ += ["measure_endpoints", "services"]

_CONCURRENCY = 2
"""Requests under way at once: as many as the smallest machine perfkit is made for has cores."""

# an interval needs three; a phase that scans and mails takes a second or more for each
_FEWEST_ROUNDS = 3

_HEALTH_S = 5.0
_TIMEOUT_S = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """
    A request to measure.

    Args:
        name: Method and path, without what differs from user to user.
        path: What is asked, with its query string.
        pattern: The access pattern behind it.
        takes_long: At phase 0 it scans so much that the main job leaves it out.
    """

    name: str
    path: str
    pattern: str
    takes_long: bool = False


def endpoints_of(workload: Workload) -> tuple[Endpoint, ...]:
    """Return the requests to measure: the questions of the workload's own parameters."""
    from perfkit.service.tokens import DEMO_USER

    parameters = {
        name.lstrip(":"): next(iter(value.values()))
        for name, value in workload.pattern("courses").parameters.items()
    }
    return (
        Endpoint(
            name="GET /api/courses",
            path=f"/api/courses?{urlencode(parameters)}",
            pattern="courses",
        ),
        Endpoint(
            name="GET /api/enrollments",
            path="/api/enrollments",
            pattern="enrollments",
            takes_long=True,
        ),
        Endpoint(
            name="GET /api/users/{id}/profile",
            path=f"/api/users/{DEMO_USER}/profile",
            pattern="profile",
        ),
    )


class Service:
    """A running service of some switches."""

    def __init__(self, switches: "Switches", url: str, pids: Sequence[int], redis: Any) -> None:
        parts = urlsplit(url)
        self.switches = switches
        self.url = url
        self.host = parts.hostname or ""
        self.port = parts.port or 0
        self.pids = tuple(pids)
        self._redis = redis
        self.kept: set[str] = set()
        """Paths whose answers are in its cache."""

    def forget(self) -> None:
        """Empty its cache, and leave its queue alone."""
        from perfkit.queue.streams import NAMESPACE

        if self._redis is None:
            return
        doomed = [
            key for key in self._redis.scan_iter("*") if not key.startswith(NAMESPACE.encode())
        ]
        if doomed:
            self._redis.delete(*doomed)
        self.kept.clear()

    def is_healthy(self) -> bool:
        """Ask as a load balancer does: whether the health check answers 200 in time."""
        return status_of(f"{self.url}/healthz", timeout_s=_HEALTH_S) == 200

    def cpu_s(self) -> float | None:
        """Return the processor time of its processes so far; None if unknown."""
        return cpu_s(self.pids)


@dataclass(slots=True, kw_only=True)
class Services:
    """
    Services that run side by side.

    Attributes:
        load: The client.
        token: Of the user who asks.
        by_name: The services.
        mails: Returns how many mails have arrived.
    """

    load: LoadProcess
    token: str
    by_name: dict[str, Service]
    mails: Any
    _cpu_before_s: float = 0.0

    def helpers_cpu_s(self) -> float:
        """Return the processor time of the services and the client since they were started."""
        pids = [pid for service in self.by_name.values() for pid in service.pids]
        return (cpu_s([*pids, self.load.pid]) or 0.0) - self._cpu_before_s


@contextmanager
def services(context: Context, switches: Mapping[str, "Switches"]) -> Iterator[Services]:
    """
    Run a service for each set of switches, and end them all with the block.

    Each has its own cache server; nothing delivers what is queued, as that is the work of other
    machines: the mails stay in the queue, and a local mail server takes those sent at once.

    Args:
        context: Says where DynamoDB is.
        switches: By name.

    Raises:
        ConfigError: There is no target that processes of their own could reach.
        TargetError: A service does not start, or is not well.
    """
    from perfkit.queue.sink import start_sink
    from perfkit.service.tokens import DEMO_USER, Tokens

    if context.source is None:
        msg = "services connect on their own, and a client is all there is to measure with"
        raise ConfigError(msg)
    secret = secrets.token_hex(32)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="perfkit-")))
        sink = start_sink()
        stack.callback(sink.stop)
        load = stack.enter_context(load_process())
        started = _start(stack, switches, context.source, secret, folder, sink.settings.url)
        running = Services(
            load=load,
            token=Tokens(secret).issue(DEMO_USER),
            by_name=started,
            mails=lambda: sink.received,
        )
        running._cpu_before_s = running.helpers_cpu_s()  # noqa: SLF001 - its own module
        for name, service in started.items():
            failing = await_healthy(service.url, _TIMEOUT_S)
            if failing:
                msg = f"the service {name} does not work with {context.where}: {failing}"
                raise TargetError(msg)
        yield running


def _start(
    stack: ExitStack,
    switches: Mapping[str, "Switches"],
    target: "Target",
    secret: str,
    folder: Path,
    smtp_url: str,
) -> dict[str, Service]:
    import redis

    from perfkit.cache.address import parse_url
    from perfkit.processes import redis_server
    from perfkit.service.running import Plan, RunningService
    from perfkit.service.settings import ServiceSettings

    def settings(number: int, wanted: "Switches") -> ServiceSettings:
        home = folder / str(number)
        url = None
        if wanted.needs_redis:
            started = redis_server.start(home)
            stack.callback(started.stop)
            url = started.url
        return ServiceSettings(
            switches=wanted,
            secret=secret,
            target=target,
            redis_url=url,
            smtp_url=smtp_url,
            folder=home,
        )

    plans = {
        name: Plan(settings=settings(number, wanted), port=0)
        for number, (name, wanted) in enumerate(switches.items())
    }
    running = {name: RunningService(plan) for name, plan in plans.items()}
    for each in running.values():
        stack.callback(each.stop)
    # each spends a second importing: side by side they take half as long
    with ThreadPoolExecutor(len(running)) as pool:
        for future in [pool.submit(each.start) for each in running.values()]:
            future.result()

    def connect(url: str | None) -> Any:
        if url is None:
            return None
        client = redis.Redis(unix_socket_path=parse_url(url).path)
        stack.callback(client.close)
        return client

    return {
        name: Service(
            switches[name],
            each.url,
            each.pids,
            connect(plans[name].settings.redis_url),
        )
        for name, each in running.items()
    }


@dataclass(slots=True)
class HttpSampler:
    """An endpoint of one service, asked warm or cold."""

    name: str
    endpoint: Endpoint
    service: Service
    running: Services
    cold: bool = False

    @property
    def question(self) -> str:
        return self.endpoint.name

    @property
    def operation(self) -> str:
        return self.endpoint.name

    @property
    def concurrency(self) -> int:
        # one request after the other: a second would find what the first has filled
        return 1 if self.cold else _CONCURRENCY

    @property
    def switches(self) -> Mapping[str, bool]:
        return asdict(self.service.switches)

    def sample(self, calls: int) -> Measurement:
        """Ask so often; what is kept is there before, or for a cold turn is not."""
        service = self.service
        figures = Figures()
        elapsed_s = 0.0
        cpu_s: float | None = 0.0
        parts = [1] * calls if self.cold else [calls]
        if (
            not self.cold
            and service.switches.needs_cache
            and self.endpoint.path not in service.kept
        ):
            self._ask(1)
        for part in parts:
            if self.cold:
                service.forget()
            before_s = service.cpu_s()
            measured = self._ask(part)
            cpu_s = _plus(cpu_s, before_s, service.cpu_s())
            service.kept.add(self.endpoint.path)
            _merge(figures, measured)
            elapsed_s += measured.elapsed_s
        self._refuse_bad(figures)
        return Measurement(
            samples_s=array("d", figures.samples_s),
            elapsed_s=elapsed_s,
            cpu_s=cpu_s,
            read_units=figures.read_units,
            requests=len(figures.samples_s),
            errors=sum(count for status, count in figures.statuses.items() if status >= "500"),
            digest=figures.digest,
            body_bytes=figures.body_bytes,
            cache={
                state: (count, figures.cache_s[state])
                for state, count in figures.cache_states.items()
            },
            stages_s=figures.stages_s,
            unhealthy=int(not service.is_healthy()),
        )

    def _ask(self, requests: int) -> Figures:
        return self.running.load.ask(
            Job(
                host=self.service.host,
                port=self.service.port,
                path=self.endpoint.path,
                token=self.running.token,
                concurrency=self.concurrency,
                requests=requests,
            )
        )

    def _refuse_bad(self, figures: Figures) -> None:
        """A refusal is no answer to compare; failures (5XX) are counted."""
        refused = {status for status in figures.statuses if status != "200" and not status >= "500"}
        if refused or figures.differing:
            what = (
                f"answered {', '.join(sorted(refused))}"
                if refused
                else f"gave {figures.differing} answers that differ from its first"
            )
            msg = f"{self.endpoint.name} {what} at {self.name}: {figures.example[:300]}"
            raise TargetError(msg)


def measure_endpoints(
    scenario: str,
    endpoints: Sequence[Endpoint],
    samplers: Sequence[HttpSampler],
    context: Context,
    *,
    budget: Callable[[Sampler], Budget],
) -> Measured:
    """
    Measure one endpoint after the other, each in rounds of its own.

    A slow endpoint then does not hold up the rounds of a quick one.
    """
    parts = []
    for number, endpoint in enumerate(endpoints):
        parts.append(
            measure(
                [each for each in samplers if each.endpoint is endpoint],
                context.options.plan,
                context.clock,
                budget=budget,
                rounds=Rounds(fewest=_FEWEST_ROUNDS, most=MOST_ROUNDS),
                progress=context.reporter(
                    scenario, (number / len(endpoints), (number + 1) / len(endpoints))
                ),
            )
        )
    return Measured.join(parts)


def _plus(total_s: float | None, before_s: float | None, after_s: float | None) -> float | None:
    if total_s is None or before_s is None or after_s is None:
        return None
    return total_s + after_s - before_s


def _merge(figures: Figures, more: Figures) -> None:
    figures.samples_s += more.samples_s
    figures.digest = more.digest or figures.digest
    figures.body_bytes = more.body_bytes or figures.body_bytes
    figures.differing += more.differing
    figures.example = figures.example or more.example
    figures.read_units = (
        None
        if figures.read_units is None or more.read_units is None
        else figures.read_units + more.read_units
    )
    for name in ("statuses", "cache_states", "cache_s", "stages_s"):
        mine = getattr(figures, name)
        for key, value in getattr(more, name).items():
            mine[key] = mine.get(key, 0) + value
