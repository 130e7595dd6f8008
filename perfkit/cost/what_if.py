"""Questions of the kind "what if answers were kept longer": settings by name, and two bills."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from perfkit.cost.assumptions import MOST_HZ, Assumptions
from perfkit.cost.bill import Comparison, Pair, compare, key_of
from perfkit.cost.capacity_modes import Mode
from perfkit.cost.demand import AS_DECLARED, State
from perfkit.cost.evidence import Evidence
from perfkit.cost.names import Engine, cache_node, instance, is_of_a_type
from perfkit.cost.prices import PriceBook
from perfkit.cost.quantities import short
from perfkit.cost.traffic_bill import ORDER, Case, bill_by_the_million, bill_of
from perfkit.errors import ConfigError
from perfkit.workloads.problems import nearest

__all__ = ["SETTINGS", "WITHOUT_A_RATE", "Setting", "WhatIf", "baseline_state", "lives"]
__all__ += ["what_if", "what_if_by_the_million"]

_STATES: Mapping[str, State] = {
    "scan": State.BEFORE,
    "index": State.AFTER,
    "cache": State.CACHED,
}
_PROJECTIONS = ("ALL", "INCLUDE", "KEYS_ONLY", "as-declared")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """
    Something that may be asked about.

    Args:
        name: What `--set` calls it.
        meaning: For people.
        accepts: What may be given, in words.
        change: Returns a case with the value that a text gives.
        read: Returns the value of a case, for people.
    """

    name: str
    meaning: str
    accepts: str
    change: Callable[[Case, str], Case]
    read: Callable[[Case], str]


def _number(
    name: str,
    meaning: str,
    field: str,
    least: float,
    most: float,
    *,
    factor: float = 1.0,
    whole: bool = False,
    above: bool = False,
) -> Setting:
    """Return a setting of a number of the assumptions; *factor* of it is what people give."""
    bounds = f"{'above ' if above else ''}{short(least)} to {short(most)}"
    accepts = f"a {'whole ' if whole else ''}number, {bounds}"

    def change(case: Case, text: str) -> Case:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        too_small = value <= least if above else value < least
        if not math.isfinite(value) or too_small or value > most or (whole and value % 1):
            msg = f"{name} must be {accepts}, got {text!r}"
            raise ConfigError(msg)
        if field == "rps":
            return replace(case, assumptions=case.assumptions.with_rps(value))
        if field == "writes_hz":
            assumptions = replace(case.assumptions, writes={}, writes_hz=value)
            return replace(case, assumptions=assumptions)
        if field == "ttl_s":
            return replace(case, assumptions=replace(case.assumptions, ttl_s=value, ttls={}))
        given = int(value) if whole else value / factor
        return replace(case, assumptions=replace(case.assumptions, **{field: given}))  # type: ignore[arg-type]

    def read(case: Case) -> str:
        if field == "rps" and case.assumptions.patterns:
            return short(sum(case.assumptions.patterns.values()))
        if field == "ttl_s":
            return lives(case.assumptions)
        if field == "writes_hz":
            return _writes(case.assumptions)
        value = getattr(case.assumptions, field)
        return "modelled" if value is None else short(value * factor)

    return Setting(name=name, meaning=meaning, accepts=accepts, change=change, read=read)


def lives(assumptions: Assumptions, unit: str = "") -> str:
    """Return how long answers are kept, for people: `300 (profile 180)`."""
    if not assumptions.ttls:
        return f"{short(assumptions.ttl_s)}{unit}"
    # most are alike, so the others are named
    usual, _ = Counter(assumptions.ttls.values()).most_common(1)[0]
    others = ", ".join(
        f"{name} {short(ttl_s)}{unit}" for name, ttl_s in assumptions.ttls.items() if ttl_s != usual
    )
    return f"{short(usual)}{unit}{f' ({others})' if others else ''}"


def _writes(assumptions: Assumptions) -> str:
    """Return how often each table is written, for people: `0 (Orders 0.5)`."""
    usual = assumptions.writes_hz
    others = ", ".join(
        f"{table} {short(hz)}" for table, hz in assumptions.writes.items() if hz != usual
    )
    return f"{short(usual)}{f' ({others})' if others else ''}"


def _choice(
    name: str,
    meaning: str,
    choices: Iterable[str],
    change: Callable[[Case, str], Case],
    read: Callable[[Case], str],
) -> Setting:
    known = tuple(choices)
    by_small = {each.lower(): each for each in known}

    def checked(case: Case, text: str) -> Case:
        chosen = by_small.get(text.lower())
        if chosen is None:
            msg = f"{name} cannot be {text!r}; {nearest(text, known)}"
            raise ConfigError(msg)
        return change(case, chosen)

    return Setting(name=name, meaning=meaning, accepts=", ".join(known), change=checked, read=read)


def _assume(**changes: object) -> Callable[[Case], Case]:
    return lambda case: replace(case, assumptions=replace(case.assumptions, **changes))  # type: ignore[arg-type]


def _type(
    name: str, meaning: str, field: str, shape: Callable[[str], str], example: str
) -> Setting:
    """Return a setting of a type, of which the price list knows many."""

    def change(case: Case, text: str) -> Case:
        if len(text) > 60 or not is_of_a_type(shape(text)):
            msg = f"{name} cannot be {text!r}; give a type such as {example}"
            raise ConfigError(msg)
        return _assume(**{field: text})(case)

    return Setting(
        name=name,
        meaning=meaning,
        accepts=f"a type such as {example}",
        change=change,
        read=lambda case: str(getattr(case.assumptions, field)),
    )


_LISTED = (
    _number("rps", "requests a second of all patterns together", "rps", 0, MOST_HZ),
    _number("writes", "writes a second to each table", "writes_hz", 0, MOST_HZ),
    _number("peak_ratio", "busiest hour of a day by the mean hour", "peak_ratio", 1, 20),
    _choice(
        "capacity",
        "how tables and indexes are billed",
        (each.value for each in Mode),
        lambda case, text: replace(case, mode=Mode(text)),
        lambda case: case.mode.value,
    ),
    _number("target_utilisation", "what auto scaling aims at", "target_utilisation", 0.2, 0.9),
    _choice(
        "answers",
        "what answers: as today (scan), indexes, or indexes behind the cache",
        ("scan", "index", "cache"),
        lambda case, text: replace(case, state=_STATES[text]),
        lambda case: next(name for name, state in _STATES.items() if state is case.state),
    ),
    _choice(
        "projection",
        "projection of all indexes",
        _PROJECTIONS,
        lambda case, text: replace(case, projection=AS_DECLARED if text == "as-declared" else text),
        lambda case: case.projection or "as-declared",
    ),
    _number("cache.ttl", "seconds an answer is kept", "ttl_s", 0, 31_536_000, above=True),
    _number("cache.hit_rate", "hit rate, instead of the modelled one", "hit_rate", 0, 1),
    _number("cache.keys", "different questions of each pattern", "keys", 1, 1_000_000, whole=True),
    _number("cache.skew", "how unequally they are asked (Zipf's exponent)", "skew", 0, 10),
    _number(
        "cache.invalidations",
        "keys of a pattern that writes forget, an hour",
        "invalidations_hz",
        0,
        MOST_HZ,
        factor=3600,
    ),
    _type(
        "cache.node",
        "type of the cache node",
        "node",
        lambda text: cache_node(Engine.REDIS, text),
        "cache.t3.micro",
    ),
    _choice(
        "cache.engine",
        "what the node runs",
        (each.value for each in Engine),
        lambda case, text: _assume(engine=text)(case),
        lambda case: case.assumptions.engine,
    ),
    _type("instance", "type of the instances", "instance", instance, "t3.micro"),
    _number(
        "cpu_target", "share of its processors used in the busiest hour", "cpu_target", 0.05, 1
    ),
    _choice(
        "free_tier",
        "the account's free allowances",
        ("off", "on"),
        lambda case, text: _assume(free_tier=text == "on")(case),
        lambda case: "on" if case.assumptions.free_tier else "off",
    ),
)

SETTINGS: Mapping[str, Setting] = {setting.name: setting for setting in _LISTED}
"""What may be set, by name."""


def _apply_settings(case: Case, texts: Iterable[str]) -> tuple[Case, tuple[str, ...]]:
    """
    Return a case with what texts such as "cache.ttl=600" set, and the names they set.

    Raises:
        ConfigError: A text is not NAME=VALUE, there is no such name (the nearest one is named), it
            is set twice, or the value is out of its range.
    """
    seen: list[str] = []
    for text in texts:
        name, separator, value = text.partition("=")
        name, value = name.strip(), value.strip()
        if not separator:
            msg = f"--set {text!r} sets nothing; write --set NAME=VALUE with NAME one of {', '.join(SETTINGS)}"
            raise ConfigError(msg)
        if name not in SETTINGS:
            msg = f"nothing called {name!r} to set; {nearest(name, SETTINGS)}"
            raise ConfigError(msg)
        if name in seen:
            msg = f"--set {name} is given twice; give it once"
            raise ConfigError(msg)
        case = SETTINGS[name].change(case, value)
        seen.append(name)
    return case, tuple(seen)


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """
    Two bills side by side.

    Args:
        baseline: What is compared with.
        changed: With the settings.
        names: What was set.
        bills: Both bills.
        per_month: They are a month's; else of a million calls and writes, and have no sums.
    """

    baseline: Case
    changed: Case
    names: tuple[str, ...]
    bills: Comparison
    per_month: bool = True

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Return the lines of both bills side by side, in a bill's order."""
        if not self.per_month:
            return self.bills.pairs
        return tuple(sorted(self.bills.pairs, key=lambda pair: ORDER.index(key_of(pair))))


