"""Memory of a process and all its children, watched while they run."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

__all__ = ["MemoryPeak", "watch"]

_EVERY_S = 0.05


@dataclass(slots=True)
class MemoryPeak:
    """
    Largest sums over all processes, in bytes; 0 where the system has no /proc.

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


def _tree(root: int) -> Iterator[int]:
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            # the name in parentheses may hold anything, the parent stands second behind it
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        parents.setdefault(parent, []).append(int(path.parent.name))
    waiting = [root]
    while waiting:
        process = waiting.pop()
        yield process
        waiting += parents.get(process, ())


def _memory(process: int) -> tuple[int, int] | None:
    """Return resident and own bytes; None for a process that has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return None
    sizes = {
        name: int(rest.split()[0]) << 10
        for name, _, rest in (line.partition(":") for line in lines)
        if name in {"VmRSS", "RssAnon"}
    }
    return (sizes["VmRSS"], sizes["RssAnon"]) if len(sizes) == 2 else None
