"""How many instances a request rate needs, from processor time measured elsewhere."""

import math
import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import resources

from perfkit.cost import names
from perfkit.cost.bill import Use
from perfkit.cost.prices import HOURS_A_MONTH, PriceBook
from perfkit.cost.quantities import short
from perfkit.errors import ConfigError
from perfkit.units import TIMES

__all__ = ["INSTANCE_CAVEAT", "InstanceType", "Need", "find_type", "instances_needed"]

INSTANCE_CAVEAT = (
    "Processor time was measured on this machine and is assumed to be the same on a vCPU there,"
    " which is another processor and shared in another way: take the counts as an order of"
    " magnitude, and load-test before you rely on them."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceType:
    """
    An instance type.

    Args:
        name: `t3.micro`.
        vcpus: Its virtual processors.
        credits_an_hour: Earned by a burstable type; a credit is one vCPU in full for a minute. None
            of a type that may use all it has for good.
        most_credits: Saved up at most: those of a day.
        source: Where it is documented.
    """

    name: str
    vcpus: int
    credits_an_hour: float | None = None
    most_credits: float = 0.0
    source: str

    @property
    def baseline_vcpus(self) -> float:
        """Processors that may be used all the time: 0.2 of a t3.micro's two."""
        return float(self.vcpus) if self.credits_an_hour is None else self.credits_an_hour / 60

    @property
    def burst_s(self) -> float | None:
        """How long all vCPUs can be used in full, from a full balance; None for good."""
        return self.lasts_s(self.vcpus)

    def lasts_s(self, used_vcpus: float) -> float | None:
        """Return how long so much can be used, from a full balance; None for good."""
        spent_vcpus = used_vcpus - self.baseline_vcpus
        return self.most_credits * 60 / spent_vcpus if spent_vcpus > 0 else None


@cache
def _types() -> dict[str, InstanceType]:
    """Return the burstable types by name."""
    text = resources.files("perfkit.cost").joinpath("instance_types.toml").read_text("utf-8")
    data = tomllib.loads(text)
    return {
        name: InstanceType(name=name, source=data["source"], **row)
        for name, row in data["types"].items()
    }


def find_type(name: str, book: PriceBook) -> InstanceType:
    """
    Return the type called *name*.

    Args:
        name: `t3.micro`, `m7g.large`.
        book: Prices; of an instance that is not burstable its price says how many vCPUs it has.

    Raises:
        ConfigError: It is neither burstable nor in the book with its vCPUs.
    """
    if name in _types():
        return _types()[name]
    priced = names.instance(name)
    if priced not in book.prices or book.prices[priced].vcpus is None:
        known = [*_types(), *filter(None, map(names.instance_of, book.prices))]
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        msg = (
            f"nothing is known of instance type {name!r} in {book.region}; {hint}`perfkit prices"
            f" refresh --region {book.region} --add {priced}` looks up its price and its vCPUs"
        )
        raise ConfigError(msg)
    price = book.prices[priced]
    return InstanceType(name=name, vcpus=price.vcpus or 1, source=price.source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """
    Instances for a rate.

    Args:
        count: Instances.
        mean_vcpus: Processors in use over a day.
        peak_vcpus: In the busiest hour.
        bound: What decides: "baseline" (the day's mean) or "peak".
        arithmetic: How it came about.
    """

    count: int
    mean_vcpus: float
    peak_vcpus: float
    bound: str
    arithmetic: str

    def use(self, kind: InstanceType) -> Use:
        """Return what a month of them takes."""
        return Use(
            price=names.instance(kind.name),
            quantity=self.count * HOURS_A_MONTH,
            arithmetic=f"{self.arithmetic}; {self.count} {TIMES} {HOURS_A_MONTH} h",
        )


def instances_needed(
    rate_hz: float, cpu_s: float, kind: InstanceType, *, peak_ratio: float, cpu_target: float
) -> Need:
    """
    Return how many instances of a type carry a rate for good.

    Over a day they may use no more than their baseline, so that credits never run out: what the
    peak spends, quiet hours earn, and a full balance is what a day earns. In the busiest hour they
    may use *cpu_target* of all their vCPUs.

    Args:
        rate_hz: Requests a second on average.
        cpu_s: Processor time of one request.
        kind: The type.
        peak_ratio: Busiest hour by mean hour.
        cpu_target: Share of the processors that may be in use at the peak; the rest is headroom.
    """
    mean, peak = rate_hz * cpu_s, rate_hz * cpu_s * peak_ratio
    for_mean = mean / kind.baseline_vcpus
    for_peak = peak / (kind.vcpus * cpu_target)
    needed = max(for_mean, for_peak)
    count = max(1, math.ceil(round(needed, 9)))
    bound = "baseline" if for_mean >= for_peak else "peak"
    arithmetic = (
        f"{short(rate_hz)}/s {TIMES} {short(cpu_s * 1e3)} ms = {short(mean)} vCPU on average"
        f" ÷ {short(kind.baseline_vcpus)} baseline = {short(for_mean)};"
        f" {short(peak)} vCPU at the peak"
        f" ÷ ({kind.vcpus} {TIMES} {cpu_target:.0%}) = {short(for_peak)}"
    )
    return Need(count=count, mean_vcpus=mean, peak_vcpus=peak, bound=bound, arithmetic=arithmetic)
