"""
Everything perfkit raises on purpose, with the exit code each becomes.

    PerfkitError              1   something else went wrong
      ConfigError             2   the request itself is wrong
        WorkloadError             a workload file says something it may not
        GateError                 a gate says something it may not
        UnknownScenarioError      no scenario of that name
        RunFileError              a saved run cannot be read
        TraceError                a trace cannot be read
        PriceError                a price is missing, or a price file says what it may not
        ArchitectureError         an architecture file says what it may not
      TargetError             3   the target could not be measured
        ThrottledError            it refused for lack of capacity, to the end
        DataFileError             the embedded engine's file is unusable
        StorageFullError          no space left to write
        ResultsDifferError        two variants returned different items
      EvidenceError           3   what was measured supports no verdict
      LimitReachedError       3   a limit that was given stopped the command
      ThresholdError          4   the run finished and missed its target

Typer itself exits with 2 for a bad option; an interrupt exits with 130.
"""

import errno

__all__ = [
    "ArchitectureError",
    "ConfigError",
    "DataFileError",
    "EvidenceError",
    "GateError",
    "LimitReachedError",
    "PerfkitError",
    "PriceError",
    "ResultsDifferError",
    "RunFileError",
    "StorageFullError",
    "TargetError",
    "ThresholdError",
    "ThrottledError",
    "TraceError",
    "UnknownScenarioError",
    "WorkloadError",
]


class PerfkitError(Exception):
    """Anything perfkit can explain in one line; `exit_code` is what the process returns."""

    exit_code = 1


class ConfigError(PerfkitError):
    """The request itself is wrong: an option, a file, a name."""

    exit_code = 2


class WorkloadError(ConfigError):
    """A workload file says something it may not."""


class GateError(ConfigError):
    """A gate says something it may not."""


class UnknownScenarioError(ConfigError):
    """No scenario has that name."""


class RunFileError(ConfigError):
    """A saved run is missing, cut short or from another format."""


class TraceError(ConfigError):
    """A recording of traffic is missing, damaged or from another format."""


class PriceError(ConfigError):
    """No such price is known, or a price file says what it may not."""


class ArchitectureError(ConfigError):
    """An architecture file says what it may not."""


class TargetError(PerfkitError):
    """The target could not be measured."""

    exit_code = 3


class ThrottledError(TargetError):
    """The target kept refusing for lack of capacity."""


class DataFileError(TargetError):
    """The embedded engine's file is no database, is damaged, or comes from a newer perfkit."""


class StorageFullError(TargetError):
    """The disk, or the quota on it, is full."""


class ResultsDifferError(TargetError):
    """Two variants of one question returned different items, so they cannot be compared."""


class EvidenceError(PerfkitError):
    """What was measured supports neither pass nor fail."""

    exit_code = 3


class LimitReachedError(PerfkitError):
    """A limit that was given stopped the command; what was done stays."""

    exit_code = 3


class ThresholdError(PerfkitError):
    """The run finished and missed what it was asked to reach."""

    exit_code = 4


def cannot_write(error: OSError, *, full: str, otherwise: str) -> PerfkitError:
    """
    Return the error to raise when a file could not be written.

    Args:
        error: Why.
        full: What to say where the disk, or the quota on it, is full.
        otherwise: What to say else.
    """
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StorageFullError(full)
    return ConfigError(otherwise)
