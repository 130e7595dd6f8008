"""The folder that keeps run files."""

import contextlib
import errno
import os
import re
import secrets
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import NamedTuple

from perfkit.errors import ConfigError, PerfkitError, RunFileError, cannot_write
from perfkit.files import replace_file
from perfkit.runs.bounds import parse_moment
from perfkit.runs.codec import decode, encode
from perfkit.runs.records import Run

__all__ = ["Listing", "RunStore", "is_run_file"]


class Listing(NamedTuple):
    """Runs found, newest first, and one error for each file that could not be read."""

    runs: list[Run]
    problems: list[RunFileError]


class RunStore:
    """
    The folder that keeps run files.

    A run is written under a temporary name in the same folder, forced to disk and renamed: a
    reader, or a power cut, sees a whole run or none.

    Args:
        folder: Made when the first run is saved; usually `.perfkit/runs`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def prepare(self) -> None:
        """
        Make the folder, so that a long measurement does not fail at its end.

        Raises:
            StorageFullError: The disk or the quota is full.
            ConfigError: The folder cannot be made or written to.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not os.access(self.folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            raise self._cannot_save(error) from error

    def save(self, run: Run) -> Path:
        """
        Save *run* and return its file; the file's name without `.json` is the run's id.

        Raises:
            StorageFullError: The disk or the quota is full; nothing of the run is left behind.
            ConfigError: The folder cannot be made or written to.
        """
        if not run.id:
            run = replace(run, id=_new_id(run.scenario, run.started_at))
        path = self.folder / f"{run.id}.json"
        content = encode(run)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            replace_file(path, content)
            _sync_folder(self.folder)
        except OSError as error:
            raise self._cannot_save(error) from error
        return path

    def _cannot_save(self, error: OSError) -> PerfkitError:
        return cannot_write(
            error,
            full=f"no space left to save the run in {self.folder}; free some and measure again",
            otherwise=f"cannot save runs in {self.folder} ({error.strerror or error});"
            " make the folder writable or work in another one",
        )

    def load(self, name: str | Path) -> Run:
        """
        Return one saved run.

        Args:
            name: A path, or the id of a run in this folder.

        Raises:
            RunFileError: There is no such file, or it is cut short, foreign or of a newer format.
        """
        path = Path(name)
        by_id = self.folder / f"{name}.json"
        if not path.is_file() and by_id.is_file():
            path = by_id
        try:
            text = path.read_bytes()
        except FileNotFoundError as error:
            msg = f"no run file {path}; `perfkit status` lists the saved runs"
            raise RunFileError(msg) from error
        except OSError as error:
            msg = f"cannot read run file {path} ({error.strerror or error})"
            raise RunFileError(msg) from error
        run = decode(text, f"run file {path}")
        return run if run.id else replace(run, id=path.stem)

    def list(self) -> Listing:
        """Return the saved runs, newest first; a file that is no run becomes a problem, not an error."""
        runs, problems = [], []
        try:
            # temporary files of a killed perfkit begin with a dot and do not end in .json
            paths = sorted(path for path in self.folder.iterdir() if path.suffix == ".json")
        except (FileNotFoundError, NotADirectoryError):
            paths = []
        except OSError as error:
            msg = f"cannot read the runs in {self.folder} ({error.strerror or error})"
            raise ConfigError(msg) from error
        for path in paths:
            try:
                runs.append(self.load(path))
            except RunFileError as error:
                problems.append(error)
        runs.sort(key=lambda run: (parse_moment(run.started_at), run.id), reverse=True)
        return Listing(runs, problems)


_BEGINNING = re.compile(rb'\s*\{\s*"format":\s*\d+,\s*"perfkit":')


def is_run_file(path: Path) -> bool:
    """Tell whether a file can be read and was written as a run, also one cut short since."""
    try:
        with path.open("rb") as file:
            return _BEGINNING.match(file.read(200)) is not None
    except OSError:
        return False


def _new_id(scenario: str, started_at: str) -> str:
    """Return a name for a run's file that sorts by time and that no other run has."""
    stamp = parse_moment(started_at).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    word = re.sub(r"[^A-Za-z0-9_-]+", "-", scenario).strip("-")[:60] or "run"
    return f"{stamp}-{word}-{secrets.token_hex(3)}"


def _sync_folder(folder: Path) -> None:
    """Force a rename to disk, where the system can open a folder to do so."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        # some network and container file systems refuse; the rename itself has happened
        with contextlib.suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)
