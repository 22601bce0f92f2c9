"""Study files: what they say, and what every mistake in one is told."""

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest

from tunewell.errors import FileError
from tunewell.lines import lines_of
from tunewell.space import Choice, Float, Int, Space
from tunewell.study import Goal, Limits, Steps
from tunewell.studyfile import StudyFile, read

WHOLE = """\
# A comment with "quotes" and [brackets]
name = "digits"
objective = "train.py:train"
minimize = "loss"
at_most = {latency = 20}
store = "tune.db"
steps = 27
method = {method = "Then", first = {method = "Take", n = 3, of = "Random"}, second = {method = "Random"}}
workers = 2
seed = 1
retry = {ConnectionError = 3}

[limits]
trials = 50
seconds = 3600

[space.lr]
type = "float"
low = 1e-5
high = 1e-1
log = true

[space]
units = {low = 16, high = 512}

[space.optimizer.branches.sgd.momentum]
low = 0.0
high = 0.9

[space.constraints]
small = "units * lr <= 40"
"""

START = 'minimize = "loss"\nspace = {lr = [1, 2]}\n'


def written(folder: Path, text: str, name: str = "study.toml") -> Path:
    """A study file."""
    path = folder / name
    path.write_text(text)
    return path


def refused(folder: Path, text: str, name: str = "study.toml") -> tuple[int, str]:
    """The line and the words with which a file is refused."""
    with pytest.raises(FileError) as caught:
        read(written(folder, text, name))
    shown, line, message = caught.value.message.removeprefix(str(folder)).split(":", 2)
    assert shown == f"/{name}"
    return int(line), f"{message.strip()} | {caught.value.hint}"


def test_a_whole_file(tmp_path: Path) -> None:
    study = read(written(tmp_path, WHOLE))
    assert study.path == tmp_path / "study.toml"
    assert (study.name, study.objective, study.minimize, study.at_most) == (
        "digits",
        "train.py:train",
        "loss",
        {"latency": 20.0},
    )
    assert (study.store, study.steps, study.workers, study.seed, study.retry) == (
        "tune.db",
        27,
        2,
        1,
        {"ConnectionError": 3},
    )
    assert study.limits == Limits(trials=50, seconds=3600.0)
    assert study.space == Space(
        {
            "lr": Float(1e-5, 1e-1, log=True),
            "units": Int(16, 512),
            "optimizer": Choice({"sgd": {"momentum": Float(0.0, 0.9)}}),
        },
        {"small": "units * lr <= 40"},
    )


def test_what_is_left_out(tmp_path: Path) -> None:
    study = read(written(tmp_path, START, "mine.toml"))
    assert study == StudyFile(path=tmp_path / "mine.toml", name="mine", minimize="loss", space=Space({"lr": [1, 2]}))


def test_json_says_the_same(tmp_path: Path) -> None:
    import tomllib

    data = tomllib.loads(WHOLE)
    one, other = read(written(tmp_path, WHOLE)), read(written(tmp_path, json.dumps(data), "study.json"))
    assert one.space == other.space
    assert (one.limits, one.method, one.minimize) == (other.limits, other.method, other.minimize)


def test_forms_of_goals_and_steps(tmp_path: Path) -> None:
    text = 'minimize = ["loss", {metric = "size", over = 3}]\nmaximize = {metric = "accuracy", over = "best"}\n'
    text += 'steps = {minimum = 3, maximum = 27, unit = "epochs"}\nspace = {lr = [1, 2]}\n'
    study = read(written(tmp_path, text))
    assert study.minimize == ("loss", Goal("size", over=3))
    assert study.maximize == Goal("accuracy", over="best")
    assert study.steps == Steps(3, 27, "epochs")


