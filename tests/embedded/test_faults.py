"""Data files that cannot be used and disks that are full: one clear error, nothing lost."""

import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from perfkit.dynamodb.client import embedded_client
from perfkit.embedded import Engine
from perfkit.errors import ConfigError, DataFileError, StorageFullError

pytestmark = pytest.mark.processes

DATA = Path("data.sqlite3")


def foreign_file() -> None:
    connection = sqlite3.connect(DATA)
    connection.execute("CREATE TABLE precious (data TEXT)")
    connection.execute("INSERT INTO precious VALUES ('of somebody else')")
    connection.commit()
    connection.close()


def newer_file() -> None:
    Engine(DATA).close()
    connection = sqlite3.connect(DATA)
    connection.execute("PRAGMA user_version = 99")
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()


def damaged_file() -> None:
    newer_file()
    content = bytearray(DATA.read_bytes())
    # user_version, then the root page of the schema
    content[60:64] = (2).to_bytes(4, "big")
    content[100:] = b"\xa5" * (len(content) - 100)
    DATA.write_bytes(content)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        pytest.param(
            lambda: DATA.write_text("pk,sk\n1,2\n" * 100),
            "data.sqlite3 is no perfkit data file or is damaged (file is not a database); move it"
            " away, or name another with --data",
            id="a text file",
        ),
        pytest.param(
            foreign_file,
            "data.sqlite3 is an SQLite file, but not one of perfkit's; name another with --data",
            id="an SQLite file of somebody else's",
        ),
        pytest.param(
            newer_file,
            "data.sqlite3 has format 99 and this perfkit reads up to 2; upgrade perfkit or name"
            " another file with --data",
            id="a file from a newer version",
        ),
        pytest.param(
            damaged_file,
            "data.sqlite3 is no perfkit data file or is damaged (database disk image is malformed);"
            " move it away, or name another with --data",
            id="a damaged file",
        ),
    ],
)
def test_a_file_that_is_not_ours_is_refused_and_left_alone(
    make: Callable[[], Any], said: str
) -> None:
    make()
    before = DATA.read_bytes()

    with pytest.raises(DataFileError) as caught:
        embedded_client(DATA)

    assert str(caught.value) == said
    assert caught.value.exit_code == 3
    assert DATA.read_bytes() == before


def test_an_empty_file_becomes_a_data_file(make_table: Callable[..., str]) -> None:
    DATA.touch()

    make_table("things", on=embedded_client(DATA))

    assert embedded_client(DATA).list_tables()["TableNames"] == ["things"]


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("file/data.sqlite3", id="in a file"),
        pytest.param("folder", id="a folder"),
        pytest.param(f"{'x' * 300}.sqlite3", id="too long a name"),
    ],
)
def test_a_path_that_cannot_be_written_is_named(path: str) -> None:
    Path("file").touch()
    Path("folder").mkdir()

    with pytest.raises(ConfigError) as caught:
        embedded_client(path)

    assert path in str(caught.value)
    assert "name another file with --data" in str(caught.value)
    assert caught.value.exit_code == 2


OPEN_AS_NOBODY = """
    import os, sys
    from perfkit.embedded import Engine
    from perfkit.errors import PerfkitError
    if os.getuid() == 0:
        # nothing is read-only to root
        os.setuid(65534)
    try:
        Engine(sys.argv[1])
    except PerfkitError as error:
        print(type(error).__name__, error)
"""


@pytest.mark.parametrize("exists", [False, True], ids=["new file", "file there already"])
def test_a_folder_without_write_permission(exists: bool) -> None:
    # pytest's own folders are closed to other users altogether
    locked = Path(tempfile.mkdtemp())
    path = locked / DATA
    if exists:
        embedded_client(path).close()
        for file in locked.iterdir():
            file.chmod(0o444)
    locked.chmod(0o555)

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(OPEN_AS_NOBODY), path],
        capture_output=True,
        text=True,
        check=False,
    )
    locked.chmod(0o755)
    shutil.rmtree(locked)

    assert done.stderr == ""
    assert done.stdout.startswith("ConfigError cannot ")
    assert str(path) in done.stdout
    assert "name another file with --data" in done.stdout


