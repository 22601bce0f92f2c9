"""Better, worse or undecided."""

import numpy as np
import pytest
from scipy.stats import ttest_rel

from tunewell.honest.compare import compare


def test_it_is_the_paired_t_test():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 8), rng.normal(0.8, 1, 8)
    result, reference = compare(a, b), ttest_rel(a, b, alternative="less")
    assert result.probability == pytest.approx(1 - reference.pvalue)
    low, high = ttest_rel(a, b).confidence_interval(0.95)
    assert result.interval == pytest.approx((low, high))


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        ([1.0, 1.1, 0.9], [2.0, 2.1, 1.9], "better"),
        ([2.0, 2.1, 1.9], [1.0, 1.1, 0.9], "worse"),
        ([1.0, 2.0, 3.0], [2.0, 1.0, 3.5], "undecided"),
        ([1.0], [2.0], "undecided"),
        ([1.0, 1.0], [1.0, 1.0], "undecided"),
    ],
)
def test_verdicts(a, b, verdict):
    assert compare(a, b).verdict == verdict


def test_equal_methods_are_called_different_in_about_five_percent():
    rng = np.random.default_rng(0)
    verdicts = [compare(*rng.normal(size=(2, 5))).verdict for _ in range(1000)]
    assert 0.03 < np.mean([verdict != "undecided" for verdict in verdicts]) < 0.07
