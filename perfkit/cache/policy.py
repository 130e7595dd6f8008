"""
Which key an answer is kept under, for how long, and which keys a write affects.

    perfkit:1:instructor:courses:instructor:I042
    |       | |          the workload's template, values escaped
    |       | the pattern's name, unless the template begins with it
    |       the version of what is stored
    everything of perfkit

A key holds the variants of one answer: its pages, say. Parameters that a changed item does not
determine, such as the bounds of a range, are told apart as variants too: all answers an item
may be in are then under one key, and the key follows from the item.
"""

from collections.abc import Iterator, Mapping
from string import Formatter
from typing import NamedTuple
from urllib.parse import quote

from perfkit.capacity import AttributeValue, Item
from perfkit.embedded.errors import DynamoDBError
from perfkit.embedded.numbers import canonical_number
from perfkit.errors import ConfigError
from perfkit.workloads.equalities import equalities
from perfkit.workloads.model import AccessPattern, CachePolicy, Workload

__all__ = ["KeyTemplate", "Keys", "Place"]

_NAMESPACE = "perfkit"

# stands in a key for a parameter that is in the variant; no escaped value looks like it
_IN_VARIANT = "*"

_AFTER_VALUE = ":"
_VALUE_LETTERS = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-~%" + _IN_VARIANT
)


class Place(NamedTuple):
    """Where an answer is kept."""

    key: str
    variant: bytes


class Keys:
    """
    The keys of a workload's answers.

    Args:
        workload: Says what is kept and how long.
        version: Of the shape of what is stored. Another version never meets these keys.
    """

    def __init__(self, workload: Workload, version: str) -> None:
        self._prefix = f"{_NAMESPACE}:{_escape(version)}:"
        self._templates = {
            pattern.name: KeyTemplate(pattern, pattern.cache, self._prefix)
            for pattern in workload.patterns
            if pattern.cache is not None
        }
        self._fed_by = {
            table.name: [
                self._templates[pattern.name]
                for pattern in workload.patterns
                if pattern.table == table.name and pattern.name in self._templates
            ]
            for table in workload.tables
        }

    def template(self, pattern: str) -> "KeyTemplate | None":
        """Return the keys of *pattern*, None if its answers are not kept."""
        return self._templates.get(pattern)

    def affected(self, table: str, *images: Item | None) -> tuple[str, ...]:
        """
        Return the keys of all answers that a write may change.

        Args:
            table: Where it was written.
            images: The item before and after, None where there is none.
        """
        keys = (
            template.key_of(image)
            for template in self._fed_by.get(table, ())
            for image in images
            if image is not None
        )
        return tuple(dict.fromkeys(key for key in keys if key is not None))

    @property
    def longest_ttl_s(self) -> float:
        """The time after which no answer that is kept now is kept any more, jitter left aside."""
        return max((template.ttl_s for template in self._templates.values()), default=0.0)


