"""
What DynamoDB will not say of a new index: which items it leaves out, and which it then refuses.

The rule is `dynamodb.index_items.violations`. A table is read whole, in the segments of a parallel
scan and eventually consistent, or a sample of it is; nothing is written to it.
"""

import difflib
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from math import floor
from pathlib import Path
from typing import Any

from perfkit.capacity import READ_UNIT_BYTES, Item, read_units
from perfkit.dynamodb.connection import Connection
from perfkit.dynamodb.errors import answer_errors
from perfkit.dynamodb.index_items import (
    ItemCheck,
    Violation,
    check_held_keys,
    check_held_type,
    typed_keys,
)
from perfkit.dynamodb.retries import Backoff, RetryingConnection
from perfkit.dynamodb.sample import SampleLimits, Sampling, to_wire
from perfkit.dynamodb.tables import Keys
from perfkit.dynamodb.targets import Target, TargetKind
from perfkit.errors import ConfigError, StorageFullError
from perfkit.migrate.checkpoint import (
    Checkpoint,
    Segment,
    TableProgress,
    begun,
    digest_of,
    file_of,
    held,
    load,
    place_of,
    save,
)
from perfkit.migrate.proposals import Proposal
from perfkit.migrate.tally import Tallies, Tally
from perfkit.settings import MIGRATIONS_FOLDER
from perfkit.workloads.model import Workload
from perfkit.workloads.profile import Profile, Profiler, kind_of

__all__ = ["Findings", "Preflight", "full_units", "page_units"]

_FIRST_LOOK = 200
"""Items looked at first, for the kinds of items there are and against mistakes in the workload."""

_ENOUGH = 20
"""Items of a first look that must have an attribute before its type is a mistake of the workload's."""

_MOST_PAGE_UNITS = 128.0
"""Of 1 MB, eventually consistent."""
_LEAST_PAGE_UNITS = 2.5
_MEAN_ROUNDING = 0.25
"""Of half a unit."""

_SAVE_EVERY_S = 1.0
_LEAVE_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """
    What a table's items say about its proposed indexes.

    Args:
        proposal: Table and indexes.
        tallies: What was counted.
        kinds_by: What tells kinds of items apart: an attribute, "" for how keys begin; None where
            there is one kind.
        read_units: What reading took, as the target says.
        unseen: Key attributes that no item of a sample has, by index.
    """

    proposal: Proposal
    tallies: Tallies
    kinds_by: str | None
    read_units: float
    unseen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def page_units(rate: float | None, segments: int) -> float:
    """
    Return the read units of a page, at most.

    All of 1 MB would take a slow rate's units of many seconds at once, so all segments' pages take
    those of one second. Of very small pages each would be rounded up to half a unit for nothing.

    Args:
        rate: Read units a second; None for no limit.
        segments: Of the parallel scan.
    """
    if rate is None:
        return _MOST_PAGE_UNITS
    return min(max(rate / segments, _LEAST_PAGE_UNITS), _MOST_PAGE_UNITS)


def full_units(proposal: Proposal, page: float) -> float:
    """
    Return roughly the read units of reading a table once, from its description.

    Args:
        proposal: The table.
        page: Read units of a page; of each, a quarter more goes into rounding up on average.
    """
    if not proposal.state.size_bytes:
        return 0.0
    units = read_units(proposal.state.size_bytes)
    return units + floor(units / page) * _MEAN_ROUNDING


# ---- the file of violations ------------------------------------------------------------------------


_LINE_START = b'{"table": "'
"""What every line of a file of violations begins with."""


