"""Networks whose shape is searched, in PyTorch: built from configs, measured, drawn, and with weights that they share.

    program.py       Program: what a grammar derives, as a tree
    building.py      from a config to a module: cells and programs
    drawing.py       cells, programs and blocks as SVG
    measure.py       parameters, operations, latency, memory of a module
    proxies.py       synflow, naswot, jacobian_covariance: scores of a module that nobody has trained
    standings.py     standings: how well such scores rank, beside the number of parameters
    relaxed.py       Relaxed: a mixture of all operations at each place of a cell, and what is derived from it
    gpt.py           GPT: a small transformer of any shape
    supernet.py      Supernet: the weights of the largest network, and all others as slices of them
    sampling.py      Uniform, Sandwich: which sub-networks a step trains

The names below are imported when first used; what makes modules needs PyTorch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunewell.late import late

if TYPE_CHECKING:
    from tunewell.architecture.building import CellNetwork, build
    from tunewell.architecture.drawing import draw_blocks, draw_cell, draw_program
    from tunewell.architecture.gpt import GPT
    from tunewell.architecture.measure import latency, memory, operations, parameters
    from tunewell.architecture.program import Program
    from tunewell.architecture.proxies import jacobian_covariance, naswot, synflow
    from tunewell.architecture.relaxed import Relaxed, RelaxedCell, alternate, curvature, is_steepening
    from tunewell.architecture.sampling import Sandwich, Uniform, slope
    from tunewell.architecture.standings import Standing, standings
    from tunewell.architecture.supernet import Supernet

_HOMES = {
    "building": "CellNetwork build",
    "drawing": "draw_blocks draw_cell draw_program",
    "gpt": "GPT",
    "measure": "latency memory operations parameters",
    "program": "Program",
    "proxies": "jacobian_covariance naswot synflow",
    "relaxed": "Relaxed RelaxedCell alternate curvature is_steepening",
    "sampling": "Sandwich Uniform slope",
    "standings": "Standing standings",
    "supernet": "Supernet",
}

__all__ = [  # noqa: RUF022  # the plain order, as in tunewell
    "CellNetwork",
    "GPT",
    "Program",
    "Relaxed",
    "RelaxedCell",
    "Sandwich",
    "Standing",
    "Supernet",
    "Uniform",
    "alternate",
    "build",
    "curvature",
    "draw_blocks",
    "draw_cell",
    "draw_program",
    "is_steepening",
    "jacobian_covariance",
    "latency",
    "memory",
    "naswot",
    "operations",
    "parameters",
    "slope",
    "standings",
    "synflow",
]


__getattr__ = late(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
