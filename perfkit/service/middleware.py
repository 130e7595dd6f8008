"""The outermost layers: every answer, refusals and failures too, is timed, counted and labelled."""

import asyncio
import logging
import os
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from perfkit.service.metrics import Metrics
from perfkit.service.notifications import Notifications
from perfkit.service.problem_bodies import problem_response
from perfkit.service.problems import Problem
from perfkit.service.timing import Trace, begin_trace

__all__ = ["LARGEST_BODY_BYTES", "BehindLoadBalancer", "Instrumented"]

_LARGEST_HEADERS_BYTES = 32 * 1024
LARGEST_BODY_BYTES = 64 * 1024

_UNMATCHED = "unmatched"
_LOGGED = "/api/"
_LONGEST_ID = 64

_log = logging.getLogger("perfkit.service")


class BehindLoadBalancer:
    """
    ASGI middleware that lets requests take as much longer as a load balancer would.

    It is around what times them: a load balancer's own time is in no figure of its targets, and its
    health checks do not pass through it.

    Args:
        app: Everything else.
        takes_s: How much longer.
    """

    def __init__(self, app: ASGIApp, takes_s: float) -> None:
        self._app = app
        self._takes_s = takes_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["path"].startswith(_LOGGED):
            await asyncio.sleep(self._takes_s)
        await self._app(scope, receive, send)


class Instrumented:
    """
    ASGI middleware around everything else.

    Args:
        app: Everything else.
        metrics: Counts each answer.
        notifications: Write the log of requests.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, notifications: Notifications) -> None:
        self._app = app
        self._metrics = metrics
        self._notifications = notifications

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        trace = begin_trace()

        async def send_labelled(message: Message) -> None:
            if message["type"] == "http.response.start":
                trace.status = message["status"]
                if scope["path"].startswith(_LOGGED):
                    duration_s = perf_counter() - trace.started_s
                    await self._notifications.log(scope, trace, duration_s)
                message["headers"] = [*message["headers"], *trace.headers()]
            await send(message)

        try:
            _read_headers(scope, trace)
            await self._app(scope, receive, send_labelled)
        except Problem as problem:
            await problem_response(problem)(scope, receive, send_labelled)
        except Exception:
            _log.exception("internal error in %s %s", scope["method"], scope["path"])
            if trace.status:
                # the answer has begun: only the connection's end can tell
                raise
            failure = Problem(500, "the service failed; its log says why")
            await problem_response(failure)(scope, receive, send_labelled)
        finally:
            route = getattr(scope.get("route"), "path", _UNMATCHED)
            self._metrics.observe(trace, scope["method"], route, perf_counter() - trace.started_s)
            if trace.session is not None:
                trace.session.close()


def _read_headers(scope: Scope, trace: Trace) -> None:
    """Refuse too much, before anything is read, and note the request's id."""
    size = 0
    given = b""
    for name, value in scope["headers"]:
        size += len(name) + len(value)
        if name == b"x-request-id":
            given = value
        elif name == b"content-length" and int(value) > LARGEST_BODY_BYTES:
            # one that is not announced is limited where it is read
            msg = f"the body has more than {LARGEST_BODY_BYTES} bytes"
            raise Problem(413, msg, headers={"Connection": "close"})
    if size > _LARGEST_HEADERS_BYTES:
        msg = f"the headers have more than {_LARGEST_HEADERS_BYTES} bytes"
        raise Problem(431, msg, headers={"Connection": "close"})
    text = given.decode("latin-1")
    usable = 0 < len(text) <= _LONGEST_ID and text.isascii() and text.isprintable()
    trace.request_id = text if usable else os.urandom(8).hex()
