"""Making a migration's plan: from a workload, tables as they are, and a sample of their items."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from perfkit import __version__
from perfkit.cost.consumption import consumption
from perfkit.cost.prices import PriceBook
from perfkit.dynamodb.errors import answer_errors, aws_errors
from perfkit.dynamodb.retries import RetryingConnection
from perfkit.dynamodb.sample import Sample, SampleLimits, take_sample
from perfkit.dynamodb.tables import IndexState, Keys, TableState, describe, index_difference
from perfkit.dynamodb.targets import Target
from perfkit.errors import ConfigError, PerfkitError
from perfkit.migrate.calls import calls_of
from perfkit.migrate.checkpoint import state_digest
from perfkit.migrate.figures import figures_of
from perfkit.migrate.plan import (
    Creation,
    Existing,
    Figures,
    IndexDefinition,
    Place,
    Plan,
    Removal,
    Scaling,
    TablePlan,
    Throughput,
)
from perfkit.migrate.proposals import Proposal
from perfkit.units import format_units
from perfkit.workloads.model import AccessPattern, Index, Table, Workload

__all__ = ["MOST_INDEXES", "make_plan", "name_there", "plan_removal", "sample_tables"]

MOST_INDEXES = 20
_MOST_KEY_ATTRIBUTES = 4
_MOST_INCLUDED = 100
"""Quotas of a table. Source: DynamoDB developer guide, "Quotas"; the first can be raised."""

_PARTITION_WCU = 1000.0
_PARTITION_RCU = 3000.0
"""What one partition takes a second. Source: developer guide, "burst and adaptive capacity"."""


def sample_tables(
    target: Target,
    proposals: Sequence[Proposal],
    items: int,
    *,
    begin: Callable[[str], None] = lambda _: None,
) -> dict[str, Sample]:
    """
    Return a sample of each table, by its name.

    Args:
        target: Where.
        proposals: The tables.
        items: Of each, at most.
        begin: Called with the name of the table that is read next.

    Raises:
        TargetError: The target failed.
        LimitReachedError: It would cost more than allowed.
    """
    samples = {}
    with RetryingConnection(target.connect(read_only=True)) as connection:
        for each in proposals:
            begin(each.state.name)
            with answer_errors(f"reading table {each.state.name}", target.name):
                samples[each.state.name] = take_sample(
                    connection,
                    each.state,
                    limits=SampleLimits(items=items).for_table(each.state),
                    whole_segments=True,
                )
    return samples


def make_plan(
    target: Target,
    workload: Workload,
    proposals: Sequence[Proposal],
    samples: Mapping[str, Sample],
    *,
    book: PriceBook | None,
    backfill_wcu: float | None,
    created_at: str,
) -> Plan:
    """
    Return what a migration would do; changes nothing.

    Args:
        target: Where.
        workload: For its patterns and traffic.
        proposals: Tables and the indexes they lack.
        samples: Of the tables' items, by name.
        book: Prices; None where there are none.
        backfill_wcu: Write units a second to build an index with; None for the usual.
        created_at: Now, in UTC.

    Raises:
        ConfigError: A quota would be passed.
    """
    tables = []
    for proposal in proposals:
        wanted = [each for each in proposal.indexes if not name_there(proposal.state, each)]
        if not wanted:
            continue
        _check_quotas(proposal.state, wanted)
        tables.append(
            _table_plan(
                target,
                workload,
                replace(proposal, indexes=tuple(wanted)),
                samples[proposal.state.name],
                book=book,
                backfill_wcu=backfill_wcu,
            )
        )
    prices = "" if book is None else f"list prices of {book.region}, as of {_dates(book)}"
    return _plan(target, workload, tables, prices=prices, created_at=created_at)


def _plan(
    target: Target,
    workload: Workload,
    tables: Sequence[TablePlan],
    *,
    prices: str = "",
    created_at: str,
) -> Plan:
    described = target.describe()
    return Plan(
        perfkit=__version__,
        created_at=created_at,
        workload=workload.name,
        workload_digest=workload.digest,
        place=Place(
            kind=described["kind"],
            region=described.get("region", ""),
            endpoint=described.get("endpoint", ""),
            account=target.account() or "",
        ),
        prices=prices,
        tables=tuple(tables),
    )


def _dates(book: PriceBook) -> str:
    dates = sorted({each.date.isoformat() for each in book.used.values() if each.date})
    return " to ".join(dict.fromkeys((dates[0], dates[-1]))) if dates else "an unknown day"


def name_there(state: TableState, index: Index) -> str:
    """Return the name that an index of this key and projection has on the table; "" if none has them."""
    names = [
        each.name
        for each in state.indexes
        if not index_difference(index, each) and each.status != "DELETING"
    ]
    return index.name if index.name in names else next(iter(names), "")


def _check_quotas(state: TableState, wanted: Sequence[Index]) -> None:
    for index in wanted:
        if max(len(index.partition_keys), len(index.sort_keys)) > _MOST_KEY_ATTRIBUTES:
            msg = (
                f"index {index.name} of {state.name} has more than {_MOST_KEY_ATTRIBUTES} partition"
                " or sort key attributes, which DynamoDB does not allow; take some away"
            )
            raise ConfigError(msg)
    total = len(state.indexes) + len(wanted)
    if total > MOST_INDEXES:
        msg = (
            f"{state.name} would have {total} global indexes, and DynamoDB allows {MOST_INDEXES};"
            " plan fewer with --index, or ask AWS for a higher quota first"
        )
        raise ConfigError(msg)
    included = sum(len(each.non_key_attributes) for each in state.indexes)
    included += sum(len(each.non_key_attributes) for each in wanted)
    if included > _MOST_INCLUDED:
        msg = (
            f"the indexes of {state.name} would include {included} attributes, and DynamoDB allows"
            f" {_MOST_INCLUDED}; project ALL or KEYS_ONLY in one of them"
        )
        raise ConfigError(msg)


def _table_plan(
    target: Target,
    workload: Workload,
    proposal: Proposal,
    sample: Sample,
    *,
    book: PriceBook | None,
    backfill_wcu: float | None,
) -> TablePlan:
    table, state = proposal.table, proposal.state
    writes_hz = None if workload.traffic is None else workload.traffic.writes_hz.get(table.name)
    creations = []
    names = {each.name for each in state.indexes}
    for index in proposal.indexes:
        name = _free_name(index.name, names)
        names.add(name)
        figures = figures_of(
            table, index, sample, book=book, backfill_wcu=backfill_wcu, writes_hz=writes_hz
        )
        creations.append(
            Creation(
                index=_definition(index, name, state, figures),
                replaces="" if name == index.name else index.name,
                figures=figures,
                calls=tuple(
                    calls_of(pattern, table, name)
                    for pattern in workload.patterns
                    if pattern.table == table.name
                    and pattern.better_query is not None
                    and pattern.better_query.index == index.name
                ),
            )
        )
    scaling, unscaled = _scaling(target, state)
    return replace(
        _described(state, table),
        items=sample.facts.estimated_items,
        sampled=sample.facts.items,
        whole=sample.facts.whole,
        scaling=scaling,
        creations=tuple(creations),
        warnings=(*_warnings(state, sample, creations), *unscaled, *_recovery(target, state)),
    )


def _described(state: TableState, table: Table) -> TablePlan:
    """Return the plan of a table with which nothing is done yet."""
    throughput = None
    if state.billing == "PROVISIONED":
        throughput = Throughput(read=state.read_capacity, write=state.write_capacity)
    return TablePlan(
        table=table.name,
        arn=state.arn,
        identity=state.identity,
        digest=state_digest(state),
        partition=state.keys.partition,
        sort=state.keys.sort,
        local=tuple(map(_as_it_is, state.local_indexes)),
        billing=state.billing,
        throughput=throughput,
        items=state.items,
        sampled=0,
        whole=False,
        replicas=state.replicas,
        existing=tuple(_existing(state, table)),
    )


def _free_name(name: str, taken: set[str]) -> str:
    """Return the name of an index, or where that is taken the next one in its manner."""
    number = 2
    found = name
    while found in taken:
        found = f"{name[:250]}-v{number}"
        number += 1
    return found


def _definition(index: Index, name: str, state: TableState, figures: Figures) -> IndexDefinition:
    throughput = None
    if state.billing == "PROVISIONED":
        throughput = Throughput(
            read=max(1, state.read_capacity), write=int(figures.needed_write_capacity or 1)
        )
    keys = Keys.of(index)
    return IndexDefinition(
        name=name,
        partition=keys.partition,
        sort=keys.sort,
        projection=str(index.projection),
        non_key_attributes=tuple(index.non_key_attributes),
        throughput=throughput,
    )


def _as_it_is(state: IndexState) -> IndexDefinition:
    throughput = None
    if state.write_capacity:
        throughput = Throughput(read=state.read_capacity, write=state.write_capacity)
    return IndexDefinition(
        name=state.name,
        partition=state.keys.partition,
        sort=state.keys.sort,
        projection=state.projection,
        non_key_attributes=state.non_key_attributes,
        throughput=throughput,
    )


def _existing(state: TableState, table: Table) -> list[Existing]:
    wanted = {index.name: index for index in table.indexes}
    return [
        Existing(
            index=_as_it_is(each),
            status=each.status,
            difference=index_difference(wanted[each.name], each) if each.name in wanted else "",
            in_workload=each.name in wanted,
        )
        for each in state.indexes
    ]


def _warnings(state: TableState, sample: Sample, creations: Sequence[Creation]) -> list[str]:
    found = []
    if state.is_busy:
        found.append(f"an operation on {state.name} or one of its indexes runs; it comes first")
    if state.replicas:
        found.append(
            f"{state.name} is a global table: {', '.join(state.replicas)} build each index too, which"
            " the amounts count at this region's prices"
        )
    if not sample.facts.items:
        found.append(f"{state.name} has no items, so all figures are 0")
    elif sample.facts.ignores_segments:
        found.append(
            f"the sample of {state.name} is its first items: this target knows no parallel scans"
        )
    if sample.facts.table_items is None:
        lean = ", of some only the first items, and lean low" if sample.facts.cut else ""
        found.append(
            f"nobody says how many items {state.name} has: figures go by the"
            f" {sample.facts.segments_read:,} of {sample.facts.segments:,} segments that were"
            f" read{lean}; AWS counts about every six hours, so plan again then"
        )
    elif sample.facts.cut:
        found.append(
            f"of partition keys with many items of {state.name} the sample has the first ones only, in"
            f" {len(sample.facts.cut):,} of {sample.facts.segments_read:,} segments: figures lean"
            " towards keys with few"
        )
    for each in creations:
        name, figures = each.index.name, each.figures
        if each.replaces:
            found.append(
                f"{each.replaces} is there with another key or projection and stays; {name} is"
                " created beside it, then the service is switched. Removing the old one is a plan of"
                f" its own: perfkit migrate plan --remove {each.replaces}"
            )
        if figures.largest_key is None:
            continue
        if figures.largest_key_capacity > _PARTITION_WCU:
            found.append(
                f"{name}: one key has {figures.largest_key.value:.0%} of the entries; building at"
                f" {figures.backfill_capacity:,.0f} WCU would put"
                f" {figures.largest_key_capacity:,.0f} on its partition, which takes"
                f" {_PARTITION_WCU:,.0f}; it takes longer, and may throttle the table's writes"
            )
        if figures.largest_key_read_units > _PARTITION_RCU:
            found.append(
                f"{name}: a query of all of its largest key reads"
                f" {format_units(figures.largest_key_read_units)} RCU, and a partition gives"
                f" {_PARTITION_RCU:,.0f} a second"
            )
    return found


def _scaling(target: Target, state: TableState) -> tuple[tuple[Scaling, ...], tuple[str, ...]]:
    """Return how a provisioned table's capacity is scaled, and what is to be heeded about it."""
    if state.billing != "PROVISIONED":
        return (), ()
    unscaled = (
        f"{state.name} is provisioned and {{why}}: each index keeps the capacity it is created with"
    )
    if not target.is_aws:
        return (), (unscaled.format(why="nothing here says how it scales"),)
    try:
        found = _scaling_of(target, state.name)
    except PerfkitError as error:
        return (), (unscaled.format(why=f"its scaling policy is unknown ({error})"),)
    if not found:
        return (), (unscaled.format(why="has no scaling policy"),)
    return found, ()


