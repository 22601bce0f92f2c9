"""A program of a grammar as a tree: a name and its arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tunewell.errors import SpaceError

_TOKEN = re.compile(r"\s*([^\s(),]+|[(),])")
_MOST = 200
"""So deep a program may be: no text from outside can exhaust the stack."""


@dataclass(frozen=True)
class Program:
    """An operation and the programs that it is applied to."""

    name: str
    arguments: tuple[Program, ...] = ()

    @classmethod
    def read(cls, text: str) -> Program:
        """The tree of a text such as "seq(conv, residual(pool))". Raises SpaceError where it is none."""
        tokens = _TOKEN.findall(text)
        if "".join(tokens) != re.sub(r"\s", "", text):
            raise SpaceError(f"{text!r} is no program")
        program, rest = _read(tokens, text, 0)
        if rest:
            raise SpaceError(f"{text!r} goes on after the program is done, with {rest[0]!r}")
        return program

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.arguments))})" if self.arguments else self.name

    @property
    def depth(self) -> int:
        """How many operations lie within each other at most."""
        return 1 + max((each.depth for each in self.arguments), default=0)

    @property
    def size(self) -> int:
        """How many operations there are."""
        return 1 + sum(each.size for each in self.arguments)

    def walk(self) -> Iterator[Program]:
        """Each part of the program, the whole first."""
        yield self
        for each in self.arguments:
            yield from each.walk()

    def shown(self, indent: str = "") -> str:
        """The program over several lines, arguments below what they are given to."""
        lines = [indent + self.name, *(each.shown(indent + "  ") for each in self.arguments)]
        return "\n".join(lines)


def _read(tokens: list[str], text: str, depth: int) -> tuple[Program, list[str]]:
    """One program, and the tokens behind it."""
    if not tokens or tokens[0] in "()," or depth > _MOST:
        raise SpaceError(f"{text!r} is no program", hint='Such as "seq(conv, residual(pool))".')
    name, rest = tokens[0], tokens[1:]
    if not rest or rest[0] != "(":
        return Program(name), rest
    arguments: list[Program] = []
    while rest[:1] == (["("] if not arguments else [","]):
        argument, rest = _read(rest[1:], text, depth + 1)
        arguments.append(argument)
    if rest[:1] != [")"]:
        raise SpaceError(f"{text!r} is no program: {name!r} is not closed")
    return Program(name, tuple(arguments)), rest[1:]
