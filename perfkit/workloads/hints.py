"""What a workload file probably means where it is written as for SQL, JSON, YAML or the AWS console."""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

__all__ = ["expression_hint", "key_hint", "kind_hint", "syntax_hint", "value_hint"]

# ---- names --------------------------------------------------------------------------------

_KINDS = {
    "boolean": "bool flag bit yesno",
    "choice": "enum oneof pick select random set category values list",
    "decimal": "float double real money price currency amount",
    "integer": "int long number numeric range bigint smallint n",
    "padding": "filler blob payload binary bytes body",
    "reference": "foreignkey foreign fk ref link relation lookup join",
    "sequence": "uuid guid ulid ksuid nanoid id serial autoincrement counter identity rowid key",
    "template": "concat composite pattern expression computed formula email join",
    "timestamp": "date datetime time epoch instant unixtime ttl created",
    "words": "string str text varchar char lorem sentence name fullname paragraph s",
}
_KIND_OF = {alias: kind for kind, aliases in _KINDS.items() for alias in aliases.split()}
_CONSTANTS = frozenset({"constant", "const", "fixed", "literal", "static", "value"})

_KEYS = {
    "attributes": "columns fields schema attributedefinitions properties",
    "cache": "caching redis",
    "descending": "scanindexforward order orderby sort reverse reversed desc direction",
    "description": "comment title summary desc doc",
    "filter": "filterexpression where having condition expression",
    "format": "pattern prefix template mask",
    "index": "indexname gsi usingindex",
    "indexes": "indices gsi gsis globalsecondaryindexes secondaryindexes globalindexes",
    "item_size": "size bytes itembytes sizebytes itemsizebytes",
    "items": "count rows number n total itemcount records amount howmany",
    "key_condition": "keyconditionexpression keycondition where condition key expression",
    "kind": "type datatype generator",
    "max": "maximum high to upper end until before",
    "max_rcu": "budget maxreads rcu limit maxcapacity",
    "min": "minimum low from lower start since after",
    "names": "expressionattributenames aliases",
    "non_key_attributes": "nonkeyattributes include includes included attributes projected",
    "parameters": "expressionattributevalues params args arguments values variables bind",
    "partition_key": "hashkey hash pk primarykey partition partitionkey id key keyschema",
    "patterns": "accesspatterns queries questions access pattern",
    "places": "digits scale precision decimals",
    "present": "probability share optional nullable ratio",
    "probability": "share chance true ratio",
    "projection": "projectiontype",
    "query": "keycondition",
    "returns": "select projectionexpression projection fields columns attributes attributestoget",
    "scan": "filter filterexpression where",
    "rps": "rate hz qps persecond tps",
    "sort_key": "rangekey range sk sort sortkey",
    "steps": "sequence nplusone chain then",
    "tables": "table",
    "today": "now current baseline before",
    "traffic": "load rates rate rps",
    "ttl_s": "ttl expire expiry expires ttlseconds seconds maxage",
    "values": "choices options oneof enum from items",
    "weights": "weight probabilities distribution odds",
    "where": "values having match",
    "zipf": "skew distribution exponent",
}


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def key_hint(name: str, known: Iterable[str]) -> str | None:
    """Return which of the keys *known* is meant by another word for it."""
    plain = _plain(name)
    for key in known:
        if plain == _plain(key) or plain in _KEYS.get(key, "").split():
            return key
    return None


def kind_hint(kind: str) -> str | None:
    """Return what to write for a kind that has another name here, or comes close."""
    plain = _plain(kind)
    if plain in _CONSTANTS:
        return 'for the same value everywhere write the value itself, such as country = "NL"'
    meant = _KIND_OF.get(plain)
    if meant is None:
        return None
    if plain in {"uuid", "guid", "ulid", "ksuid", "nanoid"}:
        return (
            'nearest is kind = "sequence": another value for every item, such as'
            ' { kind = "sequence", format = "U{:08}" }'
        )
    return f"nearest is kind = {meant!r}".replace("'", '"')


# ---- values -------------------------------------------------------------------------------

_FACTORS: Mapping[str, int | Decimal] = {
    "": 1,
    "k": 1_000,
    "m": 1_000_000,
    "b": 1,
    "kb": 1_024,
    "kib": 1_024,
    "mb": 1 << 20,
}
_DURATIONS_S: Mapping[str, int | Decimal] = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hour", "hours"), 3_600),
    **dict.fromkeys(("d", "day", "days"), 86_400),
    "ms": Decimal("0.001"),
}
_AMOUNT = re.compile(r"([\d.,_' ]*\d)\s*([A-Za-z]*)")
_RANGE = re.compile(r"\s*(.*?\w)\s*(?:-|–|—|\.\.\.?|to|:|/)\s*(\w.*?)\s*", re.IGNORECASE)  # noqa: RUF001


