"""docs/workloads.md says everything a file may say, and its example works."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from perfkit.errors import WorkloadError
from perfkit.workloads import schema
from perfkit.workloads.generator import ItemGenerator
from perfkit.workloads.kinds import KINDS, Section, WordStyle
from perfkit.workloads.loader import read
from perfkit.workloads.model import Workload

DOCS = (Path(__file__).parents[2] / "docs" / "workloads.md").read_text()
BLOCKS = re.findall(r"```toml\n(.*?)```", DOCS, re.DOTALL)


def sections() -> Iterator[type[Section]]:
    yield from KINDS.values()
    for value in vars(schema).values():
        if isinstance(value, type) and issubclass(value, Section):
            yield value


def test_every_key_and_kind_is_explained() -> None:
    explained = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`[^`\n]+`", DOCS))))
    keys = {
        field.alias or name
        for section in sections()
        if section is not Section
        for name, field in section.model_fields.items()
    }

    assert keys - explained == set()
    assert set(KINDS) - explained == set()
    assert set(WordStyle) - explained == set()


def test_the_worked_example_works() -> None:
    workload = read(BLOCKS[0].encode(), source="helpdesk.toml")

    generator = ItemGenerator(workload)
    tickets = list(generator.items("Tickets", 0, 20_000))
    open_tickets = sum(
        ticket["agent_id"] == {"S": "A042"} and ticket["state"] == {"S": "open"}
        for ticket in tickets
    )
    assert open_tickets == 25


def test_what_validate_prints_is_what_the_page_shows() -> None:
    workload = read(BLOCKS[0].encode(), source="helpdesk.toml")

    items = sum(table.items for table in workload.tables)
    assert f"{workload.name}, 2 tables, {items:,} items, 1 index, 2 access patterns" in DOCS


def test_what_is_wrong_is_said_as_the_page_shows() -> None:
    index = '[tables.Tickets.indexes.TicketsByAgent]\npartition_key = "agent'
    assert BLOCKS[0].count(index) == 1

    with pytest.raises(WorkloadError) as error:
        read(BLOCKS[0].replace(f"{index}_id", index).encode(), source="helpdesk.toml")

    assert f"\nError: {error.value}\n" in DOCS


def beginning(start: str) -> Workload:
    """Return the workload of the example that begins so."""
    block = next(block for block in BLOCKS if block.startswith(start))
    text = f'name = "shop"\ndescription = "A shop"\n{block}'
    return read(text.encode(), source="shop.toml")


def test_the_single_table_example_works() -> None:
    assert beginning("[tables.Shop]").table("Shop").items == 7_000


def test_the_example_of_a_table_that_exists_works() -> None:
    orders = beginning("[tables.Orders]").table("Orders")

    assert orders.exists
    assert [index.exists for index in orders.indexes] == [True, False]
