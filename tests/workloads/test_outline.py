"""The outline of a measured workload, found by its digest, against the workload itself."""

from pathlib import Path

import pytest

from perfkit.workloads.loader import load
from perfkit.workloads.outline import outline

SHOP = Path(__file__).parents[2] / "examples" / "shop.toml"


def test_an_outline_says_what_the_workload_does() -> None:
    workload = load("courses")

    found = outline(workload.name, workload.digest)

    assert found is not None
    assert found.ttls_s == {
        each.name: None if each.cache is None else each.cache.ttl_s for each in workload.patterns
    }


def test_the_file_of_the_folder_is_found_by_its_digest(tmp_path: Path) -> None:
    content = SHOP.read_bytes() + b"# mine\n"
    (tmp_path / "perfkit.toml").write_bytes(content)

    found = outline("shop", load().digest)

    assert found is not None
    assert found.ttls_s["orders"] == 60
    assert found.ttls_s["review"] is None


def test_a_file_that_was_edited_is_another_workload(tmp_path: Path) -> None:
    (tmp_path / "perfkit.toml").write_bytes(SHOP.read_bytes())
    digest = load().digest
    (tmp_path / "perfkit.toml").write_bytes(SHOP.read_bytes() + b"# edited\n")

    assert outline("shop", digest) is None


MIXED = """
name = "mixed"
description = "A table that perfkit makes, beside one that is there"

[tables.Mine]
partition_key = "id"
items = 10
attributes = { id = { kind = "sequence", format = "M{}" } }

[tables.Theirs]
partition_key = { name = "id", type = "S" }

[tables.Theirs.indexes]
ByDay = { partition_key = { name = "day", type = "S" }, exists = true }
ByShop = { partition_key = { name = "shop", type = "S" } }

[patterns.by-key]
description = "One item"
table = "Theirs"
parameters = { id = "x" }
get = { id = ":id" }
"""


def test_it_tells_tables_that_exist_from_those_perfkit_makes(tmp_path: Path) -> None:
    (tmp_path / "perfkit.toml").write_text(MIXED)
    workload = load()

    found = outline("mixed", workload.digest)

    assert found is not None
    assert found.foreign == {table.name for table in workload.existing} == {"Theirs"}
    assert found.existing == {("Theirs", "ByDay")}
    # what index-cost could measure: nothing here
    assert not found.indexes
    assert any(table.indexes for table in workload.made) is found.indexes


@pytest.mark.parametrize("name", ["", "nobody", "../courses", "\0"])
def test_what_is_not_there_is_no_outline(name: str) -> None:
    assert outline(name, "0" * 64) is None
