"""Latency histograms that hold every sample and fit into a run file."""

import binascii
import zlib
from collections.abc import Iterable
from typing import Any, Self

from perfkit.errors import RunFileError
from perfkit.measure.statistics import nearest_rank

__all__ = ["Histogram"]

_LOWEST_US = 1
_HIGHEST_US = 3_600_000_000  # an hour
_DIGITS = 3


class Histogram:
    """
    Latencies between 1 µs and 1 hour, each kept to 0.1% or 1 µs, whichever is coarser.

    Anything shorter counts as 1 µs and anything longer as 1 hour: no sample is dropped.
    The format is HdrHistogram V2, which any HdrHistogram library reads; values are microseconds.
    """

    def __init__(self, samples_s: Iterable[float] = ()) -> None:
        from hdrh.histogram import HdrHistogram

        self._histogram: Any = HdrHistogram(_LOWEST_US, _HIGHEST_US, _DIGITS)
        for sample_s in samples_s:
            self.record(sample_s)

    def record(self, sample_s: float) -> None:
        """Add one latency in seconds."""
        value_us = round(sample_s * 1e6)
        self._histogram.record_value(min(max(value_us, _LOWEST_US), _HIGHEST_US))

    @property
    def count(self) -> int:
        """Number of latencies held."""
        return int(self._histogram.get_total_count())

    def percentile(self, fraction: float) -> float:
        """
        Return a nearest-rank percentile in seconds, right to 0.1% or 1 µs.

        Args:
            fraction: Rank in (0, 1]; 0.99 is the 99th percentile.
        """
        # the library rounds to the nearest rank below or above: hand it the rank itself
        rank = nearest_rank(fraction, self.count)
        return float(self._histogram.get_value_at_percentile(100 * rank / self.count)) / 1e6

    def add(self, other: Self) -> None:
        """Take in all latencies of *other*."""
        self._histogram.add(other._histogram)

    def encode(self) -> str:
        """Return the histogram as text: compressed, base64."""
        text: bytes = self._histogram.encode()
        return text.decode("ascii")

    @classmethod
    def decode(cls, text: str) -> Self:
        """
        Return the histogram that `encode` wrote.

        Raises:
            RunFileError: *text* is not such a histogram.
        """
        from hdrh.codec import HdrCookieException, HdrLengthException
        from hdrh.histogram import HdrHistogram

        histogram = cls()
        try:
            histogram._histogram = HdrHistogram.decode(text.encode("ascii"))
        except (
            binascii.Error,
            HdrCookieException,
            HdrLengthException,
            UnicodeError,
            ValueError,
            zlib.error,
        ) as error:
            msg = f"a histogram in the run is damaged ({error}); measure again"
            raise RunFileError(msg) from error
        return histogram
