"""Which tables are found to start from, in what state, and what is known of them."""

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from perfkit.dynamodb.client import embedded_client
from perfkit.dynamodb.discover import Discovered, find_tables, read_table
from perfkit.dynamodb.draft import write_draft
from perfkit.dynamodb.retries import Backoff, RetryingConnection
from perfkit.dynamodb.sample import SampleLimits
from perfkit.dynamodb.targets import Target
from perfkit.embedded.errors import DynamoDBError
from perfkit.errors import ConfigError


def create(name: str, count: int = 0) -> None:
    client = embedded_client()
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        ProvisionedThroughput={"ReadCapacityUnits": 7, "WriteCapacityUnits": 3},
        TableClass="STANDARD_INFREQUENT_ACCESS",
    )
    for number in range(count):
        client.put_item(TableName=name, Item={"id": {"S": f"{number}"}})


class Answering:
    """The embedded engine, with other answers here and there."""

    def __init__(self, **described: Mapping[str, Any]) -> None:
        self._engine = Target().connect()
        self._described = described
        self.may_list = True

    def execute(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        if operation == "ListTables" and not self.may_list:
            code = "AccessDeniedException"
            raise DynamoDBError(code, "not authorized to perform dynamodb:ListTables")
        answer = self._engine.execute(operation, request)
        if operation == "DescribeTable":
            answer["Table"] |= self._described.get(request["TableName"], {})
        return answer

    def close(self) -> None:
        self._engine.close()


def retrying(connection: Any) -> RetryingConnection:
    return RetryingConnection(connection, backoff=Backoff(pause=lambda _: None))


def written(found: Discovered) -> str:
    return write_draft(
        [found],
        name="Über uns!",
        source="y",
        target={"at": "aws"},
        written_at="now",
        skipped=["that is gone"],
    ).text


def test_tables_that_come_and_go_are_left_out_with_a_word() -> None:
    for name in ("coming", "going", "locked", "there"):
        create(name)
    answering = Answering(
        coming={"TableStatus": "CREATING"},
        going={"TableStatus": "DELETING"},
        locked={"TableStatus": "INACCESSIBLE_ENCRYPTION_CREDENTIALS"},
        there={"TableStatus": "UPDATING"},
    )

    found = find_tables(retrying(answering), Target())

    assert [table.name for table in found.tables] == ["there"]
    assert [text.split(":")[0] for text in found.skipped] == [
        "coming is being created",
        "going is being deleted",
        "locked is INACCESSIBLE_ENCRYPTION_CREDENTIALS",
    ]


def test_who_names_the_tables_need_not_be_allowed_to_list_them() -> None:
    create("there")
    answering = Answering()
    answering.may_list = False

    found = find_tables(retrying(answering), Target(), ["there", "there"])

    assert [table.name for table in found.tables] == ["there"]
    with pytest.raises(ConfigError, match=r"no table gone in .*; check the name"):
        find_tables(retrying(answering), Target(), ["gone"])


def test_counts_that_the_target_does_not_keep_are_not_made_up() -> None:
    """dynalite describes every table as empty."""
    create("there", 150)
    answering = Answering(there={"ItemCount": 0, "TableSizeBytes": 0})
    connection = retrying(answering)
    (table,) = find_tables(connection, Target()).tables

    found = read_table(connection, table, limits=SampleLimits(items=50))
    text = written(found)

    assert found.facts.items == 50
    assert found.facts.table_items is None
    assert "there: more than 50 items, how many the target does not say" in text
    assert "50 or more distinct" in text


def test_the_draft_says_how_a_table_is_billed_and_what_was_left_out() -> None:
    create("there", 3)
    connection = retrying(Target().connect())
    (table,) = find_tables(connection, Target()).tables

    found = read_table(connection, table, limits=SampleLimits())
    text = written(found)

    assert "# Standard infrequent access table class, provisioned 7 RCU and 3 WCU a second" in text
    assert "# Left out: that is gone." in text
    assert 'name = "ber-uns"' in text


def test_a_draft_says_names_that_an_endpoint_made_up_as_text_alone() -> None:
    create("there", 3)
    connection = retrying(Target().connect())
    (table,) = find_tables(connection, Target()).tables
    found = read_table(connection, table, limits=SampleLimits())
    evil = 'a" \n[target]\nat = "http://elsewhere" \x1b[2J\x7f\u2028'

    text = written(replace(found, table=replace(table, name=evil)))

    file = tomllib.loads(text)
    assert file["target"] == {"at": "aws"}
    assert list(file["tables"]) == [evil]
    assert all(letter.isprintable() or letter == "\n" for letter in text)
