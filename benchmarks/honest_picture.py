"""The pictures of the guide "Is it really better?": the lucky best of many, and verdicts under peeking, as SVG.

python -m benchmarks.honest_picture FOLDER
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.stats import ttest_rel

import tunewell as tw
from benchmarks.gradient_picture import COLOURS, Chart
from benchmarks.gradient_problems import Array
from tunewell.honest.shrinkage import Belief, Measured

NOISE = 0.5
"""Of one result, in spreads of the true losses."""

LOOKS = range(2, 21)
"""After so many seeds somebody looks."""


class Banded(Chart):
    """A chart with dashed lines around its last one, in the same colour."""

    ends: tuple[Array, Array, Array]

    def within(self, at: Array, low: Array, high: Array) -> "Banded":
        """With the ends of an interval, and room for them."""
        self.ends = (at, low, high)
        self.low[1], self.high[1] = min(self.low[1], low.min()), max(self.high[1], high.max())
        return self

    def _curves(self) -> Iterator[str]:
        at, *ends = self.ends
        dashes = f'stroke="{COLOURS[len(self.lines) - 1]}" stroke-dasharray="5 4"'
        for end in ends:
            yield f'<polyline points="{self.at(at, end)}" fill="none" {dashes}/>'
        yield from super()._curves()


def luck(searches: int = 120) -> Chart:
    """The luckiest number, the true loss of its config, and the estimate, over the trials of a random search."""
    trials = np.unique(np.geomspace(8, 200, 12).astype(int))
    found = np.mean([searched(seed, trials) for seed in range(searches)], axis=0).T
    raw, true, estimate, low, high = found
    lines = {"the lowest number measured": (trials, raw), "the true loss of its config": (trials, true),
             "what is reported, 90 % interval (dashed)": (trials, estimate)}  # fmt: skip
    title = f"The lucky best: random search, noise of {NOISE} spreads, mean of {searches} searches"
    return Banded(title, "trials", "loss, in spreads of the true losses", lines, log="x").within(trials, low, high)


def searched(seed: int, trials: Array) -> list[tuple[float, ...]]:
    """After so many trials of one search: lowest number, its truth, and estimate and interval of the best."""
    rng = np.random.default_rng([seed, 31])
    truth = rng.normal(size=trials[-1])
    losses = truth + NOISE * rng.normal(size=trials[-1])
    return [told(losses[:count], truth) for count in trials]


def told(losses: Array, truth: Array) -> tuple[float, ...]:
    """What stands in the log, and what `study.best` makes of it where results carry their standard error."""
    belief = Belief(Measured(list(losses[:, None]), np.full(len(losses), NOISE)))
    means, lucky = belief.moments()[0], int(losses.argmin())
    best = int(means.argmin())
    return float(losses[lucky]), float(truth[lucky]), float(means[best]), *belief.interval(best)


def peeking(pairs: int = 1000) -> Chart:
    """How many pairs of equal configs are called different by anybody who looks after each seed."""
    rng = np.random.default_rng(32)
    shared = np.sqrt(0.9) * rng.normal(size=(pairs, LOOKS[-1]))
    one, other = (shared + np.sqrt(0.1) * rng.normal(size=shared.shape) for _ in range(2))
    tested = np.array([ttest_rel(one[:, :n], other[:, :n], axis=1).pvalue <= 0.05 for n in LOOKS])
    compared = np.array([[is_decided(a[:n], b[:n]) for a, b in zip(one, other, strict=True)] for n in LOOKS])
    seeds = np.array(LOOKS, dtype=float)
    lines = {"a t-test after each seed": (seeds, 100 * np.maximum.accumulate(tested).mean(1)),
             "tunewell.compare after each seed": (seeds, 100 * compared.mean(1)),
             "5 %": (seeds, np.full(len(seeds), 5.0))}  # fmt: skip
    chart = Chart(f"Peeking: of {pairs} pairs of equal configs, called different so far", "seeds", "%", lines)
    chart.high[1] = 36.0  # room for the legend
    return chart


def is_decided(one: Array, other: Array) -> bool:
    """Whether `compare` gives a verdict by now."""
    return tw.compare(one, other).verdict != "undecided"


def main(folder: str) -> None:
    """Write both pictures."""
    for chart in (luck, peeking):
        Path(folder, f"honest-{chart.__name__}.svg").write_text(str(chart()))


if __name__ == "__main__":
    main(sys.argv[1])
