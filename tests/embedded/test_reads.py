"""Query and Scan: what they find, in which order, where pages end, what they refuse."""

from collections.abc import Callable
from typing import Any

import hypothesis
import pytest
from botocore.exceptions import ClientError
from hypothesis import strategies as st

from perfkit.embedded.ranges import segment_range

INVALID = "One or more parameter values were invalid: "
ONE = "1 validation error detected: "
START = "The provided starting key is invalid"
MISMATCH = "The provided key element does not match the schema"
BY_PK = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "a"}}}


def values(**given: Any) -> dict[str, Any]:
    """Return ExpressionAttributeValues; plain text stands for S, numbers for N."""

    def wire(value: Any) -> Any:
        if isinstance(value, str):
            return {"S": value}
        return {"N": str(value)} if isinstance(value, int) else value

    return {f":{name}": wire(value) for name, value in given.items()}


def condition(text: str, **given: Any) -> dict[str, Any]:
    request: dict[str, Any] = {"KeyConditionExpression": text}
    if given:
        request["ExpressionAttributeValues"] = values(**given)
    return request


def keep(text: str, **given: Any) -> dict[str, Any]:
    """Return the parameters of a filter; in a query ":p" belongs to the key condition."""
    request: dict[str, Any] = {"FilterExpression": text}
    if given:
        request["ExpressionAttributeValues"] = values(**given)
    return request


def column(items: list[dict[str, Any]], name: str) -> list[Any]:
    return [next(iter(item[name].values())) for item in items]


# ---- order and ranges --------------------------------------------------------------------

TEXTS = ["\x00", "A", "B", "Ba", "a", "a\x00", "a\x00b", "aa", "ab", "b", "z", "é", "￿", "𝄞"]
NUMBERS = ["-1E125", "-100", "-5", "-1.5", "-1", "-1E-130", "0", "1E-130", "0.5", "1", "1.5", "5",
           "10", "100", "9.9E125"]  # fmt: skip
BINARIES = [b"\x00", b"\x00\x00", b"\x01", b"\x01\x02", b"\x02", b"\x7f", b"\x80", b"\xff",
            b"\xff\x00", b"\xff\xff"]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "ordered"),
    [("S", TEXTS), ("N", NUMBERS), ("B", BINARIES)],
    ids=["text by UTF-8 bytes", "numbers by value", "binary by unsigned bytes"],
)
def test_sort_keys_order(
    client: Any, make_table: Callable[..., str], kind: str, ordered: list[Any]
) -> None:
    make_table("things", f"pk sk:{kind}")
    for place, key in enumerate(reversed(ordered)):
        item = {"pk": {"S": "a"}, "sk": {kind: key}, "place": {"N": str(len(ordered) - 1 - place)}}
        client.put_item(TableName="things", Item=item)

    forward = client.query(TableName="things", **BY_PK)["Items"]
    backward = client.query(TableName="things", ScanIndexForward=False, **BY_PK)["Items"]

    assert column(forward, "place") == [str(place) for place in range(len(ordered))]
    assert backward == forward[::-1]


@pytest.mark.parametrize(
    ("kind", "ordered"),
    [("S", TEXTS), ("N", NUMBERS), ("B", BINARIES)],
    ids=["text", "numbers", "binary"],
)
def test_every_bound_cuts_where_it_should(
    client: Any, make_table: Callable[..., str], kind: str, ordered: list[Any]
) -> None:
    """Zero bytes and keys that begin with others included."""
    make_table("things", f"pk sk:{kind}")
    for place, sort_key in enumerate(ordered):
        item = {"pk": {"S": "a"}, "sk": {kind: sort_key}, "place": {"N": str(place)}}
        client.put_item(TableName="things", Item=item)

    def found(text: str, *bounds: Any) -> list[int]:
        given = {f"x{number}": {kind: bound} for number, bound in enumerate(bounds)}
        page = client.query(TableName="things", **condition(f"pk = :p AND {text}", p="a", **given))
        return [int(place) for place in column(page["Items"], "place")]

    places = list(range(len(ordered)))
    for place, bound in enumerate(ordered):
        assert found("sk = :x0", bound) == [place]
        assert found("sk < :x0", bound) == places[:place]
        assert found("sk <= :x0", bound) == places[: place + 1]
        assert found("sk > :x0", bound) == places[place + 1 :]
        assert found("sk >= :x0", bound) == places[place:]
        assert found("sk BETWEEN :x0 AND :x1", ordered[0], bound) == places[: place + 1]
        if kind != "N":
            assert found("begins_with(sk, :x0)", bound) == [
                other for other in places if ordered[other].startswith(bound)
            ]


@pytest.fixture
def letters(client: Any, make_table: Callable[..., str]) -> str:
    """Return a table with the sort keys a, ab, abc, b, c in partition "a", and others beside."""
    make_table("letters", "pk sk")
    for pk in ("a", "aa", "b"):
        for sk in ("a", "ab", "abc", "b", "c"):
            client.put_item(TableName="letters", Item={"pk": {"S": pk}, "sk": {"S": sk}})
    return "letters"


