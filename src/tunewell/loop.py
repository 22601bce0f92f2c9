"""The loop: gives free slots to waiting jobs, asks the method for new ones, commits what they say.

Many loops may work on one study in one store, on one machine or many; none is special. A job id is unique in the store,
so the loser of a race reads on and decides again; a job runs under a lease, so that what a dead loop left is taken
over.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tunewell import budget, checkpoints
from tunewell.errors import Conflict, ObjectiveError, Stale, StudyError
from tunewell.fingerprint import differences, fingerprint
from tunewell.honest.vault import Sealed, Split, WithData
from tunewell.live import LEASE, LiveStudy, checked, open_study
from tunewell.method import load
from tunewell.order import barrier
from tunewell.owner import is_gone
from tunewell.protocols import Executor, Objective, Task
from tunewell.stopping import Stop, stoppable
from tunewell.study import Act, Best, Event, Goal, Job, Limits, Report, Result, Steps, Study

log = logging.getLogger("tunewell")

POLL = 0.5
"""Seconds between two looks at what other processes committed."""
LOST = 3
"""Attempts at a job whose workers are lost before it counts as failed."""
ALIKE = 10
"""When the first so many trials all fail for the same reason, the study stops: the fault is not in the configs."""


class Loop:
    """One process's work on one study, until there is nothing left to do.

    `retry` maps names of exception types to the attempts that a trial gets in all when it raises one of them.
    """

    def __init__(
        self, study: LiveStudy, objective: Objective, executor: Executor, *, retry: Mapping[str, int] | None = None
    ) -> None:
        self.study = study
        self.objective = objective
        self.executor = executor
        self.retry = retry or {}
        self.made = ""
        self._attempts: dict[int, int] = {}  # the jobs that run or are held here, with their attempt
        self._kept: set[int] = set()  # those of them that have ended: their lineages are held, or were until now
        self._lost: set[int] = set()  # of these, the ones whose lease another process took
        self._done: list[int] = []  # jobs that ended here, whose leases are released together
        self._decided = -1  # the length of the log when the method last had nothing to propose
        self._polled = 0.0
        self._closing = threading.Event()
        self._stop = Stop()

    def run(self) -> None:
        """Work until the study ends. Ctrl-C stops cleanly: no Result is written, every lease is released."""
        with stoppable() as self._stop:
            try:
                self._enter()
                self.executor.open(self.objective)
                threading.Thread(target=self._keep_leases, name="tunewell-leases", daemon=True).start()
                while self._turn():
                    pass
            finally:
                self._closing.set()
                self.executor.close()
                self._leave()

    def _turn(self) -> bool:
        """Fill the free slots, then take in what the jobs said. False when the study has ended."""
        self._poll()
        idle = not self._fill() and not self._running()
        if idle and self._ended():
            return False
        self._stop.check()
        self._stop.at_once = self.executor.inside
        try:
            said = self.executor.wait(POLL if self._running() else 0.05)
        finally:
            self._stop.at_once = False
        self._record(said)
        return True

    # --- beginning and end -------------------------------------------------------------------------------------------

    def _enter(self) -> None:
        record = fingerprint(self.objective)
        before = self.study.acts("enter")
        changes = differences(before[-1].data["made"], record) if before else []
        if changes:
            log.warning("since the study last ran, this changed: %s", "; ".join(changes))
        alone = not self.study.store.leases.owners(self.study.name)
        self.study.write(Act("enter", {"made": record, "alone": alone}, by=self.study.owner))
        self.made = record["hash"]

    def _leave(self) -> None:
        self._release(*self._attempts, *self._done)
        self.study.write(Act("leave", by=self.study.owner))
        if self._is_alone():
            checkpoints.sweep_rest(self.study)

    def _is_alone(self) -> bool:
        """Whether no other process that may still live works on the study."""
        came, went = (Counter(act.by for act in self.study.acts(what)) for what in ("enter", "leave"))
        return all(is_gone(owner) for owner in came - went)

    def _ended(self) -> bool:
        """Whether nothing is left to do: a limit forbids to start jobs, or nobody has anything to run."""
        if budget.over(self.study, time.time()):
            return True
        if self.study.pending():
            return False
        if self.study.settings.deterministic is None or self.study.events[-1] == barrier():
            return len(self.study) == self._decided
        self.study.write(barrier())
        return False

    # --- giving work -------------------------------------------------------------------------------------------------

    def _running(self) -> bool:
        return len(self._attempts) > len(self.executor.held())

    def _poll(self) -> None:
        """Read what others did, now and then; take over what nobody runs."""
        if time.monotonic() - self._polled < POLL:
            return
        self.study.refresh()
        self._polled = time.monotonic()
        self._release_done()
        self._drop_lost()
        waiting = [job for job in self.study.pending() if job.id not in self._attempts]
        if not waiting or budget.over(self.study, time.time()):
            return
        owners = self.study.store.leases.owners(self.study.name)
        for job in waiting:
            if job.id not in owners and self.executor.free() > 0:
                self._start(job)

    def _fill(self) -> bool:
        """Start new jobs in free slots; whether any was started."""
        started, jobs = False, []
        while self.executor.free() > 0 and len(self.study) != self._decided:
            job = self.study.next_job()
            if job is None:
                self._decided = len(self.study)
                break
            started = self._start(job) or started
            jobs.append(job)
        for job in jobs:  # while they train
            checkpoints.sweep(self.study, job)
        return started

    def _start(self, job: Job) -> bool:
        """Claim a job and hand it to the executor; False when somebody else has it."""
        attempt = self.study.store.leases.claim(self.study.name, job.id, self.study.owner, LEASE, parent=job.parent)
        if attempt is None:
            return False
        if job.id in self.study.results or self._is_cancelled(job):
            self._finish_cancelled(job, attempt)
            return False
        if self._was_done(job, attempt):
            return True
        if job.parent is not None and self._attempts.pop(job.parent, None) is not None:
            self._done.append(job.parent)
        self._attempts[job.id] = attempt
        self.executor.submit(self._task(job, attempt))
        self._forget_evicted()
        return True

    def _was_done(self, job: Job, attempt: int) -> bool:
        """Whether a killed attempt had said all but its Result: then write that."""
        unsaid = checkpoints.unsaid_result(self.study, job, attempt)
        if unsaid is None or checked(self.study, unsaid).status != "done":
            return False  # it would have said more: it runs again
        self.study.write(msgspec.structs.replace(unsaid, made=self.made))
        self._release(job.id)
        return True

    def _task(self, job: Job, attempt: int) -> Task:
        start, checkpoint = checkpoints.origin(self.study, job)
        if start == 0 and job.parent is not None and job.parent not in self.executor.held():
            self.study.write(Act("restart", {"job": job.id}, by=self.study.owner))
        folder = f"{self.study.files}/job-{job.id:06d}" if self.study.files is not None else None
        return Task(
            job=job,
            attempt=attempt,
            start=start,
            last=self.study.steps.maximum,
            seed=run_seed(self.study.seed, job.seed),
            checkpoint=str(checkpoint) if checkpoint is not None else None,
            folder=folder,
            first=checkpoints.first_value(self.study, job) if start else None,
        )

    def _forget_evicted(self) -> None:
        """Lineages that the executor no longer holds have ended here."""
        for job in self._kept.difference(self.executor.held()):
            self._kept.remove(job)
            if self._attempts.pop(job, None) is not None:
                self._done.append(job)

    def _release_done(self) -> None:
        if self._done:
            self._release(*self._done)
            self._done.clear()

    def _release(self, *jobs: int) -> None:
        self.study.store.leases.release(self.study.name, jobs, self.study.owner)

    # --- taking in what jobs say -------------------------------------------------------------------------------------

    def _record(self, said: Sequence[Report | Result]) -> None:
        events = [event for said_now in said if (event := self._received(said_now)) is not None]
        if not events:
            return
        for event in self._committed(events):
            self._after(event)

    def _committed(self, events: Sequence[Report | Result]) -> Sequence[Report | Result]:
        """Commit `events`, together or, where one is refused, one by one; returns those that the store took."""
        try:
            self.study.write(*events)
        except (Stale, Conflict):
            self.study.refresh()
            return [event for event in events if self._commits(event)]
        return events

    def _commits(self, event: Report | Result) -> bool:
        try:
            self.study.write(event)
        except (Stale, Conflict):
            log.warning("job %d went to another worker; what this one says is refused", event.job)
            self._lost.add(event.job)
            return False
        return True

    def _received(self, event: Report | Result) -> Report | Result | None:
        """`event` as it is committed; None for a Result after which the same job runs again."""
        if self._attempts.get(event.job) != event.attempt:
            return None
        event = msgspec.structs.replace(event, saved=self._relative(event.saved))
        if isinstance(event, Report):
            return event
        if self._again(event):
            return None
        return msgspec.structs.replace(checked(self.study, event), made=self.made)

    def _relative(self, saved: str | None) -> str | None:
        if saved is None or self.study.files is None or not Path(saved).is_absolute():
            return saved
        return Path(saved).relative_to(self.study.files).as_posix()

    def _again(self, result: Result) -> bool:
        """Whether the job gets another attempt: its worker was lost, or the user asked to retry this error."""
        if result.status != "failed" or result.error is None:
            return False
        attempts = LOST if result.error.kind == "lost" else self.retry.get(result.error.type, 1)
        if self._attempts[result.job] >= attempts:
            return False
        why = result.error.message.strip().partition("\n")[0][:200]
        log.warning("job %d: %s (%s); it runs again", result.job, result.error.kind, why)
        del self._attempts[result.job]
        self._release(result.job)
        self._polled = 0.0  # take it up at once
        return True

    def _after(self, event: Report | Result) -> None:
        """What follows from a committed event: leases, checkpoints that nobody needs, a study that makes no sense."""
        checkpoints.sweep(self.study, event)
        if isinstance(event, Report):
            return
        if event.job not in self.executor.held():
            del self._attempts[event.job]
            self._done.append(event.job)
            if self.study.jobs[event.job].until < self.study.steps.maximum:
                self._release_done()  # somebody may want to go on from it now
        else:
            self._kept.add(event.job)
        self._stop_if_hopeless(event)

    def _stop_if_hopeless(self, result: Result) -> None:
        """Raise ObjectiveError when every trial fails alike: the rest of the night would be the same."""
        if result.error is None or len(self.study.results) > ALIKE:
            return
        enough = 1 if result.error.kind == "invalid" else ALIKE
        kinds = {
            (other.error.kind, other.error.type) for other in self.study.results.values() if other.error is not None
        }
        failed = sum(other.status == "failed" for other in self.study.results.values())
        alike = kinds == {(result.error.kind, result.error.type)} and result.error.kind in ("invalid", "crashed")
        if alike and failed == len(self.study.results) >= enough:
            times = "the first trial" if failed == 1 else f"each of the first {failed} trials"
            raise ObjectiveError(f"{times} failed: {result.error.message}", hint="Mend the objective, then go on.")

    # --- cancelling --------------------------------------------------------------------------------------------------

    def _is_cancelled(self, job: Job) -> bool:
        acts = self.study.acts("cancel")
        if not acts:
            return False
        cancelled = {act.data["trial"] for act in acts}
        return any(ancestor.id in cancelled for ancestor in self.study.lineage(job.id))

    def _finish_cancelled(self, job: Job, attempt: int) -> None:
        if job.id not in self.study.results:
            self.study.write(Result(job.id, "cancelled", attempt=attempt, made=self.made))

    def _drop_lost(self) -> None:
        """Stop what a person cancelled, and what another process now runs."""
        for job in [job for job in self._attempts if job not in self.study.results]:
            if job in self._lost or self._is_cancelled(self.study.jobs[job]):
                self.executor.cancel(job)
        for job in self._lost & self._attempts.keys():
            del self._attempts[job]
        self._lost.clear()

    def _keep_leases(self) -> None:
        """Renew the leases of what runs and is held here, from a thread of its own: a user's step may take hours."""
        while not self._closing.wait(LEASE / 3):
            try:
                mine = dict(self._attempts)
                self._lost.update(self.study.store.leases.renew(self.study.name, mine, self.study.owner, LEASE))
            except Exception:  # the store is away for a while: the loop itself will say so
                log.warning("could not renew the leases", exc_info=True)


