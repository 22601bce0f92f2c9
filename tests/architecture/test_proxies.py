"""Scores of untrained networks, beside what is worked out by hand or by the formula of the paper."""

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: python3 dev.py test --torch")
pytestmark = pytest.mark.torch

from tunewell.architecture import jacobian_covariance, naswot, synflow  # noqa: E402

nn = torch.nn


def network(*, seed=0, units=16):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, units), nn.BatchNorm1d(units), nn.ReLU(), nn.Linear(units, 3))


def batch(count=6):
    return torch.randn(count, 5, generator=torch.Generator().manual_seed(1))


def test_synflow_of_a_chain_without_biases_is_its_flow_times_its_layers():
    """A product of L layers is homogeneous of degree L in its weights, so that w dR/dw sums to L R."""
    torch.manual_seed(0)
    chain = nn.Sequential(
        nn.Linear(4, 6, bias=False), nn.ReLU(), nn.Linear(6, 2, bias=False), nn.Linear(2, 3, bias=False)
    )
    flow = np.ones(4)
    for layer in (chain[0], chain[2], chain[3]):
        flow = np.abs(layer.weight.detach().numpy().astype(float)) @ flow
    assert synflow(chain, torch.zeros(1, 4)) == pytest.approx(3 * flow.sum())


def test_naswot_is_the_log_determinant_of_the_agreements_of_the_codes():
    module, x = network(), batch()
    codes = (nn.Sequential(*module[:2])(x) > 0).numpy()
    kernel = np.array([[float((a == b).sum()) for a in codes] for b in codes])
    assert naswot(module, x) == pytest.approx(np.linalg.slogdet(kernel)[1])


@pytest.mark.parametrize("rectifier", [torch.relu, torch.relu_, nn.functional.relu, nn.functional.gelu, nn.SiLU()])
def test_naswot_sees_rectifiers_that_are_no_modules(rectifier):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.layer = nn.Linear(5, 16)

        def forward(self, x):
            return rectifier(self.layer(x))

    module, x = Net(), batch()
    assert naswot(module, x) == naswot(nn.Sequential(module.layer, nn.ReLU()), x)


def test_naswot_of_what_cannot_tell_inputs_apart_is_minus_infinity():
    assert naswot(nn.Linear(5, 3), batch()) == -np.inf
    module = network()
    nn.init.zeros_(module[0].weight)
    assert naswot(module.eval(), batch()) == -np.inf


def test_jacobian_covariance_is_the_formula_on_the_correlations_of_the_slopes():
    module, x = nn.Sequential(network()[0], nn.Tanh(), nn.Linear(16, 3)), batch()
    rows = [torch.autograd.functional.jacobian(lambda one: module(one).sum(), one).numpy() for one in x]
    values = np.linalg.eigvalsh(np.corrcoef(np.array(rows, dtype=float))).clip(0)
    expected = -np.sum(np.log(values + 1e-5) + 1 / (values + 1e-5))
    assert jacobian_covariance(module, x) == pytest.approx(expected, rel=1e-3)


def test_a_network_whose_slopes_do_not_differ_has_less_of_it():
    x = batch()
    assert jacobian_covariance(nn.Linear(5, 3), x) < jacobian_covariance(network(units=64), x)


def test_the_module_and_its_statistics_stay_as_they_are():
    module = network().eval()
    before = copy.deepcopy(module.state_dict())
    scores = [
        (synflow(module, batch(1)), naswot(module, batch()), jacobian_covariance(module, batch())) for _ in range(2)
    ]
    assert scores[0] == scores[1]
    assert not module.training
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert all(part.grad is None for part in module.parameters())
