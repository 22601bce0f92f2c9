"""The quality benchmark: tasks, runs and what is kept of them, statistics, the table and the picture."""

from __future__ import annotations

import dataclasses
import math
import re
import sys
import xml.etree.ElementTree as xml
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from benchmarks import quality_methods, quality_runs, tasks
from benchmarks.figures import FOLDER
from benchmarks.quality_noise import Visited
from benchmarks.quality_picture import picture
from benchmarks.quality_runs import (
    COLUMNS,
    PEERS,
    Ours,
    Peer,
    Program,
    Trace,
    fill,
    missing,
    play,
    play_method,
    rows_of,
    traces_of,
)
from benchmarks.quality_statistics import compare, evaluations_to_reach, holm, ranks, task_means
from benchmarks.quality_table import complete, curve, lines
from tunewell import Confirm
from tunewell.space import Choice, Float, Int, Ordinal


def parameter(name: str, kind: str, **settings: Any) -> SimpleNamespace:
    given = {"low": None, "high": None, "log": False, "choices": (), "when": ()} | settings
    return SimpleNamespace(name=name, kind=kind, **given)


PARAMETERS = [
    parameter("x", "float", low=0.0, high=1.0),
    parameter("n", "int", low=0.0, high=9.0, log=True),
    parameter("kind", "cat", choices=("a", "b")),
    parameter("size", "ord", choices=(1, 2, 4)),
    parameter("depth", "int", low=1.0, high=3.0, when=(("kind", ("b",)),)),
]


class Infeasible(Exception):
    """As the loaders name it."""


class Problem:
    """A bowl that cannot run near its edge."""

    params = PARAMETERS
    reference: ClassVar = {"best": 0.0, "median": 0.5}

    def evaluate(self, config: Any) -> dict[str, float]:
        if config["x"] > 0.95:
            raise Infeasible
        return {"loss": (config["x"] - 0.3) ** 2 + 0.01 * config.get("depth", 0)}

    def loss(self, metrics: Any) -> float:
        return float(metrics["loss"])

    def sample(self, rng: Any) -> dict[str, Any]:
        return {"x": float(rng.random()), "n": 3, "kind": "a", "size": 2}