@pytest.mark.parametrize(
    ("text", "given", "found"),
    [
        ("pk = :p", {}, ["a", "ab", "abc", "b", "c"]),
        ("pk = :p AND sk = :x", {"x": "ab"}, ["ab"]),
        ("pk = :p AND sk = :x", {"x": "zz"}, []),
        ("sk = :x AND pk = :p", {"x": "ab"}, ["ab"]),
        ("(pk = :p) AND (sk = :x)", {"x": "ab"}, ["ab"]),
        ("pk = :p AND sk < :x", {"x": "b"}, ["a", "ab", "abc"]),
        ("pk = :p AND sk <= :x", {"x": "b"}, ["a", "ab", "abc", "b"]),
        ("pk = :p AND sk > :x", {"x": "ab"}, ["abc", "b", "c"]),
        ("pk = :p AND sk >= :x", {"x": "ab"}, ["ab", "abc", "b", "c"]),
        ("pk = :p AND :x <= sk", {"x": "b"}, ["b", "c"]),
        ("pk = :p AND sk BETWEEN :x AND :y", {"x": "ab", "y": "b"}, ["ab", "abc", "b"]),
        ("pk = :p AND sk BETWEEN :x AND :y", {"x": "b", "y": "b"}, ["b"]),
        ("pk = :p AND begins_with(sk, :x)", {"x": "ab"}, ["ab", "abc"]),
        ("pk = :p AND begins_with(sk, :x)", {"x": ""}, ["a", "ab", "abc", "b", "c"]),
        ("pk = :p AND begins_with(sk, :x)", {"x": "x"}, []),
    ],
)
@pytest.mark.parametrize("forward", [True, False])
def test_key_conditions(
    client: Any, letters: str, text: str, given: dict[str, str], found: list[str], forward: bool
) -> None:
    page = client.query(
        TableName=letters, ScanIndexForward=forward, **condition(text, p="a", **given)
    )

    assert column(page["Items"], "sk") == (found if forward else found[::-1])
    assert set(column(page["Items"], "pk")) <= {"a"}
    assert "LastEvaluatedKey" not in page


def test_ranges_of_numbers_and_binary(client: Any, make_table: Callable[..., str]) -> None:
    make_table("numbers", "pk sk:N")
    make_table("blobs", "pk sk:B")
    for number in NUMBERS:
        client.put_item(TableName="numbers", Item={"pk": {"S": "a"}, "sk": {"N": number}})
    for blob in BINARIES:
        client.put_item(TableName="blobs", Item={"pk": {"S": "a"}, "sk": {"B": blob}})

    between = client.query(
        TableName="numbers", **condition("pk = :p AND sk BETWEEN :x AND :y", p="a", x=-1, y=1)
    )
    prefix = client.query(
        TableName="blobs",
        **condition("pk = :p AND begins_with(sk, :x)", p="a", x={"B": b"\xff"}),
    )
    above = client.query(
        TableName="blobs", **condition("pk = :p AND sk > :x", p="a", x={"B": b"\x01\x02"})
    )

    assert between["Count"] == 6
    assert column(prefix["Items"], "sk") == [b"\xff", b"\xff\x00", b"\xff\xff"]
    assert column(above["Items"], "sk") == BINARIES[4:]


# ---- shape of the answer -----------------------------------------------------------------


def test_an_empty_answer_has_exactly_these_members(client: Any, letters: str) -> None:
    page = client.query(TableName=letters, **condition("pk = :p", p="nobody"))

    page.pop("ResponseMetadata")
    assert page == {"Items": [], "Count": 0, "ScannedCount": 0}


def test_a_filter_shows_in_count_and_not_in_scanned_count(client: Any, letters: str) -> None:
    request = {**keep("contains(sk, :x)", x="b"), "TableName": letters}

    page = client.scan(**request)
    none = client.scan(TableName=letters, **keep("attribute_exists(gone)"))
    counted = client.scan(Select="COUNT", **request)

    assert (page["Count"], page["ScannedCount"], len(page["Items"])) == (9, 15, 9)
    assert (none["Count"], none["ScannedCount"], none["Items"]) == (0, 15, [])
    assert (counted["Count"], counted["ScannedCount"]) == (9, 15)
    assert "Items" not in counted


def test_a_scan_may_filter_on_keys_and_a_query_may_not(
    client: Any, letters: str, refused: Any
) -> None:
    assert client.scan(TableName=letters, **keep("pk = :x", x="aa"))["Count"] == 5

    for name in ("pk", "sk"):
        message = (
            "Filter Expression can only contain non-primary key attributes: Primary key"
            f" attribute: {name}"
        )
        with refused("ValidationException", message):
            client.query(
                TableName=letters,
                KeyConditionExpression="pk = :p",
                FilterExpression=f"{name} = :p",
                ExpressionAttributeValues=values(p="a"),
            )


def test_limit_counts_evaluated_items_and_an_exact_end_still_has_a_next_page(
    client: Any, letters: str
) -> None:
    filtered = client.query(
        TableName=letters,
        Limit=3,
        KeyConditionExpression="pk = :p",
        FilterExpression="attribute_exists(gone)",
        ExpressionAttributeValues=values(p="a"),
    )
    exact = client.query(TableName=letters, Limit=5, **BY_PK)
    after = client.query(
        TableName=letters, Limit=5, ExclusiveStartKey=exact["LastEvaluatedKey"], **BY_PK
    )
    more = client.query(TableName=letters, Limit=6, **BY_PK)

    assert (filtered["Count"], filtered["ScannedCount"]) == (0, 3)
    assert filtered["LastEvaluatedKey"] == {"pk": {"S": "a"}, "sk": {"S": "abc"}}
    assert exact["LastEvaluatedKey"] == {"pk": {"S": "a"}, "sk": {"S": "c"}}
    assert (after["Count"], "LastEvaluatedKey" in after) == (0, False)
    assert (more["Count"], "LastEvaluatedKey" in more) == (5, False)


