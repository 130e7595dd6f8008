"""The search for the highest rate, on services whose limit is known."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.load.find_max import Tried, search_rate


def service_up_to(most_hz: float) -> Callable[[float], Tried]:
    """Return trials on a service that keeps the limit up to a rate, and at no higher one."""

    def attempt(rate_hz: float) -> Tried:
        kept = rate_hz <= most_hz
        return Tried(p95_s=0.1 if kept else 0.3, kept=kept, reason="" if kept else "slow")

    return attempt


@given(st.floats(1.0, 50_000.0), st.floats(1.0, 1000.0))
def test_the_interval_holds_the_highest_rate_and_is_narrow(most_hz: float, start_hz: float) -> None:
    found = search_rate(0.2, start_hz, service_up_to(most_hz))

    assert found.low_hz is not None
    assert found.high_hz is not None
    assert found.low_hz <= most_hz < found.high_hz <= 1.1 * found.low_hz * 1.0001


def test_a_service_that_never_keeps_the_limit_has_no_rate() -> None:
    found = search_rate(0.2, 20.0, service_up_to(0.0))

    assert found.low_hz is None
    assert found.high_hz == pytest.approx(0.625)
    assert not any(each.kept for each in found.trials)


def test_a_generator_at_its_limit_ends_the_search_with_what_was_kept() -> None:
    def attempt(rate_hz: float) -> Tried:
        if rate_hz > 1000:
            return Tried(p95_s=None, kept=False, reason="saturated", is_limit_of_generator=True)
        return Tried(p95_s=0.01, kept=True)

    found = search_rate(0.2, 100.0, attempt)

    assert (found.low_hz, found.high_hz) == (800.0, None)
    assert found.reason == "at 1,600/s: saturated"


def test_a_trial_that_happens_to_be_slow_does_not_end_the_search() -> None:
    """Another program took the machine at 40/s and at 320/s, once each."""
    disturbed = {40.0, 320.0}
    service = service_up_to(700.0)

    def attempt(rate_hz: float) -> Tried:
        if rate_hz in disturbed:
            disturbed.remove(rate_hz)
            return Tried(p95_s=0.9, kept=False, reason="slow")
        return service(rate_hz)

    found = search_rate(0.2, 20.0, attempt)

    assert not disturbed
    assert found.low_hz is not None
    assert found.high_hz is not None
    assert found.low_hz <= 700.0 < found.high_hz
