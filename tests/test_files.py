"""Files with values of somebody's items: for their owner only, whole or not at all."""

import errno
import stat
from pathlib import Path

import pytest

from perfkit.errors import ConfigError
from perfkit.files import TemporaryFolder, write_private


def test_a_file_that_came_meanwhile_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text("somebody's")

    with pytest.raises(ConfigError, match="is there already"):
        write_private(file, "mine")

    assert file.read_text() == "somebody's"
    assert list(tmp_path.iterdir()) == [file]


def test_only_its_owner_may_read_what_takes_its_place(tmp_path: Path) -> None:
    kept = tmp_path / "kept.toml"
    kept.write_text("old")
    kept.chmod(0o644)
    link = tmp_path / "link.toml"
    link.symlink_to(kept)

    write_private(link, "new", replace=True)

    assert link.is_symlink()
    assert kept.read_text() == "new"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_a_text_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_private(tmp_path / "x.toml", "half a character: \ud800")

    assert list(tmp_path.iterdir()) == []


def test_a_temporary_folder_is_made_where_nothing_can_be_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("perfkit.files.fcntl.flock", refuse)

    folder = TemporaryFolder("perfkit-test-", tmp_path)

    assert [*tmp_path.iterdir()] == [folder.path]
    folder.remove()
    assert not [*tmp_path.iterdir()]