def _number(text: str) -> Decimal | None:
    """Return a number as people write it: 20,000, 20_000, 20 000 or 1.5."""
    digits = re.sub(r"[_' ]|,(?=\d{3}(?:\D|$))", "", text)
    try:
        return Decimal(digits)
    except InvalidOperation:
        return None


def _amount(text: str, factors: Mapping[str, int | Decimal]) -> Decimal | None:
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        return None
    number, factor = _number(match[1]), factors.get(match[2].lower())
    return None if number is None or factor is None else number * factor


def _whole(number: Decimal) -> str:
    return f"{int(number):_}"


def _short(number: Decimal) -> str:
    return _whole(number) if number == int(number) else f"{number.normalize():f}"


def value_hint(key: str, value: Any, wanted: str) -> str | None:
    """
    Return what to write instead of a value of the wrong type.

    Args:
        key: The last part of the key's path.
        value: What stands in the file.
        wanted: The type pydantic missed, such as `int_type`.
    """
    if key in {"item_size", "size"}:
        return _size_hint(value)
    if key in {"scan", "query"} and isinstance(value, str):
        part = "filter" if key == "scan" else "key_condition"
        return f"write {key}.{part} = …"
    if wanted in {"dict_type", "model_type", "model_attributes_type"}:
        return None
    if wanted == "bool_type":
        plain = str(value).lower()
        if plain in {"true", "yes", "on", "1"}:
            return "write true, without quotes"
        return "write false, without quotes" if plain in {"false", "no", "off", "0"} else None
    if wanted == "tuple_type":
        if not isinstance(value, str):
            return None
        # the comma of 20,000 parts nothing
        parts = [part.strip() for part in re.split(r"(?<!\d),|,(?!\d)", value)]
        listed = ", ".join(f'"{part}"' for part in parts[:4] if part)
        return f"write [{listed}]"
    number = _meant_number(key, value)
    if number is None:
        return None
    if wanted in {"int_type", "int_from_float"}:
        return f"write {_whole(number)}" if number == int(number) else None
    return f"write {_short(number)}"


def _meant_number(key: str, value: Any) -> Decimal | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, Decimal | int):
        return Decimal(value) if Decimal(value).is_finite() else None
    if not isinstance(value, str):
        return None
    if value.strip().endswith("%"):
        share = _number(value.strip()[:-1].strip())
        return None if share is None else share / 100
    return _amount(value, _DURATIONS_S if key.endswith("_s") else _FACTORS)


def _size_hint(value: Any) -> str | None:
    if isinstance(value, str):
        one = _amount(value, _FACTORS)
        if one is not None:
            return f"write {_whole(one)}, the number of bytes"
        match = _RANGE.fullmatch(value)
        ends = [_amount(part, _FACTORS) for part in match.groups()] if match else []
    elif isinstance(value, list) and len(value) == 2:
        ends = [_meant_number("", end) for end in value]
    else:
        return None
    low, high = ends if len(ends) == 2 else (None, None)
    if low is None or high is None:
        return None
    return f"write {{ min = {_whole(low)}, max = {_whole(high)} }}, in bytes"


_LONGEST = 4_096
"""What is looked through of a text; DynamoDB takes no longer expression."""

# ---- expressions --------------------------------------------------------------------------

