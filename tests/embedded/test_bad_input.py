"""Requests of any shape: whatever part of a good request is replaced, the answer is DynamoDB's."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfkit.embedded import Engine
from perfkit.embedded.engine import _OPERATIONS
from perfkit.embedded.transport import answer

KEY = {"pk": {"S": "a"}, "sk": {"N": "1"}}
TARGET = {"TableName": "things", "Key": KEY}
CREATE: dict[str, Any] = {
    "TableName": "things",
    "BillingMode": "PROVISIONED",
    "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "N"},
        {"AttributeName": "g", "AttributeType": "B"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-g",
            "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["v"]},
            "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
        }
    ],
    "LocalSecondaryIndexes": [
        {
            "IndexName": "local",
            "KeySchema": [
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "g", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
    "SSESpecification": {"Enabled": True},
    "Tags": [{"Key": "stage", "Value": "test"}],
    "TableClass": "STANDARD",
    "DeletionProtectionEnabled": False,
    "OnDemandThroughput": {"MaxReadRequestUnits": 1, "MaxWriteRequestUnits": 1},
}
CONDITION = {
    "ConditionExpression": "#v = :v",
    "ExpressionAttributeNames": {"#v": "v"},
    "ExpressionAttributeValues": {":v": {"L": [{"S": "x"}]}},
    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
}
CHOICES = {"ReturnConsumedCapacity": "INDEXES", "ReturnItemCollectionMetrics": "SIZE"}
ITEM = {
    **KEY,
    "g": {"B": "AAEC"},
    "v": {"M": {"n": {"NS": ["1", "2"]}, "l": {"L": [{"NULL": True}, {"BOOL": False}]}}},
}
ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/things"
READ = {
    "TableName": "things",
    "FilterExpression": "attribute_exists(#v)",
    "ProjectionExpression": "#v.n, g",
    "ExpressionAttributeNames": {"#v": "v"},
    "ExclusiveStartKey": KEY,
    "Limit": 3,
    "Select": "SPECIFIC_ATTRIBUTES",
    "ConsistentRead": True,
    "ReturnConsumedCapacity": "TOTAL",
}

GOOD: dict[str, dict[str, Any]] = {
    "BatchGetItem": {
        "RequestItems": {
            "things": {
                "Keys": [KEY],
                "ConsistentRead": True,
                "ProjectionExpression": "#v",
                "ExpressionAttributeNames": {"#v": "v"},
            }
        },
        "ReturnConsumedCapacity": "TOTAL",
    },
    "BatchWriteItem": {
        "RequestItems": {
            "things": [
                {"PutRequest": {"Item": {**ITEM, "sk": {"N": "3"}}}},
                {"DeleteRequest": {"Key": KEY}},
            ]
        },
        **CHOICES,
    },
    "CreateTable": {**CREATE, "TableName": "another"},
    "DeleteItem": {**TARGET, **CONDITION, **CHOICES, "ReturnValues": "ALL_OLD"},
    "DeleteTable": {"TableName": "things"},
    "DescribeContinuousBackups": {"TableName": "things"},
    "DescribeContributorInsights": {"TableName": "things", "IndexName": "by-g"},
    "DescribeEndpoints": {},
    "DescribeKinesisStreamingDestination": {"TableName": "things"},
    "DescribeLimits": {},
    "DescribeTable": {"TableName": "things"},
    "DescribeTimeToLive": {"TableName": "things"},
    "GetItem": {
        **TARGET,
        "ConsistentRead": True,
        "ProjectionExpression": "#v",
        "ExpressionAttributeNames": {"#v": "v"},
        "ReturnConsumedCapacity": "TOTAL",
    },
    "GetResourcePolicy": {"ResourceArn": ARN},
    "ListTables": {"Limit": 5, "ExclusiveStartTableName": "abc"},
    "ListTagsOfResource": {"ResourceArn": ARN, "NextToken": "x"},
    "PutItem": {
        "TableName": "things",
        "Item": ITEM,
        **CONDITION,
        **CHOICES,
        "ReturnValues": "ALL_OLD",
    },
    "Query": {
        **READ,
        "KeyConditionExpression": "pk = :p AND sk > :s",
        "ExpressionAttributeValues": {":p": {"S": "a"}, ":s": {"N": "0"}},
        "ScanIndexForward": False,
    },
    "Scan": {**READ, "Segment": 0, "TotalSegments": 1},
    "TagResource": {"ResourceArn": ARN, "Tags": [{"Key": "a", "Value": "b"}]},
    "TransactGetItems": {
        "TransactItems": [
            {
                "Get": {
                    **TARGET,
                    "ProjectionExpression": "#v",
                    "ExpressionAttributeNames": {"#v": "v"},
                }
            }
        ],
        "ReturnConsumedCapacity": "TOTAL",
    },
    "TransactWriteItems": {
        "TransactItems": [
            {"Put": {"TableName": "things", "Item": ITEM, **CONDITION}},
            {"Delete": {"TableName": "things", "Key": {**KEY, "sk": {"N": "2"}}}},
            {
                "Update": {
                    "TableName": "things",
                    "Key": {**KEY, "sk": {"N": "3"}},
                    "UpdateExpression": "SET n = :n",
                    "ExpressionAttributeValues": {":n": {"N": "1"}},
                }
            },
            {"ConditionCheck": {"TableName": "things", "Key": {**KEY, "sk": {"N": "4"}}, **CONDITION}},
        ],
        "ClientRequestToken": "token",
        **CHOICES,
    },
    "UntagResource": {"ResourceArn": ARN, "TagKeys": ["a"]},
    "UpdateItem": {
        **TARGET,
        **CONDITION,
        **CHOICES,
        "UpdateExpression": "SET n = if_not_exists(n, :n) REMOVE w ADD s :s",
        "ExpressionAttributeValues": {
            ":n": {"N": "1"},
            ":s": {"SS": ["a"]},
            ":v": {"S": "x"},
        },
        "ReturnValues": "ALL_NEW",
    },
    "UpdateTable": {
        "TableName": "things",
        "AttributeDefinitions": [{"AttributeName": "h", "AttributeType": "S"}],
        "BillingMode": "PROVISIONED",
        "ProvisionedThroughput": {"ReadCapacityUnits": 6, "WriteCapacityUnits": 6},
        "GlobalSecondaryIndexUpdates": [
            {
                "Create": {
                    "IndexName": "by-h",
                    "KeySchema": [{"AttributeName": "h", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                    "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
                }
            },
            {"Update": {"IndexName": "by-g", "ProvisionedThroughput": {"ReadCapacityUnits": 9, "WriteCapacityUnits": 9}}},
        ],
        "StreamSpecification": {"StreamEnabled": False},
        "DeletionProtectionEnabled": False,
    },
    "UpdateTimeToLive": {
        "TableName": "things",
        "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "expires"},
    },
}  # fmt: skip

EQUAL = {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "a"}]}
EXPECTED = {
    "Expected": {
        "n": {"Exists": False},
        "v": {"Value": {"M": {"n": {"NS": ["1", "2"]}}}},
        "w": {"ComparisonOperator": "BETWEEN", "AttributeValueList": [{"N": "1"}, {"N": "2"}]},
    },
    "ConditionalOperator": "OR",
}
LEGACY_READ = {
    "TableName": "things",
    "AttributesToGet": ["v", "pk"],
    "ConditionalOperator": "AND",
}
FILTER = {"v": {"ComparisonOperator": "NOT_NULL"}, "w": EQUAL}

# the same in parameters from before expressions
LEGACY: list[tuple[str, dict[str, Any]]] = [
    ("GetItem", {**TARGET, "AttributesToGet": ["v"]}),
    ("BatchGetItem", {"RequestItems": {"things": {"Keys": [KEY], "AttributesToGet": ["v"]}}}),
    ("PutItem", {"TableName": "things", "Item": ITEM, **EXPECTED}),
    ("DeleteItem", {**TARGET, **EXPECTED}),
    (
        "UpdateItem",
        {
            **TARGET,
            **EXPECTED,
            "AttributeUpdates": {
                "n": {"Action": "ADD", "Value": {"N": "1"}},
                "s": {"Action": "DELETE", "Value": {"SS": ["a"]}},
                "w": {"Action": "DELETE"},
                "x": {"Value": {"L": [{"S": "x"}]}},
            },
        },
    ),
    (
        "Query",
        {
            **LEGACY_READ,
            "KeyConditions": {
                "pk": EQUAL,
                "sk": {"ComparisonOperator": "GT", "AttributeValueList": [{"N": "0"}]},
            },
            "QueryFilter": FILTER,
        },
    ),
    ("Scan", {**LEGACY_READ, "ScanFilter": FILTER}),
]

JUNK: list[Any] = [
    None, True, False, 0, -1, 5, 1.5, 10**30, "", "x", "things", "\x00", "é", "#v", ":v", "a" * 300,
    [], {}, [None], [[]], [{}], ["x", "x"], {"": {}}, {"a": None}, {"a": 1}, {"S": "x"}, {"N": "x"},
    {"S": "x", "N": "1"}, {"L": [None]}, {"M": {"": {"S": "x"}}}, {"SS": []}, {"SS": ["a", 1]},
    {"B": "?"}, {"NULL": False}, {"a": {"S": "x"}},
]  # fmt: skip


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every part of a request."""
    if path:
        yield path
    if isinstance(node, dict):
        for name, inner in node.items():
            yield from places(inner, (*path, name))
    elif isinstance(node, list):
        for number, inner in enumerate(node):
            yield from places(inner, (*path, number))


