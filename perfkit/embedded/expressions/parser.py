"""The grammar: from text to syntax tree, and the checks that need nothing but the text."""

from collections.abc import Iterable
from functools import lru_cache
from typing import NoReturn

from perfkit.embedded.expressions.lexer import Cursor, refuse
from perfkit.embedded.expressions.reserved import RESERVED_WORDS
from perfkit.embedded.expressions.syntax import (
    Action,
    Arithmetic,
    Call,
    Condition,
    Junction,
    Operand,
    PathNode,
    Predicate,
    SetValue,
    ValueNode,
    calls,
    leaves,
    predicates,
)

__all__ = ["condition_tree", "projection_paths", "update_actions"]

_MAX_EXPRESSION_BYTES = 4096
_MAX_OPERATORS = 300
_MAX_PATH_PARTS = 32
_MAX_LIST_INDEX = 2**31 - 1

_COMPARATORS = frozenset({"=", "<>", "<", "<=", ">", ">="})
_OPERATORS = _COMPARATORS | {"BETWEEN", "IN"}
_CONDITION_FUNCTIONS = frozenset(
    {"attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains"}
)
_UPDATE_FUNCTIONS = frozenset({"if_not_exists", "list_append"})
_FUNCTIONS = _CONDITION_FUNCTIONS | _UPDATE_FUNCTIONS | {"size"}
_CONDITION_KEYWORDS = frozenset({"AND", "OR", "NOT", "BETWEEN", "IN"})
_CLAUSES = frozenset({"SET", "REMOVE", "ADD", "DELETE"})
_BINDING_POWERS = {"OR": 1, "AND": 2}
_CACHED_EXPRESSIONS = 1024


@lru_cache(_CACHED_EXPRESSIONS)
def condition_tree(text: str) -> Condition:
    """
    Return the syntax tree of a condition, filter or key condition.

    Raises:
        InvalidExpressionError: AWS would refuse *text* whatever the placeholders stand for.
    """
    _check_size(text, show_size=True)
    parser = _ConditionParser(text, _CONDITION_KEYWORDS)
    tree = parser.condition()
    parser.finish()
    _check_condition_functions(tree)
    _check_paths(
        leaf
        for predicate in predicates(tree)
        for operand in predicate.operands
        for leaf in leaves(operand)
    )
    return tree


@lru_cache(_CACHED_EXPRESSIONS)
def projection_paths(text: str) -> tuple[PathNode, ...]:
    """Return the paths of a projection, as `condition_tree` does for conditions."""
    _check_size(text, show_size=True)
    parser = _Parser(text, frozenset())
    paths = [parser.path()]
    while parser.cursor.accept(","):
        paths.append(parser.path())
    parser.finish()
    _check_paths(paths)
    return tuple(paths)


@lru_cache(_CACHED_EXPRESSIONS)
def update_actions(text: str) -> tuple[Action, ...]:
    """Return the actions of an update, as `condition_tree` does for conditions."""
    _check_size(text, show_size=False)
    parser = _UpdateParser(text, _CLAUSES)
    clauses = parser.clauses()
    actions = tuple(action for _, group in clauses for action in group)
    _check_paths(
        leaf
        for action in actions
        for node in (action.path, action.value)
        if node is not None
        for leaf in leaves(node)
    )
    _check_update_functions(actions)
    seen = set()
    for clause, _ in clauses:
        if clause in seen:
            refuse(f'The "{clause}" section can only be used once in an update expression;')
        seen.add(clause)
    return actions


