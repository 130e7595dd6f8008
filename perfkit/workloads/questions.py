"""Whether the access patterns of a workload can be asked: expressions, keys, projections, cache."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
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
from perfkit.workloads.equalities import equal_attributes
from perfkit.workloads.hints import expression_hint
from perfkit.workloads.literals import plain_value
from perfkit.workloads.model import (
    AccessPattern,
    GetForm,
    Key,
    QueryForm,
    Table,
    Then,
    Workload,
    attributes_of,
)
from perfkit.workloads.names import is_parameter
from perfkit.workloads.problems import Problem, nearest
from perfkit.workloads.schema import SAMPLE

__all__ = ["pattern_problems"]

_T = TypeVar("_T")

_parse_filter = partial(parse_condition, kind="FilterExpression")


def pattern_problems(workload: Workload) -> list[Problem]:
    """Return a problem for everything about the access patterns that cannot be asked."""
    return [
        problem for pattern in workload.patterns for problem in _Check(pattern, workload).problems()
    ]


class _Check:
    """One pattern against its table."""

    def __init__(self, pattern: AccessPattern, workload: Workload) -> None:
        self._pattern = pattern
        # of what is drawn or found no value is known: its name stands for one
        unknown = [*pattern.drawn, *(pattern.steps.then.parameters if pattern.steps else ())]
        self._unknown = {name: {"S": name} for name in unknown}
        self._values = {**pattern.parameters, **self._unknown}
        self._workload = workload
        table = workload.table(pattern.table)
        self._table = table
        # what the items of a table have that exists already, only the target knows
        self._held = None if table.exists else {each.name for each in table.attributes}
        self._problems: list[Problem] = []

    def problems(self) -> list[Problem]:
        pattern = self._pattern
        if pattern.scan_filter is not None:
            self._check_filter(pattern.scan_filter, "scan", "filter")
        for number, name in enumerate(pattern.returns):
            self._check_attribute(name, "returns", number)
        if pattern.query is not None:
            self._check_query(pattern.query, "query")
        if pattern.today_query is not None:
            self._check_query(pattern.today_query, "today_query")
        if pattern.get is not None:
            self._check_get(pattern.get)
        if pattern.steps is not None:
            self._check_then(pattern.steps.then)
        if not self._problems:
            self._check_drawn()
        self._check_all_used()
        self._check_cache_key()
        return self._problems

    def _report(self, *path: str | int, message: str, value: Any = None) -> None:
        problem = Problem.at("patterns", self._pattern.name, *path, message=message, value=value)
        self._problems.append(problem)

    def _read(self, parse: Callable[[str, Placeholders], _T], text: str, *path: str) -> _T | None:
        """Return what *parse* makes of the expression at *path*, None if that is wrong."""
        pattern = self._pattern
        hint = expression_hint(text, key=parse is parse_key_condition)
        known = {*self._values, *pattern.names}
        for placeholder in AccessPattern.mentioned(text):
            if placeholder not in known:
                what = "parameter" if placeholder.startswith(":") else "name"
                message = (
                    f"{placeholder} is no {what} of the pattern; {nearest(placeholder, known)}"
                )
                self._report(*path, value=text, message=message)
                return None
        names, values = replace(pattern, parameters=self._values).placeholders(text)
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

    def _check_filter(self, text: str, *path: str, table: Table | None = None) -> frozenset[str]:
        """Return the attributes that a filter looks at, of the pattern's table or another one."""
        held = self._held
        if table is not None and table is not self._table:
            held = None if table.exists else {each.name for each in table.attributes}
        condition = self._read(_parse_filter, text, *path)
        if condition is None:
            return frozenset()
        if held is not None:
            for name in sorted(condition.attributes - held):
                message = f"no item has the attribute {name}; {nearest(name, held)}"
                self._report(*path, value=text, message=message)
        return condition.attributes

    def _check_query(self, query: QueryForm, *place: str, table: Table | None = None) -> None:
        """Check a query at *place* of the pattern, of its own table or of another one."""
        table = table or self._table
        partition, sort = table.partition_keys, table.sort_keys
        projected = None
        if query.index is not None:
            indexes = {index.name: index for index in table.indexes}
            index = indexes.get(query.index)
            if index is None:
                message = f"{table.name} has no such index; {nearest(query.index, indexes)}"
                self._report(*place, "index", value=query.index, message=message)
                return
            partition, sort = index.partition_keys, index.sort_keys
            projected = table.projected(index)
        terms = self._read(parse_key_condition, query.key_condition, *place, "key_condition")
        if terms is not None:
            misfit = _misfit([self._known(term) for term in terms], partition, sort)
            if misfit is not None:
                self._report(*place, "key_condition", value=query.key_condition, message=misfit)
        filtered: Iterable[str] = ()
        if query.filter is not None:
            filtered = self._check_filter(query.filter, *place, "filter", table=table)
            names = {key.name for key in (*partition, *sort)}
            for name in sorted(names.intersection(filtered)):
                message = f"{name} is a key here; expected it in key_condition, not in a filter"
                self._report(*place, "filter", value=query.filter, message=message)
        if projected is not None:
            self._check_projected(query, projected, filtered, *place)

    def _known(self, term: KeyTerm) -> KeyTerm:
        """Return a condition on a key without the operands that nothing is known of."""
        unknown = self._unknown.values()
        return replace(term, operands=tuple(each for each in term.operands if each not in unknown))

    def _check_projected(
        self, query: QueryForm, projected: frozenset[str], filtered: Iterable[str], *place: str
    ) -> None:
        """Check that the index holds everything that is asked of it."""
        choices = ", ".join(sorted(projected))
        known = set(filtered) if self._held is None else self._held.intersection(filtered)
        for name in sorted(known - projected):
            message = f"{query.index} does not hold {name}; choose from {choices}"
            self._report(*place, "filter", value=query.filter, message=message)
        if self._pattern.steps is not None:
            self._check_carried(query, projected)
        if (
            place != ("steps", "then", "query")
            and not self._pattern.returns
            and self._is_compared()
        ):
            others = "the scan gives" if self._pattern.scan_filter else "other forms may give"
            message = (
                f"{others} whole items, {query.index} only some attributes: "
                f"expected returns to list those the question needs; choose from {choices}"
            )
            self._report("returns", message=message)
        if self._pattern.steps is not None:
            # what is returned may be of the second step
            return
        for number, name in enumerate(self._pattern.returns):
            if name not in projected and (self._held is None or name in self._held):
                message = f"{query.index} does not hold it; choose from {choices}"
                self._report("returns", number, value=name, message=message)

    def _is_compared(self) -> bool:
        """Return whether there is another form whose answer must be the same."""
        pattern = self._pattern
        forms = (pattern.scan_filter, pattern.query, pattern.today_query, pattern.get)
        return sum(form is not None for form in forms) > 1

    def _check_carried(self, query: QueryForm, projected: frozenset[str]) -> None:
        """Check that an index holds what a second step asks with."""
        steps = self._pattern.steps
        if steps is None or query is steps.then.query:
            return
        for source in steps.then.sources:
            for name in attributes_of(source):
                if name not in projected:
                    message = (
                        f"{query.index} does not hold {name}, which the second step asks with;"
                        f" choose from {', '.join(sorted(projected))}"
                    )
                    self._report("steps", "then", value=source, message=message)

    def _check_then(self, then: Then) -> None:
        """Check what is asked for each item that the first step found."""
        table = self._workload.table(then.table)
        place = "steps", "then"
        part, values = ("parameters", then.parameters) if then.key is None else ("get", then.key)
        for name, source in values.items():
            path = *place, part, name.removeprefix(":")
            if is_parameter(source):
                if source not in self._pattern.parameter_names:
                    known = self._pattern.parameter_names
                    message = f"no such parameter; {nearest(source, known)}"
                    self._report(*path, value=source, message=message)
                continue
            named = attributes_of(source)
            if not named:
                message = 'expected attributes of the item found, such as "ORDER#{order_id}"'
                self._report(*path, value=source, message=message)
            for attribute in named:
                if self._held is not None and attribute not in self._held:
                    message = f"no item found has {attribute}; {nearest(attribute, self._held)}"
                    self._report(*path, value=source, message=message)
        if then.key is not None:
            names = [key.name for key in table.keys]
            if then.key.keys() != set(names):
                message = f"expected the whole key of {table.name}: {', '.join(names)}"
                self._report(*place, "get", message=message)
        if then.query is not None:
            self._check_query(then.query, *place, "query", table=table)

    def _check_drawn(self) -> None:
        """Check that what is drawn from the items of the table can be."""
        if not self._pattern.drawn:
            return
        bound = equal_attributes(self._pattern)
        for name in self._pattern.drawn:
            if name not in bound:
                message = (
                    f"{name} equals no attribute, so none of the table's items says it; expected"
                    f" parameters = {{ {name[1:]} = … }} beside it"
                )
                self._report("parameters_from", value=SAMPLE, message=message)

    def _check_get(self, get: GetForm) -> None:
        types = {key.name: key.type for key in self._table.keys}
        if get.key.keys() != types.keys():
            message = f"expected the whole key of {self._table.name}: {', '.join(types)}"
            self._report("get", message=message)
        for name, wire in get.key.items():
            if name in types and wire and types[name] not in wire:
                value = get.parameters.get(name, plain_value(wire))
                self._report("get", name, value=value, message=_type_wanted(types[name]))

    def _check_all_used(self) -> None:
        pattern = self._pattern
        used = AccessPattern.mentioned(pattern.scan_filter, *pattern.key_forms) | self._asked()
        used.update(pattern.steps.then.sources if pattern.steps else ())
        for section, mapping in (("parameters", pattern.parameters), ("names", pattern.names)):
            for name in mapping:
                if name not in used:
                    message = f"no expression uses {name}; expected it in one, or left out"
                    self._report(section, name[1:], message=message)

    def _asked(self) -> set[str]:
        """Return the parameters that the query or get form uses: those that the answer depends on."""
        pattern = self._pattern
        if pattern.get is not None:
            return set(pattern.get.parameters.values())
        query = pattern.query or pattern.today_query
        asked = (
            AccessPattern.mentioned(pattern.scan_filter)
            if query is None
            else AccessPattern.mentioned(query.key_condition, query.filter)
        )
        if pattern.steps is not None:
            then = pattern.steps.then
            form = then.query
            texts = () if form is None else (form.key_condition, form.filter)
            asked |= {*then.sources, *AccessPattern.mentioned(*texts)} & pattern.parameter_names
        return asked

    def _check_cache_key(self) -> None:
        cache = self._pattern.cache
        if cache is None:
            return
        path = "cache", "key"
        known = {name[1:] for name in self._pattern.parameter_names}
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
        for name in fields:
            kinds = self._pattern.parameters.get(f":{name}", {"S": ""}).keys()
            if not kinds <= {"S", "N", "BOOL"}:
                message = f"{{{name}}} is no text, number or flag, so no key can name it"
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
