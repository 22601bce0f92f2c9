"""Population-based training: hyperparameters that change while the weights are trained.

M. Jaderberg, V. Dalibard, S. Osindero, W. M. Czarnecki, J. Donahue, A. Razavi, O. Vinyals, T. Green, I. Dunning,
K. Simonyan, C. Fernando, K. Kavukcuoglu: Population based training of neural networks. 2017. arXiv:1711.09846.
W. Doulazmi, A. Lehuger, M. Toromanoff, V. Charraut, T. Buhet, F. Moutarde: Multiple-frequencies population-based
training. Reinforcement Learning Conference 2025. arXiv:2506.03225. The migration here follows the code of its authors,
WaelDLZ/MF-PBT, hpo/utils/mf_pbt_genetics.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import msgspec
import numpy as np

from tunewell.budget import spent
from tunewell.errors import StudyError, Unsupported
from tunewell.method import Method
from tunewell.methods.compose import begin
from tunewell.methods.random import Random
from tunewell.space import Config
from tunewell.study import Event, Job, Result, Study

RANDOM = Random()

_LABELS = 1
"""A tag begins with the number of the member."""
_TRIES = 3
"""A member that failed so often in a row is given up."""
_DECISIONS = 20
"""Where nobody says it, a member trains this part of all steps between two decisions."""


@dataclass(frozen=True)
class PBT:
    """Trains `population` members side by side; at each decision the worst go on from the weights of the best.

    Each `period` steps (left out: a twentieth of the maximum) a member that ranks in the lower `share` of its
    population takes the checkpoint and the config of a random one of the upper share (exploit), and changes the config
    (explore): each number moves by a normal step of `strength` times its scale, reflected at the ends, and each entry
    is drawn anew with probability `resample`. Ties are broken at random. The first configs come from `of`.

    Any number of workers will do, one too: those furthest behind train first, and nobody waits for the slowest. A
    member is judged at the last step that half of its population has reached, and may wait for one that it copies to
    reach its own. One that failed goes on as a copy; after three failures in a row it is given up.

    With several `periods`, such as (1, 4, 16), as many populations decide each so many periods: those that decide
    rarely are less greedy. The third best of four groups of equal `share` takes the weights of better members of
    other populations, and their config as well where that population decides less often, or else that of the best of
    its own (Doulazmi et al.).

    With `explore=False` a copy keeps its config (and trains with another random seed): selection alone, the control
    that says whether changing configs is what helped.

    Raises Unsupported for several objectives, or where trials have no two periods. The objective has to save
    checkpoints. Reference: Jaderberg et al. 2017; Doulazmi et al., RLC 2025.
    """

    population: int = 8
    period: int | None = None
    of: Method = RANDOM
    share: float = 0.25
    strength: float = 0.1
    resample: float = 0.1
    explore: bool = True
    periods: tuple[int, ...] = (1,)

    reference: ClassVar[str] = """
@article{jaderberg2017population,
  title={Population based training of neural networks},
  author={Jaderberg, Max and Dalibard, Valentin and Osindero, Simon and Czarnecki, Wojciech M. and Donahue, Jeff and
    Razavi, Ali and Vinyals, Oriol and Green, Tim and Dunning, Iain and Simonyan, Karen and Fernando, Chrisantha and
    Kavukcuoglu, Koray},
  journal={arXiv preprint arXiv:1711.09846},
  year={2017}
}

