"""Noise: the bias and the interval of what is reported, the choice that is made, switches, comparisons, and races.

A simulated study asks a method for configs and answers with a true loss and normal noise, a fresh one for each seed.
"""

import statistics
from collections.abc import Callable, Iterator, Mapping
from functools import cache

import numpy as np
from scipy.special import ndtri

import tunewell as tw
from benchmarks import honest_enough, honest_importance
from benchmarks.figures import Row, figure
from benchmarks.tasks import groups, task
from tunewell.live import decide
from tunewell.study import Act, Job, Result, Study

NORMAL = tw.Space({"x": tw.Float(0, 1)})


def normal(config: Mapping[str, float]) -> float:
    """True losses of random configs that are normal, with a spread of 1."""
    return float(ndtri(min(max(config["x"], 1e-9), 1 - 1e-9)))


def bowl(config: Mapping[str, float]) -> float:
    """A quadratic in three numbers: true losses of a spread of 1, with an end on the good side."""
    return float(sum((2 * config[name] - 1) ** 2 for name in "xyz") / 0.5164)


BOWL = tw.Space({name: tw.Float(0, 1) for name in "xyz"})
WORLDS: Mapping[str, tuple[tw.Space, Callable[[Mapping[str, float]], float]]] = {
    "normal": (NORMAL, normal),
    "bowl": (BOWL, bowl),
}


def simulate(
    method: tw.Method, world: str, noise: float, budget: int, seed: int, *, told: bool = False
) -> tuple[Study, Callable[[Mapping[str, float]], float]]:
    """A study of `budget` evaluations, replicates included; `told`: each result carries its standard error."""
    space, truth = WORLDS[world]
    study = Study()
    limits = {"trials": budget}
    opening = {"seed": seed, "space": space.to_json(), "goals": [{"metric": "loss"}], "limits": limits}
    study.commit(Act("open", opening | {"method": {"method": "Random"}, "steps": {"minimum": 1, "maximum": 1}}))
    rng = np.random.default_rng([seed, 7])
    while len(study.jobs) < budget and (job := decide(study, method)) is not None:
        answer(study, job, truth(job.config) + noise * rng.normal(), {"loss": noise} if told else {})
    return study, truth


def answer(study: Study, job: Job, loss: float, std: Mapping[str, float]) -> None:
    """Commit a job and its result."""
    begun = study.start(job)
    study.commit(begun)
    study.commit(Result(begun.id, "done", {"loss": loss}, step=1, std=dict(std)))


def outcome(study: Study, truth: Callable[[Mapping[str, float]], float]) -> tuple[float, float, float, bool, float]:
    """Of what is reported: estimate less truth, raw value less truth, truth less the best that was seen, whether the
    interval holds, and its width.
    """
    best = study.best
    if best is None or best.interval is None:
        raise RuntimeError("a simulated study reports an interval")
    true, (low, high) = truth(best.config), best.interval
    seen = min(truth(job.config) for job in study.jobs.values())
    lucky = min(study.results.values(), key=lambda result: result.metrics["loss"])
    raw = lucky.metrics["loss"] - truth(study.jobs[lucky.job].config)
    return best.estimate - true, raw, true - seen, low <= true <= high, high - low


@cache
def outcomes(
    kind: str, world: str, noise: float, budget: int, number: int, told: bool = False
) -> tuple[tuple[float, float, float, bool, float], ...]:
    """Of so many studies."""
    of = tw.Bayes() if kind == "Bayes" else tw.Random()
    method = tw.Confirm(of)
    return tuple(outcome(*simulate(method, world, noise, budget, seed, told=told)) for seed in range(number))


# --- the reported number ---------------------------------------------------------------------------------------------


@figure("bias of the reported score at noise 0.3, 100 evaluations, in spreads", target="")
def bias(quick: bool) -> Iterator[Row]:
    """The mean of estimate less truth, without its sign; the peer is the luckiest number."""
    number = 20 if quick else 400
    for told, target in ((True, "<= 0.02"), (False, "<= 0.04")):
        found = outcomes("random", "normal", 0.3, 100, number, told)
        mean, raw = (abs(statistics.fmean(row[place] for row in found)) for place in (0, 1))
        name = f"bias of the reported score, noise 0.3, {'known' if told else 'inferred'}"
        yield Row(mean, raw, name, "" if quick else target)


@figure("true regret after confirmation within 100 evaluations", target="")
def regret(quick: bool) -> Iterator[Row]:
    """Against the best config that was seen; the peer is the same search that reports its luckiest number."""
    number = 20 if quick else 400
    for noise, target in ((0.3, "<= 0.05"), (1.0, "<= 0.40")):
        mean = statistics.fmean(row[2] for row in outcomes("random", "normal", noise, 100, number))
        lucky = statistics.fmean(luckiest(noise, seed) for seed in range(number))
        yield Row(mean, lucky, f"true regret after confirmation, noise {noise}", "" if quick else target)