class _Parser:
    """What all expressions share: paths, operands, parentheses and their limits."""

    def __init__(self, text: str, keywords: frozenset[str]) -> None:
        self.cursor = Cursor(text, keywords)
        self._operators = 0
        self._depth = 0
        self._last_group: object = None
        self._redundant_parentheses = False

    def finish(self) -> None:
        """Require the end of the text."""
        self.cursor.expect("<EOF>")
        if self._redundant_parentheses:
            refuse("The expression has redundant parentheses;")

    def path(self) -> PathNode:
        """Read a document path."""
        cursor = self.cursor
        parts: list[str | int] = [self._path_name()]
        while True:
            if cursor.accept("."):
                parts.append(self._path_name())
            elif cursor.accept("["):
                parts.append(int(cursor.expect("index")))
                cursor.expect("]")
            else:
                return PathNode(tuple(parts))

    def _path_name(self) -> str:
        if self.cursor.kind not in {"word", "name"}:
            self.cursor.fail()
        return self.cursor.take()

    def operand(self) -> Operand:
        """Read a path, a value or a function call, in parentheses or not."""
        cursor = self.cursor
        if cursor.accept("("):
            self._enter()
            inner = self.operand()
            self._leave(inner)
            return inner
        if cursor.kind == "value":
            return ValueNode(cursor.take())
        if cursor.kind == "word" and cursor.kind_after == "(":
            return self._call()
        return self.path()

    def _call(self) -> Call:
        self.count_operator()
        function = self.cursor.take()
        self.cursor.expect("(")
        arguments = [self.operand()]
        while self.cursor.accept(","):
            arguments.append(self.operand())
        self.cursor.expect(")")
        return Call(function, tuple(arguments))

    def count_operator(self) -> None:
        """Count one operator or function; AWS allows 300."""
        self._operators += 1
        if self._operators > _MAX_OPERATORS:
            self._refuse_operators()

    def _refuse_operators(self) -> None:
        refuse(f"The expression contains too many operators; operator count: {_MAX_OPERATORS + 1}")

    def _enter(self) -> None:
        # Parentheses deeper than there can be operators are redundant at best; without a bound
        # they would exhaust the interpreter's stack.
        self._depth += 1
        if self._depth > _MAX_OPERATORS:
            self._refuse_operators()

    def _leave(self, inner: object) -> None:
        self.cursor.expect(")")
        self._depth -= 1
        if inner is self._last_group:
            self._redundant_parentheses = True
        self._last_group = inner


class _ConditionParser(_Parser):
    """Conditions, by operator precedence: comparisons bind tightest, then NOT, AND, OR."""

    def condition(self) -> Condition:
        """Read a whole condition."""
        return self._as_condition(self._expression(0))

    # A parenthesis may hold a condition, "(a = b)", or an operand, "(a) = b".  So both are
    # read by the same methods and told apart by what follows.

    def _expression(self, power: int) -> Condition | Operand:
        """Read conditions joined by operators that bind tighter than *power*."""
        negations = 0
        while self.cursor.accept("NOT"):
            self.count_operator()
            negations += 1
        left = self._predicate()
        for _ in range(negations):
            left = Junction("NOT", (self._as_condition(left),))
        while _BINDING_POWERS.get(self.cursor.kind, 0) > power:
            operator = self.cursor.kind
            parts = _joined(operator, self._as_condition(left))
            while self.cursor.accept(operator):
                self.count_operator()
                right = self._expression(_BINDING_POWERS[operator])
                parts += _joined(operator, self._as_condition(right))
            left = Junction(operator, tuple(parts))
        return left

    def _predicate(self) -> Condition | Operand:
        cursor = self.cursor
        left: Condition | Operand
        if cursor.accept("("):
            self._enter()
            left = self._expression(0)
            self._leave(left)
        else:
            left = self.operand()
        operator = cursor.kind
        if operator not in _OPERATORS:
            return left
        if isinstance(left, Predicate | Junction):
            cursor.fail()
        self.count_operator()
        cursor.take()
        operands = [left]
        if operator == "IN":
            cursor.expect("(")
            operands.append(self.operand())
            while cursor.accept(","):
                operands.append(self.operand())
            cursor.expect(")")
        else:
            operands.append(self.operand())
            if operator == "BETWEEN":
                cursor.expect("AND")
                operands.append(self.operand())
        return Predicate(operator, tuple(operands))

    def _as_condition(self, node: Condition | Operand) -> Condition:
        if isinstance(node, Call):
            return Predicate(node.function, node.arguments)
        if isinstance(node, PathNode | ValueNode):
            self.cursor.fail()
        return node


