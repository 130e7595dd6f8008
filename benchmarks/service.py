"""The reference service: its throughput against a plain application's, and its cache in trouble."""

import shutil
import statistics
from collections.abc import Sequence
from importlib.metadata import version

from benchmarks import outage, throughput
from benchmarks.outage import Outage
from benchmarks.section import Aim, Section, Table
from benchmarks.serving import Call, site
from benchmarks.throughput import NOTIFYING, PHASE_0, PHASE_3, PLAIN, Throughput
from benchmarks.wrk import CONNECTIONS, MISSING
from perfkit.measure.statistics import percentile
from perfkit.units import TIMES, format_bytes, format_count, format_ratio, format_share

__all__ = ["compare"]

_TITLE = "The reference service"
_RATE = "phase 3, requests a second"
_RATIO = f"phase 3 ÷ {PLAIN}"
_TAIL = "phase 3, p99"
_NOTIFY_RATE = "phase 3 with notifications, requests a second"
_NOTIFY_RATIO = "the same ÷ without notifications"
_DEAD = "dead Redis, median added to the same request with --no-cache"
_HANGING = "hanging Redis, slowest request less its own query"
_HANGING_CROWD = "the slowest of several at a time, less the slowest without Redis"
_HIT = "cache hit inside the service, median"

_WORTH_NAMING_S = 0.0005


def compare(*, quick: bool) -> Section:
    """Measure the service; without wrk, say how to get it."""
    if shutil.which("wrk") is None:
        return Section(title=_TITLE, method=f"Not measured: {MISSING}.", tables=[], aims=[])
    with site() as place:
        load = throughput.measure(place, quick=quick)
        trouble = outage.measure(place, quick=quick)
    return Section(
        title=_TITLE,
        method=_method(load),
        tables=[_loads(load), _troubles(trouble), _hits(trouble)],
        aims=_aims(load, trouble),
        notes=_notes(load, trouble),
    )


def _method(load: Throughput) -> str:
    return (
        f"The 50-course answer, {format_bytes(load.body_bytes)}, from the cache;"
        f" {throughput.WORKERS} workers, `wrk` with one thread and {CONNECTIONS} connections.\n"
        f"Medians of {load.rounds} interleaved turns of {load.seconds} s after a warm-up;"
        " ratios are medians of each round's.\n"
        "The plain application is what one writes by hand: a dependency looks up the session in"
        " the same Redis server, a path function gets the same bytes there and returns them.\n"
        "Both leave what was loaded at the start out of garbage collection.\n"
        f"Both run on {_versions('fastapi', 'uvicorn', 'uvloop', 'httptools', 'redis')}.\n"
        "With notifications each request queues a mail and a log line, and a worker delivers"
        " them, 400 ms a mail.\n"
        f"{PHASE_0.capitalize()} is asked {load.under[PHASE_0].requests} times in all, at"
        f" {throughput.PHASE_0_CONNECTIONS} connections, when the others have ended.\n"
        "Redis in trouble: phase 3 with one worker and notifications, one request at a time unless it"
        " says otherwise; it hangs by SIGSTOP, and all requests from that moment on count."
    )


def _versions(*packages: str) -> str:
    return ", ".join(f"{package} {version(package)}" for package in packages)


def _loads(load: Throughput) -> Table:
    headers = [
        "",
        "requests/s",
        "lowest",
        "highest",
        "p99, ms",
        "CPU a request, ms",
        f"÷ {PLAIN}",
    ]
    rows = []
    for name in (PLAIN, PHASE_3, NOTIFYING, PHASE_0):
        under = load.under[name]
        several = len(under.loads) > 1
        rows.append(
            [
                name if several else f"{name}, {throughput.PHASE_0_CONNECTIONS} connections",
                _rate(under.rate_hz),
                _rate(min(under.rates_hz)) if several else "",
                _rate(max(under.rates_hz)) if several else "",
                _ms(under.p99_s),
                "not known" if under.cpu_each_s is None else _ms(under.cpu_each_s),
                format_ratio(under.times(load.under[PLAIN])) if several else "",
            ]
        )
    return Table(headers, rows)


