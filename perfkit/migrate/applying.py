"""Applying a migration's plan to live tables, and taking back what that made."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from perfkit.dynamodb.connection import Connection
from perfkit.dynamodb.errors import answer_errors, aws_errors
from perfkit.dynamodb.index_work import (
    Change,
    Changes,
    Goal,
    Step,
    TableWork,
    WaitPolicy,
    Wanted,
    carry_out,
)
from perfkit.dynamodb.retries import Backoff, RetryingConnection
from perfkit.dynamodb.tables import (
    Definition,
    IndexState,
    Keys,
    TableState,
    describe,
    index_difference,
)
from perfkit.dynamodb.targets import Target
from perfkit.errors import ConfigError, PerfkitError, TargetError
from perfkit.migrate.checkpoint import state_digest
from perfkit.migrate.journal import Journal, Made
from perfkit.migrate.plan import IndexDefinition, Plan, TablePlan
from perfkit.migrate.planning import MOST_INDEXES

__all__ = [
    "Ready",
    "Taken",
    "apply",
    "check",
    "check_place",
    "check_removals",
    "definition_of",
    "find_taken",
    "roll_back",
]

_RETRY_FOR_S = 600.0
"""So long a target that stopped answering is asked again; indexes are built without anybody asking."""

_MOST_CHANGES = 4
"""Of a table since its plan, that one line names."""

_AGAIN = "`perfkit migrate status` shows how far it is, and the same command goes on"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """
    A table that is as its plan describes it.

    Args:
        plan: Of the table.
        state: As it is.
    """

    plan: TablePlan
    state: TableState

    @property
    def missing(self) -> tuple[IndexDefinition, ...]:
        """Indexes to create that are not there, or no longer once their deletion is done."""
        staying = {each.name for each in self.state.indexes if each.status != "DELETING"}
        return tuple(each.index for each in self.plan.creations if each.index.name not in staying)

    @property
    def to_remove(self) -> tuple[IndexDefinition, ...]:
        """Indexes to remove that are there."""
        return tuple(
            each.index
            for each in self.plan.removals
            if self.state.index(each.index.name) is not None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """
    An index that will be taken back.

    Args:
        state: Its table as it is.
        made: What the journal says of it.
    """

    state: TableState
    made: Made


def definition_of(index: IndexDefinition) -> Definition:
    """Return an index of a plan as it is asked for."""
    throughput = index.throughput
    return Definition(
        name=index.name,
        keys=Keys(partition=index.partition, sort=index.sort),
        projection=index.projection,
        non_key_attributes=index.non_key_attributes,
        capacity=None if throughput is None else (throughput.read, throughput.write),
    )


# ---- before anything is done -----------------------------------------------------------------


def check_place(target: Target, plan: Plan) -> None:
    """
    Make sure that a target is where the plan's tables are.

    Raises:
        ConfigError: It is another kind of place, region or account.
    """
    described = target.describe()
    place = plan.place
    if described["kind"] != place.kind:
        msg = f"the plan is for {place.kind}, not for {target.name}; check --target"
        raise ConfigError(msg)
    region = described.get("region", "")
    if region != place.region:
        msg = (
            f"the plan is for region {place.region}, not for {region}; check --region and --profile"
        )
        raise ConfigError(msg)
    account = target.account() or ""
    if place.account and account and account != place.account:
        msg = f"the plan is for account {place.account}, not for {account}; check --profile"
        raise ConfigError(msg)


def _look(target: Target, plan: Plan) -> dict[str, TableState]:
    """
    Return the plan's tables as they are, each the very table that was planned.

    Raises:
        ConfigError: Another table has its name by now, or it is another's.
        TargetError: One is not there, is being made or deleted, or the target failed.
    """
    if not target.may_exist:
        msg = f"no tables in {target.name}, which is not made yet; check --data"
        raise TargetError(msg)
    with RetryingConnection(target.connect(read_only=True)) as connection:
        return {each.table: _planned(connection, target, each) for each in plan.tables}


def _planned(connection: Connection, target: Target, table: TablePlan) -> TableState:
    with answer_errors(f"looking at table {table.table}", target.name):
        state = describe(connection, table.table)
    if state is None:
        msg = f"table {table.table} does not exist in {target.name}; nothing was changed"
        raise TargetError(msg)
    if state.arn != table.arn:
        msg = (
            f"the plan is for {table.arn}, and {target.name} has {state.arn}: another account or"
            " region; nothing was changed"
        )
        raise ConfigError(msg)
    if state.identity != table.identity:
        msg = (
            f"table {table.table} in {target.name} was re-created since the plan; plan again."
            " Nothing was changed"
        )
        raise ConfigError(msg)
    if state.status in {"CREATING", "DELETING", "ARCHIVED", "ARCHIVING"}:
        msg = (
            f"table {table.table} is {state.status} in {target.name}; run again when it is ACTIVE."
            " Nothing was changed"
        )
        raise TargetError(msg)
    return state


def check(target: Target, plan: Plan) -> tuple[Ready, ...]:
    """
    Return the plan's tables, if they are as it describes them; changes nothing.

    Indexes that the plan creates may be there by now, and those that it removes may be gone: an
    earlier apply did that.

    Raises:
        ConfigError: The target is another place, or a table has changed since.
        TargetError: See `_look`.
    """
    check_place(target, plan)
    states = _look(target, plan)
    found = []
    for table in plan.tables:
        state = states[table.table]
        if table.creations and table.removals:
            msg = f"the plan creates and removes indexes of {table.table}, which no plan does"
            raise ConfigError(msg)
        ready = Ready(plan=table, state=state)
        _check_unchanged(ready)
        _check_quota(state, len(ready.missing))
        found.append(ready)
    return tuple(found)


def _check_unchanged(ready: Ready) -> None:
    table, state = ready.plan, ready.state
    for each in table.creations:
        there = state.index(each.index.name)
        difference = index_difference(definition_of(each.index), there, whose="plan")
        if difference:
            msg = (
                f"index {each.index.name} of {table.table} is there, and another one: {difference};"
                " plan again. Nothing was changed"
            )
            raise ConfigError(msg)
    before = _before(ready)
    if state_digest(before) == table.digest:
        return
    planned = {each.index.name: each.index for each in table.existing}
    names = {each.name for each in before.indexes}
    changes = [f"{name} is new" for name in sorted(names - planned.keys())]
    changes += [f"{name} is gone" for name in sorted(planned.keys() - names)]
    for name in sorted(names & planned.keys()):
        if index_difference(definition_of(planned[name]), before.index(name)):
            changes.append(f"{name} is another one")
    if len(changes) > _MOST_CHANGES:
        changes = [*changes[:_MOST_CHANGES], f"{len(changes) - _MOST_CHANGES} more"]
    what = "; ".join(changes) or "the plan's file was changed"
    msg = (
        f"the plan is older than the indexes of {table.table}: {what}; plan again. Nothing was"
        " changed"
    )
    raise ConfigError(msg)


def check_removals(plan: Plan, ready: Sequence[Ready], journals: Mapping[str, Journal]) -> None:
    """
    Make sure that no index that was removed here since the plan was made is removed once more.

    Raises:
        ConfigError: One is there again: somebody re-created it, and the plan is not about that one.
    """
    for each in ready:
        for index in each.to_remove:
            deleted = journals[each.plan.table].deleted_since(each.state, _created_at(plan))
            there = each.state.index(index.name)
            if index.name in deleted and there is not None and there.status != "DELETING":
                msg = (
                    f"index {index.name} of {each.plan.table} was removed since the plan, and"
                    " somebody re-created it; plan again. Nothing was changed"
                )
                raise ConfigError(msg)


def _created_at(plan: Plan) -> datetime:
    try:
        return datetime.fromisoformat(plan.created_at).astimezone(UTC)
    except ValueError as error:
        msg = f"the plan's created_at is no time ({plan.created_at}); make the plan again"
        raise ConfigError(msg) from error


def _before(ready: Ready) -> TableState:
    """Return a table without what its plan does, as far as that is done."""
    table, state = ready.plan, ready.state
    created = {each.index.name for each in table.creations}
    kept = [each for each in state.indexes if each.name not in created]
    names = {each.name for each in kept}
    removed = {each.index.name for each in table.removals}
    for existing in table.existing:
        index = existing.index
        going = index.name in removed or existing.status == "DELETING"
        if going and index.name not in names:
            kept.append(
                IndexState(
                    name=index.name,
                    status="DELETING",
                    backfilling=False,
                    keys=Keys(partition=index.partition, sort=index.sort),
                    projection=index.projection,
                    non_key_attributes=tuple(sorted(index.non_key_attributes)),
                    items=0,
                    size_bytes=0,
                )
            )
    return replace(state, indexes=tuple(kept))


def _check_quota(state: TableState, more: int) -> None:
    # one that is being deleted is gone before the next one can be asked for
    staying = sum(each.status != "DELETING" for each in state.indexes)
    total = staying + more
    if more and total > MOST_INDEXES:
        msg = (
            f"{state.name} has {staying} global indexes and would have {total}, and"
            f" DynamoDB allows {MOST_INDEXES}; plan fewer, or ask AWS for a higher quota first"
        )
        raise ConfigError(msg)


# ---- doing it --------------------------------------------------------------------------------


def apply(
    target: Target, ready: Sequence[Ready], journals: Mapping[str, Journal], policy: WaitPolicy
) -> Changes:
    """
    Create and remove indexes as planned; may be interrupted and called again at any moment.

    Args:
        target: Where.
        ready: What `check` found, with the journals held.
        journals: Of the tables.
        policy: How to wait.

    Raises:
        ConfigError: A table or index was re-created meanwhile, or credentials have expired.
        TargetError: The target failed, or nothing has moved for too long.
        StorageFullError: The journal cannot be written.
    """
    with _connected(target, policy) as connection:
        works = [_work(connection, target, each, journals[each.plan.table]) for each in ready]
        with _stopping({journals[each.plan.table]: each.state for each in ready}):
            for each in ready:
                _scale_what_is_there(target, each, journals[each.plan.table])
            return _carry(works, target, policy)


def roll_back(
    target: Target, taken: Sequence[Taken], journals: Mapping[str, Journal], policy: WaitPolicy
) -> Changes:
    """Remove what apply made; see `apply`."""
    states = {each.state.name: each.state for each in taken}
    with _connected(target, policy) as connection:
        works = []
        for name, state in states.items():
            wanted = [each.made.definition for each in taken if each.state.name == name]
            works.append(
                TableWork(
                    connection,
                    target,
                    name,
                    state.identity,
                    {each.name: Change.QUEUED for each in wanted},
                    [Wanted(definition=each, goal=Goal.ABSENT) for each in wanted],
                    record=journals[name].note,
                    whose="journal",
                )
            )
        with _stopping({journals[name]: state for name, state in states.items()}):
            for each in taken:
                if each.made.is_scaled:
                    _unscale(target, each.state.name, each.made.definition.name)
                    # should the index stay after all, apply gives it its policy again
                    journals[each.state.name].add(each.state, "unscaled", each.made.definition)
            return _carry(works, target, policy)


def _connected(target: Target, policy: WaitPolicy) -> RetryingConnection:
    return RetryingConnection(
        target.connect(), backoff=Backoff(pause=policy.pause), clock=policy.clock
    )


def _carry(works: Sequence[TableWork], target: Target, policy: WaitPolicy) -> Changes:
    with answer_errors("changing indexes", target.name):
        return carry_out(works, target, policy, again=_AGAIN, retry_for_s=_RETRY_FOR_S)


@contextmanager
def _stopping(states: Mapping[Journal, TableState]) -> Iterator[None]:
    """Note why it stops, and say how to go on."""

    def note(reason: str) -> None:
        for journal, state in states.items():
            # what it stops for may be the very disk of the journal
            with suppress(PerfkitError):
                journal.add(state, "stopped", detail=reason)

    try:
        yield
    except KeyboardInterrupt:
        note("interrupted")
        raise
    except PerfkitError as error:
        note(str(error))
        if _AGAIN in str(error):
            raise
        msg = f"{error}. What was begun stays: {_AGAIN}"
        raise type(error)(msg) from error


def _work(
    connection: RetryingConnection, target: Target, ready: Ready, journal: Journal
) -> TableWork:
    table, state = ready.plan, ready.state
    made = journal.made(state)
    asked = [name for name, each in made.items() if not each.is_sure]
    changes: dict[str, Change] = {}
    wanted = []
    for creation in table.creations:
        definition = definition_of(creation.index)
        entries = creation.figures.entries.value
        wanted.append(Wanted(definition=definition, goal=Goal.PRESENT, entries=entries))
        index = state.index(definition.name)
        changes[definition.name] = _as_created(state, index)
        if index is not None and definition.name in asked:
            changes[definition.name] = Change.UNDER_WAY
    for removal in table.removals:
        definition = definition_of(removal.index)
        wanted.append(Wanted(definition=definition, goal=Goal.ABSENT))
        is_there = state.index(definition.name) is not None
        changes[definition.name] = Change.QUEUED if is_there else Change.NOT_THERE

    def scale(_: TableState, definition: Definition) -> None:
        if definition.name in journal.made(state):
            _scale(target, ready, definition, journal)

    return TableWork(
        connection,
        target,
        table.table,
        state.identity,
        changes,
        wanted,
        record=journal.note,
        asked=asked,
        whose="plan",
        settled=scale,
        check=lambda now: _check_quota(now, 1 if table.creations else 0),
    )


def _as_created(state: TableState, index: IndexState | None) -> Change:
    if index is None or index.status == "DELETING":
        return Change.QUEUED
    # other regions of a global table are looked at in any case
    if index.status == "CREATING" or state.replicas:
        return Change.UNDER_WAY
    return Change.ALREADY_THERE


# ---- capacity that scales --------------------------------------------------------------------


def _scale_what_is_there(target: Target, ready: Ready, journal: Journal) -> None:
    """Give a scaling policy to indexes that were made before it came to that."""
    made = journal.made(ready.state)
    for each in ready.plan.creations:
        index = ready.state.index(each.index.name)
        known = made.get(each.index.name)
        if index is not None and index.status == "ACTIVE" and known and not known.is_scaled:
            _scale(target, ready, definition_of(each.index), journal)


def _scale(target: Target, ready: Ready, definition: Definition, journal: Journal) -> None:
    if not ready.plan.scaling:
        return
    client = target.client("application-autoscaling")
    with aws_errors(f"giving {definition.name} its scaling policy", target.name):
        for each in ready.plan.scaling:
            place = _scalable(ready.plan.table, definition.name, each.dimension)
            client.register_scalable_target(**place, MinCapacity=each.least, MaxCapacity=each.most)
            if each.target_percent is not None:
                client.put_scaling_policy(
                    **place,
                    PolicyName=f"{definition.name}-{each.dimension}",
                    PolicyType="TargetTrackingScaling",
                    TargetTrackingScalingPolicyConfiguration={
                        "TargetValue": each.target_percent,
                        "PredefinedMetricSpecification": {"PredefinedMetricType": each.metric},
                    },
                )
    journal.add(ready.state, "scaled", definition)


def _scalable(table: str, index: str, dimension: str) -> dict[str, str]:
    return {
        "ServiceNamespace": "dynamodb",
        "ResourceId": f"table/{table}/index/{index}",
        "ScalableDimension": f"dynamodb:index:{dimension}",
    }


def _unscale(target: Target, table: str, index: str) -> None:
    """Take the scaling policies of an index away, which would outlive it."""
    client = target.client("application-autoscaling")
    with aws_errors(f"taking the scaling policy of {index} away", target.name):
        found = client.describe_scalable_targets(
            ServiceNamespace="dynamodb", ResourceIds=[f"table/{table}/index/{index}"]
        )["ScalableTargets"]
        for each in found:
            dimension = each["ScalableDimension"].rpartition(":")[2]
            client.deregister_scalable_target(**_scalable(table, index, dimension))


# ---- the way back ----------------------------------------------------------------------------


def find_taken(
    target: Target, plan: Plan, journals: Mapping[str, Journal]
) -> tuple[tuple[Taken, ...], tuple[str, ...]]:
    """
    Return what a plan's apply made and is there still, and what is there and not recorded.

    Raises:
        ConfigError: The target is another place or does not identify a table, the plan removes, an
            index is another one than the journal says, or nothing of what is there is recorded.
        TargetError: See `_look`.
    """
    check_place(target, plan)
    if any(table.removals for table in plan.tables):
        msg = "a removal has no way back: plan the index again with `perfkit migrate plan`"
        raise ConfigError(msg)
    taken, unknown = [], []
    for name, state in _look(target, plan).items():
        table = next(each for each in plan.tables if each.table == name)
        if not state.identity.is_known:
            msg = (
                f"{target.name} says neither TableId nor CreationDateTime of table {name}, so an"
                " index made here cannot be told from one of a later table; nothing was removed."
                " `perfkit migrate plan --remove NAME` plans a removal"
            )
            raise ConfigError(msg)
        made = journals[name].made(state)
        for each in table.creations:
            index = state.index(each.index.name)
            known = made.get(each.index.name)
            if index is None:
                if known is not None:
                    # one that is re-created under its name is not ours
                    journals[name].add(state, Step.DONE, known.definition, Goal.ABSENT, "gone")
                continue
            if known is None:
                unknown.append(f"{each.index.name} of {name}")
                continue
            difference = index_difference(known.definition, index, whose="journal")
            if difference:
                msg = (
                    f"index {index.name} of {name} is another one than was made here: {difference};"
                    " it was left alone"
                )
                raise ConfigError(msg)
            taken.append(Taken(state=state, made=known))
    if unknown and not taken:
        folder = next(iter(journals.values())).path.parent
        msg = (
            f"no journal in {folder} says that {', '.join(unknown)} was made here, and rollback"
            " removes nothing else; run it in the folder of the apply, or plan the removal with"
            " `perfkit migrate plan --remove NAME`"
        )
        raise ConfigError(msg)
    return tuple(taken), tuple(unknown)
