"""
What a sample of items says of the table it comes from: attributes, sizes, values, kinds of items.

Pure functions of items and where they were found; nothing here reads a table. Items found
together (in one segment) may resemble each other, so intervals of shares are those of a cluster
sample: Wilson's, on the effective size of the sample.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, sqrt
from typing import Any, Self

from perfkit.capacity import AttributeValue, Item

__all__ = [
    "AttributeProfile",
    "Estimate",
    "KindProfile",
    "Profile",
    "Profiler",
    "SizeProfile",
    "ValueProfile",
    "design_effect",
    "kind_of",
    "share_of",
]

_Z = 1.959964
"""Of a two-sided interval of 95%."""

_KEY_TYPES = frozenset({"S", "N", "B"})

_TYPE_ATTRIBUTES = frozenset(
    {"__typename", "_et", "_type", "entity", "entityname", "entitytype", "itemtype", "kind", "type"}
)
"""Names, in small letters and without hyphens and underscores inside, of what says a kind of item."""

_MOST_KINDS = 20
_SEPARATED = re.compile(r"([A-Za-z][A-Za-z_.-]{0,40})([#|:/~])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure of the whole table worked out from a sample, with its interval of about 95%."""

    value: float
    low: float
    high: float

    @classmethod
    def exactly(cls, value: float) -> Self:
        """Return a figure that was counted."""
        return cls(value=value, low=value, high=value)


def _wilson(hits: int, of: int, *, effective: float | None = None) -> Estimate:
    """
    Return a share with Wilson's score interval.

    Source: Wilson (1927), "Probable inference, the law of succession, and statistical inference".

    Args:
        hits: So many had the property.
        of: Of so many, at least one.
        effective: The size of a simple random sample that would say as much; *of* if left out.
    """
    share = hits / of
    size = min(of, max(1.0, of if effective is None else effective))
    centre = share + _Z**2 / (2 * size)
    spread = _Z * sqrt(share * (1 - share) / size + _Z**2 / (4 * size**2))
    scale = 1 + _Z**2 / size
    return Estimate(
        value=share,
        low=min(share, max(0.0, (centre - spread) / scale)),
        high=max(share, min(1.0, (centre + spread) / scale)),
    )


def design_effect(groups: Iterable[Mapping[int, int]], sizes: Mapping[int, int]) -> float:
    """
    Return how many times the variance of shares is that of independent items, at least 1.

    Over all *groups* together: one group may have too few items to say it by itself.
    Source: Kish (1965), "Survey Sampling", 6.3 (variance of a ratio) and 8.2 (design effect).

    Args:
        groups: For each property the items that have it, by cluster.
        sizes: Items by cluster.
    """
    of, clusters = sum(sizes.values()), len(sizes)
    if of == 0 or clusters < 2:
        # one place of the table says nothing of the others
        return float(max(of, 1))
    squares = sum(size**2 for size in sizes.values())
    found = expected = 0.0
    for hits in groups:
        share = sum(hits.values()) / of
        found += (
            sum(count**2 for count in hits.values())
            - 2 * share * sum(count * sizes[each] for each, count in hits.items())
            + share**2 * squares
        )
        expected += of * share * (1 - share)
    if expected <= 0:
        return 1.0
    return max(1.0, clusters / (clusters - 1) * found / expected)


def _effective_size(
    hits: Mapping[int, int], sizes: Mapping[int, int], *, unanimous: int | None = None
) -> float:
    """
    Return how large a simple random sample would have to be to say as much as one of clusters.

    The sample's size divided by the design effect.

    Args:
        hits: By cluster, how many items have the property.
        sizes: By cluster, how many items there are.
        unanimous: What the sample says as much as where all of its items, or none, have the
            property, so that no variance shows how alike those of a cluster are; its size if left
            out.
    """
    of, found = sum(sizes.values()), sum(hits.values())
    if len(sizes) > 1 and found in {0, of}:
        return float(of if unanimous is None else min(of, unanimous))
    return of / design_effect([hits], sizes)