@pytest.mark.parametrize("limit", [1, 2, 4, 5, 7])
@pytest.mark.parametrize("forward", [True, False])
def test_pages_join_to_the_whole(
    client: Any, letters: str, walk: Any, limit: int, forward: bool
) -> None:
    whole = client.query(TableName=letters, ScanIndexForward=forward, **BY_PK)["Items"]
    everything = client.scan(TableName=letters)["Items"]

    joined = walk(client.query, TableName=letters, Limit=limit, ScanIndexForward=forward, **BY_PK)
    scanned = walk(client.scan, TableName=letters, Limit=limit)

    assert joined == whole
    assert scanned == everything


def test_a_page_goes_on_where_a_range_was_left(client: Any, letters: str, walk: Any) -> None:
    request = condition("pk = :p AND sk BETWEEN :x AND :y", p="a", x="ab", y="c")

    for forward in (True, False):
        found = walk(client.query, TableName=letters, Limit=1, ScanIndexForward=forward, **request)
        expected = ["ab", "abc", "b", "c"]
        assert column(found, "sk") == (expected if forward else expected[::-1])


def test_a_page_may_start_after_a_key_that_is_gone(client: Any, letters: str) -> None:
    key = {"pk": {"S": "a"}, "sk": {"S": "ab"}}
    client.delete_item(TableName=letters, Key=key)

    page = client.query(TableName=letters, ExclusiveStartKey=key, **BY_PK)

    assert column(page["Items"], "sk") == ["abc", "b", "c"]


def test_a_page_ends_at_1_mb_whether_or_not_the_filter_keeps_anything(
    client: Any, make_table: Callable[..., str], walk: Any
) -> None:
    make_table("large", "pk sk:N")
    for number in range(20):
        item = {"pk": {"S": "a"}, "sk": {"N": str(number)}, "fill": {"S": "x" * 60_000}}
        client.put_item(TableName="large", Item=item)

    plain = client.query(TableName="large", **BY_PK)
    filtered = client.scan(TableName="large", **keep("attribute_not_exists(fill)"))
    projected = client.query(TableName="large", ProjectionExpression="sk", **BY_PK)
    joined = walk(client.query, TableName="large", **BY_PK)

    assert 17 <= plain["ScannedCount"] <= 18
    assert "LastEvaluatedKey" in plain
    assert (filtered["Count"], filtered["ScannedCount"]) == (0, plain["ScannedCount"])
    assert "LastEvaluatedKey" in filtered
    assert projected["ScannedCount"] == plain["ScannedCount"]
    assert column(joined, "sk") == [str(number) for number in range(20)]


def test_projections_leave_out_the_keys_unless_named(client: Any, letters: str) -> None:
    page = client.query(TableName=letters, Limit=1, ProjectionExpression="sk", **BY_PK)
    nothing = client.query(TableName=letters, Limit=1, ProjectionExpression="gone", **BY_PK)

    assert page["Items"] == [{"sk": {"S": "a"}}]
    assert nothing["Items"] == [{}]


# ---- parallel scans ----------------------------------------------------------------------


@pytest.mark.parametrize("total", [1, 2, 3, 7, 16])
@pytest.mark.parametrize("index", [None, "by-g"])
def test_segments_are_disjoint_and_complete(
    client: Any, make_table: Callable[..., str], walk: Any, total: int, index: str | None
) -> None:
    make_table("things", "pk sk:N", gsi={"by-g": ("g", "KEYS_ONLY")})
    expected = {(str(pk), str(sk)) for pk in range(20) for sk in range(3)}
    for start in range(0, 60, 20):
        writes = [
            {"PutRequest": {"Item": {"pk": {"S": pk}, "sk": {"N": sk}, "g": {"S": pk + sk}}}}
            for pk, sk in sorted(expected)[start : start + 20]
        ]
        client.batch_write_item(RequestItems={"things": writes})
    more = {} if index is None else {"IndexName": index}

    segments = [
        [
            (item["pk"]["S"], item["sk"]["N"])
            for item in walk(
                client.scan,
                TableName="things",
                Segment=segment,
                TotalSegments=total,
                Limit=4,
                **more,
            )
        ]
        for segment in range(total)
    ]

    together = [key for segment in segments for key in segment]
    assert len(together) == len(expected)
    assert set(together) == expected
    if total <= 3:
        assert all(segments)


@hypothesis.given(st.integers(1, 1_000_000), st.data())
def test_segments_join_without_a_gap(total: int, data: st.DataObject) -> None:
    segment = data.draw(st.integers(0, total - 1))
    first, last = segment_range(0, total), segment_range(total - 1, total)

    assert first.lower in (None, bytes(4))
    assert last.upper is None
    if segment:
        assert segment_range(segment - 1, total).upper == segment_range(segment, total).lower


