"""
What a value in a run file may be, beyond being a number or text.

Beyond these bounds nothing is measured, and reports would mislead. pydantic reads them, and is
loaded only when a run file is.
"""

import base64
import struct
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from math import inf
from typing import TYPE_CHECKING, Annotated, Any

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

__all__ = ["Amount", "AtLeastOne", "Count", "Fall", "HistogramText", "Moment", "Ratio"]
__all__ += ["Seconds", "Share", "parse_moment"]


@dataclass(frozen=True, slots=True)
class _Range:
    """Both ends are allowed, and where it is above 0 every number from there on."""

    least: float = 0.0
    most: float = 1e15
    above_0: bool = False

    def __get_pydantic_core_schema__(
        self, source: Any, handler: "GetCoreSchemaHandler"
    ) -> "CoreSchema":
        schema: Any = handler(source)
        if self.above_0:
            schema["gt"] = 0.0
        elif self.least > -inf:
            schema["ge"] = int(self.least) if source is int else self.least
        if self.most < inf and not self.above_0:
            schema["le"] = int(self.most) if source is int else self.most
        return schema  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class _Text:
    """Text that is something: *what* in words, *holds* tells."""

    what: str
    holds: Any

    def __get_pydantic_core_schema__(
        self, source: Any, handler: "GetCoreSchemaHandler"
    ) -> "CoreSchema":
        from pydantic_core import PydanticCustomError, core_schema

        def check(text: str) -> str:
            if not self.holds(text):
                kind = "not_such_text"
                raise PydanticCustomError(kind, "{what}", {"what": self.what})
            return text

        return core_schema.no_info_after_validator_function(check, handler(source))


# HdrHistogram V2: cookies of the compressed and of the plain form, without the word size
_COMPRESSED, _PLAIN, _COOKIE_MASK = 0x1C849304, 0x1C849303, ~0xF0
_PLAIN_HEADER_BYTES = 40


def _is_histogram(text: str) -> bool:
    """
    Tell whether *text* is empty or a whole histogram; the checksum of zlib shows a wrong character.

    `perfkit.measure.histogram` reads it, with a library that is slow to load.
    """
    if not text:
        return True
    try:
        data = base64.b64decode(text, validate=True)
        cookie, length = struct.unpack_from(">II", data)
        plain = zlib.decompress(data[8:])
        plain_cookie, counts = struct.unpack_from(">II", plain)
    except (ValueError, struct.error, zlib.error):
        return False
    found = (cookie & _COOKIE_MASK, length, plain_cookie & _COOKIE_MASK, counts)
    return found == (_COMPRESSED, len(data) - 8, _PLAIN, len(plain) - _PLAIN_HEADER_BYTES)


_OUTERMOST = tuple(timezone(timedelta(hours=hours)) for hours in (-23, 0, 23))


def parse_moment(text: str) -> datetime:
    """
    Return the moment that *text* names, in UTC where it names no time zone.

    Raises:
        ValueError: It is none, or beyond the first and the last day of all time somewhere.
        OverflowError: Likewise.
    """
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    for zone in _OUTERMOST:
        moment.astimezone(zone)
    return moment


def _is_moment(text: str) -> bool:
    try:
        parse_moment(text)
    except (ValueError, OverflowError):
        return False
    return True


Count = Annotated[int, _Range()]
AtLeastOne = Annotated[int, _Range(least=1)]
# units, sizes in bytes, rates a second
Amount = Annotated[float, _Range()]
# 30 years
Seconds = Annotated[float, _Range(most=1e9)]
Share = Annotated[float, _Range(most=1)]
# a share by which a figure fell; below 0 it rose
Fall = Annotated[float, _Range(least=-inf, most=1)]
# how many times; reports divide by it
Ratio = Annotated[float, _Range(above_0=True)]
HistogramText = Annotated[str, _Text("a histogram", _is_histogram)]
Moment = Annotated[str, _Text("a moment such as 2026-01-01T00:00:00Z", _is_moment)]
