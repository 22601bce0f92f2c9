"""Runs of methods on the small GPT of `examples/language_model.py`, each with the tokens of 15 full runs.

A token counts whenever it is trained on: those of the branches in which the learning rate decays, too, which a trial
that goes on pays again. A study of each method and seed stands in `build/language`, named by a digest of the code, so
that what was interrupted goes on. With the same seed all methods have the same modules, the same first weights and
windows, and differ in their configs alone.
"""

import hashlib
import importlib.util
import math
import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

import tunewell as tw
from benchmarks.quality_runs import code
from dev import ROOT, Environment

EXAMPLE = ROOT / "examples" / "language_model.py"
RUNS = 15
"""Full runs whose tokens a study may train on."""
PERIODS = 3
"""Decisions of PBT: each has its branch, so a member costs 1.2 full runs, and twelve of them 14.4. With six, a member
costs 1.5: on other seeds than the rows' eight of those ended behind random search, and twelve of these beside it.
"""


class Arm(NamedTuple):
    """A method, and whether the size of the model is tuned: weights cannot be copied to another size."""

    method: tw.Method
    sized: bool = True


ARMS = {
    "random search": Arm(tw.Random()),
    "Hyperband()": Arm(tw.Hyperband()),
    "random search, default size": Arm(tw.Random(), False),
    "PBT(12), default size": Arm(tw.PBT(12), False),
}


def example() -> ModuleType:
    """The module of the example. Installs PyTorch where it is missing, or raises dev.SetupError, which says why not."""
    if importlib.util.find_spec("torch") is None:
        Environment(ROOT / ".venv").install_torch()
    form = importlib.util.spec_from_file_location("language_model", EXAMPLE)
    assert form is not None
    assert form.loader is not None
    module = importlib.util.module_from_spec(form)
    form.loader.exec_module(module)
    return module


def best_loss(name: str, seed: int, tokens: int = 0, runs: int = RUNS) -> float:
    """The best validation loss of a full run within the tokens of `runs` full runs; `tokens`: other than the example's.

    A study that stands in `build/language` goes on, or is only read.
    """
    language, arm = example(), ARMS[name]
    tokens = tokens or language.TOKENS
    files, folder = language.library(), ROOT / "build" / "language" / f"{digest()}-{tokens}-{runs}"
    folder.mkdir(parents=True, exist_ok=True)
    study = tw.tune(
        language.train,
        language.SPACE if arm.sized else fixed(language.SPACE),
        minimize="loss",
        method=periodic(arm.method, tokens),
        steps=tw.Steps(max(1, tokens // 27), tokens, unit="tokens"),
        limits=tw.Limits(steps=runs * tokens),
        store=str(folder / f"{name}-{seed}.db"),
        seed=seed,
        data=tw.Split(files, np.arange(len(files))),
        save_every=math.inf,
        progress=False,
    )
    if study.files is not None:
        for checkpoints in study.files.glob("job-*"):
            shutil.rmtree(checkpoints)
    return best_within(study, language.DECAY, runs * tokens)


def periodic(method: tw.Method, tokens: int) -> tw.Method:
    """The method with the period that the tokens ask for, if it has periods."""
    return tw.PBT(method.population, tokens // PERIODS) if isinstance(method, tw.PBT) else method


def fixed(space: Mapping[str, Any]) -> dict[str, Any]:
    """The space with the size of the model at its defaults."""
    sizes = {name: tw.Ordinal([space[name].default]) for name in ("layers", "width", "heads")}
    return {**space, **sizes}


@cache
def digest() -> str:
    """Of the code that the results rest on."""
    return hashlib.sha256(EXAMPLE.read_bytes() + Path(__file__).read_bytes() + code().encode()).hexdigest()[:10]


def best_within(study: tw.Study, decay: float, budget: float) -> float:
    """The best loss at the last step among the jobs that ended before more than `budget` tokens were trained on."""
    spent, best = 0.0, math.inf
    for number in study.results:
        job = study.jobs[number]
        before = study.jobs[job.parent].until if job.parent is not None else 0
        spent += (1 - decay) * (job.until - before) + decay * job.until
        if spent <= budget + 1 and job.until == study.steps.maximum:
            best = min(best, study.loss(number))
    return best


def interval(values: list[float]) -> tuple[float, float, float]:
    """The mean and the ends of its 95 % interval by Student's t."""
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1) / math.sqrt(len(values)))
    reach = float(stats.t.ppf(0.975, len(values) - 1)) * error
    return mean, mean - reach, mean + reach
