"""How a pattern is asked, today and by its better form, as code in boto3 and the AWS SDK for JavaScript v3."""

import json
import keyword
import re
from collections.abc import Mapping
from typing import Any

from perfkit.migrate.plan import Call
from perfkit.workloads.equalities import equal_attributes
from perfkit.workloads.model import AccessPattern, QueryForm, Table, Today

__all__ = ["calls_of"]

_Request = dict[str, Any]


def calls_of(pattern: AccessPattern, table: Table, index: str) -> Call:
    """
    Return a pattern's request before and after, values left to variables.

    Args:
        pattern: One whose better query asks the index.
        table: Its table.
        index: The name that the index will have.
    """
    assert pattern.query is not None  # noqa: S101 - it asks the index
    before = _today(pattern, table)
    after = ("Query", _query(pattern, table, pattern.query, index))
    return Call(
        pattern=pattern.name,
        before_boto3=_boto3(*before),
        after_boto3=_boto3(*after),
        before_javascript=_javascript(*before),
        after_javascript=_javascript(*after),
    )


def _today(pattern: AccessPattern, table: Table) -> tuple[str, _Request]:
    """Return what is asked now; of a sequence, its first step."""
    first = pattern.steps.first if pattern.steps is not None else str(pattern.today)
    if pattern.query_today is not None:
        form = pattern.query_today
        return "Query", _query(pattern, table, form, form.index)
    if pattern.today is Today.GET and pattern.get is not None:
        key = {
            name: _Variable(name, kind)
            for name, kind in _types(table).items()
            if name in pattern.get.key or name in pattern.get.parameters
        }
        return "GetItem", {"TableName": table.name, "Key": key}
    request: _Request = {"TableName": table.name}
    if first == Today.SCAN_FILTERED and pattern.scan_filter is not None:
        request["FilterExpression"] = pattern.scan_filter
        request |= _placeholders(pattern, table, pattern.scan_filter)
    return "Scan", request


def _query(pattern: AccessPattern, table: Table, form: QueryForm, index: str | None) -> _Request:
    request: _Request = {"TableName": table.name}
    if index is not None:
        request["IndexName"] = index
    request["KeyConditionExpression"] = form.key_condition
    if form.filter is not None:
        request["FilterExpression"] = form.filter
    request |= _placeholders(pattern, table, form.key_condition, form.filter)
    if form.descending:
        request["ScanIndexForward"] = False
    return request


_TAKEN = frozenset(keyword.kwlist) | frozenset(
    # JavaScript's words, and what the code itself calls something
    [
        "case",
        "catch",
        "const",
        "debugger",
        "default",
        "delete",
        "do",
        "enum",
        "export",
        "extends",
        "false",
        "function",
        "implements",
        "instanceof",
        "interface",
        "let",
        "new",
        "null",
        "package",
        "private",
        "protected",
        "public",
        "static",
        "super",
        "switch",
        "this",
        "throw",
        "true",
        "typeof",
        "var",
        "void",
        "arguments",
        "eval",
        "client",
        "item",
        "items",
        "page",
        "str",
    ]
)


class _Variable:
    """A value that the service has in a variable."""

    def __init__(self, name: str, kind: str) -> None:
        plain = re.sub(r"\W+", "_", name.lstrip(":")).strip("_")
        self.name = plain if plain.isidentifier() and plain not in _TAKEN else f"value_{plain}"
        self.kind = kind


def _types(table: Table) -> dict[str, str]:
    keys = [*table.keys, *(key for index in table.indexes for key in index.keys)]
    return {key.name: key.type for key in keys}


def _placeholders(pattern: AccessPattern, table: Table, *expressions: str | None) -> _Request:
    names, _ = pattern.placeholders(*expressions)
    mentioned = pattern.mentioned(*expressions)
    types, equal = _types(table), equal_attributes(pattern)
    values = {}
    for name in sorted(pattern.parameter_names & mentioned):
        stated = pattern.parameters.get(name)
        # of one that is drawn only its attribute says what it is
        kind = next(iter(stated)) if stated else types.get(equal.get(name, ""), "S")
        values[name] = _Variable(name, kind)
    request: _Request = {}
    if names:
        request["ExpressionAttributeNames"] = dict(names)
    if values:
        request["ExpressionAttributeValues"] = values
    return request


_PAGED = {"Query": "query", "Scan": "scan"}


def _boto3(operation: str, request: Mapping[str, Any]) -> str:
    lines = [f"    {name}={_python(value)}," for name, value in request.items()]
    if operation not in _PAGED:
        return "\n".join(["item = client.get_item(", *lines, ').get("Item")'])
    begin = f'for page in client.get_paginator("{_PAGED[operation]}").paginate('
    return "\n".join([begin, *lines, "):", '    items.extend(page["Items"])'])


def _python(value: Any) -> str:
    if isinstance(value, _Variable):
        content = f"str({value.name})" if value.kind == "N" else value.name
        return f'{{"{value.kind}": {content}}}'
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)}: {_python(v)}" for k, v in value.items()) + "}"
    return repr(value) if isinstance(value, bool) else json.dumps(value, ensure_ascii=False)


def _javascript(operation: str, request: Mapping[str, Any]) -> str:
    lines = [f"  {name}: {_script(value)}," for name, value in request.items()]
    if operation not in _PAGED:
        begin = "const { Item: item } = await client.send(new GetItemCommand({"
        return "\n".join([begin, *lines, "}));"])
    begin = f"for await (const page of paginate{operation}({{ client }}, {{"
    return "\n".join([begin, *lines, "})) {", "  items.push(...page.Items);", "}"])


def _script(value: Any) -> str:
    if isinstance(value, _Variable):
        name = re.sub(r"_+(\w)", lambda found: found[1].upper(), value.name)
        content = f"String({name})" if value.kind == "N" else name
        return f"{{ {value.kind}: {content} }}"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)}: {_script(v)}" for k, v in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)