def baseline_state(texts: Iterable[str], evidence: Evidence) -> State:
    """
    Return how questions are answered in the bill that others are compared with.

    As today; but what is set of the cache, or of the indexes' projection, is compared with that
    which it changes.

    Args:
        texts: What to set, such as "cache.ttl=600".
        evidence: What saved runs measured.
    """
    names = {text.partition("=")[0].strip() for text in texts}
    if "answers" in names:
        return State.BEFORE
    if evidence.has_cache_policy and any(name.startswith("cache.") for name in names):
        return State.CACHED
    return State.AFTER if "projection" in names else State.BEFORE


def what_if(baseline: Case, texts: Iterable[str], evidence: Evidence, book: PriceBook) -> WhatIf:
    """
    Return the bill as it is and as it would be.

    Args:
        baseline: As it is.
        texts: What to set, such as "cache.ttl=600".
        evidence: What saved runs measured.
        book: Prices.

    Raises:
        ConfigError: A setting is wrong or about a cache that keeps nothing, or traffic is assumed
            for what no run knows.
    """
    changed, names = _apply_settings(baseline, texts)
    _check_cache(changed, names, evidence)
    return WhatIf(
        baseline=baseline,
        changed=changed,
        names=names,
        bills=compare(
            bill_of(baseline, evidence, book, baseline.demands(evidence)),
            bill_of(changed, evidence, book, changed.demands(evidence)),
        ),
    )


