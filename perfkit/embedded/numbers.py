"""DynamoDB numbers: their canonical text, exact arithmetic and an encoding that sorts."""

import re
from decimal import Context, Decimal

from perfkit.embedded.errors import DynamoDBError

__all__ = ["InvalidValueError", "add", "canonical_number", "number_key", "subtract"]

_MAX_DIGITS = 38
_MAX_MAGNITUDE = 125
_MIN_MAGNITUDE = -130

_OVERFLOW = (
    "Number overflow. Attempting to store a number with magnitude larger than supported range"
)
_UNDERFLOW = (
    "Number underflow. Attempting to store a number with magnitude smaller than supported range"
)
_TOO_PRECISE = "Attempting to store more than 38 significant digits in a Number"
_NOT_A_NUMBER = "The parameter cannot be converted to a numeric value"

# Numbers as nearly everybody writes them are canonical already and need no more than this match.
_is_plain = re.compile(r"0|-?[1-9][0-9]*|-?(?:0|[1-9][0-9]*)\.[0-9]*[1-9]").fullmatch
_number = re.compile(
    r"(?P<sign>[+-]?)(?:(?P<whole>[0-9]+)(?:\.(?P<fraction>[0-9]*))?|\.(?P<only>[0-9]+))"
    r"(?:[eE](?P<exponent>[+-]?[0-9]+))?"
).fullmatch

# Sums reach from 1E+125 down to 1E-130, so this precision keeps every digit of them.
_exact = Context(prec=300, Emax=10_000, Emin=-10_000)

# AWS's decimal type keeps its exponent in 64 bits.
_MAX_EXPONENT = 2**63 - 1
# An earlier generation of AWS's validation lets exactly this exponent wrap around.
_WRAPPING_EXPONENT = 2**31 - 1


class InvalidValueError(DynamoDBError):
    """
    A value DynamoDB refuses.

    AWS words this in two ways: most operations answer `message`; BatchWriteItem and Scan still
    answer `older_message`, and so do single writes of what nests very deep.
    """

    def __init__(self, message: str, older_message: str | None = None) -> None:
        super().__init__("ValidationException", message)
        self.older_message = older_message or message


def canonical_number(text: str) -> str:
    """
    Return a number the way DynamoDB answers it: plain decimals, no padding, no exponent.

    Args:
        text: A decimal number with at most 38 significant digits, exponent allowed.

    Returns:
        For example "100" for "1E2", "1.5" for "01.50", "0" for "-0".

    Raises:
        InvalidValueError: *text* is no number, too long, too large or too small.
    """
    if len(text) <= _MAX_DIGITS and _is_plain(text):
        return text
    negative, digits, exponent = _parts(text)
    if not digits:
        return "0"
    if len(digits) > _MAX_DIGITS:
        raise InvalidValueError(_TOO_PRECISE)
    point = len(digits) + exponent
    if exponent >= 0:
        plain = digits + "0" * exponent
    elif point > 0:
        plain = f"{digits[:point]}.{digits[point:]}"
    else:
        plain = f"0.{'0' * -point}{digits}"
    return f"-{plain}" if negative else plain


def _parts(text: str) -> tuple[bool, str, int]:
    """Return sign, digits without zeros at either end, and the exponent of the last digit."""
    match = _number(text)
    if match is None:
        raise _not_a_number(text)
    whole = match["whole"] or ""
    fraction = match["fraction"] or match["only"] or ""
    scale = _exponent(match["exponent"] or "0")
    if abs(scale) > _MAX_EXPONENT:
        raise _not_a_number(text)
    exponent = scale - len(fraction)
    digits = (whole + fraction).lstrip("0")
    # AWS holds a zero, too, to the range of the exponent it was written with
    magnitude = len(digits) + exponent - 1 if digits else scale
    if magnitude > _MAX_MAGNITUDE:
        wrapped = magnitude == _WRAPPING_EXPONENT
        raise InvalidValueError(_OVERFLOW, _UNDERFLOW if wrapped else None)
    if magnitude < _MIN_MAGNITUDE:
        raise InvalidValueError(_UNDERFLOW)
    significant = digits.rstrip("0")
    return match["sign"] == "-", significant, exponent + len(digits) - len(significant)


def _exponent(written: str) -> int:
    # more digits than this are out of any range, and int() itself refuses thousands of them
    size = int(written.lstrip("+-0")[:20] or "0")
    return -size if written.startswith("-") else size


def _not_a_number(text: str) -> InvalidValueError:
    return InvalidValueError(f"{_NOT_A_NUMBER}: {text}", None if text else _NOT_A_NUMBER)


def add(left: str, right: str) -> str:
    """
    Return the exact sum of two canonical numbers, canonical again.

    Raises:
        InvalidValueError: The sum is out of range or needs more than 38 digits.
    """
    return _result(_exact.add(Decimal(left), Decimal(right)))


def subtract(left: str, right: str) -> str:
    """Return the exact difference of two canonical numbers, as `add` returns their sum."""
    return _result(_exact.subtract(Decimal(left), Decimal(right)))


def _result(number: Decimal) -> str:
    # zero as `1.1E-130` less itself leaves it has an exponent that nothing may be written with
    if not number:
        return "0"
    # AWS calls a result that does not fit an overflow, even if only its precision is the problem
    if len(number.normalize(_exact).as_tuple().digits) > _MAX_DIGITS:
        raise InvalidValueError(_OVERFLOW)
    return canonical_number(str(number))


# Digits become the nibbles 1 to 10, or 14 down to 5 below zero, so that the nibble that ends
# a number (0, or 15 below zero) sorts it before, or after, every longer one.
_ASCENDING = str.maketrans("0123456789", "123456789a")
_DESCENDING = str.maketrans("0123456789", "edcba98765")


def number_key(text: str) -> bytes:
    """
    Return bytes that sort as the number does: equal numbers equal, smaller ones lower.

    A byte for the sign, one for the magnitude, then a nibble for each digit and an end mark.
    No key is a prefix of another, so keys may be joined and still sort.

    Args:
        text: A number `canonical_number` accepts.
    """
    negative, digits, exponent = _parts(text)
    if not digits:
        return b"\x80"
    magnitude = len(digits) + exponent - 1 - _MIN_MAGNITUDE
    odd = len(digits) % 2
    if negative:
        end = "f" if odd else "ff"
        return bytes.fromhex(f"40{255 - magnitude:02x}{digits.translate(_DESCENDING)}{end}")
    end = "0" if odd else "00"
    return bytes.fromhex(f"c0{magnitude:02x}{digits.translate(_ASCENDING)}{end}")
