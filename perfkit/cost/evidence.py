"""What costs are worked out from: figures of saved runs, and which command measures missing ones."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from perfkit.runs import HourTraffic, Run, RunKind, Variant, WriteCost
from perfkit.workloads.outline import StatedTraffic, has_file, is_built_in, outline, stated_traffic

__all__ = ["Cpu", "Evidence", "HitRate", "Missing", "Pattern", "Reading", "gather"]


_BY_KEY = frozenset({"get", "query"})
"""What a service does today that no index would better, as far as the workload says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """
    What one measured variant of an access pattern reads.

    Args:
        variant: Its name: `scan`, `query`, `get`.
        index: The index it reads; None for the table.
        units: Read units of one call.
        items_read: What it is billed on: the items of one call before any filter; None where no
            run says.
        body_bytes: Size of its answer as JSON; None where no run says.
    """

    variant: str
    index: str | None
    units: float
    items_read: int | None = None
    body_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """
    One question, before and after.

    Args:
        name: Its name.
        table: The table it asks.
        before: As the service asks today, by scan unless the workload says otherwise.
        after: By index or key; None where there was none to measure.
        items: Items of an answer, after any filter.
        has_cache_policy: Whether the workload has a cache policy for it; without one no answer is kept.
    """

    name: str
    table: str
    before: Reading
    after: Reading | None
    items: int
    has_cache_policy: bool = False

    @property
    def best(self) -> Reading:
        """What the variant by index or key reads, else today's."""
        return self.after or self.before

    @property
    def unsized(self) -> tuple[str, ...]:
        """Names of the variants whose answer no run has the size of."""
        return tuple(
            each.variant
            for each in (self.before, self.after)
            if each is not None and each.body_bytes is None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """
    Processor time of one request to the service, as a mean over its measured questions.

    Args:
        name: The variant: `phase-0`, `phase-3-cold`.
        seconds: Of one core of the machine that measured.
    """

    name: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HitRate:
    """A hit rate that a saved run modelled."""

    rate: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A figure that no saved run holds, and the command that would measure it."""

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
        traffic: What the run of an hour assumed; None without one.
        existing: Indexes that are there already, with their tables: before has them too.
        foreign: Tables that are there already, to which perfkit adds no index.
        stated: What the workload's file says comes in; None where it says nothing.
        ttls: How long the workload keeps answers of cached patterns, in seconds, where that is known.
        unknown_policies: Patterns of which no run says whether they have a cache policy, and whose
            workload cannot be found, or is another one by now: they are taken to have none.
        lost_file: Name of the workload, if neither its file nor one of its name is found any more; else
            "".
        runs: Identifiers of the runs that were used.
        served: The reference service may serve the workload.
        indexed: A table that perfkit makes may have indexes.
    """

    patterns: tuple[Pattern, ...] = ()
    writes: tuple[WriteCost, ...] = ()
    table_items: Mapping[str, int]
    cpu: tuple[Cpu, ...] = ()
    hit_rates: tuple[HitRate, ...] = ()
    traffic: HourTraffic | None
    existing: frozenset[tuple[str, str]] = frozenset()
    foreign: frozenset[str] = frozenset()
    stated: StatedTraffic | None = None
    ttls: Mapping[str, float] = field(default_factory=dict)
    unknown_policies: tuple[str, ...] = ()
    lost_file: str = ""
    runs: tuple[str, ...] = ()
    served: bool = True
    indexed: bool = True

    @property
    def tables(self) -> tuple[str, ...]:
        """Every table that a run knows."""
        asked = (each.table for each in self.patterns)
        return tuple(dict.fromkeys((*asked, *(each.table for each in self.writes))))

    @property
    def has_cache_policy(self) -> bool:
        """Whether the workload has a cache policy for any pattern."""
        return any(each.has_cache_policy for each in self.patterns)

    def items_of(self, cost: WriteCost) -> float:
        """Return the entries that an index, or items that a table, really has."""
        return self.table_items.get(cost.table, cost.items) * cost.entries_share

    def missing(self) -> tuple[Missing, ...]:
        """Return what no run says, each with the command that measures it."""
        return tuple(Missing(what=what, command=command) for what, command in self._missing())

    def _missing(self) -> Iterator[tuple[str, str]]:
        if not self.patterns:
            yield "read units of the access patterns", "perfkit bench"
        unindexed = ", ".join(
            each.name
            for each in self.patterns
            if each.before.variant not in _BY_KEY and each.table not in self.foreign
        )
        if unindexed and not any(each.after for each in self.patterns):
            yield f"queries by index for {unindexed}", "perfkit create-indexes, then perfkit bench"
        measured = {each.name for each in self.patterns}
        stated = () if self.stated is None else self.stated.reads_hz
        unmeasured = ", ".join(name for name in stated if name not in measured)
        if self.patterns and unmeasured:
            yield (
                f"what [traffic] names too, so its share is in no amount: {unmeasured}",
                "perfkit bench",
            )
        if not self.writes and self.indexed:
            yield (
                "writes, storage and what indexes cost",
                "perfkit bench --scenario index-cost",
            )
        unsized = "; ".join(
            f"{each.name} by {' and '.join(each.unsized)}" for each in self.patterns if each.unsized
        )
        if unsized:
            yield f"sizes of answers, for data out: {unsized}", "perfkit bench"
        if self.unknown_policies:
            names = ", ".join(self.unknown_policies)
            yield (
                f"cache policies, so nothing of it is taken to be cached: {names}",
                "perfkit bench",
            )
        if not self.cpu and self.served:
            yield (
                "processor time of a request, for instances",
                "perfkit bench --scenario phases",
            )
        if self.has_cache_policy and not self.hit_rates:
            yield (
                "a hit rate of the cache beside the one modelled from traffic",
                "perfkit bench --scenario cache-hour",
            )


def gather(runs: Iterable[Run]) -> Evidence:
    """
    Return what runs over one workload on one target say.

    Args:
        runs: The newest of each scenario; of two with the same, the first counts.
    """
    runs = tuple(runs)
    bodies, lives = _bodies(runs), _lives(runs)
    # a run of the cache asks every question that has a policy
    asked = {each for run in runs if run.kind is RunKind.CACHE for each in run.questions}
    patterns: dict[str, Pattern] = {}
    used: list[str] = []
    table_items: dict[str, int] = {}
    traffic: HourTraffic | None = None
    cpu: Sequence[Cpu] = ()
    hit_rates: list[HitRate] = []
    writes: tuple[WriteCost, ...] = ()
    # of tables that lack an index, from items of their own
    of_twins: dict[tuple[str, str | None, str], WriteCost] = {}
    unmarked: set[str] = set()
    for run in runs:
        if run.kind is RunKind.SCENARIO:
            known = run.scenario in lives
            has_cache_policy = lives[run.scenario] is not None if known else run.scenario in asked
            pattern = _pattern(run, bodies, has_cache_policy=has_cache_policy)
            if pattern is None or pattern.name in patterns:
                continue
            patterns[pattern.name] = pattern
            # what perfkit fills says at which scale
            if run.settings.get("scale", 1.0) is None:
                unmarked.add(pattern.table)
            for cost in run.write_costs:
                of_twins.setdefault((cost.table, cost.index, cost.projection), cost)
            scan = next((each for each in run.variants if each.operation == "Scan"), None)
            if scan is not None and scan.items_read:
                table_items.setdefault(pattern.table, scan.items_read)
        elif run.kind is RunKind.PHASES:
            cpu = cpu or _cpu(run)
        elif run.kind is RunKind.INDEX_COST:
            writes = writes or run.write_costs
        elif run.kind is RunKind.CACHE_HOUR:
            hit_rates += _hit_rates(run)
            traffic = traffic or run.traffic
        elif run.kind is not RunKind.CACHE:
            continue
        if run.id:
            used.append(run.id)
    workload = outline(runs[0].workload, runs[0].workload_digest) if runs else None
    served = not runs or is_built_in(runs[0].workload, runs[0].workload_digest)
    is_found = workload is not None or served or has_file(runs[0].workload)
    return Evidence(
        lost_file="" if is_found else runs[0].workload,
        served=served,
        indexed=workload is None or workload.indexes,
        existing=frozenset() if workload is None else workload.existing,
        foreign=frozenset(unmarked) if workload is None else workload.foreign,
        patterns=tuple(patterns.values()),
        writes=(*writes, *_of_others(of_twins.values(), writes)),
        table_items=table_items,
        cpu=tuple(cpu),
        hit_rates=tuple(hit_rates),
        traffic=traffic,
        stated=stated_traffic(runs[0].workload, runs[0].workload_digest) if runs else None,
        ttls={name: ttl_s for name in patterns if (ttl_s := lives.get(name)) is not None},
        unknown_policies=() if asked else tuple(name for name in patterns if name not in lives),
        runs=tuple(used),
    )


def _of_others(costs: Iterable[WriteCost], known: Sequence[WriteCost]) -> Iterable[WriteCost]:
    """Return the costs of tables that are not among the known ones."""
    tables = {each.table for each in known}
    return (each for each in costs if each.table not in tables)


def _pattern(
    run: Run, bodies: Mapping[tuple[str, bool], int], *, has_cache_policy: bool
) -> Pattern | None:
    """
    Return what a run of an access pattern says, None if it lacks units.

    Before is what the service does today, the first variant; after is the form by index or key.
    """
    known = [each for each in run.variants if each.capacity_units is not None]
    if not known or known[0].table is None:
        return None
    before = known[0]
    # forms that are better come last
    others = (each for each in reversed(known[1:]) if each.operation != "Scan")
    after = next(others, None)

    def reading(variant: Variant) -> Reading:
        size_bytes = variant.body_bytes
        if size_bytes is None:
            size_bytes = bodies.get((run.scenario, variant.operation == "Scan"))
        return Reading(
            variant=variant.name,
            index=variant.index,
            units=variant.capacity_units or 0.0,
            items_read=variant.items_read,
            body_bytes=size_bytes,
        )

    better = None if after is None else reading(after)
    modelled = [each for each in run.modelled if not each.differs]
    best = min(modelled, key=lambda each: each.capacity_units, default=None)
    least = before if after is None else after
    if best is not None and best.capacity_units < (least.capacity_units or 0.0):
        better = Reading(
            variant=best.name,
            index=best.index,
            units=best.capacity_units,
            items_read=round(best.items_read),
            # the same items, whoever finds them
            body_bytes=reading(before).body_bytes,
        )
    return Pattern(
        name=run.scenario,
        table=before.table or "",
        before=reading(before),
        after=better,
        items=before.items_returned,
        has_cache_policy=has_cache_policy,
    )


def _bodies(runs: Sequence[Run]) -> dict[tuple[str, bool], int]:
    """
    Return sizes of answers by question, and whether a scan found them, as runs of the cache say.

    Older runs of access patterns do not say them.
    """
    return {
        (variant.question, variant.operation == "Scan"): variant.body_bytes
        for run in reversed(runs)
        if run.kind is RunKind.CACHE
        for variant in run.variants
        if variant.body_bytes is not None
    }


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
            found.append(Cpu(name=name, seconds=fmean(seconds)))
    return found


def _hit_rates(run: Run) -> Iterable[HitRate]:
    """
    Yield the hit rate of the hour that a run let go by in virtual time.

    What its short real run hit is no rate of any traffic: it begins with an empty cache, and lasts
    seconds.
    """
    for hour in run.hours:
        rate = hour.cache.hit_rate
        virtual = hour.provenance == "modelled" and hour.latencies == "measured"
        if rate is not None and virtual and hour.name == "an hour":
            yield HitRate(rate=rate, source="the virtual hour")


def _lives(runs: Sequence[Run]) -> dict[str, float | None]:
    """
    Return how long the workload keeps answers, by pattern: None for one without a cache policy.

    Runs say it; for older ones that do not, the workload's file does, if it is still the one.
    """
    lives: dict[str, float | None] = {}
    for run in reversed(runs):
        if run.kind is not RunKind.SCENARIO:
            continue
        if run.cache_ttl_s is not None:
            lives[run.scenario] = run.cache_ttl_s or None
            continue
        known = outline(run.workload, run.workload_digest) if run.workload_digest else None
        if known is not None and run.scenario in known.ttls_s:
            lives[run.scenario] = known.ttls_s[run.scenario]
    return lives
