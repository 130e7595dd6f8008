"""What a workload's file says of its access patterns, found by digest and read without its model."""

import hashlib
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from perfkit.settings import WORKLOAD_FILE, WORKLOAD_VARIABLE

__all__ = ["SECONDS_A_MONTH", "Outline", "outline"]

SECONDS_A_MONTH = 730 * 3600
"""Of a month as AWS bills it."""


@dataclass(frozen=True)
class Outline:
    """
    What a workload is about, and its access patterns.

    Args:
        ttls_s: By name, how long their answers are kept; None without a cache policy.
        description: The workload in one sentence; may be empty.
        quotes: It has figures of a document.
        built_in: perfkit brings it along, and its reference service serves it.
        indexes: A table of it has an index.
        existing: Indexes that it says are there already, with their tables.
        traffic: `reads_hz` by pattern and `writes_hz` by table, a second; None if it says nothing.
    """

    ttls_s: Mapping[str, float | None]
    description: str = ""
    quotes: bool = False
    built_in: bool = False
    indexes: bool = True
    existing: frozenset[tuple[str, str]] = frozenset()
    traffic: Mapping[str, Mapping[str, float]] | None = None


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
            patterns = file.get("patterns", {})
            return Outline(
                description=str(file.get("description", "")),
                quotes=any("quoted" in said for said in patterns.values()),
                built_in=built_in,
                indexes=any("indexes" in each for each in file.get("tables", {}).values()),
                existing=frozenset(
                    (table, name)
                    for table, each in file.get("tables", {}).items()
                    for name, index in each.get("indexes", {}).items()
                    if index.get("exists") or index.get("local")
                ),
                traffic=_traffic(file["traffic"]) if "traffic" in file else None,
                ttls_s={
                    pattern: float(said["cache"]["ttl_s"]) if "cache" in said else None
                    for pattern, said in patterns.items()
                },
            )
    return None


def _traffic(said: Mapping[str, Any]) -> Mapping[str, Mapping[str, float]]:
    return {
        f"{part}_hz": {
            name: float(rate["rps"])
            if "rps" in rate
            else float(rate["per_month"]) / SECONDS_A_MONTH
            for name, rate in said.get(part, {}).items()
        }
        for part in ("reads", "writes")
    }


def _candidates(name: str) -> Iterator[tuple[bytes, bool]]:
    """Yield the contents of files that may be the workload, and whether perfkit brings them."""
    built_in = resources.files("perfkit.workloads").joinpath(f"{Path(name).name}.toml")
    if built_in.is_file():
        yield built_in.read_bytes(), True
    for path in (name, os.environ.get(WORKLOAD_VARIABLE, ""), WORKLOAD_FILE):
        try:
            yield Path(path).read_bytes(), False
        except (OSError, ValueError):
            continue