def luckiest(noise: float, seed: int) -> float:
    """The regret of the lowest of 100 losses."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=100)
    return float(truth[np.argmin(truth + noise * rng.normal(size=100))] - truth.min())


@figure("coverage of the 90 % interval of the best's true value", target="", unit="%")
def coverage(quick: bool) -> Iterator[Row]:
    """By kind of search, shape of the true losses, noise in spreads, and budget."""
    for kind, number, target in (("random", 1000, ">= 87 and <= 93"), ("Bayes", 200, ">= 84 and <= 96")):
        for world in WORLDS:
            for noise in (0.3,) if quick else (0.1, 0.3, 1.0):
                for budget in (20,) if quick else (20, 50, 100):
                    found = outcomes(kind, world, noise, budget, 5 if quick else number)
                    share = 100 * statistics.fmean(row[3] for row in found)
                    name = f"coverage, {kind} search, {world} losses, noise {noise}, {budget} evaluations"
                    yield Row(share, name=f"{name} ({len(found)} studies)", target="" if quick else target)


# --- comparisons -----------------------------------------------------------------------------------------------------


@figure("compare: false verdicts and power", target="", unit="%")
def comparing(quick: bool) -> Iterator[Row]:
    """Pairs of configs, equal or half a standard deviation apart, correlated 0.9 over seeds; a look after each seed."""
    number = 200 if quick else 4000
    for effect, until, target in ((0.0, 20, "<= 5"), (0.5, 8, ">= 40"), (0.5, 12, ">= 70")):
        rng = np.random.default_rng(11)
        shared = np.sqrt(0.9) * rng.normal(size=(number, 20))
        one, other = (shared + np.sqrt(0.1) * rng.normal(size=(number, 20)) for _ in range(2))
        verdicts = [tw.compare(a[:until] - effect, b[:until]).verdict for a, b in zip(one, other, strict=True)]
        share = 100 * statistics.fmean(verdict != "undecided" for verdict in verdicts)
        what = "false verdicts on equals" if effect == 0 else f"power by {until} seeds"
        yield Row(share, name=f"compare, a look after each of 20 seeds: {what}", target="" if quick else target)


@figure("switches of the incumbent", target="")
def switches(quick: bool) -> Iterator[Row]:
    """Under pure noise that results carry; and the switch to a config that is one noise better, of ten results."""
    number = 5 if quick else 100
    counts = [len(under_noise(seed).incumbents) - 1 for seed in range(number)]
    yield Row(statistics.fmean(counts), 4.19, "switches of the incumbent in 100 trials of pure noise", "<= 1")
    for how, target in (("its own", ">= 80"), ("in turns with the incumbent", ">= 80"), ("of ten such configs", "")):
        seen = [100.0 * switches_to_better(seed, how) for seed in range(number)]
        name = f"a config that is one noise better becomes the incumbent within 10 results, {how}"
        yield Row(statistics.fmean(seen), name=name, target="" if quick else target, unit="%")


def under_noise(seed: int) -> Study:
    """100 trials that are equally good."""
    study = opened(seed)
    rng = np.random.default_rng(seed)
    for place in range(100):
        answer(study, Job({"x": place / 100}, 1), rng.normal(), {"loss": 1.0})
    return study


def switches_to_better(seed: int, how: str) -> bool:
    """After 100 equal trials ten results follow: all of a config that is better by one noise; five of it and five of
    the incumbent, as where both are finalists; or one each of ten such configs, which single results hardly tell.
    """
    study = under_noise(seed)
    held = study.jobs[study.incumbents[-1][1]].config
    rng = np.random.default_rng([seed, 1])
    for place in range(10):
        is_held = how == "in turns with the incumbent" and place % 2 == 1
        config = {"x": 0.991 + 0.0005 * place * (how == "of ten such configs")}
        job = Job(held, 1, seed=1 + place // 2) if is_held else Job(config, 1, seed=place)
        answer(study, job, rng.normal() - (not is_held), {"loss": 1.0})
    return any(study.jobs[trial].config["x"] > 0.99 for _, trial in study.incumbents)


def opened(seed: int) -> Study:
    """An empty study."""
    study = Study()
    opening = {"seed": seed, "space": NORMAL.to_json(), "goals": [{"metric": "loss"}], "method": {"method": "Random"}}
    study.commit(Act("open", opening))
    return study


# --- races -----------------------------------------------------------------------------------------------------------


@figure("Race against fixed repeats at equal training cost, 20 noisy tasks: true regret", target="<= 1 x peer")
def races(quick: bool) -> Iterator[Row]:
    """Noise of half the spread of random configs; 150 evaluations; TPE is the source of both."""
    names = [name.removeprefix("noisy/") for name in groups()["public"]]
    names = names[:: max(1, len(names) // 20)][:20]
    seeds = range(1) if quick else range(5)
    names = names[:1] if quick else names
    found: dict[str, list[float]] = {}
    for label, method in (("Race", tw.Race(tw.TPE())), ("Repeat", tw.Repeat(tw.TPE(), times=3))):
        found[label] = [statistics.fmean(noisy_regret(method, name, seed) for seed in seeds) for name in names]
    against = tw.compare(found["Race"], found["Repeat"], looks=[len(names)]) if len(names) > 1 else None
    yield Row(statistics.fmean(found["Race"]), statistics.fmean(found["Repeat"]), "Race beside Repeat: true regret")
    if against is not None:
        yield Row(1 - against.probability, name="Race beside Repeat: p of no gain, paired over tasks", target="<= 0.05")


def noisy_regret(method: tw.Method, name: str, seed: int, budget: int = 150) -> float:
    """The true regret of the reported config after so many evaluations."""
    of = task(name)
    noise = 0.5 * spread(name)
    study = Study()
    opening = {"seed": seed, "space": of.space.to_json(), "goals": [{"metric": "loss"}], "limits": {}}
    study.commit(Act("open", opening | {"method": {"method": "Random"}}))
    while len(study.jobs) < budget and (job := decide(study, method)) is not None:
        loss = of.loss(job.config)
        begun = study.start(job)
        study.commit(begun)
        rng = np.random.default_rng([seed, begun.id])
        ended = Result(begun.id, "done", {"loss": loss + noise * rng.normal()}, step=1)
        study.commit(ended if np.isfinite(loss) else Result(begun.id, "failed"))
    best = study.best
    return float(min(of.regret(of.loss(best.config)), 2.0)) if best is not None else 2.0


@cache
def spread(name: str) -> float:
    """The standard deviation of the losses of the better 90 % of random configs."""
    of = task(name)
    losses = np.array([of.loss(of.problem.sample(np.random.default_rng(i))) for i in range(200)])
    losses = np.sort(losses[np.isfinite(losses)])
    return float(losses[: int(0.9 * len(losses))].std())


# --- folds -----------------------------------------------------------------------------------------------------------


@figure("early-stopped cross-validation on 10 real data sets", target="")
def early_stopped_folds(quick: bool) -> Iterator[Row]:
    """Configs a budget, and test errors in pooled standard deviations, against whole cross-validation."""
    from benchmarks.honest_folds import early_rows

    return early_rows(quick)


@figure("holdout with new validation rows for each config, and overtuning", target="")
def reshuffled_holdout(quick: bool) -> Iterator[Row]:
    """On the same data sets: whether it helps, and how often a study ends worse than it stood before."""
    from benchmarks.honest_folds import holdout_rows

    return holdout_rows(quick)


@figure("nested evaluation: bias of the best inner score and of the outer scores", target="")
def nested_evaluation(quick: bool) -> Iterator[Row]:
    """Against the rest of data sets of which the tuner has only a few rows."""
    from benchmarks.honest_folds import nested_rows

    return nested_rows(quick)


# --- instability -----------------------------------------------------------------------------------------------------


@figure("trainings that diverge, stopped within 50 steps", target=">= 100", unit="%")
def detected(quick: bool) -> Iterator[Row]:
    """The detector on networks, data and optimizers that its thresholds have not seen."""
    from benchmarks.honest_stability import detected_rows

    return detected_rows(quick)


@figure("healthy curves with warm restarts and spikes that recover, stopped", target="<= 1", unit="%")
def spared(quick: bool) -> Row:
    """Of the same networks, at rates up to the largest stable one."""
    from benchmarks.honest_stability import spared_row

    return spared_row(quick)


@figure("a third of the space runs out of memory: share of 100 trials wasted", target="<= 0.3 x peer", unit="%")
def wasted(quick: bool) -> Iterator[Row]:
    """Beside Optuna's TPE in the same run."""
    from benchmarks.honest_stability import wasted_rows

    return wasted_rows(quick)


@figure("Enough: budget saved and regret lost", target="")
def enough(quick: bool) -> Iterator[Row]:
    """See `benchmarks.honest_enough`."""
    yield from honest_enough.rows(quick)


@figure("importance: intervals that hold the truth", target="")
def importance(quick: bool) -> Iterator[Row]:
    """See `benchmarks.honest_importance`."""
    yield from honest_importance.rows(quick)