def _distinct_values(
    counts: Iterable[int], *, items: int, table_items: float | None, whole: bool = False
) -> Estimate:
    """
    Return how many distinct values a whole table has of an attribute.

    The estimator is Haas and Stokes' (1998, "Estimating the number of classes in a finite
    population", Duj1), which PostgreSQL uses, too: n·d ÷ (n - f₁ + f₁·n ÷ N). The interval is that
    of Charikar, Chaudhuri, Motwani and Narasayya (2000, "Towards estimation error guarantees for
    distinct values"): at least what was seen; at most as many times the values seen once as the
    table is larger than the sample, and the others. No sample can say it closer for every table.

    Both take observations to be independent. Items found together are not, so a value counts
    once in each place where it was seen: n is the number of such observations, and N as many
    times more as the table has more items than the sample.

    Args:
        counts: In how many places each value was seen.
        items: Items of the sample that have the attribute.
        table_items: Items of the whole table that have it; None if nobody knows, and then there
            is no upper end.
        whole: The sample is the whole table.
    """
    seen = list(counts)
    size, distinct = sum(seen), len(seen)
    if whole or not seen:
        return Estimate.exactly(distinct)
    once = seen.count(1)
    larger = inf if table_items is None else max(table_items / items, 1.0)
    repeated = size - once + once / larger
    value = size * distinct / repeated if repeated else inf
    high = larger * once + distinct - once if once else distinct
    return Estimate(value=min(max(value, distinct), high), low=distinct, high=high)


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeProfile:
    """Sizes of items in bytes, as DynamoDB bills them: extremes, mean and nearest-rank percentiles."""

    smallest: int
    median: int
    p90: int
    p99: int
    largest: int
    mean: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueProfile:
    """
    The values of one type that an attribute has, as those of a key.

    Args:
        type: S, N or B.
        items: Sampled items that have such a value.
        table_items: Items of the whole table that have one, from their share; None if nobody
            knows how many items there are.
        distinct: Values in the whole table.
        top: The values seen most, most frequent first, with how often; a few short ones, on the wire.
        top_share: Share of the table's most frequent value among its items that have the attribute;
            the value is that of the sample's most frequent one.
        longest_bytes: Of the longest value, in UTF-8; of a number, its digits.
        empty: Values that are empty, which no index can hold.
    """

    type: str
    items: int
    table_items: float | None
    distinct: Estimate
    top: tuple[tuple[AttributeValue, int], ...]
    top_share: Estimate
    longest_bytes: int
    empty: int

    @property
    def items_a_value(self) -> float:
        """Items of the table that share a value, on average, as far as the sample tells."""
        if self.table_items is None:
            # in a larger table there are more
            return self.items / self.distinct.low
        return self.table_items / max(self.distinct.value, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeProfile:
    """
    One attribute.

    Args:
        types: By type, how many sampled items have it so; the most frequent type first.
        items: Sampled items that have it.
        share: Of all items.
        values: What is known of its values where the most frequent type could be a key's.
    """

    name: str
    types: Mapping[str, int]
    items: int
    share: Estimate
    values: ValueProfile | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KindProfile:
    """
    One kind of item of a table that holds several.

    Args:
        name: As its items say it: `ORDER`, or by their keys, `CUSTOMER# / ORDER#`.
        items: Sampled items.
        share: Of all items.
        mean_bytes: Their size.
    """

    name: str
    items: int
    share: Estimate
    mean_bytes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """
    What a sample says of its table.

    Args:
        items: Items looked at.
        whole: The items looked at are the whole table, so that nothing is estimated.
        sizes: None where there are no items.
        attributes: Those that most items have first.
        kinds: Kinds of items; empty where there seems to be one.
        kinds_by: What tells them apart: the name of an attribute, or "" for the key's beginning.
    """

    items: int
    whole: bool
    sizes: SizeProfile | None
    attributes: tuple[AttributeProfile, ...]
    kinds: tuple[KindProfile, ...]
    kinds_by: str

    def attribute(self, name: str) -> AttributeProfile | None:
        """Return what is known of an attribute, None if no item has it."""
        return next((each for each in self.attributes if each.name == name), None)


class _Values:
    """Counts the values of one attribute and type."""

    def __init__(self) -> None:
        # a value may be long, and there may be as many as items: its digest is enough to count it
        self.counts: Counter[bytes] = Counter()
        self.places: Counter[tuple[bytes, int]] = Counter()
        self.sizes: Counter[int] = Counter()
        self.kept: dict[bytes, AttributeValue] = {}
        self.longest_bytes = 0
        self.empty = 0

    def add(self, kind: str, content: str, place: int) -> None:
        raw = content.encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(raw, digest_size=12).digest()
        self.counts[digest] += 1
        self.places[digest, place] += 1
        self.sizes[place] += 1
        self.empty += not content
        self.longest_bytes = max(self.longest_bytes, len(raw))
        if len(raw) <= _LONGEST_KEPT:
            self.kept.setdefault(digest, {kind: content})


_LONGEST_KEPT = 256
"""Bytes; longer values are counted and not kept: nobody asks for them by name."""

_TOP = 5


class _Attribute:
    def __init__(self) -> None:
        self.types: Counter[str] = Counter()
        self.places: Counter[int] = Counter()
        self.values: dict[str, _Values] = {}


class Profiler:
    """
    Works out a profile from items, one after the other; keeps counts and short values, no items.

    Args:
        keys: The table's key attributes, partition key first.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = tuple(keys)
        self._sizes: list[int] = []
        self._places: Counter[int] = Counter()
        self._attributes: dict[str, _Attribute] = {}
        self._key_kinds: Counter[tuple[str, int]] = Counter()
        self._key_bytes: Counter[str] = Counter()
        self._typed: dict[str, Counter[tuple[str, int]]] = {}
        self._typed_bytes: dict[str, Counter[str]] = {}

    def add(self, item: Item, size_bytes: int, place: int) -> None:
        """
        Count an item.

        Args:
            item: As on the wire, binary values as text.
            size_bytes: As DynamoDB bills it.
            place: Where it was found; items of one place may resemble each other.
        """
        self._sizes.append(size_bytes)
        self._places[place] += 1
        for name, value in item.items():
            ((kind, content),) = value.items()
            seen = self._attributes.setdefault(name, _Attribute())
            seen.types[kind] += 1
            seen.places[place] += 1
            if kind in _KEY_TYPES:
                seen.values.setdefault(kind, _Values()).add(kind, content, place)
            if kind == "S" and _says_kind(name) and len(content) <= _LONGEST_KEPT:
                self._typed.setdefault(name, Counter())[content, place] += 1
                self._typed_bytes.setdefault(name, Counter())[content] += size_bytes
        kind_of_key = kind_of(item, self._keys, "")
        self._key_kinds[kind_of_key, place] += 1
        self._key_bytes[kind_of_key] += size_bytes

    def profile(self, *, table_items: int | None, whole: bool) -> Profile:
        """
        Return what the items counted so far say.

        Args:
            table_items: Items of the table; None if nobody knows.
            whole: The items are the whole table.
        """
        attributes = [
            self._attribute(name, seen, table_items, whole=whole)
            for name, seen in self._attributes.items()
        ]
        order = {name: number for number, name in enumerate(self._keys)}
        attributes.sort(key=lambda each: (order.get(each.name, 9), -each.items, each.name))
        kinds, kinds_by = self._kinds(whole=whole)
        return Profile(
            items=len(self._sizes),
            whole=whole,
            sizes=_sizes(sorted(self._sizes)) if self._sizes else None,
            attributes=tuple(attributes),
            kinds=kinds,
            kinds_by=kinds_by,
        )

    @property
    def _partitions(self) -> int | None:
        """Return how many partition keys the sample is of; items of one may be alike in everything."""
        seen = self._attributes.get(self._keys[0]) if self._keys else None
        return None if seen is None else sum(len(each.counts) for each in seen.values.values())

    def _attribute(
        self, name: str, seen: _Attribute, table_items: int | None, *, whole: bool
    ) -> AttributeProfile:
        items = seen.types.total()
        partitions = self._partitions
        share = share_of(seen.places, self._places, whole=whole, partitions=partitions)
        kind = seen.types.most_common(1)[0][0]
        values = None
        if kind in _KEY_TYPES:
            expected = None
            if table_items is not None:
                expected = share.value * table_items * seen.types[kind] / items
            values = _values(kind, seen.values[kind], expected, whole=whole, partitions=partitions)
        return AttributeProfile(
            name=name,
            types=dict(seen.types.most_common()),
            items=items,
            share=share,
            values=values,
        )

    def _kinds(self, *, whole: bool) -> tuple[tuple[KindProfile, ...], str]:
        """Return the kinds of items, by an attribute if one says it, else by how keys begin."""
        by_attribute = sorted(
            self._typed.items(), key=lambda each: (-each[1].total(), each[0].lower(), each[0])
        )
        for name, counted in by_attribute:
            kinds = self._kinds_of(counted, self._typed_bytes[name], whole=whole)
            if 2 <= len(kinds) <= _MOST_KINDS and counted.total() >= 0.9 * len(self._sizes):
                return kinds, name
        kinds = self._kinds_of(self._key_kinds, self._key_bytes, whole=whole)
        named = sum(each.items for each in kinds if each.name.strip("*/ "))
        if 2 <= len(kinds) <= _MOST_KINDS and named >= 0.5 * len(self._sizes):
            return kinds, ""
        return (), ""

    def _kinds_of(
        self, counted: Counter[tuple[str, int]], sizes: Counter[str], *, whole: bool
    ) -> tuple[KindProfile, ...]:
        places: dict[str, Counter[int]] = {}
        for (name, place), count in counted.items():
            places.setdefault(name, Counter())[place] += count
        kinds = [
            KindProfile(
                name=name,
                items=found.total(),
                share=share_of(found, self._places, whole=whole, partitions=self._partitions),
                mean_bytes=sizes[name] / found.total(),
            )
            for name, found in places.items()
        ]
        return tuple(sorted(kinds, key=lambda each: (-each.items, each.name)))


def _says_kind(name: str) -> bool:
    return name.lower() in _TYPE_ATTRIBUTES or (
        name.lower().replace("_", "").replace("-", "") in _TYPE_ATTRIBUTES
    )


def kind_of(item: Item, keys: Sequence[str], by: str) -> str:
    """
    Return the kind of an item, as a profile names kinds.

    Args:
        item: On the wire, with at least its keys and what tells kinds apart.
        keys: The table's key attributes, partition key first.
        by: `Profile.kinds_by`.
    """
    if by:
        return str(item.get(by, {}).get("S", f"without {by}"))
    return " / ".join(_beginning(item.get(name)) for name in keys)


def _beginning(value: Mapping[str, Any] | None) -> str:
    """Return what a key begins with, up to its first separator; `*` if with nothing of that sort."""
    text = (value or {}).get("S")
    if text is None:
        return "*"
    found = _SEPARATED.match(text)
    if found is not None:
        return found[1] + found[2]
    # in a single-table design a sort key is often one word, PROFILE or META
    return text if re.fullmatch(r"[A-Z][A-Z_-]{1,30}", text) else "*"


def share_of(
    hits: Mapping[int, int],
    sizes: Mapping[int, int],
    *,
    whole: bool,
    partitions: int | None = None,
) -> Estimate:
    """
    Return the share of items that have a property: counted, or estimated from a sample of clusters.

    Args:
        hits: By place, how many items have it.
        sizes: By place, how many items there are; at least one in all.
        whole: The places are the whole table.
        partitions: How many partition keys the items are of, if that is known; items of one may be
            alike in everything.
    """
    found, of = sum(hits.values()), sum(sizes.values())
    if whole:
        return Estimate.exactly(found / of)
    return _wilson(found, of, effective=_effective_size(hits, sizes, unanimous=partitions))


def _values(
    kind: str, seen: _Values, expected: float | None, *, whole: bool, partitions: int | None
) -> ValueProfile:
    # of equally frequent ones the same each time
    ordered = sorted(seen.counts.items(), key=lambda each: (-each[1], each[0]))
    top = [(seen.kept[value], count) for value, count in ordered if value in seen.kept]
    items = seen.counts.total()
    observed = Counter(value for value, _ in seen.places)
    return ValueProfile(
        type=kind,
        items=items,
        table_items=expected,
        distinct=_distinct_values(
            observed.values(), items=items, table_items=expected, whole=whole
        ),
        top=tuple(top[:_TOP]),
        top_share=_top_share(seen, ordered[0][0], whole=whole, partitions=partitions),
        longest_bytes=seen.longest_bytes,
        empty=seen.empty,
    )


def _top_share(seen: _Values, top: bytes, *, whole: bool, partitions: int | None) -> Estimate:
    """
    Return the share of a table's most frequent value, whichever that is.

    The one most frequent in a sample is partly so by chance, all the more the more values there
    are. So the lower end comes from one half of the sample, about the value that is most frequent
    in the other half; the upper one from the whole sample.
    """
    share = share_of(_places_of(seen, top), seen.sizes, whole=whole, partitions=partitions)
    if whole:
        return share
    choosing = set(sorted(seen.sizes)[::2])
    chosen: Counter[bytes] = Counter()
    for (value, place), count in seen.places.items():
        if place in choosing:
            chosen[value] += count
    rest = {place: size for place, size in seen.sizes.items() if place not in choosing}
    low = 0.0
    if rest:
        likely = min(chosen, key=lambda value: (-chosen[value], value))
        hits = {place: n for place, n in _places_of(seen, likely).items() if place in rest}
        low = share_of(hits, rest, whole=False, partitions=partitions).low
    return replace(share, low=min(low, share.low))


def _places_of(seen: _Values, wanted: bytes) -> dict[int, int]:
    return {place: count for (value, place), count in seen.places.items() if value == wanted}


def _sizes(ordered: Sequence[int]) -> SizeProfile:
    def rank(fraction: float) -> int:
        return ordered[max(0, -int(-fraction * len(ordered) // 1) - 1)]

    return SizeProfile(
        smallest=ordered[0],
        median=rank(0.5),
        p90=rank(0.9),
        p99=rank(0.99),
        largest=ordered[-1],
        mean=sum(ordered) / len(ordered),
    )