@pytest.fixture
def bowl(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a task that needs no data; with noise as "noisy/bowl"."""

    def task(name: str) -> tasks.Task:
        return tasks.Task(name, Problem(), 0.0, 0.5, noise=0.2 if name.startswith("noisy/") else 0.0)

    names = {"public": ["bowl"], "noisy": ["noisy/bowl"], "optima": [], "live": [], "bbob": []}
    for module in (tasks, quality_runs):
        monkeypatch.setattr(module, "task", task)
        monkeypatch.setattr(module, "groups", lambda: names)
    yield "bowl"
    quality_runs.close_programs()


# --- tasks -------------------------------------------------------------------------------------------------------


def test_a_peer_is_told_of_the_space_that_ours_has() -> None:
    space = tasks.space_of(PARAMETERS).entries
    assert space["x"] == Float(0.0, 1.0)
    assert space["n"] == Int(0, 9)  # no logarithm of 0
    assert space["kind"] == Choice({"a": {}, "b": {"depth": Int(1, 3)}})
    assert space["size"] == Ordinal([1, 2, 4])
    told = {each["name"]: each for each in map(tasks.told, PARAMETERS)}
    assert told["n"] == {"name": "n", "kind": "int", "low": 0, "high": 9, "log": False, "when": []}
    assert told["depth"]["when"] == [["kind", ["b"]]]
    assert told["size"]["choices"] == [1, 2, 4]


def test_tasks_are_chosen_at_even_distances() -> None:
    names = [f"{number:02}" for number in range(10)]
    assert tasks.spread_evenly(names[::-1], 2) == ["02", "07"]
    assert tasks.spread_evenly(names, 10) == tasks.spread_evenly(names, 99) == names
    assert len(set(tasks.spread_evenly(names, 7))) == 7


def test_what_cannot_run_has_no_regret_below_infinity() -> None:
    of = tasks.Task("it", Problem(), 1.0, 3.0)
    assert of.loss({"x": 0.99}) == math.inf
    assert of.regret(of.loss({"x": 0.99})) == math.inf
    assert of.regret(2.0) == 0.5


def test_noise_is_the_same_for_every_method() -> None:
    of = tasks.Task("it", Problem(), 1.0, 3.0, noise=2.0)
    assert of.noise_of(3, 50) == of.noise_of(3, 100)[:50]
    assert of.noise_of(3, 50) != of.noise_of(4, 50)


# --- runs --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("bowl")
def test_with_noise_the_true_regret_of_the_leader_counts() -> None:
    trace = Trace([{}] * 3, seen=[1.0, 0.2, 0.5], losses=[0.1, 0.4, 0.05], seconds=[9.0, 0.1, 0.3])
    assert trace.regrets(tasks.task("bowl")) == [0.2, 0.8, 0.8]
    row = trace.row(tasks.task("bowl"), 4, 100)
    assert (row["task"], row["seed"], row["seconds"]) == ("bowl", "4", "0.2")
    assert row["r5"] == row["r100"] == "0.8"
    assert "r150" not in row


def test_one_of_ours_plays(bowl: str) -> None:
    trace = play("Random()", bowl, 0, 30)
    assert len(trace.configs) == 30
    assert trace.losses == trace.seen
    assert trace.losses != play("Random()", bowl, 1, 30).losses
    assert len(play("Sobol()", bowl, 0, 30, workers=8).configs) == 30


def test_a_peer_is_offered_replicates_of_what_it_visited(bowl: str) -> None:
    trace = play("Random()", f"noisy/{bowl}", 0, 50)
    again = play_method(Confirm(Visited(tuple(trace.configs))), f"noisy/{bowl}", 0, 50)
    assert again.seen[:40] == trace.seen[:40]
    assert len(again.seen) == 50
    assert all(config in trace.configs[:40] for config in again.configs[40:])
    assert again.seen[40:] != trace.seen[40:]


PROGRAM = """
import sys
sys.path.insert(0, {folder!r})
from quality_peer import active, serve

def run(parameters, seed, trials, ask):
    for number in range(trials):
        print("noise on the standard output")
        if seed == 13 and number == 3:
            raise ValueError("thirteen")
        values = {{"x": (seed + number) % 100 / 100, "n": 3, "kind": "ab"[number % 2], "size": 1, "depth": 2}}
        assert ask.finite(active(parameters, values)) <= 1

serve(run)
"""


@pytest.fixture
def program(tmp_path: Path) -> tuple[str, ...]:
    """The command of a peer that draws nothing."""
    file = tmp_path / "peer.py"
    file.write_text(PROGRAM.format(folder=str(FOLDER / "peers")))
    return sys.executable, str(file)


def test_a_program_serves_one_run_after_the_other(
    bowl: str, program: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    peer = Program(program)
    request.addfinalizer(peer.close)
    for seed in (2, 7):
        trace = peer.play(bowl, seed, 100)
        assert [config["x"] for config in trace.configs[:2]] == [seed / 100, (seed + 1) / 100]
        assert len(trace.configs) == 100
        assert "depth" not in trace.configs[0]
        assert math.inf in trace.losses
        assert all(seconds < 1 for seconds in trace.seconds)


def test_what_a_program_says_as_it_breaks_is_told(bowl: str, program: tuple[str, ...]) -> None:
    with pytest.raises(RuntimeError, match=r"exit code 1.*ValueError: thirteen"):
        quality_runs.play_peer(program, bowl, 13, 10)
    assert quality_runs.play_peer(program, bowl, 12, 10).configs


# --- what is kept ------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Once:
    """Plays a fixed run, except for seeds that break."""

    path: Path
    broken: tuple[int, ...] = ()
    name: str = "once"

    def play(self, name: str, seed: int) -> Trace:
        if seed in self.broken:
            raise ValueError(f"seed {seed}")
        return Trace([{"x": 0.5, "kind": "a"}] * 2, seen=[0.3, 0.2], losses=[0.5, 0.25], seconds=[1.0, 0.5])

    def trials(self, name: str) -> int:
        return 100

    def seeds(self, name: str) -> Sequence[int]:
        return range(4)

    def prepare(self) -> None:
        """Nothing."""


def test_a_run_that_is_kept_is_not_made_again(bowl: str, tmp_path: Path) -> None:
    once = Once(tmp_path / "once.csv")
    work = missing(once, [bowl, "noisy/bowl"])
    assert work[:3] == [(bowl, 0), ("noisy/bowl", 0), (bowl, 1)]
    fill(once, work[:3], jobs=1)
    assert missing(once, [bowl, "noisy/bowl"]) == work[3:]
    assert missing(once, [bowl], 2) == []
    assert rows_of(once.path)[bowl, 1]["r100"] == 0.5
    assert once.path.read_text().splitlines()[0] == ",".join(COLUMNS)
    assert traces_of(once.path).keys() == {("noisy/bowl", 0)}
    assert traces_of(once.path)["noisy/bowl", 0].configs == [{"x": 0.5, "kind": "a"}] * 2


def test_a_run_that_breaks_is_told_and_the_others_go_on(bowl: str, tmp_path: Path) -> None:
    said: list[str] = []
    once = Once(tmp_path / "once.csv", broken=(1, 2))
    fill(once, missing(once, [bowl]), jobs=1, told=said.append)
    assert [seed for _, seed in rows_of(once.path)] == [0, 3]
    assert said == ["once on bowl, seed 1: ValueError: seed 1", "once on bowl, seed 2: ValueError: seed 2"]
    with pytest.raises(RuntimeError, match="three runs broke"):
        fill(
            Once(tmp_path / "never.csv", broken=(0, 1, 2)),
            [(bowl, seed) for seed in range(4)],
            jobs=1,
            told=said.append,
        )


def test_an_expression_makes_a_method() -> None:
    assert quality_methods.method_of("Take(3, Random())") == quality_methods.names()["Take"](
        3, quality_methods.names()["Random"]()
    )
    with pytest.raises(LookupError, match="Nonesuch"):
        quality_methods.method_of("Nonesuch()")
    assert Ours("it", "Zoom(level=0.5)").path.name.startswith("Zoom-level=0.5-")


@pytest.mark.parametrize("peer", [peer for peer in PEERS if isinstance(peer, Peer)], ids=lambda peer: peer.name)
def test_every_peer_is_locked_and_its_program_is_there(peer: Peer) -> None:
    assert peer.version != "unknown"
    assert (FOLDER / "peers" / peer.words[0]).exists()
    assert peer.alone or (FOLDER / "peers" / f"{peer.environment}.in").exists()


def test_what_is_kept_of_the_peers_can_be_read() -> None:
    expected = {peer.path for peer in PEERS}
    for path in quality_runs.KEPT.glob("*.csv"):
        assert path in expected, f"{path.name} is of no peer, or of another version"
        rows = rows_of(path)
        assert len(rows) == len(path.read_text().splitlines()) - 1
        for (name, seed), row in rows.items():
            assert seed >= 0
            assert {"r20", "r50", "seconds"} <= row.keys(), name
            assert (row["r20"] >= row["r50"] >= row.get("r100", -1.0)) or name.startswith("noisy/")


# --- statistics --------------------------------------------------------------------------------------------------


def test_holm() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})


def test_ranks_share_ties_and_leave_out_what_not_all_have() -> None:
    found = ranks({"a": {"s": 0.1, "t": 0.0}, "b": {"s": 0.2, "t": 0.0}, "c": {"s": 0.3, "t": 1.0, "u": 0.0}})
    assert found == {"a": [1.0, 1.5], "b": [2.0, 1.5], "c": [3.0, 3.0]}


def test_a_comparison_is_over_the_tasks_of_both() -> None:
    ours = {f"{number}": 0.1 + number / 1000 for number in range(12)}
    theirs = {name: 2 * regret for name, regret in ours.items()}
    found = compare(ours, theirs | {"more": 0.0})
    assert found.tasks == 12
    assert found.ratio == pytest.approx(0.5)
    assert found.low == pytest.approx(0.5)
    assert found.high == pytest.approx(0.5)
    assert found.ahead
    assert found.p < 0.001
    assert compare(ours, ours).p == 1.0
    with pytest.raises(ValueError, match="no task"):
        compare(ours, {"other": 1.0})


def test_regrets_are_clipped_and_averaged_over_seeds() -> None:
    rows = {("t", 0): {"r20": -0.5}, ("t", 1): {"r20": math.inf}, ("u", 0): {"r20": 0.25, "r50": 0.1}}
    assert task_means(rows, 20, ["t", "u"]) == {"t": 0.5, "u": 0.25}
    assert task_means(rows, 50, ["t", "u"]) == {"u": 0.1}


def test_evaluations_lie_on_the_line_between_two_marks() -> None:
    falling = {20: 0.4, 50: 0.1, 100: 0.0}
    assert evaluations_to_reach(0.2, falling) == pytest.approx(40)
    assert evaluations_to_reach(0.5, falling) == 20
    assert evaluations_to_reach(0.0, falling) == 100
    assert evaluations_to_reach(-0.1, falling) == math.inf


# --- the table and the picture -----------------------------------------------------------------------------------


@pytest.fixture
def table() -> dict[str, dict[tuple[str, int], dict[str, float]]]:
    """Three contenders, one of them on one task alone."""

    def rows(*names: str, scale: float) -> dict[tuple[str, int], dict[str, float]]:
        marks = {"r20": 0.4, "r50": 0.2, "r100": 0.1}
        return {
            (name, 0): {"seconds": 0.01} | {mark: scale * regret for mark, regret in marks.items()} for name in names
        }

    return {"Mine": rows("s", "t", scale=0.5), "theirs": rows("s", "t", scale=1.0), "slow": rows("s", scale=0.9)}


def test_who_lacks_tasks_has_no_rank_but_is_compared(table: Any) -> None:
    text = lines(table, ["s", "t"], [20, 50, 100], "Mine")
    rows = {line.split()[0]: line for line in text if line and not line.startswith(" ")}
    assert complete(table, ["s", "t"]).keys() == {"Mine", "theirs"}
    assert re.search(r"0\.2000 \[0\.200, 0\.200\] .* 1\.00", next(line for line in text if line.startswith("Mine ")))
    assert "0.500 [0.500, 0.500]" in rows["theirs"]
    assert "0.556" in rows["slow"]


def test_the_picture_is_a_drawing_with_every_name(table: Any) -> None:
    curves = {name: curve(rows, ["s", "t"]) for name, rows in table.items()}
    drawn = xml.fromstring(picture(curves, "Regret & <more>", "Mine"))
    texts = [element.text or "" for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert "Regret & <more>" in texts
    assert all(any(text.startswith(name) for text in texts) for name in table)
