"""The benchmark of several goals: its functions, its scale, and a run."""

from __future__ import annotations

import math

import pytest

from benchmarks.quality_goals import FUNCTIONS, play, reached, tradeoff


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_true_front_covers_all(name: str) -> None:
    of = tradeoff(name)
    assert of.normalised(of.front.tolist()) == pytest.approx(1.0)
    assert of.normalised((of.front + 0.05).tolist()) < 1.0
    assert len(of.losses({parameter.name: 0.5 for parameter in of.parameters})) == of.front.shape[1]


def test_points_of_known_losses() -> None:
    middle = {f"x{i}": 0.5 for i in range(5)}
    assert tradeoff("DTLZ2").losses(middle) == pytest.approx([math.sqrt(0.5)] * 2)
    assert math.hypot(*tradeoff("DTLZ2-3").losses(middle)) == pytest.approx(1.0)
    assert tradeoff("ZDT1").losses({"x0": 0.25} | {f"x{i}": 0.0 for i in range(1, 6)}) == pytest.approx([0.25, 0.5])
    assert tradeoff("ZDT2").losses({"x0": 0.5} | {f"x{i}": 0.0 for i in range(1, 6)}) == pytest.approx([0.5, 0.75])


def test_a_run_covers_more_and_more() -> None:
    run = play("Sobol()", tradeoff("DTLZ2"), seed=0, trials=20)
    assert len(run.losses) == len(run.seconds) == 20
    assert 0 < run.at(5, tradeoff("DTLZ2")) <= run.at(20, tradeoff("DTLZ2")) < 1


def test_what_a_method_reaches_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = reached("Random()", "DTLZ2", seeds=2).volumes
    assert 0 < first <= second < 1
    assert "Random()" in capsys.readouterr().err