@lru_cache(maxsize=1024)
def run_seed(study_seed: int, replicate: int) -> int:
    """The seed that a training function sees: the same for every config, another for each replicate."""
    return int(np.random.SeedSequence([study_seed, replicate]).generate_state(1)[0])


# --- the front door
# -----------------------------------------------------------------------------------------------------


def tune(
    objective: Callable[[Any], Any] | Sequence[str],
    space: Any,
    *,
    minimize: str | Goal | Sequence[str | Goal] = (),
    maximize: str | Goal | Sequence[str | Goal] = (),
    at_most: Mapping[str, float] | None = None,
    method: Any = None,
    trials: int | None = None,
    steps: int | Steps = 1,
    limits: Limits | None = None,
    workers: int = 1,
    executor: Executor | None = None,
    store: Any = None,
    name: str = "study",
    seed: int | None = None,
    deterministic: int | None = None,
    divergence: str | None = None,
    data: Split | None = None,
    earlier: Study | Sequence[Study] = (),
    test: Callable[[Best, Sealed], Any] | None = None,
    setup: Callable[[], Any] | None = None,
    retry: Mapping[str, int] | None = None,
    save_every: float = 30.0,
    callbacks: Iterable[Callable[[Study, Event], None]] = (),
    progress: bool | None = None,
) -> LiveStudy:
    """Tune `objective` over `space`, and return the study.

    `objective` is a function of one `run`, or a command line (a sequence of words with `{name}` for the entries). A
    study that exists in `store` under `name` goes on where it stopped. `trials` is short for `Limits(trials=...)`;
    `workers=1` runs in this process, more in processes of their own; `retry={"ConnectionError": 3}` gives such trials
    three attempts; `divergence="ignore"` lets runs go on that diverged; the study learns from `earlier` ones of related
    tasks (`LiveStudy.add_from`); `callbacks` get `(study, event)` for each committed event. Ctrl-C stops cleanly and
    raises KeyboardInterrupt.

    Raises SpaceError, StudyError, ObjectiveError, Unsupported or StoreError before anything runs where it can.
    """
    budget_given = limits or Limits()
    if trials is not None:
        budget_given = msgspec.structs.replace(budget_given, trials=trials)
    study = open_study(
        name,
        store,
        space=space,
        minimize=minimize,
        maximize=maximize,
        at_most=at_most,
        method=method,
        steps=steps,
        limits=budget_given if budget_given != Limits() else None,
        seed=seed,
        deterministic=deterministic,
        divergence=divergence,
        data=data,
        earlier=earlier,
    )
    study.watchers.extend(callbacks)
    run(
        study,
        objective,
        workers=workers,
        executor=executor,
        setup=setup,
        retry=retry,
        save_every=save_every,
        progress=progress,
    )
    if test is not None and not study.readings:
        study.read_vault(test)
        if progress is not False:
            _say_of_test(study)
    return study