def _joined(operator: str, condition: Condition) -> list[Condition]:
    """Return the parts *condition* adds to a junction: "a AND (b AND c)" has three."""
    if isinstance(condition, Junction) and condition.operator == operator:
        return list(condition.conditions)
    return [condition]


class _UpdateParser(_Parser):
    """Updates: clauses of actions."""

    def clauses(self) -> list[tuple[str, list[Action]]]:
        """Read all clauses, in the order written."""
        clauses: list[tuple[str, list[Action]]] = []
        while not clauses or self.cursor.kind != "<EOF>":
            clause = self.cursor.kind
            if clause not in _CLAUSES:
                self.cursor.fail()
            self.cursor.take()
            actions = [self._action(clause)]
            while self.cursor.accept(","):
                actions.append(self._action(clause))
            clauses.append((clause, actions))
        self.finish()
        return clauses

    def _action(self, clause: str) -> Action:
        path = self.path()
        if clause == "REMOVE":
            return Action(clause, path)
        if clause == "SET":
            self.cursor.expect("=")
            return Action(clause, path, self._set_value())
        return Action(clause, path, ValueNode(self.cursor.expect("value")))

    def _set_value(self) -> SetValue:
        left: SetValue
        if self.cursor.accept("("):
            self._enter()
            left = self._set_value()
            self._leave(left)
            if isinstance(left, Arithmetic):
                return left
        else:
            left = self.operand()
        operator = self.cursor.kind
        if operator not in {"+", "-"}:
            return left
        self.count_operator()
        self.cursor.take()
        return Arithmetic(operator, left, self.operand())


def _check_size(text: str, *, show_size: bool) -> None:
    if not text:
        refuse("The expression can not be empty;")
    size_bytes = len(text.encode())
    if size_bytes > _MAX_EXPRESSION_BYTES:
        # AWS leaves the size out for updates
        size = f" expression size: {size_bytes}" if show_size else ""
        refuse(f"Expression size has exceeded the maximum allowed size;{size}")


def _check_condition_functions(tree: Condition) -> None:
    found = []
    for predicate in predicates(tree):
        if predicate.operator not in _OPERATORS:
            found.append((predicate.operator, True))
        for operand in predicate.operands:
            found += [(function, False) for function in calls(operand)]
    for function, _ in found:
        if function not in _FUNCTIONS:
            refuse(f"Invalid function name; function: {function}")
    for function, is_condition in found:
        if function in _UPDATE_FUNCTIONS:
            refuse(f"The function is not allowed in a condition expression; function: {function}")
        if is_condition != (function in _CONDITION_FUNCTIONS):
            _refuse_use(function)


def _refuse_use(function: str) -> NoReturn:
    refuse(
        f"The function is not allowed to be used this way in an expression; function: {function}"
    )


def _check_update_functions(actions: Iterable[Action]) -> None:
    found: list[str] = []
    nested: list[str] = []
    for action in actions:
        if action.value is not None:
            functions = list(calls(action.value))
            found += functions
            nested += functions[1:] if isinstance(action.value, Call) else functions
    for function in found:
        if function not in _FUNCTIONS:
            refuse(f"Invalid function name; function: {function}")
    for function in found:
        if function not in _UPDATE_FUNCTIONS:
            refuse(f"The function is not allowed in an update expression; function: {function}")
    if "list_append" in nested:
        _refuse_use("list_append")


def _check_paths(leaves_: Iterable[PathNode | ValueNode]) -> None:
    paths = [leaf.parts for leaf in leaves_ if isinstance(leaf, PathNode)]
    for parts in paths:
        for part in parts:
            if isinstance(part, int):
                if part > _MAX_LIST_INDEX:
                    refuse(f"List index is not within the allowable range; index: [{part}]")
            elif part.upper() in RESERVED_WORDS:
                refuse(f"Attribute name is a reserved keyword; reserved keyword: {part}")
    for parts in paths:
        if len(parts) > _MAX_PATH_PARTS:
            refuse(f"The document path has too many nesting levels; nesting levels: {len(parts)}")
