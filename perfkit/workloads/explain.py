"""A workload as a document: what it holds, how large that is, what is asked of it."""

from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from perfkit.capacity import item_size
from perfkit.units import format_share
from perfkit.workloads.bounds import present_share
from perfkit.workloads.generator import ItemGenerator
from perfkit.workloads.kinds import (
    Boolean,
    Choice,
    Constant,
    DecimalNumber,
    Drawn,
    Integer,
    Kinds,
    ListOf,
    MapOf,
    Padding,
    Reference,
    Sequence,
    SetOf,
    Template,
    Timestamp,
    Words,
    set_number,
)
from perfkit.workloads.model import (
    AccessPattern,
    Attribute,
    Entity,
    Index,
    Key,
    Table,
    Target,
    Workload,
)
from perfkit.workloads.problems import written

__all__ = ["explain"]

_SHOWN_VALUES = 5

# enough to tell the size of items that are as large as they come
_SAMPLED_ITEMS = 200


def explain(workload: Workload) -> dict[str, Any]:
    """
    Return everything a workload file means, as values that JSON can hold.

    Figures that follow from chance (sizes drawn from a range, attributes that only some items
    have) are expectations, and `exact` is false beside them.
    """
    generator = ItemGenerator(workload)
    return {
        "workload": workload.name,
        "description": workload.description,
        "source": workload.source,
        "digest": workload.digest,
        "tables": [_table(generator, table) for table in workload.tables],
        "patterns": [_pattern(pattern) for pattern in workload.patterns],
        "traffic": workload.traffic and asdict(workload.traffic),
        "gates": [str(gate) for gate in workload.gates],
    }


def _table(generator: ItemGenerator, table: Table) -> dict[str, Any]:
    entities = []
    first = 0
    for entity in table.entities:
        entities.append(_entity(generator, table, entity, first))
        first += entity.items
    return {
        "name": table.name,
        "exists": table.exists,
        "partition_key": _key(table.partition_key),
        "sort_key": None if table.sort_key is None else _key(table.sort_key),
        "items": None if table.exists else table.items,
        "total_bytes": None if table.exists else sum(each["total_bytes"] for each in entities),
        "exact": all(entity["exact"] for entity in entities),
        "entities": entities,
        "indexes": [_index(table, index) for index in table.indexes],
    }


def _entity(generator: ItemGenerator, table: Table, entity: Entity, first: int) -> dict[str, Any]:
    size = entity.item_size
    if size is None:
        last = min(first + _SAMPLED_ITEMS, first + entity.items)
        sizes = [item_size(item) for item in generator.items(table.name, first, last)] or [0]
        mean, low, high = sum(sizes) / len(sizes), min(sizes), max(sizes)
    else:
        mean, low, high = size.mean_bytes, size.min_bytes, size.max_bytes
    return {
        "name": entity.name,
        "items": entity.items,
        "item_bytes": {"min": low, "mean": mean, "max": high},
        "total_bytes": round(mean * entity.items),
        "exact": size is not None and low == high,
        "attributes": [
            {
                "name": attribute.name,
                "type": attribute.type,
                "kind": getattr(attribute.generator, "kind", "constant"),
                "values": _in_words(attribute),
            }
            for attribute in entity.attributes
        ],
        "exactly": [{"items": fact.items, "where": dict(fact.where)} for fact in entity.exactly],
        "example": generator.item(table.name, first) if entity.items else None,
    }


def _index(table: Table, index: Index) -> dict[str, Any]:
    shares = [_index_share(entity, index) for entity in table.entities]
    entries = sum(
        entity.items * share for entity, share in zip(table.entities, shares, strict=True)
    )
    return {
        "name": index.name,
        "exists": index.exists,
        "local": index.local,
        "partition_keys": [_key(key) for key in index.partition_keys],
        "sort_keys": [_key(key) for key in index.sort_keys],
        "projection": index.projection.value,
        "non_key_attributes": list(index.non_key_attributes),
        "entries": None if table.exists else round(entries),
        "exact": set(shares) <= {0.0, 1.0},
    }


