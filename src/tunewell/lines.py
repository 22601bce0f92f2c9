"""The line of each key in a TOML or JSON text: what the parsers of the standard library do not tell."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TypeAlias

Keys: TypeAlias = "tuple[str | int, ...]"
"""A place in a file: the keys and indices that lead to it."""

_TOKEN = re.compile(
    r'(?P<text>"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\')'
    r"|(?P<comment>\#[^\n]*)|(?P<mark>[\[\]{}=:,.\n])|(?P<word>[^\s\[\]{}=:,.#\"']+)",
    re.DOTALL,
)


def lines_of(text: str, *, toml: bool) -> tuple[dict[Keys, int], list[tuple[Keys, int]]]:
    """The line of each key and item of a valid text; and the keys that JSON has twice, with their second line."""
    scanner = _Scanner(text)
    if toml:
        scanner.statements()
        return scanner.lines, []
    scanner.skip_lines()
    scanner.value(())
    return scanner.lines, scanner.twice


class _Scanner:
    """Walks over the tokens of a text that a real parser has accepted, so that it need not be strict."""

    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.at = 0
        self.lines: dict[Keys, int] = {}
        self.twice: list[tuple[Keys, int]] = []

    @property
    def token(self) -> str:
        return self.tokens[self.at][0]

    def take(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1][0]

    def skip_lines(self) -> None:
        while self.token == "\n":
            self.take()

    def mark(self, keys: Keys) -> None:
        """The place `keys` is at the present token; of several mentions the first counts."""
        line = self.tokens[self.at][1]
        if keys in self.lines:
            self.twice.append((keys, line))
        self.lines.setdefault(keys, line)

    # --- the statements of TOML --------------------------------------------------------------------------------------

    def statements(self) -> None:
        """Headers of tables, and assignments."""
        table: Keys = ()
        counts: dict[Keys, int] = {}
        while self.token:
            if self.token == "\n":
                self.take()
            elif self.token == "[":
                table = self.header(counts)
            else:
                self.assignment(table)

    def header(self, counts: dict[Keys, int]) -> Keys:
        """`[a.b]` or `[[a.b]]`; `counts` has the number of the newest item of each array of tables."""
        self.take()
        is_array = self.token == "["
        if is_array:
            self.take()
        first, (*outer, last) = self.at, self.key()
        after, self.at = self.at, first
        keys: Keys = ()
        for key in outer:
            keys = (*keys, key)
            self.mark(keys)
            keys = (*keys, counts[keys]) if keys in counts else keys
        keys = (*keys, last)
        self.mark(keys)
        if is_array:
            counts[keys] = counts.get(keys, -1) + 1
            keys = (*keys, counts[keys])
            self.mark(keys)
        self.at = after + 1 + is_array
        return keys

    # --- what TOML and JSON share ------------------------------------------------------------------------------------

    def assignment(self, table: Keys) -> None:
        """`a.b = value` or `"a": value`."""
        first, keys = self.at, self.key()
        after, self.at = self.at, first
        for end in range(1, len(keys) + 1):
            self.mark((*table, *keys[:end]))
        self.at = after + 1
        self.skip_lines()
        self.value((*table, *keys))

    def key(self) -> list[str]:
        """The parts of a key with dots."""
        parts = [_unquoted(self.take())]
        while self.token == ".":
            self.take()
            parts.append(_unquoted(self.take()))
        return parts

    def value(self, at: Keys) -> None:
        """A table, a list, or anything else up to where it ends."""
        if self.token == "{":
            self.items("}", lambda number: self.assignment(at))
        elif self.token == "[":
            self.items("]", lambda number: self.item((*at, number)))
        else:
            while self.token not in (",", "]", "}", "\n", ""):
                self.take()

    def items(self, end: str, read_one: Callable[[int], None]) -> None:
        """All up to the bracket `end`."""
        self.take()
        number = 0
        while self.token not in (end, ""):
            if self.token in (",", "\n"):
                self.take()
            else:
                read_one(number)
                number += 1
        self.take()

    def item(self, at: Keys) -> None:
        """One item of a list."""
        self.mark(at)
        self.value(at)


def _tokens(text: str) -> list[tuple[str, int]]:
    """The tokens with their lines, without comments; an empty one at the end."""
    tokens, number, last = [], 1, 0
    for found in _TOKEN.finditer(text):
        number, last = number + text.count("\n", last, found.start()), found.start()
        if found.lastgroup != "comment":
            tokens.append((found[0], number))
    return [*tokens, ("", number)]


def _unquoted(token: str) -> str:
    try:
        return str(json.loads(token)) if token.startswith('"') else token.strip("'")
    except ValueError:  # an escape that only TOML knows
        return token.strip('"')
