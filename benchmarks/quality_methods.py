"""Which of our methods the benchmark runs, and what an expression such as 'Bayes(warp="none")' means."""

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Any

import tunewell
import tunewell.methods
from tunewell.method import Method

METHODS: Mapping[str, str] = {
    "Auto": "Auto()",
    "Bayes": "Bayes()",
    "TPE": "TPE()",
    "Zoom": "Zoom()",
    "Sobol": "Sobol()",
}
"""What is compared, as expressions in the names of our methods."""

JUDGED = "Bayes"
"""The method that the targets are about."""

DEFAULT = "Auto"
"""What a study uses that names no method."""

PLAIN = 'Bayes(output="none", incumbent="observed", share=0.0)'
"""A plain Gaussian process: Matérn, short scales, no warp, no other proposers."""


@cache
def names() -> Mapping[str, Any]:
    """Every public name of tunewell and of its methods' modules."""
    found: dict[str, Any] = {name: getattr(tunewell, name) for name in tunewell.__all__}
    for module in pkgutil.walk_packages(tunewell.methods.__path__, "tunewell.methods."):
        try:
            loaded = importlib.import_module(module.name)
        except ImportError:
            continue  # the expression that needs it says so
        found |= {name: kind for name, kind in vars(loaded).items() if _belongs(kind, module.name)}
    return found


def _belongs(kind: Any, module: str) -> bool:
    return inspect.isclass(kind) and kind.__module__ == module and not kind.__name__.startswith("_")


def method_of(expression: str) -> Method:
    """The method that an expression makes. Raises LookupError for a name that is not there."""
    try:
        method: Method = eval(expression, {"__builtins__": {}}, dict(names()))
    except NameError as error:
        raise LookupError(f"{expression}: {error}") from error
    return method
