"""The pictures of docs/gradients-mislead.md: short horizons, chaos, and validation that is overfitted, as SVG.

python -m benchmarks.gradient_picture FOLDER
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import tunewell as tw
from benchmarks.gradient_problems import Array, digits, regression, trained
from tunewell.hypergradient import Objective, Ridge, vector

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 40, 48
COLOURS = ("#0b62a4", "#d1495b", "#2e8b57", "#b8860b")


class Chart:
    """Lines over a common axis; `log` names the axes that are logarithms."""

    def __init__(self, title: str, x: str, y: str, lines: Mapping[str, tuple[Array, Array]], log: str = "") -> None:
        self.title, self.x, self.y, self.lines, self.log = title, x, y, lines, log
        points = [self._scaled(*pair) for pair in lines.values()]
        self.low, self.high = (getattr(np, end)([getattr(p, end)(1) for p in points], axis=0) for end in ("min", "max"))
        self.high[1] += 0.05 * (self.high[1] - self.low[1])

    def _scaled(self, x: Array, y: Array) -> Array:
        return np.array([np.log10(part) if name in self.log else part for name, part in (("x", x), ("y", y))])

    def at(self, x: Array, y: Array) -> str:
        """Points as SVG writes them."""
        share = (self._scaled(x, y).T - self.low) / (self.high - self.low)
        place = np.array([LEFT, HEIGHT - BOTTOM]) + share * [WIDTH - LEFT - RIGHT, TOP + BOTTOM - HEIGHT]
        return " ".join(f"{a:.1f},{b:.1f}" for a, b in place)

    def __str__(self) -> str:
        return "\n".join([*self._frame(), *self._curves(), "</svg>\n"])

    def _frame(self) -> Iterator[str]:
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        yield head + 'font-size="12">'
        yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
        yield f'<text x="{LEFT}" y="24" font-size="14">{self.title}</text>'
        box = f'x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}"'
        yield f'<rect {box} fill="none" stroke="#999"/>'
        middle = (LEFT + WIDTH - RIGHT) / 2
        yield f'<text x="{middle}" y="{HEIGHT - 12}" text-anchor="middle">{self.x}</text>'
        ends = [[10**v if name in self.log else v for v in pair] for name, pair in zip("xy", zip(self.low, self.high))]
        for value, anchor, place in zip(ends[0], ("start", "end"), (LEFT, WIDTH - RIGHT)):
            yield f'<text x="{place}" y="{HEIGHT - BOTTOM + 16}" text-anchor="{anchor}">{value:.3g}</text>'
        for value, place in zip(ends[1], (HEIGHT - BOTTOM, TOP + 10)):
            yield f'<text x="{LEFT - 6}" y="{place}" text-anchor="end">{value:.3g}</text>'
        turn = f"rotate(-90 18 {HEIGHT / 2})"
        yield f'<text x="18" y="{HEIGHT / 2}" text-anchor="middle" transform="{turn}">{self.y}</text>'

    def _curves(self) -> Iterator[str]:
        for place, (name, pair) in enumerate(self.lines.items()):
            colour, y = COLOURS[place], TOP + 20 + 18 * place
            yield f'<polyline points="{self.at(*pair)}" fill="none" stroke="{colour}" stroke-width="2"/>'
            if len(self.lines) == 1:
                return
            yield f'<line x1="{WIDTH - 270}" x2="{WIDTH - 246}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="3"/>'
            yield f'<text x="{WIDTH - 240}" y="{y + 4}">{name}</text>'


def short_horizon(steps: int = 400) -> Chart:
    """The noisy quadratic of Wu and others, exactly: a rate that is best for the next step, and one that waits."""
    curvature = np.geomspace(1e-3, 1, 50)

    def after(moments: Array, rate: float) -> Array:
        return (1 - rate * curvature) ** 2 * moments + (rate * curvature) ** 2

    def loss(moments: Array) -> float:
        return 0.5 * float(curvature @ moments)

    def path(rates: Any) -> Array:
        moments, found = np.full(50, 10.0), []
        for step in range(steps):
            moments = after(moments, rates(step, moments))
            found.append(loss(moments))
        return np.array(found)

    grid = np.geomspace(1e-3, 1.9, 200)

    def greedy(step: int, moments: Array) -> float:
        return float(grid[np.argmin([loss(after(moments, rate)) for rate in grid])])

    def waiting(top: float) -> Any:
        return lambda step, moments: top * (1 - step / steps)

    best = min(grid, key=lambda top: path(waiting(float(top)))[-1])
    time = np.arange(1.0, steps + 1)
    lines = {"the best rate for each next step": (time, path(greedy)),
             "the best that falls linearly to 0": (time, path(waiting(float(best))))}  # fmt: skip
    return Chart("Short horizon: a noisy quadratic, exactly", "step", "expected loss", lines, log="xy")


def chaos() -> Chart:
    """The validation loss after 100 steps of a network on digits, over the learning rate."""
    from tunewell.hypergradient import SGD

    train, held, _ = digits(300, 300, 0)
    one = trained([64, 32, 32, 10], train, held, optimizer=SGD("lr", 0.9), steps=100, batch=50)
    rates = np.linspace(0.02, 2.5, 400)
    losses = [one.val_loss(one.trained({"lr": float(r), "decay": np.zeros(3)})[0]).item() for r in rates]
    lines = {"validation loss": (rates, np.array(losses))}
    title = "Chaos: where steps are long, neighbouring rates end in different places"
    return Chart(title, "learning rate", "validation loss after 100 steps", lines, log="y")


def overfitting() -> Chart:
    """Validation and test loss along a descent on 20 penalties."""
    train, held, test = regression()
    model, judge = Ridge(*train, *held), Ridge(*train, *test)
    objective = Objective(model, vectors={"alpha": 20}, check=False)
    study = tw.tune(objective, vector("alpha", 20, tw.Float(1e-4, 1e4, log=True)), minimize="loss", trials=60,
                    method=tw.HyperGradient(starts=1, most=60), progress=False)  # fmt: skip
    best, pairs = np.inf, []
    for job in study.jobs.values():
        weights = model.solve(objective.values(job.config))
        if study.loss(job.id) < best:
            best = study.loss(job.id)
            pair = best, judge.loss(weights, {})[0]
        pairs.append(pair)
    time, columns = np.arange(1.0, len(pairs) + 1), np.array(pairs).T
    lines = {"validation loss, 40 rows": (time, columns[0]), "test loss, 1000 rows": (time, columns[1])}
    return Chart("Overfitting: 20 penalties fitted to 40 validation rows", "solve", "mean squared error", lines)


def main(folder: str) -> None:
    """Write the three pictures."""
    for chart in (short_horizon, chaos, overfitting):
        name = chart.__name__.replace("_", "-")
        Path(folder, f"gradient-{name}.svg").write_text(str(chart()))


if __name__ == "__main__":
    main(*sys.argv[1:])