def _troubles(trouble: Outage) -> Table:
    headers = ["Redis", "requests", "median, ms", "p99, ms", "slowest, ms", "less its query, ms"]
    named = {
        "answers, a hit": trouble.hit,
        "answers, --no-cache": trouble.uncached,
        "is not used at all": trouble.unaided,
        "dead, the first requests": trouble.dying,
        "dead, from then on": trouble.dead,
        "hangs": trouble.hanging,
        f"is not used, {trouble.crowd} requests at a time": trouble.crowd_unaided,
        f"hangs, {trouble.crowd} requests at a time": trouble.crowded,
    }
    rows = []
    for name, calls in named.items():
        elapsed_s = sorted(call.elapsed_s for call in calls)
        rows.append(
            [
                name,
                format_count(len(calls)),
                _ms(statistics.median(elapsed_s)),
                _ms(percentile(elapsed_s, 0.99)),
                _ms(elapsed_s[-1]),
                _ms(_most_lost(calls)),
            ]
        )
    return Table(headers, rows)


def _hits(trouble: Outage) -> Table:
    stages_s = sorted(_cache_stages(trouble))
    rows = [
        [
            "`cache` of Server-Timing",
            format_count(len(stages_s)),
            _ms(percentile(stages_s, 0.5)),
            _ms(percentile(stages_s, 0.99)),
        ],
    ]
    return Table(["hits inside the service", "requests", "median, ms", "p99, ms"], rows)


def _aims(load: Throughput, trouble: Outage) -> list[Aim]:
    phase_3, notifying, by_hand = (load.under[name] for name in (PHASE_3, NOTIFYING, PLAIN))
    hit_s = statistics.median(_cache_stages(trouble))
    added_s = _median_s(trouble.dead) - _median_s(trouble.uncached)
    lost_s = _most_lost(trouble.hanging)
    crowd_lost_s = _slowest_s(trouble.crowded) - _slowest_s(trouble.crowd_unaided)
    return [
        Aim.at_least(_RATE, phase_3.rate_hz, 800, ""),
        Aim.at_least(_RATIO, phase_3.times(by_hand), 0.8, TIMES),
        Aim.at_most(_TAIL, phase_3.p99_s * 1e3, 100, " ms"),
        Aim.at_least(_NOTIFY_RATE, notifying.rate_hz, 400, ""),
        Aim.at_least(_NOTIFY_RATIO, notifying.times(phase_3), 0.5, TIMES),
        Aim.at_most(_DEAD, added_s * 1e3, 5, " ms"),
        Aim.at_most(_HANGING, lost_s * 1e3, 100, " ms"),
        Aim.at_most(_HANGING_CROWD, crowd_lost_s * 1e3, 100, " ms"),
        Aim.at_most(_HIT, hit_s * 1e3, 1, " ms"),
    ]


def _notes(load: Throughput, trouble: Outage) -> list[str]:
    lost_s = _median_s(trouble.dead) - _median_s(trouble.unaided)
    counted = (
        f"{format_share(load.found)} of the answers of {PHASE_3} came from the cache;"
        f" {format_share(load.queued)} of the requests with notifications had theirs queued, and"
        f" {format_count(load.mails)} mails were delivered meanwhile."
    )
    explained = (
        "A request's query is the `db` stage of its own Server-Timing. Without Redis the token is"
        " verified and its user loaded for each request; over a service that does so anyway, a"
        f" dead Redis adds {lost_s * 1e3:.2f} ms."
    )
    slowest = max(trouble.hanging, key=lambda call: call.elapsed_s - call.stages_s["db"])
    stages = ", ".join(
        f"{name} {_ms(stage_s)} ms"
        for name, stage_s in slowest.stages_s.items()
        if stage_s >= _WORTH_NAMING_S
    )
    told = f"What the slowest request spent its time on while Redis hung: {stages}."
    return [counted, explained, told]


def _cache_stages(trouble: Outage) -> list[float]:
    return [call.stages_s["cache"] for call in trouble.hit]


def _median_s(calls: Sequence[Call]) -> float:
    return statistics.median(call.elapsed_s for call in calls)


def _slowest_s(calls: Sequence[Call]) -> float:
    return max(call.elapsed_s for call in calls)


def _most_lost(calls: Sequence[Call]) -> float:
    """Return the most seconds that a request took beside its query."""
    return max(call.elapsed_s - call.stages_s["db"] for call in calls)


def _rate(rate_hz: float) -> str:
    return f"{rate_hz:,.0f}" if rate_hz >= 100 else f"{rate_hz:.1f}"


def _ms(value_s: float) -> str:
    return f"{value_s * 1e3:.3g}" if value_s < 1 else f"{value_s * 1e3:,.0f}"
