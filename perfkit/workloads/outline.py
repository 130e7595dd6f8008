"""What a workload's file says of its access patterns, found by digest and read without its model."""

import hashlib
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from perfkit.settings import WORKLOAD_FILE, WORKLOAD_VARIABLE

__all__ = [
    "SECONDS_A_MONTH",
    "Outline",
    "StatedTraffic",
    "is_built_in",
    "outline",
    "stated_traffic",
]

SECONDS_A_MONTH = 730 * 3600
"""Of a month as AWS bills it."""


@dataclass(frozen=True)
class StatedTraffic:
    """
    What a workload's `[traffic]` says comes in a second.

    Args:
        reads_hz: Calls, by access pattern.
        writes_hz: Items written, by table.
    """

    reads_hz: Mapping[str, float]
    writes_hz: Mapping[str, float]


@dataclass(frozen=True)
class Outline:
    """
    What a workload is about, and its access patterns.

    Args:
        ttls_s: By name, how long their answers are kept; None without a cache policy.
        description: The workload in one sentence; may be empty.
        quotes: It has figures of a document.
        built_in: perfkit brings it along, and its reference service serves it.
        indexes: A table that perfkit makes has an index.
        existing: Indexes that it says are there already, with their tables.
        foreign: Tables that it says are there already: perfkit adds no index to them.
    """

    ttls_s: Mapping[str, float | None]
    description: str = ""
    quotes: bool = False
    built_in: bool = False
    indexes: bool = True
    existing: frozenset[tuple[str, str]] = frozenset()
    foreign: frozenset[str] = frozenset()


_OF_EVERY_TABLE = frozenset({"partition_key", "sort_key", "indexes"})
"""What a table has that exists already; all else says what its items are to be."""


@lru_cache(maxsize=16)
def outline(name: str, digest: str) -> Outline | None:
    """
    Return the outline of the workload that was measured, None if its file is not there any more.

    The file with this digest has been checked when it was measured, so it is not checked again: a
    report need not wait for that.

    Args:
        name: The workload's name, as a run holds it.
        digest: SHA-256 of its file; a file of that name may be another workload by now.
    """
    for content, built_in in _candidates(name):
        if hashlib.sha256(content).hexdigest() == digest:
            file = tomllib.loads(content.decode("utf-8-sig"))
            patterns, tables = file.get("patterns", {}), file.get("tables", {})
            foreign = frozenset(
                name for name, each in tables.items() if each.keys() <= _OF_EVERY_TABLE
            )
            return Outline(
                description=str(file.get("description", "")),
                quotes=any("quoted" in section for section in patterns.values()),
                built_in=built_in,
                indexes=any(
                    "indexes" in each for name, each in tables.items() if name not in foreign
                ),
                foreign=foreign,
                existing=frozenset(
                    (table, name)
                    for table, each in tables.items()
                    for name, index in each.get("indexes", {}).items()
                    if index.get("exists") or index.get("local")
                ),
                ttls_s={
                    pattern: float(section["cache"]["ttl_s"]) if "cache" in section else None
                    for pattern, section in patterns.items()
                },
            )
    return None


def stated_traffic(name: str, digest: str) -> StatedTraffic | None:
    """
    Return the traffic that a workload's file states; None if it states none, or is not there.

    How much comes is no part of what was measured, so it counts from a file of the same name too
    whose other words are others by now.

    Args:
        name: The workload's name, as a run holds it.
        digest: SHA-256 of its file when it was measured.
    """
    files = [
        (hashlib.sha256(content).hexdigest() == digest, _read(content))
        for content, _ in _candidates(name)
    ]
    exact = (file for same, file in files if same)
    alike = (file for _, file in files if file.get("name") == name)
    sections = (file.get("traffic") for file in (*exact, *alike))
    traffic = next((each for each in sections if isinstance(each, dict)), None)
    if traffic is None:
        return None
    return StatedTraffic(
        reads_hz=_rates(traffic.get("reads")), writes_hz=_rates(traffic.get("writes"))
    )


def _read(content: bytes) -> Mapping[str, Any]:
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except ValueError:
        # a file that is being written; the commands that read workloads say what is wrong with it
        return {}


def _rates(section: object) -> Mapping[str, float]:
    found = {}
    for name, rate in section.items() if isinstance(section, dict) else ():
        match rate:
            case {"rps": int() | float() as hz}:
                found[str(name)] = float(hz)
            case {"per_month": int() | float() as count}:
                found[str(name)] = count / SECONDS_A_MONTH
    return found


def is_built_in(name: str, digest: str) -> bool:
    """Return whether perfkit brings a workload along; one whose file is gone is known by its name."""
    known = outline(name, digest)
    return _packaged(name).is_file() if known is None else known.built_in


def _packaged(name: str) -> Traversable:
    return resources.files("perfkit.workloads").joinpath(f"{Path(name).name}.toml")


def _candidates(name: str) -> Iterator[tuple[bytes, bool]]:
    """Yield the contents of files that may be the workload, and whether perfkit brings them."""
    built_in = _packaged(name)
    if built_in.is_file():
        yield built_in.read_bytes(), True
    named = (Path(name), Path(os.environ.get(WORKLOAD_VARIABLE, "")), WORKLOAD_FILE)
    for path in (*named, *sorted(Path().glob("*.toml"))):
        try:
            yield path.read_bytes(), False
        except (OSError, ValueError):
            continue
