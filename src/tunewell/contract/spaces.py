"""The laws of a space. One of your own, with entries or constraints of your own, is tested by a subclass of two lines:

class TestMySpace(SpaceContract):
    space = Space({"lr": Float(1e-5, 1e-1, log=True)})
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import pytest

from tunewell.errors import SpaceError
from tunewell.space import Config, Space


class SpaceContract:
    """What every method and every log relies on. `draws` is how many random configs are looked at."""

    space: ClassVar[Space]
    draws: ClassVar[int] = 100

    @pytest.fixture
    def rng(self) -> np.random.Generator:
        """Randomness that is the same in every run."""
        return np.random.default_rng(0)

    def configs(self, rng: np.random.Generator) -> Iterator[Config]:
        """Configs that the space itself made, in every way it has."""
        before = self.space.sample(rng)
        for _ in range(self.draws):
            config = self.space.sample(rng)
            yield from (config, self.space.cross(before, config, rng))
            if self.space.size > 1 and not self.space.constraints:
                yield self.space.mutate(config, rng)
            if not self.space.constraints:
                yield self.space.perturb(config, rng)
            before = config

    def test_every_config_that_it_makes_lies_in_it(self, rng: np.random.Generator) -> None:
        assert all(self.space.validate(config) == config for config in self.configs(rng))

    def test_a_config_is_plain_json(self, rng: np.random.Generator) -> None:
        assert all(json.loads(json.dumps(config)) == config for config in self.configs(rng))

    def test_the_unit_cube_and_back_is_exact(self, rng: np.random.Generator) -> None:
        for config in self.configs(rng):
            unit = self.space.encode(config)
            assert unit.shape == (len(self.space.paths),)
            assert np.all(np.isnan(unit) | ((unit >= 0) & (unit <= 1)))
            assert self.space.decode(unit) == config

    def test_any_point_of_the_cube_is_a_config(self, rng: np.random.Generator) -> None:
        for _ in range(self.draws):
            config = self.space.decode(rng.random(len(self.space.paths)))
            assert self.space.satisfies(config) is not None or config in self.space

    def test_the_same_randomness_makes_the_same_config(self) -> None:
        first, second = (list(self.configs(np.random.default_rng(1))) for _ in range(2))
        assert first == second

    def test_arguments_stay_as_they_are(self, rng: np.random.Generator) -> None:
        for make in self._makers():
            one, two = self.space.sample(rng), self.space.sample(rng)
            kept = json.dumps([one, two])
            make(one, two, rng)
            assert json.dumps([one, two]) == kept

    def _makers(self) -> list[Callable[[Config, Config, np.random.Generator], Any]]:
        space = self.space
        makers: list[Callable[[Config, Config, np.random.Generator], Any]] = [
            space.cross,
            lambda one, two, rng: space.encode(one),
            lambda one, two, rng: space.validate(two),
        ]
        if space.size > 1 and not space.constraints:
            makers.append(lambda one, two, rng: space.mutate(one, rng))
        if not space.constraints:
            makers.append(lambda one, two, rng: space.perturb(one, rng))
        return makers

    def test_it_comes_back_from_json(self) -> None:
        again = Space.from_json(json.loads(json.dumps(self.space.to_json())), self.space.functions)
        assert again == self.space
        assert hash(again) == hash(self.space)

    def test_a_stranger_is_refused_by_name(self, rng: np.random.Generator) -> None:
        config = self.space.sample(rng)
        with pytest.raises(SpaceError, match="no such entry of mine"):
            self.space.validate({**config, "no such entry of mine": 1})

    def test_a_narrowed_part_lies_in_it(self, rng: np.random.Generator) -> None:
        for path, kind in [(dimension.path, dimension.kind) for dimension in self.space.dimensions]:
            values = sorted(self._values(path, rng)) if kind in ("float", "int") else []
            if len(values) < 2 or self.space.constraints:
                continue
            part = self.space.narrow({path: (values[0], values[-1])})
            assert part.paths == self.space.paths
            assert all(part.sample(rng) in self.space for _ in range(20))

    def _values(self, path: str, rng: np.random.Generator) -> list[Any]:
        """Values of one number that occur."""
        place = self.space.paths.index(path)
        name = self.space.dimensions[place].name
        configs = [self.space.sample(rng) for _ in range(self.draws)]
        return [config[name] for config in configs if not math.isnan(self.space.encode(config)[place])]
