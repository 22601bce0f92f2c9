"""The quality benchmark by hand: run one method on some tasks and see the table at once; run peers; show what is kept.

    python -m benchmarks.quality_run                                     the table of all that is kept
    python -m benchmarks.quality_run --method 'Bayes(warp="none")' --tasks 20 --seeds 3
    python -m benchmarks.quality_run --method 'Bayes()' --method 'TPE()' --group mixed --each 50
    python -m benchmarks.quality_run --peer optuna-gp --group noisy --jobs 1
    python -m benchmarks.quality_run --peers                             what the peers still lack: resumes; hours

A method is an expression in the names of tunewell and of its methods' modules. `--group` is public (if left out),
mixed, bbob, live, noisy, optima, or the beginning of task names. Of ours, a run is made once for each state of the
code; `--with FILE` shows an older CSV of build/quality beside it.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import ONE_THREAD
from benchmarks.quality_methods import JUDGED, METHODS
from benchmarks.quality_runs import PEERS, Contender, Ours, Trace, fill, missing, say
from benchmarks.quality_table import by_task, lines, table_of, tasks_of

MARKS = (20, 50, 100)


@dataclass(frozen=True)
class Older:
    """What a CSV file keeps, under its name."""

    path: Path

    @property
    def name(self) -> str:
        """The file's."""
        return self.path.stem

    def play(self, name: str, seed: int) -> Trace:
        """Nothing can be run."""
        raise NotImplementedError

    def trials(self, name: str) -> int:
        """None."""
        return 0

    def seeds(self, name: str) -> Sequence[int]:
        """None that are missing."""
        return ()

    def prepare(self) -> None:
        """Nothing."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    line = argparse.ArgumentParser(prog="python -m benchmarks.quality_run", description="Quality, by hand.")
    line.add_argument("--method", action="append", default=[], metavar="EXPRESSION", help="run one of ours")
    line.add_argument("--peer", action="append", default=[], metavar="NAME", help="run a peer: what it still lacks")
    line.add_argument("--peers", action="store_true", help="run all peers: what they still lack")
    line.add_argument("--group", action="append", default=[], metavar="GROUP", help="a group of tasks, or a prefix")
    line.add_argument("--tasks", type=int, metavar="N", help="only N of the tasks, spread evenly")
    line.add_argument("--seeds", type=int, metavar="N", help="only the first N seeds to run, or of ours to show")
    line.add_argument("--jobs", type=int, default=0, metavar="N", help="processes (default: one a core)")
    line.add_argument("--each", type=int, metavar="MARK", help="the regret of every task after so many evaluations")
    line.add_argument("--with", dest="older", action="append", default=[], type=Path, metavar="FILE", help="a CSV file")
    return line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    options = parser().parse_args(arguments)
    names = tasks_of(options.group or ["public"], options.tasks)
    ours = [Ours(expression.removesuffix("()"), expression) for expression in options.method]
    peers = [peer for peer in PEERS if options.peers or peer.name in options.peer]
    run([*ours, *peers], names, options)
    shown = ours or [Ours(name, expression) for name, expression in METHODS.items()]
    table = table_of(shown, names, options.seeds) | table_of([*PEERS, *map(Older, options.older)], names)
    marks = [200 if set(names) <= set(tasks_of(["optima"])) else mark for mark in MARKS[2:]]
    print("\n".join(lines(table, names, [*MARKS[:2], *marks], ours[0].name if ours else JUDGED)))
    if options.each:
        print("\n" + "\n".join(by_task(table, names, options.each)))
    return 0


def run(contenders: Sequence[Contender], names: Sequence[str], options: argparse.Namespace) -> None:
    """Make the runs that are missing; what cannot be run is told."""
    for contender in contenders:
        work = missing(contender, names, options.seeds)
        try:
            fill(contender, work, options.jobs)
        except Exception as error:
            say(f"{contender.name}: {error}")


if __name__ == "__main__":
    if any(os.environ.get(name) != "1" for name in ONE_THREAD):
        environment = os.environ | ONE_THREAD
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.quality_run", *sys.argv[1:]], environment)
    sys.exit(main())
