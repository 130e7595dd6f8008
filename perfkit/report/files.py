"""Reports as files: written whole under a temporary name and renamed, or not at all."""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path

from perfkit.errors import ConfigError, PerfkitError, cannot_write
from perfkit.files import replace_file

__all__ = ["check_place", "explain_write_error", "write_folder", "write_text"]


def check_place(path: Path, is_ours: Callable[[str], bool], *, force: bool = False) -> None:
    """
    Refuse to write where a folder is missing, and to replace what is no report of perfkit's.

    Args:
        path: Where a report is to be written.
        is_ours: Says of what is in a file whether perfkit wrote it, so that it may be replaced.
        force: Replace whatever is there.

    Raises:
        ConfigError: There is no such folder, or another file is there.
    """
    if not path.parent.is_dir():
        msg = f"cannot write {path}: no folder {path.parent}; make it or give another --output"
        raise ConfigError(msg)
    if force or not path.is_file():
        return
    try:
        old = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise explain_write_error(error, str(path)) from error
    if old.strip() and not is_ours(old):
        msg = (
            f"{path} is there already, and is no such report of perfkit's; --force replaces it, or"
            " give another --output"
        )
        raise ConfigError(msg)


def write_text(path: Path, text: str) -> None:
    """
    Write a file in one step: readers see the old one or the whole new one.

    Missing folders on the way are made. What is no ordinary file, such as a named pipe, is
    written to as it is.

    Raises:
        StorageFullError: The disk or the quota is full; nothing is left behind, no new folder either.
        ConfigError: The place cannot be written to.
    """
    # A lone surrogate, which JSON can smuggle into a name, has no UTF-8.
    content = text.encode("utf-8", "backslashreplace")
    try:
        # Through a symbolic link: renaming would replace the link itself.
        target = path.resolve()
        if target.exists() and not target.is_file():
            target.write_bytes(content)
            return
        missing = [each for each in target.parents if not each.exists()]
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            replace_file(target, content)
        except BaseException:
            # Innermost first, and only while they are empty: others may have written there since.
            with contextlib.suppress(OSError):
                for each in missing:
                    each.rmdir()
            raise
    except OSError as error:
        raise explain_write_error(error, str(path)) from error


def write_folder(folder: Path, texts: Mapping[str, str]) -> tuple[Path, ...]:
    """
    Write several files into a folder, each in one step.

    Args:
        folder: Made if it is missing.
        texts: Contents by file name.

    Raises:
        StorageFullError: The disk or the quota is full.
        ConfigError: The folder cannot be made or written to.
    """
    if folder.exists() and not folder.is_dir():
        msg = f"{folder} is a file, and several tables need a folder; give another --output"
        raise ConfigError(msg)
    paths = tuple(folder / name for name in texts)
    for path, text in zip(paths, texts.values(), strict=True):
        write_text(path, text)
    return paths


def explain_write_error(error: OSError, place: str) -> PerfkitError:
    """Return the error to raise when writing a report to *place* failed."""
    return cannot_write(
        error,
        full=f"no space left to write the report to {place}; free some and try again",
        otherwise=f"cannot write the report to {place} ({error.strerror or error});"
        " give another --output or make this one writable",
    )
