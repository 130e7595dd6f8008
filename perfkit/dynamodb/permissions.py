"""What each command asks of DynamoDB, and the least IAM policy that allows it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from perfkit.errors import ConfigError
from perfkit.workloads.model import (
    AccessPattern,
    QueryForm,
    Table,
    Then,
    Today,
    Workload,
)

__all__ = ["ANY", "Needs", "Pair", "needs", "policy", "resource_arn"]

Needs = Mapping[str, frozenset[str]]
"""Actions, and what each is asked of: `table/Orders`, `table/Orders/index/ByCustomer` or `*`."""

ANY = "*"
"""Of actions that IAM allows for no resource or all."""

Pair = tuple[str, str]
"""An action, without its service, and what it is asked of."""

_LOOK = ("DescribeTable", "ListTagsOfResource")


def needs(
    command: str, workload: Workload, *, service: Mapping[str, Iterable[Pair]] | None = None
) -> Needs:
    """
    Return what a command asks of a workload's tables on AWS, whatever it finds there.

    Args:
        command: A command's name, one of `_COMMANDS`.
        workload: Its tables and patterns.
        service: What else the reference service asks, by command, if it serves the workload.

    Raises:
        ConfigError: The command asks nothing of a target, or there is none.
    """
    if command not in _COMMANDS:
        msg = f"no command {command!r} that asks DynamoDB; choose from {', '.join(_COMMANDS)}"
        raise ConfigError(msg)
    found: dict[str, set[str]] = defaultdict(set)
    asked = [*_COMMANDS[command](workload), *(service or {}).get(command, ())]
    for action, resource in asked:
        found[action if ":" in action else f"dynamodb:{action}"].add(resource)
    return {action: frozenset(resources) for action, resources in sorted(found.items())}


def policy(
    wanted: Needs, *, region: str | None = None, account: str | None = None
) -> dict[str, Any]:
    """
    Return an IAM policy document that allows *wanted* and nothing else.

    Args:
        wanted: Of one command.
        region: Where the tables are; None leaves a placeholder.
        account: Whose they are; likewise.
    """
    alike: dict[frozenset[str], list[str]] = defaultdict(list)
    for action, resources in wanted.items():
        alike[resources].append(action)
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": sorted(actions),
                "Resource": [
                    resource_arn(each, region=region, account=account) for each in sorted(resources)
                ],
            }
            for resources, actions in sorted(alike.items(), key=lambda pair: sorted(pair[1]))
        ],
    }


def resource_arn(resource: str, *, region: str | None = None, account: str | None = None) -> str:
    """Return the ARN of a resource of `Needs`, with placeholders for what is not known."""
    if resource == ANY:
        return ANY
    partition = "aws"
    for start, other in (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"), ("eusc-", "aws-eusc")):
        if region is not None and region.startswith(start):
            partition = other
    return f"arn:{partition}:dynamodb:{region or 'REGION'}:{account or 'ACCOUNT'}:{resource}"


def _each(tables: Iterable[Table], *actions: str) -> Iterator[Pair]:
    for table in tables:
        for action in actions:
            yield action, f"table/{table.name}"


def _index(table: str, index: str) -> str:
    return f"table/{table}/index/{index}"


def _status(workload: Workload) -> Iterator[Pair]:
    yield from _each(workload.tables, *_LOOK)


def _seed(workload: Workload) -> Iterator[Pair]:
    # a table is created with its tag, which is an action of its own
    yield from _each(workload.made, *_LOOK, "CreateTable", "TagResource")
    # compared, written, counted
    yield from _each(workload.made, "BatchGetItem", "BatchWriteItem", "Scan")


def _create_indexes(workload: Workload) -> Iterator[Pair]:
    for table in workload.made:
        if not table.indexes:
            continue
        for action in (*_LOOK, "UpdateTable", "Scan"):
            yield action, f"table/{table.name}"
        # its entries are counted
        for index in table.indexes:
            yield "Scan", _index(table.name, index.name)


def _preflight(workload: Workload) -> Iterator[Pair]:
    for table in workload.tables:
        if any(not index.exists and not index.local for index in table.indexes):
            for action in ("DescribeTable", "Scan"):
                yield action, f"table/{table.name}"


def _plan(workload: Workload) -> Iterator[Pair]:
    # --remove looks for its index on every table
    yield from _each(workload.tables, "DescribeTable")
    for action, table in _preflight(workload):
        yield action, table
        yield "DescribeContinuousBackups", table
    # of provisioned tables, and of an index to be removed
    yield "application-autoscaling:DescribeScalableTargets", ANY
    yield "application-autoscaling:DescribeScalingPolicies", ANY
    yield "cloudwatch:GetMetricData", ANY


def _apply(workload: Workload) -> Iterator[Pair]:
    for table in workload.tables:
        if any(not index.exists and not index.local for index in table.indexes):
            for action in ("DescribeTable", "UpdateTable"):
                yield action, f"table/{table.name}"
    # how far an index is, and what reads one that is to be removed
    yield "cloudwatch:GetMetricStatistics", ANY
    # of a provisioned table whose capacity scales
    yield "application-autoscaling:RegisterScalableTarget", ANY
    yield "application-autoscaling:PutScalingPolicy", ANY


def _roll_back(workload: Workload) -> Iterator[Pair]:
    for action, resource in _apply(workload):
        if not action.startswith("application-autoscaling:"):
            yield action, resource
    yield "application-autoscaling:DescribeScalableTargets", ANY
    yield "application-autoscaling:DeregisterScalableTarget", ANY


def _migrate_status(workload: Workload) -> Iterator[Pair]:
    yield from _each(workload.tables, "DescribeTable")
    yield "cloudwatch:GetMetricStatistics", ANY


def _verify(workload: Workload) -> Iterator[Pair]:
    for table in workload.tables:
        indexes = [index for index in table.indexes if not index.local]
        if indexes:
            yield from _each([table], "DescribeTable", "Scan", "BatchGetItem")
        for index in indexes:
            yield "Scan", _index(table.name, index.name)
            yield "Query", _index(table.name, index.name)


def _drop_indexes(workload: Workload) -> Iterator[Pair]:
    for table in workload.made:
        if table.indexes:
            for action in (*_LOOK, "UpdateTable"):
                yield action, f"table/{table.name}"


def _clean(workload: Workload) -> Iterator[Pair]:
    yield from _each(workload.made, *_LOOK, "DeleteTable")


def _bench(workload: Workload) -> Iterator[Pair]:
    for pattern in workload.patterns:
        name = f"table/{pattern.table}"
        for action in _LOOK:
            yield action, name
        if _is_scanned(pattern) or _is_copied(pattern, workload):
            yield "Scan", name
        if pattern.get is not None:
            yield "GetItem", name
        for query in (pattern.query, pattern.today_query):
            if query is not None:
                yield _query(pattern.table, query)
        if pattern.steps is not None:
            yield from _then(pattern.steps.then)


def _is_scanned(pattern: AccessPattern) -> bool:
    """Tell whether a pattern is ever answered by a scan, or draws its parameters by one."""
    if pattern.drawn or pattern.today in {Today.SCAN, Today.SCAN_FILTERED}:
        return True
    if pattern.steps is not None:
        return pattern.steps.first != Today.QUERY
    return pattern.scan_filter is not None


def _is_copied(pattern: AccessPattern, workload: Workload) -> bool:
    """Tell whether a twin is made for a pattern: its better query asks an index that may lack."""
    form = pattern.better_query
    if form is None or form.index is None or pattern.steps is not None:
        return False
    index = workload.table(pattern.table).index(form.index)
    return not (index.exists or index.local)


def _then(then: Then) -> Iterator[Pair]:
    """Yield what is asked for each item found, one by one and in batches."""
    if then.query is None:
        yield "GetItem", f"table/{then.table}"
        yield "BatchGetItem", f"table/{then.table}"
        return
    yield _query(then.table, then.query)
    if then.query.index is not None:
        for action in _LOOK:
            yield action, f"table/{then.table}"


def _query(table: str, form: QueryForm) -> Pair:
    return "Query", f"table/{table}" if form.index is None else _index(table, form.index)


def _serve(workload: Workload) -> Iterator[Pair]:
    yield from _each(workload.tables, "DescribeTable", "Scan")
    for table in workload.tables:
        for index in table.indexes:
            yield "Query", _index(table.name, index.name)


def _load(workload: Workload) -> Iterator[Pair]:
    yield from _serve(workload)
    # --cloudwatch, --load-balancer
    yield "cloudwatch:GetMetricData", ANY
    yield "elasticloadbalancing:DescribeLoadBalancers", ANY
    yield "elasticloadbalancing:DescribeTargetGroups", ANY


def _run(workload: Workload) -> Iterator[Pair]:
    yield from _seed(workload)
    yield from _create_indexes(workload)
    yield from _bench(workload)


def _check(workload: Workload) -> Iterator[Pair]:
    yield from _each(workload.tables, "DescribeTable")
    yield "cloudwatch:ListMetrics", ANY
    yield "cloudwatch:GetMetricStatistics", ANY
    yield "cloudformation:DescribeStacks", ANY


def _doctor(workload: Workload) -> Iterator[Pair]:
    yield "ListTables", ANY
    yield "DescribeLimits", ANY
    yield from _each(workload.tables, *_LOOK, "Scan")


def _init(_: Workload) -> Iterator[Pair]:
    # before there is a workload: whichever tables there are
    yield "ListTables", ANY
    yield "DescribeTable", "table/*"
    yield "Scan", "table/*"


def _record(workload: Workload) -> Iterator[Pair]:
    # of its own; what the application asks is asked with the same credentials, on top
    yield from _each(workload.tables, "DescribeTable")


def _report(workload: Workload) -> Iterator[Pair]:
    # what --traffic cloudwatch asks; any other report reads saved runs
    yield from _each(workload.tables, "DescribeTable")
    yield "cloudwatch:GetMetricData", ANY


_COMMANDS: Mapping[str, Callable[[Workload], Iterator[Pair]]] = {
    "bench": _bench,
    "check": _check,
    "clean": _clean,
    "create-indexes": _create_indexes,
    "doctor": _doctor,
    "drop-indexes": _drop_indexes,
    "init": _init,
    "migrate apply": _apply,
    "migrate plan": _plan,
    "migrate preflight": _preflight,
    "migrate rollback": _roll_back,
    "migrate status": _migrate_status,
    "load": _load,
    "migrate verify": _verify,
    "record": _record,
    "report": _report,
    "run": _run,
    "seed": _seed,
    "serve": _serve,
    "status": _status,
    "up": _serve,
}
"""The commands that ask something of a target, and what."""
