"""What saved runs say that money can be worked out from, and which command measures what is missing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from perfkit.results import Run, Variant, WriteCost
from perfkit.workloads.outline import outline

__all__ = ["Cpu", "Evidence", "HitRate", "Missing", "Pattern", "Reading", "gather"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """
    One measured way to answer a question.

    Args:
        way: The variant's name: `scan`, `query`, `get`.
        index: The index it reads; None for the table.
        units: Read units of one call.
        items_read: What it is billed on: the items of one call before any filter; None where no
            run says.
    """

    way: str
    index: str | None
    units: float
    items_read: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """
    One question, before and after.

    Args:
        name: Its name.
        table: The table it asks.
        before: By scan.
        after: By index or key; None where there was none to measure.
        items: Items of an answer, after any filter.
        body_bytes: Size of an answer as JSON; None if no run says.
    """

    name: str
    table: str
    before: Reading
    after: Reading | None
    items: int
    body_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """
    Processor time of one request to the service, as a mean over its measured questions.

    Args:
        name: The variant: `phase-0`, `phase-3-cold`.
        seconds: Of one core of the machine that measured.
        questions: How many.
    """

    name: str
    seconds: float
    questions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HitRate:
    """A hit rate of a saved run: `provenance` is "measured" or "modelled"."""

    rate: float
    provenance: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Something no run says, and the command that would measure it."""

    what: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """
    Everything money is worked out from.

    Args:
        patterns: The questions, in the order they were measured.
        writes: What writes to tables and indexes take.
        table_items: Items of each table, as scans counted them.
        cpu: Processor time of a request, by variant.
        hit_rates: Those of saved runs.
        traffic: What the run of an hour assumed: `ttl_s`, `keys`, `skew`, `writes_an_hour`.
        ttls: How long the workload keeps answers, by pattern, in seconds; without the patterns of a
            workload that cannot be found, or is another one by now.
        runs: Identifiers of the runs that were used.
    """

    patterns: tuple[Pattern, ...] = ()
    writes: tuple[WriteCost, ...] = ()
    table_items: Mapping[str, int]
    cpu: tuple[Cpu, ...] = ()
    hit_rates: tuple[HitRate, ...] = ()
    traffic: Mapping[str, float]
    ttls: Mapping[str, float] = field(default_factory=dict)
    runs: tuple[str, ...] = ()

    @property
    def tables(self) -> tuple[str, ...]:
        """Every table that a run knows."""
        asked = (each.table for each in self.patterns)
        return tuple(dict.fromkeys((*asked, *(each.table for each in self.writes))))

    def items_of(self, cost: WriteCost) -> float:
        """Return the entries that an index, or items that a table, really has."""
        return self.table_items.get(cost.table, cost.items) * cost.entries_share

    def missing(self) -> tuple[Missing, ...]:
        """Return what no run says, each with the command that measures it."""
        found = []
        if not self.patterns:
            found.append(Missing(what="read units of the access patterns", command="perfkit bench"))
        elif not any(each.after for each in self.patterns):
            found.append(
                Missing(
                    what="queries by index",
                    command="perfkit create-indexes, then perfkit bench",
                )
            )
        if not self.writes:
            found.append(
                Missing(
                    what="writes, storage and what indexes cost",
                    command="perfkit bench --scenario index-cost",
                )
            )
        if not any(each.body_bytes for each in self.patterns):
            found.append(
                Missing(
                    what="sizes of answers, for data out",
                    command="perfkit bench --scenario cache",
                )
            )
        if not self.cpu:
            found.append(
                Missing(
                    what="processor time of a request, for instances",
                    command="perfkit bench --scenario phases",
                )
            )
        if not self.hit_rates:
            found.append(
                Missing(
                    what="a hit rate of the cache beside the one modelled from traffic",
                    command="perfkit bench --scenario cache-hour",
                )
            )
        return tuple(found)


