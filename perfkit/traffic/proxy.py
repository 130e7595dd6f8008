"""
The recorder between an application and DynamoDB: passes everything on, and looks at it after.

Whatever goes wrong with recording, the application gets its answer.
"""

import asyncio
import logging
import socket
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.web_protocol import RequestHandler
from multidict import CIMultiDict

from perfkit.embedded.http import Doors
from perfkit.traffic.consumed import COUNTED, MOST_BODY_BYTES, Cut, asked_for, cut, with_capacity
from perfkit.traffic.exchange import Exchange, Observer
from perfkit.traffic.schemas import Schema, read_schema
from perfkit.traffic.shapes import fingerprint_of
from perfkit.traffic.trace_file import TraceWriter
from perfkit.traffic.upstream import Answer, Headers, NoAnswerError, Upstream, passed_on

__all__ = ["Proxy"]

_SERVICE = "DynamoDB_20120810."
_CONTENT_TYPE = "application/x-amz-json-1.0"
_MOST_HEADER_BYTES = 64 << 10
_IDLE_S = 75.0
_MOST_PEERS = 10_000
_MOST_TABLES = 1_000
_FINISH_S = 2.0

_CHANGES_TABLES = frozenset({"CreateTable", "DeleteTable", "UpdateTable"})

_log = logging.getLogger("perfkit.record")


