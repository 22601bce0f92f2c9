from __future__ import annotations

import copy
import itertools
import json
import math
import pickle
import time
import tomllib
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.spaces import floats, ints, seeds, shares, spaces
from tunewell.errors import SpaceError
from tunewell.space import (
    Choice,
    Condition,
    Constant,
    Dimension,
    Float,
    Int,
    LogNormal,
    Normal,
    Ordinal,
    Quantiles,
    Space,
    Weights,
)
from tunewell.space.constraint import Constraint

few = settings(max_examples=50)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def optimizers() -> Space:
    return Space(
        {
            "lr": Float(1e-5, 1e-1, log=True, default=1e-3),
            "optimizer": Choice(
                {
                    "sgd": {"momentum": Float(0, 0.99), "nesterov": Choice([True, False])},
                    "adam": {"momentum": Float(0.5, 1), "decay": Choice({"on": {"rate": Float(0, 1)}, "off": None})},
                    "lbfgs": {},
                }
            ),
            "units": Int(16, 512, log=True),
            "layers": Int(1, 4),
            "seed": Constant(7),
        }
    )


def ten() -> Space:
    return Space(
        {
            "a": Float(0, 1),
            "b": Float(1e-5, 1, log=True),
            "c": Float(1e-5, 1, log=True),
            "d": Float(-1, 1),
            "e": Int(1, 10),
            "f": Int(1, 1000, log=True),
            "g": Int(0, 64, step=8),
            "h": Choice(["x", "y", "z"]),
            "i": Ordinal([1, 2, 4]),
            "j": Choice([True, False]),
        }
    )


def same(a: Any, b: Any) -> bool:
    """Equal as JSON, so that True is not 1 and 1 is not 1.0."""
    return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


# ---- round trips


@few
@given(spaces(), seeds)
def test_a_sample_lies_in_the_space_and_survives_the_unit_cube(space: Space, seed: int) -> None:
    config = space.sample(rng(seed))
    assert same(space.validate(config), config)
    units = space.encode(config)
    inside = units[~np.isnan(units)]
    assert np.all((inside >= 0) & (inside <= 1))
    assert same(space.decode(units), config)


@few
@given(spaces(), seeds, st.floats(1e-9, 10))
def test_a_mutation_differs_lies_in_the_space_and_survives_the_unit_cube(
    space: Space, seed: int, strength: float
) -> None:
    draws = rng(seed)
    config = space.sample(draws)
    before = copy.deepcopy(config)
    child = space.mutate(config, draws, strength)
    assert same(space.validate(child), child)
    assert same(space.decode(space.encode(child)), child)
    assert same(config, before)
    assert space.size == 1 or not same(child, config)


@few
@given(spaces(), seeds)
def test_a_crossing_lies_in_the_space_and_has_only_values_of_its_parents(space: Space, seed: int) -> None:
    draws = rng(seed)
    a, b = space.sample(draws), space.sample(draws)
    child = space.cross(a, b, draws)
    assert same(space.validate(child), child)
    assert same(space.decode(space.encode(child)), child)
    assert all(any(name in parent and same(parent[name], value) for parent in (a, b)) for name, value in child.items())


@few
@given(spaces(), st.integers(1, 7), seeds)
def test_a_grid_point_lies_in_the_space_and_survives_the_unit_cube(space: Space, levels: int, seed: int) -> None:
    grid = space.grid(levels)
    config = grid.point(seed % grid.size)
    assert same(space.validate(config), config)
    assert same(space.decode(space.encode(config)), config)


@few
@given(spaces(), st.data())
def test_every_point_of_the_unit_cube_decodes_to_a_config_of_the_space(space: Space, data: st.DataObject) -> None:
    units = data.draw(st.lists(st.floats(-0.5, 1.5), min_size=len(space.paths), max_size=len(space.paths)))
    config = space.decode(units)
    assert same(space.validate(config), config)
    assert same(space.decode(space.encode(config)), config)


@few
@given(spaces())
def test_the_default_lies_in_the_space(space: Space) -> None:
    assert same(space.validate(space.default()), space.default())


@few
@given(spaces(), seeds)
def test_a_space_survives_json(space: Space, seed: int) -> None:
    again = Space.from_json(json.loads(json.dumps(space.to_json())))
    assert again == space
    assert hash(again) == hash(space)
    assert same(again.sample(rng(seed)), space.sample(rng(seed)))


