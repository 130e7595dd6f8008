"""On which line of a TOML file each of its keys stands, which Python's own reader does not report."""

import re
import tomllib
from bisect import bisect_left
from collections.abc import Sequence

__all__ = ["Lines"]

_BLANK = re.compile(r"(?:[ \t\r\n,]|#[^\n]*)*")
_KEY = re.compile(r"""[ \t]*(?:([A-Za-z0-9_-]+)|("(?:[^"\\]|\\.)*")|'([^']*)')[ \t]*(\.?)""")
_TEXT = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|' + r"'''.*?'{3,5}|" + r'"(?:[^"\\]|\\.)*"|' + r"'[^']*'",
    re.DOTALL,
)
_PLAIN = re.compile(r"[^,\]}#\r\n]+")

_Path = tuple[str | int, ...]


class Lines:
    """
    The lines of a file's keys.

    Args:
        text: TOML that Python's reader has accepted.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._ends = [match.start() for match in re.finditer("\n", text)]
        self._lines: dict[_Path, int] = {}
        # tables of a list that have been met, by the path of the list
        self._counts: dict[_Path, int] = {}
        self._document()

    def line(self, path: Sequence[str | int]) -> int | None:
        """Return the line, counted from 1, of the key at *path*, or of the nearest one above it."""
        place = tuple(path)
        while place:
            if place in self._lines:
                return self._lines[place]
            place = place[:-1]
        return None

    def _document(self) -> None:
        position, table = self._skip(0), _Path()
        while position < len(self._text):
            start = position
            if self._text.startswith("[", position):
                many = self._text.startswith("[[", position)
                keys, position = self._keys(position + (2 if many else 1))
                table = (*self._entered(keys[:-1]), keys[-1])
                if many:
                    number = self._counts[table] = self._counts.get(table, -1) + 1
                    table = (*table, number)
                else:
                    table = self._entered(table)
                for number in range(len(table)):
                    self._note(table[: number + 1], start)
                position += 2 if many else 1
            else:
                position = self._pair(table, position)
            position = self._skip(position)

    def _entered(self, keys: Sequence[str | int]) -> _Path:
        """Return the path that keys of a heading mean: of a list of tables, the last one."""
        path = _Path()
        for key in keys:
            path = (*path, key)
            if path in self._counts:
                path = (*path, self._counts[path])
        return path

    def _pair(self, table: _Path, position: int) -> int:
        start = position
        keys, position = self._keys(position)
        for number in range(len(keys)):
            self._note((*table, *keys[: number + 1]), start)
        return self._value((*table, *keys), position + 1)

    def _keys(self, position: int) -> tuple[list[str | int], int]:
        keys: list[str | int] = []
        while match := _KEY.match(self._text, position):
            bare, quoted, literal, dot = match.groups()
            position = match.end()
            if quoted is not None:
                bare = tomllib.loads(f"key = {quoted}")["key"]
            keys.append(bare if bare is not None else literal)
            if not dot:
                break
        return keys, position

    def _value(self, path: _Path, position: int) -> int:
        position = self._skip(position)
        self._note(path, position)
        opening = self._text[position : position + 1]
        if opening in {'"', "'"}:
            text = _TEXT.match(self._text, position)
            return text.end() if text else len(self._text)
        if opening not in {"[", "{"}:
            plain = _PLAIN.match(self._text, position)
            return plain.end() if plain else position + 1
        position = self._skip(position + 1)
        number = 0
        while position < len(self._text) and self._text[position] not in "]}":
            if opening == "[":
                position = self._value((*path, number), position)
                number += 1
            else:
                position = self._pair(path, position)
            position = self._skip(position)
        return position + 1

    def _skip(self, position: int) -> int:
        match = _BLANK.match(self._text, position)
        return match.end() if match else position

    def _note(self, path: _Path, position: int) -> None:
        self._lines.setdefault(path, bisect_left(self._ends, position) + 1)