# ---- indexes -----------------------------------------------------------------------------


@pytest.fixture
def indexed(client: Any, make_table: Callable[..., str]) -> str:
    """Return a table with items 0 to 9; "g" is number modulo 2, and 9 has no "g" or "l"."""
    make_table(
        "things",
        "pk sk",
        gsi={
            "all": ("g", "ALL"),
            "some": ("g n:N", ["data"]),
            "keys": ("g", "KEYS_ONLY"),
            # a key of the table may be a key of the index
            "turned": ("sk pk", "ALL"),
        },
        lsi={"local": ("pk l", ["data"]), "local-keys": ("pk n", "KEYS_ONLY")},
    )
    for number in range(10):
        item = {
            "pk": {"S": "a"},
            "sk": {"S": f"s{number}"},
            "n": {"N": str(-number)},
            "data": {"S": f"d{number}"},
            "rest": {"S": f"r{number}"},
        }
        if number < 9:
            item["g"] = {"S": f"g{number % 2}"}
            item["l"] = {"S": f"l{number // 3}"}
        client.put_item(TableName="things", Item=item)
    return "things"


def by_g(index: str, g: str = "g0") -> dict[str, Any]:
    return {"TableName": "things", "IndexName": index, **condition("g = :g", g=g)}


def test_a_sort_key_of_an_index_orders_it(client: Any, indexed: str) -> None:  # noqa: ARG001
    page = client.query(**by_g("some"))
    above = client.query(
        TableName="things", IndexName="some", **condition("g = :g AND n > :n", g="g0", n=-4)
    )

    assert column(page["Items"], "n") == ["-8", "-6", "-4", "-2", "0"]
    assert column(above["Items"], "n") == ["-2", "0"]


@pytest.mark.parametrize(
    ("index", "attributes"),
    [
        ("all", {"pk", "sk", "n", "data", "rest", "g", "l"}),
        ("some", {"pk", "sk", "g", "n", "data"}),
        ("keys", {"pk", "sk", "g"}),
    ],
)
def test_an_index_returns_what_it_projects(
    client: Any, indexed: str, index: str, attributes: set[str]
) -> None:
    queried = client.query(**by_g(index))["Items"]
    scanned = client.scan(TableName=indexed, IndexName=index)["Items"]
    chosen = client.query(Select="ALL_PROJECTED_ATTRIBUTES", **by_g(index))["Items"]

    assert all(item.keys() == attributes for item in [*queried, *scanned, *chosen])
    assert len(queried) == 5


def test_a_local_index_can_return_everything(client: Any, indexed: str) -> None:
    request = {"TableName": indexed, "IndexName": "local", **BY_PK}

    projected = client.query(**request)["Items"]
    everything = client.query(Select="ALL_ATTRIBUTES", ConsistentRead=True, **request)["Items"]
    fetched = client.query(ProjectionExpression="rest, l", **request)["Items"]

    assert projected[0].keys() == {"pk", "sk", "l", "data"}
    assert everything[0].keys() == {"pk", "sk", "n", "data", "rest", "g", "l"}
    assert column(fetched, "rest") == [f"r{number}" for number in range(9)]


def test_items_without_a_key_attribute_are_not_in_the_index(client: Any, indexed: str) -> None:
    counts = {
        index: client.scan(TableName=indexed, IndexName=index)["Count"]
        for index in ("all", "some", "keys", "turned", "local", "local-keys")
    }

    assert counts == {"all": 9, "some": 9, "keys": 9, "turned": 10, "local": 9, "local-keys": 10}


def test_an_item_enters_moves_in_and_leaves_an_index(client: Any, indexed: str) -> None:
    key = {"pk": {"S": "a"}, "sk": {"S": "s9"}}

    def members() -> list[list[str]]:
        return [column(client.query(**by_g("all", g))["Items"], "sk") for g in ("g0", "g1")]

    def change(expression: str, **given: Any) -> None:
        more = {"ExpressionAttributeValues": values(**given)} if given else {}
        client.update_item(TableName=indexed, Key=key, UpdateExpression=expression, **more)

    outside = members()
    change("SET g = :g", g="g1")
    entered = members()
    change("SET g = :g", g="g0")
    moved = members()
    change("REMOVE g")

    assert "s9" not in outside[0] + outside[1]
    assert entered == [outside[0], [*outside[1], "s9"]]
    assert moved == [[*outside[0], "s9"], outside[1]]
    assert members() == outside


@pytest.mark.parametrize(
    ("index", "request_", "names"),
    [
        ("all", condition("g = :g", g="g0"), {"pk", "sk", "g"}),
        ("some", condition("g = :g", g="g0"), {"pk", "sk", "g", "n"}),
        ("turned", condition("sk = :g", g="s1"), {"pk", "sk"}),
        ("local", BY_PK, {"pk", "sk", "l"}),
    ],
)
def test_a_last_key_has_the_keys_of_table_and_index_once(
    client: Any, indexed: str, index: str, request_: dict[str, Any], names: set[str]
) -> None:
    page = client.query(TableName=indexed, IndexName=index, Limit=1, **request_)

    assert page["LastEvaluatedKey"].keys() == names


