"""Drawings of cells, programs and blocks, as SVG text that a browser shows, and nothing has to be installed for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from tunewell.architecture.program import Program

_STEP, _HEIGHT = 130, 70
_COLOURS = ("#4269d0", "#efb118", "#ff725c", "#3ca951", "#a463f2", "#97bbf5", "#9c6b4e", "#6cc5b0")


def draw_cell(graph: Mapping[tuple[int, int], str], nodes: int) -> str:
    """A cell as SVG: nodes in a row, an arc for each edge with the name of its operation; none where nothing comes
    through. The operation of a node stands below it. `graph` as `Cell.graph` gives it.
    """
    names = sorted(set(graph.values()))
    reach = max((target - source for source, target in graph), default=1)
    middle = 40 + _HEIGHT * (reach - 1)
    colours = {edge: _COLOURS[names.index(operation) % len(_COLOURS)] for edge, operation in graph.items()}
    arcs = [_arc(edge, graph[edge], middle, colours[edge]) for edge in graph if edge[0] < edge[1]]
    below = [_text(50 + _STEP * edge[0], middle + 32, graph[edge]) for edge in graph if edge[0] == edge[1]]
    labels = ["in", *map(str, range(1, nodes - 1)), "out"]
    circles = [_circle(50 + _STEP * number, middle, label) for number, label in enumerate(labels)]
    return _svg(100 + _STEP * (nodes - 1), middle + (60 if below else 40), [*arcs, *circles, *below])


def draw_program(program: str | Program) -> str:
    """A program as an SVG of its tree, from left to right."""
    tree = Program.read(program) if isinstance(program, str) else program
    shapes: list[str] = []
    lines = _branch(tree, 0, 0, shapes)
    return _svg(_STEP * tree.depth, 36 * lines + 10, shapes)


def draw_blocks(blocks: Sequence[Any]) -> str:
    """Blocks as an SVG, as `unflatten` gives them: a box for each, in a row, with a line for each of its entries."""
    lines = [_lines(block) for block in blocks]
    tallest = max(map(len, lines), default=1)
    width = 24 + 8 * max((len(line) for each in lines for line in each), default=0)
    height, middle = 16 + 18 * tallest, 24 + 9 * tallest
    shapes = []
    for number, each in enumerate(lines):
        left = 40 + (width + 30) * number
        shapes.append(f'<path d="M{left - 30} {middle} H{left}" class="line"/>')
        shapes.append(f'<rect x="{left}" y="16" width="{width}" height="{height}" rx="6" class="node"/>')
        shapes += [_text(left + width // 2, 33 + 18 * row, line) for row, line in enumerate(each)]
    end = 10 + (width + 30) * len(lines)
    return _svg(end + 40, height + 32, [*shapes, f'<path d="M{end} {middle} H{end + 30}" class="line"/>'])


def _lines(block: Any) -> list[str]:
    """What is written into the box of a block."""
    return [f"{name} {value}" for name, value in block.items()] if isinstance(block, Mapping) else [str(block)]


def _branch(tree: Program, column: int, row: int, shapes: list[str]) -> int:
    """Draw a part of the tree from a row on; the rows that it took."""
    x, y, taken = 60 + _STEP * column, 24 + 36 * row, 0
    for each in tree.arguments:
        below = 24 + 36 * (row + taken)
        shapes.append(f'<path d="M{x} {y} C{x + 65} {y} {x + 65} {below} {x + _STEP} {below}" class="line"/>')
        taken += _branch(each, column + 1, row + taken, shapes)
    shapes.append(f'<rect x="{x - 50}" y="{y - 13}" width="100" height="26" rx="6" class="node"/>')
    shapes.append(_text(x, y, tree.name))
    return max(taken, 1)


def _arc(edge: tuple[int, int], operation: str, middle: int, colour: str) -> str:
    """An edge, the higher the longer; its name on top."""
    left, right = 50 + _STEP * edge[0] + 18, 50 + _STEP * edge[1] - 18
    top = middle - _HEIGHT * (edge[1] - edge[0] - 1)
    bent = 2 * top - middle  # a quadratic curve comes half as far as its point of control
    curve = f'<path d="M{left} {middle} Q{(left + right) / 2} {bent} {right} {middle}" stroke="{colour}" class="arc"/>'
    return curve + _text((left + right) // 2, top - 12, operation)


def _circle(x: int, y: int, label: str) -> str:
    return f'<circle cx="{x}" cy="{y}" r="18" class="node"/>' + _text(x, y, label)


def _text(x: int, y: int, words: str) -> str:
    return f'<text x="{x}" y="{y}">{escape(words)}</text>'


def _svg(width: int, height: int, shapes: list[str]) -> str:
    style = (
        "text{font:13px sans-serif;text-anchor:middle;dominant-baseline:central;fill:#222}"
        ".node{fill:#eef;stroke:#446}.line{fill:none;stroke:#889}.arc{fill:none;stroke-width:2}"
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
    return f'{head}<style>{style}</style><rect width="100%" height="100%" fill="#fff"/>{"".join(shapes)}</svg>'
