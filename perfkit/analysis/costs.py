"""What a report says of money, each thing worked out once, when the first section asks for it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from perfkit.cost.assumptions import Assumptions, as_in_run, as_stated
from perfkit.cost.bill import Comparison
from perfkit.cost.estimate import Estimate, estimate
from perfkit.cost.evidence import Evidence, gather
from perfkit.cost.options import QUOTED, CostOptions
from perfkit.cost.prices import PriceBook, age_warnings
from perfkit.errors import ConfigError, PriceError
from perfkit.runs import Run

if TYPE_CHECKING:
    from perfkit.cost.architecture import Architectures
    from perfkit.cost.consumption import Consumption

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
        self._estimates: dict[str, Estimate | ConfigError | None] = {}

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
        Return the list prices.

        Raises:
            PriceError: There are none of the region, or a file will not do.
        """
        from perfkit.cost.price_file import load_book

        region = self.options.region
        if region is None and self.options.price_file is None and self.consumption is not None:
            region = self.consumption.region
        return load_book(region, self.options.price_file)

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

        tables = [table for runs in self._groups.values() for table in gather(runs).tables]
        if not tables:
            msg = (
                "--traffic cloudwatch bills the tables of saved runs, and there are none; measure"
                " with `perfkit bench` first"
            )
            raise ConfigError(msg)
        target = Target(
            kind=TargetKind.AWS, region=self.options.region, profile=self.options.profile
        )
        return consumption(target, tables, days=days, now=datetime.now(UTC))

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
            listed = by_list(architectures, self.book, free_tier=options.free_tier)
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
            warnings=age_warnings(listed.prices, today=options.today, region=self.book.region),
        )

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
                self._estimates[title] = self._estimate(runs)
            except ConfigError as error:
                self._estimates[title] = error
        found = self._estimates[title]
        if isinstance(found, ConfigError):
            raise found
        return found

    def _estimate(self, runs: tuple[Run, ...]) -> Estimate | None:
        evidence = gather(runs)
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
