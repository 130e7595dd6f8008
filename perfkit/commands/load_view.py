"""
How a load test goes, on standard error: a view redrawn each second, lines without a terminal.

Import late: Rich comes with it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from perfkit.commands.output import note
from perfkit.units import format_duration, format_many, format_seconds, format_share, one_line

if TYPE_CHECKING:
    from perfkit.load.gathering import Gathering
    from perfkit.load.plan import LoadPlan
    from perfkit.runs import InstanceSample, LoadSecond

__all__ = ["View", "live_view"]

View = Callable[["Gathering", "Sequence[InstanceSample]"], None]

_EVERY_S = 5.0
"""Between two lines, where there is no terminal."""

_STEPS = "▁▂▃▄▅▆▇█"
_SHOWN_SECONDS = 60
_MOST_ERRORS = 4


@contextmanager
def live_view(plan: "LoadPlan", doing: Callable[[], str] | None = None) -> "Iterator[View]":
    """
    Show what a load test has measured so far while the block runs.

    Args:
        plan: Of the test.
        doing: Returns what is done to the service at the moment, in a test that ends with that.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(plan, doing)
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        seen = -1

        def show(gathering: "Gathering", samples: "Sequence[InstanceSample]") -> None:
            nonlocal seen
            if len(gathering.seconds) != seen:
                seen = len(gathering.seconds)
                live.update(Group(*_draw(plan, gathering, samples, doing)), refresh=True)

        yield show


class _Lines:
    """A line now and then."""

    def __init__(self, plan: "LoadPlan", doing: Callable[[], str] | None) -> None:
        self._plan = plan
        self._doing = doing
        self._due_s = 0.0

    def __call__(self, gathering: "Gathering", samples: "Sequence[InstanceSample]") -> None:
        if gathering.seconds and gathering.seconds[-1].at_s >= self._due_s:
            latest = gathering.seconds[-1]
            # a multiple of it, so that lines do not drift
            self._due_s = (latest.at_s // _EVERY_S + 1) * _EVERY_S
            note(", ".join(_facts(self._plan, gathering, samples, self._doing)))


def _draw(
    plan: "LoadPlan",
    gathering: "Gathering",
    samples: "Sequence[InstanceSample]",
    doing: Callable[[], str] | None,
) -> Iterator[Text]:
    if not gathering.seconds:
        yield Text("Starting …")
        return
    first, *rest = _facts(plan, gathering, samples, doing)
    yield Text(f"{first}, {', '.join(rest[:3])}")
    if rest[3:]:
        yield Text(", ".join(rest[3:]))
    recent = gathering.seconds[-_SHOWN_SECONDS:]
    yield Text(f"requests/s {_history([each.requests for each in recent])}", style="green")
    yield Text(f"p95        {_history([each.p95_s or 0.0 for each in recent])}", style="magenta")


def _facts(
    plan: "LoadPlan",
    gathering: "Gathering",
    samples: "Sequence[InstanceSample]",
    doing: Callable[[], str] | None,
) -> Iterator[str]:
    """Yield what the last second was like, the most important first."""
    latest = gathering.seconds[-1]
    whole_s = plan.ramp_s + plan.duration_s
    if doing is None:
        yield f"{format_duration(min(latest.at_s, whole_s))} of {format_duration(whole_s)}"
    else:
        yield f"{format_duration(latest.at_s)}, {doing()}"
    yield format_many(latest.users, "user")
    yield f"{latest.requests:,} requests/s"
    yield _latencies(latest)
    errors = sum(gathering.errors.values())
    if errors:
        kinds = sorted(gathering.errors.items(), key=lambda each: -each[1])[:_MOST_ERRORS]
        parts = ", ".join(f"{count:,} {one_line(kind)}" for kind, count in kinds)
        yield f"{format_many(errors, 'error')} ({parts})"
    else:
        yield "no errors"
    if latest.hit_rate is not None:
        yield f"hits {format_share(round(latest.hit_rate, 3))}"
    if latest.read_units is not None:
        yield f"{latest.read_units:,.0f} RCU/s"
    if latest.throttles:
        yield f"{format_many(latest.throttles, 'call')} throttled"
    shares = _cpu_shares(samples)
    if shares:
        yield f"CPU of the service {format_share(round(sum(shares), 2))}"
    if latest.generator_cpu_share is not None:
        yield f"CPU of the generator {format_share(round(latest.generator_cpu_share, 2))}"


def _latencies(second: "LoadSecond") -> str:
    if second.p50_s is None or second.p95_s is None or second.p99_s is None:
        return "no answers"
    values = (("p50", second.p50_s), ("p95", second.p95_s), ("p99", second.p99_s))
    return " ".join(f"{name} {format_seconds(value)}" for name, value in values)


def _cpu_shares(samples: "Sequence[InstanceSample]") -> list[float]:
    latest = {each.instance: each.cpu_share for each in samples if each.cpu_share is not None}
    return list(latest.values())


def _history(values: Sequence[float]) -> str:
    """Return values as a row of small bars, the highest as high as they go."""
    most = max(values, default=0.0)
    if most <= 0:
        return _STEPS[0] * len(values)
    return "".join(_STEPS[round(value / most * (len(_STEPS) - 1))] for value in values)
