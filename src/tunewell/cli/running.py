"""run, resume, demo: the commands that train."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tunewell.cli import words
from tunewell.cli.objective import Target, declined, target_of
from tunewell.cli.opening import chosen, default_store, handed_on, store_words
from tunewell.errors import ObjectiveError, StudyError

if TYPE_CHECKING:
    from tunewell.live import LiveStudy
    from tunewell.protocols import Executor
    from tunewell.study import Best, Front
    from tunewell.studyfile import StudyFile

F = TypeVar("F", bound=Callable[..., Any])

STORE = "Where the study is kept; else the file says, or TUNEWELL_STORE, or it is tune.db here."


def _options(function: F) -> F:
    """What run and resume have in common."""
    options = (
        click.option("--store", metavar="FILE|URL", help=STORE),
        click.option("--name", help="The name of the study, in place of the file's."),
        click.option("--objective", metavar="FILE.py:NAME", help="The function to tune, in place of the study file's."),
        click.option("--command", metavar="WORDS", help='A program to tune: "python train.py --lr {lr}".'),
        click.option("--workers", type=click.IntRange(1), help="How many trials run at once."),
        words.yes,
        words.as_json,
        click.option("-q", "--quiet", is_flag=True, help="Show nothing but errors."),
        words.verbose,
    )
    for option in reversed(options):
        function = option(function)
    return function


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--trials", type=click.IntRange(0), help="How many trials at most.")
@click.option("--seed", type=click.IntRange(0), help="The seed of all that is random.")
@click.option("--method", metavar="NAME|JSON", help='Random, or {"method": "Grid", "levels": 3}.')
@click.option("--dry-run", is_flag=True, help="Train one default trial, keep nothing, and estimate the rest.")
@click.option("--steps", type=click.IntRange(1), help="With --dry-run: train so many steps of it.")
@_options
def run(file: Path, steps: int | None, dry_run: bool, **given: Any) -> int:
    """Tune what a study file says.

    A study of that name that exists already, with the same settings, goes on where it stopped.
    """
    from tunewell.studyfile import read

    spec = _overridden(read(file), **{key: given[key] for key in ("name", "trials", "seed", "method", "workers")})
    target = target_of(given["objective"], given["command"], file=spec, path=file)
    _check(target, spec)
    if not target.confirm(str(file), given["yes"]):
        return declined()
    objective = target.load()
    if dry_run:
        from tunewell.cli.rehearsal import rehearse

        return rehearse(spec, objective, executor_of(spec, objective), steps, where_of(spec, given), given["as_json"])
    if steps is not None:
        raise click.UsageError("--steps belongs to --dry-run")
    study = _begun(spec, where_of(spec, given), file)
    return Session(study, spec, given, str(file)).work(objective)


@click.command()
@click.argument("what", required=False, metavar="[FILE|NAME]")
@_options
def resume(what: str | None, **given: Any) -> int:
    """Go on with a study that was stopped, or whose budget was raised.

    With the study file, or with the name of the study and --objective (or --command): the log never names code to run,
    so that opening somebody's study cannot run theirs. All other settings are those of the log.
    """
    spec = _file_of(what)
    if spec is None and not (given["objective"] or given["command"]):
        raise ObjectiveError(
            f"what does {what or 'the study'} run? Its log names no code, so that a log cannot run any",
            hint="Resume with the study file, or add --objective train.py:train (or --command)",
        )
    target = target_of(given["objective"], given["command"], file=spec, path=spec.path if spec else None)
    if not target.confirm(str(what), given["yes"]):
        return declined()
    objective = target.load()
    study = _reopened(where_of(spec, given), given["name"] or (spec.name if spec else what))
    if spec is not None and not given["quiet"]:
        _tell_differences(study, spec)
    return Session(study, spec, given, what).work(objective)


@click.command()
@click.option("--quick", is_flag=True, help="A few seconds, to see that it works.")
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True, help="How many trials run at once.")
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True, help="How often each method is run.")
@click.option("--out", type=click.Path(path_type=Path), default="tunewell-demo", show_default=True, help="A folder.")
def demo(quick: bool, workers: int, seeds: int, out: Path) -> None:
    """Watch a real network being tuned on real data."""
    from tunewell.demo import main

    main(out, seeds=seeds, workers=workers, quick=quick)


# --- what the file and the command line say ---------------------------------------------------------------------------


def _overridden(spec: StudyFile, trials: int | None, method: str | None, **given: Any) -> StudyFile:
    """A study file with what the command line says in its place."""
    import msgspec

    changes = {key: value for key, value in given.items() if value is not None}
    if trials is not None:
        changes["limits"] = msgspec.structs.replace(spec.limits, trials=trials)
    if method is not None:
        changes["method"] = _parsed(method)
    return msgspec.structs.replace(spec, **changes)


def _parsed(method: str) -> Any:
    """The method as a study file would have it. Raises StudyError where it is none."""
    from tunewell.method import from_json

    try:
        data = json.loads(method) if method.lstrip().startswith("{") else method
        from_json(data)
    except json.JSONDecodeError as error:
        raise StudyError(f"--method is no JSON: {error}", hint='Write --method \'{"method": "Random"}\'') from None
    except TypeError as error:
        raise StudyError(f"--method {method}: {error}") from None
    return data


def where_of(spec: StudyFile | None, given: dict[str, Any]) -> str:
    """The store: of the command line, else of the file, else the usual one."""
    if given["store"]:
        return str(given["store"])
    if spec is None or spec.store is None:
        return default_store()
    here = spec.store == "memory" or "://" in spec.store
    return spec.store if here else str(spec.path.parent / spec.store)


def _file_of(what: str | None) -> StudyFile | None:
    from tunewell.studyfile import read

    return read(what) if what is not None and Path(what).suffix in (".toml", ".json") else None


def executor_of(spec: StudyFile | None, objective: Any, workers: int | None = None) -> Executor:
    """Worker processes where there are several, or settings for them; this process for one worker and a function."""
    from tunewell.executors.inline import Inline
    from tunewell.executors.processes import Processes

    count = workers or (spec.workers if spec is not None else None)
    settings = spec.executor if spec is not None else {}
    if not settings and (count or 1) == 1 and callable(objective):
        return Inline()
    return Processes(count if settings else count or 1, **settings)


def _check(target: Target, spec: StudyFile) -> None:
    """What file and command line say only together: a budget, and placeholders of the space."""
    from tunewell.study import Limits

    method = spec.method["method"] if isinstance(spec.method, dict) else spec.method or "Auto"
    if spec.limits == Limits() and method == "Auto":
        raise StudyError("the study has no budget", hint="Write trials = 50 under [limits], or pass --trials 50")
    if target.command:
        from tunewell.studyfile import check_command

        check_command(target.command, spec.space)


# --- opening ----------------------------------------------------------------------------------------------------------


def _begun(spec: StudyFile, where: str, file: Path) -> LiveStudy:
    """The study that a file describes, made where it does not exist."""
    from tunewell.live import open_study
    from tunewell.stores.address import open_store

    with handed_on(open_store(where)) as store:
        exists = spec.name in store.studies()
        try:
            return open_study(
                spec.name,
                store,
                space=spec.space,
                minimize=spec.minimize,
                maximize=spec.maximize,
                at_most=spec.at_most,
                method=spec.method,
                steps=spec.steps,
                limits=spec.limits,
                seed=spec.seed,
                deterministic=spec.deterministic,
            )
        except StudyError as error:
            hint = f"To go on as its log says: tunewell resume {file}; to begin another one: --name NAME"
            raise StudyError(error.message, hint=hint if exists else error.hint) from error


def _reopened(where: str, name: str | None) -> LiveStudy:
    """A study that exists, with the settings of its log."""
    from tunewell.live import open_study
    from tunewell.stores.address import open_store

    with handed_on(open_store(where, create=False)) as store:
        return open_study(chosen(store, where, name), store)


def _tell_differences(study: LiveStudy, spec: StudyFile) -> None:
    """Say where the file and the log disagree: the log counts."""
    from tunewell.live import goals_of, settings_json

    given = settings_json(
        space=spec.space,
        goals=goals_of(spec.minimize, spec.maximize, spec.at_most),
        method=spec.method,
        steps=spec.steps,
        limits=spec.limits,
        deterministic=spec.deterministic,
    )
    now, wanted = study.settings, study.settings.changed(given, {})
    names = [name for name in given if getattr(now, name) != getattr(wanted, name)]
    if names:
        words.note(f"note: {spec.path} has other {', '.join(names)} than the log, which counts")


# --- working ----------------------------------------------------------------------------------------------------------


class Session:
    """One sitting of `run` or `resume` on an open study; `given` are their options, `what` the argument of `resume`."""

    def __init__(self, study: LiveStudy, spec: StudyFile | None, given: dict[str, Any], what: str | None) -> None:
        self.study = study
        self.spec = spec
        self.given = given
        self.what = what

    def work(self, objective: Any) -> int:
        """Tune until the study ends or Ctrl-C stops it, and show the outcome; returns the exit code."""
        from tunewell.loop import run as work_on

        executor = executor_of(self.spec, objective, self.given["workers"])
        more: dict[str, Any] = {}
        if self.spec is not None:
            more = {"retry": self.spec.retry, "save_every": self.spec.save_every}
        silent = self.given["as_json"] or self.given["quiet"]
        try:
            with self.study:
                work_on(self.study, objective, executor=executor, progress=False if silent else None, **more)
                return self._finish()
        except KeyboardInterrupt:
            kept = where_of(self.spec, self.given) != "memory"
            words.note(f"\nstopped; to go on: {shlex.join(self._again())}" if kept else "\nstopped; nothing is kept")
            raise

    def _again(self) -> list[str]:
        """The command that goes on with this study."""
        given = {name: self.given[name] for name in ("store", "name", "objective", "command", "workers")}
        options = [word for name, value in given.items() if value is not None for word in (f"--{name}", str(value))]
        options += ["--yes"] if self.given["yes"] else []
        return ["tunewell", "resume", *([self.what] if self.what else []), *options]

    def _finish(self) -> int:
        study = self.study
        best = study.best if len(study.objectives) == 1 else study.pareto or None
        if self.given["as_json"]:
            words.print_json(outcome(self.study, best))
        elif not self.given["quiet"]:
            words.say(str(best) if best is not None else "no trial has a result that counts")
            where = where_of(self.spec, self.given)
            words.note(f"more: {shlex.join(['tunewell', 'show', self.study.name, *store_words(where)])}")
        return 0 if best is not None else 1


def outcome(study: LiveStudy, best: Best | Front | None) -> dict[str, Any]:
    """What `run --json` prints."""
    from collections import Counter

    from tunewell.budget import spent

    used = spent(study)
    return {
        "study": study.name,
        "best": best,
        "trials": dict(Counter(trial.status for trial in study.trials)),
        "spent": {name: getattr(used, name) for name in ("trials", "steps", "seconds", "compute_seconds", "cost")},
    }
