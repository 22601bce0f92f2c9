"""Weight sharing: one set of weights, those of the largest network, in which every smaller network is a slice.

A weight of a sub-network is the leading corner of the weight that has its name in the largest one: the first rows, the
first columns, the first blocks. So what one sub-network learns, every other that holds that corner has learned with it
(weight entanglement), and the memory is that of the largest network alone.

M. Chen, H. Peng, J. Fu, H. Ling: AutoFormer: searching transformers for visual recognition. ICCV 2021.
arXiv:2107.00651, section 3.2.
H. Pham, M. Guan, B. Zoph, Q. Le, J. Dean: Efficient neural architecture search via parameter sharing. ICML 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.func import functional_call

from tunewell.errors import SpaceError


class Supernet(nn.Module):  # type: ignore[misc]
    """The weights of `build(largest)`; `supernet(config, *inputs)` is what `build(config)` says with its slice of them.

    Any `build` will do whose modules have weights of the same names, none larger than in the largest network. Its
    random numbers are not used for sub-networks, nor are their buffers shared: a network with batch normalization needs
    its statistics anew after `extract`.
    """

    def __init__(self, build: Callable[[Mapping[str, Any]], nn.Module], largest: Mapping[str, Any]) -> None:
        super().__init__()
        self.build, self.largest = build, largest
        self.whole = build(largest)

    def forward(self, config: Mapping[str, Any], *inputs: Any) -> Any:
        """The outputs of a sub-network; gradients go to the shared weights. Raises SpaceError as `weights` does."""
        shape = self._shape(config)
        return functional_call(shape.train(self.training), self._slices(shape), inputs)

    def weights(self, config: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """The slices that make the sub-network of a config, by name, as views of the shared weights.

        Raises SpaceError where a weight has no place among the shared ones.
        """
        return self._slices(self._shape(config))

    def extract(self, config: Mapping[str, Any]) -> nn.Module:
        """The sub-network as a module of its own, with a copy of its weights. Raises SpaceError as `weights` does."""
        module = self.build(config)
        module.load_state_dict(self._slices(module), strict=False)
        return module.to(next(self.whole.parameters()).device)

    def _shape(self, config: Mapping[str, Any]) -> nn.Module:
        """The module of a config without weights of its own."""
        with torch.device("meta"):
            return self.build(config)

    def _slices(self, module: nn.Module) -> dict[str, torch.Tensor]:
        shared = dict(self.whole.named_parameters())
        return {name: _corner(name, shared.get(name), part.shape) for name, part in module.named_parameters()}


def _corner(name: str, weight: torch.Tensor | None, shape: torch.Size) -> torch.Tensor:
    """The first entries of a weight along each of its axes."""
    if weight is None or len(weight.shape) != len(shape) or any(a > b for a, b in zip(shape, weight.shape)):
        has = "no such weight" if weight is None else f"{tuple(weight.shape)}"
        told = f"a sub-network needs {name} of shape {tuple(shape)}, and the largest network has {has}"
        raise SpaceError(told, hint="make the largest network no smaller than any other in every entry")
    return weight[tuple(slice(size) for size in shape)]
