"""`perfkit migrate apply` killed at random points, and migrate's commands behind a faulty network."""

import functools
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.faulty import SHORT_TIMEOUT, faulty
from benchmarks.measuring import perfkit_command
from benchmarks.section import Aim, Section, Table
from perfkit.dynamodb.client import embedded_client
from perfkit.dynamodb.targets import Target
from perfkit.embedded import Engine
from perfkit.embedded.schema import Keys
from perfkit.errors import TargetError
from perfkit.units import format_count

__all__ = ["with_faults", "with_kills"]

_WORKLOAD = """
name = "shop"
description = "A table that is there"

[tables.Orders]
partition_key = { name = "order_id", type = "S" }

[tables.Orders.indexes]
ByCustomer = { partition_key = { name = "customer", type = "S" }, projection = "INCLUDE", non_key_attributes = ["total"] }
ByTotal = { partition_key = { name = "total", type = "N" }, projection = "KEYS_ONLY" }
"""
_INDEXES = ("ByCustomer", "ByTotal")
_PAGE = 5_000
_STEPS = ("asked", "accepted", "backfilling", "done")
"""Of each index, as the journal has them."""
_ALL_STEPS = len(_STEPS) * len(_INDEXES)


def with_kills(*, quick: bool) -> Section:
    """Kill apply at random points of its way, end it, and compare every entry with the items."""
    items, kills = (20_000, 9) if quick else (1_000_000, 20)
    chance = random.Random(20)
    longest_s = max(1.5, items / 40_000)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = _filled(folder, items)
        _run(folder, "migrate", "plan", "--output", "plan.json")
        reached = Counter[str]()
        # from before the first step in the journal to after the last one
        for steps in sorted(number % (_ALL_STEPS + 1) for number in range(kills)):
            # half of them at once, where a step has begun and may not be done
            after_s = chance.choice((0.0, chance.uniform(0.0, longest_s)))
            reached[_kill(folder, steps, after_s)] += 1
        started_s = time.monotonic()
        _run(folder, "migrate", "apply", "plan.json", "--yes")
        rest_s = time.monotonic() - started_s
        connection = Target(data=data).connect(read_only=True)
        scan = functools.partial(connection.execute, "Scan")
        differences = {index: _differences(scan, index, items) for index in _INDEXES}
        told = _told(folder)
        connection.close()
        clean, clean_s = _verified(folder)
        planted = _plant(data)
        found, _ = _verified(folder)
    wrong = sum(missing + extra for missing, extra in differences.values())
    rows = [
        [index, f"{items:,}", f"{missing:,}", f"{extra:,}", f"{told['create', index]}"]
        for index, (missing, extra) in differences.items()
    ]
    points = ", ".join(f"{count} {point}" for point, count in sorted(reached.items()))
    return Section(
        title="An apply that is killed",
        method=(
            f"`perfkit migrate apply` of two indexes on {format_count(items)} items, killed with"
            f" kill -9 {kills} times, at once or up to {longest_s:g} s after its journal had come to each of"
            f" its steps in turn; then run to its end, in {rest_s:,.0f} s.\n"
            "Every entry of both indexes is read and compared with the items; `perfkit migrate verify`"
            f" does the same in {clean_s:,.0f} s, and again with an entry made wrong and one made up.\n"
            f"The journal's last line at each kill: {points}."
        ),
        tables=[Table(["index", "items", "missing", "extra", "made, by the journal"], rows)],
        aims=[
            Aim.at_most("entries missing or extra", wrong, 0, ""),
            Aim.at_most(
                "indexes that the journal does not have once",
                sum(told["create", index] != 1 for index in _INDEXES),
                0,
                "",
            ),
            Aim.at_most("differences that verify finds", len(clean), 0, ""),
            Aim.at_most("planted entries that verify does not find", len(planted - found), 0, ""),
            Aim.at_most("others that it finds then", len(found - planted), 0, ""),
        ],
    )