def spoil(request: Any, path: tuple[Any, ...], way: str, junk: Any) -> None:
    """Replace, remove, double or rename one part of a request."""
    *parents, last = path
    for part in parents:
        request = request[part]
    if way == "replace":
        request[last] = copy.deepcopy(junk)
    elif way == "remove":
        del request[last]
    elif isinstance(request, list):
        request.append(copy.deepcopy(request[last]))
    else:
        request["x" if isinstance(junk, dict | list) else str(junk)] = request.pop(last)


def filled_engine() -> Engine:
    engine = Engine(":memory:")
    engine.execute("CreateTable", copy.deepcopy(CREATE))
    for number in "123":
        engine.execute("PutItem", {"TableName": "things", "Item": {**ITEM, "sk": {"N": number}}})
    return engine


def ask(engine: Engine, operation: str, request: Any) -> tuple[int, Any]:
    status, body = answer(engine, f"DynamoDB_20120810.{operation}", json.dumps(request).encode())
    return status, json.loads(body)


def test_every_operation_has_a_good_request() -> None:
    assert set(GOOD) == set(_OPERATIONS)


@pytest.mark.parametrize("operation", sorted(GOOD))
def test_the_good_requests_are_good(operation: str) -> None:
    request = copy.deepcopy(GOOD[operation])
    # conditions that do not hold are answers, too
    expected = {
        "GetResourcePolicy": "PolicyNotFoundException",
        "DeleteItem": "ConditionalCheckFailedException",
        "PutItem": "ConditionalCheckFailedException",
        "UpdateItem": "ConditionalCheckFailedException",
        "TransactWriteItems": "TransactionCanceledException",
    }.get(operation)

    status, body = ask(filled_engine(), operation, request)

    if expected is None:
        assert status == 200, body
    else:
        assert body["__type"].endswith(expected)


