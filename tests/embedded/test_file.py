"""The data file under the engine: removed, forked, interrupted, shared by threads."""

import fcntl
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

from perfkit.embedded import DynamoDBError, Engine, storage

pytestmark = pytest.mark.processes

TABLE: dict[str, Any] = {
    "TableName": "things",
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
}


def open_files() -> int:
    """Return how many files this process has open."""
    return psutil.Process().num_fds()


def put(engine: Engine, key: str) -> None:
    engine.execute("PutItem", {"TableName": "things", "Item": {"pk": {"S": key}}})


def count(engine: Engine) -> int:
    answer = orjson.loads(engine.execute("Scan", {"TableName": "things", "Select": "COUNT"}))
    return int(answer["Count"])


def test_a_removed_file_is_noticed(tmp_path: Path) -> None:
    """Writes to a file that is gone would be acknowledged and never seen by anybody."""
    path = tmp_path / "data.sqlite3"
    engine = Engine(path)
    engine.execute("CreateTable", TABLE)
    put(engine, "before")

    for file in tmp_path.iterdir():
        file.unlink()

    with pytest.raises(DynamoDBError, match="Requested resource not found"):
        put(engine, "after")
    engine.execute("CreateTable", TABLE)
    put(engine, "after")
    assert count(Engine(path)) == 1


@contextmanager
def another_writer(path: Path) -> Iterator[None]:
    """Hold the lock for which writers queue, as a process does that writes for long."""
    with Path(f"{path}-lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Waiting:
    """Notes which threads wait for a lock, and fails those that must not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.writers = threading.Semaphore(0)
        self._reader = threading.get_ident()
        self._flock = fcntl.flock
        monkeypatch.setattr(fcntl, "flock", self)

    def __call__(self, file: int, operation: int) -> None:
        try:
            self._flock(file, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            if operation & fcntl.LOCK_NB:
                raise
            if threading.get_ident() == self._reader:
                pytest.fail("a read waits for a writer")
            self.writers.release()
            self._flock(file, operation)


def test_reads_do_not_wait_behind_a_waiting_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data.sqlite3"
    engine = Engine(path)
    engine.execute("CreateTable", TABLE)
    put(engine, "before")
    waiting = Waiting(monkeypatch)

    with ThreadPoolExecutor(2) as pool:
        with another_writer(path):
            # it takes the connection that is open, so the read needs one of its own
            written = pool.submit(put, engine, "after")
            waiting.writers.acquire()
            assert count(engine) == 1
        written.result()

    assert count(engine) == 2


def test_a_read_does_not_wait_to_remove_what_has_expired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data.sqlite3"
    engine = Engine(path)
    engine.execute("CreateTable", TABLE)
    item = {"pk": {"S": "old"}, "expires": {"N": str(int(time.time()) - 60)}}
    engine.execute("PutItem", {"TableName": "things", "Item": item})
    specification = {"Enabled": True, "AttributeName": "expires"}
    engine.execute(
        "UpdateTimeToLive", {"TableName": "things", "TimeToLiveSpecification": specification}
    )
    Waiting(monkeypatch)

    # a new engine looks at its first request
    with another_writer(path):
        assert count(Engine(path)) == 1
    assert count(Engine(path)) == 0


def test_closing_does_not_wait_for_a_waiting_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data.sqlite3"
    engine = Engine(path)
    engine.execute("CreateTable", TABLE)
    waiting = Waiting(monkeypatch)
    monkeypatch.setattr(storage, "_CLOSE_WITHIN_S", 0.01)

    with ThreadPoolExecutor(1) as pool:
        with another_writer(path):
            written = pool.submit(put, engine, "after")
            waiting.writers.acquire()
            engine.close()
            assert not written.done()
        # what was under way is kept
        written.result()

    assert count(Engine(path)) == 1


def test_an_older_file_is_changed_by_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data.sqlite3"
    Engine(path).execute("CreateTable", TABLE)
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT name FROM sqlite_schema WHERE name GLOB 't[0-9]*'")
        for (name,) in names.fetchall():
            connection.execute(f"ALTER TABLE {name} DROP COLUMN weight")
        connection.execute("PRAGMA user_version = 1")
    waiting = Waiting(monkeypatch)

    with ThreadPoolExecutor(2) as pool:
        with another_writer(path):
            opened = [pool.submit(Engine, path) for _ in range(2)]
            for _ in opened:
                waiting.writers.acquire()
        engines = [each.result() for each in opened]

    put(engines[0], "new")
    assert count(engines[1]) == 1


def test_many_make_a_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "data.sqlite3"
    script = (
        "import sys; from perfkit.embedded import Engine; sys.stdin.read(1); Engine(sys.argv[1])"
    )

    for number in range(3):
        command = [sys.executable, "-c", script, f"{path}{number}"]
        makers = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(4)]
        for maker in makers:
            assert maker.stdin is not None
            maker.stdin.close()
        assert [maker.wait() for maker in makers] == [0] * 4


def test_an_interrupt_leaves_no_transaction_open(tmp_path: Path) -> None:
    """The next request must work, and other processes must not wait for ever."""
    script = """
import signal, sys
from perfkit.embedded import Engine

engine = Engine(sys.argv[1])
class Stop(Exception): pass
def stop(*_): raise Stop
signal.signal(signal.SIGALRM, stop)
stopped = 0
for number in range(200):
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0001 + number * 0.00001)
        while True:
            engine.execute("PutItem", {"TableName": "things", "Item": {"pk": {"S": "x"}}})
            engine.execute("GetItem", {"TableName": "things", "Key": {"pk": {"S": "x"}}})
    except Stop:
        stopped += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    engine.execute("GetItem", {"TableName": "things", "Key": {"pk": {"S": "x"}}})
