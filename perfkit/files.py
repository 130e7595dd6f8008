"""Files that only their owner may read, and temporary ones whose process is gone."""

import contextlib
import errno
import os
import shutil
from pathlib import Path

from perfkit.errors import ConfigError, StorageFullError

__all__ = ["remove_orphans", "write_private"]


def remove_orphans(parent: Path, prefix: str) -> None:
    """
    Remove temporary files and folders of this user whose process is gone.

    Args:
        parent: Where they are.
        prefix: What their names begin with, followed by the process's number and a dash.
    """
    for path in parent.glob(f"{prefix}*-*"):
        owner = path.name.removeprefix(prefix).partition("-")[0]
        with contextlib.suppress(OSError, ValueError):
            if path.lstat().st_uid != os.getuid() or _is_running(int(owner)):
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


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
        temporary = place.with_name(f".{place.name[:200]}.{os.getpid()}.tmp")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(place)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
                if claimed:
                    place.unlink()
            raise
    except FileExistsError as error:
        msg = f"{path} is there already; --force replaces it, or {advice}"
        raise ConfigError(msg) from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            msg = f"no space left to write {path}; free some and try again"
            raise StorageFullError(msg) from error
        msg = f"cannot write {path} ({error.strerror or error}); {advice} or make this one writable"
        raise ConfigError(msg) from error
