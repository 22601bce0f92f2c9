"""Gradients by hyperparameters: how exact, how dear, and what they are worth beside search without them.

The problems are those of `benchmarks.gradient_problems`. Rows that need PyTorch say so where it is missing.
"""

import functools
import importlib
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

import tunewell as tw
from benchmarks.figures import FOLDER, Row, alternate, ask, ask_peer, figure
from benchmarks.gradient_problems import area, digits, flipped, regression, trained
from dev import ROOT, Environment
from tunewell.hypergradient import Logistic, Objective, Ridge, implicit, vector
from tunewell.hypergradient.linear import conjugate

THETA = 2.5
"""The logarithm of the penalty of ridge regression, at which the condition number is about 6."""


def apart(found: Any, exact: Any) -> float:
    """The relative difference of two gradients."""
    found, exact = np.ravel(found), np.ravel(exact)
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


# --- exactness -------------------------------------------------------------------------------------------------------


def analytic(alpha: float) -> tuple[Ridge, float]:
    """Ridge regression, and the derivative of its validation loss by the penalty."""
    (x, y), (x_held, y_held), _ = regression()
    inverse = np.linalg.inv(x.T @ x + alpha * np.eye(x.shape[1]))
    weights = inverse @ x.T @ y
    exact = -2 / len(y_held) * (x_held @ weights - y_held) @ x_held @ inverse @ weights
    return Ridge(x, y, x_held, y_held, intercept=False), float(exact)


@figure("ridge: implicit beside analytic", target="<= 0.00000001")
def ridge(quick: bool) -> Iterator[Row]:
    """Relative errors, in double precision. Whether few products reach the target depends on the data: below it, the
    error of the solution on 100 data sets of condition 5.6, beside the least that any method has which combines the
    same products; and how many of them meet the target.
    """
    alpha = float(np.exp(THETA))
    model, exact = analytic(alpha)
    yield Row(apart(implicit(model, {"alpha": alpha}, tolerance=1e-14).gradient["alpha"], exact))
    step = 1e-4 * alpha
    up, down = (model.loss(model.solve({"alpha": alpha + move}), {})[0] for move in (step, -step))
    yield Row(apart((up - down) / (2 * step), exact), name="ridge: analytic beside central differences")
    for most, target in ((10, "<= 0.00001"), (15, "<= 0.00000001")):
        found = implicit(model, {"alpha": alpha}, most=most, tolerance=0.0, trust=None)
        yield Row(
            apart(found.gradient["alpha"], exact), name=f"ridge: conjugate gradients, {most} products", target=target
        )
        least, met = _krylov(most, 10 if quick else 100, float(target[3:]))
        yield Row(*least, "  error of the solution, beside the least in reach", "<= 1.01 x peer")
        yield Row(met, name="  share of 100 data sets that meet it", target="")
    for terms in (50, 100):
        found = implicit(model, {"alpha": alpha}, solver="neumann", most=terms, trust=None)
        spectrum = np.linalg.eigvalsh(model.gram + alpha * np.eye(20))
        most_wrong = float((1 - spectrum[0] / (1.1 * spectrum[-1])) ** (terms + 1))
        yield Row(found.residual, most_wrong, f"ridge: Neumann, {terms} terms, residual", "<= 1 x peer")


def _krylov(most: int, seeds: int, target: float) -> tuple[tuple[float, float], float]:
    """The mean error of the solution after `most` products, and the least that any vector of their span has, both in
    the norm of the system and relative to the solution; and the share of data sets whose gradient meets the target.
    """
    errors, met = [], []
    for seed in range(seeds):
        (x, y), (x_held, y_held), _ = regression(seed=seed)
        spectrum, vectors = np.linalg.eigh(x.T @ x)
        shift = (spectrum[-1] - 5.6 * spectrum[0]) / 4.6
        system = x.T @ x + shift * np.eye(20)
        weights = np.linalg.solve(system, x.T @ y)
        slope = x_held.T @ (x_held @ weights - y_held)
        exact = np.linalg.solve(system, slope)
        found = conjugate(functools.partial(np.matmul, system), slope, most=most, tolerance=0.0).x
        # in the basis of eigenvectors, weighed so that the norm of the system is the Euclidean one
        levels = spectrum + shift
        powers = np.vander(levels / levels[-1], most, increasing=True) * (vectors.T @ slope)[:, None]
        basis = np.linalg.qr(np.sqrt(levels)[:, None] * powers)[0]
        aim, mine = (np.sqrt(levels) * (vectors.T @ vector) for vector in (exact, found))
        least = aim - basis @ (basis.T @ aim)
        errors.append(np.array([np.linalg.norm(mine - aim), np.linalg.norm(least)]) / np.linalg.norm(aim))
        met.append(abs(weights @ (found - exact)) <= target * abs(weights @ exact))
    mine_mean, least_mean = np.mean(errors, axis=0)
    return (float(mine_mean), float(least_mean)), float(np.mean(met))


