"""
A process that makes requests, `python -m perfkit.load.generator`: Locust with our own clock.

Its parent holds the other end of a socket, tells it over that what to do, and gets a report each
second; when the parent is gone, it ends. One process alone does everything (`local`); of several,
one leads (`master`) and the others make the requests (`worker`), also on other machines, as
Locust has it: Locust starts the users and carries the messages.
"""

# Locust replaces what waits in the standard library, and must come before anything that uses it
import locust  # isort: skip

import argparse
import base64
import json
import logging
import os
import socket
import sys
import time
from array import array
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import gevent
from gevent.event import Event
from gevent.lock import Semaphore
from gevent.timeout import Timeout
from locust import FastHttpUser, constant, runners, task
from locust.env import Environment
from locust.exception import StopUser
from locust.stats import stats_history

from perfkit.load.answers import Answer, AnswerCounts, kind_of_error
from perfkit.load.plan import LoadPlan, Request
from perfkit.load.schedule import Schedule
from perfkit.load.templates import Drawn, RequestSource
from perfkit.processes.http import status_of

__all__ = ["main"]

_LAG_S = 0.02
"""How often the process looks whether it is late."""

_LATE_S = 0.01
"""A request that waited longer for a user than this has met users who ran out."""

_PLACES_S = 0.2
_POLL_S = 0.5
_HEALTH_S = 5.0
"""An instance whose health check takes longer fails it, as AWS's load balancers have it by default."""

_REPORT_S = 1.0
_HEADROOM_S = 1.0

_HELLO, _PLAN, _READY, _GO, _STOP, _REPORT = (
    f"perfkit-{each}" for each in ("hello", "plan", "ready", "go", "stop", "report")
)


class Work:
    """
    What this process does, and what it counts meanwhile.

    Args:
        plan: What to do.
        index: Which of the processes that make requests this is, from 0.
        of: How many there are.
    """

    def __init__(self, plan: LoadPlan, index: int, of: int) -> None:
        self.plan = plan
        self.go = Event()
        self.ended = False
        self.start_s = 0.0
        self.waiting = 0
        """Users who wait for the time of their request."""
        self.end_s = plan.ramp_s + plan.duration_s
        self.source = None if plan.mix is None else RequestSource(plan.mix)
        self.schedule = (
            None
            if plan.rate_hz is None
            else Schedule(plan.rate_hz, plan.ramp_s, plan.duration_s, index=index, of=of)
        )
        self.urls = _Urls(plan.urls)
        self._begin()

    def _begin(self) -> None:
        """Count from nothing; what was counted has been handed on."""
        self.ramp: dict[str, AnswerCounts] = {}
        self.measured: dict[str, AnswerCounts] = {}
        self.lags_s: array[float] = array("d")
        self.without_user = 0
        self.sent_late = 0

    def begin(self) -> None:
        """From now on users make requests."""
        now_s = time.perf_counter()
        self._wall_s = time.time() - now_s
        self._cpu_s, self._reported_s = time.process_time(), now_s
        # a moment for users to take their places, before the first request is due
        self.start_s = now_s if self.schedule is None else now_s + _PLACES_S
        self.go.set()

    def now(self) -> float:
        """Return the seconds since the start."""
        return time.perf_counter() - self.start_s

    def count(self, name: str, due_s: float, answer: Answer) -> None:
        """Count a request that was due at a time since the start."""
        by_name = self.ramp if due_s < self.plan.ramp_s else self.measured
        counts = by_name.get(name)
        if counts is None:
            counts = by_name[name] = AnswerCounts()
        counts.add(answer)

    def report(self, number: int, users: int) -> dict[str, Any]:
        """Return what happened since the last report."""
        now_s, cpu_s = time.perf_counter(), time.process_time()
        wall_s = time.time() - now_s
        report = {
            "type": "second",
            "number": number,
            "at_s": now_s - self.start_s,
            "users": users,
            "cpu_share": (cpu_s - self._cpu_s) / max(now_s - self._reported_s, 1e-9),
            "jump_s": wall_s - self._wall_s,
            "lags": base64.b64encode(self.lags_s.tobytes()).decode(),
            "without_user": self.without_user,
            "sent_late": self.sent_late,
            "ramp": {name: counts.to_json() for name, counts in self.ramp.items()},
            "measured": {name: counts.to_json() for name, counts in self.measured.items()},
        }
        self._cpu_s, self._reported_s, self._wall_s = cpu_s, now_s, wall_s
        self._begin()
        return report

    def watch_lag(self) -> None:
        """Note how late this process is, until it ends."""
        while True:
            due_s = time.perf_counter() + _LAG_S
            gevent.sleep(_LAG_S)
            self.lags_s.append(max(time.perf_counter() - due_s, 0.0))


