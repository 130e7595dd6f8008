"""
What answers were, added up second by second in the process that got them.

Only the standard library is imported: Locust must be the first that a process of its own loads.
"""

import base64
import errno
import socket
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Answer", "AnswerCounts", "kind_of_error"]


@dataclass(frozen=True, slots=True)
class Answer:
    """
    One request that ended.

    Args:
        response_s: From when it was due to the last byte of its answer.
        service_s: From when it was sent.
        status: 0 where there was no answer.
        error: What went wrong; "" if nothing did.
        headers: Of the answer.
        body_bytes: Of the answer.
    """

    response_s: float
    service_s: float
    status: int
    error: str
    headers: Mapping[str, str]
    body_bytes: int


class AnswerCounts:
    """Requests of one name."""

    __slots__ = (
        "body_bytes",
        "cache",
        "errors",
        "operations",
        "operations_reported",
        "read_units",
        "response_s",
        "service_s",
        "stages_s",
        "statuses",
        "throttles",
        "throttles_reported",
        "units_reported",
        "write_units",
    )

    def __init__(self) -> None:
        self.response_s: array[float] = array("d")
        self.service_s: array[float] = array("d")
        self.statuses: dict[int, int] = {}
        self.errors: dict[str, int] = {}
        self.cache: dict[str, list[float]] = {}
        self.stages_s: dict[str, float] = {}
        self.read_units = self.write_units = 0.0
        self.units_reported = 0
        self.operations: dict[str, int] = {}
        self.operations_reported = 0
        self.throttles = self.throttles_reported = 0
        self.body_bytes = 0

    def add(self, answer: Answer) -> None:
        """Add one that ended."""
        self.response_s.append(answer.response_s)
        self.service_s.append(answer.service_s)
        self.body_bytes += answer.body_bytes
        if answer.status:
            self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
        if answer.error:
            self.errors[answer.error] = self.errors.get(answer.error, 0) + 1
        headers = answer.headers
        state = headers.get("x-cache")
        if state:
            counted = self.cache.setdefault(state, [0, 0.0])
            counted[0] += 1
            counted[1] += answer.service_s
        units = headers.get("x-consumed-read-units")
        if units is not None:
            self.units_reported += 1
            self.read_units += _number(units)
            self.write_units += _number(headers.get("x-consumed-write-units") or "")
        operations = headers.get("x-dynamodb-operations")
        if operations is not None:
            self.operations_reported += 1
            self._add_operations(operations)
        throttles = headers.get("x-dynamodb-throttles")
        if throttles is not None:
            self.throttles_reported += 1
            self.throttles += int(_number(throttles))
        timing = headers.get("server-timing")
        if timing:
            self._add_stages(timing)

    def _add_operations(self, header: str) -> None:
        """Add what a header says DynamoDB was asked: `query=1, get_item=2`."""
        for part in header.split(","):
            name, _, count = part.partition("=")
            if name.strip():
                name = name.strip()
                self.operations[name] = self.operations.get(name, 0) + int(_number(count))

    def _add_stages(self, header: str) -> None:
        """Add what a Server-Timing header says: `name;dur=MILLISECONDS`, separated by commas."""
        for part in header.split(","):
            name, _, rest = part.partition(";")
            before, found, value = rest.partition("dur=")
            if found and not before.strip():
                name = name.strip()
                self.stages_s[name] = (
                    self.stages_s.get(name, 0.0) + _number(value.partition(";")[0]) / 1e3
                )

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "response_s": base64.b64encode(self.response_s.tobytes()).decode(),
            "service_s": base64.b64encode(self.service_s.tobytes()).decode(),
            "statuses": {str(status): count for status, count in self.statuses.items()},
            "errors": self.errors,
            "cache": self.cache,
            "stages_s": self.stages_s,
            "read_units": self.read_units,
            "write_units": self.write_units,
            "units_reported": self.units_reported,
            "operations": self.operations,
            "operations_reported": self.operations_reported,
            "throttles": self.throttles,
            "throttles_reported": self.throttles_reported,
            "body_bytes": self.body_bytes,
        }


def _number(text: str) -> float:
    try:
        return float(text.strip().strip('"'))
    except ValueError:
        return 0.0


def kind_of_error(
    exception: BaseException | None,
    status: int,
    expect: tuple[int, ...],
    taken_s: float,
    timeout_s: float,
) -> str:
    """Return in a few words why a request failed; "" if it did not."""
    if exception is None:
        return ""
    if status in expect:
        return ""
    if 300 <= status < 400:
        return f"redirect (status {status})"
    if status and (expect or not 200 <= status < 300):
        return f"status {status}"
    if status == 0:
        if taken_s >= timeout_s:
            return "timeout"
        return _kind_of_failure(exception)
    # the answer came, and a Locust file did not like it
    return _short(str(exception)) or type(exception).__name__


def _kind_of_failure(exception: BaseException) -> str:
    found: BaseException | None = exception
    seen = set()
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        # gevent's is no TimeoutError; it may have rung a moment before the limit by our clock
        if isinstance(found, TimeoutError) or type(found).__name__ == "Timeout":
            return "timeout"
        if isinstance(found, ConnectionRefusedError):
            return "connection refused"
        if isinstance(found, ConnectionResetError | BrokenPipeError):
            return "connection closed"
        if isinstance(found, socket.gaierror):
            return "no such host"
        if isinstance(found, OSError) and found.errno == errno.EHOSTUNREACH:
            return "no route to the host"
        found = getattr(found, "original", None) or found.__cause__ or found.__context__
    if "Closed" in type(exception).__name__:
        return "connection closed"
    return _short(str(exception)) or type(exception).__name__


def _short(text: str) -> str:
    return " ".join(text.split())[:80]
