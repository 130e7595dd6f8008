"""The worker: what was queued is delivered, whatever is killed meanwhile."""

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import pytest
import redis
import typer
from typer.testing import CliRunner

from perfkit.cli import ErrorBoundary
from perfkit.commands.worker import worker as worker_command
from perfkit.processes.redis_server import RedisServer as Server
from perfkit.processes.redis_server import start
from perfkit.queue import worker as worker_module
from perfkit.queue.model import Item, Notification, Outcome, RequestLog
from perfkit.queue.notifier import QueuedNotifier
from perfkit.queue.sink import ReceivedMail, SinkServer
from perfkit.queue.streams import QueueName, QueueStatistics, dead_letters, retry_dead
from perfkit.queue.streams import connect as connect_to_queue
from perfkit.queue.worker import RetryPolicy, Worker

pytestmark = pytest.mark.processes

MAIL, LOG = QueueName.MAIL, QueueName.LOG

SOON = RetryPolicy(retries=3, first_s=0.2, longest_s=0.3)

TIMEOUT_S = 60.0
"""For what takes a second unless the machine is busy with other things."""


def notification(key: str) -> Notification:
    return Notification(
        kind="activity", recipient="a@b.c", subject="Hi", text="Hello", idempotency_key=key
    )


def request_log(request_id: str) -> RequestLog:
    return RequestLog(method="GET", path="/", status=200, duration_s=0.01, request_id=request_id)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = start(tmp_path, persistent=True)
    yield server
    start(tmp_path, persistent=True).stop()


@pytest.fixture
def client(server: Server) -> Iterator[redis.Redis]:
    with connect_to_queue(server.url) as client:
        yield client


def enqueue(url: str, items: Sequence[Item]) -> None:
    async def main() -> None:
        notifier = QueuedNotifier(url, time_limit_s=10)
        outcomes = await asyncio.gather(*(notifier.notify(item) for item in items))
        await notifier.close()
        assert set(outcomes) == {Outcome.QUEUED}

    asyncio.run(main())


def statistics(url: str) -> dict[QueueName, QueueStatistics]:
    async def main() -> Any:
        notifier = QueuedNotifier(url, time_limit_s=10)
        found = await notifier.statistics()
        await notifier.close()
        return found

    found: dict[QueueName, QueueStatistics] = asyncio.run(main())
    return found


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline_s, f"in vain: {what}"
        time.sleep(0.02)


@contextmanager
def working(url: str, sink: SinkServer, folder: Path, **options: Any) -> Iterator[None]:
    """Run a worker in a thread, and end it properly."""
    worker = Worker(url, sink.settings, folder, **{"threads": 4, "policy": SOON, **options})
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


WORKER = """
import signal, sys, threading
from pathlib import Path
from perfkit.queue.mail import SmtpSettings
from perfkit.queue.worker import RetryPolicy, Worker

redis_url, smtp_url, folder, threads, first_s = sys.argv[1:]
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
worker = Worker(
    redis_url,
    SmtpSettings.from_url(smtp_url),
    Path(folder),
    threads=int(threads),
    policy=RetryPolicy(first_s=float(first_s)),
)
worker.run(stop, started=lambda: print("started", flush=True))
"""


class Workers:
    """Worker processes, all of which are gone at the end."""

    def __init__(self, url: str, sink: SinkServer, folder: Path) -> None:
        self._arguments = [url, sink.settings.url, str(folder)]
        self._processes: list[subprocess.Popen[str]] = []

    def start(self, *, threads: int = 4, first_s: float = 2.0) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER, *self._arguments, str(threads), str(first_s)],
            stdout=subprocess.PIPE,
            text=True,
        )
        self._processes.append(process)
        return process

    def started(self, process: subprocess.Popen[str]) -> subprocess.Popen[str]:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        return process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def logged(folder: Path) -> Counter[str]:
    """Return how often each request is in the log file."""
    lines = (folder / "requests.jsonl").read_text().splitlines()
    return Counter(json.loads(line)["request_id"] for line in lines)


# ---- killing -----------------------------------------------------------------------------