class _Urls:
    """
    The instances, each in its turn, without those that do not work.

    One is left out once a request gets no answer from it or its `/healthz` fails, and comes back
    once that works. Where all are out all are asked, as by the load balancers of AWS.
    """

    def __init__(self, urls: tuple[str, ...]) -> None:
        self._urls = urls
        self._out: set[str] = set()
        self._turn = 0

    def next(self) -> str:
        """Return the instance to ask."""
        for _ in self._urls:
            self._turn += 1
            url = self._urls[self._turn % len(self._urls)]
            if url not in self._out:
                return url
        # the next turn begins with another one
        self._turn += 1
        return url

    def fail(self, url: str) -> None:
        """Leave out an instance that did not answer; the only one is never left out."""
        if len(self._urls) > 1:
            self._out.add(url)

    def watch(self) -> None:
        """Look after the health of several instances from now on; return after the first look."""
        if len(self._urls) < 2:
            return
        gevent.joinall([gevent.spawn(self._look, url) for url in self._urls])
        for url in self._urls:
            gevent.spawn(self._keep_looking, url)

    def _keep_looking(self, url: str) -> None:
        while True:
            gevent.sleep(_POLL_S)
            self._look(url)

    def _look(self, url: str) -> None:
        if _works(url):
            self._out.discard(url)
        else:
            self._out.add(url)


def _works(url: str) -> bool:
    """
    Return whether an instance answers its health check, and not that it fails.

    A service that has none answers 404, or what it likes below 500, and works.
    """
    # as Locust does, whoever signed its certificate
    status = status_of(f"{url}/healthz", timeout_s=_HEALTH_S, verify=False)
    return status is not None and status < 500


class Visitor(FastHttpUser):
    """Makes the requests of a mix, one after the other."""

    work: Work
    wait_time = constant(0)
    # a connection of its own, as a person's browser
    concurrency = 1
    max_redirects = 0
    max_retries = 0
    # each instance is named in the request
    host = "http://none.invalid"

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        agent = self.client.client
        # a redirect is not one of them: nobody asked for another address
        agent.valid_response_codes = frozenset(range(200, 300))  # type: ignore[misc]
        # cookies cost a third of what a request takes; who needs them writes a Locust file
        agent.cookiejar = None

    @task
    def visit(self) -> None:
        """Make requests until there is nothing more to do."""
        work = self.work
        work.go.wait()
        if work.schedule is None:
            self._ask_and_think()
        else:
            self._ask_when_due(work.schedule)
        raise StopUser

    def _ask_and_think(self) -> None:
        work = self.work
        source, think_s = _needed(work.source), work.plan.think_s
        # the first one after a pause, too, so that they do not all come at once
        while not work.ended:
            pause_s = min(source.pause(think_s), work.end_s - work.now())
            if pause_s > 0:
                gevent.sleep(pause_s)
            now_s = work.now()
            if now_s >= work.end_s:
                break
            self._ask(source.draw(), now_s, now_s)

    def _ask_when_due(self, schedule: Schedule) -> None:
        work, source = self.work, _needed(self.work.source)
        while not work.ended:
            due_s = schedule.take()
            if due_s is None:
                break
            wait_s = due_s - work.now()
            if wait_s > 0:
                work.waiting += 1
                gevent.sleep(wait_s)
                work.waiting -= 1
                sent_s = work.now()
                work.lags_s.append(sent_s - due_s)
            else:
                sent_s = work.now()
                if work.waiting:
                    # users are free, whose requests were due before: this process is late
                    work.lags_s.append(-wait_s)
                else:
                    work.without_user += wait_s < -_LATE_S
            work.sent_late += sent_s > work.end_s
            self._ask(source.draw(), due_s, sent_s)

    def _ask(self, drawn: Drawn, due_s: float, sent_s: float) -> None:
        work, request = self.work, drawn.request
        url = work.urls.next()
        context = {
            "perfkit": (request.name, due_s, sent_s - due_s, request.expect),
        }
        asked: dict[str, Any] = {
            "name": request.name,
            "headers": drawn.headers,
            "data": drawn.body or None,
            "context": context,
        }
        timer = Timeout.start_new(work.plan.timeout_s)
        try:
            if request.expect:
                status = self._ask_expecting(request, url + drawn.path, asked)
            else:
                status = self.client.request(request.method, url + drawn.path, **asked).status_code
            failed = status == 0
        except Timeout:
            # it rang when the answer was there already
            failed = True
        finally:
            timer.close()
        if failed:
            # what still comes on this connection is no answer to the next request
            self.client.client.clientpool.close()
            work.urls.fail(url)

    def _ask_expecting(self, request: Request, url: str, asked: dict[str, Any]) -> int:
        """Ask, and tell Locust's own page too which statuses are no error."""
        with self.client.request(request.method, url, catch_response=True, **asked) as answer:
            status: int = answer.status_code
            if status in request.expect:
                answer.success()
            elif status:
                answer.failure(f"status {status}")
        return status


