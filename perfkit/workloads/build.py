"""From a workload file as written to a workload as used: types inferred, defaults filled in."""

from collections.abc import Iterable, Mapping
from typing import Any

from perfkit.capacity import AttributeValue
from perfkit.workloads.gates import Gate, parse_gate
from perfkit.workloads.kinds import Kinds, Padding, Reference, Sequence, Template, element_type
from perfkit.workloads.literals import wire_value
from perfkit.workloads.model import (
    AccessPattern,
    Attribute,
    CachePolicy,
    Entity,
    Exactly,
    GetForm,
    Index,
    ItemSize,
    Key,
    QueryForm,
    Quote,
    Quoted,
    Steps,
    Table,
    TargetDefaults,
    Then,
    Traffic,
    Workload,
)
from perfkit.workloads.names import is_parameter, stated_types, target_of
from perfkit.workloads.schema import (
    SAMPLE,
    EntitySection,
    FileSection,
    KeySection,
    PatternSection,
    QuerySection,
    QuotedSection,
    QuoteSection,
    SizeSection,
    StepsSection,
    TrafficSection,
)

__all__ = ["build", "build_gates"]


def build(file: FileSection, *, source: str, digest: str) -> Workload:
    """Return the workload of a *file* whose names all name something."""
    return Workload(
        name=file.name,
        description=file.description,
        tables=tuple(_table(file, name) for name in file.tables),
        patterns=tuple(_pattern(name, section) for name, section in file.patterns.items()),
        traffic=None if file.traffic is None else _traffic(file.traffic),
        source=source,
        digest=digest,
        target=TargetDefaults(**file.target.model_dump()) if file.target else TargetDefaults(),
        gates=build_gates(file.gates),
    )


def build_gates(written: Mapping[str, Iterable[str]]) -> tuple[Gate, ...]:
    """Return the gates that stand under what each of them is about."""
    return tuple(
        parse_gate(text, scope=scope) for scope, texts in written.items() for text in texts
    )


def _table(file: FileSection, name: str) -> Table:
    section = file.tables[name]

    def keys(parts: Iterable[KeySection]) -> tuple[Key, ...]:
        return tuple(_key(file, name, part) for part in parts)

    return Table(
        name=name,
        partition_key=_key(file, name, section.partition_key),
        sort_key=_key(file, name, section.sort_key) if section.sort_key else None,
        indexes=tuple(
            Index(
                name=index_name,
                partition_keys=keys(index.partition_key),
                sort_keys=keys(index.sort_key or ()),
                projection=index.projection,
                non_key_attributes=index.non_key_attributes,
                # DynamoDB adds no local index to a table
                exists=index.exists or index.local,
                local=index.local,
            )
            for index_name, index in section.indexes.items()
        ),
        entities=tuple(
            _entity(file, name, entity_name, entity)
            for entity_name, entity in section.entities.items()
        ),
    )


def _key(file: FileSection, table: str, part: KeySection) -> Key:
    for entity in file.tables[table].entities.values():
        if part.name in entity.attributes:
            kind = entity.attributes[part.name]
            return Key(name=part.name, type=_type(file, table, kind))
    # of what exists already, the file says it once
    return Key(name=part.name, type=str(stated_types(file.tables[table])[part.name]))


def _entity(file: FileSection, table: str, name: str, section: EntitySection) -> Entity:
    return Entity(
        name=name,
        items=section.items,
        item_size=_size(section.item_size) if section.item_size else None,
        attributes=tuple(
            Attribute(
                name=attribute,
                type=_type(file, table, kind),
                generator=kind,
                target=target_of(file, table, kind) if isinstance(kind, Reference) else None,
            )
            for attribute, kind in section.attributes.items()
        ),
        exactly=tuple(
            Exactly(
                items=exactly.items,
                where={key: wire_value(value) for key, value in exactly.where.items()},
            )
            for exactly in section.exactly
        ),
    )


