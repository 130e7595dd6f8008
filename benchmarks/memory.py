"""Memory of a process and all its children, watched while they run."""

import threading
from contextlib import suppress
from dataclasses import dataclass
from subprocess import Popen

import psutil

__all__ = ["MemoryPeak", "watch"]

_EVERY_S = 0.05


@dataclass(slots=True)
class MemoryPeak:
    """
    Largest sums over all processes, in bytes.

    Args:
        resident_bytes: All that was in memory, with what is mapped from files.
        own_bytes: What no file backs: what the system cannot drop when memory is short.
        processes: Most processes at once.
    """

    resident_bytes: int = 0
    own_bytes: int = 0
    processes: int = 0

    def look(self, root: int) -> None:
        """Take in how things stand."""
        known = [memory for memory in map(_memory, _tree(root)) if memory is not None]
        self.resident_bytes = max(self.resident_bytes, sum(memory[0] for memory in known))
        self.own_bytes = max(self.own_bytes, sum(memory[1] for memory in known))
        self.processes = max(self.processes, len(known))


def watch(process: Popen[str]) -> tuple[MemoryPeak, str]:
    """Wait for a process, looking at its tree all the time; return peaks and what it printed."""
    peak = MemoryPeak()
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(_EVERY_S):
            peak.look(process.pid)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        printed, _ = process.communicate()
    finally:
        ended.set()
        watcher.join()
    return peak, printed


def _tree(root: int) -> list[psutil.Process]:
    with suppress(psutil.Error):
        process = psutil.Process(root)
        return [process, *process.children(recursive=True)]
    return []


def _memory(process: psutil.Process) -> tuple[int, int] | None:
    """Return resident and own bytes; None for a process that has ended."""
    try:
        memory = process.memory_info()
    except psutil.Error:
        return None
    # what is resident of files and of shared memory; only Linux tells
    return memory.rss, memory.rss - getattr(memory, "shared", 0)
