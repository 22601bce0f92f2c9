"""Two configs, or two studies, compared by what their seeds say."""

import json

import numpy as np
import pytest

import tunewell as tw
from tunewell.cli import main
from tunewell.errors import StudyError
from tunewell.study import Act, Job, Result, Study

SPACE = {"x": tw.Float(0, 1)}


def train(run):
    noise = np.random.default_rng([run.seed, int(1e6 * run.config["x"])]).normal()
    return {"loss": run.config["x"] + 0.02 * noise}


@pytest.fixture
def store(tmp_path):
    return str(tmp_path / "tune.db")


def tuned(store, name="study", method=None, trials=4):
    return tw.tune(
        train,
        SPACE,
        minimize="loss",
        name=name,
        store=store,
        method=method or tw.Repeat(tw.Grid(4), times=6),
        limits=tw.Limits(trials=trials),
        seed=1,
        progress=False,
    )


def test_the_losses_of_a_config_by_seed(store):
    with tuned(store) as study:
        found = study.replicates(0)
        assert sorted(found) == [0, 1, 2, 3, 4, 5]
        assert study.replicates() == study.replicates(study.best.trial)
        with pytest.raises(StudyError, match="no trial 99"):
            study.replicates(99)


def test_two_trials_on_the_command_line(store, capsys):
    tuned(store).close()
    assert main(["compare", "0", "18", "--store", store]) == 0
    assert "better" in capsys.readouterr().out
    assert main(["compare", "study:0", "study", "--json", "--store", store]) == 1
    assert json.loads(capsys.readouterr().out)["verdict"] == "undecided"


def test_a_study_that_ended_is_confirmed_when_it_runs_next(store):
    with tuned(store, method=tw.Random(), trials=20) as study:
        assert study.best.interval is None
        study.confirm(share=0.25)
    with tw.open_study("study", store) as study:
        tw.run(study, train, progress=False)
        assert sum(job.seed > 0 for job in study.jobs.values()) == 5
        assert study.best.noise == "seeds"
        assert study.best.interval is not None


def test_a_new_best_needs_more_than_luck():
    study = tw.open_study(space=SPACE, minimize="loss", seed=1)
    rng = np.random.default_rng(0)
    for place in range(60):
        study.enqueue({"x": place / 60})
        study.tell(study.ask(), float(rng.normal()), std={"loss": 1.0})
    lowest = np.minimum.accumulate([study.loss(job) for job in study.jobs])
    assert len(study.incumbents) - 1 < len(set(lowest)) - 1
    assert study.incumbents[0][1] == 0


def measured_again(losses, again):
    study = Study()
    opening = {"seed": 1, "space": tw.Space(SPACE).to_json(), "goals": [{"metric": "loss"}]}
    study.commit(Act("open", {**opening, "method": {"method": "Random"}}))
    jobs = [Job({"x": place / 60}, 1) for place in range(len(losses))]
    jobs += [Job({"x": 0.9}, 1, seed=seed) for seed in range(len(again))]
    for job, loss in zip(jobs, losses + again, strict=True):
        begun = study.start(job)
        study.commit(begun)
        study.commit(Result(begun.id, "done", {"loss": loss}, step=1, std={"loss": 1.0}))
    return study


@pytest.mark.parametrize(("times", "takes_over"), [(2, False), (3, False), (4, True), (7, True)])
def test_one_or_two_more_results_make_no_new_best_and_three_do(times, takes_over):
    study = measured_again([0.0, 0.4, -0.3, 0.2, -0.2, 0.5, 0.1, -0.1, 0.3, 0.2], ([-1.5, -0.4] * 4)[:times])
    assert (study.incumbents[-1][1] == 10) == takes_over


def test_what_was_measured_again_and_again_is_not_kept_out_by_a_lucky_number():
    losses = [0.0, 0.4, -0.3, 0.2, -0.2, 0.5, 0.1, -0.1, 0.3, -1.9]
    study = measured_again(losses, [-0.5, -1.1, -1.3, -0.8, -1.0, -1.2])
    assert study.incumbents[-1][1] == len(losses)
