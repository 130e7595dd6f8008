"""
One process of the service, `python -m perfkit.service.process`: answers requests, or delivers mail.

It is started by a supervisor, tells it when it works, and ends when the supervisor is gone.
"""

import argparse
import asyncio
import gc
import logging
import signal
import socket
import sys
import threading
from typing import Any

from perfkit.errors import PerfkitError
from perfkit.processes import lifeline
from perfkit.processes.sockets import bind
from perfkit.service.settings import ServiceSettings

__all__ = ["main"]

_BACKLOG = 2048
_KEEP_ALIVE_S = 75
_GRACE_S = 5
_MOST_CONNECTIONS = 4096

_log = logging.getLogger("perfkit.service")


def main() -> None:
    """Work until stopped."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        lifeline.OPTION, type=int, required=True, help="A socket to the supervisor."
    )
    parser.add_argument("--deliver", action="store_true", help="Deliver mail; answer nothing.")
    parser.add_argument("--listener", type=int, help="A socket to listen on.")
    parser.add_argument("--host", help="An address to listen on.")
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(process)d %(levelname)s %(message)s")
    logging.getLogger("uvicorn.error").addFilter(_is_no_cut_off_request)
    line = socket.socket(fileno=options.lifeline)
    try:
        if options.deliver:
            _deliver(line)
        elif options.listener is not None:
            _serve(socket.socket(fileno=options.listener), line)
        else:
            _serve(bind(options.host, options.port, shared=True), line)
    except PerfkitError as error:
        sys.exit(f"Error: {error}")


def _is_no_cut_off_request(record: logging.LogRecord) -> bool:
    """
    Return whether a record is to be logged: not that of a request which the service's end cut off.

    uvicorn logs a traceback of each, as of an error, beside a line that says how many there were.
    """
    return record.exc_info is None or record.exc_info[0] is not asyncio.CancelledError


def server_config(app: Any) -> Any:
    """Return how uvicorn runs the service: an application, or the name of a factory of one."""
    import uvicorn

    return uvicorn.Config(
        app,
        factory=isinstance(app, str),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        # connections and requests at a time; more get 503
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
    )


def _serve(listener: socket.socket, line: socket.socket) -> None:
    import uvicorn

    listener.listen(_BACKLOG)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[Any] | None = None) -> None:
            await super().startup(sockets)
            # what is loaded now stays, boto3's models above all: each time the collector looked for
            # garbage there, requests waited for 0.1 s
            gc.collect()
            gc.freeze()
            line.sendall(lifeline.READY)
            asyncio.get_running_loop().add_reader(line, self._left_alone)

        def _left_alone(self) -> None:
            # the supervisor says nothing: there is something to read when its end is closed
            asyncio.get_running_loop().remove_reader(line)
            _log.warning("the supervisor is gone")
            self.should_exit = True

    Server(server_config("perfkit.service.app:from_environment")).run(sockets=[listener])


def _deliver(line: socket.socket) -> None:
    from perfkit.queue.mail import SmtpSettings
    from perfkit.queue.sink import LocalSink
    from perfkit.queue.worker import Worker

    settings = ServiceSettings.from_environment()
    url = settings.smtp_url
    smtp = LocalSink(settings.folder) if url is None else SmtpSettings.from_url(url)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    def wait_for_end() -> None:
        line.recv(1)
        stop.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    worker = Worker(settings.redis_url or "", smtp, settings.folder)
    worker.run(stop, started=lambda: line.sendall(lifeline.READY))


if __name__ == "__main__":
    main()
