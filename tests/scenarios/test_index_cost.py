"""What indexes take at each write: the scenario against figures worked out by hand, and boto3."""
# ruff: noqa: RUF001 - the signs that reports print

from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from perfkit.dynamodb.targets import Target
from perfkit.errors import UnknownScenarioError
from perfkit.report.build import build_report
from perfkit.report.plain import render_report
from perfkit.runs import Run, RunStore, WriteCost
from perfkit.scenarios.base import Context
from perfkit.scenarios.registry import find
from perfkit.workloads.loader import load, read

# 1,600 bytes an item: 2 units each; padding never changes, so no change makes an item larger
WIDE = b"""
name = "wide"
description = "Things of more than a kilobyte"

[tables.Things]
items = 300
item_size = 1600
partition_key = "id"

[tables.Things.attributes]
id     = { kind = "sequence", format = "T{:04}" }
kind   = { kind = "choice", values = ["aa", "bb", "cc"] }
colour = { kind = "choice", values = ["red0", "blue", "grey"] }
rest   = { kind = "padding" }

[tables.Things.indexes]
ByKind = { partition_key = "kind" }

[patterns.kind]
description = "Things of a kind"
table = "Things"
parameters = { kind = "aa" }
scan.filter = "kind = :kind"
query.index = "ByKind"
query.key_condition = "kind = :kind"
"""


def measure(content: bytes | Path) -> Run:
    workload = load(content) if isinstance(content, Path) else read(content, source="wide.toml")
    (scenario,) = find(workload, ["index-cost"])
    target = Target(data=Path("unused.sqlite3"))
    context = Context(
        workload=workload, client=None, target=target.describe(), where=target.name, source=target
    )
    return scenario.measure(context)


def cost_of(run: Run, index: str | None, projection: str = "") -> WriteCost:
    return next(
        each for each in run.write_costs if each.index == index and each.projection == projection
    )


@pytest.fixture(scope="module")
def wide() -> Run:
    return measure(WIDE)


def test_an_index_of_everything_takes_what_the_table_takes_and_twice_for_a_key(wide: Run) -> None:
    # 1,600 bytes are 2 units: inserted 2, view unchanged 0, non-key 2, key 2 + 2, deleted 2

    assert cost_of(wide, "ByKind", "ALL").units == {
        "insert": 2,
        "unchanged": 0,
        "update": 2,
        "key-change": 4,
        "delete": 2,
    }
    assert cost_of(wide, None).units == {"insert": 2, "unchanged": 2, "update": 2, "delete": 2}


def test_an_index_of_keys_only_is_small_and_never_minds_other_attributes(wide: Run) -> None:
    keys = cost_of(wide, "ByKind", "KEYS_ONLY")

    # id: 2 + 5, kind: 4 + 2
    assert keys.entry_bytes == 13
    assert keys.units == {"insert": 1, "unchanged": 0, "update": 0, "key-change": 2, "delete": 1}
    assert not keys.covers
    # 300 entries of 13 + 100 bytes
    assert keys.stored_bytes == pytest.approx(33_900)


def test_what_is_included_is_what_the_patterns_return(wide: Run) -> None:
    # the pattern returns whole items
    assert cost_of(wide, "ByKind", "INCLUDE").attributes == ("colour", "rest")
    assert cost_of(wide, "ByKind", "INCLUDE").covers

    narrow = measure(WIDE + b'returns = ["id", "colour"]\n')

    included = cost_of(narrow, "ByKind", "INCLUDE")
    assert included.attributes == ("colour",)
    # the name and its value are ten bytes more than the keys
    assert included.entry_bytes == 23
    # one attribute in two is in the view
    assert included.units["update"] == 0.5
    assert included.covers


def test_the_key_that_changes_is_one_that_can() -> None:
    """1,600 bytes are 2 units; a sort key that changes takes 2 to delete and 2 to put."""
    one_partition = WIDE.replace(b'"aa", "bb", "cc"', b'"aa"').replace(
        b'{ partition_key = "kind" }',
        b'{ partition_key = "kind", sort_key = "colour" }\n'
        b'ById = { partition_key = "id", sort_key = "colour" }',
    )

    run = measure(one_partition)

    assert cost_of(run, "ByKind", "ALL").units["key-change"] == 4
    assert cost_of(run, "ByKind", "KEYS_ONLY").units["key-change"] == 2
    assert cost_of(run, "ById", "ALL").units["key-change"] == 4


def test_an_index_of_the_tables_keys_alone_has_no_key_that_changes() -> None:
    inverted = WIDE.replace(b'{ partition_key = "kind" }', b'{ partition_key = "id" }')
    inverted = inverted.replace(b"kind = :kind", b"id = :kind")

    units = cost_of(measure(inverted), "ByKind", "ALL").units

    assert units == {"insert": 2, "unchanged": 0, "update": 2, "delete": 2}


