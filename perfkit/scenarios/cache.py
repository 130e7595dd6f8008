"""What a cache changes for each question: cold, warm, and when its server is dead or hanging."""

import asyncio
import hashlib
import os
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from perfkit.cache.address import parse_url
from perfkit.cache.aside import Cache, Status
from perfkit.cache.policy import Keys
from perfkit.cache.settings import CacheSettings
from perfkit.capacity import AttributeValue
from perfkit.dynamodb.errors import aws_errors
from perfkit.dynamodb.items import as_json, canonical
from perfkit.dynamodb.safety import Effect
from perfkit.errors import TargetError
from perfkit.measure.clock import RealClock
from perfkit.measure.comparison import compare
from perfkit.measure.measurement import Measurement, Sampler, add_known, sample_calls
from perfkit.measure.rounds import Budget, Measured, Rounds, measure
from perfkit.processes import redis_server
from perfkit.queue.streams import connect
from perfkit.runs import Comparison, Run, RunKind
from perfkit.scenarios.access_pattern import AccessPatternScenario
from perfkit.scenarios.base import MOST_ROUNDS, Context, Scenario
from perfkit.scenarios.parameter_sets import workload_with_parameters
from perfkit.scenarios.reading import Read
from perfkit.scenarios.recorder import Recorder
from perfkit.workloads.model import AccessPattern, Workload

__all__ = ["COLD", "KILLED", "QUOTED", "WARM", "CacheServers"]
__all__ += ["Fill", "cache_scenarios", "cached_variants", "fill_of", "key_of", "open_cache"]

_NAME = "cache"

COLD, WARM = "cached-cold", "cached-warm"
KILLED, HANGING = "cache-killed", "cache-hanging"

_SHAPE = "bench"
"""Version in the keys: these answers are raw items, and of no service."""

_TIME_SHARE = 0.4
# one call of a slow scan: the pattern's own scenario measures it well, here it is for orientation
_SCAN_S = 0.2
_TURN_S = 0.03
_TROUBLE_TURN_S = 0.1
# as many as an interval needs: in each of them requests wait for the time limit
_TURNS_IN_TROUBLE = 3
# enough that the median is a request after the breaker has opened
_LEAST_IN_TROUBLE = 20
_COLD_CALLS = 20
_MOST_LOOKS = 10
_LEFT_ALONE_S = CacheSettings().breaker_open_s


def cache_scenarios(workload: Workload) -> Iterator[Scenario]:
    """Yield the scenario if any question of *workload* has a cache policy."""
    cached = tuple(pattern for pattern in workload.patterns if pattern.cache is not None)
    if cached:
        yield _CacheScenario(cached)


@dataclass(frozen=True, slots=True)
class Fill:
    """A question as the cache's fill asks it: an answer in bytes, and what it took."""

    pattern: AccessPattern
    contender: Read

    def ask(self) -> tuple[bytes, float | None]:
        """Return the answer as JSON, and the read units it took."""
        answer = self.contender.call()
        return as_json(answer.items), answer.capacity_units

    def digest(self, body: bytes) -> tuple[str, int]:
        """Return what equal answers share, whatever the order of their items, and their number."""
        import orjson

        items = sorted(canonical(item, self.pattern.returns) for item in orjson.loads(body))
        return hashlib.sha256("\n".join(items).encode()).hexdigest(), len(items)


def fill_of(pattern: AccessPattern, contenders: list[Read]) -> Fill:
    """Return the best way to answer *pattern* on a miss: its query or get, else the scan."""
    if pattern.steps is not None:
        return Fill(pattern, contenders[-1])
    better = [each for each in contenders if each.operation != "Scan"]
    filtered = [each for each in contenders if each.filtered]
    # what the service does now comes first, and what is better last
    return Fill(pattern, better[-1] if better else (filtered or contenders)[0])


def _redis_named(context: Context) -> dict[str, str]:
    """Return what a run says of the Redis server that was named: its address, never a password."""
    return {} if context.redis_url is None else {"redis": str(parse_url(context.redis_url))}


def open_cache(url: str, workload: Workload, *, time_limit_s: float | None = None) -> Cache:
    """Return a cache as the service has it; nobody writes here, so no index lags behind."""
    settings = CacheSettings(index_lag_s=0.0)
    if time_limit_s is not None:
        settings = replace(settings, time_limit_s=time_limit_s)
    return Cache(url, Keys(workload, _SHAPE), settings)


