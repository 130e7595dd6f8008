"""
Checks of a request's form, before anything looks at tables: types, required members, limits.

The rules come from botocore's own description of DynamoDB, so they hold for every operation
and member; what AWS checks or words differently is listed here.
"""

import re
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import orjson

from perfkit.embedded.errors import DynamoDBError, validation
from perfkit.embedded.values import nesting

__all__ = ["MIXED", "check_legacy", "check_request", "nests_very_deep"]

_NAME_PATTERN = r"[a-zA-Z0-9_.-]+"
_NAME = re.compile(_NAME_PATTERN)

# AWS lists the values of an enum in orders of its own
_ENUM_ORDER = {
    "Select": "SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES",
    "ScalarAttributeType": "B, N, S",
    "ProjectionType": "ALL, INCLUDE, KEYS_ONLY",
    "ConditionalOperator": "OR, AND",
    "ReturnValue": "ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW",
    "ComparisonOperator": (
        "IN, NULL, BETWEEN, LT, NOT_CONTAINS, EQ, GT, NOT_NULL, NE, LE, BEGINS_WITH, GE, CONTAINS"
    ),
}

_ANOTHER_ENUM = "Failed to satisfy constraint: Member must satisfy enum value set:"
_RETURN_VALUES = f"{_ANOTHER_ENUM} [ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]"
_CONDITIONAL_OPERATORS = f"{_ANOTHER_ENUM} [ALL, OR]"
_SINGLE_WRITES = ("PutItem", "UpdateItem", "DeleteItem")

_MOST_READ_LEVELS = 62
"""Lists and maps within one another that AWS's newer validation reads; about, from captures."""

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

_TABLE_OPERATIONS = (
    "CreateTable",
    "DescribeTable",
    "UpdateTable",
    "DeleteTable",
    "DescribeTimeToLive",
    "UpdateTimeToLive",
)

# these answer in AWS's newer wording, naming the member in capitals and stopping at the first
_TERSE = {("Query", "Limit"), ("Scan", "Limit"), ("Scan", "Segment")}
_TERSE_LISTS = {"KeyList", "TransactGetItemList", "TransactWriteItemList"}

# of these AWS complains for all tables of a batch together
_WRITES = "WriteRequests"

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

_CONDITIONS = ("Expected", "QueryFilter", "ScanFilter")

_EXPRESSIONS = (
    "ProjectionExpression",
    "UpdateExpression",
    "FilterExpression",
    "KeyConditionExpression",
    "ConditionExpression",
)

_ATTRIBUTE_VALUE = "com.amazonaws.dynamodb.v20120810.AttributeValue"
_VALUE_MAP = f"java.util.Map<java.lang.String, {_ATTRIBUTE_VALUE}>"

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
            if found and name in ("ReturnValues", "ConditionalOperator"):
                newer = not required - request.keys() and not nests_very_deep(request)
                if newer and name == "ReturnValues":
                    found = [_RETURN_VALUES]
                elif newer and operation == "Query":
                    raise validation(_CONDITIONAL_OPERATORS)
                elif newer and operation in _SINGLE_WRITES:
                    raise _constraint_errors([_CONDITIONAL_OPERATORS])
                if newer and operation == "UpdateItem":
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
        raise _constraint_errors(complaints)


def _constraint_errors(complaints: list[str]) -> DynamoDBError:
    """Return the answer that lists violated constraints, ten at the most."""
    complaints = complaints[:_MOST_ERRORS]
    plural = "s" if len(complaints) > 1 else ""
    return validation(
        f"{len(complaints)} validation error{plural} detected: {'; '.join(complaints)}"
    )


def nests_very_deep(request: Mapping[str, Any]) -> bool:
    """
    Return whether values of a single write nest deeper than AWS's newer validation reads.

    AWS answers such a request as an earlier generation of its validation did.
    """
    members = [member for member in request.values() if isinstance(member, dict)]
    return any(nesting(member) > _MOST_READ_LEVELS for member in members)


MIXED = "Can not use both expression and non-expression parameters in the same request: "


