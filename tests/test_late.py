"""Names that are imported when first used, where PyTorch is not installed."""

from __future__ import annotations

import subprocess
import sys

import pytest

ASKED = """
import sys
sys.modules["torch"] = None  # as if it were not installed
import {package} as package
from tunewell.errors import MissingExtra
assert package.{free}.__name__ == "{free}" and "{free}" in vars(package)
try:
    package.{needs}
except MissingExtra as error:
    print(error)
try:
    package.unheard_of
except AttributeError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("package", "free", "needs"),
    [("tunewell.architecture", "Program", "build"), ("tunewell.hypergradient", "Ridge", "reverse")],
)
def test_what_needs_pytorch_asks_for_it_and_all_else_is_there(package: str, free: str, needs: str) -> None:
    script = ASKED.format(package=package, free=free, needs=needs)
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert f"{package}.{needs} needs PyTorch" in said
    assert "pip install 'tunewell[torch]'" in said
    assert f"module '{package}' has no attribute 'unheard_of'" in said
