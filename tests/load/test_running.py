"""Load tests of a small service, held against what that service counted itself."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from perfkit.analysis.measures import OVERALL, measures_of
from perfkit.errors import ConfigError, TargetError
from perfkit.load.plan import LoadPlan, Mix, Request, Values
from perfkit.load.probing import settle
from perfkit.load.process import Generator, Place
from perfkit.load.running import Subject, run_load
from perfkit.load.stages import Stages
from perfkit.measure.histogram import Histogram
from perfkit.runs import LoadTest, Run
from perfkit.runs.codec import decode, encode

pytestmark = pytest.mark.processes

MIX = Mix(
    name="tiny",
    requests=(
        Request(
            name="GET /ok",
            method="GET",
            path="/ok?name={name}",
            headers={"Authorization": "Bearer {user.token}"},
            weight=6,
        ),
        Request(name="POST /things", method="POST", path="/things", body='{"n": "{name}"}'),
        Request(name="broken", method="GET", path="/status/503"),
        Request(name="moved", method="GET", path="/status/302"),
        Request(name="expected", method="GET", path="/status/404", expect=(404,)),
        # rare: it keeps its user from asking the others
        Request(name="slow", method="GET", path="/slow", weight=0.5),
    ),
    values={
        "name": Values(columns=("value",), rows=(("a b",), ("é/?",))),
        "user": Values(columns=("id", "token"), rows=(("u1", "t1"), ("u2", "t2"))),
    },
)


def measure(
    plan: LoadPlan, place: Place | None = None, *, until: Callable[[], bool] | None = None
) -> Run:
    """Load by a plan; its time only ends what hangs where *until* says when it is over."""
    stages = None if until is None else Stages()

    def show(*_: Any) -> None:
        if stages is not None and until is not None and until():
            stages.end()

    return run_load(
        plan,
        Subject(mix="tiny", workload="tiny"),
        place or Place(),
        show=show,
        say=lambda _: None,
        stages=stages,
    )


def test_of(run: Run) -> LoadTest:
    assert run.load_test is not None
    return run.load_test


test_of.__test__ = False  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def closed(shared_service: Any) -> Run:
    """Return a test of all kinds of answers, with users who wait and think."""
    return measure(
        LoadPlan(
            urls=(shared_service.url,),
            mix=MIX,
            users=16,
            # long enough for every kind to come, however busy the machine is
            think_s=0.05,
            ramp_s=0.3,
            duration_s=6.0,
            # a busy machine answers everything else in time
            timeout_s=10.0,
        ),
        Place(processes=2),
    )


def by_name(run: Run) -> dict[str, Any]:
    return {each.question: each for each in run.variants}


def test_every_request_is_counted_once(closed: Run, shared_service: Any) -> None:
    total, *endpoints = closed.variants

    assert total.requests == sum(each.requests for each in endpoints) > 0
    assert total.errors == sum(each.errors for each in endpoints)
    assert Histogram.decode(total.histogram).count == total.requests
    # a second's requests, those of the ramp too; one more went before to see if anybody is there
    everything = sum(each.requests for each in test_of(closed).seconds)
    assert total.requests <= everything == sum(shared_service.asked.values()) - 1


def test_answers_are_told_apart_by_status_and_errors_by_kind(closed: Run) -> None:
    found = by_name(closed)

    assert found["GET /ok"].errors == 0
    assert found["GET /ok"].http.statuses == {"200": found["GET /ok"].requests}
    assert found["expected"].errors == 0
    assert found["broken"].http.errors_by_kind == {"status 503": found["broken"].requests}
    assert found["moved"].http.errors_by_kind == {"redirect (status 302)": found["moved"].requests}
    assert found["slow"].http.errors_by_kind == {"timeout": found["slow"].requests}
    assert found["slow"].http.statuses == {}


def test_a_redirect_is_not_followed(closed: Run, shared_service: Any) -> None:
    assert by_name(closed)["moved"].requests
    assert "/elsewhere" not in shared_service.asked


def test_a_timeout_counts_with_all_the_time_it_took(closed: Run) -> None:
    latency_s = by_name(closed)["slow"].latency_s

    assert 10.0 <= latency_s.min <= latency_s.p50 <= latency_s.max


def test_values_are_drawn_and_quoted_where_they_stand(closed: Run, shared_service: Any) -> None:
    assert closed.variants
    asked = {each for each in shared_service.targets if each.startswith("/ok")}
    assert asked == {"/ok?name=a%20b", "/ok?name=%C3%A9%2F%3F"}
    assert shared_service.headers["/ok"]["authorization"] in {"Bearer t1", "Bearer t2"}
    assert shared_service.bodies["/things"].decode() in {'{"n": "a b"}', '{"n": "é/?"}'}


def test_what_answers_say_of_cache_and_units_is_added_up(closed: Run) -> None:
    found = by_name(closed)[OVERALL]

    answered = sum(found.http.statuses.values())
    assert found.cache.requests == answered
    assert found.capacity_units == pytest.approx(1.5)
    assert found.http.write_units == pytest.approx(0.5)
    assert found.http.operations == {"get_item": 2 * answered, "query": answered}


def test_the_response_time_of_users_who_wait_is_the_service_time(closed: Run) -> None:
    assert by_name(closed)[OVERALL].latency_s == by_name(closed)[OVERALL].http.service_s
    assert test_of(closed).due is None


def test_a_run_survives_its_file(closed: Run) -> None:
    assert decode(encode(closed), "the file") == closed


def test_a_stall_counts_against_every_request_that_was_due_meanwhile(tiny_service: Any) -> None:
    """
    Two users are stuck in a stall of a second, and the requests due meanwhile are sent after it.

    Timed from when they were sent they would seem quick.
    """
    tiny_service.stalls_at, tiny_service.stalls_s = 15, 1.0
    mix = Mix(name="m", requests=(Request(name="ok", method="GET", path="/ok"),))

    run = measure(
        LoadPlan(urls=(tiny_service.url,), mix=mix, users=2, rate_hz=40, ramp_s=0.0, duration_s=2.0)
    )

    total = run.variants[0]
    assert total.http is not None
    # none is skipped
    assert total.requests == 80 == test_of(run).due
    # of the 40 that were due in the stall, half waited for half of it or more
    slow = measures_of(run)[OVERALL]
    assert total.latency_s.p90 >= 0.5
    assert total.latency_s.max >= 0.9
    assert slow["service_p95_ms"] is not None
    # that of the two which were under way
    assert total.http.service_s.p90 < total.latency_s.p90
    assert test_of(run).without_user > 0
    assert any(each.startswith("users ran out") for each in test_of(run).invalid)


def test_requests_of_a_rate_are_made_by_processes_in_turns(tiny_service: Any) -> None:
    mix = Mix(name="m", requests=(Request(name="ok", method="GET", path="/ok"),))

    run = measure(
        LoadPlan(
            urls=(tiny_service.url,), mix=mix, users=40, rate_hz=50, ramp_s=0.4, duration_s=1.0
        ),
        Place(processes=2),
    )

    # 50 a second for one second; in the ramp half of what 0.4 s would have
    assert run.variants[0].requests == 50
    assert tiny_service.asked["/ok"] == 50 + 10 + 1


def test_several_instances_are_asked_in_turns_and_a_dead_one_is_left_out(tiny_service: Any) -> None:
    mix = Mix(name="m", requests=(Request(name="ok", method="GET", path="/ok"),))
    plan = LoadPlan(
        # nobody listens at the second: port 1 needs a privileged owner
        urls=(tiny_service.url, "http://127.0.0.1:1"),
        mix=mix,
        users=2,
        think_s=0.01,
        duration_s=300.0,
    )

    # without the probe, which would refuse the dead one
    reports = reports_until(plan, lambda: tiny_service.asked["/ok"] > 10)

    seconds = [each for each in reports if each["type"] == "second"]
    errors = sum(
        count
        for second in seconds
        for tally in second["measured"].values()
        for count in tally["errors"].values()
    )
    # its health was looked at before the first request
    assert errors == 0


def reports_until(plan: LoadPlan, holds: Callable[[], bool]) -> list[dict[str, Any]]:
    """Make requests by a plan until something is so, without a probe; return all reports."""
    found: list[dict[str, Any]] = []
    with Generator(plan, Place()) as generator:
        deadline_s = time.monotonic() + 60.0
        for report in generator.reports():
            found += [report] if report else []
            if holds():
                break
            assert time.monotonic() < deadline_s
        found += generator.stop()
    assert holds()
    return found


def test_an_instance_that_answers_and_says_that_it_fails_is_left_out_until_it_works(
    tiny_service: Any, second_service: Any
) -> None:
    second_service.health = 503
    plan = LoadPlan(
        urls=(tiny_service.url, second_service.url),
        mix=Mix(name="m", requests=(Request(name="ok", method="GET", path="/ok"),)),
        users=2,
        think_s=0.01,
        duration_s=300.0,
    )

    def asked() -> tuple[int, int]:
        return tiny_service.asked["/ok"], second_service.asked["/ok"]

    with Generator(plan, Place()) as generator:
        reports = generator.reports()

        def go_on_until(holds: Callable[[], bool]) -> None:
            deadline_s = time.monotonic() + 60.0
            while not holds():
                assert time.monotonic() < deadline_s
                next(reports)

        go_on_until(lambda: asked()[0] > 20)
        at_first = asked()[1]
        second_service.health = 200
        go_on_until(lambda: asked()[1] > 20)
        second_service.health = 503
        looked = second_service.asked["/healthz"]
        # a look may be under way, and a request too
        go_on_until(lambda: second_service.asked["/healthz"] >= looked + 3)
        ones, others = asked()
        go_on_until(lambda: asked()[0] > ones + 20)
        at_last = asked()[1]
        list(generator.stop())

    assert at_first == 0
    assert at_last <= others + plan.users


def test_where_every_instance_fails_all_are_asked(tiny_service: Any, second_service: Any) -> None:
    tiny_service.health = second_service.health = 500
    plan = LoadPlan(
        urls=(tiny_service.url, second_service.url),
        mix=Mix(name="m", requests=(Request(name="ok", method="GET", path="/ok"),)),
        users=2,
        think_s=0.01,
        duration_s=300.0,
    )

    reports_until(
        plan, lambda: min(each.asked["/ok"] for each in (tiny_service, second_service)) > 3
    )


def test_what_a_service_still_has_to_do_is_waited_for(tiny_service: Any) -> None:
    tiny_service.stalls_at, tiny_service.stalls_s = 1, 0.6
    plan = LoadPlan(
        urls=(tiny_service.url,),
        mix=Mix(name="m", requests=(Request(name="ok", method="GET", path="/ok"),)),
        users=1,
        duration_s=1.0,
    )
    begun_s = time.monotonic()

    settle(plan, 0.3)

    assert time.monotonic() - begun_s >= 0.6
    assert tiny_service.asked["/ok"] >= 2


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        pytest.param(
            {"path": "/status/301"}, ConfigError, "redirects GET (status 301)", id="moved"
        ),
        pytest.param({"path": "/status/401"}, ConfigError, "the token", id="wrong token"),
        pytest.param({"url": "http://127.0.0.1:1"}, TargetError, "cannot be reached", id="nobody"),
    ],
)
def test_what_is_plainly_wrong_is_said_before_the_load(
    tiny_service: Any, change: dict[str, str], error: type[Exception], words: str
) -> None:
    request = Request(name="GET", method="GET", path=change.get("path", "/ok"))
    plan = LoadPlan(
        urls=(change.get("url", tiny_service.url),),
        mix=Mix(name="m", requests=(request,)),
        users=1,
        duration_s=1.0,
    )

    with pytest.raises(error, match=words.replace("(", r"\(").replace(")", r"\)")):
        measure(plan)


def test_a_wrong_token_is_said_before_the_load_if_the_commonest_question_needs_none(
    tiny_service: Any,
) -> None:
    requests = (
        Request(name="open", method="GET", path="/ok", weight=20),
        Request(name="mine", method="GET", path="/status/401", headers={"Authorization": "wrong"}),
    )

    with pytest.raises(ConfigError, match=r"refuses mine \(status 401\): the token"):
        measure(
            LoadPlan(
                urls=(tiny_service.url,),
                mix=Mix(name="m", requests=requests),
                users=1,
                duration_s=1.0,
            )
        )


class Mortal(BaseHTTPRequestHandler):
    """Answers ten times, then its server is gone."""

    protocol_version = "HTTP/1.1"
    answers = itertools.count(1)

    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()
        if next(self.answers) == 10:
            # waits for the loop that this request came from, so not here
            threading.Thread(target=self.server.shutdown).start()
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass


def test_a_service_that_ends_meanwhile_was_not_measured() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mortal)

    def serve() -> None:
        with server:
            server.serve_forever(0.01)

    answering = threading.Thread(target=serve, daemon=True)
    answering.start()

    run = measure(
        LoadPlan(
            urls=(f"http://127.0.0.1:{server.server_port}",),
            mix=Mix(name="m", requests=(Request(name="ok", method="GET", path="/"),)),
            users=1,
            think_s=0.01,
            duration_s=300.0,
        ),
        until=lambda: not answering.is_alive(),
    )

    assert "the service was gone at the end" in "; ".join(test_of(run).invalid)


def test_ctrl_c_twice_keeps_what_was_measured(
    tiny_service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one comes while the first is being obeyed."""
    reports = Generator.reports

    def interrupted(self: Generator) -> Iterator[Any]:
        seconds = 0
        for report in reports(self):
            yield report
            # of those in which something was measured
            seconds += report is not None and bool(report.get("measured"))
            if seconds == 2:
                raise KeyboardInterrupt

    def impatient(_: Generator) -> Iterator[Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr(Generator, "reports", interrupted)
    monkeypatch.setattr(Generator, "stop", impatient)

    run = measure(
        LoadPlan(
            urls=(tiny_service.url,),
            mix=Mix(name="m", requests=(Request(name="ok", method="GET", path="/ok"),)),
            users=1,
            think_s=0.01,
            duration_s=300.0,
        )
    )

    assert test_of(run).interrupted
    assert "the run was cut short" in test_of(run).invalid[0]
    assert run.variants[0].requests > 0


LOCUSTFILE = """
from locust import HttpUser, constant, task

class Visitor(HttpUser):
    wait_time = constant(0.05)

    @task
    def look(self):
        self.client.get("/ok", name="a look")
        with self.client.get("/things", catch_response=True) as answer:
            answer.failure("not nice")
"""


def test_a_locust_file_is_taken_as_it_is(tiny_service: Any, tmp_path: Any) -> None:
    file = tmp_path / "users.py"
    file.write_text(LOCUSTFILE)
    plan = LoadPlan(urls=(tiny_service.url,), locustfile=str(file), users=2, duration_s=300.0)

    run = measure(plan, until=lambda: tiny_service.asked["/things"] > 3)

    found = by_name(run)
    assert found.keys() == {OVERALL, "GET a look", "GET /things"}
    assert found["GET /things"].http.errors_by_kind == {"not nice": found["GET /things"].requests}
    assert found["GET a look"].errors == 0


def test_a_locust_file_that_is_wrong_is_named(tiny_service: Any, tmp_path: Any) -> None:
    file = tmp_path / "users.py"
    file.write_text("import nothing_of_that_name")
    plan = LoadPlan(urls=(tiny_service.url,), locustfile=str(file), users=2, duration_s=1.0)

    with pytest.raises(ConfigError, match=r"users.py: No module named 'nothing_of_that_name'"):
        measure(plan)
