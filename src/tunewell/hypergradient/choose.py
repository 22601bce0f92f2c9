"""Which way to differentiate, chosen by what the hyperparameters are and how many; and the reason, in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from tunewell.errors import GradientError
from tunewell.hypergradient.adjoint import implicit
from tunewell.hypergradient.inner import Inner
from tunewell.hypergradient.layout import Layout
from tunewell.hypergradient.result import Hypergradient

if TYPE_CHECKING:
    from tunewell.hypergradient.networks.training import Training

Way = Literal["implicit", "reverse", "forward", "truncated"]

_FEW = 3
"""So many tangents cost no more than going back through every step, which trains once more to do so."""

_STILL = 1e-4
"""A training gradient below this share of that at the start is one at a minimum."""


def differentiate(
    problem: Inner | Training,
    values: Mapping[str, Any],
    *,
    way: Way | None = None,
    check: bool = False,
    trust: float | None = 0.1,
    **settings: Any,
) -> Hypergradient:
    """The gradient of the validation loss by `values`: the implicit one for models, and for a `Training` whatever fits.

    `way` left out: forward where at most three numbers are asked for, else reverse, where the optimizer has settings
    among them or training does not end at a minimum; implicit where it does. `why` of the result says so. The ways that
    are biased are never chosen. `settings` are those of the way: `most`, `damping`, `every`, `last`, ...

    Raises GradientError, with a sentence, where there is no gradient or it is not to be trusted.
    """
    if not hasattr(problem, "optimizer"):
        if way not in (None, "implicit"):
            told = f"no {way} gradient of {type(problem).__name__}, which is solved and not trained"
            raise GradientError(told, hint="The implicit way is the one.")
        found = implicit(problem, values, check=check, trust=trust, **settings)
        return replace(found, why="the model is a solution of its equations")
    training: Any = problem
    if way is not None:
        return replace(_taken(training, values, way, check=check, trust=trust, **settings), why="it was asked for")
    return _chosen(training, values, {"check": check, "trust": trust, **settings})


def _taken(training: Any, values: Mapping[str, Any], way: str, **settings: Any) -> Hypergradient:
    """The gradient of a Training, one way."""
    if way == "implicit":
        idle = training.look(values)
        found = implicit(training, values, **settings)
        return replace(found, held=(*found.held, *idle))
    from tunewell.hypergradient.networks.forward import forward
    from tunewell.hypergradient.networks.reverse import reverse
    from tunewell.hypergradient.networks.truncated import truncated

    ways: dict[str, Any] = {"reverse": reverse, "forward": forward, "truncated": truncated}
    if way not in ways:
        raise GradientError(f"no way is called {way!r}", hint=f"There are: implicit, {', '.join(ways)}.")
    found = ways[way](training, values, **settings)
    assert isinstance(found, Hypergradient)
    return found


def _chosen(training: Any, values: Mapping[str, Any], settings: dict[str, Any]) -> Hypergradient:
    training.look(values)
    layout = Layout(values)
    count = sum(layout.sizes.values())
    steps = [name for name in training.optimizer.names() if name in layout.shapes]
    if steps:
        reason = f"{', '.join(steps)} decide on the steps and not on where they lead"
        return _unrolled(training, values, count, reason, settings)
    weights = training.solve(values)
    share = _norm(training.residual(weights, values)) / max(_norm(training.residual(training.begin, values)), 1e-300)
    if share > _STILL:
        reason = f"training stops with a gradient of {share:.2g} of that at the start, so that it is at no minimum"
        return _unrolled(training, values, count, reason, settings)
    try:
        found = _taken(training, values, "implicit", weights=weights, **settings)
    except GradientError as error:
        return _unrolled(training, values, count, f"the implicit way was refused ({error.message})", settings)
    return replace(found, why=f"training ends at a minimum, with a gradient of {share:.2g} of that at the start")


def _unrolled(
    training: Any, values: Mapping[str, Any], count: int, reason: str, settings: dict[str, Any]
) -> Hypergradient:
    way = "forward" if count <= _FEW else "reverse"
    price = "a tangent for each costs little" if way == "forward" else "going back costs the same for any number"
    numbers = "1 number" if count == 1 else f"{count} numbers"
    return replace(_taken(training, values, way, **settings), why=f"{reason}; of {numbers}, {price}")


def _norm(vector: Any) -> float:
    return float((vector @ vector) ** 0.5)