def test_no_message_is_lost_when_workers_are_killed_again_and_again(
    server: Server, tmp_path: Path, accept_some: Callable[[int], Callable[[], None]]
) -> None:
    keys = {f"{i}" for i in range(240)}
    chance = random.Random(3)
    # otherwise there may be nothing left to lose when they die
    accept_all = accept_some(200)

    with (
        SinkServer(delay_s=0.1, keep=10_000) as sink,
        Workers(server.url, sink, tmp_path) as workers,
    ):
        running = [workers.start() for _ in range(2)]
        enqueue(server.url, [notification(key) for key in keys])
        for _ in range(5):
            victim = workers.started(running.pop(0))
            running.append(workers.start())
            # lines come at all times: written, held and waiting when the worker dies
            enqueue(server.url, [request_log(f"{chance.random()}") for _ in range(20)])
            time.sleep(chance.uniform(0.05, 0.4))
            victim.kill()
        received_before_the_end = len(sink.mails)
        accept_all()
        wait_until(
            lambda: {mail.idempotency_key for mail in sink.mails.copy()} >= keys,
            f"all {len(keys)} mails arrive",
        )
        wait_until(lambda: _left(server.url, LOG) == 0, "all lines are written")

    assert {mail.idempotency_key for mail in sink.mails} == keys
    assert received_before_the_end < len(keys)
    assert len(logged(tmp_path)) == 5 * 20


def _left(url: str, queue: QueueName) -> int:
    figures = statistics(url)[queue]
    return figures.waiting + figures.pending


SERVICE = """
import asyncio, sys
from perfkit.queue.model import Notification, RequestLog
from perfkit.queue.notifier import QueuedNotifier

async def requests(notifier, name):
    for i in range(1_000_000):
        key = f"{name}-{i}"
        outcome = await notifier.notify(
            Notification(kind="x", recipient="a@b.c", subject="", text="", idempotency_key=key),
            RequestLog(method="GET", path="/", status=200, duration_s=0, request_id=key),
        )
        if outcome == "queued":
            sys.stdout.write(key + "\\n")
            sys.stdout.flush()

async def main():
    notifier = QueuedNotifier(sys.argv[1])
    await asyncio.gather(*(requests(notifier, f"{sys.argv[2]}-{n}") for n in range(20)))

asyncio.run(main())
"""


def test_no_message_is_lost_when_the_service_is_killed_after_it_said_queued(
    server: Server, client: redis.Redis
) -> None:
    chance = random.Random(3)
    answered: set[str] = set()

    for life in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", SERVICE, server.url, f"{life}"],
            stdout=subprocess.PIPE,
            text=True,
        ) as service:
            assert service.stdout is not None
            answered |= {service.stdout.readline().strip() for _ in range(100)}
            time.sleep(chance.uniform(0.05, 0.3))
            service.kill()
            # the last line may have been cut
            answered |= {line.strip() for line in service.stdout if line.endswith("\n")}

    contents = {queue: _contents(client, queue) for queue in QueueName}
    mails = {content["idempotency_key"] for content in contents[MAIL]}
    lines = {line["request_id"] for line in contents[LOG]}
    assert len(answered) >= 3 * 100
    assert answered <= mails
    assert answered <= lines


def _contents(client: redis.Redis, queue: QueueName) -> list[Any]:
    kept: Any = client.xrange(f"perfkit:queue:{queue}")
    return [json.loads(fields[b"content"]) for _, fields in kept]


def test_a_worker_goes_on_by_itself_after_the_queues_server_was_killed(
    server: Server,
    client: redis.Redis,
    tmp_path: Path,
    accept_some: Callable[[int], Callable[[], None]],
) -> None:
    keys = {f"{i}" for i in range(150)}
    accept_all = accept_some(100)

    with (
        SinkServer(delay_s=0.1, keep=10_000) as sink,
        Workers(server.url, sink, tmp_path) as workers,
    ):
        workers.started(workers.start())
        enqueue(server.url, [notification(key) for key in keys])
        wait_until(lambda: sink.received >= 20, "some mails arrive")
        wait_until(lambda: _is_written(client), "the server has written its log")
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        time.sleep(0.5)
        received_before = sink.received
        start(tmp_path, persistent=True)
        accept_all()
        wait_until(
            lambda: {mail.idempotency_key for mail in sink.mails.copy()} >= keys,
            f"all {len(keys)} mails arrive",
        )
        wait_until(lambda: _left(server.url, MAIL) == 0, "nothing is held for ever")

    assert received_before < len(keys)


def _is_written(client: redis.Redis) -> bool:
    state: Any = client.info("persistence")
    return state["aof_enabled"] == 1 and not (
        state["aof_buffer_length"] or state["aof_rewrite_in_progress"]
    )