def _type(file: FileSection, table: str, kind: Kinds) -> str:
    """Return the DynamoDB type of what *kind* makes."""
    match kind:
        case Sequence():
            return "N" if kind.format is None else "S"
        case Reference():
            target = target_of(file, table, kind)
            section = file.tables[target.table].entities[target.entity]
            return _type(file, target.table, section.attributes[target.attribute])
        case Padding() | Template():
            return "S"
        case _:
            return element_type(kind)


def _size(section: SizeSection) -> ItemSize:
    choices = section.choice or (section.min or 0, section.max or 0)
    return ItemSize(
        min_bytes=min(choices),
        max_bytes=max(choices),
        choices=section.choice or (),
        weights=section.weights or (),
    )


def _pattern(name: str, section: PatternSection) -> AccessPattern:
    sets = [
        {f":{parameter}": wire_value(value) for parameter, value in one.items()}
        for one in section.parameters
    ]
    parameters = sets[0] if sets else {}
    cache = section.cache
    return AccessPattern(
        name=name,
        description=section.description,
        table=section.table,
        parameters=parameters,
        names={f"#{short}": attribute for short, attribute in section.names.items()},
        more_parameters=tuple(sets[1:]),
        drawn=_drawn(section, parameters),
        today=section.form,
        scan_filter=None if section.scan is None else section.scan.filter,
        query=None if section.query is None else _query(section.query),
        today_query=None if section.today_query is None else _query(section.today_query),
        steps=None if section.steps is None else _steps(section.steps),
        max_rcu=section.max_rcu,
        get=None if section.get is None else _get(section.get, parameters),
        returns=section.returns,
        cache=None if cache is None else CachePolicy(key=cache.key, ttl_s=cache.ttl_s),
        quoted=None if section.quoted is None else _quoted(section.quoted),
    )


def _drawn(section: PatternSection, stated: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the parameters that its forms mention and no set states, if they are drawn."""
    if section.parameters_from != SAMPLE:
        return ()
    texts = [] if section.scan is None else [section.scan.filter]
    for query in (section.query, section.today_query):
        texts += [] if query is None else [query.key_condition, query.filter or ""]
    mentioned = AccessPattern.mentioned(*texts) | {
        value for value in (section.get or {}).values() if is_parameter(value)
    }
    wanted = {name for name in mentioned if name.startswith(":")}
    return tuple(sorted(wanted - stated.keys()))


def _steps(section: StepsSection) -> Steps:
    then = section.then
    return Steps(
        first=section.first.value,
        then=Then(
            table=then.table,
            key=None if then.get is None else dict(then.get),
            query=None if then.query is None else _query(then.query),
            parameters={f":{name}": source for name, source in then.parameters.items()},
        ),
    )


def _traffic(section: TrafficSection) -> Traffic:
    return Traffic(
        reads_hz={name: rate.hz for name, rate in section.reads.items()},
        writes_hz={name: rate.hz for name, rate in section.writes.items()},
    )


def _query(section: QuerySection) -> QueryForm:
    return QueryForm(
        index=section.index,
        key_condition=section.key_condition,
        filter=section.filter,
        descending=section.descending,
    )


def _get(key: Mapping[str, Any], parameters: Mapping[str, AttributeValue]) -> GetForm:
    asked = {name: value for name, value in key.items() if is_parameter(value)}
    return GetForm(
        key={
            # nothing is known yet of one that is drawn
            name: parameters.get(value, {}) if name in asked else wire_value(value)
            for name, value in key.items()
        },
        parameters=asked,
    )


def _quoted(section: QuotedSection) -> Quoted:
    return Quoted(
        source=section.source,
        before=_quote(section.before),
        after=_quote(section.after),
        latency_ratio=section.latency_ratio,
        capacity_ratio=section.capacity_ratio,
    )


def _quote(section: QuoteSection) -> Quote:
    return Quote(
        latency_s=section.latency_s,
        rcu=section.rcu,
        items_read=section.items_read,
        wasted=section.wasted,
    )
