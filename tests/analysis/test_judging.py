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

DRAWS = 40
# what is 5% may be so much more by chance in as many draws: 2 * sqrt(0.05 * 0.95 / 40)
BY_CHANCE = 0.069


QUIET = ("quiet", "quiet, whole runs 34% apart")
Pairs = list[tuple[Side, Side]]


def draw(
    name: str, *, in_turns: bool, runs: int = 8, slower: float = 1.0, draws: int = DRAWS
) -> Pairs:
    """Return pairs of sides that were measured on a machine of that name."""
    chance = random.Random(20260101)
    return [
        sides(MACHINES[name], chance, runs=runs, in_turns=in_turns, slower=slower, rounds=5)
        for _ in range(draws)
    ]


def rulings(pairs: Pairs, limit: float, *, control: bool) -> dict[Ruling, float]:
    """Return how often the gate passes, fails and is invalid."""
    controls = ("scan",) if control else ()
    found = Counter(ruling(judged(two, limit, controls=controls)) for two in pairs)
    return {each: found[each] / len(pairs) for each in Ruling}


@pytest.mark.parametrize("in_turns", [False, True], ids=["blocks", "turns"])
@pytest.mark.parametrize("name", MACHINES)
def test_the_same_code_fails_no_gate(name: str, in_turns: bool) -> None:
    """Against the strictest limit there is: any rise at all fails."""
    pairs = draw(name, in_turns=in_turns)

    for control in (False, True):
        assert rulings(pairs, 0.0, control=control)[Ruling.FAIL] <= 0.05 + BY_CHANCE


@pytest.mark.parametrize("name", ["quiet", "rounds of 2%, runs of 15%", "busy"])
def test_a_single_pair_of_the_same_code_fails_no_gate(name: str) -> None:
    found = rulings(draw(name, runs=1, in_turns=True), 0.05, control=False)

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
@pytest.mark.parametrize("name", QUIET)
def test_thirty_percent_more_are_found_with_a_control(name: str, in_turns: bool) -> None:
    found = rulings(draw(name, in_turns=in_turns, slower=1.3), 0.1, control=True)

    assert found[Ruling.FAIL] >= 0.9
    assert found[Ruling.INVALID] <= 0.1
    assert found[Ruling.PASS] <= 0.025


@pytest.mark.parametrize("name", [each for each in MACHINES if each not in QUIET])
def test_thirty_percent_more_pass_no_gate(name: str) -> None:
    for in_turns in (False, True):
        pairs = draw(name, in_turns=in_turns, slower=1.3)
        found = rulings(pairs, 0.1, control=True)

        # 2.5% and what 40 draws may be off
        assert found[Ruling.PASS] <= 0.025 + 0.05


def test_what_is_known_of_a_machine_keeps_its_runs_from_a_verdict() -> None:
    """Blocks without a control, whatever happened in between, show nothing below 25% a side."""
    found = rulings(draw("quiet", in_turns=False, slower=1.3), 0.1, control=False)

    assert found[Ruling.INVALID] == 1
