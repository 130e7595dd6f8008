"""Lines of a check that one screen has room for: what is open, with what is alike in one."""

from perfkit.analysis.verdict import Verdict
from perfkit.gates.lines import Line, State, condensed


def open_line(title: str, reason: str, step: str, group: str = "Indexes") -> Line:
    return Line(group=group, title=title, verdict=Verdict.failed(reason), next_step=step)


def said(lines: list[Line]) -> list[tuple[str, str, str]]:
    return [(line.title, line.reason, line.next_step) for line in condensed(lines)]


def test_what_is_done_comes_last_and_in_one_line() -> None:
    def done(title: str) -> Line:
        return Line(group="Indexes", title=title, verdict=Verdict.passed(f"{title} is so"))

    lines = [done("a"), done("b"), open_line("c", "no run shows it", "perfkit seed"), done("d")]

    assert [(line.title, line.state) for line in condensed(lines)] == [
        ("c", State.NOT_DONE),
        ("a; b; d", State.DONE),
    ]


def test_lines_with_one_reason_and_one_remedy_are_one_and_name_the_first() -> None:
    lines = [open_line(title, "no run shows it", "perfkit seed") for title in "abcde"]

    assert said(lines) == [("a; b; c; 2 more", "no run shows it", "perfkit seed")]


def test_other_reasons_states_and_groups_stay_apart() -> None:
    stale = Verdict.invalid("no run shows it")
    lines = [
        open_line("a", "no run shows it", "perfkit seed"),
        open_line("b", "there is no table", "perfkit seed"),
        Line(group="Indexes", title="c", verdict=stale, stale=True, next_step="perfkit seed"),
        open_line("d", "no run shows it", "perfkit seed", group="Gates"),
    ]

    assert [line.title for line in condensed(lines)] == ["a", "b", "c", "d"]
    assert condensed(lines)[2].state is State.STALE


def test_lines_that_one_command_helps_stand_together() -> None:
    lines = [
        open_line("a", "no run shows it", "perfkit seed"),
        open_line("b", "no server runs", "perfkit up"),
        open_line("c", "there is no table", "perfkit seed"),
    ]

    assert [line.title for line in condensed(lines)] == ["a", "c", "b"]


def test_a_few_patterns_are_measured_by_one_command_and_many_all_together() -> None:
    def lines(count: int) -> list[Line]:
        return [
            open_line(
                f"p{number} is answered by its key",
                "no run shows it",
                f"perfkit bench --scenario p{number} --data x",
            )
            for number in range(count)
        ]

    assert said(lines(2)) == [
        (
            "p0 is answered by its key; p1 is answered by its key",
            "no run shows it",
            "perfkit bench --scenario p0 --scenario p1 --data x",
        )
    ]
    assert said(lines(4))[0][2] == "perfkit bench --data x"


def test_a_scenario_that_no_pattern_has_is_not_left_out() -> None:
    lines = [
        open_line(title, "no run shows it", "perfkit bench --scenario phases") for title in "abcde"
    ]

    assert said(lines)[0][2] == "perfkit bench --scenario phases"


def test_reasons_that_differ_in_their_run_only_are_one() -> None:
    lines = [
        open_line(f"p{number}", f"the file was edited after run run-{number}", "perfkit bench")
        for number in range(2)
    ]

    assert said(lines) == [
        ("p0; p1", "the file was edited after run run-0 (and others)", "perfkit bench")
    ]
