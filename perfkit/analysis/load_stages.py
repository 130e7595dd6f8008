"""What a load test says of a service that was changed meanwhile: its first stage against its last."""

from dataclasses import dataclass

from perfkit.analysis.percentiles import percentile
from perfkit.analysis.verdict import Verdict
from perfkit.runs import LoadStage, LoadTest, Run, Variant

__all__ = ["Passage", "passage_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """
    A service from its first stage to its last.

    Args:
        test: The whole load test.
        before: The first stage with requests.
        after: The last one.
        requests: Requests that ended, between stages too.
        errors: How many of them failed.
        throttles: How often DynamoDB refused for lack of capacity; None where nobody says.
        calm_from: The stage from whose first second to the end of the test nothing failed or was
            refused; "" where the last stage is not so.
    """

    test: LoadTest
    before: LoadStage
    after: LoadStage
    requests: int
    errors: int
    throttles: int | None
    calm_from: str

    @property
    def is_calm(self) -> bool:
        """Whether nothing failed or was refused from the first second to the last."""
        return not self.errors and not self.throttles

    @property
    def latency_ratio(self) -> float | None:
        """By how much the 95th percentile of the response time is less in the last stage."""
        return _ratio(*(_p95_s(each) for each in self._figures))

    @property
    def capacity_ratio(self) -> float | None:
        """By how much the read units of a request are less in the last stage."""
        return _ratio(*(each.capacity_units for each in self._figures))

    @property
    def _figures(self) -> tuple[Variant, Variant]:
        before, after = self.before.figures, self.after.figures
        assert before is not None  # noqa: S101 - stages with requests
        assert after is not None  # noqa: S101
        return before, after

    def judge(self, *, throttled: bool) -> Verdict:
        """
        Return whether the passage was as it should be: nothing failed, or nothing in the end.

        Args:
            throttled: The tables had less capacity than the service takes at first.
        """
        if self.test.interrupted:
            return Verdict.invalid("the run was cut short")
        if not throttled and self.errors:
            reason = f"{self.errors:,} of {self.requests:,} requests failed, where none should"
            return Verdict.failed(reason)
        if throttled and not self.calm_from:
            reason = f"requests still failed or were refused at {self.after.name}"
            return Verdict.failed(reason)
        return Verdict.passed()


def passage_of(run: Run) -> Passage | None:
    """Return what a run says of its stages; None where it has not two with requests."""
    test = run.load_test
    if test is None:
        return None
    stages = [each for each in test.stages if each.figures is not None]
    if len(stages) < 2:
        return None
    throttles = [each.throttles for each in test.seconds if each.throttles is not None]
    return Passage(
        test=test,
        before=stages[0],
        after=stages[-1],
        requests=sum(each.requests for each in test.seconds),
        errors=sum(each.errors for each in test.seconds),
        throttles=sum(throttles) if throttles else None,
        calm_from=_calm_from(test, stages),
    )


def _calm_from(test: LoadTest, stages: list[LoadStage]) -> str:
    last_s = max(
        (each.at_s for each in test.seconds if each.errors or each.throttles), default=-1.0
    )
    return next((each.name for each in stages if each.start_s >= last_s), "")


def _p95_s(variant: Variant) -> float | None:
    return percentile(variant.latency_s, 0.95)


def _ratio(before: float | None, after: float | None) -> float | None:
    return before / after if before is not None and after else None
