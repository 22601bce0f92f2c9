"""What methods share that ask for numbered points, one after the other: no state but the tags of their jobs.

A job of such a method has the tag `(place,)`: its place in the plan. So the next proposal begins after the last place,
however many jobs there are, and a plan of 10**9 points costs nothing until it is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Set

from tunewell.errors import SpaceError
from tunewell.space import Config
from tunewell.study import Event, Job, Study

_TRIES = 100_000
"""How many points in a row may violate a constraint of the space, or mean the same as others."""


def next_place(study: Study) -> int:
    """The place after the last one that this part of the study has asked for."""
    return study.fold("next place", lambda: 0, _advance)


def _advance(place: int, event: Event, study: Study) -> int:
    if isinstance(event, Job) and event.tag and isinstance(event.tag[0], int):
        return max(place, event.tag[0] + 1)
    return place


def first_allowed(study: Study, points: Iterable[tuple[int, Config]], but: Set[str] = frozenset()) -> Job | None:
    """A job for the first point, as (place, config), that no constraint of the space forbids, trained to the end.

    `but`: keys of configs that are left out. None after the last point. Raises SpaceError when too many in a
    row violate the constraints, or mean the same as each other.
    """
    violations = known = 0
    for place, config in points:
        if study.space.satisfies(config) is not None:
            violations += 1
        elif study.root.space.key(config) in but:
            known += 1
        else:
            return Job(config, study.steps.maximum, tag=(place,))
        if known > _TRIES + len(but):
            raise SpaceError(
                f"{_TRIES} points in a row are configs that mean the same, such as cells in which nothing is joined",
                hint='A Grid with order="spread" mixes them with others; Random() or Bayes() ask for few.',
            )
        if violations > _TRIES:
            raise SpaceError(
                f"{_TRIES} points in a row violate the constraints of the space",
                hint="Widen the constraints, or use Random(), which samples within them.",
            )
    return None


def asked_for(study: Study) -> set[str]:
    """The key (`Space.key`) of each config that a study has asked for. Not to be changed."""
    return study.fold("asked for", set, _remember)


def _remember(asked: set[str], event: Event, study: Study) -> set[str]:
    if isinstance(event, Job):
        asked.add(study.space.key(event.config))
    return asked