@pytest.mark.parametrize(("operation", "request_"), LEGACY)
def test_the_good_requests_from_before_expressions_are_good(
    operation: str, request_: dict[str, Any]
) -> None:
    status, body = ask(filled_engine(), operation, copy.deepcopy(request_))

    assert status == 200, body


@settings(max_examples=4 * settings().max_examples)
@given(data=st.data())
def test_a_spoilt_request_gets_an_answer_of_dynamodbs(data: st.DataObject) -> None:
    cases = [(name, given) for name, given in [*GOOD.items(), *LEGACY] if given]
    operation, given = data.draw(st.sampled_from(cases))
    request = copy.deepcopy(given)
    for _ in range(data.draw(st.integers(1, 2))):
        left = list(places(request))
        if left:
            way = data.draw(st.sampled_from(["replace", "replace", "remove", "double"]))
            spoil(request, data.draw(st.sampled_from(left)), way, data.draw(st.sampled_from(JUNK)))
    engine = filled_engine()

    status, body = ask(engine, operation, request)

    assert status in (200, 400)
    if status == 400:
        assert body["__type"].startswith("com.amazon")
    # the engine is as good as before
    status, body = ask(engine, "ListTables", {})
    assert status == 200
    assert "things" in body["TableNames"] or operation == "DeleteTable"
    engine.close()
