"""Tables: create, describe, list, update, delete, tags and limits, with AWS's refusals."""

from collections.abc import Callable
from typing import Any

import pytest

INVALID = "One or more parameter values were invalid: "
ONE = "1 validation error detected: "
PROVISIONED = {
    "BillingMode": "PROVISIONED",
    "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
}
NO_TABLE = "Requested resource not found: Table: nothing not found"


def constraint(value: str, path: str, rule: str) -> str:
    return f"Value '{value}' at '{path}' failed to satisfy constraint: {rule}"


def missing(path: str) -> str:
    return f"Value null at '{path}' failed to satisfy constraint: Member must not be null"


AT_LEAST_3 = "Member must have length greater than or equal to 3"


# ---- create and describe -------------------------------------------------------------------


def test_create_answers_what_describe_shows_and_the_table_works_at_once(
    client: Any, build: Any
) -> None:
    created = client.create_table(**build.table("things", "pk sk:N"))["TableDescription"]
    described = client.describe_table(TableName="things")["Table"]

    assert created["TableStatus"] == "CREATING"
    assert described == {**created, "TableStatus": "ACTIVE"}
    assert described["KeySchema"] == [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ]
    assert described["AttributeDefinitions"] == [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "N"},
    ]
    assert described["TableArn"].startswith("arn:aws:dynamodb:us-east-1:")
    assert described["TableArn"].endswith(":table/things")
    assert len(described["TableId"]) == 36
    assert described["ItemCount"] == described["TableSizeBytes"] == 0
    assert described["BillingModeSummary"] == {"BillingMode": "PAY_PER_REQUEST"}


def test_a_provisioned_table_has_its_units_and_no_billing_summary(client: Any, build: Any) -> None:
    client.create_table(**build.table("things", "pk", **PROVISIONED))

    described = client.describe_table(TableName="things")["Table"]

    assert described["ProvisionedThroughput"] == {
        "NumberOfDecreasesToday": 0,
        "ReadCapacityUnits": 5,
        "WriteCapacityUnits": 5,
    }
    assert "BillingModeSummary" not in described


def test_indexes_of_a_new_table_are_described_and_never_backfill(client: Any, build: Any) -> None:
    request = build.table(
        "things", "pk sk", gsi={"by-g": ("g:N", ["a", "b"])}, lsi={"by-l": ("pk l:B", "KEYS_ONLY")}
    )

    created = client.create_table(**request)["TableDescription"]
    described = client.describe_table(TableName="things")["Table"]

    (gsi,) = described["GlobalSecondaryIndexes"]
    (lsi,) = described["LocalSecondaryIndexes"]
    assert created["GlobalSecondaryIndexes"][0]["IndexStatus"] == "CREATING"
    assert gsi["IndexStatus"] == "ACTIVE"
    assert "Backfilling" not in gsi
    assert gsi["Projection"] == {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["a", "b"]}
    assert gsi["KeySchema"] == [{"AttributeName": "g", "KeyType": "HASH"}]
    assert gsi["IndexArn"] == f"{described['TableArn']}/index/by-g"
    assert lsi["Projection"] == {"ProjectionType": "KEYS_ONLY"}
    assert "IndexStatus" not in lsi


def test_item_counts_and_sizes_follow_writes(client: Any, make_table: Callable[..., str]) -> None:
    make_table("things", "pk", gsi={"by-g": ("g", "KEYS_ONLY")})
    client.put_item(TableName="things", Item={"pk": {"S": "a"}, "g": {"S": "x"}, "v": {"S": "12"}})
    client.put_item(TableName="things", Item={"pk": {"S": "b"}, "v": {"S": "1"}})
    client.put_item(TableName="things", Item={"pk": {"S": "b"}, "v": {"S": "123"}})

    filled = client.describe_table(TableName="things")["Table"]
    client.delete_item(TableName="things", Key={"pk": {"S": "a"}})
    after = client.describe_table(TableName="things")["Table"]

    (index,) = filled["GlobalSecondaryIndexes"]
    assert (filled["ItemCount"], filled["TableSizeBytes"]) == (2, (3 + 2 + 3) + (3 + 4))
    assert (index["ItemCount"], index["IndexSizeBytes"]) == (1, 3 + 2)
    assert (after["ItemCount"], after["TableSizeBytes"]) == (1, 7)
    assert after["GlobalSecondaryIndexes"][0]["ItemCount"] == 0