def test_a_worker_that_is_asked_to_end_finishes_what_it_has_and_leaves_the_rest(
    server: Server, tmp_path: Path
) -> None:
    keys = {f"{i}" for i in range(40)}

    with (
        SinkServer(delay_s=0.3, keep=10_000) as sink,
        Workers(server.url, sink, tmp_path) as workers,
    ):
        process = workers.started(workers.start(threads=2, first_s=3600))
        enqueue(server.url, [notification(key) for key in keys])
        wait_until(lambda: sink.received >= 2, "some mails arrive")
        process.terminate()
        assert process.wait(TIMEOUT_S) == 0

        figures = statistics(server.url)[MAIL]
        assert figures.pending == 0
        assert figures.waiting + sink.received == len(keys)
        assert figures.delivered == sink.received
        assert len({mail.idempotency_key for mail in sink.mails}) == sink.received


# ---- failing -----------------------------------------------------------------------------


def test_a_mail_that_fails_is_tried_again_until_it_arrives(server: Server, tmp_path: Path) -> None:
    attempts: Counter[str] = Counter()

    def refuse_twice(mail: ReceivedMail) -> str | None:
        attempts[mail.idempotency_key] += 1
        return "451 come back later" if attempts[mail.idempotency_key] <= 2 else None

    with (
        SinkServer(delay_s=0, on_mail=refuse_twice) as sink,
        working(server.url, sink, tmp_path),
    ):
        enqueue(server.url, [notification("a"), notification("b")])
        wait_until(lambda: sink.received == 2, "both mails arrive")

    figures = statistics(server.url)[MAIL]
    assert attempts == {"a": 3, "b": 3}
    assert (figures.delivered, figures.retried, figures.died) == (2, 4, 0)
    assert (figures.waiting, figures.pending, figures.dead) == (0, 0, 0)


def test_a_mail_that_fails_too_often_is_kept_with_the_reason(
    server: Server, client: redis.Redis, tmp_path: Path
) -> None:
    with (
        SinkServer(delay_s=0, on_mail=lambda _: "451 come back later") as sink,
        working(server.url, sink, tmp_path),
    ):
        enqueue(server.url, [notification("a")])
        wait_until(lambda: statistics(server.url)[MAIL].dead, "the mail is given up")

    (letter,) = dead_letters(client)
    assert (letter.queue, letter.attempts, letter.reason) == (
        MAIL,
        1 + SOON.retries,
        "451 come back later",
    )
    assert letter.content["idempotency_key"] == "a"
    figures = statistics(server.url)[MAIL]
    assert (figures.retried, figures.died, figures.pending) == (SOON.retries, 1, 0)


def test_a_mail_that_is_refused_for_good_is_not_tried_again(
    server: Server, client: redis.Redis, tmp_path: Path
) -> None:
    with (
        SinkServer(delay_s=0, on_mail=lambda _: "552 too big") as sink,
        working(server.url, sink, tmp_path),
    ):
        enqueue(server.url, [notification("a")])
        wait_until(lambda: statistics(server.url)[MAIL].dead, "the mail is given up")

    (letter,) = dead_letters(client)
    assert (letter.attempts, letter.reason) == (1, "552 too big")
    assert statistics(server.url)[MAIL].retried == 0


def test_dead_letters_get_another_chance(
    server: Server, client: redis.Redis, tmp_path: Path
) -> None:
    with (
        SinkServer(delay_s=0, on_mail=lambda _: "552 no") as sink,
        working(server.url, sink, tmp_path),
    ):
        enqueue(server.url, [notification(key) for key in "abc"])
        wait_until(lambda: statistics(server.url)[MAIL].dead == 3, "the mails are given up")

    assert retry_dead(client) == 3
    assert (list(dead_letters(client)), retry_dead(client)) == ([], 0)
    with SinkServer(delay_s=0) as sink, working(server.url, sink, tmp_path):
        wait_until(lambda: sink.received == 3, "the mails arrive")

    assert {mail.idempotency_key for mail in sink.mails} == set("abc")
    assert _contents(client, MAIL) == []


def test_pauses_grow_up_to_the_longest() -> None:
    policy = RetryPolicy(first_s=15, longest_s=600)

    assert [policy.pause_s(attempts) for attempts in (1, 2, 3, 6, 7, 30)] == [
        15,
        30,
        60,
        480,
        600,
        600,
    ]