def toml(value: Any) -> str:
    """Plain data as an inline TOML value."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {toml(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


@few
@given(spaces(null=False))
def test_a_space_survives_toml(space: Space) -> None:
    assert Space.from_json(tomllib.loads("space = " + toml(space.to_json()))["space"]) == space


@few
@given(spaces(), seeds)
def test_a_space_survives_pickle_and_deepcopy(space: Space, seed: int) -> None:
    space.sample(rng(seed))
    assert pickle.loads(pickle.dumps(space)) == space
    assert same(copy.deepcopy(space).sample(rng(seed)), space.sample(rng(seed)))


@few
@given(spaces(), seeds, st.data())
def test_every_config_of_a_narrower_space_lies_in_the_wider_one(space: Space, seed: int, data: st.DataObject) -> None:
    ranges: dict[str, Any] = {}
    draws = rng(seed)
    for _ in range(2):
        config = space.sample(draws)
        for path, dimension in zip(space.paths, space.dimensions, strict=True):
            if dimension.parent is None and data.draw(st.booleans()):
                ranges.setdefault(path, []).append(config[dimension.name])
    for path, values in ranges.items():
        kind = space.dimensions[space.paths.index(path)].kind
        ranges[path] = (min(values), max(values)) if kind in ("float", "int") else values
    part = space.narrow(ranges)
    for _ in range(5):
        assert part.sample(draws) in space
    assert set(part.paths) <= set(space.paths)


# ---- scales


@given(floats() | ints())
def test_both_ends_of_a_number_are_reached_exactly(entry: Float | Int) -> None:
    space = Space({"x": entry})
    assert space.decode([0.0]) == {"x": entry.low}
    assert space.decode([1.0]) == {"x": entry.high}
    levels = [config["x"] for config in space.grid(3)]
    assert levels[0] == entry.low
    assert levels[-1] == entry.high


@given(floats() | ints(), shares, shares)
def test_the_scale_of_a_number_is_monotone(entry: Float | Int, a: float, b: float) -> None:
    space = Space({"x": entry})
    low, high = space.decode([min(a, b)])["x"], space.decode([max(a, b)])["x"]
    assert low <= high
    assert type(low) is (float if isinstance(entry, Float) else int)


def test_decimal_steps_have_no_strays() -> None:
    space = Space({"x": Float(0, 1, step=0.1)})
    assert [config["x"] for config in space.grid(100)] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert space.validate({"x": 3 * 0.1}) == {"x": 0.3}


@pytest.mark.parametrize("low", [0, 1, 2**53 - 10, -(2**53), -(2**52)])
@pytest.mark.parametrize("count", [1, 2, 11, 2**50 + 1, 2**53 - 1, 2**53, 2**53 + 1])
def test_integers_up_to_two_to_the_53_survive_the_unit_cube(low: int, count: int) -> None:
    if low + count - 1 > 2**53:
        pytest.skip("beyond the largest integer")
    space = Space({"x": Int(low, low + count - 1)})
    values = {low + round(share * (count - 1)) for share in np.linspace(0, 1, 101)}
    values |= {min(low + i, low + count - 1) for i in range(50)} | {max(low, low + count - 1 - i) for i in range(50)}
    for value in values:
        assert space.decode(space.encode({"x": value})) == {"x": value}


def test_every_small_integer_on_a_log_scale_is_reached() -> None:
    space = Space({"x": Int(1, 5000, log=True)})
    for value in range(1, 5001):
        assert space.decode(space.encode({"x": value})) == {"x": value}


def test_a_log_scale_is_even_in_the_logarithm() -> None:
    assert Space({"x": Float(1e-4, 1, log=True)}).decode([0.5])["x"] == pytest.approx(1e-2)
    assert [config["x"] for config in Space({"x": Int(1, 100, log=True)}).grid(3)] == [1, 10, 100]


def test_options_lie_in_the_middle_of_their_cells() -> None:
    space = Space({"c": Choice(["abc", "b", "c", "d"]), "o": Ordinal([1, 2])})
    assert space.encode({"c": "b", "o": 2}).tolist() == [0.375, 0.75]


def test_an_enqueued_float_stays_as_given_and_encodes_to_the_nearest_point() -> None:
    space = Space({"x": Float(0, 1)})
    odd = 1 / 3
    assert space.validate({"x": odd}) == {"x": odd}
    assert space.decode(space.encode({"x": odd}))["x"] == pytest.approx(odd, abs=2**-40)


# ---- the tree


def test_a_config_holds_the_entries_of_the_chosen_branch_and_no_others() -> None:
    space = optimizers()
    config = {"lr": 0.01, "optimizer": "adam", "momentum": 0.9, "decay": "on", "rate": 0.5, "units": 64, "layers": 2}
    assert space.validate({**config, "seed": 7}) == {**config, "seed": 7}
    assert list(space.validate({"seed": 7, **config}))[:3] == ["lr", "optimizer", "momentum"]


def test_paths_and_dimensions_say_what_each_coordinate_is() -> None:
    space = optimizers()
    assert space.paths == (
        "lr",
        "optimizer",
        "optimizer=sgd/momentum",
        "optimizer=sgd/nesterov",
        "optimizer=adam/momentum",
        "optimizer=adam/decay",
        "optimizer=adam/decay=on/rate",
        "units",
        "layers",
    )
    assert space.dimensions[0] == Dimension("lr", "lr", "float", None, True, None)
    assert space.dimensions[6] == Dimension(
        space.paths[6], "rate", "float", None, False, Condition("optimizer=adam/decay", ("on",))
    )
    assert [dimension.size for dimension in space.dimensions] == [None, 3, None, 2, None, 2, None, 497, 4]


def test_inactive_coordinates_are_nan_and_are_ignored() -> None:
    space = optimizers()
    config = {"lr": 0.1, "optimizer": "lbfgs", "units": 16, "layers": 4, "seed": 7}
    units = space.encode(config)
    assert np.isnan(units).tolist() == [False, False, True, True, True, True, True, False, False]
    assert space.decode(units) == config
    assert space.encode_many([config, config]).shape == (2, 9)
    assert space.encode_many([]).shape == (0, 9)


def test_the_size_counts_configs_through_branches() -> None:
    assert optimizers().size == math.inf
    space = Space({"a": Int(1, 3), "b": Choice({"x": {"c": Int(1, 5)}, "y": {}}), "d": Constant(0)})
    assert space.size == 3 * (5 + 1)
    assert len({json.dumps(config) for config in space.grid(10)}) == 18
    assert Space({f"x{i}": Int(0, 10**15) for i in range(30)}).size == (10**15 + 1) ** 30
    assert Space({}).size == 1


def test_an_empty_space_has_one_config() -> None:
    space = Space({})
    assert space.sample(rng()) == space.default() == space.mutate({}, rng()) == space.decode([]) == {}
    assert space.encode({}).shape == (0,)


def test_a_space_is_a_branch_of_another_unless_it_has_constraints() -> None:
    inner = Space({"x": Int(0, 9)})
    assert Space({"c": Choice({"a": inner})}) == Space({"c": Choice({"a": {"x": Int(0, 9)}})})
    with pytest.raises(SpaceError, match="outermost"):
        Choice({"a": Space({"x": Int(0, 9)}, {"small": "x < 5"})})


def test_options_tell_true_from_one_and_none_from_no_default() -> None:
    space = Space({"c": Choice([1, True, None, "1"], default=None)})
    assert [space.validate({"c": value})["c"] for value in (1, True, None, "1")] == [1, True, None, "1"]
    assert space.validate({"c": True})["c"] is True
    assert space.default() == {"c": None}
    assert Choice([1]) != Choice([True])
    assert Choice([1]) != Choice([1.0])


def test_a_list_option_is_copied_into_each_config() -> None:
    space = Space({"c": Choice([[1, 2]]), "k": Constant({"a": [1]})})
    config = space.sample(rng())
    config["c"].append(3)
    config["k"]["a"].append(3)
    assert space.sample(rng()) == space.default() == {"c": [1, 2], "k": {"a": [1]}}


# ---- mutation and crossing


def test_a_mutation_that_leaves_a_branch_samples_the_new_entries_and_keeps_the_rest() -> None:
    space = optimizers()
    config = {"lr": 0.1, "optimizer": "lbfgs", "units": 16, "layers": 4, "seed": 7}
    children = [space.mutate(config, rng(seed)) for seed in range(200)]
    moved = [child for child in children if child["optimizer"] == "sgd"]
    assert moved
    assert all(set(child) == {*config, "momentum", "nesterov"} for child in moved)
    assert any(child["lr"] == 0.1 and child["units"] == 16 and child["layers"] == 4 for child in moved)


def test_a_mutation_is_as_wide_as_its_strength() -> None:
    space = Space({"x": Float(0, 1)})
    steps = [space.mutate({"x": 0.5}, rng(seed), strength=0.05)["x"] - 0.5 for seed in range(500)]
    assert 0.04 < np.std(steps) < 0.06


def test_a_tiny_mutation_of_an_integer_goes_to_a_near_value() -> None:
    space = Space({"x": Int(0, 100)})
    found = [space.mutate({"x": 50}, rng(seed), strength=1e-6)["x"] for seed in range(100)]
    assert {49, 51} <= set(found) <= set(range(45, 50)) | set(range(51, 56))


@pytest.mark.parametrize("others", [0.0, 1.0])
def test_mutated_integers_drift_nowhere(others: float) -> None:
    """Where another entry may change instead: with nothing else in the space, each mutation has to move them."""
    space = Space({"x": Int(1, 8, log=True), "y": Int(0, 9), "z": Float(0, 1)})
    draws, config, seen = rng(), space.sample(rng()), []
    for _ in range(8000):
        config = space.mutate(config, draws, 0.3, others)
        seen.append(config)
    uniform = space.encode_many([space.sample(draws) for _ in range(8000)])
    assert np.allclose(space.encode_many(seen).mean(0), uniform.mean(0), atol=0.06)


def test_a_mutation_of_one_entry_changes_one() -> None:
    space = Space({name: Int(0, 9) for name in "abcd"})
    config = space.default()
    for seed in range(100):
        child = space.mutate(config, rng(seed), others=0.0)
        assert sum(child[name] != config[name] for name in child) == 1


def walked(space: Space, steps: int = 4000, strength: float = 0.1, resample: float = 0.0) -> list[Any]:
    """The values of "x" on a walk of perturbations."""
    draws, config, seen = rng(), space.sample(rng()), []
    for _ in range(steps):
        config = space.perturb(config, draws, strength, resample)
        space.validate(config)
        seen.append(config["x"])
    return seen


@pytest.mark.parametrize("strength", [0.05, 0.3])
def test_perturbed_integers_drift_nowhere(strength: float) -> None:
    """A walk visits every integer as often as the scale is wide there."""
    seen = walked(Space({"x": Int(1, 4)}), steps=8000, strength=strength)
    assert all(0.2 < seen.count(value) / len(seen) < 0.3 for value in (1, 2, 3, 4))
    logs = np.log(walked(Space({"x": Int(1, 100, log=True)}), steps=8000, strength=0.3))
    assert abs(np.mean(logs) - np.mean(np.log(walked(Space({"x": Int(1, 100, log=True)}), 4000, 0.3, 1.0)))) < 0.25


@settings(max_examples=20)
@given(st.integers(0, 100), st.floats(0.001, 0.05))
def test_a_perturbed_integer_goes_up_as_often_as_down(value: int, strength: float) -> None:
    space, draws = Space({"x": Int(-100, 200)}), rng()
    moves = [space.perturb({"x": value}, draws, strength, 0.0)["x"] - value for _ in range(400)]
    assert abs(np.mean(moves)) <= 4.5 * max(np.std(moves), 0.05) / 20


def test_a_perturbation_changes_options_only_by_drawing_them_anew() -> None:
    space = optimizers()
    config = {"lr": 0.1, "optimizer": "lbfgs", "units": 16, "layers": 4, "seed": 7}
    moved = [space.perturb(config, rng(seed), 0.1, 0.0) for seed in range(50)]
    assert {child["optimizer"] for child in moved} == {"lbfgs"}
    drawn = [space.perturb(config, rng(seed), 0.1, 0.3) for seed in range(200)]
    assert {child["optimizer"] for child in drawn} > {"lbfgs"}
    assert all(space.validate(child) == child for child in moved + drawn)


def test_a_perturbation_is_as_wide_as_its_strength_on_a_logarithmic_scale() -> None:
    space = Space({"x": Float(1e-4, 1, log=True)})
    steps = [math.log10(space.perturb({"x": 1e-2}, rng(seed), 0.05, 0.0)["x"]) + 2 for seed in range(500)]
    assert 0.17 < np.std(steps) < 0.23


def test_a_crossing_keeps_a_branch_together() -> None:
    space = optimizers()
    a = {"lr": 0.1, "optimizer": "sgd", "momentum": 0.1, "nesterov": True, "units": 16, "layers": 1, "seed": 7}
    b = {"lr": 0.01, "optimizer": "adam", "momentum": 0.9, "decay": "off", "units": 32, "layers": 2, "seed": 7}
    children = [space.cross(a, b, rng(seed)) for seed in range(100)]
    assert all(child["momentum"] == (0.1 if child["optimizer"] == "sgd" else 0.9) for child in children)
    assert {(child["lr"], child["optimizer"]) for child in children} == set(
        itertools.product([0.1, 0.01], ["sgd", "adam"])
    )


# ---- priors


def drawn(entry: Any, count: int = 4000) -> np.ndarray[Any, Any]:
    space, draws = Space({"x": entry}), rng(1)
    return np.array([space.sample(draws)["x"] for _ in range(count)])


def truncated(frozen: Any, low: float, high: float) -> Any:
    below, above = frozen.cdf(low), frozen.cdf(high)
    return lambda value: np.clip((frozen.cdf(value) - below) / (above - below), 0, 1)


@pytest.mark.parametrize(
    ("entry", "cdf"),
    [
        (Float(-2, 3), stats.uniform(-2, 5).cdf),
        (Float(1e-5, 1e-1, log=True), stats.loguniform(1e-5, 1e-1).cdf),
        (Float(-1, 5, prior=Normal(0, 1)), truncated(stats.norm(0, 1), -1, 5)),
        (Float(0, 1, prior=Normal(5, 0.5)), stats.truncnorm(-10, -8, 5, 0.5).cdf),
        (Float(10, 20, prior=Normal(0, 1)), stats.truncnorm(10, 20).cdf),
        (Float(1e-4, 1, log=True, prior=LogNormal(1e-2, 1.0)), truncated(stats.lognorm(1, scale=1e-2), 1e-4, 1)),
        (Float(0, 1, prior=LogNormal(0.1, 2.0)), truncated(stats.lognorm(2, scale=0.1), 0, 1)),
        (Float(0, 10, prior=Quantiles([0, 1, 10])), lambda v: np.interp(v, [0, 1, 10], [0, 0.5, 1])),
        (
            Float(0.5, 4, prior=Quantiles([0, 1, 10])),
            lambda v: np.interp(v, [0.5, 1, 4], [0, 0.25, 0.25 + 1 / 6]) * 2.4,
        ),
        (Float(0, 1, prior=stats.beta(2, 5)), stats.beta(2, 5).cdf),
        (Float(0.2, 3, prior=stats.expon()), truncated(stats.expon(), 0.2, 3)),
        (Float(0, 1, prior=Normal(1e9, 1e9)), stats.uniform().cdf),
    ],
)
def test_samples_of_a_float_follow_its_prior_truncated_to_the_range(entry: Float, cdf: Any) -> None:
    assert stats.kstest(drawn(entry), cdf).pvalue > 1e-3


def assert_frequencies(values: Any, expected: dict[Any, float], total: int) -> None:
    counts = Counter(values)
    assert set(counts) <= set(expected)
    scale = total / sum(expected.values())
    keep = [value for value in expected if expected[value] > 0]
    observed = [counts[value] for value in keep]
    assert stats.chisquare(observed, [expected[value] * scale for value in keep]).pvalue > 1e-3
    assert all(counts[value] == 0 for value in expected if expected[value] == 0)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (Int(1, 6), dict.fromkeys(range(1, 7), 1)),
        (Int(1, 5, log=True), {i: math.log((i + 0.5) / (i - 0.5)) for i in range(1, 6)}),
        (Int(0, 20, step=5), dict.fromkeys([0, 5, 10, 15, 20], 1)),
        (Int(-2, 2, prior=Normal(0, 1)), {i: stats.norm.cdf(i + 0.5) - stats.norm.cdf(i - 0.5) for i in range(-2, 3)}),
        (Float(0, 1, step=0.25, prior=Normal(0, 0.5)), {
            i / 4: stats.norm.cdf(i / 2 + 0.25) - stats.norm.cdf(i / 2 - 0.25) for i in range(5)
        }),
        (Int(0, 9, prior=stats.poisson(3)), {i: stats.poisson(3).pmf(i) for i in range(10)}),
        (Choice(["a", "b", "c"]), {"a": 1, "b": 1, "c": 1}),
        (Choice(["a", "b", "c"], prior=[1, 0, 3]), {"a": 1, "b": 0, "c": 3}),
        (Choice({"a": {}, "b": {}}, prior={"b": 3, "a": 1}), {"a": 1, "b": 3}),
        (Ordinal([1, 2, 4], prior=Weights([0.2, 0.5, 0.3])), {1: 0.2, 2: 0.5, 4: 0.3}),
    ],
)  # fmt: skip
def test_samples_of_a_discrete_entry_follow_its_prior(entry: Any, expected: dict[Any, float]) -> None:
    assert_frequencies(drawn(entry).tolist(), expected, 4000)


def test_every_entry_of_a_sample_is_independent_of_the_others() -> None:
    space, draws = Space({"x": Float(0, 1), "y": Float(0, 1)}), rng(5)
    pairs = np.array([list(space.sample(draws).values()) for _ in range(2000)])
    assert abs(np.corrcoef(pairs.T)[0, 1]) < 0.08


def test_the_default_without_one_is_the_middle_of_the_scale_or_of_the_prior() -> None:
    space = Space(
        {
            "a": Float(0, 1),
            "b": Float(1e-4, 1, log=True),
            "c": Float(0, 1, prior=Normal(0.3, 0.01)),
            "d": Choice(["x", "y"]),
            "e": Choice(["x", "y"], prior=[1, 2]),
            "f": Int(0, 10, default=7),
        }
    )
    assert space.default() == {
        "a": 0.5, "b": pytest.approx(0.01), "c": pytest.approx(0.3), "d": "x", "e": "y", "f": 7,
    }  # fmt: skip


# ---- constraints


def test_everything_that_is_made_satisfies_the_constraints() -> None:
    space = Space(
        {"units": Int(1, 1000), "layers": Int(1, 10), "kind": Choice({"wide": {"width": Int(1, 9)}, "deep": {}})},
        {"fits": "units * layers <= 2048", "narrow": "width < layers", "odd": lambda config: config["units"] % 2 == 1},
    )
    draws = rng()
    configs = [space.sample(draws) for _ in range(50)]
    configs += [space.mutate(config, draws) for config in configs]
    configs += [space.cross(a, b, draws) for a, b in itertools.pairwise(configs)]
    for config in configs:
        assert config["units"] * config["layers"] <= 2048
        assert config["units"] % 2 == 1
        assert config["kind"] == "deep" or config["width"] < config["layers"]
        assert config in space


def test_a_violated_constraint_is_named() -> None:
    space = Space({"x": Int(0, 9), "y": Int(0, 9)}, {"order": "x < y", "small": "x + y < 10"})
    assert space.satisfies({"x": 1, "y": 2}) is None
    assert space.satisfies({"x": 2, "y": 1}) == "order"
    with pytest.raises(SpaceError, match=r"'small' is violated\nIt says: x \+ y < 10"):
        space.validate({"x": 4, "y": 8})
    assert {"x": 2, "y": 1} not in space


def test_a_constraint_on_an_inactive_entry_is_satisfied() -> None:
    entries = {"c": Choice({"a": {"x": Int(0, 9)}, "b": {}})}
    for rule in ("x > 100", lambda config: config["x"] > 100):
        space = Space(entries, {"never": rule})
        assert {"c": "b"} in space
        assert {"c": "a", "x": 3} not in space


def test_an_unsatisfiable_constraint_is_named_after_a_bounded_number_of_tries() -> None:
    space = Space({"x": Float(0, 1), "y": Int(1, 2)}, {"fine": "y > 0", "never": "x > 2"})
    with pytest.raises(SpaceError, match=r"10000 tries.*'never'"):
        space.sample(rng())


@pytest.mark.parametrize(
    ("rule", "truth"),
    [
        ("1 < x < 5 <= y", True),
        ("1 < x < 3", False),
        ("not x == 3 or s in ['a', 'b']", True),
        ("s not in ('a',)", False),
        ("max(x, y) == y and min([x, y]) == x", True),
        ("abs(-x) + len(s) - len([1, 2]) == 2", True),
        ("x ** 2 % 4 == 1 and y // 2 == 4 and x / 2 == 1.5", True),
        ("-x < +y and b", True),
        ("n is None and s is not None", True),
        ("2 ** 0.5 < 1.5", True),
        (" x\t!= 3 ", False),
    ],
)
def test_expressions_mean_what_python_means(rule: str, truth: bool) -> None:
    space = Space(
        {"x": Int(0, 9), "y": Int(0, 9), "s": Choice(["a"]), "b": Constant(True), "n": Constant(None)}, {"r": rule}
    )
    assert space.contains({"x": 3, "y": 8, "s": "a", "b": True, "n": None}) is truth


@pytest.mark.parametrize(
    "rule",
    [
        "__import__('os').system('true')",
        "x.real > 1",
        "[y for y in [1]]",
        "(lambda: 1)()",
        "f'{x}'",
        "max(*[x, 1])",
        "max(x, 1, key=abs)",
        "x if x else 1",
        "x[0]",
        "open('x')",
        "x := 3",
        "x = 3",
        "x +",
        "",
        "import os",
        "1j < x",
        "b'a' == x",
        "(" * 300 + "x" + ")" * 300,
        "x" + "+1" * 2000,
        "x & 1",
        "...",
    ],
)
def test_forbidden_syntax_is_refused_and_names_the_constraint(rule: str) -> None:
    with pytest.raises(SpaceError, match="constraint 'rule'"):
        Space({"x": Int(0, 9)}, {"rule": rule})


def test_an_unknown_name_in_a_constraint_is_refused_with_the_nearest() -> None:
    with pytest.raises(SpaceError, match=r"'fits' mentions 'unit'\nDid you mean 'units'"):
        Space({"units": Int(0, 9)}, {"fits": "unit < 3"})
    with pytest.raises(SpaceError, match="neither a string nor callable"):
        Space({}, {"fits": 3})  # type: ignore[dict-item]


@pytest.mark.parametrize("rule", ["9 ** 9 ** 9 > x", "s * 10 ** 9 == s", "'%9999999d' % x == s", "x < s", "1 / x > 0"])
def test_an_expression_that_cannot_be_computed_or_would_fill_the_memory_is_an_error(rule: str) -> None:
    space = Space({"x": Constant(0), "s": Constant("a")}, {"rule": rule})
    with pytest.raises(SpaceError, match="constraint 'rule' cannot be computed"):
        space.sample(rng())


def test_a_function_is_stored_by_name_and_has_to_be_given_again() -> None:
    def odd(config: dict[str, Any]) -> bool:
        return bool(config["x"] % 2)

    space = Space({"x": Int(0, 9)}, {"odd": odd, "small": "x < 8"})
    data = json.loads(json.dumps(space.to_json()))
    assert data["constraints"] == {"odd": None, "small": "x < 8"}
    with pytest.raises(SpaceError, match="'odd' is a function"):
        Space.from_json(data)
    assert Space.from_json(data, {"odd": odd}) == space
    assert Space.from_json(data, {"odd": len}) != space
    with pytest.raises(SpaceError, match="no constraint or known number 'od'"):
        Space.from_json(data, {"od": odd})


def test_a_function_that_asks_for_what_never_existed_is_a_bug_that_shows() -> None:
    space = Space({"x": Int(0, 9)}, {"typo": lambda config: config["y"] > 1})
    with pytest.raises(KeyError):
        space.sample(rng())


def test_what_one_config_in_ten_thousand_satisfies_is_sampled_as_evenly_as_the_prior_says() -> None:
    space = Space({f"n{i}": Int(0, 9) for i in range(6)}, {"few": "n0 + n1 + n2 + n3 + n4 + n5 <= 3"})
    sums = [sum(space.sample(rng(seed)).values()) for seed in range(150)]
    found, expected = np.bincount(sums, minlength=4), 150 * np.array([1, 6, 21, 56]) / 84  # configs of each sum
    assert len(found) == 4
    assert ((found - expected) ** 2 / expected).sum() < 16.3  # 999 in 1,000 of chi-square with 3 degrees of freedom


def test_a_walk_follows_priors_and_conditions() -> None:
    thin = {"x": Float(0, 1), "y": Float(0, 1), "z": Float(0, 1, prior=Normal(0.2, 0.1))}
    space = Space({"net": Choice({"a": thin, "b": {"w": Float(0, 1)}})}, {"a": "net == 'a'", "near": "x + y <= 0.01"})
    configs = [space.sample(rng(seed)) for seed in range(60)]
    assert all(config["net"] == "a" and config["x"] + config["y"] <= 0.01 for config in configs)
    assert abs(np.mean([config["z"] for config in configs]) - 0.2) < 0.06
    assert len({config["x"] for config in configs}) == 60


@pytest.mark.parametrize(
    ("rule", "config", "far"),
    [
        ("x < 6 and y < 9", {"x": 9, "y": 11}, 3 / 15 + 2 / 20),
        ("x < 6 or y < 9", {"x": 9, "y": 11}, 2 / 20),
        ("1 <= x < 6", {"x": 9, "y": 0}, 3 / 15),
        ("x < 6", {"x": 6, "y": 0}, 1e-9),
        ("not x > 6", {"x": 9, "y": 0}, 1.0),
        ("x in [1, 2]", {"x": 9, "y": 0}, 1.0),
        ("x < 6", {"x": 5, "y": 0}, 0.0),
    ],
)
def test_a_violated_constraint_says_by_how_much(rule: str, config: dict[str, Any], far: float) -> None:
    assert Constraint("rule", rule, frozenset(config)).excess(config) == pytest.approx(far)


# ---- known numbers


def test_a_known_number_is_an_expression_or_a_function_and_constraints_may_use_it() -> None:
    entries = {"layers": Int(1, 8), "units": Int(1, 64)}
    space = Space(
        entries, {"small": "size <= 60"}, {"size": "layers * units", "half": lambda config: config["units"] / 2}
    )
    assert space.number("size", {"layers": 3, "units": 5}) == 15.0
    assert space.number("half", {"layers": 3, "units": 5}) == 2.5
    sizes = [space.number("size", space.sample(rng(seed))) for seed in range(100)]
    assert max(sizes) <= 60
    assert space.satisfies({"layers": 3, "units": 21}) == "small"


def test_a_number_that_needs_what_is_inactive_is_unknown_and_what_it_would_bound_is_allowed() -> None:
    entries = {"net": Choice({"none": {}, "deep": {"depth": Int(1, 9)}})}
    functions = {"cubed": lambda config: config["depth"] ** 3}
    space = Space(entries, {"low": "squared < 10 and cubed < 30"}, {"squared": "depth * depth", **functions})
    assert space.satisfies({"net": "none"}) is None
    assert space.satisfies({"net": "deep", "depth": 4}) == "low"
    for name in ("squared", "cubed"):
        with pytest.raises(SpaceError, match=f"'{name}' needs an entry that is not active"):
            space.number(name, {"net": "none"})


def test_known_numbers_come_back_from_json_and_from_pickle_and_stay_in_a_narrower_space() -> None:
    entries = {"layers": Int(1, 8), "units": Int(1, 64), "net": Choice({"a": {"x": Int(0, 3)}, "b": {}})}
    space = Space(entries, {"small": "size <= 60"}, {"size": "layers * units", "more": len})
    data = json.loads(json.dumps(space.to_json()))
    assert data["known"] == {"size": "layers * units", "more": None}
    with pytest.raises(SpaceError, match="known number 'more' is a function"):
        Space.from_json(data)
    assert Space.from_json(data, space.functions) == space == pickle.loads(pickle.dumps(space))
    assert Space(entries, {"small": "size <= 60"}, {"size": "layers + units", "more": len}) != space
    narrow = space.narrow({"layers": (7, 8), "net": ["b"]})
    assert all(narrow.number("size", narrow.sample(rng(seed))) <= 60 for seed in range(20))


@pytest.mark.parametrize(
    ("rule", "message"), [("1 / x", "cannot be computed"), ("s", "is 'a'"), ("1e308 * 10", "is inf")]
)
def test_a_number_that_is_none_is_an_error(rule: str, message: str) -> None:
    space = Space({"x": Constant(0), "s": Constant("a")}, known={"size": rule})
    with pytest.raises(SpaceError, match=f"known number 'size' {message}"):
        space.number("size", space.sample(rng()))


@pytest.mark.parametrize("name", ["x", "rule"])
def test_a_known_number_has_a_name_of_its_own(name: str) -> None:
    with pytest.raises(SpaceError, match=f"'{name}' has the name of"):
        Space({"x": Int(0, 9)}, {"rule": "x > 1"}, {name: "2 * x"})


# ---- validation


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer": 2}, r"'layer' is unknown\nDid you mean 'layers'"),
        ({"lr": None}, "lr: the value None is not a number"),
        ({"lr": True}, "lr: the value True is not a number"),
        ({"lr": "0.1"}, "lr: the value '0.1' is not a number"),
        ({"lr": 1.0}, r"lr: 1.0 is outside of \[1e-05, 0.1\]"),
        ({"lr": math.nan}, "lr: the value nan is not a finite number"),
        ({"layers": 2.0}, "layers: the value 2.0 is not an integer"),
        ({"layers": True}, "layers: the value True is not an integer"),
        ({"layers": 5}, r"layers: 5 is outside of \[1, 4\]"),
        ({"optimizer": "sdg"}, r"optimizer: 'sdg' is no option\nDid you mean 'sgd'"),
        ({"optimizer": {}}, "optimizer: {} is no option"),
        ({"momentum": 2}, r"optimizer=sgd/momentum: 2.0 is outside"),
        ({"nesterov": 1}, "optimizer=sgd/nesterov: 1 is no option"),
        ({"rate": 0.5}, r"'rate' is not active\nIt needs optimizer=adam/decay = 'on'"),
        ({"seed": 8}, "seed: 8 is not the constant 7"),
        ({3: 4}, "3 is unknown"),
    ],
)
def test_an_invalid_config_names_the_entry(change: dict[Any, Any], message: str) -> None:
    space = optimizers()
    config = {"lr": 0.1, "optimizer": "sgd", "momentum": 0.1, "nesterov": True, "units": 16, "layers": 1, "seed": 7}
    assert config in space
    with pytest.raises(SpaceError, match=message):
        space.validate({**config, **change})
    assert {**config, **change} not in space


def test_a_missing_entry_is_named_by_its_path() -> None:
    with pytest.raises(SpaceError, match="optimizer=sgd/momentum is missing"):
        optimizers().validate({"lr": 0.1, "optimizer": "sgd", "units": 16, "layers": 1, "seed": 7})
    with pytest.raises(SpaceError, match="a config is a mapping"):
        optimizers().validate([])  # type: ignore[arg-type]
    assert 3 not in optimizers()


def test_a_value_between_the_steps_is_refused_with_the_nearest_step() -> None:
    space = Space({"x": Float(0, 1, step=0.1), "y": Int(0, 9, step=3)})
    with pytest.raises(SpaceError, match=r"x: 0.25 is no step of 0.1 from 0.0"):
        space.validate({"x": 0.25, "y": 3})
    with pytest.raises(SpaceError, match="y: 4 is no step of 3 from 0"):
        space.validate({"x": 0.2, "y": 4})


def test_validation_returns_plain_python_values() -> None:
    space = Space({"x": Float(0, 9), "n": Int(0, 9), "c": Choice(["a", True]), "o": Ordinal([1.5, 2.5])})
    given_ = {"x": np.int64(3), "n": np.int32(4), "c": np.str_("a"), "o": np.float64(1.5)}
    found = space.validate(given_)
    assert found == {"x": 3.0, "n": 4, "c": "a", "o": 1.5}
    assert [type(value) for value in found.values()] == [float, int, str, float]
    assert space.encode(given_).tolist() == space.encode(found).tolist()


def test_an_invalid_config_or_point_cannot_be_encoded_or_decoded() -> None:
    space = optimizers()
    with pytest.raises(SpaceError, match="units is missing"):
        space.encode({"lr": 0.1, "optimizer": "lbfgs"})
    with pytest.raises(SpaceError, match="3 coordinates for a space of 9"):
        space.decode([0.1, 0.2, 0.3])
    with pytest.raises(SpaceError, match="the coordinate of units is nan"):
        space.decode([0.1, 0.9] + [math.nan] * 7)


# ---- another version of the space


def test_a_config_of_an_earlier_version_is_filled_with_explicit_defaults() -> None:
    old = {"lr": 0.01, "optimizer": "sgd"}
    entries: dict[str, Any] = {"lr": Float(1e-5, 1e-1, log=True), "optimizer": Choice(["sgd", "adam"])}
    assert Space({**entries, "layers": Int(1, 4, default=2)}).adopt(old) == {**old, "layers": 2}
    assert Space({**entries, "seed": Constant(3)}).adopt(old) == {**old, "seed": 3}
    branch = Choice({"on": {"rate": Float(0, 1, default=0.5)}, "off": {}}, default="on")
    assert Space({**entries, "decay": branch}).adopt(old) == {**old, "decay": "on", "rate": 0.5}
    assert Space({**entries, "layers": Int(1, 4)}).adopt(old) is None
    assert Space({"lr": Float(0.1, 1), "optimizer": entries["optimizer"]}).adopt(old) is None
    assert Space({"lr": entries["lr"]}).adopt(old) is None
    assert Space(entries, {"never": "lr > 1"}).adopt(old) is None


# ---- narrowing


def test_narrowing_keeps_what_is_still_valid() -> None:
    space = Space(
        {
            "x": Float(0, 1, default=0.5, prior=Normal(0.5, 0.1)),
            "c": Choice({"a": {"k": Int(0, 9)}, "b": {"k": Int(0, 5)}, "d": {}}, default="b", prior=[1, 2, 0]),
            "o": Ordinal([1, 2, 4, 8], default=4),
        },
        {"rule": "k < 5"},
    )
    part = space.narrow({"x": (0.4, 2), "c": ["b", "a"], "c=a/k": (3, 4), "o": [8, 1]})
    assert part.entries["x"] == Float(0.4, 1, default=0.5, prior=Normal(0.5, 0.1))
    assert part.entries["c"] == Choice({"a": {"k": Int(3, 4)}, "b": {"k": Int(0, 5)}}, default="b", prior=[1, 2])
    assert part.entries["o"] == Ordinal([1, 8])
    assert part.constraints == {"rule": "k < 5"}
    bare = space.narrow({"x": (0.6, 0.7), "c": ["d"]})
    assert bare.entries["x"] == Float(0.6, 0.7, prior=Normal(0.5, 0.1))
    assert bare.entries["c"] == Choice({"d": {}})
    assert bare.constraints == {}


def test_narrowing_stays_on_the_old_steps() -> None:
    space = Space({"x": Float(0, 1, step=0.1), "n": Int(0, 20, step=5), "l": Int(1, 1000, log=True)})
    part = space.narrow({"x": (0.25, 0.61), "n": (4, 11), "l": (2.5, 99.9)})
    assert part.entries == {"x": Float(0.3, 0.6, step=0.1), "n": Int(5, 10, step=5), "l": Int(3, 99, log=True)}
    point = space.narrow({"x": (0.32, 0.33), "n": (6, 6), "l": (7.2, 7.3)})
    assert point.size == 1
    assert point.sample(rng()) in space


def test_narrowing_to_one_value_leaves_the_coordinates_as_they_are() -> None:
    space = Space({"x": Float(0, 1), "y": Float(1e-3, 1, log=True), "n": Int(1, 9, log=True)})
    point = space.narrow({"x": (0.5, 0.5), "y": (0.1, 0.1), "n": (3, 3)})
    assert point.paths == space.paths
    assert point.size == 1
    assert point.sample(rng()) == point.mutate(point.default(), rng()) == {"x": 0.5, "y": 0.1, "n": 3}


def test_a_function_keeps_its_meaning_in_a_narrower_space() -> None:
    space = Space({"c": Choice({"a": {"x": Int(0, 9)}, "b": {}})}, {"rule": lambda config: config["x"] < 5})
    assert space.narrow({"c": ["b"]}).sample(rng()) == {"c": "b"}


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ({"lrr": (0, 1)}, r"no path 'lrr'\nDid you mean 'lr'"),
        ({"momentum": (0, 1)}, "no path 'momentum'"),
        ({"seed": [7]}, "no path 'seed'"),
        ({"lr": (1, 2)}, "lr: nothing of"),
        ({"lr": [0.1, 0.2, 0.3]}, "lr: a narrower range is a pair"),
        ({"optimizer": ["rms"]}, "optimizer: 'rms' is no option"),
        ({"optimizer": "sgd"}, "optimizer: a part of the options is a list"),
        ({"optimizer": []}, "optimizer: Choice: there is no option"),
    ],
)
def test_an_impossible_narrowing_is_refused(ranges: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        optimizers().narrow(ranges)


# ---- grids


def test_a_grid_numbers_every_config_once_through_the_branches() -> None:
    space = optimizers()
    grid = space.grid({"lr": 3, "optimizer=sgd/momentum": 2, "units": 2})
    branches = 2 * 2 + 5 * (5 + 1) + 1
    assert grid.size == 3 * branches * 2 * 4
    configs = list(grid)
    assert len({json.dumps(config) for config in configs}) == grid.size == len(configs)
    assert all(config in space for config in configs)
    assert configs[0]["layers"] == 1
    assert configs[1]["layers"] == 2


def test_a_huge_grid_is_counted_exactly_and_never_written_out() -> None:
    space = Space({f"x{i:02d}": Float(0, 1) for i in range(40)})
    grid = space.grid(10)
    assert grid.size == 10**40
    assert set(grid.point(0).values()) == {0.0}
    assert set(grid.point(10**40 - 1).values()) == {1.0}
    assert grid.point(7)["x39"] == pytest.approx(7 / 9)
    for index in (-1, 10**40):
        with pytest.raises(IndexError):
            grid.point(index)


def test_grid_levels_are_even_and_without_repeats() -> None:
    def levels(entry: Any, count: int) -> list[Any]:
        return [config["x"] for config in Space({"x": entry}).grid(count)]

    assert levels(Float(0, 1), 5) == [0, 0.25, 0.5, 0.75, 1]
    assert levels(Float(0, 1), 1) == [0.5]
    assert levels(Float(1e-2, 1, log=True), 3) == [0.01, pytest.approx(0.1), 1.0]
    assert levels(Int(1, 3), 10) == [1, 2, 3]
    assert levels(Int(0, 10), 3) == [0, 5, 10]
    assert levels(Int(1, 4, log=True), 10) == [1, 2, 3, 4]
    assert levels(Float(0, 1, step=0.1), 3) == [0, 0.5, 1]
    assert levels(Choice(["a", [1]]), 1) == ["a", [1]]


def test_wrong_grid_levels_are_refused() -> None:
    with pytest.raises(SpaceError, match="no path 'momentum'"):
        optimizers().grid({"momentum": 3})
    with pytest.raises(SpaceError, match="lr: 0 levels"):
        _ = optimizers().grid({"lr": 0}).size


# ---- construction


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Float(1, 0), "low 1.0 is above high 0.0"),
        (lambda: Float(0, 1, log=True), "low 0.0 has no logarithm"),
        (lambda: Int(-1, 5, log=True), "low -1 has no logarithm"),
        (lambda: Float(0, math.inf), "high inf is not a finite number"),
        (lambda: Float(math.nan, 1), "low nan is not a finite number"),
        (lambda: Float("0", 1), "low '0' is not a number"),
        (lambda: Float(True, 2), "low True is not a number"),
        (lambda: Float(-1.7e308, 1.7e308), "too wide"),
        (lambda: Float(1e-300, 1e100, log=True), "too wide"),
        (lambda: Float(0, 1, step=0.3), r"step 0.3 does not divide the range from 0.0 to 1.0\nUse high=0.9"),
        (lambda: Int(0, 10, step=4), r"step 4 does not divide the range from 0 to 10\nUse high=8"),
        (lambda: Float(0, 1, step=0), "step 0.0 is not above 0"),
        (lambda: Int(0, 9, step=-1), "step -1 is not above 0"),
        (lambda: Float(0, 1, step=1e-300), "too small"),
        (lambda: Float(1e16, 1e16 + 10, step=1), "too small"),
        (lambda: Float(1, 2, log=True, step=0.1), "log and step do not go together"),
        (lambda: Int(1, 9, log=True, step=2), "log and step do not go together"),
        (lambda: Int(0, 2**53 + 1), r"2\*\*53"),
        (lambda: Int(0.0, 3), "low 0.0 is not an integer"),
        (lambda: Float(0, 1, default=2), r"the default: 2.0 is outside of \[0.0, 1.0\]"),
        (lambda: Int(0, 9, step=3, default=4), "the default: 4 is no step"),
        (lambda: Choice([]), "Choice: there is no option"),
        (lambda: Choice({}), "Choice: there is no option"),
        (lambda: Ordinal([]), "Ordinal: there is no option"),
        (lambda: Choice("abc"), "a list of values"),
        (lambda: Choice(["a", "a"]), "listed twice"),
        (lambda: Choice([1, 1.0]), "listed twice"),
        (lambda: Choice([math.nan]), "nan is no JSON number"),
        (lambda: Choice([object()]), "no JSON value"),
        (lambda: Constant({3: 1}), "the name 3 is no string"),
        (lambda: Choice(["a"], default="b"), "the default: 'b' is no option"),
        (lambda: Choice({3: {}}), "the name of a branch is a string, not 3"),
        (lambda: Choice({"a": 3}), "a mapping from name to entry is needed, not 3"),
        (lambda: Choice(["a", "b"], prior=[1]), "1 weights for 2 options"),
        (lambda: Choice(["a", "b"], prior={"c": 1}), r"weighs \['c'\], which is no option"),
        (lambda: Choice(["a"], prior=Normal(0, 1)), "is no list of weights"),
        (lambda: Weights([0, 0]), "all weights are zero"),
        (lambda: Weights([-1, 2]), "0 or more"),
        (lambda: Normal(0, 0), "std 0 is not a positive number"),
        (lambda: Normal(math.nan, 1), "mean nan"),
        (lambda: LogNormal(0, 1), "median 0 is not positive"),
        (lambda: LogNormal(1, -1), "sigma -1 is not positive"),
        (lambda: Quantiles([1]), "at least two"),
        (lambda: Quantiles([1, 0]), "may not fall"),
        (lambda: Quantiles([0, math.inf]), "finite"),
        (lambda: Float(0, 1, prior=Normal(100, 1)), "leaves no probability"),
        (lambda: Float(-2, -1, prior=LogNormal(1, 1)), "leaves no probability"),
        (lambda: Float(0, 1, prior=Quantiles([2, 3])), "leaves no probability"),
        (lambda: Float(0, 1, prior=stats.uniform(2, 1)), "leaves no probability"),
        (lambda: Float(0, 1, prior=[1, 2]), "is no prior of a number"),
        (lambda: Space({"": Constant(1)}), "the name of an entry is a string, not ''"),
        (lambda: Space({3: Constant(1)}), "the name of an entry is a string, not 3"),
        (lambda: Space({"a/b": Constant(1)}), "contains '/' or '='"),
        (lambda: Space([1]), "a mapping from name to entry"),
        (lambda: Space({"a": [1], "c": Choice({"x": {"a": [2]}})}), "a name twice: 'a' stands at a and at c=x/a"),
        (lambda: Space({"c": Choice({"x": {"c": Int(0, 1)}})}), "a name twice: 'c' stands at c and at c=x/c"),
        (
            lambda: Space({"c": Choice({"x": {"a": Int(0, 1)}}), "d": Choice({"y": {"a": Int(0, 1)}})}),
            "a name twice: 'a' stands at c=x/a and at d=y/a",
        ),
        (
            lambda: Space({"c": Choice({"a/b": {"x": 1}, "a": {"b/x": 1}})}),
            "contains '/'",
        ),
        (
            lambda: Space({"c": Choice({"a": {"d": Choice({"b": {"x": [1]}})}, "a/d=b": {"x": [1]}})}),
            "two entries have the path 'c=a/d=b/x'",
        ),
    ],
)  # fmt: skip
def test_a_mistake_in_a_space_is_refused(build: Any, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        build()


def test_a_name_may_stand_in_two_branches_of_one_choice() -> None:
    space = optimizers()
    assert {path for path in space.paths if path.endswith("momentum")} == {
        "optimizer=sgd/momentum",
        "optimizer=adam/momentum",
    }


# ---- files


def test_a_study_file_may_use_shorthands() -> None:
    text = """
    batch = [16, 32, 64]
    seed = 7
    [lr]
    type = "float"
    low = 1e-5
    high = 0.1
    log = true
    [layers]
    low = 1
    high = 4
    [dropout]
    low = 0
    high = 1.0
    prior = {type = "normal", mean = 0.1, std = 0.2}
    [optimizer]
    type = "choice"
    options = ["adam", "sgd"]
    prior = {sgd = 2, adam = 1}
    [optimizer.branches.sgd.momentum]
    type = "float"
    low = 0
    high = 0.99
    [depth]
    type = "choice"
    [depth.branches.deep]
    blocks = {low = 2, high = 9}
    [depth.branches.flat]
    [size]
    values = ["s", "m", "l"]
    [constraints]
    fits = "layers * batch <= 128"
    """
    space = Space.from_json(tomllib.loads(text))
    assert space == Space(
        {
            "batch": Choice([16, 32, 64]),
            "seed": Constant(7),
            "lr": Float(1e-5, 0.1, log=True),
            "layers": Int(1, 4),
            "dropout": Float(0, 1, prior=Normal(0.1, 0.2)),
            "optimizer": Choice({"adam": {}, "sgd": {"momentum": Float(0, 0.99)}}, prior=[1, 2]),
            "depth": Choice({"deep": {"blocks": Int(2, 9)}, "flat": {}}),
            "size": Ordinal(["s", "m", "l"]),
        },
        {"fits": "layers * batch <= 128"},
    )
    assert Space.of(space) is space
    assert Space.of(tomllib.loads(text)) == space
    assert Space.of({"x": Float(0, 1), "y": ["a"]}) == Space({"x": Float(0, 1), "y": Choice(["a"])})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"lr": {"type": "float", "low": 0, "hihg": 1}}, r"lr: 'hihg' is no setting of .*\nDid you mean 'high'"),
        ({"lr": {"type": "flaot", "low": 0, "high": 1}}, r"lr: unknown type 'flaot'\nDid you mean 'float'"),
        ({"lr": {"low": 0}}, "lr: type 'int' needs 'high'"),
        ({"lr": {}}, "lr: there is no type"),
        ({"lr": {"low": 2, "high": 1}}, "lr: low 2 is above high 1"),
        ({"c": {"branches": {"a": {"x": {"low": 2, "high": 1}}}}}, "c=a/x: low 2 is above high 1"),
        ({"c": {"branches": {"a": {"d": {"branches": {"b": {"x": {}}}}}}}}, "c=a/d=b/x: there is no type"),
        ({"c": {"options": ["b"], "branches": {"a": {}}}}, "c: branch 'a' is none of the options"),
        ({"c": {"branches": ["a"]}}, "c: branches is a mapping"),
        ({"c": []}, "c: Choice: there is no option"),
        ({"x": {"low": 0, "high": 1, "prior": {"type": "norma"}}}, "x: unknown prior"),
        ({"x": {"low": 0, "high": 1, "prior": {"type": "normal", "mu": 0}}}, "x: prior normal: .*mu"),
        ({"entries": {}, "lr": 3}, "'lr' beside 'entries'"),
        ({"constraints": "x < 3"}, "constraints is a mapping"),
        ([1], "a mapping from name to entry"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_file_names_the_path(data: Any, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        Space.from_json(data)


def test_the_printed_space_is_python_that_makes_it() -> None:
    space = Space(
        {**optimizers().entries, "p": Float(0, 1, prior=Normal(0, 1)), "q": Choice(["a"], prior=[2])},
        {"r": "layers < 3"},
    )
    assert eval(repr(space)) == space
    assert repr(Float(1e-5, 0.1, log=True)) == "Float(1e-05, 0.1, log=True)"


def test_spaces_are_equal_by_value() -> None:
    assert optimizers() == optimizers()
    assert len({optimizers(), optimizers(), ten()}) == 2
    assert Space({"x": Int(0, 1)}) != Space({"x": Float(0, 1)})
    assert Space({"x": Int(0, 1)}, {"r": "x > 0"}) != Space({"x": Int(0, 1)})
    assert Space({}) != {}


# ---- speed


def test_a_sample_of_ten_entries_takes_microseconds() -> None:
    space, draws = ten(), rng()
    units = space.encode(space.sample(draws))

    def fastest(task: Any) -> float:
        times = []
        for _ in range(5):
            start = time.perf_counter()
            for _ in range(500):
                task()
            times.append((time.perf_counter() - start) / 500)
        return min(times)

    assert fastest(lambda: space.sample(draws)) < 60e-6  # about 7 on a quiet machine
    assert fastest(lambda: space.decode(units)) < 60e-6


def test_a_bound_of_minus_zero_is_zero():
    space = Space({"x": Float(-0.0, 0.0), "y": Float(-1.0, -0.0)})
    config = space.decode([0.5, 1.0])
    assert str(config) == "{'x': 0.0, 'y': 0.0}"
    assert str(space.decode(space.encode(config))) == str(config)
