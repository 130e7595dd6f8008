"""What is assumed about traffic and the place it goes to, where nothing was measured."""

from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from perfkit.cost.capacity_modes import Shape
from perfkit.cost.quantities import SECONDS_A_MONTH, in_bounds, short
from perfkit.cost.toml_file import Number, Section, up_to
from perfkit.errors import ConfigError
from perfkit.runs import HourTraffic
from perfkit.workloads.outline import StatedTraffic
from perfkit.workloads.problems import nearest

__all__ = ["MOST_HZ", "Assumptions", "Traffic", "as_in_run", "as_stated", "read_rps"]

MOST_HZ = 1e7
"""No service is asked more often a second; what is, is a slip of the keyboard."""

_CHANGES = ("insert", "update", "key-change", "delete")
"""Kinds of writes a mix is made of, as run files call them."""

_EVEN_MIX = {"insert": 0.4, "update": 0.4, "key-change": 0.1, "delete": 0.1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """
    Traffic, how it varies, and what it runs on.

    Args:
        rps: Requests a second of all patterns together.
        weights: Shares of patterns in `rps`, whatever they sum to; the others have weight 1.
        patterns: Requests a second of single patterns instead of `rps`; the others get none.
        writes_hz: Writes a second to each table that is not in `writes`.
        writes: Writes a second by table.
        mix: Share of each kind of write; together 1.
        peak_ratio: Requests in the busiest hour of a day ÷ the mean hour.
        target_utilisation: What auto scaling aims at: consumed ÷ provisioned units.
        cpu_target: Share of its processors that an instance may use in the busiest hour.
        hit_rate: Of the cache; None models it from time to live, keys and skew.
        ttl_s: How long answers are kept, of patterns that are not in `ttls`.
        ttls: How long answers of single patterns are kept, in seconds: each one's own.
        keys: Different questions of each pattern.
        skew: Zipf's exponent: the n-th most wanted key is asked 1/n**skew as often as the first.
        invalidations_hz: Writes a second that each make the cache forget one key of a pattern.
        instance: Type of the instances.
        node: Type of the cache node.
        engine: What the node runs.
        free_tier: The account has used nothing of its free allowances.
    """

    rps: float = 20.0
    weights: Mapping[str, float] = field(default_factory=dict)
    patterns: Mapping[str, float] = field(default_factory=dict)
    writes_hz: float = 1.0
    writes: Mapping[str, float] = field(default_factory=dict)
    mix: Mapping[str, float] = field(default_factory=lambda: dict(_EVEN_MIX))
    peak_ratio: float = 2.0
    target_utilisation: float = 0.7
    cpu_target: float = 0.7
    hit_rate: float | None = None
    ttl_s: float = 300.0
    ttls: Mapping[str, float] = field(default_factory=dict)
    keys: int = 78
    skew: float = 0.8
    invalidations_hz: float = 60 / 3600
    instance: str = "t3.micro"
    node: str = "cache.t3.micro"
    engine: str = "redis"
    free_tier: bool = False

    def __post_init__(self) -> None:
        in_bounds("rps", self.rps, MOST_HZ)
        in_bounds("writes a second", self.writes_hz, MOST_HZ)
        for what, rates in (("weight", self.weights), ("rps", self.patterns)):
            for name, rate in rates.items():
                in_bounds(f"{what} of {name}", rate, MOST_HZ)
        for name, rate in self.writes.items():
            in_bounds(f"writes a second to {name}", rate, MOST_HZ)
        in_bounds("peak_ratio", self.peak_ratio, 20, least=1)
        in_bounds("target_utilisation", self.target_utilisation, 0.9, least=0.2)
        in_bounds("cpu_target", self.cpu_target, 1, least=0.05)
        if self.hit_rate is not None:
            in_bounds("hit_rate", self.hit_rate, 1)
        for each in (self.ttl_s, *self.ttls.values()):
            in_bounds("ttl", each, 31_536_000, above=0)
        in_bounds("keys", self.keys, 10_000_000, least=1)
        in_bounds("skew", self.skew, 10)
        in_bounds("invalidations a second", self.invalidations_hz, MOST_HZ)
        for kind, share in self.mix.items():
            if kind not in _CHANGES:
                msg = f"no kind of write {kind!r}; {nearest(kind, _CHANGES)}"
                raise ConfigError(msg)
            in_bounds(f"share of {kind} in the mix", share, 1)
        if abs(sum(self.mix.values()) - 1) > 1e-6:
            msg = (
                f"shares of the mix of writes sum to {sum(self.mix.values()):g}; make them sum to 1"
            )
            raise ConfigError(msg)

    @property
    def shape(self) -> Shape:
        """Return how traffic varies."""
        return Shape(peak_ratio=self.peak_ratio, target_utilisation=self.target_utilisation)

    def reads_hz(self, names: Iterable[str]) -> dict[str, float]:
        """
        Return the requests a second of each of the patterns called *names*.

        Raises:
            ConfigError: A rate or a weight is given for a pattern that is not among them.
        """
        names = tuple(names)
        for given in (*self.patterns, *self.weights):
            if given not in names:
                msg = (
                    f"traffic of a pattern {given!r} that was not measured; {nearest(given, names)}"
                )
                raise ConfigError(msg)
        if self.patterns:
            return {name: self.patterns.get(name, 0.0) for name in names}
        weights = {name: self.weights.get(name, 1.0) for name in names}
        total = sum(weights.values())
        return {
            name: self.rps * weight / total if total else 0.0 for name, weight in weights.items()
        }

    def is_split(self, patterns: Sized) -> bool:
        """Return whether it says what each of the *patterns* gets, rather than all alike."""
        return len(patterns) == 1 or bool(self.patterns or self.weights)

    def writes_to(self, table: str) -> float:
        """Return the writes a second to a table."""
        return self.writes.get(table, self.writes_hz)

    def ttl_of(self, pattern: str) -> float:
        """Return how many seconds answers of a pattern are kept."""
        return self.ttls.get(pattern, self.ttl_s)

    def check_tables(self, tables: Iterable[str]) -> None:
        """
        Check that rates of writes are given for known tables only.

        Raises:
            ConfigError: One is not.
        """
        tables = tuple(tables)
        for given in self.writes:
            if tables and given not in tables:
                msg = f"writes to a table {given!r} that no run knows; {nearest(given, tables)}"
                raise ConfigError(msg)

    def with_rps(self, rps: float) -> Self:
        """Return the same with another rate of all patterns together, their shares kept."""
        total = sum(self.patterns.values())
        # patterns that get nothing go on getting nothing
        patterns = {name: rps * rate / total for name, rate in self.patterns.items() if total}
        return replace(self, rps=rps, patterns=patterns)


def as_stated(
    base: Assumptions,
    stated: StatedTraffic | None,
    patterns: Iterable[str],
    tables: Iterable[str],
) -> Assumptions:
    """
    Return *base* with what a workload says comes in, of what was measured of it.

    Patterns that it gives no rate get none, and tables that it gives no rate are not written.

    Args:
        base: What is assumed otherwise.
        stated: What the workload says; None changes nothing.
        patterns: Access patterns that were measured.
        tables: Tables that a run knows.

    Raises:
        ConfigError: Its numbers are out of bounds.
    """
    if stated is None:
        return base
    known = set(patterns)
    reads = {name: hz for name, hz in stated.reads_hz.items() if name in known}
    writes = {table: stated.writes_hz.get(table, 0.0) for table in tables if stated.writes_hz}
    return replace(
        base,
        patterns=reads or base.patterns,
        weights={} if reads else base.weights,
        writes_hz=0.0 if stated.writes_hz else base.writes_hz,
        writes=writes or base.writes,
    )


def as_in_run(
    base: Assumptions, traffic: HourTraffic | None, ttls: Mapping[str, float] | None = None
) -> Assumptions:
    """
    Return *base* with keys, their skew, lives and writes as a run of an hour had them.

    Args:
        base: What is assumed otherwise.
        traffic: That of the run; None changes nothing.
        ttls: How long the workload keeps answers, by pattern; these count before the run's.

    Raises:
        ConfigError: The run's numbers are out of bounds.
    """
    base = replace(base, ttls=base.ttls if ttls is None else dict(ttls))
    if traffic is None:
        return base
    return replace(
        base,
        ttl_s=traffic.ttl_s,
        keys=traffic.keys,
        skew=traffic.skew,
        invalidations_hz=traffic.writes_an_hour / 3600,
    )


def read_rps(texts: Iterable[str], base: Assumptions) -> Assumptions:
    """
    Return *base* with the rates that options give: "20" of all patterns, "courses=5" of one.

    Raises:
        ConfigError: A text is neither, both kinds are given, or one rate is given twice.
    """
    total: float | None = None
    patterns: dict[str, float] = {}
    for text in texts:
        name, separator, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            msg = f"--rps {text!r} is no rate; write --rps 20 for all patterns or --rps PATTERN=5"
            raise ConfigError(msg) from None
        if not (value == 0 and separator) and not 0 < value <= MOST_HZ:
            of = f" {name}" if separator else ""
            msg = (
                f"--rps{of} is {value:g}; give more than 0 and at most {MOST_HZ:,.0f}"
                " requests a second"
            )
            raise ConfigError(msg)
        given = patterns.get(name) if separator else total
        if given is not None:
            of = f"{name}=" if separator else ""
            msg = (
                f"--rps {of}{short(given)} and --rps {of}{short(value)} contradict each other;"
                " give one of them"
            )
            raise ConfigError(msg)
        if separator:
            patterns[name] = value
        else:
            total = value
    if total is not None and patterns:
        msg = (
            "--rps for all patterns and --rps for single ones contradict each other; give one kind"
        )
        raise ConfigError(msg)
    if patterns:
        return replace(base, patterns=patterns, weights={})
    return base if total is None else base.with_rps(total)


_Rate = Annotated[Number, up_to(int(MOST_HZ))]
_Monthly = Annotated[Number, up_to(int(MOST_HZ * SECONDS_A_MONTH))]
_Ratio = Annotated[Number, up_to(20)]
_Share = Annotated[Number, up_to(1)]
_Rates = dict[str, _Rate]


class Traffic(Section):
    """
    A `[traffic]` table: what comes in, and how it varies.

    Rates are those a second but `monthly`; names are patterns' in `weights`, `patterns` and
    `monthly`, tables' in `writes`, and kinds of writes in `mix`.
    """

    monthly: dict[str, _Monthly] = Field(default_factory=dict)
    patterns: _Rates = Field(default_factory=dict)
    rps: _Rate | None = None
    weights: _Rates = Field(default_factory=dict)
    writes_per_s: _Rate | None = None
    writes: _Rates = Field(default_factory=dict)
    mix: _Rates = Field(default_factory=dict)
    peak_ratio: _Ratio | None = None
    target_utilisation: _Share | None = None
    cpu_target: _Share | None = None
    hit_rate: _Share | None = None

    @field_validator("patterns")
    @classmethod
    def _once(cls, patterns: Mapping[str, Decimal], info: ValidationInfo) -> Mapping[str, Decimal]:
        both = [name for name in patterns if name in info.data.get("monthly", ())]
        if both:
            msg = f"{', '.join(both)} is in [traffic.monthly] too; give one of them"
            raise ValueError(msg)
        return patterns

    @field_validator("rps", "weights")
    @classmethod
    def _one_way(cls, given: Any, info: ValidationInfo) -> Any:
        # patterns and monthly without a name in them contradict nothing
        single = next((key for key in ("patterns", "monthly") if info.data.get(key)), None)
        if single and given not in (None, {}):
            msg = (
                f"contradicts [traffic.{single}], which says what single patterns get; give one of"
                " them"
            )
            raise ValueError(msg)
        return given

    @model_validator(mode="after")
    def _together(self) -> Self:
        try:
            self.assumptions()
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return self

    @property
    def states_a_rate(self) -> bool:
        """Return whether it says how many requests come, and not only how they vary."""
        return self.rps is not None or bool(self.patterns or self.monthly)

    @property
    def states_writes(self) -> bool:
        """Return whether it says how many writes come to every table."""
        return self.writes_per_s is not None

    def assumptions(self) -> Assumptions:
        """
        Return the assumptions, with the usual values where nothing is stated.

        Raises:
            ConfigError: Numbers are out of bounds together.
        """

        def floats(rates: Mapping[str, Decimal]) -> dict[str, float]:
            return {name: float(rate) for name, rate in rates.items()}

        monthly = {name: float(each) / SECONDS_A_MONTH for name, each in self.monthly.items()}
        single = {
            "rps": self.rps,
            "writes_hz": self.writes_per_s,
            "peak_ratio": self.peak_ratio,
            "target_utilisation": self.target_utilisation,
            "cpu_target": self.cpu_target,
            "hit_rate": self.hit_rate,
        }
        changes: dict[str, Any] = {
            "weights": floats(self.weights),
            "patterns": {**floats(self.patterns), **monthly},
            "writes": floats(self.writes),
            **({"mix": floats(self.mix)} if self.mix else {}),
            **{key: float(value) for key, value in single.items() if value is not None},
        }
        return Assumptions(**changes)
