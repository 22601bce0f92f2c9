"""A hypergradient, and what says how far it can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from tunewell.errors import GradientError

Array: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

_TINY = 1e-9
"""A relative change of the loss that nobody can see."""


@dataclass(frozen=True)
class Hypergradient:
    """The gradient of a validation loss by hyperparameters, through the training that they decide on.

    `gradient`: by name, of the shape of the value: floats, or arrays. `way` is how it was taken, and `why` the reason
    for that; `biased` what is known to be wrong with it on principle, empty where nothing is. `held` names the values
    that have no derivative.

    What says how far to trust it: `stationarity`, the norm of the gradient of the training loss by the weights, after
    training; `residual`, the relative residual of the linear system that was solved; `bound`, an estimate of the
    Euclidean norm of the error, from these two and the least curvature met; `checked`, the relative difference from
    central differences along one direction. NaN where a way has no such number. `doubts` are sentences, and empty where
    nothing speaks against it. `weights` is what training arrived at, to start from for a value near by.
    """

    loss: float
    gradient: Mapping[str, Any]
    way: str
    why: str = ""
    biased: str = ""
    held: tuple[str, ...] = ()
    stationarity: float = float("nan")
    residual: float = float("nan")
    bound: float = float("nan")
    checked: float = float("nan")
    products: int = 0
    doubts: tuple[str, ...] = ()
    weights: Any = field(default=None, repr=False, compare=False)

    @property
    def norm(self) -> float:
        """The Euclidean norm of the gradient over all entries."""
        return float(np.sqrt(sum(float(np.sum(np.square(part))) for part in self.gradient.values())))

    @property
    def trusted(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.doubts

    def flat(self) -> dict[str, float]:
        """One number for each name, as a Result carries it: entry i of the vector "alpha" is "alpha_i"."""
        found: dict[str, float] = {}
        for name, part in self.gradient.items():
            numbers = np.ravel(part).tolist()
            found.update({name: numbers[0]} if np.ndim(part) == 0 else dict(zip(numbered(name, len(numbers)), numbers)))
        return found

    def doubted(self, *sentences: str) -> Hypergradient:
        """The same with more that speaks against it."""
        return replace(self, doubts=(*self.doubts, *sentences))

    def or_refused(self) -> Hypergradient:
        """Itself. Raises GradientError, with all that speaks against it, where something does."""
        if self.doubts:
            raise GradientError(
                f"no gradient to be trusted by the {self.way} way: {'; '.join(self.doubts)}",
                hint="trust=None gives it all the same, with the doubts beside it.",
            )
        return self


def numbered(name: str, count: int) -> list[str]:
    """The names of the entries of a vector: "alpha_0", "alpha_1", ..."""
    return [f"{name}_{place}" for place in range(count)]


def judged(found: Hypergradient, trust: float | None, size: float) -> Hypergradient:
    """What was found, with a doubt where it is not finite, or where the error may be more than a share `trust`.

    `size` is the norm of the hyperparameters: an error that changes the loss by nothing is none. Raises GradientError
    for what is doubted, unless `trust` is None.
    """
    wrong = [name for name, part in found.gradient.items() if not np.all(np.isfinite(part))]
    if wrong:
        where = "" if np.isfinite(found.loss) else f", and the validation loss is {found.loss}"
        found = found.doubted(
            f"the gradient by {', '.join(wrong)} is not finite{where}: look for a division by zero, a root or a "
            "logarithm at 0, or steps too long to stay finite"
        )
    elif _is_off(found, 0.1 if trust is None else trust, size):
        found = found.doubted(
            f"the error may be {found.bound:.2g}, the gradient has norm {found.norm:.2g}, the training gradient "
            f"{found.stationarity:.2g}: train closer to a minimum, or allow more products"
        )
    return found if trust is None else found.or_refused()


def _is_off(found: Hypergradient, trust: float, size: float) -> bool:
    """Whether the bound is a larger share of the gradient than `trust`, and would be seen in the loss."""
    if np.isnan(found.bound):
        return False
    unseen = _TINY * max(abs(found.loss), _TINY) / max(size, _TINY)
    return bool(found.bound > max(trust * found.norm, unseen))