_WORD = r"(?<![\w#.])#?[A-Za-z_][A-Za-z0-9_.]*"
_QUOTED = r"""'[^']*'|"[^"]*\""""
_EXPRESSIONS: tuple[tuple[str, str], ...] = (
    (r"==", "equality is written ="),
    (r"!=", "inequality is written <>"),
    (r"=>", "write >="),
    (r"=<", "write <="),
    (r"&&", "write AND"),
    (r"\|\|", "write OR"),
    (r"(?<![<>=!])!(?!=)", "write NOT"),
    (
        r"\bNOT\s+LIKE\b",
        "write NOT begins_with(attribute, :text) or NOT contains(attribute, :text)",
    ),
    (
        r"\b(?:I?LIKE|RLIKE|REGEXP|MATCHES|GLOB)\b|~",
        "write begins_with(attribute, :text) or contains(attribute, :text), without wildcards",
    ),
    (rf"({_WORD})\s+IS\s+NOT\s+NULL\b", "write attribute_exists({0})"),
    (rf"({_WORD})\s+IS\s+NULL\b", "write attribute_not_exists({0})"),
    (
        rf"({_WORD})\s*(?:=|<>|!=)\s*NULL\b",
        "write attribute_not_exists({0}), or attribute_exists({0})",
    ),
    (rf"({_WORD})\s+NOT\s+IN\b", "write NOT {0} IN (:a, :b)"),
    (rf"({_WORD})\s+NOT\s+BETWEEN\b", "write NOT {0} BETWEEN :a AND :b"),
    (r"\bIN\s*:\w+|\bIN\s*\[", "a list is written IN (:a, :b), one parameter for each value"),
    (r"\bBETWEEN\s+:\w+\s*,|\bBETWEEN\s*\(", "write BETWEEN :a AND :b"),
    (r"\b(?:starts?_?with|has_?prefix|prefix)\s*\(", "the function is called begins_with"),
    (
        r"\.(?:startswith|begins_with|starts_with|contains|includes)\s*\(",
        "functions stand before: begins_with(attribute, :text), contains(attribute, :text)",
    ),
    (r"\b(?:includes|has|instr|strpos|locate)\s*\(", "the function is called contains"),
    (r"\b(?:not_?exists)\s*\(", "the function is called attribute_not_exists"),
    (r"\b(?:exists|isset|defined)\s*\(", "the function is called attribute_exists"),
    (r"\b(?:len|length|char_length|count)\s*\(", "the function is called size"),
    (
        r"\b(?:lower|upper|lcase|ucase|trim|substr|substring|concat|date|now|year)\s*\(",
        "there is no such function: keep an attribute with the value as it is asked for",
    ),
    (r"\b(?:SELECT|FROM|WHERE)\b", "expected the condition alone, without SELECT, FROM and WHERE"),
    (
        r"\bORDER\s+BY\b",
        "a query is in the order of its sort key; write descending = true beside it",
    ),
    (
        r"\b(?:LIMIT|OFFSET|TOP|GROUP\s+BY|HAVING|JOIN)\b",
        "there is no such clause; expected the condition alone",
    ),
    (r"[@$]\{?(\w+)\}?", "a parameter is written :{0}"),
    (r"(?<![:\w])\{(\w+)\}", "a parameter is written :{0}"),
    (r"\?|%s|%\(\w+\)s", "a parameter is written with its name, such as :customer"),
    (
        r"`([^`]*)`",
        'an attribute whose name is a keyword is written #{0}, with names = {{ {0} = "{0}" }}',
    ),
    (
        rf"({_WORD})\s*(?:=|<>|<=?|>=?)\s*({_QUOTED})",
        "a value is written as a parameter: :{0}, with parameters = {{ {0} = {1} }}",
    ),
    (
        rf"({_WORD})\s*(?:=|<>|<=?|>=?)\s*(-?\d[\d.]*|true|false)\b",
        "a value is written as a parameter: :{0}, with parameters = {{ {0} = {1} }}",
    ),
    (
        _QUOTED,
        "a value is written as a parameter, such as :text, with parameters = {{ text = {whole} }}",
    ),
    (r";\s*$", "leave out the semicolon"),
)
_HINTS = tuple((re.compile(pattern, re.IGNORECASE), hint) for pattern, hint in _EXPRESSIONS)

_KEY_TERM = re.compile(rf"({_WORD})\s*(<=?|>=?)\s*(:\w+)", re.IGNORECASE)


def expression_hint(text: str, *, key: bool) -> str | None:
    """
    Return how DynamoDB's language says what a refused expression says in another.

    Args:
        text: The expression.
        key: Whether it is a key condition, which may say less.
    """
    text = text[:_LONGEST]
    for pattern, hint in _HINTS:
        match = pattern.search(text)
        if match is not None:
            groups = [(group or "").replace("'", '"') for group in match.groups()]
            names = [group.lstrip("#") for group in groups[:1]] + groups[1:]
            if "attribute_" in hint:
                names = groups
            return hint.format(*names, whole=match[0].replace("'", '"'))
    return _key_hint(text) if key else None


def _key_hint(text: str) -> str | None:
    bounds: dict[str, list[tuple[str, str]]] = {}
    for name, operator, value in _KEY_TERM.findall(text):
        bounds.setdefault(name, []).append((operator, value))
    for name, terms in bounds.items():
        if len(terms) == 2 and {operator[0] for operator, _ in terms} == {"<", ">"}:
            low, high = (value for _, value in sorted(terms, reverse=True))
            return (
                f"write {name} BETWEEN {low} AND {high}, which takes in both ends: a key condition"
                " says one thing of each key"
            )
    if re.search(r"\bcontains\s*\(", text, re.IGNORECASE):
        return "of a sort key only its beginning can be asked, with begins_with; the rest is for a filter"
    if re.search(r"\bOR\b|\bIN\b", text, re.IGNORECASE):
        return "a query reads one partition: expected one pattern for each value, or a scan"
    if re.search(r"<>|\bNOT\b|attribute_", text, re.IGNORECASE):
        return "a key condition knows =, <, <=, >, >=, BETWEEN and begins_with; the rest is for a filter"
    return None


