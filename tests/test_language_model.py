"""The small GPT of the examples goes on exactly: after a kill, and from the checkpoint of the rung below."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import tunewell as tw

torch = pytest.importorskip("torch", reason="PyTorch is not installed: python3 dev.py test --torch")
pytestmark = [pytest.mark.torch, pytest.mark.slow]

FOLDER = Path(__file__).resolve().parent.parent / "examples"
TOKENS = 27 * 1024
CONFIG = {"lr": 0.004, "layers": 1, "width": 32, "heads": 2, "warmup": 2000, "weight_decay": 0.1, "batch": 4}
PROGRAM = """
import os, signal, sys
import numpy as np
import language_model as language
import tunewell as tw

path, tokens, last = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])

def die(study, event):
    if isinstance(event, tw.Report) and event.saved is not None and event.steps[-1] >= last:
        os.kill(os.getpid(), signal.SIGKILL)

files = language.library()[:40]
study = tw.open_study("study", path, space=language.SPACE, minimize="loss", steps=tw.Steps(1, tokens), seed=5,
                      data=tw.Split(files, np.arange(len(files))), limits=tw.Limits(trials=1), method=tw.Sobol())
study.watchers.append(die)
tw.run(study, language.train, save_every=0.0, progress=False)
"""


@pytest.fixture(scope="module")
def language() -> ModuleType:
    form = importlib.util.spec_from_file_location("language_model", FOLDER / "language_model.py")
    assert form is not None
    assert form.loader is not None
    module = importlib.util.module_from_spec(form)
    form.loader.exec_module(module)
    return module


def start(path: Path, last: float = float("inf")) -> int:
    """Train one trial in a process of its own, which is killed once a checkpoint at `last` or later is committed."""
    command = [sys.executable, "-W", "error", "-c", PROGRAM, str(path), str(TOKENS), str(last)]
    return subprocess.run(command, check=False, cwd=FOLDER, timeout=300).returncode


def end_of(path: Path) -> tuple[Any, Path]:
    """The curve of the only job, and its checkpoint."""
    study = tw.open_study("study", path)
    checkpoint = study.path(study.results[0].saved)
    assert checkpoint is not None
    return study.curve(0), checkpoint


def states(checkpoint: Path) -> list[object]:
    """Every number in a checkpoint, tensors as bytes."""
    found: list[object] = []

    def walk(node: object) -> None:
        if isinstance(node, dict):
            for name in node:
                walk(node[name])
        elif isinstance(node, list | tuple):
            for each in node:
                walk(each)
        else:
            found.append(node.numpy().tobytes() if isinstance(node, torch.Tensor) else node)

    for name in ("trunk.pt", "model.pt"):
        walk(torch.load(checkpoint / name, weights_only=True))
    return found


def test_a_curve_after_a_kill_equals_the_uninterrupted_one(tmp_path: Path) -> None:
    assert start(tmp_path / "whole.db") == 0
    for moment in (0.2, 0.6):
        assert start(tmp_path / "killed.db", moment * TOKENS) == -signal.SIGKILL
    assert start(tmp_path / "killed.db") == 0
    (whole, kept), (killed, restored) = end_of(tmp_path / "whole.db"), end_of(tmp_path / "killed.db")
    assert len(killed.steps) > 20
    assert killed.steps == whole.steps
    for name, values in whole.values.items():
        assert [value.hex() for value in killed.values[name]] == [value.hex() for value in values]
    assert states(restored) == states(kept)


def tune(language: ModuleType, method: tw.Method, space: object, path: Path) -> tw.Study:
    files = language.library()[:40]
    return tw.tune(
        language.train,
        space,
        minimize="loss",
        method=method,
        steps=tw.Steps(TOKENS // 9, TOKENS, unit="tokens"),
        store=path,
        seed=3,
        data=tw.Split(files, range(len(files))),
        progress=False,
    )


def test_who_was_promoted_ends_as_if_it_had_never_stopped(language: ModuleType, tmp_path: Path) -> None:
    space = {**language.SPACE, "batch": tw.Ordinal([4, 8]), "width": tw.Ordinal([32])}
    study = tune(language, tw.Halving(width=9), space, tmp_path / "rungs.db")
    assert [job.until for job in study.jobs.values()] == [TOKENS // 9] * 9 + [TOKENS // 3] * 3 + [TOKENS]
    best = study.best
    alone = {name: tw.Ordinal([value]) for name, value in best.config.items()}
    whole = tune(language, tw.Take(1, tw.Random()), alone, tmp_path / "whole.db")
    assert whole.best.config == best.config
    assert whole.best.value == best.value
    assert states(whole.best.checkpoint) == states(best.checkpoint)


def test_the_branch_leaves_the_trunk_as_it_is(language: ModuleType) -> None:
    language.same_sums()
    trunk = language.Trainer(CONFIG, 1, language.library()[:4])
    for _ in range(5):
        trunk.step(trunk.rate())
    before = [weight.detach().clone() for weight in trunk.model.parameters()], trunk.order.get_state(), trunk.tokens
    branch = trunk.decayed(trunk.tokens + 1024)
    assert branch.tokens == trunk.tokens + 1024
    assert all(torch.equal(old, new) for old, new in zip(before[0], trunk.model.parameters(), strict=True))
    assert torch.equal(before[1], trunk.order.get_state())
    assert before[2] == trunk.tokens
    assert not torch.equal(branch.model.bytes.weight, trunk.model.bytes.weight)