MISTAKES = [
    # unknown keys, at any level
    ('minimise = "loss"\nspace = {lr = [1, 2]}', 1, "unknown key 'minimise'", "Did you mean 'minimize'?"),
    (START + "trials = 50", 3, "unknown key 'trials'", "Write it under [limits]: trials = ..."),
    (
        START + 'method = {method = "Take", n = 3, of = "Sobl"}',
        3,
        "no method is called 'Sobl'",
        "Did you mean 'Sobol'?",
    ),
    (START + "[limits]\n\ntrails = 50", 5, "unknown key 'trails' in 'limits'", "Did you mean 'trials'?"),
    (START + "steps = {maximum = 3, unitt = 'x'}", 3, "unknown key 'unitt' in 'steps'", "Did you mean 'unit'?"),
    ("minimize = {metrics = 'loss'}\nspace = {lr = [1]}", 1, "'metrics' in 'minimize'", "Did you mean 'metric'?"),
    ("minimize = [\n'a',\n{metric = 'b', ovr = 1}]\nspace = {lr = [1]}", 3, "'ovr' in 'minimize[1]'", "'over'"),
    ("minimize = 'loss'\n[space.lr]\ntype = 'float'\nlo = 1\nhigh = 2", 4, "'lo' is no setting", "Did you mean 'low'?"),
    ("minimize = 'loss'\n[space.lr]\ntype = 'flaot'\nlow = 1\nhigh = 2", 3, "unknown type 'flaot'", "'float'"),
    (
        "minimize = 'loss'\n[space.o.branches]\nadam = {}\n[space.o.branches.sgd.m]\nlow = 0\nhight = 2",
        6,
        "'hight'",
        "'high'",
    ),
    # wrong types
    (START + "workers = 'two'", 3, "workers = 'two': an integer is expected", ""),
    (START + "workers = 0", 3, "workers = 0: an integer >= 1 is expected", ""),
    (START + "seed = 1.5", 3, "seed = 1.5: an integer is expected", ""),
    (START + "name = 3", 3, "name = 3: text is expected", ""),
    (START + "[limits]\ntrials = 'fifty'", 4, "limits.trials = 'fifty': an integer is expected", ""),
    (START + "[limits]\ntrials = true", 4, "limits.trials = True: an integer is expected", ""),
    (START + "[limits]\ntrials = -1", 3, "limit trials=-1 is no budget", ">= 0"),
    (START + "steps = {minimum = 5, maximum = 2}", 3, "steps from 5 to 2", "minimum <= maximum"),
    (START + "steps = 0", 3, "steps = 0", ""),
    (START + "command = ['python', 1]", 3, "command[1] = 1: text is expected", ""),
    (START + "command = []", 3, "the command is empty", ""),
    (START + "at_most = {latency = 'low'}", 3, "at_most.latency = 'low': a number is expected", ""),
    ("minimize = {metric = 'a', over = 'first'}\nspace = {lr = [1]}", 1, "minimize.over = 'first'", ""),
    ("minimize = 'loss'\nspace = 3", 2, "space = 3: a table is expected", ""),
    ("minimize = 'loss'\n[space.lr]\nlow = 1.0\nhigh = 'x'", 4, "high 'x' is not a number", ""),
    ("minimize = 'loss'\n[space.lr]\nlow = 1.0\nhigh = 2.0\nlog = 'yes'", 5, "space.lr.log = 'yes': true or false", ""),
    # missing keys
    ("space = {lr = [1, 2]}", 1, "the study has no goal", 'minimize = "loss"'),
    ("at_most = {a = 1}\nspace = {lr = [1, 2]}", 1, "the study has no goal", ""),
    ("minimize = 'loss'", 1, "the study has no space", "[space.lr]"),
    ("minimize = 'loss'\n\n[space]", 3, "the study has no space", ""),
    ("minimize = 'loss'\n[space.lr]\ntype = 'float'\nlow = 1", 3, "type 'float' needs 'high'", ""),
    ("minimize = 'loss'\nmethod = {n = 3}\nspace = {lr = [1, 2]}", 2, "a method without a name", ""),
    # what makes no sense
    ("minimize = 'loss'\nspace.lr = {low = 2, high = 1}", 2, "lr: low 2 is above high 1", ""),
    ("minimize = 'loss'\n[space.lr]\nhigh = 1.0\nlow = 0.0\nlog = true", 4, "low 0.0 has no logarithm", "above 0"),
    ("minimize = 'loss'\n[space.x]\nlow = 0.0\nhigh = 1.0\nstep = 0.3", 5, "does not divide", "Use high="),
    ("minimize = 'loss'\n[space.x]\nlow = 1\nhigh = 3\ndefault = 9", 5, "the default", ""),
    ("minimize = 'loss'\n[space]\nx = []", 3, "there is no option", ""),
    ("minimize = 'loss'\n[space]\nx = [1, 1]", 3, "an option is listed twice", ""),
    ("minimize = 'loss'\n[space]\nx = [1, 2]\n[space.constraints]\nfit = 'y < 1'", 5, "mentions 'y'", "x"),
    ("minimize = 'loss'\n[space]\nx = [1, 2]\n[space.constraints]\nfit = 'x < 1'", 5, "no config found", "x < 1"),
    ("minimize = 'loss'\n[space]\nx = [1, 2]\n[space.constraints]\nfit = 'open(x)'", 5, "may not contain", ""),
    (
        "minimize = 'loss'\n[space]\nx = [1, 2]\n[space.known]\nsize = '2 * y'",
        5,
        "known number 'size' mentions 'y'",
        "x",
    ),
    (
        "minimize = 'loss'\n[space.o.branches.a]\nm = [1]\n[space]\nm = [2]",
        5,
        "a name twice",
        "",
    ),
    ("minimize = 'loss'\nmaximize = 'loss'\nspace = {lr = [1, 2]}", 2, "named by two goals", ""),
    ("minimize = 'loss'\n[space]\nx = [1, 2]\ny = 1979-05-27", 4, "no JSON value", ""),
    (START + "objective = 'train.py'", 3, "names no function", '"file.py:function"'),
    (START + "command = ['true']\nobjective = 'a:b'", 4, "objective and command", "one of them"),
    # methods
    (START + "method = 'Randon'", 3, "no method is called 'Randon'", "Did you mean 'Random'?"),
    (START + "[method]\nmethod = 'Take'\nm = 3", 5, "unknown key 'm' in 'method'", "n"),
    (START + "[method]\nmethod = 'Take'\nn = 'x'\nof = {method = 'Random'}", 5, "method.n = 'x': an integer", ""),
    (START + "[method]\nmethod = 'Take'\nn = -1\nof = {method = 'Random'}", 4, "-1 trials", ""),
    (START + "[method]\nmethod = 'Take'\nn = 1\n[method.of]\nmethod = 'Gird'", 7, "called 'Gird'", "'Grid'"),
    (
        START + "[method]\nmethod = 'Take'\nn = 1\n[method.of]\nmethod = 'Random'\nseed = 1",
        8,
        "'seed' in 'method.of'",
        "",
    ),
    (START + "[method]\nmethod = 'Take'\nn = 1", 4, "missing", ""),
    (START + "[method]\nmethod = 'os:system'", 4, "no method is called 'os:system'", ""),
    # executor
    (START + "[executor]\nwall_limits = 3", 4, "unknown key 'wall_limits' in 'executor'", "'wall_limit'"),
    (START + "[executor]\nwall_limit = 'long'", 4, "executor.wall_limit = 'long': a number is expected", ""),
    (START + "workers = 3\n[executor]\ngpus = [0]", 4, "3 workers for 1 places", "per_gpu"),
    (START + "[executor]\nworkers = 3", 4, "unknown key 'workers'", ""),
    # commands
    (START + "command = ['true', '{lrr}']", 3, "the command has {lrr}", "Did you mean {lr}?"),
    # syntax
    ('minimize = "loss\nspace = {}', 1, "Illegal character", ""),
    ("minimize = 'loss'\nspace = ", 2, "Invalid value", ""),
    ("minimize = 'loss'\nminimize = 'loss'", 2, "Cannot overwrite", ""),
]


