"""What a request went through, stage after stage."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Stage", "stages_of"]

_TOTAL = "total"
_REST = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """
    One stage of a request; times in seconds.

    Args:
        name: As the service calls it.
        start_s: When it begins, if the stages before it follow one another.
        duration_s: How long it takes.
    """

    name: str
    start_s: float
    duration_s: float


def stages_of(stages_s: Mapping[str, float], whole_s: float) -> tuple[Stage, ...]:
    """
    Return the stages of a request in order, and last what none of them accounts for.

    Args:
        stages_s: Seconds by stage, in their order; "total" is no stage.
        whole_s: What the caller waited.
    """
    known = {
        name: float(seconds) for name, seconds in stages_s.items() if name != _TOTAL and seconds > 0
    }
    known[_REST] = max(0.0, whole_s - sum(known.values()))
    stages, at_s = [], 0.0
    for name, seconds in known.items():
        stages.append(Stage(name=name, start_s=at_s, duration_s=seconds))
        at_s += seconds
    return tuple(stages)
