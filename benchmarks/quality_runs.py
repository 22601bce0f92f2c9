"""Runs of our methods and of the peers on tasks, and the CSV files that keep them.

A finished run is a row, appended at once; a run that has its row is not made again. The peers' files lie in the tree,
`benchmarks/peers/quality/NAME-VERSION.csv`; ours in `build/quality`, named by the method and by a digest of the code
that it rests on. The columns of a row: task, seed, `seconds` (CPU of a suggestion, the first left out, as it may
import), and `r5` to `r200`: the regret of the lowest loss seen so far, after so many evaluations, not clipped. On
`noisy/` tasks it is the true regret of the config whose loss looked lowest; the whole run is then kept beside the CSV.
"""

import contextlib
import csv
import gzip
import hashlib
import json
import math
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks.figures import FOLDER, ONE_THREAD
from benchmarks.quality_methods import method_of
from benchmarks.tasks import Task, groups, spread_evenly, task, told, trials_of
from dev import ROOT, Environment
from tunewell.contract.methods import Player, new_study
from tunewell.method import Method
from tunewell.space import Config

MARKS = (5, 10, 15, 20, 25, 30, 40, 50, 60, 70, 75, 80, 90, 100, 150, 200)
"""After so many evaluations the regret is kept."""

COLUMNS = ("task", "seed", "seconds", *(f"r{mark}" for mark in MARKS))
KEPT = FOLDER / "peers" / "quality"
BUILT = ROOT / "build" / "quality"
PATIENCE = 900
"""Seconds of silence after which a peer's program counts as hung."""

Work = tuple[str, int]
"""A task and a seed."""


# --- one run ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trace:
    """What happened in a run, in order: configs, the losses that the method saw, the true ones, seconds before each."""

    configs: list[Config] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, config: Config, seen: float, loss: float, seconds: float) -> None:
        """One more evaluation."""
        self.configs.append(config)
        self.seen.append(seen)
        self.losses.append(loss)
        self.seconds.append(seconds)

    def regrets(self, of: Task) -> list[float]:
        """The true regret of the config that looked best, after each evaluation."""
        found, leader = [], 0
        for at, seen in enumerate(self.seen):
            leader = at if seen < self.seen[leader] else leader
            found.append(of.regret(self.losses[leader]))
        return found

    def row(self, of: Task, seed: int, trials: int) -> dict[str, str]:
        """The row of the CSV, for a run that was given so many trials; one that ended early keeps its last regret."""
        regrets = self.regrets(of)
        marks = {f"r{mark}": f"{regrets[min(mark, len(regrets)) - 1]:.5g}" for mark in MARKS if mark <= trials}
        later = self.seconds[1:] or [0.0]
        return {"task": of.name, "seed": str(seed), "seconds": f"{sum(later) / len(later):.4g}", **marks}


class Recorder:
    """Measures configs for a method and keeps what happens."""

    def __init__(self, of: Task, seed: int, trials: int) -> None:
        self.task = of
        self.trace = Trace()
        self._noise = of.noise_of(seed, trials)

    def __call__(self, config: Config, seconds: float) -> float:
        """The loss as the method sees it, of a config that took so long to propose."""
        loss, at = self.task.loss(config), len(self.trace.configs)
        seen = loss + self._noise[at] if at < len(self._noise) else loss
        self.trace.add(config, seen, loss, seconds)
        return seen


def play(expression: str, name: str, seed: int, trials: int, workers: int = 1) -> Trace:
    """A run of one of our methods, in this process, with simulated workers."""
    return play_method(method_of(expression), name, seed, trials, workers)


def play_method(method: Method, name: str, seed: int, trials: int, workers: int = 1) -> Trace:
    """A run of a method, in this process, with simulated workers."""
    record, left = Recorder(task(name), seed, trials), time.process_time()

    def loss(config: Config, step: int) -> float:
        nonlocal left
        seen = record(config, time.process_time() - left)
        left = time.process_time()
        return seen

    study = new_study(record.task.space, seed=seed, trials=trials)
    Player(method, loss, workers=workers).play(study)
    return record.trace


def sample(name: str, seed: int, trials: int) -> Trace:
    """A run of random search, as the loaders of the tasks draw configs."""
    record, rng = Recorder(task(name), seed, trials), np.random.default_rng([seed, 5])
    for _ in range(trials):
        record(record.task.problem.sample(rng), 0.0)
    return record.trace


