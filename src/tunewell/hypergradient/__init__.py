"""The gradient of a validation loss by hyperparameters, through the training that they decide on. Usable alone.

    from tunewell.hypergradient import Ridge, differentiate

    found = differentiate(Ridge(x, y, x_held, y_held), {"alpha": 1.0})
    print(found.loss, found.gradient["alpha"], found.bound)

    result.py        Hypergradient, and what says how far to trust it
    layout.py        named values as one vector, and back
    linear.py        conjugate gradients with damping, and Neumann's series
    newton.py        a minimum by Newton's method
    inner.py         Inner: what the implicit way needs to know of a fitted model
    check.py         a gradient beside central differences
    adjoint.py       implicit: at the solution, whatever found it
    models/          the NumPy face: ridge, elastic net, logistic, kernels, scikit-learn, your own
    networks/        the PyTorch face: reverse, truncated, forward, online
    choose.py        differentiate: the way that fits, and why
    objective.py     Objective: a problem for `tunewell.tune`

The names below are imported when first used; those of the PyTorch face need PyTorch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunewell.errors import GradientError
from tunewell.late import late

if TYPE_CHECKING:
    from tunewell.hypergradient.adjoint import implicit
    from tunewell.hypergradient.choose import differentiate
    from tunewell.hypergradient.inner import Inner
    from tunewell.hypergradient.models.elastic import ElasticNet
    from tunewell.hypergradient.models.equations import Equations
    from tunewell.hypergradient.models.estimators import from_estimator
    from tunewell.hypergradient.models.kernel import GaussianProcess, KernelRidge
    from tunewell.hypergradient.models.logistic import LinearMachine, Logistic
    from tunewell.hypergradient.models.machine import KernelMachine
    from tunewell.hypergradient.models.ridge import Ridge
    from tunewell.hypergradient.networks.forward import forward
    from tunewell.hypergradient.networks.online import Online, online
    from tunewell.hypergradient.networks.optimizers import SGD, Adam
    from tunewell.hypergradient.networks.reverse import reverse
    from tunewell.hypergradient.networks.training import Training
    from tunewell.hypergradient.networks.truncated import truncated
    from tunewell.hypergradient.objective import Objective, vector
    from tunewell.hypergradient.result import Hypergradient

_HOMES = {
    "adjoint": "implicit",
    "choose": "differentiate",
    "inner": "Inner",
    "models.elastic": "ElasticNet",
    "models.equations": "Equations",
    "models.estimators": "from_estimator",
    "models.kernel": "GaussianProcess KernelRidge",
    "models.logistic": "LinearMachine Logistic",
    "models.machine": "KernelMachine",
    "models.ridge": "Ridge",
    "networks.forward": "forward",
    "networks.online": "Online online",
    "networks.optimizers": "SGD Adam",
    "networks.reverse": "reverse",
    "networks.training": "Training",
    "networks.truncated": "truncated",
    "objective": "Objective vector",
    "result": "Hypergradient",
}

__all__ = [  # noqa: RUF022  # the plain order, as in tunewell
    "Adam",
    "ElasticNet",
    "Equations",
    "GaussianProcess",
    "GradientError",
    "Hypergradient",
    "Inner",
    "KernelMachine",
    "KernelRidge",
    "LinearMachine",
    "Logistic",
    "Objective",
    "Online",
    "Ridge",
    "SGD",
    "Training",
    "differentiate",
    "forward",
    "from_estimator",
    "implicit",
    "online",
    "reverse",
    "truncated",
    "vector",
]


__getattr__ = late(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
