"""Densities over the tree of coordinates, against sums and integrals written out."""

from statistics import NormalDist

import numpy as np
import pytest
from scipy.integrate import quad

from tunewell.surrogates.parzen import Coordinate, Prior, Tree, mixture

FLOAT = Coordinate()
INT = Coordinate(np.arange(6) / 5)
LOG_INT = Coordinate(np.array([0.0, 0.45, 0.7, 0.85, 1.0]), np.array([0.3, 0.6, 0.8, 0.9]))
CHOICE = Coordinate(np.arange(4) / 3, ordered=False)
NAN = np.nan

SKEWED = Prior(np.array([0.0, 0.1, 0.4, 1.0]), np.array([0.5, 0.4, 0.1]))
LIKELY = Prior(np.arange(4) / 3, np.array([0.7, 0.3, 0.0]))

TREE = Tree(
    [
        Coordinate(np.arange(4) / 3, ordered=False, prior=LIKELY),
        Coordinate(prior=SKEWED),
        Coordinate(parent=0, options=(0,)),
        Coordinate(np.arange(3) / 2, ordered=False, parent=0, options=(1,)),
        Coordinate(np.arange(5) / 4, parent=3, options=(1,)),
    ]
)
"""A choice of three; a number; a number below the first option; a choice below the second, and an integer below its
second."""


def points_of(tree, count, seed=0):
    rng = np.random.default_rng(seed)
    return tree.drawn(rng.random((count, len(tree))))


def fitted(tree, count=12, seed=0, **settings):
    rng = np.random.default_rng(seed + 1)
    return mixture(tree, points_of(tree, count, seed), rng.random(count) + 0.1, **settings)


# --- by hand ---------------------------------------------------------------------------------------------------------


def brute_force(found, point):
    """The density of one point, kernel by kernel and coordinate by coordinate."""
    total = 0.0
    for number, weight in enumerate(found.weights):
        value = weight
        for place, coordinate in enumerate(found.tree.coordinates):
            if not np.isnan(point[place]):
                value *= factor(found, coordinate, place, number, point[place])
        total += value
    return total


def factor(found, coordinate, place, number, unit):
    centre = found.centres[number, place] if number < len(found.centres) else NAN
    cells = coordinate.cells
    if np.isnan(centre):
        return prior_of(coordinate, unit)
    if cells is not None and not coordinate.ordered:
        smoothing = found.smoothing[list(found.tree.choices).index(place)]
        same = np.searchsorted(cells, unit) == np.searchsorted(cells, centre)
        return (same + smoothing * prior_of(coordinate, unit)) / (1 + smoothing)
    width = found.widths[place]
    normal = NormalDist(centre, width)
    inside = normal.cdf(1) - normal.cdf(0)
    if cells is None:
        return normal.pdf(unit) / inside
    cell = np.searchsorted(cells, unit)
    return (normal.cdf(cells[cell]) - normal.cdf(cells[cell - 1])) / inside


def prior_of(coordinate, unit):
    edges, masses = coordinate.prior.edges, coordinate.prior.masses
    if coordinate.cells is None:
        piece = min(np.searchsorted(edges, unit, side="right") - 1, len(masses) - 1)
        return masses[piece] / (edges[piece + 1] - edges[piece])
    cell = np.searchsorted(coordinate.cells, unit)
    low, high = coordinate.cells[cell - 1], coordinate.cells[cell]
    shares = (np.minimum(edges[1:], high) - np.maximum(edges[:-1], low)) / np.diff(edges)
    return masses @ np.maximum(shares, 0)


@pytest.mark.parametrize(
    "tree", [Tree([FLOAT, FLOAT, INT]), Tree([LOG_INT, CHOICE, FLOAT]), TREE], ids=["numbers", "mixed", "tree"]
)
def test_densities_are_those_written_out(tree):
    good, bad = fitted(tree, 6), fitted(tree, 15, seed=3, narrowest=0.2)
    points = points_of(tree, 25, seed=9)
    for found in (good, bad):
        assert np.exp(found.log_density(points)) == pytest.approx(
            [brute_force(found, point) for point in points], rel=1e-9
        )
    ratio = good.log_density(points) - bad.log_density(points)
    expected = [np.log(brute_force(good, point) / brute_force(bad, point)) for point in points]
    assert ratio == pytest.approx(expected, abs=1e-9)


# --- they sum to one -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("prior", [Prior(), SKEWED])
def test_a_density_of_a_number_integrates_to_one(prior, clip):
    found = fitted(Tree([Coordinate(prior=prior)]), clip=clip)
    total = quad(lambda x: np.exp(found.log_density(np.array([[x]]))[0]), 0, 1, points=[0.1, 0.4], limit=300)[0]
    assert total == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("coordinate", [INT, LOG_INT, CHOICE, Coordinate(np.arange(4) / 3, prior=LIKELY)])
def test_masses_of_cells_sum_to_one(coordinate):
    found = fitted(Tree([coordinate]))
    assert np.exp(found.log_density(coordinate.units[:, None])).sum() == pytest.approx(1, abs=1e-12)


def test_the_density_of_a_tree_integrates_to_one():
    found = fitted(TREE, 20)
    steps = 400
    grid = (np.arange(steps) + 0.5) / steps

    def mass(*units, below=False):
        """The integral over the number at the top, and over that below the first option where it is active."""
        free = np.array(np.meshgrid(grid, grid if below else [NAN])).reshape(2, -1)
        points = np.array([[units[0], x, y, units[1], units[2]] for x, y in free.T])
        return np.exp(found.log_density(points)).sum() / (steps**2 if below else steps)

    first, second, third = TREE.coordinates[0].units
    parts = [mass(first, NAN, NAN, below=True), mass(third, NAN, NAN), mass(second, 0.25, NAN)]
    parts += [mass(second, 0.75, unit) for unit in TREE.coordinates[4].units]
    assert sum(parts) == pytest.approx(1, abs=2e-3)