def _scaling_of(target: Target, table: str) -> tuple[Scaling, ...]:
    """
    Return what Application Auto Scaling does with a table's capacity; nothing where it does nothing.

    Raises:
        PerfkitError: It does not answer, or not to these credentials.
    """
    client = target.client("application-autoscaling")
    resource = f"table/{table}"
    with aws_errors(f"looking how {table} scales", target.name):
        targets = client.describe_scalable_targets(
            ServiceNamespace="dynamodb", ResourceIds=[resource]
        )["ScalableTargets"]
        policies = client.describe_scaling_policies(
            ServiceNamespace="dynamodb", ResourceId=resource
        )["ScalingPolicies"]
    tracked = {
        each["ScalableDimension"]: each["TargetTrackingScalingPolicyConfiguration"]["TargetValue"]
        for each in policies
        if "TargetTrackingScalingPolicyConfiguration" in each
    }
    return tuple(
        Scaling(
            dimension=each["ScalableDimension"].rpartition(":")[2],
            least=each["MinCapacity"],
            most=each["MaxCapacity"],
            target_percent=tracked.get(each["ScalableDimension"]),
        )
        for each in targets
    )


def _recovery(target: Target, state: TableState) -> tuple[str, ...]:
    """Point out that items could not be restored; nothing if they could, or nobody says."""
    if not target.is_aws:
        return ()
    client = target.client()
    try:
        with aws_errors(f"looking at the backups of {state.name}", target.name):
            answer = client.describe_continuous_backups(TableName=state.name)
    except PerfkitError:
        return ()
    backups = answer["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription", {})
    if recovery.get("PointInTimeRecoveryStatus") != "DISABLED":
        return ()
    text = (
        f"{state.name} has no point-in-time recovery: a new index changes no item, so none is"
        " required, but none could be restored either"
    )
    return (text,)


