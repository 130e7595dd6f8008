"""Notifications and request logs on the wire and in the log file."""

import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.queue.log_file import LogFile
from perfkit.queue.model import Notification, RequestLog

_AT = datetime(2026, 11, 22, 18, 30, tzinfo=UTC)


@given(
    subject=st.text(st.characters()),
    text=st.text(st.characters()),
    created_at=st.datetimes(timezones=st.just(UTC)),
)
def test_a_notification_survives_the_wire(subject: str, text: str, created_at: datetime) -> None:
    notification = Notification(
        kind="activity", recipient="a@b.c", subject=subject, text=text, created_at=created_at
    )

    wire = json.loads(json.dumps(notification.to_wire()))

    assert Notification.from_wire(wire) == notification


def test_two_notifications_never_share_a_key() -> None:
    one, other = (
        Notification(kind="activity", recipient="a@b.c", subject="", text="") for _ in range(2)
    )

    assert one.idempotency_key != other.idempotency_key


def test_a_log_line_is_a_json_object(tmp_path: Path) -> None:
    log_file = LogFile(tmp_path / "made when needed" / "requests.jsonl")
    record = RequestLog(
        method="GET", path="/api/courses", status=200, duration_s=0.025, user="ä", created_at=_AT
    )

    log_file.append([record.to_wire()])
    log_file.sync()

    assert log_file.path.read_text() == (
        '{"method":"GET","path":"/api/courses","status":200,"duration_s":0.025,"request_id":"",'
        '"user":"\\u00e4","cache":"","created_at":"2026-11-22T18:30:00+00:00"}\n'
    )
    assert log_file.path.stat().st_mode & 0o077 == 0


def test_lines_of_concurrent_batches_do_not_mix(tmp_path: Path) -> None:
    def write(writer: int) -> None:
        log_file = LogFile(tmp_path / "requests.jsonl")
        for batch in range(50):
            log_file.append([{"writer": writer, "batch": batch, "line": i} for i in range(20)])

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    lines = [json.loads(line) for line in (tmp_path / "requests.jsonl").read_text().splitlines()]
    assert len(lines) == 4 * 50 * 20
    assert [line["line"] for line in lines] == list(range(20)) * 200


def test_a_line_cut_short_by_a_full_disk_does_not_spoil_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_file = LogFile(tmp_path / "requests.jsonl")
    write = os.write
    written = 0

    def until_full(file: int, content: bytes) -> int:
        nonlocal written
        if written:
            raise OSError(28, "No space left on device")
        written = write(file, content[:5])
        return written

    monkeypatch.setattr(os, "write", until_full)
    with pytest.raises(OSError, match="No space left"):
        log_file.append([{"first": 1}])
    monkeypatch.undo()
    log_file.append([{"second": 2}])

    assert log_file.path.read_text().splitlines() == ['{"fir', '{"second":2}']


def test_a_log_that_was_moved_away_goes_on_in_a_new_file(tmp_path: Path) -> None:
    log_file = LogFile(tmp_path / "requests.jsonl")
    log_file.append([{"n": 1}])

    log_file.path.rename(tmp_path / "requests.1")
    log_file.sync()
    log_file.append([{"n": 2}])

    assert log_file.path.read_text() == '{"n":2}\n'


def test_a_disk_that_does_not_sync_is_told_and_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log_file = LogFile(tmp_path / "requests.jsonl")
    log_file.append([{"n": 1}])
    synced: list[int] = []

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    log_file.sync()
    monkeypatch.setattr(os, "fsync", synced.append)
    log_file.sync()
    log_file.sync()

    assert caplog.messages == [f"{log_file.path} may not be on the disk: Input/output error"]
    assert len(synced) == 1