@dataclass(slots=True)
class _Direct:
    """Ask DynamoDB each time."""

    name: str
    question: str
    fill: Fill
    concurrency: int = 1
    switches: Mapping[str, bool] | None = None

    @property
    def operation(self) -> str:
        return self.fill.contender.operation

    def sample(self, calls: int) -> Measurement:
        body = b""

        def count(measurement: Measurement, answer: tuple[bytes, float | None]) -> None:
            nonlocal body
            body = answer[0]
            measurement.read_units = add_known(measurement.read_units, answer[1])

        measurement = sample_calls(self.fill.ask, calls, RealClock(), count)
        return _finished(measurement, self.fill, body)


@dataclass(slots=True)
class _Cached:
    """Ask the cache, which asks DynamoDB if it must."""

    name: str
    question: str
    fill: Fill
    runner: asyncio.Runner
    cache: Cache
    # before each call, and before each round; not measured
    prepare_call: Callable[[], Awaitable[None]] | None = None
    prepare_turn: Callable[["_Cached"], None] | None = None
    operation: str = "HGET"
    concurrency: int = 1
    switches: Mapping[str, bool] | None = None

    def sample(self, calls: int) -> Measurement:
        if self.prepare_turn is not None:
            self.prepare_turn(self)
        return self.runner.run(self._sample(calls))

    async def ask(self) -> Status:
        """Ask once, unmeasured, and return where the answer came from."""
        pattern = self.fill.pattern

        async def fill() -> bytes:
            return self.fill.ask()[0]

        lookup = await self.cache.get_or_fill(pattern.name, pattern.parameters, fill)
        return lookup.status

    async def _sample(self, calls: int) -> Measurement:
        measurement = Measurement()
        pattern, body = self.fill.pattern, b""

        async def fill() -> bytes:
            filled, units = self.fill.ask()
            measurement.read_units = add_known(measurement.read_units, units)
            return filled

        for _ in range(calls):
            if self.prepare_call is not None:
                await self.prepare_call()
            cpu_s, start_s = time.process_time(), time.perf_counter()
            lookup = await self.cache.get_or_fill(pattern.name, pattern.parameters, fill)
            taken_s = time.perf_counter() - start_s
            measurement.cpu_s = add_known(measurement.cpu_s, time.process_time() - cpu_s)
            measurement.samples_s.append(taken_s)
            measurement.count_cache(str(lookup.status), 1, taken_s)
            body = lookup.body
        return _finished(measurement, self.fill, body)


def _finished(measurement: Measurement, fill: Fill, body: bytes) -> Measurement:
    measurement.elapsed_s = sum(measurement.samples_s)
    measurement.requests = len(measurement.samples_s)
    measurement.body_bytes = len(body)
    measurement.digest, measurement.items = fill.digest(body)
    return measurement


@dataclass(slots=True)
class CacheServers:
    """Cache servers of this scenario's own, in a folder that goes with them."""

    folder: Path
    workload: Workload
    runner: asyncio.Runner
    stack: ExitStack
    _started: int = 0
    _stopped: set[int] = field(default_factory=set)

    @classmethod
    def within(cls, stack: ExitStack, workload: Workload) -> Self:
        """Return servers that end with *stack*, for the patterns of a workload."""
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="perfkit-")))
        return cls(folder, workload, stack.enter_context(asyncio.Runner()), stack)

    def start(self) -> redis_server.RedisServer:
        """Start a server that ends with the scenario, whatever state it is in."""
        self._started += 1
        started = redis_server.start(self.folder / str(self._started))
        self.stack.callback(self._end, started)
        return started

    def usual(self, url: str | None) -> str:
        """
        Return the URL of the server that is measured in health: the one named, else one started.

        Raises:
            TargetError: No server answers there, or none can be started.
        """
        if url is None:
            return self.start().url
        connect(url).close()
        return url

    def open(self, url: str) -> Cache:
        """Return a cache on a server, closed with the scenario."""
        return self.close_later(open_cache(url, self.workload))

    def close_later(self, cache: Cache) -> Cache:
        """Return *cache*, which is closed with the scenario."""
        self.stack.callback(lambda: self.runner.run(cache.close()))
        return cache

    def freeze(self, frozen: redis_server.RedisServer) -> None:
        """Let a server hang: it accepts connections and answers nothing."""
        os.kill(_pid(frozen), signal.SIGSTOP)
        self._stopped.add(_pid(frozen))

    def thaw(self, frozen: redis_server.RedisServer) -> None:
        """Let it go on."""
        if _pid(frozen) in self._stopped:
            os.kill(_pid(frozen), signal.SIGCONT)
            self._stopped.discard(_pid(frozen))

    def _end(self, started: redis_server.RedisServer) -> None:
        self.thaw(started)
        started.stop()


