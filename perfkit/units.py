"""Figures and text as people read them: seconds, bytes, counts, units, ratios; nothing hidden."""

import math
import re
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

__all__ = [
    "TIMES",
    "capitalised",
    "escape",
    "escape_json",
    "format_bytes",
    "format_change",
    "format_count",
    "format_duration",
    "format_many",
    "format_quantity",
    "format_ratio",
    "format_seconds",
    "format_share",
    "format_some",
    "format_units",
    "format_usd",
    "one_line",
]

# written out, because they look like the letter x and a hyphen
TIMES = "\N{MULTIPLICATION SIGN}"
_MINUS = "\N{MINUS SIGN}"

# what a terminal obeys (C0 and C1 control characters), what reorders or ends a line (direction
# controls, line and paragraph separators), and halves of characters, which no file can hold
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)

_SECOND_STEPS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_BYTE_STEPS = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def one_line(text: str) -> str:
    r"""
    Write text so that it stays on its line: a line feed becomes `\n`, an escape code `\x1b`.

    Names come from workload files, saved runs and answers of servers, which may hold anything; a
    terminal obeys control characters, and direction controls reorder what is printed after them.
    """
    return text if text.isprintable() else _UNSEEN.sub(_code, text)


def capitalised(text: str) -> str:
    """Return text that begins a sentence."""
    return f"{text[:1].upper()}{text[1:]}"


def escape(text: str) -> str:
    """Write text of several lines like `one_line`, but for its line feeds."""
    return "\n".join(map(one_line, text.split("\n")))


def escape_json(document: str) -> str:
    """Write a JSON document so that it means the same and holds nothing that a terminal obeys."""
    return _UNSEEN.sub(
        lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", document
    )


def _code(found: re.Match[str]) -> str:
    return repr(found[0])[1:-1]


def _three_digits(value: float) -> str:
    """Return *value* (0 or above) with three significant digits, never in exponent form."""
    if value == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(value)))
    # 9.996 with 2 decimals is "10.00": four digits, so round first and count again.
    rounded = round(value, decimals)
    decimals = max(0, 2 - math.floor(math.log10(rounded)))
    return f"{rounded:,.{decimals}f}"


def format_seconds(value_s: float) -> str:
    """
    Return a time with three significant digits in the unit that suits it: `1.23 ms`, `4.80 s`.

    Args:
        value_s: Time in seconds; a negative one keeps its sign.
    """
    if value_s < 0:
        return f"-{format_seconds(-value_s)}"
    if value_s == 0:
        return "0 s"
    for step, unit in _SECOND_STEPS:
        # half a digit below the step already rounds up to it: 0.9996 s is "1.00 s", not "1000 ms"
        if value_s >= step * 0.9995:
            return f"{_three_digits(value_s / step)} {unit}"
    return f"{_three_digits(value_s * 1e9)} ns"


def format_duration(value_s: float) -> str:
    """Return a waiting time in whole seconds, minutes and hours: `8 s`, `2 min 05 s`, `1 h 02 min`."""
    seconds = round(value_s)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


def format_bytes(value_bytes: int) -> str:
    """
    Return a size with three significant digits in decimal units: `10.2 MB`, `512 B`.

    Decimal as on bills and in storage: 1 MB is 1,000,000 bytes. DynamoDB's read unit is 4,096
    bytes; where that exactness matters, show the number of bytes with `format_count`.
    """
    if value_bytes < 0:
        return f"-{format_bytes(-value_bytes)}"
    for step, unit in _BYTE_STEPS:
        if value_bytes >= step * 0.9995:
            return f"{_three_digits(value_bytes / step)} {unit}"
    return f"{value_bytes} B"


def format_count(value: int) -> str:
    """Return a whole number exactly, with thousands separated: `50,000`."""
    return f"{value:,}"


