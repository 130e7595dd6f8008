"""A group of instances under target tracking, minute by minute: when it grows and shrinks; a model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from perfkit.cost.quantities import in_bounds
from perfkit.errors import ConfigError

__all__ = ["POLICY_SOURCES", "Policy", "Replay", "ScaleEvent", "replay"]

POLICY_SOURCES = (
    "Amazon EC2 Auto Scaling User Guide, target tracking scaling policies (target, proportional"
    " scale-out, scale-in only where the metric stays below the target) and default instance warmup"
    " (falls back to the default cooldown, 300 s); 3 and 15 one-minute datapoints are those of the"
    " alarms that it makes"
)
"""
What the replay follows.

Scale-in: the guide says that utilisation must have dropped "usually more than 10%" below the target.
Alarms that EC2 Auto Scaling made were also seen at 70% of it (35 for a target of 50), with which a
group shrinks later.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-scaling-target-tracking.html
https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-default-instance-warmup.html
"""

_MOST_INSTANCES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """
    What a group is kept at.

    Args:
        target: Share of their processors that its instances use on average.
        least: Instances at least.
        most: Instances at most.
        warm_up_min: Minutes until a new instance counts; until then nothing shrinks.
        out_after: Datapoints above the target, one after the other, that make it grow.
        in_after: Datapoints below `in_below` that make it shrink.
        in_below: Share of the target.
    """

    target: float = 0.5
    least: int = 1
    most: int = 10
    warm_up_min: int = 5
    out_after: int = 3
    in_after: int = 15
    in_below: float = 0.9

    def __post_init__(self) -> None:
        in_bounds("the target of the CPU", self.target, 1, above=0)
        in_bounds("the least number of instances", self.least, _MOST_INSTANCES, least=1)
        if not self.least <= self.most <= _MOST_INSTANCES:
            msg = (
                f"at most {self.most} instances is out of range; it is from the least number,"
                f" {self.least}, to {_MOST_INSTANCES:,}"
            )
            raise ConfigError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleEvent:
    """A change of a group's size, at the end of a minute; `used` is the mean share of CPU then."""

    minute: int
    before: int
    after: int
    used: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """
    What became of a group.

    Args:
        policy: Its policy.
        minutes: How long it was watched.
        start: Instances at the beginning.
        end: Wanted at the end.
        events: Changes of its size.
        short_min: Minutes in which its instances had no processor time to spare: what was asked
            for then is not known, only that it was at least this.
    """

    policy: Policy
    minutes: int
    start: int
    end: int
    events: tuple[ScaleEvent, ...]
    short_min: int

    @property
    def is_stable(self) -> bool:
        """Whether its size never changed."""
        return not self.events


def replay(demand: Sequence[float], start: int, policy: Policy) -> Replay:
    """
    Return what target tracking makes of a demand.

    Each minute yields one datapoint, the mean CPU of the instances that count, at most 100%. The
    size that is wanted is the one at which the same demand would meet the target, rounded up.
    Instances that warm up take no load and are part of the size that is compared with it.

    Args:
        demand: By minute, in instances that are busy all the time: 1.5 is one and a half.
        start: Instances at the beginning.
        policy: What they are kept at.
    """
    counting, warming = start, list[tuple[int, int]]()
    above = below = short = 0
    events: list[ScaleEvent] = []
    for minute, wanted in enumerate(demand, start=1):
        counting += sum(count for ready, count in warming if ready <= minute)
        warming = [each for each in warming if each[0] > minute]
        size = counting + sum(count for _, count in warming)
        used = min(wanted / counting, 1.0)
        short += wanted >= counting
        above = above + 1 if used > policy.target else 0
        below = below + 1 if used < policy.target * policy.in_below else 0
        # 2 * 0.25 / 0.5 may come out a little above 1
        fitting = math.ceil(round(counting * used / policy.target, 9))
        fitting = min(max(fitting, policy.least), policy.most)
        if above >= policy.out_after and fitting > size:
            warming.append((minute + policy.warm_up_min, fitting - size))
        elif below >= policy.in_after and not warming and fitting < size:
            counting, below = fitting, 0
        else:
            continue
        events.append(ScaleEvent(minute=minute, before=size, after=fitting, used=used))
    return Replay(
        policy=policy,
        minutes=len(demand),
        start=start,
        end=counting + sum(count for _, count in warming),
        events=tuple(events),
        short_min=short,
    )
