"""
The checklist: what should be so, each line held against a saved run, a look at what runs, or code.

Phases and their lines are those of the reference document's implementation checklist. They are of
the workload that the reference service serves; of another one the lines about indexes and scans
apply, and gates of its own.
"""

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from perfkit import __version__
from perfkit.analysis.budgets import judge_budgets, most_units
from perfkit.analysis.measures import measures_of
from perfkit.analysis.outcome import find_outcome
from perfkit.analysis.verdict import Ruling, Verdict, taken_together
from perfkit.dynamodb.tables import TableState, index_difference
from perfkit.gates.judging import judge
from perfkit.gates.lines import Line
from perfkit.gates.source import Source
from perfkit.runs import Run, RunKind, Variant
from perfkit.service.endpoints import CACHED, is_served
from perfkit.units import format_duration, format_many, format_share, format_units
from perfkit.workloads.gates import Gate
from perfkit.workloads.model import AccessPattern, Index, Table, Workload

__all__ = ["Evidence", "check", "check_apart", "is_elsewhere"]

_PASS, _FAIL, _INVALID = Ruling.PASS, Ruling.FAIL, Ruling.INVALID

_GROUPS = {
    1: "Phase 1: cache layer",
    2: "Phase 2: database indexes",
    3: "Phase 3: advanced optimizations",
    4: "Phase 4: production deployment",
}
_INDEXES = "Indexes and scans"
_GATES = "Gates"

_MOST_NAMED = 3
_MEASURE_PHASES = "perfkit bench --scenario phases"
_NEED_INDEXES = ("perfkit load --phase 2", "perfkit load --phase 3", _MEASURE_PHASES)
_TEN_MINUTES_S = 600.0
_FEW_LOOKS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """
    What there is to go by.

    Args:
        workload: Whose tables, patterns and gates are checked.
        target: Where, as run files describe it.
        runs: Saved runs, newest first.
        tables: The workload's tables as the target describes them, None for one that is missing.
        tables_problem: Why they could not be looked at; empty where they were.
        redis: What a cache server answered; None where there is none to ask.
        source: What the service's source says; None where nobody named it.
        source_name: The folder that was named; empty where none was.
        user_errors: What CloudWatch says of requests that DynamoDB refused; None where it was not
            asked.
        cache_metrics: Whether CloudWatch has the cache's metrics.
        stack: Whether the stack is deployed.
        stack_url: Where its load balancer answers; empty where that is not known.
        results: What the file of results says; None where there is none.
        results_name: That file.
        options: What a command needs to be about the same workload and target: ` --target aws`.
    """

    workload: Workload
    target: Mapping[str, object]
    runs: Sequence[Run]
    tables: Mapping[str, TableState | None] = field(default_factory=dict)
    tables_problem: str = ""
    redis: Verdict | None = None
    source: Source | None = None
    source_name: str = ""
    user_errors: Verdict | None = None
    cache_metrics: Verdict
    stack: Verdict
    stack_url: str = ""
    results: str | None = None
    results_name: str = ""
    options: str = ""


def check(
    evidence: Evidence, *, phase: int | None = None, gates: Iterable[Gate] = ()
) -> list[Line]:
    """
    Return the lines of the checklist.

    Args:
        evidence: What there is to go by.
        phase: Only those of this phase, without gates; None for all.
        gates: Gates beside those of the workload.
    """
    checker = _Checker(evidence)
    parts: Mapping[int, Callable[[], Iterator[Line]]] = {2: checker.indexes}
    if checker.is_reference:
        parts = {1: checker.cache, 2: checker.indexes, 3: checker.advanced, 4: checker.deployed}
    lines = [line for number, part in parts.items() if phase in {None, number} for line in part()]
    if phase is None:
        lines += [checker.gate(gate) for gate in (*evidence.workload.gates, *gates)]
    return lines


def check_apart(evidence: Evidence, gates: Iterable[Gate]) -> list[Line]:
    """Return the lines that are of no workload: the source that was named, and these gates."""
    checker = _Checker(evidence)
    of_source = [checker.no_scan("Source")] if evidence.source_name else []
    return [*of_source, *map(checker.gate, gates)]


def is_elsewhere(evidence: Evidence) -> bool:
    """Tell whether there are runs, and none of them, nor any table, is the workload's."""
    name = evidence.workload.name
    return (
        bool(evidence.runs)
        and all(run.workload != name for run in evidence.runs)
        and not evidence.tables_problem
        and all(state is None for state in evidence.tables.values())
    )