# ---- removing an index ---------------------------------------------------------------------------------


def plan_removal(
    target: Target, workload: Workload, name: str, *, days: int, now: datetime
) -> Plan:
    """
    Return the plan that removes one global index, with what is known of who reads it.

    Args:
        target: Where.
        workload: Its tables are looked at, and its patterns must not ask the index.
        name: The index.
        days: Look back so many days for reads.
        now: The time.

    Raises:
        ConfigError: No table has it, several have, a pattern asks it, or something has read it.
        TargetError: The target failed.
    """
    found = []
    with RetryingConnection(target.connect(read_only=True)) as connection:
        for table in workload.tables:
            with answer_errors(f"looking at table {table.name}", target.name):
                state = describe(connection, table.name)
            index = None if state is None else state.index(name)
            if state is not None and index is not None:
                found.append((table, state, index))
    if len(found) != 1:
        tables = ", ".join(table.name for table, _, _ in found)
        msg = (
            f"{tables} each have an index {name}; use a workload with one of these tables"
            if found
            else f"no table of workload {workload.name} has a global index {name} in {target.name}"
        )
        raise ConfigError(msg)
    table, state, index = found[0]
    asking = [each.name for each in workload.patterns if (table.name, name) in _asked(each)]
    if asking:
        msg = (
            f"index {name} of {table.name} is asked by {', '.join(asking)} of workload"
            f" {workload.name}; switch these to another one first"
        )
        raise ConfigError(msg)
    removal = _unread(target, state, _as_it_is(index), days=days, now=now)
    made = replace(_described(state, table), removals=(removal,))
    return _plan(target, workload, [made], created_at=now.isoformat())


