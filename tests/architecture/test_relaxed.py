"""The differentiable relaxation: it is the mixture it says, it learns, a config comes out, and collapse is noticed."""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: python3 dev.py test --torch")
pytestmark = pytest.mark.torch

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

import tunewell as tw  # noqa: E402
from tunewell.architecture import CellNetwork, Relaxed, alternate, curvature, is_steepening  # noqa: E402
from tunewell.errors import SpaceError  # noqa: E402

nn = torch.nn
CELL = tw.Cell(3, ["none", "skip", "linear", "tanh"])
ON_NODES = tw.Cell(4, on_nodes=["skip", "linear", "tanh"])
OPERATIONS = {"skip": nn.Identity, "linear": lambda: nn.Linear(4, 4), "tanh": nn.Tanh}


def made(cell=CELL, seed=0):
    torch.manual_seed(seed)
    relaxed = Relaxed(cell)
    return relaxed, relaxed.module(OPERATIONS)


def choose(relaxed, **strongest):
    """Give nearly all weight to one operation at each place: all, or by place such as _0_1."""
    for name, weights in relaxed.weights.items():
        source, target = map(int, name.split("-"))
        options = relaxed.cell.options((source, target))
        wanted = strongest.get(f"_{source}_{target}", strongest.get("all"))
        with torch.no_grad():
            weights.copy_(torch.tensor([30.0 * (option == wanted) for option in options]))


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([CELL, ON_NODES]), st.integers(0, 1000), st.sampled_from([None, 1, 2]))
def test_runs_forward_and_backward_and_what_is_derived_is_a_config_of_the_cell(cell, seed, entering):
    relaxed, module = made(cell, seed)
    found = module(torch.ones(2, 4))
    assert found.shape == (2, 4)
    found.square().sum().backward()
    assert all(torch.isfinite(weights.grad).all() for weights in relaxed.parameters())
    config = relaxed.config("cell", entering)
    assert tw.Space({"cell": cell}).validate(config) == config
    if entering is not None:
        edges = [edge for edge in cell.edges if edge[0] < edge[1] and config[f"cell.{edge[0]}-{edge[1]}"] != "none"]
        assert all(sum(to == target for _, to in edges) == min(target, entering) for target in range(1, cell.nodes))


@pytest.mark.parametrize("cell", [CELL, ON_NODES], ids=["on edges", "on nodes"])
def test_with_all_weight_on_one_operation_it_is_the_cell_of_the_config(cell):
    relaxed, module = made(cell)
    choose(relaxed, all="skip", _1_1="linear", _0_2="linear" if cell is CELL else "skip")
    graph = cell.graph("cell", relaxed.config("cell"))
    alone = CellNetwork(graph, cell.nodes, OPERATIONS)
    for edge, operation in zip(alone.edges, alone.made, strict=True):
        operation.load_state_dict(module.mixed[f"{edge[0]}-{edge[1]}"][graph[edge]].state_dict())
    x = torch.randn(3, 4)
    assert torch.allclose(module(x), alone(x), atol=1e-5)


def test_the_weights_of_the_architecture_are_no_parameters_of_the_network_and_are_shared():
    relaxed, module = made()
    other = relaxed.module(OPERATIONS)
    assert {id(one) for one in relaxed.parameters()}.isdisjoint(map(id, nn.Sequential(module, other).parameters()))
    (module(torch.ones(1, 4)) + other(torch.ones(1, 4))).sum().backward()
    assert all(weights.grad.abs().sum() > 0 for weights in relaxed.parameters())


def learned(target, steps=300):
    """A search whose held-out loss is the distance to a function; the operations have nothing to learn."""
    torch.manual_seed(0)
    cell = tw.Cell(2, ["none", "skip", "tanh", "square"])
    relaxed = Relaxed(cell)
    module = relaxed.module({"skip": nn.Identity, "tanh": nn.Tanh, "square": Square})
    network = nn.Sequential(module, nn.Linear(4, 4))
    rows = torch.Generator().manual_seed(1)

    def loss():
        x = torch.randn(32, 4, generator=rows)
        return (network(x) - target(x)).square().mean()

    optimizers = torch.optim.Adam(network.parameters(), 1e-2), torch.optim.Adam(relaxed.parameters(), 3e-2)
    losses = [alternate(optimizers[0], loss, optimizers[1], loss) for _ in range(steps)]
    return relaxed, losses


class Square(nn.Module):
    def forward(self, x):
        return x * x


@pytest.mark.parametrize(("name", "target"), [("square", torch.square), ("skip", lambda x: 2 * x)])
def test_learns_which_operation_it_takes(name, target):
    relaxed, losses = learned(target)
    assert relaxed.config("cell") == {"cell.0-1": name}
    assert losses[-1][0] < 0.2 * losses[0][0]
    assert losses[-1][1] < 0.2 * losses[0][1]


