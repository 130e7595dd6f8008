"""Rule: a scan in a request path."""

import re
from collections.abc import Iterator

from perfkit.traffic.figures import Figures, Summary
from perfkit.traffic.findings import Finding, Rule, Settings
from perfkit.traffic.schemas import Schema
from perfkit.units import format_count, format_many, format_units

__all__ = ["find_scans", "runs_of"]


def find_scans(summary: Summary, _: Settings) -> Iterator[Finding]:
    """
    Yield the scans.

    Left alone: parallel scans, which are jobs and no requests, and an index that is read whole
    without a filter, which is what sparse indexes are for.
    """
    for each in summary.figures:
        if not _is_scan(each, summary.trace.schemas):
            continue
        fingerprint, totals = each.fingerprint, each.totals
        runs = runs_of(each)
        units = each.read_units / runs
        filtered = bool(fingerprint.filter) or fingerprint.operation == "ExecuteStatement"
        saved = each.wasted if filtered and each.wasted is not None else None
        yield Finding(
            rule=Rule.SCAN,
            request=fingerprint.text,
            what=f"reads all of {fingerprint.where} to answer a question",
            evidence=f"{format_many(runs, 'time', 'times')}, each {format_units(units)} RCU and"
            f" {format_count(round(totals.scanned / runs))} items read for"
            f" {format_count(round(totals.count / runs))} returned",
            remedy=_remedy(each),
            worth_usd=summary.scaled_usd(
                each.cost_usd * (1.0 if saved is None else saved), totals.calls
            ),
            worth="" if saved is not None else "at most: what of it is needed, the service knows",
            example=each.example.number if each.example else 0,
        )


def runs_of(figures: Figures) -> int:
    """Return how often a query or scan was run, all its pages being one."""
    # of what was thinned out the pages are not known
    extra = sum(1 for _ in figures.chains)
    paged = figures.paged_calls
    details = len(figures.durations_s)
    if not details:
        return figures.totals.calls
    return max(1, round(figures.totals.calls * (details - paged + extra) / details))


def _is_scan(figures: Figures, schemas: dict[str, Schema]) -> bool:
    fingerprint = figures.fingerprint
    if not figures.totals.scanned and not figures.read_units:
        return False
    if fingerprint.operation == "ExecuteStatement":
        return _is_full_statement(figures, schemas)
    if fingerprint.operation != "Scan" or "segment" in fingerprint.options:
        return False
    return not fingerprint.index or bool(fingerprint.filter)


def _is_full_statement(figures: Figures, schemas: dict[str, Schema]) -> bool:
    fingerprint = figures.fingerprint
    schema = schemas.get(fingerprint.table)
    name = schema.partition_of(fingerprint.index) if schema else None
    if name is None or not fingerprint.change.upper().startswith("SELECT"):
        return False
    _, _, where = re.sub(r"\bwhere\b", "WHERE", fingerprint.change, flags=re.IGNORECASE).partition(
        "WHERE"
    )
    return not re.search(rf'(?<![\w.])"?{re.escape(name)}"?\s*(=|IN\b)', where, re.IGNORECASE)


def _remedy(figures: Figures) -> str:
    wanted = re.findall(r"([\w.-]+) = :v", figures.fingerprint.filter)
    if wanted:
        return f"an index with the partition key {wanted[0]}, and a query of it"
    return (
        "a query of an index whose partition key is what the service looks for; for the whole"
        " table, an export"
    )
