"""
Random draws by item number: pure functions of a key and the number, no state.

Nothing here walks a sequence of random numbers, so any process can make any item alone, and
nothing is remembered, so memory does not grow with the number of items.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from hashlib import blake2b
from itertools import accumulate

__all__ = [
    "Draw",
    "choice",
    "key_for",
    "mix",
    "permutation",
    "uniform",
    "zipf",
]

Draw = Callable[[int, int], int]
"""Item number and attempt in, a number out; another attempt gives another draw."""

_MASK = (1 << 64) - 1
_INDEX_STEP = 0x9E3779B97F4A7C15
_ATTEMPT_STEP = 0xD1B54A32D192ED03
_GOLDEN_SECTION = (math.sqrt(5) - 1) / 2


def key_for(*parts: str | int) -> int:
    """Return a 64-bit key for what *parts* name together."""
    text = "\0".join(map(str, parts))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())


def mix(key: int, index: int, attempt: int = 0) -> int:
    """
    Return 64 bits that look random, the same for the same three numbers.

    Source: Steele, Lea & Flood (2014), "Fast splittable pseudorandom number generators":
    SplitMix64, read at a position instead of stepped through.
    """
    bits = (key + index * _INDEX_STEP + attempt * _ATTEMPT_STEP) & _MASK
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _MASK
    return bits ^ (bits >> 31)


def uniform(key: int, count: int) -> Draw:
    """Return a draw from 0 to *count* - 1, all equally likely."""

    def draw(index: int, attempt: int) -> int:
        return mix(key, index, attempt) * count >> 64

    return draw


def choice(key: int, weights: Sequence[float]) -> Draw:
    """Return a draw of a position in *weights*, each as likely as its weight."""
    total = math.fsum(weights)
    # the last bound is left out: whatever passes the others is the last position
    bounds = [int(bound / total * 2**64) for bound in accumulate(weights[:-1])]

    def draw(index: int, attempt: int) -> int:
        return bisect_right(bounds, mix(key, index, attempt))

    return draw


def zipf(key: int, count: int, exponent: float) -> Draw:
    """
    Return a draw from 0 to *count* - 1 in which rank k is as likely as (k + 1) ** -exponent.

    Source: Hörmann & Derflinger (1996), "Rejection-inversion to generate variates from monotone
    discrete distributions": no table of probabilities, whatever the count.
    """
    steepness = 1.0 - exponent

    def integral(x: float) -> float:
        log_x = math.log(x)
        return math.expm1(steepness * log_x) / steepness if steepness else log_x

    def inverse(area: float) -> float:
        # rounding may leave the area a hair below what the logarithm can take
        inner = max(steepness * area, -1.0 + 1e-15)
        return math.exp(math.log1p(inner) / steepness if steepness else area)

    low = integral(1.5) - 1.0
    high = integral(count + 0.5)
    always = 2.0 - inverse(integral(2.5) - 2.0**-exponent)
    scale = (high - low) / 2**64

    def draw(index: int, attempt: int) -> int:
        bits = mix(key, index, attempt)
        while True:
            area = high - bits * scale
            x = inverse(area)
            rank = min(max(int(x + 0.5), 1), count)
            if rank - x <= always or area >= integral(rank + 0.5) - rank**-exponent:
                return rank - 1
            bits = mix(key, bits)

    return draw


def permutation(key: int, count: int) -> Callable[[int], int]:
    """
    Return a function that gives every number below *count* once for every number below *count*.

    Neighbours land far apart (a step of about the golden section of *count*), which spreads
    pinned items and popular ones over the whole table.
    """
    step = max(1, round(count * _GOLDEN_SECTION))
    while math.gcd(step, count) != 1:
        step += 1
    shift = key % count

    def place(index: int) -> int:
        return (index * step + shift) % count

    return place