# --- the program of a peer -------------------------------------------------------------------------------------------


class Program:
    """A peer's program in its own environment, which serves one run after the other."""

    def __init__(self, command: Sequence[str]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self._errors}
        self._process = subprocess.Popen(command, env=os.environ | ONE_THREAD, text=True, **pipes)
        self._hear()

    def close(self) -> None:
        """Let it end."""
        with self._process, self._errors, contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()

    def play(self, name: str, seed: int, trials: int) -> Trace:
        """One run. Raises RuntimeError with the end of what the program said where it breaks."""
        record = Recorder(task(name), seed, trials)
        parameters = [told(parameter) for parameter in record.task.problem.params]
        bad = 2 * record.task.median - record.task.best
        message = self.say({"parameters": parameters, "seed": seed, "trials": trials, "bad": bad})
        while "end" not in message:
            seen = record(message["config"], message["cpu"])
            message = self.say({"loss": seen if math.isfinite(seen) else None})
        return record.trace

    def say(self, message: Mapping[str, Any]) -> Any:
        """Tell the program something, and hear its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message, default=_plain) + "\n")
        self._process.stdin.flush()
        return self._hear()

    def _hear(self) -> Any:
        assert self._process.stdout is not None
        timer = threading.Timer(PATIENCE, self._process.kill)
        timer.start()
        line = self._process.stdout.readline()
        timer.cancel()
        if not line:
            self._process.wait()
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace").strip().splitlines()
            raise RuntimeError(f"exit code {self._process.returncode}: {' | '.join(said[-3:])}")
        return json.loads(line)


def _plain(value: Any) -> Any:
    return value.item()


_PROGRAMS: dict[Sequence[str], Program] = {}
"""Those that run for this process."""


def play_peer(command: tuple[str, ...], name: str, seed: int, trials: int) -> Trace:
    """A run of a peer; its program goes on running for the next one, unless it broke."""
    if command not in _PROGRAMS:
        _PROGRAMS[command] = Program(command)
    try:
        return _PROGRAMS[command].play(name, seed, trials)
    except (RuntimeError, OSError):
        _PROGRAMS.pop(command).close()
        raise


def close_programs() -> None:
    """End those that run for this process."""
    while _PROGRAMS:
        _PROGRAMS.popitem()[1].close()


# --- who is compared -------------------------------------------------------------------------------------------------


class Contender(Protocol):
    """Who is compared with whom."""

    @property
    def name(self) -> str:
        """What tables call it."""

    @property
    def path(self) -> Path:
        """Its CSV file."""

    def play(self, name: str, seed: int) -> Trace:
        """One run."""

    def trials(self, name: str) -> int:
        """The evaluations of a run."""

    def seeds(self, name: str) -> Sequence[int]:
        """The seeds of a task; none where it does not take part."""

    def prepare(self) -> None:
        """What runs need."""


SEEDS = {"public": 5, "noisy": 5, "optima": 3, "live": 3, "bbob": 3}
"""How many seeds a task of each group has."""


def group_of(name: str) -> str:
    """The group that a task belongs to."""
    for group in ("noisy", "live", "optima"):
        if name in groups()[group]:
            return group
    return "bbob" if name.startswith("bbob/") else "public"


@dataclass(frozen=True)
class Ours:
    """One of our methods: a Python expression in the names of tunewell's methods."""

    name: str
    expression: str
    factor: float = 1.0
    """Times the seeds."""

    @property
    def path(self) -> Path:
        """Named by the method and the code."""
        words = re.sub(r"[^\w=.]+", "-", self.expression).strip("-")
        return BUILT / f"{words}-{code()}.csv"

    def play(self, name: str, seed: int) -> Trace:
        """One run."""
        return play(self.expression, name, seed, self.trials(name))

    def trials(self, name: str) -> int:
        """All."""
        return trials_of(name)

    def seeds(self, name: str) -> Sequence[int]:
        """All tasks."""
        return range(round(SEEDS[group_of(name)] * self.factor))

    def prepare(self) -> None:
        """Raises where the method is not there."""
        method_of(self.expression)


class Alone(Environment):
    """An environment that holds what its lock lists and nothing else."""

    def _install(self, *arguments: str) -> None:
        super()._install("--no-deps", *arguments)


