"""An hour of traffic through the cache, in virtual time, held once against a short real run."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from perfkit.cache.aside import Cache, Status
from perfkit.cache.settings import CacheSettings
from perfkit.cache.virtual_hour import Events, Traffic, arrivals, simulate
from perfkit.capacity import AttributeValue
from perfkit.dynamodb.errors import aws_errors
from perfkit.dynamodb.safety import Effect
from perfkit.measure.measurement import Sampler
from perfkit.measure.rounds import Budget, Rounds, measure
from perfkit.runs import CacheFigures, Doubt, DoubtKind, Hour, HourTraffic, Run, RunKind, Variant
from perfkit.scenarios.access_pattern import AccessPatternScenario
from perfkit.scenarios.base import MOST_ROUNDS, Context, Progress, Scenario
from perfkit.scenarios.cache import (
    COLD,
    KILLED,
    QUOTED,
    WARM,
    CacheServers,
    Fill,
    cached_variants,
    fill_of,
    key_of,
    open_cache,
)
from perfkit.scenarios.parameter_sets import parameters_in_runs
from perfkit.scenarios.recorder import Recorder
from perfkit.units import format_share
from perfkit.workloads.model import AccessPattern, Workload

__all__ = ["NAME", "cache_hour_scenarios"]

NAME = "cache-hour"

_REQUESTS = 100_000
_KEYS = 78
_SKEW = 0.8
_WRITES_AN_HOUR = 60
_ERROR_SHARE = 0.0001
"""What the reference document has; and as many questions, asked as unequally, as make 99% hits."""

_TTLS_S = (5.0, 15.0, 30.0, 60.0, 180.0, 300.0, 600.0, 1800.0, 3600.0)

# The real run's rates and times to live are scaled so that it takes seconds and misses enough.
_CHECK = Traffic(rate_hz=200.0, duration_s=4.0, keys=40, skew=_SKEW, ttl_s=0.5, writes_hz=4.0)
_TOLERANCE = 0.03
_GENEROUS_LIMIT_S = 5.0

_TURN_S = 0.05
_LEAST_CALLS = 20


def cache_hour_scenarios(workload: Workload) -> Iterator[Scenario]:
    """Yield the scenario if a question of *workload* has a cache policy and a text parameter."""
    for pattern in workload.patterns:
        if pattern.cache is not None and _text_parameter(pattern) is not None:
            yield _CacheHourScenario(pattern)
            return


def _text_parameter(pattern: AccessPattern) -> str | None:
    """Return a parameter whose values can be made up, so that there are many questions."""
    return next((name for name, value in pattern.parameters.items() if "S" in value), None)


def _hour_of(pattern: AccessPattern) -> Traffic:
    """Return the traffic of the reference document's hour, with the pattern's own time to live."""
    ttl_s = pattern.cache.ttl_s if pattern.cache is not None else 300.0
    return Traffic(
        rate_hz=_REQUESTS / 3600,
        duration_s=3600.0,
        keys=_KEYS,
        skew=_SKEW,
        ttl_s=ttl_s,
        writes_hz=_WRITES_AN_HOUR / 3600,
        error_share=_ERROR_SHARE,
    )


@dataclass(frozen=True, slots=True)
class _CacheHourScenario:
    """One question with many values, asked for an hour that is over in seconds."""

    pattern: AccessPattern
    name: str = NAME
    description: str = "An hour of traffic through the cache, in virtual time"

    def effect(self, _: Context) -> Effect:
        """Return what measuring a miss and the short real run read."""
        fills = _CHECK.rate_hz * _CHECK.duration_s + 1_000
        return Effect(
            text=f"{self.name}: ask {self.pattern.name} for some seconds",
            read_units=round(fills * 10),
        )

    def measure(self, context: Context) -> Run:
        """
        Measure a hit, a miss and an error, check the virtual cache, and let hours go by.

        Raises:
            ResultsDifferError: The cache answered something else than the database.
            TargetError: The table is missing, the target refused, or there is no cache server.
        """
        recorder = Recorder(RunKind.CACHE_HOUR, self, context)
        with ExitStack() as stack, aws_errors(f"measuring {NAME}", context.where):
            servers = CacheServers.within(stack, context.workload)
            contenders, steps = AccessPatternScenario(self.pattern).reads(context)
            for contender in contenders:
                stack.callback(contender.close)
            fill = fill_of(self.pattern, contenders)
            cache = servers.open(servers.usual(context.redis_url))
            samplers = [
                each
                for each in cached_variants(fill, servers, cache)
                if each.name in {COLD, WARM, KILLED}
            ]
            measured = measure(
                samplers,
                context.options.plan,
                context.clock,
                budget=_budget,
                rounds=Rounds(most=MOST_ROUNDS),
                progress=context.reporter(NAME, (0.0, 0.4)),
            )
            context.progress(Progress(NAME, "checking the virtual cache", 0.4))
            short_lived = _with_ttl(context.workload, _CHECK.ttl_s)
            # hits are counted here and nothing is timed: a busy machine must not make errors
            short = servers.close_later(
                open_cache(servers.start().url, short_lived, time_limit_s=_GENEROUS_LIMIT_S)
            )
            real = servers.runner.run(_run_for_real(_CHECK, fill, short))
        variants = measured.variants(context.target_kind)
        means_s = _means(variants)
        units = next(each.capacity_units for each in variants if each.name == COLD)
        context.progress(Progress(NAME, "letting hours go by", 0.8))
        changes: dict[str, Any] = dict(context.options.traffic)
        traffic = replace(_hour_of(self.pattern), fill_s=means_s["miss"], **changes)
        hours = [
            _quoted_hour(),
            _hour("an hour", traffic, _QUOTED_MEANS_S, "quoted", None),
            _hour("an hour", traffic, means_s, "measured", units),
            real,
            _hour("short run", replace(_CHECK, fill_s=real.cache.miss_mean_s or 0.0), {}, "", None),
            *(
                _hour(f"TTL {ttl_s:g} s", replace(traffic, ttl_s=ttl_s), means_s, "measured", units)
                for ttl_s in _TTLS_S
            ),
        ]
        return recorder.finish(
            measured,
            doubts=_doubts(hours[3], hours[4]),
            traffic=HourTraffic(
                rate_hz=traffic.rate_hz,
                keys=traffic.keys,
                skew=traffic.skew,
                ttl_s=traffic.ttl_s,
                jitter_share=CacheSettings().jitter,
                writes_an_hour=round(traffic.writes_hz * 3600, 3),
                error_share=traffic.error_share,
            ),
            parameters=dict(parameters_in_runs(self.pattern, context.workload)),
            hours=tuple(
                each
                for each in hours
                if context.workload.quotes or "quoted" not in {each.provenance, each.latencies}
            ),
            quoted=dict(QUOTED) if context.workload.quotes else None,
            next_steps=steps,
        )


def _with_ttl(workload: Workload, ttl_s: float) -> Workload:
    """Return the workload with this time to live for every answer."""
    return replace(
        workload,
        patterns=tuple(
            replace(pattern, cache=pattern.cache and replace(pattern.cache, ttl_s=ttl_s))
            for pattern in workload.patterns
        ),
    )


def _budget(_: Sampler) -> Budget:
    return Budget(turn_s=_TURN_S, least_calls=_LEAST_CALLS)


_QUOTED_MEANS_S = {
    "hit": float(QUOTED["hit_mean_s"]),
    "miss": float(QUOTED["miss_mean_s"]),
    "error": float(QUOTED["error_mean_s"]),
}


def _means(variants: tuple[Variant, ...]) -> dict[str, float]:
    """Return what a hit, a miss and an error take on average."""
    names = {"hit": WARM, "miss": COLD, "error": KILLED}
    by_name = {variant.name: variant.latency_s.mean for variant in variants}
    return {kind: by_name[name] for kind, name in names.items()}


def _quoted_hour() -> Hour:
    return Hour(
        name="an hour",
        provenance="quoted",
        latencies="quoted",
        duration_s=float(QUOTED["duration_s"]),
        ttl_s=300.0,
        cache=_figures(
            Events(
                hits=int(QUOTED["hits"]), misses=int(QUOTED["misses"]), errors=int(QUOTED["errors"])
            ),
            _QUOTED_MEANS_S,
        ),
        mean_s=float(QUOTED["mean_s"]),
    )


def _hour(
    name: str, traffic: Traffic, means_s: Mapping[str, float], latencies: str, units: float | None
) -> Hour:
    events = simulate(traffic, CacheSettings())
    figures = _figures(events, means_s)
    return Hour(
        name=name,
        provenance="modelled",
        latencies=latencies,
        duration_s=traffic.duration_s,
        ttl_s=traffic.ttl_s,
        cache=figures,
        fills=events.fills,
        invalidations=events.invalidations,
        mean_s=figures.worked_out_mean_s,
        read_units=None if units is None else events.fills * units,
        peak_fills_per_s=events.peak_fills,
    )


def _figures(events: Events, means_s: Mapping[str, float]) -> CacheFigures:
    return CacheFigures(
        hits=events.hits,
        misses=events.misses,
        errors=events.errors,
        hit_mean_s=means_s.get("hit"),
        miss_mean_s=means_s.get("miss"),
        error_mean_s=means_s.get("error"),
    )


async def _run_for_real(traffic: Traffic, fill: Fill, cache: Cache) -> Hour:
    """
    Let the same traffic come at a real cache in real time, each request when it is due.

    The time to live is the traffic's; every key's fill asks the pattern's own question.
    """
    pattern = fill.pattern
    taken_s: dict[Status, list[float]] = {status: [] for status in Status}
    tasks: set[asyncio.Task[None]] = set()
    fills = invalidations = 0

    async def ask_database() -> bytes:
        nonlocal fills
        fills += 1
        body, _ = await asyncio.to_thread(fill.ask)
        return body

    async def request(parameters: Mapping[str, AttributeValue]) -> None:
        lookup = await cache.get_or_fill(pattern.name, parameters, ask_database)
        taken_s[lookup.status].append(lookup.cache_s + lookup.fill_s)

    started_s = time.perf_counter()
    for at_s, key, is_write in arrivals(traffic):
        await asyncio.sleep(max(0.0, at_s - (time.perf_counter() - started_s)))
        parameters = _of_key(pattern, key)
        if is_write:
            invalidations += 1
            await cache.invalidate(key_of(cache, pattern, parameters))
            continue
        task = asyncio.get_running_loop().create_task(request(parameters))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    return Hour(
        name="short run",
        provenance="measured",
        latencies="measured",
        duration_s=traffic.duration_s,
        ttl_s=traffic.ttl_s,
        cache=CacheFigures(
            hits=len(taken_s[Status.HIT]),
            misses=len(taken_s[Status.MISS]),
            errors=len(taken_s[Status.ERROR]),
            hit_mean_s=_mean(taken_s[Status.HIT]),
            miss_mean_s=_mean(taken_s[Status.MISS]),
            error_mean_s=_mean(taken_s[Status.ERROR]),
        ),
        fills=fills,
        invalidations=invalidations,
        mean_s=_mean([each for every in taken_s.values() for each in every]),
    )


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _of_key(pattern: AccessPattern, key: int) -> dict[str, AttributeValue]:
    """Return parameters that no other key has."""
    name = _text_parameter(pattern)
    return {
        each: {"S": f"{value['S']} {key}"} if each == name else value
        for each, value in pattern.parameters.items()
    }


def _doubts(real: Hour, virtual: Hour) -> Iterator[Doubt]:
    """Yield what speaks against the virtual cache."""
    measured, modelled = real.cache.hit_rate or 0.0, virtual.cache.hit_rate or 0.0
    if abs(measured - modelled) > _TOLERANCE:
        yield Doubt(
            DoubtKind.MODEL,
            f"the short real run had {format_share(round(measured, 3))} hits and the same traffic"
            f" in virtual time {format_share(round(modelled, 3))}",
            "trust the modelled hours no further than that; measure again on a quiet machine",
        )
