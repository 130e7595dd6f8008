"""The instances of a service while it is under load, as a run keeps them."""

import time
from collections.abc import Callable, Sequence
from threading import Event, Thread

from perfkit.load.service_samples import Endpoint, Sample, ServiceSampler
from perfkit.runs import InstanceSample

__all__ = ["InstanceWatch"]

_END_S = 2.0


class InstanceWatch:
    """
    Looks at instances each second in the background.

    Args:
        endpoints: Returns the instances of the moment.
    """

    def __init__(self, endpoints: Callable[[], Sequence[Endpoint]]) -> None:
        self._sampler = ServiceSampler(endpoints)
        self._ended = Event()
        self._thread: Thread | None = None
        self._start_s = 0.0
        self.samples: list[InstanceSample] = []
        """What was seen so far; times count from `start`."""

    def start(self) -> None:
        """Begin to look, and forget what was seen before."""
        self._start_s = time.time()
        self._ended, self.samples = Event(), []
        self._thread = Thread(target=self._watch, args=(self._ended, self.samples), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more; one that does not answer is not waited for."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout=_END_S)

    def _watch(self, ended: Event, seen: list[InstanceSample]) -> None:
        start_s = self._start_s
        for samples in self._sampler.each_second(ended):
            seen += [_to_record(each, start_s) for each in samples]


def _to_record(sample: Sample, start_s: float) -> InstanceSample:
    counted = sample.counted
    return InstanceSample(
        # the clock may have been put back
        at_s=max(sample.at_s - start_s, 0.0),
        instance=sample.instance,
        healthy=sample.healthy,
        requests_per_s=sample.requests_per_s,
        mean_s=counted.mean_s,
        p99_s=counted.percentile(0.99),
        failed_share=counted.failed_share,
        read_units_per_s=sample.read_units_per_s,
        hit_rate=counted.hit_rate,
        cpu_share=sample.cpu_share,
    )
