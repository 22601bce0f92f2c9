"""Named values as one vector and back, for arrays and for tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tunewell.errors import GradientError


class Layout:
    """Where in one vector (m,) each of several named values stands.

    A float, or an array or tensor of floats, has a derivative; what else there is (an int, a bool, a str, None) is
    `held`: it goes to the training as it is. Raises GradientError where no float is left.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.held = {name: value for name, value in values.items() if not is_smooth(value)}
        self.shapes = {name: tuple(np.shape(value)) for name, value in values.items() if name not in self.held}
        self.sizes = {name: int(np.prod(shape)) for name, shape in self.shapes.items()}
        self.size = sum(self.sizes.values())
        if not self.size:
            named = ", ".join(f"{name}={value!r}" for name, value in self.held.items()) or "nothing was given"
            raise GradientError(
                f"no value has a derivative: {named}",
                hint="Write floats (2.0, not 2), or leave these values to a method such as Random() or Bayes().",
            )

    def named(self, vector: Any) -> dict[str, Any]:
        """The values of a vector (m,) by name, and the held ones."""
        found, place = dict(self.held), 0
        for name, shape in self.shapes.items():
            part = vector[place : place + self.sizes[name]]
            found[name] = part.reshape(shape)
            place += self.sizes[name]
        return found

    def flat(self, values: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The values as one vector (m,)."""
        return np.concatenate([np.ravel(np.asarray(values[name], dtype=float)) for name in self.shapes])

    def plain(self, vector: Any) -> dict[str, Any]:
        """The values of a vector (m,) by name: floats and arrays, without the held ones."""
        named = self.named(np.asarray(vector, dtype=float))
        return {name: named[name] if shape else float(named[name]) for name, shape in self.shapes.items()}

    def whole(self, vector: Any) -> dict[str, Any]:
        """The values of a vector (m,) by name: floats and arrays, with the held ones."""
        return {**self.held, **self.plain(vector)}


def is_smooth(value: Any) -> bool:
    """Whether a value is a float, or holds floats."""
    if hasattr(value, "is_floating_point"):
        return bool(value.is_floating_point())
    if isinstance(value, bool | int | str) or value is None:
        return False
    return bool(np.issubdtype(np.asarray(value).dtype, np.floating))
