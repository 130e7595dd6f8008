"""What requests lose to a Redis server that is dead or hangs, and how long a cache hit takes."""

import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.measuring import interleave
from benchmarks.serving import Call, Caller, RedisServer, Site, running
from perfkit.errors import TargetError
from perfkit.service.settings import Switches

__all__ = ["Outage", "measure"]

_HIT = "hit"
_UNCACHED = "uncached"
_UNAIDED = "unaided"
_DEAD = "dead"
_HANGING = "hanging"

_OPENED_BY = 10
"""Requests after which the breaker is open for sure."""

_BACK_S = 10.0
_CROWD = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """
    Requests by what was wrong with Redis; all to phase 3, one worker, one at a time.

    Attributes:
        hit: Nothing, and the answer was kept.
        uncached: Nothing, but answers are not kept.
        unaided: Redis is not used at all.
        dying: The first requests after it died.
        dead: Those after them.
        hanging: From the moment it hangs, for some seconds.
        crowded: The same, several requests at a time.
        crowd_unaided: As many at a time while Redis is not used at all.
        crowd: How many.
    """

    hit: Sequence[Call]
    uncached: Sequence[Call]
    unaided: Sequence[Call]
    dying: Sequence[Call]
    dead: Sequence[Call]
    hanging: Sequence[Call]
    crowded: Sequence[Call]
    crowd_unaided: Sequence[Call]
    crowd: int


def measure(place: Site, *, quick: bool) -> Outage:
    """
    Measure all of it.

    Raises:
        TargetError: Something does not start, or a request fails.
    """
    rounds, calls = (3, 10) if quick else (10, 30)
    cycles, seconds = (1, 1.0) if quick else (4, 1.5)
    with ExitStack() as stack:
        redis = {
            name: stack.enter_context(RedisServer.started(place.folder, name))
            for name in ("well", _DEAD, _HANGING)
        }
        plans = {
            _HIT: place.plan(_HIT, Switches.of_phase(3), redis=redis["well"]),
            _UNCACHED: place.plan(
                _UNCACHED, Switches.of_phase(3, cache=False), redis=redis["well"]
            ),
            _UNAIDED: place.plan(
                _UNAIDED, Switches.of_phase(3, cache=False, sessions=False, notify=False)
            ),
            _DEAD: place.plan(_DEAD, Switches.of_phase(3), redis=redis[_DEAD]),
            _HANGING: place.plan(_HANGING, Switches.of_phase(3), redis=redis[_HANGING]),
        }
        services = stack.enter_context(running(plans))
        callers = {
            name: stack.enter_context(Caller(service.url, place.token))
            for name, service in services.items()
        }
        for caller in callers.values():
            _ask(caller, _OPENED_BY)
        redis[_DEAD].signal(signal.SIGKILL)
        dying = _ask(callers[_DEAD], _OPENED_BY)
        asked: dict[str, list[Call]] = {name: [] for name in callers if name != _HANGING}
        turns = {name: _turn(callers[name], calls, found) for name, found in asked.items()}
        interleave(turns, rounds=rounds)
        _check(asked[_HIT], "HIT")
        _check(asked[_DEAD], "ERROR")
        crowd, crowd_unaided = (
            [stack.enter_context(Caller(services[name].url, place.token)) for _ in range(_CROWD)]
            for name in (_HANGING, _UNAIDED)
        )
        unaided, hanging, crowded = [], [], []
        for _ in range(cycles):
            hanging += _hang(redis[_HANGING], [callers[_HANGING]], seconds)
            unaided += _all_ask(crowd_unaided, seconds)
            crowded += _hang(redis[_HANGING], crowd, seconds)
    return Outage(
        hit=asked[_HIT],
        uncached=asked[_UNCACHED],
        unaided=asked[_UNAIDED],
        dying=dying,
        dead=asked[_DEAD],
        hanging=hanging,
        crowded=crowded,
        crowd_unaided=unaided,
        crowd=_CROWD,
    )


def _ask(caller: Caller, calls: int) -> list[Call]:
    return [caller.call() for _ in range(calls)]


def _turn(caller: Caller, calls: int, found: list[Call]) -> Callable[[], list[float]]:
    def turn() -> list[float]:
        # the first one pays for what the others' turns have put out of the processor's caches
        caller.call()
        asked = _ask(caller, calls)
        found.extend(asked)
        return [call.elapsed_s for call in asked]

    return turn


def _check(calls: Sequence[Call], state: str) -> None:
    others = {call.cache for call in calls} - {state}
    if others:
        msg = f"the cache was to say {state}, and said {', '.join(sorted(others))} too"
        raise TargetError(msg)


def _all_ask(callers: Sequence[Caller], seconds: float) -> list[Call]:
    """Let everybody ask for some seconds, all at the same time."""
    deadline_s = time.monotonic() + seconds

    def ask(caller: Caller) -> list[Call]:
        found = []
        while time.monotonic() < deadline_s:
            found.append(caller.call())
        return found

    with ThreadPoolExecutor(len(callers)) as pool:
        return [call for found in pool.map(ask, callers) for call in found]


def _hang(server: RedisServer, callers: Sequence[Caller], seconds: float) -> list[Call]:
    """Stop the server, let everybody ask, and wait until it is used again."""
    server.signal(signal.SIGSTOP)
    try:
        calls = _all_ask(callers, seconds)
    finally:
        server.signal(signal.SIGCONT)
    deadline_s = time.monotonic() + _BACK_S
    while callers[0].call().cache != "HIT":
        if time.monotonic() > deadline_s:
            msg = f"Redis answers again, and is not used after {_BACK_S:g} s"
            raise TargetError(msg)
        time.sleep(0.05)
    return calls
