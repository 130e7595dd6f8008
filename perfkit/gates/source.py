"""
Scan calls in Python source, found in its syntax tree: nothing is imported or run.

What a name stands for is followed within a file (assignments, `with`, annotations, what functions
return) and by name from file to file. Where it cannot be known, a call counts as a scan of DynamoDB
if it takes DynamoDB's arguments, or none and is asked of something called a table.
"""

import ast
import io
import os
import re
import tokenize
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from perfkit.errors import ConfigError

__all__ = ["Source", "SourceScan", "Unread", "find_scans"]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class SourceScan:
    """
    A scan call.

    Args:
        file: Its path.
        line: Counted from 1.
        call: As it is written: `self.table.scan`.
        allowed: The reason that a comment gives for it; empty where none does.
    """

    file: str
    line: int
    call: str
    allowed: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.call}"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Unread:
    """A file that is no Python, or cannot be read, and why."""

    file: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """
    What a folder's source says.

    Args:
        scans: Scan calls that no comment allows, by file and line.
        allowed: Those that one does.
        unread: Files of which nothing is known.
        files: How many were read.
        changed_s: When the last of them was changed, in seconds since 1970; 0 without any.
    """

    scans: tuple[SourceScan, ...]
    allowed: tuple[SourceScan, ...]
    unread: tuple[Unread, ...]
    files: int
    changed_s: float


def find_scans(folder: Path) -> Source:
    """
    Return the scan calls in the Python files of a folder, or in one file.

    Left out are virtual environments, hidden folders, `node_modules` and `__pycache__`; links to
    folders are not followed. A call is allowed by a comment with a reason on one of its lines, or
    alone on the line before: `# perfkit: allow-scan nightly export`.

    Raises:
        ConfigError: There is no such folder, or no Python in it.
    """
    if not folder.exists():
        msg = f"no folder {str(folder)!r} to look for scans in; name the one with the service's source"
        raise ConfigError(msg)
    modules, unread, files, changed_s = [], [], 0, 0.0
    for path in _files(folder):
        files += 1
        try:
            changed_s = max(changed_s, path.stat().st_mtime)
            content = path.read_bytes()
            # most files neither scan nor say what another one's names stand for
            if _OF_INTEREST.search(content):
                modules.append(_Module(str(path), content))
        except (OSError, ValueError, SyntaxError, RecursionError, MemoryError) as error:
            unread.append(Unread(file=str(path), reason=_reason(error)))
    if not files:
        msg = f"no Python file in {str(folder)!r}; name the folder with the service's source"
        raise ConfigError(msg)
    project = _Project(modules)
    found = sorted(
        scan for module in modules if module.may_scan for scan in _Finder(module, project).scans()
    )
    return Source(
        scans=tuple(scan for scan in found if not scan.allowed),
        allowed=tuple(scan for scan in found if scan.allowed),
        unread=tuple(sorted(unread)),
        files=files,
        changed_s=changed_s,
    )


_MAY_SCAN = re.compile(rb"scan|execute_statement", re.IGNORECASE)
_OF_INTEREST = re.compile(_MAY_SCAN.pattern + rb"|boto|dynamo|namodb|ddb", re.IGNORECASE)

_LEFT_OUT = frozenset({"node_modules", "__pycache__", "site-packages"})


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_file():
        yield folder
        return
    seen: set[tuple[int, int]] = set()
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if name not in _LEFT_OUT
            and not name.startswith(".")
            and not Path(place, name, "pyvenv.cfg").exists()
        )
        for name in sorted(names):
            path = Path(place, name)
            # a link to a file may name one that is read already, a pipe would never end
            if path.suffix == ".py" and path.is_file():
                status = path.stat()
                if (status.st_dev, status.st_ino) not in seen:
                    seen.add((status.st_dev, status.st_ino))
                    yield path


def _reason(error: Exception) -> str:
    if isinstance(error, SyntaxError):
        return f"line {error.lineno or 1} is no Python: {error.msg}"
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror}"
    if isinstance(error, RecursionError | MemoryError):
        return "nested too deeply to read"
    return f"no Python: {error}"