@pytest.mark.parametrize(
    ("given", "described"),
    [
        ({"DeletionProtectionEnabled": True}, {"DeletionProtectionEnabled": True}),
        (
            {"TableClass": "STANDARD_INFREQUENT_ACCESS"},
            {"TableClassSummary": {"TableClass": "STANDARD_INFREQUENT_ACCESS"}},
        ),
        (
            {"OnDemandThroughput": {"MaxReadRequestUnits": 7, "MaxWriteRequestUnits": 8}},
            {"OnDemandThroughput": {"MaxReadRequestUnits": 7, "MaxWriteRequestUnits": 8}},
        ),
    ],
    ids=["deletion protection", "table class", "on-demand limits"],
)
def test_settings_come_back(
    client: Any, build: Any, given: dict[str, Any], described: dict[str, Any]
) -> None:
    client.create_table(**build.table("things", "pk", **given))
    client.create_table(**build.table("later", "pk"))
    client.update_table(TableName="later", **given)

    for name in ("things", "later"):
        table = client.describe_table(TableName=name)["Table"]
        assert described.items() <= table.items()


def test_encryption_is_shown_only_when_asked_for(client: Any, build: Any) -> None:
    client.create_table(**build.table("sealed", "pk", SSESpecification={"Enabled": True}))
    client.create_table(**build.table("plain", "pk"))

    sealed = client.describe_table(TableName="sealed")["Table"]["SSEDescription"]

    assert (sealed["Status"], sealed["SSEType"]) == ("ENABLED", "KMS")
    assert sealed["KMSMasterKeyArn"].startswith("arn:aws:kms:")
    assert "SSEDescription" not in client.describe_table(TableName="plain")["Table"]


def test_a_table_may_be_named_by_its_arn(client: Any, make_table: Callable[..., str]) -> None:
    make_table("things")
    arn = client.describe_table(TableName="things")["Table"]["TableArn"]

    client.put_item(TableName=arn, Item={"pk": {"S": "a"}})

    assert client.scan(TableName=arn)["Count"] == client.scan(TableName="things")["Count"] == 1


def test_a_second_table_of_the_name_is_refused(
    make_table: Callable[..., str], refused: Any
) -> None:
    make_table("things")

    with refused("ResourceInUseException", "Table already exists: things"):
        make_table("things")


