"""The demo, at small size, and the network in it."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from tunewell import demo


def test_the_gradients_are_those_of_the_loss():
    rng = np.random.default_rng(0)
    network = demo.Perceptron([5, 7, 6, 3], seed=0)
    network.weights = [weight.astype(float) + 0.01 for weight in network.weights]
    x, y = rng.normal(size=(9, 5)), rng.integers(0, 3, 9)
    for weight, gradient in zip(network.weights, network.gradients(x, y), strict=True):
        direction = rng.normal(size=weight.shape)
        kept, losses = weight.copy(), []
        for sign in (1, -1):
            weight[...] = kept + sign * 1e-6 * direction
            losses.append(network.score(x, y)[0])
        weight[...] = kept
        assert (losses[0] - losses[1]) / 2e-6 == pytest.approx(float((gradient * direction).sum()), rel=1e-4, abs=1e-9)


def test_a_network_goes_on_from_its_checkpoint_as_if_nothing_had_happened(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 5)).astype(np.float32), rng.integers(0, 3, 40)
    config = {"batch": 8, "lr": 0.01, "weight_decay": 0.01}
    through, stopped = demo.Perceptron([5, 7, 3], seed=0), demo.Perceptron([5, 7, 3], seed=0)
    for epoch in (1, 2):
        through.epoch(x, y, config, np.random.default_rng(epoch))
    stopped.epoch(x, y, config, np.random.default_rng(1))
    stopped.save(tmp_path)
    resumed = demo.Perceptron.load(tmp_path)
    resumed.epoch(x, y, config, np.random.default_rng(2))
    assert all(np.array_equal(a, b) for a, b in zip(through.weights, resumed.weights, strict=True))


def test_the_demo_kills_resumes_compares_and_reads_the_test_set_once(tmp_path, capsys):
    demo.main(tmp_path, seeds=1, quick=True)
    shown = capsys.readouterr().out
    assert shown.startswith("Tuning a neural network on 1,797 images")
    assert "killed -9 after" in shown
    assert "all 4 decisions replay" in shown
    assert "undecided" in shown
    assert "3 runs on fresh seeds say by how much" in shown
    assert "less that of the default config, on fresh seeds:" in shown
    assert "sealed test images, read once" in shown
    assert (tmp_path / "demo.html").stat().st_size > 1e6
