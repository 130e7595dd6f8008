"""
A workload written from tables that exist: what is known of them, and access patterns to measure.

Only values of keys are written, of items that were sampled, because a pattern needs some: of the
tables' own keys, of indexes' keys, and of attributes proposed as keys. Of other attributes the
text says types, shares and counts.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import floor, isinf, log10

from perfkit.capacity import AttributeValue, Item
from perfkit.dynamodb.discover import Discovered
from perfkit.dynamodb.sample import SampleFacts
from perfkit.dynamodb.tables import IndexState, Keys, TableState
from perfkit.units import format_bytes, format_count, format_many, format_share, format_units
from perfkit.workloads.profile import AttributeProfile, Estimate, Profile, ValueProfile
from perfkit.workloads.writing import (
    LINE_WIDTH,
    comment,
    short_name,
    slots_of,
    visible,
    write_key,
    write_names,
    write_parameters,
    write_string,
)

__all__ = ["Draft", "write_draft"]

_MOST_ATTRIBUTES = 40
_MOST_KINDS = 20
_MOST_PROPOSED = 4
_MOST_PARAMETERS = 3
_MOST_INDEXES = 20
_LEAST_ITEMS_A_VALUE = 2.0
_NEARLY_ALL = 0.9
_FEW = 0.1
_MAX_DIGITS = 38
_MOST_KEY_BYTES = 128
"""What is longer is free text rather than something to ask for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """
    A workload file.

    Args:
        text: The file.
        active: Names of the patterns that are measured as the file stands, by table.
        proposed: Names of those written as comments, by table.
    """

    text: str
    active: Mapping[str, tuple[str, ...]]
    proposed: Mapping[str, tuple[str, ...]]


def write_draft(
    tables: Sequence[Discovered],
    *,
    name: str,
    source: str,
    target: Mapping[str, str],
    written_at: str,
    skipped: Sequence[str],
) -> Draft:
    """
    Return a workload file for tables that exist.

    Args:
        tables: At least one, as found.
        name: Of the workload, before it is made fit for a file.
        source: Where the tables are, in words.
        target: The same as the file's `[target]` says it; empty for the default.
        written_at: When, in words.
        skipped: Tables that were left out, and why, as sentences.
    """
    names = _Names()
    blocks = [_Block.of_table(each, names) for each in tables]
    fit = short_name(name) or "tables"
    lines = [
        *_header(source, written_at, skipped, has_patterns=any(block.active for block in blocks)),
        f"name = {write_string('tables' if fit == 'all' else fit)}",
        f"description = {write_string(visible(f'Tables of {source}'))}",
    ]
    if target:
        lines += [
            "",
            "[target]",
            *(f"{key} = {write_string(value)}" for key, value in target.items()),
        ]
    for block in blocks:
        lines += ["", "", *block.lines]
    return Draft(
        text="\n".join(lines) + "\n",
        active={block.table: tuple(block.active) for block in blocks},
        proposed={block.table: tuple(block.proposed) for block in blocks},
    )


def _header(
    source: str, written_at: str, skipped: Sequence[str], *, has_patterns: bool
) -> Iterator[str]:
    yield from comment(f"Written by `perfkit init` on {written_at} from the tables of {source}.")
    yield "#"
    if has_patterns:
        yield from comment(
            "It holds key values of real items, as parameters: only its owner may read it (mode"
            " 0600). Think before you commit or share it."
        )
        yield "#"
        yield from comment(
            "As it stands it can be measured with `perfkit bench`: of every table that has items,"
            " one pattern is active that gets single items by their whole key and reads nothing"
            " else. Further patterns are proposed as comments: take the `# ` away from all lines"
            " of one, correct it to what your service asks, and check with"
            " `perfkit workload validate`."
        )
    else:
        yield from comment(
            "No table had an item to take a key from, so there is no pattern to measure yet."
        )
    yield "#"
    yield from comment(
        "Counts and sizes of tables and indexes are those of DescribeTable, which AWS brings up to"
        " date about every six hours. What is said of items comes from a sample, unless it was the"
        " whole table: shares are then intervals of 95%, and numbers of distinct values have the"
        " widest interval in brackets (docs/own-tables.md says how both are worked out)."
    )
    for reason in skipped:
        yield from comment(f"Left out: {reason}.")
    yield ""


