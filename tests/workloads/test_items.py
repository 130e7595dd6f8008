"""The items a workload makes: the same ones always, of the right size, true to what the file says."""

import json
import subprocess
import sys
import tracemalloc
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfkit.capacity import Item, attribute_value_size, item_size
from perfkit.embedded.values import normalize_item
from perfkit.errors import ConfigError, WorkloadError
from perfkit.workloads import draws
from perfkit.workloads.bounds import largest_bytes
from perfkit.workloads.generator import ItemGenerator
from perfkit.workloads.loader import load, read
from perfkit.workloads.model import Workload

NOTES = Path(__file__).with_name("notes.toml")

HEAD = """
name = "things"
description = "Things"
[tables.Things]
partition_key = "id"
"""


def things(attributes: str, *, items: int = 1000, more: str = "") -> Workload:
    """Return a workload of one table whose items have an id and *attributes*."""
    text = f"""{HEAD}
items = {items}
{more}
[tables.Things.attributes]
id = {{ kind = "sequence" }}
{attributes}
"""
    return read(text.encode(), source="things.toml")


def make(workload: Workload, table: str = "Things", **options: Any) -> list[Item]:
    generator = ItemGenerator(workload, **options)
    return list(generator.items(table, 0, generator.count(table)))


def values(items: list[Item], name: str) -> list[str]:
    """Return the text of an attribute in every item that has it."""
    return [next(iter(item[name].values())) for item in items if name in item]


def test_an_item_is_the_same_alone_and_in_any_range() -> None:
    generator = ItemGenerator(load(NOTES))

    items = list(generator.items("Notes", 0, 100))

    assert [generator.item("Notes", index) for index in reversed(range(100))] == items[::-1]
    assert list(generator.items("Notes", 37, 61)) == items[37:61]
    assert list(ItemGenerator(load(NOTES)).items("Notes", 0, 100)) == items


@pytest.mark.processes
def test_another_process_makes_the_same_items() -> None:
    program = (
        "import json; from perfkit.workloads.loader import load; "
        "from perfkit.workloads.generator import ItemGenerator; "
        f"print(json.dumps(ItemGenerator(load({str(NOTES)!r})).item('Notes', 42)))"
    )

    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)

    assert json.loads(done.stdout) == ItemGenerator(load(NOTES)).item("Notes", 42)


def test_items_are_pinned_so_that_a_new_release_makes_the_same() -> None:
    """A table seeded by one release must be recognised by the next."""
    item = ItemGenerator(load(NOTES), random_seed=7).item("Notes", 42)

    item["body"]["S"] = item["body"]["S"][:24]
    assert item == {
        "note_id": {"N": "43"},
        "page": {"N": "4"},
        "author_id": {"S": "A8"},
        "color": {"S": "red"},
        "status": {"S": "carry"},
        "pinned_at": {"N": "1759133100"},
        "label": {"S": "red/carry"},
        "body": {"S": "dar market verse point r"},
    }


def test_another_seed_makes_other_items() -> None:
    workload = load(NOTES)

    assert make(workload, "Notes") != make(workload, "Notes", random_seed=2)


def test_a_range_beyond_the_items_is_refused() -> None:
    generator = ItemGenerator(load(NOTES))

    with pytest.raises(IndexError, match="Notes has 100 items, there is no range from 99 to 101"):
        generator.items("Notes", 99, 101)
    with pytest.raises(IndexError):
        generator.item("Notes", -1)


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf")])
def test_a_scale_must_be_above_nothing(scale: float) -> None:
    with pytest.raises(ConfigError, match="scale must be above 0"):
        ItemGenerator(load(NOTES), scale=scale)


def test_scale_multiplies_every_count_and_keeps_at_least_one_item() -> None:
    workload = things("", items=30)

    counts = [ItemGenerator(workload, scale=scale).count("Things") for scale in (0.001, 0.5, 1, 10)]

    assert counts == [1, 15, 30, 300]


def test_a_table_without_items_stays_empty() -> None:
    assert make(things("", items=0), scale=10) == []