def _pid(started: redis_server.RedisServer) -> int:
    if started.pid is None:
        msg = "a server that was just started has no process"
        raise RuntimeError(msg)
    return started.pid


@dataclass(frozen=True, slots=True)
class _CacheScenario:
    """Every cached question, asked without the cache and with it, well and in trouble."""

    patterns: tuple[AccessPattern, ...]
    name: str = _NAME
    description: str = "What a cache changes: cold, warm, its server killed and hanging"

    def effect(self, context: Context) -> Effect:
        """Return what filling will read; the scans are far the most of it."""
        units = 0.0
        for pattern in self.patterns:
            table = context.workload.table(pattern.table)
            size_bytes = table.items * (table.item_size.max_bytes if table.item_size else 4096)
            calls = context.options.plan.iterations or 3
            units += (calls + 1) * (size_bytes / 8192 + 500)
        return Effect(
            text=f"{self.name}: ask {len(self.patterns)} questions with and without a cache",
            read_units=round(units),
        )

    def measure(self, context: Context) -> Run:
        """
        Measure every question uncached, cold, warm, and with its server killed and hanging.

        Cold and warm are measured with the server of the context, if it names one, under keys of
        perfkit's that expire; the servers that are killed and hang are this scenario's own.

        Raises:
            ResultsDifferError: The cache answered something else than the database.
            TargetError: A table is missing, the target refused, or no cache server can be had.
        """
        recorder = Recorder(RunKind.CACHE, self, context)
        parts: list[Measured] = []
        comparisons: list[Comparison] = []
        next_steps: list[str] = []
        workload = workload_with_parameters(context)
        context = replace(context, workload=workload)
        with ExitStack() as stack:
            servers = CacheServers.within(stack, workload)
            cache = servers.open(servers.usual(context.redis_url))
            for number, name in enumerate(each.name for each in self.patterns):
                pattern = workload.pattern(name)
                scenario = AccessPatternScenario(pattern)
                with aws_errors(f"measuring {_NAME}", context.where), ExitStack() as reading:
                    contenders, steps = scenario.reads(context)
                    for contender in contenders:
                        reading.callback(contender.close)
                    variants = _variants(pattern, contenders, servers, cache)
                    measured = measure(
                        variants,
                        context.options.plan,
                        context.clock,
                        budget=_budget,
                        rounds=Rounds(most=MOST_ROUNDS, time_share=_TIME_SHARE),
                        progress=context.reporter(
                            _NAME,
                            (number / len(self.patterns), (number + 1) / len(self.patterns)),
                        ),
                    )
                next_steps += steps
                parts.append(measured)
                # slow scans have few rounds here; the pattern's own scenario compares them
                comparisons += [
                    each
                    for each in compare(measured, _pairs(variants))
                    if each.baseline != contenders[0].name or each.latency_ratio_ci95
                ]
        return recorder.finish(
            Measured.join(parts),
            comparisons,
            settings=_redis_named(context),
            next_steps=tuple(dict.fromkeys(next_steps)),
            quoted=dict(QUOTED) if context.workload.quotes else None,
        )


QUOTED: Mapping[str, Any] = {
    "source": "reference architecture",
    "duration_s": 3600.0,
    "requests": 100_000,
    "hits": 99_000,
    "misses": 1_000,
    "errors": 10,
    "hit_mean_s": 0.002,
    "miss_mean_s": 0.052,
    "error_mean_s": 0.05,
    "mean_s": 0.0025,
}
"""The statistics of an hour, as the reference document has them."""


