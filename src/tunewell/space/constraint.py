"""What follows from a config alone, and so is known before anything is trained: constraints, and numbers.

A string such as `"units * layers <= 2048"` is read by the small interpreter below, which knows names, numbers, strings,
lists, arithmetic, comparisons, `and`, `or`, `not`, `in`, and `min`, `max`, `abs`, `len`. It never calls `eval`: opening
somebody's study cannot run their code. A number that mentions an inactive entry is unknown; a constraint that mentions
one, or an unknown number, is satisfied.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from numbers import Real
from typing import Any, ClassVar

from tunewell.errors import SpaceError
from tunewell.space.values import nearest_hint

Predicate = Callable[[dict[str, Any]], Any]
Rule = str | Predicate
_Term = Callable[[Mapping[str, Any]], Any]

_LONGEST = 1000
_BITS = 4096

_LEAST = 1e-9
"""Of what is violated: "x < 1" is by 1, at no distance."""


@dataclass(frozen=True, eq=False)
class _Known:
    """Something that follows from a config: `rule` as given, over `names`, all that its space has."""

    name: str
    rule: Rule
    names: frozenset[str]
    needs: frozenset[str] = field(init=False)
    term: Callable[..., Any] = field(init=False)
    distance: Callable[..., float] | None = field(init=False, default=None)

    kind: ClassVar[str]

    def __post_init__(self) -> None:
        if isinstance(self.rule, str):
            parser = _Parser(str(self), self.names)
            object.__setattr__(self, "term", parser.parse(self.rule, parser.term))
            object.__setattr__(self, "distance", parser.parse(self.rule, parser.distance))
            object.__setattr__(self, "needs", frozenset(parser.needs))
        elif callable(self.rule):
            object.__setattr__(self, "term", self.rule)
            object.__setattr__(self, "needs", frozenset())
        else:
            raise SpaceError(f"{self} is neither a string nor callable: {self.rule!r}")

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}"

    def _answer(self, config: Mapping[str, Any]) -> Any:
        """What the rule says of a config; Inactive where it asks for an entry that is not active. Raises SpaceError
        where an expression cannot be computed.
        """
        if not isinstance(self.rule, str):
            return self.term(_Active(config, self.names))
        if not self.needs <= config.keys():
            raise Inactive(min(self.needs - config.keys()))
        try:
            return self.term(config)
        except (TypeError, ValueError, ArithmeticError) as error:
            used = {name: config[name] for name in sorted(self.needs)}
            raise SpaceError(f"{self} cannot be computed for {used}: {error}") from None


class Constraint(_Known):
    """One known constraint of a space."""

    kind = "constraint"

    def holds(self, config: Mapping[str, Any]) -> bool:
        """Whether the config satisfies it; SpaceError where an expression cannot be computed."""
        try:
            return bool(self._answer(config))
        except Inactive:
            return True

    def excess(self, config: Mapping[str, Any]) -> float:
        """By how much the config violates it, from 0, where it holds, to 1 for each part of it: of a comparison of
        numbers, their distance as a share of their sizes; of a function nobody can say more than that it is violated.
        """
        if self.holds(config):
            return 0.0
        return max(self.distance(config), _LEAST) if self.distance is not None else 1.0


class Number(_Known):
    """One known number of a config, such as how many parameters a network has."""

    kind = "known number"

    def of(self, config: Mapping[str, Any]) -> float | None:
        """Its value, None where it needs an inactive entry; SpaceError where it cannot be computed or is not finite."""
        try:
            found = self._answer(config)
        except Inactive:
            return None
        if not isinstance(found, Real) or not math.isfinite(found):
            raise SpaceError(f"{self} is {found!r} for {dict(config)}", hint="It has to be a finite number.")
        return float(found)


class Inactive(KeyError):
    """A rule asked for an entry that is not active."""


class _Active(dict[str, Any]):
    """The copy of a config that a function gets; it tells an inactive entry from a name that never existed."""

    def __init__(self, config: Mapping[str, Any], names: frozenset[str]) -> None:
        super().__init__(config)
        self._names = names

    def __missing__(self, name: str) -> Any:
        raise (Inactive if name in self._names else KeyError)(name)


class _Parser:
    """Turns an expression into a function of the config, and remembers which names it needs; errors say `whose`."""

    def __init__(self, whose: str, names: Iterable[str]) -> None:
        self.whose = whose
        self.names = names
        self.needs: set[str] = set()

    def parse(self, text: str, read: Callable[[ast.expr], _Term]) -> _Term:
        if len(text) > _LONGEST:
            raise SpaceError(f"{self.whose} is longer than {_LONGEST} characters")
        try:
            return read(ast.parse(text.strip(), mode="eval").body)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            if isinstance(error, SpaceError):
                raise
            raise SpaceError(f"{self.whose} is no expression: {text!r}") from None

    def term(self, node: ast.expr) -> _Term:
        match node:
            case ast.Constant(value=int() | float() | str() | None as value):
                return lambda config: value
            case ast.Name(id=name):
                return self._lookup(name)
            case ast.List(elts=items) | ast.Tuple(elts=items):
                terms = [self.term(item) for item in items]
                return lambda config: [term(config) for term in terms]
            case ast.UnaryOp(op=op, operand=inner) if type(op) in _UNARY:
                return self._apply(_UNARY[type(op)], [inner])
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                return self._apply(_ARITHMETIC[type(op)], [left, right])
            case ast.BoolOp(op=op, values=values):
                return self._logic(isinstance(op, ast.And), values)
            case ast.Compare(left=left, ops=ops, comparators=others):
                return self._comparison([left, *others], ops)
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
                return self._apply(_FUNCTIONS[name], arguments)
        raise SpaceError(
            f"{self.whose} may not contain {ast.unparse(node)!r}",
            hint=f"It may contain names, numbers, strings, lists, arithmetic, comparisons, {', '.join(_FUNCTIONS)}.",
        )

    def distance(self, node: ast.expr) -> _Term:
        """By how much an expression is far from true, 0 where it is true."""
        match node:
            case ast.BoolOp(op=op, values=values):
                parts = [self.distance(value) for value in values]
                together = sum if isinstance(op, ast.And) else min
                return lambda config: together([part(config) for part in parts])
            case ast.Compare(left=left, ops=ops, comparators=others):
                terms, tests = [self.term(side) for side in (left, *others)], [_COMPARISONS[type(op)] for op in ops]
                return lambda config: _far(tests, [term(config) for term in terms])
        term = self.term(node)
        return lambda config: float(not term(config))

    def _lookup(self, name: str) -> _Term:
        if name not in self.names:
            raise SpaceError(f"{self.whose} mentions {name!r}", hint=nearest_hint(name, sorted(self.names)))
        self.needs.add(name)
        return operator.itemgetter(name)

    def _apply(self, function: Callable[..., Any], arguments: list[ast.expr]) -> _Term:
        terms = [self.term(argument) for argument in arguments]
        return lambda config: function(*[term(config) for term in terms])

    def _logic(self, every: bool, values: list[ast.expr]) -> _Term:
        terms = [self.term(value) for value in values]
        if every:
            return lambda config: all(term(config) for term in terms)
        return lambda config: any(term(config) for term in terms)

    def _comparison(self, sides: list[ast.expr], ops: list[ast.cmpop]) -> _Term:
        terms = [self.term(side) for side in sides]
        tests = [_COMPARISONS[type(op)] for op in ops]

        def compare(config: Mapping[str, Any]) -> bool:
            values = [term(config) for term in terms]
            return all(test(*pair) for test, pair in zip(tests, pairwise(values), strict=True))

        return compare


def _far(tests: list[Callable[..., Any]], values: list[Any]) -> float:
    """By how much comparisons of neighbours are false: the distances of numbers as shares of their sizes; else 1."""
    total = 0.0
    for test, (left, right) in zip(tests, pairwise(values), strict=True):
        if not test(left, right):
            are_numbers = isinstance(left, int | float) and isinstance(right, int | float)
            size = abs(left) + abs(right) if are_numbers else 0.0
            total += max(abs(left - right) / size, _LEAST) if size and math.isfinite(size) else 1.0
    return total


def _of_numbers(function: Callable[..., Any]) -> Callable[..., Any]:
    """Arithmetic of numbers only: `"a" * 10**9` and `"%999999d" % 1` are ways to fill the memory."""

    def guarded(*values: Any) -> Any:
        if not all(isinstance(value, int | float) for value in values):
            raise TypeError("arithmetic needs numbers")
        return function(*values)

    return guarded


def _power(base: float, exponent: float) -> Any:
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * abs(exponent) > _BITS:
        raise OverflowError(f"a power of more than {_BITS} bits")
    return base**exponent


_ARITHMETIC: dict[type, Callable[..., Any]] = {
    ast.Add: _of_numbers(operator.add),
    ast.Sub: _of_numbers(operator.sub),
    ast.Mult: _of_numbers(operator.mul),
    ast.Div: _of_numbers(operator.truediv),
    ast.FloorDiv: _of_numbers(operator.floordiv),
    ast.Mod: _of_numbers(operator.mod),
    ast.Pow: _of_numbers(_power),
}
_UNARY: dict[type, Callable[..., Any]] = {
    ast.Not: operator.not_,
    ast.USub: _of_numbers(operator.neg),
    ast.UAdd: _of_numbers(operator.pos),
}
_COMPARISONS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda item, items: operator.contains(items, item),
    ast.NotIn: lambda item, items: not operator.contains(items, item),
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {"min": min, "max": max, "abs": abs, "len": len}