class Proxy:
    """
    Passes requests on to a target and records them.

    Args:
        upstream: The target.
        writer: Takes what is kept of each request.
        host: Address that is listened on.
        allowed: Names of hosts beside those of this machine, for `Doors`.
        keep_values: Keep requests as they were.
        doubt_of: From an answer's headers, why the target's capacity may be wrong; None where it
            is not.

    Attributes:
        unread: Requests that were passed on and could not be recorded.

    Raises:
        ConfigError: A name is not one of a host.
    """

    def __init__(
        self,
        upstream: Upstream,
        writer: TraceWriter,
        *,
        host: str,
        allowed: Iterable[str] = (),
        keep_values: bool = False,
        doubt_of: Callable[[Mapping[str, str]], str | None] = lambda _: None,
    ) -> None:
        self.unread = 0
        self._doubt_of = doubt_of
        self._is_known = False
        self._upstream = upstream
        self._writer = writer
        self._doors = Doors(host, allowed, command="perfkit record")
        self._schemas: dict[str, Schema] = {}
        self._observer = Observer(self._schemas, keep_values=keep_values)
        self._began_s = time.perf_counter()
        self._peers: dict[Any, int] = {}
        self._asked: set[str] = set()
        self._asking: set[asyncio.Task[None]] = set()
        self._waiting: list[Exchange] = []
        self._server = web.Server(
            self._handle,
            request_factory=_request,
            access_log=None,
            # what the application no longer waits for is not asked on its behalf
            handler_cancellation=True,
            keepalive_timeout=_IDLE_S,
            max_line_size=_MOST_HEADER_BYTES,
            max_field_size=_MOST_HEADER_BYTES,
        )
        self._listening: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        """Accept connections from now on."""
        loop = asyncio.get_running_loop()
        self._began_s = time.perf_counter()
        self._listening = await loop.create_server(self._server, sock=listener, backlog=512)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the recording began."""
        return time.perf_counter() - self._began_s

    async def stop(self) -> None:
        """Let requests finish, and record what is left."""
        if self._listening is not None:
            self._listening.close()
        await self._server.shutdown(_FINISH_S)
        if self._asking:
            await asyncio.wait(self._asking, timeout=_FINISH_S)
            for task in self._asking:
                task.cancel()
        self._asking.clear()
        self._record_waiting()
        await self._upstream.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        at_s = self.elapsed_s
        headers = request.headers
        refusal = self._doors.refusal(headers.getall("Host", ()), headers.getall("Origin", ()))
        if refusal is not None:
            return _refused(HTTPStatus.FORBIDDEN, "AccessDeniedException", refusal)
        if headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            message = f"a request may have {MOST_BODY_BYTES >> 20} MB"
            return _refused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "RequestEntityTooLargeException", message
            )
        target = headers.get("X-Amz-Target", "")
        operation = target.removeprefix(_SERVICE) if target.startswith(_SERVICE) else ""
        parsed = _parsed(body) if operation else None
        asked = asked_for(parsed) if parsed is not None and operation in COUNTED else ""
        sent = with_capacity(body, parsed) if parsed is not None and asked else body

        seen = partial(
            Exchange,
            operation=operation,
            request=parsed or {},
            body=body,
            at_s=at_s,
            connection=self._connection(request),
            headers=headers,
        )
        failure = ""
        try:
            answer = await self._upstream.send(
                request.method, request.raw_path, passed_on(headers), sent
            )
        except NoAnswerError as error:
            failure = "no answer"
            answer = _no_answer(str(error))
        except asyncio.CancelledError:
            if parsed is not None and request.transport is None:
                self._take(_unanswered(seen, self.elapsed_s - at_s, "client gave up"))
            raise
        duration_s = self.elapsed_s - at_s
        found = cut(answer.body, asked) if asked and answer.status == 200 else Cut(answer.body, ())
        if found.consumed and not self._is_known:
            self._is_known = True
            self._writer.note(capacity_doubt=self._doubt_of(answer.headers))
        if found.body is not answer.body and "x-amz-crc32" in answer.headers:
            answer.headers["x-amz-crc32"] = str(zlib.crc32(found.body))
        response = web.Response(status=answer.status, body=found.body, headers=answer.headers)
        try:
            await response.prepare(request)
            await response.write_eof()
        except ConnectionError:
            # the application is gone
            pass
        finally:
            # the application has its answer, or is gone
            if parsed is not None and failure:
                self._take(_unanswered(seen, duration_s, failure))
            elif parsed is not None:
                self._take(
                    seen(
                        duration_s=duration_s,
                        status=answer.status,
                        answer=found.body,
                        consumed=found.consumed,
                    )
                )
            elif operation:
                self.unread += 1
        return response

    def _connection(self, request: web.BaseRequest) -> int:
        peer = request.transport.get_extra_info("peername") if request.transport else None
        number = self._peers.get(peer)
        if number is None:
            if len(self._peers) >= _MOST_PEERS:
                self._peers.clear()
            number = self._peers[peer] = max(self._peers.values(), default=0) + 1
        return number

    # ---- recording

    def _take(self, exchange: Exchange) -> None:
        try:
            for table in fingerprint_of(exchange.operation, exchange.request).tables:
                self._ask_for(table, exchange)
            if self._asking:
                # its keys are not known yet
                self._waiting.append(exchange)
            else:
                self._record(exchange)
        except Exception:  # noqa: BLE001 - the application must not notice
            self._give_up_on(exchange)

    def _record(self, exchange: Exchange) -> None:
        self._writer.add(self._observer.observe(exchange))
        if exchange.status != 200:
            return
        if exchange.operation == "DescribeTable":
            self._describe(exchange.answer)
        elif exchange.operation in _CHANGES_TABLES:
            name = fingerprint_of(exchange.operation, exchange.request).table
            self._asked.discard(name)
            if exchange.operation != "UpdateTable":
                self._schemas.pop(name, None)

    def _record_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for exchange in waiting:
            try:
                self._record(exchange)
            except Exception:  # noqa: BLE001 - the application must not notice
                self._give_up_on(exchange)

    def _give_up_on(self, exchange: Exchange) -> None:
        if not self.unread:
            _log.exception("cannot record a request of %s", exchange.operation)
        self.unread += 1

    def _ask_for(self, table: str, exchange: Exchange) -> None:
        """Have a table described that is seen for the first time."""
        if (
            table in self._asked
            or exchange.operation not in COUNTED
            or exchange.status != 200
            or len(self._asked) >= _MOST_TABLES
        ):
            return
        self._asked.add(table)
        task = asyncio.create_task(self._ask(table, passed_on(exchange.headers)))
        self._asking.add(task)
        task.add_done_callback(self._asked_for)

    def _asked_for(self, task: "asyncio.Task[None]") -> None:
        self._asking.discard(task)
        if not self._asking:
            self._record_waiting()

    async def _ask(self, table: str, headers: Headers) -> None:
        headers["X-Amz-Target"] = f"{_SERVICE}DescribeTable"
        body = orjson.dumps({"TableName": table})
        try:
            answer = await asyncio.wait_for(
                self._upstream.send("POST", "/", headers, body), _FINISH_S
            )
        except (NoAnswerError, TimeoutError):
            return
        if answer.status == 200:
            self._describe(answer.body)

    def _describe(self, body: bytes) -> None:
        try:
            description = orjson.loads(body)["Table"]
            schema = read_schema(description)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
            # what answers there is not quite DynamoDB
            return
        if schema is not None:
            self._asked.add(schema.name)
            self._schemas[schema.name] = schema
            self._writer.describe(schema.name, description)


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: RequestHandler,
    writer: AbstractStreamWriter,
    task: "asyncio.Task[None]",
) -> web.BaseRequest:
    """Return a request that may have as large a body as DynamoDB takes."""
    loop = asyncio.get_running_loop()
    return web.BaseRequest(
        message, payload, protocol, writer, task, loop, client_max_size=MOST_BODY_BYTES
    )


def _parsed(body: bytes) -> dict[str, Any] | None:
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return request if isinstance(request, dict) else None


def _unanswered(seen: "partial[Exchange]", duration_s: float, failure: str) -> Exchange:
    return seen(duration_s=duration_s, status=0, answer=b"", consumed=(), failure=failure)


def _no_answer(reason: str) -> Answer:
    # as SDKs know it: an error of the server, which they try again
    content = orjson.dumps(
        {
            "__type": "com.amazonaws.dynamodb.v20120810#InternalServerError",
            "message": f"perfkit record got no answer from its target: {reason}",
        }
    )
    headers = CIMultiDict({"Content-Type": _CONTENT_TYPE, "x-amz-crc32": str(zlib.crc32(content))})
    return Answer(HTTPStatus.BAD_GATEWAY, headers, content)


def _refused(status: HTTPStatus, code: str, message: str) -> web.Response:
    content = orjson.dumps({"__type": f"com.amazon.coral.service#{code}", "Message": message})
    headers = {"Content-Type": _CONTENT_TYPE, "x-amz-crc32": str(zlib.crc32(content))}
    return web.Response(status=status, body=content, headers=headers)
