"""Whether the names in a workload file name something: attributes, tables, entities, no circles."""

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from perfkit.workloads.kinds import Padding, Reference, Template
from perfkit.workloads.model import Target
from perfkit.workloads.problems import Problem, nearest
from perfkit.workloads.schema import ONLY_ENTITY, EntitySection, FileSection, TableSection

__all__ = ["circles", "entity_path", "is_parameter", "name_problems", "target_of"]


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
        attribute=reference.attribute or file.tables[name].partition_key,
    )


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
        known = [f":{parameter}" for parameter in pattern.parameters]
        for name, value in (pattern.get or {}).items():
            if is_parameter(value) and value not in known:
                message = f"no such parameter; {nearest(value, known)}"
                yield Problem.at(*place, "get", name, value=value, message=message)


def _key_problems(table_name: str, table: TableSection) -> Iterator[Problem]:
    place: tuple[str, ...] = ("tables", table_name)
    for role, name in (("partition_key", table.partition_key), ("sort_key", table.sort_key)):
        for entity_name, entity in table.entities.items():
            if name is not None and name not in entity.attributes:
                of_entity = f" of {entity_name}" if entity_name else ""
                message = (
                    f"items{of_entity} have no such attribute; {nearest(name, entity.attributes)}"
                )
                yield Problem.at(*place, role, value=name, message=message)
    if table.partition_key == table.sort_key:
        message = "expected another attribute than the partition key"
        yield Problem.at(*place, "sort_key", value=table.sort_key, message=message)
    held = dict.fromkeys(name for entity in table.entities.values() for name in entity.attributes)
    for index_name, index in table.indexes.items():
        place = "tables", table_name, "indexes", index_name
        for role, name in (("partition_key", index.partition_key), ("sort_key", index.sort_key)):
            if name is not None and name not in held:
                message = f"no item has this attribute; {nearest(name, held)}"
                yield Problem.at(*place, role, value=name, message=message)
        if index.partition_key == index.sort_key:
            message = "expected another attribute than the partition key"
            yield Problem.at(*place, "sort_key", value=index.sort_key, message=message)
        keys = {*table.keys, index.partition_key, index.sort_key}
        for number, name in enumerate(index.non_key_attributes):
            if name in keys:
                message = "keys are always in an index; leave it out here"
            elif name not in held:
                message = f"no item has this attribute; {nearest(name, held)}"
            else:
                continue
            yield Problem.at(*place, "non_key_attributes", number, value=name, message=message)


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
