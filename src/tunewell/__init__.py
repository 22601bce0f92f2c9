"""tunewell tunes hyperparameters: every way to tune, behind one small interface.

    import tunewell as tw

    study = tw.tune(train, {"lr": tw.Float(1e-5, 1e-1, log=True)}, minimize="loss", trials=50)
    print(study.best)

The names below are the public ones. They are imported when first used, so that `import tunewell` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunewell.errors import (
        CheckpointError,
        Conflict,
        FileError,
        GradientError,
        MissingExtra,
        NotAStudy,
        ObjectiveError,
        Released,
        SpaceError,
        Stale,
        StoreError,
        StudyError,
        TooNew,
        TunewellError,
        Unsupported,
    )
    from tunewell.executors.inline import Inline
    from tunewell.executors.processes import Processes
    from tunewell.executors.run import Run
    from tunewell.executors.simulated import Simulated
    from tunewell.honest.compare import Comparison, compare
    from tunewell.honest.vault import Rows, Sealed, Split
    from tunewell.live import LiveStudy, open_study
    from tunewell.loop import run, tune
    from tunewell.method import Method, cite
    from tunewell.methods.auto import Auto
    from tunewell.methods.avoid import Avoid
    from tunewell.methods.bayes import Bayes
    from tunewell.methods.cmaes import CMAES
    from tunewell.methods.compose import Take, Then
    from tunewell.methods.confirm import Confirm
    from tunewell.methods.enough import Enough
    from tunewell.methods.evolution import Evolution
    from tunewell.methods.folds import CrossValidation
    from tunewell.methods.freezethaw import FreezeThaw
    from tunewell.methods.grid import Grid
    from tunewell.methods.halving import ASHA, Halving, Hyperband
    from tunewell.methods.hypergradient import HyperGradient
    from tunewell.methods.localsearch import LocalSearch
    from tunewell.methods.nsga2 import NSGA2
    from tunewell.methods.pbt import PBT
    from tunewell.methods.quasirandom import Halton, LatinHypercube, Sobol
    from tunewell.methods.random import Random
    from tunewell.methods.repeat import Race, Repeat
    from tunewell.methods.rewind import Rewind
    from tunewell.methods.schedule import Schedule, schedule_of
    from tunewell.methods.sharing import WeightSharing
    from tunewell.methods.stopped import MedianStop, Patience, Stopped
    from tunewell.methods.tpe import TPE
    from tunewell.methods.unique import Unique
    from tunewell.methods.zoom import Zoom
    from tunewell.nesting import Nested, nested
    from tunewell.replay import verify
    from tunewell.space import (
        Blocks,
        Cell,
        Choice,
        Constant,
        Float,
        Grammar,
        Int,
        LogNormal,
        Normal,
        Ordinal,
        Quantiles,
        Space,
        Weights,
        unflatten,
    )
    from tunewell.stores.address import open_store
    from tunewell.stores.memory import MemoryStore
    from tunewell.stores.sql import SqlStore
    from tunewell.study import (
        Act,
        Best,
        Front,
        Goal,
        Importance,
        Job,
        Limits,
        Report,
        Result,
        Steps,
        Study,
        Tradeoff,
        Trial,
    )

__version__ = "0.1.0"

_HOMES = {
    "tunewell.errors": "TunewellError SpaceError StudyError Unsupported ObjectiveError GradientError FileError "
    "CheckpointError MissingExtra StoreError NotAStudy TooNew Conflict Stale Released",
    "tunewell.executors.inline": "Inline",
    "tunewell.executors.processes": "Processes",
    "tunewell.executors.run": "Run",
    "tunewell.executors.simulated": "Simulated",
    "tunewell.honest.compare": "Comparison compare",
    "tunewell.honest.vault": "Rows Sealed Split",
    "tunewell.live": "LiveStudy open_study",
    "tunewell.loop": "run tune",
    "tunewell.method": "Method cite",
    "tunewell.methods.auto": "Auto",
    "tunewell.methods.avoid": "Avoid",
    "tunewell.methods.bayes": "Bayes",
    "tunewell.methods.cmaes": "CMAES",
    "tunewell.methods.compose": "Take Then",
    "tunewell.methods.confirm": "Confirm",
    "tunewell.methods.freezethaw": "FreezeThaw",
    "tunewell.methods.folds": "CrossValidation",
    "tunewell.methods.enough": "Enough",
    "tunewell.methods.evolution": "Evolution",
    "tunewell.methods.grid": "Grid",
    "tunewell.methods.halving": "ASHA Halving Hyperband",
    "tunewell.methods.hypergradient": "HyperGradient",
    "tunewell.methods.localsearch": "LocalSearch",
    "tunewell.methods.nsga2": "NSGA2",
    "tunewell.methods.pbt": "PBT",
    "tunewell.methods.quasirandom": "Halton LatinHypercube Sobol",
    "tunewell.methods.random": "Random",
    "tunewell.methods.repeat": "Race Repeat",
    "tunewell.methods.rewind": "Rewind",
    "tunewell.methods.sharing": "WeightSharing",
    "tunewell.methods.schedule": "Schedule schedule_of",
    "tunewell.methods.stopped": "MedianStop Patience Stopped",
    "tunewell.methods.tpe": "TPE",
    "tunewell.methods.unique": "Unique",
    "tunewell.methods.zoom": "Zoom",
    "tunewell.nesting": "Nested nested",
    "tunewell.space": "Blocks Cell Choice Constant Float Grammar Int LogNormal Normal Ordinal Quantiles Space Weights "
    "unflatten",
    "tunewell.stores.address": "open_store",
    "tunewell.stores.memory": "MemoryStore",
    "tunewell.stores.sql": "SqlStore",
    "tunewell.study": "Act Best Front Goal Importance Job Limits Report Result Steps Study Tradeoff Trial",
    "tunewell.replay": "verify",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = [  # noqa: RUF022  # the plain order, in which TPE is a name like the others
    "ASHA",
    "Act",
    "Auto",
    "Avoid",
    "Bayes",
    "Best",
    "Blocks",
    "CMAES",
    "Cell",
    "CheckpointError",
    "Choice",
    "Comparison",
    "Confirm",
    "Conflict",
    "Constant",
    "CrossValidation",
    "Enough",
    "Evolution",
    "FileError",
    "Float",
    "FreezeThaw",
    "Front",
    "Goal",
    "GradientError",
    "Grammar",
    "Grid",
    "Halton",
    "Halving",
    "HyperGradient",
    "Hyperband",
    "Importance",
    "Inline",
    "Int",
    "Job",
    "LatinHypercube",
    "Limits",
    "LiveStudy",
    "LocalSearch",
    "LogNormal",
    "MedianStop",
    "MemoryStore",
    "Method",
    "MissingExtra",
    "NSGA2",
    "Nested",
    "Normal",
    "NotAStudy",
    "ObjectiveError",
    "Ordinal",
    "PBT",
    "Patience",
    "Processes",
    "Quantiles",
    "Race",
    "Random",
    "Released",
    "Repeat",
    "Report",
    "Result",
    "Rewind",
    "Rows",
    "Run",
    "Schedule",
    "Sealed",
    "Simulated",
    "Sobol",
    "Space",
    "SpaceError",
    "Split",
    "SqlStore",
    "Stale",
    "Steps",
    "Stopped",
    "StoreError",
    "Study",
    "StudyError",
    "TPE",
    "Take",
    "Then",
    "TooNew",
    "Tradeoff",
    "Trial",
    "TunewellError",
    "Unique",
    "Unsupported",
    "WeightSharing",
    "Weights",
    "Zoom",
    "cite",
    "compare",
    "nested",
    "open_store",
    "open_study",
    "run",
    "schedule_of",
    "tune",
    "unflatten",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tunewell' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
