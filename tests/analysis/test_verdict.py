"""One verdict: whole intervals decide, the worst of several counts, and each has its exit code."""

import pytest

from perfkit.analysis.verdict import (
    Ruling,
    Verdict,
    hold_above,
    hold_below,
    taken_together,
)
from perfkit.runs import Check

PASS, FAIL, INVALID = Ruling


@pytest.mark.parametrize(
    ("interval", "ruling"),
    [
        ((0.8, 1.09), PASS),
        ((0.8, 1.1), INVALID),
        ((1.05, 1.3), INVALID),
        ((1.1, 1.3), INVALID),
        ((1.11, 1.3), FAIL),
    ],
)
def test_a_whole_interval_lies_below_a_limit_or_above_it(
    interval: tuple[float, float], ruling: Ruling
) -> None:
    verdict = hold_below(interval, 1.1, why_invalid="too wide")

    assert verdict.ruling is ruling
    assert verdict.reason == ("too wide" if ruling is INVALID else "")


@pytest.mark.parametrize(
    ("interval", "ruling"), [((0.8, 0.9), PASS), ((0.7, 0.9), INVALID), ((0.5, 0.79), FAIL)]
)
def test_what_is_promised_is_reached_or_missed(
    interval: tuple[float, float], ruling: Ruling
) -> None:
    assert hold_above(interval, 0.8, why_invalid="too wide").ruling is ruling


@pytest.mark.parametrize(
    ("rulings", "ruling"),
    [
        ([PASS, PASS], PASS),
        ([PASS, INVALID], INVALID),
        ([INVALID, FAIL, PASS], FAIL),
        ([], None),
    ],
)
def test_the_worst_of_several_counts(rulings: list[Ruling], ruling: Ruling | None) -> None:
    verdict = taken_together(Verdict(ruling=each, evidence=each) for each in rulings)

    assert (verdict.ruling if verdict else None) is ruling
    assert verdict is None or verdict.evidence == verdict.ruling


@pytest.mark.parametrize(("ruling", "code"), [(PASS, 0), (FAIL, 4), (INVALID, 3)])
def test_each_ruling_has_its_exit_code(ruling: Ruling, code: int) -> None:
    error = Verdict(ruling=ruling).to_error("why")

    assert (0 if error is None else error.exit_code) == code
    assert error is None or str(error) == "why"


def test_a_run_file_in_other_words_gives_no_verdict() -> None:
    check = Check(
        name="", question="", figure="", promised=0.5, measured=None, interval=None, verdict="ok"
    )

    assert Verdict.of_check(check) == Verdict(ruling=INVALID, reason="the run file says 'ok'")
