"""
The plainest FastAPI application that does by hand what the service does for a cached answer.

    python -m benchmarks.plain_fastapi PORT     answers at a port that several may share

A dependency looks up the session of a token in Redis, a path function gets the body from Redis
and returns it.
"""

import gc
import os
import sys
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from redis.asyncio import BlockingConnectionPool, Redis

from perfkit.processes.sockets import bind

__all__ = ["REDIS_VARIABLE", "body_key", "create_application", "main", "session_key"]

REDIS_VARIABLE = "PLAIN_REDIS_URL"

_POOL_CONNECTIONS = 4
_BACKLOG = 2048

_bearer = HTTPBearer()


def session_key(token: str) -> str:
    """Return where the user of a token is."""
    return f"plain:session:{token}"


def body_key(semester: str, department: str) -> str:
    """Return where the bytes of an answer are."""
    return f"plain:courses:{semester}:{department}"


def create_application(redis_url: str) -> FastAPI:
    """Return the application."""
    # four connections do more than many
    pool = BlockingConnectionPool.from_url(redis_url, max_connections=_POOL_CONNECTIONS)
    client = Redis(connection_pool=pool)
    app = FastAPI()

    async def current_user(
        credentials: Annotated[HTTPAuthorizationCredentials, Depends(_bearer)],
    ) -> str:
        user = await client.get(session_key(credentials.credentials))
        if user is None:
            raise HTTPException(401)
        return str(user)

    @app.get("/api/courses")
    async def list_courses(
        user: Annotated[str, Depends(current_user)],  # noqa: ARG001 - who asks must be known
        semester: str,
        department: str,
    ) -> Response:
        body = await client.get(body_key(semester, department))
        return Response(body, media_type="application/json")

    return app


def main() -> None:
    """Answer until told to stop."""
    listener = bind("127.0.0.1", int(sys.argv[1]), shared=True)
    listener.listen(_BACKLOG)
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
    # as the service's workers do, so that no difference comes of it
    gc.collect()
    gc.freeze()
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
