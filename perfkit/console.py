"""
The console a command runs at: its standard streams, Ctrl-C, and what it prints when it ends.

Nothing heavy is imported here, because Ctrl-C must be answered while everything else loads.
"""

import errno
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from types import FrameType
from typing import Any, TextIO

__all__ = [
    "INTERRUPTED",
    "is_out_of_files",
    "prepare_streams",
    "silence",
    "stop_on_signals",
    "terminate_as_interrupt",
]

INTERRUPTED = 130
"""Exit code after Ctrl-C."""

_AGAIN_S = 0.01

_STANDARD = (("stdin", os.O_RDONLY), ("stdout", os.O_RDONLY), ("stderr", os.O_WRONLY))


def prepare_streams() -> None:
    """
    Make sure that descriptors 0 to 2 are open and that any text can be written.

    A closed one would otherwise be given to the next file that is opened, and what a child
    process prints would go into that file. Standard output becomes one that cannot be written
    to, so that results nobody can receive are an error; what cannot be written to standard error
    is dropped, because the exit code says the same.
    """
    for descriptor, (name, mode) in enumerate(_STANDARD):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, mode)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
            os.set_inheritable(descriptor, True)  # noqa: FBT003
        if getattr(sys, name) is None:
            # that of standard error is replaced below, and must not close the descriptor as it goes
            mode_name = "w" if descriptor else "r"
            opened_again = open(descriptor, mode_name, encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, opened_again)
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors != "replace":
        # names of files are bytes, and not all bytes are text
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(_Dropping(2, "w", closefd=False)),
        encoding=sys.stderr.encoding,
        errors="backslashreplace",
        line_buffering=True,
    )


class _Dropping(io.FileIO):
    """A file that takes everything and drops what cannot be written."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)


def silence(stream: TextIO) -> None:
    """Drop what is and will be written to *stream*: Python would try once more at exit, and complain."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
    except (OSError, ValueError):
        # no descriptor left, or a stream that is no file
        pass


def is_out_of_files(error: BaseException) -> bool:
    """Return whether *error* comes from a process, or a system, that may open no more files."""
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno in {errno.EMFILE, errno.ENFILE}:
            return True
        # modules in C are loaded by the system, which gives its reason as text
        if isinstance(cause, ImportError) and os.strerror(errno.EMFILE) in str(cause):
            return True
    return False


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


class _Phase(Enum):
    LOADING = "nothing has begun, and nothing has to be put right"
    WORKING = "an interrupt ends what is being done"
    ENDING = "what is being put right must not be interrupted again"


class _Interrupts:
    """What Ctrl-C does, from the first line of the program to the last."""

    def __init__(self) -> None:
        self._phase = _Phase.LOADING

    def install(self) -> None:
        """Answer Ctrl-C, unless this process was started with it ignored."""
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self.answer)
            sys.unraisablehook = self._try_again

    def begin(self) -> None:
        """From now on an interrupt is raised, once, as KeyboardInterrupt."""
        if self._phase is _Phase.LOADING:
            self._phase = _Phase.WORKING

    def end(self) -> None:
        """From now on Ctrl-C is ignored, also once Python has put its handlers away."""
        self._phase = _Phase.ENDING
        if signal.getsignal(signal.SIGINT) == self.answer:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        # an interrupt that met code in a text, as dataclasses are made of, is noted by Python until
        # the next text, and under `python -m` would replace the exit code by a SIGINT
        exec("")  # noqa: S102

    def answer(self, *_: Any) -> None:
        """Answer a signal that asks for the end; those that follow the first are ignored."""
        phase, self._phase = self._phase, _Phase.ENDING
        if phase is _Phase.LOADING:
            sys.stderr.write("Interrupted.\n")
            os._exit(INTERRUPTED)
        if phase is _Phase.WORKING:
            if "asyncio" in sys.modules:
                # it would log each task that meets the interrupt
                sys.modules["logging"].getLogger("asyncio").disabled = True
            raise KeyboardInterrupt

    def _try_again(self, unraisable: Any) -> None:
        """Raise an interrupt again that met code which cannot pass errors on, such as a `__del__`."""
        if unraisable.exc_type is KeyboardInterrupt:
            self._phase = _Phase.WORKING
            # by then this hook, which cannot pass errors on either, is left
            again = threading.Timer(_AGAIN_S, os.kill, (os.getpid(), signal.SIGINT))
            again.daemon = True
            again.start()
        else:
            sys.__unraisablehook__(unraisable)


interrupts = _Interrupts()
"""What Ctrl-C does in this process."""


@contextmanager
def terminate_as_interrupt() -> Iterator[None]:
    """
    End by SIGTERM and SIGHUP as by Ctrl-C, so that they save and leave behind what it does.

    It also decorates a command. Who sends the signal twice, as `timeout` does, interrupts once.
    """
    # no other thread may say what signals do
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, interrupts.answer)
        for number in (signal.SIGTERM, signal.SIGHUP)
        # under nohup it goes on
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stop_on_signals() -> threading.Event:
    """Return an event that the first SIGTERM or Ctrl-C sets; a second Ctrl-C interrupts."""
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            signal.default_int_handler(number, frame)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
    return stop