print(stopped)
"""
    path = tmp_path / "data.sqlite3"
    engine = Engine(path)
    engine.execute("CreateTable", TABLE)

    answer = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert answer.stderr == ""
    assert answer.stdout == "200\n"
    put(engine, "y")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_uses_a_connection_of_its_own(tmp_path: Path) -> None:
    script = """
import os, sys, warnings
warnings.simplefilter("error")
from perfkit.embedded import Engine

engine = Engine(sys.argv[1])
put = lambda key: engine.execute("PutItem", {"TableName": "things", "Item": {"pk": {"S": key}}})
put("parent")
child = os.fork()
if child == 0:
    for number in range(50):
        put(f"child{number}")
    os._exit(0)
for number in range(50):
    put(f"parent{number}")
_, status = os.waitpid(child, 0)
print(status)
"""
    path = tmp_path / "data.sqlite3"
    engine = Engine(path)
    engine.execute("CreateTable", TABLE)

    answer = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script, str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (answer.stdout, answer.stderr) == ("0\n", "")
    assert count(engine) == 101


@pytest.mark.parametrize("where", [":memory:", "data.sqlite3"])
def test_threads_share_an_engine(where: str, tmp_path: Path) -> None:
    engine = Engine(where if where == ":memory:" else tmp_path / where)
    engine.execute("CreateTable", TABLE)
    failures: list[BaseException] = []

    def work(thread: int) -> None:
        try:
            for number in range(50):
                put(engine, f"{thread}-{number}")
                count(engine)
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert count(engine) == 200


def test_opening_what_is_no_data_file_leaves_nothing_behind(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("no database")
    before = open_files()

    for place in (notes, tmp_path) * 10:
        with pytest.raises(Exception, match="data"):
            Engine(place)

    after = open_files()
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]
    assert after <= before + 1


def test_many_tokens_do_not_slow_a_transaction_down(tmp_path: Path) -> None:
    """Counted in steps of SQLite's machine, not in time: expired tokens are found by an index."""
    path = tmp_path / "data.sqlite3"
    engine = Engine(path)
    engine.execute("CreateTable", TABLE)

    def transact(number: int) -> None:
        action = {"Put": {"TableName": "things", "Item": {"pk": {"S": f"t{number}"}}}}
        engine.execute(
            "TransactWriteItems",
            {"TransactItems": [action], "ClientRequestToken": f"token-{number}"},
        )

    def steps(number: int) -> int:
        taken = 0

        def step() -> int:
            nonlocal taken
            taken += 1
            return 0

        with engine._storage._lent() as handle:
            connection = handle.connection
        connection.set_progress_handler(step, 1)
        transact(number)
        connection.set_progress_handler(None, 1)
        return taken

    transact(0)
    few = steps(1)
    for number in range(2, 600):
        transact(number)

    assert steps(1000) < few * 3


def test_sigint_while_waiting_for_the_lock_ends_the_wait(tmp_path: Path) -> None:
    path = tmp_path / "data.sqlite3"
    engine = Engine(path)
    engine.execute("CreateTable", TABLE)
    script = """
import fcntl, sys
from perfkit.embedded import Engine

engine, flock = Engine(sys.argv[1]), fcntl.flock

def wait(file, operation):
    try:
        flock(file, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        print("waiting", flush=True)
        flock(file, operation)

fcntl.flock = wait
engine.execute("PutItem", {"TableName": "things", "Item": {"pk": {"S": "x"}}})
"""
    with (
        engine._storage.write(),
        subprocess.Popen(
            [sys.executable, "-c", script, str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as waiting,
    ):
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == "waiting\n"
        waiting.send_signal(signal.SIGINT)
        code = waiting.wait(timeout=60)

    assert code != 0
    put(engine, "y")
    assert count(engine) == 1


def test_opening_in_another_thread_keeps_the_locks(tmp_path: Path) -> None:
    """
    Closing any descriptor of a file drops all locks a process has on it.

    Without its lock another process that closes the file believes itself alone, and removes
    the log with what was acknowledged; see sqlite.org/howtocorrupt.html, section 2.2.
    """
    path = tmp_path / "data.sqlite3"
    engine = Engine(path)
    engine.execute("CreateTable", TABLE)
    other = (
        "import sys; from perfkit.embedded import Engine; engine = Engine(sys.argv[1]);"
        "engine.execute('Scan', {'TableName': 'things'}); engine.close()"
    )

    thread = threading.Thread(target=put, args=(engine, "thread"))
    thread.start()
    thread.join()
    for number in range(3):
        subprocess.run([sys.executable, "-c", other, str(path)], check=True, timeout=60)
        put(engine, f"after{number}")

    assert count(engine) == 4
    assert count(Engine(path)) == 4