@pytest.mark.parametrize("index", ["all", "some", "keys", "local", "turned"])
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_ties_in_an_index_are_paged_through_once(
    client: Any, indexed: str, walk: Any, index: str, limit: int
) -> None:
    whole = client.scan(TableName=indexed, IndexName=index)["Items"]

    paged = walk(client.scan, TableName=indexed, IndexName=index, Limit=limit)

    assert paged == whole


def test_a_query_with_both_keys_of_an_index_goes_on_through_ties(
    client: Any, indexed: str, walk: Any
) -> None:
    found = walk(
        client.query,
        TableName=indexed,
        IndexName="local",
        Limit=1,
        **condition("pk = :p AND l = :l", p="a", l="l1"),
    )

    assert column(found, "sk") == ["s3", "s4", "s5"]


def test_a_global_index_may_be_filtered_by_the_tables_keys(client: Any, indexed: str) -> None:
    page = client.query(
        TableName=indexed,
        IndexName="all",
        KeyConditionExpression="g = :g",
        FilterExpression="sk > :s",
        ExpressionAttributeValues=values(g="g0", s="s4"),
    )

    assert column(page["Items"], "sk") == ["s6", "s8"]


# ---- several attributes in an index key --------------------------------------------------


@pytest.fixture
def compound(client: Any, make_table: Callable[..., str]) -> str:
    """Return a table whose index has two partition and three sort attributes."""
    make_table("trips", "pk", gsi={"by-day": ("land town / y:N m:N d:N", "ALL")})
    for number in range(24):
        item = {
            "pk": {"S": f"p{number:02}"},
            "land": {"S": "x"},
            "town": {"S": "y" if number < 20 else "other"},
            "y": {"N": str(2020 + number // 12)},
            "m": {"N": str(number % 12)},
            "d": {"N": str(number % 3)},
        }
        if number == 5:
            del item["d"]
        client.put_item(TableName="trips", Item=item)
    return "trips"


IN_TOWN = {"land": "x", "town": "y"}


@pytest.mark.parametrize(
    ("text", "given", "found"),
    [
        ("", {}, [n for n in range(20) if n != 5]),
        (" AND y = :y", {"y": 2021}, list(range(12, 20))),
        (" AND y > :y", {"y": 2020}, list(range(12, 20))),
        (" AND y = :y AND m BETWEEN :m AND :n", {"y": 2020, "m": 3, "n": 7}, [3, 4, 6, 7]),
        (" AND m = :m AND y = :y", {"y": 2020, "m": 3}, [3]),
        (" AND y = :y AND m = :m AND d <= :d", {"y": 2021, "m": 2, "d": 2}, [14]),
        (" AND y = :y AND m = :m AND d < :d", {"y": 2021, "m": 2, "d": 2}, []),
    ],
)
def test_compound_keys(
    client: Any, compound: str, walk: Any, text: str, given: dict[str, int], found: list[int]
) -> None:
    request = {
        "TableName": compound,
        "IndexName": "by-day",
        **condition(f"land = :land AND town = :town{text}", **IN_TOWN, **given),
    }

    page = client.query(**request)
    paged = walk(client.query, Limit=2, **request)

    assert column(page["Items"], "pk") == [f"p{number:02}" for number in found]
    assert paged == page["Items"]


def test_a_last_key_has_every_attribute_of_a_compound_key(client: Any, compound: str) -> None:
    page = client.scan(TableName=compound, IndexName="by-day", Limit=1)

    assert page["LastEvaluatedKey"].keys() == {"pk", "land", "town", "y", "m", "d"}


@pytest.mark.parametrize(
    ("text", "given", "lacking", "given_last"),
    [
        (" AND m = :m", {"m": 1}, "y", "m"),
        (" AND y > :y AND m = :m", {"y": 1, "m": 1}, "y", "m"),
        (" AND d = :d", {"d": 1}, "y, m", "d"),
    ],
)
def test_compound_sort_keys_are_given_from_the_left(
    client: Any,
    compound: str,
    refused: Any,
    text: str,
    given: dict[str, int],
    lacking: str,
    given_last: str,
) -> None:
    message = (
        f"RANGE key attributes {lacking} must have equality conditions specified in the query"
        f" because a condition is present on key attribute {given_last}"
    )

    with refused("ValidationException", message):
        client.query(
            TableName=compound,
            IndexName="by-day",
            **condition(f"land = :land AND town = :town{text}", **IN_TOWN, **given),
        )


def test_every_partition_attribute_must_be_given(client: Any, compound: str, refused: Any) -> None:
    with refused("ValidationException", "Query condition missed key schema element: town"):
        client.query(TableName=compound, IndexName="by-day", **condition("land = :l", l="x"))


# ---- refusals ----------------------------------------------------------------------------

KCE = "Invalid KeyConditionExpression: "
NO_INDEX = "The table does not have the specified index: nothing"
SCALARS = (
    "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed"
)
TYPE = f"{INVALID}Condition parameter type does not match schema type"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        pytest.param(condition("sk = :v", v="x"), "Query condition missed key schema element: pk",
                     id="no partition key"),
        pytest.param(condition("pk = :v AND x = :v", v="x"),
                     "Query condition missed key schema element: sk", id="not the sort key"),
        pytest.param(condition("pk = :v AND sk = :v AND x = :v", v="x"),
                     "The number of query conditions (3) exceeds the number of key attributes"
                     " defined in the schema (2)", id="three conditions"),
        pytest.param(condition("x = :v AND y = :v AND z = :v", v="x"),
                     "Query condition missed key schema element: pk",
                     id="three conditions, none on the partition key"),
        pytest.param(condition("pk > :v", v="x"), "Query key condition not supported",
                     id="partition key with >"),
        pytest.param(condition("pk > :v", v=1), TYPE, id="wrong type before wrong operator"),
        pytest.param(condition("pk = :v", v={"BOOL": True}), TYPE, id="boolean partition key"),
        pytest.param(condition("pk = :v AND sk = :w", v="x", w=1), TYPE, id="numeric sort key"),
        pytest.param(
            condition("pk = :v", v=""),
            "One or more parameter values are not valid. The AttributeValue for a key attribute"
            " cannot contain an empty string value. Key: pk", id="empty partition key"),
        pytest.param({**BY_PK, "IndexName": "nothing"}, NO_INDEX, id="missing index"),
        pytest.param({"IndexName": "all", "ConsistentRead": True, **condition("g = :g", g="x")},
                     "Consistent reads are not supported on global secondary indexes",
                     id="strong read of a global index"),
        pytest.param({"IndexName": "some", "ProjectionExpression": "rest",
                      **condition("g = :g", g="x")},
                     f"{INVALID}Global secondary index some does not project [rest]",
                     id="attribute a global index lacks"),
        pytest.param({"IndexName": "some", "Select": "ALL_ATTRIBUTES",
                      **condition("g = :g", g="x")},
                     f"{INVALID}Select type ALL_ATTRIBUTES is not supported for global secondary"
                     " index some because its projection type is not ALL",
                     id="all attributes of a global index"),
        pytest.param({"KeyConditionExpression": "pk = :p", "FilterExpression": "l.x = :p",
                      "ExpressionAttributeValues": values(p="x")},
                     f"{SCALARS}: IndexKey: l", id="filter into an index key"),
    ],
)  # fmt: skip
def test_query_refuses_what_does_not_fit_the_table(
    client: Any, indexed: str, refused: Any, request_: dict[str, Any], message: str
) -> None:
    with refused("ValidationException", message):
        client.query(TableName=indexed, **request_)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        pytest.param({}, None, id="no condition"),
        pytest.param(condition("pk = :missing", v="x"),
                     f"{KCE}An expression attribute value used in expression is not defined;"
                     " attribute value: :missing", id="undefined value"),
        pytest.param(condition("pk = :v AND begins_with(sk, :n)", v="x", n=1),
                     f"{KCE}Incorrect operand type for operator or function; operator or function:"
                     " begins_with, operand type: N", id="begins_with a number"),
        pytest.param(condition("pk = :v AND :b >= sk", v="x", b={"BOOL": True}),
                     f"{KCE}Incorrect operand type for operator or function; operator or function:"
                     " >=, operand type: BOOL", id="boolean bound"),
        pytest.param(condition("pk = :v AND begins_with(sk, :n) AND sk = :missing", v="x", n=1),
                     f"{KCE}Incorrect operand type for operator or function; operator or function:"
                     " begins_with, operand type: N", id="the first problem from the left"),
        pytest.param(condition("pk = :v AND pk = :v", v="x"),
                     f"{KCE}KeyConditionExpressions must only contain one condition per key",
                     id="one key twice"),
        pytest.param(condition("pk = :v OR sk = :v", v="x"),
                     f"{KCE}Invalid operator used in KeyConditionExpression: OR", id="OR"),
        pytest.param(condition("pk = :v AND contains(sk, :v)", v="x"),
                     f"{KCE}Invalid operator used in KeyConditionExpression: contains",
                     id="contains"),
        pytest.param(condition("((pk = :v))", v="x"),
                     f"{KCE}The expression has redundant parentheses;", id="parentheses"),
        pytest.param(condition("pk = :v AND sk BETWEEN :b AND :a", v="x", a="a", b="b"),
                     f"{KCE}The BETWEEN operator requires upper bound to be greater than or equal"
                     " to lower bound; lower bound operand: AttributeValue: {S:b}, upper bound"
                     " operand: AttributeValue: {S:a}", id="range upside down"),
        pytest.param({**BY_PK, "ExpressionAttributeNames": {"#unused": "x"}},
                     "Value provided in ExpressionAttributeNames unused in expressions: keys:"
                     " {#unused}", id="unused name"),
        pytest.param({**BY_PK, "Select": "INVALID"},
                     f"{ONE}Value 'INVALID' at 'select' failed to satisfy constraint: Member must"
                     " satisfy enum value set: [SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES,"
                     " ALL_PROJECTED_ATTRIBUTES]", id="bad Select"),
        pytest.param({**BY_PK, "Limit": 0},
                     f"{ONE}Value at 'Limit' failed to satisfy constraint: Member must have value"
                     " greater than or equal to 1", id="limit 0"),
        pytest.param({**BY_PK, "Select": "SPECIFIC_ATTRIBUTES"},
                     f"{ONE}Must specify the AttributesToGet or ProjectionExpression when choosing"
                     " to get SPECIFIC_ATTRIBUTES", id="specific attributes, none named"),
        pytest.param(condition("pk = :v", v={"N": ""}),
                     "The parameter cannot be converted to a numeric value: ", id="bad number"),
        pytest.param(condition("pk = :v", v={"SS": ["b", "a", "b"]}),
                     f'{INVALID}Input collection ["a", "b", "b"] contains duplicates.',
                     id="bad set"),
        pytest.param({**BY_PK, "ProjectionExpression": "a, a.b"},
                     "Invalid ProjectionExpression: Two document paths overlap with each other;"
                     " must remove or rewrite one of these paths; path one: [a], path two: [a, b]",
                     id="overlapping projection"),
    ],
)  # fmt: skip
def test_query_refuses_bad_requests_before_it_looks_for_the_table(
    client: Any, refused: Any, request_: dict[str, Any], message: str | None
) -> None:
    with refused("ValidationException", message):
        client.query(TableName="nothing", **request_)


