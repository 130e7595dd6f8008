"""Data out to the internet, from measured sizes of answers."""

from perfkit.cost import names
from perfkit.cost.assumptions import Assumptions
from perfkit.cost.evidence import Evidence
from perfkit.cost.prices import Amount, PriceBook
from perfkit.cost.quantities import GIGABYTE, SECONDS_A_MONTH, short
from perfkit.units import TIMES

__all__ = ["data_out", "data_out_bytes_s"]


def data_out_bytes_s(evidence: Evidence, assumptions: Assumptions) -> float:
    """Return the bytes a second of answers, headers and what is not known left out."""
    rates = assumptions.reads_hz(each.name for each in evidence.patterns)
    return sum(rates[each.name] * (each.body_bytes or 0) for each in evidence.patterns)


def data_out(bytes_s: float, book: PriceBook, *, free_tier: bool = False) -> Amount:
    """
    Return what a month of answers costs to send.

    Args:
        bytes_s: Bytes a second on average.
        book: Prices.
        free_tier: The free gigabytes are still to be had.

    Raises:
        PriceError: The book lacks the price.
    """
    gigabytes = bytes_s * SECONDS_A_MONTH / GIGABYTE
    amount = book.price(names.DATA_OUT).cost(gigabytes, free_tier=free_tier)
    text = f"{short(bytes_s)} B/s {TIMES} {SECONDS_A_MONTH:,} s ÷ {GIGABYTE:,} B: "
    return Amount(usd=amount.usd, arithmetic=text + amount.arithmetic)
