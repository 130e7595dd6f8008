"""Twins: private files that go, and figures against the same index really created."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.twin import NAME, predict, random_case
from perfkit.capacity import Item
from perfkit.dynamodb.index_items import Reason
from perfkit.dynamodb.retries import RetryingConnection
from perfkit.dynamodb.sample import SampledItem, SampleLimits, take_sample
from perfkit.dynamodb.tables import Keys, describe
from perfkit.dynamodb.twin import Twin
from perfkit.dynamodb.twin_figures import TableTwin, query_units
from perfkit.migrate.figures import figures_of
from perfkit.migrate.plan import Range
from perfkit.workloads.model import Index, Key, Projection, Table

BY_KIND = Index(
    name="by-kind",
    partition_keys=(Key(name="kind", type="S"),),
    sort_keys=(),
    projection=Projection.ALL,
)
THINGS = Table(
    name=NAME,
    partition_key=Key(name="pk", type="S"),
    sort_key=None,
    indexes=(BY_KIND,),
    entities=(),
)


def thing(number: int, **more: dict[str, str]) -> Item:
    return {"pk": {"S": f"{number:04}"}, **more}


def test_only_its_owner_may_read_a_twin_and_it_goes(tmp_path: Path) -> None:
    with Twin(tmp_path) as twin:
        twin.make_table(NAME, Keys.of(THINGS))
        twin.load(NAME, [thing(1)])
        # one more is empty, and only locked
        files = [each for each in twin.path.parent.iterdir() if each.stat().st_size]

        assert len(files) > 1, "SQLite's own files are not there to look at"
        assert {each.stat().st_mode & 0o777 for each in files} == {0o600}
        assert twin.path.parent.stat().st_mode & 0o777 == 0o700

    assert not list(tmp_path.iterdir())


def test_a_twin_closed_twice_closes_no_file_of_another(tmp_path: Path) -> None:
    twin = Twin(tmp_path)
    twin.close()
    # they have the lowest numbers that are free
    others = [(tmp_path / str(number)).open("wb") for number in range(8)]

    twin.close()

    for other in others:
        other.write(b"x")
        other.close()
    assert [Path(other.name).read_bytes() for other in others] == [b"x"] * 8


@pytest.mark.processes
def test_the_twin_of_a_killed_process_goes_when_the_next_is_made(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from perfkit.dynamodb.twin import Twin;"
        "twin = Twin(Path(sys.argv[1])); print('made', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        (left,) = tmp_path.iterdir()
        with Twin(tmp_path):
            assert left.exists(), "the twin of a process that runs was removed"
        process.send_signal(signal.SIGKILL)
    assert left.exists()

    with Twin(tmp_path) as twin:
        assert list(tmp_path.iterdir()) == [twin.path.parent]
        assert twin.path.parent.name.startswith(f"perfkit-twin-{os.getpid()}-")


def test_a_whole_twin_counts_what_an_index_holds_and_leaves_out(tmp_path: Path) -> None:
    items = [
        *(thing(number, kind={"S": "book"}, text={"S": "x" * 1000}) for number in range(10)),
        thing(20),
        thing(21, kind={"N": "7"}),
        thing(22, kind={"S": ""}),
    ]

    with Twin(tmp_path) as file:
        twin = TableTwin(file, THINGS, Keys.of(THINGS))
        twin.fill((SampledItem(item=each, size_bytes=0, segment=0) for each in items), whole=True)
        twin.scale()
        twin.index()
        figures = twin.entries("by-kind")
        asked = twin.ask(
            {
                "TableName": NAME,
                "IndexName": "by-kind",
                "KeyConditionExpression": "kind = :kind",
                "ExpressionAttributeValues": {":kind": {"S": "book"}},
            }
        )

    assert figures.entries.value == 10
    # pk 2 + 4, kind 4 + 4, text 4 + 1,000; 100 more of each entry are stored
    assert figures.entry_bytes == 1018
    assert figures.stored_bytes.value == 10 * 1118
    assert figures.violating.value == 2
    assert {(each.reason, count) for each, count in figures.left_out.items()} == {
        (Reason.MISSING, 1),
        (Reason.TYPE, 1),
        (Reason.EMPTY, 1),
    }
    # 10,180 bytes are three blocks of 4 KB at half a unit
    assert asked.read_units.value == asked.read_units.low == asked.read_units.high == 1.5
    assert asked.items_read.value == 10


@pytest.mark.parametrize(
    ("size_bytes", "units"), [(0, 0.5), (4096, 0.5), (4097, 1.0), (1_048_576, 128.0)]
)
def test_one_page_is_rounded_up_as_a_whole(size_bytes: int, units: float) -> None:
    assert query_units(size_bytes) == query_units(size_bytes, at_most=True) == units


def test_predictions_hold_what_the_index_then_takes() -> None:
    asked = [each for seed in (35, 38, 44) for each in predict(random_case(seed, 1500), 200)[0]]

    inside = sum(each.holds for each in asked)
    narrow = sum(each.predicted.read_units.high < 20 * each.units for each in asked)

    # of 60 intervals of 95% that hold 97% by the benchmark, fewer than 54 come once in 10,000 times
    assert inside >= 54
    assert narrow > len(asked) / 2, "intervals so wide that they say nothing"


def test_a_twin_and_a_plan_say_the_same_of_an_index(tmp_path: Path) -> None:
    """Of 3,000 items in 20 partitions, the largest a third of them, every fiftieth has a kind."""
    keys = replace(THINGS, sort_key=Key(name="sk", type="N"))
    items: list[Item] = [
        {"pk": {"S": f"p{min(number % 64, 20)}"}, "sk": {"N": str(number)}}
        | ({"kind": {"S": "book"}} if number % 50 == 0 else {})
        | ({"text": {"S": "x" * 9000}} if number % 19 == 0 else {})
        for number in range(3000)
    ]
    with Twin(tmp_path) as source, Twin(tmp_path) as file:
        source.make_table(NAME, Keys.of(keys))
        source.load(NAME, items)
        connection = RetryingConnection(source.connection)
        state = describe(connection, NAME)
        assert state is not None
        sample = take_sample(
            connection, state, limits=SampleLimits(items=1000), whole_segments=True
        )
        twin = TableTwin(file, keys, Keys.of(keys))
        twin.fill(sample.items)
        twin.scale(sample.facts)
        held = twin.entries("by-kind")
        plan = figures_of(keys, BY_KIND, sample, book=None, backfill_wcu=None, writes_hz=None)

    assert not sample.facts.whole
    assert Range.of(held.entries) == plan.entries
    assert Range.of(held.stored_bytes) == plan.stored_bytes
    # what is stored is of these very entries
    assert held.stored_bytes.value == pytest.approx(held.entries.value * (held.entry_bytes + 100))
    assert held.entries.low <= 60 <= held.entries.high


@pytest.mark.parametrize(("partitions", "least", "most"), [(20, 0.05, 0.25), (1000, 0.003, 0.01)])
def test_few_violations_may_be_those_of_a_partition_key_that_was_not_seen(
    tmp_path: Path, partitions: int, least: float, most: float
) -> None:
    """3 of 1,000 sampled items violate; of 3,000 items are as many in each partition."""
    keys = replace(THINGS, sort_key=Key(name="sk", type="N"))
    with Twin(tmp_path) as source, Twin(tmp_path) as file:
        source.make_table(NAME, Keys.of(keys))
        source.load(
            NAME,
            [
                {
                    "pk": {"S": f"p{number % (3 * partitions)}"},
                    "sk": {"N": str(number)},
                    "kind": {"N": "1"} if number % 333 == 0 else {"S": "book"},
                }
                for number in range(3000)
            ],
        )
        connection = RetryingConnection(source.connection)
        state = describe(connection, NAME)
        assert state is not None
        sample = take_sample(
            connection, state, limits=SampleLimits(items=1000), whole_segments=True, seed=2
        )
        twin = TableTwin(file, keys, Keys.of(keys))
        twin.fill(sample.items)
        twin.scale(sample.facts)
        found = twin.entries("by-kind").violating

    assert 1 <= found.low <= 10 <= found.high
    assert least < found.high / 3000 < most