@pytest.mark.parametrize(
    ("more", "part"),
    [
        ({"Select": "ALL_ATTRIBUTES"}, "when choosing to get ALL_ATTRIBUTES"),
        ({"Select": "COUNT"}, "when choosing to get only the Count"),
        ({"Select": "ALL_PROJECTED_ATTRIBUTES"}, "when choosing to get ALL_PROJECTED_ATTRIBUTES"),
    ],
)
def test_a_projection_excludes_other_choices(
    client: Any, letters: str, refused: Any, more: dict[str, Any], part: str
) -> None:
    for read, request in ((client.query, BY_PK), (client.scan, {})):
        with refused(part=f"Cannot specify the ProjectionExpression {part}"):
            read(TableName=letters, ProjectionExpression="sk", **request, **more)


def test_projected_attributes_need_an_index(client: Any, letters: str, refused: Any) -> None:
    with refused(part="ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"):
        client.scan(TableName=letters, Select="ALL_PROJECTED_ATTRIBUTES")


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        pytest.param({"Segment": 0},
                     "The TotalSegments parameter is required but was not present in the request"
                     " when Segment parameter is present", id="segment alone"),
        pytest.param({"TotalSegments": 2},
                     "The Segment parameter is required but was not present in the request when"
                     " parameter TotalSegments is present", id="total alone"),
        pytest.param({"Segment": 5, "TotalSegments": 5},
                     "The Segment parameter is zero-based and must be less than parameter"
                     " TotalSegments: Segment: 5 is not less than TotalSegments: 5",
                     id="segment too large"),
        pytest.param({"Segment": -1, "TotalSegments": 5},
                     f"{ONE}Value at 'Segment' failed to satisfy constraint: Member must have value"
                     " greater than or equal to 0", id="negative segment"),
        pytest.param({"Segment": 0, "TotalSegments": 1_000_001}, None, id="too many segments"),
        pytest.param({"Limit": 0},
                     f"{ONE}Value at 'Limit' failed to satisfy constraint: Member must have value"
                     " greater than or equal to 1", id="limit 0"),
        pytest.param(keep("begins_with(v, :n)", n=1),
                     "Invalid FilterExpression: Incorrect operand type for operator or function;"
                     " operator or function: begins_with, operand type: N", id="begins_with"),
        pytest.param(keep("((v = :n))", n=1),
                     "Invalid FilterExpression: The expression has redundant parentheses;",
                     id="parentheses"),
        pytest.param(keep("#missing = :n", n=1),
                     "Invalid FilterExpression: An expression attribute name used in the document"
                     " path is not defined; attribute name: #missing", id="undefined name"),
        pytest.param({"ExpressionAttributeValues": values(n=1)},
                     "ExpressionAttributeValues can only be specified when using expressions:"
                     " FilterExpression is null", id="values without a filter"),
        # a scan still answers in the older wording
        pytest.param(keep("v = :n", n={"N": ""}),
                     "ExpressionAttributeValues contains invalid value: The parameter cannot be"
                     " converted to a numeric value for key :n", id="bad number"),
        pytest.param(keep("v = :n", n={"SS": ["b", "a", "b"]}),
                     "ExpressionAttributeValues contains invalid value: One or more parameter"
                     " values were invalid: Input collection [b, a, b] contains duplicates. for"
                     " key :n", id="bad set"),
    ],
)  # fmt: skip
def test_scan_refuses_bad_requests_before_it_looks_for_the_table(
    client: Any, refused: Any, request_: dict[str, Any], message: str | None
) -> None:
    with refused("ValidationException", message):
        client.scan(TableName="nothing", **request_)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"IndexName": "nothing"}, NO_INDEX),
        (
            {"IndexName": "all", "ConsistentRead": True},
            "Consistent reads are not supported on global secondary indexes",
        ),
        (keep("sk.x = :n", n=1), f"{SCALARS}: Key: sk"),
    ],
)
def test_scan_refuses_what_does_not_fit_the_table(
    client: Any, indexed: str, refused: Any, request_: dict[str, Any], message: str
) -> None:
    with refused("ValidationException", message):
        client.scan(TableName=indexed, **request_)


