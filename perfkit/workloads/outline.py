"""What a workload's file says of its access patterns, found by digest and read without its model."""

import hashlib
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path

from perfkit.settings import WORKLOAD_FILE, WORKLOAD_VARIABLE

__all__ = ["Outline", "outline"]


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
    """

    ttls_s: Mapping[str, float | None]
    description: str = ""
    quotes: bool = False
    built_in: bool = False
    indexes: bool = True


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
                ttls_s={
                    pattern: float(said["cache"]["ttl_s"]) if "cache" in said else None
                    for pattern, said in patterns.items()
                },
            )
    return None


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
