"""The cell of a convolutional network on images of digits, by ASHA around Bayes, with a limit on parameters.
Shows a Cell as an entry, a known limit, a builder, a rate that falls, finalists with fresh seeds, the winner drawn.
The epochs of 16 full runs on 2 cores, about 90 seconds: python architecture_digits.py [RUNS] [EPOCHS]
"""

import sys
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LinearLR

import tunewell as tw
from tunewell.architecture import CellNetwork, draw_cell
from tunewell.demo import digits

NODES, EPOCHS = 4, 9
OPERATIONS = {
    "none": None,
    "skip": lambda width: nn.Identity(),
    "conv1": lambda width: block(width, 1),
    "conv3": lambda width: block(width, 3),
    "pool": lambda width: nn.AvgPool2d(3, stride=1, padding=1),
}
SPACE = {
    "cell": tw.Cell(NODES, list(OPERATIONS), default={"0-1": "conv3", "1-3": "conv3", "0-3": "skip"}),  # as in ResNet
    "width": tw.Int(4, 24, default=12),
    "lr": tw.Float(1e-3, 1e-1, log=True, default=1e-2),
}
LIMIT = 12_000  # parameters


def block(width, size):
    """A convolution that keeps the shape."""
    return nn.Sequential(nn.Conv2d(width, width, size, padding=size // 2), nn.BatchNorm2d(width), nn.ReLU())


def network(config):
    """Two cells, the second at half the resolution: (batch, 1, 8, 8) to (batch, 10)."""
    width = config["width"]
    graph = SPACE["cell"].graph("cell", config)
    makers = {name: partial(make, width) for name, make in OPERATIONS.items() if make}
    cells = [CellNetwork(graph, NODES, makers) for _ in range(2)]
    stem = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width))
    return nn.Sequential(
        stem, cells[0], nn.MaxPool2d(2), cells[1], nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, 10)
    )


def parameters(config):
    """How many numbers the network learns; nothing is allocated."""
    with torch.device("meta"):
        return sum(p.numel() for p in network(config).parameters())


def is_small(config):
    """The limit: what breaks it is never trained."""
    return parameters(config) <= LIMIT


def training(config, epochs):
    """What a training goes on with. Its rate falls to zero: the last epochs average out what a constant one leaves to
    luck, so that the search compares networks.
    """
    model = network(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config["lr"])
    return {"model": model, "optimizer": optimizer, "decay": LinearLR(optimizer, 1.0, 0.0, epochs)}


def epoch(model, optimizer, decay, x, y, generator):
    """One pass over the rows in random order, in batches of 64."""
    model.train()
    for rows in torch.randperm(len(x), generator=generator).split(64):
        optimizer.zero_grad()
        cross_entropy(model(x[rows]), y[rows]).backward()
        optimizer.step()
    decay.step()


def score(model, x, y):
    """The loss and the accuracy."""
    model.eval()
    with torch.no_grad():
        found = model(x)
    return float(cross_entropy(found, y)), float((found.argmax(1) == y).float().mean())


def images(rows):
    """Rows as tensors: images (n, 1, 8, 8) and labels (n,)."""
    return torch.as_tensor(rows.x).view(-1, 1, 8, 8), torch.as_tensor(rows.y)


def train(run):
    """One network; it goes on from its checkpoint where it is promoted."""
    (x, y), held = images(run.data.train), images(run.data.validation)
    torch.manual_seed(run.seed)
    parts, generator = training(run.config, run.last), torch.Generator()
    if run.checkpoint:
        for name, state in torch.load(run.checkpoint / "state.pt", weights_only=True).items():
            parts[name].load_state_dict(state)
    for number in run.steps():
        epoch(*parts.values(), x, y, generator.manual_seed(1000 * run.seed + number))
        loss, accuracy = score(parts["model"], *held)
        states = {name: part.state_dict() for name, part in parts.items()}
        run.report(number, loss=loss, accuracy=accuracy, save=lambda to, s=states: torch.save(s, to / "state.pt"))


def test_loss(best, sealed):
    """That of the winner's own weights on the sealed images."""
    model = network(best.config)
    model.load_state_dict(torch.load(best.checkpoint / "state.pt", weights_only=True)["model"])
    return score(model, *images(sealed.test))[0]


def search(runs=16, epochs=EPOCHS, method=None, seed=0, test=test_loss, space=SPACE, **settings):
    """A study of so many full runs' worth of epochs."""
    torch.set_num_threads(1)
    limits = tw.Limits(steps=runs * epochs)
    return tw.tune(
        train,
        tw.Space(getattr(space, "entries", space), {"small": is_small}),
        minimize="loss",
        method=method or tw.Confirm(tw.ASHA(tw.Bayes(), minimum=max(epochs // 3, 1)), share=0.3),
        steps=tw.Steps(1, epochs, unit="epochs"),
        limits=limits,
        seed=seed,
        data=digits(),
        test=test,
        **settings,
    )


def main(runs=16, epochs=EPOCHS):
    study = search(runs, epochs, executor=tw.Processes(2, reuse=True), store="architecture.db")
    best = study.best
    print(best)
    print(f"loss on the sealed images, read once: {study.readings[0].score:.4f}")
    graph = SPACE["cell"].graph("cell", best.config)
    Path("cell.svg").write_text(draw_cell(graph, NODES))
    print(f"{parameters(best.config):,} parameters; its cell is drawn in cell.svg")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
