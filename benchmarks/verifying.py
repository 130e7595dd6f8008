"""Whether `migrate verify` finds what is planted in an index, and nothing else, while others write."""

import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.section import Aim, Section, Table
from perfkit.dynamodb.client import embedded_client
from perfkit.dynamodb.connection import EngineConnection
from perfkit.dynamodb.tables import describe
from perfkit.dynamodb.targets import Target
from perfkit.embedded import Engine
from perfkit.embedded.schema import Keys
from perfkit.migrate.verify import Subject, Verification
from perfkit.units import format_count

__all__ = ["compare"]

_RUNS = 10
_ITEMS, _ITEMS_QUICK = 5_000, 500
_FAULTS = 30
_WRITES_HZ = 50
_DELAY_S, _DELAY_QUICK_S = 2.0, 0.2
_SETTLE_S, _SETTLE_QUICK_S = 10.0, 1.0
_OWNERS = 200
_INDEX, _TABLE = "by-owner", "things"

_WRITER = """
import random, sys, time
from perfkit.dynamodb.client import embedded_client
data, items, faulty, seed = sys.argv[1], int(sys.argv[2]), set(map(int, sys.argv[3].split(","))), int(sys.argv[4])
client, chance = embedded_client(data), random.Random(seed)
print("writing", flush=True)
next_s = time.monotonic()
while True:
    number = chance.randrange(items)
    if number not in faulty:
        key = {"pk": {"S": f"p{number}"}}
        if chance.random() < 0.2:
            client.delete_item(TableName="things", Key=key)
        else:
            owner = {"S": f"o{chance.randrange(200)}"}
            client.put_item(TableName="things", Item={**key, "owner": owner, "at": {"N": str(chance.randrange(9))}})
    next_s += 1 / 50
    time.sleep(max(0.0, next_s - time.monotonic()))
"""
"""Values are few, so that an item often comes back to what it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    planted: set[tuple[str, str]]
    found: set[tuple[str, str]]
    looked_again: int
    undecided: int
    seconds: float


def compare(*, quick: bool) -> Section:
    """Verify ten times, in a process of its own and against a writer in another."""
    items = _ITEMS_QUICK if quick else _ITEMS
    delay_s, settle_s = (_DELAY_QUICK_S, _SETTLE_QUICK_S) if quick else (_DELAY_S, _SETTLE_S)
    runs = [_verify(items, delay_s, settle_s, seed=seed) for seed in range(2 if quick else _RUNS)]
    return Section(
        title="Verifying an index under live writes",
        method=(
            f"{len(runs)} tables of {format_count(items)} items, each with {_FAULTS} faults planted"
            " in its index: entries removed, changed, and added.\n"
            f"Another process writes {_WRITES_HZ} items a second, and the index lags by up to"
            f" {delay_s:g} s; no index lags by {settle_s:g} s, verify is told."
        ),
        tables=[
            Table(
                [
                    "run",
                    "planted",
                    "found",
                    "not found",
                    "false",
                    "looked at again",
                    "undecided",
                    "s",
                ],
                [
                    [
                        str(number + 1),
                        str(len(run.planted)),
                        str(len(run.found & run.planted)),
                        str(len(run.planted - run.found)),
                        str(len(run.found - run.planted)),
                        str(run.looked_again),
                        str(run.undecided),
                        f"{run.seconds:.1f}",
                    ]
                    for number, run in enumerate(runs)
                ],
            )
        ],
        aims=[
            _none(
                "planted differences not found in all runs",
                sum(len(run.planted - run.found) for run in runs),
            ),
            _none(
                "false differences in all runs", sum(len(run.found - run.planted) for run in runs)
            ),
        ],
    )


def _none(what: str, found: int) -> Aim:
    return Aim(f"{what}: none", format_count(found), float(found))


def _verify(items: int, delay_s: float, settle_s: float, *, seed: int) -> _Run:
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.sqlite3"
        _fill(data, items, chance)
        faulty = chance.sample(range(items), _FAULTS)
        planted = _plant(data, faulty)
        embedded_client(data, index_delay_s=delay_s).close()
        arguments = [str(data), str(items), ",".join(map(str, faulty)), str(seed)]
        with subprocess.Popen(
            [sys.executable, "-c", _WRITER, *arguments], stdout=subprocess.PIPE, text=True
        ) as writer:
            try:
                assert writer.stdout is not None
                writer.stdout.readline()
                # until what was written first is due
                time.sleep(delay_s)
                connection = EngineConnection(Engine(data))
                state = describe(connection, _TABLE)
                connection.close()
                assert state is not None
                begun_s = time.monotonic()
                verification = Verification(Target(data=data), settle_s=settle_s)
                verified = verification.compare(Subject(state=state, indexes=state.indexes))
                (found,) = verified.findings
                seconds = time.monotonic() - begun_s
            finally:
                writer.kill()
    return _Run(
        planted=planted,
        found={(each.key["pk"]["S"], str(each.kind)) for each in found.differences},
        looked_again=found.looked_again,
        undecided=len(found.undecided),
        seconds=seconds,
    )


def _fill(data: Path, items: int, chance: random.Random) -> None:
    engine = Engine(data)
    engine.execute(
        "CreateTable",
        {
            "TableName": _TABLE,
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "AttributeDefinitions": [
                {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "owner")
            ],
            "BillingMode": "PAY_PER_REQUEST",
            "GlobalSecondaryIndexes": [
                {
                    "IndexName": _INDEX,
                    "KeySchema": [{"AttributeName": "owner", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["at"]},
                }
            ],
        },
    )
    engine.load(
        _TABLE,
        [
            {
                "pk": {"S": f"p{number}"},
                "owner": {"S": f"o{chance.randrange(_OWNERS)}"},
                "at": {"N": str(chance.randrange(9))},
            }
            for number in range(items)
        ],
    )
    engine.close()


def _plant(data: Path, faulty: list[int]) -> set[tuple[str, str]]:
    """Spoil the entries of some items, a third each way; return (pk, difference)."""
    planted = set()
    with sqlite3.connect(data) as file:
        ((definition,),) = file.execute("SELECT definition FROM catalog").fetchall()
        store = f"i{json.loads(definition)['indexes'][0]['store']}"
        entries: dict[str, tuple[bytes, int, dict[str, Any]]] = {}
        for key, row, text in file.execute(f"SELECT k, item, data FROM {store}").fetchall():
            entry = json.loads(text)
            entries[entry["pk"]["S"]] = (key, row, entry)
        for number, item in enumerate(faulty):
            pk = f"p{item}"
            key, row, entry = entries[pk]
            match number % 3:
                case 0:
                    file.execute(f"DELETE FROM {store} WHERE k = ?", (key,))
                    planted.add((pk, "missing"))
                case 1:
                    changed = json.dumps({**entry, "at": {"N": "99"}})
                    file.execute(f"UPDATE {store} SET data = ? WHERE k = ?", (changed, key))
                    planted.add((pk, "differs"))
                case _:
                    extra = {**entry, "pk": {"S": f"x{item}"}}
                    stored = Keys(partition=("owner",)).stored(extra)
                    stored += Keys(partition=("pk",)).stored(extra)
                    file.execute(
                        f"INSERT INTO {store} VALUES (?, ?, 30, 30, ?)",
                        (stored, row, json.dumps(extra)),
                    )
                    planted.add((f"x{item}", "extra"))
    return planted