def _index_share(entity: Entity, index: Index) -> float:
    """Return the share of the items of *entity* that are in *index*: those with all its keys."""
    attributes = {attribute.name: attribute for attribute in entity.attributes}
    share = 1.0
    for key in index.keys:
        held = key.name in attributes
        share *= present_share(entity, attributes[key.name]) if held else 0.0
    return share


def _key(key: Key) -> dict[str, str]:
    return {"name": key.name, "type": key.type}


def _pattern(pattern: AccessPattern) -> dict[str, Any]:
    query, get, cache, quoted = pattern.query, pattern.get, pattern.cache, pattern.quoted
    return {
        "name": pattern.name,
        "description": pattern.description,
        "table": pattern.table,
        "parameters": dict(pattern.parameters),
        "parameter_sets": [dict(each) for each in (pattern.parameters, *pattern.more_parameters)],
        "drawn": list(pattern.drawn),
        "names": dict(pattern.names),
        "today": pattern.today.value,
        "scan": pattern.scan_filter and {"filter": pattern.scan_filter},
        "query": query and asdict(query),
        "today_query": pattern.today_query and asdict(pattern.today_query),
        # nothing is known yet of what is drawn
        "get": get and {"key": {name: value or None for name, value in get.key.items()}},
        "steps": pattern.steps and asdict(pattern.steps),
        "max_rcu": pattern.max_rcu,
        "returns": list(pattern.returns),
        "cache": cache and asdict(cache),
        "quoted": quoted and asdict(quoted),
    }


def _in_words(attribute: Attribute) -> str:
    """Return what values an attribute has, as one would say it."""
    kind = attribute.generator
    words = _kind_in_words(kind, attribute.target)
    if isinstance(kind, Integer | Timestamp | Reference) and kind.unique:
        words += ", each at most once"
    if isinstance(kind, Drawn) and kind.present < 1:
        words += f", in {format_share(kind.present)} of the items"
    return words


def _kind_in_words(kind: Kinds, target: Target | None) -> str:
    match kind:
        case Sequence():
            return f"{kind.text(0)}, {kind.text(1)}, {kind.text(2)}, …"
        case Choice():
            shown = [written(value) for value in kind.values[:_SHOWN_VALUES]]
            rest = len(kind.values) - len(shown)
            listed = ", ".join(shown) + (f" or {rest} more" if rest else "")
            return listed if kind.weights is None else f"{listed}, weighted"
        case Integer():
            return f"{set_number(kind.min, kind.format)} to {set_number(kind.max, kind.format)}"
        case DecimalNumber():
            return f"{kind.min} to {kind.max} in steps of {Decimal(1).scaleb(-kind.places):f}"
        case Timestamp():
            earliest, latest = (datetime.fromtimestamp(end, UTC) for end in (kind.min, kind.max))
            return (
                f"{earliest:%Y-%m-%d} to {latest:%Y-%m-%d}{', as a number' if kind.epoch else ''}"
            )
        case Words():
            count = str(kind.min) if kind.min == kind.max else f"{kind.min} to {kind.max}"
            return f"{count} {'word' if count == '1' else 'words'}"
        case Boolean():
            return f"true in {format_share(kind.probability)} of the items"
        case Template():
            return kind.format
        case Constant():
            return f"always {written(kind.value)}"
        case ListOf() | SetOf():
            count = str(kind.min) if kind.min == kind.max else f"{kind.min} to {kind.max}"
            return f"{count} of: {_kind_in_words(kind.of, None)}"
        case MapOf():
            return "; ".join(
                f"{name}: {_kind_in_words(element, None)}"
                for name, element in kind.attributes.items()
            )
        case Padding():
            return "fills the item up to its size"
        case Reference():
            skew = (
                ""
                if kind.zipf is None
                else f", popularity by Zipf's law with exponent {kind.zipf:g}"
            )
            if target is None:
                return ""
            return f"{target.attribute} of {target.table} {target.entity}".rstrip() + skew