# ---- what a file says ----------------------------------------------------------------------


class _Kind(StrEnum):
    """What an expression stands for."""

    CLIENT = "client"
    RESOURCE = "resource"
    TABLE = "table"
    MODEL = "model"
    """A class of PynamoDB, or one of its indexes or connections."""
    FOREIGN = "foreign"
    """Something that is not DynamoDB's."""


_SCANS = frozenset({_Kind.CLIENT, _Kind.TABLE, _Kind.MODEL})

_AWS = frozenset({"boto3", "aioboto3", "botocore", "aiobotocore", "pynamodb"})
_TYPED = ("mypy_boto3_dynamodb", "types_boto3_dynamodb", "types_aiobotocore_dynamodb")
_TYPES = {
    "DynamoDBClient": _Kind.CLIENT,
    "DynamoDBServiceResource": _Kind.RESOURCE,
}
_FOREIGN = frozenset(
    {"aioredis", "coredis", "fakeredis", "happybase", "lancedb", "pyiceberg", "re", "redis"}
    | {"sqlalchemy", "valkey", "rich", "deltalake"}
)
"""Libraries whose objects may have a `scan`, or a table, that is not DynamoDB's."""

_BINDINGS = dict[str, list[tuple["_Scope", ast.expr, bool]]]
"""By name, where it is bound to what; true for an annotation."""


@dataclass(eq=False)
class _Scope:
    """A module, class or function, and what its names are bound to."""

    parent: "_Scope | None" = None
    owner: str = ""
    """Of a class, its name."""
    names: _BINDINGS = field(default_factory=lambda: defaultdict(list))