class _Names:
    """Hands out names of patterns, each once in a file."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def pattern(self, table: str, what: str) -> str:
        stem, what = short_name(table), short_name(what)
        # OrdersByStatus of Orders is orders-by-status
        stem = (what if what.startswith(stem) else f"{stem}-{what}")[:63].strip("-_") or "pattern"
        name, number = stem, 2
        while name in self._taken or name == "all":
            name, number = f"{stem[:58]}-{number}", number + 1
        self._taken.add(name)
        return name


@dataclass(slots=True, kw_only=True)
class _Block:
    """What the file says of one table."""

    table: str
    lines: list[str] = field(default_factory=list)
    active: list[str] = field(default_factory=list)
    proposed: list[str] = field(default_factory=list)

    @classmethod
    def of_table(cls, found: Discovered, names: _Names) -> "_Block":
        block = cls(table=found.table.name)
        block.lines += _about(found)
        block.lines += _table(found.table)
        block._add_patterns(found, names)
        return block

    def _add_patterns(self, found: Discovered, names: _Names) -> None:
        table = found.table
        examples = _usable(found.examples[""])
        if not examples:
            why = "no items" if not found.profile.items else "no key that a file can say"
            self.lines += ["", *comment(f"{table.name} has {why}, so there is nothing to get.")]
        else:
            self._add(_get_pattern(table, examples, names), active=True)
        if examples and table.keys.sort:
            self._add(_query_pattern(table, None, examples, names), active=False)
        for index in (*table.indexes, *table.local_indexes):
            having = _usable(found.examples[index.name])
            if having and index.status == "ACTIVE":
                self._add(_query_pattern(table, index, having, names), active=False)
        room = _MOST_INDEXES - len(table.indexes)
        taken = {index.name for index in (*table.indexes, *table.local_indexes)}
        for attribute in _candidates(table, found.profile)[: max(0, min(room, _MOST_PROPOSED))]:
            lines = _proposal(found, attribute, taken, names)
            if lines is not None:
                self._add(lines, active=False)

    def _add(self, pattern: "_Pattern", *, active: bool) -> None:
        (self.active if active else self.proposed).append(pattern.name)
        self.lines += ["", *pattern.remarks]
        self.lines += pattern.lines if active else [f"# {line}".rstrip() for line in pattern.lines]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pattern:
    name: str
    remarks: tuple[str, ...]
    lines: tuple[str, ...]


# -- what is known of a table


def _about(found: Discovered) -> Iterator[str]:
    table, profile = found.table, found.profile
    items = found.facts.table_items
    size = f"more than {format_many(found.facts.items, 'item')}, how many the target does not say"
    if items is not None:
        size = f"{format_many(items, 'item')}, {format_bytes(table.size_bytes)}"
    yield f"# ---- {visible(table.name)}: {size} ".ljust(LINE_WIDTH, "-")
    billing = (
        "billed on demand"
        if table.billing == "PAY_PER_REQUEST"
        else f"provisioned {table.read_capacity:,} RCU and {table.write_capacity:,} WCU a second"
    )
    table_class = table.table_class.replace("_", " ").capitalize()
    yield from comment(f"{table_class} table class, {billing}; status {table.status}.")
    if not profile.items:
        yield from comment("The table is empty, so nothing is known of its items.")
        return
    yield from comment(_sampled(found.facts))
    for doubt in _doubts(found.facts):
        yield from comment(doubt)
    sizes = profile.sizes
    if sizes is not None:
        yield from comment(
            f"Item sizes in bytes: {sizes.smallest:,} to {sizes.largest:,}, mean {sizes.mean:,.0f},"
            f" median {sizes.median:,}, p90 {sizes.p90:,}, p99 {sizes.p99:,}."
        )
    yield from _kinds(profile)
    yield from _attributes(table, profile)


def _sampled(facts: SampleFacts) -> str:
    units = (
        f"{format_units(facts.modelled_units)} RCU, modelled"
        if facts.read_units is None
        else f"{format_units(facts.read_units)} RCU, as the target says"
    )
    if facts.whole:
        text = f"Every item was read: {format_count(facts.items)}"
    else:
        text = (
            f"Sample: {format_many(facts.items, 'item')} from {format_many(facts.segments_read, 'segment')}"
            f" of {format_count(facts.segments)}"
        )
    text += f", in {format_many(facts.pages, 'page')}, for {units}"
    if (
        facts.read_units is not None
        and abs(facts.read_units - facts.modelled_units) > 0.1 * facts.modelled_units
    ):
        text += f"; DynamoDB bills {format_units(facts.modelled_units)} RCU for such pages"
    if facts.retries:
        text += (
            f", with {format_many(facts.retries, 'retry', 'retries')}, {facts.throttles:,} of them"
            " because of throttling"
        )
    return f"{text}."


def _doubts(facts: SampleFacts) -> Iterator[str]:
    if facts.spent_limit is not None:
        yield (
            f"It has fewer items than wanted, because its {format_units(facts.spent_limit)} read"
            " units were used up."
        )
    if facts.ignores_segments:
        yield (
            "This target does not know parallel scans, so the sample is the table's first items and"
            " not from all over it: shares and counts may be far off."
        )
    if facts.cut_segments and not facts.whole:
        yield (
            f"In {format_count(facts.cut_segments)} of these segments the sample ends among the"
            " items of one partition key: large partitions have less than their share in it, and"
            " of them only the first items by sort key."
        )


def _kinds(profile: Profile) -> Iterator[str]:
    if not profile.kinds:
        return
    by = f"attribute {visible(profile.kinds_by)}" if profile.kinds_by else "how their keys begin"
    yield from comment(f"Kinds of items, by {by}:")
    for kind in profile.kinds[:_MOST_KINDS]:
        name = visible(kind.name)[:60]
        yield f"#   {name}: {_share(kind.share, whole=profile.whole)} of items, {kind.mean_bytes:,.0f} bytes on average"


def _attributes(table: TableState, profile: Profile) -> Iterator[str]:
    yield from comment(
        "Attributes: share of items that have it, type; of possible keys the distinct values in"
        " the table, and the share of the most frequent one among items that have it."
    )
    shown = profile.attributes[:_MOST_ATTRIBUTES]
    rows = [
        (visible(each.name)[:40], *_attribute(table, each, whole=profile.whole)) for each in shown
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"#   {visible('  '.join(cells))}".rstrip()
    more = len(profile.attributes) - len(shown)
    if more > 0:
        yield f"#   and {format_many(more, 'more attribute')}"


def _attribute(
    table: TableState, attribute: AttributeProfile, *, whole: bool
) -> tuple[str, str, str, str]:
    types = " or ".join(attribute.types)
    if len(attribute.types) > 1:
        counts = ", ".join(f"{kind} {count:,}" for kind, count in attribute.types.items())
        types = f"{types} ({counts} of {attribute.items:,})"
    is_key = attribute.name in table.keys.names
    share = "100%" if is_key else _share(attribute.share, whole=whole)
    distinct = most = ""
    values = attribute.values
    if values is not None:
        distinct = f"{_count(values.distinct, whole=whole)} distinct"
        # where every item has another value, none is more frequent
        if not (is_key and not table.keys.sort) and values.items_a_value > 1:
            most = f"most frequent {_share(values.top_share, whole=whole)}"
        if values.empty:
            most += f" ({format_many(values.empty, 'empty value')} in the sample)"
    return share, types, distinct, most


def _share(estimate: Estimate, *, whole: bool) -> str:
    if whole:
        return format_share(estimate.value)
    low, high = _percent(estimate.low), _percent(estimate.high)
    return f"{low}%" if low == high else f"{low} to {high}%"


def _percent(share: float) -> str:
    """Return a share in percent with two digits that matter, near 100% with one below it."""
    if share in {0.0, 1.0}:
        return f"{share:.0%}"[:-1]
    digits = -floor(log10((1 - share) * 100)) if share > 0.5 else 1 - floor(log10(share * 100))
    return f"{share * 100:.{min(max(0, digits), 4)}f}"


def _count(estimate: Estimate, *, whole: bool) -> str:
    if whole:
        return format_count(round(estimate.value))
    low = round(estimate.low)
    if low == estimate.high or isinf(estimate.high):
        # there may be values so rare that the sample has none of them
        return f"{low:,} or more"
    return f"about {round(estimate.value):,} ({low:,} to {round(estimate.high):,})"


# -- what the file says of a table


def _table(table: TableState) -> Iterator[str]:
    path = f"tables.{write_key(table.name)}"
    yield f"[{path}]"
    ((name, kind),) = table.keys.partition
    yield f"partition_key = {_typed(name, kind)}"
    for name, kind in table.keys.sort:
        yield f"sort_key = {_typed(name, kind)}"
    indexes = [(index, False) for index in table.indexes]
    indexes += [(index, True) for index in table.local_indexes]
    for index, is_local in indexes:
        yield ""
        about = f"{format_many(index.items, 'entry', 'entries')}, {format_bytes(index.size_bytes)}"
        state = "" if index.status == "ACTIVE" else f", {index.status}"
        yield from comment(f"{'Local' if is_local else 'Global'} index, {about}{state}.")
        yield f"[{path}.indexes.{write_key(index.name)}]"
        yield from _index(index.keys, index.projection, index.non_key_attributes)
        yield "exists = true"
        if is_local:
            yield "local = true"


def _index(keys: Keys, projection: str, others: Sequence[str]) -> Iterator[str]:
    yield f"partition_key = {_key_list(keys.partition)}"
    if keys.sort:
        yield f"sort_key = {_key_list(keys.sort)}"
    yield f"projection = {write_string(projection)}"
    if projection == "INCLUDE":
        yield f"non_key_attributes = [{', '.join(map(write_string, others))}]"


def _key_list(parts: Sequence[tuple[str, str]]) -> str:
    written = [_typed(name, kind) for name, kind in parts]
    return written[0] if len(written) == 1 else f"[{', '.join(written)}]"


def _typed(name: str, kind: str) -> str:
    return f"{{ name = {write_string(name)}, type = {write_string(kind)} }}"


# -- patterns


def _get_pattern(table: TableState, examples: Sequence[Item], names: _Names) -> _Pattern:
    name = names.pattern(table.name, "by-key")
    slots = slots_of(table.keys.names)
    key = ", ".join(
        f"{write_key(each)} = {write_string(f':{slots[each]}')}" for each in table.keys.names
    )
    return _Pattern(
        name=name,
        remarks=(),
        lines=(
            f"[patterns.{name}]",
            f"description = {write_string(f'One item of {table.name} by its key')}",
            f"table = {write_string(table.name)}",
            *_parameters(slots, examples),
            'today = "get"',
            f"get = {{ {key} }}",
        ),
    )


def _query_pattern(
    table: TableState, index: IndexState | None, examples: Sequence[Item], names: _Names
) -> _Pattern:
    keys = table.keys if index is None else index.keys
    partition = [each for each, _ in keys.partition]
    name = names.pattern(table.name, "by-partition" if index is None else index.name)
    slots = slots_of(partition)
    what = " and ".join(map(visible, partition))
    where = table.name if index is None else f"{table.name}, by index {index.name}"
    lines = [
        f"[patterns.{name}]",
        f"description = {write_string(f'Items of one {what} in {where}')}",
        f"table = {write_string(table.name)}",
        *_parameters(slots, examples),
        *_placeholders(slots),
        'today = "query"',
    ]
    if index is not None:
        lines.append(f"query.index = {write_string(index.name)}")
    lines.append(f"query.key_condition = {write_string(_condition(slots))}")
    if index is not None and index.projection != "ALL":
        held = dict.fromkeys([*table.keys.names, *keys.names, *index.non_key_attributes])
        lines.append(f"returns = [{', '.join(map(write_string, held))}]")
    return _Pattern(name=name, remarks=(), lines=tuple(lines))


def _candidates(table: TableState, profile: Profile) -> list[AttributeProfile]:
    """
    Return attributes that an index might be asked by, texts first, most selective first.

    Those whose values repeat, and that are no partition key already.
    """
    partitions = {table.keys.partition[0][0]}
    partitions |= {index.keys.partition[0][0] for index in table.indexes}
    found = []
    for each in profile.attributes:
        values = each.values
        if (
            values is not None
            and values.type in {"S", "N"}
            and each.name not in partitions
            and table.attributes.get(each.name, values.type) == values.type
            and values.longest_bytes <= _MOST_KEY_BYTES
            and _tells_apart(values, each.share.value)
            and values.items_a_value >= _LEAST_ITEMS_A_VALUE
            and _frequent(values)
        ):
            found.append((values.type == "N", values.items_a_value, each.name, each))
    return [each for *_, each in sorted(found, key=lambda each: each[:3])]


def _tells_apart(values: ValueProfile, share: float) -> bool:
    """
    Return whether asking by an attribute spares reading most of the table.

    One value that few items have makes a sparse index; one that nearly all items have, none.

    Args:
        values: Of the attribute.
        share: Of the table's items, those that have it.
    """
    same = values.top_share.value
    return same < _NEARLY_ALL or same * share <= _FEW


def _frequent(values: ValueProfile) -> list[AttributeValue]:
    """Return values to ask for: what only one item has is nobody's question."""
    found = [value for value, count in values.top if count > 1 and _is_usable(value)]
    return found[:_MOST_PARAMETERS]


