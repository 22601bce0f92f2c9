"""Networks whose shape is searched, in PyTorch: built from configs and drawn.

    program.py       Program: what a grammar derives, as a tree
    building.py      from a config to a module: cells and programs
    drawing.py       cells and programs as SVG

The names below are imported when first used; what makes modules needs PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tunewell.errors import MissingExtra

if TYPE_CHECKING:
    from tunewell.architecture.building import CellNetwork, build
    from tunewell.architecture.drawing import draw_cell, draw_program
    from tunewell.architecture.program import Program

_HOMES = {
    "building": "CellNetwork build",
    "drawing": "draw_cell draw_program",
    "program": "Program",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = [  # the plain order, as in tunewell
    "CellNetwork",
    "Program",
    "build",
    "draw_cell",
    "draw_program",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tunewell.architecture' has no attribute {name!r}")
    try:
        module = importlib.import_module(f"{__name__}.{_HOME[name]}")
    except ImportError as error:
        if error.name != "torch":
            raise
        told = f"tunewell.architecture.{name} needs PyTorch"
        raise MissingExtra(told, hint="pip install 'tunewell[torch]'") from error
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
