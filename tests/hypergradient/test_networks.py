"""The PyTorch face: every way gives the same gradient, and what has none is refused with a sentence."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: python3 dev.py test --torch")
pytestmark = pytest.mark.torch

from torch.func import functional_call  # noqa: E402
from torch.nn.functional import cross_entropy, mse_loss  # noqa: E402

import tunewell as tw  # noqa: E402
from tunewell.errors import GradientError  # noqa: E402
from tunewell.hypergradient import (  # noqa: E402
    SGD,
    Adam,
    Objective,
    Ridge,
    Training,
    differentiate,
    forward,
    implicit,
    online,
    reverse,
    truncated,
)


def network(*layers, seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(*(layers or (torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)))).double()


def rows(count=60, seed=1):
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 6, generator=draw, dtype=torch.float64)
    return x, (x[:, :3] ** 2).argmax(1)


def training(module=None, train=None, held=None, **settings):
    module = module or network()

    def train_loss(params, hparams, batch):
        decay = sum(hparams["decay"][place // 2] * part.square().sum() for place, part in enumerate(params.values()))
        return cross_entropy(functional_call(module, params, batch[0]), batch[1]) + decay

    def val_loss(params, batch):
        return cross_entropy(functional_call(module, params, batch[0]), batch[1])

    settings = {"optimizer": Adam(), "steps": 30, **settings}
    return Training(module, train or train_loss, held or val_loss, rows(), rows(seed=2), **settings)


DECAY = np.array([1e-2, 3e-2])
VALUES = {"lr": 0.03, "decay": DECAY}


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("optimizer", [Adam(weight_decay=0.1), SGD(momentum=0.9), SGD(weight_decay=0.01), SGD()])
@pytest.mark.parametrize("batch", [None, 20])
def test_forward_mode_is_reverse_mode(optimizer, batch):
    one = training(optimizer=optimizer, batch=batch)
    there, back = forward(one, VALUES), reverse(one, VALUES)
    for name in VALUES:
        assert there.gradient[name] == pytest.approx(back.gradient[name], rel=1e-10, abs=1e-14)
    assert reverse(one, VALUES, check=True).checked < 1e-4


@pytest.mark.parametrize("every", [1, 4, 30])
def test_checkpoints_change_nothing(every):
    one = training()
    assert reverse(one, VALUES, every=every).flat() == pytest.approx(reverse(one, VALUES).flat(), rel=1e-12)


def test_settings_of_the_optimizer_may_be_tuned():
    one = training(optimizer=SGD("lr", "momentum", "pull"))
    values = {"lr": 0.05, "momentum": 0.8, "pull": 1e-2, "decay": DECAY}
    assert forward(one, values, check=True).checked < 1e-4


def test_a_schedule_is_tuned_step_by_step():
    one = training()
    values = {"lr": np.full(30, 0.03), "decay": DECAY}
    found = forward(one, values)
    assert found.gradient["lr"].shape == (30,)
    assert found.gradient["lr"].sum() == pytest.approx(forward(one, VALUES).gradient["lr"], rel=1e-9)
    assert np.linalg.norm(found.gradient["lr"] - reverse(one, values).gradient["lr"]) < 1e-10


def test_unrolled_ridge_goes_to_the_implicit_value():
    """Gradient descent from 0: its own central differences at any number of steps, the implicit value at many."""
    rng = np.random.default_rng(0)
    x, x_held = rng.standard_normal((80, 20)), rng.standard_normal((40, 20))
    truth = rng.standard_normal(20)
    y, y_held = x @ truth + rng.standard_normal(80), x_held @ truth + rng.standard_normal(40)
    exact = implicit(Ridge(x, y, x_held, y_held, intercept=False), {"alpha": 2.0}).gradient["alpha"]
    module = torch.nn.Linear(20, 1, bias=False).double()
    torch.nn.init.zeros_(module.weight)

    def train_loss(params, hparams, batch):
        gap = functional_call(module, params, batch[0])[:, 0] - batch[1]
        return 0.5 * (gap @ gap + hparams["alpha"] * params["weight"].square().sum())

    def val_loss(params, batch):
        return mse_loss(functional_call(module, params, batch[0])[:, 0], batch[1])

    data = [tuple(map(torch.from_numpy, pair)) for pair in ((x, y), (x_held, y_held))]
    top = float(np.linalg.eigvalsh(x.T @ x)[-1]) + 2.0
    for steps in (5, 400):
        one = Training(module, train_loss, val_loss, *data, optimizer=SGD(1.5 / top), steps=steps)
        found = reverse(one, {"alpha": 2.0}, check=True)
        assert found.checked < 1e-4
    assert found.gradient["alpha"] == pytest.approx(exact, rel=1e-6)


def test_the_implicit_gradient_of_a_network_is_what_central_differences_say():
    one = training(optimizer=Adam(0.03), steps=200, polish=1e-9)
    found = differentiate(one, {"decay": DECAY}, way="implicit")
    differences = []
    for place in range(2):
        moved = [DECAY.copy(), DECAY.copy()]
        moved[0][place] += 1e-6
        moved[1][place] -= 1e-6
        up, down = (one.loss(one.solve({"decay": part}, found.weights), {})[0] for part in moved)
        differences.append((up - down) / 2e-6)
    assert cosine(found.gradient["decay"], np.array(differences)) > 0.9999
    assert found.bound < 1e-3 * found.norm


def test_the_curvature_of_gauss_and_newton_is_labelled_and_exact_for_linear_outputs():
    """With outputs that are linear in the weights nothing is left out; with others the curvature stays positive."""

    def made(module, gauss_newton=True, **settings):
        def outputs(params, batch):
            return functional_call(module, params, batch[0])

        def output_loss(found, batch):
            return cross_entropy(found, batch[1])

        def penalty(params, hparams):
            return hparams["decay"] * sum(part.square().sum() for part in params.values())

        def train_loss(params, hparams, batch):
            return output_loss(outputs(params, batch), batch) + penalty(params, hparams)

        parts = (outputs, output_loss, penalty) if gauss_newton else None
        return training(module, train=train_loss, optimizer=Adam(0.03), gauss_newton=parts, **settings)

    flat = [made(network(torch.nn.Linear(6, 3)), which, polish=1e-8) for which in (True, False)]
    both = [implicit(one, {"decay": 1e-2}) for one in flat]
    assert both[0].gradient["decay"] == pytest.approx(both[1].gradient["decay"], rel=1e-7)
    assert "Gauss and Newton" in both[0].biased
    assert both[1].biased == ""
    early = made(network(), steps=3)
    assert implicit(early, {"decay": 1e-3}, shift=0.1, trust=None).biased.startswith("damped by 0.1; the curvature")
    assert not any("positive" in doubt for doubt in implicit(early, {"decay": 1e-3}, trust=None).doubts)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_mean_of_the_way_makes_more_of_training_that_stops_early(seed):
    """Quadratics that slow directions have not left yet: what a penalty did on the way is seen at the mean."""
    draw = torch.Generator().manual_seed(seed)
    start, aim, away = torch.randn(3, 40, generator=draw, dtype=torch.float64)
    curvature = torch.logspace(-2, 0, 40, dtype=torch.float64)
    module = torch.nn.Linear(40, 1, bias=False).double()
    with torch.no_grad():
        module.weight.copy_(3 * start[None])

    def train_loss(params, hparams, batch):
        weights = params["weight"][0]
        penalty = hparams["decay"].repeat_interleave(10) * weights**2
        return 0.5 * (batch * (weights - aim) ** 2 + penalty).sum()

    def val_loss(params, batch):
        return 0.5 * (batch * (params["weight"][0] - aim - 0.5 * away) ** 2).sum()

    one = Training(module, train_loss, val_loss, curvature, curvature, optimizer=SGD(0.1), steps=200)
    values, settings = {"decay": np.full(4, 1e-2)}, {"shift": 1 / (0.1 * 200), "trust": None}
    exact = reverse(one, values).gradient["decay"]
    weights, path = one.trained_with_mean(values)
    assert torch.equal(weights, one.trained(values)[0])
    end = implicit(one, values, weights=weights, **settings)
    mean = implicit(one, values, weights=weights, path=path, **settings)
    apart = [np.linalg.norm(found.gradient["decay"] - exact) for found in (end, mean)]
    assert apart[1] < 0.6 * apart[0]
    assert mean.biased == "damped by 0.05; dF/dh at the mean of the way"


def test_truncation_is_labelled_and_whole_at_the_full_length():
    one = training()
    assert truncated(one, VALUES, last=30).flat() == pytest.approx(reverse(one, VALUES).flat())
    found = truncated(one, VALUES, last=5)
    assert found.biased == "only the last 5 of 30 steps count"
    assert found.gradient["lr"] != pytest.approx(reverse(one, VALUES).gradient["lr"])
    with pytest.raises(GradientError, match="the last 31 of 30"):
        truncated(one, VALUES, last=31)


def test_the_way_is_chosen_and_the_reason_said():
    found = differentiate(training(), {"lr": 0.03, "decay": DECAY})
    assert (found.way, "lr decide on the steps" in found.why) == ("forward", True)
    many = differentiate(training(), {"lr": np.full(6, 0.03), "decay": DECAY})
    assert (many.way, "8 numbers" in many.why) == ("reverse", True)
    short = differentiate(training(optimizer=Adam(0.03)), {"decay": DECAY})
    assert "at no minimum" in short.why
    whole = differentiate(training(optimizer=Adam(0.03), polish=1e-8), {"decay": DECAY})
    assert (whole.way, "ends at a minimum" in whole.why) == ("implicit", True)


def test_online_rates_end_near_the_best_from_anywhere():
    """A quadratic of 100 dimensions: from any start the loss ends within a factor 2 of that of the best fixed rate."""
    draw = torch.Generator().manual_seed(0)
    scales = torch.logspace(-3, 0, 100, dtype=torch.float64)
    module = torch.nn.Linear(100, 1, bias=False).double()
    with torch.no_grad():
        module.weight.copy_(torch.randn(1, 100, generator=draw, dtype=torch.float64))

    def loss(params, *_):
        return 0.5 * (scales * params["weight"][0] ** 2).sum()

    def made(optimizer):
        return Training(
            module, loss, lambda params, batch: loss(params), scales, scales, optimizer=optimizer, steps=300
        )

    fixed = [made(SGD(rate)) for rate in np.geomspace(1e-3, 1.9, 40)]
    best = min(float(one.val_loss(one.trained({"x": 1.0})[0])) for one in fixed)
    for start in (1e-5, 1e-3, 1e-1):
        assert online(made(SGD("lr")), {"lr": start}).loss <= 2 * best


def test_the_path_of_an_online_training_is_a_schedule():
    found = online(training(), VALUES)
    assert "one step ahead" in found.biased
    schedule = online(training(batch=20), {"lr": 0.03, "decay": np.array([1e-2, 1e-2])})
    assert len(schedule.path["lr"]) == 30
    segments = tw.Schedule(online(training(train=plain_loss()), {"lr": 0.03}).schedule(unit=10))
    assert [step for step, _ in segments.configs] == [0, 10, 20]


def plain_loss(change=lambda loss, params, hparams, batch: loss, module=None):
    module = module or network()

    def train_loss(params, hparams, batch):
        loss = cross_entropy(functional_call(module, params, batch[0]), batch[1])
        return change(loss, params, hparams, batch)

    return train_loss


def in_place(loss, params, hparams, batch):
    params["0.weight"].mul_(0.9)
    return loss * params["0.weight"].sum()


BAD = {
    "it is detached": lambda loss, params, hparams, batch: loss.detach(),
    "is detached from them": lambda loss, params, hparams, batch: torch.zeros((), dtype=torch.float64),
    "returned a float": lambda loss, params, hparams, batch: loss.item(),
    r"of shape \(3,\)": lambda loss, params, hparams, batch: loss.repeat(3),
    "changes a tensor in place": in_place,
    "changes its batch in place": lambda loss, params, hparams, batch: loss * batch[0].mul_(1.1).mean(),
    "depends on chance": lambda loss, params, hparams, batch: loss * torch.rand(()),
}


@pytest.mark.parametrize("sentence", BAD)
def test_a_loss_without_a_gradient_is_refused(sentence):
    with pytest.raises(GradientError, match=sentence):
        differentiate(training(train=plain_loss(BAD[sentence])), {"lr": 0.03})


def test_layers_without_a_gradient_are_refused():
    for layer, sentence in (
        (torch.nn.Dropout(0.5), "draws a new mask"),
        (torch.nn.BatchNorm1d(8), "keeps running averages"),
    ):
        module = network(torch.nn.Linear(6, 8), layer, torch.nn.Linear(8, 3))
        with pytest.raises(GradientError, match=sentence):
            differentiate(training(module, train=plain_loss(module=module)), {"lr": 0.03})
        module.eval()
        assert differentiate(training(module, train=plain_loss(module=module)), {"lr": 0.03}).trusted


def test_an_entry_that_training_does_not_use_is_named_and_held():
    used = training(train=plain_loss(lambda loss, params, hparams, batch: loss * (1 + hparams["gain"])))
    found = differentiate(used, {"lr": 0.03, "gain": 0.1, "mystery": 0.5, "layers": 2})
    assert set(found.held) == {"mystery", "layers"}
    fixed = training(train=plain_loss(), optimizer=Adam(0.03))
    with pytest.raises(GradientError, match="training does not depend on mystery"):
        differentiate(fixed, {"mystery": 0.5})
    with pytest.raises(GradientError, match="no value has a derivative: layers=2"):
        differentiate(fixed, {"layers": 2})
    with pytest.raises(GradientError, match="the optimizer names 'lr'"):
        differentiate(training(), {"decay": DECAY})


def test_a_value_that_training_rounds_is_named_and_held():
    used = training(train=plain_loss(lambda loss, params, hparams, batch: loss * (1 + hparams["gain"].round())))
    found = differentiate(used, {"lr": 0.03, "gain": 1.2})
    assert found.held == ("gain",)
    assert found.gradient["gain"] == 0


def test_a_loss_that_is_not_finite_from_the_start_is_refused():
    with pytest.raises(GradientError, match="train_loss answers nan before the first step"):
        differentiate(training(train=plain_loss(lambda loss, p, h, b: loss * float("nan"))), {"lr": 0.03})
    root = training(train=plain_loss(lambda loss, p, h, b: loss + (0 * p["2.bias"]).square().sum().sqrt()))
    with pytest.raises(GradientError, match=r"by 2\.bias is not finite, though the loss is"):
        differentiate(root, {"lr": 0.03})


def test_a_gradient_that_is_not_finite_is_refused():
    steep = training(
        optimizer=SGD(), steps=60, train=plain_loss(lambda loss, p, h, b: loss + p["0.weight"].pow(4).sum())
    )
    with pytest.raises(GradientError, match="not finite"):
        differentiate(steep, {"lr": 50.0})


def test_a_learning_rate_is_out_of_sight_of_the_implicit_way():
    with pytest.raises(GradientError, match="cannot see lr"):
        differentiate(training(polish=1e-8, steps=200), {"lr": 0.03, "decay": DECAY}, way="implicit")


def test_a_network_is_tuned_by_the_method():
    space = {"lr": tw.Float(1e-3, 0.3, log=True), "decay_0": tw.Float(1e-5, 1, log=True),
             "decay_1": tw.Float(1e-5, 1, log=True)}  # fmt: skip
    objective = Objective(training(), vectors={"decay": 2})
    study = tw.tune(
        objective, space, minimize="loss", trials=25, seed=0, method=tw.HyperGradient(starts=2), progress=False
    )
    assert study.best.value < study.loss(0)


def test_single_precision_is_checked_as_well():
    """Central differences of single precision have few digits: what they cannot tell is no reason to refuse."""
    x, y = rows()
    module = network().float()

    def train_loss(params, hparams, batch):
        decay = sum(part.square().sum() for part in params.values())
        return cross_entropy(functional_call(module, params, batch[0]), batch[1]) + hparams["decay"] * decay

    def val_loss(params, batch):
        return cross_entropy(functional_call(module, params, batch[0]), batch[1])

    data = (x.float(), y)
    one = Training(module, train_loss, val_loss, data, data, optimizer=SGD("lr", 0.9), steps=30)
    for decay in (1e-6, 1e-3):
        found = differentiate(one, {"lr": 0.05, "decay": decay}, check=True)
        assert found.checked < 0.05
        assert found.weights.dtype == torch.float32


def test_the_module_stays_as_it_is():
    module = network()
    before = [part.clone() for part in module.parameters()]
    differentiate(training(module), VALUES)
    assert all(torch.equal(old, new) for old, new in zip(before, module.parameters(), strict=True))
