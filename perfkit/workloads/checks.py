"""Whether the tables of a workload can exist: keys, sizes, exact facts, one item for each key."""

import re
from collections.abc import Iterator
from itertools import combinations

from perfkit.capacity import AttributeValue
from perfkit.workloads.bounds import (
    first_text,
    is_unique,
    largest_bytes,
    may_be_empty,
    present_share,
)
from perfkit.workloads.kinds import (
    Boolean,
    Choice,
    Integer,
    Padding,
    Reference,
    Sequence,
    Template,
    number_in,
    set_number,
)
from perfkit.workloads.literals import literal_content, plain_value
from perfkit.workloads.model import Attribute, Entity, Table, Target, Workload
from perfkit.workloads.names import entity_path
from perfkit.workloads.problems import Problem, written

__all__ = ["table_problems", "target_problems"]

_PASSWORD = re.compile(r"//.*:.*@")

_MAX_PARTITION_KEY_BYTES = 2048
_MAX_SORT_KEY_BYTES = 1024


def table_problems(workload: Workload) -> Iterator[Problem]:
    """Yield a problem for everything about the tables and their items that cannot be."""
    for table in workload.tables:
        yield from _primary_key_problems(workload, table)
        yield from _index_problems(workload, table)
        for entity in table.entities:
            yield from _size_problems(workload, table, entity)
            yield from _value_problems(workload, table, entity)
            yield from _exactly_problems(workload, table, entity)


def target_problems(workload: Workload) -> Iterator[Problem]:
    """Yield a problem for every secret in where the tables are; without the secret."""
    for name, variable in (("at", "PERFKIT_TARGET"), ("redis_url", "PERFKIT_REDIS_URL")):
        value = getattr(workload.target, name)
        if value is not None and _PASSWORD.search(value):
            message = f"expected no password in a file; set {variable} to the whole URL instead"
            yield Problem.at("target", name, message=message)


def _primary_key_problems(workload: Workload, table: Table) -> Iterator[Problem]:
    limits = _MAX_PARTITION_KEY_BYTES, _MAX_SORT_KEY_BYTES
    for key, limit in zip(table.keys, limits, strict=False):
        yield from _key_problems(workload, table, key.name, limit)
        for entity in table.entities:
            attribute = entity.attribute(key.name)
            if present_share(entity, attribute) < 1:
                message = "every item needs its key; expected an attribute that is always present"
                yield _attribute_problem(table, entity, attribute, message)
    for entity in table.entities:
        attributes = [entity.attribute(key.name) for key in table.keys]
        if not any(is_unique(workload, entity, attribute) for attribute in attributes):
            message = (
                "two items could have the same key; expected a key attribute that is a sequence, "
                "is marked unique, or is a template of one with text between its parts"
            )
            yield _attribute_problem(table, entity, attributes[-1], message)
    for one, other in combinations(table.entities, 2):
        if not any(_apart(workload, one, other, key.name) for key in table.keys):
            message = (
                f"an item could have the same key as one of {one.name}; "
                "expected a key that starts with another text"
            )
            yield _attribute_problem(table, other, other.attribute(table.keys[-1].name), message)


def _apart(workload: Workload, one: Entity, other: Entity, key: str) -> bool:
    """Return whether no item of *one* can have the same *key* as one of *other*."""
    start, whole = first_text(workload, one, one.attribute(key))
    other_start, other_whole = first_text(workload, other, other.attribute(key))
    if whole and other_whole:
        return start != other_start
    if whole:
        return not start.startswith(other_start)
    if other_whole:
        return not other_start.startswith(start)
    return not (start.startswith(other_start) or other_start.startswith(start))


def _index_problems(workload: Workload, table: Table) -> Iterator[Problem]:
    limits = _MAX_PARTITION_KEY_BYTES, _MAX_SORT_KEY_BYTES
    primary = {key.name for key in table.keys}
    for name, limit in {
        key.name: limit
        for index in table.indexes
        for keys, limit in zip((index.partition_keys, index.sort_keys), limits, strict=True)
        for key in keys
        if key.name not in primary
    }.items():
        yield from _key_problems(workload, table, name, limit)


def _key_problems(workload: Workload, table: Table, name: str, limit: int) -> Iterator[Problem]:
    types = {}
    for entity in table.entities:
        attribute = next((item for item in entity.attributes if item.name == name), None)
        if attribute is None:
            continue
        types[attribute.type] = attribute
        message = ""
        if isinstance(attribute.generator, Padding):
            message = "padding is no key; expected an attribute of another kind"
        elif attribute.type not in {"S", "N"}:
            message = "a key is a text or a number; expected an attribute of another kind"
        elif len(types) > 1:
            others = " and ".join(sorted(types))
            message = f"a key has one type in all items; expected the same one, got {others}"
        elif may_be_empty(workload, attribute):
            message = "a key is never empty; expected a text of at least one character"
        else:
            largest = largest_bytes(workload, entity, attribute)
            if largest > limit:
                message = f"may take {largest:,} bytes; expected at most {limit:,} for this key"
        if message:
            yield _attribute_problem(table, entity, attribute, message)


def _size_problems(workload: Workload, table: Table, entity: Entity) -> Iterator[Problem]:
    if entity.item_size is None:
        return
    needed = sum(
        len(attribute.name.encode()) + largest_bytes(workload, entity, attribute)
        for attribute in entity.attributes
    )
    if needed > entity.item_size.min_bytes:
        path = *entity_path(table.name, entity.name), "item_size"
        message = (
            f"the attributes may take {needed:,} bytes; expected an item_size of at least that"
        )
        yield Problem.at(*path, value=entity.item_size.min_bytes, message=message)


