"""The numbers of steps, Hyperband's tables, and the rank correlation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewell.honest.ranks import rank_correlation
from tunewell.methods.rungs import Rung, bracket, brackets, cost, rungs


def test_the_formula_of_hyperband():
    table = brackets(81)
    assert table == (
        ((81, 1), (27, 3), (9, 9), (3, 27), (1, 81)),
        ((34, 3), (11, 9), (3, 27), (1, 81)),
        ((15, 9), (5, 27), (1, 81)),
        ((8, 27), (2, 81)),
        ((5, 81),),
    )
    assert sum(rung[0][0] for rung in table) == 143
    assert [cost(each, resume=False) for each in table] == [405, 363, 351, 378, 405]
    assert [cost(each) for each in table] == [297, 276, 279, 324, 405]
    assert sum(cost(each, resume=False) for each in table) == 1902
    assert sum(map(cost, table)) == 1581


def test_the_table_that_the_paper_prints():
    table = brackets(81, table="printed")
    assert [each[0] for each in table] == [(81, 1), (27, 3), (9, 9), (6, 27), (5, 81)]
    assert sum(each[0][0] for each in table) == 128
    assert sum(cost(each, resume=False) for each in table) == 1701


def test_a_smaller_table():
    table = brackets(27)
    assert [each[0][0] for each in table] == [27, 12, 6, 4]
    assert sum(cost(each, resume=False) for each in table) == 423


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ((81, 3), (1, 3, 9, 27, 81)),
        ((52, 3), (2, 6, 17, 52)),
        ((52, 3, 1), (1, 3, 9, 27, 52)),
        ((52, 3, 2), (2, 6, 18, 52)),
        ((10_000, 3), (123, 370, 1111, 3333, 10_000)),
        ((1, 3), (1,)),
    ],
)
def test_the_rungs(settings, steps):
    assert rungs(*settings) == steps


@given(st.integers(1, 10_000), st.integers(2, 10), st.none() | st.integers(1, 10_000))
def test_rungs_rise_to_the_maximum(maximum, eta, minimum):
    steps = rungs(maximum, eta, minimum if minimum is None or minimum < maximum else None)
    assert list(steps) == sorted(set(steps))
    assert steps[-1] == maximum
    assert steps[0] >= 1


def test_a_narrow_bracket_begins_higher():
    assert bracket(5, (1, 3, 9, 27), 3) == ((5, 9), (1, 27))
    assert bracket(100, (1, 3, 9, 27), 3) == ((100, 1), (33, 3), (11, 9), (3, 27))


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=3, max_size=30))
def test_rank_correlation_is_spearmans(pairs):
    from scipy.stats import spearmanr

    first, second = np.array(pairs).T
    constant = not np.ptp(first) or not np.ptp(second)
    expected = 0.0 if constant else spearmanr(first, second).statistic
    assert rank_correlation(pairs) == pytest.approx(expected, abs=1e-12)


def test_failures_rank_last_in_a_correlation():
    assert rank_correlation([(1, 1), (2, 2), (3, math.inf)]) == pytest.approx(1)


def test_a_rung_is_trusted_until_twelve_pairs_speak_against_it():
    rung = Rung(1)
    for number in range(12):
        assert rung.is_trusted
        rung.compare((number,), (-number,))
    assert not rung.is_trusted
    assert "misleads" in rung.verdict


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=40))
def test_the_best_that_waits_is_found_in_any_order_of_leaving(moves):
    """Against a plain list."""
    rung, waiting = Rung(1), []
    for job, (loss, leaves) in enumerate(moves):
        if leaves and waiting:
            gone = waiting.pop(loss % len(waiting))
            rung.leave(gone[-1], 3)
        else:
            waiting.append((False, float(loss), job))
            rung.ask()
            rung.arrive(job, (False, (float(loss),)))
        assert rung.best() == (min(waiting)[-1] if waiting else None)
        assert rung.able == len(waiting)
