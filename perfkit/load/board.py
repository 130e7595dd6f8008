"""What a screen shows of a running service: each instance over the last seconds, and all together."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from perfkit.analysis.health import Health, find_health
from perfkit.load.service_samples import Sample, figures_of

__all__ = ["Board", "Line"]

_WINDOW_S = 10.0
"""What figures are of: in one second there are too few requests for a 99th percentile."""

_HISTORY = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """
    An instance, or all of them.

    Args:
        name: Of the instance.
        figures: The metrics of the dashboard.
        problem: What is wrong with it at the moment; "" if nothing is.
        instances: How many these are.
    """

    name: str
    figures: dict[str, float | None]
    problem: str = ""
    instances: int = 1

    @property
    def health(self) -> Health:
        """How it is doing, by the rules of the dashboard."""
        return find_health(self.figures)

    @property
    def is_down(self) -> bool:
        """Whether none of it works at the moment, however good the seconds before were."""
        return (self.figures["unhealthy"] or 0) >= self.instances

    @property
    def status(self) -> str:
        """That in a word; of one that nobody asks anything there is nothing to judge."""
        if self.is_down:
            return "DOWN"
        is_idle = not self.figures["unhealthy"] and not self.figures["requests_per_s"]
        return "idle" if is_idle and self.figures["mean_s"] is None else self.health.name


class Board:
    """Takes samples as they come."""

    def __init__(self) -> None:
        self._by_instance: dict[str, deque[Sample]] = {}
        self.history: deque[float] = deque(maxlen=_HISTORY)
        """Requests a second of all instances, the newest last."""

    def add(self, samples: Sequence[Sample]) -> None:
        """Take the samples of a second."""
        for sample in samples:
            kept = self._by_instance.setdefault(sample.instance, deque())
            kept.append(sample)
            while kept[0].at_s < sample.at_s - _WINDOW_S:
                kept.popleft()
        rates = [kept[-1].requests_per_s for kept in self._by_instance.values()]
        self.history.append(sum(rate for rate in rates if rate is not None))

    def keep(self, names: Sequence[str]) -> None:
        """Forget all instances but these."""
        for name in self._by_instance.keys() - set(names):
            del self._by_instance[name]

    def lines(self) -> list[Line]:
        """Return the instances, in the order in which they came."""
        return [
            Line(name=name, figures=figures_of(list(kept)), problem=kept[-1].problem)
            for name, kept in self._by_instance.items()
        ]

    def whole(self) -> Line:
        """Return all instances together."""
        samples = [sample for kept in self._by_instance.values() for sample in kept]
        return Line(
            name="all", figures=figures_of(samples), instances=max(len(self._by_instance), 1)
        )