def _value_problems(workload: Workload, table: Table, entity: Entity) -> Iterator[Problem]:
    """Yield a problem where an attribute runs out of values, or refers to what may be missing."""
    counts = {
        (table.name, entity.name): entity.items
        for table in workload.tables
        for entity in table.entities
    }
    for attribute in entity.attributes:
        target = attribute.target
        values = attribute.unique_values(counts)
        if target is not None and entity.items and not counts[target.table, target.entity]:
            message = f"refers to {target.table}, which has no items; expected at least one there"
        elif target is not None and _optional(workload, target):
            message = (
                f"refers to {target.attribute}, which not every item of {target.table} has; "
                "expected an attribute that is always present"
            )
        elif values is not None and values < entity.items:
            message = (
                f"has {values:,} unique values; expected at least {entity.items:,}, one an item"
            )
        elif (part := _unprintable(entity, attribute)) is not None:
            message = f"{{{part}}} is no text; expected one of a text, a number, true or false"
        else:
            continue
        yield _attribute_problem(table, entity, attribute, message)


def _unprintable(entity: Entity, attribute: Attribute) -> str | None:
    """Return which part of a template no text can be made of; None if there is none."""
    kind = attribute.generator
    parts = kind.names if isinstance(kind, Template) else ()
    printable = {"S", "N", "BOOL"}
    return next((part for part in parts if entity.attribute(part).type not in printable), None)


def _optional(workload: Workload, target: Target) -> bool:
    return present_share(workload.entity(target), workload.attribute(target)) < 1


def _exactly_problems(workload: Workload, table: Table, entity: Entity) -> Iterator[Problem]:
    place: tuple[str | int, ...] = (*entity_path(table.name, entity.name), "exactly")
    asked = sum(exactly.items for exactly in entity.exactly)
    if asked > entity.items:
        message = (
            f"asks for {asked:,} items in all; expected at most the {entity.items:,} there are"
        )
        yield Problem.at(*place, message=message)
    for number, exactly in enumerate(entity.exactly):
        refused = False
        for name, wire in exactly.where.items():
            refusal = _refusal(workload, entity.attribute(name), wire)
            if refusal is not None:
                refused = True
                path = *place, number, "where", name
                yield Problem.at(*path, value=plain_value(wire), message=refusal)
        for other_number, other in enumerate(entity.exactly):
            if other_number != number and other.where.items() <= exactly.where.items():
                message = f"its items would also be those of exactly[{other_number}]; expected facts apart"
                yield Problem.at(*place, number, message=message)
        varieties = [_variety(workload, entity.attribute(name)) for name in exactly.where]
        if max(varieties) < 2 and not refused:
            message = "every item has these values; expected an attribute that has others too"
            yield Problem.at(*place, number, "where", message=message)


def _refusal(workload: Workload, attribute: Attribute, wire: AttributeValue) -> str | None:
    """Return why no item can be made to have the value *wire*, or None if one can."""
    kind = attribute.generator
    if not isinstance(kind, Boolean | Choice | Integer | Reference) or kind.present < 1:
        return (
            "cannot be set; expected an attribute of kind boolean, choice, integer or reference "
            "that every item has"
        )
    ((wire_type, content),) = wire.items()
    if wire_type != attribute.type:
        names = {"S": "a text", "N": "a number", "BOOL": "true or false", "L": "a list"}
        wanted = names.get(attribute.type, f"a value of type {attribute.type}")
        return f"expected {wanted}, as {attribute.name} is elsewhere"
    match kind:
        case Integer() | Reference() if kind.unique:
            return "cannot be set where every value is unique; expected unique to be left out"
        case Choice():
            known = [literal_content(value) for value in kind.values]
            return (
                None if content in known else f"expected one of the values: {written(kind.values)}"
            )
        case Integer():
            number = number_in(content, kind.format)
            if number is not None and kind.min <= number <= kind.max:
                return None
            low, high = (set_number(bound, kind.format) for bound in (kind.min, kind.max))
            return f"expected one of {low} to {high}"
        case Reference() if attribute.target is not None:
            return _no_such_item(workload, attribute.target, content)
        case _:
            return None


def _no_such_item(workload: Workload, target: Target, content: str) -> str | None:
    """Return why no item is called *content*, or None if one is."""
    kind = workload.attribute(target).generator
    items = workload.entity(target).items
    if not isinstance(kind, Sequence):
        return f"cannot be set; {target.table}.{target.attribute} would have to be a sequence"
    index = kind.index(content)
    # a reference to what has no items at all is a problem of its own
    if not items or (index is not None and index < items):
        return None
    return f"no such item in {target.table}; expected {kind.text(0)} to {kind.text(items - 1)}"


def _variety(workload: Workload, attribute: Attribute) -> int:
    """Return how many values an attribute may have, of those that `exactly` can name."""
    match attribute.generator:
        case Choice() as kind:
            return len(kind.values)
        case Integer() as kind:
            return kind.max - kind.min + 1
        case Boolean() as kind:
            return 2 if 0 < kind.probability < 1 else 1
        case Reference() if attribute.target is not None:
            return workload.entity(attribute.target).items
        case _:
            return 1


def _attribute_problem(table: Table, entity: Entity, attribute: Attribute, message: str) -> Problem:
    path = *entity_path(table.name, entity.name), "attributes", attribute.name
    return Problem.at(*path, message=message)