@pytest.mark.parametrize(
    ("index", "request_"),
    [("some", condition("g = :v", v="g0")), ("local", condition("pk = :v", v="a"))],
    ids=["global", "local"],
)
def test_a_filter_on_what_an_index_lacks(
    client: Any, indexed: str, refused: Any, index: str, request_: dict[str, Any]
) -> None:
    message = (
        f"{INVALID}Secondary index {index} does not project one or more filter attributes: [rest]"
    )
    filtered = {"FilterExpression": "attribute_exists(rest)", "IndexName": index}

    with refused("ValidationException", message):
        client.query(TableName=indexed, **filtered, **request_)
    # a scan sees the attribute missing
    assert client.scan(TableName=indexed, **filtered)["Count"] == 0
    # and a local index that fetches whole items sees it
    if index == "local":
        found = client.query(TableName=indexed, Select="ALL_ATTRIBUTES", **filtered, **request_)
        assert found["Count"] == 9


@pytest.mark.parametrize("more", [{}, {"IndexName": "all"}, {"IndexName": "some"}])
def test_counting_goes_page_by_page_too(client: Any, indexed: str, more: dict[str, Any]) -> None:
    request = {"TableName": indexed, "Select": "COUNT", "Limit": 4, **more}
    counts = []
    while True:
        page = client.scan(**request)
        counts.append((page["Count"], page["ScannedCount"]))
        if "LastEvaluatedKey" not in page:
            break
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    assert counts == [(4, 4), (4, 4), (1, 1) if more else (2, 2)]


