"""A small dictionary and a long plain text made of it, for titles, notes and padding."""

from functools import cache
from importlib import resources

from perfkit.workloads.draws import uniform

__all__ = ["TEXT_LENGTH", "WORDS", "text"]

WORDS = tuple(resources.files("perfkit.workloads").joinpath("words.txt").read_text().split())

TEXT_LENGTH = 1 << 16


@cache
def text() -> str:
    """Return the words in a fixed random order, twice `TEXT_LENGTH` characters, all ASCII."""
    # always the same text: what varies from item to item is where its padding starts
    word_number = uniform(0, len(WORDS))
    words = " ".join(WORDS[word_number(place, 0)] for place in range(TEXT_LENGTH // 3))
    return words[:TEXT_LENGTH] * 2
