"""Whether the names in a workload file name something: attributes, tables, entities, no circles."""

from collections.abc import Collection, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from perfkit.workloads.kinds import Padding, Reference, Template
from perfkit.workloads.literals import literal_type
from perfkit.workloads.model import Target
from perfkit.workloads.problems import Problem, nearest
from perfkit.workloads.schema import (
    ONLY_ENTITY,
    SAMPLE,
    EntitySection,
    FileSection,
    IndexSection,
    KeySection,
    KeyType,
    PatternSection,
    TableSection,
)

__all__ = [
    "circles",
    "entity_path",
    "is_parameter",
    "name_problems",
    "stated_types",
    "target_of",
]


def is_parameter(value: object) -> bool:
    """Return whether a key value of a get form stands for one of the pattern's parameters."""
    return isinstance(value, str) and value.startswith(":")


def entity_path(table: str, entity: str) -> tuple[str, ...]:
    """Return where in the file an entity is described."""
    return ("tables", table) if entity == ONLY_ENTITY else ("tables", table, "entities", entity)


def target_of(file: FileSection, table: str, reference: Reference) -> Target:
    """Return what a *reference* in *table* refers to, defaults filled in."""
    name = reference.table or table
    return Target(
        table=name,
        entity=reference.entity or ONLY_ENTITY,
        attribute=reference.attribute or file.tables[name].partition_key.name,
    )


def stated_types(table: TableSection) -> dict[str, KeyType]:
    """Return the types of key attributes that a table states, by name."""
    keys = (*table.keys, *(key for index in table.indexes.values() for key in index.keys))
    return {key.name: key.type for key in reversed(keys) if key.type is not None}


def name_problems(file: FileSection) -> Iterator[Problem]:
    """Yield a problem for each name that names nothing."""
    for table_name, table in file.tables.items():
        yield from _key_problems(table_name, table)
        for entity_name, entity in table.entities.items():
            yield from _attribute_problems(file, table_name, entity_name, entity)
    for pattern_name, pattern in file.patterns.items():
        place = "patterns", pattern_name
        if pattern.table not in file.tables:
            message = f"no such table; {nearest(pattern.table, file.tables)}"
            yield Problem.at(*place, "table", value=pattern.table, message=message)
        if pattern.steps is not None and pattern.steps.then.table not in file.tables:
            named = pattern.steps.then.table
            message = f"no such table; {nearest(named, file.tables)}"
            yield Problem.at(*place, "steps", "then", "table", value=named, message=message)
        yield from _parameter_problems(pattern, place)
    if file.traffic is not None:
        for part, rates, known, what in (
            ("reads", file.traffic.reads, file.patterns, "access pattern"),
            ("writes", file.traffic.writes, file.tables, "table"),
        ):
            for name in rates:
                if name not in known:
                    message = f"no such {what}; {nearest(name, known)}"
                    yield Problem.at("traffic", part, name, message=message)


def _parameter_problems(pattern: PatternSection, place: tuple[str, ...]) -> Iterator[Problem]:
    sets = pattern.parameters
    if not sets and pattern.parameters_from is None:
        message = (
            'missing; expected what the question is about, such as parameters = { user = "u1" }'
        )
        yield Problem.at(*place, "parameters", message=message)
        return
    sampled = pattern.parameters_from == SAMPLE
    if sampled and len(sets) > 1:
        message = "the others are drawn from the table; expected one set of fixed values at most"
        yield Problem.at(*place, "parameters", message=message)
    for number, one in enumerate(sets):
        types = {name: literal_type(value) for name, value in one.items()}
        wanted = {name: literal_type(value) for name, value in sets[0].items()}
        if types != wanted:
            listed = ", ".join(f"{name} ({kind})" for name, kind in wanted.items())
            message = f"expected the parameters of the first set: {listed}"
            yield Problem.at(*place, "parameters", number, message=message)
    known = [f":{parameter}" for parameter in (sets[0] if sets else ())]
    for name, value in (pattern.get or {}).items():
        if is_parameter(value) and value not in known and not sampled:
            message = f"no such parameter; {nearest(value, known)}"
            yield Problem.at(*place, "get", name, value=value, message=message)


