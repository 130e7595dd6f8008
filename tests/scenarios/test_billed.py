"""Units of a server that does not count as DynamoDB does: worked out from what was read."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from perfkit.dynamodb.targets import Target
from perfkit.runs import Run
from perfkit.scenarios.access_pattern import access_patterns
from perfkit.scenarios.base import Context
from perfkit.workloads.model import Workload


class Emulator:
    """A client of a server that answers rightly, and half a unit for whatever it is asked."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)
        if name not in {"scan", "query", "get_item", "batch_get_item"}:
            return call

        def answer(**request: Any) -> Any:
            found = call(**request)
            one = {"TableName": "t", "CapacityUnits": 0.5}
            return {**found, "ConsumedCapacity": [one] if name == "batch_get_item" else one}

        answer.__name__ = name
        return answer


def units(run: Run) -> dict[str, float | None]:
    return {each.name: each.capacity_units for each in run.variants}


@pytest.fixture(name="context")
def _context(make_context: Callable[..., Context], seeded: Target, workload: Workload) -> Context:
    return make_context(seeded, workload, iterations=1)


def test_units_of_an_emulator_are_dynamodbs_and_marked(
    context: Context, workload: Workload
) -> None:
    emulated = replace(
        context, client=Emulator(context.client), capacity_doubt="it is not AWS, and unchecked"
    )
    for scenario in access_patterns(workload):
        truth, run = scenario.measure(context), scenario.measure(emulated)

        assert units(run) == pytest.approx(units(truth))
        assert [each.capacity_ratio for each in run.comparisons] == pytest.approx(
            [each.capacity_ratio for each in truth.comparisons]
        )
        strong = [each.capacity_units_strong for each in run.variants]
        # a scan of segments rounds each one up
        assert strong == pytest.approx(
            [each.capacity_units_strong for each in truth.variants], rel=0.01, abs=2
        )
        if any(each > 0.5 for each in units(truth).values() if each is not None):
            assert {each.capacity_source for each in run.variants} == {"modelled"}
            (doubt,) = (each for each in run.doubts if each.kind == "capacity")
            assert "this server's units are not DynamoDB's" in doubt.reason


def test_an_emulator_that_counts_as_dynamodb_is_taken_at_its_word(
    context: Context, workload: Workload
) -> None:
    doubted = replace(context, capacity_doubt="it is not AWS, and unchecked")

    run = next(access_patterns(workload)).measure(doubted)

    assert {each.capacity_source for each in run.variants} == {"embedded"}
    assert not [each for each in run.doubts if each.kind == "capacity"]
