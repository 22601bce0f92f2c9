from __future__ import annotations

from tunewell.contract.methods import MethodContract
from tunewell.methods.random import Random


class TestRandom(MethodContract):
    method = Random()