def test_a_healthy_cell_is_no_collapse():
    relaxed, _ = made()
    choose(relaxed, all="linear")
    assert relaxed.collapse() is None
    choose(relaxed, all="linear", _0_2="skip")
    assert relaxed.collapse() is None


def test_a_cell_of_skip_connections_is_a_collapse_with_a_sentence_and_advice():
    relaxed, _ = made()
    choose(relaxed, all="skip")
    said = relaxed.collapse()
    assert said.startswith("The relaxation collapsed: 3 of 3 places became 'skip'.")
    assert "Stop earlier" in said
    assert "shared weights" in said


@pytest.mark.parametrize(("skips", "collapsed"), [(3, False), (4, True), (6, True)])
def test_as_many_skip_connections_as_chance_hardly_leaves_are_a_collapse(skips, collapsed):
    """Of six edges with four operations, chance leaves four or more skip connections in 3.8 % of the cells."""
    relaxed = Relaxed(tw.Cell(4, ["none", "skip", "conv1", "conv3", "pool"]))
    edges = [f"_{source}_{target}" for source, target in relaxed.cell.edges]
    choose(relaxed, all="conv3", **dict.fromkeys(edges[:skips], "skip"))
    assert bool(relaxed.collapse()) == collapsed


def test_a_cell_that_nothing_comes_through_is_a_collapse():
    relaxed, _ = made()
    choose(relaxed, all="none")
    assert "nothing comes through" in relaxed.collapse()
    assert "entering=2" in relaxed.collapse()


def test_edges_that_could_be_nothing_else_do_not_count_as_skip_connections():
    relaxed, _ = made(ON_NODES)
    choose(relaxed, all="skip", _1_1="linear", _2_2="tanh")
    assert relaxed.collapse() is None
    choose(relaxed, all="skip")
    assert relaxed.collapse().startswith("The relaxation collapsed: 2 of 2 places")


@pytest.mark.parametrize("seed", [0, 1])
def test_a_search_on_too_few_rows_collapses_and_one_on_many_does_not(seed):
    """What memorizes its rows is worse on others than what lets all through."""
    assert "3 of 3 places became 'skip'" in searched(8, 2.0, seed).collapse()
    assert searched(400, 0.1, seed).collapse() is None


def searched(rows, noise, seed, steps=250):
    """A search for what has to be wide: the target is a product of two inputs."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(2)
    cell = tw.Cell(3, ["skip", "wide"])
    relaxed = Relaxed(cell)
    wide = {"skip": nn.Identity, "wide": lambda: nn.Sequential(nn.Linear(6, 48), nn.Tanh(), nn.Linear(48, 6))}
    network = nn.Sequential(relaxed.module(wide), nn.Linear(6, 1))
    x = torch.randn(rows + 400, 6, generator=generator)
    y = (x[:, :1] * x[:, 1:2] * 3) + noise * torch.randn(len(x), 1, generator=generator)
    both = torch.optim.Adam(network.parameters(), 1e-2), torch.optim.Adam(relaxed.parameters(), 2e-2)
    for _ in range(steps):
        alternate(
            both[0],
            lambda: (network(x[:rows]) - y[:rows]).square().mean(),
            both[1],
            lambda: (network(x[rows:]) - y[rows:]).square().mean(),
        )
    return relaxed


def test_curvature_is_the_dominant_eigenvalue_of_the_second_derivative():
    relaxed, module = made()
    x = torch.randn(16, 4)
    weights = list(relaxed.parameters())
    first = torch.autograd.grad(module(x).square().mean(), weights, create_graph=True)
    flat = torch.cat([each.flatten() for each in first])
    rows = [torch.cat([r.flatten() for r in torch.autograd.grad(one, weights, retain_graph=True)]) for one in flat]
    values = torch.linalg.eigvalsh(torch.stack(rows))
    expected = values[values.abs().argmax()].item()
    assert curvature(module(x).square().mean(), relaxed, steps=60) == pytest.approx(expected, rel=1e-2)


def test_a_curvature_that_rises_says_stop():
    assert not is_steepening([0.1] * 9)
    assert not is_steepening([0.1] * 20)
    assert is_steepening([0.1] * 5 + [0.2] * 5)
    assert not is_steepening([0.2] * 5 + [0.1] * 5)


def test_says_what_is_wrong():
    with pytest.raises(SpaceError, match="'identity' is no operation"):
        Relaxed(CELL, skip="identity")
    with pytest.raises(SpaceError, match="edges cannot go"):
        Relaxed(tw.Cell(3, ["skip", "linear"])).config("cell", entering=1)
    with pytest.raises(SpaceError, match="no function that makes"):
        made()[0].module({"skip": nn.Identity})
