"""The requests of boto3 that ask a pattern's forms."""

from collections.abc import Callable, Mapping
from typing import Any

from perfkit.capacity import AttributeValue, Item
from perfkit.dynamodb.items import from_client, to_client
from perfkit.workloads.equalities import equalities
from perfkit.workloads.model import AccessPattern, QueryForm, Table, Then, attributes_of

__all__ = ["asker", "placeholders_of", "query_request", "scan_test"]

Request = dict[str, Any]

# values that are the same on the wire and in boto3
_ALIKE = frozenset({"S", "N", "BOOL", "NULL", "SS", "NS"})


def placeholders_of(pattern: AccessPattern, *expressions: str | None) -> Request:
    """Return what *expressions* refer to; DynamoDB refuses placeholders that are not used."""
    names, values = pattern.placeholders(*expressions)
    request: Request = {}
    if names:
        request["ExpressionAttributeNames"] = names
    if values:
        request["ExpressionAttributeValues"] = {
            name: to_client(value) for name, value in values.items()
        }
    return request


def query_request(pattern: AccessPattern, form: QueryForm, table: str) -> Request:
    """Return the request of Query that asks a form of *table*."""
    request: Request = {
        "TableName": table,
        "KeyConditionExpression": form.key_condition,
        **placeholders_of(pattern, form.key_condition, form.filter),
    }
    if form.index is not None:
        request["IndexName"] = form.index
    if form.filter is not None:
        request["FilterExpression"] = form.filter
    if form.descending:
        request["ScanIndexForward"] = False
    return request


def scan_test(pattern: AccessPattern) -> Callable[[Item], bool]:
    """Return the filter of a pattern's scan, as a test of an item that boto3 gives."""
    from perfkit.embedded.expressions import Placeholders, parse_condition

    text = pattern.scan_filter or ""
    names, values = pattern.placeholders(text)
    placeholders = Placeholders(names or None, values or None)
    condition = parse_condition(text, placeholders, "FilterExpression")
    if all(value.keys() <= _ALIKE for value in values.values()):
        return condition.matches
    # boto3 gives binary values as bytes, and the condition holds base64 text
    looked_at = condition.attributes
    return lambda item: condition.matches(
        {name: from_client(item[name]) for name in looked_at if name in item}
    )


def asker(then: Then, pattern: AccessPattern, table: Table) -> Callable[[Item], Request | None]:
    """
    Return what makes the request of a second step, given an item that the first one found.

    It returns None for an item that lacks an attribute that is asked with, or has it in another
    type than the key.

    Args:
        then: The second step.
        pattern: Whose parameters it may ask with.
        table: That of the second step.
    """
    if then.query is None:
        types = {key.name: key.type for key in table.keys}
        sources = then.key or {}

        def get(item: Item) -> Request | None:
            key = _values(sources, item, pattern, types)
            return None if key is None else {"TableName": table.name, "Key": key}

        return get
    form = then.query
    keys = {key.name: key.type for key in table.keys}
    if form.index is not None:
        keys |= {key.name: key.type for key in table.index(form.index).keys}
    types = {
        name: keys[attribute]
        for name, attribute in equalities(form.key_condition, pattern)
        if attribute in keys
    }
    request = query_request(pattern, form, table.name)

    def query(item: Item) -> Request | None:
        values = _values(then.parameters, item, pattern, types)
        if values is None:
            return None
        stated = request.get("ExpressionAttributeValues", {})
        return {**request, "ExpressionAttributeValues": {**stated, **values}}

    return query


def _values(
    sources: Mapping[str, str], item: Item, pattern: AccessPattern, types: Mapping[str, str]
) -> Request | None:
    """Return a value for each name, of the wanted type where one is known; None if one lacks."""
    values = {name: _value(source, item, pattern) for name, source in sources.items()}
    known = {name: value for name, value in values.items() if value is not None}
    fits = all(types.get(name) in {None, *value} for name, value in known.items())
    return known if fits and len(known) == len(values) else None


def _value(source: str, item: Item, pattern: AccessPattern) -> AttributeValue | None:
    if source in pattern.parameters:
        return to_client(pattern.parameters[source])
    named = attributes_of(source)
    if named == (source,):
        value = item.get(source)
        return None if value is None or "NULL" in value else value
    text = source
    for name in named:
        content = item.get(name, {})
        part = content.get("S", content.get("N"))
        if part is None:
            return None
        text = text.replace(f"{{{name}}}", part)
    return {"S": text}