# --- sampling --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tree", [Tree([FLOAT, INT]), Tree([CHOICE, FLOAT]), TREE], ids=["numbers", "mixed", "tree"])
def test_samples_follow_the_density(tree):
    """The mean of 1/density over samples of a cell is its size: compare with the density by histograms."""
    found = fitted(tree, 8)
    points = found.sample(np.random.default_rng(4), 20_000)
    for place in range(len(tree)):
        column = points[~np.isnan(points[:, place]), place]
        seen = np.histogram(column, 4, (0, 1))[0] / len(points)
        assert seen == pytest.approx(marginal(found, place), abs=0.015)


def marginal(found, place):
    """The probability that a coordinate is active and lies in each quarter, by importance sampling from the prior."""
    tree = found.tree
    points = tree.drawn(np.random.default_rng(8).random((40_000, len(tree))))
    prior = mixture(tree, np.zeros((0, len(tree))))
    weights = np.exp(found.log_density(points) - prior.log_density(points)) / len(points)
    active = ~np.isnan(points[:, place])
    return np.histogram(points[active, place], 4, (0, 1), weights=weights[active])[0]


def test_samples_have_the_coordinates_of_their_branch():
    points = fitted(TREE, 20).sample(np.random.default_rng(0), 500)
    option = np.floor(points[:, 0] * 3)
    assert np.array_equal(~np.isnan(points[:, 2]), option == 0)
    assert np.array_equal(~np.isnan(points[:, 3]), option == 1)
    assert np.array_equal(~np.isnan(points[:, 4]), (option == 1) & (points[:, 3] > 0.5))
    assert not np.isnan(points[:, :2]).any()


def test_samples_depend_on_the_generator_alone():
    found = fitted(TREE, 20)
    first, second = (found.sample(np.random.default_rng(7), 30) for _ in range(2))
    assert np.array_equal(first, second, equal_nan=True)


# --- what a kernel says ----------------------------------------------------------------------------------------------


def test_a_kernel_says_nothing_of_what_is_inactive_in_it():
    """Points of the other branches change the density below an option only as the prior does."""
    inside = np.array([[0.5, 0.5, NAN, 0.25, NAN]] * 3)
    found = mixture(TREE, inside)
    unit = np.linspace(0.05, 0.95, 7)
    points = np.array([[1 / 6, 0.5, x, NAN, NAN] for x in unit])
    density = found.log_density(points)
    assert density == pytest.approx(np.full(7, density[0]))


def test_no_points_leave_the_prior():
    empty = mixture(TREE, np.zeros((0, 5)))
    points = points_of(TREE, 30)
    assert empty.weights == [1.0]
    assert np.exp(empty.log_density(points)) == pytest.approx([brute_force(empty, point) for point in points])
    assert len(empty.sample(np.random.default_rng(0), 5)) == 5


def test_widths_follow_the_spread_and_have_a_least():
    tree = Tree([FLOAT, FLOAT])
    centres = np.array([[0.1, 0.5], [0.5, 0.5], [0.2, 0.5], [0.9, 0.5]])
    scott = np.std([0.1, 0.5, 0.2, 0.9]) * 4 ** (-1 / 6)
    assert mixture(tree, centres, narrowest=0.02, clip=False).widths == pytest.approx([scott, 0.02])
    assert mixture(tree, centres, clip=True).widths == pytest.approx([scott, 1 / 6])
    assert mixture(tree, centres[:1], clip=False).widths == pytest.approx([12**-0.5] * 2)


def test_widths_count_the_points_that_have_the_coordinate():
    tree = Tree([Coordinate(np.arange(3) / 2, ordered=False), Coordinate(parent=0, options=(1,))])
    centres = np.array([[0.75, 0.1], [0.75, 0.3], *[[0.25, NAN]] * 6])
    assert mixture(tree, centres, clip=True).widths[1] == pytest.approx(1 / 4)
    assert mixture(tree, centres, clip=False).widths[1] == pytest.approx(0.1 * 2 ** (-1 / 5.25))


def test_widths_reach_the_next_cell():
    found = mixture(Tree([INT]), np.full((30, 1), 0.5), clip=False)
    assert found.widths == pytest.approx([0.2])
    beside = np.exp(found.log_density(np.array([[0.3], [0.5]])))
    assert beside[0] > 0.2 * beside[1]


def test_weights_are_shares():
    found = mixture(Tree([FLOAT]), np.array([[0.2], [0.8]]), np.array([1.0, 5.0]), prior_weight=2.0)
    assert found.weights == pytest.approx([1 / 8, 5 / 8, 2 / 8])


def test_far_out_in_a_tail_the_logarithm_is_a_number():
    prior = Prior(np.array([0.0, 0.1, 0.2, 1.0]), np.array([0.0, 1.0, 0.0]))
    found = mixture(Tree([Coordinate(prior=prior)]), np.full((3, 1), 0.1), narrowest=1e-3, clip=False)
    assert np.isfinite(found.log_density(np.linspace(0, 1, 11)[:, None])).all()


def test_a_cube_without_coordinates():
    found = mixture(Tree([]), np.zeros((4, 0)))
    assert found.sample(np.random.default_rng(0), 3).shape == (3, 0)
    assert found.log_density(np.zeros((2, 0))) == pytest.approx([0, 0])
