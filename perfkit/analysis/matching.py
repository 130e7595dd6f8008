"""Which runs may stand beside which: the same question, of the same workload, on the same target."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import NamedTuple

from perfkit.analysis.selection import target_title
from perfkit.analysis.sides import Side
from perfkit.errors import ConfigError
from perfkit.runs import Run
from perfkit.units import one_line

__all__ = ["Match", "Matching", "comparable", "match_sides", "other_load", "same_work"]

_HOW_LONG = ("iterations", "min_time_s")
# how it was measured, or what went on meanwhile; all other settings say what was measured
_NOT_THE_WORK = {*_HOW_LONG, "random_seed", "rounds", "garbage_collector"}
_HARDWARE = ("cpu", "cores", "memory_gib", "os")


class _Key(NamedTuple):
    """What a run has in common with its counterpart of the other side."""

    scenario: str
    workload: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """
    Runs of one scenario, workload and kind of target, oldest first on each side.

    Args:
        scenario: Its name.
        title: The same, with workload and target where the sides hold several under that name.
        baseline: Runs that the others are held against.
        candidate: The others.
        in_turns: Runs of the two sides took turns, one of each at a time.
        other_machine: How the machines differ, so that latencies cannot be compared; or empty.
    """

    scenario: str
    title: str
    baseline: tuple[Run, ...]
    candidate: tuple[Run, ...]
    in_turns: bool
    other_machine: str = ""

    @property
    def runs(self) -> tuple[Run, ...]:
        return self.baseline + self.candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """What two sides have in common, what only one of them has, and what to know about it."""

    matches: tuple[Match, ...]
    only_baseline: tuple[str, ...]
    only_candidate: tuple[str, ...]
    warnings: tuple[str, ...]


def match_sides(baseline: Side, candidate: Side, *, edited: bool = False) -> Matching:
    """
    Return the runs that may be compared.

    Args:
        baseline: The side that the other is held against.
        candidate: The other.
        edited: Compare runs of one workload although its file was edited between them.

    Raises:
        ConfigError: The sides differ in what was measured, or share no scenario.
    """
    if baseline.is_folder != candidate.is_folder:
        folder, run = (baseline, candidate) if baseline.is_folder else (candidate, baseline)
        msg = f"{folder.title} is a folder and {run.title} a run; give two runs or two folders"
        raise ConfigError(msg)
    shared = {run.id for run in baseline.runs} & {run.id for run in candidate.runs}
    if shared:
        msg = f"both sides hold run {min(shared)}; give two that were measured separately"
        raise ConfigError(msg)
    befores, afters = _by_work(baseline), _by_work(candidate)
    common = [key for key in befores if key in afters]
    titles = _titles([*befores, *afters])
    if not common:
        for one, other in product(befores, afters):
            if one.scenario == other.scenario:
                _refuse_other_work(one.scenario, befores[one][0], afters[other][0], edited=edited)
        msg = (
            f"{baseline.title} holds {_names(befores, titles)} and {candidate.title}"
            f" {_names(afters, titles)}; only runs of the same scenario can be compared"
        )
        raise ConfigError(msg)
    matches = tuple(_match(titles[key], befores[key], afters[key], edited=edited) for key in common)
    return Matching(
        matches=matches,
        only_baseline=tuple(titles[key] for key in befores if key not in afters),
        only_candidate=tuple(titles[key] for key in afters if key not in befores),
        warnings=tuple(dict.fromkeys(_warnings(matches, (baseline, candidate)))),
    )


def _by_work(side: Side) -> dict[_Key, list[Run]]:
    found: dict[_Key, list[Run]] = {}
    for run in side.runs:
        key = _Key(
            scenario=one_line(run.scenario),
            workload=one_line(run.workload),
            target=one_line(str(run.target.get("kind", "unknown target"))),
        )
        found.setdefault(key, []).append(run)
    return found


def _titles(keys: Iterable[_Key]) -> dict[_Key, str]:
    """Return a title for each, as short as tells them apart: `cache`, `cache of shop on aws`."""
    titles = {}
    keys = dict.fromkeys(keys)
    for key in keys:
        alike = [other for other in keys if other.scenario == key.scenario]
        title = key.scenario
        if len({other.workload for other in alike}) > 1:
            title += f" of {key.workload}"
        if len({other.target for other in alike}) > 1:
            title += f" on {key.target}"
        titles[key] = title
    return titles


def _names(keys: Iterable[_Key], titles: Mapping[_Key, str]) -> str:
    return ", ".join(titles[key] for key in keys)


def _match(title: str, before: Sequence[Run], after: Sequence[Run], *, edited: bool) -> Match:
    first = before[0]
    for run in (*before[1:], *after):
        _refuse_other_work(title, first, run, edited=edited)
    return Match(
        scenario=one_line(first.scenario),
        title=title,
        baseline=tuple(before),
        candidate=tuple(after),
        in_turns=_take_turns(before, after),
        other_machine=_other_machine([*before, *after]),
    )


def same_work(one: Run, other: Run) -> bool:
    """Tell whether two runs did the same work, their workload's file not edited in between."""
    switched = (
        one.load_test
        and other.load_test
        and (one.load_test.settings.switches != other.load_test.settings.switches)
    )
    return not switched and comparable(one, other)


