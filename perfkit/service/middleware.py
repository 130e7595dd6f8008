"""The outermost layer: every answer, refusals and failures too, is timed, counted and labelled."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter
from typing import Any

from perfkit.service.metrics import Metrics
from perfkit.service.problems import CONTENT_TYPE, Problem
from perfkit.service.requests import LARGEST_BODY_BYTES
from perfkit.service.timing import Trace

__all__ = ["TRACE", "Instrumented", "respond"]

Application = Callable[[Any, Any, Any], Awaitable[None]]

TRACE = "perfkit.trace"
"""Where in the ASGI scope the trace of a request is."""

_MOST_HEADERS = 100
_LARGEST_HEADERS_BYTES = 32 * 1024
_UNMATCHED = "unmatched"
_JSON = b"application/json"

_log = logging.getLogger("perfkit.service")


async def respond(
    send: Any,
    status: int,
    body: bytes,
    *,
    content_type: bytes = _JSON,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Send one whole answer."""
    raw = [(b"content-length", b"%d" % len(body))]
    if body:
        raw.append((b"content-type", content_type))
    if headers:
        raw += [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


class Instrumented:
    """
    ASGI middleware around everything else.

    Args:
        app: Everything else.
        metrics: Told of each answer.
        route_of: Returns the route of what was refused before it came to one, empty for none.
    """

    def __init__(
        self, app: Application, metrics: Metrics, route_of: Callable[[Any], str] = lambda _: ""
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._route_of = route_of

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        trace = scope[TRACE] = Trace()
        trace.route = _UNMATCHED

        is_head = scope["method"] == "HEAD"

        async def send_labelled(message: Any) -> None:
            if message["type"] == "http.response.start":
                trace.status = message["status"]
                message["headers"] = [*message["headers"], *trace.headers()]
            elif is_head:
                message = {**message, "body": b""}
            await send(message)

        try:
            _check_size(scope["headers"])
            await self._app(scope, receive, send_labelled)
        except Problem as problem:
            if trace.route == _UNMATCHED:
                trace.route = self._route_of(scope) or _UNMATCHED
            await _refuse(send_labelled, problem)
        except Exception:
            _log.exception("internal error in %s %s", scope["method"], scope["path"])
            if trace.status:
                # the answer has begun: only the connection's end can tell
                raise
            await _refuse(send_labelled, Problem(500, "the service failed; its log says why"))
        finally:
            self._metrics.observe(trace, scope["method"], perf_counter() - trace.started_s)


def _check_size(headers: list[tuple[bytes, bytes]]) -> None:
    size = 0
    for name, value in headers:
        size += len(name) + len(value)
        if name == b"content-length" and value.isdigit() and int(value[:12]) > LARGEST_BODY_BYTES:
            raise Problem(
                413,
                f"the body is larger than {LARGEST_BODY_BYTES} bytes",
                headers={"Connection": "close"},
            )
    if len(headers) > _MOST_HEADERS or size > _LARGEST_HEADERS_BYTES:
        raise Problem(
            431,
            f"more than {_MOST_HEADERS} headers, or {_LARGEST_HEADERS_BYTES} bytes of them",
            headers={"Connection": "close"},
        )


async def _refuse(send: Any, problem: Problem) -> None:
    await respond(
        send,
        problem.status,
        problem.body,
        content_type=CONTENT_TYPE.encode(),
        headers=problem.headers,
    )