def test_facts_hold_at_every_scale_and_seed() -> None:
    workload = load(NOTES)

    for scale in (0.001, 0.1, 1, 3):
        for seed in (1, 2):
            items = make(workload, "Notes", scale=scale, random_seed=seed)
            red = [
                item
                for item in items
                if item["author_id"] == {"S": "A7"} and item["color"] == {"S": "red"}
            ]
            assert len(red) == 3, (scale, seed)


def test_a_small_scale_keeps_the_items_that_facts_refer_to() -> None:
    generator = ItemGenerator(load(NOTES), scale=0.001)

    assert generator.count("Notes") == 3
    assert generator.count("Authors") == 7
    assert generator.item("Authors", 6)["author_id"] == {"S": "A7"}


def test_the_items_of_a_fact_are_spread_over_the_table() -> None:
    workload = things(
        'color = { kind = "choice", values = ["red", "green", "blue"] }',
        items=10_000,
        more='exactly = [{ items = 10, where = { color = "red" } }]',
    )

    places = [n for n, item in enumerate(make(workload)) if item["color"] == {"S": "red"}]

    assert len(places) == 10
    assert min(b - a for a, b in pairwise(places)) > 300


def test_facts_apart_each_hold_exactly() -> None:
    workload = things(
        'color = { kind = "choice", values = ["red", "green"] }\n'
        'size = { kind = "integer", min = 1, max = 3, format = "{:02}" }\n'
        'sold = { kind = "boolean" }',
        more="exactly = [\n"
        '{ items = 5, where = { color = "red", size = "02" } },\n'
        "{ items = 7, where = { sold = true, size = '03' } },\n"
        "{ items = 0, where = { color = 'green', sold = false } },\n"
        "]",
    )

    items = make(workload)

    def count(**where: Any) -> int:
        return sum(
            all(item[k] in ({"S": v}, {"BOOL": v}) for k, v in where.items()) for item in items
        )

    assert count(color="red", size="02") == 5
    assert count(sold=True, size="03") == 7
    assert count(color="green", sold=False) == 0


def test_facts_that_leave_no_values_are_an_error_and_not_a_hang() -> None:
    workload = things(
        'color = { kind = "choice", values = ["red", "green"] }',
        more='exactly = [{ items = 1, where = { color = "red" } },'
        ' { items = 1, where = { color = "green" } }]',
    )

    with pytest.raises(WorkloadError, match="no values left for item 0 beside those that exactly"):
        make(workload)


@pytest.mark.parametrize(
    ("size", "allowed"),
    [
        pytest.param("100", {100}, id="exactly"),
        pytest.param("{ min = 100, max = 130 }", set(range(100, 131)), id="between"),
        pytest.param("{ choice = [100, 150_000] }", {100, 150_000}, id="one of"),
    ],
)
def test_items_have_the_size_asked_for(size: str, allowed: set[int]) -> None:
    workload = things(
        'n = { kind = "integer", min = -5, max = 5_000_000 }\n'
        'word = { kind = "words", min = 1, max = 3, present = 0.5 }\n'
        '"größe" = "ü"\n'
        '"füllung" = { kind = "padding" }',
        items=300,
        more=f"item_size = {size}",
    )

    sizes = {item_size(item) for item in make(workload)}

    assert sizes <= allowed
    assert len(sizes) > len(allowed) / 2


def test_sizes_agree_with_one_worked_by_hand() -> None:
    workload = things(
        '"größe" = "ü"\nflag = true\nprice = 1.50\nfiller = { kind = "padding" }',
        items=9,
        more="item_size = 64",
    )

    item = ItemGenerator(workload).item("Things", 0)

    # names: id 2, größe 7, flag 4, price 5, filler 6; values: 1 -> 2, ü 2, true 1, 1.5 -> 3
    assert len(item["filler"]["S"]) == 64 - (2 + 7 + 4 + 5 + 6) - (2 + 2 + 1 + 3)
    assert item["price"] == {"N": "1.5"}
    assert list(item) == ["id", "größe", "flag", "price", "filler"]


