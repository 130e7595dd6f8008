"""Which saved runs a report shows, and which of them may stand in one comparison."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from perfkit.analysis.costs import Costs
from perfkit.cost.options import QUOTED, CostOptions
from perfkit.runs import Run
from perfkit.units import one_line
from perfkit.workloads.outline import outline

__all__ = ["Group", "Selection", "select", "target_title"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """
    Runs over one workload on one target: only these may be compared or summed up together.

    Args:
        title: Workload and target, for people; no two groups of a selection share it.
        runs: Newest run of each scenario, in the order in which scenarios were first run.
    """

    title: str
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """
    The runs of a report.

    Args:
        groups: Newest first.
        older: Earlier runs of the same questions, newest first.
        list_older: The reader asked to see them.
        unreadable: What was wrong with run files that could not be read.
        costs: What the reader wants to know about cost; None for nothing.
        now: When the report is read, by which runs are old; None where that does not matter.
        is_choice: They are what a command was asked to measure: what they leave out is no doubt.
    """

    groups: tuple[Group, ...]
    older: tuple[Run, ...] = ()
    list_older: bool = False
    unreadable: tuple[str, ...] = ()
    costs: Costs | None = None
    now: datetime | None = None
    is_choice: bool = False

    @property
    def runs(self) -> tuple[Run, ...]:
        return tuple(run for group in self.groups for run in group.runs)

    @property
    def shows_a_document(self) -> bool:
        """Whether a document's architecture is asked for, or belongs beside what was measured."""
        options = None if self.costs is None else self.costs.options
        asked = options is not None and bool(options.architecture or options.prices == QUOTED)
        return asked or not self.runs or any(run.quoted for run in self.runs)

    def only(self, runs: Iterable[Run]) -> "Selection":
        """Return the same with these runs alone."""
        wanted = set(map(id, runs))
        groups = (
            replace(group, runs=tuple(run for run in group.runs if id(run) in wanted))
            for group in self.groups
        )
        return replace(self, groups=tuple(group for group in groups if group.runs))

    def title(self, run: Run) -> str:
        """Return the scenario's name, with workload and target where the report has several."""
        group = next(group for group in self.groups if run in group.runs)
        return run.scenario if len(self.groups) == 1 else f"{run.scenario} ({group.title})"


def select(
    runs: Iterable[Run],
    *,
    list_older: bool = False,
    problems: Sequence[Exception] = (),
    cost: CostOptions | None = None,
    now: datetime | None = None,
    is_choice: bool = False,
) -> Selection:
    """
    Divide runs into those that are shown and those that are only older.

    Shown is the newest of each scenario on each workload and target. A workload file that was
    edited between two runs is another workload: its tables may differ.

    Args:
        runs: In any order.
        list_older: Whether the report lists the older ones.
        problems: Errors of run files that could not be read.
        cost: What the reader wants to know about cost.
        now: When the report is read.
        is_choice: They are what a command was asked to measure.
    """
    newest_first = sorted(runs, key=_age, reverse=True)
    newest: dict[tuple[str, ...], Run] = {}
    oldest: dict[tuple[str, ...], int] = {}
    for number, run in enumerate(newest_first):
        question: tuple[str, ...] = (
            run.scenario,
            run.workload,
            _identity(run.target),
            _loaded(run),
        )
        newest.setdefault(question, run)
        oldest[question] = number

    divided: dict[tuple[str, str, str], list[tuple[int, Run]]] = {}
    for question, run in newest.items():
        key = (run.workload, run.workload_digest, _identity(run.target))
        divided.setdefault(key, []).append((oldest[question], run))
    # The order of first runs is the workload's own, and measuring again does not change it.
    members = {
        key: _without_documents(
            tuple(run for _, run in sorted(pairs, key=lambda pair: pair[0], reverse=True))
        )
        for key, pairs in divided.items()
    }
    titles = _titles(tuple(runs[0] for runs in members.values()))
    by_title = dict(zip(titles, members.values(), strict=True))
    shown = set(map(id, newest.values()))
    return Selection(
        groups=tuple(Group(title=title, runs=runs) for title, runs in by_title.items()),
        older=tuple(run for run in newest_first if id(run) not in shown),
        list_older=list_older,
        unreadable=tuple(str(problem) for problem in problems),
        costs=None if cost is None else Costs(cost, by_title),
        now=now,
        is_choice=is_choice,
    )


def _loaded(run: Run) -> str:
    """Return what tells load tests apart that are not the same one, older and newer."""
    if run.load_test is None:
        return ""
    settings = run.load_test.settings
    # one whose service was changed meanwhile was started for that, at an address of its own
    stages = [each.name for each in run.load_test.stages]
    return json.dumps([settings.mix, stages or settings.switches or settings.urls], sort_keys=True)


def _without_documents(runs: tuple[Run, ...]) -> tuple[Run, ...]:
    """Return runs of the cache without a document's figures where the workload quotes none."""
    known = outline(runs[0].workload, runs[0].workload_digest)
    if known is None or known.quotes:
        return runs
    return tuple(
        replace(
            run,
            quoted=None,
            hours=tuple(
                each for each in run.hours if "quoted" not in {each.provenance, each.latencies}
            ),
        )
        if run.kind in {"cache", "cache-hour"} and run.quoted
        else run
        for run in runs
    )


def target_title(target: dict[str, object]) -> str:
    """Return where a run was measured, in a few words: `embedded`, `endpoint http://…`."""
    kind = str(target.get("kind", "unknown target"))
    where = [str(target[key]) for key in ("endpoint", "region") if target.get(key)]
    title = one_line(" ".join([kind, *where]))
    modelled = target.get("modelled")
    if isinstance(modelled, Mapping):
        # which units tables have is too long for a title
        provisioned = str(modelled.get("throughput", "")).startswith("enforced;")
        named = (
            f"{each} (provisioned)" if each == "throughput" and provisioned else str(each)
            for each in modelled
        )
        title += f" with AWS's {one_line(', '.join(named))} modelled"
    return title


def _titles(runs: tuple[Run, ...]) -> tuple[str, ...]:
    """Return a title for each group's runs, as short as tells them apart."""
    seen: set[tuple[str, str]] = set()
    earlier = []
    for run in runs:
        identity = run.workload, _identity(run.target)
        earlier.append(f", earlier file {run.workload_digest[:8]}" if identity in seen else "")
        seen.add(identity)
    candidates = [
        (
            f"workload {name}{version}, target {target_title(run.target)}",
            f"workload {name} {run.workload_digest[:8]}, target {target_title(run.target)}",
            f"workload {name} {run.workload_digest}, target {one_line(_identity(run.target))}",
        )
        for run, version in zip(runs, earlier, strict=True)
        for name in [one_line(run.workload)]
    ]
    by_length = tuple(zip(*candidates, strict=True)) or ((),)
    return next((each for each in by_length if len(set(each)) == len(each)), by_length[-1])


def _identity(target: dict[str, object]) -> str:
    return json.dumps(target, sort_keys=True, ensure_ascii=False)


def _age(run: Run) -> tuple[float, str]:
    moment = datetime.fromisoformat(run.started_at)
    return moment.timestamp(), run.id