def _key_problems(table_name: str, table: TableSection) -> Iterator[Problem]:
    place: tuple[str, ...] = ("tables", table_name)
    for role, key in (("partition_key", table.partition_key), ("sort_key", table.sort_key)):
        for entity_name, entity in table.entities.items():
            if key is not None and key.name not in entity.attributes:
                of_entity = f" of {entity_name}" if entity_name else ""
                message = (
                    f"items{of_entity} have no such attribute;"
                    f" {nearest(key.name, entity.attributes)}"
                )
                yield Problem.at(*place, role, value=key.name, message=message)
        if key is not None:
            yield from _type_problems(table, key, *place, role)
    if table.sort_key is not None and table.partition_key.name == table.sort_key.name:
        message = "expected another attribute than the partition key"
        yield Problem.at(*place, "sort_key", value=table.sort_key.name, message=message)
    held = dict.fromkeys(name for entity in table.entities.values() for name in entity.attributes)
    for index_name, index in table.indexes.items():
        yield from _index_problems(
            table, index, held, ("tables", table_name, "indexes", index_name)
        )


def _index_problems(
    table: TableSection, index: IndexSection, held: Collection[str], place: tuple[str, ...]
) -> Iterator[Problem]:
    made = bool(table.entities)
    seen: set[str] = set()
    for role, keys in (("partition_key", index.partition_key), ("sort_key", index.sort_key or ())):
        for number, key in enumerate(keys):
            # a single one is written without a list
            path: tuple[str | int, ...] = (*place, role, *([number] if len(keys) > 1 else []))
            if made and key.name not in held:
                message = f"no item has this attribute; {nearest(key.name, held)}"
                yield Problem.at(*path, value=key.name, message=message)
            elif key.name in seen:
                single = len(index.partition_key) == len(keys) == 1
                another = "the partition key" if single else "those before"
                message = f"expected another attribute than {another}"
                yield Problem.at(*path, value=key.name, message=message)
            else:
                yield from _type_problems(table, key, *path)
            seen.add(key.name)
    keys_of_all = seen | {key.name for key in table.keys}
    for number, name in enumerate(index.non_key_attributes):
        if name in keys_of_all:
            message = "keys are always in an index; leave it out here"
        elif made and name not in held:
            message = f"no item has this attribute; {nearest(name, held)}"
        else:
            continue
        yield Problem.at(*place, "non_key_attributes", number, value=name, message=message)
    for flag in ("exists", "local"):
        if made and getattr(index, flag):
            message = "perfkit makes this table and its global indexes; expected it to be left out"
            yield Problem.at(*place, flag, value=True, message=message)
    if index.local and not made:
        yield from _local_problems(table, index, place)


def _local_problems(
    table: TableSection, index: IndexSection, place: tuple[str, ...]
) -> Iterator[Problem]:
    names = [key.name for key in index.partition_key]
    if names != [table.partition_key.name]:
        message = f"a local index has the table's: expected {table.partition_key.name}"
        yield Problem.at(*place, "partition_key", value=", ".join(names), message=message)
    if len(index.sort_key or ()) != 1:
        message = "expected one sort key: a local index has another than the table"
        yield Problem.at(*place, "sort_key", message=message)


def _type_problems(table: TableSection, key: KeySection, *path: str | int) -> Iterator[Problem]:
    """Yield a problem where nothing says a key's type, or two places say different ones."""
    if table.entities:
        if key.type is not None:
            message = "attributes give the type; expected the name alone"
            yield Problem.at(*path, "type", value=str(key.type), message=message)
        return
    known = stated_types(table).get(key.name)
    if known is None:
        message = (
            f'its type is not known; expected {{ name = "{key.name}", type = "S" }}, or N or B'
        )
        yield Problem.at(*path, value=key.name, message=message)
    elif key.type is not None and key.type is not known:
        message = f"{key.name} is {known} elsewhere in this table; expected one type"
        yield Problem.at(*path, "type", value=str(key.type), message=message)