def comparable(one: Run, other: Run) -> bool:
    """Tell whether two runs of a scenario may be compared, also at two phases."""
    return not _other_work("", one, other, edited=False)


def _refuse_other_work(scenario: str, one: Run, other: Run, *, edited: bool) -> None:
    """Raise if two runs did not do the same work."""
    difference = _other_work(scenario, one, other, edited=edited)
    if difference:
        raise ConfigError(difference)


def _other_work(scenario: str, one: Run, other: Run, *, edited: bool) -> str:
    """Return how the work of two runs differs, and what to do about it; or nothing."""
    both = f"runs {one.id} and {other.id} of {scenario}"
    if one.kind != other.kind:
        return (
            f"{both} are of different kinds, {one.kind} and {other.kind}; they cannot be compared"
        )
    if one.workload != other.workload:
        return (
            f"{both} are of different workloads, {one_line(one.workload)} and"
            f" {one_line(other.workload)}; they cannot be compared"
        )
    if _identity(one.target) != _identity(other.target):
        return (
            f"{both} are of different targets, {target_title(one.target)} and"
            f" {target_title(other.target)}; they cannot be compared"
        )
    if one.workload_digest != other.workload_digest and not edited:
        return (
            f"the file of workload {one_line(one.workload)} was edited between {both}"
            f" (digests {one.workload_digest[:8]} and {other.workload_digest[:8]}); measure both"
            " with one file, or give --edited to compare what they have in common"
        )
    for key in sorted((one.settings.keys() | other.settings.keys()) - _NOT_THE_WORK):
        mine, theirs = one.settings.get(key), other.settings.get(key)
        if mine != theirs:
            return (
                f"{both} were measured with different settings, {key} {json.dumps(mine)} and"
                f" {json.dumps(theirs)}; measure both with the same"
            )
    load = other_load(one, other)
    if load:
        return f"{both} were under different load, {load}; measure both with the same"
    if one.traffic != other.traffic:
        return f"{both} had different traffic; measure both with the same `--hour`"
    return ""


# what of a load test makes it another one; phase and switches are what is compared
_OF_THE_LOAD = ("model", "mix", "users", "think_s", "rate_hz", "duration_s", "timeout_s")


def other_load(one: Run, other: Run) -> str:
    """Return how the load of two runs differs, or nothing."""
    if one.load_test is None or other.load_test is None:
        return ""
    for name in _OF_THE_LOAD:
        mine = getattr(one.load_test.settings, name)
        theirs = getattr(other.load_test.settings, name)
        if mine != theirs:
            return f"{name.removesuffix('_s').removesuffix('_hz')} {mine} and {theirs}"
    return ""


def _take_turns(before: Sequence[Run], after: Sequence[Run]) -> bool:
    """Return whether the first run of each side came before the second of either, and so on."""
    if len(before) != len(after) or len(before) < 2:
        return False
    pairs = [sorted((a.started_at, b.started_at)) for a, b in zip(before, after, strict=True)]
    return all(one[1] < other[0] for one, other in pairwise(pairs))


def _other_machine(runs: Sequence[Run]) -> str:
    differing = {key: _values(runs, key) for key in _HARDWARE}
    return "; ".join(
        f"{key.removesuffix('_gib')} {' and '.join(values)}"
        for key, values in differing.items()
        if len(values) > 1
    )


def _values(runs: Iterable[Run], key: str) -> list[str]:
    return list(dict.fromkeys(one_line(str(run.machine.get(key, "unknown"))) for run in runs))


def _warnings(matches: Sequence[Match], sides: Sequence[Side]) -> Iterator[str]:
    for side in sides:
        yield from side.problems
    for match in matches:
        name, runs = match.title, match.runs
        if match.other_machine:
            yield (
                f"{name}: measured on different machines ({match.other_machine}), so latencies are"
                " not compared; capacity is."
            )
        yield from (f"{name}: {doubt}" for run in runs for doubt in run.warnings)
        if len({run.workload_digest for run in runs}) > 1:
            yield (
                f"the file of workload {one_line(runs[0].workload)} was edited between the runs: a"
                " change may be that of its tables, items or questions."
            )
        for key in sorted({key for run in runs for key in run.machine} - {*_HARDWARE}):
            values = _values(runs, key)
            if len(values) > 1:
                yield f"{key} differs ({', '.join(values)}): a change of latency may be its doing."
        versions = sorted({run.perfkit for run in runs})
        if len(versions) > 1:
            yield f"perfkit differs ({', '.join(versions)}): a change may be its doing."
        for key in _HOW_LONG:
            lengths = list(dict.fromkeys(json.dumps(run.settings.get(key)) for run in runs))
            if len(lengths) > 1:
                yield f"{name}: {key} differs ({', '.join(lengths)}), so p99 compares badly."


def _identity(target: dict[str, object]) -> str:
    return json.dumps(target, sort_keys=True)
