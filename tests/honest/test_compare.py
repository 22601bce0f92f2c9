"""Better, worse or undecided."""

import numpy as np
import pytest
from scipy.stats import ttest_rel

from tunewell.errors import StudyError
from tunewell.honest.compare import compare


def test_one_look_is_the_paired_t_test():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 8), rng.normal(0.8, 1, 8)
    result, reference = compare(a, b, looks=[8]), ttest_rel(a, b, alternative="less")
    assert result.probability == pytest.approx(1 - reference.pvalue)
    low, high = ttest_rel(a, b).confidence_interval(0.95)
    assert result.interval == pytest.approx((low, high))


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        ([1.0, 1.1, 0.9], [2.0, 2.1, 1.95], "better"),
        ([2.0, 2.1, 1.95], [1.0, 1.1, 0.9], "worse"),
        ([1.0, 2.0, 3.0], [2.0, 1.0, 3.5], "undecided"),
        ([1.0], [2.0], "undecided"),
        ([], [], "undecided"),
        ([1.0, 1.0, 1.0], [1.0, 1.0, 1.0], "undecided"),
    ],
)
def test_verdicts(a, b, verdict):
    assert compare(a, b).verdict == verdict


def decided(effect, until, number=1000):
    """The share of pairs of runs for which anybody who looks after each seed gets a verdict."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(number, 20)) - effect
    return np.mean([compare(row[:until], np.zeros(until)).verdict != "undecided" for row in rows])


def test_equals_are_told_apart_in_at_most_five_percent_however_often_one_looks():
    assert decided(0.0, 20, 2000) <= 0.05 + 1.6 * np.sqrt(0.05 * 0.95 / 2000)


def test_half_a_standard_deviation_shows_in_eight_and_in_twelve_correlated_seeds():
    effect = 0.5 / np.sqrt(2 * (1 - 0.9))
    assert decided(effect, 8) >= 0.37
    assert decided(effect, 12) >= 0.70


def test_a_verdict_stays():
    rng = np.random.default_rng(0)
    a = np.concatenate([rng.normal(-3, 1, 6), rng.normal(3, 1, 10)])
    verdicts = [compare(a[:n], np.zeros(n)).verdict for n in range(1, 17)]
    first = verdicts.index("better")
    assert set(verdicts[first:]) == {"better"}


def test_it_says_how_many_further_pairs_would_decide():
    found = compare([2.1, -0.3, 1.4, 0.2, 1.9, 0.1], np.zeros(6))
    assert found.verdict == "undecided"
    assert 1 <= found.needed <= 14
    assert compare([0.0, 0.1, -0.1, 0.05], [0.0] * 4).needed is None
    assert "further pairs" in str(found)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(StudyError, match="2 losses against 3"):
        compare([1, 2], [1, 2, 3])
    with pytest.raises(StudyError, match="looks"):
        compare([1, 2], [1, 3], looks=[5, 4])
