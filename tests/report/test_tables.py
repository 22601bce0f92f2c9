"""Rows, tables, one trial in detail, and files that read back as what was written."""

import csv
import io
import json
import math
import sys

import pytest

from tests.report.studies import SPACE, filled, opened, say_done
from tunewell.errors import MissingExtra, StudyError
from tunewell.report import tables
from tunewell.space import Choice, Space
from tunewell.study import Failure, Goal, Job, Report, Result, Steps


def printed(what) -> str:
    out = io.StringIO()
    tables.show(what, out)
    return out.getvalue()


# --- rows -------------------------------------------------------------------------------------------------------------


def test_a_row_has_the_columns_that_were_promised():
    study = filled(20)
    for row, trial in zip(tables.rows(study), study.trials, strict=True):
        assert row["trial"] == trial.id
        assert row["value"] == (trial.value if trial.status == "done" else None)
        assert row["started"].startswith("2027-01-15T08:0")
        assert {key.removeprefix("config."): row[key] for key in row if key.startswith("config.")} == trial.config
        assert {key for key in row if key.startswith("metric.")} == {f"metric.{name}" for name in trial.metrics}
        assert row["error"] == (None if trial.status == "done" else "diverged")


def test_a_study_in_one_row():
    study = filled(20, name="digits")
    row = tables.study_row(study)
    assert (row["name"], row["trials"], row["goal"], row["method"]) == ("digits", 20, "minimize loss", "Random")
    assert row["done"] + row["failed"] == 20
    assert (row["best"], row["best_trial"]) == (study.best.estimate, study.best.trial)
    assert json.dumps(row)


def test_an_empty_study_in_one_row():
    assert tables.study_row(opened())["best"] is None


def test_the_detail_of_a_trial_found_by_any_of_its_jobs(tmp_path):
    study = opened(steps=Steps(1, 9, "epochs"))
    study.files = tmp_path
    first = say_done(study, SPACE.default(), 0.5, until=3)
    study.say(Report(first, (1, 2, 3), {"loss": (0.9, 0.7, 0.5)}))
    second = say_done(study, SPACE.default(), 0.4, until=9, parent=first)
    (tmp_path / "job-000001").mkdir()
    (tmp_path / "job-000001" / "attempt-1.log").touch()
    found = tables.detail(study, second)
    assert found["trial"] == first
    assert [job["job"] for job in found["jobs"]] == [first, second]
    assert found["curve"] == {"step": [1, 2, 3], "loss": [0.9, 0.7, 0.5]}
    assert found["logs"] == [str(tmp_path / "job-000001" / "attempt-1.log")]
    text = printed(tables.trial_detail(study, second))
    for words in ("trial 0", "epochs 9 of 9", "optimizer", "█▄▁", "attempt-1.log"):
        assert words in text.replace("\n", "")


def test_a_trial_that_is_not_there():
    with pytest.raises(StudyError, match="no trial 99"):
        tables.detail(filled(3), 99)


def test_the_detail_shows_the_whole_error_without_control_characters():
    study = opened()
    job = study.start(Job(SPACE.default(), 1))
    study.say(job)
    study.say(Result(job.id, "failed", error=Failure("crashed", "line one\n\x1b[2Jline two", "ValueError")))
    text = printed(tables.trial_detail(study, 0))
    assert "crashed (ValueError)" in text
    assert "line one" in text
    assert "line two" in text
    assert "\x1b" not in text


# --- tables -----------------------------------------------------------------------------------------------------------


def test_the_table_of_trials_cuts_nothing_off_a_terminal():
    study = filled(12)
    text = printed(tables.trials_table(study))
    for trial in study.trials:
        assert any(line.split()[:1] == [str(trial.id)] for line in text.splitlines())
    assert "…" not in text


def test_a_long_table_shows_the_best_and_says_so():
    study = filled(30)
    text = printed(tables.trials_table(study, limit=5))
    assert "the best 5 of 30 trials" in text
    best = min((trial for trial in study.trials if trial.status == "done"), key=lambda trial: trial.value)
    assert text.splitlines()[3].split()[0] == str(best.id)


def test_entries_share_a_column_on_a_narrow_terminal():
    study = filled(3)
    assert "config" not in printed(tables.trials_table(study, width=200))
    assert "config" in printed(tables.trials_table(study, width=100))


def test_names_are_no_markup_and_move_no_cursor():
    study = filled(2, name="[red]evil\x1b[31m\r")
    text = printed(tables.studies_table([study]))
    assert "[red]evil" in text
    assert "\x1b" not in text
    assert "\r" not in text


# --- files ------------------------------------------------------------------------------------------------------------


def odd() -> tuple:
    """A study whose values are hard to write."""
    space = Space({"shape": Choice([[1, 2], {"a": 1}, None, 'x,\n"y"', True, 3])})
    study = opened(space=space, goals=(Goal("loss"),))
    for number, option in enumerate(space.entries["shape"].listed):
        say_done(study, {"shape": option}, number / 3, extra=math.inf)
    return study, space


def test_csv_reads_back(tmp_path):
    for study in (filled(20), odd()[0]):
        path = tables.export(study, tmp_path / "trials.csv")
        with path.open(newline="", encoding="utf-8") as file:
            read = list(csv.DictReader(file))
        for row, wanted in zip(read, tables.rows(study), strict=True):
            assert float(row["seconds"]) == wanted["seconds"]
            assert row["value"] == ("" if wanted["value"] is None else repr(wanted["value"]))
            assert all(row[key] for key in wanted if key.startswith("config.") and wanted[key] is not None)
            assert not any(row[key] for key in row if key not in wanted)


def test_json_reads_back(tmp_path):
    study, _ = odd()
    read = json.loads(tables.export(study, tmp_path / "trials.json").read_text(encoding="utf-8"))
    assert [row["config.shape"] for row in read] == [trial.config["shape"] for trial in study.trials]
    assert [row["value"] for row in read] == [trial.value for trial in study.trials]
    assert {row["metric.extra"] for row in read} == {"inf"}


def test_parquet_reads_back(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    study = filled(20)
    read = parquet.read_table(tables.export(study, tmp_path / "trials.parquet")).to_pylist()
    for row, wanted in zip(read, tables.rows(study), strict=True):
        assert {key: value for key, value in row.items() if value is not None and value == value} == {
            key: value for key, value in wanted.items() if value is not None and value == value
        }
    odd_table = parquet.read_table(tables.export(odd()[0], tmp_path / "odd.parquet")).to_pylist()
    assert json.loads(odd_table[0]["config.shape"]) == [1, 2]


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"tunewell\[parquet\]"):
        tables.export(filled(2), tmp_path / "trials.parquet")
    assert not list(tmp_path.iterdir())


def test_a_format_nobody_knows(tmp_path):
    with pytest.raises(StudyError, match="csv, json, parquet"):
        tables.export(filled(2), tmp_path / "trials.xls")
    assert tables.export(filled(2), tmp_path / "trials", "csv").read_text().startswith("trial,status,")


def test_an_empty_study_is_exported(tmp_path):
    for format in ("csv", "json"):
        assert tables.export(opened(), tmp_path / f"none.{format}").exists()