def _attribute_problems(
    file: FileSection, table_name: str, entity_name: str, entity: EntitySection
) -> Iterator[Problem]:
    place = entity_path(table_name, entity_name)
    fillers = [name for name, kind in entity.attributes.items() if isinstance(kind, Padding)]
    if len(fillers) > 1:
        message = f"expected one attribute of kind padding; {fillers[0]} is one already"
        yield Problem.at(*place, "attributes", fillers[1], message=message)
    if fillers and entity.item_size is None:
        message = "padding fills an item up to its item_size, which is missing"
        yield Problem.at(*place, "attributes", fillers[0], message=message)
    if entity.item_size is not None and not fillers:
        message = 'expected an attribute of kind = "padding" to fill items up to this size'
        yield Problem.at(*place, "item_size", message=message)
    for name, kind in entity.attributes.items():
        if isinstance(kind, Template):
            for part in kind.names:
                if part not in entity.attributes or part == name or part in fillers:
                    others = entity.attributes.keys() - {name, *fillers}
                    message = f"{{{part}}} names no other attribute; {nearest(part, others)}"
                    path = *place, "attributes", name, "format"
                    yield Problem.at(*path, value=kind.format, message=message)
        elif isinstance(kind, Reference):
            problem = _reference_problem(file, table_name, kind, (*place, "attributes", name))
            if problem is not None:
                yield problem
    for number, exactly in enumerate(entity.exactly):
        for name, value in exactly.where.items():
            if name not in entity.attributes:
                message = f"no such attribute; {nearest(name, entity.attributes)}"
                yield Problem.at(
                    *place, "exactly", number, "where", name, value=value, message=message
                )


def _reference_problem(
    file: FileSection, table_name: str, reference: Reference, place: tuple[str, ...]
) -> Problem | None:
    name = reference.table or table_name
    table = file.tables.get(name)
    if table is None:
        message = f"no such table; {nearest(name, file.tables)}"
        return Problem.at(*place, "table", value=name, message=message)
    if not table.entities:
        message = f"perfkit does not make the items of {name}; expected a table that it makes"
        return Problem.at(*place, "table", value=name, message=message)
    entities: Mapping[str, EntitySection] = table.entities
    if ONLY_ENTITY in entities:
        if reference.entity is not None:
            message = f"{name} has items of one kind only; leave entity out"
            return Problem.at(*place, "entity", value=reference.entity, message=message)
    elif reference.entity is None:
        message = f"{name} has items of several kinds: say which with entity = one of {', '.join(entities)}"
        return Problem.at(*place, message=message)
    elif reference.entity not in entities:
        message = f"{name} has no such entity; {nearest(reference.entity, entities)}"
        return Problem.at(*place, "entity", value=reference.entity, message=message)
    target = target_of(file, table_name, reference)
    entity = entities[target.entity]
    kind = entity.attributes.get(target.attribute)
    if kind is None:
        message = (
            f"items there have no such attribute; {nearest(target.attribute, entity.attributes)}"
        )
    elif isinstance(kind, Padding):
        message = "expected an attribute other than padding"
    else:
        return None
    return Problem.at(*place, "attribute", value=target.attribute, message=message)


def circles(file: FileSection) -> Iterator[Problem]:
    """Yield a problem if attributes are made from each other in a circle."""
    graph: dict[Target, set[Target]] = {}
    for table_name, table in file.tables.items():
        for entity_name, entity in table.entities.items():
            graph.update(_sources(file, table_name, entity_name, entity))
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle: list[Target] = error.args[1]
        first = circle[0]
        chain = " from ".join(target.attribute for target in reversed(circle))
        path = *entity_path(first.table, first.entity), "attributes", first.attribute
        yield Problem.at(*path, message=f"made from itself: {chain}; break the circle")


def _sources(
    file: FileSection, table_name: str, entity_name: str, entity: EntitySection
) -> dict[Target, set[Target]]:
    """Return what each attribute of an entity is made from."""

    def target(name: str) -> Target:
        return Target(table=table_name, entity=entity_name, attribute=name)

    sources: dict[Target, set[Target]] = {}
    for name, kind in entity.attributes.items():
        if isinstance(kind, Template):
            sources[target(name)] = {target(part) for part in kind.names}
        elif isinstance(kind, Reference):
            sources[target(name)] = {target_of(file, table_name, kind)}
    # attributes of an exact fact are drawn together, so each needs what any of them needs
    tied = {target(name) for exactly in entity.exactly for name in exactly.where}
    together = set().union(*(sources.get(name, set()) for name in tied))
    return sources | dict.fromkeys(tied, together)
