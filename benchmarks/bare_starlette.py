"""
The least a service could do: copies the bytes of one Redis key into its answers.

    python -m benchmarks.bare_starlette LISTENER     answers at a listening socket it inherits
"""

import os
import socket
import sys
from typing import TYPE_CHECKING

import uvicorn
from redis.asyncio import BlockingConnectionPool, Redis
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from perfkit.cache.address import parse_url
from perfkit.cache.breaker import CircuitBreaker
from perfkit.cache.connection import Connection

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["BY_PERFKIT", "BY_REDIS_PY", "KEY", "REDIS_VARIABLE", "create_application", "main"]

REDIS_VARIABLE = "BARE_REDIS_URL"
KEY = "bare:answer"
"""Where the bytes are."""

BY_REDIS_PY = "/redis-py"
BY_PERFKIT = "/perfkit"

_POOL_CONNECTIONS = 4
_LIMIT_S = 1.0


def create_application(redis_url: str) -> Starlette:
    """Return the application: one path for each Redis client."""
    pool = BlockingConnectionPool.from_url(redis_url, max_connections=_POOL_CONNECTIONS)
    client = Redis(connection_pool=pool)
    connection = Connection(parse_url(redis_url), CircuitBreaker(), _LIMIT_S)

    async def by_redis_py(_: "Request") -> Response:
        return Response(await client.get(KEY), media_type="application/json")

    async def by_perfkit(_: "Request") -> Response:
        [body] = await connection.ask(("GET", KEY), limit_s=_LIMIT_S)
        return Response(body, media_type="application/json")

    return Starlette(routes=[Route(BY_REDIS_PY, by_redis_py), Route(BY_PERFKIT, by_perfkit)])


def main() -> None:
    """Answer until told to stop."""
    # uvicorn as the service runs it
    config = uvicorn.Config(
        create_application(os.environ[REDIS_VARIABLE]),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])


if __name__ == "__main__":
    main()
