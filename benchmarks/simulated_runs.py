"""Runs of a machine that drifts, is disturbed and has neighbours, for judging what is known of them."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from perfkit.analysis.judging import Judgement, judge
from perfkit.analysis.matching import match_sides
from perfkit.analysis.sides import Side
from perfkit.analysis.verdict import Ruling, taken_together
from perfkit.runs import LatencySummary, MachineLoad, Run, RunKind, Variant

__all__ = ["MACHINES", "Machine", "judged", "ruling", "sides"]

_VARIANTS = {"scan": 0.3, "scan-filtered": 0.1, "query": 0.003}


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """
    What disturbs the runs; all deviations are of logarithms, about shares.

    Args:
        common: By which a whole run is slower or faster, all its variants alike, as a machine is
            that drifts: each run resembles the one before it.
        own: By which a whole run of one variant lies off besides.
        rounds: Of the rounds of a run, each like the one before it.
        outliers: Share of the rounds that take 2 to 5 times as long.
        load: CPU share that others use, of the first and of the second half of the runs.
        scattered: By how much that share itself differs from run to run.
        slowing: By how much a load of 100% slows the machine, as a logarithm; the last variant by
            half of it, because a short call ends before anybody takes its core.
    """

    common: float
    own: float
    rounds: float
    outliers: float = 0.02
    load: tuple[float, float] = (0.02, 0.02)
    scattered: float = 0.01
    slowing: float = 1.0


MACHINES = {
    "quiet": Machine(common=0.10, own=0.025, rounds=0.03),
    "quiet, whole runs 34% apart": Machine(common=0.34, own=0.025, rounds=0.03),
    "rounds of 2%, runs of 15%": Machine(common=0.15, own=0.02, rounds=0.02),
    "shared": Machine(common=0.15, own=0.08, rounds=0.2, load=(0.2, 0.2), scattered=0.1),
    "busy": Machine(
        common=0.25, own=0.15, rounds=0.2, outliers=0.15, load=(0.6, 0.6), scattered=0.1
    ),
    "busy in its second half": Machine(
        common=0.08, own=0.05, rounds=0.1, outliers=0.05, load=(0.05, 0.4), scattered=0.05
    ),
    "slower by 10%, and hardly busier": Machine(
        common=0.05, own=0.03, rounds=0.05, load=(0.10, 0.14), scattered=0.02, slowing=2.5
    ),
}
"""Machines to simulate, from one that nobody else uses to one that eight others share."""


def sides(
    machine: Machine,
    chance: random.Random,
    *,
    runs: int,
    in_turns: bool,
    slower: float = 1.0,
    rounds: int = 9,
) -> tuple[Side, Side]:
    """Return the runs of two sides, the query of the second *slower* times as slow."""
    found: tuple[list[Run], list[Run]] = ([], [])
    drift = chance.gauss(0, machine.common)
    for number in range(2 * runs):
        side = number % 2 if in_turns else int(number >= runs)
        drift = 0.7 * drift + chance.gauss(0, machine.common * math.sqrt(1 - 0.49))
        share = machine.load[int(number >= runs)] + chance.gauss(0, machine.scattered)
        share = min(max(share, 0.0), 1.0)
        factor = slower if side else 1.0
        found[side].append(_run(machine, chance, number, drift, share, factor, rounds))
    return tuple(
        Side(title=title, runs=tuple(each), is_folder=True)
        for title, each in zip(("base", "branch"), found, strict=True)
    )  # type: ignore[return-value]


def _run(
    machine: Machine,
    chance: random.Random,
    number: int,
    drift: float,
    share: float,
    slower: float,
    rounds: int,
) -> Run:
    variants = []
    noise = dict.fromkeys(_VARIANTS, 0.0)
    off = {name: chance.gauss(0, machine.own) for name in _VARIANTS}
    taken: dict[str, list[float]] = {name: [] for name in _VARIANTS}
    for _ in range(rounds):
        together = chance.gauss(0, machine.rounds / 2)
        for name, usual_s in _VARIANTS.items():
            noise[name] = 0.5 * noise[name] + chance.gauss(0, machine.rounds * math.sqrt(0.75))
            slowing = machine.slowing * share * (0.5 if name == "query" else 1.0)
            seconds = usual_s * math.exp(drift + off[name] + noise[name] + together + slowing)
            if chance.random() < machine.outliers:
                seconds *= chance.uniform(2, 5)
            taken[name].append(seconds * (slower if name == "query" else 1.0))
    for name, seconds_s in taken.items():
        variants.append(
            Variant(
                name=name,
                operation="Query" if name == "query" else "Scan",
                calls=rounds,
                requests=rounds,
                errors=0,
                items_read=50,
                items_returned=50,
                bytes_read=51_200,
                capacity_units=6.5,
                capacity_source="embedded",
                latency_s=LatencySummary(
                    count=rounds, mean=1.0, p50=1.0, p90=1.0, p95=1.0, p99=1.0, max=1.0
                ),
                histogram="",
                rounds_s=tuple(seconds_s),
            )
        )
    return Run(
        kind=RunKind.SCENARIO,
        scenario="courses",
        workload="courses",
        target={"kind": "embedded"},
        started_at=f"2026-01-01T{number // 60:02d}:{number % 60:02d}:00Z",
        id=str(number),
        load=MachineLoad(others_share=share, stolen_share=0.0),
        variants=tuple(variants),
    )


def judged(
    two: tuple[Side, Side], limit: float | None, *, controls: Sequence[str] = ()
) -> Judgement:
    """Return what perfkit has to say of two sides."""
    return judge(match_sides(*two), limit, controls=controls)


def ruling(judgement: Judgement, variant: str | None = None) -> Ruling:
    """Return pass, fail or invalid: of one variant, or of the gate as a whole."""
    verdicts = [
        verdict
        for change in judgement.changes
        if variant in {None, change.variant} and (verdict := change.latency_verdict) is not None
    ]
    whole = taken_together(verdicts)
    return Ruling.INVALID if whole is None else whole.ruling