def test_an_item_that_outgrows_its_size_at_a_large_scale_is_an_error() -> None:
    workload = things('filler = { kind = "padding" }', items=9, more="item_size = 10")

    assert len(make(workload)) == 9
    with pytest.raises(
        WorkloadError, match=r"tables.Things.item_size: item 100 would be 1 bytes larger"
    ):
        make(workload, scale=100)


def test_values_that_run_out_at_a_large_scale_are_an_error() -> None:
    workload = things('n = { kind = "integer", min = 1, max = 1500, unique = true }')

    assert sorted(values(make(workload), "n")) != []
    with pytest.raises(WorkloadError, match="n has 1,500 unique values, too few for 2,000 items"):
        ItemGenerator(workload, scale=2)


def test_unique_values_are_all_different_and_within_their_range() -> None:
    workload = things(
        'n = { kind = "integer", min = 5, max = 1004, unique = true }\n'
        't = { kind = "timestamp", min = 2025-01-01, max = 2025-01-02, unique = true }\n'
        'other = { kind = "reference", attribute = "n", unique = true }'
    )

    items = make(workload)

    assert sorted(map(int, values(items, "n"))) == list(range(5, 1005))
    assert len(set(values(items, "t"))) == 1000
    assert sorted(values(items, "other")) == sorted(values(items, "n"))


def test_decimals_timestamps_words_and_formats_look_as_asked() -> None:
    workload = things(
        'd = { kind = "decimal", min = -1.5, max = 1.5, places = 1 }\n'
        'e = { kind = "timestamp", min = 2025-01-01T00:00:00+02:00, max = 2025-01-01, epoch = true }\n'
        't = { kind = "timestamp", min = 2025-01-01, max = 2025-01-01T00:00:09 }\n'
        's = { kind = "words", min = 2, max = 9, style = "sentence" }\n'
        'w = { kind = "words", min = 3, max = 3, style = "title" }\n'
        'f = { kind = "sequence", format = "<{:04}>", start = 8 }\n'
        'b = { kind = "template", format = "{flag}:{f}" }\n'
        'flag = { kind = "boolean", probability = 0.25 }'
    )

    items = make(workload)

    assert {float(text) for text in values(items, "d")} == {n / 10 for n in range(-15, 16)}
    assert all(1735682400 <= int(text) <= 1735689600 for text in values(items, "e"))
    assert set(values(items, "t")) == {f"2025-01-01T00:00:{s:02}Z" for s in range(10)}
    assert all(text[0].isupper() and text.endswith(".") for text in values(items, "s"))
    assert {text.count(" ") for text in values(items, "s")} == set(range(1, 9))
    assert all(text.istitle() and text.count(" ") == 2 for text in values(items, "w"))
    assert values(items, "f")[:2] == ["<0008>", "<0009>"]
    assert set(values(items, "b")) <= {
        f"{f}:{v}" for f in ("true", "false") for v in values(items, "f")
    }
    assert 200 < sum(item["flag"]["BOOL"] for item in items) < 300


def test_every_item_is_as_the_service_would_give_it_back() -> None:
    """Numbers in canonical form: what is read back equals what was written."""
    workload = things(
        'd = { kind = "decimal", min = -0.9, max = 300, places = 3 }\n'
        'i = { kind = "integer", min = -3, max = 100 }\n'
        'c = { kind = "choice", values = [1.50, 100, 1e3, 2.0, -0.0, 12345678901234567890.123456789012345678] }\n'
        'e = { kind = "timestamp", min = 1969-01-01, max = 2025-01-01, epoch = true }'
    )

    for item in make(workload):
        assert normalize_item(item) == item


def test_weights_and_presence_hold_on_average() -> None:
    workload = things(
        'c = { kind = "choice", values = ["x", "y", "z"], weights = [1, 2, 7] }\n'
        'p = { kind = "integer", min = 1, max = 2, present = 0.3 }\n'
        'q = { kind = "template", format = "{c}{p}", present = 0.5 }',
        items=10_000,
    )

    items = make(workload)

    counts = Counter(values(items, "c"))
    assert counts["x"] == pytest.approx(1000, abs=150)
    assert counts["y"] == pytest.approx(2000, abs=200)
    assert len(values(items, "p")) == pytest.approx(3000, abs=200)
    assert len(values(items, "q")) == pytest.approx(1500, abs=150)
    assert all("p" in item for item in items if "q" in item)
    # presence does not lean on the value
    assert Counter(values(items, "p"))["1"] == pytest.approx(1500, abs=150)