def _needed(source: RequestSource | None) -> RequestSource:
    assert source is not None  # noqa: S101 - only a mix has visitors
    return source


def _listen(environment: Environment, work: Work) -> None:
    """Count every request that Locust reports."""

    def on_request(
        request_type: str,
        name: str,
        response_time: float,
        response_length: int,
        exception: BaseException | None,
        context: Mapping[str, Any],
        response: Any = None,
        **_: Any,
    ) -> None:
        service_s = response_time / 1e3
        label, due_s, late_s, expect = context.get("perfkit") or (
            f"{request_type} {name}",
            work.now() - service_s,
            0.0,
            (),
        )
        headers = getattr(response, "headers", None)
        status = getattr(response, "status_code", 0) or 0
        answer = Answer(
            response_s=late_s + service_s,
            service_s=service_s,
            status=status,
            error=kind_of_error(exception, status, expect, service_s, work.plan.timeout_s),
            headers={} if headers is None else headers,
            body_bytes=response_length or 0,
        )
        work.count(label, due_s, answer)

    environment.events.request.add_listener(on_request)  # type: ignore[no-untyped-call]


# ---- the parent --------------------------------------------------------------------------


class _Parent:
    """The other end of the socket."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._file = self._socket.makefile("rb")
        self._sending = Semaphore()

    def hear(self) -> dict[str, Any] | None:
        """Return what the parent says next; None if it is gone."""
        line = self._file.readline()
        return json.loads(line) if line else None

    def say(self, message: Mapping[str, Any]) -> None:
        """Tell it something."""
        with self._sending:
            self._socket.sendall(json.dumps(message).encode() + b"\n")


# ---- roles -------------------------------------------------------------------------------


def _environment(plan: LoadPlan) -> Environment:
    """Return Locust's environment with the users of a plan."""
    if plan.locustfile is None:
        environment = Environment(user_classes=[Visitor], events=locust.events, host=plan.urls[0])
    else:
        from locust.util.load_locustfile import load_locustfile

        # older versions return the file's docstring before them
        *_, users, shapes = load_locustfile(plan.locustfile)
        if not users:
            msg = f"{plan.locustfile} has no user class that Locust could run"
            raise ValueError(msg)
        environment = Environment(
            user_classes=list(users.values()),
            shape_class=shapes[0] if shapes else None,
            events=locust.events,
            host=plan.urls[0] if plan.urls else None,
        )
    environment.stop_timeout = plan.timeout_s + _HEADROOM_S
    return environment


