"""What is shown while a study runs: on a terminal, off it, and what it costs."""

import io
import logging
import os
import re
import select
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.report.studies import SPACE, Span, filled, opened, say_done, say_trial
from tunewell.report import progress
from tunewell.report.progress import Counter, watching
from tunewell.study import Act, Goal, Job, Limits, Report, Result, Steps

pty = pytest.importorskip("pty", reason="needs a pseudo terminal")
fcntl = pytest.importorskip("fcntl")
termios = pytest.importorskip("termios")


@pytest.fixture
def quick(monkeypatch):
    """Show at once and often."""
    monkeypatch.setattr(progress, "DELAY", 0.02)
    monkeypatch.setattr(progress, "LINES", 0.05)


def counted(study) -> Counter:
    """A counter that has seen the study as it grew."""
    counter = Counter(opened(goals=study.goals, steps=study.steps, limits=study.limits))
    for event in study.events:
        counter(study, event)
    counter.study = study
    return counter


# --- counting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [counted, Counter], ids=["live", "afterwards"])
@pytest.mark.parametrize("maximize", [False, True])
def test_the_counts_are_those_of_the_study(count, maximize):
    study = filled(30, maximize=maximize)
    study.say(study.start(Job(SPACE.default(), 9)))
    counter = count(study)
    failed = sum(trial.status == "failed" for trial in study.trials)
    assert (counter.finished, counter.failed, counter.running) == (30, failed, 1)
    assert counter.steps == 30 * 9
    assert counter.best_trial == study.best.trial
    assert counter.value == study.best.value
    assert counter.compute_seconds == pytest.approx(sum(trial.seconds for trial in study.trials))


def test_steps_grow_while_a_trial_runs():
    study = opened(steps=Steps(1, 9))
    counter = Counter(study)
    study.watchers.append(counter)
    job = study.start(Job(SPACE.default(), 9))
    study.say(job)
    study.say(Report(job.id, (1, 2, 3), {"loss": (3.0, 2.0, 1.0)}))
    assert counter.steps == 3
    study.say(Report(job.id, (4,), {"loss": (1.0,)}))
    study.say(Result(job.id, "done", {"loss": 1.0}, step=9))
    assert counter.steps == 9


def test_only_what_reached_the_largest_step_and_keeps_the_constraints_is_the_best():
    study = opened(goals=(Goal("loss"), Goal("size", at_most=10)), steps=Steps(1, 9))
    config = SPACE.default()
    first = say_done(study, config, 0.5, until=3, size=1.0)
    say_done(study, {**config, "layers": 1}, 0.1, until=3, size=1.0)
    assert Counter(study).best_trial == 1
    say_done(study, config, 0.4, until=9, parent=first, size=1.0)
    say_done(study, {**config, "layers": 3}, 0.2, until=9, size=99.0)
    assert (Counter(study).value, Counter(study).best_trial) == (0.4, first)


def test_the_tightest_limit_says_how_far_the_study_is():
    study = filled(10, limits=Limits(trials=40, steps=120))
    counter = counted(study)
    assert counter.fraction() == 90 / 120
    counter.began -= 30.0
    assert counter.left() == pytest.approx(10.0, rel=0.01)
    study.commit(Act("change", {"limits": {"trials": 20}}))
    assert counter.fraction() == 0.5
    study.commit(Act("change", {"limits": {}}))
    assert counter.fraction() is None
    assert counter.left() is None


def test_what_ran_before_tells_nothing_about_the_pace():
    counter = Counter(filled(10, limits=Limits(trials=20)))
    assert counter.left() is None


def test_a_trial_costs_a_few_microseconds():
    study = filled(2000, last=1)
    counter = Counter(opened())
    events = [event for event in study.events if isinstance(event, Job | Result)]
    began = time.process_time()
    for event in events:
        counter(study, event)
    assert (time.process_time() - began) / 2000 < 10e-6


# --- off a terminal ---------------------------------------------------------------------------------------------------


def run_for(study, seconds, progress=None, trials=20) -> str:
    """Fill a study while it is watched; what came to stderr."""
    rng = np.random.default_rng(0)
    err, sys.stderr = sys.stderr, io.StringIO()
    try:
        with watching(study, progress):
            for _ in range(trials):
                job = study.start(Job(SPACE.sample(rng), 9))
                study.say(job)
                time.sleep(seconds / trials)
                say_trial(study, job, Span(), rng)
        return sys.stderr.getvalue()
    finally:
        sys.stderr = err


def test_a_short_run_says_nothing():
    study = opened()
    assert run_for(study, 0.05) == ""
    assert study.watchers == []


def test_no_progress_says_nothing(quick):
    assert run_for(opened(), 0.2, progress=False) == ""


def test_lines_off_a_terminal(quick):
    lines = run_for(opened("digits", limits=Limits(trials=20)), 0.4).splitlines()
    assert 3 <= len(lines) <= 10
    assert re.fullmatch(r"digits: \d+ of 20 trials, 1 running, (\d+ steps, )?(best loss|no loss).*", lines[1])
    assert re.fullmatch(r"digits: finished: 20 trials, 0\.\d+ s; best loss 0\.\d+ \(trial \d+\)", lines[-1])
    assert not any("\x1b" in line for line in lines)


def test_forced_progress_of_a_short_run():
    assert "finished: 20 trials" in run_for(opened(), 0.05, progress=True)


