"""Weight sharing on a small GPT: one training for all sub-networks, beside trainings alone and beside pruning.

The text is the source of Python's standard library, a byte a token. The supernet is trained by the sandwich rule, four
sub-networks a step; a network alone has `ALONE` steps, and what is pruned or cut out of a larger one `TUNED` more.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache, partial
from typing import Any

import numpy as np

import tunewell as tw
from benchmarks.figures import Row, figure
from benchmarks.nas_digits import folder_of_examples
from tunewell.space import Config

BATCH, CONTEXT, RATE = 16, 64, 3e-3
SHARED, ALONE, TUNED = 2000, 800, 200
"""Steps of the supernet (of four networks each), of a network alone, and of fine-tuning."""
SHARES = (0.3, 0.45, 0.6)
"""The sizes at which fronts are compared, as shares of the parameters of the largest network."""
LARGEST = {"width": 64, "blocks": [{"heads": 4, "units": 256}] * 4}
SMALLEST = {"width": 16, "blocks": [{"heads": 1, "units": 32}]}
SPACE = tw.Space(
    {
        "width": tw.Ordinal([16, 32, 48, 64]),
        "blocks": tw.Blocks({"heads": tw.Ordinal([1, 2, 4]), "units": tw.Ordinal([32, 64, 128, 256])}, 1, 4),
    }
)


@cache
def text() -> tuple[Any, Any]:
    """Bytes (files, length) to train and to validate on; every sixth file validates."""
    import torch

    folder_of_examples()
    files = torch.as_tensor(importlib.import_module("language_model").library()).long()
    held = torch.arange(len(files)) % 6 == 0
    return files[~held], files[held]


def loss_of(say: Callable[[Any], Any], files: Any, rng: np.random.Generator, batch: int = BATCH) -> Any:
    """The mean loss of the next byte over random windows of the files."""
    import torch
    from torch.nn.functional import cross_entropy

    rows = rng.integers(len(files), size=batch)
    starts = rng.integers(files.shape[1] - CONTEXT - 1, size=batch)
    pairs = zip(rows, starts, strict=True)
    windows = torch.stack([files[row, start : start + CONTEXT + 1] for row, start in pairs])
    return cross_entropy(say(windows[:, :-1]).flatten(0, 1), windows[:, 1:].flatten())


def trained(
    module: Any, steps: int, seed: int, losses: Callable[[np.random.Generator], float], rate: float = RATE
) -> Any:
    """The module after so many steps of AdamW, with warm-up and a decay to zero; `losses` adds the gradient of one."""
    import torch

    optimizer, rng = torch.optim.AdamW(module.parameters(), lr=rate, weight_decay=0.1), np.random.default_rng(seed)
    module.train()
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * min((step + 1) / (0.05 * steps), (steps - step) / (0.5 * steps), 1.0)
        optimizer.zero_grad()
        losses(rng)
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
    return module.eval()


def fitted(module: Any, steps: int, seed: int, rate: float = RATE) -> Any:
    """A network trained by itself."""

    def losses(rng: np.random.Generator) -> float:
        loss = loss_of(module, text()[0], rng)
        loss.backward()
        return float(loss.detach())

    return trained(module, steps, seed, losses, rate)


def held_out(say: Callable[[Any], Any], batches: int = 8) -> float:
    """The loss on validation windows that are the same for all."""
    import torch

    rng = np.random.default_rng(0)
    with torch.no_grad():
        return float(np.mean([float(loss_of(say, text()[1], rng, 32)) for _ in range(batches)]))


def supernet(steps: int, seed: int) -> Any:
    """The shared weights, trained by the sandwich rule."""
    import torch

    from tunewell.architecture import GPT, Sandwich, Supernet, slope

    torch.manual_seed(seed)
    shared = Supernet(GPT, LARGEST)
    rule = Sandwich(lambda rng: tw.unflatten(SPACE.sample(rng)), LARGEST, SMALLEST)

    def losses(rng: np.random.Generator) -> float:
        windows = int(rng.integers(2**32))

        def one(config: Any) -> Any:
            return loss_of(lambda x: shared(config, x), text()[0], np.random.default_rng(windows))

        return slope(rule(rng), one)

    return trained(shared, steps, seed, losses)


def size(config: Mapping[str, Any]) -> int:
    """The parameters of a nested config."""
    import torch

    from tunewell.architecture import GPT, parameters

    with torch.device("meta"):
        return parameters(GPT(config))


# --- do shared scores say what trainings alone say? ------------------------------------------------------------------


@figure("small GPT, weight sharing: rank correlation of 30 shared scores to trainings alone", target=">= 0.6")
def ranks(quick: bool) -> Iterator[Row]:
    """Spearman's, and the lower end of its 95 % interval (bootstrap); beside it that of the number of parameters."""
    import torch
    from scipy.stats import spearmanr

    torch.set_num_threads(1)
    count, long, short = (4, 4, 4) if quick else (30, SHARED, ALONE)
    rng, shared = np.random.default_rng(1), supernet(long, 0)
    configs = [tw.unflatten(SPACE.sample(rng)) for _ in range(count)]
    guessed = np.array([held_out(partial(shared, config)) for config in configs])
    alone = np.array([held_out(fitted(_new(config, place), short, place)) for place, config in enumerate(configs)])
    sizes = -np.array([size(config) for config in configs])
    draws = [rng.integers(count, size=count) for _ in range(2000)]
    spread = [spearmanr(guessed[draw], alone[draw])[0] for draw in draws]
    tokens = BATCH * CONTEXT
    told = f"small GPT, {count} sub-networks, {4 * long * tokens:,} shared and {short * tokens:,} tokens alone"
    yield Row(float(spearmanr(guessed, alone)[0]), name=f"{told}: rank correlation")
    yield Row(float(np.nanquantile(spread, 0.025)), name=f"{told}: its lower end, 95 %", target=">= 0.2")
    yield Row(float(spearmanr(sizes, alone)[0]), name=f"{told}: that of the number of parameters", target="")


