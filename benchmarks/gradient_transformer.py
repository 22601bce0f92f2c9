"""A small transformer on the source text of Python's standard library, for `benchmarks/gradient.py`: 2 layers of width
32, 32 bytes of context, a fixed number of steps; a penalty for the embeddings, each block and the head.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from tunewell.hypergradient import SGD, Training

WIDTH, CONTEXT, HEADS = 32, 32, 4
LR, MOMENTUM = 0.01, 0.9


class Block(torch.nn.Module):  # type: ignore[misc]
    """Attention and a perceptron, each beside a way around it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.LayerNorm(WIDTH), torch.nn.LayerNorm(WIDTH)
        self.into, self.out = torch.nn.Linear(WIDTH, 3 * WIDTH), torch.nn.Linear(WIDTH, WIDTH)
        self.wide, self.back = torch.nn.Linear(WIDTH, 4 * WIDTH), torch.nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Any) -> Any:
        """Positions (n, CONTEXT, WIDTH) to the same."""
        split = self.into(self.first(x)).split(WIDTH, 2)
        query, key, value = (part.view(*x.shape[:2], HEADS, -1).transpose(1, 2) for part in split)
        weights = query @ key.transpose(2, 3) / (WIDTH // HEADS) ** 0.5
        ahead = torch.ones(CONTEXT, CONTEXT).triu(1).bool()
        seen = weights.masked_fill(ahead, -1e9).softmax(3) @ value
        x = x + self.out(seen.transpose(1, 2).reshape(x.shape))
        return x + self.back(torch.nn.functional.gelu(self.wide(self.second(x))))


class Transformer(torch.nn.Module):  # type: ignore[misc]
    """Bytes below 128 to the logits of the next."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes, self.head = torch.nn.Embedding(128, WIDTH), torch.nn.Linear(WIDTH, 128)
        self.places = torch.nn.Parameter(0.02 * torch.randn(CONTEXT, WIDTH))
        self.blocks = torch.nn.Sequential(Block(), Block())

    def forward(self, text: Any) -> Any:
        """Bytes (n, CONTEXT) to logits (n, CONTEXT, 128)."""
        return self.head(self.blocks(self.bytes(text) + self.places))


def windows(count: int, low: int, high: int, seed: int) -> Any:
    """Windows (count, CONTEXT + 1) of bytes low to high of a module's text."""
    text = torch.tensor(list(Path(argparse.__file__).read_bytes())).clamp(max=127)
    draw = torch.Generator().manual_seed(seed)
    starts = torch.randint(low, high - CONTEXT - 1, (count,), generator=draw)
    return text[starts[:, None] + torch.arange(CONTEXT + 1)]


def group(name: str) -> int:
    """Which of the four penalties a parameter has."""
    return {"bytes": 0, "places": 0, "head": 3}.get(name.partition(".")[0], 1 + name.startswith("blocks.1"))


def training(steps: int) -> Training:
    """The training, in double precision."""
    torch.manual_seed(0)
    module = Transformer().double()

    def outputs(params: Any, batch: Any) -> Any:
        return functional_call(module, params, batch[:, :-1])

    def output_loss(found: Any, batch: Any) -> Any:
        return cross_entropy(found.reshape(-1, 128), batch[:, 1:].reshape(-1))

    def penalty(params: Any, hparams: Any) -> Any:
        return sum(hparams["decay"][group(name)] * part.square().sum() for name, part in params.items())

    def train_loss(params: Any, hparams: Any, batch: Any) -> Any:
        return output_loss(outputs(params, batch), batch) + penalty(params, hparams)

    def val_loss(params: Any, batch: Any) -> Any:
        return output_loss(outputs(params, batch), batch)

    rows = windows(96, 0, 40_000, 1), windows(48, 50_000, 90_000, 2)
    parts = (outputs, output_loss, penalty)
    optimizer = SGD(LR, MOMENTUM)
    return Training(module, train_loss, val_loss, *rows, optimizer=optimizer, steps=steps, batch=24, gauss_newton=parts)
