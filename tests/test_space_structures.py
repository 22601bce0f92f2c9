"""Blocks, cells and grammars: what a config of them is, that it is valid by construction, and what is the same."""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tunewell as tw
from tests.spaces import seeds
from tunewell.contract.methods import Player, new_study
from tunewell.errors import SpaceError
from tunewell.space import Blocks, Cell, Choice, Float, Grammar, Int, Space, Switch, counting, unflatten
from tunewell.space.cell import distance

OPERATIONS = ["none", "skip", "conv"]
RULES = {"block": ["conv", "pool", "seq(block, block)", "residual(block)"]}


def depth(program: str) -> int:
    """How many productions lie within each other in a program of RULES."""
    deepest = here = 0
    for letter in program:
        here += (letter == "(") - (letter == ")")
        deepest = max(deepest, here)
    return deepest + 1


@st.composite
def structures(draw: st.DrawFn) -> Space:
    """A space with blocks in blocks, a cell in a block, and a grammar."""
    low = draw(st.integers(0, 2))
    inner = Blocks(Choice(["a", "b"]), 0, draw(st.integers(0, 2)))
    on_nodes = draw(st.sampled_from([(), ("relu", "pool")]))
    cell = Cell(draw(st.integers(2, 4)), OPERATIONS, on_nodes=on_nodes)
    block = {"units": Int(4, 64, log=True), "inner": inner, "cell": cell}
    tied = draw(st.lists(st.sampled_from(sorted(block)), unique=True))
    return Space(
        {
            "rate": Float(1e-3, 1, log=True),
            "blocks": Blocks(block, low, low + draw(st.integers(0, 2)), tied=tied),
            "net": Grammar(RULES, "block", draw(st.integers(1, 4))),
        }
    )


class TestAnySpaceOfStructures:
    @settings(max_examples=40, deadline=None)
    @given(structures(), seeds)
    def test_samples_and_children_are_valid_and_come_back_from_the_cube(self, space, seed):
        rng = np.random.default_rng(seed)
        first, second = space.sample(rng), space.sample(rng)
        for config in (first, space.mutate(first, rng), space.perturb(first, rng), space.cross(first, second, rng)):
            assert space.validate(config) == config
            assert space.decode(space.encode(config)) == config

    @settings(max_examples=20, deadline=None)
    @given(structures(), seeds)
    def test_survives_json_and_narrowing(self, space, seed):
        rng = np.random.default_rng(seed)
        assert Space.from_json(space.to_json()) == space
        config = space.sample(rng)
        path = space.paths[int(rng.integers(len(space.paths)))]
        entry = space.leaves[path]
        ends = [entry.low, entry.high] if isinstance(entry, Float | Int) else list(entry.listed)
        assert space.narrow({path: ends}).validate(config) == config

    def test_a_config_survives_the_store(self, tmp_path):
        space = Space({"blocks": Blocks({"cell": Cell(3, OPERATIONS)}, 1, 2), "net": Grammar(RULES, "block", 3)})
        found = []

        def objective(run):
            found.append(dict(run.config))
            return float(len(run.config))

        store = f"sqlite:///{tmp_path / 'study.db'}"
        tw.tune(objective, space, minimize="loss", trials=5, store=store, progress=False)
        with tw.open_study(store=store) as study:
            assert [trial.config for trial in study.trials] == found
            assert study.space == space