# name, changes of a valid CreateTable request (None removes a member), message
BAD_TABLES = [
    pytest.param(
        {"TableName": None},
        "The parameter 'TableName' is required but was not present in the request",
        id="no name",
    ),
    pytest.param(
        {"TableName": "ab"}, ONE + constraint("ab", "tableName", AT_LEAST_3), id="short name"
    ),
    pytest.param(
        {"TableName": "x" * 256},
        ONE
        + constraint("x" * 256, "tableName", "Member must have length less than or equal to 255"),
        id="long name",
    ),
    pytest.param({"TableName": "bad;name"}, None, id="bad name"),
    pytest.param({"KeySchema": []}, None, id="empty key schema"),
    pytest.param(
        {"KeySchema": None, "AttributeDefinitions": None},
        f"2 validation errors detected: {missing('attributeDefinitions')}; {missing('keySchema')}",
        id="nothing but a name",
    ),
    pytest.param(
        {
            "KeySchema": [
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "pk", "KeyType": "RANGE"},
            ]
        },
        "Invalid KeySchema: Some index key attribute have no definition",
        id="one attribute for both keys",
    ),
    pytest.param(
        {
            "KeySchema": [
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
                {"AttributeName": "extra", "KeyType": "RANGE"},
            ]
        },
        ONE
        + constraint(
            "[KeySchemaElement(attributeName=pk, keyType=HASH),"
            " KeySchemaElement(attributeName=sk, keyType=RANGE),"
            " KeySchemaElement(attributeName=extra, keyType=RANGE)]",
            "keySchema",
            "Member must have length less than or equal to 2",
        ),
        id="three keys",
    ),
    pytest.param(
        {"KeySchema": [{"AttributeName": "pk", "KeyType": "INVALID"}]},
        ONE
        + constraint(
            "INVALID",
            "keySchema.1.member.keyType",
            "Member must satisfy enum value set: [HASH, RANGE]",
        ),
        id="bad key type",
    ),
    pytest.param(
        {"AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "INVALID"}]},
        ONE
        + constraint(
            "INVALID",
            "attributeDefinitions.1.member.attributeType",
            "Member must satisfy enum value set: [B, N, S]",
        ),
        id="bad attribute type",
    ),
    pytest.param(
        {"KeySchema": [{"AttributeName": "pk", "KeyType": "RANGE"}]},
        "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
        id="no hash key",
    ),
    pytest.param(
        {
            "keys": "pk sk",
            "KeySchema": [{"AttributeName": n, "KeyType": "HASH"} for n in ("pk", "sk")],
        },
        "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type",
        id="two hash keys",
    ),
    pytest.param(
        {
            "keys": "pk sk",
            "KeySchema": [{"AttributeName": "pk", "KeyType": k} for k in ("HASH", "RANGE")],
        },
        "Both the Hash Key and the Range Key element in the KeySchema have the same name",
        id="same name twice",
    ),
    pytest.param(
        {"AttributeDefinitions": [{"AttributeName": "x", "AttributeType": "S"}]},
        f"{INVALID}Some index key attributes are not defined in AttributeDefinitions."
        " Keys: [pk], AttributeDefinitions: [x]",
        id="undefined key",
    ),
    pytest.param(
        {"keys": "pk sk", "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}]},
        f"{INVALID}Number of attributes in KeySchema does not exactly match number of"
        " attributes defined in AttributeDefinitions",
        id="unused definition",
    ),
    pytest.param({"BillingMode": "FREE"}, None, id="bad billing mode"),
    pytest.param(
        {"BillingMode": None},
        f"{INVALID}ReadCapacityUnits and WriteCapacityUnits must both be specified when"
        " BillingMode is PROVISIONED",
        id="no throughput",
    ),
    pytest.param(
        {"ProvisionedThroughput": PROVISIONED["ProvisionedThroughput"]},
        f"{INVALID}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when"
        " BillingMode is PAY_PER_REQUEST",
        id="throughput on demand",
    ),
    pytest.param(
        {
            "BillingMode": None,
            "ProvisionedThroughput": {
                "ReadCapacityUnits": 10**12 + 1,
                "WriteCapacityUnits": 10**12 + 1,
            },
        },
        "Given value 1000000000001 for ReadCapacityUnits is out of bounds",
        id="too much throughput",
    ),
    pytest.param(
        {"lsi": {"local": ("pk l", "ALL")}},
        f"{INVALID}Table KeySchema does not have a range key, which is required when"
        " specifying a LocalSecondaryIndex",
        id="local index without a sort key",
    ),
    pytest.param(
        {"keys": "pk sk", "lsi": {"local": ("pk", "ALL")}},
        f"{INVALID}Index KeySchema does not have a range key for index: local",
        id="local index with a partition key only",
    ),
    pytest.param(
        {"keys": "pk sk", "lsi": {"local": ("sk l", "ALL")}},
        f"{INVALID}Index KeySchema does not have the same leading hash key as table KeySchema"
        " for index: local. index hash key: sk, table hash key: pk",
        id="local index on another partition key",
    ),
    pytest.param(
        {"LocalSecondaryIndexes": []},
        f"{INVALID}List of LocalSecondaryIndexes is empty",
        id="empty list of local indexes",
    ),
    pytest.param(
        {"GlobalSecondaryIndexes": []},
        f"{INVALID}List of GlobalSecondaryIndexes is empty",
        id="empty list of global indexes",
    ),
    pytest.param(
        {"gsi": {"index": ("g", "INCLUDE")}},
        f"{INVALID}ProjectionType is INCLUDE, but NonKeyAttributes is not specified",
        id="INCLUDE without attributes",
    ),
    pytest.param(
        {"gsi": {"index": ("g", ["a"])}, "projection": "KEYS_ONLY"},
        f"{INVALID}ProjectionType is KEYS_ONLY, but NonKeyAttributes is specified",
        id="KEYS_ONLY with attributes",
    ),
    pytest.param(
        {"gsi": {"index": ("g", ["a"])}, "projection": "ALL"},
        f"{INVALID}ProjectionType is ALL, but NonKeyAttributes is specified",
        id="ALL with attributes",
    ),
    pytest.param(
        {"gsi": {"index": ("g", ["a"])}, "projection": None},
        f"{INVALID}Unknown ProjectionType: null",
        id="no projection type",
    ),
    pytest.param(
        {"keys": "pk sk", "gsi": {"same": ("sk", "ALL")}, "lsi": {"same": ("pk l", "ALL")}},
        f"{INVALID}Duplicate index name: same",
        id="one name for two indexes",
    ),
    pytest.param(
        {"keys": "pk sk", "lsi": {f"local{i}": ("pk l", "ALL") for i in range(6)}},
        f"{INVALID}Number of LocalSecondaryIndexes exceeds per-table limit of 5",
        id="six local indexes",
    ),
    pytest.param(
        {"gsi": {f"global{i}": ("g", "ALL") for i in range(21)}},
        f"{INVALID}GlobalSecondaryIndex count exceeds the per-table limit of 20",
        id="21 global indexes",
    ),
    pytest.param(
        {"keys": "pk sk", "gsi": {"g1": ("g", "ALL")}, "lsi": {"l1": ("pk l", "ALL")}},
        "2 validation errors detected: "
        + constraint("g1", "globalSecondaryIndexes.1.member.indexName", AT_LEAST_3)
        + "; "
        + constraint("l1", "localSecondaryIndexes.1.member.indexName", AT_LEAST_3),
        id="short index names, global ones first",
    ),
    pytest.param(
        {"StreamSpecification": {"StreamEnabled": False, "StreamViewType": "NEW_IMAGE"}},
        f"{INVALID}Table is being created with a stream disabled, UpdateViewType should not be"
        " specified",
        id="view type of a disabled stream",
    ),
    pytest.param(
        {"StreamSpecification": {"StreamEnabled": True}},
        f"{INVALID}StreamViewType must be specified for an enabled stream",
        id="stream of nothing",
    ),
]


@pytest.mark.parametrize(("changes", "message"), BAD_TABLES)
def test_create_refuses(
    client: Any, build: Any, refused: Any, changes: dict[str, Any], message: str | None
) -> None:
    changes = dict(changes)
    shape = {name: changes.pop(name) for name in ("keys", "gsi", "lsi") if name in changes}
    request = build.table("things", shape.pop("keys", "pk"), **shape)
    if "projection" in changes:
        request["GlobalSecondaryIndexes"][0]["Projection"]["ProjectionType"] = changes.pop(
            "projection"
        )
    request |= changes
    request = {name: value for name, value in request.items() if value is not None}

    with refused("ValidationException", message):
        client.create_table(**request)
    assert client.list_tables()["TableNames"] == []


def test_at_most_ten_complaints_are_listed(client: Any, build: Any, refused: Any) -> None:
    indexes = {f"{i}": ("g", "ALL") for i in range(12)}

    with refused(part="10 validation errors detected: "):
        client.create_table(**build.table("things", "pk", gsi=indexes))


# ---- list and delete -----------------------------------------------------------------------


def test_tables_are_listed_in_byte_order_page_by_page(
    client: Any, make_table: Callable[..., str]
) -> None:
    for name in ("beta", "Zeta", "alpha", "gamma"):
        make_table(name)

    everything = client.list_tables()
    first = client.list_tables(Limit=3)
    rest = client.list_tables(Limit=3, ExclusiveStartTableName=first["LastEvaluatedTableName"])

    assert everything["TableNames"] == ["Zeta", "alpha", "beta", "gamma"]
    assert "LastEvaluatedTableName" not in everything
    assert first["TableNames"] == ["Zeta", "alpha", "beta"]
    assert first["LastEvaluatedTableName"] == "beta"
    assert rest["TableNames"] == ["gamma"]
    assert "LastEvaluatedTableName" not in rest


def test_a_deleted_table_is_gone_and_its_name_free(
    client: Any, make_table: Callable[..., str], refused: Any
) -> None:
    make_table("things", "pk", gsi={"by-g": ("g", "ALL")})
    client.put_item(TableName="things", Item={"pk": {"S": "a"}, "g": {"S": "x"}})

    deleted = client.delete_table(TableName="things")["TableDescription"]

    assert deleted["TableStatus"] == "DELETING"
    assert client.list_tables()["TableNames"] == []
    with refused("ResourceNotFoundException", "Requested resource not found"):
        client.get_item(TableName="things", Key={"pk": {"S": "a"}})
    make_table("things", "pk", gsi={"by-g": ("g", "ALL")})
    assert client.scan(TableName="things")["Count"] == 0
    assert client.scan(TableName="things", IndexName="by-g")["Count"] == 0


def test_deletion_protection(client: Any, make_table: Callable[..., str], refused: Any) -> None:
    make_table("things", DeletionProtectionEnabled=True)

    with refused(part="protected against deletion"):
        client.delete_table(TableName="things")
    client.update_table(TableName="things", DeletionProtectionEnabled=False)
    client.delete_table(TableName="things")

    assert client.list_tables()["TableNames"] == []


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("describe_table", {}),
        ("delete_table", {}),
        ("update_table", {"BillingMode": "PAY_PER_REQUEST"}),
    ],
)
def test_a_missing_table_is_named(
    client: Any, refused: Any, operation: str, request_: dict[str, Any]
) -> None:
    with refused("ResourceNotFoundException", NO_TABLE):
        getattr(client, operation)(TableName="nothing", **request_)


