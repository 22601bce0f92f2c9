"""Sobol, Halton, Latin hypercube: scipy's points, decoded."""

import numpy as np
import pytest
from scipy.stats import qmc

from tunewell.contract.methods import MethodContract, Player, bowl, new_study, propose
from tunewell.errors import SpaceError, Unsupported
from tunewell.methods.quasirandom import Halton, LatinHypercube, Sobol
from tunewell.space import Choice, Float, Int, Space
from tunewell.study import Job

CUBE = Space({f"x{number}": Float(0, 1) for number in range(5)})


class TestSobol(MethodContract):
    method = Sobol()


class TestHalton(MethodContract):
    method = Halton(scramble=False)


class TestLatinHypercube(MethodContract):
    method = LatinHypercube(20)


def asked(method, space, trials=None, seed=3, **settings):
    study = Player(method, bowl(space), **settings).play(new_study(space, seed=seed, trials=trials))
    return [job.config for job in study.jobs.values()]


@pytest.mark.parametrize("workers", [1, 8])
@pytest.mark.parametrize(
    ("method", "design"), [(Sobol(), qmc.Sobol), (Halton(), qmc.Halton), (LatinHypercube(64), qmc.LatinHypercube)]
)
def test_points_are_those_of_scipy(method, design, workers):
    expected = design(5, seed=np.random.default_rng(3)).random(64)
    found = CUBE.encode_many(asked(method, CUBE, trials=64, workers=workers))
    assert found == pytest.approx(expected, abs=1e-9)


def test_later_blocks_go_on_where_the_first_ended():
    expected = qmc.Sobol(5, seed=np.random.default_rng(3)).random(4096)
    study = new_study(CUBE, seed=3)
    for place in (1022, 1023, 1024, 3000):
        study.commit(Job(CUBE.default(), 1, tag=(place,), id=len(study.jobs), seen=1))
        job = propose(Sobol(), study)
        assert job is not None
        assert job.tag == (place + 1,)
        assert CUBE.encode(job.config) == pytest.approx(expected[place + 1], abs=1e-9)


def test_points_depend_on_the_seed():
    assert asked(Sobol(), CUBE, 8, seed=1) != asked(Sobol(), CUBE, 8, seed=2)
    assert asked(Sobol(scramble=False), CUBE, 8, seed=1) == asked(Sobol(scramble=False), CUBE, 8, seed=2)


def test_a_latin_hypercube_has_one_point_in_each_slice_and_ends():
    points = CUBE.encode_many(asked(LatinHypercube(16), CUBE))
    assert np.array_equal(np.sort(np.floor(points * 16), axis=0), np.tile(np.arange(16)[:, None], 5))


def test_options_get_equal_shares():
    space = Space({"kind": Choice(["a", "b", "c", "d"]), "x": Float(0, 1)})
    kinds = [config["kind"] for config in asked(Sobol(), space, 64)]
    assert [kinds.count(option) for option in "abcd"] == [16] * 4


def test_constraints_are_kept_and_places_skipped():
    space = Space({"a": Float(0, 1), "b": Float(0, 1)}, {"order": "a < b"})
    configs = asked(Sobol(), space, 20)
    assert all(config["a"] < config["b"] for config in configs)
    with pytest.raises(SpaceError, match="violate"):
        asked(Sobol(), Space({"a": Float(0, 1)}, {"never": "a > 1"}), 1)


def test_a_small_space_is_covered_before_a_config_returns():
    space = Space({"n": Int(1, 10)})
    values = [config["n"] for config in asked(Sobol(), space, 15)]
    assert sorted(values[:10]) == list(range(1, 11))
    assert len(values) == 15


def test_a_space_without_dimensions_has_one_point():
    assert asked(Sobol(), Space({}), 2) == [{}, {}]


def test_too_many_dimensions_are_refused():
    space = Space({f"x{number}": Float(0, 1) for number in range(qmc.Sobol.MAXDIM + 1)})
    with pytest.raises(Unsupported, match="dimensions"):
        propose(Sobol(), new_study(space))
