"""What a study takes over from an earlier one, and what its methods make of it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tunewell as tw
from tunewell.contract.methods import MethodContract, Player, bowl, new_study
from tunewell.earlier import taken_over
from tunewell.errors import StudyError
from tunewell.methods.history import history_of, leads

PLANE = {"x": tw.Float(0.0, 1.0), "y": tw.Float(0.0, 1.0)}
QUIET = {"progress": False}


def far(config, x=0.4, y=0.7):
    return (config["x"] - x) ** 2 + (config["y"] - y) ** 2


def finished(space=PLANE, trials=12, objective=far, name="old", **more):
    """An earlier study that has ended."""
    limits = tw.Limits(trials=trials)
    study = tw.open_study(name, space=space, minimize="loss", method=tw.Sobol(), limits=limits, seed=5, **more)
    return tw.run(study, lambda run: objective(run.config), **QUIET) or study


def begun(space=PLANE, **more):
    """The study that learns from it."""
    return tw.open_study("new", **{"space": space, "minimize": "loss", "method": tw.Bayes(), "seed": 7, **more})


class Warm:
    """Studies that begin with the results of an earlier one, 15 % of which failed."""

    def new_study(self, space):
        study = new_study(space, seed=11, steps=self.steps, trials=self.trials)
        before = Player(tw.Random(), bowl(space), failures=0.15).play(new_study(space, seed=12, steps=3, trials=20))
        for event in taken_over(study, before, same=False)[0]:
            study.commit(event)
        return study


class TestBayesWithRelatedResults(Warm, MethodContract):
    method = tw.Bayes()
    trials = 9


class TestTPEWithRelatedResults(Warm, MethodContract):
    method = tw.TPE(start=5)
    trials = 12


# --- the same task ---------------------------------------------------------------------------------------------------


def test_results_of_the_same_task_are_those_of_this_study():
    old = finished()
    with begun() as new:
        taken = new.add_from(old, same=True)
        assert (taken.added, taken.known, taken.left_out) == (12, 0, {})
        assert new.best.config == old.best.config
        assert new.best.value == old.best.value
        assert tw.verify(new).skipped == 12


def test_no_budget_counts_them():
    with begun(limits=tw.Limits(trials=2)) as new:
        new.add_from(finished(), same=True)
        tw.run(new, lambda run: far(run.config), **QUIET)
        assert len(new.jobs) == 12 + 2


@pytest.mark.parametrize("same", [True, False])
def test_the_same_study_adds_nothing_twice(same):
    old = finished()
    with begun() as new:
        new.add_from(old, same=same)
        length = len(new)
        again = new.add_from(old, same=same)
        assert (again.added, again.known, len(new)) == (0, 12, length)
        old.extend(trials=2)
        tw.run(old, lambda run: far(run.config), **QUIET)
        assert new.add_from(old, same=same).added == 2


def test_what_two_studies_have_taken_from_a_third_is_taken_once():
    first = finished()
    with begun() as second, tw.open_study("c", space=PLANE, minimize="loss") as third:
        second.add_from(first, same=True)
        third.add_from(first, same=True)
        assert third.add_from(second, same=True).added == 0


def test_steps_stay_what_they_were():
    def curve(run):
        for step in run.steps():
            run.report(step, loss=far(run.config) + 1 / step)

    old = tw.open_study("old", space=PLANE, minimize="loss", steps=9, method=tw.ASHA(tw.Sobol()), seed=5)
    old.change(trials=9)
    tw.run(old, curve, **QUIET)
    untils = sorted(job.until for job in old.jobs.values())
    with begun(steps=9) as new:
        new.add_from(old, same=True)
        assert sorted(job.until for job in new.jobs.values()) == untils
    with begun(steps=18) as new:
        new.add_from(old)
        assert sorted(one.until for one in history_of(new).related.values()) == [2 * until for until in untils]


def test_failures_are_taken_over():
    def objective(config):
        if config["x"] > 0.5:
            raise ValueError("too large")
        return far(config)

    old = finished(objective=objective, trials=16)
    failed = sum(result.status == "failed" for result in old.results.values())
    assert failed
    with begun() as new:
        new.add_from(old, same=True)
        assert sum(trial.status == "failed" for trial in new.trials) == failed
    with begun() as new:
        new.add_from(old)
        assert len(history_of(new).related_failed) == failed


# --- a related task --------------------------------------------------------------------------------------------------


def test_results_of_a_related_task_are_not_those_of_this_study():
    with begun(limits=tw.Limits(trials=6, target=1.0)) as new:
        new.add_from(finished())
        assert new.best is None
        assert not new.trials
        tw.run(new, lambda run: far(run.config) + 100.0, **QUIET)
        assert len(new.trials) == 6
        assert new.best.value >= 100.0


def test_the_best_configs_of_a_related_task_come_first():
    old = finished(trials=32)
    with begun() as new:
        new.add_from(old)
        assert new.ask().config == old.best.config
        assert new.ask().config == new.space.default()
        assert new.ask().config in [trial.config for trial in sorted(old.trials, key=lambda trial: trial.value)[:8]]


def test_they_say_where_good_configs_are():
    with begun(limits=tw.Limits(trials=8), method=tw.Bayes(share=0.0)) as new:
        new.add_from(finished(trials=32, objective=lambda config: 1000.0 * far(config) - 5.0))
        tw.run(new, lambda run: far(run.config, x=0.45), **QUIET)
        assert new.best.value < 0.01


def test_misleading_ones_are_overcome():
    with begun(limits=tw.Limits(trials=20), method=tw.Bayes(share=0.0)) as new:
        new.add_from(finished(trials=32, objective=lambda config: -far(config)))
        tw.run(new, lambda run: far(run.config), **QUIET)
        assert new.best.value < 0.01


def test_a_study_replays_without_the_earlier_one(tmp_path):
    store = tmp_path / "tune.db"
    with finished() as old, begun(store=store, limits=tw.Limits(trials=8)) as new:
        new.add_from(old)
        tw.run(new, lambda run: far(run.config), **QUIET)
    with tw.open_study("new", store) as again:
        found = tw.verify(again)
        assert found.holds, str(found)
        assert found.checked == 8


def test_several_goals():
    def objective(run):
        return {"loss": far(run.config), "size": run.config["x"]}

    goals = {"minimize": ["loss", "size"], "space": PLANE, "seed": 3, "limits": tw.Limits(trials=10)}
    old = tw.tune(objective, method=tw.Sobol(), name="old", progress=False, **goals)
    new = tw.tune(objective, method=tw.Bayes(), name="new", progress=False, earlier=old, **goals)
    assert len(new.trials) == 10
    assert tw.verify(new).holds


def test_several_earlier_studies_lead_in_turn():
    one, two = finished(), finished(name="two", objective=lambda config: far(config, x=0.9, y=0.1))
    with begun(earlier=[one, two]) as new:
        assert len({each.origin for each in history_of(new).related.values()}) == 2
        assert leads(new)[0] in (one.best.config, two.best.config)


# --- spaces that overlap ---------------------------------------------------------------------------------------------

ENTRIES = st.sampled_from(
    [tw.Float(0.0, 1.0), tw.Float(0.2, 0.6, default=0.4), tw.Int(0, 1), tw.Choice(["a", "b"], default="a"), None]
)
LEVELS = st.fixed_dictionaries(dict.fromkeys("abc", ENTRIES))


@given(LEVELS, LEVELS, st.booleans())
def test_what_fits_lies_in_the_space_and_keeps_the_values_of_common_entries(before, now, same):
    old_space = tw.Space({"z": tw.Float(0.0, 1.0), **{name: entry for name, entry in before.items() if entry}})
    space = tw.Space({"z": tw.Float(0.0, 1.0), **{name: entry for name, entry in now.items() if entry}})
    old = Player(tw.Random(), lambda config, step: config["z"]).play(new_study(old_space, seed=1, trials=5))
    new = new_study(space, seed=2)
    try:
        events, taken = taken_over(new, old, same)
    except StudyError:
        assert not any(fits(space, job.config) for job in old.jobs.values())
        return
    for event in events:
        new.commit(event)
    configs = [job.config for job in old.jobs.values() if fits(space, job.config)]
    assert taken.added == len(configs)
    assert taken.added + sum(taken.left_out.values()) == 5
    if same:
        found = [job.config for job in new.jobs.values()]
        assert all(space.contains(config) for config in found)
        for mine, theirs in zip(found, configs, strict=True):
            assert all(mine[name] == theirs[name] for name in mine.keys() & theirs.keys())


def fits(space, config):
    """Whether each entry has its value in a config, or a default."""
    for name, entry in space.entries.items():
        probe = tw.Space({name: entry})
        given = {name: config[name]} if name in config else {}
        if probe.adopt(given) is None:
            return False
    return True


def test_what_is_left_out_is_counted_and_said(caplog):
    narrow = {"x": tw.Float(0.0, 0.5), "y": tw.Float(0.0, 1.0)}
    old = finished()
    inside = sum(job.config["x"] <= 0.5 for job in old.jobs.values())
    with begun(narrow) as new:
        taken = new.add_from(old)
    assert (taken.added, sum(taken.left_out.values())) == (inside, 12 - inside)
    assert "left out" in caplog.text


def test_constraints_of_the_new_space_are_kept():
    space = tw.Space(PLANE, constraints={"order": "x <= y"})
    with begun(space) as new:
        new.add_from(finished(), same=True)
        assert all(job.config["x"] <= job.config["y"] for job in new.jobs.values())


@pytest.mark.parametrize(
    ("space", "goal", "message"),
    [
        (PLANE, "error", "has no metric 'error'"),
        ({**PLANE, "new": tw.Float(0, 1)}, "loss", "new is missing"),
    ],
)
def test_a_study_of_which_nothing_fits_is_refused(space, goal, message):
    with begun(space, minimize=goal) as new, pytest.raises(StudyError, match=message):
        new.add_from(finished())


def test_a_study_does_not_learn_from_itself_nor_twice_in_two_ways():
    old = finished()
    with pytest.raises(StudyError, match="another one"):
        old.add_from(old)
    with begun() as new:
        new.add_from(old)
        with pytest.raises(StudyError, match="related task before"):
            new.add_from(old, same=True)


def test_a_goal_that_did_not_come_leaves_a_result_out():
    old = tw.open_study("old", space=PLANE, minimize="loss", seed=1)
    for count in range(3):
        old.add({"x": 0.1 * count, "y": 0.5}, {"loss": 1.0, **({"size": 1.0} if count else {})})
    with begun(at_most={"size": 2.0}) as new:
        assert new.add_from(old).added == 2
    assert math.isfinite(old.best.value)


def test_the_command_says_what_it_did(tmp_path):
    from click.testing import CliRunner

    from tunewell.cli import commands

    store = str(tmp_path / "tune.db")
    with finished(store=store), begun(store=store):
        pass
    said = CliRunner().invoke(commands, ["add-from", "new", "old", "--store", store])
    assert said.output == "'new': 12 results added\n"
