"""Sockets that servers listen on."""

import errno
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from perfkit.errors import ConfigError

__all__ = ["bind", "kept_free", "url_at", "url_of"]


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """
    Return a socket bound to an address, not listening yet.

    Args:
        host: Name or address.
        port: 0 takes a free one.
        shared: Others may bind to it as well, and the system spreads connections over those
            that listen.

    Raises:
        ConfigError: The address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches delayed sending off only for sockets that name their protocol; left on,
    # it holds every answer back for 40 ms
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


@contextmanager
def kept_free(host: str, port: int) -> Iterator[tuple[str, int]]:
    """
    Keep an address, which may be any free port's, for a program that is about to listen on it.

    The program must bind with SO_REUSEADDR, as servers do. Only on Linux the system lets it while
    the address is kept; elsewhere another program may be quicker.

    Raises:
        ConfigError: The address cannot be had.
    """
    with bind(host, port) as keeper:
        found = host, int(keeper.getsockname()[1])
        if sys.platform != "linux":
            keeper.close()
        yield found


def url_of(listener: socket.socket, host: str) -> str:
    """Return the URL of a socket that was bound to *host*."""
    return url_at(host, listener.getsockname()[1])


def url_at(host: str, port: int) -> str:
    """Return the URL of an address."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