# ---- a full disk -------------------------------------------------------------------------


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Return a function that makes a folder on a small file system of its own."""
    mounted: list[Path] = []

    def mount(size: str) -> Path:
        folder = tmp_path / f"disk-{size}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        if not sys.platform.startswith("linux") or subprocess.run(command, check=False).returncode:
            pytest.skip("mounting a small disk takes root on Linux")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", folder], check=True)


def write(client: Any, number: int, size_bytes: int = 20_000) -> None:
    item = {"pk": {"S": f"k{number}"}, "g": {"S": "x"}, "fill": {"S": "x" * size_bytes}}
    client.put_item(TableName="things", Item=item)


def fill_up(client: Any, size_bytes: int = 20_000) -> tuple[int, StorageFullError]:
    """Write until the disk is full; return how many items were acknowledged, and the error."""
    for number in range(10_000):
        try:
            write(client, number, size_bytes)
        except StorageFullError as error:
            return number, error
    pytest.fail("the disk never filled up")


def count(client: Any, walk: Callable[..., Any]) -> int:
    items = walk(client.scan, TableName="things", ProjectionExpression="pk")
    entries = walk(client.scan, TableName="things", IndexName="by-g")
    table = client.describe_table(TableName="things")["Table"]
    assert len(items) == len(entries) == table["ItemCount"]
    return len(items)


def test_a_full_disk_keeps_what_was_written_and_writing_goes_on_when_there_is_room(
    mount: Any, connect: Callable[..., Any], make_table: Callable[..., str], walk: Any
) -> None:
    small_disk = mount("3m")
    client = connect(small_disk / DATA)
    make_table("things", gsi={"by-g": ("g", "KEYS_ONLY")}, on=client)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(500_000))

    acknowledged, error = fill_up(client)
    still_there = count(client, walk)
    with pytest.raises(StorageFullError):
        client.batch_write_item(
            RequestItems={
                "things": [
                    {"PutRequest": {"Item": {"pk": {"S": f"b{n}"}, "fill": {"S": "x" * 100_000}}}}
                    for n in range(25)
                ]
            }
        )
    reopened = count(connect(small_disk / DATA), walk)
    ballast.unlink()
    write(client, 10_000, size_bytes=10)

    assert str(error) == (
        f"no space left to write {small_disk / DATA}; what was written before is kept: free some"
        " space, or name a file elsewhere with --data, and run the command again"
    )
    assert error.exit_code == 3
    assert acknowledged > 20
    assert still_there == reopened == acknowledged
    assert count(connect(small_disk / DATA), walk) == acknowledged + 1


def test_an_error_on_a_full_disk_always_means_not_written(
    mount: Any, connect: Callable[..., Any], make_table: Callable[..., str], walk: Any
) -> None:
    """The log grows long enough here to be copied into the file, for which there is no room."""
    small_disk = mount("40m")
    client = connect(small_disk / DATA)
    make_table("things", gsi={"by-g": ("g", "KEYS_ONLY")}, on=client)

    acknowledged, _ = fill_up(client, size_bytes=400_000)

    assert acknowledged > 20
    assert count(client, walk) == acknowledged


def test_a_server_on_a_full_disk_says_so_and_goes_on(
    mount: Any,
    connect: Callable[..., Any],
    make_table: Callable[..., str],
    start_server: Callable[..., Any],
    refused: Any,
    walk: Any,
) -> None:
    small_disk = mount("3m")
    with start_server(small_disk / DATA) as (url, _):
        client = connect(url)
        make_table("things", gsi={"by-g": ("g", "KEYS_ONLY")}, on=client)
        acknowledged = 0
        with refused("InternalServerError", part="no space left to write"):
            while acknowledged < 10_000:
                write(client, acknowledged)
                acknowledged += 1

        assert acknowledged > 20
        assert count(client, walk) == acknowledged


def test_a_disk_too_full_for_a_new_file(mount: Any) -> None:
    small_disk = mount("3m")
    with (small_disk / "ballast").open("wb") as ballast:
        try:
            while True:
                ballast.write(bytes(65536))
                ballast.flush()
        except OSError:
            pass

    with pytest.raises(StorageFullError):
        embedded_client(small_disk / DATA)
    (small_disk / "ballast").unlink()

    assert embedded_client(small_disk / DATA).list_tables()["TableNames"] == []


WRITE_LIMITED = """
    import resource
    from perfkit.dynamodb.client import embedded_client
    from perfkit.errors import PerfkitError
    client = embedded_client("data.sqlite3")
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
    number = 0
    try:
        while number < 10_000:
            item = {"pk": {"S": f"k{number}"}, "g": {"S": "x"}, "fill": {"S": "x" * 20_000}}
            client.put_item(TableName="things", Item=item)
            number += 1
    except PerfkitError as error:
        print(number, type(error).__name__, error)
"""


def test_a_limit_on_file_sizes_keeps_what_was_written(
    connect: Callable[..., Any], make_table: Callable[..., str], walk: Any
) -> None:
    client = connect(DATA)
    make_table("things", gsi={"by-g": ("g", "KEYS_ONLY")}, on=client)

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(WRITE_LIMITED)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stderr == ""
    acknowledged, error = done.stdout.split(maxsplit=1)
    assert error == (
        "DataFileError cannot read or write data.sqlite3 (disk I/O error); what was written before"
        " is kept: check the disk and the limit on the size of files, or name a file elsewhere"
        " with --data\n"
    )
    assert int(acknowledged) > 20
    assert count(client, walk) == int(acknowledged)
    write(client, 10_000)
    assert count(client, walk) == int(acknowledged) + 1
