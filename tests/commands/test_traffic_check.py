"""`perfkit traffic check` as it is typed: exit codes, the ignore list, JUnit, annotations."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from perfkit.cli import app
from perfkit.traffic.exchange import Observed
from perfkit.traffic.shapes import Fingerprint
from perfkit.traffic.trace_file import TraceWriter

SCAN = Fingerprint(operation="Scan", table="Orders", filter="coupon = :v")


def seen(number: int, fingerprint: Fingerprint, **more: Any) -> Observed:
    plain: dict[str, Any] = {
        "number": number, "fingerprint": fingerprint, "at_s": number * 1.0, "duration_s": 0.01,
        "status": 200, "error": "", "connection": 1, "agent": "", "caller": None,
        "invocation": 0, "attempt": 1, "count": 1, "scanned": 1, "sent_bytes": 1,
        "received_bytes": 1, "item_bytes": 0, "unprocessed": 0, "same": number, "chain": 0,
        "page": 0, "behind": 0, "units": (("Orders", "", 0.5),), "touched": (), "returned": (),
    }  # fmt: skip
    return Observed(**(plain | more))


@pytest.fixture(autouse=True)
def trace() -> Path:
    """Return a trace of two filtered scans of 128 units in two minutes."""
    path = Path("app.trace")
    meta = {"target": {"kind": "embedded"}, "duration_s": 120.0, "complete": True}
    writer = TraceWriter(path, meta, most_bytes=1 << 30, warn=pytest.fail)
    units = (("Orders", "", 128.0),)
    for number in (1, 2):
        writer.add(seen(number, SCAN, count=10, scanned=1000, units=units))
    writer.add(seen(3, Fingerprint(operation="GetItem", table="Orders")))
    writer.close()
    return path


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["traffic", "check", "app.trace", *arguments])


def test_a_scan_is_found_with_what_it_is_worth() -> None:
    done = run()

    assert done.exit_code == 0, done.output
    assert "scan: Scan Orders: filter coupon = :v" in done.stdout
    assert "2 times, each 128 RCU and 1,000 items read for 10 returned" in done.stdout
    # 256 units in 120 s, of which 99% is thrown away, at $0.125 a million, 730 h a month
    assert done.stdout.count("Worth $0.69 a month") == 1
    assert "Worth counted in the scan above." in done.stdout


def test_everything_has_the_request_that_shows_it() -> None:
    assert "request 1 at 1.00 s, 1,000 read, 10 returned, 128 units" in run("-v").stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(["--fail-on", "scan,hot-key"], 4, id="what must not be"),
        pytest.param(["--fail-on", "all"], 4, id="anything"),
        pytest.param(["--fail-on", "hot-key"], 0, id="what is not found"),
        pytest.param(["--max-rcu-per-request", "127.5"], 4, id="a request too large"),
        pytest.param(["--max-rcu-per-request", "128"], 0, id="just small enough"),
        pytest.param(["--fail-on", "scans"], 2, id="no such rule"),
    ],
)
def test_what_fails_is_asked_for(arguments: list[str], code: int) -> None:
    assert run(*arguments).exit_code == code


def test_what_is_known_is_left_alone() -> None:
    known = '[[ignore]]\nrule = "scan"\nrequest = "Scan Ord*"\nreason = "the export"\n'
    Path("perfkit.toml").write_text(
        f'{known}[[ignore]]\nrule = "*"\nrequest = "Gone"\nreason = "old"\n'
    )

    done = run("--fail-on", "scan", "--json")

    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["check"]
    assert [(each["rule"], each["reason"]) for each in found["ignored"]] == [("scan", "the export")]
    (left,) = found["findings"]
    assert left["rule"] == "filter"
    assert left["worth_usd"] == pytest.approx(0.69, abs=0.01)
    assert "Nothing found for the ignore list's *, Gone" in run().stdout


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param('[[ignore]]\nrule = "scan"\nrequest = "x"\n', "reason", id="no reason"),
        pytest.param(
            '[[ignore]]\nrule = "sacn"\nrequest = "x"\nreason = "y"\n', "'sacn'", id="no rule"
        ),
    ],
)
def test_an_ignore_list_that_is_wrong_is_an_error(text: str, reason: str) -> None:
    Path("other.toml").write_text(text)

    done = run("--ignore", "other.toml")

    assert done.exit_code == 2
    assert reason in done.stderr


def test_machines_that_read_tests_get_what_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")

    done = run("--fail-on", "scan", "--junit", "out.xml", "--json")

    suite = ET.parse("out.xml").getroot()[0]
    assert suite.attrib["failures"] == "1"
    assert [each.attrib["name"] for each in suite if each.find("failure") is not None] == ["scan"]
    assert json.loads(done.stdout)["check"]["failing"] == ["scan: Scan Orders: filter coupon = :v"]
    assert "::error title=scan Scan Orders%3A filter coupon = %3Av::reads all" in done.stderr
    assert "::warning title=filter" in done.stderr


def test_a_request_is_folded_and_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    shown = CliRunner().invoke(app, ["traffic", "show", "app.trace"]).stdout

    assert "Scan Orders: filter coupon" in shown
    assert "…" not in shown


def test_a_trace_without_an_answer_is_no_success() -> None:
    write("none.trace", *["ResourceNotFoundException"] * 2, "no answer")

    shown = CliRunner().invoke(app, ["traffic", "show", "none.trace"])
    check = ["traffic", "check", "none.trace", "--junit", "out.xml"]
    checked = CliRunner().invoke(app, check)

    said = "3 of 3 requests failed: 2 ResourceNotFoundException, 1 no answer"
    assert shown.stdout.startswith(said), shown.stdout
    assert checked.exit_code == 3, checked.output
    assert said in checked.stderr
    assert "no request was answered; is the target right?" in checked.stderr
    suite = ET.parse("out.xml").getroot()[0]
    assert (suite.attrib["failures"], suite.attrib["errors"]) == ("0", "1")
    assert said in suite[0][0].attrib["message"]


def test_requests_that_failed_are_told_and_those_refused_for_a_reason_are_not() -> None:
    refused = (
        "ConditionalCheckFailedException",
        "TransactionCanceledException (ConditionalCheckFailed)",
        "ThrottlingException",
    )
    write("some.trace", "ValidationException", *refused)
    write("refused.trace", *refused)

    checked = CliRunner().invoke(app, ["traffic", "check", "some.trace"])
    others = CliRunner().invoke(app, ["traffic", "check", "refused.trace"])

    assert checked.exit_code == others.exit_code == 0
    assert checked.stdout.splitlines()[0] == "1 of 4 requests failed: ValidationException."
    assert "failed" not in others.stdout


def write(name: str, *errors: str) -> None:
    """Write a trace of requests that were refused so."""
    meta = {"target": {"kind": "embedded"}, "duration_s": 120.0, "complete": True}
    writer = TraceWriter(Path(name), meta, most_bytes=1 << 30, warn=pytest.fail)
    puts = Fingerprint(operation="PutItem", table="Orders")
    for number, error in enumerate(errors, 1):
        refused = {"status": 400, "error": error, "units": (), "count": 0, "scanned": 0}
        writer.add(seen(number, puts, **refused))
    writer.close()
