"""The page is one file, whole or not there, that shows everything and runs nothing from the study."""

import json
import re
import shutil
import subprocess

import pytest

from tests.report.studies import SPACE, Watched, big, filled, opened, say_done
from tunewell.importance import explained
from tunewell.report import page as pages
from tunewell.report.page import page, write_page
from tunewell.space import Choice, Space
from tunewell.study import Act, Failure, Goal, Job, Limits, Result, Steps

pytest.importorskip("plotly")

SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
HACK = "document.documentElement.dataset.hacked = 1"
HOSTILE = f"</script><script>{HACK}</script><img src=x onerror='{HACK}'>\"'&"


def own(text: str) -> str:
    """The page without plotly's script."""
    return SCRIPT.sub("", text, count=1)


def drawn(text: str) -> list:
    """The figures in the page."""
    return json.loads(re.search(r'<script type="application/json" id="figures">(.*?)</script>', text).group(1))


def hostile() -> Watched:
    study = opened(
        HOSTILE,
        space=Space({HOSTILE.replace("/", "").replace("=", ""): Choice([HOSTILE, "b"])}),
        goals=(Goal(HOSTILE),),
        steps=Steps(1, 1, HOSTILE),
        method={"method": HOSTILE},
    )
    (name,) = study.space.entries
    say_done(study, {name: HOSTILE}, 1.0, **{HOSTILE + "2": 1.0})
    job = study.start(Job({name: "b"}, 1))
    study.say(job)
    study.say(Result(job.id, "failed", error=Failure("crashed", HOSTILE, HOSTILE)))
    return study


def test_the_page_says_what_was_found():
    study = filled(
        20, name="digits", limits=Limits(trials=20), method={"method": "Hyperband", "of": {"method": "Bayes"}}
    )
    text = own(page(study))
    assert "<h1>digits</h1>" in text
    for words in (
        "minimize loss",
        "Hyperband(Bayes)",
        "20 of 20, ",
        "90 % interval",
        f"Measured in trial {study.best.trial}",
    ):
        assert words in text
    for name in study.best.config:
        assert f'<th scope="row">{name}</th>' in text
    assert text.count("<tr>") >= 21
    assert len(drawn(text)) == 3 + len(SPACE.paths) + 1 + (not explained(study).doubt)


def test_the_page_holds_plotly_once_and_fetches_nothing():
    text = page(filled(5))
    assert len(SCRIPT.findall(text)) == 2
    assert text.count("plotly.js v") == 1
    assert not re.search(r"https?://|\bimport\b|//cdn", own(text).replace("http://www.w3.org", ""))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text).group(1)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]


def test_no_text_of_a_study_becomes_markup():
    text = page(hostile())
    assert "<script>document" not in text
    assert "<img" not in own(text)
    assert len(re.findall(r"<script\b", own(text))) == 2
    assert drawn(text)


@pytest.mark.parametrize("make", [Watched, opened, lambda: filled(1), lambda: filled(5, failures=1.0)])
def test_every_study_has_a_page(make, tmp_path):
    assert write_page(make(), tmp_path / "page.html").stat().st_size > 1_000_000


def test_a_long_table_is_cut_and_says_so():
    study = filled(pages.ROWS + 20, failures=0)
    text = own(page(study))
    assert f"The best {pages.ROWS} of {pages.ROWS + 20} trials" in text
    ranked = sorted(study.trials, key=lambda trial: trial.value)
    assert f"<tr><td>{ranked[0].id}</td>" in text
    assert f"<tr><td>{ranked[-1].id}</td>" not in text


def test_the_page_of_ten_thousand_trials_stays_small():
    assert len(page(big())) < 8_000_000


def test_a_page_is_whole_or_not_there(tmp_path, monkeypatch):
    path = write_page(filled(3, name="first"), tmp_path / "new" / "page.html")
    monkeypatch.setattr(pages, "page", lambda study: "\udfff")  # cannot be encoded: the write breaks half-way
    with pytest.raises(UnicodeEncodeError):
        write_page(filled(3, name="second"), path)
    assert "<h1>first</h1>" in path.read_text(encoding="utf-8")
    assert list(path.parent.iterdir()) == [path]


def test_more_entries_than_slices(monkeypatch):
    monkeypatch.setattr(pages, "SLICES", 2)
    assert "The first 2 of 7 entries." in own(page(filled(5)))


def test_a_changed_study_shows_its_new_method():
    study = filled(3)
    study.commit(Act("change", {"method": {"method": "Sobol"}}))
    assert "Sobol" in own(page(study))


# --- in a browser -----------------------------------------------------------------------------------------------------

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--virtual-time-budget=4000",
]


def browse(path, tmp_path, *flags) -> str:
    command = [BROWSER, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *flags, path.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.mark.browser
@pytest.mark.skipif(BROWSER is None, reason="no chromium here")
def test_a_browser_draws_every_figure_of_a_hostile_study_and_runs_nothing_else(tmp_path):
    path, picture = write_page(hostile(), tmp_path / "page.html"), tmp_path / "page.png"
    said = browse(
        path, tmp_path, "--dump-dom", f"--screenshot={picture}", "--window-size=1300,2400", "--disable-3d-apis"
    )
    seen = SCRIPT.sub("", said)
    assert '<body data-drawn="4">' in seen
    assert seen.count('class="plot-container') == 3
    assert "does not offer WebGL" in seen  # which would take the test some seconds
    assert "<img" not in seen
    assert "data-hacked" not in seen
    assert picture.stat().st_size > 50_000


def test_several_goals_have_their_front_on_the_page():
    study = opened(goals=(Goal("loss"), Goal("speed", maximize=True)))
    for number, (loss, speed) in enumerate([(0, 0), (1, 9), (9, 10)]):
        say_done(study, {**SPACE.default(), "lr": 0.001 * (number + 1)}, loss, speed=speed)
    text = page(study)
    assert "Front: speed against loss" in text
    assert "<td>knee</td>" in text
