"""Effects of seeds and folds, taken out."""

import numpy as np
import pytest

from tunewell.honest.pairing import paired
from tunewell.honest.shrinkage import Measured


def scores(configs, replicates, effect, noise, seed, least=None):
    """Scores whose noise and effects have these standard deviations; of some configs only the first replicates."""
    rng = np.random.default_rng(seed)
    truth, effects = rng.normal(size=configs), effect * rng.normal(size=replicates)
    counts = rng.integers(least or replicates, replicates + 1, configs)
    rows = [[(at, truth[i] + effects[at] + noise * rng.normal()) for at in range(counts[i])] for i in range(configs)]
    return truth, rows


def test_a_config_that_met_only_an_easy_fold_is_not_the_better_for_it():
    easy = [[(0, 0.1), (1, 1.1)], [(0, 0.2), (1, 1.2)], [(0, 0.15), (1, 1.15)], [(0, 0.3)]]
    losses, _ = paired(easy)
    means = [np.mean(row) for row in losses]
    assert np.argmin(means) == 0
    assert means == pytest.approx([0.6, 0.7, 0.65, 0.8])


def test_effects_are_removed_from_the_noise():
    found = []
    for seed in range(30):
        _, rows = scores(30, 5, effect=2.0, noise=0.1, seed=seed, least=1)
        losses, taken = paired(rows)
        measured = Measured(losses, taken=taken)
        found.append(measured.scatters.sum() / measured.freedom)
    assert np.sqrt(np.mean(found)) == pytest.approx(0.1, rel=0.1)


def test_unequal_replicates_mislead_no_more():
    truth, rows = scores(40, 5, effect=2.0, noise=0.1, seed=1, least=1)
    losses, _ = paired(rows)
    error = np.array([np.mean(row) for row in losses]) - truth
    assert np.std(error) < 0.15


def test_without_effects_little_changes():
    changes = []
    for seed in range(30):
        _, rows = scores(20, 4, effect=0.0, noise=1.0, seed=seed)
        losses, _ = paired(rows)
        changes.append(
            max(abs(a - b[1]) for row, old in zip(losses, rows, strict=True) for a, b in zip(row, old, strict=True))
        )
    assert np.median(changes) < 0.1
    assert max(changes) < 0.7


@pytest.mark.parametrize(
    "rows", [[], [[(0, 1.0)]], [[(0, 1.0)], [(0, 2.0)]], [[(0, 1.0), (1, 2.0), (2, 0.0)], [(0, 3.0)]]]
)
def test_where_nothing_can_be_told_nothing_is_changed(rows):
    assert paired(rows) == ([[loss for _, loss in row] for row in rows], 0.0)
