"""The engine behind HTTP, for any AWS SDK: an ASGI application served by uvicorn."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from perfkit.embedded.engine import Engine
from perfkit.embedded.transport import CONTENT_TYPE, answer, checksum
from perfkit.errors import ConfigError, PerfkitError

__all__ = ["application", "serve"]

_LARGEST_BODY_BYTES = 20 << 20
"""AWS takes 16 MB; a little more lets its own error answer what is over."""

_Application = Callable[[Any, Any, Any], Awaitable[None]]

_log = logging.getLogger("perfkit.dynamodb")


def application(engine: Engine) -> _Application:
    """Return the ASGI application that answers DynamoDB's protocol from *engine*."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        body = await _read(receive)
        if body is None:
            await _respond(send, 413, b'{"message":"Request size limit exceeded"}')
            return
        target = headers.get(b"x-amz-target", b"").decode("latin-1")
        if scope["method"] != "POST":
            # what AWS answers to a health check
            await _respond(send, 200, b"healthy: perfkit embedded DynamoDB", b"text/plain")
            return
        try:
            status, content = await asyncio.to_thread(answer, engine, target, body)
        except PerfkitError as error:
            _log.error("%s", error)
            status, content = 500, _failure(str(error))
        except Exception as error:  # noqa: BLE001 - one bad request must not end the server
            _log.exception("internal error in %s", target)
            status, content = 500, _failure(f"{type(error).__name__}: {error}")
        await _respond(send, status, content)

    return app


def _failure(message: str) -> bytes:
    import orjson

    kind = "com.amazonaws.dynamodb.v20120810#InternalServerError"
    return orjson.dumps({"__type": kind, "message": message})


async def _read(receive: Any) -> bytes | None:
    """Return the whole body, or None if it is too large."""
    chunks = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > _LARGEST_BODY_BYTES:
            return None
        if not message.get("more_body"):
            return b"".join(chunks)


async def _respond(
    send: Any, status: int, content: bytes, content_type: bytes = CONTENT_TYPE.encode()
) -> None:
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(content)).encode()),
        (b"x-amzn-requestid", uuid.uuid4().hex.upper().encode()),
        (b"x-amz-crc32", checksum(content).encode()),
        (b"server", b"perfkit"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def serve(
    engine: Engine, host: str, port: int, *, started: Callable[[str], None] | None = None
) -> None:
    """
    Answer requests until interrupted.

    Args:
        port: 0 takes a free one.
        started: Called with the URL once connections are accepted.

    Raises:
        ConfigError: The address cannot be listened on.
    """
    import socket

    import uvicorn

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches delayed sending off only for sockets that name their protocol; left on,
    # it holds every answer back for 40 ms
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        msg = f"cannot listen on {host} port {port} ({error}); choose another --port"
        raise ConfigError(msg) from error
    shown = f"[{host}]" if family is socket.AF_INET6 else host
    url = f"http://{shown}:{listener.getsockname()[1]}"

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[Any] | None = None) -> None:
            await super().startup(sockets)
            if started is not None:
                started(url)

    config = uvicorn.Config(
        application(engine),
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
    )
    try:
        # uvicorn raises the interrupt again when it has shut down
        with suppress(KeyboardInterrupt):
            Server(config).run(sockets=[listener])
    finally:
        listener.close()
        engine.close()
