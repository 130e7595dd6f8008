"""Files written in one step, those only their owner may read, temporary ones left behind."""

import contextlib
import os
import shutil
from pathlib import Path

from perfkit.errors import ConfigError, cannot_write

__all__ = ["remove_orphans", "replace_file", "write_private"]


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


def remove_orphans(parent: Path, prefix: str) -> None:
    """
    Remove temporary files and folders of this user whose process is gone.

    Args:
        parent: Where they are.
        prefix: What their names begin with, followed by the process's number and a dash.
    """
    # whoever writes a report need not load it
    import psutil

    for path in parent.glob(f"{prefix}*-*"):
        owner = path.name.removeprefix(prefix).partition("-")[0]
        with contextlib.suppress(OSError, ValueError):
            if path.lstat().st_uid != os.getuid() or psutil.pid_exists(int(owner)):
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


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