class TestBlocks:
    space = Space({"blocks": Blocks({"units": Int(4, 64), "kind": ["relu", "tanh"]}, 1, 3, tied=["kind"])})

    def test_has_an_entry_for_each_block_and_one_for_what_is_tied(self):
        config = {"blocks": 2, "blocks.*.kind": "relu", "blocks.0.units": 8, "blocks.1.units": 4}
        assert self.space.validate(config) == config
        blocks = [{"kind": "relu", "units": 8}, {"kind": "relu", "units": 4}]
        assert unflatten(config) == {"blocks": blocks}

    def test_all_numbers_are_equally_likely(self):
        rng = np.random.default_rng(0)
        counts = Counter(self.space.sample(rng)["blocks"] for _ in range(3000))
        assert set(counts) == {1, 2, 3}
        assert min(counts.values()) > 900

    def test_another_number_of_blocks_leaves_the_others_as_they_are(self):
        config = {"blocks": 1, "blocks.*.kind": "relu", "blocks.0.units": 8}
        rng = np.random.default_rng(1)
        children = [self.space.mutate(config, rng, others=0) for _ in range(60)]
        longer = [child for child in children if child["blocks"] > 1]
        assert longer
        assert all(child["blocks.0.units"] == 8 and child["blocks.*.kind"] == "relu" for child in longer)

    def test_a_child_of_parents_of_different_length_mixes_what_both_have(self):
        short = {"blocks": 1, "blocks.*.kind": "relu", "blocks.0.units": 4}
        long = {"blocks": 2, "blocks.*.kind": "tanh", "blocks.0.units": 64, "blocks.1.units": 64}
        rng = np.random.default_rng(0)
        children = [self.space.cross(short, long, rng) for _ in range(80)]
        assert {(child["blocks"], child["blocks.0.units"]) for child in children} == {(1, 4), (1, 64), (2, 4), (2, 64)}

    def test_size_counts_each_length(self):
        assert self.space.size == 2 * (61 + 61**2 + 61**3)

    def test_narrows_to_fewer_blocks_of_narrower_entries(self):
        part = self.space.narrow({"blocks": (2, 3), "blocks/blocks.0.units": (4, 8)})
        rng = np.random.default_rng(0)
        configs = [part.sample(rng) for _ in range(50)]
        assert all(config["blocks"] >= 2 and config["blocks.0.units"] <= 8 for config in configs)
        assert all(self.space.contains(config) for config in configs)
        assert Space.from_json(part.to_json()) == part

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            (lambda: Blocks(["a"], 2, 1), "from 2 to 1"),
            (lambda: Blocks(["a"], -1, 1), "from -1"),
            (lambda: Blocks({"units": Int(1, 2)}, 1, 2, tied=["unit"]), "'unit' is tied"),
            (lambda: Blocks({"units": Int(1, 2)}, 1, 2, default=3), "outside"),
        ],
    )
    def test_says_what_is_wrong(self, wrong, said):
        with pytest.raises(SpaceError, match=re.escape(said)):
            wrong()