@figure("ridge: unrolled beside its central differences", target="<= 0.00000001")
def unrolled(quick: bool) -> Iterator[Row]:
    """Gradient descent from 0, at rate 2 / (least + largest curvature)."""
    import torch
    from torch.func import functional_call

    from tunewell.hypergradient import SGD, Training, reverse

    (x, y), (x_held, y_held), _ = regression()
    alpha = float(np.exp(THETA))
    spectrum = np.linalg.eigvalsh(x.T @ x) + alpha
    module = torch.nn.Linear(x.shape[1], 1, bias=False).double()
    torch.nn.init.zeros_(module.weight)

    def train_loss(params: Any, hparams: Any, batch: Any) -> Any:
        gap = functional_call(module, params, batch[0])[:, 0] - batch[1]
        return 0.5 * (gap @ gap + hparams["alpha"] * params["weight"].square().sum())

    def val_loss(params: Any, batch: Any) -> Any:
        return (functional_call(module, params, batch[0])[:, 0] - batch[1]).square().mean()

    data = [tuple(map(torch.from_numpy, pair)) for pair in ((x, y), (x_held, y_held))]
    for steps in (5, 20, 100):
        rate = 2 / float(spectrum[0] + spectrum[-1])
        one = Training(module, train_loss, val_loss, *data, optimizer=SGD(rate), steps=steps)
        found, step = reverse(one, {"alpha": alpha}), 1e-4 * alpha
        up, down = (one.val_loss(one.trained({"alpha": alpha + move})[0]).item() for move in (step, -step))
        wrong = apart(found.gradient["alpha"], (up - down) / (2 * step))
        yield Row(wrong, name=f"ridge: unrolled {steps} steps beside central differences")
    exact = analytic(alpha)[1]
    name = "ridge: unrolled 100 steps beside analytic"
    yield Row(apart(found.gradient["alpha"], exact), name=name, target="<= 0.000001")


@figure("forward mode beside reverse mode", target="<= 0.0000000001")
def both_modes(quick: bool) -> Row:
    """A network on digits, Adam, 100 steps of 64 rows; learning rate and a penalty a layer."""
    from tunewell.hypergradient import Adam, forward, reverse

    train, held, _ = digits(500, 500, 0)
    one = trained([64, 32, 32, 10], train, held, optimizer=Adam(), steps=20 if quick else 100, batch=64)
    values = {"lr": 0.01, "decay": np.full(3, 1e-3)}
    there, back = (np.array(list(way(one, values).flat().values())) for way in (forward, reverse))
    return Row(apart(there, back))


@figure("network on digits: cosine of implicit and central differences", target=">= 0.99")
def network(quick: bool) -> Row:
    """Two layers of 64, trained to a minimum; a penalty a layer; central differences solve again for each."""
    from tunewell.hypergradient import Adam

    train, held, _ = digits(100 if quick else 500, 500, 0)
    one = trained([64, 64, 64, 10], train, held, optimizer=Adam(0.01), steps=300, polish=1e-8)
    decay = np.full(3, 1e-3)
    found = implicit(one, {"decay": decay})
    exact = []
    for move in 1e-6 * np.eye(3):
        up, down = (one.loss(one.solve({"decay": decay + sign * move}, found.weights), {})[0] for sign in (1, -1))
        exact.append((up - down) / 2e-6)
    mine, theirs = found.gradient["decay"], np.array(exact)
    return Row(float(mine @ theirs / np.linalg.norm(mine) / np.linalg.norm(theirs)))