# ---- syntax -------------------------------------------------------------------------------

_SYNTAX: tuple[tuple[str, str], ...] = (
    (r"[\u201c\u201d\u2018\u2019\u00ab\u00bb]", 'write straight quotes, "…"'),
    (r"^\s*(?://|--|/\*|;|%|REM\b)", "a comment starts with #"),
    (r'^\s*(?:-\s+)?[\w."-]+\s*:(?!:)', "TOML writes key = value, not key: value"),
    (r"^\s*[\w.\"-]+\s*(?:==|:=|=>)", "write one = between key and value"),
    (r"=\s*(\d{1,3}(?:,\d{3})+)\b", "write {number}: digits are grouped with _"),
    (
        r"=\s*(\d{1,3}(?:[.' ]\d{3}){2,}|\d{1,3}(?:[' ]\d{3})+)\b",
        "write {number}: digits are grouped with _",
    ),
    (r"=\s*\d[\d_.]*\s*[kKM]\b", "write the number out, such as 20_000"),
    (r"=\s*\d[\d_.]*\s*(?:[kKmMgG]i?)?[bB]\b", "write the number of bytes, such as 4_096"),
    (
        r"=\s*\d[\d_.]*\s*(?:ms|s|sec|seconds|m|min|minutes|h|hours|d|days)\b",
        "write the number of seconds, such as 300",
    ),
    (r"=\s*\d[\d_.]*\s*%", "write a share, such as 0.5"),
    (r"=\s*\d+\s*(?:\.\.|-|to)\s*\d+\s*$", "write {{ min = …, max = … }}"),
    (r"=\s*\d{1,2}[/.]\d{1,2}[/.]\d{2,4}", "write a date as 2026-01-31"),
    (r"=\s*0\d", 'a number has no leading zero; put text in quotes, such as "007"'),
    (r"[=,\[]\s*(True|False|TRUE|FALSE|yes|no|on|off|Yes|No)\b", "write true or false"),
    (r"[=,\[]\s*(?:None|null|NULL|nil|undefined)\b", "leave the key out: there is no null"),
    (r"\s(?://|--|/\*)", "a comment starts with #"),
    (r"=\s*$", "expected the value on the line of its key"),
    (r'\{[^}]*"\w+"\s*:', 'an inline table is written {{ key = value }}, not {{ "key": value }}'),
    (r"\{[^}]*\b\w+\s*:", "an inline table is written {{ key = value }}, not {{ key: value }}"),
    (r",\s*\}", "leave out the comma before the closing brace"),
    (
        r"\{[^}]*$",
        "an inline table stands on one line; write a section such as [tables.Orders.attributes] for a longer one",
    ),
    (r"[\"'\d\]}el]\s*[;,]\s*$", "leave out what follows the value"),
    (r'=\s*"[^"]*$', 'a text ends on its line with a quote; a longer one stands between """'),
    (r"=\s*'[^']*$", "a text ends on its line with a quote"),
    (r"=\s*([A-Za-z_][\w .#{{}}:-]*)\s*$", 'put text in quotes: "{0}"'),
    (r"[\[,]\s*([A-Za-z_]\w*)\s*[,\]]", 'put text in quotes: "{0}"'),
)
_SYNTAX_HINTS = tuple((re.compile(pattern), hint) for pattern, hint in _SYNTAX)


def syntax_hint(line: str, reason: str) -> str | None:
    """
    Return what to write instead of a line that is no TOML.

    Args:
        line: The line where reading stopped.
        reason: What Python's reader says of it.
    """
    line = line[:_LONGEST]
    if "overwrite" in reason or "twice" in reason:
        return "it is there already, further up; keep one of the two"
    if re.match(r"\s*\[[^\]\"']*[ /$:]", line) and not re.search("=", line):
        return 'a name with other characters than letters, digits, - and _ stands in quotes: [tables."My table"]'
    # what stands in quotes is text, whatever it looks like
    bare = re.sub(
        r"\"(?:[^\"\\]|\\.)*\"|'[^']*'", lambda text: '"' + "x" * (len(text[0]) - 2) + '"', line
    )
    for pattern, hint in _SYNTAX_HINTS:
        match = pattern.search(bare.rstrip())
        if match is not None:
            groups = [group or "" for group in match.groups()]
            if "{number}" in hint:
                digits = re.sub(r"\D", "", groups[0])
                return hint.format(number=f"{int(digits):_}")
            return hint.format(*groups)
    return None
