"""Whether scores of untrained networks rank these as training does, and better than the number of parameters does.

M. Abdelfattah, A. Mehrotra, L. Dudziak, N. Lane: Zero-cost proxies for lightweight NAS. ICLR 2021. arXiv:2101.08134.
Rank correlations, as there. That a proxy has to beat the number of parameters:
C. White, M. Khodak, R. Tu, S. Shah, S. Bubeck, D. Dey: A deeper look at zero-cost proxies for lightweight NAS. ICLR
blog track, 2022.
B. Efron: Bootstrap methods: another look at the jackknife. Annals of Statistics 7, 1979: the intervals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import numpy as np

from tunewell.errors import StudyError
from tunewell.honest.ranks import rank_correlation

if TYPE_CHECKING:
    from tunewell.study import Study
    from tunewell.trials import Trial

Array: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Interval: TypeAlias = tuple[float, float]

RIVAL = "parameters"
"""What each proxy is compared with."""
_DRAWS, _FEWEST = 1000, 8


class Standing(msgspec.Struct, frozen=True):
    """How well a proxy ranks: Spearman's `correlation` with what training said, 1 for the same order, and its 95 %
    `interval`; `gain` is the interval of the difference to that of the number of parameters, on the same trials.
    """

    name: str
    correlation: float
    interval: Interval
    gain: Interval

    @property
    def helps(self) -> bool:
        """Whether to use it: it ranks better than chance, and, the number of parameters apart, better than that."""
        return self.interval[0] > 0 and (self.name == RIVAL or self.gain[0] > 0)

    def __str__(self) -> str:
        said = f"{self.name}: rank correlation {self.correlation:.2f} {_shown(self.interval)}"
        if self.name != RIVAL:
            said += f", {_shown(self.gain)} more than the number of parameters"
        return f"{said}: {'worth using' if self.helps else 'leave it out'}"


def standings(study: Study, proxies: Mapping[str, Callable[[Any], float]]) -> list[Standing]:
    """For each proxy, a function of a config, how well it ranks the finished trials of a study, best first.

    One is called "parameters". All are the larger the better. Best on trials at random: those that a search chose are
    alike. Raises StudyError without the number of parameters, for several goals, for fewer than eight trials, and
    for a proxy that is NaN; for intervals that say something, have thirty.
    """
    if RIVAL not in proxies:
        told = f"the proxies {sorted(proxies)}"
        raise StudyError(told, hint=f'One has to be "{RIVAL}", which the others have to beat.')
    trials = _longest(study)
    if len(trials) < _FEWEST or len(study.objectives) != 1:
        told = f"{len(trials)} finished trials and {len(study.objectives)} goals"
        raise StudyError(told, hint=f"Ranks need {_FEWEST} trials of one goal at least, better 30.")
    sign = 1.0 if study.objectives[0].maximize else -1.0
    values = np.array([sign * trial.value for trial in trials])
    scores = {name: _scores(name, proxy, trials) for name, proxy in proxies.items()}
    return sorted(_standings(values, scores), key=lambda standing: -standing.correlation)


def _scores(name: str, proxy: Callable[[Any], float], trials: list[Trial]) -> Array:
    """What a proxy says of each trial (n,); infinite is a rank, NaN is none."""
    scores = np.array([float(proxy(trial.config)) for trial in trials])
    if np.isnan(scores).any():
        config = trials[int(np.isnan(scores).argmax())].config
        raise StudyError(f"the proxy {name!r} is NaN at {config}", hint="Give such a network a rank, such as -inf.")
    return scores


def _longest(study: Study) -> list[Trial]:
    """The finished trials with the most steps."""
    trials = [trial for trial in study.trials if trial.status == "done" and math.isfinite(trial.value)]
    most = max((trial.step for trial in trials), default=0)
    return [trial for trial in trials if trial.step == most]


def _standings(values: Array, scores: Mapping[str, Array]) -> list[Standing]:
    """Of arrays (n,), the larger the better; all by the same draws of trials."""
    rng, count = np.random.default_rng(0), len(values)
    draws = rng.integers(count, size=(_DRAWS, count))
    drawn = {
        name: np.array([_agreement(score[draw], values[draw]) for draw in draws]) for name, score in scores.items()
    }
    return [
        Standing(name, _agreement(score, values), _interval(drawn[name]), _interval(drawn[name] - drawn[RIVAL]))
        for name, score in scores.items()
    ]


def _agreement(score: Array, values: Array) -> float:
    return rank_correlation(list(zip(score.tolist(), values.tolist(), strict=True)))


def _interval(values: Array) -> Interval:
    low, high = np.quantile(values, [0.025, 0.975]).tolist()
    return low, high


def _shown(interval: Interval) -> str:
    return f"[{interval[0]:.2f}, {interval[1]:.2f}]"