# --- price -----------------------------------------------------------------------------------------------------------


@figure("logistic regression, 1,000 features: a gradient in fits", target="<= 3")
def logistic(quick: bool) -> Iterator[Row]:
    """2,000 rows; fit and gradient with it, both of ours, and beside scikit-learn's fit to the same tolerance."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    features = 100 if quick else 1000
    truth = rng.standard_normal(features) / np.sqrt(features)
    x, x_held = rng.standard_normal((2000, features)), rng.standard_normal((500, features))
    y, y_held = (rng.random(len(part)) < 1 / (1 + np.exp(-3 * part @ truth)) for part in (x, x_held))
    model, values = Logistic(x, y, x_held, y_held, tolerance=1e-6), {"alpha": 10.0}
    weights = model.solve(values)
    estimator = LogisticRegression(C=0.1, tol=1e-6, max_iter=1000)

    def clocked(action: Any) -> float:
        start = time.perf_counter()
        action()
        return time.perf_counter() - start

    fit, gradient, theirs = alternate(
        1 if quick else 5,
        lambda: clocked(lambda: model.solve(values)),
        lambda: clocked(lambda: implicit(model, values, weights=weights)),
        lambda: clocked(lambda: estimator.fit(x, y)),
    )
    yield Row(gradient / fit, unit="fits")
    name = "logistic regression: a gradient in scikit-learn's fits"
    yield Row(gradient / theirs, unit="fits", name=name, target="<= 3")


_MEMORY = """
import resource, sys
import numpy as np, torch
from benchmarks.gradient_problems import trained
from tunewell.hypergradient import SGD, reverse
torch.set_num_threads(1)
rng = np.random.default_rng(0)
rows = [(rng.standard_normal((16, 64)), rng.integers(0, 10, 16)) for _ in range(2)]
width, steps = int(sys.argv[1]), int(sys.argv[2])
def peak(steps):
    one = trained([64, width, 10], *rows, optimizer=SGD(1e-3, 0.9), steps=steps)
    reverse(one, {"decay": np.full(2, 1e-4)}, trust=None)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak(1)
