"""`ExpressionAttributeNames` and `ExpressionAttributeValues` of one request."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from perfkit.capacity import AttributeValue
from perfkit.embedded.errors import validation
from perfkit.embedded.expressions.lexer import refuse
from perfkit.embedded.expressions.syntax import PathNode
from perfkit.embedded.values import InvalidValueError, json_map, json_text, normalize_value

__all__ = ["Placeholders"]

_MAX_PLACEHOLDER_BYTES = 255

_is_name = re.compile("#[A-Za-z0-9_]+").fullmatch
_is_value = re.compile(":[A-Za-z0-9_]+").fullmatch


def _check_keys(
    parameter: str, entries: Mapping[str, Any], is_key: Callable[[str], object]
) -> None:
    if not entries:
        raise validation(f"{parameter} must not be empty")
    for key in entries:
        size_bytes = len(key.encode())
        if size_bytes > _MAX_PLACEHOLDER_BYTES:
            problem = f"The expression attribute map contains a key that is too long; size of key: {size_bytes}"
        elif not is_key(key):
            problem = f'Syntax error; key: "{key}"'
        else:
            continue
        raise validation(f"{parameter} contains invalid key: {problem}")


class Placeholders:
    """
    What `#name` and `:value` stand for in the expressions of one request.

    All expressions of the request are parsed with the same object; `check_all_used` then
    tells whether any placeholder was superfluous.

    Args:
        names: ExpressionAttributeNames, None if absent.
        values: ExpressionAttributeValues in wire form, None if absent.

    Raises:
        DynamoDBError: A map is empty, a placeholder is misspelt, or a value is refused.
    """

    def __init__(self, names: Mapping[str, Any] | None, values: Mapping[str, Any] | None) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, AttributeValue] = {}
        self._used: set[str] = set()
        if names is not None:
            self._read_names(json_map(names))
        if values is not None:
            self._read_values(json_map(values))

    def _read_names(self, names: Mapping[str, Any]) -> None:
        parameter = "ExpressionAttributeNames"
        _check_keys(parameter, names, _is_name)
        for alias, name in names.items():
            self._names[alias] = json_text(name)
            if not name:
                message = (
                    f"{parameter} contains invalid value: Empty attribute name for key {alias}"
                )
                raise validation(message)

    def _read_values(self, values: Mapping[str, Any]) -> None:
        parameter = "ExpressionAttributeValues"
        _check_keys(parameter, values, _is_value)
        for alias, value in values.items():
            try:
                self._values[alias] = normalize_value(value)
            except InvalidValueError as error:
                older = f"{parameter} contains invalid value: {error.older_message} for key {alias}"
                raise InvalidValueError(error.message, older) from None

    def value(self, alias: str) -> AttributeValue:
        """Return what *alias* (":v") stands for."""
        if alias not in self._values:
            refuse(
                "An expression attribute value used in expression is not defined; "
                f"attribute value: {alias}"
            )
        self._used.add(alias)
        return self._values[alias]

    def path(self, node: PathNode) -> tuple[str | int, ...]:
        """Return a path with the names its placeholders stand for."""
        return tuple(
            self._name(part) if isinstance(part, str) and part[0] == "#" else part
            for part in node.parts
        )

    def _name(self, alias: str) -> str:
        if alias not in self._names:
            refuse(
                "An expression attribute name used in the document path is not defined; "
                f"attribute name: {alias}"
            )
        self._used.add(alias)
        return self._names[alias]

    def check_all_used(self) -> None:
        """
        Refuse placeholders that no expression of the request has used.

        Raises:
            DynamoDBError: There is one; names are reported before values.
        """
        for parameter, known in (
            ("ExpressionAttributeNames", self._names),
            ("ExpressionAttributeValues", self._values),
        ):
            unused = [alias for alias in known if alias not in self._used]
            if unused:
                message = (
                    f"Value provided in {parameter} unused in expressions: "
                    f"keys: {{{', '.join(unused)}}}"
                )
                raise validation(message)
