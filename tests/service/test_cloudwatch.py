"""The cache's metrics in CloudWatch, from the running service."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
import typer
from moto import mock_aws
from typer.testing import CliRunner

from perfkit.cli import ErrorBoundary
from perfkit.commands.serve import serve as serve_command

COURSES = "/api/courses?semester=1&department=CS"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a client of a CloudWatch that is not AWS's."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    with mock_aws():
        yield boto3.client("cloudwatch", region_name="eu-west-1")


def test_what_was_counted_is_published_at_the_end_at_the_latest(
    serve: Callable[..., Any], aws: Any
) -> None:
    with serve(3, cloudwatch="Courses/Cache") as client:
        for _ in range(4):
            client.get(COURSES)

    metrics = aws.list_metrics(Namespace="Courses/Cache")["Metrics"]
    assert {"Hits", "Misses", "HitRate", "Latency"} <= {each["MetricName"] for each in metrics}
    # all patterns together: CloudWatch bills each by itself
    assert {d["Name"] for each in metrics for d in each["Dimensions"]} <= {"Outcome"}


def test_a_cloudwatch_that_refuses_costs_no_request(
    serve: Callable[..., Any],
    aws: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Refusing:
        def put_metric_data(self, **request: Any) -> Any:
            request["MetricData"] = "no list"
            return aws.put_metric_data(**request)

    monkeypatch.setattr(
        "perfkit.service.settings.ServiceSettings.cloudwatch_client", lambda _: Refusing()
    )
    with caplog.at_level(logging.WARNING), serve(3, cloudwatch="Courses/Cache") as client:
        assert client.get(COURSES).status_code == 200

    assert "CloudWatch did not take the cache's metrics" in caplog.text


app = typer.Typer(cls=ErrorBoundary)
app.command()(serve_command)
app.command("other")(lambda: None)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--cloudwatch", "x", "--phase", "0"], "the switches keep nothing"),
        (["--cloudwatch", "AWS/DynamoDB"], "is no namespace of one's own"),
        (["--cloudwatch", "x"], "no region for AWS: give --region or set AWS_REGION"),
    ],
)
def test_what_cannot_be_published_is_refused_before_anything_is_started(
    arguments: list[str], part: str, seeded: Any
) -> None:
    result = CliRunner().invoke(app, ["serve", "--data", str(seeded), *arguments])

    assert result.exit_code == 2
    assert part in result.stderr