def _verified(folder: Path) -> tuple[set[tuple[str, str]], float]:
    """Return the items that `migrate verify` finds to differ, each with how, and what it took."""
    command = ["migrate", "verify", "plan.json", "--differences", "differences.jsonl", "--force"]
    started_s = time.monotonic()
    # exit code 4: something differs
    _run(folder, *command, "--yes", also=4)
    seconds = time.monotonic() - started_s
    lines = (folder / "differences.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return {(each["key"]["order_id"]["S"], each["difference"]) for each in found}, seconds


def _plant(data: Path) -> set[tuple[str, str]]:
    """Make one entry of ByCustomer wrong and one up; return their items, each with how it differs."""
    with sqlite3.connect(data) as file:
        ((definition,),) = file.execute("SELECT definition FROM catalog").fetchall()
        stores = {each["name"]: f"i{each['store']}" for each in json.loads(definition)["indexes"]}
        store = stores["ByCustomer"]
        (first, second) = file.execute(f"SELECT k, item, data FROM {store} LIMIT 2").fetchall()
        wrong, extra = json.loads(first[2]), json.loads(second[2]) | {"order_id": {"S": "nobody's"}}
        file.execute(
            f"UPDATE {store} SET data = ? WHERE k = ?",
            (json.dumps({**wrong, "total": {"N": "-1"}}), first[0]),
        )
        stored = Keys(partition=("customer",)).stored(extra)
        stored += Keys(partition=("order_id",)).stored(extra)
        file.execute(
            f"INSERT INTO {store} VALUES (?, ?, 30, 30, ?)", (stored, second[1], json.dumps(extra))
        )
    return {(wrong["order_id"]["S"], "differs"), ("nobody's", "extra")}


def with_faults(*, quick: bool) -> Section:
    """Run migrate's commands through a faulty network till all faults are met."""
    items, faults = (300, 20) if quick else (2_000, 100)
    ends = Counter[str]()
    changed: list[tuple[str, str]] = []
    lost = 0
    with tempfile.TemporaryDirectory() as name, _server(Path(name)) as url:
        folder = Path(name)
        (folder / "perfkit.toml").write_text(_WORKLOAD)
        client = _client(url)
        _create(client)
        for first in range(0, items, 25):
            puts = [{"PutRequest": {"Item": _item(each)}} for each in range(first, first + 25)]
            client.batch_write_item(RequestItems={"Orders": puts})
        with faulty(url, faults=faults, seed=100) as proxy:
            where = ("--target", proxy.url, "--yes")
            _repeat(folder, ends, "migrate", "plan", "--output", "plan.json", *where)
            while proxy.left:
                _repeat(folder, ends, "migrate", "preflight", *where)
                _repeat(folder, ends, "migrate", "apply", "plan.json", "--yes")
                lost += sum(
                    sum(_differences(lambda asked: client.scan(**asked), index, items))
                    for index in _INDEXES
                )
                _repeat(folder, ends, "migrate", "rollback", "plan.json", "--yes")
                changed += [(what, each) for what in ("create", "delete") for each in _INDEXES]
            injected, done = proxy.injected, proxy.changed
        told = _told_in_order(folder)
    return Section(
        title="A migration through a faulty network",
        method=(
            f"`perfkit migrate preflight`, `apply` and `rollback` of two indexes on"
            f" {format_count(items)} items, again and again through a proxy until {faults} faults"
            " were met; a command that ends with an error is repeated."
        ),
        tables=[
            Table(["fault", "met"], [[str(each), f"{count}"] for each, count in injected.items()]),
            Table(["exit code", "commands"], [[each, f"{ends[each]}"] for each in sorted(ends)]),
        ],
        aims=[
            Aim.at_most("entries missing or extra", lost, 0, ""),
            Aim.at_most("index operations lost or doubled", _unlike(done, changed), 0, ""),
            Aim.at_most("operations the journal does not tell", _unlike(told, done), 0, ""),
            Aim.at_most("ends without a clear word", ends["unclear"], 0, ""),
        ],
    )


def _unlike(one: Sequence[tuple[str, str]], other: Sequence[tuple[str, str]]) -> int:
    """Return how many things two sequences do not have in common, at the same place."""
    same = sum(each == its for each, its in zip(one, other, strict=False))
    return max(len(one), len(other)) - same


# ---- tables ----------------------------------------------------------------------------------


def _item(number: int) -> dict[str, Any]:
    return {
        "order_id": {"S": f"O{number:07}"},
        "customer": {"S": f"C{number % 9973}"},
        "total": {"N": str(number % 997)},
    }


def _create(client: Any) -> None:
    client.create_table(
        TableName="Orders",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "order_id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "order_id", "AttributeType": "S"}],
    )


def _filled(folder: Path, items: int) -> Path:
    """Return the data file of a table with so many items, beside a workload with its indexes."""
    (folder / "perfkit.toml").write_text(_WORKLOAD)
    data = folder / ".perfkit" / "dynamodb.sqlite3"
    data.parent.mkdir()
    client = embedded_client(data)
    _create(client)
    engine = Engine(data)
    try:
        for first in range(0, items, _PAGE):
            last = min(items, first + _PAGE)
            engine.load("Orders", [_item(number) for number in range(first, last)])
    finally:
        engine.close()
        client.close()
    return data


def _client(url: str) -> Any:
    import boto3

    return boto3.client(
        "dynamodb",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="somebody",
        aws_secret_access_key="else",
    )


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    command = [
        *perfkit_command(),
        "dynamodb",
        "--port",
        "0",
        "--data",
        str(folder / "data.sqlite3"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            yield line.split()[2]
        finally:
            process.kill()


def _differences(
    scan: Callable[[dict[str, Any]], dict[str, Any]], index: str, items: int
) -> tuple[int, int]:
    """Return how many items have no entry in an index, and how many entries have no item or two."""
    found = Counter[str]()
    request: dict[str, Any] = {"TableName": "Orders", "IndexName": index}
    while True:
        page = scan(request)
        found.update(each["order_id"]["S"] for each in page["Items"])
        if "LastEvaluatedKey" not in page:
            break
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
    wanted = {f"O{number:07}" for number in range(items)}
    extra = sum(count - 1 for count in found.values()) + len(found.keys() - wanted)
    return len(wanted - found.keys()), extra


# ---- commands --------------------------------------------------------------------------------


def _run(folder: Path, *arguments: str, also: int = 0) -> None:
    """Run a command that ends with 0, or *also* with another exit code."""
    command = [*perfkit_command(), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode not in {0, also}:
        msg = f"{' '.join(arguments)}: {done.stderr.strip().splitlines()[-1]}"
        raise TargetError(msg)


def _kill(folder: Path, steps: int, after_s: float) -> str:
    """Kill an apply so long after its journal had so many steps; return what it had come to."""
    command = [*perfkit_command(), "migrate", "apply", "plan.json", "--yes"]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        # from its first word on: what is before that is the start of Python
        if process.stderr is not None:
            process.stderr.readline()
        while process.poll() is None and _noted(folder) < steps:
            time.sleep(0.01)
        time.sleep(after_s)
        process.kill()
    noted = _lines(folder)
    return f"{noted[-1]['step']} {noted[-1].get('index', {}).get('name', '')}" if noted else "none"


def _repeat(folder: Path, ends: Counter[str], *arguments: str) -> None:
    """Repeat a command until it is done; count how it ends."""
    command = [sys.executable, "-c", SHORT_TIMEOUT, *arguments]
    for _ in range(200):
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, env=dict(os.environ)
        )
        ends[str(done.returncode)] += 1
        if done.returncode == 0:
            return
        last = (done.stderr.strip().splitlines() or [""])[-1]
        if done.returncode not in {2, 3} or not last.startswith("Error: "):
            ends["unclear"] += 1
    msg = f"{' '.join(arguments)} is never done"
    raise TargetError(msg)


def _lines(folder: Path) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for path in (folder / ".perfkit" / "migrations").glob("journal-*.jsonl"):
        # the last one may be cut
        lines += [json.loads(each) for each in path.read_text().split("\n")[:-1]]
    return lines


def _noted(folder: Path) -> int:
    """Return how many steps the journal has, each counted once however often it was taken."""
    found = {
        ("accepted" if line["step"] == "found" else line["step"], line["index"]["name"])
        for line in _lines(folder)
        if "index" in line
    }
    return sum(step in _STEPS for step, _ in found)


def _told_in_order(folder: Path) -> list[tuple[str, str]]:
    """Return the index operations of the journal."""
    return [
        ("create" if line["goal"] == "present" else "delete", line["index"]["name"])
        for line in _lines(folder)
        if line["step"] in {"accepted", "found"}
    ]


def _told(folder: Path) -> Counter[tuple[str, str]]:
    return Counter(_told_in_order(folder))
