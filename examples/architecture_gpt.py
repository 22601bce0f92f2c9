"""The shape of a small GPT: layers, width, heads and units of each layer; its loss against its number of parameters.
Shows WeightSharing: one job trains what all shapes share, 150 are judged by it, four of their front go on alone.
About 80 seconds on 2 cores: python architecture_gpt.py [SHAPES] [ROUNDS]
"""

import sys
import sysconfig
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy

import tunewell as tw
from tunewell.architecture import GPT, Sandwich, Supernet, parameters, slope

SPACE = tw.Space(
    {
        "width": tw.Ordinal([16, 32, 48, 64], default=64),
        "blocks": tw.Blocks({"heads": tw.Ordinal([1, 2, 4]), "units": tw.Ordinal([32, 64, 128, 256])}, 1, 4),
    }
)
LARGEST = {"width": 64, "blocks": [{"heads": 4, "units": 256}] * 4}
SMALLEST = {"width": 16, "blocks": [{"heads": 1, "units": 32}]}
ROUNDS, EVERY = 40, 15  # of the shared weights; how many batches a round has
CONTEXT, BATCH, RATE = 64, 16, 3e-3


def library(length=16384):
    """The beginnings of the larger modules of the standard library: bytes `(files, length)`."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    files = sorted(path for path in folder.rglob("*.py") if "site-packages" not in path.parts)
    return np.stack([np.fromfile(path, np.uint8, length) for path in files if path.stat().st_size >= length])


def windows(files, starts):
    """What the network sees and what comes next, `(n, CONTEXT)` each."""
    text = torch.from_numpy(files).flatten()
    found = text[starts[:, None] + torch.arange(CONTEXT + 1)].long()
    return found[:, :-1], found[:, 1:]


def loss_of(scores, y):
    """Nats a byte."""
    return cross_entropy(scores.flatten(0, 1), y.flatten())


@torch.no_grad()
def held_out(network, files, count=256):
    """The loss on windows spread evenly over files, the same ones for every network."""
    x, y = windows(files, torch.linspace(0, files.size - CONTEXT - 1, count).long())
    return float(loss_of(network(x), y))


def count(config):
    """The parameters of a shape, in thousands; nothing is allocated."""
    with torch.device("meta"):
        return parameters(GPT(config)) / 1000


def one_round(module, optimizer, files, rng, configs):
    """So many batches: of the shapes that a rule draws, or of a network by itself."""
    for _ in range(EVERY):
        x, y = windows(files, torch.from_numpy(rng.integers(files.size - CONTEXT - 1, size=BATCH)))
        optimizer.zero_grad()
        if configs is None:
            loss_of(module(x), y).backward()
        else:
            slope(configs(rng), lambda config, x=x, y=y: loss_of(module(config, x), y))
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()


def train(run):
    """The shared weights; from their checkpoint, one step that judges a shape by them, and then the shape alone."""
    torch.set_num_threads(1)
    torch.manual_seed(run.seed % 2**63)
    config, files, rng = tw.unflatten(run.config), run.data.train.x, np.random.default_rng(run.seed)
    shared = Supernet(GPT, LARGEST)
    if run.checkpoint is None:
        module, rule = shared, Sandwich(lambda rng: tw.unflatten(SPACE.sample(rng)), LARGEST, SMALLEST)
    else:
        shared.load_state_dict(torch.load(run.checkpoint / "weights.pt", weights_only=True))
        module, rule = shared.extract(config), None
    judged = run.start + 1 if rule is None else None
    optimizer = torch.optim.AdamW(module.parameters(), lr=RATE if rule else RATE / 3, weight_decay=0.1)
    for step in run.steps():
        if step != judged:
            one_round(module, optimizer, files, rng, rule)
        loss = held_out((lambda x: shared(config, x)) if rule else module, run.data.validation.x)
        save = None if step == judged else lambda to: torch.save(module.state_dict(), to / "weights.pt")
        run.report(step, loss=loss, parameters=count(config), save=save)


def search(shapes=150, rounds=ROUNDS, **settings):
    """A study: the shared weights, so many shapes, and four of their front alone for a third of the rounds more."""
    files = library()
    alone = max(rounds // 3, 1)
    return tw.tune(
        train,
        SPACE,
        minimize=["loss", "parameters"],
        method=tw.WeightSharing(rounds, tw.NSGA2(population=20), scores=shapes, finalists=4),
        steps=tw.Steps(1, rounds + 1 + alone, unit="rounds"),
        data=tw.Split(files, np.arange(len(files)), validation=0.2),
        seed=0,
        **settings,
    )


def main(shapes=150, rounds=ROUNDS):
    study = search(shapes, rounds, executor=tw.Processes(2, reuse=True), store="architecture_gpt.db")
    for each in study.pareto:
        shape = tw.unflatten(each.config)
        layers = ", ".join(f"{block['heads']} heads {block['units']} units" for block in shape["blocks"])
        loss, size = each.values["loss"], 1000 * each.values["parameters"]
        print(f"trial {each.trial}: {loss:.3f} nats a byte with {size:,.0f} parameters")
        print(f"    width {shape['width']}: {layers}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
