"""What keeps a loss from having a gradient that means anything, each with a sentence that says what to change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from tunewell.errors import GradientError

_JUMPS = ("Round", "Floor", "Ceil", "Trunc", "Sign", "Heaviside")
"""The functions of PyTorch that have a derivative of 0, by the beginning of the names of their nodes."""


def look_at_module(module: torch.nn.Module) -> None:
    """Raise GradientError for layers that draw at random, or keep what no gradient passes through."""
    for name, layer in module.named_modules():
        kind = type(layer).__name__
        if layer.training and isinstance(layer, torch.nn.modules.dropout._DropoutNd) and layer.p > 0:
            raise GradientError(
                f"layer {name!r} ({kind}) draws a new mask at each call, so that the loss has no gradient to check",
                hint="Set p=0, or call module.eval(); a penalty on the weights can be tuned in its place.",
            )
        if layer.training and getattr(layer, "track_running_stats", False):
            raise GradientError(
                f"layer {name!r} ({kind}) keeps running averages in buffers, which no gradient passes through",
                hint="Give it track_running_stats=False, take GroupNorm or LayerNorm, or call module.eval().",
            )


def tried(function: Callable[..., Any], what: str, *arguments: Any) -> torch.Tensor:
    """What a loss answers, a tensor of one number. Raises GradientError, with what to change, for anything else."""
    batch = list(tensors(arguments[-1]))
    versions = [tensor._version for tensor in batch]
    try:
        found = function(*arguments)
    except RuntimeError as error:
        raise _told(error, what) from error
    if versions != [tensor._version for tensor in batch]:
        raise GradientError(
            f"{what} changes its batch in place, so that each call sees other data",
            hint="Write x = x * 2 in place of x *= 2 or x.mul_(2).",
        )
    if not isinstance(found, torch.Tensor):
        raise GradientError(
            f"{what} returned a {type(found).__name__}, which no gradient passes through",
            hint="Return the tensor itself: without .item(), float() or .numpy().",
        )
    if found.numel() != 1 or not found.is_floating_point():
        told = f"{what} returned a tensor of shape {tuple(found.shape)} and {found.dtype}"
        raise GradientError(told, hint="Return one floating-point number: loss.mean().")
    return found.reshape(())


def _told(error: RuntimeError, what: str) -> GradientError:
    """An error of PyTorch in our words, where it is one of those that people meet here."""
    text = str(error)
    if "in-place" in text or "inplace" in text:
        return GradientError(
            f"{what} changes a tensor in place that its gradient needs: {text.splitlines()[0]}",
            hint="Write x = x * 2 in place of x *= 2 or x.mul_(2), and ReLU() in place of ReLU(inplace=True).",
        )
    if "does not require grad" in text:
        return _detached(what)
    return GradientError(f"{what} failed: {text.splitlines()[0]}", hint="The loss has to work on tensors it is given.")


def _detached(what: str) -> GradientError:
    return GradientError(
        f"{what} does not depend on the parameters it is given: it is detached from them",
        hint="Compute it from `params`: torch.func.functional_call(module, params, x), without .detach(), .data, "
        "torch.no_grad() or the module's own parameters.",
    )


def slopes(loss: torch.Tensor, inputs: list[torch.Tensor], what: str) -> list[torch.Tensor | None]:
    """The gradients of a loss by the weights, first of `inputs`, and the others; None where it depends on none.

    Raises GradientError where it is detached from the weights.
    """
    if not loss.requires_grad:
        raise _detached(what)
    try:
        found = list(torch.autograd.grad(loss, inputs, allow_unused=True, create_graph=True))
    except RuntimeError as error:
        raise _told(error, what) from error
    if found[0] is None or (not bool(found[0].any()) and bool(torch.isfinite(loss))):
        raise _detached(what)
    return found


def look_for_nan(loss: torch.Tensor, slopes: Mapping[str, torch.Tensor], what: str) -> None:
    """Raise GradientError where a loss, or its gradient by a parameter, is not finite before the first step."""
    if not bool(torch.isfinite(loss)):
        told = f"{what} answers {loss.item()} before the first step"
        raise GradientError(told, hint="Look at the data and the values for what is not finite, or out of range.")
    broken = [name for name, part in slopes.items() if not bool(torch.isfinite(part).all())]
    if broken:
        raise GradientError(
            f"the gradient of {what} by {broken[0]} is not finite, though the loss is {loss.item():.6g}",
            hint="A root, a norm or a logarithm at 0 has none: add a small number under it; torch.where() does not "
            "help, for it multiplies the NaN by 0.",
        )


def has_jumps(loss: torch.Tensor) -> bool:
    """Whether a loss passes through a function that is flat but for its jumps: what goes in has derivative 0."""
    seen, ahead = set(), [loss.grad_fn]
    while ahead:
        node = ahead.pop()
        if node is None or node in seen:
            continue
        if node.name().startswith(_JUMPS):
            return True
        seen.add(node)
        ahead += [before for before, _ in node.next_functions]
    return False


def look_for_chance(function: Callable[..., Any], what: str, first: torch.Tensor, *arguments: Any) -> None:
    """Raise GradientError where a loss answers something else the second time."""
    again = function(*arguments).reshape(())
    if bool(torch.isfinite(first)) and not torch.allclose(first, again, rtol=1e-6, atol=0.0):
        raise GradientError(
            f"{what} answers {first.item():.6g}, then {again.item():.6g} for the same arguments: it depends on chance",
            hint="Draw the noise or the augmentation once, and hand it over with the batch.",
        )


def tensors(value: Any) -> Iterator[torch.Tensor]:
    """The tensors in a batch: it may be one, or a tuple, a list or a mapping of them."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, tuple | list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from tensors(part)
