"""What a load test was asked for, in words."""

import pytest

from perfkit.analysis.load_runs import asked
from perfkit.runs import LoadModel, LoadSettings, LoadTest


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            LoadSettings(model=LoadModel.CLOSED, users=5, duration_s=5.0, ramp_s=0.5, think_s=0.2),
            "5 users with 0.2 s to think, for 5 s after a ramp of 0.5 s",
        ),
        (
            LoadSettings(model=LoadModel.OPEN, users=1, duration_s=90.0, rate_hz=0.4),
            "0.4 requests/s, due at fixed times, by at most 1 user, for 1 min 30 s",
        ),
        (
            LoadSettings(model=LoadModel.OPEN, users=9, duration_s=60.0, rate_hz=1200),
            "1,200 requests/s, due at fixed times, by at most 9 users, for 1 min 00 s",
        ),
    ],
)
def test_nothing_that_was_asked_for_is_rounded_to_nothing(
    settings: LoadSettings, words: str
) -> None:
    assert asked(LoadTest(settings=settings)) == words