def check_legacy(operation: str, request: Mapping[str, Any]) -> None:
    """
    Raise if parameters from before expressions stand beside expressions, or without sense.

    Raises:
        DynamoDBError: ValidationException.
    """
    legacy = [name for name in _LEGACY.get(operation, ()) if request.get(name) is not None]
    if not legacy:
        return
    envelope = _ENVELOPE if operation in _SINGLE_WRITES else ""
    modern = [name for name in _EXPRESSIONS if request.get(name) is not None]
    # as on AWS, KeyConditions may stand beside a filter or projection expression
    mixed = [n for n in legacy if n != "KeyConditions" or "KeyConditionExpression" in modern]
    if mixed and modern:
        raise validation(
            f"{envelope}{MIXED}Non-expression parameters: {{{', '.join(mixed)}}}"
            f" Expression parameters: {{{', '.join(modern)}}}"
        )
    if "ConditionalOperator" in legacy:
        count = sum(len(request.get(name) or ()) for name in _CONDITIONS)
        if count == 0:
            msg = "ConditionalOperator cannot be used without Filter or Expected"
            raise validation(envelope + msg)
        if count == 1:
            msg = (
                "ConditionalOperator can only be used when Filter or Expected has two or more"
                " elements"
            )
            raise validation(envelope + msg)


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
    most = {"integer": (1 << 31) - 1, "long": (1 << 63) - 1}.get(shape.type_name)

    def check(value: Any, path: str, complaints: list[str]) -> None:
        if isinstance(value, bool) or not isinstance(value, kinds):
            raise _wrong_type(value, wanted)
        # Java's types hold no more
        if most is not None and not -most - 1 <= value <= most:
            raise _wrong_type(value, wanted)
        _limit(shape, value, int(value), path, "value", complaints)

    return check


def _list_check(shape: Any) -> _Check:
    member = _check_for(shape.member)
    limited = shape.name != _WRITES

    def check(value: Any, path: str, complaints: list[str]) -> None:
        if not isinstance(value, list):
            raise _wrong_type(value, "java.util.List")
        if limited:
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
    writes = shape.value.name == _WRITES

    def check(value: Any, path: str, complaints: list[str]) -> None:
        if not isinstance(value, dict):
            raise _wrong_type(value, wanted)
        if least and not value:
            raise _terse(path, f"Member must have length greater than or equal to {least}")
        if names_tables:
            _check_table_keys(shape, value, path, complaints)
        if writes:
            _check_write_counts(shape, value, path, complaints)
        if not holds_values:
            for key, entry in value.items():
                member(entry, f"{path}.{key}.member", complaints)

    return check


def _check_table_keys(shape: Any, value: dict[str, Any], path: str, complaints: list[str]) -> None:
    if all(n.startswith("arn:") or (_NAME.fullmatch(n) and 3 <= len(n) <= 255) for n in value):
        return
    rule = (
        "Map keys must satisfy constraint: [Member must have length less than or equal to 255,"
        " Member must have length greater than or equal to 3, Member must satisfy regular"
        f" expression pattern: {_NAME_PATTERN}]"
    )
    shown = _java(shape, value) if shape.value.name == _WRITES else orjson.dumps(value).decode()
    complaints.append(_constraint(path, shown, rule))


def _check_write_counts(
    shape: Any, value: dict[str, Any], path: str, complaints: list[str]
) -> None:
    """Hold the writes of each table to their number, which AWS complains of for the whole map."""
    least, most = shape.value.metadata["min"], shape.value.metadata["max"]
    lists = [writes for writes in value.values() if isinstance(writes, list)]
    if all(least <= len(writes) <= most for writes in lists):
        return
    rule = (
        f"Map value must satisfy constraint: [Member must have length less than or equal to {most},"
        f" Member must have length greater than or equal to {least}]"
    )
    complaints.append(_constraint(path, _java(shape, value), rule))


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
    return _java(shape, value, absent=False)


def _java(shape: Any, value: Any, *, absent: bool = True) -> str:
    """
    Return part of a request as AWS's Java services print it.

    Attribute values are printed as objects: their class and a number made of their content.

    Args:
        absent: Whether members that are not there are printed as null.
    """
    if shape.name == "AttributeValue":
        number = zlib.crc32(orjson.dumps(value, option=orjson.OPT_SORT_KEYS))
        return f"{_ATTRIBUTE_VALUE}@{number:x}"
    match shape.type_name, value:
        case "map", dict():
            inner = (f"{name}={_java(shape.value, entry)}" for name, entry in value.items())
            return f"{{{', '.join(inner)}}}"
        case "list", list():
            return f"[{', '.join(_java(shape.member, entry, absent=absent) for entry in value)}]"
        case "structure", dict():
            fields = ", ".join(
                f"{_lower(name)}={_java(member, value.get(name))}"
                for name, member in shape.members.items()
                if absent or name in value
            )
            return f"{shape.name}({fields})"
        case _, None:
            return "null"
        case _:
            return str(value)