@dataclass(frozen=True)
class Peer:
    """A peer: its environment, its program, and the tasks that it runs on.

    `public` is the number of public tasks, chosen by `spread_evenly`; None: all. `noisy`, the same of the noisy ones.
    `others`: whether it runs on functions and live training. `torch`: whether it needs PyTorch. `alone`: its packages
    are installed as its lock lists them, whatever they say that they need. `most`: evaluations of a run; None: all.
    """

    name: str
    environment: str
    package: str
    words: tuple[str, ...]
    public: int | None = None
    noisy: int | None = None
    others: bool = True
    torch: bool = False
    alone: bool = False
    most: int | None = None

    @property
    def home(self) -> Environment:
        """Its environment."""
        return (Alone if self.alone else Environment)(ROOT / ".venvs" / self.environment)

    @property
    def version(self) -> str:
        """The version that its environment is locked to."""
        lock = FOLDER / "peers" / f"{self.environment}.txt"
        found = re.search(rf"^{re.escape(self.package)}==([^ \\;]+)", lock.read_text(), re.MULTILINE)
        return found[1] if found else "unknown"

    @property
    def path(self) -> Path:
        """Named by the version."""
        return KEPT / f"{self.name}-{self.version}.csv"

    def play(self, name: str, seed: int) -> Trace:
        """One run."""
        program = FOLDER / "peers" / self.words[0]
        return play_peer((str(self.home.python), str(program), *self.words[1:]), name, seed, self.trials(name))

    def trials(self, name: str) -> int:
        """All, or as many as it has the time for."""
        return trials_of(name) if self.most is None else min(self.most, trials_of(name))

    def seeds(self, name: str) -> Sequence[int]:
        """None where it does not take part."""
        group = group_of(name)
        limit = {"public": self.public, "noisy": self.noisy}.get(group, None if self.others else 0)
        takes_part = limit is None or name in spread_evenly(groups()[group], limit)
        return range(SEEDS[group] if takes_part else 0)

    def prepare(self) -> None:
        """Make its environment."""
        self.home.install(FOLDER / "peers" / f"{self.environment}.txt")
        if self.torch:
            self.home.install_torch()


@dataclass(frozen=True)
class Loaders:
    """Random search as the loaders of the tasks draw configs: the floor, with more seeds."""

    name: str = "random"

    @property
    def path(self) -> Path:
        """Kept with the peers."""
        return KEPT / "random.csv"

    def play(self, name: str, seed: int) -> Trace:
        """One run."""
        return sample(name, seed, self.trials(name))

    def trials(self, name: str) -> int:
        """All."""
        return trials_of(name)

    def seeds(self, name: str) -> Sequence[int]:
        """Twice those of the others; as many with noise, where whole runs are kept."""
        group = group_of(name)
        return range(SEEDS[group] * (1 if group == "noisy" else 2))

    def prepare(self) -> None:
        """Nothing."""


PEERS: tuple[Contender, ...] = (
    Loaders(),
    Peer("optuna-tpe", "optuna-quality", "optuna", ("quality_optuna.py", "tpe")),
    Peer("optuna-cma", "optuna-quality", "optuna", ("quality_optuna.py", "cma")),
    Peer("hyperopt-tpe", "hyperopt", "hyperopt", ("quality_hyperopt.py",)),
    Peer("nevergrad-ngopt", "nevergrad", "nevergrad", ("quality_nevergrad.py",)),
    Peer("optuna-gp", "optuna-quality", "optuna", ("quality_optuna.py", "gp"), 12, 4, False, torch=True),
    Peer("scikit-optimize", "scikit-optimize", "scikit-optimize", ("quality_skopt.py",), 8, 0, False),
    Peer("smac", "smac", "smac", ("quality_smac.py",), 8, 0, False),
    Peer("hebo", "hebo", "hebo", ("quality_hebo.py",), 4, 0, False, torch=True, alone=True, most=50),
)
"""The peers, the most useful first.

HEBO asks for packages that do not fit together on Python 3.11, and for a PyTorch of 3 GB. Its lock, made by hand, has
what it declares, GPy 1.13 for 1.9, and no PyTorch, which comes from the lock of the tests. Its pymoo 0.6.0 has no wheel
for 3.11 and runs without its compiled parts, which makes it slower, not worse.
"""


