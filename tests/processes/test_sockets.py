"""An address that is kept for a program which does not listen yet."""

import socket
import sys

import pytest

from perfkit.processes.sockets import kept_free

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no two may bind to an address"),
]


def test_a_port_is_kept_until_the_server_it_is_for_listens() -> None:
    with kept_free("127.0.0.1", 0) as address:
        with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
            stranger.bind(address)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
        # with SO_REUSEADDR, as servers do
        with socket.create_server(address):
            socket.create_connection(address).close()