@pytest.mark.parametrize("limit", [5.5, "5", True, 10**30])
def test_a_limit_is_a_whole_number(client: Any, letters: str, limit: Any) -> None:
    with pytest.raises(ClientError) as caught:
        client.scan(TableName=letters, Limit=limit)

    assert caught.value.response["Error"]["Code"] == "SerializationException"


@pytest.mark.parametrize("operation", ["query", "scan"])
def test_a_missing_table(client: Any, refused: Any, operation: str) -> None:
    request = BY_PK if operation == "query" else {}

    with refused("ResourceNotFoundException", "Requested resource not found"):
        getattr(client, operation)(TableName="nothing", **request)


# ---- starting keys -----------------------------------------------------------------------

KEY = {"pk": {"S": "a"}, "sk": {"S": "s3"}}


@pytest.mark.parametrize(
    ("request_", "start", "message"),
    [
        pytest.param(BY_PK, {"bad": {"S": "x"}}, START, id="another name"),
        pytest.param(BY_PK, {"pk": {"S": "a"}}, START, id="no sort key"),
        pytest.param(BY_PK, {**KEY, "x": {"S": "x"}}, START, id="one too many"),
        pytest.param(BY_PK, {**KEY, "pk": {"N": "1"}}, MISMATCH, id="wrong partition type"),
        pytest.param(BY_PK, {**KEY, "sk": {"N": "1"}}, MISMATCH, id="wrong sort type"),
        pytest.param(
            BY_PK, {**KEY, "pk": {"S": "b"}},
            "The provided starting key is outside query boundaries based on provided conditions",
            id="another partition",
        ),
        pytest.param(
            condition("pk = :p AND sk > :s", p="a", s="s5"), KEY,
            "The provided starting key does not match the range key predicate", id="before range",
        ),
        pytest.param(
            condition("pk = :p AND sk > :s", p="b", s="s5"), KEY,
            "The provided starting key does not match the range key predicate",
            id="before range and another partition",
        ),
        pytest.param(
            condition("pk = :p AND sk > :s", p="b", s="s1"), KEY,
            "The query can return at most one row and cannot be restarted",
            id="in range and another partition",
        ),
        pytest.param(
            {"IndexName": "all", **condition("g = :g", g="g0")}, KEY, START,
            id="index key missing",
        ),
        pytest.param(
            {"IndexName": "all", **condition("g = :g", g="g0")},
            {"g": {"S": "g0"}, "pk": {"S": "a"}, "sk": {"N": "1"}}, f"{START}: {MISMATCH}",
            id="wrong type of the table's key",
        ),
        pytest.param(
            BY_PK, {"pk": {"S": "a"}, "sk": {}},
            f"{START}: Supplied AttributeValue is empty, must contain exactly one of the supported"
            " datatypes", id="no value",
        ),
        pytest.param(
            BY_PK, {"pk": {"S": "a"}, "sk": {"N": "x"}},
            "The parameter cannot be converted to a numeric value: x", id="no number",
        ),
    ],
)  # fmt: skip
def test_query_refuses_a_wrong_starting_key(
    client: Any, indexed: str, refused: Any, request_: dict[str, Any], start: Any, message: str
) -> None:
    with refused("ValidationException", message):
        client.query(TableName=indexed, ExclusiveStartKey=start, **request_)


def test_scan_refuses_a_wrong_starting_key(client: Any, indexed: str, refused: Any) -> None:
    with refused(part=START):
        client.scan(TableName=indexed, ExclusiveStartKey={"bad": {"S": "x"}})
    page = client.scan(TableName=indexed, Limit=1)
    owner = next(
        segment
        for segment in range(4)
        if client.scan(TableName=indexed, Segment=segment, TotalSegments=4)["Count"]
    )
    stranger = (owner + 1) % 4
    message = (
        f"{START}: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct Segment."
        f" TotalSegments: 4 Segment: {stranger}"
    )
    with refused("ValidationException", message):
        client.scan(
            TableName=indexed,
            Segment=stranger,
            TotalSegments=4,
            ExclusiveStartKey=page["LastEvaluatedKey"],
        )
