"""
How long AWS would take: a profile of times, and the wait that makes up what the engine is quicker.

Modelled, and without a tail: each request takes at least as long as its operation, its page, its
items and its connection take by the profile.
"""

import threading
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields
from importlib import resources
from math import isfinite
from pathlib import Path
from typing import Any

from perfkit.embedded.pages import PAGE_BYTES
from perfkit.errors import ConfigError

__all__ = ["AWS", "Latency", "LatencyProfile", "read_profile"]

AWS = "aws"
"""Names the built-in profile."""

_END = "_ms"
_MOST_MS = 60_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyProfile:
    """
    Times of a profile, in seconds.

    Args:
        read_s: A request that reads.
        write_s: A request that writes.
        page_s: A page of 1 MB that is evaluated, in addition; a shorter one its share.
        item_s: Each item of a batch or a transaction, in addition.
        first_connection_s: The first request of a connection, in addition.
        cross_zone_s: A trip of the reference service to its cache and queue, in addition.
        load_balancer_s: A request to the reference service, in addition.
    """

    read_s: float
    write_s: float
    page_s: float
    item_s: float
    first_connection_s: float
    cross_zone_s: float
    load_balancer_s: float

    def describe(self) -> dict[str, float]:
        """Return the times in milliseconds, by their names in a profile."""
        return {f"{name}{_END}": round(getattr(self, f"{name}_s") * 1e3, 6) for name in _names()}


def _names() -> list[str]:
    return [each.name.removesuffix("_s") for each in fields(LatencyProfile)]


def read_profile(name: str) -> LatencyProfile:
    """
    Return the profile that a name or a path stands for.

    Args:
        name: `aws`, or the path of a TOML file with the same keys.

    Raises:
        ConfigError: There is no such file, or it does not say each time as a number of at least 0.
    """
    way_out = "`--latency aws` is built in, and docs/embedded.md shows what a file says"
    try:
        if name == AWS:
            file = resources.files("perfkit.embedded") / "aws-latency.toml"
            content = file.read_bytes()
        else:
            content = Path(name).read_bytes()
        given = tomllib.loads(content.decode("utf-8-sig"))
    except OSError as error:
        msg = f"cannot read latency profile {name}: {error.strerror}; {way_out}"
        raise ConfigError(msg) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"latency profile {name} is no TOML: {error}; {way_out}"
        raise ConfigError(msg) from error
    keys = [f"{each}{_END}" for each in _names()]
    for key in keys:
        if key not in given:
            msg = f"latency profile {name} lacks {key}; it needs {', '.join(keys)}"
            raise ConfigError(msg)
    for key, value in given.items():
        if key not in keys:
            msg = f"latency profile {name} says {key}, which means nothing; it may say {', '.join(keys)}"
            raise ConfigError(msg)
        if not _is_time(value):
            msg = (
                f"latency profile {name}: {key} is {value!r}; it must be a number of milliseconds"
                f" from 0 to {_MOST_MS:,.0f}"
            )
            raise ConfigError(msg)
    return LatencyProfile(**{f"{each}_s": given[f"{each}{_END}"] / 1e3 for each in _names()})


def _is_time(value: Any) -> bool:
    # TOML knows true, which Python takes for 1
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and isfinite(value) and 0 <= value <= _MOST_MS


class Latency:
    """
    Makes each request take at least as long as it would by a profile.

    A connection is a thread: one of the server's, or one of those that call a client.

    Args:
        profile: The times.
        clock: Seconds that only grow.
        pause: Sleeps.
    """

    def __init__(
        self,
        profile: LatencyProfile,
        *,
        clock: Callable[[], float] = time.perf_counter,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._profile = profile
        self._clock = clock
        self._pause = pause
        self._request = threading.local()

    def begin(self, *, writes: bool) -> None:
        """Begin a request of this thread."""
        request, profile = self._request, self._profile
        request.begun_s = self._clock()
        request.due_s = profile.write_s if writes else profile.read_s
        if not getattr(request, "is_connected", False):
            request.is_connected = True
            request.due_s += profile.first_connection_s

    def page(self, size_bytes: int) -> None:
        """Say that the request evaluated a page of items."""
        self._request.due_s += self._profile.page_s * min(1.0, size_bytes / PAGE_BYTES)

    def items(self, count: int) -> None:
        """Say that the request read or wrote items of a batch or a transaction."""
        self._request.due_s += self._profile.item_s * count

    def wait(self) -> None:
        """Wait for what this thread's request still lacks."""
        due_s = getattr(self._request, "due_s", 0.0)
        if due_s:
            self._request.due_s = 0.0
            left_s = due_s - (self._clock() - self._request.begun_s)
            if left_s > 0:
                self._pause(left_s)
