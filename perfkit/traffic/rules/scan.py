"""Rule: a scan in a request path."""

import re
from collections.abc import Iterator

from perfkit.traffic.figures import Figures, Summary
from perfkit.traffic.findings import Finding, Rule, Settings
from perfkit.traffic.schemas import Schema
from perfkit.traffic.shapes import Fingerprint
from perfkit.units import format_count, format_many, format_units

__all__ = ["find_scans", "runs_of"]

_INNERMOST = re.compile(r"\(([^()]*)\)")
_NEGATED = re.compile(r"\bNOT\b.*?(?=\b(?:AND|OR)\b|$)", re.IGNORECASE | re.DOTALL)
_SAYS_KEY = "\0"
_TYPES = {"S": " (text)", "N": " (a number)", "B": " (binary)"}


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
        saved = each.wasted if fingerprint.filter else None
        yield Finding(
            rule=Rule.SCAN,
            request=fingerprint.text,
            what=f"reads {_how_much(each)} to answer a question",
            evidence=f"{format_many(runs, 'time', 'times')}, each {format_units(units)} RCU"
            f" and {_items(each, runs)}",
            remedy=_remedy(each, summary.trace.schemas.get(fingerprint.table)),
            worth_usd=summary.scaled_usd(
                each.cost_usd * (1.0 if saved is None else saved), totals.calls
            ),
            worth=_doubt(each),
            example=each.example.number if each.example else 0,
        )


def _stops(figures: Figures) -> bool:
    """Return whether a Limit ends what is read, and no further page is asked for."""
    is_continued = figures.paged_calls > len(figures.chains)
    return "limit" in figures.fingerprint.options.split(", ") and not is_continued


def _how_much(figures: Figures) -> str:
    where = figures.fingerprint.where
    return f"a part of {where}, up to a Limit," if _stops(figures) else f"all of {where}"


def _doubt(figures: Figures) -> str:
    """Return what the worth of a scan leaves open."""
    if not figures.fingerprint.filter:
        return "at most: how much of it is needed is not recorded"
    if _stops(figures):
        return "at most: a query finds what is behind the Limit, too, and reads that as well"
    return ""


def _items(figures: Figures, runs: int) -> str:
    returned = format_count(round(figures.totals.count / runs))
    if figures.fingerprint.operation == "ExecuteStatement":
        return f"{returned} items returned; of a statement DynamoDB does not say how many it read"
    return (
        f"{format_count(round(figures.totals.scanned / runs))} items read for {returned} returned"
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
    fingerprint, totals = figures.fingerprint, figures.totals
    if not (totals.scanned or totals.count or figures.read_units):
        return False
    if fingerprint.operation == "ExecuteStatement":
        return _is_full_statement(fingerprint, schemas)
    if fingerprint.operation != "Scan" or "segment" in fingerprint.options:
        return False
    return not fingerprint.index or bool(fingerprint.filter)


def _is_full_statement(fingerprint: Fingerprint, schemas: dict[str, Schema]) -> bool:
    schema = schemas.get(fingerprint.table)
    name = schema.partition_of(fingerprint.index) if schema else None
    if name is None or not fingerprint.change.upper().startswith("SELECT"):
        return False
    condition = _condition(fingerprint)
    return not (condition and _says_key(condition, name))


def _condition(fingerprint: Fingerprint) -> str:
    """Return what stands after a statement's WHERE."""
    _, *after = re.split(r"\bWHERE\b", fingerprint.change, maxsplit=1, flags=re.IGNORECASE)
    return after[0] if after else ""


def _says_key(condition: str, key: str) -> bool:
    """
    Return whether each alternative of a condition says the partition key by = or IN, and not NOT.

    Source: developer guide, "PartiQL select statements for DynamoDB": all else reads the table.
    """
    while (inner := _INNERMOST.search(condition)) is not None:
        replaced = _SAYS_KEY if _says_key(inner[1], key) else ""
        condition = f"{condition[: inner.start()]}{replaced}{condition[inner.end() :]}"
    condition = _NEGATED.sub("", condition)
    says = re.compile(rf'(?<![\w.-])"?{re.escape(key)}"?\s*(?:=|(?i:IN)\b)|{_SAYS_KEY}')
    return all(map(says.search, re.split(r"\bOR\b", condition, flags=re.IGNORECASE)))


def _remedy(figures: Figures, schema: Schema | None) -> str:
    condition = figures.fingerprint.filter or _condition(figures.fingerprint)
    wanted = re.findall(r'([\w.-]+)"?\s*=\s*[:?]', condition)
    if wanted and not re.search(r"\bOR\b", condition, re.IGNORECASE):
        # of what is no key DynamoDB does not say the type
        kind = _TYPES.get(schema.types.get(wanted[0], "") if schema else "", "")
        return f"an index with the partition key {wanted[0]}{kind}, and a query of it"
    return (
        "a query of an index whose partition key is what the service looks for; for the whole"
        " table, an export"
    )
