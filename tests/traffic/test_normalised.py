"""Fingerprints: the same for requests that differ in values only, and without any value."""

from typing import Any

import pytest

from perfkit.traffic.shapes import fingerprint_of


@pytest.mark.parametrize(
    ("operation", "request_", "text"),
    [
        pytest.param(
            "Query",
            {
                "TableName": "Orders",
                "IndexName": "by-status",
                "KeyConditionExpression": "#n0 = :v0 AND order_id BETWEEN :a AND :b",
                "FilterExpression": "contains(#n1, :c) OR x IN (:d, :e, :f)",
                "ExpressionAttributeNames": {"#n0": "status", "#n1": "note"},
                "ScanIndexForward": False,
            },
            "Query Orders.by-status: status = :v AND order_id BETWEEN :v AND :v;"
            " filter contains(note, :v) OR x IN (:v); backward",
            id="query",
        ),
        pytest.param(
            "UpdateItem",
            {
                "TableName": "arn:aws:dynamodb:us-east-1:123456789012:table/Carts",
                "UpdateExpression": "SET carts.#p.amount = if_not_exists(n, :z) + :q REMOVE old",
                "ConditionExpression": "attribute_exists(#pk) AND NOT closed = :t",
                "ExpressionAttributeNames": {"#p": "a-17@example.com", "#pk": "pk"},
            },
            "UpdateItem Carts: SET carts.*.amount = if_not_exists(n, :v) + :v REMOVE old;"
            " if attribute_exists(pk) AND (NOT closed = :v)",
            id="a name within a map may be data",
        ),
        pytest.param(
            "Scan",
            {
                "TableName": "Orders",
                "ScanFilter": {
                    "coupon": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "SPRING"}]}
                },
                "AttributesToGet": ["total", "coupon"],
            },
            "Scan Orders: filter coupon = :v; only coupon, total",
            id="parameters from before expressions",
        ),
        pytest.param(
            "ExecuteStatement",
            {
                "Statement": 'SELECT * FROM "Orders"."by-day"\n WHERE day = \'2026\' AND n IN [1, -2.5]'
            },
            'ExecuteStatement Orders.by-day: SELECT * FROM "Orders"."by-day" WHERE day = ?'
            " AND n IN [?]",
            id="partiql",
        ),
        pytest.param(
            "TransactWriteItems",
            {
                "TransactItems": [
                    {"Put": {"TableName": "B", "Item": {"pk": {"S": "1"}}}},
                    {"Put": {"TableName": "B", "Item": {"pk": {"S": "2"}}}},
                    {"Update": {"TableName": "A", "UpdateExpression": "ADD n :one"}},
                ]
            },
            "TransactWriteItems A + B: Put B; Update A ADD n :v",
            id="transaction",
        ),
        pytest.param(
            "Query",
            {
                "TableName": "T",
                "KeyConditionExpression": "pk == :secret AND m.#n = :x",
                "ExpressionAttributeNames": {"#n": "a@b"},
            },
            "Query T: pk == :v AND m.* = :v",
            id="what dynamodb will refuse",
        ),
    ],
)
def test_what_requests_have_in_common(operation: str, request_: dict[str, Any], text: str) -> None:
    assert fingerprint_of(operation, request_).text == text
