"""The runs of multi-fidelity peers: what a program is charged, and how runs are compared."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import fidelity_peers, fidelity_runs, tasks
from benchmarks.fidelity import difference, mean
from benchmarks.fidelity_peers import EPOCHS, Account, Curves, common
from benchmarks.figures import FOLDER
from benchmarks.tasks import Task

PEER = f"""
import sys
sys.path.insert(0, {str(FOLDER / "peers")!r})
from fidelity_peer import rungs, serve

def run(parameters, seed, epochs, jobs, train):
    assert [name["name"] for name in parameters] == ["x"] and rungs(2, epochs) == [2, 6, 18, epochs]
    for number in range(jobs):
        x = (seed + number) / 100
        told = dict(train.epochs({{"x": x}}, [2, 6]))
        assert list(told) == [1, 2, 3, 4, 5, 6] and told[6] == x + 1 / 6, told
        assert train({{"x": x}}, epochs) == x + 1 / epochs

serve(run)
"""


class Problem:
    """One entry, a curve that falls."""

    params = (type("Entry", (), {"name": "x", "kind": "float", "low": 0.0, "high": 1.0, "log": False, "when": ()})(),)


@pytest.fixture
def curves(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an instance that needs no data: its loss is x and one over the epoch."""

    def task(name: str) -> Task:
        return Task(name, Problem(), 0.0, 1.0)

    def loss_of(name: str, config: dict[str, float], epoch: int) -> float:
        return config["x"] + 1 / epoch

    for module in (tasks, fidelity_peers, fidelity_runs):
        monkeypatch.setattr(module, "task", task)
    monkeypatch.setattr(fidelity_peers, "loss_of", loss_of)
    return "curves"


def test_only_epochs_that_a_config_has_not_been_trained_are_paid_for(curves: str) -> None:
    account = Account(curves, 0, {}, [])
    assert account.train({"x": 0.5}, 0, 2) == [1.5, 1.0]
    assert account.train({"x": 0.5}, 5, 6) == [0.5 + 1 / 6]
    assert account.spent == 6
    account.train({"x": 0.5}, 0, 2)
    account.train({"x": 0.25}, 0, 2)
    assert account.spent == 8
    account.train({"x": 0.5}, EPOCHS - 1, EPOCHS)
    assert account.trace == [((2 + EPOCHS) / EPOCHS, 0.5 + 1 / EPOCHS)]


def test_the_budget_is_never_exceeded(curves: str) -> None:
    account = Account(curves, 0, {}, [])
    full = [account.train({"x": number / 50}, EPOCHS - 1, EPOCHS) for number in range(25)]
    assert sum(each is not None for each in full) == len(account.trace) == 20


def test_who_asks_for_what_costs_nothing_ends(curves: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fidelity_peers, "QUESTIONS", 3)
    account = Account(curves, 0, {}, [])
    assert [account.train({"x": 0.5}, 0, 1) is None for _ in range(4)] == [False, False, False, True]


def test_a_program_is_asked_and_told(curves: str, tmp_path: Path) -> None:
    script = tmp_path / "peer.py"
    script.write_text(PEER)
    program = Curves((sys.executable, str(script)))
    try:
        for seed in (0, 10):
            row = program.train(curves, seed)
            assert (row["task"], row["seed"]) == (curves, str(seed))
            best = seed / 100 + 1 / EPOCHS
            assert [float(row[mark]) for mark in ("r5", "r10", "r20")] == pytest.approx([best] * 3, rel=1e-4)
    finally:
        program.close()


def test_only_runs_that_all_have_are_compared() -> None:
    ours = {("a", 0): [0.1], ("a", 1): [0.3], ("b", 0): [0.2]}
    peer = {("a", 0): [0.2], ("b", 0): [0.5], ("b", 1): [0.9]}
    mine, theirs = common([ours, peer])
    assert list(mine) == list(theirs) == [("a", 0), ("b", 0)]
    assert mean(mine, 0) == pytest.approx(0.15)
    assert difference(mine, theirs, 0) == pytest.approx((-0.2, 0.1))
