"""`perfkit doctor`: whether the target can be used, and what each command needs there."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfkit.commands.options import (
    DataOption,
    JsonOption,
    ProfileOption,
    RedisOption,
    RegionOption,
    TargetOption,
    VerboseOption,
    WorkloadOption,
    make_redis_url,
    make_target,
    read_workload,
)
from perfkit.commands.output import note, print_json, print_text, wrap
from perfkit.errors import ConfigError, TargetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from perfkit.dynamodb.checkup import Check
    from perfkit.dynamodb.targets import Target
    from perfkit.workloads.model import Workload

__all__ = ["doctor"]


def doctor(
    *,
    policy: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND", help="Print the smallest IAM policy that lets COMMAND run, and exit."
        ),
    ] = None,
    workload: WorkloadOption = None,
    target: TargetOption = None,
    data: DataOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    redis_url: RedisOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """
    Check that the target can be used, and say how to mend what is wrong; changes nothing.

    Checks credentials, reachability, clock, server, tables, permissions, capacity, quotas and
    Redis. Reads at most one item of each table of the workload. Exits with 3 if a check failed. Of
    many tables, those that are alike are one line; -v shows each.

    Example: perfkit doctor --target aws --region eu-west-1
    """
    read = read_workload(workload)
    where = make_target(target, data, region, profile, workload=read)
    if policy is not None:
        _print_policy(policy, read, where)
        return

    from perfkit.dynamodb.checkup import CheckState

    checks = []
    tables: list[Check] = []
    for check in _examine(where, read, make_redis_url(redis_url, read)):
        checks.append(check)
        if as_json:
            continue
        if check.name.startswith(_TABLE) and not verbose:
            tables.append(check)
            continue
        _print_tables(tables)
        tables.clear()
        _print(check)
    failed = [check.name for check in checks if check.state is CheckState.FAILED]
    if as_json:
        print_json(
            {
                "target": _described(where),
                "workload": read.name,
                "ok": not failed,
                "checks": [
                    {
                        "name": check.name,
                        "state": str(check.state),
                        "found": check.found,
                        "remedy": check.remedy,
                    }
                    for check in checks
                ],
            }
        )
    if failed:
        msg = f"{where.name} cannot be used as it is: {', '.join(failed)}"
        raise TargetError(msg)


def _examine(where: "Target", read: "Workload", redis_url: str | None) -> "Iterator[Check]":
    from perfkit.dynamodb.checkup import examine
    from perfkit.dynamodb.permissions import needs

    writes = {
        action: resources
        for command in ("seed", "create-indexes", "clean")
        for action, resources in needs(command, read).items()
        if action.removeprefix("dynamodb:") in _WRITES
    }
    yield from examine(where, read, writes)
    yield _redis(redis_url)


_WRITES = frozenset({"BatchWriteItem", "CreateTable", "DeleteTable", "TagResource", "UpdateTable"})


def _redis(url: str | None) -> "Check":
    from perfkit.cache.address import parse_url
    from perfkit.dynamodb.checkup import Check, CheckState
    from perfkit.processes.redis_server import find_program
    from perfkit.queue.streams import connect

    name = "Redis"
    try:
        if url is None:
            return Check(name=name, found=f"perfkit starts its own: {find_program()}")
        client = connect(url)
        version = client.info("server").get("redis_version", "of unknown version")
        client.close()
    except TargetError as error:
        return Check(
            name=name,
            state=CheckState.FAILED,
            found=str(error),
            remedy="check --redis-url, or leave it out",
        )
    return Check(name=name, found=f"{parse_url(url)} answers, Redis {version}")


def _described(where: "Target") -> dict[str, Any]:
    try:
        return where.describe()
    except ConfigError:
        # what is missing is among the checks
        return {"kind": str(where.kind)}


_TABLE = "table "
_OF_TABLE = "--table "
_OF_ANY = f"{_OF_TABLE}NAME`"
_MOST_TABLES = 8
_MOST_NAMED = 3


def _print_tables(checks: "Sequence[Check]") -> None:
    """Print checks of tables; where they are many, those that are alike as one."""
    from dataclasses import replace

    from perfkit.units import format_some

    if len(checks) <= _MOST_TABLES:
        for check in checks:
            _print(check)
        return
    alike: dict[tuple[str, ...], list[Check]] = {}
    for check in checks:
        remedy = check.remedy.replace(f"{_OF_TABLE}{check.name.removeprefix(_TABLE)}`", _OF_ANY)
        alike.setdefault((check.each or check.found, remedy), []).append(check)
    for (found, remedy), members in alike.items():
        first = members[0]
        if len(members) == 1:
            _print(first)
            continue
        names = format_some([each.name.removeprefix(_TABLE) for each in members], _MOST_NAMED)
        _print(replace(first, name=f"tables {names}", found=f"each {found}", remedy=remedy))


def _print(check: "Check") -> None:
    found = f"{check.state:<10}  {check.name}: {check.found}"
    print_text(wrap(found, sys.stdout, indent=" " * 12))
    if check.remedy:
        print_text(wrap(f"{'':<10}  -> {check.remedy}", sys.stdout, indent=" " * 3))


def _print_policy(command: str, read: "Workload", where: "Target") -> None:
    from perfkit.dynamodb import permissions
    from perfkit.service.permissions import ASKED
    from perfkit.service.store import check_workload

    try:
        check_workload(read)
        service = ASKED
    except ConfigError:
        # the service serves another workload
        service = {}
    wanted = permissions.needs(command, read, service=service)
    if not wanted:
        msg = f"{command} leaves the tables of {read.name} alone and needs no permission"
        raise ConfigError(msg)
    region = account = None
    if where.is_aws:
        region, account = where.resolved_region(), where.account()
    print_json(permissions.policy(wanted, region=region, account=account))
    if command in {"create-indexes", "run", "status"}:
        note(
            "Helpful and not required: cloudwatch:GetMetricStatistics on *, by which AWS says how"
            " far an index is."
        )
    if region is None:
        note("REGION and ACCOUNT stand for yours; with --target aws they are filled in.")
