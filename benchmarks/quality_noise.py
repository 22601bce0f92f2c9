"""What is reported at the end of a run whose losses are noisy: the true regret of it, ours and a peer's.

A user of ours has `study.best` of `Auto`, which spends the last fifth of the evaluations on fresh seeds for the
finalists. A peer is offered the same: its own first 80 evaluations and then, within the same 100, what `Confirm` does
with them; while that has no doubt, the peer's search goes on as it did. Whatever a peer does best with counts: this,
`study.best` on all 100, or the lowest loss, which is what peers report.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from benchmarks.quality_runs import Contender, Trace, play_method, traces_of
from benchmarks.quality_statistics import clipped
from benchmarks.tasks import task
from tunewell import Confirm
from tunewell.contract.methods import new_study
from tunewell.space import Config
from tunewell.study import Job, Result, Study

Rule = Callable[[str, int, Trace], float]
"""The true loss of the config that is reported at the end of a run: of a task, with a seed."""


def reported(contender: Contender, names: Sequence[str], rule: Rule | None = None) -> dict[str, float]:
    """The mean true regret of what is reported, for each task, from the runs that are kept; by `study.best`, if left
    out.
    """
    found: dict[str, list[float]] = {}
    for (name, seed), trace in traces_of(contender.path).items():
        if name in names and seed in contender.seeds(name):
            loss = (rule or best_of_all)(name, seed, trace)
            found.setdefault(name, []).append(clipped(task(name).regret(loss)))
    return {name: statistics.fmean(values) for name, values in found.items()}


def offered(peer: Contender, names: Sequence[str]) -> dict[str, float]:
    """The mean true regret of what a peer reports for each task, by the rule that serves it best; empty where it has no
    runs.
    """
    rules: tuple[Rule, ...] = (lowest, best_of_all, confirmed)
    return min((reported(peer, names, rule) for rule in rules), key=_mean)


def _mean(means: Mapping[str, float]) -> float:
    return statistics.fmean(means.values()) if means else 1.0


# --- rules -----------------------------------------------------------------------------------------------------------


def lowest(name: str, seed: int, trace: Trace) -> float:
    """Of the config whose loss looked lowest."""
    return trace.losses[int(np.argmin(trace.seen))]


def best_of_all(name: str, seed: int, trace: Trace) -> float:
    """Of the config that `study.best` reports on the log of the run."""
    study = new_study(task(name).space)
    for config, seen in zip(trace.configs, trace.seen, strict=True):
        job = study.start(Job(config, 1))
        study.commit(job)
        study.commit(Result(job.id, "done", {"loss": seen}, step=1))
    best = study.best
    assert best is not None
    return trace.losses[best.trial]


def confirmed(name: str, seed: int, trace: Trace) -> float:
    """The same, where the last fifth of the run is left to `Confirm`."""
    again = play_method(Confirm(Visited(tuple(trace.configs))), name, seed, len(trace.configs))
    return best_of_all(name, seed, again)


@dataclass(frozen=True)
class Visited:
    """Proposes what a run visited, in order."""

    configs: tuple[Config, ...]

    reference: ClassVar[str] = ""

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """The next one, until the last."""
        at = len(study.jobs)
        return Job(self.configs[at], study.steps.maximum) if at < len(self.configs) else None
