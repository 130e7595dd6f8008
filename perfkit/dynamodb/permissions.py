"""What each command asks of DynamoDB, and the least IAM policy that allows it."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from perfkit.errors import ConfigError
from perfkit.workloads.model import Workload

__all__ = ["ANY", "COMMANDS", "Needs", "needs", "policy", "resource_arn"]

Needs = Mapping[str, frozenset[str]]
"""Actions, and what each is asked of: `table/Orders`, `table/Orders/index/ByCustomer` or `*`."""

ANY = "*"
"""Of actions that IAM allows for no resource or all."""

_Pair = tuple[str, str]

_LOOK = ("DescribeTable", "ListTagsOfResource")


def needs(command: str, workload: Workload, *, is_served: bool = False) -> Needs:
    """
    Return what a command asks of a workload's tables on AWS, whatever it finds there.

    Args:
        command: A command's name, one of `COMMANDS`.
        workload: Its tables and patterns.
        is_served: Whether the reference service serves the workload, so that it is measured too.

    Raises:
        ConfigError: The command asks nothing of a target, or there is none.
    """
    if command not in COMMANDS:
        msg = f"no command {command!r} that asks DynamoDB; choose from {', '.join(COMMANDS)}"
        raise ConfigError(msg)
    found: dict[str, set[str]] = defaultdict(set)
    for action, resource in COMMANDS[command](workload, is_served):
        found[f"dynamodb:{action}"].add(resource)
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


def _each(workload: Workload, *actions: str) -> Iterator[_Pair]:
    for table in workload.tables:
        for action in actions:
            yield action, f"table/{table.name}"


def _index(table: str, index: str) -> str:
    return f"table/{table}/index/{index}"


def _status(workload: Workload, _: bool) -> Iterator[_Pair]:  # noqa: FBT001
    yield from _each(workload, *_LOOK)


def _seed(workload: Workload, _: bool) -> Iterator[_Pair]:  # noqa: FBT001
    # a table is created with its tag, which is an action of its own
    yield from _each(workload, *_LOOK, "CreateTable", "TagResource")
    # compared, written, counted
    yield from _each(workload, "BatchGetItem", "BatchWriteItem", "Scan")


def _create_indexes(workload: Workload, _: bool) -> Iterator[_Pair]:  # noqa: FBT001
    for table in workload.tables:
        if not table.indexes:
            continue
        for action in (*_LOOK, "UpdateTable", "Scan"):
            yield action, f"table/{table.name}"
        # its entries are counted
        for index in table.indexes:
            yield "Scan", _index(table.name, index.name)


def _look_at_items(workload: Workload, _: bool) -> Iterator[_Pair]:  # noqa: FBT001
    for table in workload.tables:
        if any(not index.exists and not index.local for index in table.indexes):
            for action in ("DescribeTable", "Scan"):
                yield action, f"table/{table.name}"


def _drop_indexes(workload: Workload, _: bool) -> Iterator[_Pair]:  # noqa: FBT001
    for table in workload.tables:
        if table.indexes:
            for action in (*_LOOK, "UpdateTable"):
                yield action, f"table/{table.name}"


def _clean(workload: Workload, _: bool) -> Iterator[_Pair]:  # noqa: FBT001
    yield from _each(workload, *_LOOK, "DeleteTable")


def _bench(workload: Workload, is_served: bool) -> Iterator[_Pair]:  # noqa: FBT001
    for pattern in workload.patterns:
        for action in (*_LOOK, "Scan"):
            yield action, f"table/{pattern.table}"
        if pattern.get is not None:
            yield "GetItem", f"table/{pattern.table}"
        if pattern.query is not None:
            index = pattern.query.index
            table = pattern.table
            yield "Query", f"table/{table}" if index is None else _index(table, index)
    if is_served:
        yield from _titles()


def _serve(workload: Workload, _: bool) -> Iterator[_Pair]:  # noqa: FBT001
    yield from _each(workload, "DescribeTable", "Scan")
    yield "ListTagsOfResource", "table/Enrollments"
    for table in workload.tables:
        for index in table.indexes:
            yield "Query", _index(table.name, index.name)
    yield "GetItem", "table/Users"
    yield from _titles()
    # a course is taken and given up
    yield "GetItem", "table/Enrollments"
    yield "PutItem", "table/Enrollments"
    yield "DeleteItem", "table/Enrollments"


def _titles() -> Iterator[_Pair]:
    """Yield how the service names the courses of a list: one by one, and in batches."""
    yield "GetItem", "table/Courses"
    yield "BatchGetItem", "table/Courses"


def _run(workload: Workload, is_served: bool) -> Iterator[_Pair]:  # noqa: FBT001
    yield from _seed(workload, is_served)
    yield from _create_indexes(workload, is_served)
    yield from _bench(workload, is_served)


def _doctor(workload: Workload, _: bool) -> Iterator[_Pair]:  # noqa: FBT001
    yield "ListTables", ANY
    yield "DescribeLimits", ANY
    yield from _each(workload, *_LOOK, "Scan")


COMMANDS: Mapping[str, Callable[[Workload, bool], Iterator[_Pair]]] = {
    "bench": _bench,
    "clean": _clean,
    "create-indexes": _create_indexes,
    "doctor": _doctor,
    "drop-indexes": _drop_indexes,
    "migrate plan": _look_at_items,
    "migrate preflight": _look_at_items,
    "run": _run,
    "seed": _seed,
    "serve": _serve,
    "status": _status,
    "up": _serve,
}
"""The commands that ask something of a target, and what."""
