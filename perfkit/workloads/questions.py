"""Whether the access patterns of a workload can be asked: expressions, keys, projections, cache."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import pairwise
from string import Formatter
from typing import Any, TypeVar

from perfkit.embedded.errors import DynamoDBError
from perfkit.embedded.expressions import (
    KeyOperator,
    KeyTerm,
    Placeholders,
    parse_condition,
    parse_key_condition,
)
from perfkit.workloads.hints import expression_hint
from perfkit.workloads.literals import plain_value
from perfkit.workloads.model import AccessPattern, GetForm, Key, QueryForm, Table, Workload
from perfkit.workloads.problems import Problem, nearest

__all__ = ["pattern_problems"]

T = TypeVar("T")

_parse_filter = partial(parse_condition, kind="FilterExpression")


def pattern_problems(workload: Workload) -> list[Problem]:
    """Return a problem for everything about the access patterns that cannot be asked."""
    return [
        problem
        for pattern in workload.patterns
        for problem in _Check(pattern, workload.table(pattern.table)).problems()
    ]


class _Check:
    """One pattern against its table."""

    def __init__(self, pattern: AccessPattern, table: Table) -> None:
        self._pattern = pattern
        self._table = table
        # what the items of a table have that exists already, only the target knows
        self._held = None if table.exists else {each.name for each in table.attributes}
        self._problems: list[Problem] = []

    def problems(self) -> list[Problem]:
        pattern = self._pattern
        self._check_filter(pattern.scan_filter, "scan", "filter")
        for number, name in enumerate(pattern.returns):
            self._check_attribute(name, "returns", number)
        if pattern.query is not None:
            self._check_query(pattern.query)
        if pattern.get is not None:
            self._check_get(pattern.get)
        self._check_all_used()
        self._check_cache_key()
        return self._problems

    def _report(self, *path: str | int, message: str, value: Any = None) -> None:
        problem = Problem.at("patterns", self._pattern.name, *path, message=message, value=value)
        self._problems.append(problem)

    def _read(self, parse: Callable[[str, Placeholders], T], text: str, *path: str) -> T | None:
        """Return what *parse* makes of the expression at *path*, None if that is wrong."""
        pattern = self._pattern
        hint = expression_hint(text, key=parse is parse_key_condition)
        known = {*pattern.parameters, *pattern.names}
        for placeholder in AccessPattern.mentioned(text):
            if placeholder not in known:
                what = "parameter" if placeholder.startswith(":") else "name"
                message = (
                    f"{placeholder} is no {what} of the pattern; {nearest(placeholder, known)}"
                )
                self._report(*path, value=text, message=message)
                return None
        names, values = pattern.placeholders(text)
        try:
            return parse(text, Placeholders(names or None, values or None))
        except DynamoDBError as error:
            message = error.message
            _, reserved, keyword = message.partition("reserved keyword: ")
            if reserved:
                short = keyword.lower()
                message += f'; write #{short} and add names = {{ {short} = "{keyword}" }}'
            if hint is not None:
                message += f"; {hint}"
            self._report(*path, value=text, message=message)
            return None

    def _check_attribute(self, name: str, *path: str | int) -> None:
        if self._held is not None and name not in self._held:
            message = f"no item has this attribute; {nearest(name, self._held)}"
            self._report(*path, value=name, message=message)

    def _check_filter(self, text: str, *path: str) -> frozenset[str]:
        """Return the attributes that a filter looks at."""
        condition = self._read(_parse_filter, text, *path)
        if condition is None:
            return frozenset()
        if self._held is not None:
            for name in sorted(condition.attributes - self._held):
                message = f"no item has the attribute {name}; {nearest(name, self._held)}"
                self._report(*path, value=text, message=message)
        return condition.attributes

    def _check_query(self, query: QueryForm) -> None:
        table = self._table
        partition, sort = table.partition_keys, table.sort_keys
        projected = None
        if query.index is not None:
            indexes = {index.name: index for index in table.indexes}
            index = indexes.get(query.index)
            if index is None:
                message = f"{table.name} has no such index; {nearest(query.index, indexes)}"
                self._report("query", "index", value=query.index, message=message)
                return
            partition, sort = index.partition_keys, index.sort_keys
            projected = table.projected(index)
        terms = self._read(parse_key_condition, query.key_condition, "query", "key_condition")
        if terms is not None:
            misfit = _misfit(terms, partition, sort)
            if misfit is not None:
                self._report("query", "key_condition", value=query.key_condition, message=misfit)
        filtered: Iterable[str] = ()
        if query.filter is not None:
            filtered = self._check_filter(query.filter, "query", "filter")
            names = {key.name for key in (*partition, *sort)}
            for name in sorted(names.intersection(filtered)):
                message = f"{name} is a key here; expected it in key_condition, not in a filter"
                self._report("query", "filter", value=query.filter, message=message)
        if projected is not None:
            self._check_projected(query, projected, filtered)

    def _check_projected(
        self, query: QueryForm, projected: frozenset[str], filtered: Iterable[str]
    ) -> None:
        """Check that the index holds everything that is asked of it."""
        choices = ", ".join(sorted(projected))
        known = set(filtered) if self._held is None else self._held.intersection(filtered)
        for name in sorted(known - projected):
            message = f"{query.index} does not hold {name}; choose from {choices}"
            self._report("query", "filter", value=query.filter, message=message)
        if not self._pattern.returns:
            message = (
                f"the scan gives whole items, {query.index} only some attributes: "
                f"expected returns to list those the question needs; choose from {choices}"
            )
            self._report("returns", message=message)
        for number, name in enumerate(self._pattern.returns):
            if name not in projected and (self._held is None or name in self._held):
                message = f"{query.index} does not hold it; choose from {choices}"
                self._report("returns", number, value=name, message=message)

    def _check_get(self, get: GetForm) -> None:
        types = {key.name: key.type for key in self._table.keys}
        if get.key.keys() != types.keys():
            message = f"expected the whole key of {self._table.name}: {', '.join(types)}"
            self._report("get", message=message)
        for name, wire in get.key.items():
            if name in types and types[name] not in wire:
                value = get.parameters.get(name, plain_value(wire))
                self._report("get", name, value=value, message=_type_wanted(types[name]))

    def _check_all_used(self) -> None:
        pattern = self._pattern
        used = AccessPattern.mentioned(pattern.scan_filter) | self._asked()
        for section, mapping in (("parameters", pattern.parameters), ("names", pattern.names)):
            for name in mapping:
                if name not in used:
                    message = f"no expression uses {name}; expected it in one, or left out"
                    self._report(section, name[1:], message=message)

    def _asked(self) -> set[str]:
        """Return the parameters that the query or get form uses: those that the answer depends on."""
        pattern = self._pattern
        if pattern.query is not None:
            return AccessPattern.mentioned(pattern.query.key_condition, pattern.query.filter)
        return set(pattern.get.parameters.values()) if pattern.get is not None else set()

    def _check_cache_key(self) -> None:
        cache = self._pattern.cache
        if cache is None:
            return
        path = "cache", "key"
        known = {name[1:] for name in self._pattern.parameters}
        try:
            fields = [
                name
                for _, name, spec, conversion in Formatter().parse(cache.key)
                if name is not None and not spec and not conversion
            ]
        except ValueError:
            message = 'expected parameters in braces, such as "orders:{customer}"'
            self._report(*path, value=cache.key, message=message)
            return
        for name in fields:
            if name not in known:
                message = f"{{{name}}} is no parameter of the pattern; {nearest(name, known)}"
                self._report(*path, value=cache.key, message=message)
        for name in sorted({name[1:] for name in self._asked() if name[0] == ":"} - set(fields)):
            message = f"expected {{{name}}} in it: other answers would be kept under the same key"
            self._report(*path, value=cache.key, message=message)


def _misfit(terms: Sequence[KeyTerm], partition: Sequence[Key], sort: Sequence[Key]) -> str | None:
    """Return why a query of these keys cannot have the conditions *terms*, None if it can."""
    types = {key.name: key.type for key in (*partition, *sort)}
    shown = " and ".join(types)
    for term in terms:
        if term.attribute not in types:
            return f"{term.attribute} is no key here; expected conditions on {shown}"
        for operand in term.operands:
            if types[term.attribute] not in operand:
                return f"{_type_wanted(types[term.attribute])} for {term.attribute}"
    equal = {term.attribute for term in terms if term.operator is KeyOperator.EQ}
    for key in partition:
        if key.name not in equal:
            return f'expected "{key.name} = …": a query reads one partition'
    return _sort_misfit({term.attribute for term in terms}, equal, sort)


def _sort_misfit(asked: set[str], equal: set[str], sort: Sequence[Key]) -> str | None:
    """Return why conditions on several sort keys do not go from left to right, None if they do."""
    for before, key in pairwise(sort):
        if key.name in asked and before.name not in equal:
            return (
                f'expected "{before.name} = …" beside {key.name}: sort keys are asked for from'
                " left to right, all but the last with ="
            )
    return None


def _type_wanted(key_type: str) -> str:
    if key_type == "B":
        return 'expected binary, such as { B = "AQI=" }'
    return "expected a text" if key_type == "S" else "expected a number"
