"""
What ties a child process to its supervisor: a socket, readable when the supervisor is gone.

The child says over it that it works, and ends when nobody holds the other end any more.
"""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

__all__ = ["OPTION", "READY", "await_end", "start"]

OPTION = "--lifeline"
"""Followed by the descriptor; every child is started with it."""

READY = b"r"
"""What a child writes once it works."""


def start(
    command: Callable[[int], Sequence[str]],
    *,
    environment: Mapping[str, str] | None = None,
    descriptors: Sequence[int] = (),
    stdout: int | None = None,
) -> "tuple[subprocess.Popen[bytes], socket.socket]":
    """
    Start a child; return it, and this end of the line.

    Args:
        command: Returns the whole command line with the descriptor of the child's end.
        environment: What to add to this process's environment.
        descriptors: Open files that it inherits.
        stdout: Where its output goes; None for where this process's goes.
    """
    ours, theirs = socket.socketpair()
    descriptor = theirs.fileno()
    with theirs:
        process = subprocess.Popen(  # noqa: S603 - what the caller gives
            command(descriptor),
            env={**os.environ, **(environment or {})},
            pass_fds=(descriptor, *descriptors),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            # an interrupt at the keyboard is for the parent, who then ends its children
            start_new_session=True,
        )
    return process, ours


def await_end(process: "subprocess.Popen[bytes]", deadline_s: float) -> None:
    """Wait for a child's end, and make one if it takes too long."""
    try:
        process.wait(max(deadline_s - time.monotonic(), 0.01))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
