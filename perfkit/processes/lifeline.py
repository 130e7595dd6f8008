"""
What ties a child process to its supervisor: a socket, readable when the supervisor is gone.

The child says over it that it works, and ends when nobody holds the other end any more.
"""

import socket

__all__ = ["OPTION", "READY", "take"]

OPTION = "--lifeline"
"""Followed by the descriptor; every child is started with it."""

READY = b"r"
"""What a child writes once it works."""


def take(descriptor: int) -> socket.socket:
    """Return the child's end of the line."""
    return socket.socket(fileno=descriptor)