def test_references_name_items_that_exist_at_every_scale() -> None:
    workload = load(NOTES)

    for scale in (0.01, 1, 5):
        authors = set(values(make(workload, "Authors", scale=scale), "author_id"))
        assert set(values(make(workload, "Notes", scale=scale), "author_id")) <= authors


def test_a_reference_to_any_attribute_gives_a_value_that_one_item_has() -> None:
    workload = things(
        'color = { kind = "choice", values = ["red", "green", "blue"] }\n'
        'name = { kind = "template", format = "{color}-{id}" }\n'
        'friend = { kind = "reference", attribute = "name" }',
        more='exactly = [{ items = 1, where = { color = "blue" } }]',
    )

    items = make(workload)

    assert set(values(items, "friend")) <= set(values(items, "name"))


def test_popular_items_are_drawn_more_often_and_lie_apart() -> None:
    workload = things(
        'friend = { kind = "reference", zipf = 1.0 }',
        items=20_000,
    )

    counts = Counter(values(make(workload), "friend"))

    top = counts.most_common(3)
    # rank 1 of 20,000 has 1 / H(20000) = 9.5% of the draws, rank 2 half of that, rank 3 a third
    assert [count for _, count in top] == [
        pytest.approx(20_000 * 0.0954 / rank, rel=0.15) for rank in (1, 2, 3)
    ]
    ids = sorted(int(name) for name, _ in counts.most_common(10))
    assert min(b - a for a, b in pairwise(ids)) > 500


@pytest.mark.parametrize("exponent", [0.3, 0.7, 1.0, 1.0000001, 1.5, 4.0])
def test_zipf_draws_follow_the_law(exponent: float) -> None:
    count, drawn = 50, 20_000
    draw = draws.zipf(draws.key_for("test"), count, exponent)

    counts = Counter(draw(index, 0) for index in range(drawn))

    weights = [rank**-exponent for rank in range(1, count + 1)]
    expected = [drawn * weight / sum(weights) for weight in weights]
    terms = [(counts[k] - e) ** 2 / e for k, e in enumerate(expected) if e > 5]
    # chi-square with n degrees of freedom has mean n and variance 2 n
    assert sum(terms) < len(terms) + 5 * (2 * len(terms)) ** 0.5
    assert set(counts) <= set(range(count))


@given(count=st.integers(1, 10**18), exponent=st.floats(1e-6, 50), index=st.integers(0, 10**9))
def test_zipf_draws_stay_within_any_count(count: int, exponent: float, index: int) -> None:
    assert 0 <= draws.zipf(index, count, exponent)(index, 0) < count


@given(key=st.integers(0, 2**64 - 1), count=st.integers(1, 2000))
def test_a_permutation_reaches_every_number_once(key: int, count: int) -> None:
    place = draws.permutation(key, count)

    assert sorted(map(place, range(count))) == list(range(count))


@given(key=st.integers(0, 2**64 - 1), count=st.integers(1, 10**18), index=st.integers(0, 10**12))
def test_uniform_draws_stay_within_their_count(key: int, count: int, index: int) -> None:
    assert 0 <= draws.uniform(key, count)(index, 0) < count


def test_draws_of_neighbours_do_not_hang_together() -> None:
    bits = [draws.mix(draws.key_for("a"), index) for index in range(2000)]

    flips = [(a ^ b).bit_count() for a, b in pairwise(bits)]

    assert sum(flips) / len(flips) == pytest.approx(32, abs=0.5)
    assert len(set(bits)) == 2000


