"""Saved runs: what a run file holds, how it is read and written, and the folder that keeps them."""

from perfkit.runs.records import (
    FORMAT,
    CacheFigures,
    Check,
    Comparison,
    Doubt,
    DoubtKind,
    Hour,
    HourTraffic,
    LatencySummary,
    MachineLoad,
    Run,
    RunKind,
    ServiceFigures,
    Variant,
    WriteCost,
    now_utc,
)
from perfkit.runs.store import Listing, RunStore, is_run_file

__all__ = [
    "FORMAT",
    "CacheFigures",
    "Check",
    "Comparison",
    "Doubt",
    "DoubtKind",
    "Hour",
    "HourTraffic",
    "LatencySummary",
    "Listing",
    "MachineLoad",
    "Run",
    "RunKind",
    "RunStore",
    "ServiceFigures",
    "Variant",
    "WriteCost",
    "is_run_file",
    "now_utc",
]
