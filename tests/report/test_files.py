"""Reports as files: whole or not at all, and never in place of something that is no file."""

import errno
import os
from pathlib import Path

import pytest

from perfkit.errors import ConfigError, StorageFullError
from perfkit.report import files
from perfkit.report.formats import Format, guess_format


def test_a_file_is_replaced_in_one_step_and_its_folder_made(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "courses.md"

    files.write_text(path, "old\n")
    files.write_text(path, "new ×\n")  # noqa: RUF001

    assert path.read_text(encoding="utf-8") == "new ×\n"  # noqa: RUF001
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "courses.md"
    files.write_text(path, "old\n")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFullError, match="no space left to write the report to"):
        files.write_text(path, "new\n")

    assert path.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("there", ["", "full", "full/csv"])
def test_a_full_disk_leaves_no_folder_that_was_not_there_before(
    there: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / there).mkdir(parents=True, exist_ok=True)
    before = sorted(tmp_path.rglob("*"))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFullError):
        files.write_folder(tmp_path / "full" / "csv", {"a.csv": "a\n"})

    assert sorted(tmp_path.rglob("*")) == before


def test_an_interrupt_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write_text(tmp_path / "courses.md", "new\n")

    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(ConfigError, match=r"cannot write the report to .*file/x\.md \("):
        files.write_text(tmp_path / "file" / "x.md", "text")


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link.md").symlink_to(tmp_path / "real.md")

    files.write_text(tmp_path / "link.md", "text\n")

    assert (tmp_path / "link.md").is_symlink()
    assert (tmp_path / "real.md").read_text() == "text\n"


def test_a_named_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # Open at both ends, so that neither side waits for the other.
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)

    files.write_text(pipe, "text\n")

    assert pipe.is_fifo()
    assert os.read(reader, 100) == b"text\n"
    os.close(reader)


def test_a_name_without_utf8_is_written_all_the_same(tmp_path: Path) -> None:
    files.write_text(tmp_path / "x.json", '"\ud800"\n')

    assert (tmp_path / "x.json").read_text() == '"\\ud800"\n'


def test_several_tables_need_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    paths = files.write_folder(tmp_path / "tables", {"a.csv": "a\n", "b.csv": "b\n"})
    with pytest.raises(ConfigError, match="is a file, and several tables need a folder"):
        files.write_folder(tmp_path / "file", {"a.csv": "a\n"})

    assert [path.read_text() for path in paths] == ["a\n", "b\n"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("x.md", Format.MARKDOWN, id="markdown"),
        pytest.param("x.MARKDOWN", Format.MARKDOWN, id="any case"),
        pytest.param("x.json", Format.JSON, id="json"),
        pytest.param("x.csv", Format.CSV, id="csv"),
        pytest.param("x.txt", Format.TERMINAL, id="text"),
    ],
)
def test_the_format_follows_from_the_name(name: str, expected: Format) -> None:
    assert guess_format(Path(name)) is expected


def test_a_name_that_says_nothing_is_refused_with_the_choices() -> None:
    with pytest.raises(ConfigError, match=r"'x\.pdf' from its name; give --format \(terminal, "):
        guess_format(Path("x.pdf"))
