"""Whether a target can be used: asked by calls that change nothing, with what to do where not."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

from perfkit.capacity import Consistency, item_size, read_units
from perfkit.dynamodb.connection import check_answer, consumed_units
from perfkit.dynamodb.errors import as_answer, explain
from perfkit.dynamodb.ownership import declare_existing, unmarked
from perfkit.dynamodb.permissions import ANY, Needs, resource_arn
from perfkit.dynamodb.tables import key_difference, table_state
from perfkit.dynamodb.targets import Target, TargetKind
from perfkit.embedded.errors import DynamoDBError
from perfkit.errors import PerfkitError, TargetError
from perfkit.units import format_many, format_some
from perfkit.workloads.model import Table, Workload

__all__ = ["Check", "CheckState", "examine"]

_REFUSED_AFTER_S = 300.0
"""AWS refuses requests whose signature is so old. Source: AWS General Reference, Signature V4."""

_DRIFTED_S = 5.0
_MOST_NAMED = 3


_ITEMS = 100
"""Read of a stand-in's table: enough for units that differ from one server to another."""


class CheckState(StrEnum):
    """What a check found."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "not probed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """
    One thing that was looked at.

    Args:
        name: What.
        state: How it is.
        found: What was found, in one line; never a secret.
        remedy: What to do, where something is to be done.
        each: What was found, in words that are true of other tables, too; empty where `found` is.
    """

    name: str
    state: CheckState = CheckState.OK
    found: str
    remedy: str = ""
    each: str = ""


@dataclass(slots=True)
class _Answer:
    """What a call gave: an answer or the reason there is none, and the headers either way."""

    content: Mapping[str, Any] | None
    error: PerfkitError | None
    code: str
    headers: Mapping[str, str]
    elapsed_s: float


class _Asker:
    """Asks a client and lets no error pass."""

    def __init__(self, target: Target, client: Any) -> None:
        self._target = target
        self._client = client

    def theirs(self, tables: Iterable[str]) -> tuple[str, ...]:
        """Return which of some tables are there without perfkit's mark, as far as is known."""
        try:
            return unmarked(self._target, tables)
        except PerfkitError:
            return ()

    def ask(self, doing: str, operation: str, **request: Any) -> _Answer:
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError

        started_s = time.perf_counter()
        try:
            content = getattr(self._client, operation)(**request)
            if operation == "list_tables":
                check_answer("ListTables", content, self._target.name)
        except TargetError as error:
            return _Answer(None, error, "", {}, time.perf_counter() - started_s)
        except (BotoCoreError, ClientError, ResponseParserError) as error:
            headers = getattr(error, "response", {}).get("ResponseMetadata", {})
            code = ""
            try:
                answer = as_answer(error, where=self._target.name)
                code = answer.code
                explained = explain(answer, doing=doing, where=self._target.name)
            except PerfkitError as other:
                explained = other
            taken_s = time.perf_counter() - started_s
            return _Answer(None, explained, code, headers.get("HTTPHeaders", {}), taken_s)
        taken_s = time.perf_counter() - started_s
        headers = content.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        return _Answer(content, None, "", headers, taken_s)


def examine(target: Target, workload: Workload, writes: Needs) -> Iterator[Check]:
    """
    Look at a target, one thing after another; each as soon as it is known.

    Args:
        target: Where.
        workload: Whose tables to look at.
        writes: Also report what commands that write need, on AWS where IAM may be asked.
    """
    yield Check(name="target", found=_named(target))
    if target.kind is TargetKind.EMBEDDED and not target.may_exist:
        yield Check(
            name="reachability",
            state=CheckState.WARNING,
            found="there is no file yet, so there are no tables",
            remedy="`perfkit seed` makes it",
        )
        return
    if target.kind is not TargetKind.EMBEDDED:
        credentials = _credentials(target)
        yield credentials
        if credentials.state is CheckState.FAILED:
            return
    try:
        client = target.client(max_attempts=1)
    except PerfkitError as error:
        yield Check(name="reachability", state=CheckState.FAILED, found=str(error))
        return
    asker = _Asker(target, client)
    first = asker.ask("listing the tables", "list_tables", Limit=1)
    yield from _reachability(first)
    if target.kind is not TargetKind.EMBEDDED and first.headers:
        yield _clock(first)
    if first.error is not None and first.code not in _DENIED:
        return
    yield _server(target, first)
    scanned: list[_Answer] = []
    # a single item tells little, and a stand-in's units cost nothing
    doubt = target.doubt_of(first.headers)
    yield from _tables(asker, workload, scanned, items=1 if doubt is None else _ITEMS)
    yield _capacity(target, scanned, doubt)
    yield _quotas(asker)
    if target.is_aws:
        yield _writes(target, writes)
    client.close()


