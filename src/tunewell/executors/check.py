"""What can be refused about an objective before anything runs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from tunewell.errors import ObjectiveError
from tunewell.protocols import Objective


def check(objective: Objective) -> None:
    """Raise ObjectiveError unless the objective is a command, or a function that can be called with one `run`."""
    if objective.function is None and objective.command:
        return
    function = objective.function
    if function is None or not callable(function):
        raise ObjectiveError(
            f"{function!r} is no training function", hint="Give a function of one `run`, or a command."
        )
    _check_arguments(function)
    if objective.setup is not None and not callable(objective.setup):
        raise ObjectiveError(f"setup={objective.setup!r} cannot be called", hint="Give a function without arguments.")


def _check_arguments(function: Callable[..., Any]) -> None:
    name = getattr(function, "__name__", type(function).__name__)
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # a builtin that does not tell
    try:
        signature.bind(None)
    except TypeError as error:
        raise ObjectiveError(
            f"{name}{signature} cannot be called with one argument: {error}",
            hint=f"It gets one argument, the run: def {name.strip('<>')}(run).",
        ) from None
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise ObjectiveError(f"{name} is no plain function", hint="Write it without async and yield.")


def pickled(objective: Objective) -> bytes:
    """The function and the setup of an objective for a worker process. Raises ObjectiveError that names what
    hinders.
    """
    import cloudpickle

    content = (objective.function, objective.setup)
    try:
        data: bytes = cloudpickle.dumps(content)
    except Exception as error:
        raise ObjectiveError(
            f"the training function cannot be sent to a worker process: {error}{_culprit(content)}",
            hint="Make it inside the function, or load it by setup=, once in each worker.",
        ) from error
    return data


def _culprit(functions: tuple[Callable[..., Any] | None, ...]) -> str:
    """The names of captured variables that cannot be pickled, as the end of a sentence."""
    bad = [name for function in functions for name, value in _captured(function) if not _can_pickle(value)]
    return f" (in the variable {', '.join(dict.fromkeys(bad))})" if bad else ""


def _captured(function: Any) -> Iterator[tuple[str, Any]]:
    if not inspect.isfunction(function):
        yield from getattr(function, "__dict__", {}).items()
        return
    found = inspect.getclosurevars(function)
    yield from {**found.nonlocals, **found.globals}.items()


def _can_pickle(value: Any) -> bool:
    import cloudpickle

    try:
        cloudpickle.dumps(value)
    except Exception:
        return False
    return True
