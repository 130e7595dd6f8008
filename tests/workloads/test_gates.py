"""Gates as they are written: what is understood, and what is said of what is not."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.errors import GateError, WorkloadError
from perfkit.workloads.gates import _METRICS, Comparator, Gate, _Dimension, parse_gate
from perfkit.workloads.loader import load_gates, read

NOTES = Path(__file__).with_name("notes.toml").read_text()


@pytest.mark.parametrize(
    ("text", "scope", "metric", "comparator", "limit"),
    [
        ("p95_ms < 200", "", "p95_ms", "<", 200),
        ("hit_rate>0.9", "", "hit_rate", ">", 0.9),
        ("  errors  ==  0 ", "", "errors", "==", 0),
        ("rcu_per_request <= 1", "", "rcu_per_request", "<=", 1),
        ("usd_per_million < 2.50", "", "usd_per_million", "<", 2.5),
        ("rate >= 1_000", "", "rate", ">=", 1000),
        ("p95 < 200ms", "", "p95_ms", "<", 200),
        ("p95_ms < 0.2 s", "", "p95_ms", "<", 200),
        ("hit_rate > 90%", "", "hit_rate", ">", 0.9),
        ("overall: errors == 0", "", "errors", "==", 0),
        ("GET /api/courses: p95_ms < 100", "GET /api/courses", "p95_ms", "<", 100),
        ('"GET /items/:id": max_ms < 1e3', "GET /items/:id", "max_ms", "<", 1000),
        ("by-customer: p99_ms < .5", "by-customer", "p99_ms", "<", 0.5),
    ],
)
def test_a_gate_says(text: str, scope: str, metric: str, comparator: str, limit: float) -> None:
    expected = Gate(metric=metric, comparator=Comparator(comparator), limit=limit, scope=scope)

    assert parse_gate(text) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "column 1: expected a metric, such as p95_ms, got the end"),
        ("< 200", "column 1: expected a metric, such as p95_ms, got '<'"),
        ("p95ms < 200", "column 1: no metric 'p95ms'; did you mean 'p95_ms'?"),
        ("p(95) < 200", "column 1: no metric 'p(95)'; did you mean 'p95_ms'?"),
        ("p95 < 200", "column 1: expected a unit; write p95_ms, or 200ms for the limit"),
        ("errors = 0", "column 8: expected one of < <= > >= ==, got '='; write =="),
        ("errors != 0", "column 8: expected one of < <= > >= ==, got '!='"),
        ("errors", "column 7: expected one of < <= > >= ==, got the end"),
        ("p95_ms < fast", "column 10: expected a number, got 'fast'"),
        ("p95_ms < 1e999", "column 10: 1e999 is too large a number"),
        ("p95_ms < 200 and errors == 0", "column 14: expected the end, got 'and'"),
        ("p95_ms < 200kB", "column 13: p95_ms is a time in milliseconds; expected ms or s"),
        ("rcu_per_request < 1ms", "column 20: rcu_per_request is a number; expected no unit"),
        ("hit_rate > 90", "got 90; write 0.9 or 90%"),
        ("hit_rate > 900%", "hit_rate is a share from 0 to 1"),
        (": errors == 0", "expected an endpoint or an access pattern before the colon"),
        ("__import__('os') < 1", "column 1: no metric '__import__'"),
    ],
)
def test_what_is_no_gate_is_named_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(GateError) as caught:
        parse_gate(text)

    assert problem in str(caught.value)
    assert repr(text) in str(caught.value)


_shares = [name for name, dimension in _METRICS.items() if dimension is _Dimension.SHARE]
_gates = st.builds(
    Gate,
    metric=st.sampled_from(sorted(_METRICS.keys() - set(_shares))),
    comparator=st.sampled_from(Comparator),
    limit=st.floats(allow_nan=False, allow_infinity=False).map(lambda limit: limit + 0.0),
    scope=st.text(st.characters(exclude_categories=["C", "Z"]), max_size=20).filter(
        lambda scope: scope == scope.strip("\"' ") and scope != "overall"
    ),
) | st.builds(
    Gate,
    metric=st.sampled_from(_shares),
    comparator=st.sampled_from(Comparator),
    limit=st.floats(0, 1),
)


@given(_gates)
def test_a_gate_reads_as_it_is_written(gate: Gate) -> None:
    assert parse_gate(str(gate)) == gate


@given(st.text(max_size=40))
def test_any_text_is_a_gate_or_an_error_that_names_it(text: str) -> None:
    said = ""
    try:
        said = parse_gate(text).metric
    except GateError as error:
        said = str(error)

    assert said in _METRICS or said.startswith(f"gate {text!r}, column ")


def test_a_workload_has_gates() -> None:
    text = (
        NOTES + '\n[gates]\noverall = "errors == 0"\n"GET /notes" = ["p95 < 20ms", "errors == 0"]\n'
    )

    workload = read(text.encode(), source="notes.toml")

    assert [str(gate) for gate in workload.gates] == [
        "errors == 0",
        "GET /notes: p95_ms < 20",
        "GET /notes: errors == 0",
    ]


def test_a_wrong_gate_of_a_workload_is_named_with_its_line() -> None:
    text = NOTES + '\n[gates]\noverall = ["errors == 0", "p59_ms < 20"]\n"GET /" = []\n'
    line = text[: text.index("overall = [")].count("\n") + 1

    with pytest.raises(WorkloadError) as caught:
        read(text.encode(), source="notes.toml")

    metric, empty = str(caught.value).splitlines()
    assert metric.startswith(
        f'notes.toml:{line}: gates.overall[1] = "p59_ms < 20": column 1: no metric'
    )
    assert empty == f'notes.toml:{line + 1}: gates."GET /" = []: expected at least 1 in it'


def test_a_file_holds_gates_alone(tmp_path: Path) -> None:
    file = tmp_path / "gates.toml"
    file.write_text('[gates]\noverall = "p95_ms < 200"\n')

    assert list(map(str, load_gates(file))) == ["p95_ms < 200"]

    file.write_text('[gate]\noverall = "p95_ms < 200"\n')
    with pytest.raises(
        WorkloadError, match=r"gates\.toml:1: gate: no such key; did you mean 'gates'"
    ):
        load_gates(file)
    with pytest.raises(GateError, match=r"cannot read the gates in none\.toml"):
        load_gates(Path("none.toml"))
