"""Histograms hold every latency, to a thousandth, and survive a run file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.errors import RunFileError
from perfkit.measure.histogram import Histogram
from perfkit.measure.statistics import percentile

LATENCIES = st.lists(st.floats(1e-6, 3600), min_size=1, max_size=200)


@given(LATENCIES, st.sampled_from([0.5, 0.9, 0.95, 0.99, 1.0]))
def test_percentiles_agree_with_the_samples(samples_s: list[float], fraction: float) -> None:
    histogram = Histogram(samples_s)

    expected_s = percentile(sorted(samples_s), fraction)
    assert histogram.percentile(fraction) == pytest.approx(expected_s, rel=0.001, abs=0.6e-6)


@given(LATENCIES)
def test_a_histogram_comes_back_from_text(samples_s: list[float]) -> None:
    histogram = Histogram(samples_s)

    again = Histogram.decode(histogram.encode())

    assert again.count == len(samples_s)
    assert again.percentile(0.5) == histogram.percentile(0.5)


def test_nothing_is_dropped_at_the_edges() -> None:
    histogram = Histogram([0.0, 1e-9, 5 * 3600.0])

    assert histogram.count == 3
    assert histogram.percentile(0.5) == 1e-6
    assert histogram.percentile(1.0) == pytest.approx(3600, rel=0.001)


def test_two_histograms_add_up() -> None:
    histogram = Histogram([0.001] * 3)
    histogram.add(Histogram([1.0] * 5))

    assert histogram.count == 8
    assert histogram.percentile(0.99) == pytest.approx(1.0, rel=0.001)


def test_many_samples_stay_small_in_a_file() -> None:
    text = Histogram(number / 1000 for number in range(1, 5000)).encode()

    assert len(text) < 10_000
    assert text.isascii()


@pytest.mark.parametrize("text", ["", "no base64 at all!", "AAAA", "HISTFAAAACh4nJNpmSzM", "ü"])
def test_a_damaged_histogram_is_refused(text: str) -> None:
    with pytest.raises(RunFileError, match="damaged"):
        Histogram.decode(text)
