"""Verdicts on runs of a machine that drifts and is disturbed: no false alarms, and what is found."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from benchmarks.simulated_runs import MACHINES, judged, ruling, sides
from perfkit.analysis.judging import judge
from perfkit.analysis.matching import match_sides
from perfkit.analysis.sides import Side
from perfkit.analysis.verdict import Ruling

DRAWS = 120
# what is 5% may be so much more by chance in as many draws: 2 * sqrt(0.05 * 0.95 / 120)
BY_CHANCE = 0.04


def rulings(
    name: str,
    *,
    runs: int = 8,
    in_turns: bool,
    control: bool,
    slower: float = 1.0,
    limit: float,
    draws: int = DRAWS,
) -> dict[Ruling, float]:
    """Return how often the gate passes, fails and is invalid."""
    chance = random.Random(20260101)
    controls = ("scan",) if control else ()
    found: Counter[Ruling] = Counter()
    for _ in range(draws):
        two = sides(MACHINES[name], chance, runs=runs, in_turns=in_turns, slower=slower, rounds=5)
        found[ruling(judged(two, limit, controls=controls))] += 1
    return {each: found[each] / draws for each in Ruling}


@pytest.mark.parametrize("control", [False, True], ids=["no control", "control"])
@pytest.mark.parametrize("in_turns", [False, True], ids=["blocks", "turns"])
@pytest.mark.parametrize("name", MACHINES)
def test_the_same_code_fails_no_gate(name: str, in_turns: bool, control: bool) -> None:
    """Against the strictest limit there is: any rise at all fails."""
    found = rulings(name, in_turns=in_turns, control=control, limit=0.0)

    assert found[Ruling.FAIL] <= 0.05 + BY_CHANCE


@pytest.mark.parametrize("name", ["quiet", "rounds of 2%, runs of 15%", "busy"])
def test_a_single_pair_of_the_same_code_fails_no_gate(name: str) -> None:
    found = rulings(name, runs=1, in_turns=True, control=False, limit=0.05)

    assert found[Ruling.FAIL] <= 0.05 + BY_CHANCE


@pytest.mark.parametrize("earlier", [5, 9])
@pytest.mark.parametrize("name", ["quiet", "rounds of 2%, runs of 15%", "busy"])
def test_nor_does_one_that_earlier_runs_say_what_to_expect_of(name: str, earlier: int) -> None:
    """Each run resembles the one before it, so that a few earlier ones show too small a spread."""
    chance = random.Random(20260101)
    machine = replace(MACHINES[name], load=(0.02, 0.02), scattered=0.0)

    failed = 0
    for _ in range(DRAWS):
        two = sides(machine, chance, runs=(earlier + 3) // 2, in_turns=True, rounds=5)
        runs = sorted((*two[0].runs, *two[1].runs), key=lambda run: int(run.id))
        *before, first, second = runs[: earlier + 2]
        matching = match_sides(Side(title="a", runs=(first,)), Side(title="b", runs=(second,)))
        judgement = judge(matching, 0.0, others=before)
        failed += ruling(judgement) is Ruling.FAIL
        spread = judgement.changes[0].change and judgement.changes[0].change.spread
        assert spread
        assert spread.runs == earlier

    assert failed / DRAWS <= 0.05 + BY_CHANCE


@pytest.mark.parametrize("in_turns", [False, True], ids=["blocks", "turns"])
@pytest.mark.parametrize("name", ["quiet", "quiet, whole runs 34% apart"])
def test_thirty_percent_more_are_found_with_a_control(name: str, in_turns: bool) -> None:
    found = rulings(name, in_turns=in_turns, control=True, slower=1.3, limit=0.1)

    assert found[Ruling.FAIL] >= 0.9
    assert found[Ruling.INVALID] <= 0.1
    assert found[Ruling.PASS] <= 0.025


@pytest.mark.parametrize("name", MACHINES)
def test_thirty_percent_more_pass_no_gate(name: str) -> None:
    for in_turns in (False, True):
        found = rulings(name, in_turns=in_turns, control=True, slower=1.3, limit=0.1, draws=60)

        # 2.5% and what 60 draws may be off
        assert found[Ruling.PASS] <= 0.025 + 0.04


def test_what_is_known_of_a_machine_keeps_its_runs_from_a_verdict() -> None:
    """Blocks without a control, whatever happened in between, show nothing below 25% a side."""
    found = rulings("quiet", in_turns=False, control=False, slower=1.3, limit=0.1)

    assert found[Ruling.INVALID] == 1