class _Module(ast.NodeVisitor):
    """
    A file's imports, scopes, classes and functions.

    Raises:
        SyntaxError: It is no Python.
        ValueError: Likewise.
    """

    def __init__(self, file: str, content: bytes) -> None:
        self.file = file
        with warnings.catch_warnings():
            # about somebody else's code
            warnings.simplefilter("ignore")
            self.tree = ast.parse(content)
        self.may_scan = _MAY_SCAN.search(content) is not None
        self.comments = _comments(content)
        self.imports: dict[str, str] = {}
        self.attributes: _BINDINGS = defaultdict(list)
        self.returns: _BINDINGS = defaultdict(list)
        self.bases: dict[str, list[str]] = {}
        self.scope_of: dict[ast.AST, _Scope] = {}
        self.top = self._scope = _Scope()
        self._function: str | None = None
        self.visit(self.tree)

    def generic_visit(self, node: ast.AST) -> None:
        self.scope_of[node] = self._scope
        super().generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            bound = alias.asname or alias.name.split(".", 1)[0]
            self.imports[bound] = alias.name if alias.asname else bound

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            self.imports[alias.asname or alias.name] = (
                f"{'.' * node.level}{node.module or ''}.{alias.name}"
            )

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.bases[node.name] = [ast.unparse(base) for base in node.bases]
        self._within(node, None, owner=node.name)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        if node.returns is not None:
            self.returns[node.name].append((self._scope, node.returns, True))
        self._within(node, node.name)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - ast names it

    def _within(
        self,
        node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef,
        function: str | None,
        *,
        owner: str = "",
    ) -> None:
        outer, outer_function = self._scope, self._function
        self._scope, self._function = _Scope(parent=outer, owner=owner), function
        super().generic_visit(node)
        self.scope_of[node] = outer
        self._scope, self._function = outer, outer_function

    def visit_arg(self, node: ast.arg) -> None:
        self.generic_visit(node)
        if node.annotation is not None:
            self._scope.names[node.arg].append((self._scope, node.annotation, True))

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        for target in node.targets:
            self._bind(target, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.generic_visit(node)
        self._bind(node.target, node.annotation, annotation=True)
        if node.value is not None:
            self._bind(node.target, node.value)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.generic_visit(node)
        self._bind(node.target, node.value)

    def visit_withitem(self, node: ast.withitem) -> None:
        self.generic_visit(node)
        if node.optional_vars is not None:
            self._bind(node.optional_vars, node.context_expr)

    def visit_Return(self, node: ast.Return) -> None:
        self.generic_visit(node)
        self._gives(node.value)

    def visit_Yield(self, node: ast.Yield) -> None:
        self.generic_visit(node)
        self._gives(node.value)

    def _gives(self, value: ast.expr | None) -> None:
        if value is not None and self._function is not None:
            self.returns[self._function].append((self._scope, value, False))

    def _bind(self, target: ast.expr, value: ast.expr, *, annotation: bool = False) -> None:
        match target:
            case ast.Name(id=name):
                self._scope.names[name].append((self._scope, value, annotation))
            case ast.Attribute(attr=name):
                self.attributes[name].append((self._scope, value, annotation))
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                values = value.elts if isinstance(value, ast.Tuple | ast.List) else []
                for each, its in zip(targets, values, strict=False):
                    self._bind(each, its)
            case _:
                pass

    def origin(self, dotted: str) -> str:
        """Return a name with what was imported under its first part; empty if nothing was."""
        first, dot, rest = dotted.partition(".")
        return f"{self.imports[first]}{dot}{rest}" if first in self.imports else ""

    @property
    def libraries(self) -> set[str]:
        """The libraries it imports, by the first part of their names."""
        return {origin.split(".", 1)[0] for origin in self.imports.values()}


_ALLOWED = re.compile(r"#\s*perfkit:\s*allow-scan\b[\s:]*(?P<reason>.*)")


def _comments(content: bytes) -> dict[int, tuple[str, bool]]:
    """Return the reasons of comments that allow scans, by line, and whether each stands alone."""
    found = {}
    # most files have none, and telling comments from texts takes longer than reading
    if b"allow-scan" in content:
        for token in tokenize.tokenize(io.BytesIO(content).readline):
            match = _ALLOWED.match(token.string) if token.type == tokenize.COMMENT else None
            if match is not None:
                alone = not token.line[: token.start[1]].strip()
                found[token.start[0]] = match["reason"].strip(), alone
    return found


class _Project:
    """What the files of a folder know of one another, by name."""

    def __init__(self, modules: Iterable[_Module]) -> None:
        modules = list(modules)
        self.uses_aws = any(module.libraries & _AWS for module in modules)
        self.models = _models(modules)
        self._kinds: dict[str, set[_Kind]] = defaultdict(set)
        for module in modules:
            finder = _Finder(module, self)
            for name in [*module.top.names, *module.returns]:
                kind = finder.kind_of_name(name, module.top) or finder.kind_returned(name)
                if kind is not None:
                    self._kinds[name].add(kind)

    def kind(self, name: str) -> _Kind | None:
        """Return what a name stands for that some file binds, where all that do agree."""
        kinds = self._kinds.get(name, set())
        return next(iter(kinds)) if len(kinds) == 1 else None


_PYNAMODB_MODEL = re.compile(r"pynamodb(\..*)?\.Model")


def _models(modules: Iterable[_Module]) -> set[str]:
    """Return the classes that come from PynamoDB's Model, in whichever file."""
    found: set[str] = set()
    while True:
        more = {
            name
            for module in modules
            for name, bases in module.bases.items()
            for base in bases
            if base.rsplit(".", 1)[-1] in found or _PYNAMODB_MODEL.fullmatch(module.origin(base))
        }
        if more <= found:
            return found
        found |= more


# ---- what is a scan ------------------------------------------------------------------------

_ARGUMENTS = frozenset(
    {"AttributesToGet", "ConditionalOperator", "ConsistentRead", "ExclusiveStartKey"}
    | {"ExpressionAttributeNames", "ExpressionAttributeValues", "FilterExpression", "IndexName"}
    | {"Limit", "ProjectionExpression", "ReturnConsumedCapacity", "ScanFilter", "Segment"}
    | {"Select", "TableName", "TotalSegments"}
)
"""What DynamoDB's Scan takes."""

_CALLED_A_TABLE = re.compile(r"table|dynamo|ddb", re.IGNORECASE)
_MODEL_SCANS = frozenset({"scan", "rate_limited_scan"})
_MAKES_A_CLIENT = frozenset({"client", "create_client"})
_ENTERS = frozenset({"enter_async_context", "enter_context"})
# nothing but a table, or an index of it, after FROM
_WHOLE_TABLE = re.compile(r"\s*SELECT\s.*\sFROM\s+\S+\s*;?\s*", re.IGNORECASE | re.DOTALL)


class _Finder:
    """Finds scans in one file."""

    def __init__(self, module: _Module, project: _Project) -> None:
        self._module = module
        self._project = project
        self._kinds: dict[ast.expr, _Kind | None] = {}

    def scans(self) -> Iterator[SourceScan]:
        """Yield what scans, in no order."""
        called: set[ast.expr] = set()
        for node in ast.walk(self._module.tree):
            scope = self._module.scope_of.get(node, self._module.top)
            if isinstance(node, ast.Call):
                called.add(node.func)
                shown = self._called(node, scope)
                if shown is not None:
                    yield self._found(node, node.func, shown)
            # `partial(table.scan)`: handed on, and called elsewhere
            elif (
                isinstance(node, ast.Attribute)
                and node.attr == "scan"
                and isinstance(node.ctx, ast.Load)
                and node not in called
                and self._is_scanned(node.value, scope)
            ):
                yield self._found(node, node, ast.unparse(node))

    def _found(self, node: ast.expr, place: ast.expr, shown: str) -> SourceScan:
        first, last = node.lineno, node.end_lineno or node.lineno
        comments = self._module.comments
        reasons = [comments[line][0] for line in range(first, last + 1) if line in comments]
        before = comments.get(first - 1)
        if before is not None and before[1]:
            reasons.append(before[0])
        return SourceScan(
            file=self._module.file,
            line=place.end_lineno or place.lineno,
            call=" ".join(shown.split())[:80],
            allowed=next(filter(None, reasons), ""),
        )

    def _called(self, node: ast.Call, scope: _Scope) -> str | None:
        """Return how a call that scans is written; None if it does not."""
        match node.func:
            case ast.Attribute(attr="get_paginator", value=value):
                asked = self._text(_argument(node, 0, "operation_name"), scope)
                if asked == "scan" and self.kind(value, scope) is not _Kind.FOREIGN:
                    return f"{ast.unparse(node.func)}('scan')"
            case ast.Attribute(attr="execute_statement", value=value):
                text = self._text(_argument(node, None, "Statement"), scope)
                if text is not None and _WHOLE_TABLE.fullmatch(text):
                    return f"{ast.unparse(node.func)}(Statement={text!r})"
            case ast.Attribute(attr=name, value=value) if name in _MODEL_SCANS:
                if self._is_scan(node, value, scope, name):
                    return ast.unparse(node.func)
            case ast.Name(id="getattr") if len(node.args) > 1:
                if self._text(node.args[1], scope) == "scan" and self._is_scanned(
                    node.args[0], scope
                ):
                    return ast.unparse(node)
            case _:
                return self._handed_on(node, scope)
        return None

    def _handed_on(self, node: ast.Call, scope: _Scope) -> str | None:
        """Return the scan that a call is told to make: `to_thread(store.scan, TableName=…)`."""
        if not _names(node) & _ARGUMENTS and _last_name(node.func) != "_make_api_call":
            return None
        for each in node.args:
            if isinstance(each, ast.Attribute):
                # what surely is one is found as such
                if each.attr == "scan" and not self._is_scanned(each.value, scope):
                    return ast.unparse(each)
            elif self._text(each, scope) in {"scan", "Scan"}:
                return f"{ast.unparse(node.func)}({ast.unparse(each)})"
        return None

    def _is_scan(self, node: ast.Call, value: ast.expr, scope: _Scope, name: str) -> bool:
        kind = self.kind(value, scope)
        if kind is not None:
            return kind is _Kind.MODEL or (kind in _SCANS and name == "scan")
        if name != "scan":
            return False
        given = _names(node)
        if given & _ARGUMENTS:
            return True
        return not node.args and not given and self._is_called_a_table(value)

    def _is_scanned(self, value: ast.expr, scope: _Scope) -> bool:
        kind = self.kind(value, scope)
        return kind in _SCANS if kind is not None else self._is_called_a_table(value)

    def _is_called_a_table(self, value: ast.expr) -> bool:
        name = _last_name(value)
        return (
            self._project.uses_aws
            and not self._module.libraries & (_FOREIGN - {"re", "redis", "rich", "valkey"})
            and _CALLED_A_TABLE.search(name) is not None
        )

    def _text(self, value: ast.expr | None, scope: _Scope) -> str | None:
        """Return a text that stands there, `?` for what is put into it; None if it is no text."""
        match value:
            case ast.Constant(value=str() as text):
                return text
            case ast.JoinedStr(values=parts):
                return "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "?" for part in parts
                )
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                both = self._text(left, scope), self._text(right, scope)
                return None if both[0] is None or both[1] is None else both[0] + both[1]
            case ast.Name(id=name):
                bound = _bound(name, scope)
                values = [each for _, each, is_type in bound if not is_type]
                # bound twice, or to itself, it may be anything
                if len(values) == 1 and isinstance(values[0], ast.Constant | ast.JoinedStr):
                    return self._text(values[0], scope)
        return None

    # ---- what an expression stands for -------------------------------------------------

    def kind(self, value: ast.expr, scope: _Scope) -> _Kind | None:
        """Return what an expression stands for; None where that cannot be known."""
        if value not in self._kinds:
            # what stands for itself, by whichever way round, stands for nothing
            self._kinds[value] = None
            self._kinds[value] = self._kind(value, scope)
        return self._kinds[value]

    def _kind(self, value: ast.expr, scope: _Scope) -> _Kind | None:
        match value:
            case ast.Await(value=inner) | ast.NamedExpr(value=inner):
                return self.kind(inner, scope)
            case ast.IfExp(body=one, orelse=other) | ast.BoolOp(values=[one, other]):
                return self.kind(one, scope) or self.kind(other, scope)
            case ast.Call():
                return self._kind_of_call(value, scope)
            case ast.Name(id=name):
                return self.kind_of_name(name, scope)
            case ast.Attribute(attr=name, value=inner):
                return self._kind_of_attribute(name, inner, scope)
        return None

    def kind_of_name(self, name: str, scope: _Scope) -> _Kind | None:
        """Return what a name stands for within a scope."""
        if name in self._project.models:
            return _Kind.MODEL
        bound = _bound(name, scope)
        if bound:
            return self._first(bound)
        if name in {"cls", "self"}:
            return _Kind.MODEL if _owner(scope) in self._project.models else None
        origin = self._module.imports.get(name)
        if origin is None:
            return None
        if origin.split(".", 1)[0] in _FOREIGN:
            return _Kind.FOREIGN
        return self._project.kind(origin.rsplit(".", 1)[-1])

    def kind_returned(self, function: str) -> _Kind | None:
        """Return what a function of the file returns."""
        return self._first(self._module.returns.get(function, []))

    def _first(self, bound: list[tuple[_Scope, ast.expr, bool]]) -> _Kind | None:
        """Return what something bound in several places is: DynamoDB's, if it is in one of them."""
        kinds = [
            self._kind_of_type(value) if is_type else self.kind(value, scope)
            for scope, value, is_type in bound
        ]
        known = [kind for kind in kinds if kind is not None]
        return next((kind for kind in known if kind is not _Kind.FOREIGN), None) or next(
            iter(known), None
        )

    def _kind_of_type(self, annotation: ast.expr) -> _Kind | None:
        text = ast.unparse(annotation).strip("'\"")
        for name in re.findall(r"[A-Za-z_][A-Za-z0-9_.]*", text):
            first, last = name.split(".", 1)[0], name.rsplit(".", 1)[-1]
            origin = self._module.imports.get(first, "")
            if last in _TYPES:
                return _TYPES[last]
            if origin.startswith(_TYPED) and last == "Table":
                return _Kind.TABLE
            if origin.split(".", 1)[0] in _FOREIGN:
                return _Kind.FOREIGN
            if last in self._project.models:
                return _Kind.MODEL
        return None

    def _kind_of_call(self, node: ast.Call, scope: _Scope) -> _Kind | None:
        origin = self._origin(node.func)
        if origin.startswith("pynamodb.connection"):
            return _Kind.MODEL
        name = _last_name(node.func)
        if name in _MAKES_A_CLIENT or name == "resource":
            service = self._text(_argument(node, 0, "service_name"), scope)
            made = _Kind.RESOURCE if name == "resource" else _Kind.CLIENT
            if service is not None:
                return made if service == "dynamodb" else _Kind.FOREIGN
        if origin.split(".", 1)[0] in _FOREIGN:
            return _Kind.FOREIGN
        if not isinstance(node.func, ast.Attribute):
            return self.kind_returned(name) or self._project.kind(origin.rsplit(".", 1)[-1] or name)
        inner = self.kind(node.func.value, scope)
        if name == "Table" or (name == "create_table" and inner is _Kind.RESOURCE):
            return inner if inner is _Kind.FOREIGN else _Kind.TABLE
        if name in _ENTERS and node.args:
            return self.kind(node.args[0], scope)
        if inner is _Kind.FOREIGN:
            return inner
        return self.kind_returned(name)

    def _kind_of_attribute(self, name: str, inner: ast.expr, scope: _Scope) -> _Kind | None:
        if name in self._project.models:
            return _Kind.MODEL
        owner = self.kind(inner, scope)
        if owner is _Kind.MODEL or owner is _Kind.FOREIGN:
            # an index of a model is asked as the model is
            return owner
        if name == "client" and _last_name(inner) == "meta" and isinstance(inner, ast.Attribute):
            # `resource.meta.client`
            known = self.kind(inner.value, scope)
            return _Kind.CLIENT if known in {_Kind.RESOURCE, _Kind.TABLE} else None
        origin = self._origin(inner)
        if origin.split(".", 1)[0] in _FOREIGN:
            return _Kind.FOREIGN
        bound = self._module.attributes.get(name, [])
        found = self._first(bound) if bound else None
        return found or (self._project.kind(name) if origin else None)

    def _origin(self, value: ast.expr) -> str:
        """Return where something imported comes from: `boto3.client`; empty if it is not imported."""
        parts = []
        while isinstance(value, ast.Attribute):
            parts.append(value.attr)
            value = value.value
        if not isinstance(value, ast.Name):
            return ""
        return self._module.origin(".".join([value.id, *reversed(parts)]))


def _bound(name: str, scope: _Scope) -> list[tuple[_Scope, ast.expr, bool]]:
    """Return what a name is bound to in the innermost scope that binds it."""
    found: _Scope | None = scope
    while found is not None:
        if name in found.names:
            return found.names[name]
        found = found.parent
    return []


def _owner(scope: _Scope) -> str:
    """Return the class that a scope is in; empty if it is in none."""
    found: _Scope | None = scope
    while found is not None and not found.owner:
        found = found.parent
    return "" if found is None else found.owner


def _names(node: ast.Call) -> set[str]:
    return {keyword.arg for keyword in node.keywords if keyword.arg is not None}


def _argument(node: ast.Call, position: int | None, name: str) -> ast.expr | None:
    named: Mapping[str | None, ast.expr] = {each.arg: each.value for each in node.keywords}
    if name in named:
        return named[name]
    return node.args[position] if position is not None and position < len(node.args) else None


def _last_name(value: ast.expr) -> str:
    """Return the last name of an expression: `tables` of `self.tables["a"]`."""
    match value:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=inner) | ast.Subscript(value=inner) | ast.Await(value=inner):
            return _last_name(inner)
        case _:
            return ""