def _proposal(
    found: Discovered, attribute: AttributeProfile, taken: set[str], names: _Names
) -> _Pattern | None:
    table, values = found.table, attribute.values
    if values is None:
        return None
    stem = re.sub(r"[^A-Za-z0-9_.-]", "", attribute.name)
    index = f"{table.name[:120]}By{stem[:1].upper()}{stem[1:120]}"
    number = 2
    while index in taken:
        index, number = f"{index}{number}", number + 1
    taken.add(index)
    name = names.pattern(table.name, f"by-{attribute.name}")
    slots = slots_of([attribute.name])
    condition = _condition(slots)
    examples = [{attribute.name: value} for value in _frequent(values)]
    keys = Keys(partition=((attribute.name, values.type),))
    remarks = [
        *comment(
            f"A scan with a filter, if that is what the service does today, and an index that does"
            f" not exist yet; {visible(attribute.name)} has {_count(values.distinct, whole=found.profile.whole)} distinct values."
        )
    ]
    wrong = sum(count for kind, count in attribute.types.items() if kind != values.type)
    wrong += values.empty
    if wrong:
        remarks += comment(
            f"Beware: {format_many(wrong, 'sampled item')} of {format_count(attribute.items)} with"
            f" {visible(attribute.name)} have it empty or of another type than {values.type}: such"
            " items would not be in the index, and once it is there they can no longer be written."
        )
    return _Pattern(
        name=name,
        remarks=tuple(remarks),
        lines=(
            f"[tables.{write_key(table.name)}.indexes.{write_key(index)}]",
            *_index(keys, "ALL", ()),
            "",
            f"[patterns.{name}]",
            f"description = {write_string(f'Items of {table.name} with one {visible(attribute.name)}')}",
            f"table = {write_string(table.name)}",
            *_parameters(slots, examples),
            *_placeholders(slots),
            'today = "scan-filtered"',
            f"scan.filter = {write_string(condition)}",
            f"query.index = {write_string(index)}",
            f"query.key_condition = {write_string(condition)}",
        ),
    )


def _condition(slots: Mapping[str, str]) -> str:
    return " AND ".join(f"#{slot} = :{slot}" for slot in slots.values())


def _placeholders(slots: Mapping[str, str]) -> Iterator[str]:
    return write_names({slot: name for name, slot in slots.items()})


def _parameters(slots: Mapping[str, str], examples: Sequence[Item]) -> Iterator[str]:
    return write_parameters(
        {slot: example[name] for name, slot in slots.items()} for example in examples
    )


def _usable(examples: Sequence[Item]) -> list[Item]:
    return [each for each in examples if all(map(_is_usable, each.values()))]


def _is_usable(value: AttributeValue) -> bool:
    """Return whether a workload file can say a value, as that of a key."""
    ((kind, content),) = value.items()
    if kind == "N":
        number = Decimal(content)
        digits = len(number.as_tuple().digits)
        return max(digits, abs(number.adjusted())) <= _MAX_DIGITS
    if kind == "S":
        # half a character has no place in a file
        return bool(content) and not any("\ud800" <= letter <= "\udfff" for letter in content)
    return kind == "B" and bool(content)
