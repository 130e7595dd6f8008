"""Looks at what runs: tables and indexes, the cache server, CloudWatch, the deployed stack."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from perfkit.analysis.verdict import Ruling, Verdict
from perfkit.dynamodb.errors import answer_errors
from perfkit.dynamodb.retries import RetryingConnection
from perfkit.dynamodb.tables import TableState, describe
from perfkit.dynamodb.targets import Target
from perfkit.errors import PerfkitError, TargetError
from perfkit.workloads.model import Workload

__all__ = ["look_at_cache_metrics", "look_at_redis", "look_at_stack", "look_at_tables"]
__all__ += ["look_at_user_errors"]

_LOAD_BALANCER = "LoadBalancerUrl"
"""The output of a stack that says where its load balancer answers."""

_LOOK_BACK = timedelta(hours=1)
_MINUTE_S = 60
_STANDING = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE"})


def look_at_tables(target: Target, workload: Workload) -> dict[str, TableState | None]:
    """
    Return a workload's tables as a target describes them, None for one that is missing.

    Raises:
        PerfkitError: The target cannot be asked.
    """
    if not target.may_exist:
        # opening the engine would make the file; looking should leave no trace
        return {table.name: None for table in workload.tables}
    with (
        RetryingConnection(target.connect(read_only=True)) as connection,
        answer_errors("looking at the tables", target.name),
    ):
        return {table.name: describe(connection, table.name) for table in workload.tables}


def look_at_redis(redis_url: str | None, service: Mapping[str, Any]) -> Verdict | None:
    """
    Return whether a cache server answers; None where there is none to ask.

    Args:
        redis_url: The server; None takes what the service in the background says of its own.
        service: That service's health.
    """
    if redis_url is not None:
        from perfkit.cache.address import parse_url
        from perfkit.queue.streams import connect

        try:
            connect(redis_url).close()
        except TargetError as error:
            return Verdict.failed(str(error))
        return Verdict.passed(f"{parse_url(redis_url)} answers")
    check = service.get("checks", {}).get("cache")
    if check is None:
        return None
    if check["status"] == "failing":
        return Verdict.failed(f"the service says {check['detail']}")
    return Verdict.passed(f"the service at {service['url']} says so")


def look_at_cache_metrics(target: Target, namespace: str) -> Verdict:
    """Return whether CloudWatch has metrics of a cache under a namespace."""
    if not target.is_aws:
        return _not_on_aws(target, "CloudWatch")
    try:
        client = target.client("cloudwatch", max_attempts=2)
        found = _ask(client.list_metrics, Namespace=namespace)["Metrics"]
    except PerfkitError as error:
        return Verdict.invalid(str(error))
    names = sorted({each["MetricName"] for each in found})
    if not {"Hits", "Misses"} <= set(names):
        return Verdict(
            ruling=Ruling.FAIL, reason=f"there are no Hits and Misses in namespace {namespace}"
        )
    return Verdict.passed(f"{', '.join(names[:4])} in namespace {namespace}")


def look_at_user_errors(target: Target, since: datetime | None) -> Verdict | None:
    """
    Return whether DynamoDB refused requests lately, as CloudWatch counts them; None off AWS.

    They are those of the whole account in a region. Source: the DynamoDB developer guide,
    "DynamoDB metrics and dimensions", UserErrors.

    Args:
        target: Where.
        since: When counting begins; None is an hour ago.
    """
    if not target.is_aws:
        return None
    now = datetime.now(UTC)
    begin = since or now - _LOOK_BACK
    # CloudWatch gives 1,440 points, and each is of whole minutes
    period_s = max(_MINUTE_S, -(-int((now - begin).total_seconds()) // 1440 // 60) * 60)
    try:
        client = target.client("cloudwatch", max_attempts=2)
        points = _ask(
            client.get_metric_statistics,
            Namespace="AWS/DynamoDB",
            MetricName="UserErrors",
            StartTime=begin,
            # the end is no part of it, and this minute is
            EndTime=now + timedelta(seconds=_MINUTE_S),
            Period=period_s,
            Statistics=["Sum"],
        )["Datapoints"]
    except PerfkitError as error:
        return Verdict.invalid(str(error))
    errors = sum(point["Sum"] for point in points)
    evidence = f"CloudWatch counts {errors:,.0f} since {begin:%Y-%m-%d %H:%M} UTC"
    ruling = Ruling.FAIL if errors else Ruling.PASS
    return Verdict(ruling=ruling, evidence=evidence)


def look_at_stack(target: Target, name: str) -> tuple[Verdict, str]:
    """Return whether a CloudFormation stack stands, and where its load balancer answers."""
    if not target.is_aws:
        return _not_on_aws(target, "a stack"), ""
    try:
        client = target.client("cloudformation", max_attempts=2)
        stack = _ask(client.describe_stacks, StackName=name)["Stacks"][0]
    except _MissingError:
        return Verdict.failed(f"there is no stack {name}"), ""
    except PerfkitError as error:
        return Verdict.invalid(str(error)), ""
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", ())}
    evidence = f"stack {name} is {stack['StackStatus']}"
    ruling = Ruling.PASS if stack["StackStatus"] in _STANDING else Ruling.FAIL
    return Verdict(ruling=ruling, evidence=evidence), outputs.get(_LOAD_BALANCER, "")


class _MissingError(PerfkitError):
    """What was asked for is not there."""


def _ask(call: Any, **request: Any) -> Any:
    """
    Return AWS's answer.

    Raises:
        TargetError: There is none.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return call(**request)
    except ClientError as error:
        if "does not exist" in str(error):
            raise _MissingError(str(error)) from error
        msg = f"AWS refused: {error}"
        raise TargetError(msg) from error
    except BotoCoreError as error:
        msg = f"AWS cannot be asked: {error}"
        raise TargetError(msg) from error


def _not_on_aws(target: Target, what: str) -> Verdict:
    return Verdict.failed(f"the target is {target.kind}, and {what} is on AWS")