def format_quantity(quantity: Decimal | int) -> str:
    """
    Return an exact quantity with thousands separated: `18,250`, `0.25`.

    It has 6 decimals at most, or as many as three digits that count take.
    """
    places = max(6, 2 - Decimal(quantity).adjusted()) if quantity else 0
    text = f"{round(quantity, places):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def format_many(count: Decimal | int, noun: str, plural: str = "") -> str:
    """Return a number of things in words: `1 item`, `2,000 items`, `4 indexes`, `2.5 RCU-hours`."""
    return f"{format_quantity(count)} {noun if count == 1 else plural or f'{noun}s'}"


def format_some(names: Sequence[str], most: int) -> str:
    """Return the first of many names: `a, b, c and 12 more`."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def format_units(value: float) -> str:
    """
    Return capacity units: `1,250`, `6.5`, `0.5`, a mean such as 60.3333… as `60.33`.

    DynamoDB bills in halves: what ends within three decimals is not rounded, so that a reader can
    add it up. Any other fraction is a mean, and four digits of it count.
    """
    if abs(value) >= 1e12:
        return f"{value:,.1f}"
    if value != round(value, 3):
        # what has many digits before the point is shown with one behind it all the same
        value = round(value, max(1, 3 - Decimal(value).adjusted()))
    text = f"{value:,.12g}"
    # a break-even at 0.00003 requests a second is no 3e-05 to people
    return f"{value:.20f}".rstrip("0") if "e" in text and abs(value) >= 1e-12 else text


def format_ratio(value: float) -> str:
    """Return a ratio as a multiple of three digits: 192, 96.3, 1.04 or 0.52 before `TIMES`."""
    if value >= 99.95:
        return f"{value:,.0f}{TIMES}"
    if value >= 9.995:
        return f"{value:.1f}{TIMES}"
    return f"{value:.2f}{TIMES}" if value >= 0.00995 else f"{_three_digits(value)}{TIMES}"


def format_share(value: float) -> str:
    """
    Return a share (0.995) as a percentage (`99.5%`) that reads 0% or 100% only when it is exact.

    49,995 of 50,000 is 99.99%, and 49,999,999 of 50,000,000 is 99.999998%, never 100%. Less than
    nothing, as a saving that is none, has a minus sign.
    """
    if value < 0:
        return f"{_MINUS}{format_share(-value)}"
    if value in {0.0, 1.0}:
        return f"{value:.0%}"
    for decimals in range(1, 12):
        text = f"{value:.{decimals}%}"
        if float(text[:-1]) not in {0.0, 100.0}:
            # 25% rather than 25.0%: trailing zeros claim a precision nobody asked for
            return text.removesuffix(".0%") + "%" if text.endswith(".0%") else text
    return "<0.0000000001%" if value < 0.5 else ">99.9999999999%"


def format_change(ratio: float) -> str:
    """
    Return how far a figure moved, as a percentage of three digits: 1.318 is `+31.8%`, 0.5 `-50%`.

    Args:
        ratio: New ÷ old; 1 is `0%`.
    """
    change = (ratio - 1) * 100
    if abs(change) < 0.005:
        return "0%"
    # three digits of a change of 0.03% would claim more than anybody measures
    decimals = min(2, max(0, 2 - math.floor(math.log10(abs(change)))))
    digits = f"{abs(change):,.{decimals}f}"
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    return f"{'+' if change > 0 else _MINUS}{digits}%"


def format_usd(value_usd: Decimal | float) -> str:
    """
    Return an amount in US dollars with cents: `$1,118.50`, a saving with a minus sign before it.

    Half a cent goes up, as on a bill.

    What is less than a cent, such as the price of a unit, has three significant digits and no
    exponent: `$0.000000125`.
    """
    sign, amount = (_MINUS, -value_usd) if value_usd < 0 else ("", value_usd)
    # what subtracting amounts leaves is no amount
    if amount < 1e-12:
        return "$0.00"
    if amount >= 0.005:
        # through text: the float of 0.125 or 1.005 may be a little less than what it stands for
        cents = Decimal(str(amount)).quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)
        return f"{sign}${cents:,.2f}"
    decimals = 2 - math.floor(math.log10(amount))
    return f"{sign}${amount:.{decimals}f}".rstrip("0")
