"""How much a point promises, as logarithms that neither underflow nor lose their gradient.

S. Ament, S. Daulton, D. Eriksson, M. Balandat, E. Bakshy: Unexpected improvements to expected improvement for Bayesian
optimization. NeurIPS 2023. arXiv:2310.20708.
"""

from __future__ import annotations

import numpy as np
from scipy.special import erfcx, log_ndtr

from tunewell.surrogates.kernels import Array

_HALF_LOG_2PI = 0.5 * np.log(2.0 * np.pi)
_MIDDLE = -1.0
_FAR = -25.0


def log_h(z: Array) -> Array:
    """log(φ(z) + z Φ(z)), for any z, to about 1e-10 relative. Equation (9) and appendix A.1 of the paper.

    Above -1 as it stands; below, log φ(z) + log(1 - |z| Φ(z)/φ(z)), with the scaled complementary error function, and
    far below with the first terms of the asymptotic series of the Mills ratio, where the difference cancels.
    """
    z = np.asarray(z, dtype=float)
    found = np.empty_like(z)
    near, far = z > _MIDDLE, z < _FAR
    middle = ~near & ~far
    x = z[near]
    found[near] = np.log(np.exp(-0.5 * x * x - _HALF_LOG_2PI) + x * np.exp(log_ndtr(x)))
    x = z[middle]
    mills = np.sqrt(np.pi / 2.0) * erfcx(-x / np.sqrt(2.0))
    found[middle] = -0.5 * x * x - _HALF_LOG_2PI + np.log1p(x * mills)
    x = z[far]
    inverse = 1.0 / (x * x)
    series = 1.0 + inverse * (-3.0 + inverse * (15.0 + inverse * (-105.0 + inverse * 945.0)))
    found[far] = -0.5 * x * x - _HALF_LOG_2PI + np.log(inverse * series)
    return found


def log_expected_improvement(mean: Array, deviation: Array, best: Array | float) -> Array:
    """log E[max(best - f, 0)] for f normal with `mean` and standard `deviation` > 0; minimization. Shapes broadcast."""
    found: Array = log_h((best - mean) / deviation) + np.log(deviation)
    return found


def slopes(z: Array) -> Array:
    """The derivative Φ(z) / (φ(z) + z Φ(z)) of `log_h`."""
    found: Array = np.exp(log_ndtr(z) - log_h(z))
    return found


def log_below(mean: Array, deviation: Array, bound: float) -> Array:
    """log P(f <= bound) for f normal."""
    found: Array = log_ndtr((bound - mean) / deviation)
    return found


def slope_of_log_below(gap: float) -> float:
    """The derivative φ/Φ of log Φ at `gap`."""
    return float(np.exp(-0.5 * gap * gap - _HALF_LOG_2PI - log_ndtr(gap)))
