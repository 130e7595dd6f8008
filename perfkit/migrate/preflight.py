"""
What DynamoDB will not say of a new index: which items it leaves out, and which it then refuses.

The rule is `dynamodb.index_items.violations`. A table is read whole, in the segments of a parallel
scan and eventually consistent, or a sample of it is; nothing is written to it.
"""

import difflib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from perfkit.capacity import READ_UNIT_BYTES, Item
from perfkit.dynamodb.connection import Connection
from perfkit.dynamodb.errors import answer_errors
from perfkit.dynamodb.index_items import (
    ItemCheck,
    check_held_keys,
    check_held_type,
    typed_keys,
)
from perfkit.dynamodb.retries import RetryingConnection
from perfkit.dynamodb.sample import SampleLimits, Sampling
from perfkit.dynamodb.tables import Keys
from perfkit.dynamodb.targets import Target
from perfkit.errors import ConfigError
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
from perfkit.migrate.full_scan import FullScan, kind_in_table, page_units
from perfkit.migrate.proposals import Proposal
from perfkit.migrate.tally import Tallies, Tally
from perfkit.migrate.violations_file import ViolationsFile, check_free, check_own
from perfkit.settings import MIGRATIONS_FOLDER
from perfkit.workloads.model import Workload
from perfkit.workloads.profile import Profile, Profiler

__all__ = ["Findings", "Preflight"]

_FIRST_LOOK = 200
"""Items looked at first, for the kinds of items there are and against mistakes in the workload."""

_ENOUGH = 20
"""Items of a first look that must have an attribute before its type is a mistake of the workload's."""


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
                if self._violations is not None:
                    check_own(self._violations, checkpoint.violations_bytes)
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
        if self._violations is not None:
            check_free(self._violations, replace=self._replace)

    def _open(self, continue_at: int) -> ViolationsFile | None:
        if self._violations is None:
            return None
        return ViolationsFile(self._violations, most=self._most, continue_at=continue_at)

    def _check_same_output(self, checkpoint: Checkpoint) -> None:
        given = None if self._violations is None else str(self._violations.resolve())
        if given != checkpoint.violations:
            before = (
                "without --violations"
                if checkpoint.violations is None
                else f"with --violations {checkpoint.violations}"
            )
            msg = f"this preflight was begun {before}; go on like that, or --restart starts over"
            raise ConfigError(msg)

    def _read_tables(
        self, connection: Connection, checkpoint: Checkpoint, output: ViolationsFile | None
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
            reading = FullScan(
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
        patient = RetryingConnection(connection)
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
        found = []
        try:
            with RetryingConnection(self._target.connect(read_only=True)) as connection:
                for proposal in self._proposals:
                    with answer_errors(f"reading table {proposal.state.name}", self._target.name):
                        found.append(self._sample(connection, proposal, items, output))
        finally:
            if output is not None:
                output.flush()
                output.close()
        return tuple(found)

    def _sample(
        self,
        connection: RetryingConnection,
        proposal: Proposal,
        items: int,
        output: ViolationsFile | None,
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
            for name, violation in tally.add(item, kind_in_table(item, proposal, kinds_by), keys):
                if output is not None:
                    output.write(proposal, item, name, violation)
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
