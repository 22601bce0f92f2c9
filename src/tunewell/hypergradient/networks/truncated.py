"""Truncated reverse mode: back through the last steps only, as if the weights before them were given.

A. Shaban, C.-A. Cheng, N. Hatch, B. Boots: Truncated back-propagation for bilevel optimization. AISTATS 2019.
Y. Wu, M. Ren, R. Liao, R. Grosse: Understanding short-horizon bias in stochastic meta-optimization. ICLR 2018.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunewell.errors import GradientError
from tunewell.hypergradient.networks.reverse import swept
from tunewell.hypergradient.networks.training import Training
from tunewell.hypergradient.result import Hypergradient


def truncated(
    training: Training,
    values: Mapping[str, Any],
    *,
    last: int,
    every: int | None = None,
    trust: float | None = 0.1,
    check: bool = False,
) -> Hypergradient:
    """As `reverse`, through the `last` steps only: what the values did before is left out, and `biased` says so.

    For penalties near a minimum the rest falls as (1 - lr curvature)^last; for learning rates it is the short-horizon
    bias, towards rates that are too low. Raises GradientError where there are not so many steps.
    """
    if not 1 <= last <= training.steps:
        raise GradientError(f"the last {last} of {training.steps} steps", hint=f"From 1 to {training.steps}.")
    told = f"only the last {last} of {training.steps} steps count" if last < training.steps else ""
    first = training.steps - last
    return swept(training, values, first=first, every=every, way="truncated", biased=told, trust=trust, check=check)