WITHOUT_A_RATE = ("answers", "projection")
"""Settings that change what a million calls cost."""


def what_if_by_the_million(
    baseline: Case, texts: Iterable[str], evidence: Evidence, book: PriceBook
) -> WhatIf:
    """
    Return what a million calls and writes cost as it is and as it would be: nobody states a rate.

    Args:
        baseline: As it is, without a cache.
        texts: What to set; some settings need no rate.
        evidence: What saved runs measured.
        book: Prices.

    Raises:
        ConfigError: A setting is wrong, or says nothing without a rate.
    """
    changed, names = _apply_settings(baseline, texts)
    need = [name for name in names if name not in WITHOUT_A_RATE]
    if changed.state is State.CACHED and "answers" in names:
        need.append("answers=cache")
    if need:
        msg = (
            f"{', '.join(need)} can be answered for a stated traffic only, and nobody states how"
            " many requests come now; give --rps 20, or a [traffic] table in the workload or in an"
            " --architecture file"
        )
        raise ConfigError(msg)
    return WhatIf(
        baseline=baseline,
        changed=changed,
        names=names,
        bills=compare(
            bill_by_the_million(baseline, evidence, book),
            bill_by_the_million(changed, evidence, book),
        ),
        per_month=False,
    )


def _check_cache(changed: Case, names: Iterable[str], evidence: Evidence) -> None:
    about_cache = [name for name in names if name.startswith("cache.")]
    if not evidence.has_cache_policy and (about_cache or changed.state is State.CACHED):
        what = ", ".join(about_cache) or "answers=cache"
        msg = (
            f"{what} changes nothing: no access pattern that was measured has a cache policy; give"
            " one a `cache` in the workload and measure again"
        )
        raise ConfigError(msg)