@misc{doulazmi2025multiple,
  title={Multiple-frequencies population-based training},
  author={Doulazmi, Wa{\\"e}l and Lehuger, Auguste and Toromanoff, Marin and Charraut, Valentin and Buhet, Thibault and
    Moutarde, Fabien},
  note={arXiv:2506.03225},
  year={2025}
}"""

    def __post_init__(self) -> None:
        object.__setattr__(self, "periods", tuple(self.periods))
        if not self.periods or min(self.periods) < 1:
            raise StudyError(f"PBT: periods={self.periods}", hint="Whole numbers from 1, such as (1, 4).")
        if self.population < 2 * len(self.periods):
            told = f"PBT: population={self.population} in {len(self.periods)} parts"
            raise StudyError(told, hint="At least 2 members a part; 4 are better.")
        if self.period is not None and self.period < 1:
            raise StudyError(f"PBT: period={self.period}", hint="At least 1 step, or leave it out.")
        if not 0 < self.share <= 0.5:
            raise StudyError(f"PBT: share={self.share}", hint="Above 0, and at most 0.5; 0.25 is usual.")
        if self.strength < 0 or not 0 <= self.resample <= 1:
            told = f"PBT: strength={self.strength}, resample={self.resample}"
            raise StudyError(told, hint="A share of the scale, such as 0.1, and a probability.")

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """A first segment of a new member, or else the next one of the member that is furthest behind."""
        crowd = self._crowd(study)
        number = len(crowd.members)
        job = self._first(study, number, rng) if number < self.population else None
        if job is not None:
            return job
        for number in crowd.due(study):
            job = self._next(study, crowd, number, rng)
            if job is not None:
                return job
        return None

    # --- where it stands ---------------------------------------------------------------------------------------------

    def length(self, study: Study) -> int:
        """The steps of a period. Raises Unsupported where the method cannot serve the study."""
        if len(study.objectives) != 1:
            raise Unsupported(
                f"PBT ranks by one objective, the study has {len(study.objectives)}",
                hint="Make the others constraints with at_most.",
            )
        most = study.steps.maximum
        length = self.period or max(study.steps.minimum, round(most / _DECISIONS), 1)
        if length >= most:
            raise Unsupported(
                f"PBT decides each {length} {study.steps.unit}, but trials have {most} in all",
                hint="Write steps=100, for example, report after each step, and save checkpoints.",
            )
        return length

    def _crowd(self, study: Study) -> Crowd:
        self.length(study)
        return study.fold("population", Crowd, Crowd.follow)

    def _part(self, number: int) -> int:
        """The number of the part of the population that a member is in."""
        return number % len(self.periods)

    def why(self, study: Study) -> str:
        """What the population has done so far, in one line."""
        crowd = self._crowd(study.plan)
        told = f"{len(crowd.members)} members, a decision each {self.length(study)} {study.steps.unit}"
        return f"{told}, {crowd.copies} copies so far"

    # --- jobs --------------------------------------------------------------------------------------------------------

    def _first(self, study: Study, number: int, rng: np.random.Generator) -> Job | None:
        """The first segment of a member; None where the source, or the budget of trials, has no more."""
        most = study.limits.trials
        if most is not None and spent(study.root).trials >= most:
            return None  # a member less: those that began still have steps to go
        job = begin(self, self.of, study, _LABELS, rng)
        return job and msgspec.structs.replace(job, until=self.length(study), tag=(number, *job.tag))

    def _next(self, study: Study, crowd: Crowd, number: int, rng: np.random.Generator) -> Job | None:
        """The next segment of a member that runs nothing; None where it has to wait."""
        member = crowd.members[number]
        if member.failures:
            return self._instead(study, crowd, number, rng)
        copy = self._copy(study, crowd, number, rng)
        if copy is None:
            return self._segment(study, member, member.done, None, rng)
        parent = _pick(study, crowd, member, copy.donors, rng)
        if parent is None:
            return None
        if parent == member.done:
            return self._segment(study, member, parent, None, rng)
        teacher = parent if copy.teacher is None else crowd.members[copy.teacher].done
        return self._segment(study, member, parent, teacher, rng, copy.changed)

    def _segment(
        self,
        study: Study,
        member: Member,
        parent: int,
        teacher: int | None,
        rng: np.random.Generator,
        changed: bool = False,
    ) -> Job:
        """On from `parent` to the next decision; as a copy, with the config of `teacher`."""
        before, length = study.jobs[parent], self.length(study)
        until = min((before.until // length + 1) * length, study.steps.maximum)
        config = _valid(study, before.config if teacher is None else study.jobs[teacher].config, rng)
        if changed and self.explore:
            config = self._explored(study, config, rng)
        twin = teacher is not None and config == before.config
        seed = len(study.jobs) if twin else before.seed  # two that train alike would be one
        return Job(config, until, parent, study.jobs[member.newest].tag, seed)

    def _explored(self, study: Study, config: Config, rng: np.random.Generator) -> Config:
        changed = study.space.perturb(config, rng, self.strength, self.resample)
        return study.space.mutate(config, rng, self.strength) if changed == config else changed

    def _instead(self, study: Study, crowd: Crowd, number: int, rng: np.random.Generator) -> Job | None:
        """A member that failed goes on as a copy of a good one; where there is none yet, it waits or begins anew."""
        member, able = crowd.members[number], [each for each in crowd.able(study) if each != number]
        mates = [each for each in able if self._part(each) == self._part(number)] or able
        if mates:
            step = min(crowd.step(study, each) for each in mates)
            jobs = {each: crowd.origin(study, each, step) for each in mates}
            best = _upper(crowd.ranked(study, jobs, rng), self.share)
            parent = crowd.members[best[int(rng.integers(len(best)))]].done
            return self._segment(study, member, parent, parent, rng, changed=True)
        if member.done >= 0:
            return self._segment(study, member, member.done, member.done, rng, changed=True)
        return None if crowd.runs else self._first(study, number, rng)

    # --- who copies whom ---------------------------------------------------------------------------------------------

    def _copy(self, study: Study, crowd: Crowd, number: int, rng: np.random.Generator) -> Copy | None:
        """Whom a member copies; None where it goes on with what it has."""
        every = self.length(study) * self.periods[self._part(number)]
        now = crowd.step(study, number)
        if now % every:
            return None
        alive = [each for each, member in crowd.members.items() if not member.is_lost]
        mates = [each for each in alive if self._part(each) == self._part(number)]
        for step in range(now, 0, -every):
            jobs = {each: crowd.at(study, each, step) for each in alive}
            jobs[number] = crowd.origin(study, number, step)  # what it is by now; the others as they were ranked there
            there = sum(jobs[each] is not None for each in mates)
            if there >= 2 and 2 * there >= len(mates):
                return self._judged(number, crowd.ranked(study, jobs, rng))
        return None

    def _judged(self, number: int, ranked: Sequence[int]) -> Copy | None:
        """Whom a member copies, by the ranks of all parts of the population at one step."""
        mine = self._part(number)
        mates = [each for each in ranked if self._part(each) == mine]
        if number not in mates:
            return None
        best, place = _upper(mates, self.share), mates.index(number)
        if place >= len(mates) - len(best) and len(mates) > 1:
            return Copy(best, None, True)
        # Migration: the group above the lowest; the n-th of it looks to the n-th best of those that are better.
        place -= max(len(mates) - 2 * len(best), len(best))
        better = [each for each in ranked[: ranked.index(number)] if self._part(each) != mine]
        if not 0 <= place < len(better):
            return None
        migrant = better[place]
        slower = self.periods[self._part(migrant)] > self.periods[mine]
        return Copy([migrant], None if slower else mates[0], False)


class Copy(NamedTuple):
    """A decision: the state of one of `donors`; the config of `teacher`, or the donor's own; and whether it changes."""

    donors: Sequence[int]
    teacher: int | None
    changed: bool


def _upper(ranked: Sequence[int], share: float) -> Sequence[int]:
    return ranked[: max(1, min(round(share * len(ranked)), len(ranked) // 2))]


def _pick(study: Study, crowd: Crowd, member: Member, donors: Sequence[int], rng: np.random.Generator) -> int | None:
    """The job whose state a member takes over, its own where nobody else's is left; None: one is on its way.

    Only the newest checkpoint of a donor exists. One that is at the member's step, or beyond, is taken first; then the
    member waits for one that runs until there; only then it goes back.
    """
    here, most = study.jobs[member.done].until, study.steps.maximum
    steps = {each: crowd.step(study, each) for each in donors}
    found = [each for each in donors if here <= steps[each] < most]
    if not found and any(crowd.reaches(study, each, here) for each in donors):
        return None
    found = found or [each for each in donors if steps[each] < here]
    return crowd.members[found[int(rng.integers(len(found)))]].done if found else member.done


def _valid(study: Study, config: Config, rng: np.random.Generator) -> Config:
    """A config of the space as it is now, which may have changed since."""
    adopted = study.space.adopt(config)
    return study.space.sample(rng) if adopted is None else adopted


# --- the fold --------------------------------------------------------------------------------------------------------


class Member(msgspec.Struct):
    """One of the population: its `newest` job, whether it `runs`, its newest job that was `done` (-1: none yet), its
    `failures` in a row since, and by number of steps the jobs that were done: its `record`.
    """

    newest: int
    runs: bool = True
    done: int = -1
    failures: int = 0
    record: dict[int, int] = {}

    def end(self, job: Job, done: bool) -> None:
        """Its job has ended."""
        self.runs = False
        if done:
            self.done, self.failures = job.id, 0
            self.record[job.until] = job.id
        else:
            self.failures += 1

    @property
    def is_lost(self) -> bool:
        """Whether it is given up."""
        return self.failures >= _TRIES


class Crowd(msgspec.Struct):
    """Fold state: the members by number, and how often one took over another's state."""

    members: dict[int, Member] = {}
    copies: int = 0

    def follow(self, event: Event, study: Study) -> Crowd:
        """One event more."""
        if isinstance(event, Job):
            member = self.members.setdefault(_number(event), Member(event.id))
            self.copies += event.parent is not None and event.parent != member.done
            member.newest, member.runs = event.id, True
        elif isinstance(event, Result):
            job = study.jobs[event.job]
            self.members[_number(job)].end(job, math.isfinite(study.loss(job.id)))
        return self

    @property
    def runs(self) -> bool:
        """Whether anybody trains."""
        return any(member.runs for member in self.members.values())

    def step(self, study: Study, number: int) -> int:
        """How many steps the state of a member has."""
        done = self.members[number].done
        return study.jobs[done].until if done >= 0 else 0

    def able(self, study: Study) -> list[int]:
        """The members whose state can be gone on from."""
        most = study.steps.maximum
        return [number for number in self.members if 0 < self.step(study, number) < most]

    def due(self, study: Study) -> list[int]:
        """The members that train nothing and have steps to go: the furthest behind first; of these the worst, so that
        it can copy others before they go on.
        """

        def key(number: int) -> tuple[int, bool, float]:
            done = self.members[number].done
            return self.step(study, number), done >= 0 and study.feasible(done), -study.loss(done) if done >= 0 else 0

        idle = [number for number, member in self.members.items() if not (member.runs or member.is_lost)]
        return sorted((each for each in idle if self.step(study, each) < study.steps.maximum), key=key)

    def reaches(self, study: Study, number: int, step: int) -> bool:
        """Whether a member runs, and until `step` at least."""
        member = self.members[number]
        return member.runs and step <= study.jobs[member.newest].until < study.steps.maximum

    def at(self, study: Study, number: int, step: int) -> int | None:
        """The job of a member that ended at `step`, before it copied others there; or one of those it copied."""
        return self.members[number].record.get(step, self.origin(study, number, step))

    def origin(self, study: Study, number: int, step: int) -> int | None:
        """The job until `step` in the lineage of a member's state."""
        place: int | None = self.members[number].done
        while place is not None and place >= 0 and study.jobs[place].until > step:
            place = study.jobs[place].parent
        return place if place is not None and place >= 0 and study.jobs[place].until == step else None

    def ranked(self, study: Study, jobs: Mapping[int, int | None], rng: np.random.Generator) -> list[int]:
        """The members with a job in `jobs`, the best first; ties in random order."""
        numbers = [number for number, job in jobs.items() if job is not None]
        mixed = [numbers[place] for place in rng.permutation(len(numbers)).tolist()]
        keys = {number: (not study.feasible(job), study.loss(job)) for number, job in jobs.items() if job is not None}
        return sorted(mixed, key=lambda number: keys[number])


def _number(job: Job) -> int:
    """The number of the member that a job belongs to."""
    assert isinstance(job.tag[0], int)
    return job.tag[0]
