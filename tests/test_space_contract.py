"""The laws of a space, on the spaces of the contract of methods."""

import pytest

from tunewell.contract.methods import SPACES
from tunewell.contract.spaces import SpaceContract


@pytest.mark.parametrize("kind", SPACES)
class TestSpaces(SpaceContract):
    @pytest.fixture(autouse=True)
    def _choose(self, kind, monkeypatch):
        monkeypatch.setattr(type(self), "space", SPACES[kind], raising=False)
