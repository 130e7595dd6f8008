"""
Creating and deleting global indexes: one operation of a table at a time, each step noted, watched.

The only place that asks for UpdateTable. Its callers say what is wanted, and have asked whether it may be done.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from perfkit.dynamodb.errors import BUSY, is_transient
from perfkit.dynamodb.index_progress import BuildProgress, Writing, build_progress
from perfkit.dynamodb.ownership import not_the_same
from perfkit.dynamodb.retries import Clock, Pause, RetryingConnection
from perfkit.dynamodb.tables import (
    Definition,
    Identity,
    TableState,
    describe,
    index_definition,
    index_difference,
)
from perfkit.dynamodb.targets import Target, TargetKind
from perfkit.embedded.errors import DynamoDBError
from perfkit.errors import ConfigError, TargetError

__all__ = [
    "Change",
    "Changes",
    "Event",
    "Goal",
    "Noted",
    "Recorder",
    "Step",
    "TableWork",
    "WaitPolicy",
    "Wanted",
    "carry_out",
]

_STALLED_S = 30.0
_STALLED_PAID_S = 300.0
"""After so long without progress a line says so, and again each time as much time has passed; on
AWS, where allocating an index alone takes minutes, later."""

_UNSEEN_LOOKS = 10
"""An index that was accepted counts as vanished when so many looks in a row do not show it:
DescribeTable is eventually consistent."""


class Goal(StrEnum):
    """What is wanted of an index."""

    PRESENT = "present"
    ABSENT = "absent"


class Change(StrEnum):
    """What became of an index."""

    CREATED = "created"
    ALREADY_THERE = "already there"
    DROPPED = "dropped"
    NOT_THERE = "not there"
    UNDER_WAY = "under way"
    """Started (here or elsewhere) and not waited for."""
    QUEUED = "not started"
    """Another index operation of the same table comes first."""
    LEFT = "left as it is"
    """Differs from the index of that name that is wanted."""


Changes = dict[tuple[str, str], Change]
"""What became of indexes, by the names of table and index."""

_DONE = frozenset(
    {Change.CREATED, Change.ALREADY_THERE, Change.DROPPED, Change.NOT_THERE, Change.LEFT}
)


class Step(StrEnum):
    """What is noted of an index, in this order."""

    ASKED = "asked"
    """About to ask for it. Without one of the next three nobody knows whether it arrived."""
    ACCEPTED = "accepted"
    REFUSED = "refused"
    """Nothing came of it."""
    FOUND = "found"
    """It was asked for before, the answer was never seen, and it is there."""
    BACKFILLING = "backfilling"
    DONE = "done"
    """Active in all regions, or gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """
    An index and what is wanted of it.

    Args:
        entries: How many it will have, as far as that was worked out before.
    """

    definition: Definition
    goal: Goal
    entries: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """
    One step of one index.

    Args:
        step: Which.
        wanted: What is wanted, of which index.
        table: The table as it was looked at last.
        detail: For people; empty if there is nothing to say.
    """

    step: Step
    wanted: Wanted
    table: TableState
    detail: str = ""


