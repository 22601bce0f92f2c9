"""The command line, in processes of its own where signals, terminals, imports or workers matter."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tunewell as tw
from tunewell.cli import SECTIONS, main

TRAIN = """\
import json, pathlib, time

def train(run):
    weights = 0.0
    if run.checkpoint:
        weights = json.loads((run.checkpoint / "weights.json").read_text())
    for step in run.steps():
        time.sleep(0.01)
        if pathlib.Path("hold").exists() and len(list(pathlib.Path("tune.files").glob("*/job-*"))) > 2:
            time.sleep(600)
        weights += run.config["lr"]

        def save(folder):
            (folder / "weights.json").write_text(json.dumps(weights))

        run.report(step, loss=(weights - 1) ** 2 + 1 / step, cost=0.5 * step, save=save)


def hangs(run):
    pathlib.Path("hanging").touch()
    for _ in range(6000):
        time.sleep(0.1)


def fails(run):
    raise ValueError("it is broken")


def text(run):
    return "good"


def silent(run):
    run.report(1, accuracy=0.5)


def nothing():
    return 1.0


def single(run):
    return run.config["lr"]


numbers = [1, 2]
pathlib.Path("imported").touch()
"""

STUDY = """\
objective = "train.py:train"
minimize = "loss"
store = "tune.db"
steps = {minimum = 1, maximum = 4, unit = "epochs"}
method = "Random"
workers = 2
seed = 1

[limits]
trials = 6

[space.lr]
low = 1e-3
high = 1.0
log = true
"""

TIMEOUT = 300
"""Seconds, for a machine that does a lot at once."""

HEAVY = ("numpy", "scipy", "sqlalchemy", "alembic", "rich", "msgspec", "plotly", "cloudpickle", "asyncio")


def environment(**more: str) -> dict[str, str]:
    """The variables of a subprocess: warnings are errors there and in its workers."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TUNEWELL_")}
    return {**kept, "PYTHONWARNINGS": "error", **more}


def words(*arguments: str) -> list[str]:
    """The command line of a real process."""
    return [sys.executable, "-P", "-m", "tunewell", *arguments]


def called(folder: Path, *arguments: str, code: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command in a process without a terminal."""
    done = subprocess.run(
        words(*arguments),
        cwd=folder,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "src/tunewell" not in done.stderr  # no traceback of ours
    return done


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an objective and a study file; it is the current one."""
    monkeypatch.delenv("TUNEWELL_STORE", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "study.toml").write_text(STUDY)
    return tmp_path


@pytest.fixture
def forgotten(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same folder, for a test that runs objectives in this process: their modules are forgotten afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield folder
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(folder)):
            del sys.modules[name]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `tunewell run` has ended. Not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "train.py").write_text(TRAIN)
    (folder / "study.toml").write_text(STUDY)
    called(folder, "run", "study.toml", "--yes")
    return folder


@pytest.fixture
def done(finished: Path, folder: Path) -> Path:
    """A copy of a folder in which a study has ended; it is the current one."""
    shutil.copytree(finished, folder, dirs_exist_ok=True)
    return folder


