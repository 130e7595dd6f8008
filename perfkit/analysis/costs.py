"""The costs that a report shows, each worked out once, when the first section asks for it."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING

from perfkit.cost.assumptions import Assumptions, as_in_run, as_stated
from perfkit.cost.bill import Bill, Comparison
from perfkit.cost.demand import Place, State
from perfkit.cost.estimate import Estimate, estimate
from perfkit.cost.evidence import Evidence, gather
from perfkit.cost.index_economics import storage_use
from perfkit.cost.options import QUOTED, CostOptions
from perfkit.cost.prices import PriceBook, age_warnings
from perfkit.cost.quantities import SECONDS_A_MONTH
from perfkit.errors import ArchitectureError, ConfigError, PriceError
from perfkit.runs import Run

if TYPE_CHECKING:
    from perfkit.cost.architecture import Architectures
    from perfkit.cost.consumption import Consumption
    from perfkit.cost.measured_units import MeasuredUnits

__all__ = ["Costs", "Described"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """
    The bills of what is described.

    Args:
        comparisons: The bills, the ones that count first.
        book: The list prices that were used; None where none were.
        warnings: What to heed.
    """

    comparisons: tuple[Comparison, ...]
    book: PriceBook | None = None
    warnings: tuple[str, ...] = ()


class Costs:
    """
    The money of one report.

    Args:
        options: What the reader wants to know.
        groups: The runs over each workload on each target by title, newest first.
    """

    def __init__(
        self, options: CostOptions, groups: Mapping[str, tuple[Run, ...]] | None = None
    ) -> None:
        self.options = options
        self._groups = groups or {}
        self._evidence: dict[str, Evidence] = {}
        self._estimates: dict[str, Estimate | ConfigError | None] = {}

    def evidence(self, title: str, runs: tuple[Run, ...]) -> Evidence:
        """
        Return what the runs over one workload on one target say.

        Args:
            title: Tells these runs from others of the report.
            runs: The newest of each scenario.
        """
        if title not in self._evidence:
            self._evidence[title] = gather(runs)
        return self._evidence[title]

    @property
    def _tables(self) -> tuple[str, ...]:
        """Return every table that a run knows."""
        groups = self._groups.items()
        return tuple(table for group in groups for table in self.evidence(*group).tables)

    @cached_property
    def architectures(self) -> "Architectures":
        """
        Return what is described.

        Raises:
            ArchitectureError: The file will not do.
        """
        # reports without money need not wait for what files may say
        from perfkit.cost.architecture_file import load_architectures

        return load_architectures(self.options.architecture)

    @cached_property
    def book(self) -> PriceBook:
        """
        Return the list prices: of the region that is asked for, else of the runs' own.

        Raises:
            PriceError: There are none of the region, or a file will not do.
        """
        from perfkit.cost.price_file import has_prices, load_book

        region, file = self.options.region, self.options.price_file
        if region is not None or file is not None:
            return load_book(region, file)
        if self.consumption is not None:
            return load_book(self.consumption.region)
        usual = load_book()
        own = {
            str(run.target.get("region") or "") for runs in self._groups.values() for run in runs
        }
        own.discard("")
        if own <= {usual.region}:
            return usual
        if len(own) > 1:
            return replace(usual, because=f"runs are of {', '.join(sorted(own))}")
        (region,) = own
        if not has_prices(region):
            return replace(usual, because=f"no price of {region} is known")
        book = load_book(region)
        lacking = self._lacking(book)
        if not lacking:
            return book
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        return replace(usual, because=f"of {region} no price of {lacking[0]}{more} is known")

    def _lacking(self, book: PriceBook) -> tuple[str, ...]:
        """Return the prices that a book lacks of those that these runs need."""
        asked = replace(book, used={}, lacking={})
        for title, runs in self._groups.items():
            evidence = self.evidence(title, runs)
            with suppress(ConfigError, PriceError):
                # what is wrong with files is said where the costs are worked out
                is_stated = self.is_stated(evidence)
                estimate(evidence, self.assumptions(evidence), asked, is_stated=is_stated)
        return tuple(asked.lacking)

    @cached_property
    def consumption(self) -> "Consumption | None":
        """
        Return what the measured tables consume on AWS, None if nobody asks for it.

        Raises:
            ConfigError: No table is known, or CloudWatch may not be asked.
            TargetError: AWS does not answer.
        """
        days = self.options.cloudwatch_days
        if days is None:
            return None
        from perfkit.cost.consumption import consumption
        from perfkit.dynamodb.targets import Target, TargetKind

        if not self._tables:
            msg = (
                "--traffic cloudwatch bills the tables of saved runs, and there are none; measure"
                " with `perfkit bench` first"
            )
            raise ConfigError(msg)
        profile = self.options.profile
        target = Target(kind=TargetKind.AWS, region=self.options.region, profile=profile)
        # messages name the region that a variable or a profile says
        target = replace(target, region=target.resolved_region())
        return consumption(target, self._tables, days=days, now=datetime.now(UTC))

    @cached_property
    def consumed(self) -> "tuple[Consumption, Bill] | None":
        """
        Return what the tables consume on AWS with the month's bill of it, None if nobody asks.

        Raises:
            ConfigError: No table is known, CloudWatch may not be asked, or there are no prices.
            TargetError: AWS does not answer.
        """
        if self.consumption is None:
            return None
        from perfkit.cost.consumption import bill_of_consumption

        free_tier = self.options.free_tier
        return self.consumption, bill_of_consumption(
            self.consumption, self.book, free_tier=free_tier
        )

    @cached_property
    def described(self) -> Described:
        """
        Return the bills of what is described: quoted, at list prices, or both.

        Raises:
            ArchitectureError: The architecture file will not do.
            PriceError: Prices that were asked for are missing.
        """
        from perfkit.cost.described import by_list, quoted

        options, architectures = self.options, self.architectures
        comparisons: list[Comparison] = []
        if options.prices == QUOTED or (options.prices is None and architectures.quoted):
            comparisons.append(quoted(architectures))
        if options.prices == QUOTED:
            return Described(comparisons=tuple(comparisons))
        try:
            measured, disagreements = self._with_measured(architectures)
            listed = by_list(measured, self.book, free_tier=options.free_tier)
        except PriceError as error:
            # a price file that nobody named here must not keep a report from being shown
            # with CloudWatch the region is asked for its tables' sake
            region = options.region is not None and options.cloudwatch_days is None
            if options.prices or region or options.architecture or not comparisons:
                raise
            return Described(
                comparisons=tuple(comparisons),
                warnings=tuple(f"no list prices: {each}" for each in str(error).split("\n")),
            )
        return Described(
            comparisons=(*comparisons, listed),
            book=self.book,
            warnings=(
                *disagreements,
                *age_warnings(listed.prices, today=options.today, region=self.book.region),
            ),
        )

    def _with_measured(
        self, architectures: "Architectures"
    ) -> "tuple[Architectures, tuple[str, ...]]":
        """Return what is described with measured units where there are some, and what disagreed."""
        from perfkit.cost.measured_units import with_measured

        before, after = architectures.before, architectures.after
        described = {name for side in (before, after) if side for name in side.tables}
        if described.isdisjoint(self._tables):
            return architectures, ()
        last = State.CACHED if after and (after.cache or after.serverless_cache) else State.AFTER
        notes: list[str] = []
        if before is not None:
            before, found = with_measured(before, self._units_of(State.BEFORE))
            notes += found
        if after is not None:
            after, found = with_measured(after, self._units_of(last))
            notes += found
        return replace(architectures, before=before, after=after), tuple(notes)

    def _units_of(self, state: State) -> "Mapping[Place, MeasuredUnits]":
        """
        Return what tables and indexes take a month in a state.

        Before is today, so what CloudWatch counted counts first; then come runs with a stated
        traffic, the newest first: a traffic that says what each pattern gets, and of writes only
        where it says how many there are.
        """
        from perfkit.cost.measured_units import MeasuredUnits

        units: dict[Place, MeasuredUnits] = {}
        if state is State.BEFORE and self.consumption is not None:
            for part in self.consumption.parts:
                units[part.table, part.index] = MeasuredUnits(
                    reads=Decimal(str(part.reads_a_month)),
                    writes=Decimal(str(part.writes_a_month)),
                    stored_gb=Decimal(str(part.stored_gb)),
                    source="CloudWatch",
                )
        for title, runs in self._groups.items():
            evidence = self.evidence(title, runs)
            found = self.estimate(title, runs) if self.is_stated(evidence) else None
            if found is None or not found.assumptions.is_split(found.patterns):
                # which table requests are for is assumed, and no reason to overrule a file
                continue
            # without a cache policy nothing is kept, whatever runs
            known = found.demands.get(state, found.demands.get(State.AFTER))
            stored = {(each.table, each.index): each for each in evidence.writes if each.declared}
            for demand in known or ():
                place = (demand.table, demand.index)
                cost = stored.get(place)
                units.setdefault(
                    place,
                    MeasuredUnits(
                        reads=Decimal(str(demand.read_units_s * SECONDS_A_MONTH)),
                        writes=None
                        if cost is None or not self.states_writes(found, demand.table)
                        else Decimal(str(demand.write_units_s * SECONDS_A_MONTH)),
                        stored_gb=None
                        if cost is None
                        else Decimal(str(storage_use(cost, evidence.items_of(cost)).quantity)),
                        source="runs, at the stated traffic",
                    ),
                )
        return units

    def states_writes(self, found: Estimate, table: str) -> bool:
        """Return whether anybody says how often a table is written."""
        return self.architectures.states_writes or table in found.assumptions.writes

    def assumptions(self, evidence: Evidence) -> Assumptions:
        """
        Return the traffic: as options say, else the architecture file, else the workload, else as usual.

        Raises:
            ArchitectureError: The architecture file will not do.
            ConfigError: The runs' numbers are out of bounds.
        """
        given = self.architectures.traffic or Assumptions()
        if not self.architectures.states_a_rate:
            names = [each.name for each in evidence.patterns]
            given = as_stated(given, evidence.stated, names, evidence.tables)
        return self.options.traffic(as_in_run(given, evidence.traffic, evidence.ttls))

    def is_stated(self, evidence: Evidence) -> bool:
        """Return whether anybody says how many requests come: an option, a file, or the workload."""
        if self.options.rps or self.architectures.states_a_rate:
            return True
        measured = {each.name for each in evidence.patterns}
        return evidence.stated is not None and not measured.isdisjoint(evidence.stated.reads_hz)

    def estimate(self, title: str, runs: tuple[Run, ...]) -> Estimate | None:
        """
        Return the money of the runs over one workload on one target.

        Args:
            title: Tells these runs from others of the report.
            runs: The newest of each scenario.

        Returns:
            None where no access pattern was measured, quoted prices alone are asked for, or there
            are no list prices that anybody asked for.

        Raises:
            ArchitectureError: The architecture file will not do.
            ConfigError: Traffic is assumed for a pattern that was not measured.
            PriceError: Prices that were asked for are missing.
        """
        if title not in self._estimates:
            try:
                self._estimates[title] = self._estimate(self.evidence(title, runs))
            except ConfigError as error:
                self._estimates[title] = error
        found = self._estimates[title]
        if isinstance(found, ConfigError):
            raise found
        return found

    def estimates(self) -> tuple[dict[str, Estimate], dict[str, ConfigError]]:
        """
        Return the money of each group by its title, and why groups are left out.

        Raises:
            ArchitectureError: The architecture file will not do.
            ConfigError: Traffic is assumed for a pattern that was measured in none of them.
            PriceError: Prices that were asked for are missing.
        """
        found: dict[str, Estimate] = {}
        refused: dict[str, ConfigError] = {}
        for title, runs in self._groups.items():
            try:
                each = self.estimate(title, runs)
            except (ArchitectureError, PriceError):
                raise
            except ConfigError as error:
                # of several workloads, traffic is given for the patterns of one
                refused[title] = error
                continue
            if each is not None:
                found[title] = each
        if refused and not found:
            raise next(iter(refused.values()))
        return found, refused

    def _estimate(self, evidence: Evidence) -> Estimate | None:
        if self.options.prices == QUOTED or not evidence.patterns:
            return None
        try:
            book = self.book
        except PriceError:
            # the section of what is described says so
            if self.options.region or self.options.prices:
                raise
            return None
        # what another section asks of the book is none of this one's prices
        return estimate(
            evidence,
            self.assumptions(evidence),
            replace(book, used={}),
            is_stated=self.is_stated(evidence),
        )
