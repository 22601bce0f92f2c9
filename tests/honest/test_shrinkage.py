"""Estimates with luck taken out."""

import numpy as np
import pytest

from tunewell.honest.shrinkage import Belief, Measured, noise_of_curves


def test_the_jitter_of_a_curve_is_measured_about_its_trend():
    rng = np.random.default_rng(0)
    at = np.arange(60)
    curves = [list(np.exp(-at / 30) + rng.normal(0, 0.01, 60)) for _ in range(50)]
    assert noise_of_curves(curves) == pytest.approx(0.01, rel=0.15)
    assert noise_of_curves([[1.0, 2.0]]) is None


def searches(noise, repeats, number=200):
    """The belief about 80 configs after a search, of which the best five were repeated; and the truth."""
    for seed in range(number):
        rng = np.random.default_rng(seed)
        truth = rng.normal(0, 1, 80)
        groups = [[value] for value in truth + noise * rng.normal(size=80)]
        for place in np.argsort([group[0] for group in groups])[:5]:
            groups[place] += list(truth[place] + noise * rng.normal(size=repeats))
        yield Measured(groups), truth


@pytest.mark.parametrize("noise", [0.3, 1.0])
def test_the_estimate_of_the_winner_is_hardly_biased_and_its_interval_holds(noise):
    raw, bias, covered = [], [], []
    for measured, truth in searches(noise, 3):
        belief = Belief(measured)
        winner = int(belief.moments()[0].argmin())
        low, high = belief.interval(winner)
        raw.append(min(measured.means) - truth[measured.means.argmin()])
        bias.append(belief.moments()[0][winner] - truth[winner])
        covered.append(low <= truth[winner] <= high)
    assert abs(np.mean(bias)) < 0.15 * noise
    assert 0.82 <= np.mean(covered) <= 0.97
    assert belief.noise == pytest.approx(noise, rel=0.35)


def test_known_noise_corrects_the_winner_of_a_search_without_repetitions():
    raw, bias = [], []
    for measured, truth in searches(0.3, 0):
        estimates = Belief(measured, 0.3).moments()[0]
        winner = int(estimates.argmin())
        raw.append(measured.means[winner] - truth[winner])
        bias.append(estimates[winner] - truth[winner])
    assert abs(np.mean(bias)) < 0.3 * abs(np.mean(raw))


def test_known_errors_count_one_by_one():
    belief = Belief(Measured([[0.0], [0.0], [1.0], [2.0], [1.5]], [0.01, 1.0, 0.1, 0.1, 0.1]))
    means, deviations = belief.moments()
    assert means[0] == pytest.approx(0, abs=0.01)
    assert means[1] > 0.1
    assert deviations[0] < 0.02 < deviations[1]
    assert belief.better(0, 2) > 0.99


def test_units_do_not_matter():
    rng = np.random.default_rng(3)
    groups = [[value] for value in rng.normal(size=30)]
    groups[0] += [groups[0][0] + 0.2, groups[0][0] - 0.3]
    one = Belief(Measured(groups)).moments()[0]
    other = Belief(Measured([[1e6 * value + 5e6 for value in group] for group in groups])).moments()[0]
    assert other == pytest.approx(1e6 * one + 5e6, rel=1e-6)


def test_many_configs_cost_no_more_than_their_best():
    rng = np.random.default_rng(0)
    belief = Belief(Measured([[value] for value in rng.normal(size=3000)]), 0.5)
    means, deviations = belief.moments()
    assert np.isfinite(means).all()
    assert (deviations > 0).all()


def test_repetitions_that_agree_are_exact():
    assert Measured([[1.0, 1.0], [2.0]]).is_exact
    assert not Measured([[1.0, 1.1], [2.0]]).is_exact
    assert not Measured([[1.0], [2.0]]).is_exact


@pytest.mark.parametrize("groups", [[[1.0], [1.0], [1.0]], [[0.0]], [[2.0], [2.0]]])
def test_an_interval_is_never_empty_where_there_is_noise(groups):
    low, high = Belief(Measured(groups), 0.5).interval(0)
    assert low < groups[0][0] < high


def test_known_errors_are_believed_until_repetitions_say_otherwise():
    rng = np.random.default_rng(1)
    for factor, low, high in ((1.0, 0.85, 1.15), (3.0, 2.3, 3.7)):
        groups = [list(rng.normal(0, factor, 4)) for _ in range(15)]
        found = Belief(Measured(groups, np.full(15, 0.5)))
        assert low <= found.noise <= high


def test_results_after_the_first_count_without_shrinkage():
    rng = np.random.default_rng(2)
    groups = [[value] for value in rng.normal(0, 1, 100)] + [list(rng.normal(-1, 1, 12))]
    found = Belief(Measured(groups, [1.0] * 100 + [1 / np.sqrt(12)]))
    assert found.better_by(groups[100][1:], 100, 0) > found.better(100, 0)
    assert found.better_by([], 100, 0) == 0.0


def test_a_config_far_better_than_all_others_is_believed_what_was_measured_of_it():
    rng = np.random.default_rng(4)
    groups = [[value] for value in rng.normal(0, 0.5, 60)]
    belief = Belief(Measured([*groups, [-6.0, -6.2, -5.8]]), 0.3)
    low, high = belief.interval(60)
    assert low < -6.0 < high
    assert belief.moments()[0][60] == pytest.approx(-6.0, abs=0.05)


def test_tails_leave_the_winner_of_a_plain_search_unbiased():
    bias = []
    for seed in range(300):
        rng = np.random.default_rng([seed, 5])
        truth = rng.normal(size=100)
        estimates = Belief(Measured((truth + 0.3 * rng.normal(size=100))[:, None], np.full(100, 0.3))).moments()[0]
        bias.append(estimates.min() - truth[estimates.argmin()])
    assert abs(np.mean(bias)) <= 0.05


def test_the_chances_of_two_configs_to_be_the_better_one_sum_to_one():
    belief = Belief(Measured([[0.0, 0.1], [0.3], [-2.0], [0.5], [0.4]]), 0.2)
    assert belief.better(0, 2) + belief.better(2, 0) == pytest.approx(1)
    assert belief.better(2, 0) > 0.99


def test_the_interval_of_what_a_search_ran_to_holds_it():
    """The configs of a search that runs to the end of a scale: each better than those before, the last one twice."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(100):
        true = np.concatenate([rng.normal(size=8), -3 - 0.5 * rng.exponential(size=7), [-6.0]])
        groups = [[value + 0.3 * rng.normal()] for value in true]
        for place in (*np.argsort(true)[1:4], -1):
            groups[place].append(true[place] + 0.3 * rng.normal())
        low, high = Belief(Measured(groups)).interval(15)
        held += low <= -6 <= high
    assert held >= 86
