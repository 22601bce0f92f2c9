"""The picture of the guide on freeze-thaw: curves seen to a quarter, what was forecast, and what they became, as SVG.

python -m benchmarks.curves_picture FILE
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.fidelity_curves import Array, Curves, curves_of, tasks
from tunewell.surrogates.curves import extrapolate

WIDTH, HEIGHT = 720, 380
LEFT, RIGHT, TOP, BOTTOM = 56, 24, 40, 44
COLOURS = ("#0b62a4", "#d1495b", "#2e8b57", "#b8860b")
PART = 0.25
"""How much of each curve is seen."""


def picture(curves: Curves, title: str) -> str:
    """The curves: seen as a line, forecast as a band, come true as dots."""
    steps, losses = curves.steps, curves.losses
    low, high = float(losses[:, 3:].min()), float(losses[:, 3:].max())
    margin = 0.15 * (high - low)
    frame = Frame(float(steps[-1]), low - margin, high + margin)
    parts = [*frame.begin(title)]
    for row, colour in zip(losses, COLOURS, strict=False):
        parts += frame.curve(steps, row, colour)
    return "\n".join([*parts, "</g>", "</svg>\n"])


class Frame:
    """Where steps and losses stand on the page."""

    def __init__(self, last: float, low: float, high: float) -> None:
        self.last, self.low, self.high = last, low, high

    def at(self, steps: Array, losses: Array) -> str:
        """Points as SVG writes them."""
        x = LEFT + (WIDTH - LEFT - RIGHT) * steps / self.last
        y = TOP + (HEIGHT - TOP - BOTTOM) * (self.high - losses) / (self.high - self.low)
        return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))

    def begin(self, title: str) -> Iterator[str]:
        """The frame, the axes and their names."""
        box = f'x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}"'
        yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        yield 'font-size="12">'
        yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
        yield f'<text x="{LEFT}" y="24" font-size="14">{title}</text>'
        yield f'<text x="{WIDTH / 2}" y="{HEIGHT - 12}" text-anchor="middle">epochs (0 to {self.last:.0f})</text>'
        yield f'<text x="{LEFT - 6}" y="{TOP + 10}" text-anchor="end">{self.high:.0f}</text>'
        yield f'<text x="{LEFT - 6}" y="{HEIGHT - BOTTOM}" text-anchor="end">{self.low:.0f}</text>'
        yield f'<clipPath id="box"><rect {box}/></clipPath>'
        yield f'<rect {box} fill="none" stroke="#999"/>'
        yield '<g clip-path="url(#box)">'

    def curve(self, steps: Array, losses: Array, colour: str) -> Iterator[str]:
        """What was seen, the band of the 80 % intervals, and what came true."""
        seen = int((steps <= PART * steps[-1]).sum())
        forecast = extrapolate(steps[:seen], losses[:seen], steps[seen - 1 :])
        assert forecast is not None
        low, high = forecast.interval()
        ahead = steps[seen - 1 :]
        band = self.at(np.concatenate([ahead, ahead[::-1]]), np.concatenate([low, high[::-1]]))
        yield f'<polygon points="{band}" fill="{colour}" opacity="0.18"/>'
        line = f'stroke="{colour}" stroke-width="2.5"'
        yield f'<polyline points="{self.at(steps[:seen], losses[:seen])}" fill="none" {line}/>'
        dots = f'stroke="{colour}" stroke-width="1.5" stroke-dasharray="2 4"'
        yield f'<polyline points="{self.at(ahead, losses[seen - 1 :])}" fill="none" {dots}/>'


def main(file: str) -> None:
    """Write the picture of four curves of a task of LCBench that was held out."""
    name = tasks("LCBench")[1]
    curves = curves_of(name)
    order = np.argsort(curves.losses[:, -1])[[3, 50, 95, 135]]
    title = "LCBench: validation error seen for a quarter, 80 % intervals ahead, and what came (dotted)"
    Path(file).write_text(picture(Curves(curves.steps, curves.losses[order] + 100), title))


if __name__ == "__main__":
    main(sys.argv[1])