_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "NotAuthorized"})


def _named(target: Target) -> str:
    if target.redirected:
        return f"{target.name}, where AWS's own settings send aws; it is not AWS"
    return target.name


def _credentials(target: Target) -> Check:
    name = "credentials"
    try:
        region = target.resolved_region()
        source = target.credentials_source()
        caller = target.caller() if target.is_aws and source is not None else None
    except PerfkitError as error:
        return Check(name=name, state=CheckState.FAILED, found=str(error))
    if source is None and target.is_aws:
        return Check(
            name=name,
            state=CheckState.FAILED,
            found=f"none for {target.name}",
            remedy="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run `aws configure`, or"
            " name a --profile",
        )
    profile = f", profile {target.profile}" if target.profile else ""
    if not target.is_aws:
        whose = "made up, a stand-in checks none" if source is None else f"from {source}{profile}"
        return Check(name=name, found=f"{whose}; region {region}")
    if caller is None:
        return Check(
            name=name,
            state=CheckState.UNKNOWN,
            found=f"from {source}{profile}; region {region}; STS does not say whose they are",
        )
    account, arn = caller
    return Check(
        name=name, found=f"from {source}{profile}; account {account}, region {region}, {arn}"
    )


def _reachability(first: _Answer) -> Iterator[Check]:
    name = "reachability"
    if first.error is None:
        yield Check(name=name, found=f"answers in {first.elapsed_s * 1e3:.0f} ms")
    elif first.code in _DENIED:
        yield Check(name=name, found=f"answers in {first.elapsed_s * 1e3:.0f} ms")
        yield Check(
            name="permission to list tables",
            state=CheckState.WARNING,
            found="dynamodb:ListTables is not allowed",
            remedy="only `perfkit doctor` needs it; `perfkit doctor --policy COMMAND` prints what"
            " each command does",
        )
    else:
        yield Check(name=name, state=CheckState.FAILED, found=str(first.error))


def _clock(answer: _Answer) -> Check:
    name = "clock"
    moment = None
    with suppress(TypeError, ValueError):
        moment = parsedate_to_datetime(answer.headers.get("date", ""))
    if moment is None:
        return Check(name=name, state=CheckState.UNKNOWN, found="the answer has no date")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    off_s = (datetime.now(UTC) - moment).total_seconds()
    # the header is in whole seconds
    if abs(off_s) <= _DRIFTED_S:
        return Check(name=name, found="this machine's and the target's agree")
    text = f"this machine's is {abs(off_s):,.0f} s {'ahead' if off_s > 0 else 'behind'}"
    refused = abs(off_s) >= _REFUSED_AFTER_S
    return Check(
        name=name,
        state=CheckState.FAILED if refused else CheckState.WARNING,
        found=text + (", and AWS refuses requests so far off" if refused else ""),
        remedy="set it, for example with chronyd or timedatectl",
    )


def _server(target: Target, first: _Answer) -> Check:
    doubt = target.doubt_of(first.headers)
    if doubt is None:
        kind = "AWS" if target.is_aws else "perfkit's own engine"
        return Check(name="server", found=kind)
    return Check(
        name="server",
        state=CheckState.WARNING,
        found=doubt,
        remedy="compare capacity on the embedded target or on AWS",
    )


