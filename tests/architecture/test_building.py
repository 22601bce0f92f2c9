"""Every config of a structure builds, and runs forward and backward."""

from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

import tunewell as tw  # noqa: E402
from tunewell.architecture import CellNetwork, Program, build, draw_blocks, draw_cell, draw_program  # noqa: E402
from tunewell.errors import SpaceError  # noqa: E402

nn = torch.nn
pytestmark = pytest.mark.torch
seeds = st.integers(0, 2**32 - 1)

OPERATIONS = {"skip": nn.Identity, "linear": lambda: nn.Linear(4, 4), "relu": nn.ReLU}


class Residual(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return x + self.inner(x)


PROGRAMS = {**OPERATIONS, "seq": nn.Sequential, "residual": Residual}
SPACE = tw.Space(
    {
        "cell": tw.Cell(4, ["none", *OPERATIONS]),
        "nodes": tw.Cell(4, on_nodes=["linear", "relu"]),
        "net": tw.Grammar({"block": ["linear", "relu", "seq(block, block)", "residual(block)"]}, "block", 4),
    }
)


def forward_and_backward(module):
    x = torch.ones(2, 4, requires_grad=True)
    found = module(x)
    assert found.shape == x.shape
    found.sum().backward()
    assert torch.isfinite(x.grad).all()


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_samples_and_children_build_and_run_forward_and_backward(seed):
    rng = np.random.default_rng(seed)
    first, second = SPACE.sample(rng), SPACE.sample(rng)
    for config in (first, SPACE.mutate(first, rng), SPACE.cross(first, second, rng)):
        for name in ("cell", "nodes"):
            graph = SPACE.entries[name].graph(name, config)
            forward_and_backward(CellNetwork(graph, 4, OPERATIONS))
            assert draw_cell(graph, 4).startswith("<svg")
        forward_and_backward(build(tw.unflatten(config)["net"], PROGRAMS))
        assert draw_program(tw.unflatten(config)["net"]).startswith("<svg")


def test_a_node_is_the_sum_of_what_enters_it():
    network = CellNetwork(
        {(0, 1): "double", (1, 2): "double", (0, 2): "skip"}, 3, {"double": Double, "skip": nn.Identity}
    )
    assert network(torch.tensor([1.0])).item() == 5.0


def test_the_operation_of_a_node_takes_the_sum():
    graph = {(0, 1): "skip", (0, 2): "skip", (1, 2): "double", (2, 2): "double", (2, 3): "skip"}
    network = CellNetwork(graph, 4, {"double": Double, "skip": nn.Identity})
    assert "0-1 skip, 0-2 skip, 1-2 double, 2 double, 2-3 skip" in repr(network)
    assert network(torch.tensor([1.0])).item() == 2 * (1 + 2)


class Double(nn.Module):
    def forward(self, x):
        return 2 * x


def test_a_cell_without_a_way_through_answers_zeros():
    assert CellNetwork({}, 3, {})(torch.ones(2)).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("name", ["cell", "nodes"])
def test_isomorphic_cells_have_as_many_parameters(name):
    cell = SPACE.entries[name]
    rng = np.random.default_rng(0)
    for _ in range(20):
        config = SPACE.sample(rng)
        graphs = [cell.graph(name, config), cell.graph(name, cell.alike(name, config))]
        sizes = [sum(p.numel() for p in CellNetwork(graph, 4, OPERATIONS).parameters()) for graph in graphs]
        assert sizes[0] == sizes[1]


def test_says_what_is_wrong():
    with pytest.raises(SpaceError, match="no function that makes 'conv'"):
        build("seq(conv)", PROGRAMS)
    with pytest.raises(SpaceError, match="made int"):
        build("x", {"x": lambda: 3})
    for text in ("", "seq(", "seq(a,)", "a b", "seq(a) b", "a))", "(" * 3, "f(" * 500 + "x" + ")" * 500):
        with pytest.raises(SpaceError, match=r"no program|goes on|not closed"):
            Program.read(text)


def test_a_program_is_what_its_text_says():
    text = "seq(linear, residual(seq(relu, linear)))"
    program = Program.read(text)
    assert str(program) == text
    assert (program.depth, program.size) == (4, 6)
    assert [each.name for each in program.walk()] == ["seq", "linear", "residual", "seq", "relu", "linear"]
    assert program.shown().splitlines() == ["seq", "  linear", "  residual", "    seq", "      relu", "      linear"]


def test_blocks_are_drawn_one_after_the_other_with_what_they_are():
    space = tw.Space({"layers": tw.Blocks({"units": tw.Int(1, 9), "kind": ["relu", "gelu"]}, 1, 3, tied=["kind"])})
    rng = np.random.default_rng(0)
    for _ in range(20):
        blocks = tw.unflatten(space.sample(rng))["layers"]
        drawing = ElementTree.fromstring(draw_blocks(blocks))
        words = [each.text for each in drawing.iter("{http://www.w3.org/2000/svg}text")]
        assert words == [line for each in blocks for line in (f"kind {each['kind']}", f"units {each['units']}")]
    assert ">linear</text>" in draw_blocks(["linear", "relu"])
    assert draw_blocks([]).startswith("<svg")


def test_names_in_a_drawing_are_escaped():
    assert "<script>" not in draw_cell({(0, 1): "<script>"}, 2) + draw_program("<script>") + draw_blocks(["<script>"])