class TestCell:
    cell = Cell(4, ["none", "skip", "conv1", "conv3", "pool"])
    space = Space({"cell": cell})

    def test_has_an_operation_on_each_edge(self):
        assert self.space.size == 5**6  # NAS-Bench-201: 15,625
        assert list(self.space.default())[:3] == ["cell.0-1", "cell.0-2", "cell.1-2"]

    @given(seeds)
    def test_a_cell_with_its_inner_nodes_exchanged_is_the_same(self, seed):
        rng = np.random.default_rng(seed)
        space = Space({"cell": Cell(5, OPERATIONS)})
        config = space.sample(rng)
        cell = space.entries["cell"]
        graph = cell.graph("cell", config)
        for order in permutations((1, 2, 3)):
            places = {0: 0, 4: 4, **dict(zip((1, 2, 3), order, strict=True))}
            moved = {(places[a], places[b]): operation for (a, b), operation in graph.items()}
            if all(a < b for a, b in moved):
                other = {f"cell.{a}-{b}": moved.get((a, b), "none") for a, b in cell.edges}
                assert space.key(other) == space.key(config)

    @given(seeds)
    def test_a_cell_that_is_the_same_computes_the_same(self, seed):
        rng = np.random.default_rng(seed)
        config = self.space.sample(rng)
        alike = dict(self.cell.alike("cell", config))
        assert self.space.validate(alike) == alike
        assert self.cell.paths("cell", alike) == self.cell.paths("cell", config)
        assert self.cell.subtrees("cell", alike) == self.cell.subtrees("cell", config)

    def test_an_edge_that_nothing_comes_through_does_not_count(self):
        dead = dict.fromkeys(self.space.default(), "none") | {"cell.0-3": "conv3", "cell.1-3": "pool"}
        assert self.space.key(dead) == self.space.key({**dead, "cell.1-3": "none"})
        assert self.space.key(dead) != self.space.key({**dead, "cell.0-3": "conv1"})

    def test_no_method_asks_for_the_same_cell_twice(self):
        space = Space({"cell": Cell(4, OPERATIONS)})
        keys = {space.key(config) for config in space.grid()}
        for method in (tw.Evolution(population=10), tw.Bayes(share=0), tw.Unique(tw.Random())):
            study = new_study(space, trials=60)
            Player(method, lambda config, step: float(sum(value == "conv" for value in config.values()))).play(study)
            asked = [space.key(job.config) for job in study.jobs.values()]
            assert len(set(asked)) == len(asked) <= len(keys)

    def test_isomorphic_cells_are_one_in_a_narrowed_space_too(self):
        space = Space({"cell": Cell(4, ["none", "skip", "conv", "pool"]), "lr": Float(0, 1)})
        part = space.narrow({"lr": (0.0, 0.5), "cell.0-3": ["none", "pool"]}).narrow({"cell.0-3": ["none"]})
        rng = np.random.default_rng(0)
        found = [part.sample(rng) for _ in range(300)]
        assert [part.key(config) for config in found] == [space.key(config) for config in found]
        cells = {part.key({**config, "lr": 0.25}) for config in found}
        assert len(cells) < len({tuple(config[name] for name in config if name != "lr") for config in found})

    def test_a_larger_cell_is_not_taken_for_one_of_the_same_name_in_another_branch(self):
        sizes = {"large": {"cell": Cell(4, OPERATIONS)}, "small": {"cell": Cell(3, OPERATIONS)}}
        space = Space({"size": Choice(sizes)})
        chain = {"size": "large", **dict.fromkeys((f"cell.{a}-{b}" for a, b in Cell(4).edges), "none")}
        chain |= {"cell.0-1": "conv", "cell.1-3": "conv"}
        assert space.key(chain) != space.key({**chain, "cell.0-1": "skip"})
        assert space.key(chain) == space.key({**chain, "cell.1-2": "skip"})
        moved = {**chain, "cell.0-1": "none", "cell.1-3": "none", "cell.0-2": "conv", "cell.2-3": "conv"}
        assert space.key(chain) == space.key(moved)
        small = {"size": "small", "cell.0-1": "conv", "cell.0-2": "skip", "cell.1-2": "none"}
        assert space.key(small) == space.key({**small, "cell.0-1": "none"})

    def test_counts_how_many_are_different(self):
        """Of NAS-Bench-201, 9,445 are left without edges that nothing comes through; of these, 680 are isomorphic to
        another. The 6,466 of its authors are fewer, since they take a skip connection for no operation at all.
        """
        pruned = {tuple(sorted(self.cell.graph("cell", config).items())) for config in self.space.grid()}
        assert len(pruned) == 9445
        unfolded = {_unfolded(self.cell.graph("cell", config), 3) for config in self.space.grid()}
        assert self.space.different == self.cell.different == len(unfolded) == 8765

    @pytest.mark.parametrize(
        "cell",
        [
            Cell(2, ["none", "a"]),
            Cell(3, ["none", "a", "b"]),
            Cell(3, ["a", "b"]),
            Cell(3, ["a", "b"], on_nodes=["c", "d"]),
            Cell(4, ["none", "a", "b"]),
            Cell(4, ["zero", "a"], none="zero", on_nodes=["c", "d"]),
            Cell(5, ["none", "a"]),
        ],
        ids=repr,
    )
    def test_as_many_are_different_as_have_a_key_of_their_own(self, cell):
        space = Space({"cell": cell})
        assert space.different == len({space.key(config) for config in space.grid()})

    def test_counts_different_configs_of_several_entries(self):
        branches = Choice({"cells": {"pair": Blocks(Cell(3, OPERATIONS), 1, 2)}, "none": {"units": Int(1, 7)}})
        one = Cell(3, OPERATIONS).different
        assert Space({"net": branches}).different == one + one**2 + 7
        assert Space({"net": branches, "lr": Float(0, 1)}).different == math.inf
        assert Space({"cell": Cell(8, OPERATIONS)}).different is None
        assert Space({"units": Int(1, 7)}).different == 7

    def test_counts_different_cells_of_a_narrowed_space(self):
        part = self.space.narrow({"cell.0-1": ["none", "conv1"], "cell.0-3": ["pool"]})
        assert part.different == len({part.key(config) for config in part.grid()}) < part.size
        assert Space({"cell": Cell(6, OPERATIONS)}).narrow({"cell.0-1": ["none"]}).different is None

    def test_paths_and_adjacency_are_those_of_the_graph(self):
        config = dict.fromkeys(self.space.default(), "none") | {
            "cell.0-1": "conv1",
            "cell.1-3": "pool",
            "cell.0-3": "skip",
        }
        assert self.cell.paths("cell", config) == {("conv1", "pool"), ("skip",)}
        matrix = self.cell.adjacency("cell", config)
        assert matrix.shape == (6, 5)
        assert matrix.sum() == 3

    def test_distance_is_zero_for_the_same_graph_and_at_most_one(self):
        rng = np.random.default_rng(0)
        counts = [self.cell.subtrees("cell", self.space.sample(rng)) for _ in range(20)]
        assert all(distance(each, each) == pytest.approx(0, abs=1e-6) for each in counts)
        assert all(0 <= distance(a, b) <= 1 and distance(a, b) == distance(b, a) for a in counts for b in counts)
        assert distance({}, counts[0]) == 1

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            (lambda: Cell(1, ["a"]), "1 nodes"),
            (lambda: Cell(20, ["a"]), "20 nodes"),
            (lambda: Cell(3, "conv"), "a list of names"),
            (lambda: Cell(3, ["a", "a"]), "twice"),
            (lambda: Cell(3, ["a"], none="zero"), "none='zero'"),
            (lambda: Cell(3, on_nodes="conv"), "a list of names"),
            (lambda: Cell(3, on_nodes=["a", "a"]), "twice"),
            (lambda: Cell(3, on_nodes=["conv", "none"]), "'none' on a node"),
            (lambda: Cell(3, ["none", "a"], default={"0-3": "a"}), "there is no '0-3'"),
            (lambda: Cell(3, ["none", "a"], default={"0-1": "b"}), "the default of '0-1' is 'b'"),
            (lambda: Cell(3, ["a", "b"], default={"0-1": "b"}), "says nothing of '0-2'"),
        ],
    )
    def test_says_what_is_wrong(self, wrong, said):
        with pytest.raises(SpaceError, match=re.escape(said)):
            wrong()

    def test_begins_with_the_default_that_was_given_and_nothing_where_that_says_nothing(self):
        drawn = {"0-1": "conv1", "1-3": "conv1", "0-3": "skip"}
        cell = Cell(4, self.cell.operations, default=drawn)
        space = Space({"cell": cell})
        assert cell.graph("cell", space.default()) == {(0, 1): "conv1", (1, 3): "conv1", (0, 3): "skip"}
        assert Space.from_json(space.to_json()) == space
        assert space != self.space
        study = new_study(space, trials=3)
        Player(tw.Evolution(), lambda config, step: 0.0).play(study)
        assert study.jobs[0].config == space.default()