def _tables(
    asker: _Asker, workload: Workload, scanned: list[_Answer], *, items: int
) -> Iterator[Check]:
    theirs = asker.theirs(table.name for table in workload.made)
    for table in workload.tables:
        name = f"table {table.name}"
        described = asker.ask(f"describing {name}", "describe_table", TableName=table.name)
        if described.code == "ResourceNotFoundException":
            yield Check(
                name=name,
                state=CheckState.FAILED if table.exists else CheckState.WARNING,
                found="is not there",
                remedy=_makes(table, theirs),
            )
            continue
        if described.content is None:
            yield _refused(name, described, "dynamodb:DescribeTable")
            continue
        state = described.content["Table"]
        refusals = []
        answer = asker.ask(
            f"reading {name}",
            "scan",
            TableName=table.name,
            Limit=items,
            ReturnConsumedCapacity="TOTAL",
        )
        if answer.content is None:
            refusals.append(_refused(name, answer, "dynamodb:Scan"))
        else:
            scanned.append(answer)
        tagged = asker.ask(
            f"reading the tags of {name}",
            "list_tags_of_resource",
            ResourceArn=state.get("TableArn") or table.name,
        )
        if tagged.code in _DENIED:
            refusals.append(_refused(name, tagged, "dynamodb:ListTagsOfResource"))
        if refusals:
            yield from refusals
            continue
        yield _described(name, state, table, is_theirs=table.name in theirs)


def _makes(table: Table, theirs: Sequence[str]) -> str:
    """Return what to do about a table that is not there."""
    if table.exists:
        return "the workload says that it exists: check target, region and credentials"
    if not theirs:
        return "`perfkit seed` creates and fills it"
    return (
        f"`perfkit seed --table {table.name}` creates and fills it; without --table seed refuses,"
        f" because perfkit did not create {format_some(theirs, _MOST_NAMED)}"
    )


def _described(name: str, described: Mapping[str, Any], table: Table, *, is_theirs: bool) -> Check:
    state = table_state(described)
    there = {each.name: each for each in (*state.indexes, *state.local_indexes)}
    missing = [index for index in table.indexes if index.name not in there]
    wrong = [key_difference(table, state)]
    wrong += [f"no index {index.name}, which should exist" for index in missing if index.exists]
    for index in table.indexes:
        if index.exists and index.name in there:
            difference = key_difference(index, there[index.name])
            wrong += [f"of index {index.name}, {difference}"] if difference else []
    if any(wrong):
        return Check(
            name=name,
            state=CheckState.FAILED,
            found="; ".join(filter(None, wrong)),
            remedy="correct the workload, or check target and region",
        )
    # some stand-ins count nothing, and AWS counts a new table hours later
    about = f"about {format_many(state.items, 'item')}"
    items = about if state.items else "described as empty"
    each = "may be read"
    found = f"{each}; {items}, {state.status}"
    busy = [f"{each.name} is {each.status}" for each in there.values() if each.status != "ACTIVE"]
    if state.status != "ACTIVE" or busy:
        return Check(
            name=name,
            state=CheckState.WARNING,
            found=", ".join([found, *busy]),
            remedy="wait until it is ACTIVE; `perfkit status` shows how far it is",
            each=f"{each}, and is not ACTIVE with all its indexes",
        )
    names = ", ".join(index.name for index in missing)
    them = "it" if len(missing) == 1 else "them"
    if missing and table.exists:
        proposed = f"{found}; proposed: {names} (`perfkit bench` models {them})"
        return Check(name=name, found=proposed, each=each)
    remedy = ""
    if missing:
        found, each = f"{found}, without index {names}", f"{each}, without all its indexes"
        remedy = "`perfkit create-indexes --dry-run` shows what creating takes"
    if is_theirs:
        found, each = (f"{text}; perfkit did not create it" for text in (found, each))
        remedy = declare_existing(1)
    state_found = CheckState.WARNING if remedy else CheckState.OK
    return Check(name=name, state=state_found, found=found, remedy=remedy, each=each)


def _refused(name: str, answer: _Answer, action: str) -> Check:
    if answer.code in _DENIED:
        return Check(
            name=name,
            state=CheckState.FAILED,
            found=f"{action} is not allowed",
            remedy="`perfkit doctor --policy COMMAND` prints what a command needs",
        )
    found = str(answer.error)
    each = found.replace(name, "it")
    return Check(name=name, state=CheckState.FAILED, found=found, each=each)