def test_what_waits_for_its_retry_is_tried_by_the_next_worker(
    server: Server, tmp_path: Path
) -> None:
    answers: list[str | None] = ["451 later"]
    policy = RetryPolicy(retries=3, first_s=1.0, longest_s=2)

    with SinkServer(delay_s=0, on_mail=lambda _: answers[0]) as sink:
        with working(server.url, sink, tmp_path, policy=policy):
            enqueue(server.url, [notification("a")])
            wait_until(lambda: statistics(server.url)[MAIL].retried, "the mail waits")
        answers[0] = None
        with working(server.url, sink, tmp_path, policy=policy):
            wait_until(lambda: sink.received == 1, "the mail arrives")


def test_a_mail_that_takes_longer_than_a_pause_is_sent_once(server: Server, tmp_path: Path) -> None:
    """It is in hand, not abandoned: other workers leave it alone."""
    with (
        SinkServer(delay_s=6.0) as sink,
        # longer than this process stands still on a busy machine
        working(server.url, sink, tmp_path, policy=RetryPolicy(first_s=4.5)),
        working(server.url, sink, tmp_path, policy=RetryPolicy(first_s=4.5)),
    ):
        enqueue(server.url, [notification("a")])
        wait_until(lambda: sink.received, "the mail arrives")
        wait_until(lambda: _left(server.url, MAIL) == 0, "it is acknowledged")

    assert sink.received == 1