print(peak(steps) - before)
"""


@figure("memory of unrolling 1,024 steps, in that of 64", target="<= 4.5")
def memory(quick: bool) -> Row:
    """Peak resident memory above that of one step, in MiB, each in a fresh process."""
    width = 3000 if quick else 8000
    few, many = (16, 64) if quick else (64, 1024)
    one, more = (float(ask([sys.executable, "-c", _MEMORY, str(width), str(steps)])) for steps in (few, many))
    return Row(more / max(one, 1e-3))


def _cpu(action: Any) -> tuple[float, Any]:
    """CPU seconds of an action, and what it answers."""
    start = time.process_time()
    found = action()
    return time.process_time() - start, found


@figure("beside TorchOpt: relative difference of the gradient", target="<= 0.00001")
def torchopt(quick: bool) -> Iterator[Row]:
    """50 steps of SGD with momentum on 500 digits-like rows, kept in one graph by both: median CPU seconds, in turns of
    three gradients each. And beside a textbook's unrolling of the same, in this process.
    """
    import torch

    from tunewell.hypergradient import SGD, reverse

    torch.set_num_threads(1)
    peer: Any = importlib.import_module("benchmarks.peers.gradient_torchopt")
    textbook: Any = importlib.import_module("benchmarks.gradient_textbook")
    one = trained(peer.SIZES, *peer.batches(), optimizer=SGD(peer.LR, peer.MOMENTUM), steps=peer.STEPS)

    def mine() -> Any:
        return reverse(one, {"decay": np.array(peer.DECAY)}, every=peer.STEPS).gradient["decay"]

    def plain() -> Any:
        def named(weights: Any) -> Any:
            return dict(zip(one.params(one.begin), weights))

        losses = (
            lambda weights, decay: one._train_loss(named(weights), {"decay": decay}, one.train),
            lambda weights: one._val_loss(named(weights), one.validation),
        )
        settings = {"steps": peer.STEPS, "lr": peer.LR, "momentum": peer.MOMENTUM}
        return textbook.unrolled(*losses, list(one.module.parameters()), one.tensor(peer.DECAY), **settings)

    _gradient_environment()
    answers = [ask_peer("gradient", "gradient_torchopt.py", "1")["gradient"], plain().numpy()]
    rounds, found = 1 if quick else 5, mine()
    yield Row(apart(found, answers[0]))
    ours, theirs, plainly = alternate(
        rounds,
        lambda: statistics.median(_cpu(mine)[0] for _ in range(3)),
        lambda: float(ask_peer("gradient", "gradient_torchopt.py", "4")["seconds"]),
        lambda: statistics.median(_cpu(plain)[0] for _ in range(3)),
    )
    yield Row(ours, theirs, name="beside TorchOpt: CPU seconds a gradient", target="<= 1 x peer", unit="s")
    name = "beside a textbook's unrolling: relative difference of the gradient"
    yield Row(apart(found, answers[1]), name=name, target="<= 0.00001")
    name = "beside a textbook's unrolling: CPU seconds a gradient"
    yield Row(ours, plainly, name=name, target="<= 1 x peer", unit="s")


def _gradient_environment() -> Environment:
    """That of TorchOpt and Betty, with PyTorch first: their locks leave it out."""
    home = Environment(ROOT / ".venvs" / "gradient")
    home._make()
    home.install_torch()
    return home


@figure("beside Betty: relative difference of the gradient", target="<= 0.00001")
def betty(quick: bool) -> Iterator[Row]:
    """Softmax regression, two penalties, at its minimum: ours by conjugate gradients, with the bound of the error; its
    by a series of Neumann long enough to agree; a textbook's by conjugate gradients, beside ours without the bound.
    Median CPU seconds, in turns.
    """
    import torch

    from tunewell.hypergradient import Adam, Training

    torch.set_num_threads(1)
    peer: Any = importlib.import_module("benchmarks.peers.gradient_betty")
    textbook: Any = importlib.import_module("benchmarks.gradient_textbook")
    data = [tuple(map(torch.from_numpy, pair)) for pair in peer.batches()]
    decay = torch.tensor(peer.DECAY, dtype=torch.float64)

    def train_loss(weights: Any, decay: Any) -> Any:
        return peer.train_loss(torch, *weights, decay, data[0])

    def val_loss(weights: Any) -> Any:
        return torch.nn.functional.cross_entropy(data[1][0] @ weights[0].T + weights[1], data[1][1])

    one = Training(
        torch.nn.Linear(64, 10).double(),
        lambda params, hparams, batch: train_loss(tuple(params.values()), hparams["decay"]),
        lambda params, batch: val_loss(tuple(params.values())),
        *data, optimizer=Adam(0.05), polish=1e-10,
    )  # fmt: skip
    values = {"decay": np.array(peer.DECAY)}
    weights = one.solve(values)
    parts = list(one.params(weights).values())

    def mine(bound: bool = True) -> Any:
        return implicit(one, values, weights=weights, bound=bound).gradient["decay"]

    def plain() -> Any:
        return textbook.implicit(train_loss, val_loss, parts, decay, products=1000, tolerance=1e-10)

    home = _gradient_environment()
    home.install(FOLDER / "peers" / "gradient-betty.txt")
    command = [str(home.python), str(FOLDER / "peers" / "gradient_betty.py"), "4"]
    yield Row(apart(mine(), ask(command)["gradient"]))
    rounds = 1 if quick else 3
    ours, theirs, bare, plainly = alternate(
        rounds,
        lambda: statistics.median(_cpu(mine)[0] for _ in range(9)),
        lambda: float(ask(command)["seconds"]),
        lambda: statistics.median(_cpu(lambda: mine(bound=False))[0] for _ in range(9)),
        lambda: statistics.median(_cpu(plain)[0] for _ in range(9)),
    )
    yield Row(ours, theirs, name="beside Betty: CPU seconds a gradient", target="<= 1 x peer", unit="s")
    name = "beside a textbook's conjugate gradients: relative difference of the gradient"
    yield Row(apart(mine(), plain().numpy()), name=name, target="<= 0.00001")
    name = "beside a textbook's conjugate gradients: CPU seconds a gradient"
    yield Row(bare, plainly, name=name, target="<= 1 x peer", unit="s")


@figure("transformer, damped Gauss-Newton: a gradient in trainings", target="<= 0.3")
def transformer(quick: bool) -> Iterator[Row]:
    """Two layers, 500 steps, four penalties; eight products, damped as training that stops there is, and the penalties
    at the mean of the weights on the way; labelled so. Central differences train eight times more. CPU seconds of one
    thread: the first gradient of the process, which also touches fresh memory, and the median of three more, in the
    median of nine trainings.
    """
    import torch

    from benchmarks.gradient_transformer import LR, MOMENTUM, training

    torch.set_num_threads(1)
    steps = 20 if quick else 500
    one, decay = training(steps), np.full(4, 3e-3)
    seconds, (weights, path) = _cpu(lambda: one.trained_with_mean({"decay": decay}))
    shift, trainings = (1 - MOMENTUM) / (LR * steps), [seconds]

    def gradient() -> Any:
        return implicit(one, {"decay": decay}, weights=weights, path=path, most=8, shift=shift, trust=None, bound=False)

    first, found = _cpu(gradient)
    more = statistics.median(_cpu(gradient)[0] for _ in range(3))
    exact = []
    for move in 3e-6 * np.eye(4):
        ends = [_cpu(functools.partial(one.trained, {"decay": decay + sign * move})) for sign in (1, -1)]
        trainings += [seconds for seconds, _ in ends]
        up, down = (one.val_loss(state[0]).item() for _, state in ends)
        exact.append((up - down) / 6e-6)
    training_seconds = statistics.median(trainings)
    yield Row(first / training_seconds, unit="trainings")
    yield Row(more / training_seconds, name="  once memory is warm", target="<= 0.3", unit="trainings")
    mine, theirs = found.gradient["decay"], np.array(exact)
    cosine = float(mine @ theirs / np.linalg.norm(mine) / np.linalg.norm(theirs))
    yield Row(cosine, name="transformer: cosine to central differences", target=">= 0.95", unit="")


# --- worth -----------------------------------------------------------------------------------------------------------


@figure("per-feature ridge, 20 penalties, 150 solves: validation loss", target="<= 2.01")
def per_feature(quick: bool) -> Iterator[Row]:
    """Beside random search with 20,000 solves on the same data. The target is a number of a pilot, whose data are not
    public: it is held against data set 0, and means of five data sets follow. The test losses stand beside them, for so
    many penalties overfit the validation rows.
    """
    rows = [_per_feature(seed, quick) for seed in range(1 if quick else 5)]
    yield Row(rows[0][0], rows[0][1])
    yield Row(rows[0][2], rows[0][3], "  its test loss, beside that of random search", "")
    mine, random, test, random_test, one, one_test = (statistics.fmean(column) for column in zip(*rows))
    yield Row(mine, random, "  five data sets, beside random search", "<= 1 x peer")
    yield Row(test, random_test, "  their test losses", "")
    yield Row(one, one_test, "  the best single penalty: validation, and test loss", "")


def _per_feature(seed: int, quick: bool) -> tuple[float, ...]:
    train, held, test = regression(seed=seed)
    model, judge = Ridge(*train, *held), Ridge(*train, *test)

    def losses(alpha: Any) -> tuple[float, float]:
        weights = model.solve({"alpha": alpha})
        return model.loss(weights, {})[0], judge.loss(weights, {})[0]

    study = tw.tune(
        Objective(model, vectors={"alpha": 20}, check=False),
        vector("alpha", 20, tw.Float(1e-4, 1e4, log=True)),
        minimize="loss", trials=150, seed=seed, progress=False,
        method=tw.HyperGradient(starts=3, most=150),
    )  # fmt: skip
    assert study.best is not None
    alpha = np.array([study.best.config[f"alpha_{place}"] for place in range(20)])
    rng = np.random.default_rng(seed)
    drawn = np.exp(rng.uniform(np.log(1e-4), np.log(1e4), (200 if quick else 20_000, 20)))
    random, random_test = min(losses(each) for each in drawn)
    one, one_test = min(losses(each) for each in np.geomspace(1e-4, 1e4, 500))
    mine, mine_test = losses(alpha)
    return mine, random, mine_test, random_test, one, one_test


@figure("flipped labels on digits: area under ROC, least of 10 seeds", target=">= 0.95")
def labels(quick: bool) -> Iterator[Row]:
    """Weights of the training rows descend four steps along their gradients; a row is suspect by its loss under the
    model that these weights give. Beside it: by its loss under the model of equal weights.
    """
    seeds = range(100, 101 if quick else 110)
    pairs = [cleaned(seed) for seed in seeds]
    yield Row(min(mine for mine, _ in pairs))
    mine, theirs = (statistics.fmean(column) for column in zip(*pairs))
    yield Row(mine, theirs, "flipped labels: mean area, beside ranking by training loss", ">= 1 x peer")
    won = sum(a > b for a, b in pairs) / len(pairs)
    yield Row(won, name="flipped labels: share of seeds above ranking by training loss", target=">= 1")


def cleaned(seed: int, steps: int = 4) -> tuple[float, float]:
    """The areas of the learned weights, and of the training loss alone."""
    rows = flipped(seed)
    model = Logistic(*rows.train, *rows.held, tolerance=1e-7)
    weights, start, first = np.ones(len(rows.where)), None, None
    for _ in range(steps + 1):
        values = {"alpha": 1.0, "weights": weights}
        found = implicit(model, values, start=start, tolerance=1e-4, trust=None)
        start = found.weights
        score = area(model.training_losses(found.weights), rows.where)
        first = score if first is None else first
        slope = np.asarray(found.gradient["weights"])
        weights = np.clip(weights - 0.3 * slope / np.quantile(np.abs(slope), 0.9), 0.0, 1.0)
    assert first is not None
    return score, first


@figure("decay a layer and learning rate on digits: validation loss", target="<= 1 x peer")
def real(quick: bool) -> Iterator[Row]:
    """Means of 5 seeds; beside it the better of Bayes and random search, which get as many seconds of training."""
    rows = [_real(seed, quick) for seed in range(1 if quick else 5)]
    table = np.array(rows).mean(0)
    held, test = table[:, 0], table[:, 1]
    yield Row(held[0], min(held[1:]))
    names = ("HyperGradient", "Bayes", "random search")
    for name, one in zip(names, held):
        yield Row(one, name=f"  {name}: validation loss", target="")
    yield Row(test[0], min(test[1:]), "  its test loss, beside the better of the two", "<= 1 x peer")


def _real(seed: int, quick: bool) -> list[tuple[float, float]]:
    from tunewell.hypergradient import Adam, reverse

    train, held, test = digits(300, 300, seed)
    settings: dict[str, Any] = {"optimizer": Adam(), "steps": 100, "batch": 50, "seed": seed}
    one, judge = (trained([64, 32, 32, 10], train, part, **settings) for part in (held, test))
    space = {"lr": tw.Float(1e-4, 0.3, log=True), **vector("decay", 3, tw.Float(1e-6, 1, log=True))}
    gather = Objective(one, vectors={"decay": 3}).values
    middle = {"lr": 0.005, "decay": np.full(3, 1e-3)}
    price = _seconds(lambda: reverse(one, middle, every=25)) / _seconds(lambda: one.trained(middle))
    jobs = 4 if quick else 25

    def plain(run: Any) -> None:
        run.report(1, loss=one.val_loss(one.trained(gather(run.config))[0]).item())

    descent = tw.HyperGradient(starts=5, most=jobs, tolerance=1e-3)
    sloped = Objective(one, vectors={"decay": 3}, way="reverse", settings={"every": 25}, check=False, trust=None)
    works = [(descent, sloped, jobs)] + [(each, plain, round(jobs * price)) for each in (tw.Bayes(), tw.Random())]
    found = []
    for method, objective, trials in works:
        study = tw.tune(objective, space, minimize="loss", trials=trials, seed=seed, method=method, progress=False)
        config = min(study.jobs.values(), key=lambda job: study.loss(job.id)).config
        weights = one.trained(gather(config))[0]
        found.append((one.val_loss(weights).item(), judge.val_loss(weights).item()))
    return found


def _seconds(action: Any) -> float:
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        action()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)
