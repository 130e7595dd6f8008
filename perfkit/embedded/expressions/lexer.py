"""Tokens of DynamoDB's expression language and a cursor over them."""

import re
from dataclasses import dataclass
from typing import NoReturn

from perfkit.embedded.errors import DynamoDBError, validation

__all__ = ["Cursor", "InvalidExpressionError", "refuse"]

_SPACE = " \t\r\n"
_TOKEN = re.compile(
    r"""[ \t\r\n]*(?:
      (?P<word>[A-Za-z][A-Za-z0-9_]*)
    | (?P<name>\#[A-Za-z0-9_]+)
    | (?P<value>:[A-Za-z0-9_]+)
    | (?P<index>0|[1-9][0-9]*)
    | (?P<symbol><>|<=|>=|[=<>()\[\],.+-])
    | (?P<unknown>[^ \t\r\n])
    )""",
    re.VERBOSE,
)


class InvalidExpressionError(Exception):
    """
    What is wrong with an expression, before it is known which parameter it came in.

    Args:
        message: The problem as AWS words it, without "Invalid FilterExpression: ".
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def answer(self, kind: str) -> DynamoDBError:
        """Return the error for the request parameter *kind*, e.g. "FilterExpression"."""
        return validation(f"Invalid {kind}: {self.message}")


def refuse(message: str) -> NoReturn:
    """Raise InvalidExpressionError."""
    raise InvalidExpressionError(message)


@dataclass(frozen=True, slots=True)
class _Token:
    """One token: its kind is the group that matched; for symbols and keywords, their text."""

    kind: str
    text: str
    start: int
    end: int


class Cursor:
    """
    The tokens of one expression, read from left to right.

    Args:
        text: The expression.
        keywords: Words that are no attribute names in this kind of expression, upper case.
    """

    def __init__(self, text: str, keywords: frozenset[str]) -> None:
        self._text = text
        self._position = 0
        self._tokens: list[_Token] = []
        for match in _TOKEN.finditer(text.rstrip(_SPACE)):
            kind = match.lastgroup or ""
            token = match[kind]
            if kind == "symbol":
                kind = token
            elif kind == "word" and token.upper() in keywords:
                kind = token.upper()
            self._tokens.append(_Token(kind, token, match.end() - len(token), match.end()))
        end = self._tokens[-1].end if self._tokens else 0
        self._tokens.append(_Token("<EOF>", "<EOF>", end, end))

    @property
    def kind(self) -> str:
        """Kind of the next token."""
        return self._tokens[self._position].kind

    @property
    def kind_after(self) -> str:
        """Kind of the token after the next."""
        return self._tokens[min(self._position + 1, len(self._tokens) - 1)].kind

    def take(self) -> str:
        """Return the text of the next token and move on."""
        token = self._tokens[self._position]
        self._position += 1
        return token.text

    def accept(self, kind: str) -> bool:
        """Move on if the next token is of this kind; return whether it was."""
        if self.kind != kind:
            return False
        self._position += 1
        return True

    def expect(self, kind: str) -> str:
        """Return the text of the next token, which must be of this kind, and move on."""
        if self.kind != kind:
            self.fail()
        return self.take()

    def fail(self) -> NoReturn:
        """Raise AWS's syntax error at the next token."""
        at = self._position
        token = self._tokens[at]
        first = self._tokens[max(at - 1, 0)]
        last = self._tokens[min(at + 1, len(self._tokens) - 1)]
        near = self._text[first.start : last.end]
        refuse(f'Syntax error; token: "{token.text}", near: "{near}"')