def _new(config: Any, seed: int) -> Any:
    import torch

    from tunewell.architecture import GPT

    torch.manual_seed(seed)
    return GPT(config)


# --- the front beside pruning ----------------------------------------------------------------------------------------


@figure("small GPT: loss of the front found beside pruning, at equal fine-tuning", target="<= 1 x peer")
def front(quick: bool) -> Iterator[Row]:
    """Networks of NSGA-II on shared scores, cut out and fine-tuned, at three sizes. The peers come from the largest
    network, trained alone with as many passes as the supernet: its heads and units of least magnitude removed, and all
    its parts shrunk alike.
    """
    import torch

    torch.set_num_threads(1)
    long, tuned, queries = (4, 4, 40) if quick else (SHARED, TUNED, 1000)
    shared = supernet(long, 0)
    found = searched(shared, queries)
    dense = fitted(_new(LARGEST, 0), 4 * long, 0)
    for share in SHARES:
        most = share * size(LARGEST)
        config = next(config for _, of, config in found if of <= most)
        ours = held_out(fitted(shared.extract(config), tuned, 1, RATE / 3))
        for name, cut in (("magnitude pruning", pruned), ("uniform shrinking", shrunk)):
            small, of = cut(dense, most)
            theirs = held_out(fitted(small, tuned, 1, RATE / 3))
            told = (
                f"small GPT at {share:.0%} of {size(LARGEST):,} parameters ({size(config):,}), beside {name} ({of:,})"
            )
            yield Row(ours, theirs, told)


def searched(shared: Any, queries: int) -> list[tuple[float, int, Any]]:
    """(shared loss, parameters, nested config) of each network that NSGA-II asked for."""

    def score(run: tw.Run) -> dict[str, float]:
        config = tw.unflatten(run.config)
        return {"loss": held_out(partial(shared, config), 2), "parameters": float(size(config))}

    study = tw.tune(
        score, SPACE, minimize=["loss", "parameters"], method=tw.NSGA2(), trials=queries, seed=0, progress=False
    )
    trials = [(trial.metrics, tw.unflatten(trial.config)) for trial in study.trials]
    found = [(metrics["loss"], int(metrics["parameters"]), config) for metrics, config in trials]
    return sorted(found, key=lambda each: each[0])


def shrunk(dense: Any, most: float) -> tuple[Any, int]:
    """The largest slice with all parts of the network shrunk alike that is small enough."""
    from tunewell.architecture import GPT, Supernet

    whole = Supernet(GPT, LARGEST)
    whole.whole = deepcopy(dense)
    options = []
    for width in range(8, 65, 4):
        share = width / 64
        block = {"heads": max(round(4 * share), 1), "units": round(256 * share)}
        options.append({"width": width, "blocks": [block] * 4})
    config = max((each for each in options if size(each) <= most), key=size)
    return whole.extract(config), size(config)


def pruned(dense: Any, most: float) -> tuple[Any, int]:
    """The network without its heads and units of least magnitude, over all layers, until it is small enough."""
    from tunewell.architecture import GPT

    kept = [(list(range(4)), list(range(256))) for _ in dense.blocks]
    order = sorted(_magnitudes(dense))
    while size(_config(kept)) > most:
        for _, layer, kind, number in order[:8]:
            if len(kept[layer][kind]) > 1:
                kept[layer][kind].remove(number)
        del order[:8]
    small = GPT(_config(kept))
    small.load_state_dict(_cut(dense, kept))
    return small, size(_config(kept))


def _config(kept: Sequence[tuple[list[int], list[int]]]) -> Config:
    return {"width": 64, "blocks": [{"heads": len(heads), "units": len(units)} for heads, units in kept]}


def _magnitudes(dense: Any) -> Iterator[tuple[float, int, int, int]]:
    """(root mean square weight, layer, 0 for a head or 1 for a unit, number)."""
    import torch

    for layer, block in enumerate(dense.blocks):
        found = block.found.weight.view(64, 4, 16)
        rows = [part.weight.view(4, 16, 64) for part in (block.query, block.key, block.value)]
        for head in range(4):
            parts = [*(row[head].flatten() for row in rows), found[:, head].flatten()]
            yield float(torch.cat(parts).detach().pow(2).mean().sqrt()), layer, 0, head
        both = torch.cat([block.up.weight, block.down.weight.T], dim=1).pow(2).mean(1).sqrt()
        yield from ((float(value), layer, 1, unit) for unit, value in enumerate(both))


def _cut(dense: Any, kept: Sequence[tuple[list[int], list[int]]]) -> dict[str, Any]:
    """The weights of what is kept."""
    state = {name: value.clone() for name, value in dense.state_dict().items()}
    for layer, (heads, units) in enumerate(kept):
        rows = [16 * head + place for head in heads for place in range(16)]
        for part in ("query", "key", "value"):
            for kind in ("weight", "bias"):
                state[f"blocks.{layer}.{part}.{kind}"] = state[f"blocks.{layer}.{part}.{kind}"][rows]
        state[f"blocks.{layer}.found.weight"] = state[f"blocks.{layer}.found.weight"][:, rows]
        state[f"blocks.{layer}.down.weight"] = state[f"blocks.{layer}.down.weight"][:, units]
        for kind in ("weight", "bias"):
            state[f"blocks.{layer}.up.{kind}"] = state[f"blocks.{layer}.up.{kind}"][units]
    return state
