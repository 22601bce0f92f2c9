"""When to stop: what `Enough` saves of a budget of 100 trials on public tasks, and what regret it costs.

Each search runs once, to the end; where `Enough` would have ended it is read from its log, for a method that is wrapped
proposes the same until then. Tasks are those of `benchmarks.tasks`, picked at even distances, and as many noisy ones.

    python -m benchmarks.honest_enough
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean

import numpy as np

from benchmarks.figures import Row
from benchmarks.tasks import groups, spread_evenly, task
from tunewell.contract.methods import Player, new_study
from tunewell.method import Method
from tunewell.methods.enough import Enough, Progress
from tunewell.methods.random import Random
from tunewell.methods.tpe import TPE
from tunewell.space import Config
from tunewell.study import Result, Study

TRIALS = 100
SEARCHES: dict[str, Method] = {"Random": Random(), "TPE": TPE()}


@dataclass(frozen=True)
class Saved:
    """What one run saved, as a share of its budget; its regrets when it was ended and after the whole budget."""

    share: float
    ended: float
    whole: float


@lru_cache(maxsize=4096)
def played(search: str, name: str, seed: int) -> tuple[Study, tuple[float, ...]]:
    """A run to the end, and the true regret of each of its trials."""
    problem, regrets = task(name), []
    noise = problem.noise_of(seed, TRIALS)

    def loss(config: Config, step: int) -> float:
        true = problem.loss(config)
        regrets.append(min(max(problem.regret(true), 0.0), 1.0))
        return true + noise[len(regrets) - 1]

    study = new_study(problem.space, seed=seed, trials=TRIALS)
    Player(SEARCHES[search], loss).play(study)
    return study, tuple(regrets)


def saved(rule: Enough, search: str, name: str, seed: int) -> Saved:
    """What `rule` saves of a run."""
    study, regrets = played(search, name, seed)
    end = _ended(rule, study)
    return Saved(1 - end / len(regrets), _regret(study, regrets, end), _regret(study, regrets, len(regrets)))


def _ended(rule: Enough, study: Study) -> int:
    """After how many results the rule ends the study."""
    progress, results = Progress(rule), 0
    for event in study.events:
        progress = progress.follow(event, study)
        results += isinstance(event, Result)
        if progress.ended:
            break
    return results


def _regret(study: Study, regrets: tuple[float, ...], count: int) -> float:
    """The true regret of what is measured best among the first trials."""
    losses = [study.loss(job) for job in range(count)]
    return regrets[int(np.argmin(losses))]


def rows(quick: bool) -> Iterator[Row]:
    """For each search and rule: what is saved, and the regret that it costs, beside that of ending each run after the
    same number of trials, with the same saving.
    """
    public = spread_evenly(groups()["public"], 2 if quick else 16)
    noisy = list(groups()["noisy"])[: 1 if quick else None]
    seeds = range(1 if quick else 5)
    for search, method in SEARCHES.items():
        for share in (0.01, 0.05):
            runs = [(Enough(method, share=share), search, name, seed) for name in public for seed in seeds]
            yield from _told(f"Enough({search}, share={share}), public tasks: ", runs)
        runs = [(Enough(method, noise=task(name).noise), search, name, seed) for name in noisy for seed in seeds]
        yield from _told(f"Enough({search}, noise=...), noisy tasks: ", runs)


def _told(where: str, runs: list[tuple[Enough, str, str, int]]) -> Iterator[Row]:
    found = [saved(*run) for run in runs]
    share = fmean(each.share for each in found)
    yield Row(100 * share, name=where + "budget saved", target="", unit="%")
    fixed = max(1, round((1 - share) * TRIALS))
    control = fmean(_regret(*played(*run[1:]), fixed) for run in runs)
    whole = fmean(each.whole for each in found)
    lost = fmean(each.ended for each in found) - whole
    yield Row(lost, peer=control - whole, name=where + "mean regret lost (peer: all ended alike)", target="")


if __name__ == "__main__":
    for row in rows(quick=False):
        peer = "" if row.peer is None else f"  ended alike: {row.peer:.4g}"
        print(f"{row.name}: {row.measured:.4g} {row.unit or ''}{peer}", flush=True)