def test_it_says_which_patterns_an_index_can_filter_for(wide: Run) -> None:
    # no filter, nothing to hold
    assert cost_of(wide, "ByKind", "KEYS_ONLY").filters == ("kind",)

    by_colour = measure(WIDE + b'names = { c = "colour" }\nquery.filter = "#c <> :kind"\n')

    assert cost_of(by_colour, "ByKind", "KEYS_ONLY").filters == ()
    assert cost_of(by_colour, "ByKind", "INCLUDE").filters == ("kind",)
    assert cost_of(by_colour, "ByKind", "ALL").filters == ("kind",)

    by_key = measure(WIDE + b'query.filter = "id <> :kind"\n')

    assert cost_of(by_key, "ByKind", "KEYS_ONLY").filters == ("kind",)


def test_the_units_are_those_that_boto3_sees(wide: Run, client: Any) -> None:
    """The facts' table: absent to present, view unchanged, non-key change, key change, gone."""
    client.create_table(
        TableName="Things",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "kind", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
        GlobalSecondaryIndexes=[
            {
                "IndexName": projection,
                "KeySchema": [{"AttributeName": "kind", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": projection},
            }
            for projection in ("ALL", "KEYS_ONLY")
        ],
    )

    def put(kind: str, colour: str) -> dict[str, float]:
        item = {"id": {"S": "T"}, "kind": {"S": kind}, "colour": {"S": colour}}
        item["rest"] = {"S": "x" * 1500}
        answer = client.put_item(TableName="Things", Item=item, ReturnConsumedCapacity="INDEXES")
        return units(answer)

    def units(answer: Any) -> dict[str, float]:
        indexes = answer["ConsumedCapacity"].get("GlobalSecondaryIndexes", {})
        return {name: each["CapacityUnits"] for name, each in indexes.items()}

    seen = {
        "insert": put("aa", "red0"),
        "unchanged": put("aa", "red0"),
        "update": put("aa", "blue"),
        "key-change": put("bb", "blue"),
    }
    gone = client.delete_item(
        TableName="Things", Key={"id": {"S": "T"}}, ReturnConsumedCapacity="INDEXES"
    )
    seen["delete"] = units(gone)

    for projection in ("ALL", "KEYS_ONLY"):
        measured = cost_of(wide, "ByKind", projection).units
        assert {kind: each.get(projection, 0) for kind, each in seen.items()} == measured


def test_an_index_that_few_items_are_in_is_measured_by_those() -> None:
    shop = measure(Path(__file__).parents[2] / "examples" / "shop.toml")

    keys = cost_of(shop, "OrdersToReview", "KEYS_ONLY")

    assert keys.entries_share < 0.01
    assert keys.declared
    assert keys.units["insert"] == 1
    # its only pattern needs no more than keys, so there is nothing to include
    assert "INCLUDE" not in {
        each.projection for each in shop.write_costs if each.index == "OrdersToReview"
    }


def test_a_workload_without_an_index_says_so() -> None:
    bare = WIDE[: WIDE.index(b"[tables.Things.indexes]")]

    with pytest.raises(
        UnknownScenarioError, match="no table that perfkit makes for wide has an index"
    ):
        find(read(bare, source="bare.toml"), ["index-cost"])


def test_the_target_is_left_alone(wide: Run) -> None:
    assert not Path("unused.sqlite3").exists()
    assert wide.warnings == ()


def test_a_saved_run_comes_back_and_is_shown(wide: Run, tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    loaded = store.load(store.save(wide))

    assert loaded.write_costs == wide.write_costs
    text = render_report(build_report([loaded], sections={"warnings", "index-cost"}), 100)
    assert "cannot show" not in text
    table = text[text.index("Write units") : text.index("≈ marks")]
    assert table == snapshot("""\
Write units of one write, and size¹
                                        write units
table   index               projection       insert  same again  update  key change  delete
-------------------------------------------------------------------------------------------
Things  (the table itself)                        2           2       2           –       2
        ByKind              ALL                   2           0       2           4       2
                            KEYS_ONLY²            1           0       0           2       1
                            INCLUDE               2           0       2           4       2

table   index               projection  ≈entries  mean entry  ≈stored³  asked by
--------------------------------------------------------------------------------
Things  (the table itself)                   300     1.60 kB    510 kB
        ByKind              ALL              300     1.60 kB    510 kB  kind
                            KEYS_ONLY²       300        13 B   33.9 kB  kind
                            INCLUDE          300     1.60 kB    510 kB  kind

""")