def _work_to_the_end(work: Work, runner: Any, say: Any) -> None:
    """Report each second; end with what was still under way when time was up."""
    number = 0
    while not work.ended and work.now() < work.end_s:
        number += 1
        gevent.sleep(max(min(number * _REPORT_S, work.end_s) - work.now(), 0.0))
        say(work.report(number, runner.user_count))
    stopping = gevent.spawn(runner.stop)
    while not work.ended and not stopping.ready():
        number += 1
        stopping.join(_REPORT_S)
        say(work.report(number, runner.user_count))
    if work.ended:
        say(work.report(number + 1, runner.user_count))
    say({"type": "done"})


def _run_alone(order: Mapping[str, Any], parent: _Parent) -> None:
    plan = LoadPlan.from_json(order["plan"])
    environment = _environment(plan)
    work = Visitor.work = Work(plan, 0, 1)
    _listen(environment, work)
    runner = environment.create_local_runner()
    _serve_page(environment, order)
    gevent.spawn(work.watch_lag)

    def obey() -> None:
        while (message := parent.hear()) is not None:
            if message["type"] == "stop":
                work.ended = True
            elif message["type"] == "finish":
                work.end_s = min(work.end_s, work.now())
        os._exit(1)

    gevent.spawn(obey)
    work.urls.watch()
    _start_users(plan, runner, environment, work.begin)
    parent.say({"type": "started"})
    _work_to_the_end(work, runner, parent.say)


def _start_users(plan: LoadPlan, runner: Any, environment: Environment, begin: Any) -> None:
    """Start the users; those of a schedule wait for their time, the others come one by one."""
    if environment.shape_class is not None:
        begin()
        runner.start_shape()
        return
    at_once = plan.rate_hz is not None or plan.ramp_s == 0
    spawn_rate = plan.users if at_once else plan.users / plan.ramp_s
    if plan.rate_hz is None:
        begin()
        gevent.spawn(runner.start, plan.users, spawn_rate)
        return
    runner.start(plan.users, spawn_rate)
    with Timeout(30, exception=False):
        while runner.user_count < plan.users:
            gevent.sleep(0.01)
    begin()


def _serve_page(environment: Environment, order: Mapping[str, Any]) -> None:
    """Show Locust's own page, to look at: what is asked and for how long is the plan's."""
    if not order.get("web"):
        return
    # it comes with Locust
    from flask import request

    host, port = order["web"]
    page = environment.create_web_ui(host, port, delayed_start=True)

    def look_only() -> tuple[str, int] | None:
        # older versions of Locust have these two as a GET
        if request.method in {"GET", "HEAD"} and request.path not in {"/stop", "/stats/reset"}:
            return None
        return "perfkit load runs this test; Ctrl-C in its terminal ends it early.\n", 403

    assert page.app is not None  # noqa: S101 - made with the page
    page.app.before_request(look_only)
    page.start()  # type: ignore[no-untyped-call]
    # its charts show what was before it was opened, too
    gevent.spawn(stats_history, environment.runner)


