"""HyperGradient: the laws; it descends, holds what has no derivative, and says why it ended."""

import dataclasses

import msgspec
import numpy as np
import pytest

import tunewell as tw
from tunewell.contract.methods import SPACES, MethodContract, Player, bowl
from tunewell.errors import StudyError, Unsupported
from tunewell.methods.hypergradient import HyperGradient
from tunewell.study import Result


class Sloped(Player):
    """A player whose results carry the gradient of the bowl."""

    def _commit(self, study, event):
        if isinstance(event, Result) and event.status == "done":
            event = msgspec.structs.replace(event, gradient=self._gradient(study, study.jobs[event.job].config))
        super()._commit(study, event)

    @staticmethod
    def _gradient(study, config):
        space, point = study.space, study.space.encode(config)
        pairs = zip(space.dimensions, space.axes, point, strict=True)
        return {
            each.name: 2 * (unit - 0.3) / axis.slope(config[each.name])
            for each, axis, unit in pairs
            if each.size is None and not np.isnan(unit)
        }


class SlopedContract(MethodContract):
    def player(self, space, workers=1, failures=0.0, told=None):
        return Sloped(self.method, bowl(space), workers=workers, failures=failures, told=told or self.check_length)


class TestHyperGradient(SlopedContract):
    method = HyperGradient()
    trials = 40


class TestAfterRandom(SlopedContract):
    @pytest.fixture(params=[name for name in SPACES if name != "tiny"])  # which only its second part refuses
    def space(self, request):
        return SPACES[request.param]

    method = tw.Then(tw.Take(8, tw.Random()), HyperGradient(starts=2, most=6))


class TestInsideBayes(SlopedContract):
    method = HyperGradient(tw.Bayes(start=3), starts=4, most=4)


class TestWhileTraining(SlopedContract):
    method = HyperGradient(rule="adam", period=2)


def quadratic(run):
    x, y = run.config["x"], run.config["y"]
    loss = (x - 0.3) ** 2 + np.log(y / 0.01) ** 2 + {"a": 0.5, "b": 0.0}[run.config["kind"]]
    run.report(1, loss=loss, gradient={"x": 2 * (x - 0.3), "y": 2 * np.log(y / 0.01) / y})


SPACE = {
    "x": tw.Float(-2, 2),
    "y": tw.Float(1e-5, 1, log=True),
    "kind": tw.Choice(["a", "b"], default="a"),
}


def tuned(objective=quadratic, method=None, space=SPACE, trials=60, **settings):
    settings = {"minimize": "loss", "seed": 1, "progress": False, **settings}
    return tw.tune(objective, space, trials=trials, method=method or HyperGradient(), **settings)


def losses(study):
    return [study.loss(job) for job in study.results]


def test_it_descends_along_the_coordinates_of_the_space():
    study = tuned(method=HyperGradient(starts=1))
    assert min(losses(study)) == pytest.approx(0.5, abs=1e-6)
    assert len(study.jobs) < 20
    assert {job.config["kind"] for job in study.jobs.values()} == {"a"}


def test_what_has_no_derivative_is_left_to_the_outer_method():
    study = tuned(method=tw.Then(tw.Take(6, tw.Random()), HyperGradient(starts=1)))
    assert min(losses(study)) == pytest.approx(0.0, abs=1e-6)


def test_bayes_outside_and_gradients_inside():
    study = tuned(method=HyperGradient(tw.Bayes(start=2), starts=4, most=12))
    assert min(losses(study)) == pytest.approx(0.0, abs=1e-5)
    assert {job.config["kind"] for job in study.jobs.values()} == {"a", "b"}
    assert str(tw.verify(study))


def test_it_begins_at_the_best_config_so_far():
    study = tuned(method=tw.Then(tw.Take(6, tw.Random()), HyperGradient(starts=1, most=3)))
    first = next(job for job in study.jobs.values() if job.tag[:1] == (1,))
    before = [job for job in study.jobs.values() if job.tag[:1] == (0,)]
    assert first.config == min(before, key=lambda job: study.loss(job.id)).config


def test_a_maximum_is_climbed():
    def hill(run):
        run.report(1, gain=-((run.config["x"] - 0.3) ** 2), gradient={"x": -2 * (run.config["x"] - 0.3)})

    study = tuned(hill, HyperGradient(starts=1), {"x": tw.Float(-2, 2)}, minimize=(), maximize="gain")
    assert study.best.config["x"] == pytest.approx(0.3, abs=1e-4)


def test_it_stays_within_constraints():
    space = tw.Space({"x": tw.Float(-2, 2), "y": tw.Float(1e-5, 1, log=True), "kind": tw.Choice(["a", "b"])},
                     {"small": "x <= 0.1"})  # fmt: skip
    study = tuned(space=space, method=HyperGradient(starts=1))
    assert all(job.config["x"] <= 0.1 for job in study.jobs.values())
    assert min(losses(study)) < 0.6


def test_an_entry_that_the_gradient_leaves_out_is_held_and_named():
    def half(run):
        run.report(1, loss=(run.config["x"] - 0.3) ** 2 + run.config["y"], gradient={"x": 2 * (run.config["x"] - 0.3)})

    method = HyperGradient(starts=1)
    study = tuned(half, method)
    assert len({job.config["y"] for job in study.jobs.values()}) == 1
    assert "held: y, kind" in method.why(study)


def test_nothing_to_descend_along_is_refused():
    with pytest.raises(Unsupported, match="no entry of the space has a derivative"):
        tuned(space={"n": tw.Int(1, 5), "kind": tw.Choice(["a", "b"])})
    with pytest.raises(Unsupported, match="job 0 ended without a gradient"):
        tuned(lambda run: run.config["x"] ** 2)
    with pytest.raises(Unsupported, match="one objective"):
        tuned(minimize=["loss", "seconds"])


def test_gradients_that_contradict_the_losses_are_refused():
    def wrong(run):
        run.report(1, loss=(run.config["x"] - 0.3) ** 2, gradient={"x": -2 * (run.config["x"] - 0.3)})

    with pytest.raises(Unsupported, match="contradict"):
        tuned(wrong, space={"x": tw.Float(-2, 2)})


def test_with_a_period_each_step_goes_on_with_the_weights():
    def train(run):
        weight = float((run.checkpoint / "w").read_text()) if run.checkpoint else 2.0
        for step in run.steps():
            slope = 2 * weight
            before, weight = weight, weight - run.config["lr"] * slope
            save = lambda path, now=weight: (path / "w").write_text(str(now))  # noqa: E731
            run.report(step, loss=weight**2, gradient={"lr": -2 * weight * slope}, save=save)
            assert abs(weight) <= abs(before)

    space = {"lr": tw.Float(1e-4, 0.4, log=True, default=1e-3)}
    study = tuned(train, HyperGradient(rule="adam", period=2, starts=1), space, steps=40, trials=1)
    rates = [job.config["lr"] for job in study.jobs.values()]
    assert [job.parent for job in study.jobs.values()] == [None, *range(19)]
    assert rates[-1] > 10 * rates[0]


def test_settings_that_mean_nothing_are_refused():
    for wrong in ({"starts": 0}, {"most": 0}, {"rule": "newton"}, {"rate": 0.0}, {"tolerance": -1.0}, {"period": 2}):
        with pytest.raises(StudyError):
            HyperGradient(**wrong)


def test_why_says_how_each_descent_ended():
    method = HyperGradient(starts=2)
    lines = method.why(tuned(method=method)).splitlines()
    assert [line.split(":")[0] for line in lines] == ["start 0", "start 1"]
    assert dataclasses.asdict(method)["starts"] == len(lines)
