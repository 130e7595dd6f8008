"""Which stretch of stored keys a Query or a scan segment covers, and where a page resumes."""

from dataclasses import dataclass, replace

from perfkit.capacity import Item
from perfkit.embedded.errors import INVALID_VALUES, validation
from perfkit.embedded.expressions import KeyOperator, KeyTerm
from perfkit.embedded.keys import KEY_MISMATCH, check_content
from perfkit.embedded.schema import Index, Keys, Table, after, before_prefix_end, escape
from perfkit.embedded.values import key_bytes

__all__ = ["KeyRange", "check_start", "query_range", "segment_range"]

_INVALID_START = "The provided starting key is invalid"
_HASHES = 1 << 32


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRange:
    """Stored keys from *lower* on and before *upper*; None is open."""

    lower: bytes | None = None
    upper: bytes | None = None

    def contains(self, key: bytes) -> bool:
        """Return whether a stored key lies in the range."""
        above = self.lower is None or key >= self.lower
        return above and (self.upper is None or key < self.upper)

    def sql(self, column: str) -> tuple[str, tuple[bytes, ...]]:
        """Return the WHERE clause and its parameters."""
        bounds = [
            (f"{column} {operator} ?", value)
            for operator, value in ((">=", self.lower), ("<", self.upper))
            if value is not None
        ]
        if not bounds:
            return "", ()
        return " WHERE " + " AND ".join(text for text, _ in bounds), tuple(v for _, v in bounds)

    def position(self, table: Table, index: Index | None, start: Item) -> bytes:
        """Return the stored key of a starting key."""
        if index is None:
            return table.keys.stored(start)
        return index.keys.stored(start) + table.keys.stored(start)

    def resumed(
        self, table: Table, index: Index | None, start: Item | None, *, backward: bool
    ) -> "KeyRange":
        """Return what is left of the range after a starting key."""
        if start is None:
            return self
        position = self.position(table, index, start)
        if backward:
            return replace(self, upper=position)
        return replace(self, lower=position + b"\x00")


def segment_range(segment: int, total: int) -> KeyRange:
    """Return the stored keys of one segment of a parallel scan."""

    def edge(number: int) -> bytes | None:
        first = -(-number * _HASHES // total)
        return None if first >= _HASHES else first.to_bytes(4, "big")

    return KeyRange(lower=edge(segment), upper=edge(segment + 1))


def query_range(
    table: Table, index: Index | None, terms: tuple[KeyTerm, ...], start: Item | None
) -> KeyRange:
    """
    Return the stored keys that a key condition covers.

    Raises:
        DynamoDBError: The condition does not fit the keys, or the starting key does not fit
            the condition; in AWS's order.
    """
    keys = table.keys if index is None else index.keys
    by_name = {term.attribute: term for term in terms}
    if start is not None:
        _check_start_partition(table, index, start)
    for name in keys.partition:
        if name not in by_name:
            raise validation(f"Query condition missed key schema element: {name}")
    if start is not None:
        check_start(table, index, start)
    if len(terms) > len(keys.names):
        raise validation(
            f"The number of query conditions ({len(terms)}) exceeds the number of key attributes"
            f" defined in the schema ({len(keys.names)})"
        )
    _check_sort_names(keys, by_name)
    for term in terms:
        if term.operator is KeyOperator.OTHER:
            msg = "Attempted conditional constraint is not an indexable operation"
            raise validation(msg)
        for operand in term.operands:
            if table.attributes[term.attribute] not in operand:
                msg = f"{INVALID_VALUES}Condition parameter type does not match schema type"
                raise validation(msg)
    for name in keys.partition:
        if by_name[name].operator is not KeyOperator.EQ:
            msg = "Query key condition not supported"
            raise validation(msg)
    for term in terms:
        for operand in term.operands:
            begins = term.operator is KeyOperator.BEGINS_WITH
            check_content(term.attribute, operand, keys, empty=begins)
    covered = _cover(keys, by_name)
    if start is not None:
        position = covered.position(table, index, start)
        if not covered.contains(position):
            own = {name: KeyTerm(name, KeyOperator.EQ, (start[name],)) for name in keys.partition}
            if not _cover(keys, {**by_name, **own}).contains(position):
                msg = "The provided starting key does not match the range key predicate"
            elif len(by_name) > len(keys.partition):
                msg = "The query can return at most one row and cannot be restarted"
            else:
                msg = (
                    "The provided starting key is outside query boundaries based on provided"
                    " conditions"
                )
            raise validation(msg)
    return covered


def _check_sort_names(keys: Keys, by_name: dict[str, KeyTerm]) -> None:
    # with all partition keys and no term too many, a foreign name stands where a sort key should
    if not by_name.keys() <= set(keys.names):
        raise validation(f"Query condition missed key schema element: {keys.sort[0]}")
    named = [name for name in keys.sort if name in by_name]
    if not named:
        return
    last = named[-1]
    before = keys.sort[: keys.sort.index(last)]
    lacking = [
        name
        for name in before
        if name not in by_name or by_name[name].operator is not KeyOperator.EQ
    ]
    if lacking:
        raise validation(
            f"RANGE key attributes {', '.join(lacking)} must have equality conditions specified"
            f" in the query because a condition is present on key attribute {last}"
        )


def _cover(keys: Keys, by_name: dict[str, KeyTerm]) -> KeyRange:
    prefix = keys.stored_partition({name: by_name[name].operands[0] for name in keys.partition})
    for name in keys.sort:
        term = by_name.get(name)
        if term is None:
            break
        raw = [key_bytes(operand) for operand in term.operands]
        first = prefix + escape(raw[0])
        match term.operator:
            case KeyOperator.EQ:
                prefix = first
                continue
            case KeyOperator.LT:
                lower, upper = prefix, first
            case KeyOperator.LE:
                lower, upper = prefix, after(first)
            case KeyOperator.GT:
                lower, upper = after(first), after(prefix)
            case KeyOperator.GE:
                lower, upper = first, after(prefix)
            case KeyOperator.BETWEEN:
                lower, upper = first, after(prefix + escape(raw[1]))
            case KeyOperator.BEGINS_WITH:
                lower = first[:-2]
                upper = before_prefix_end(lower) if raw[0] else after(prefix)
        return KeyRange(lower=lower, upper=upper)
    return KeyRange(lower=prefix, upper=after(prefix))


def _check_start_partition(table: Table, index: Index | None, start: Item) -> None:
    keys = table.keys if index is None else index.keys
    expected = {*keys.names, *table.keys.names}
    if len(start) != len(expected) or any(name not in start for name in keys.partition):
        raise validation(_INVALID_START)
    for name in keys.partition:
        if table.attributes[name] not in start[name]:
            raise validation(KEY_MISMATCH)


def check_start(table: Table, index: Index | None, start: Item) -> None:
    """Raise unless *start* has exactly the key attributes of the index and the table."""
    _check_start_partition(table, index, start)
    keys = table.keys if index is None else index.keys
    for name in keys.sort:
        if name not in start:
            raise validation(_INVALID_START)
        if table.attributes[name] not in start[name]:
            raise validation(KEY_MISMATCH)
    for name in table.keys.names:
        if name not in start or table.attributes[name] not in start[name]:
            raise validation(f"{_INVALID_START}: {KEY_MISMATCH}" if index else _INVALID_START)