def _unfolded(graph, node):
    """What a node computes, as a text: nodes that compute the same are written alike."""
    entering = (f"{graph[edge]}({_unfolded(graph, edge[0])})" for edge in graph if edge[1] == node)
    return "+".join(sorted(entering))


class TestCellWithOperationsOnNodes:
    cell = Cell(5, on_nodes=["conv1", "conv3", "pool"])
    space = Space({"cell": cell})

    def test_has_an_operation_on_each_node_between_the_ends_and_edges_that_are_there_or_not(self):
        assert self.space.size == 2**10 * 3**3
        config = self.space.default()
        assert list(config)[:6] == ["cell.0-1", "cell.1", "cell.0-2", "cell.1-2", "cell.2", "cell.0-3"]
        assert unflatten(config)["cell"]["1"] == "conv1"

    @pytest.mark.parametrize(("nodes", "different"), [(2, 1), (3, 7), (4, 91), (5, 2532)])
    def test_as_many_are_different_as_in_the_published_table(self, nodes, different):
        """NAS-Bench-101 has 1, 6, 84, 2,441 cells that need 2, 3, 4, 5 nodes and at most nine edges."""
        cell = Cell(nodes, on_nodes=self.cell.on_nodes)
        space = Space({"cell": cell})
        edges = {space.key(config): cell.graph("cell", config) for config in space.grid()}
        counts = [sum(source < target for source, target in graph) for graph in edges.values()]
        assert sum(0 < count <= 9 for count in counts) == different
        assert space.different == len(counts)

    def test_the_whole_published_table_is_counted(self, monkeypatch):
        """NAS-Bench-101: 423,624 cells with seven nodes and nine edges at most, 64,542 with six."""
        connected = counting._connected

        def short(places, inner):
            found = connected(places, inner)
            return found[sum((found >> bit) & 1 for bit in range(len(places))) <= 9]

        monkeypatch.setattr(counting, "_connected", short)
        monkeypatch.setattr(counting, "_alike", counting._alike.__wrapped__)
        assert [counting.different(nodes - 2, 1, 3) - 1 for nodes in (6, 7)] == [64_542, 423_624]

    @given(seeds)
    def test_a_cell_with_its_inner_nodes_exchanged_is_the_same(self, seed):
        rng = np.random.default_rng(seed)
        config = self.space.sample(rng)
        graph = self.cell.graph("cell", config)
        for order in permutations((1, 2, 3)):
            places = {0: 0, 4: 4, **dict(zip((1, 2, 3), order, strict=True))}
            moved = {(places[a], places[b]): operation for (a, b), operation in graph.items()}
            if all(a <= b for a, b in moved):
                edges = {f"cell.{a}-{b}": moved.get((a, b), "none") for a, b in self.cell.edges if a < b}
                nodes = {f"cell.{a}": moved.get((a, a), "pool") for a in (1, 2, 3)}
                assert self.space.key(edges | nodes) == self.space.key(config)

    @given(seeds)
    def test_a_cell_that_is_the_same_has_the_same_encodings(self, seed):
        config = self.space.sample(np.random.default_rng(seed))
        alike = dict(self.cell.alike("cell", config))
        assert self.space.validate(alike) == alike
        assert self.cell.paths("cell", alike) == self.cell.paths("cell", config)
        assert self.cell.subtrees("cell", alike) == self.cell.subtrees("cell", config)

    def test_a_node_that_nothing_comes_through_does_not_count(self):
        edges = dict.fromkeys([f"cell.{a}-{b}" for a, b in self.cell.edges if a < b], "none")
        config = edges | {"cell.0-2": "skip", "cell.2-4": "skip", "cell.0-1": "skip"}
        config |= {"cell.1": "pool", "cell.2": "conv3", "cell.3": "conv1"}
        assert self.cell.graph("cell", config) == {(0, 2): "skip", (2, 2): "conv3", (2, 4): "skip"}
        assert self.space.key(config) == self.space.key({**config, "cell.1": "conv1"})
        assert self.space.key(config) != self.space.key({**config, "cell.2": "conv1"})
        assert self.cell.paths("cell", config) == {("skip", "conv3", "skip")}
        assert self.cell.adjacency("cell", config).shape == (13, 5)
        assert self.cell.adjacency("cell", config).sum() == 3

    def test_no_method_asks_for_the_same_cell_twice(self):
        space = Space({"cell": Cell(4, on_nodes=["conv", "pool"])})
        for method in (tw.Evolution(population=10), tw.Bayes(share=0), tw.Unique(tw.Random())):
            study = new_study(space, trials=30)
            Player(method, lambda config, step: float(sum(value == "conv" for value in config.values()))).play(study)
            asked = [space.key(job.config) for job in study.jobs.values()]
            assert len(set(asked)) == len(asked) == 30


