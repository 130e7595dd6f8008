"""Files written in one step, those only their owner may read, temporary ones left behind."""

import atexit
import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from perfkit.errors import ConfigError, cannot_write

__all__ = ["TemporaryFolder", "replace_file", "write_private"]


def replace_file(path: Path, content: bytes, *, mode: int = 0o666) -> None:
    """
    Write a file in one step: readers see the old one or the whole new one.

    Args:
        path: Where; its folder must be there. A symbolic link is itself replaced.
        content: What, whole.
        mode: Who may do what with it, before the process's umask.

    Raises:
        OSError: It cannot be written; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name[:200]}.{os.getpid()}.tmp")
    # a process that was killed while it wrote may have had this one's number
    temporary.unlink(missing_ok=True)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


class TemporaryFolder:
    """
    A temporary folder for its owner alone, which goes when the process ends, if not before.

    One whose process was killed goes when the next with its prefix is made. A lock on the folder
    shows that its process lives: in another container, the process's number in the folder's name
    says nothing here.

    Args:
        prefix: What its name begins with; the process's number and a dash follow.
        parent: Where it is; the system's place for temporary files unless given.

    Attributes:
        path: Where it is.
    """

    def __init__(self, prefix: str, parent: Path | None = None) -> None:
        parent = Path(tempfile.gettempdir()) if parent is None else parent
        for left in parent.glob(f"{prefix}*-*"):
            _remove_orphan(left, left.name.removeprefix(prefix).partition("-")[0])
        self.path = Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=parent))
        self._owner = os.getpid()
        self._lock = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        # where there are no locks, the next one cannot have one either, and leaves it alone
        with contextlib.suppress(OSError):
            fcntl.flock(self._lock, fcntl.LOCK_SH)
        self._is_there = True
        atexit.register(self.remove)

    def remove(self) -> None:
        """Remove it with all that is in it, unless this process is a fork of its owner."""
        if os.getpid() != self._owner or not self._is_there:
            return
        self._is_there = False
        atexit.unregister(self.remove)
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _remove_orphan(path: Path, owner: str) -> None:
    """Remove what a process of this user has left, if that is gone."""
    # whoever writes a report need not load it
    import psutil

    with contextlib.suppress(OSError, ValueError):
        if path.lstat().st_uid != os.getuid() or psutil.pid_exists(int(owner)):
            return
        # no name that a link could lead elsewhere
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                # of an earlier version
                path.unlink()
        finally:
            os.close(descriptor)


def write_private(
    path: Path, text: str, *, replace: bool = False, advice: str = "give another --output"
) -> None:
    """
    Write a file in one step, readable by its owner alone (mode 0600).

    Args:
        path: Where; its folder must be there.
        text: What, whole.
        replace: Take the place of a file that is there.
        advice: What to do where the place is no good.

    Raises:
        StorageFullError: The disk or the quota is full; nothing is left behind.
        ConfigError: There is such a file and it is not to be replaced, or the place cannot be
            written to.
    """
    if path.exists() and not path.is_file():
        msg = f"{path} is no ordinary file; {advice}"
        raise ConfigError(msg)
    claimed = False
    try:
        # through a symbolic link: renaming would replace the link itself
        place = path.resolve()
        if not replace:
            # from here on nobody else writes there unasked
            os.close(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            claimed = True
        try:
            replace_file(place, text.encode(), mode=0o600)
        except BaseException:
            if claimed:
                with contextlib.suppress(OSError):
                    place.unlink()
            raise
    except FileExistsError as error:
        msg = f"{path} is there already; --force replaces it, or {advice}"
        raise ConfigError(msg) from error
    except OSError as error:
        raise cannot_write(
            error,
            full=f"no space left to write {path}; free some and try again",
            otherwise=f"cannot write {path} ({error.strerror or error}); {advice} or make this one"
            " writable",
        ) from error
