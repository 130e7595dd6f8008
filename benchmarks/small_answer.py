"""A bare ASGI application that answers two bytes: `python -m benchmarks.small_answer`."""

from typing import Any

import uvicorn

__all__ = ["app"]


async def app(scope: Any, _receive: Any, send: Any) -> None:
    """Answer whatever is asked."""
    if scope["type"] != "http":
        return
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


def main() -> None:
    """Serve on a free port, and print its URL."""
    from perfkit.processes.sockets import bind, url_of

    listener = bind("127.0.0.1", 0)
    listener.listen(2048)
    print(url_of(listener, "127.0.0.1"), flush=True)
    config = uvicorn.Config(app, log_level="error", lifespan="off", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