KINDS = st.sampled_from(
    [
        '{ kind = "sequence" }',
        '{ kind = "sequence", format = "Ü{:03}", start = 98 }',
        '{ kind = "choice", values = ["a", "ää", "b"] }',
        '{ kind = "choice", values = [1, -2.5, 1000000, 99] }',
        '{ kind = "integer", min = -99, max = 1000 }',
        '{ kind = "integer", min = 0, max = 1000, format = "I{}" }',
        '{ kind = "decimal", min = -0.555, max = 0.2, places = 3 }',
        '{ kind = "timestamp", min = 1960-01-01, max = 2025-01-01 }',
        '{ kind = "timestamp", min = 1960-01-01, max = 2025-01-01, epoch = true }',
        '{ kind = "words", min = 1, max = 4, style = "sentence" }',
        '{ kind = "boolean" }',
        '{ kind = "template", format = "{id}/{{}}/{id}" }',
        '{ kind = "reference", zipf = 1.2 }',
        '"constant"',
        "-12.50",
        "true",
    ]
)


@settings(max_examples=40, deadline=None)
@given(kinds=st.lists(KINDS, min_size=1, max_size=4), seed=st.integers(0, 5))
def test_no_value_is_larger_than_the_bound_that_validation_uses(
    kinds: list[str], seed: int
) -> None:
    workload = things("\n".join(f"a{n} = {kind}" for n, kind in enumerate(kinds)), items=120)
    (entity,) = workload.table("Things").entities
    bounds = {a.name: largest_bytes(workload, entity, a) for a in entity.attributes}

    for item in make(workload, random_seed=seed):
        for name, value in item.items():
            assert attribute_value_size(value) <= bounds[name]


def test_memory_does_not_grow_with_the_number_of_items() -> None:
    workload = load("courses")
    generator = ItemGenerator(workload, scale=10)
    next(generator.items("Enrollments", 0, 1))

    tracemalloc.start()
    try:
        for _ in generator.items("Enrollments", 400_000, 403_000):
            pass
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    # three thousand items are three million bytes
    assert peak_bytes < 500_000


COLLECTIONS = """
name = "collections"
description = "Lists, sets and maps"
[tables.Things]
items = 200
item_size = 700
partition_key = "id"
exactly = [{ items = 7, where = { path = ["a", 1] } }]
[tables.Things.attributes]
id = { kind = "sequence" }
path = { kind = "choice", values = [["a", 1], ["b"]] }
tags = { kind = "list", of = { kind = "words", min = 1, max = 2 }, min = 0, max = 5, present = 0.5 }
# the last is hardly ever drawn
colours = { kind = "set", of = { kind = "choice", values = ["red", "green", "blue"], weights = [1, 1, 1e-9] }, min = 2, max = 3 }
digits = { kind = "set", of = { kind = "integer", min = 1, max = 9 }, min = 9, max = 9 }
place = { kind = "map", attributes = { city = "Oslo", floors = { kind = "list", of = { kind = "integer", min = 1, max = 9 }, min = 1, max = 1 }, lift = { kind = "boolean", present = 0.5 } } }
fixed = { M = { raw = { B = "AQI=" }, none = { NULL = true } } }
body = { kind = "padding" }
"""


def test_lists_sets_and_maps_are_made_and_filled_up_to_their_size() -> None:
    workload = read(COLLECTIONS.encode(), source="collections.toml")
    items = list(ItemGenerator(workload).items("Things", 0, 200))

    assert sum(item["path"] == {"L": [{"S": "a"}, {"N": "1"}]} for item in items) == 7
    assert {len(item["tags"]["L"]) for item in items if "tags" in item} == set(range(6))
    assert 70 < sum("tags" in item for item in items) < 130
    assert {len(item["colours"]["SS"]) for item in items} == {2, 3}
    assert all(sorted(item["digits"]["NS"]) == list("123456789") for item in items)
    assert {frozenset(item["place"]["M"]) for item in items} == {
        frozenset({"city", "floors"}),
        frozenset({"city", "floors", "lift"}),
    }
    assert all(item["fixed"]["M"]["raw"] == {"B": "AQI="} for item in items)
    assert {item_size(item) for item in items} == {700}
