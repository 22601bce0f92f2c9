"""Networks whose shape is searched, in PyTorch: what they cost, and weights that they share.

    from tunewell.architecture import GPT, Sandwich, Supernet

    largest = {"width": 64, "blocks": [{"heads": 4, "units": 256}] * 4}
    supernet = Supernet(GPT, largest)
    logits = supernet({"width": 32, "blocks": [{"heads": 2, "units": 64}]}, text)

    measure.py       parameters, operations, latency, memory of a module
    gpt.py           GPT: a small transformer of any shape
    supernet.py      Supernet: the weights of the largest network, and all others as slices of them
    sampling.py      Uniform, Sandwich: which sub-networks a step trains

"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tunewell.errors import MissingExtra

if TYPE_CHECKING:
    from tunewell.architecture.gpt import GPT
    from tunewell.architecture.measure import latency, memory, operations, parameters
    from tunewell.architecture.sampling import Sandwich, Uniform, slope
    from tunewell.architecture.supernet import Supernet

_HOMES = {
    "gpt": "GPT",
    "measure": "latency memory operations parameters",
    "sampling": "Sandwich Uniform slope",
    "supernet": "Supernet",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = [  # the plain order, as in tunewell
    "GPT",
    "Sandwich",
    "Supernet",
    "Uniform",
    "latency",
    "memory",
    "operations",
    "parameters",
    "slope",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tunewell.architecture' has no attribute {name!r}")
    try:
        module = importlib.import_module(f"{__name__}.{_HOME[name]}")
    except ImportError as error:
        if error.name != "torch":
            raise
        told = f"tunewell.architecture.{name} needs PyTorch"
        raise MissingExtra(told, hint="pip install 'tunewell[torch]'") from error
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
