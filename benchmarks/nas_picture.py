"""The pictures of the guide on architectures: python -m benchmarks.nas_picture FOLDER, in half a minute."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.nas_language import Array, language, played
from tunewell.architecture import draw_cell, draw_program
from tunewell.surrogates.pareto import non_dominated

WIDTH, HEIGHT, LEFT, BOTTOM = 640, 380, 60, 46
COLOURS = {"best known front": "#999999", "Random()": "#d1495b", "Bayes()": "#0b62a4"}


def front(clouds: dict[str, Array]) -> str:
    """Losses (n, 2) of each name as SVG: perplexity above millions of parameters, fronts as steps."""
    every = np.vstack(list(clouds.values()))
    low, high = every.min(0), np.quantile(every, 0.98, axis=0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle">millions of parameters</text>',
        f'<text x="14" y="{HEIGHT / 2}" transform="rotate(-90 14 {HEIGHT / 2})" text-anchor="middle">perplexity</text>',
    ]
    for share in np.linspace(0, 1, 6):
        across, up = low + share * (high - low)
        x, y = _place(np.array([across, up]), low, high)
        parts.append(f'<text x="{x:.0f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{across:.0f}</text>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.0f}" text-anchor="end">{up:.0f}</text>')
    for number, (name, points) in enumerate(clouds.items()):
        parts += _cloud(name, points, number, low, high)
    return "\n".join([*parts, "</svg>\n"])


def _cloud(name: str, points: Array, number: int, low: Array, high: Array) -> Sequence[str]:
    colour = COLOURS[name]
    best = points[non_dominated(points)]
    across, up = np.repeat(best[np.argsort(best[:, 0])], 2, axis=0).T
    steps = np.column_stack([across[1:], up[:-1]])  # between two points of a front, only the left one is reached
    line = " ".join("{:.1f},{:.1f}".format(*_place(point, low, high)) for point in steps)
    dots = (
        [_place(point, low, high) for point in points if (point <= high).all()]
        if name in ("Bayes()", "Random()")
        else []
    )
    return [
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="{colour}" opacity="0.35"/>' for x, y in dots),
        f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>',
        f'<text x="{WIDTH - 150}" y="{30 + 18 * number}" fill="{colour}">{name}</text>',
    ]


def _place(point: Array, low: Array, high: Array) -> tuple[float, float]:
    share = (point - low) / (high - low)
    return LEFT + share[0] * (WIDTH - LEFT - 20), HEIGHT - BOTTOM - share[1] * (HEIGHT - BOTTOM - 20)


if __name__ == "__main__":
    folder, small = Path(sys.argv[1]), language("s")
    runs = {name: np.array(played(name, small, 1)[0].losses)[:, ::-1] for name in ("Random()", "Bayes()")}
    (folder / "architecture-front.svg").write_text(front({"best known front": np.array(small.front)[:, ::-1], **runs}))
    cell = {(0, 1): "conv3", (0, 2): "conv3", (1, 2): "skip", (2, 3): "skip"}  # that of examples/architecture_digits.py
    (folder / "architecture-cell.svg").write_text(draw_cell(cell, 4))
    program = "seq(residual(seq(conv, norm)), seq(pool, residual(conv)))"
    (folder / "architecture-program.svg").write_text(draw_program(program))
