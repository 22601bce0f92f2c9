"""How well one order tells another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def rank_correlation(pairs: Sequence[tuple[float, float]]) -> float:
    """Spearman's rank correlation of pairs, ties at their mean rank; 0 where one side is constant."""
    first, second = (_ranks(np.array(side)) for side in zip(*pairs, strict=True))
    spread = float(np.std(first) * np.std(second))
    return float(np.mean((first - first.mean()) * (second - second.mean()))) / spread if spread else 0.0


def _ranks(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]