def _capacity(target: Target, scanned: Iterable[_Answer], doubt: str | None) -> Check:
    """Hold what items took against what DynamoDB bills for them, of the table where that is most."""
    name = "capacity"
    remedy = "compare capacity on the embedded target or on AWS"
    most: Check | None = None
    most_due = 0.0
    for answer in scanned:
        content = answer.content or {}
        items = content.get("Items")
        if not items:
            continue
        units = consumed_units(content)
        due = read_units(sum(map(item_size, items)), Consistency.EVENTUAL)
        if units is None:
            return Check(
                name=name,
                state=CheckState.WARNING,
                found="the target does not say what a call consumes",
                remedy="measure on the embedded target or on AWS; no limit can be held here",
            )
        what = "one item" if len(items) == 1 else f"{len(items)} items"
        if units != due:
            return Check(
                name=name,
                state=CheckState.WARNING,
                found=f"{what} took {units:g} RCU, which DynamoDB bills as {due:g}",
                remedy=remedy,
            )
        if due <= most_due:
            continue
        most_due = due
        found = (
            f"{what} took {units:g} RCU, as DynamoDB bills {'it' if len(items) == 1 else 'them'}"
        )
        most = Check(name=name, found=found)
        if doubt is not None:
            most = Check(
                name=name, state=CheckState.WARNING, found=f"{found}; {doubt}", remedy=remedy
            )
    if most is not None:
        return most
    return Check(name=name, state=CheckState.UNKNOWN, found=f"no item to read on {target.name}")


def _quotas(asker: _Asker) -> Check:
    name = "quotas"
    answer = asker.ask("asking for the quotas", "describe_limits")
    if answer.content is None:
        if answer.code in _DENIED:
            return Check(
                name=name, state=CheckState.UNKNOWN, found="dynamodb:DescribeLimits is not allowed"
            )
        return Check(name=name, state=CheckState.UNKNOWN, found="the target does not say")
    limits = answer.content
    return Check(
        name=name,
        found=f"{limits.get('TableMaxReadCapacityUnits', 0):,} RCU and"
        f" {limits.get('TableMaxWriteCapacityUnits', 0):,} WCU a table,"
        f" {limits.get('AccountMaxReadCapacityUnits', 0):,} and"
        f" {limits.get('AccountMaxWriteCapacityUnits', 0):,} the account",
    )


def _writes(target: Target, writes: Needs) -> Check:
    """Tell which actions that write are allowed, by asking IAM and never by writing."""
    name = "permission to write"
    caller = target.caller()
    if caller is None:
        return Check(
            name=name, state=CheckState.UNKNOWN, found="STS does not say whose the keys are"
        )
    account, arn = caller
    region = target.resolved_region()
    refused: dict[str, None] = {}
    try:
        iam = target.client("iam")
        for action, resources in writes.items():
            arns = [
                resource_arn(each, region=region, account=account)
                for each in sorted(resources)
                if each != ANY
            ]
            answer = iam.simulate_principal_policy(
                PolicySourceArn=_principal_of(arn), ActionNames=[action], ResourceArns=arns
            )
            for each in answer["EvaluationResults"]:
                results = each.get("ResourceSpecificResults") or [each]
                decisions = [
                    part.get("EvalResourceDecision") or each["EvalDecision"] for part in results
                ]
                if any(decision != "allowed" for decision in decisions):
                    refused[action] = None
    except Exception as error:  # noqa: BLE001 - whatever IAM says, it is not needed for anything
        return Check(
            name=name,
            state=CheckState.UNKNOWN,
            found=f"IAM cannot be asked (iam:SimulatePrincipalPolicy: {_short(error)})",
        )
    if refused:
        return Check(
            name=name,
            state=CheckState.WARNING,
            found=f"IAM does not allow {', '.join(refused)}",
            remedy="needed only by commands that write: `perfkit doctor --policy seed`",
        )
    return Check(name=name, found=f"IAM allows {', '.join(sorted(writes))}")


def _principal_of(arn: str) -> str:
    """Return whom IAM knows: of a session the role, as far as its ARN tells."""
    head, _, rest = arn.partition(":assumed-role/")
    if not rest:
        return arn
    return f"{head.replace(':sts:', ':iam:')}:role/{rest.partition('/')[0]}"


def _short(error: Exception) -> str:
    code = getattr(error, "response", {}).get("Error", {}).get("Code")
    if code:
        return str(code)
    if isinstance(error, DynamoDBError):
        return error.code
    return type(error).__name__