class KeyTemplate:
    """
    The keys of one pattern's answers.

    Args:
        pattern: The question.
        policy: Its template and its time to live.
        prefix: What all keys begin with.
    """

    def __init__(self, pattern: AccessPattern, policy: CachePolicy, prefix: str) -> None:
        self.name = pattern.name
        self.ttl_s = policy.ttl_s
        self._types = {name: next(iter(value)) for name, value in pattern.parameters.items()}
        self._attributes = _determining_attributes(pattern)
        self._constants = _constants(pattern)
        if not policy.key.startswith(f"{pattern.name}:"):
            prefix += f"{pattern.name}:"
        self._pieces = tuple(_pieces(prefix, policy.key))
        named = dict.fromkeys(name for _, name in self._pieces if name is not None)
        self._in_key = [name for name in named if name in self._attributes]
        self._in_variant = [name for name in named if name not in self._attributes]

    def place(self, parameters: Mapping[str, AttributeValue], variant: str = "") -> Place:
        """
        Return where the answer to these parameters is kept; other parameters, another place.

        Args:
            parameters: Their values in wire form, by ":name".
            variant: Tells apart what is kept of one answer: its pages, its forms.

        Raises:
            ConfigError: A parameter is missing or of another type than the workload's.
        """
        key = ""
        for literal, name in self._pieces:
            key += literal
            if name is not None:
                known = name in self._attributes
                key += self._text(name, parameters) if known else _IN_VARIANT
        if self._in_variant:
            parts = (f"{name}={self._text(name, parameters)}" for name in self._in_variant)
            variant = f"{'&'.join(parts)}|{variant}"
        return Place(key, variant.encode(errors="surrogatepass"))

    def key_of(self, item: Item) -> str | None:
        """Return the key of all answers that *item* may be in, None if it can be in none."""
        if any(item.get(name) != value for name, value in self._constants.items()):
            return None
        texts = {}
        for name in self._in_key:
            values = [item.get(attribute) for attribute in self._attributes[name]]
            known = {
                _text(value) for value in values if value is not None and self._types[name] in value
            }
            # a question about a missing attribute, or about one with two values, has no answer
            if len(known) != 1 or None in values:
                return None
            texts[name] = known.pop()
        return self._key(texts)

    def _text(self, name: str, parameters: Mapping[str, AttributeValue]) -> str:
        value = parameters.get(name)
        if value is None or self._types[name] not in value:
            msg = (
                f"the cache key of {self.name} needs {name} as a value of type "
                f"{self._types[name]}, got {'none' if value is None else repr(value)[:80]}"
            )
            raise ConfigError(msg)
        return _text(value)

    def _key(self, texts: Mapping[str, str]) -> str:
        key = ""
        for literal, name in self._pieces:
            key += literal if name is None else literal + texts.get(name, _IN_VARIANT)
        return key


def _pieces(prefix: str, template: str) -> Iterator[tuple[str, str | None]]:
    """Yield the template's texts, each with the parameter after it, values well apart."""
    after_value = False
    for text, field, _, _ in Formatter().parse(template):
        literal = prefix + text
        prefix = ""
        # "{a}{b}" would be the same for 1, 23 and for 12, 3
        if after_value and (not literal or literal[0] in _VALUE_LETTERS):
            literal = _AFTER_VALUE + literal
        after_value = field is not None
        yield literal, None if field is None else f":{field}"


def _escape(text: str) -> str:
    """Return *text* in `_VALUE_LETTERS`; another text comes out different."""
    if text.isalnum() and text.isascii():
        return text
    return quote(text, safe="", errors="surrogatepass")


def _text(value: AttributeValue) -> str:
    """Return a scalar as it stands in a key: equal values alike, others different."""
    # most are, and a lookup takes a fifth of the match
    if isinstance(text := value.get("S"), str):
        return _escape(text)
    match value:
        case {"N": str(number)}:
            try:
                return canonical_number(number)
            except DynamoDBError as error:
                msg = f"no number for a cache key: {number!r:.80}"
                raise ConfigError(msg) from error
        case {"BOOL": bool(flag)}:
            return str(flag).lower()
    msg = f"no text, number or flag for a cache key: {value!r:.80}"
    raise ConfigError(msg)


def _determining_attributes(pattern: AccessPattern) -> dict[str, tuple[str, ...]]:
    """Return, for each parameter, the attributes that equal it in every item of an answer."""
    if pattern.get is not None:
        equal = [(name, attribute) for attribute, name in pattern.get.parameters.items()]
    else:
        query = pattern.query or pattern.today_query
        texts = (pattern.scan_filter,) if query is None else (query.key_condition, query.filter)
        equal = [pair for text in texts if text is not None for pair in equalities(text, pattern)]
    return {
        name: tuple(attribute for other, attribute in equal if other == name) for name, _ in equal
    }


def _constants(pattern: AccessPattern) -> dict[str, AttributeValue]:
    """Return the parts of a key to read that are the same whatever the parameters."""
    if pattern.get is None:
        return {}
    return {
        attribute: value
        for attribute, value in pattern.get.key.items()
        if attribute not in pattern.get.parameters
    }
