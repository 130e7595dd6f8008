"""The runs that `perfkit compare` was asked for: by id, by scenario, by file or by folder."""

import difflib
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from perfkit.errors import ConfigError, RunFileError
from perfkit.runs import Run, RunKind, RunStore
from perfkit.settings import RUNS_FOLDER

__all__ = ["Side", "find_side"]

# courses, courses~1: the newest run of a scenario, and the one before it
_BY_SCENARIO = re.compile(r"(?P<name>.+?)(?:~(?P<back>\d{1,6}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """
    One side of a comparison.

    Args:
        title: What the user called it.
        runs: Its runs, oldest first; one, or all those of a folder.
        is_folder: Whether it is a folder of runs.
        problems: What was wrong with run files of the folder that could not be read.
    """

    title: str
    runs: tuple[Run, ...]
    is_folder: bool = False
    problems: tuple[str, ...] = ()


def find_side(text: str, store: RunStore) -> Side:
    """
    Return the runs that *text* names.

    Args:
        text: The id of a saved run or the beginning of one that no other shares; a scenario, for
            its newest run, or `scenario~1` for the one before; a run file; or a folder of runs,
            also one in which perfkit worked and that has them in `.perfkit/runs`.
        store: The saved runs.

    Raises:
        ConfigError: There is no such run, or several.
        RunFileError: The file is no run.
    """
    path = Path(text)
    if text and path.is_dir():
        return _folder(text, path)
    if path.is_file() or text.endswith(".json") or os.sep in text:
        return Side(title=text, runs=(store.load(path),))
    runs = store.list().runs
    by_id = [run for run in runs if text and run.id.startswith(text)]
    exact = [run for run in by_id if run.id == text]
    if exact or len(by_id) == 1:
        return Side(title=text, runs=(*exact, *by_id)[:1])
    found = _BY_SCENARIO.fullmatch(text)
    of_scenario = [run for run in runs if found is not None and run.scenario == found["name"]]
    if found is not None and of_scenario:
        back = int(found["back"] or 0)
        if back < len(of_scenario):
            return Side(title=text, runs=(of_scenario[back],))
        saved = "1 run is" if len(of_scenario) == 1 else f"{len(of_scenario)} runs are"
        msg = (
            f"there is no {text}: {saved} saved of scenario {found['name']};"
            f" measure again with `{_command_for(of_scenario[0])}`"
        )
        raise ConfigError(msg)
    raise _not_found(text, by_id, runs)


def _command_for(run: Run) -> str:
    """Return what to type for another run like one."""
    if run.kind is not RunKind.LOAD or run.load_test is None:
        return f"perfkit bench --scenario {run.scenario}"
    settings = run.load_test.settings
    if run.load_test.stages:
        return "perfkit migrate demo"
    if settings.phase is not None:
        return f"perfkit load --phase {settings.phase}{' --like-aws' * bool(run.modelled_of_aws)}"
    urls = "".join(f" --url {shlex.quote(url)}" for url in settings.urls)
    # a Locust file is known by its name alone
    option, file = ("mix", settings.mix_file) if settings.mix_file else ("locustfile", settings.mix)
    return f"perfkit load{urls} --{option} {shlex.quote(file)}"


def _folder(text: str, path: Path) -> Side:
    inner = path / RUNS_FOLDER
    listing = RunStore(inner if inner.is_dir() else path).list()
    if not listing.runs:
        msg = (
            f"no runs in the folder {text}; name one that holds run files, or one in which"
            " `perfkit bench` was run"
        )
        raise ConfigError(msg)
    return Side(
        title=text,
        runs=tuple(reversed(listing.runs)),
        is_folder=True,
        problems=tuple(str(problem) for problem in listing.problems),
    )


def _not_found(text: str, by_id: Sequence[Run], runs: Sequence[Run]) -> ConfigError:
    if by_id:
        ids = ", ".join(run.id for run in by_id[:3])
        more = f" and {len(by_id) - 3} more" if len(by_id) > 3 else ""
        return ConfigError(
            f"'{text}' begins the ids of {len(by_id)} runs: {ids}{more}; add letters"
        )
    if not runs:
        return ConfigError(
            f"no run '{text}': none are saved in {RUNS_FOLDER}; measure with `perfkit bench` first"
        )
    names = sorted({run.scenario for run in runs})
    near = difflib.get_close_matches(text, [*names, *(run.id for run in runs)], n=1)
    hint = f"did you mean '{near[0]}'? Saved" if near else "saved"
    return RunFileError(
        f"no run, scenario, file or folder '{text}'; {hint} are runs of {', '.join(names)}"
        " (`perfkit status` lists them)"
    )