@pytest.mark.parametrize(("text", "line", "message", "hint"), MISTAKES, ids=[case[2][:40] for case in MISTAKES])
def test_mistakes(tmp_path: Path, text: str, line: int, message: str, hint: str) -> None:
    at, words = refused(tmp_path, text)
    said, _, advice = words.partition(" | ")
    assert (at, message in said, hint in advice) == (line, True, True), words


JSON_MISTAKES = [
    ('{"minimize": "loss",\n "space": {"lr": [1]},\n "worker": 1}', 3, "unknown key 'worker'"),
    (
        '{"minimize": "loss",\n "space": {"lr": [1],\n "lr": [2]}}',
        3,
        "the key 'space.lr' stands here for the second time",
    ),
    ('{"minimize": "loss",\n "space": {"lr": {"low": 3,\n\n "high": "x"}}}', 4, "high 'x' is not an integer"),
    ('{"minimize": "loss",\n "space" {}}', 2, "Expecting ':' delimiter"),
    ("\n[1, 2]", 1, "a study is a mapping, not a list"),
    ('{"minimize": "loss", "space": {"lr": {"low": NaN,\n "high": 2.0}}}', 1, "not a finite number"),
]


@pytest.mark.parametrize(("text", "line", "message"), JSON_MISTAKES, ids=[case[2][:40] for case in JSON_MISTAKES])
def test_mistakes_in_json(tmp_path: Path, text: str, line: int, message: str) -> None:
    at, words = refused(tmp_path, text, "study.json")
    assert (at, message in words) == (line, True), words


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="No such file"):
        read(tmp_path / "study.toml")
    with pytest.raises(FileError, match=r"ends in \.toml or \.json"):
        read(written(tmp_path, "a: 1", "study.yaml"))
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(FileError, match="Is a directory"):
        read(tmp_path / "folder.toml")
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    with pytest.raises(FileError, match="UTF-8"):
        read(tmp_path / "latin.toml")
    with pytest.raises(FileError, match="nested too deeply"):
        read(written(tmp_path, "[" * 100_000 + "]" * 100_000, "deep.json"))
    with pytest.raises(FileError, match="digits"):
        read(written(tmp_path, '{"seed": ' + "9" * 10_000 + "}", "long.json"))