class Said:
    """What a command answered, in this process."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        """The answer as data: stdout is JSON and nothing else."""
        return json.loads(self.out, parse_constant=pytest.fail)


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Any:
    """Calls a command in this process."""

    def call(*arguments: str, code: int = 0) -> Said:
        capsys.readouterr()
        said = Said(main(arguments), *capsys.readouterr())
        assert said.code == code, said.out + said.err
        return said

    return call


# --- help -------------------------------------------------------------------------------------------------------------


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from tunewell.cli import main; code = main(sys.argv[1:]);"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules], code)"
    )
    for arguments in ([], ["run"], ["show"], ["gc"]):
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments, "--help"],
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert "HEAVY [] 0" in done.stdout, (arguments, done.stdout[-500:], done.stderr)


def test_help_names_every_command(say: Any) -> None:
    listed = say("--help").out
    for _, names in SECTIONS.values():
        for name in names:
            assert f"\n  {name} " in listed
            assert say(name, "--help").out.startswith(f"Usage: tunewell {name}")
    assert say("--version").out == f"tunewell {tw.__version__}\n"


def test_unknown_words(say: Any) -> None:
    assert say("runn", code=2).err == (
        "error: no command is called 'runn', did you mean 'run'?\nhint: tunewell --help\n"
    )
    assert "No such option" in say("show", "--al", code=2).err


# --- run --------------------------------------------------------------------------------------------------------------


def test_run_shows_the_best_and_stores_the_study(finished: Path, done: Path, say: Any) -> None:
    shown = say("show")
    assert "study" in shown.out
    assert shown.out.count(" done ") == 6
    again = called(done, "run", "study.toml", "--yes")
    assert again.stdout.startswith("trial ")
    assert "loss = " in again.stdout
    assert "more: tunewell show study" in again.stderr


def test_run_prints_json_and_nothing_else(folder: Path) -> None:
    said = called(folder, "run", "study.toml", "--yes", "--json", "--trials", "3", "--name", "other", "--seed", "7")
    found = json.loads(said.stdout)
    assert (found["study"], found["trials"], found["spent"]["trials"]) == ("other", {"done": 3}, 3)
    assert found["best"]["config"].keys() == {"lr"}
    assert said.stderr == ""


def test_a_strangers_file_does_not_run_without_consent(folder: Path) -> None:
    refused = called(folder, "run", "study.toml", code=2)
    assert f"error: study.toml runs train of {folder.resolve() / 'train.py'}" in refused.stderr
    assert "--yes" in refused.stderr
    assert refused.stdout == ""
    assert not (folder / "imported").exists()
    assert not (folder / "tune.db").exists()


def test_a_file_cannot_write_over_the_question(folder: Path, say: Any) -> None:
    (folder / "study.toml").write_text(STUDY.replace('"train.py:train"', '"evil.py\\r\\u001b[2Ksafe.py:train"'))
    assert "evil.py\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}[2Ksafe.py" in say("run", "study.toml", code=2).err


def test_naming_the_objective_is_consent(folder: Path) -> None:
    called(folder, "run", "study.toml", "--objective", "train.py:single", "--workers", "1", "--store", "mine.db")
    assert (folder / "mine.db").exists()


@pytest.mark.parametrize("answer", ["y", "n"])
def test_on_a_terminal_it_asks(folder: Path, answer: str) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        words("run", "study.toml", "--trials", "2", "--dry-run", "--steps", "1"),
        cwd=folder,
        env=environment(TERM="dumb"),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    asked = b""
    while b"[y/N]" not in asked:
        asked += os.read(ours, 4096)
    os.write(ours, f"{answer}\n".encode())
    out, _ = process.communicate(timeout=TIMEOUT)
    os.close(ours)
    assert str(folder / "train.py").encode() in asked.replace(b"\r\n", b"")
    assert (folder / "imported").exists() == (answer == "y")
    assert (process.returncode, "one trial" in out) == ((0, True) if answer == "y" else (1, False))


def test_a_command_is_an_objective(folder: Path) -> None:
    (folder / "program.py").write_text(
        "import json, os, pathlib, sys\n"
        "pathlib.Path(os.environ['TUNEWELL_REPORTS']).write_text(json.dumps({'loss': float(sys.argv[1])}))\n"
    )
    text = STUDY.replace('objective = "train.py:train"', 'command = ["python", "program.py", "{lr}"]').replace(
        "steps = {", "# steps = {"
    )
    (folder / "study.toml").write_text(text)
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    refused = called(elsewhere, "run", "../study.toml", code=2, PATH=search)
    assert f"{folder / 'program.py'} '{{lr}}'" in refused.stderr
    found = json.loads(
        called(elsewhere, "run", "../study.toml", "--yes", "--json", "--trials", "2", PATH=search).stdout
    )
    assert found["best"]["metrics"]["loss"] == found["best"]["config"]["lr"]
    assert (folder / "tune.db").exists()
    (folder / "study.toml").write_text(text.replace("{lr}", "{lrr}"))
    refused = called(folder, "run", "study.toml", "--yes", code=2, PATH=search)
    assert "study.toml:1: the command has {lrr}" in refused.stderr
    assert "Did you mean {lr}?" in refused.stderr


OBJECTIVES = [
    ("train.py:nothing", "cannot be called with one argument", "def nothing(run)"),
    ("train.py:numbers", "is no training function", ""),
    ("train.py:trian", "train.py has no function 'trian'", "Did you mean 'train'?"),
    ("tran.py:train", "there is no file", "Did you mean 'train.py'?"),
    ("no_such_package.inner:train", "No module named 'no_such_package'", "Looked in"),
    ("broken.py:train", "importing it raised ZeroDivisionError", "broken.py:2: 1 / 0"),
    ("syntax.py:train", "importing it raised SyntaxError", "syntax.py:1"),
    ("train.py:fails", "it is broken", "Mend the objective"),
    ("train.py:text", "returned str 'good'", ""),
    ("train.py:silent", "the metric 'loss' never came; the trial gave: accuracy", ""),
    ("train.py", "'train.py' names no function", "file.py:function"),
]


@pytest.mark.parametrize(("objective", "message", "hint"), OBJECTIVES, ids=[case[0] for case in OBJECTIVES])
def test_objectives_that_cannot_be(forgotten: Path, say: Any, objective: str, message: str, hint: str) -> None:
    (forgotten / "broken.py").write_text("# first\n1 / 0\n")
    (forgotten / "syntax.py").write_text("def train(run:\n")
    text = STUDY.replace("workers = 2", "workers = 1").replace("trials = 6", "trials = 12")
    (forgotten / "study.toml").write_text(text)
    said = say("run", "study.toml", "--objective", objective, "--quiet", code=2)
    assert said.err.startswith("error: ")
    assert message in said.err
    assert hint in said.err


def test_mistakes_are_found_before_anything_runs(folder: Path, say: Any) -> None:
    (folder / "study.toml").write_text(STUDY.replace("minimize", "minimise"))
    said = say("run", "study.toml", "--yes", code=2)
    assert said.err == "error: study.toml:2: unknown key 'minimise'\nhint: Did you mean 'minimize'?\n"
    (folder / "study.toml").write_text(STUDY.replace("trials = 6", "").replace('method = "Random"', ""))
    assert "the study has no budget" in say("run", "study.toml", "--yes", code=2).err
    assert not (folder / "imported").exists()
    assert not (folder / "tune.db").exists()


def test_a_study_with_other_settings_is_not_touched(done: Path, say: Any) -> None:
    said = say("run", "study.toml", "--yes", "--trials", "50", code=2)
    assert "exists with another limits" in said.err
    assert "tunewell resume study.toml" in said.err
    assert say("run", "study.toml", "--yes", "--method", "{", code=2).err.startswith("error: --method is no JSON")
    assert "Did you mean 'Random'?" in say("run", "study.toml", "--yes", "--method", "Randon", code=2).err
    assert "missing" in say("run", "study.toml", "--yes", "--method", '{"method": "Take"}', code=2).err


# --- run --dry-run ----------------------------------------------------------------------------------------------------


def test_dry_run_estimates_and_keeps_nothing(folder: Path) -> None:
    said = called(folder, "run", "study.toml", "--yes", "--dry-run")
    for line in ("one trial    4 epochs in ", "kept nowhere", "time       at most about", "24 epochs on 2 workers"):
        assert line in said.stdout
    assert "cost       at most about 12" in said.stdout
    assert "6 checkpoints" in said.stdout or "each trial's last checkpoint" in said.stdout
    found = json.loads(called(folder, "run", "study.toml", "--yes", "--dry-run", "--steps", "2", "--json").stdout)
    assert found["trial"]["steps"] == 2
    assert found["trial"]["config"] == {"lr": pytest.approx(10**-1.5)}
    assert (found["estimate"]["trials"], found["estimate"]["steps"]) == (6, 24)
    assert found["estimate"]["seconds"] == pytest.approx(24 / 2 * found["trial"]["seconds"] / 2)
    assert found["estimate"]["bytes"] == 6 * found["trial"]["bytes"] > 0
    assert not (folder / "tune.db").exists()


def test_dry_run_says_how_many_configs_there_are_and_how_many_are_different(folder: Path) -> None:
    cell = '[space.cell]\ntype = "cell"\nnodes = 3\noperations = ["none", "a", "b"]\n'
    lr = "[space]\nlr = [0.1]\n"
    (folder / "cells.toml").write_text(STUDY[: STUDY.index("[space")] + lr + cell)
    assert "27 configs, 15 of them different" in called(folder, "run", "cells.toml", "--yes", "--dry-run").stdout


def test_dry_run_of_an_objective_that_fails(folder: Path) -> None:
    said = called(folder, "run", "study.toml", "--objective", "train.py:fails", "--dry-run", code=1)
    assert "the default trial failed: crashed" in said.stderr
    assert "it is broken" in said.stderr


# --- Ctrl-C and resume ------------------------------------------------------------------------------------------------


def interrupted(folder: Path, sign: signal.Signals, until: str, *arguments: str) -> str:
    """Run the study until there is a file like `until`, stop it by a signal, and return what it said."""
    process = subprocess.Popen(
        words("run", "study.toml", *arguments),
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not list(folder.glob(until)) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(sign)
    out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130, out + err
    assert "Traceback" not in err
    return err


def test_interrupt_then_resume(folder: Path, say: Any) -> None:
    (folder / "hold").touch()  # the third trial waits for ever
    err = interrupted(folder, signal.SIGINT, "tune.files/*/job-000002/*.log", "--yes")
    (folder / "hold").unlink()
    assert "stopped; to go on: tunewell resume study.toml --yes\n" in err
    with tw.open_study("study", folder / "tune.db") as study:
        before = dict(study.results)
        assert 0 < len(study.jobs) < 6
        assert all(result.status == "done" for result in before.values())
        assert not study.store.leases.owners("study")
    resumed = called(folder, "resume", "study.toml", "--yes")
    assert "loss = " in resumed.stdout
    with tw.open_study("study", folder / "tune.db") as study:
        assert len(study.results) == len(study.jobs) == 6
        assert {job: study.results[job] for job in before} == before
    assert "all 6 decisions replay" in say("verify").out


def test_a_terminated_run_stops_cleanly_too(folder: Path) -> None:
    """Here with one worker: the training function runs in the process that gets the signal."""
    arguments = ["--objective", "train.py:hangs", "--workers", "1", "--name", "a b"]
    err = interrupted(folder, signal.SIGTERM, "hanging", *arguments)
    assert "to go on: tunewell resume study.toml --name 'a b' --objective train.py:hangs --workers 1\n" in err
    with tw.open_study("a b", folder / "tune.db") as study:
        assert (len(study.jobs), len(study.results)) == (1, 0)
        assert not study.store.leases.owners("a b")


def test_resume_needs_to_be_told_what_to_run(done: Path, say: Any) -> None:
    said = say("resume", "study", code=2)
    assert "Its log names no code" in said.err
    assert "--objective train.py:train" in said.err
    assert say("extend", "--trials", "2").out == "the limits of 'study' are now: trials 8\n"
    told = called(done, "resume", "--objective", "train.py:train", "--workers", "2", "--json")
    assert json.loads(told.stdout)["trials"] == {"done": 8}
    noted = called(done, "resume", "study.toml", "--yes")
    assert "note: study.toml has other limits than the log, which counts" in noted.stderr
    assert "there is no study 'other' in tune.db" in say("resume", "study.toml", "--yes", "--name", "other", code=2).err
    assert "there is no file nowhere.db" in say("resume", "study.toml", "--yes", "--store", "nowhere.db", code=2).err
    assert not (done / "nowhere.db").exists()


# --- looking ----------------------------------------------------------------------------------------------------------


def test_show_a_trial(done: Path, say: Any) -> None:
    shown = say("show", "3").out
    assert "trial 3  done  epochs 4 of 4" in shown
    assert "curve" in shown
    assert say("show", "study", "3").out == shown
    found = say("show", "3", "--json").json
    assert (found["trial"], found["curve"]["step"]) == (3, [1, 2, 3, 4])
    assert "there is no trial 33" in say("show", "33", code=2).err


def test_show_as_json(done: Path, say: Any) -> None:
    found = say("show", "--json").json
    assert (found["name"], len(found["trials"]), found["best_trial"]) == (
        "study",
        6,
        say("best", "--json").json["trial"],
    )


def test_show_many_studies(done: Path, say: Any) -> None:
    with tw.open_study("empty", "tune.db", space={"x": tw.Float(0, 1)}, minimize="loss"):
        pass
    shown = say("show").out
    assert "study" in shown
    assert "empty" in shown
    assert [row["name"] for row in say("show", "--json").json] == ["study", "empty"]
    for command in ("best", "verify", "gc"):
        said = say(command, code=2)
        assert said.err == "error: there are 2 studies in tune.db, name one\nhint: They are: 'study', 'empty'\n"
    assert "Did you mean 'study'?" in say("best", "studi", code=2).err
    assert "no trial of 'empty' has a result" in say("best", "empty", code=1).err


def test_best_hands_over_the_weights(done: Path, say: Any) -> None:
    found = say("best", "--json").json
    assert "its checkpoint: out/weights" in say("best", "--checkpoint", "out/weights").out
    weights = json.loads((done / "out/weights/weights.json").read_text())
    assert (weights - 1) ** 2 + 1 / 4 == pytest.approx(found["value"])
    assert "exists already" in say("best", "--checkpoint", "out/weights", code=2).err
    Path(found["checkpoint"].replace(str(done), "."), "weights.json").write_text("7")
    with tw.open_study("study", "tune.db") as study:
        best = study.best
        assert best is not None
        assert best.checkpoint is not None
        (best.checkpoint / "weights.json").write_text("7" * len(str(weights)))
    said = say("best", "--checkpoint", "again", code=2)
    assert "damaged" in said.err
    assert list(done.glob("*again*")) == []


def test_report_and_importance(done: Path, say: Any) -> None:
    told = say("report").out
    for words in ("What was searched", "The winner", "What was not established", "Not sealed"):
        assert words in told
    assert "What it cost" in say("report", "--json").json["sections"]
    found = say("importance", "--json", code=1).json
    assert "too few" in found["doubt"]
    assert {one["share"] for one in found["entries"]} == {None}
    assert "cannot tell" in say("importance", code=1).err


def test_verify(done: Path, say: Any) -> None:
    assert say("verify").out == "all 6 decisions replay (0 added by hand)\n"
    assert say("verify", "--json").json == {
        "study": "study",
        "holds": True,
        "checked": 6,
        "skipped": 0,
        "differences": [],
    }
    with tw.open_study("study", "tune.db") as study:
        study.extend(trials=1)
        study.write(study.start(tw.Job({"lr": 0.5}, 4)))
    said = say("verify", code=1)
    assert "1 of 7 decisions differ" in said.out
    assert say("verify", "--json", code=1).json["differences"][0]["job"] == 6


def test_export(done: Path, say: Any) -> None:
    lines = say("export").out.splitlines()
    assert len(lines) == 7
    assert lines[0].split(",")[:4] == ["trial", "status", "step", "value"]
    assert len(say("export", "--format", "json").json) == 6
    assert "6 trials in out/trials.json" in say("export", "study", "-o", "out/trials.json").err
    assert len(json.loads((done / "out/trials.json").read_text())) == 6
    assert "Name a file" in say("export", "--format", "parquet", code=2).err
    assert "no format" in say("export", "-o", "trials.xls", code=2).err


def test_plot(done: Path, say: Any) -> None:
    pytest.importorskip("plotly")
    assert say("plot").out == "study.html\n"
    assert "<html" in (done / "study.html").read_text()[:200]
    say("rename", "study", "../a/b")
    assert say("plot").out == "_a_b.html\n"
    assert say("plot", "-o", "page.html").out == "page.html\n"


def test_constraints_that_are_functions_do_not_keep_one_from_looking(folder: Path, say: Any) -> None:
    space = tw.Space({"x": tw.Float(0, 1)}, {"small": lambda config: config["x"] < 0.9})
    with tw.tune(lambda run: run.config["x"], space, minimize="loss", trials=3, store="tune.db", progress=False):
        pass
    assert len(say("show", "--json").json["trials"]) == 3
    assert say("best").out.startswith("trial ")
    assert "is a function" in say("verify", code=2).err
    assert "is a function" in say("enqueue", "--config", '{"x": 0.95}', code=2).err


def test_known_numbers_that_are_functions_do_not_keep_one_from_looking(folder: Path, say: Any) -> None:
    space = tw.Space({"x": tw.Float(0, 1)}, {"small": "size < 9"}, {"size": lambda config: 10 * config["x"]})
    goals = {"minimize": "loss", "maximize": "size", "trials": 3, "store": "tune.db", "progress": False}
    with tw.tune(lambda run: {"loss": run.config["x"]}, space, **goals):
        pass
    shown = say("show", "--json").json["trials"]
    assert all(trial["metric.size"] == 10 * trial["config.x"] for trial in shown)
    assert "'size' is a function" in say("verify", code=2).err


def test_infinite_numbers_are_words_in_json(folder: Path, say: Any) -> None:
    with tw.open_study("s", "tune.db", space={"x": tw.Float(0, 1)}, minimize="loss") as study:
        study.add({"x": 0.5}, {"loss": float("nan"), "size": float("inf")})
    assert say("show", "0", "--json").json["metric.size"] == "inf"
    assert say("show", "--json").json["trials"][0]["metric.loss"] == "nan"


# --- keeping ----------------------------------------------------------------------------------------------------------


def test_rename_and_delete(done: Path, say: Any) -> None:
    assert say("rename", "study", "digits").out == "'study' is now 'digits'\n"
    assert len(list(done.glob("tune.files/*"))) == 1
    assert "there is no study 'study'" in say("delete", "study", "--yes", code=2).err
    assert "There is no terminal to ask" in say("delete", "digits", code=2).err
    with tw.open_study("digits", "tune.db") as study:
        study.extend(trials=1)
        job = study.ask()
        assert "is being worked on" in say("delete", "digits", "--yes", code=2).err
        assert job is not None
        study.tell(job, 1.0)
    assert say("delete", "digits", "--yes").out == "'digits' is deleted\n"
    assert list(done.glob("tune.files/*")) == []
    assert say("show").out == "there is no study in tune.db\n"


def test_gc(done: Path, say: Any) -> None:
    assert "0 checkpoints" in say("gc").out
    (files,) = done.glob("tune.files/*")
    orphan = files / "job-000001" / "step-000002-attempt-1"
    orphan.mkdir()
    (orphan / "weights").write_bytes(b"x" * 2000)
    assert say("gc", "--dry-run").out == "2 kB could be freed: 1 checkpoints that 'study' does not need\n"
    assert orphan.exists()
    assert say("gc", "--json").json["bytes"] == 2000
    assert not orphan.exists()
    with tw.open_study("study", "tune.db") as study:
        study.extend(trials=1)
        assert study.ask() is not None
        running = files / "job-000006" / ".draft-step-000001"
        running.mkdir(parents=True)
        assert "0 checkpoints" in say("gc").out
        assert running.exists()


def test_extend_enqueue_cancel(done: Path, say: Any) -> None:
    assert "say how much more" in say("extend", code=2).err
    assert "no limit 'seconds'" in say("extend", "--seconds", "3", code=2).err
    say("extend", "--trials", "1")
    assert "4 epochs already" in say("extend", "--until", "4", code=2).err
    assert say("enqueue", "study", "--config", '{"lr": 0.5}').out == "'study' tries it next\n"
    assert "--config is no JSON" in say("enqueue", "--config", "{lr}", code=2).err
    assert "'rl' is unknown" in say("enqueue", "--config", '{"rl": 0.5}', code=2).err
    with tw.open_study("study", "tune.db") as study:
        job = study.ask()
        assert job is not None
        assert job.config == {"lr": 0.5}
        assert say("cancel", str(job.id)).out == "trial 6 of 'study' is cancelled\n"
        assert "there is no trial 60" in say("cancel", "study", "60", code=2).err
        study.refresh()
        assert study.events[-1] == tw.Act("cancel", {"trial": 6}, by=study.events[-1].by)  # type: ignore[union-attr]
        told = say("extend", "--until", "8", "--trials", "1").out
        assert told == "the trials of 'study' train now until 8 epochs\nthe limits of 'study' are now: trials 8\n"
        study.refresh()
        best = sorted(range(6), key=study.loss)[:2]
        assert [act.data.get("parent") for act in study.acts("enqueue")] == [None, *best]


def test_upgrade(done: Path, say: Any) -> None:
    assert say("upgrade").out == "tune.db is of this version\n"
    assert "there is no file nowhere.db" in say("upgrade", "nowhere.db", code=2).err
    assert not (done / "nowhere.db").exists()


# --- errors -----------------------------------------------------------------------------------------------------------


def test_stores_that_are_none(done: Path, say: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for command in (["show"], ["best"], ["rename", "a", "b"], ["delete", "a", "--yes"], ["gc"]):
        assert "there is no file other.db" in say(*command, "--store", "other.db", code=2).err
    assert not (done / "other.db").exists()
    assert "is not a database" in say("show", "--store", "train.py", code=2).err
    monkeypatch.setenv("TUNEWELL_STORE", "from-the-environment.db")
    assert "from-the-environment.db" in say("show", code=2).err


def test_errors_are_two_lines_and_a_traceback_on_request(folder: Path, say: Any) -> None:
    said = say("show", code=2)
    assert said.out == ""
    assert [line.partition(":")[0] for line in said.err.splitlines()] == ["error", "hint"]
    debugged = subprocess.run(
        words("show"), cwd=folder, env=environment(TUNEWELL_DEBUG="1"), capture_output=True, text=True, check=False
    )
    assert "Traceback" in debugged.stderr


def test_a_broken_pipe_is_no_error(done: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    shown = subprocess.run(
        words("export"), cwd=done, env=environment(), stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert (shown.returncode, shown.stderr) == (1, "")


def test_files_that_cannot_be_written(done: Path, say: Any) -> None:
    assert "train.py" in say("export", "-o", "train.py/trials.csv", code=2).err


def test_verbose_says_what_happens(folder: Path) -> None:
    log = "import logging\ndef train(run):\n    logging.getLogger('tunewell').info('inside')\n    return 1.0\n"
    (folder / "talk.py").write_text(log)
    arguments = ["--objective", "talk.py:train", "--workers", "1", "--trials", "1"]
    assert "INFO inside" in called(folder, "-v", "run", "study.toml", *arguments).stderr


def test_a_file_of_the_name_of_a_module_is_not_that_module(folder: Path) -> None:
    (folder / "helper.py").write_text("def score(x):\n    return x\n")
    (folder / "click.py").write_text("import helper\ndef train(run):\n    return helper.score(run.config['lr'])\n")
    found = called(folder, "run", "study.toml", "--objective", "click.py:train", "--json", "--trials", "2")
    assert json.loads(found.stdout)["trials"] == {"done": 2}


def test_best_of_several_goals(folder: Path, say: Any) -> None:
    with tw.open_study("study", "tune.db", space={"x": tw.Int(0, 9)}, minimize=["loss", "size"]) as study:
        for x, loss, size in [(0, 0.0, 10.0), (1, 1.0, 1.0), (2, 9.0, 0.0), (3, 9.5, 5.0)]:
            study.add({"x": x}, {"loss": loss, "size": size})
    shown = say("best").out
    assert "3 trade-offs" in shown
    assert "trial 1: loss = 1, size = 1" in shown
    assert [point["config"]["x"] for point in say("best", "--json").json["points"]] == [0, 1, 2]
    assert say("best", "--goal", "size", "--json").json["config"] == {"x": 2}
    assert say("best", "--knee", "--json").json["config"] == {"x": 1}
    assert say("best", "--weight", "loss=100", "--json").json["config"] == {"x": 0}
    assert "they are: loss, size" in say("best", "--goal", "speed", code=2).err.lower()
    assert "Write --weight" in say("best", "--weight", "loss", code=2).err
    assert "Choose one" in say("best", "--checkpoint", "out", code=2).err
    assert "exclude each other" in say("best", "--knee", "--goal", "loss", code=2).err
    assert "loss" in say("show").out
    assert "The winner" in say("report").out
