"""wrk, the load generator: found, run against one address, and what it says read."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Self

from perfkit.errors import TargetError
from perfkit.measure.statistics import percentile

__all__ = ["CONNECTIONS", "MISSING", "Load", "Wrk"]

CONNECTIONS = 50
MISSING = "wrk is missing: `apt-get install wrk`, or `brew install wrk`"

# what wrk prints is rounded; its script is given the figures themselves
_SCRIPT = """
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format("FOUND %d %d %d %d %d %d %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency.mean, latency:percentile(99),
    e.status, e.connect + e.read + e.write + e.timeout))
end
"""
# exponential, as perfkit's users think
_THINK = """
delay = function()
  return math.floor(-{think_ms} * math.log(1 - math.random()))
end
"""
_FOUND = re.compile(r"FOUND (\d+) (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the requests of one turn took."""

    requests: int
    elapsed_s: float
    p50_s: float
    mean_s: float
    p99_s: float

    @classmethod
    def of(cls, samples_s: Sequence[float], elapsed_s: float) -> Self:
        """Return the same of another client's samples."""
        ordered_s = sorted(samples_s)
        return cls(
            requests=len(ordered_s),
            elapsed_s=elapsed_s,
            p50_s=percentile(ordered_s, 0.5),
            mean_s=fmean(ordered_s),
            p99_s=percentile(ordered_s, 0.99),
        )

    @property
    def rate_hz(self) -> float:
        """Requests a second."""
        return self.requests / self.elapsed_s


class Wrk:
    """
    wrk with one thread; each of its connections asks again once it is answered, or after a pause.

    Args:
        folder: For its script.
        token: Bearer token to send.
        connections: How many.
        think_s: Mean pause of a connection before it asks.
        request: Lua that says what to ask, where it is not a GET.

    Raises:
        TargetError: wrk is missing.
    """

    def __init__(
        self,
        folder: Path,
        token: str,
        connections: int = CONNECTIONS,
        *,
        think_s: float = 0.0,
        request: str = "",
    ) -> None:
        program = shutil.which("wrk")
        if program is None:
            raise TargetError(MISSING)
        script = folder / "wrk.lua"
        think = _THINK.format(think_ms=think_s * 1e3) if think_s else ""
        script.write_text(request + _SCRIPT + think)
        self._command = [
            *(program, "--threads", "1", "--connections", str(connections)),
            *("--timeout", "30s", "--script", str(script)),
            *("--header", f"Authorization: Bearer {token}"),
        ]

    def ask(self, url: str, seconds: int) -> Load:
        """
        Ask for some seconds.

        Raises:
            TargetError: A request was not answered, or refused.
        """
        command = [*self._command, "--duration", f"{seconds}s", url]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = _FOUND.search(done.stdout)
        if found is None:
            msg = f"wrk failed: {(done.stderr or done.stdout).strip()[-200:]}"
            raise TargetError(msg)
        requests, elapsed_us, p50_us, mean_us, p99_us, refused, unanswered = map(
            int, found.groups()
        )
        if refused or unanswered or not requests:
            msg = f"{url}: of {requests} requests {refused} were refused, {unanswered} unanswered"
            raise TargetError(msg)
        return Load(
            requests=requests,
            elapsed_s=elapsed_us / 1e6,
            p50_s=p50_us / 1e6,
            mean_s=mean_us / 1e6,
            p99_s=p99_us / 1e6,
        )