def test_reading_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text("import pathlib; pathlib.Path('ran').touch()\ndef train(run): return 0.0\n")
    study = read(written(tmp_path, START + "objective = 'evil.py:train'"))
    assert study.objective == "evil.py:train"
    assert not Path("ran").exists()
    assert not (tmp_path / "ran").exists()


def test_lines_of_every_key_of_toml() -> None:
    text = """\
a = 1
"b.c".d = '''
[not.a.table]
x = 1
'''
[t]  # [[comment]]
'q u' = \"\"\"
y = 2 \\\"\"\" still
\"\"\"
x.y = {k = 1.5, l = [1,
  {m = 2},
]}
[[rows]]
v = 1
[[rows]]
v = 1979-05-27T07:32:00Z
[rows.inner]
w = -inf
"""
    lines, twice = lines_of(text, toml=True)
    wanted = {
        ("a",): 1,
        ("b.c",): 2,
        ("b.c", "d"): 2,
        ("t",): 6,
        ("t", "q u"): 7,
        ("t", "x"): 10,
        ("t", "x", "y"): 10,
        ("t", "x", "y", "k"): 10,
        ("t", "x", "y", "l"): 10,
        ("t", "x", "y", "l", 0): 10,
        ("t", "x", "y", "l", 1): 11,
        ("t", "x", "y", "l", 1, "m"): 11,
        ("rows",): 13,
        ("rows", 0): 13,
        ("rows", 0, "v"): 14,
        ("rows", 1): 15,
        ("rows", 1, "v"): 16,
        ("rows", 1, "inner"): 17,
        ("rows", 1, "inner", "w"): 18,
    }
    assert lines == wanted
    assert twice == []


def test_lines_of_random_json(seed: int) -> None:
    """Each key of a pretty-printed document stands where its text is found."""
    draw = random.Random(seed)

    def value(depth: int) -> Any:
        kind = draw.randrange(5 if depth else 3)
        if kind == 3:
            return [value(depth - 1) for _ in range(draw.randrange(4))]
        if kind == 4:
            return {name(): value(depth - 1) for _ in range(draw.randrange(4))}
        return [1.5, 'a "quoted" {text}', math.pi][kind]

    count = iter(range(10**6))

    def name() -> str:
        return f"key {next(count)} {draw.choice(['', '=', ':', chr(92), '[', '#'])}"

    for _ in range(20):
        data = {name(): value(4) for _ in range(4)}
        text = json.dumps(data, indent=draw.choice([1, 4]))
        lines, twice = lines_of(text, toml=False)
        rows = text.split("\n")
        named = {keys[-1]: line for keys, line in lines.items() if isinstance(keys[-1], str)}
        assert not twice
        assert named == {key: number for number, row in enumerate(rows, 1) for key in named if json.dumps(key) in row}
