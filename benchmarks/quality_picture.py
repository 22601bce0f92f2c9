"""The picture of the quality benchmark: mean regret after so many evaluations, a line for each contender, as SVG."""

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 64, 170, 40, 48
COLOURS = ("#0b62a4", "#d1495b", "#2e8b57", "#b8860b", "#6a4c93", "#008b8b", "#a0522d", "#c71585", "#708090", "#444444")

Curve = Mapping[int, float]
"""Mean regret by evaluations."""


def picture(curves: Mapping[str, Curve], title: str, bold: str = "") -> str:
    """The curves on a logarithmic scale of regret, the name of each at its end; `bold` is drawn thicker."""
    values = [value for curve in curves.values() for value in curve.values() if value > 0]
    low, high = (math.floor(math.log10(min(values)) * 4) / 4, math.ceil(math.log10(max(values)) * 4) / 4)
    most = max(max(curve) for curve in curves.values())
    places = Places(low, max(high, low + 0.25), most)
    parts = [*_frame(title), *_grid(places)]
    labels, colours = _labels(curves, places), _colours(len(curves))
    for (name, curve), colour, label in zip(curves.items(), colours, labels, strict=True):
        parts += _line(name, curve, colour, label, places, 3.0 if name == bold else 1.5)
    return "\n".join([*parts, "</svg>\n"])


class Places:
    """Where values stand on the page."""

    def __init__(self, low: float, high: float, most: int) -> None:
        self.low, self.high, self.most = low, high, most

    def x(self, evaluations: float) -> float:
        """From the left."""
        return LEFT + (WIDTH - LEFT - RIGHT) * evaluations / self.most

    def y(self, regret: float) -> float:
        """From the top."""
        share = (math.log10(max(regret, 10**self.low)) - self.low) / (self.high - self.low)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share


def _colours(count: int) -> Sequence[str]:
    return [COLOURS[place % len(COLOURS)] for place in range(count)]


def _frame(title: str) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="22" font-size="14">{escape(title)}</text>',
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">evaluations</text>',
    ]


def _grid(places: Places) -> list[str]:
    parts = []
    for exponent in range(math.floor(places.low), math.ceil(places.high) + 1):
        for digit in (1, 2, 5):
            regret = digit * 10.0**exponent
            if places.low <= math.log10(regret) <= places.high:
                parts += _rule(places.y(regret), f"{regret:g}")
    for evaluations in range(0, places.most + 1, max(20, places.most // 5)):
        x = places.x(evaluations)
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{evaluations}</text>')
    return parts


def _rule(y: float, text: str) -> list[str]:
    return [
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e4e4e4"/>',
        f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>',
    ]


def _labels(curves: Mapping[str, Curve], places: Places) -> Sequence[float]:
    """The height of each name, at its line's end or as far below as keeps names apart."""
    ends = {name: places.y(curve[max(curve)]) for name, curve in curves.items()}
    taken, last = {}, -math.inf
    for name in sorted(ends, key=lambda each: ends[each]):
        last = taken[name] = max(ends[name], last + 14)
    return [taken[name] for name in curves]


def _line(name: str, curve: Curve, colour: str, label: float, places: Places, width: float) -> list[str]:
    points = " ".join(f"{places.x(mark):.1f},{places.y(value):.1f}" for mark, value in sorted(curve.items()))
    x = places.x(max(curve)) + 8
    return [
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width}"/>',
        f'<text x="{x:.1f}" y="{label + 4:.1f}" fill="{colour}">{escape(name)} {curve[max(curve)]:.3f}</text>',
    ]
