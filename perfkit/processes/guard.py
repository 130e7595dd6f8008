"""
Runs a program that ends with its starter, however that ends.

    python guard.py LIFE PROGRAM ARGUMENT…

LIFE is the reading end of a pipe whose only writing end the starter holds: when the starter is
gone, or closes it, the program is asked to end and killed if it does not. Should the guard
itself be killed, the kernel kills the program (on Linux). It is a process of its own because
the kernel's signal comes when the *thread* that started the program ends.
"""

import ctypes
import os
import select
import signal
import sys

_PR_SET_PDEATHSIG = 1
_GRACE_S = 2.0


def _closed(ends: set[int], wait_s: float | None = None) -> set[int]:
    """Wait for one of some reading ends to be closed on the other side, and return those that are."""
    # of a starter with many files open their numbers are beyond what select takes
    poll = select.poll()
    for end in ends:
        poll.register(end, select.POLLIN)
    return {end for end, _ in poll.poll(None if wait_s is None else wait_s * 1e3)}


def main() -> int:
    """Run the program to its end, or to the starter's."""
    life, command = int(sys.argv[1]), sys.argv[2:]
    guard = os.getpid()
    # the program holds the writing end, unknowingly: it is closed when the program is gone
    alive, mark = os.pipe()
    program = os.fork()
    if program == 0:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != guard:
            os._exit(1)
        os.close(life)
        os.set_inheritable(mark, True)  # noqa: FBT003 - the only way to say it
        try:
            os.execv(command[0], command)  # noqa: S606 - no shell is wanted
        except OSError as error:
            os.write(2, f"{command[0]}: {error.strerror}\n".encode())
            os._exit(127)
    os.close(mark)
    if life in _closed({life, alive}):
        os.kill(program, signal.SIGTERM)
        if not _closed({alive}, _GRACE_S):
            os.kill(program, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])


if __name__ == "__main__":
    sys.exit(main())
