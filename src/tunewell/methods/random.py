"""Random search.

J. Bergstra, Y. Bengio: Random search for hyper-parameter optimization. JMLR 13, 2012.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tunewell.study import Job, Study


@dataclass(frozen=True)
class Random:
    """Independent configs that follow the priors of the space. Never ends.

    Reference: Bergstra and Bengio, JMLR 13, 2012.
    """

    reference: ClassVar[str] = """
@article{bergstra2012random,
  title={Random search for hyper-parameter optimization},
  author={Bergstra, James and Bengio, Yoshua},
  journal={Journal of Machine Learning Research},
  volume={13},
  pages={281--305},
  year={2012}
}"""

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """A random config, trained to the end."""
        return Job(study.space.sample(rng), study.steps.maximum)