class TestGrammar:
    @settings(max_examples=30, deadline=None)
    @given(st.integers(1, 5), seeds)
    def test_never_exceeds_its_depth(self, limit, seed):
        space = Space({"net": Grammar(RULES, "block", limit)})
        rng = np.random.default_rng(seed)
        config = space.sample(rng)
        for _ in range(20):
            other = space.sample(rng)
            config = space.cross(space.mutate(config, rng), other, rng)
            assert depth(unflatten(config)["net"]) <= limit

    def test_a_subtree_goes_to_any_place_of_its_symbol(self):
        """Crossed place by place, these two have no child but themselves."""
        space = Space({"net": Grammar(RULES, "block", 3)})
        first = {"net": "residual(block)", "net.block0": "conv"}
        second = {"net": "seq(block, block)", "net.block0": "conv", "net.block1": "residual(block)"}
        second["net.block1.block0"] = "pool"
        rng = np.random.default_rng(0)
        texts = {unflatten(space.cross(first, second, rng))["net"] for _ in range(100)}
        assert {
            "residual(pool)",
            "residual(residual(pool))",
            "seq(conv, conv)",
            "seq(residual(conv), residual(pool))",
        } <= texts
        assert all(depth(text) <= 3 for text in texts)

    @settings(max_examples=30, deadline=None)
    @given(st.integers(2, 5), seeds)
    def test_what_a_child_consists_of_its_parents_have(self, limit, seed):
        space = Space({"net": Grammar({"net": ["in(block)"], **RULES}, "net", limit)})
        rng = np.random.default_rng(seed)
        first, second = space.sample(rng), space.sample(rng)
        child = space.cross(first, second, rng)
        assert space.validate(child) == child
        assert set(child.values()) <= {*first.values(), *second.values()}
        assert space.cross(first, first, rng) == first

    def test_few_children_are_copies(self):
        space, rng = Space({"net": Grammar(RULES, "block", 5)}), np.random.default_rng(2)
        copies = 0
        for _ in range(300):
            parents = space.sample(rng), space.sample(rng)
            copies += parents[0] != parents[1] and space.cross(*parents, rng) in parents
        assert copies < 30

    @settings(max_examples=30, deadline=None)
    @given(seeds)
    def test_programs_in_blocks_in_branches_and_in_part_of_a_space_are_crossed(self, seed):
        net = Grammar(RULES, "block", 3)
        space = Space({"kind": Choice({"a": {"parts": Blocks(net, 1, 3, tied=[])}, "b": {"one": net, "two": net}})})
        part = space.narrow({"kind=b/one": ["conv", "residual(block)"], "kind=b/one/one.block0": ["pool"]})
        rng = np.random.default_rng(seed)
        for some in (space, part):
            child = some.cross(some.sample(rng), some.sample(rng), rng)
            assert some.validate(child) == child

    def test_counts_its_programs(self):
        sizes = [Space({"net": Grammar(RULES, "block", limit)}).size for limit in (1, 2, 3)]
        assert sizes == [2, 2 + 4 + 2, 2 + 8 * 8 + 8]
        texts = {unflatten(config)["net"] for config in Space({"net": Grammar(RULES, "block", 3)}).grid()}
        assert len(texts) == sizes[-1]

    def test_each_depth_is_equally_likely_and_each_program_of_a_depth(self):
        space = Space({"net": Grammar(RULES, "block", 3)})
        rng = np.random.default_rng(0)
        texts = Counter(unflatten(space.sample(rng))["net"] for _ in range(12_000))
        depths = Counter(depth(text) for text in texts.elements())
        assert all(abs(count - 4000) < 5 * math.sqrt(4000) for count in depths.values())
        for level, programs in ((1, 2), (2, 6), (3, 66)):
            found = [count for text, count in texts.items() if depth(text) == level]
            assert len(found) == programs
            mean = 4000 / programs
            assert sum((count - mean) ** 2 / mean for count in found) < programs + 5 * math.sqrt(2 * programs)

    def test_so_it_is_in_a_narrowed_space_and_in_one_that_was_stored(self):
        part = Space({"net": Grammar(RULES, "block", 4)}).narrow(
            {"net": ["conv", "seq(block, block)"], "net/net.block0": ["pool", "residual(block)"]}
        )
        rng = np.random.default_rng(0)
        texts = Counter(unflatten(part.sample(rng))["net"] for _ in range(12_000))
        programs = Counter(depth(unflatten(config)["net"]) for config in part.grid())
        assert set(programs) == {1, 2, 3, 4}
        for level, count in programs.items():
            found = [texts[text] for text in texts if depth(text) == level]
            mean = 3000 / count
            assert sum((each - mean) ** 2 / mean for each in found) < count + 5 * math.sqrt(2 * count)
            assert abs(sum(found) - 3000) < 5 * math.sqrt(3000)
        stored, again = Space.from_json(part.to_json()), np.random.default_rng(1)
        assert [stored.sample(again)] == [part.sample(np.random.default_rng(1))]

    @pytest.mark.parametrize("method", [tw.Sobol(), tw.Halton(), tw.LatinHypercube(80), tw.Bayes(start=80)], ids=repr)
    def test_sequences_cover_each_depth_evenly(self, method):
        """Even in the unit cube would be three of five programs of depth 1."""
        space = Space({"net": Grammar({"a": ["f(a)", "g(a)", "x", "y", "z"]}, "a", 5), "lr": Float(0, 1)})
        study = new_study(space, trials=80)
        Player(method, lambda config, step: 0.0).play(study)
        depths = Counter(depth(unflatten(job.config)["net"]) for job in study.jobs.values())
        assert set(depths) == {1, 2, 3, 4, 5}
        assert all(8 <= count <= 24 for count in depths.values())

    @given(seeds)
    def test_all_else_is_spread_as_it_is_decoded(self, seed):
        space = Space({"blocks": Blocks({"units": Int(4, 64, log=True), "cell": Cell(3, OPERATIONS)}, 1, 3)})
        point = np.random.default_rng(seed).random(len(space.paths))
        assert space.spread(point) == space.decode(point)

    def test_symbols_may_derive_others(self):
        rules = {
            "net": ["chain(cell, head)", "cell"],
            "cell": ["edge(op, op)", "op"],
            "op": ["conv", "pool"],
            "head": ["linear"],
        }
        space = Space({"net": Grammar(rules, "net", 3)})
        texts = {unflatten(config)["net"] for config in space.grid()}
        assert {"chain(edge(conv, pool), linear)", "edge(pool, conv)", "conv", "chain(conv, linear)"} <= texts
        assert len(texts) == space.size == 12

    def test_the_default_is_the_shallowest(self):
        assert unflatten(Space({"net": Grammar({"a": ["f(a)", "x"]}, "a", 5)}).default()) == {"net": "x"}

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            (lambda: Grammar({"a": ["f(a)"]}, "a", 3), "no program of 'a'"),
            (lambda: Grammar({"a": ["x"]}, "b", 3), "start='b'"),
            (lambda: Grammar({"a": ["f(x"]}, "a", 3), "no production"),
            (lambda: Grammar({"a": ["a(x)", "y"]}, "a", 3), "calls the symbol"),
            (lambda: Grammar({"a": ["f(a, a)", "x"]}, "a", 30), "2000 places"),
            (lambda: Grammar({"a b": ["x"]}, "a b", 1), "the symbol 'a b'"),
        ],
    )
    def test_says_what_is_wrong(self, wrong, said):
        with pytest.raises(SpaceError, match=re.escape(said).replace("2000", "2,?000")):
            wrong()


class TestSwitch:
    def test_says_what_is_wrong(self):
        with pytest.raises(SpaceError, match="it is derived"):
            Switch(Choice(["a", "b"]), {"n": Int(1, 2)}, {"a": ["n"], "b": []}, derived=True)
        with pytest.raises(SpaceError, match="follows no prior"):
            Switch(Choice(["a", "b"], prior=[1, 3]), {}, {"a": [], "b": []}, derived=True)
        with pytest.raises(SpaceError, match="derived='yes'"):
            Space.from_json(
                {"s": {"type": "switch", "of": ["a"], "entries": {}, "active": [["a", []]], "derived": "yes"}}
            )
        with pytest.raises(SpaceError, match="is not said"):
            Switch(Int(1, 2), {"x": Int(0, 1)}, {1: ["x"]})
        with pytest.raises(SpaceError, match="no entry 'y'"):
            Switch(Int(1, 1), {"x": Int(0, 1)}, {1: ["y"]})
        with pytest.raises(SpaceError, match="what decides"):
            Switch(Float(0, 1), {}, {})
        with pytest.raises(SpaceError, match=r"list of \[value, names\]"):
            Space.from_json({"s": {"type": "switch", "of": [1], "entries": {}, "active": [1]}})
