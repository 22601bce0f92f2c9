"""Quasi-random search: points that fill the unit cube more evenly than independent ones.

Point i of a study is a function of the study's seed and i alone, so that no state has to be kept: points are computed
in blocks, which a cache remembers, and the number of the next point is read from the tags of the jobs.

A. B. Owen: Scrambling Sobol' and Niederreiter-Xing points. Journal of Complexity 14, 1998.
A. B. Owen: A randomized Halton algorithm in R. arXiv:1706.02808, 2017.
M. D. McKay, R. J. Beckman, W. J. Conover: A comparison of three methods for selecting values of input variables in the
analysis of output from a computer code. Technometrics 21, 1979.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from typing import Any, ClassVar

import numpy as np

from tunewell.errors import Unsupported
from tunewell.methods.plan import asked_for, first_allowed, next_place
from tunewell.space import Config
from tunewell.study import Job, Study

Points = np.ndarray[Any, np.dtype[np.float64]]

_NUMBERS = 2**18
"""How many coordinates a block holds at most."""

_AHEAD = 1000
"""How many points are looked at for one that is new, before one is repeated: a small space has no more."""


@dataclass(frozen=True)
class QuasiRandom:
    """What the three have in common: the plan is the sequence of points, without those that violate a constraint.

    A config that the study has asked for is left out while there are new ones. Options of a Choice, steps and integers
    have equal cells of the unit interval, and so has each depth of a program. Priors of the space are not followed:
    these sequences cover the ranges evenly.
    """

    scramble: bool = field(default=True, kw_only=True)

    def points(self, block: int, dimensions: int, seed: int) -> Points:
        """Block number `block` of the sequence, `(n, dimensions)`; the empty array where the sequence has ended."""
        raise NotImplementedError

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """The next point of the sequence, trained to the end."""
        first, asked = next_place(study), asked_for(study.root)
        ahead = range(first, first + _AHEAD) if len(asked) < study.space.size else ()
        job = first_allowed(study, self._configs(study, ahead), but=asked)
        return job or first_allowed(study, self._configs(study, count(first)))

    def _configs(self, study: Study, places: Iterable[int]) -> Iterator[tuple[int, Config]]:
        """The points at some places of the sequence, as far as it goes."""
        space = study.space
        for place in places:
            point = _point(self, place, len(space.paths), study.seed)
            if point is None:
                return
            yield place, space.spread(point)


def _point(method: QuasiRandom, index: int, dimensions: int, seed: int) -> Points | None:
    """Point number `index`, `(dimensions,)`, or None after the last."""
    size = len(_block(method, 0, dimensions, seed))
    block = _block(method, index // size, dimensions, seed)
    row: Points | None = block[index % size] if len(block) else None
    return row


@lru_cache(maxsize=16)
def _block(method: QuasiRandom, block: int, dimensions: int, seed: int) -> Points:
    # A space of constants has no dimension, and one point.
    points = method.points(block, dimensions, seed) if dimensions else np.zeros((1, 0))
    points.setflags(write=False)
    return points


def _forward(sequence: Any, block: int) -> Points:
    """Block number `block` of a sequence of scipy's; its size is a power of two, as Sobol's sequence wants it."""
    size = 1 << max(0, min(10, (_NUMBERS // sequence.d).bit_length() - 1))
    if block:  # scipy refuses to go forward by 0
        sequence.fast_forward(block * size)
    points: Points = sequence.random(size)
    return points


@dataclass(frozen=True)
class Sobol(QuasiRandom):
    """Sobol's sequence with Owen's scrambling: the first 2**k points fill the space most evenly. Never ends.

    Raises Unsupported for a space of more dimensions than the sequence has.
    Reference: Owen, Journal of Complexity 14, 1998.
    """

    reference: ClassVar[str] = """
@article{owen1998scrambling,
  title={Scrambling {Sobol'} and {Niederreiter-Xing} points},
  author={Owen, Art B.},
  journal={Journal of Complexity},
  volume={14},
  number={4},
  pages={466--489},
  year={1998}
}"""

    def points(self, block: int, dimensions: int, seed: int) -> Points:
        """Block number `block` of the sequence, `(n, dimensions)`."""
        from scipy.stats import qmc  # here, because it takes longer to load than all of tunewell

        if dimensions > qmc.Sobol.MAXDIM:
            raise Unsupported(
                f"Sobol's sequence has {qmc.Sobol.MAXDIM} dimensions, the space {dimensions}",
                hint="Random() has no limit.",
            )
        return _forward(qmc.Sobol(dimensions, scramble=self.scramble, seed=np.random.default_rng(seed)), block)


@dataclass(frozen=True)
class Halton(QuasiRandom):
    """Halton's sequence, scrambled: even after any number of points, best in up to about ten dimensions. Never ends.

    Reference: Owen, arXiv:1706.02808, 2017.
    """

    reference: ClassVar[str] = """
@article{owen2017randomized,
  title={A randomized {Halton} algorithm in {R}},
  author={Owen, Art B.},
  journal={arXiv preprint arXiv:1706.02808},
  year={2017}
}"""

    def points(self, block: int, dimensions: int, seed: int) -> Points:
        """Block number `block` of the sequence, `(n, dimensions)`."""
        from scipy.stats import qmc

        return _forward(qmc.Halton(dimensions, scramble=self.scramble, seed=np.random.default_rng(seed)), block)


@dataclass(frozen=True)
class LatinHypercube(QuasiRandom):
    """`n` points of which each of `n` equal slices of each dimension holds exactly one. Ends after them.

    Points that violate a constraint of the space are left out. Without `scramble` the points are the middles of cells.
    Reference: McKay, Beckman and Conover, Technometrics 21, 1979.
    """

    n: int = 20

    reference: ClassVar[str] = """
@article{mckay1979comparison,
  title={A comparison of three methods for selecting values of input variables
    in the analysis of output from a computer code},
  author={McKay, Michael D. and Beckman, Richard J. and Conover, William J.},
  journal={Technometrics},
  volume={21},
  number={2},
  pages={239--245},
  year={1979}
}"""

    def points(self, block: int, dimensions: int, seed: int) -> Points:
        """All `n` points as block 0, `(n, dimensions)`."""
        from scipy.stats import qmc

        design = qmc.LatinHypercube(dimensions, scramble=self.scramble, seed=np.random.default_rng(seed))
        found: Points = design.random(self.n if block == 0 else 0)
        return found
