"""Seeds and folds are not equally hard: what is common to all configs on one of them is taken out of its scores.

Two-way analysis of variance without interaction: H. Scheffe, The analysis of variance, Wiley 1959, chapter 4.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

Scores = Sequence[Sequence[tuple[int, float]]]
"""For each config its scores, as pairs (replicate, loss)."""


def paired(scores: Scores) -> tuple[list[list[float]], float]:
    """The losses of each config less the effects of their replicates, and the degrees of freedom that these took.

    The model is loss = config + replicate + noise. The effects sum to 0, and are shrunk by the share of their own
    variance that noise explains, so that nothing is changed where replicates are equally hard; so it is, too, where too
    few configs were measured on the same replicates to tell.
    """
    losses = [[loss for _, loss in row] for row in scores]
    effects, freedom = _effects(scores)
    return [[loss - effects.get(at, 0.0) for at, loss in row] for row in scores] if effects else losses, freedom


def _effects(scores: Scores) -> tuple[dict[int, float], float]:
    """The effect of each replicate, shrunk; none where nothing can be told."""
    repeated = [row for row in scores if len({at for at, _ in row}) > 1]
    names = sorted({at for row in repeated for at, _ in row})
    taken, freedom = len(names) - 1, sum(len(row) - 1 for row in repeated)
    if not repeated or freedom <= taken:
        return {}, 0.0
    counts = np.array([[sum(at == name for at, _ in row) for name in names] for row in repeated], dtype=float)
    sums = np.array([[sum(loss for at, loss in row if at == name) for name in names] for row in repeated])
    rest = [np.array([loss for _, loss in row]) - np.mean([loss for _, loss in row]) for row in repeated]
    effects = _least_squares(counts, sums)
    unexplained = float(sum((row**2).sum() for row in rest))
    explained = float(effects @ (sums - counts * (sums.sum(1) / counts.sum(1))[:, None]).sum(0))
    noise = (unexplained - explained) / (freedom - taken)
    share = 1.0 - noise * taken / explained if explained > 0 else 0.0  # 1 - 1 / F
    if share <= 0:
        return {}, 0.0
    return dict(zip(names, (share * effects).tolist(), strict=True)), share * taken


def _least_squares(counts: Array, sums: Array) -> Array:
    """Effects (r,) of the replicates from `counts` (n, r) and `sums` (n, r) of the scores of n configs.

    The normal equations with the configs' own means eliminated; the solution of least norm sums to 0.
    """
    of_config = counts.sum(1)
    left = np.diag(counts.sum(0)) - counts.T @ (counts / of_config[:, None])
    right = (sums - counts * (sums.sum(1) / of_config)[:, None]).sum(0)
    solution: Array = np.linalg.lstsq(left, right, rcond=1e-10)[0]
    solution -= solution.mean()
    return solution
