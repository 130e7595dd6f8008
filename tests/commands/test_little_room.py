"""`perfkit clean` on a full disk, `perfkit status` where nothing may be written."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from perfkit.cli import app

pytestmark = pytest.mark.processes

PERFKIT = Path(sys.executable).with_name("perfkit")
DATA = Path(".perfkit/dynamodb.sqlite3")


def perfkit(*arguments: str, cwd: Path) -> Result:
    """Run a command within this process."""
    with chdir(cwd):
        return CliRunner().invoke(app, list(arguments))


def mount(folder: Path, *options: str) -> None:
    """Mount a file system on a folder, or skip where that is not allowed."""
    done = subprocess.run(
        ["mount", *options, str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no file system of its own for this test: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a disk of 6 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount(folder, "-t", "tmpfs", "-o", "size=6m", "tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, name: str = "full") -> None:
    """Leave not one byte."""
    with (folder / name).open("wb", buffering=0) as file:
        size = 1 << 16
        while size:
            try:
                file.write(bytes(size))
            except OSError:
                size //= 2


def free_bytes(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def test_clean_frees_a_disk_that_seeding_filled(disk: Path) -> None:
    seeding = perfkit("seed", "--processes", "1", cwd=disk)
    assert seeding.exit_code == 3, seeding.stderr
    assert "no space left" in seeding.stderr
    fill(disk)
    assert free_bytes(disk) == 0

    status = perfkit("status", cwd=disk)
    cleaned = perfkit("clean", "--yes", cwd=disk)

    assert status.exit_code == 0, status.stderr
    assert cleaned.exit_code == 0, cleaned.stderr
    assert "Removed data file" in cleaned.stdout
    assert [path.name for path in disk.rglob("*")] == ["full", ".perfkit"]
    assert free_bytes(disk) > 1 << 20


def test_clean_frees_a_disk_that_others_filled(disk: Path) -> None:
    """The file is closed, so neither a log nor its helper is there, and neither can be made."""
    assert perfkit("seed", "--scale", "0.01", "--processes", "1", cwd=disk).exit_code == 0
    assert not (disk / f"{DATA}-shm").exists()
    fill(disk)

    cleaned = perfkit("clean", "--yes", cwd=disk)

    assert cleaned.exit_code == 0, cleaned.stderr
    assert not list((disk / ".perfkit").iterdir())


def test_clean_frees_a_disk_under_a_seeding_that_was_killed(disk: Path) -> None:
    """Its last changes are in the log alone, and nothing can be written beside it."""
    log = disk / f"{DATA}-wal"
    with subprocess.Popen(
        # so slowly that it is not done before it is killed
        [PERFKIT, "seed", "--processes", "1", "--scale", "0.05", "--max-wcu", "300"],
        cwd=disk,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while not (log.exists() and log.stat().st_size > 100_000):
            assert process.poll() is None
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert log.stat().st_size
    fill(disk)

    cleaned = perfkit("clean", "--yes", cwd=disk)

    assert cleaned.exit_code == 0, cleaned.stderr
    assert not list((disk / ".perfkit").iterdir())


def test_on_a_full_disk_somebodys_tables_are_still_his(disk: Path) -> None:
    script = (
        "from perfkit.dynamodb.client import embedded_client\n"
        "client = embedded_client()\n"
        "client.create_table(TableName='Theirs', BillingMode='PAY_PER_REQUEST',"
        " KeySchema=[{'AttributeName': 'id', 'KeyType': 'HASH'}],"
        " AttributeDefinitions=[{'AttributeName': 'id', 'AttributeType': 'S'}])\n"
    )
    # ends without closing, so that the table is in the log
    script += "import os; os._exit(0)"
    subprocess.run([sys.executable, "-c", script], cwd=disk, check=True)
    assert (disk / f"{DATA}-wal").stat().st_size
    fill(disk)

    cleaned = perfkit("clean", "--yes", cwd=disk)
    (disk / f"{DATA}-shm").unlink()
    fill(disk, "fuller")
    unknown = perfkit("clean", "--yes", cwd=disk)

    assert "Table Theirs stays" in cleaned.stderr
    assert cleaned.stdout == "Nothing to remove.\n"
    # without its helper the log cannot be read, and so nobody knows whose the tables are
    assert unknown.exit_code == 2, unknown.stdout
    assert "cannot read .perfkit/dynamodb.sqlite3 without writing beside it" in unknown.stderr
    assert (disk / DATA).exists()


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """Return a folder with a small seeded file that may only be read."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    assert perfkit("seed", "--scale", "0.01", "--processes", "1", cwd=folder).exit_code == 0
    assert perfkit("create-indexes", "--no-wait", cwd=folder).exit_code == 0
    mount(folder, "--bind", str(folder))
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_status_works_in_a_folder_that_may_only_be_read(read_only: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in read_only.rglob("*")}

    result = perfkit("status", "--json", cwd=read_only)

    assert result.exit_code == 0, result.stderr
    tables = {table["name"]: table for table in json.loads(result.stdout)["tables"]}
    assert tables["Courses"]["items"] == tables["Courses"]["seeded_items"] == 101
    assert {index["status"] for index in tables["Courses"]["indexes"]} == {"CREATING", "missing"}
    assert {path: path.stat().st_mtime_ns for path in read_only.rglob("*")} == before


def test_what_writes_says_that_it_cannot(read_only: Path) -> None:
    result = perfkit("seed", "--scale", "0.01", cwd=read_only)

    assert result.exit_code == 2
    *_, error = result.stderr.splitlines()
    assert error.startswith("Error: ")
    assert "Read-only file system" in error


def test_status_works_for_somebody_who_may_only_read(tmp_path: Path) -> None:
    assert perfkit("seed", "--scale", "0.01", "--processes", "1", cwd=tmp_path).exit_code == 0
    command = [str(PERFKIT), "status"]
    if os.geteuid() == 0:
        # root may write everywhere, unless it gives that up
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            pytest.skip("root may write everywhere, and there is no setpriv to give that up")
        command = [setpriv, "--bounding-set", "-dac_override", *command]
    places = [tmp_path / ".perfkit", tmp_path, *(tmp_path / ".perfkit").iterdir()]
    for place in places:
        place.chmod(0o555)
    try:
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    finally:
        for place in places:
            place.chmod(0o755)

    assert result.returncode == 0, result.stderr
    assert "Courses" in result.stdout