class _ViolationsFile:
    """
    Keys of items that violate a proposed index, one JSON document a line; its owner's alone.

    Args:
        path: Where.
        most: At most so many keys of each index, attribute and reason; None for all.
        continue_at: Bytes to keep of a file begun before; 0 begins one, in whatever's place.

    Raises:
        ConfigError: There is none to continue, or the place cannot be written to.
    """

    def __init__(
        self,
        path: Path,
        *,
        most: int | None = None,
        continue_at: int = 0,
    ) -> None:
        self.path = path
        self._most = most
        self._written: Counter[tuple[str, str, str, str]] = Counter()
        flags = os.O_WRONLY | os.O_CLOEXEC | (0 if continue_at else os.O_CREAT)
        try:
            descriptor = os.open(path, flags, 0o600)
            os.fchmod(descriptor, 0o600)
            self._file = os.fdopen(descriptor, "wb")
            if os.fstat(descriptor).st_size < continue_at:
                msg = f"{path} is shorter than this preflight left it; --restart begins anew"
                raise ConfigError(msg)
            self._file.truncate(continue_at)
            self._file.seek(continue_at)
        except OSError as error:
            msg = f"cannot write {path} ({error.strerror or error}); give another --violations"
            raise ConfigError(msg) from error

    def count_written(self, table: str, tally: Tally) -> None:
        """Take into account what was written of a table before."""
        for index, each in tally.indexes.items():
            for attribute, reasons in each.reasons.items():
                for reason, items in reasons.items():
                    self._written[table, index, attribute, reason] += items

    def write(self, table: str, key: Item, index: str, violation: Violation) -> None:
        """
        Add a line.

        Raises:
            StorageFullError: There is no room.
        """
        kind = (table, index, violation.attribute, str(violation.reason))
        self._written[kind] += 1
        if self._most is not None and self._written[kind] > self._most:
            return
        line = {
            "table": table,
            "key": key,
            "index": index,
            "attribute": violation.attribute,
            "reason": str(violation.reason),
            "found": violation.found,
            "wanted": violation.wanted,
        }
        self._try(lambda: self._file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n"))

    def flush(self) -> int:
        """Force to disk what was written, and return the size of the file."""
        self._try(self._file.flush)
        self._try(lambda: os.fsync(self._file.fileno()))
        return self._file.tell()

    def _try(self, write: Callable[[], object]) -> None:
        try:
            write()
        except OSError as error:
            msg = f"cannot write {self.path} ({error.strerror or error}); free some space and run the same command again"
            raise StorageFullError(msg) from error

    def close(self) -> None:
        with suppress(OSError):
            self._file.close()


# ---- reading ------------------------------------------------------------------------------------------


class _LeftError(Exception):
    """A thread is asked to end."""


class Preflight:
    """
    Looks at the items of tables for the indexes that are proposed on them.

    Args:
        target: Where; its limits hold for all threads.
        workload: For messages and to find what was begun.
        proposals: Tables and indexes.
        violations: Where to write the keys of violating items; None for nowhere.
        most: At most so many keys of each index, attribute and reason; None for all.
        replace: Replace a file of violations that is there.
        segments: Of the parallel scan, each read by a thread of its own.
        folder: Where it is kept how far the preflight is.
    """

    def __init__(
        self,
        target: Target,
        workload: Workload,
        proposals: Sequence[Proposal],
        *,
        violations: Path | None = None,
        most: int | None = None,
        replace: bool = False,
        segments: int = 4,
        folder: Path = MIGRATIONS_FOLDER,
    ) -> None:
        self._target = target
        self._workload = workload
        self._folder = folder
        self._proposals = proposals
        self._violations = violations
        self._most = most
        self._replace = replace
        self._segments = segments
        self._advance: Callable[[str, int], None] = lambda _, __: None

    def watch(self, advance: Callable[[str, int], None]) -> None:
        """Have *advance* called with the name of a table and the items read of it by now."""
        self._advance = advance

    @cached_property
    def file(self) -> Path:
        """Where it is kept how far the preflight is."""
        return file_of(place_of(self._target), self._workload, self._folder)

    def begun_items(self) -> int:
        """Return how many items were read by a preflight that was not finished, 0 if there is none."""
        found = load(self.file)
        if found is None:
            return 0
        return sum(each.read_items for each in found.tables)

    def forget(self) -> None:
        """Forget a preflight that was not finished."""
        self.file.unlink(missing_ok=True)

    # -- all items

    def read_all(self) -> tuple[Findings, ...]:
        """
        Read the tables whole, or the rest of them.

        However it ends but by itself, the same again continues.

        Raises:
            ConfigError: The workload describes an index wrongly, or what was begun was another
                preflight.
            TargetError: The target failed.
            LimitReachedError: It would cost more than allowed.
            StorageFullError: No room for violations or positions.
        """
        with held(self.file):
            checkpoint = load(self.file)
            if checkpoint is None:
                self._check_output_free()
                checkpoint = Checkpoint(
                    place=place_of(self._target),
                    violations=None
                    if self._violations is None
                    else str(self._violations.resolve()),
                )
                # before the file of violations is there, so that whatever ends here can go on
                save(self.file, checkpoint)
            else:
                begun(checkpoint, self._proposals)
                self._check_same_output(checkpoint)
                self._check_own_output(checkpoint.violations_bytes)
            output = self._open(checkpoint.violations_bytes)
            connection = self._target.connect(read_only=True)
            try:
                self._read_tables(connection, checkpoint, output)
                # nothing is left to continue, also where the workload turns out to be wrong
                self.forget()
                findings = tuple(self._found(checkpoint, each) for each in self._proposals)
                for found in findings:
                    self._check(connection, found)
            except BaseException:
                if not any(each.read_items for each in checkpoint.tables):
                    # nothing is kept that could be continued
                    self.forget()
                    if self._violations is not None and not checkpoint.violations_bytes:
                        self._violations.unlink(missing_ok=True)
                raise
            finally:
                connection.close()
                if output is not None:
                    output.close()
        return findings

    def _check(self, connection: Connection, found: Findings) -> None:
        total = found.tallies.total()
        with answer_errors(f"reading table {found.proposal.state.name}", self._target.name):
            for index in found.proposal.indexes:
                check_held_keys(connection, found.proposal.table, _item_check(index, total))

    def _check_output_free(self) -> None:
        if self._violations is None or not self._violations.exists():
            return
        if not self._violations.is_file():
            msg = f"{self._violations} is no ordinary file; give another --violations"
            raise ConfigError(msg)
        if not self._replace:
            msg = (
                f"{self._violations} is there already; --force replaces it, or give another"
                " --violations"
            )
            raise ConfigError(msg)

    def _open(self, continue_at: int) -> _ViolationsFile | None:
        if self._violations is None:
            return None
        return _ViolationsFile(self._violations, most=self._most, continue_at=continue_at)

    def _check_same_output(self, checkpoint: Checkpoint) -> None:
        given = None if self._violations is None else str(self._violations.resolve())
        if given != checkpoint.violations:
            before = (
                "without --violations"
                if checkpoint.violations is None
                else f"with --violations {checkpoint.violations}"
            )
            msg = f"this preflight was begun {before}; go on like that, or --restart begins anew"
            raise ConfigError(msg)

    def _check_own_output(self, kept_bytes: int) -> None:
        """Refuse to go on in a file that somebody put in the place of the preflight's own."""
        if self._violations is None or not self._violations.exists():
            return
        with self._violations.open("rb") as file:
            start = file.read(len(_LINE_START))
            file.seek(max(0, kept_bytes - 1))
            end = file.read(1)
        if not _LINE_START.startswith(start) or (kept_bytes and end != b"\n"):
            msg = (
                f"{self._violations} is not what this preflight wrote; move it away and add"
                " --restart, which begins anew"
            )
            raise ConfigError(msg)

    def _read_tables(
        self, connection: Connection, checkpoint: Checkpoint, output: _ViolationsFile | None
    ) -> None:
        # mistakes in the workload show before anything is read whole
        for proposal in self._proposals:
            if checkpoint.table(proposal) is None:
                with answer_errors(f"looking at table {proposal.state.name}", self._target.name):
                    checkpoint.tables.append(self._begin(connection, proposal))
        for proposal in self._proposals:
            name, progress = proposal.state.name, checkpoint.table(proposal)
            if progress is None or progress.is_done:
                continue
            if output is not None:
                for each in progress.segments:
                    output.count_written(name, each.tally)
            reading = _Reading(
                self._target,
                connection,
                proposal,
                progress,
                output=output,
                save=lambda: save(self.file, checkpoint),
                checkpoint=checkpoint,
                advance=self._advance,
            )
            with answer_errors(f"reading table {name}", self._target.name):
                reading.run()

    def _begin(self, connection: Connection, proposal: Proposal) -> TableProgress:
        """Take a first look, and return how to read the table."""
        patient = RetryingConnection(connection, backoff=Backoff())
        keys = proposal.state.keys.names
        limits = SampleLimits(items=_FIRST_LOOK).for_table(proposal.state)
        sampling = Sampling(patient, proposal.state, limits=limits)
        profiler = Profiler(keys)
        for each in sampling:
            profiler.add(each.item, each.size_bytes, each.segment)
        facts = sampling.facts()
        profile = profiler.profile(table_items=facts.table_items, whole=facts.whole)
        _check_first_look(proposal, profile)
        page_items = None
        rate = None if self._target.limits is None else self._target.limits.max_rcu
        if rate is not None and profile.sizes is not None:
            room_bytes = page_units(rate, self._segments) * 2 * READ_UNIT_BYTES
            page_items = max(1, int(room_bytes / profile.sizes.mean))
        return TableProgress(
            table=proposal.state.name,
            identity=proposal.state.identity,
            digest=digest_of(proposal),
            kinds_by=profile.kinds_by if profile.kinds else None,
            page_items=page_items,
            read_units=facts.read_units or 0.0,
            # DynamoDB Local gives every segment the whole table
            segments=[Segment() for _ in range(1 if facts.ignores_segments else self._segments)],
        )

    def _found(self, checkpoint: Checkpoint, proposal: Proposal) -> Findings:
        progress = checkpoint.table(proposal)
        assert progress is not None  # noqa: S101 - it was read
        return Findings(
            proposal=proposal,
            tallies=Tallies(
                places={number: each.tally for number, each in enumerate(progress.segments)},
                whole=True,
            ),
            kinds_by=progress.kinds_by,
            read_units=progress.read_units,
        )

    # -- some items

    def read_sample(self, items: int) -> tuple[Findings, ...]:
        """
        Read a sample of each table.

        Args:
            items: Of each table, at most.

        Raises:
            ConfigError: The workload describes an index wrongly.
            TargetError: The target failed.
            LimitReachedError: It would cost more than allowed.
            StorageFullError: No room for violations.
        """
        self._check_output_free()
        output = self._open(0)
        connection = RetryingConnection(self._target.connect(read_only=True), backoff=Backoff())
        try:
            found = []
            for proposal in self._proposals:
                with answer_errors(f"reading table {proposal.state.name}", self._target.name):
                    found.append(self._sample(connection, proposal, items, output))
        finally:
            connection.close()
            if output is not None:
                output.flush()
                output.close()
        return tuple(found)

    def _sample(
        self,
        connection: RetryingConnection,
        proposal: Proposal,
        items: int,
        output: _ViolationsFile | None,
    ) -> Findings:
        state = proposal.state
        keys = {index.name: Keys.of(index) for index in proposal.indexes}
        limits = SampleLimits(items=items).for_table(state)
        sampling = Sampling(connection, state, limits=limits, seed=1)
        profiler = Profiler(state.keys.names)
        wanted = {name for each in keys.values() for name in each.names}
        kept: list[tuple[Item, int]] = []
        for each in sampling:
            profiler.add(each.item, each.size_bytes, each.segment)
            kept.append((each.item, each.segment))
            self._advance(state.name, len(kept))
        facts = sampling.facts()
        profile = profiler.profile(table_items=facts.table_items, whole=facts.whole)
        _check_first_look(proposal, profile)
        kinds_by = profile.kinds_by if profile.kinds else None
        places: dict[int, Tally] = {}
        for item, place in kept:
            tally = places.setdefault(place, Tally())
            for name, violation in tally.add(item, _kind(item, proposal, kinds_by), keys):
                if output is not None:
                    output.write(state.name, _key(item, proposal), name, violation)
        partition = [name for name, _ in state.keys.partition]
        partitions = {json.dumps([item.get(name) for name in partition]) for item, _ in kept}
        tallies = Tallies(places=places, whole=facts.whole, partitions=len(partitions))
        seen = {name for name in wanted if profile.attribute(name) is not None}
        found = Findings(
            proposal=proposal,
            tallies=tallies,
            kinds_by=kinds_by,
            read_units=facts.read_units or 0.0,
            unseen={
                name: tuple(each for each in key.names if each not in seen)
                for name, key in keys.items()
                if kept and not seen.issuperset(key.names)
            },
        )
        if facts.whole:
            self._check(connection, found)
        return found


class _Reading:
    """The rest of one table, in threads; the caller's thread keeps how far they are."""

    def __init__(
        self,
        target: Target,
        connection: Connection,
        proposal: Proposal,
        progress: TableProgress,
        *,
        output: _ViolationsFile | None,
        save: Callable[[], None],
        checkpoint: Checkpoint,
        advance: Callable[[str, int], None],
    ) -> None:
        self._raw_binary = target.kind is not TargetKind.EMBEDDED
        self._proposal = proposal
        self._progress = progress
        self._output = output
        self._write = save
        self._checkpoint = checkpoint
        self._advance = advance
        self._keys = {index.name: Keys.of(index) for index in proposal.indexes}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._failures: list[BaseException] = []
        # whether the file of violations holds all of what is counted, and nothing else
        self._is_whole = True
        self._connection = RetryingConnection(connection, backoff=Backoff(pause=self._pause))
        self._request = self._scan()

    def run(self) -> None:
        """
        Read on to the end.

        Raises:
            DynamoDBError: The target refused.
            PerfkitError: A limit, a full disk.
        """
        threads = [
            # daemons, because a page may be waited for longer than somebody who gave up waits
            threading.Thread(target=self._follow, args=(number, segment), daemon=True)
            for number, segment in enumerate(self._progress.segments)
            if not segment.is_done
        ]
        self._save()
        try:
            for thread in threads:
                thread.start()
            saved_s = time.monotonic()
            while any(thread.is_alive() for thread in threads) and not self._failures:
                for thread in threads:
                    thread.join(0.05)
                self._tell()
                if time.monotonic() - saved_s >= _SAVE_EVERY_S:
                    self._save()
                    saved_s = time.monotonic()
        finally:
            self._stop.set()
            ends_s = time.monotonic() + _LEAVE_WITHIN_S
            for thread in threads:
                if thread.ident is not None:
                    thread.join(max(0.0, ends_s - time.monotonic()))
            self._save()
        if self._failures:
            raise self._failures[0]

    def _tell(self) -> None:
        with self._lock:
            items = sum(each.tally.items for each in self._progress.segments)
        self._advance(self._proposal.state.name, items)

    def _save(self) -> None:
        with self._lock:
            if not self._is_whole:
                return
            if self._output is not None:
                self._checkpoint.violations_bytes = self._output.flush()
            self._write()

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise _LeftError

    def _scan(self) -> dict[str, Any]:
        names = [*self._proposal.state.keys.names]
        names += [name for each in self._keys.values() for name in each.names]
        if self._progress.kinds_by:
            names.append(self._progress.kinds_by)
        aliases = {f"#{number}": name for number, name in enumerate(dict.fromkeys(names))}
        request: dict[str, Any] = {
            "TableName": self._proposal.state.name,
            "ProjectionExpression": ", ".join(aliases),
            "ExpressionAttributeNames": aliases,
            "ReturnConsumedCapacity": "TOTAL",
        }
        if self._progress.page_items is not None:
            request["Limit"] = self._progress.page_items
        return request

    def _follow(self, number: int, segment: Segment) -> None:
        try:
            while not (segment.is_done or self._stop.is_set()):
                self._page(number, segment)
        except _LeftError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            self._failures.append(error)

    def _page(self, number: int, segment: Segment) -> None:
        request = dict(self._request)
        if len(self._progress.segments) > 1:
            request |= {"Segment": number, "TotalSegments": len(self._progress.segments)}
        if segment.start is not None:
            request["ExclusiveStartKey"] = (
                _with_bytes(segment.start) if self._raw_binary else segment.start
            )
        answer = self._connection.execute("Scan", request)
        items = [to_wire(item) for item in answer["Items"]]
        last = answer.get("LastEvaluatedKey")
        with self._lock:
            if self._stop.is_set():
                # what the caller keeps does not know of this page any more
                return
            page = self._count(items, segment.tally)
            segment.tally.include(page)
            self._progress.read_units += answer.get("ConsumedCapacity", {}).get(
                "CapacityUnits", 0.0
            )
            segment.start = None if last is None else to_wire(last)
            segment.is_done = last is None

    def _count(self, items: Iterable[Item], before: Tally) -> Tally:
        """Return what a page says; its violations are written by then, or none of it counts."""
        page = Tally()
        try:
            for item in items:
                kind = _kind(item, self._proposal, self._progress.kinds_by)
                kind = before.nameable(kind, len(page.kinds))
                for name, violation in page.add(item, kind, self._keys):
                    if self._output is not None:
                        self._output.write(
                            self._proposal.state.name, _key(item, self._proposal), name, violation
                        )
        except BaseException:
            self._is_whole = False
            self._stop.set()
            raise
        return page


def _kind(item: Item, proposal: Proposal, by: str | None) -> str:
    return "" if by is None else kind_of(item, proposal.state.keys.names, by)


def _key(item: Item, proposal: Proposal) -> Item:
    return {name: item[name] for name in proposal.state.keys.names if name in item}


def _with_bytes(key: Mapping[str, Mapping[str, str]]) -> Item:
    """Return a key as boto3 wants it: binary as bytes."""
    import base64

    return {
        name: {kind: base64.b64decode(content) if kind == "B" else content}
        for name, value in key.items()
        for kind, content in value.items()
    }


def _item_check(index: Any, total: Tally) -> ItemCheck:
    seen = total.indexes.get(index.name)
    types: Iterable[tuple[str, dict[str, int]]] = () if seen is None else seen.types.items()
    return ItemCheck(
        index=index,
        items=total.items,
        types={name: Counter(counted) for name, counted in types},
    )


def _check_first_look(proposal: Proposal, profile: Profile) -> None:
    """
    Refuse early what a few items already show: a wrong type, or a name that is only much like one.

    Raises:
        ConfigError: Names attribute, what was found and what was wanted.
    """
    table = proposal.state.name
    for index in proposal.indexes:
        for name, wanted in typed_keys(index):
            seen = profile.attribute(name)
            if seen is not None:
                types = {kind: items for kind, items in seen.types.items() if kind != "NULL"}
                if sum(types.values()) >= _ENOUGH:
                    check_held_type(proposal.table, index.name, (name, wanted), types)
                continue
            most = [each.name for each in profile.attributes if 2 * each.items >= profile.items]
            similar = difflib.get_close_matches(name, most, n=1, cutoff=0.8)
            if similar and profile.items >= _ENOUGH:
                msg = (
                    f"index {index.name} of {table} wants {name} ({wanted}); none of the first"
                    f" {profile.items:,} items has it, and most have {similar[0]}; correct the name"
                    " in the workload. No index was created"
                )
                raise ConfigError(msg)
