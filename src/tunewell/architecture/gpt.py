"""A small transformer of any shape, as a config says it.

A head is as wide in every network, and query, key and value are layers of their own: so each weight of a smaller
network has its place at the leading corner of the weight with the same name in a larger one. See `Supernet`.

A. Radford, J. Wu, R. Child, D. Luan, D. Amodei, I. Sutskever: Language models are unsupervised multitask learners.
2019.
M. Chen, H. Peng, J. Fu, H. Ling: AutoFormer: searching transformers for visual recognition. ICCV 2021.
arXiv:2107.00651 (the heads of one width).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.functional import gelu, scaled_dot_product_attention


class Block(nn.Module):  # type: ignore[misc]
    """Attention to what came before, then two layers at each place; both are added to what comes in."""

    def __init__(self, width: int, heads: int, units: int, head: int) -> None:
        super().__init__()
        self.head, inner = head, heads * head
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value = (nn.Linear(width, inner) for _ in range(3))
        self.found = nn.Linear(inner, width)
        self.up, self.down = nn.Linear(width, units), nn.Linear(units, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, length, width) to the same."""
        normed = self.before(x)
        query, key, value = (self._split(part(normed)) for part in (self.query, self.key, self.value))
        found = scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.found(found.transpose(1, 2).flatten(2))
        return x + self.down(gelu(self.up(self.between(x))))

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        """(n, length, heads x head) to (n, heads, length, head)."""
        return x.unflatten(2, (-1, self.head)).transpose(1, 2)


class GPT(nn.Module):  # type: ignore[misc]
    """Tokens (n, length) in, scores of the next token (n, length, tokens) out.

    `config` is nested: {"width": 48, "blocks": [{"heads": 4, "units": 96}, ...]}, what else it holds is not read.
    `head` is the width of one head, whatever that of the network; `length` is the most that it sees at once.
    """

    def __init__(self, config: Mapping[str, Any], *, tokens: int = 256, length: int = 64, head: int = 16) -> None:
        super().__init__()
        width = config["width"]
        self.tokens, self.places = nn.Embedding(tokens, width), nn.Embedding(length, width)
        blocks = (Block(width, block["heads"], block["units"], head) for block in config["blocks"])
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(width)
        nn.init.normal_(self.tokens.weight, std=0.02)  # it is the last layer, too
        nn.init.normal_(self.places.weight, std=0.02)

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        """(n, length) to (n, length, tokens)."""
        x = self.tokens(text) + self.places.weight[: text.shape[1]]
        return self.norm(self.blocks(x)) @ self.tokens.weight.T
