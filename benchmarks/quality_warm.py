"""What the results of an earlier study on other data are worth to `Bayes`, and what misleading ones cost.

An earlier study of 40 trials on one instance of a YAHPO family, then 20 trials on the next instance of the same family:
without the earlier results, with them as those of a related task, and with their losses negated. Regret as in
`benchmarks/quality`: 0 is the best loss known, 1 the median of random configs.
"""

from collections.abc import Iterator
from functools import cache
from statistics import fmean

import msgspec

import tunewell as tw
from benchmarks.figures import Row, figure
from benchmarks.quality_runs import Recorder
from benchmarks.tasks import groups, task
from tunewell.contract.methods import Player, new_study
from tunewell.earlier import taken_over
from tunewell.study import Result, Study

MARKS = (5, 10, 20)
FAMILIES = ("yahpo/lcbench/", "yahpo/rbv2_rpart/")
EARLIER = 40
"""Trials of the earlier study."""


def pairs(quick: bool) -> list[tuple[str, str]]:
    """The earlier instance and the one that is tuned: each with the one before it, in the order of their names."""
    found = []
    for family in FAMILIES:
        names = sorted(name for name in groups()["public"] if name.startswith(family))
        found += list(zip([names[-1], *names], names, strict=False))[: 1 if quick else None]
    return found


@cache
def earlier(name: str, seed: int) -> Study:
    """A study of an instance."""
    return _play(name, new_study(task(name).space, seed=1000 + seed, trials=EARLIER), EARLIER)[0]


def _play(name: str, study: Study, trials: int) -> tuple[Study, list[float]]:
    record = Recorder(task(name), study.seed, trials)
    Player(tw.Bayes(), lambda config, step: record(config, 0.0)).play(study)
    return study, record.trace.regrets(record.task)


def negated(study: Study) -> Study:
    """The same study, with its losses turned around: what was best is worst."""
    other = Study(study.name)
    for event in study.events:
        if isinstance(event, Result) and event.status == "done":
            event = msgspec.structs.replace(event, metrics={"loss": -event.metrics["loss"]})
        other.commit(event)
    return other


def regrets(name: str, before: Study | None, seed: int) -> list[float]:
    """The regrets at the marks of a study that learns from an earlier one, or from none."""
    study = new_study(task(name).space, seed=seed, trials=MARKS[-1])
    for event in taken_over(study, before, same=False)[0] if before is not None else []:
        study.commit(event)
    found = _play(name, study, MARKS[-1])[1]
    return [found[mark - 1] for mark in MARKS]


@cache
def measured(quick: bool) -> dict[str, list[float]]:
    """The mean regrets at the marks, over instances and seeds."""
    runs: dict[str, list[list[float]]] = {"without": [], "related": [], "misleading": []}
    for source, name in pairs(quick):
        for seed in range(1 if quick else 3):
            before = earlier(source, seed)
            runs["without"].append(regrets(name, None, seed))
            runs["related"].append(regrets(name, before, seed))
            runs["misleading"].append(regrets(name, negated(before), seed))
    return {kind: [fmean(column) for column in zip(*rows, strict=True)] for kind, rows in runs.items()}


@figure("Bayes with results of related data, beside none", target="<= 0.8 x peer")
def related(quick: bool) -> Iterator[Row]:
    """Mean regrets; the peer is the same method that begins with nothing."""
    found = measured(quick)
    for place, mark in enumerate(MARKS):
        target = "<= 0.8 x peer" if mark == MARKS[0] else "<= 1 x peer"
        yield Row(found["related"][place], found["without"][place], f"regret at {mark}, 40 related results", target)


@figure("Bayes with misleading results, beside none", target="<= 1.2 x peer")
def misleading(quick: bool) -> Iterator[Row]:
    """The losses of the earlier study are negated."""
    found = measured(quick)
    for place, mark in enumerate(MARKS):
        target = "<= 1.2 x peer" if mark == MARKS[-1] else ""
        yield Row(found["misleading"][place], found["without"][place], f"regret at {mark}, negated losses", target)