class _Checker:
    """Makes lines from evidence."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._workload = evidence.workload
        self.is_reference = is_served(evidence.workload)

    # ---- phase 1 -----------------------------------------------------------------------

    def cache(self) -> Iterator[Line]:
        """Yield the lines of phase 1."""
        load_step = self._step("perfkit load --phase 1 --users 50")
        tested = self._load(users=50, phase=1)
        yield self._redis()
        for endpoint in CACHED:
            yield self._cached(endpoint)
        yield self._users(1, 50, load_step, tested)
        yield self._held(1, "cache hit rate above 80%", "hit_rate", "> 0.8", tested, load_step)
        yield self._promise(1, "latency 80% lower", "latency")

    def _redis(self) -> Line:
        group, title, step = _GROUPS[1], "Redis is reachable", "perfkit up --phase 3"
        probed = self._evidence.redis
        if probed is not None:
            return _line(group, title, probed, step)
        run = self._newest(lambda run: any(_hits(each) for each in run.variants))
        verdict = Verdict.passed(f"a cache answered in run {run.id}") if run is not None else None
        return self._of_run(group, title, run, verdict, step, lacks="no server is named or running")

    def _cached(self, endpoint: str) -> Line:
        def asked(run: Run) -> list[Variant]:
            return [
                each
                for each in run.variants
                if each.question == endpoint and _hits(each) is not None
            ]

        def looked(run: Run) -> bool:
            return run.kind in {RunKind.LOAD, RunKind.PHASES} and bool(asked(run))

        run = self._newest(looked)
        verdict = None
        if run is not None:
            hits = sum(_hits(each) or 0 for each in asked(run))
            looks = sum(each.cache.requests for each in asked(run) if each.cache is not None)
            evidence = (
                f"{hits:,} of {format_many(looks, 'answer')} came from the cache in run {run.id}"
            )
            verdict = Verdict.passed(evidence) if hits else Verdict.failed(evidence)
            if not hits and looks < _FEW_LOOKS:
                # each may have been the first of its question
                verdict = Verdict.invalid(f"{evidence}; ask more")
        title = f"{endpoint} is cached"
        return self._of_run(_GROUPS[1], title, run, verdict, self._step(_MEASURE_PHASES))

    # ---- phase 2 -----------------------------------------------------------------------

    def indexes(self) -> Iterator[Line]:
        """Yield the lines about indexes and scans."""
        group = _GROUPS[2] if self.is_reference else _INDEXES
        wanted = [
            (table, index) for table in self._workload.tables for index in table.indexes
            if not index.local
        ]  # fmt: skip
        if wanted:
            yield self._active(group, wanted)
        for pattern in self._workload.patterns:
            yield self._answered(group, pattern)
        yield from self._budgets(group)
        yield self.no_scan(group)
        counting = self._counting()
        if self.is_reference or counting is not None:
            yield self._no_scan_counted(group, counting)
        yield self._refused(group)
        if self.is_reference:
            yield self._promise(2, "read units 95% lower", "read units")

    def _active(self, group: str, wanted: Sequence[tuple[Table, Index]]) -> Line:
        title = "indexes are ACTIVE"
        if self._evidence.tables_problem:
            verdict = Verdict.invalid(self._evidence.tables_problem)
            return _line(group, title, verdict, self._step("perfkit doctor"))
        found = [
            (table, index, problem)
            for table, index in wanted
            if (problem := self._index_problem(table.name, index)) is not None
        ]
        problems = list(dict.fromkeys(problem for _, _, problem in found))
        if not found:
            return _line(group, title, Verdict.passed(f"{len(wanted)} of {len(wanted)}"), "")
        # what perfkit makes itself comes first
        table, index, _ = min(found, key=lambda each: each[0].exists)
        step = self._step(_makes(table, index))
        if all(self._evidence.tables.get(each.name) is None for each, _ in wanted) and (
            not table.exists
        ):
            step = self._step("perfkit seed")
        return _line(group, title, Verdict.failed(_listed(problems)), step)

    def _index_problem(self, table: str, index: Index) -> str | None:
        state = self._evidence.tables.get(table)
        if state is None:
            return f"there is no table {table}"
        there = state.index(index.name)
        if there is None:
            return f"there is no index {index.name}"
        if there.status != "ACTIVE":
            return f"{index.name} is {there.status}"
        difference = index_difference(index, there)
        return f"{index.name} differs: {difference}" if difference else None

    def _answered(self, group: str, pattern: AccessPattern) -> Line:
        query = pattern.better_query or (None if pattern.better_get else pattern.query_today)
        index = None if query is None else query.index
        by = index or "its key"
        run = self._pattern_run(pattern.name)
        step = self._step(f"perfkit bench --scenario {pattern.name}")
        verdict = None
        if query is None and pattern.get is None:
            verdict = Verdict.failed(
                "it has no form but a scan; write the query or get it could be"
            )
            step = f"perfkit workload show {shlex.quote(self._workload.source)} -v"
            return _line(group, f"{pattern.name} is answered by a key", verdict, step)
        title = f"{pattern.name} is answered by {by}"
        if run is not None:
            verdict = self._answer(run, index, by)
        table = self._workload.table(pattern.table)
        wanted = _global_index(table, index)
        state = self._evidence.tables.get(table.name)
        is_done = verdict is not None and verdict.ruling is _PASS
        gone = self._gone(table, index)
        if gone is not None and (state is not None or is_done):
            # measuring does not make it
            missing, makes = gone
            if run is not None and is_done:
                missing = _older(missing, run)
            return _line(group, title, Verdict.failed(missing), makes)
        if wanted is None or state is None or is_done:
            return self._of_run(group, title, run, verdict, step)
        there = state.index(wanted.name)
        if (
            run is not None
            and verdict is not None
            and there is not None
            and self._index_problem(table.name, wanted) is None
        ):
            verdict = Verdict.failed(
                f"{by} is {there.status}; run {run.id} was measured without it"
            )
        return self._of_run(group, title, run, verdict, step)

    def _gone(self, table: Table, index: str | None) -> tuple[str, str] | None:
        """Return what a form needs that is not there now, and the command that leads to it."""
        if table.name not in self._evidence.tables:
            # nobody could look
            return None
        state = self._evidence.tables[table.name]
        if state is None:
            step = "perfkit doctor" if table.exists else "perfkit seed"
            return f"there is no table {table.name}", self._step(step)
        wanted = _global_index(table, index)
        if wanted is None or state.index(wanted.name) is not None:
            return None
        return f"there is no index {wanted.name}", self._step(_makes(table, wanted))

    def _answer(self, run: Run, index: str | None, by: str) -> Verdict:
        asked = [
            each
            for each in run.variants
            if (each.index == index if index is not None else "Scan" not in each.operation)
        ]
        if not asked:
            return Verdict.failed(f"run {run.id} has no call by {by}")
        form = asked[0]
        if form.errors:
            return Verdict.invalid(f"calls failed in run {run.id}")
        outcome = find_outcome(run)
        units = most_units(form)
        took = "" if units is None else f", {format_units(units)} RCU"
        if outcome is not None and form not in {outcome.before, outcome.after}:
            better = (outcome.after or outcome.before).name
            return Verdict.passed(f"{form.name}{took}; {better} costs less in run {run.id}")
        return Verdict.passed(f"{form.name}{took} in run {run.id}")

    def _budgets(self, group: str) -> Iterator[Line]:
        for pattern in self._workload.patterns:
            if pattern.max_rcu is None:
                continue
            run = self._pattern_run(pattern.name)
            verdict = None if run is None else judge_budgets([run], {pattern.name: pattern.max_rcu})
            title = f"{pattern.name} takes at most {format_units(pattern.max_rcu)} RCU"
            yield self._of_pattern(group, title, pattern, run, verdict)

    def _of_pattern(
        self,
        group: str,
        title: str,
        pattern: AccessPattern,
        run: Run | None,
        verdict: Verdict | None,
    ) -> Line:
        """Return a line about the better form of a pattern, stale where its index is gone."""
        outcome = None if run is None else find_outcome(run)
        if run is not None and verdict is not None and outcome is not None:
            index = (outcome.after or outcome.before).index
            gone = self._gone(self._workload.table(pattern.table), index)
            if gone is not None:
                missing, makes = gone
                stale = Verdict.invalid(_older(missing, run), evidence=verdict.evidence)
                return _line(group, title, stale, makes, stale=True)
        step = self._step(f"perfkit bench --scenario {pattern.name}")
        return self._of_run(group, title, run, verdict, step)

    def no_scan(self, group: str) -> Line:
        """Return whether the source has a scan."""
        title, source = "no Scan is left in the source", self._evidence.source
        if source is None:
            step = self._step("perfkit check --source .")
            return _line(group, title, Verdict.failed("nobody named the service's source"), step)
        if not self._evidence.source_name:
            title += " of the reference service"
        if source.scans:
            first = source.scans[0]
            step = f"make {first.file}:{first.line} a query or get, or allow it by a comment"
            step += " `# perfkit: allow-scan REASON`"
            return _line(group, title, Verdict.failed(_listed(map(str, source.scans))), step)
        if source.unread:
            unread = [f"{each.file}: {each.reason}" for each in source.unread]
            verdict = Verdict.invalid(_listed(unread))
            return _line(group, title, verdict, f"mend {source.unread[0].file}")
        allowed = ""
        if source.allowed:
            allowed = "; allowed: " + _listed(f"{scan} ({scan.allowed})" for scan in source.allowed)
        files = format_many(source.files, "file")
        return _line(group, title, Verdict.passed(f"none in {files}{allowed}"), "")

    def _counting(self) -> Run | None:
        """Return the newest load test, at phase 2 or later, whose service says what it asked."""

        def counts(run: Run) -> bool:
            if run.load_test is None or not run.variants or run.variants[0].http is None:
                return False
            phase = run.load_test.settings.phase
            return run.variants[0].http.operations is not None and (phase is None or phase > 1)

        return self._newest(counts)

    def _no_scan_counted(self, group: str, run: Run | None) -> Line:
        title, verdict = "no Scan is asked under load", None
        if run is not None and run.variants[0].http is not None:
            operations = run.variants[0].http.operations or {}
            scans = sum(count for name, count in operations.items() if name.lower() == "scan")
            calls = format_many(sum(operations.values()), "call")
            verdict = (
                Verdict.failed(f"{format_many(scans, 'Scan')} among {calls} in run {run.id}")
                if scans
                else Verdict.passed(f"none among {calls} in run {run.id}")
            )
        step = self._step("perfkit load --phase 2") if self.is_reference else self._load_step()
        return self._of_run(group, title, run, verdict, step)

    def _refused(self, group: str) -> Line:
        title = "no UserErrors"
        if self._evidence.user_errors is not None:
            return _line(group, title, self._evidence.user_errors, "")
        run = self._load(users=1, phase=2)
        if run is not None:
            http = run.variants[0].http if run.variants else None
            if http is None:
                verdict = Verdict.invalid(f"run {run.id} does not say")
            else:
                # what a mix expects is no error, whatever its status
                kinds = http.errors_by_kind.items()
                count = sum(each for kind, each in kinds if kind.startswith("status 4"))
                found = f"of status 4xx that was not expected in run {run.id}"
                answers = format_many(count, "answer")
                verdict = (
                    Verdict.failed(f"{answers} {found}")
                    if count
                    else Verdict.passed(f"no answer {found}")
                )
            return self._of_run(group, title, run, verdict, self._load_step())
        runs = [
            run
            for pattern in self._workload.patterns
            if (run := self._pattern_run(pattern.name)) is not None
        ]
        step = self._step("perfkit bench") if self._workload.patterns else self._load_step()
        failed = [run.id for run in runs if any(each.errors for each in run.variants)]
        evidence = Verdict.passed(f"no call failed in {format_many(len(runs), 'run')}")
        if failed:
            evidence = Verdict.failed(f"calls failed in run {_listed(failed)}")
        return self._of_run(group, title, runs[0] if runs else None, evidence, step)

    # ---- phase 3 -----------------------------------------------------------------------

    def advanced(self) -> Iterator[Line]:
        """Yield the lines of phase 3."""
        load_step = self._step("perfkit load --phase 3 --users 200")
        for switch, title in (
            ("pooling", "connections are pooled"),
            ("batching", "N+1 queries are batches"),
            ("background", "mails are sent in the background"),
        ):
            yield self._switched(switch, title)
        yield self._forgotten()
        step = self._step("perfkit up --phase 3 --cloudwatch perfkit")
        if self._evidence.target.get("kind") == "embedded":
            # it publishes to an account, whichever tables it serves
            step = "perfkit up --phase 3 --cloudwatch perfkit --target aws"
        title = "cache metrics are in CloudWatch"
        yield _line(_GROUPS[3], title, self._evidence.cache_metrics, step)
        yield self._users(3, 200, load_step, self._load(users=200, phase=3))
        yield self._promise(3, "latency 99% lower", "latency")

    def _switches(self) -> tuple[Run, Mapping[str, object]] | None:
        """Return the newest run of the service at phase 3, and its switches."""
        for run in self._of_here():
            if run.load_test is not None and run.load_test.settings.phase == 3:
                return run, run.load_test.settings.switches or {}
            if run.kind is RunKind.PHASES:
                service = next(
                    (each.service for each in run.variants if each.name == "phase-3"), None
                )
                if service is not None:
                    return run, service.switches
        return None

    def _switched(self, switch: str, title: str) -> Line:
        found = self._switches()
        run, verdict = None, None
        if found is not None:
            run, switches = found
            on = bool(switches.get(switch))
            evidence = f"the switch {switch} is {'on' if on else 'off'} in run {run.id}"
            verdict = Verdict.passed(evidence) if on else Verdict.failed(evidence)
        return self._of_run(_GROUPS[3], title, run, verdict, self._step(_MEASURE_PHASES))

    def _forgotten(self) -> Line:
        """Return whether what a write makes untrue leaves the cache."""
        run = self._newest(lambda run: any(hour.invalidations for hour in run.hours))
        verdict = None
        if run is not None:
            count = sum(hour.invalidations or 0 for hour in run.hours)
            verdict = Verdict.passed(f"{format_many(count, 'invalidation')} in run {run.id}")
        step = self._step("perfkit bench --scenario cache-hour --hour writes=100")
        return self._of_run(_GROUPS[3], "writes invalidate the cache", run, verdict, step)

    # ---- phase 4 -----------------------------------------------------------------------

    def deployed(self) -> Iterator[Line]:
        """Yield the lines of phase 4."""
        group, stack = _GROUPS[4], self._evidence.stack
        yield _line(group, "deployed to AWS", stack, "perfkit stack template --output stack.json")
        url = self._evidence.stack_url
        step = self._step("perfkit load --phase 3 --users 200 --duration 10m")
        if url:
            mix = shlex.quote(self._mix_file() or "FILE")
            step = f"perfkit load --url {url} --mix {mix} --users 200 --duration 10m"
        run = self._load(users=200, phase=3, duration_s=_TEN_MINUTES_S, url=url)
        title = "load test: 200 users for 10 minutes"
        yield self._users(4, 200, step, run, title)
        yield self._held(4, "p95 below 200 ms", "p95_ms", "< 200", run, step)
        yield self._held(4, "cache hit rate above 90%", "hit_rate", "> 0.9", run, step)
        yield self._held(4, "no errors", "errors", "== 0", run, step)
        yield self._documented(run, step)

    def _documented(self, run: Run | None, load_step: str) -> Line:
        title, name = "results are written", self._evidence.results_name
        step = f"perfkit report --output {shlex.quote(name)}"
        if run is None:
            verdict, step = Verdict.failed("there is no such load test to write of"), load_step
        elif self._evidence.results is None:
            verdict = Verdict.failed(f"there is no {name}")
        elif run.id not in self._evidence.results:
            verdict = Verdict.failed(f"{name} does not show run {run.id}")
        else:
            return _line(_GROUPS[4], title, Verdict.passed(f"{name} shows run {run.id}"), step)
        return _line(_GROUPS[4], title, verdict, step)

    # ---- gates -------------------------------------------------------------------------

    def gate(self, gate: Gate) -> Line:
        """Return the line of a gate."""
        pattern = next((each for each in self._workload.patterns if each.name == gate.scope), None)
        if pattern is not None:
            run = self._pattern_run(gate.scope)
            measures = {} if run is None else {gate.scope: _pattern_measures(run)}
        else:
            run = self._load(users=1)
            measures = {} if run is None else dict(measures_of(run))
        verdict = None
        if run is not None:
            verdict = judge(gate, measures, why_invalid=_why_invalid(run)).verdict
            verdict = Verdict(
                ruling=verdict.ruling,
                reason=verdict.reason or f"{verdict.evidence} in run {run.id}",
                evidence=f"{verdict.evidence} in run {run.id}" if verdict.evidence else "",
            )
        if pattern is not None:
            return self._of_pattern(_GATES, str(gate), pattern, run, verdict)
        return self._of_run(_GATES, str(gate), run, verdict, self._load_step())

    # ---- runs --------------------------------------------------------------------------

    def _of_here(self) -> Iterator[Run]:
        """Yield the runs of this workload on this target, newest first."""
        for run in self._evidence.runs:
            if run.load_test is not None and run.load_test.stages:
                # the service was another one at its end than at its beginning
                continue
            # what is loaded by its URL, nobody knows the tables of
            elsewhere = run.kind is RunKind.LOAD and not run.workload_digest
            here = run.workload == self._workload.name and run.target == dict(self._evidence.target)
            if here or elsewhere:
                yield run

    def _newest(self, wanted: Callable[[Run], bool]) -> Run | None:
        return next((run for run in self._of_here() if wanted(run)), None)

    def _pattern_run(self, name: str) -> Run | None:
        return self._newest(lambda run: run.kind is RunKind.SCENARIO and run.scenario == name)

    def _load(
        self, *, users: int, phase: int = 0, duration_s: float = 0.0, url: str = ""
    ) -> Run | None:
        """Return the newest load test of at least so much."""

        def wanted(run: Run) -> bool:
            if run.load_test is None:
                return False
            settings = run.load_test.settings
            return (
                settings.users >= users
                and settings.duration_s >= duration_s
                and (settings.phase is None or settings.phase >= phase)
                and (not url or url.rstrip("/") in {each.rstrip("/") for each in settings.urls})
            )

        return self._newest(wanted)

    def _stale(self, run: Run) -> str:
        """Return what was changed after a run; empty where nothing was."""
        if run.workload_digest and run.workload_digest != self._workload.digest:
            return f"the workload's file was edited after run {run.id}"
        started_s = datetime.fromisoformat(run.started_at).timestamp()
        source = self._evidence.source
        if source is not None and run.kind is RunKind.LOAD and source.changed_s > started_s:
            return f"the source was changed after run {run.id}"
        of_service = run.kind is RunKind.PHASES or (
            run.load_test is not None and run.load_test.settings.phase is not None
        )
        if of_service and run.perfkit != __version__:
            return f"run {run.id} measured the service of perfkit {run.perfkit}"
        for name, state in self._evidence.tables.items():
            if state is not None and (state.identity.created_s or 0.0) > started_s:
                return f"table {name} was made after run {run.id}"
        return ""

    def _of_run(
        self,
        group: str,
        title: str,
        run: Run | None,
        verdict: Verdict | None,
        step: str,
        *,
        lacks: str = "no run shows it",
    ) -> Line:
        if run is None or verdict is None:
            return _line(group, title, Verdict.failed(lacks), step)
        stale = self._stale(run)
        if stale:
            invalid = Verdict.invalid(stale, evidence=verdict.evidence)
            return _line(group, title, invalid, step, stale=True)
        return _line(group, title, verdict, step)

    def _users(self, phase: int, users: int, step: str, run: Run | None, title: str = "") -> Line:
        verdict = None
        if run is not None and run.load_test is not None:
            settings = run.load_test.settings
            where = ", ".join(settings.urls)
            evidence = (
                f"{format_many(settings.users, 'user')} for"
                f" {format_duration(settings.duration_s)} on {where} in run {run.id}"
            )
            why = _why_invalid(run)
            verdict = Verdict(ruling=_INVALID if why else _PASS, reason=why, evidence=evidence)
            if run.variants and run.variants[0].errors == run.variants[0].requests:
                verdict = Verdict.failed(f"every request failed in run {run.id}")
        title = title or f"tested with {users} users"
        return self._of_run(_GROUPS[phase], title, run, verdict, step)

    def _held(
        self, phase: int, title: str, metric: str, condition: str, run: Run | None, step: str
    ) -> Line:
        from perfkit.workloads.gates import parse_gate

        verdict = None
        if run is not None:
            gate = parse_gate(f"{metric} {condition}", scope="")
            judged = judge(gate, measures_of(run), why_invalid=_why_invalid(run))
            verdict = judged.verdict
            if judged.value is not None and metric == "hit_rate" and not verdict.reason:
                verdict = Verdict(
                    ruling=verdict.ruling, evidence=f"{format_share(judged.value)} in run {run.id}"
                )
        return self._of_run(_GROUPS[phase], title, run, verdict, step)

    def _promise(self, phase: int, title: str, figure: str) -> Line:
        run = self._newest(lambda run: run.kind is RunKind.PHASES and bool(run.checks))
        verdict = None
        if run is not None:
            held = [
                (each, Verdict.of_check(each))
                for each in run.checks
                if each.name == f"phase {phase}" and each.figure == figure
            ]
            together = taken_together(verdict for _, verdict in held)
            evidence = ", ".join(
                f"{each.question} {format_share(each.measured)}"
                for each, verdict in held
                if each.measured is not None
                and (together is None or verdict.ruling is together.ruling)
            )
            if together is not None:
                evidence = f"{evidence} less in run {run.id}" if evidence else ""
                verdict = Verdict(ruling=together.ruling, reason=together.reason, evidence=evidence)
        return self._of_run(_GROUPS[phase], title, run, verdict, self._step(_MEASURE_PHASES))

    def _load_step(self) -> str:
        if self.is_reference and not is_elsewhere(self._evidence):
            return self._step("perfkit load --phase 3")
        run = self._newest(lambda run: run.load_test is not None)
        mix = self._mix_file()
        if run is None or run.load_test is None or not mix:
            return "perfkit load --url URL --mix FILE"
        urls = "".join(f" --url {shlex.quote(each)}" for each in run.load_test.settings.urls)
        return f"perfkit load{urls} --mix {shlex.quote(mix)}"

    def _step(self, command: str) -> str:
        """Return a command about this workload and target, or the one that must come before it."""
        return f"{self._needed_first(command) or command}{self._evidence.options}"

    def _needed_first(self, command: str) -> str:
        """Return what a command that measures lacks: tables, or the indexes of later phases."""
        if not command.startswith(("perfkit load --phase", "perfkit bench")):
            return ""
        known = self._evidence.tables
        made = [table for table in self._workload.tables if not table.exists]
        if any(table.name in known and known[table.name] is None for table in made):
            return "perfkit seed"
        if not command.startswith(_NEED_INDEXES):
            return ""
        lacking = any(
            state.index(index.name) is None
            for table in made
            if (state := known.get(table.name)) is not None
            for index in table.indexes
        )
        return "perfkit create-indexes" if lacking else ""

    def _mix_file(self) -> str:
        """Return the mix of the newest load test that had one, as it was typed."""
        for run in self._of_here():
            if run.load_test is not None and run.load_test.settings.mix_file:
                return run.load_test.settings.mix_file
        return ""


def _line(group: str, title: str, verdict: Verdict, step: str, *, stale: bool = False) -> Line:
    done = verdict.ruling is _PASS
    return Line(
        group=group, title=title, verdict=verdict, stale=stale, next_step="" if done else step
    )


def _makes(table: Table, index: Index) -> str:
    """Return the command that leads to an index which is not there."""
    if index.exists:
        # it should be: the name, or the target, is another one
        return "perfkit doctor"
    return "perfkit migrate plan" if table.exists else "perfkit create-indexes"


def _global_index(table: Table, name: str | None) -> Index | None:
    """Return the index that can be there or not while its table is; a local one is made with it."""
    return next((each for each in table.indexes if each.name == name and not each.local), None)


def _older(missing: str, run: Run) -> str:
    return f"{missing} any more; run {run.id} is older than the present tables and indexes"


def _hits(variant: Variant) -> int | None:
    return None if variant.cache is None else variant.cache.hits


def _listed(parts: Iterable[str]) -> str:
    """Return the first few of many, and how many more there are."""
    every = list(parts)
    more = f"; {len(every) - _MOST_NAMED} more" if len(every) > _MOST_NAMED else ""
    return "; ".join(every[:_MOST_NAMED]) + more


def _why_invalid(run: Run) -> str:
    return "; ".join(run.load_test.invalid) if run.load_test is not None else ""


def _pattern_measures(run: Run) -> Mapping[str, float | None]:
    """Return the figures of a pattern's better form, or of today's where none is better."""
    outcome = find_outcome(run)
    if outcome is None:
        return {}
    form = outcome.after or outcome.before
    latency = form.latency_s
    times_s = {
        "mean": latency.mean, "p50": latency.p50, "p90": latency.p90,
        "p95": latency.p95, "p99": latency.p99, "max": latency.max,
    }  # fmt: skip
    return {
        **{f"{name}_ms": value * 1e3 for name, value in times_s.items()},
        "requests": form.requests,
        "errors": form.errors,
        "error_rate": form.error_rate,
        "hit_rate": form.hit_rate,
        "rcu_per_request": most_units(form),
    }