# ---- update --------------------------------------------------------------------------------


def test_throughput_changes(client: Any, make_table: Callable[..., str]) -> None:
    make_table("things", **PROVISIONED)

    updating = client.update_table(
        TableName="things",
        ProvisionedThroughput={"ReadCapacityUnits": 20, "WriteCapacityUnits": 15},
    )["TableDescription"]
    after = client.describe_table(TableName="things")["Table"]

    assert updating["TableStatus"] == "UPDATING"
    assert updating["ProvisionedThroughput"]["ReadCapacityUnits"] == 5
    assert after["TableStatus"] == "ACTIVE"
    assert after["ProvisionedThroughput"]["ReadCapacityUnits"] == 20
    assert after["ProvisionedThroughput"]["WriteCapacityUnits"] == 15


def test_billing_mode_switches_both_ways(client: Any, make_table: Callable[..., str]) -> None:
    make_table("things", **PROVISIONED)

    client.update_table(TableName="things", BillingMode="PAY_PER_REQUEST")
    on_demand = client.describe_table(TableName="things")["Table"]
    # as on AWS, doing it again is no error
    client.update_table(TableName="things", BillingMode="PAY_PER_REQUEST")
    client.update_table(TableName="things", **PROVISIONED)
    provisioned = client.describe_table(TableName="things")["Table"]

    assert on_demand["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert on_demand["ProvisionedThroughput"]["ReadCapacityUnits"] == 0
    assert provisioned["ProvisionedThroughput"]["ReadCapacityUnits"] == 5


SAME_THROUGHPUT = (
    "The provisioned throughput for the table will not change. The requested value equals the"
    " current value. Current ReadCapacityUnits provisioned for the table: 5. Requested"
    " ReadCapacityUnits: 5. Current WriteCapacityUnits provisioned for the table: 5. Requested"
    " WriteCapacityUnits: 5. Refer to the Amazon DynamoDB Developer Guide for current limits and"
    " how to request higher limits."
)


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        pytest.param({}, "ValidationException", None, id="nothing to do"),
        pytest.param(PROVISIONED, "ValidationException", SAME_THROUGHPUT, id="same throughput"),
        pytest.param(
            {**PROVISIONED, "BillingMode": "PAY_PER_REQUEST"},
            "ValidationException",
            f"{INVALID}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when"
            " BillingMode is PAY_PER_REQUEST",
            id="throughput on demand",
        ),
        pytest.param(
            {"ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 1}},
            "ValidationException",
            None,
            id="no read units",
        ),
        pytest.param(
            {"GlobalSecondaryIndexUpdates": [{}]},
            "ValidationException",
            f"{INVALID}One of GlobalSecondaryIndexUpdate.Update,"
            " GlobalSecondaryIndexUpdate.Create, GlobalSecondaryIndexUpdate.Delete must not be"
            " null",
            id="empty index update",
        ),
        pytest.param(
            {"GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "nothing"}}]},
            "ResourceNotFoundException",
            "Requested resource not found",
            id="delete a missing index",
        ),
        pytest.param(
            {"GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "abc"}}] * 2},
            "ValidationException",
            f"{INVALID}Only one global secondary index update per index is allowed"
            " simultaneously. Index: abc",
            id="one index twice",
        ),
    ],
)
def test_update_refuses(
    client: Any,
    make_table: Callable[..., str],
    refused: Any,
    request_: dict[str, Any],
    code: str,
    message: str | None,
) -> None:
    make_table("things", **PROVISIONED)

    with refused(code, message):
        client.update_table(TableName="things", **request_)


def test_index_throughput_changes(client: Any, build: Any) -> None:
    throughput = PROVISIONED["ProvisionedThroughput"]
    request = build.table("things", "pk", gsi={"by-g": ("g", "ALL")}, **PROVISIONED)
    request["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"] = throughput
    client.create_table(**request)

    wanted = {"ReadCapacityUnits": 7, "WriteCapacityUnits": 8}
    client.update_table(
        TableName="things",
        GlobalSecondaryIndexUpdates=[
            {"Update": {"IndexName": "by-g", "ProvisionedThroughput": wanted}}
        ],
    )

    (index,) = client.describe_table(TableName="things")["Table"]["GlobalSecondaryIndexes"]
    assert wanted.items() <= index["ProvisionedThroughput"].items()


# ---- tags and limits -----------------------------------------------------------------------


def test_tags_merge_by_key(client: Any, make_table: Callable[..., str]) -> None:
    make_table("things", Tags=[{"Key": "stage", "Value": "test"}])
    arn = client.describe_table(TableName="things")["Table"]["TableArn"]

    client.tag_resource(
        ResourceArn=arn, Tags=[{"Key": "stage", "Value": "live"}, {"Key": "team", "Value": "a"}]
    )
    client.untag_resource(ResourceArn=arn, TagKeys=["team", "unknown"])

    assert client.list_tags_of_resource(ResourceArn=arn)["Tags"] == [
        {"Key": "stage", "Value": "live"}
    ]


def test_tags_end_with_their_table(client: Any, make_table: Callable[..., str]) -> None:
    make_table("things", Tags=[{"Key": "stage", "Value": "test"}])
    arn = client.describe_table(TableName="things")["Table"]["TableArn"]
    client.delete_table(TableName="things")
    make_table("things")

    assert client.list_tags_of_resource(ResourceArn=arn)["Tags"] == []


def test_tags_of_what_is_no_table_of_ours(client: Any, refused: Any) -> None:
    with refused("ValidationException"):
        client.list_tags_of_resource(ResourceArn="not-a-valid-arn")
    with refused("AccessDeniedException"):
        client.list_tags_of_resource(
            ResourceArn="arn:aws:dynamodb:us-east-1:000000000000:table/things"
        )
    with refused("ResourceNotFoundException"):
        client.list_tags_of_resource(
            ResourceArn="arn:aws:dynamodb:us-east-1:123456789012:table/things"
        )


def test_limits_are_an_accounts_defaults(client: Any) -> None:
    limits = client.describe_limits()

    assert limits["AccountMaxReadCapacityUnits"] == limits["AccountMaxWriteCapacityUnits"] == 80_000
    assert limits["TableMaxReadCapacityUnits"] == limits["TableMaxWriteCapacityUnits"] == 40_000


@pytest.mark.parametrize(
    "operation", ["execute_statement", "list_backups", "list_global_tables", "list_exports"]
)
def test_what_the_engine_leaves_out_is_an_unknown_operation(
    client: Any, refused: Any, operation: str
) -> None:
    name = operation.title().replace("_", "")
    request = {"Statement": "SELECT * FROM things"} if operation == "execute_statement" else {}

    with refused("UnknownOperationException", part=f"no such operation: '{name}'"):
        getattr(client, operation)(**request)
