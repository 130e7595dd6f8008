"""
Checks of a request's form, before anything looks at tables: types, required members, limits.

The rules come from botocore's own description of DynamoDB, so they hold for every operation
and member; what AWS checks or words differently is listed here.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import orjson

from perfkit.embedded.errors import DynamoDBError, validation

__all__ = ["check_request", "constraint_errors", "reject_legacy"]

_NAME_PATTERN = r"[a-zA-Z0-9_.-]+"
_NAME = re.compile(_NAME_PATTERN)

# AWS lists the values of an enum in orders of its own
_ENUM_ORDER = {
    "Select": "SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES",
    "ScalarAttributeType": "B, N, S",
    "ProjectionType": "ALL, INCLUDE, KEYS_ONLY",
    "ConditionalOperator": "OR, AND",
    "ReturnValue": "ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW",
}

_RETURN_VALUES = (
    "Failed to satisfy constraint: Member must satisfy enum value set:"
    " [ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]"
)

# where AWS's order is not that of its own description
_CHECKED_FIRST = {
    "BatchGetItem": ("RequestItems",),
    "BatchWriteItem": ("ReturnConsumedCapacity", "ReturnItemCollectionMetrics"),
    "CreateTable": ("AttributeDefinitions", "TableName", "KeySchema", "GlobalSecondaryIndexes"),
    "TransactWriteItems": (
        "ClientRequestToken",
        "ReturnConsumedCapacity",
        "ReturnItemCollectionMetrics",
    ),
    "UpdateItem": (
        "ReturnConsumedCapacity",
        "TableName",
        "ReturnItemCollectionMetrics",
        "ReturnValues",
    ),
}

_TABLE_OPERATIONS = ("CreateTable", "DescribeTable", "UpdateTable", "DeleteTable")

# these answer in AWS's newer wording, naming the member in capitals and stopping at the first
_TERSE = {("Query", "Limit"), ("Scan", "Limit"), ("Scan", "Segment")}
_TERSE_LISTS = {"KeyList", "TransactGetItemList", "TransactWriteItemList", "WriteRequests"}

_MOST_ERRORS = 10

_JAVA = {
    "string": "String",
    "integer": "Integer",
    "long": "Long",
    "boolean": "Boolean",
    "list": "java.util.List",
}

_LEGACY = {
    "GetItem": ("AttributesToGet",),
    "PutItem": ("Expected", "ConditionalOperator"),
    "UpdateItem": ("AttributeUpdates", "Expected", "ConditionalOperator"),
    "DeleteItem": ("Expected", "ConditionalOperator"),
    "Query": ("AttributesToGet", "QueryFilter", "ConditionalOperator", "KeyConditions"),
    "Scan": ("AttributesToGet", "ScanFilter", "ConditionalOperator"),
}

_EXPRESSIONS = (
    "ProjectionExpression",
    "UpdateExpression",
    "FilterExpression",
    "KeyConditionExpression",
    "ConditionExpression",
)

_REPLACEMENT = {
    "AttributesToGet": "ProjectionExpression",
    "AttributeUpdates": "UpdateExpression",
    "Expected": "ConditionExpression",
    "ConditionalOperator": "AND and OR in an expression",
    "KeyConditions": "KeyConditionExpression",
    "QueryFilter": "FilterExpression",
    "ScanFilter": "FilterExpression",
}

_VALUE_MAP = "java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.AttributeValue>"

# checks a value at a path and adds to the complaints
_Check = Callable[[Any, str, list[str]], None]


def check_request(operation: str, request: Mapping[str, Any]) -> None:
    """
    Raise unless *request* has the form that *operation* needs.

    Raises:
        DynamoDBError: SerializationException for a wrong JSON type, ValidationException with
            up to ten complaints for everything else.
    """
    members, required = _members(operation)
    complaints: list[str] = []
    table = request.get("TableName")
    if table == "" and operation not in _TABLE_OPERATIONS and not required - request.keys():
        raise validation(
            "1 validation error detected: Value at 'TableName' failed to satisfy constraint:"
            " Member must have length greater than or equal to 1"
        )
    if table is None and "TableName" in required and operation in _TABLE_OPERATIONS:
        msg = "The parameter 'TableName' is required but was not present in the request"
        raise validation(msg)
    for name, check in members.items():
        value = request.get(name)
        if complaints and (operation, name) == ("BatchWriteItem", "RequestItems"):
            # AWS looks at what is to be written only when all else is well
            break
        if value is not None:
            found: list[str] = []
            check(value, _lower(name), found)
            if found and name == "ReturnValues" and not required - request.keys():
                found = [_RETURN_VALUES]
                if operation == "UpdateItem":
                    # stops at this one
                    complaints = found
                    break
            if found and (operation, name) in _TERSE:
                constraint = found[-1].partition(" failed ")[2]
                complaints = [f"Value at '{name}' failed {constraint}"]
                break
            complaints += found
        elif name in required:
            complaints.append(
                f"Value null at '{_lower(name)}' failed to satisfy constraint:"
                " Member must not be null"
            )
    if complaints:
        raise constraint_errors(complaints)


def constraint_errors(complaints: list[str]) -> DynamoDBError:
    """Return the answer that lists violated constraints, ten at the most."""
    complaints = complaints[:_MOST_ERRORS]
    plural = "s" if len(complaints) > 1 else ""
    return validation(
        f"{len(complaints)} validation error{plural} detected: {'; '.join(complaints)}"
    )


def reject_legacy(operation: str, request: Mapping[str, Any]) -> None:
    """
    Raise if the request uses parameters from before expressions, which the engine leaves out.

    Raises:
        DynamoDBError: ValidationException; AWS's own where they are mixed with expressions,
            else one that names the expression to use instead.
    """
    legacy = [name for name in _LEGACY.get(operation, ()) if request.get(name) is not None]
    if not legacy:
        return
    modern = [name for name in _EXPRESSIONS if request.get(name) is not None]
    # as on AWS, KeyConditions may stand beside a filter or projection expression
    mixed = [n for n in legacy if n != "KeyConditions" or "KeyConditionExpression" in modern]
    if mixed and modern:
        envelope = "" if operation in ("GetItem", "Query", "Scan") else _ENVELOPE
        raise validation(
            f"{envelope}Can not use both expression and non-expression parameters in the same"
            f" request: Non-expression parameters: {{{', '.join(mixed)}}}"
            f" Expression parameters: {{{', '.join(modern)}}}"
        )
    name = legacy[0]
    raise validation(
        f"The legacy parameter {name} is not supported by the embedded DynamoDB:"
        f" use {_REPLACEMENT[name]} instead"
    )


_ENVELOPE = "1 validation error detected: "


@cache
def _service() -> Any:
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    return ServiceModel(Loader().load_service_model("dynamodb", "service-2"))


@cache
def _members(operation: str) -> tuple[dict[str, _Check], frozenset[str]]:
    shape = _service().operation_model(operation).input_shape
    members = {name: _check_for(member) for name, member in shape.members.items()}
    first = _CHECKED_FIRST.get(operation, ("ReturnConsumedCapacity",))
    order = [*(name for name in first if name in members), *members]
    members = {name: members[name] for name in order}
    required = frozenset(shape.required_members)
    if operation == "CreateTable":
        required |= {"AttributeDefinitions", "KeySchema"}
    return members, required


def _lower(name: str) -> str:
    return name[0].lower() + name[1:]


def _serialization(message: str) -> DynamoDBError:
    return DynamoDBError("SerializationException", message)


def _json_kind(value: Any) -> str:
    if isinstance(value, bool):
        return f"{str(value).upper()}_VALUE"
    if isinstance(value, str):
        return "STRING_VALUE"
    return "DECIMAL_VALUE" if isinstance(value, float) else "NUMBER_VALUE"


def _wrong_type(value: Any, wanted: str) -> DynamoDBError:
    if isinstance(value, dict):
        return _serialization("Start of structure or map found where not expected")
    if isinstance(value, list):
        name = wanted if "." in wanted else f"class java.lang.{wanted}"
        return _serialization(f"Unrecognized collection type {name}")
    if "." in wanted:
        return _serialization("Unexpected field type")
    return _serialization(f"{_json_kind(value)} cannot be converted to {wanted}")


def _limit(shape: Any, value: Any, size: int, path: str, what: str, complaints: list[str]) -> None:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if most is not None and size > most:
        rule = f"Member must have {what} less than or equal to {most}"
    elif least is not None and size < least:
        rule = f"Member must have {what} greater than or equal to {least}"
    else:
        return
    if shape.name in _TERSE_LISTS:
        raise _terse(path, rule)
    shown = _shown(shape, value) if isinstance(value, list) else str(value)
    complaints.append(_constraint(path, shown, rule))


def _constraint(path: str, shown: str, rule: str) -> str:
    return f"Value '{shown}' at '{path}' failed to satisfy constraint: {rule}"


def _terse(path: str, rule: str) -> DynamoDBError:
    """Return the newer answer to a violated constraint: alone, and without the value."""
    shown = path[0].upper() + path[1:].replace(".member.keys", ".member.Keys")
    return validation(f"{_ENVELOPE}Value at '{shown}' failed to satisfy constraint: {rule}")


def _check_for(shape: Any) -> _Check:
    if shape.name in ("TableArn", "TableName"):
        return _check_table_name
    match shape.type_name:
        case "string":
            return _string_check(shape)
        case "integer" | "long" | "double" | "float":
            return _number_check(shape)
        case "boolean":
            return _check_boolean
        case "list":
            return _list_check(shape)
        case "map":
            return _map_check(shape)
        case "structure" if shape.name != "AttributeValue":
            return _structure_check(shape)
        case _:
            return _check_nothing


def _check_nothing(value: Any, path: str, complaints: list[str]) -> None:
    """Leave attribute values to where they are read."""


def _check_table_name(value: Any, path: str, complaints: list[str]) -> None:
    if not isinstance(value, str):
        raise _wrong_type(value, "String")
    if value.startswith("arn:"):
        return
    if not value:
        rule = "Member must have length greater than or equal to 1"
        complaints.append(_constraint(path, value, rule))
    elif not _NAME.fullmatch(value):
        rule = f"Member must satisfy regular expression pattern: {_NAME_PATTERN}"
        complaints.append(_constraint(path, value, rule))
    if len(value) > 255:
        rule = "Member must have length less than or equal to 255"
        complaints.append(_constraint(path, value, rule))


def _check_boolean(value: Any, path: str, complaints: list[str]) -> None:  # noqa: ARG001
    if isinstance(value, str):
        raise _serialization("Unexpected token received from parser")
    if not isinstance(value, bool):
        raise _wrong_type(value, "Boolean")


def _string_check(shape: Any) -> _Check:
    pattern = shape.metadata.get("pattern")
    compiled = re.compile(pattern) if pattern else None
    values = frozenset(shape.enum)
    shown_values = _ENUM_ORDER.get(shape.name, ", ".join(shape.enum))

    def check(value: Any, path: str, complaints: list[str]) -> None:
        if not isinstance(value, str):
            raise _wrong_type(value, "String")
        if values and value not in values:
            rule = f"Member must satisfy enum value set: [{shown_values}]"
            complaints.append(_constraint(path, value, rule))
        if compiled and not compiled.fullmatch(value):
            rule = f"Member must satisfy regular expression pattern: {pattern}"
            complaints.append(_constraint(path, value, rule))
        _limit(shape, value, len(value), path, "length", complaints)

    return check


def _number_check(shape: Any) -> _Check:
    whole = shape.type_name in ("integer", "long")
    wanted = _JAVA[shape.type_name] if whole else "Double"
    kinds = int if whole else (int, float)

    def check(value: Any, path: str, complaints: list[str]) -> None:
        if isinstance(value, bool) or not isinstance(value, kinds):
            raise _wrong_type(value, wanted)
        _limit(shape, value, int(value), path, "value", complaints)

    return check


def _list_check(shape: Any) -> _Check:
    member = _check_for(shape.member)

    def check(value: Any, path: str, complaints: list[str]) -> None:
        if not isinstance(value, list):
            raise _wrong_type(value, "java.util.List")
        _limit(shape, value, len(value), path, "length", complaints)
        for number, entry in enumerate(value, 1):
            member(entry, f"{path}.{number}.member", complaints)

    return check


def _map_check(shape: Any) -> _Check:
    least = shape.metadata.get("min")
    names_tables = shape.key.name == "TableArn"
    holds_values = shape.value.name == "AttributeValue"
    wanted = _VALUE_MAP if holds_values else "java.util.Map"
    member = _check_for(shape.value)

    def check(value: Any, path: str, complaints: list[str]) -> None:
        if not isinstance(value, dict):
            raise _wrong_type(value, wanted)
        if least and not value:
            raise _terse(path, f"Member must have length greater than or equal to {least}")
        if names_tables:
            _check_table_keys(value, path, complaints)
        if not holds_values:
            for key, entry in value.items():
                member(entry, f"{path}.{key}.member", complaints)

    return check


def _check_table_keys(value: dict[str, Any], path: str, complaints: list[str]) -> None:
    if all(n.startswith("arn:") or (_NAME.fullmatch(n) and 3 <= len(n) <= 255) for n in value):
        return
    rule = (
        "Map keys must satisfy constraint: [Member must have length less than or equal to 255,"
        " Member must have length greater than or equal to 3, Member must satisfy regular"
        f" expression pattern: {_NAME_PATTERN}]"
    )
    complaints.append(_constraint(path, orjson.dumps(value).decode(), rule))


def _structure_check(shape: Any) -> _Check:
    # shapes may contain themselves, so the members wait until one is met
    @cache
    def members() -> dict[str, tuple[str, _Check]]:
        return {name: (_lower(name), _check_for(m)) for name, m in shape.members.items()}

    required = tuple(shape.required_members)

    def check(value: Any, path: str, complaints: list[str]) -> None:
        if not isinstance(value, dict):
            raise _wrong_type(value, f"{shape.name}.")
        known = members()
        for name, entry in value.items():
            if entry is not None and name in known:
                lower, rule = known[name]
                rule(entry, f"{path}.{lower}", complaints)
        complaints += [
            f"Value null at '{path}.{_lower(name)}' failed to satisfy constraint:"
            " Member must not be null"
            for name in required
            if value.get(name) is None
        ]

    return check


def _shown(shape: Any, value: list[Any]) -> str:
    """Return a list as AWS's Java services print it, where its members are simple."""
    if shape.member.type_name != "structure":
        return f"[{', '.join(str(entry) for entry in value)}]"
    entries = []
    for entry in value:
        fields = ", ".join(
            f"{_lower(name)}={entry[name]}"
            for name in shape.member.members
            if isinstance(entry, dict) and name in entry
        )
        entries.append(f"{shape.member.name}({fields})")
    return f"[{', '.join(entries)}]"
