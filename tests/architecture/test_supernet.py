"""Weight sharing: a sub-network is a slice of the largest network, alone or within it."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: python3 dev.py test --torch")
pytestmark = pytest.mark.torch

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from tunewell.architecture import GPT, Sandwich, Supernet, Uniform, slope  # noqa: E402
from tunewell.errors import SpaceError  # noqa: E402

LARGEST = {"width": 24, "blocks": [{"heads": 3, "units": 40}, {"heads": 2, "units": 48}]}
SMALLEST = {"width": 8, "blocks": [{"heads": 1, "units": 8}]}
MIDDLE = {"width": 16, "blocks": [{"heads": 2, "units": 16}]}
CONFIGS = st.fixed_dictionaries(
    {
        "width": st.sampled_from([8, 16, 24]),
        "blocks": st.lists(
            st.fixed_dictionaries({"heads": st.integers(1, 2), "units": st.integers(1, 40)}), min_size=1, max_size=2
        ),
    }
)


def build(config):
    return GPT(config, tokens=11, length=6, head=4)


def supernet():
    torch.manual_seed(0)
    return Supernet(build, LARGEST)


def text(seed=0):
    return torch.randint(11, (3, 6), generator=torch.Generator().manual_seed(seed))


def mean(logits):
    return logits.square().mean()


@settings(max_examples=30, deadline=None)
@given(CONFIGS)
def test_a_sub_network_alone_says_what_it_says_within(config):
    shared = supernet()
    alone = shared.extract(config)
    assert torch.allclose(alone(text()), shared(config, text()), atol=1e-6)
    assert {name: part.shape for name, part in build(config).named_parameters()} == {
        name: part.shape for name, part in shared.weights(config).items()
    }


@settings(max_examples=30, deadline=None)
@given(CONFIGS)
def test_every_sub_network_runs_backward_into_its_own_corner(config):
    shared = supernet()
    mean(shared(config, text())).backward()
    for name, weight in shared.whole.named_parameters():
        corner = shared.weights(config).get(name)
        if corner is None:
            assert weight.grad is None
            continue
        inside = weight.grad[tuple(slice(size) for size in corner.shape)]
        assert weight.grad.abs().sum() == pytest.approx(float(inside.abs().sum()))


def test_the_largest_is_the_whole():
    shared = supernet()
    assert torch.equal(shared(LARGEST, text()), shared.whole(text()))


def test_an_extracted_network_has_weights_of_its_own():
    shared = supernet()
    before = [part.clone() for part in shared.whole.parameters()]
    alone = shared.extract(MIDDLE)
    with torch.no_grad():
        for part in alone.parameters():
            part.add_(1.0)
    assert all(torch.equal(old, new) for old, new in zip(before, shared.whole.parameters()))
    assert all(part.requires_grad and part.is_leaf for part in alone.parameters())


def test_a_prediction_does_not_see_what_comes_later():
    shared, other = supernet(), text()
    other[:, 4:] = (other[:, 4:] + 1) % 11
    assert torch.allclose(shared(MIDDLE, text())[:, :4], shared(MIDDLE, other)[:, :4], atol=1e-6)


@pytest.mark.parametrize(
    "config",
    [
        {"width": 32, "blocks": [{"heads": 1, "units": 8}]},
        {"width": 8, "blocks": [{"heads": 4, "units": 8}]},
        {"width": 8, "blocks": [{"heads": 1, "units": 8}] * 3},
    ],
)
def test_what_is_larger_than_the_largest_is_refused(config):
    with pytest.raises(SpaceError, match="largest network has"):
        supernet()(config, text())
    with pytest.raises(SpaceError, match="largest network has"):
        supernet().extract(config)


def test_the_mode_of_the_supernet_is_that_of_its_sub_networks():
    def dropped(config):
        return torch.nn.Sequential(torch.nn.Linear(4, config["out"]), torch.nn.Dropout(0.5))

    shared = Supernet(dropped, {"out": 64})
    x = torch.ones(1, 4)
    assert (shared({"out": 32}, x) == 0).any()
    shared.eval()
    assert torch.equal(shared({"out": 32}, x), shared({"out": 64}, x)[:, :32])


def test_the_sandwich_holds_both_ends():
    rule = Sandwich(lambda rng: MIDDLE, LARGEST, SMALLEST, count=3)
    assert rule(np.random.default_rng(0)) == [LARGEST, SMALLEST, MIDDLE, MIDDLE, MIDDLE]


def test_uniform_draws_as_many_as_it_is_told():
    drawn = Uniform(lambda rng: {"n": int(rng.integers(1000))}, count=4)
    configs = drawn(np.random.default_rng(0))
    assert len(configs) == 4
    assert configs == drawn(np.random.default_rng(0))
    assert len({config["n"] for config in configs}) > 1


def test_slope_is_that_of_the_mean_loss():
    shared, configs = supernet(), [LARGEST, SMALLEST, MIDDLE]
    told = slope(configs, lambda config: mean(shared(config, text())))
    found = [part.grad.clone() for part in shared.whole.parameters()]
    shared.zero_grad()
    whole = sum(mean(shared(config, text())) for config in configs) / 3
    whole.backward()
    assert told == pytest.approx(whole.item(), rel=1e-5)
    assert all(torch.allclose(one, part.grad, atol=1e-6) for one, part in zip(found, shared.whole.parameters()))