def gather(runs: Iterable[Run]) -> Evidence:
    """
    Return what runs over one workload on one target say.

    Args:
        runs: The newest of each scenario; of two with the same, the first counts.
    """
    runs = tuple(runs)
    bodies = {
        variant.question: variant.body_bytes
        for run in reversed(runs)
        if run.kind == "cache"
        for variant in run.variants
        if variant.body_bytes
    }
    patterns: dict[str, Pattern] = {}
    used: list[str] = []
    table_items: dict[str, int] = {}
    traffic: dict[str, float] = {}
    cpu: Sequence[Cpu] = ()
    hit_rates: list[HitRate] = []
    writes: tuple[WriteCost, ...] = ()
    for run in runs:
        if run.kind == "scenario":
            pattern = _pattern(run, bodies.get(run.scenario))
            if pattern is None or pattern.name in patterns:
                continue
            patterns[pattern.name] = pattern
            scan = run.variant(pattern.before.way)
            if scan is not None and scan.items_read:
                table_items.setdefault(pattern.table, scan.items_read)
        elif run.kind == "phases":
            cpu = cpu or _cpu(run)
        elif run.kind == "index-cost":
            writes = writes or run.write_costs
        elif run.kind == "cache-hour":
            hit_rates += _hit_rates(run)
            traffic = traffic or _traffic(run)
        elif run.kind != "cache":
            continue
        if run.id:
            used.append(run.id)
    return Evidence(
        patterns=tuple(patterns.values()),
        writes=writes,
        table_items=table_items,
        cpu=tuple(cpu),
        hit_rates=tuple(hit_rates),
        traffic=traffic,
        ttls={name: ttl_s for name, ttl_s in _ttls(runs).items() if name in patterns},
        runs=tuple(used),
    )


def _pattern(run: Run, body_bytes: int | None) -> Pattern | None:
    """Return what a run of an access pattern says, None if it lacks a scan or its units."""
    scans = [each for each in run.variants if each.operation == "Scan"]
    before = next((each for each in scans if each.capacity_units is not None), None)
    if before is None or before.table is None:
        return None
    others = (each for each in run.variants if each.operation != "Scan")
    after = next((each for each in others if each.capacity_units is not None), None)
    return Pattern(
        name=run.scenario,
        table=before.table,
        before=_reading(before),
        after=None if after is None else _reading(after),
        items=before.items_returned,
        body_bytes=body_bytes,
    )


def _reading(variant: Variant) -> Reading:
    return Reading(
        way=variant.name,
        index=variant.index,
        units=variant.capacity_units or 0.0,
        items_read=variant.items_read,
    )


def _cpu(run: Run) -> Sequence[Cpu]:
    names = dict.fromkeys(each.name for each in run.variants)
    found = []
    for name in names:
        seconds = [
            each.service.cpu_s
            for each in run.variants
            if each.name == name and each.service is not None and each.service.cpu_s is not None
        ]
        if seconds:
            found.append(Cpu(name=name, seconds=fmean(seconds), questions=len(seconds)))
    return found


def _hit_rates(run: Run) -> Iterable[HitRate]:
    for hour in run.hours:
        rate = hour.cache.hit_rate
        if rate is None or hour.provenance == "quoted":
            continue
        if hour.provenance == "measured":
            yield HitRate(rate=rate, provenance="measured", source="the short real run")
        elif hour.name == "an hour" and hour.latencies == "measured":
            yield HitRate(rate=rate, provenance="modelled", source="the virtual hour")


def _ttls(runs: Sequence[Run]) -> dict[str, float]:
    """Return the times to live that the workload says; runs do not hold them."""
    measured = next((run for run in runs if run.kind == "scenario"), None)
    if measured is None or not measured.workload_digest:
        return {}
    known = outline(measured.workload, measured.workload_digest)
    ttls_s = {} if known is None else known.ttls_s
    return {name: ttl_s for name, ttl_s in ttls_s.items() if ttl_s is not None}


def _traffic(run: Run) -> dict[str, float]:
    return {
        key.removeprefix("traffic_"): float(value)
        for key, value in run.settings.items()
        if key.startswith("traffic_") and isinstance(value, int | float)
    }