def _asked(pattern: AccessPattern) -> set[tuple[str, str | None]]:
    """Return the indexes that a pattern asks, now or by its better form, with their tables."""
    asked = {
        (pattern.table, form.index)
        for form in (pattern.query, pattern.today_query)
        if form is not None
    }
    then = None if pattern.steps is None else pattern.steps.then
    if then is not None and then.query is not None:
        asked.add((then.table, then.query.index))
    return asked


def _unread(
    target: Target, state: TableState, index: IndexDefinition, *, days: int, now: datetime
) -> Removal:
    """
    Return an index's removal with what is known of its reads.

    Raises:
        ConfigError: It was read.
    """
    because = ""
    if not target.is_aws:
        because = "this target keeps no record of reads"
    elif state.replicas:
        because = f"reads in {', '.join(state.replicas)} are counted there"
    else:
        try:
            counted = consumption(target, [state.name], days=days, now=now)
        except PerfkitError as error:
            because = str(error)
        else:
            part = counted.part(state.name, index.name)
            if part is not None and part.read_units:
                msg = (
                    f"index {index.name} of {state.name} was read in the last {days} days"
                    f" ({format_units(part.read_units)} RCU, by CloudWatch); find out by whom first"
                )
                raise ConfigError(msg)
            if part is not None and part.hours >= 24 * days - 1:
                until = now.replace(minute=0, second=0, microsecond=0).isoformat()
                return Removal(index=index, days=days, until=until, read_units=0.0)
            because = f"the table is younger than {days} days"
    return Removal(index=index, days=days, unknown_because=because)