@cache
def code() -> str:
    """A digest of the code that our runs rest on: the package without what stores, runs, draws and prints."""
    apart = {"cli", "executors", "report", "stores"}
    source = ROOT / "src" / "tunewell"
    digest = hashlib.sha256()
    for path in sorted(source.rglob("*.py")):
        if path.relative_to(source).parts[0] not in apart:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:10]


# --- what is kept ----------------------------------------------------------------------------------------------------


def rows_of(path: Path) -> dict[Work, dict[str, float]]:
    """The rows of a CSV file by task and seed; none where there is no file."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {
            (row["task"], int(row["seed"])): {name: float(row[name]) for name in COLUMNS[2:] if row.get(name)}
            for row in csv.DictReader(file)
        }


def keep(path: Path, row: Mapping[str, str], columns: Sequence[str] = COLUMNS) -> None:
    """Append a row, in one write."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = ",".join(row.get(name, "") for name in columns) + "\n"
    with path.open("a") as file:
        file.write(line if file.tell() else ",".join(columns) + "\n" + line)


def trace_file(path: Path) -> Path:
    """Where the whole noisy runs of a CSV file are kept: a compressed line of JSON each."""
    return path.with_suffix(".traces.jsonl.gz")


def keep_trace(path: Path, name: str, seed: int, trace: Trace) -> None:
    """Append a run: values of configs in the order of the parameters, and losses."""
    names = [parameter.name for parameter in task(name).problem.params]
    values = [[_short(config.get(each)) for each in names] for config in trace.configs]
    losses = {"seen": list(map(_short, trace.seen)), "losses": list(map(_short, trace.losses))}
    line = json.dumps({"task": name, "seed": seed, "configs": values, **losses}) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with trace_file(path).open("ab") as file:
        file.write(gzip.compress(line.encode()))


def _short(value: Any) -> Any:
    """Seven digits of a number."""
    return float(f"{value:.7g}") if isinstance(value, float) else value


def traces_of(path: Path) -> dict[Work, Trace]:
    """The noisy runs that are kept beside a CSV file."""
    if not trace_file(path).exists():
        return {}
    with gzip.open(trace_file(path), "rt") as file:
        return {(line["task"], line["seed"]): _trace(line) for line in map(json.loads, file)}


def _trace(line: Mapping[str, Any]) -> Trace:
    names = [parameter.name for parameter in task(line["task"]).problem.params]
    configs = [{n: v for n, v in zip(names, values, strict=True) if v is not None} for values in line["configs"]]
    return Trace(configs, line["seen"], line["losses"], [0.0] * len(configs))


# --- many runs -------------------------------------------------------------------------------------------------------


def missing(contender: Contender, names: Iterable[str], most: int | None = None) -> list[Work]:
    """The runs that have no row yet: the first seed of every task, then the second. At most so many seeds."""
    have = rows_of(contender.path)
    work = [(name, seed) for name in names for seed in contender.seeds(name) if most is None or seed < most]
    return sorted((each for each in dict.fromkeys(work) if each not in have), key=lambda each: each[1])


def fill(contender: Contender, work: Sequence[Work], jobs: int = 0, told: Callable[[str], None] | None = None) -> None:
    """Make runs in so many processes (0: one a core), and keep each as it ends. A run that breaks is told and left."""
    if not work:
        return
    contender.prepare()
    broken = 0
    for (name, seed), trace, error in _made(contender, work, min(jobs or os.cpu_count() or 1, len(work))):
        if trace is None:
            broken += 1
            (told or say)(f"{contender.name} on {name}, seed {seed}: {error}")
            if broken == 3:
                raise RuntimeError(f"three runs broke, the last with {error}")
            continue
        if name.startswith("noisy/"):
            keep_trace(contender.path, name, seed, trace)
        keep(contender.path, trace.row(task(name), seed, contender.trials(name)))


def _made(contender: Contender, work: Sequence[Work], jobs: int) -> Iterator[tuple[Work, Trace | None, str]]:
    """The runs, as they end."""
    if jobs == 1:
        yield from (_attempt(contender, each) for each in work)
        return close_programs()
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("fork")) as pool:
        futures = [pool.submit(_attempt, contender, each) for each in work]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _attempt(contender: Contender, work: Work) -> tuple[Work, Trace | None, str]:
    try:
        return work, contender.play(*work), ""
    except Exception as error:
        return work, None, f"{type(error).__name__}: {error}"


def say(text: str) -> None:
    """Tell how it goes."""
    print(text, file=sys.stderr, flush=True)
