"""The importance of entries as a view of a study."""

import math

import pytest

from tests.report.studies import filled, opened, say_done
from tunewell.importance import Importance, explained


@pytest.fixture(scope="module")
def study():
    return filled(60, seed=2)


def test_the_entry_that_matters_most_stands_first(study):
    first, *rest = study.importance()
    assert first.entry == "lr"
    assert first.interval[0] <= first.share <= first.interval[1]
    assert first.share > 0.5
    assert {one.entry for one in (first, *rest)} == set(study.space.paths)
    assert [one.share for one in rest] == sorted((one.share for one in rest), reverse=True)


def test_it_is_the_same_each_time(study):
    assert study.importance() == study.importance()


def test_few_results_tell_nothing():
    found = explained(filled(5))
    assert "too few" in found.doubt
    assert all(one == Importance(one.entry) for one in found.entries)
    assert explained(opened()).configs == 0


def test_noise_tells_nothing():
    import numpy as np

    study, rng = opened(), np.random.default_rng(0)
    for _ in range(30):
        say_done(study, study.space.sample(rng), float(rng.normal()))
    found = explained(study)
    assert "no better" in found.doubt
    assert {one.share for one in found.entries} == {None}


def test_one_disaster_is_not_all_that_is_explained():
    import numpy as np

    study, rng = opened(), np.random.default_rng(0)
    for number in range(60):
        config = study.space.sample(rng)
        loss = (math.log10(config["lr"]) + 3) ** 2
        say_done(study, config, 1e9 if number == 7 else loss)
    first = study.importance()[0]
    assert first.entry == "lr"
    assert first.share > 0.8
