"""
Whether indexes hold what their tables do, in both directions, while the tables are in use.

A table is read once and so is each of its indexes; what then seems to differ is looked at again
(see `second_look`). Nothing is written.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from perfkit.analysis.verdict import Verdict, taken_together
from perfkit.capacity import Item
from perfkit.dynamodb.connection import Connection
from perfkit.dynamodb.errors import answer_errors
from perfkit.dynamodb.index_items import Reason, Violation, violations
from perfkit.dynamodb.retries import Pause, RetryingConnection
from perfkit.dynamodb.tables import IndexState, TableState
from perfkit.dynamodb.targets import Target, TargetKind
from perfkit.migrate.answers import Answer, Answers, Question, chance_of_more
from perfkit.migrate.entries import Entries, Suspect
from perfkit.migrate.pages import PageReader
from perfkit.migrate.second_look import Difference, SecondLook, Settling, StrongReader
from perfkit.units import format_many, format_share

__all__ = ["Finding", "Subject", "Verification", "Verified", "verdict_of", "verdict_of_answer"]

_SETTLE_S = 10.0
"""In AWS's own tests of its SDKs, 3 s were not always enough."""

_AT_ONCE = 10_000
"""Items looked at again together, so that their number costs no memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """
    A table and those of its indexes that are verified.

    Args:
        state: The table as the target describes it.
        indexes: Those that can be read.
        unreadable: Why others cannot be, by name.
        questions: Patterns that can be asked both ways.
    """

    state: TableState
    indexes: tuple[IndexState, ...]
    unreadable: dict[str, str] = field(default_factory=dict)
    questions: tuple[Question, ...] = ()


@dataclass(slots=True, kw_only=True)
class Finding:
    """
    What was found of one index.

    Attributes:
        table: Its table.
        index: Its name.
        items: Items of the table, as they were read.
        entries: Entries of the index, likewise.
        left_out: Items that cannot be in it, by the first thing that keeps them out.
        looked_again: Items that seemed to differ at first.
        differences: Those that do.
        undecided: Those that were written all the while, so that nobody can say.
        unreadable: Why it could not be read; empty if it could.
    """

    table: str
    index: str
    items: int = 0
    entries: int = 0
    left_out: Counter[Violation] = field(default_factory=Counter)
    looked_again: int = 0
    differences: list[Difference] = field(default_factory=list)
    undecided: list[Suspect] = field(default_factory=list)
    unreadable: str = ""


def verdict_of(finding: Finding) -> Verdict:
    """Return whether an index holds what its table does."""
    name = f"{finding.index} of {finding.table}"
    if finding.unreadable:
        return Verdict.invalid(f"{name} {finding.unreadable}")
    evidence = (
        f"{format_many(finding.items, 'item')}, {format_many(finding.entries, 'entry', 'entries')}"
    )
    if finding.differences:
        differ = "differs" if len(finding.differences) == 1 else "differ"
        reason = f"{format_many(len(finding.differences), 'item')} {differ} from {name}"
        return Verdict.failed(reason, evidence=evidence)
    if finding.undecided:
        reason = (
            f"{format_many(len(finding.undecided), 'item')} of {finding.table} differed from"
            f" {finding.index} and kept being written; run again"
        )
        return Verdict.invalid(reason, evidence=evidence)
    return Verdict.passed(evidence)


def verdict_on(verified: Sequence["Verified"]) -> Verdict | None:
    """Return the verdict on all indexes and patterns together; None if there are none."""
    found = [verdict_of(finding) for each in verified for finding in each.findings]
    answered = [verdict_of_answer(answer) for each in verified for answer in each.answers]
    return taken_together([*found, *answered])


def verdict_of_answer(answer: Answer) -> Verdict:
    """Return whether a pattern is answered the same both ways."""
    asked = f"{format_many(answer.keys, 'key')} of {answer.pattern}"
    evidence = f"{len(answer.differing):,} of {asked} differed"
    if answer.differing:
        reason = f"{evidence} between today's form and {answer.index}"
        return Verdict.failed(reason, evidence=evidence)
    if answer.undecided:
        reason = f"items that {answer.pattern} finds kept being written; run again"
        return Verdict.invalid(reason, evidence=evidence)
    if answer.keys and not answer.whole:
        evidence += f": fewer than {format_share(chance_of_more(answer.keys))} at 95%"
    return Verdict.passed(evidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """
    What was found of a table.

    Args:
        findings: Of each index.
        answers: Of each pattern that can be asked both ways.
    """

    findings: tuple[Finding, ...]
    answers: tuple[Answer, ...] = ()


class Verification:
    """
    Compares a table with its indexes.

    Args:
        target: Where; its limits hold for all threads.
        settle_s: No index lags behind by so much.
        keys: Each pattern is asked with so many keys at most; None for all.
        segments: Of the parallel scans.
        page_units: Read units of a page at most; None for as many as a page takes.
        pause: Sleeps.
    """

    def __init__(
        self,
        target: Target,
        *,
        settle_s: float = _SETTLE_S,
        keys: int | None = None,
        segments: int = 4,
        page_units: float | None = None,
        pause: Pause = time.sleep,
    ) -> None:
        self._target = target
        self._settling = Settling(settle_s=settle_s, pause=pause)
        self._keys = keys
        self._segments = segments
        self._page_units = page_units
        self._advance: Callable[[str, int], None] = lambda _, __: None
        self.read_units = 0.0

    def watch(self, advance: Callable[[str, int], None]) -> None:
        """Have *advance* called with the name of a table or an index, and what was read of it."""
        self._advance = advance

    def compare(self, subject: Subject) -> Verified:
        """
        Return what was found of each index of a table, and of the patterns that ask it.

        Raises:
            TargetError: The target failed.
            LimitReachedError: It would cost more than allowed.
            StorageFullError: No room for temporary data.
        """
        state = subject.state
        found = {each.name: Finding(table=state.name, index=each.name) for each in subject.indexes}
        unreadable = tuple(
            Finding(table=state.name, index=name, unreadable=why)
            for name, why in subject.unreadable.items()
        )
        answers: tuple[Answer, ...] = ()
        if subject.indexes:
            connection = self._target.connect(read_only=True)
            try:
                with answer_errors(f"verifying {state.name}", self._target.name):
                    answers = self._compare(connection, subject, found)
            finally:
                connection.close()
        return Verified(findings=(*found.values(), *unreadable), answers=answers)

    def _compare(
        self, connection: Connection, subject: Subject, found: dict[str, Finding]
    ) -> tuple[Answer, ...]:
        state, entries = subject.state, Entries(subject.indexes, subject.state.keys)
        asked = [Answers(each, state, most=self._keys) for each in subject.questions]
        pages = PageReader(connection, segments=self._segments, page_units=self._page_units)
        reader = StrongReader(
            RetryingConnection(connection),
            state,
            raw_binary=self._target.kind is not TargetKind.EMBEDDED,
            pause=self._settling.pause,
        )
        try:
            self._read_table(pages, subject, entries, asked, found)
            for index in subject.indexes:
                self._read_index(pages, state, index, entries, found[index.name])
            look = SecondLook(reader, state, self._settling)
            for suspects in entries.suspects(_AT_ONCE):
                for each in suspects:
                    found[each.index].looked_again += 1
                outcome = look.decide(suspects)
                for difference in outcome.differences:
                    found[difference.index].differences.append(difference)
                for suspect in outcome.undecided:
                    found[suspect.index].undecided.append(suspect)
            return tuple(each.compare(reader, self._settling) for each in asked)
        finally:
            self.read_units += pages.read_units + reader.read_units
            entries.close()
            for answers in asked:
                answers.close()

    def _read_table(
        self,
        reader: PageReader,
        subject: Subject,
        entries: Entries,
        asked: Sequence[Answers],
        found: dict[str, Finding],
    ) -> None:
        state, read = subject.state, 0

        def take(items: list[Item]) -> None:
            nonlocal read
            entries.expect(items)
            for each in asked:
                each.add(items)
            for index in subject.indexes:
                _count_left_out(items, index, found[index.name])
            read += len(items)
            self._advance(state.name, read)

        reader.read(_scan(subject), take)
        for each in found.values():
            each.items = read

    def _read_index(
        self,
        reader: PageReader,
        state: TableState,
        index: IndexState,
        entries: Entries,
        found: Finding,
    ) -> None:
        def take(items: list[Item]) -> None:
            entries.meet(index, items)
            found.entries += len(items)
            self._advance(f"{state.name}/{index.name}", found.entries)

        request = {"TableName": state.name, "IndexName": index.name}
        reader.read({**request, "ReturnConsumedCapacity": "TOTAL"}, take)


def _count_left_out(items: Sequence[Item], index: IndexState, finding: Finding) -> None:
    for item in items:
        found = violations(item, index.keys)
        if found:
            # an item without one of the keys is not meant to be in the index, whatever else it has
            first = min(found, key=lambda each: each.reason is not Reason.MISSING)
            finding.left_out[first] += 1


def _scan(subject: Subject) -> dict[str, Any]:
    state = subject.state
    request: dict[str, Any] = {"TableName": state.name, "ReturnConsumedCapacity": "TOTAL"}
    # a pattern's filter may look at anything
    if subject.questions or any(index.projection == "ALL" for index in subject.indexes):
        return request
    names = dict.fromkeys(
        chain(
            state.keys.names,
            *((*index.keys.names, *index.non_key_attributes) for index in subject.indexes),
        )
    )
    aliases = {f"#{number}": name for number, name in enumerate(names)}
    return {
        **request,
        "ProjectionExpression": ", ".join(aliases),
        "ExpressionAttributeNames": aliases,
    }
