"""
One process of the service, `python -m perfkit.service.process`: answers requests, or delivers mail.

It is started by the supervisor, tells it when it works, and ends when the supervisor is gone.
"""

import argparse
import asyncio
import errno
import logging
import signal
import socket
import sys
import threading
from typing import Any

from perfkit.errors import ConfigError, PerfkitError
from perfkit.service.settings import ServiceSettings

__all__ = ["READY", "bind", "main"]

READY = b"r"
"""What a worker writes to its lifeline once it takes requests."""

_BACKLOG = 2048
_KEEP_ALIVE_S = 75
_GRACE_S = 5

_log = logging.getLogger("perfkit.service")


def bind(host: str, port: int, *, shared: bool) -> socket.socket:
    """
    Return a socket bound to an address, not listening yet.

    Args:
        port: 0 takes a free one.
        shared: Others may bind to it as well, and the system spreads connections over those
            that listen.

    Raises:
        ConfigError: The address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches delayed sending off only for sockets that name their protocol
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        # what is wrong with the address no other port makes good
        of_host = isinstance(error, socket.gaierror) or (
            isinstance(error, OSError) and error.errno == errno.EADDRNOTAVAIL
        )
        other = "--host" if of_host else "--port"
        msg = f"cannot listen on {host} port {port} ({error}); choose another {other}"
        raise ConfigError(msg) from error
    return listener


def main() -> None:
    """Work until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lifeline", type=int, required=True, help="A socket to the supervisor.")
    parser.add_argument("--listener", type=int, help="A socket to listen on.")
    parser.add_argument("--host", help="An address to listen on.")
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(process)d %(levelname)s %(message)s")
    lifeline = socket.socket(fileno=options.lifeline)
    try:
        _work(options, lifeline)
    except PerfkitError as error:
        sys.exit(f"Error: {error}")


def _work(options: argparse.Namespace, lifeline: socket.socket) -> None:
    if options.listener is not None:
        _serve(socket.socket(fileno=options.listener), lifeline)
    elif options.host is not None:
        _serve(bind(options.host, options.port, shared=True), lifeline)
    else:
        _deliver(lifeline)


def _serve(listener: socket.socket, lifeline: socket.socket) -> None:
    import uvicorn

    from perfkit.service.protocol import BoundedProtocol

    listener.listen(_BACKLOG)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[Any] | None = None) -> None:
            await super().startup(sockets)
            lifeline.sendall(READY)
            asyncio.get_running_loop().add_reader(lifeline, self._left_alone)

        def _left_alone(self) -> None:
            # the supervisor says nothing: there is something to read when its end is closed
            asyncio.get_running_loop().remove_reader(lifeline)
            _log.warning("the supervisor is gone")
            self.should_exit = True

    config = uvicorn.Config(
        "perfkit.service.app:from_environment",
        factory=True,
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
    )
    Server(config).run(sockets=[listener])


def _deliver(lifeline: socket.socket) -> None:
    from perfkit.service.notifications.mail import SmtpSettings
    from perfkit.service.notifications.sink import LocalSink
    from perfkit.service.notifications.worker import Worker

    # what dramatiq has to say is said by the worker itself, without the content of messages
    logging.getLogger("dramatiq").setLevel(logging.CRITICAL)
    settings = ServiceSettings.from_environment()
    url = settings.smtp_url
    smtp = LocalSink(settings.folder) if url is None else SmtpSettings.from_url(url)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    def wait_for_end() -> None:
        lifeline.recv(1)
        stop.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    worker = Worker(settings.redis_url or "", smtp, settings.folder)
    worker.run(stop, started=lambda: lifeline.sendall(READY))


if __name__ == "__main__":
    main()