def _lead(order: Mapping[str, Any], parent: _Parent) -> None:
    """Let workers make the requests."""
    plan = LoadPlan.from_json(order["plan"])
    environment = _environment(plan)
    wanted, ready, done = order["workers"], Event(), Event()
    prepared: set[str] = set()
    finished: set[str] = set()
    joined: list[str] = []
    runner = environment.create_master_runner(order["host"], order["port"])
    runner.register_message(_HELLO, lambda msg, **_: hear_hello(msg.node_id))
    runner.register_message(_READY, lambda msg, **_: hear_ready(msg))
    runner.register_message(_REPORT, lambda msg, **_: hear_report(msg))

    def hear_hello(client_id: str) -> None:
        if client_id in joined or len(joined) >= wanted:
            return
        joined.append(client_id)
        runner.send_message(
            _PLAN,
            {"plan": order["plan"], "index": joined.index(client_id), "of": wanted},
            client_id,
        )
        parent.say({"type": "worker", "count": len(joined)})

    def hear_ready(msg: Any) -> None:
        prepared.add(msg.node_id)
        if len(prepared) == wanted:
            ready.set()

    def hear_report(msg: Any) -> None:
        if msg.data["type"] == "done":
            finish(msg.node_id)
        else:
            parent.say({**msg.data, "worker": joined.index(msg.node_id)})

    def finish(client_id: str) -> None:
        finished.add(client_id)
        if len(finished) == wanted:
            done.set()

    def watch_workers() -> None:
        while True:
            gevent.sleep(0.5)
            here = {each.id for each in runner.clients.all if each.state != runners.STATE_MISSING}
            for client_id in set(joined) - here - finished:
                parent.say({"type": "lost", "worker": joined.index(client_id)})
                finish(client_id)

    def obey() -> None:
        while (message := parent.hear()) is not None:
            if message["type"] == "stop":
                runner.send_message(_STOP)
        os._exit(1)

    gevent.spawn(obey)
    _serve_page(environment, order)
    parent.say({"type": "listening"})
    ready.wait()
    gevent.spawn(watch_workers)
    _start_users(plan, runner, environment, lambda: runner.send_message(_GO))
    parent.say({"type": "started"})
    done.wait()
    runner.quit()
    parent.say({"type": "done"})


def _follow(order: Mapping[str, Any], parent: _Parent) -> None:
    """Make the requests that a master has planned."""
    begun = Event()
    state: dict[str, Any] = {}
    environment = Environment(user_classes=[Visitor], events=locust.events)
    # the plan comes over the line of Locust, so the runner is there before the users are
    runner = environment.create_worker_runner(order["host"], order["port"])

    def on_plan(environment: Environment, msg: Any, **_: Any) -> None:
        plan = LoadPlan.from_json(msg.data["plan"])
        if plan.locustfile is not None:
            plan = replace(plan, locustfile=order.get("locustfile") or plan.locustfile)
            loaded = _environment(plan)
            environment.user_classes = loaded.user_classes
        work = Visitor.work = state["work"] = Work(plan, msg.data["index"], msg.data["of"])
        _listen(environment, work)
        gevent.spawn(work.watch_lag)
        environment.stop_timeout = plan.timeout_s + _HEADROOM_S
        work.urls.watch()
        parent.say({"type": "planned"})
        runner.send_message(_READY)

    def on_go(**_: Any) -> None:
        state["work"].begin()
        begun.set()

    def on_stop(**_: Any) -> None:
        if "work" in state:
            state["work"].ended = True

    runner.register_message(_PLAN, on_plan)
    runner.register_message(_GO, on_go)
    runner.register_message(_STOP, on_stop)

    def obey() -> None:
        while (message := parent.hear()) is not None:
            if message["type"] == "stop":
                on_stop()
        os._exit(1)

    gevent.spawn(obey)
    # only now: what a runner does not know yet, it drops
    runner.send_message(_HELLO)
    parent.say({"type": "connected"})
    begun.wait()
    parent.say({"type": "started"})
    _work_to_the_end(
        state["work"], runner, lambda report: runner.send_message(_REPORT, dict(report))
    )
    runner.greenlet.join(timeout=10)
    parent.say({"type": "done"})


_ROLES = {"local": _run_alone, "master": _lead, "worker": _follow}


def main() -> None:
    """Work until everything is done."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lifeline", type=int, required=True, help="A socket to the parent.")
    parent = _Parent(parser.parse_args().lifeline)
    # Locust's page reads the command line as Locust's own
    del sys.argv[1:]
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(message)s")
    # it complains of users that ended by themselves, as ours do
    logging.getLogger("locust.runners").setLevel(logging.CRITICAL)
    order = parent.hear()
    if order is None:
        return
    try:
        _ROLES[order["role"]](order, parent)
    except (Exception, SystemExit) as error:  # noqa: BLE001
        # what a Locust file raises is its own, and of any kind
        with suppress(OSError):
            parent.say({"type": "failed", "error": str(error) or type(error).__name__})
        os._exit(1)
    sys.stdout.flush()
    # Locust leaves greenlets behind that would keep the process
    os._exit(0)


if __name__ == "__main__":
    main()
