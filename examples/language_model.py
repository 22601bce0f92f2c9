"""A small GPT on the source of Python's standard library: its learning rate, size, warm-up and batch, by Hyperband.
Shows steps counted in tokens, exact checkpoints, and a learning-rate schedule that leaves rungs comparable.
15 full runs' worth of tokens on 2 cores, about 60 seconds: python language_model.py [RUNS] [TOKENS]
"""

import copy
import os
import sys
import sysconfig
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, gelu, scaled_dot_product_attention

import tunewell as tw

SPACE = {
    "lr": tw.Float(1e-4, 3e-2, log=True, default=3e-3),
    "layers": tw.Int(1, 3, default=2),
    "width": tw.Ordinal([32, 48, 64], default=48),
    "heads": tw.Ordinal([1, 2, 4], default=4),
    "warmup": tw.Int(512, 16384, log=True, default=4096),  # tokens
    "weight_decay": tw.Float(1e-3, 1.0, log=True, default=0.1),
    "batch": tw.Ordinal([4, 8, 16, 32], default=8),  # windows of CONTEXT tokens
}
CONTEXT = 64  # how far the model sees back; a token is a byte
TOKENS = 81 * 2048  # a full run
DECAY = 0.2  # the share of its tokens, before each measurement, in which the learning rate goes down to zero
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def library(length=16384):
    """The beginnings of the larger modules of the standard library: bytes `(files, length)`."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    files = sorted(path for path in folder.rglob("*.py") if "site-packages" not in path.parts)
    return np.stack([np.fromfile(path, np.uint8, length) for path in files if path.stat().st_size >= length])


class Block(nn.Module):
    """Attention to what came before, then two layers at each place; both are added to what comes in."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.norm1, self.norm2 = heads, nn.LayerNorm(width), nn.LayerNorm(width)
        self.look, self.found = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):  # (batch, length, width)
        batch, length, width = x.shape
        parts = self.look(self.norm1(x)).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # (batch, heads, length, width / heads) each
        found = scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.found(found.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    """Bytes `(batch, length)` in, scores of the next byte `(batch, length, 256)` out."""

    def __init__(self, width, layers, heads):
        super().__init__()
        self.bytes, self.places = nn.Embedding(256, width), nn.Embedding(CONTEXT, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        nn.init.normal_(self.bytes.weight, std=0.02)  # it is the last layer, too
        nn.init.normal_(self.places.weight, std=0.02)

    def forward(self, x):
        x = self.bytes(x) + self.places.weight[: x.shape[1]]
        return self.norm(self.blocks(x)) @ self.bytes.weight.T

    def loss(self, text, starts):
        """The mean loss, in nats a byte, of predicting each next byte of the windows of `text` that begin there."""
        windows = text[starts[:, None] + torch.arange(CONTEXT + 1)].long().to(DEVICE)
        return cross_entropy(self(windows[:, :-1]).flatten(0, 1), windows[:, 1:].flatten())

    @torch.no_grad()
    def score(self, files, windows=128):
        """The loss on windows spread evenly over `files`, the same ones for every model."""
        text = torch.from_numpy(files).flatten()
        return self.loss(text, torch.linspace(0, len(text) - CONTEXT - 1, windows).long()).item()


class Trainer:
    """A model, its optimizer and its place in the data: all that it takes to go on exactly."""

    def __init__(self, config, seed, files):
        torch.manual_seed(seed % 2**63)
        self.config, self.text, self.tokens, self.loss = config, torch.from_numpy(files).flatten(), 0, 0.0
        self.model = GPT(config["width"], config["layers"], config["heads"]).to(DEVICE)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), betas=(0.9, 0.95))
        self.order = torch.Generator().manual_seed(seed % 2**63)  # says which windows come next

    def step(self, rate):
        """Train on one batch."""
        starts = torch.randint(len(self.text) - CONTEXT, (self.config["batch"],), generator=self.order)
        loss = self.model.loss(self.text, starts)
        self.optimizer.param_groups[0].update(lr=rate, weight_decay=self.config["weight_decay"])
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.tokens += self.config["batch"] * CONTEXT
        self.loss = 0.9 * self.loss + 0.1 * loss.item() if self.loss else loss.item()

    def rate(self):
        """Up to the rate of the config, and constant from there, whatever `until` will be."""
        return self.config["lr"] * min(1.0, (self.tokens + 1) / self.config["warmup"])

    def decayed(self, until):
        """A copy that has trained on to `until` tokens while the rate went down to zero. This one stays as it is."""
        branch, start, rate = copy.deepcopy(self), self.tokens, self.rate()
        while branch.tokens < until:
            branch.step(rate * (until - branch.tokens) / (until - start))
        return branch

    def save(self, folder, final=None):
        """Write what `load` needs and, for those who use it, the `final` model."""
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        state |= {"order": self.order.get_state(), "tokens": self.tokens, "loss": self.loss}
        torch.save(state, folder / "trunk.pt")
        if final is not None:
            torch.save(final.state_dict(), folder / "model.pt")

    def load(self, folder):
        state = torch.load(folder / "trunk.pt", map_location="cpu", weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.order.set_state(state["order"])
        self.tokens, self.loss = state["tokens"], state["loss"]


def same_sums():
    """Let a GPU add up in the same order each time, so that what goes on from a checkpoint goes on exactly."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)


def train(run):
    """Train a trunk at a constant rate. Where the study decides, the score is that of a branch with a decayed rate."""
    same_sums()
    trunk, held = Trainer(run.config, run.seed, run.data.train.x), run.data.validation.x
    if run.checkpoint:
        trunk.load(run.checkpoint)
    said, every = run.start, max(1, run.last // 40)
    while said < run.last:
        end = (1 - DECAY) * run.until
        point = min(end, (trunk.tokens // every + 1) * every)
        while trunk.tokens < point:
            trunk.step(trunk.rate())
        if trunk.tokens >= end:
            said, final = run.until, trunk.decayed(run.until).model
            run.report(said, loss=final.score(held), training=trunk.loss, save=partial(trunk.save, final=final))
        elif trunk.tokens > said:
            said = trunk.tokens
            run.report(said, training=trunk.loss, save=trunk.save)


def test_loss(best, sealed):
    """The winner's own weights on modules that no trial was shown."""
    model = GPT(*(best.config[name] for name in ("width", "layers", "heads"))).to(DEVICE)
    model.load_state_dict(torch.load(best.checkpoint / "model.pt", map_location=DEVICE, weights_only=True))
    return model.score(sealed.test.x, windows=1024)


def main(runs=15, tokens=TOKENS):
    files = library()
    study = tw.tune(
        train,
        SPACE,
        minimize="loss",
        method=tw.Hyperband(),
        steps=tw.Steps(max(1, tokens // 27), tokens, unit="tokens"),
        limits=tw.Limits(steps=runs * tokens),
        executor=tw.Processes(2, reuse=True),
        store="language_model.db",
        seed=0,
        data=tw.Split(files, np.arange(len(files))),
        test=test_loss,
    )
    print(study.best)
    print(f"loss on the sealed modules, read once: {study.readings[0].score:.4f} nats a byte")
    print(f"its weights: {study.best.checkpoint}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