def _variants(
    pattern: AccessPattern, contenders: list[Read], servers: CacheServers, cache: Cache
) -> list[Sampler]:
    fill = fill_of(pattern, contenders)
    today = contenders[0]
    variants: list[Sampler] = [_Direct(today.name, pattern.name, Fill(pattern, today))]
    if fill.contender is not today and fill.contender.operation != "Scan":
        variants.append(_Direct(fill.contender.name, pattern.name, fill))
    return [*variants, *cached_variants(fill, servers, cache)]


def cached_variants(fill: Fill, servers: CacheServers, cache: Cache) -> list[Sampler]:
    """Return the variants with a cache: cold, warm, its server killed, its server hanging."""
    runner, question = servers.runner, fill.pattern.name

    async def forget() -> None:
        await cache.invalidate(key_of(cache, fill.pattern, fill.pattern.parameters))

    killed, hanging = _Trouble(servers), _Trouble(servers)
    return [
        _Cached(COLD, question, fill, runner, cache, prepare_call=forget),
        _Cached(WARM, question, fill, runner, cache, prepare_turn=_warm),
        _Cached(KILLED, question, fill, runner, cache, prepare_turn=killed.kill),
        _Cached(HANGING, question, fill, runner, cache, prepare_turn=hanging.hang),
    ]


def key_of(
    cache: Cache, pattern: AccessPattern, parameters: Mapping[str, AttributeValue]
) -> list[str]:
    """Return the key an answer is kept under, none if it is not kept."""
    template = cache.keys.template(pattern.name)
    return [] if template is None else [template.place(parameters).key]


def _warm(variant: _Cached) -> None:
    """Ask until the answer is there; a server that was late once is left alone for a while."""
    status = Status.MISS
    for _ in range(_MOST_LOOKS):
        status = variant.runner.run(variant.ask())
        if status is Status.HIT:
            return
        if status is Status.ERROR:
            # in the loop, in which the cache looks whether it is back
            variant.runner.run(asyncio.sleep(_LEFT_ALONE_S))
    msg = f"{variant.question}: the cache keeps no answer, which may be too large for it"
    if status is Status.ERROR:
        msg = f"{variant.question}: the cache server does not answer in time"
    raise TargetError(msg)


class _Trouble:
    """A server for one way, which works when a turn begins and then no longer does."""

    def __init__(self, servers: CacheServers) -> None:
        self._servers = servers
        self._server: redis_server.RedisServer | None = None

    def kill(self, variant: _Cached) -> None:
        """Start one, use it, and kill it."""
        started = self._servers.start()
        variant.cache = self._servers.open(started.url)
        _warm(variant)
        os.kill(_pid(started), signal.SIGKILL)

    def hang(self, variant: _Cached) -> None:
        """Use it, and freeze it."""
        if self._server is None:
            self._server = self._servers.start()
        self._servers.thaw(self._server)
        variant.cache = self._servers.open(self._server.url)
        _warm(variant)
        self._servers.freeze(self._server)


def _budget(variant: Sampler) -> Budget:
    if isinstance(variant, _Direct) and variant.operation.startswith("Scan"):
        return Budget(turn_s=0.0, most_s=_SCAN_S, counts_from_s=_SCAN_S)
    match variant.name:
        case "cache-killed" | "cache-hanging":
            # each turn begins with a server of its own making, so the first is no warm-up
            return Budget(
                turn_s=_TROUBLE_TURN_S,
                least_calls=_LEAST_IN_TROUBLE,
                most_turns=_TURNS_IN_TROUBLE,
                counts_from_s=0.0,
            )
        case "cached-cold":
            return Budget(turn_s=_TURN_S, most_calls=_COLD_CALLS)
        case _:
            return Budget(turn_s=_TURN_S)


def _pairs(variants: list[Sampler]) -> list[tuple[str, str, str]]:
    """Return what to compare: today's form with what is better, and that with the cache's variants."""
    direct = [variant.name for variant in variants if isinstance(variant, _Direct)]
    cached = [variant.name for variant in variants if not isinstance(variant, _Direct)]
    pairs = [(direct[0], name) for name in (*direct[1:], WARM)]
    pairs += [(direct[-1], name) for name in cached if (direct[-1], name) not in pairs]
    return [(variants[0].question, *pair) for pair in pairs]