def test_a_mail_that_waits_long_does_not_hold_up_those_behind_it(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker looks at so many pending ones at a time, and the next time at others."""
    monkeypatch.setattr(worker_module, "_LOOKS", 2)
    refused: Counter[str] = Counter()

    def refuse(mail: ReceivedMail) -> str | None:
        refused[mail.idempotency_key] += 1
        waits = mail.idempotency_key != "last" or refused["last"] == 1
        return "451 later" if waits else None

    policy = RetryPolicy(retries=30, first_s=0.2, longest_s=0.2)
    with (
        SinkServer(delay_s=0, on_mail=refuse) as sink,
        working(server.url, sink, tmp_path, policy=policy),
    ):
        enqueue(server.url, [notification(f"{i}") for i in range(6)])
        enqueue(server.url, [notification("last")])
        wait_until(lambda: sink.received == 1, "the last one arrives")


def test_lines_that_cannot_be_written_are_written_later(server: Server, tmp_path: Path) -> None:
    (tmp_path / "requests.jsonl").mkdir()

    with SinkServer(delay_s=0) as sink, working(server.url, sink, tmp_path):
        enqueue(server.url, [request_log("a")])
        wait_until(lambda: statistics(server.url)[LOG].retried, "the line waits for its retry")
        (tmp_path / "requests.jsonl").rmdir()
        wait_until((tmp_path / "requests.jsonl").exists, "the file is there")
        wait_until(lambda: logged(tmp_path), "the line is written")

    assert logged(tmp_path) == {"a": 1}


# ---- what others left behind -------------------------------------------------------------


class Deafener:
    """Stands before a server and once keeps back an answer with a message in it, and hangs up."""

    def __init__(self, path: Path, server: Path) -> None:
        self.url = f"unix://{path}"
        self.kept_back = threading.Event()
        self._server = server
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._server))
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=self._pass, args=(source, target), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with source, contextlib.suppress(OSError):
            while said := source.recv(65536):
                if b"idempotency_key" in said and not self.kept_back.is_set():
                    self.kept_back.set()
                    break
                target.sendall(said)
            for end in (source, target):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listening.close()


def test_what_was_in_an_answer_nobody_heard_is_delivered(server: Server, tmp_path: Path) -> None:
    enqueue(server.url, [notification("a")])
    deafener = Deafener(tmp_path / "deafener", Path(server.url.removeprefix("unix://")))

    with SinkServer(delay_s=0) as sink, working(deafener.url, sink, tmp_path):
        wait_until(lambda: sink.received, "the mail arrives")
    deafener.close()

    assert deafener.kept_back.is_set()
    assert sink.received == 1


def test_what_is_no_message_does_not_stop_the_others(
    server: Server, client: redis.Redis, tmp_path: Path
) -> None:
    client.xadd("perfkit:queue:mail", {"content": b"\xff"})
    client.xadd("perfkit:queue:mail", {"content": json.dumps({"no": "notification"})})
    client.xadd("perfkit:queue:mail", {"other": "field"})
    client.xadd("perfkit:queue:log", {"content": b"{"})

    with SinkServer(delay_s=0) as sink, working(server.url, sink, tmp_path):
        enqueue(server.url, [notification(f"{i}") for i in range(20)])
        enqueue(server.url, [request_log("a")])
        wait_until(lambda: sink.received == 20, "the mails arrive")
        wait_until(lambda: statistics(server.url)[MAIL].dead == 3, "the others are given up")
        wait_until(lambda: _left(server.url, LOG) == 0, "the lines are dealt with")

    assert {letter.reason.partition(":")[0] for letter in dead_letters(client)} == {
        "no notification",
        "no log line",
    }
    assert logged(tmp_path) == {"a": 1}


# ---- the command -------------------------------------------------------------------------

app = typer.Typer(cls=ErrorBoundary)
app.command()(worker_command)
app.command("other")(lambda: None)


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["worker", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_without_a_server_there_is_one_line_that_says_so(tmp_path: Path) -> None:
    code, out, err = run("--redis-url", f"unix://{tmp_path}/nobody")

    assert (code, out) == (3, "")
    assert err.startswith(f"Error: no Redis server answers at {tmp_path}/nobody: ")
    assert err.count("\n") == 1


NO_SERVER = (
    "Error: no queue server is running in .perfkit; start the service with perfkit serve or "
    "perfkit up, or name a server with --redis-url\n"
)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(
            [],
            (
                3,
                "",
                NO_SERVER,
            ),
            id="no server in the folder",
        ),
        pytest.param(
            ["--json"],
            (2, "", "Error: --json is for --dead-letters\n"),
            id="json of nothing",
        ),
        pytest.param(
            ["--dead-letters", "--retry-dead"],
            (
                2,
                "",
                "Error: --dead-letters lists them, --retry-dead puts them back: choose one\n",
            ),
            id="two things at a time",
        ),
        pytest.param(
            ["--redis-url", "unix:///x", "--smtp-port", "25"],
            (2, "", "Error: port 25 of which mail server? Name it with --smtp-host\n"),
            id="a port of no server",
        ),
    ],
)
def test_a_wrong_call_is_refused_in_one_line(
    arguments: list[str], expected: tuple[int, str, str]
) -> None:
    assert run(*arguments) == expected


def test_a_wrong_url_is_refused_without_its_password() -> None:
    code, _, err = run("--redis-url", "http://user:secret@example.com")

    assert code == 2
    assert "is no Redis URL" in err
    assert "secret" not in err


def test_the_dead_are_listed_and_put_back(server: Server, tmp_path: Path) -> None:
    with (
        SinkServer(delay_s=0, on_mail=lambda _: "552 too big") as sink,
        working(server.url, sink, tmp_path),
    ):
        enqueue(server.url, [notification("a")])
        wait_until(lambda: statistics(server.url)[MAIL].dead, "the mail is given up")

    code, out, err = run("--redis-url", server.url, "--dead-letters")
    assert (code, err) == (0, "1 dead letters.\n")
    assert out.endswith("after 1 attempts: 552 too big\n")
    code, out, _ = run("--redis-url", server.url, "--dead-letters", "--json")
    (letter,) = json.loads(out)["dead_letters"]
    assert (letter["queue"], letter["reason"], letter["content"]["recipient"]) == (
        "mail",
        "552 too big",
        "a@b.c",
    )
    assert run("--redis-url", server.url, "--retry-dead") == (
        0,
        "1 dead letters put back into the queue.\n",
        "",
    )
    assert statistics(server.url)[MAIL].waiting == 1


COMMAND = "import typer; from perfkit.commands.worker import worker; typer.run(worker)"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_delivers_to_the_local_sink_until_it_is_interrupted(
    number: signal.Signals, server: Server, tmp_path: Path
) -> None:
    with (
        SinkServer(delay_s=0) as sink,
        ExitStack() as stack,
    ):
        sink.announce(tmp_path / ".perfkit")
        process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-c", COMMAND, "--redis-url", server.url],
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        assert process.stdout is not None
        first_line = process.stdout.readline()
        enqueue(server.url, [notification("a"), request_log("b")])
        wait_until(lambda: sink.received == 1, "the mail arrives")
        wait_until((tmp_path / ".perfkit" / "requests.jsonl").exists, "the line is written")
        process.send_signal(number)
        rest = process.stdout.read()

    assert first_line.startswith("Worker: queue /")
    assert first_line.endswith(", mail to the local sink, 32 at a time; Ctrl-C ends it\n")
    assert (rest, process.returncode) == ("Worker ended.\n", 0)