Recorder = Callable[[Noted], None]
"""Keeps a step; what cannot be kept is not done: it raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """
    How far one index is, reported while waiting.

    Args:
        status: Status on the target; empty if there is no such index (yet, or any more).
        fraction: Part that is copied, 0 to 1; None if unknown.
        backfilling: Whether items are being copied; before that the index is being allocated.
        items_s: Items copied a second since that began; None if unknown.
        left_s: Seconds left at this rate; None if unknown.
        writing: What copying takes; None where nobody says.
        regions: Status in other regions that have not got it yet.
    """

    table: str
    index: str
    status: str
    fraction: float | None
    backfilling: bool = False
    items_s: float | None = None
    left_s: float | None = None
    writing: Writing | None = None
    regions: Mapping[str, str]


class TableWork:
    """
    The index operations of one table, one after the other.

    Args:
        connection: Where to send.
        target: Likewise; other regions of a global table are asked through it.
        table: Its name.
        identity: Which table of that name; another one is left alone.
        changes: What is known of each index; those not done are worked on.
        wanted: The indexes.
        record: Called before and after each step.
        asked: Indexes that were asked for before, whose answer was never seen.
        whose: Who wants them: the workload or the plan.
        settled: Called when an index is active.
        check: Called before each operation is asked for; raises if it may no longer be.
    """

    def __init__(
        self,
        connection: RetryingConnection,
        target: Target,
        table: str,
        identity: Identity,
        changes: Mapping[str, Change],
        wanted: Sequence[Wanted],
        *,
        record: Recorder = lambda _: None,
        asked: Sequence[str] = (),
        whose: str = "workload",
        settled: Callable[[TableState, Definition], None] = lambda *_: None,
        check: Callable[[TableState], None] = lambda _: None,
    ) -> None:
        self._connection = connection
        self._target = target
        self.table_name = table
        self.identity = identity
        self.changes = dict(changes)
        self._open = {
            each.definition.name: each
            for each in wanted
            if changes[each.definition.name] not in _DONE
        }
        self._record = record
        self._asked = set(asked)
        self._whose = whose
        self._settled = settled
        self._check = check
        self._begun: set[str] = set()
        self._copying: dict[str, tuple[float, float]] = {}
        self._backfilling: set[str] = set()
        self._unseen: dict[str, int] = {}
        self._seen: object = None
        self._state: TableState | None = None
        self._regions: dict[str, RetryingConnection] = {}

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return not self._open

    def close(self) -> None:
        """Give back what other regions were asked with."""
        for each in self._regions.values():
            each.close()
        self._regions.clear()

    def step(self, progress: BuildProgress, watch: Callable[[Event], None], now_s: float) -> bool:
        """Look once, start what can be started; return whether anything moved since the last look."""
        state = describe(self._connection, self.table_name)
        if state is None:
            msg = f"table {self.table_name} was deleted meanwhile"
            raise TargetError(msg)
        if state.identity != self.identity:
            raise not_the_same(self.table_name, self._target.name, is_there=True)
        self._state = state
        events = []
        for name in list(self._open):
            wanted = self._open[name]
            self._claim(wanted, state)
            regions = self._settle(wanted, state)
            events.append(self._event(wanted, state, regions, progress, now_s))
            watch(events[-1])
        startable = next(
            (each for each in self._open.values() if self._may_start(each, state)), None
        )
        if startable is not None and self._start(startable, state):
            self._begun.add(startable.definition.name)
            self.changes[startable.definition.name] = Change.UNDER_WAY
            return True
        # items come and go in a table that is used; only what becomes of indexes counts
        seen = (
            state.status,
            [(each.name, each.status, each.backfilling) for each in state.indexes],
            [(each.index, each.fraction, dict(each.regions)) for each in events],
        )
        moved = seen != self._seen
        self._seen = seen
        return moved

    def waiting_for(self) -> list[str]:
        """Return the indexes that are not done, each with its status."""
        texts = []
        for name in self._open:
            index = None if self._state is None else self._state.index(name)
            nothing = "asked for" if name in self._begun else "not begun"
            status = nothing if index is None else index.status
            texts.append(f"{name} of {self.table_name} ({status})")
        return texts

    def advice(self) -> str:
        """Return what can be done about the operation that runs; "" if none does."""
        running = [] if self._state is None else self._state.indexes
        for each in running:
            if each.status == "CREATING" and each.name not in self.changes:
                return f"{each.name} is being created by somebody else, who can say what is to become of it"
            if each.status == "CREATING" and each.backfilling:
                return f"{each.name} is being filled, and may be deleted while it is"
            if each.status == "CREATING":
                return f"{each.name} is being allocated, and cannot be deleted before it is filled"
            if each.status == "DELETING":
                return f"{each.name} is being deleted, which nothing ends early"
        return ""

    def _note(self, step: Step, wanted: Wanted, state: TableState, detail: str = "") -> None:
        self._record(Noted(step=step, wanted=wanted, table=state, detail=detail))

    def _claim(self, wanted: Wanted, state: TableState) -> None:
        """Recognise what was asked for before and whose answer was lost."""
        name = wanted.definition.name
        if name in self._asked and _is_begun(wanted, state):
            self._asked.discard(name)
            self._begun.add(name)
            self._note(Step.FOUND, wanted, state)

    def _settle(self, wanted: Wanted, state: TableState) -> dict[str, str]:
        """See whether an index is done; return its status in other regions if it is not there."""
        name, index = wanted.definition.name, state.index(wanted.definition.name)
        if index is not None and index.status != "DELETING":
            difference = index_difference(wanted.definition, index, whose=self._whose)
            if difference:
                msg = (
                    f"index {name} of {self.table_name} was re-created by somebody else meanwhile:"
                    f" {difference}; it was left alone"
                )
                raise ConfigError(msg)
        if wanted.goal is Goal.ABSENT:
            if index is None:
                self._end(wanted, state, Change.DROPPED)
            return {}
        if index is None and name in self._begun:
            self._unseen[name] = self._unseen.get(name, 0) + 1
            if self._unseen[name] < _UNSEEN_LOOKS:
                return {}
            msg = (
                f"index {name} of {self.table_name} vanished while it was being built: something"
                " else deletes it, or the target refused it"
            )
            raise TargetError(msg)
        self._unseen.pop(name, None)
        if index is not None and index.backfilling and name not in self._backfilling:
            self._backfilling.add(name)
            self._note(Step.BACKFILLING, wanted, state)
        if index is None or index.status not in {"ACTIVE", "UPDATING"}:
            return {}
        regions = self._elsewhere(state, name)
        if not regions:
            self._settled(state, wanted.definition)
            self._end(wanted, state, Change.CREATED)
        return regions

    def _end(self, wanted: Wanted, state: TableState, change: Change) -> None:
        self._note(Step.DONE, wanted, state)
        self.changes[wanted.definition.name] = change
        del self._open[wanted.definition.name]

    def _elsewhere(self, state: TableState, name: str) -> dict[str, str]:
        """Return the status of an index in those regions of a global table where it is not active."""
        found = {}
        for region in state.replicas:
            if region not in self._regions:
                self._regions[region] = RetryingConnection(
                    replace(self._target, region=region).connect(read_only=True)
                )
            replica = describe(self._regions[region], self.table_name)
            if replica is None and not self._target.is_aws:
                # a stand-in that keeps one region only
                continue
            index = None if replica is None else replica.index(name)
            if index is None or index.status not in {"ACTIVE", "UPDATING"}:
                found[region] = "not there yet" if index is None else index.status
        return found

    def _event(
        self,
        wanted: Wanted,
        state: TableState,
        regions: Mapping[str, str],
        progress: BuildProgress,
        now_s: float,
    ) -> Event:
        name = wanted.definition.name
        index = state.index(name)
        event = Event(
            table=self.table_name,
            index=name,
            status="" if index is None else index.status,
            fraction=None,
            backfilling=index is not None and index.backfilling,
            regions=regions,
        )
        if index is None or index.status != "CREATING":
            return event
        fraction = progress.fraction(state, index, wanted.entries)
        event = replace(event, fraction=fraction, writing=progress.writing(state, index))
        if fraction is None or not index.backfilling:
            return event
        began_s, first = self._copying.setdefault(name, (now_s, fraction))
        if now_s <= began_s or fraction <= first:
            return event
        speed = (fraction - first) / (now_s - began_s)
        return replace(event, items_s=speed * state.items, left_s=(1 - fraction) / speed)

    def _may_start(self, wanted: Wanted, state: TableState) -> bool:
        name = wanted.definition.name
        if self._begun & self._open.keys():
            # one that is active here may be under way in another region
            return False
        index = state.index(name)
        if wanted.goal is Goal.PRESENT:
            return index is None and not state.is_busy
        # an index whose items are being copied may be dropped; one being allocated may not
        return (
            index is not None
            and index.status != "DELETING"
            and (not state.is_busy or index.backfilling)
        )

    def _start(self, wanted: Wanted, state: TableState) -> bool:
        """Ask for one operation; return whether it was accepted."""
        self._check(state)
        if wanted.goal is Goal.PRESENT:
            request = _creation(wanted.definition, state)
        else:
            deletion = {"Delete": {"IndexName": wanted.definition.name}}
            request = {"GlobalSecondaryIndexUpdates": [deletion]}
        self._note(Step.ASKED, wanted, state)
        self._asked.add(wanted.definition.name)
        lost = self._lost_answers()
        try:
            self._connection.execute("UpdateTable", {"TableName": self.table_name, **request})
        except DynamoDBError as error:
            if is_transient(error):
                raise
            # an answer that was lost makes the repeat meet what the first request began
            repeated = self._lost_answers() > lost
            after = describe(self._connection, self.table_name)
            begun = after is not None and _is_begun(wanted, after)
            self._asked.discard(wanted.definition.name)
            if begun and repeated:
                self._note(Step.ACCEPTED, wanted, state, "by a request whose answer was lost")
                return True
            self._note(Step.REFUSED, wanted, state, f"{error.code}: {error.message}")
            # somebody else was faster: look again, and wait for theirs
            if begun or error.code in BUSY:
                return False
            raise
        self._asked.discard(wanted.definition.name)
        self._note(Step.ACCEPTED, wanted, state)
        return True

    def _lost_answers(self) -> int:
        # one that was throttled was refused for certain, so nothing came of it
        return self._connection.repeats - self._connection.throttles


def _is_begun(wanted: Wanted, state: TableState) -> bool:
    index = state.index(wanted.definition.name)
    if wanted.goal is Goal.ABSENT:
        return index is None or index.status == "DELETING"
    return (
        index is not None
        and index.status != "DELETING"
        and not index_difference(wanted.definition, index)
    )


def _creation(definition: Definition, state: TableState) -> dict[str, Any]:
    # AWS needs the new key's attributes only, but some stand-ins forget those left out
    types: dict[str, str] = {}
    for each in (state.keys, *(existing.keys for existing in state.indexes), definition.keys):
        types.update(each.partition + each.sort)
    creation = index_definition(definition, definition.keys)
    if state.billing == "PROVISIONED":
        # without a plan of its own the table's throughput is the only hint there is
        read, write = definition.capacity or (state.read_capacity, state.write_capacity)
        creation["ProvisionedThroughput"] = {
            "ReadCapacityUnits": max(1, read),
            "WriteCapacityUnits": max(1, write),
        }
    return {
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": kind} for name, kind in types.items()
        ],
        "GlobalSecondaryIndexUpdates": [{"Create": creation}],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitPolicy:
    """
    How to wait for indexes, and whom to tell how far they are.

    Args:
        timeout_s: Give up after so many seconds in all; None for never.
        quiet_s: Give up when nothing has moved for so many seconds; None for never.
        watch: Called with the state of every index whenever it was looked at.
        stalled: Called with one line for a person when nothing has moved for a while.
        clock: Seconds that only grow.
        pause: Sleeps.
    """

    timeout_s: float | None = None
    quiet_s: float | None = None
    watch: Callable[[Event], None] = lambda _: None
    stalled: Callable[[str], None] = lambda _: None
    clock: Clock = time.monotonic
    pause: Pause = time.sleep


class _Waiting:
    """How long it has been waited, and what to say when nothing moves."""

    def __init__(self, works: Sequence[TableWork], policy: WaitPolicy, again: str) -> None:
        self._works = works
        self._policy = policy
        self._again = again
        self._started_s = self._moved_s = self._reported_s = policy.clock()

    def allow(self, interval_s: float, say_every_s: float, *, moved: bool) -> float:
        """Return how long to wait before the next look, at most *interval_s*."""
        policy = self._policy
        now_s = policy.clock()
        waiting = ", ".join(text for work in self._works for text in work.waiting_for())
        if moved:
            self._moved_s = self._reported_s = now_s
        elif now_s - self._reported_s >= say_every_s:
            self._reported_s = now_s
            policy.stalled(
                f"Nothing has moved for {now_s - self._moved_s:.0f} s: {waiting}; still waiting."
                f" {self._advice()}Ctrl-C ends the waiting, and what was begun stays."
            )
        left_s = interval_s
        if policy.timeout_s is not None:
            left_s = self._left(
                policy.timeout_s - (now_s - self._started_s),
                f"not done after {policy.timeout_s:g} s: {waiting}",
            )
        if policy.quiet_s is not None:
            quiet_s = self._left(
                policy.quiet_s - (now_s - self._moved_s),
                f"nothing has moved for {policy.quiet_s:g} s: {waiting}",
            )
            left_s = min(left_s, quiet_s)
        return min(interval_s, left_s)

    def _left(self, left_s: float, text: str) -> float:
        if left_s <= 0:
            msg = f"{text}. {self._advice()}What was begun stays: {self._again}"
            raise TargetError(msg)
        return left_s

    def _advice(self) -> str:
        texts = list(filter(None, (work.advice() for work in self._works if not work.is_done)))
        return f"{'; '.join(texts)}. " if texts and self._policy.quiet_s is not None else ""


class _Intervals:
    """How long to wait between looks: short while things move, longer while they do not."""

    def __init__(self, first_s: float, longest_s: float) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._next_s = first_s

    def next(self, *, moved: bool) -> float:
        self._next_s = self._first_s if moved else min(self._next_s * 1.5, self._longest_s)
        return self._next_s


def _intervals(target: Target) -> _Intervals:
    if target.kind is TargetKind.EMBEDDED:
        # each look copies the next items, so looking is the work
        return _Intervals(0.0005, 0.05)
    return _Intervals(2.0, 20.0) if target.is_aws else _Intervals(0.1, 2.0)


def carry_out(
    works: Sequence[TableWork],
    target: Target,
    policy: WaitPolicy,
    *,
    again: str,
    wait: bool = True,
    retry_for_s: float = 0.0,
) -> Changes:
    """
    Do what is to be done, tables side by side; return what became of each index.

    Args:
        works: Of each table.
        target: Where.
        policy: How to wait.
        again: Ends the error when it took too long: how to go on.
        wait: Whether to return only when all is done.
        retry_for_s: So long it goes on asking a target that does not answer, once one did.

    Raises:
        ConfigError: A table or an index was re-created meanwhile.
        TargetError: An index vanished while it was being built, or it took too long.
        DynamoDBError: The target failed.
    """
    progress = build_progress(target)
    intervals = _intervals(target)
    say_every_s = _STALLED_PAID_S if target.is_aws else _STALLED_S
    waiting = _Waiting(works, policy, again)
    answered_s: float | None = None
    try:
        while True:
            now_s = policy.clock()
            try:
                moved = [
                    work.step(progress, policy.watch, now_s) for work in works if not work.is_done
                ]
            except DynamoDBError as error:
                lost = answered_s is not None and is_transient(error)
                if not lost or policy.clock() - (answered_s or 0.0) >= retry_for_s:
                    raise
                moved = []
            else:
                answered_s = now_s
            if not wait or all(work.is_done for work in works):
                break
            moving = any(moved)
            policy.pause(waiting.allow(intervals.next(moved=moving), say_every_s, moved=moving))
    finally:
        for work in works:
            work.close()
    return {
        (work.table_name, name): change for work in works for name, change in work.changes.items()
    }