def test_lines_are_said_only_when_there_is_news(quick, capsys):
    study = opened()
    with watching(study):
        time.sleep(0.4)
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_the_first_second_is_quiet(capsys):
    study = filled(3)
    with watching(study):
        time.sleep(0.8)
        assert capsys.readouterr().err == ""
        time.sleep(0.5)
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_a_study_that_is_watched_is_not_watched_twice(quick, capsys):
    study = opened()
    with watching(study), watching(study):
        assert len(study.watchers) == 1
        time.sleep(0.1)
    assert study.watchers == []
    assert capsys.readouterr().err.count("finished") == 1


def interrupted(study) -> None:
    with watching(study):
        time.sleep(0.1)
        raise KeyboardInterrupt


def test_an_error_goes_through_and_the_last_line_says_stopped(quick, capsys):
    study = opened()
    with pytest.raises(KeyboardInterrupt):
        interrupted(study)
    assert "study: stopped: 0 trials" in capsys.readouterr().err
    assert study.watchers == []


def test_a_closed_stderr_does_not_end_the_run(quick, monkeypatch):
    gone = io.StringIO()
    monkeypatch.setattr(sys, "stderr", gone)
    with watching(opened()):
        gone.close()
        time.sleep(0.1)
    monkeypatch.setattr(sys, "stderr", None)
    with watching(opened()):
        pass


def test_names_move_no_cursor(quick, capsys):
    with watching(opened("a\x1b[2Jb\rc\nd", goals=(Goal("\x07loss"),))):
        time.sleep(0.1)
    assert not set(capsys.readouterr().err) & set("\x1b\r\x07")


# --- on a terminal ----------------------------------------------------------------------------------------------------

SCRIPT = """
import logging, signal, sys, time
import numpy as np
from tests.report.studies import SPACE, Span, opened, say_trial
from tunewell.report import progress
from tunewell.study import Job, Limits, Steps

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job begins deaf to Ctrl-C
progress.DELAY = 0.1
logging.basicConfig(level=logging.INFO)
study = opened("digits", steps=Steps(1, 9, "epochs"), limits=Limits(trials=20))
rng = np.random.default_rng(0)
other = opened("other")
with progress.watching(study):
    time.sleep(0.3)
    other_is_watched = progress.watching(other)
    other_is_watched.__enter__()
    for number in range(20):
        job = study.start(Job(SPACE.sample(rng), 9))
        study.say(job)
        time.sleep(0.07)
        say_trial(study, job, Span(), rng)
        if number == 15:
            print("the user prints")
            logging.info("the user logs")
            print("to stderr", file=sys.stderr)
    other_is_watched.__exit__(None, None, None)
"""


def on_terminal(interrupt_after=None, stdout=None) -> tuple[str, int]:
    """What SCRIPT writes to a terminal of 100 x 30, and how it ends."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(root), str(root / "src")])
    env = {**os.environ, "PYTHONPATH": path, "TERM": "xterm-256color"}
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdin=theirs,
        stdout=stdout or theirs,
        stderr=theirs,
        env=env,
        start_new_session=True,
    )
    os.close(theirs)
    said, began = b"", time.monotonic()
    while chunk := _read(ours):
        said += chunk
        if interrupt_after is not None and interrupt_after in said:
            process.send_signal(signal.SIGINT)
            interrupt_after = None
        assert time.monotonic() - began < 30
    os.close(ours)
    return said.decode(), process.wait(10)


def _read(terminal: int) -> bytes:
    select.select([terminal], [], [], 20)
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux: the other side is closed
        return b""


def screen(said: str, width=100) -> list[str]:
    """What stands on the terminal at the end: enough of a terminal for what rich sends."""
    lines, row, column = [""], 0, 0
    for code, text in re.findall(r"(\x1b\[[0-9;?]*[A-Za-z]|[\r\n])|([^\x1b\r\n]+)", said):
        if text:
            lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
            column += len(text)
        elif code == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif code == "\r":
            column = 0
        elif code.endswith("A"):
            row -= int(code[2:-1] or 1)
        elif code.endswith("K"):
            lines[row] = "" if code == "\x1b[2K" else lines[row][:column]
    return [line.rstrip() for line in lines if line.strip()]


@pytest.fixture(scope="module")
def said() -> str:
    """What an undisturbed run writes to a terminal."""
    text, code = on_terminal()
    assert code == 0
    return text


def test_the_display_renews_itself_and_leaves_the_summary(said):
    assert re.search(r"\d+ of 20 trials · 1 running", said)
    assert "minimize loss" in said
    assert "━" in said
    left = screen(said)
    assert "the user prints" in left
    assert "INFO:root:the user logs" in left
    assert "to stderr" in left
    assert any(line.startswith("digits: finished: 20 trials") for line in left)
    assert not any("━" in line for line in left)


def test_the_second_study_prints_lines_above_the_display(said):
    assert any(line.startswith("other: 0 trials") for line in screen(said))


def test_ctrl_c_leaves_the_terminal_in_order():
    said, code = on_terminal(interrupt_after=b"of 20 trials")
    assert code == -signal.SIGINT
    assert said.rfind("\x1b[?25h") > said.rfind("\x1b[?25l") >= 0
    assert "digits: stopped: " in said


def test_what_goes_to_a_file_stays_there(tmp_path):
    path = tmp_path / "out.txt"
    with path.open("w") as file:
        said, _ = on_terminal(stdout=file)
    assert path.read_text() == "the user prints\n"
    assert "the user prints" not in said


def test_log_handlers_get_their_stream_back():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.getLogger("tunewell").addHandler(handler)
    try:
        with progress._handlers_follow(stream):
            assert handler.stream is sys.stderr
        assert handler.stream is stream
    finally:
        logging.getLogger("tunewell").removeHandler(handler)