def _say_of_test(study: LiveStudy) -> None:
    """Print the test score beside what validation said, on stderr like the progress."""
    from tunewell.report.sealed import sentences

    if sys.stderr is not None:
        print("\n".join(f"{study.name}: {words}" for words in sentences(study)), file=sys.stderr)


def run(
    study: LiveStudy,
    objective: Callable[[Any], Any] | Sequence[str],
    *,
    workers: int = 1,
    executor: Executor | None = None,
    setup: Callable[[], Any] | None = None,
    retry: Mapping[str, int] | None = None,
    save_every: float = 30.0,
    progress: bool | None = None,
) -> None:
    """Work on an open study until it ends; the arguments are those of `tune`."""
    wanted = _objective(study, objective, setup=setup, save_every=save_every)
    if study.limits == Limits() and study.settings.method["method"] == "Auto":
        raise StudyError(
            "the study has no budget", hint="Write trials=50, or limits=Limits(seconds=3600), for example."
        )
    runner = executor or default_executor(workers, wanted)
    from tunewell.report.progress import watching

    with watching(study, progress):
        Loop(study, wanted, runner, retry=retry).run()
    if study.luck is not None and study.luck.is_too_much:
        log.warning("the validation set is too small for so many trials: %s", study.luck)


def _objective(study: LiveStudy, given: Any, **settings: Any) -> Objective:
    """`given`, a function or the words of a command, as an Objective of `study`."""
    goal = study.objectives[0]
    settings |= {"metric": goal.metric, "maximize": goal.maximize, "watch": study.settings.divergence == "stop"}
    if callable(given):
        if study.sealed is not None and study.files is not None:
            given = WithData(given, study.files / "vault", study.sealed)
            settings = {**settings, "setup": settings["setup"] or given.load}
        return Objective(function=given, **settings)
    if isinstance(given, str) or not isinstance(given, Sequence) or not all(isinstance(word, str) for word in given):
        hint = 'Give a function of one run, or a command: ["python", "train.py", "--lr", "{lr}"].'
        raise ObjectiveError(f"{given!r} is no objective", hint=hint)
    from tunewell.executors.command import check_command

    check_command(given, study.space.names)
    return Objective(command=tuple(given), **settings)


def default_executor(workers: int, objective: Objective) -> Executor:
    """This process for one worker and a function, else worker processes."""
    if workers < 1:
        raise StudyError(f"workers={workers}", hint="Write workers=1 or more.")
    if workers == 1 and objective.function is not None:
        inline: Executor = load("tunewell.executors", "inline")()
        return inline
    processes: Executor = load("tunewell.executors", "processes")(workers)
    return processes
