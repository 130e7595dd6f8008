"""Target tracking, minute by minute, followed by hand."""

import pytest

from perfkit.cost.scaling import Policy, Replay, replay
from perfkit.errors import ConfigError


def events(found: Replay) -> list[tuple[int, int, int]]:
    return [(each.minute, each.before, each.after) for each in found.events]


def test_a_group_grows_as_far_as_it_can_see_and_then_again() -> None:
    """
    1.6 instances' worth of work on one: it sees 100%, so after three minutes it wants 1 / 0.5 = 2.

    They share it from minute 8 on: 80%, still above, so it wants 1.6 / 0.5 = 3.2, which is 4. From
    minute 13 on they use 40%: fine, and 3 would use 53%.
    """
    found = replay([1.6] * 60, 1, Policy())

    assert events(found) == [(3, 1, 2), (8, 2, 4)]
    assert (found.end, found.is_stable) == (4, False)
    # until two shared it nobody could see how much it was
    assert found.short_min == 7


def test_a_group_shrinks_after_fifteen_minutes() -> None:
    """A quarter of an instance's work on three: 8%, and 0.25 / 0.5 is half an instance."""
    found = replay([0.25] * 60, 3, Policy())

    assert events(found) == [(15, 3, 1)]
    assert found.events[0].used == pytest.approx(0.25 / 3)


@pytest.mark.parametrize(
    ("demand", "start", "policy"),
    [
        pytest.param([0.25] * 60, 1, Policy(), id="little on the least"),
        pytest.param([0.5] * 60, 1, Policy(), id="at the target"),
        # 46% of a target of 50% is within a tenth of it
        pytest.param([0.92] * 60, 2, Policy(), id="a little below the target"),
        pytest.param([0.9, 0.9, 0.1] * 20, 1, Policy(), id="two minutes above, never three"),
        pytest.param([9.0] * 60, 3, Policy(most=3), id="at its most"),
        pytest.param([0.1] * 60, 3, Policy(least=3), id="at its least"),
        # 14 minutes below, and one that is not
        pytest.param(([0.2] * 14 + [1.0]) * 4, 2, Policy(), id="never fifteen minutes below"),
        # 3 use 40%, which is low; 2 would use 60%, which is not wanted
        pytest.param([1.2] * 60, 3, Policy(), id="one less would be too few"),
    ],
)
def test_a_group_stays_as_it_is(demand: list[float], start: int, policy: Policy) -> None:
    found = replay(demand, start, policy)

    assert found.is_stable
    assert found.end == start


def test_nothing_shrinks_while_something_warms_up() -> None:
    """The peak ends as its instance starts: fifteen low minutes count from then, less what warms up."""
    policy = Policy(warm_up_min=20)

    found = replay([0.9] * 3 + [0.1] * 40, 1, policy)

    # 0.9 / 0.5 is 2; low from minute 4 to 18, and warm at 23
    assert events(found) == [(3, 1, 2), (23, 2, 1)]


def test_work_that_comes_and_goes_changes_the_group_each_time() -> None:
    """Ten minutes at 90% of one instance, then twenty at 10%, three times over."""
    found = replay(([0.9] * 10 + [0.1] * 20) * 3, 1, Policy())

    assert events(found) == [
        (3, 1, 2), (25, 2, 1), (33, 1, 2), (55, 2, 1), (63, 1, 2), (85, 2, 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"target": 0.0}, id="no CPU at all"),
        pytest.param({"target": 1.5}, id="more than there is"),
        pytest.param({"least": 0}, id="no instance"),
        pytest.param({"least": 4, "most": 3}, id="fewer than the least"),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused(given: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Policy(**given)  # type: ignore[arg-type]
