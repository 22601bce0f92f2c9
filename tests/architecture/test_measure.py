"""Costs of a module, beside what is counted by hand."""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: python3 dev.py test --torch")
pytestmark = pytest.mark.torch

from tunewell.architecture import latency, memory, operations, parameters  # noqa: E402


def network():
    return torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.ReLU(), torch.nn.Linear(7, 3, bias=False))


def test_parameters_are_counted():
    assert parameters(network()) == 5 * 7 + 7 + 7 * 3


def test_a_shared_weight_counts_once_and_a_frozen_one_not_at_all():
    module = network()
    module.append(torch.nn.Linear(3, 7))
    module[3].weight = torch.nn.Parameter(torch.zeros(7, 3))
    before = parameters(module)
    module.append(module[2])
    assert parameters(module) == before
    module[0].weight.requires_grad_(False)
    assert parameters(module) == before - 35


def test_operations_are_two_a_multiplication():
    assert operations(network(), torch.zeros(4, 5)) == 2 * 4 * (5 * 7 + 7 * 3)


def test_memory_holds_weights_and_buffers():
    module = torch.nn.BatchNorm1d(6)
    assert memory(module) == 4 * 6 * 4 + 8
    assert memory(torch.nn.Sequential(module, module)) == 4 * 6 * 4 + 8


def test_latency_runs_as_often_as_it_says():
    passes = []
    module = network()
    module.register_forward_hook(lambda *_: passes.append(1))
    found = latency(module, torch.zeros(4, 5), repeats=5, warm=2)
    assert len(passes) == 7
    assert found.repeats == 5
    assert found.seconds > 0
    assert found.spread >= 0
