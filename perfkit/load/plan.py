"""
What the processes that make requests are to do: which requests, how often, for how long.

Only the standard library is imported: Locust must be the first that a process of its own loads.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

__all__ = ["PLACEHOLDER", "LoadPlan", "Mix", "Request", "Values"]

PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]*)(?:\.([A-Za-z_][A-Za-z0-9_-]*))?\}")
"""`{name}` or `{name.column}`, in a path, a header or a body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """
    What stands for a placeholder: each request draws one row.

    Args:
        columns: Names; `{name}` alone is the first column.
        rows: At least one, each with a text for every column.
        skew: The n-th row is drawn 1/n^skew as often as the first; 0 draws all alike.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    skew: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    A kind of request, with placeholders in path, headers and body.

    Args:
        name: What it is called in the results.
        method: GET, POST, …
        path: From the slash on, with its query; what stands for a placeholder is quoted.
        headers: By name.
        body: Sent as it is; empty sends none.
        weight: How often, beside the others.
        expect: Statuses that are no error; empty takes every one from 200 to 299.
    """

    name: str
    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    weight: float = 1.0
    expect: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """The requests of a load test, and what stands for their placeholders."""

    name: str
    requests: tuple[Request, ...]
    values: Mapping[str, Values] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """
    What to do.

    Args:
        urls: Of the service; more than one are its instances, each gets its share.
        mix: The requests; None where a Locust file makes them.
        locustfile: Its path.
        users: At most, at a time.
        think_s: Mean pause of a user between two requests; drawn again each time.
        rate_hz: Requests a second, due at fixed times; None lets users ask when they have thought.
        ramp_s: From nothing to all users, or to the whole rate; not measured.
        duration_s: Measured.
        timeout_s: A request that takes longer is given up, and is an error.
    """

    urls: tuple[str, ...]
    users: int
    duration_s: float
    mix: Mix | None = None
    locustfile: str | None = None
    think_s: float = 0.0
    rate_hz: float | None = None
    ramp_s: float = 0.0
    timeout_s: float = 10.0

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return what `to_json` made."""
        mix = data["mix"]
        if mix is not None:
            mix = Mix(
                name=mix["name"],
                requests=tuple(
                    Request(**{**each, "expect": tuple(each["expect"])}) for each in mix["requests"]
                ),
                values={
                    name: Values(
                        columns=tuple(each["columns"]),
                        rows=tuple(map(tuple, each["rows"])),
                        skew=each["skew"],
                    )
                    for name, each in mix["values"].items()
                },
            )
        return cls(**{**data, "urls": tuple(data["urls"]), "mix": mix})
