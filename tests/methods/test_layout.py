"""A space as a normal distribution sees it: numbers, cells, options."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tunewell as tw
from tunewell.methods.layout import layout_of

SPACE = tw.Space(
    {
        "x": tw.Float(0, 1),
        "pair": tw.Int(0, 1),
        "many": tw.Int(1, 16),
        "wide": tw.Int(1, 1000, log=True),
        "size": tw.Ordinal(["s", "m", "l"]),
    }
)
UNITS = st.lists(st.floats(-0.2, 1.2), min_size=5, max_size=5).map(np.array)


def cells(layout, point):
    return [layout.cell(index, float(point[index])) for index in layout.discrete]


def test_a_layout_leaves_out_what_cannot_move():
    space = tw.Space({"a": tw.Float(1, 1), "b": tw.Int(0, 5), "c": tw.Choice(["x"]), "d": tw.Choice(["x", "y"])})
    layout = layout_of(space)
    assert (layout.numbers, layout.discrete, layout.choices, layout.count) == ([1], [0], [3], 2)


def test_it_starts_in_the_middle_where_the_default_was_only_rounded():
    layout = layout_of(tw.Space({"even": tw.Int(0, 3), "odd": tw.Int(0, 2), "far": tw.Int(0, 9, default=9)}))
    start = layout.start(layout.space.default())
    assert start[:2].tolist() == [0.5, 0.5]
    assert start[2] == pytest.approx(0.95)


@given(point=UNITS)
def test_a_move_leads_to_the_next_value_of_one_number(point):
    layout = layout_of(SPACE)
    point = np.clip(point, 0, 1)
    config, seen = layout.config(point, []), []
    for index, unit in layout.moves(point):
        other = layout.config(np.where(np.arange(5) == index, unit, point), [])
        (name,) = (name for name in config if config[name] != other[name])
        order = {"s": 0, "m": 1, "l": 2}
        assert abs(order.get(config[name], config[name]) - order.get(other[name], other[name])) == 1
        seen.append((name, other[name]))
    ends = {"pair": (0, 1), "many": (1, 16), "wide": (1, 1000), "size": ("s", "l")}
    assert len(seen) == len(set(seen)) == sum(2 - (config[name] in ends[name]) for name in ends)


@given(points=st.lists(UNITS, min_size=1, max_size=6).map(np.array), mean=UNITS)
def test_centred_points_keep_their_values(points, mean):
    layout = layout_of(SPACE)
    for before, after in zip(points, layout.centred(points, mean), strict=True):
        assert layout.config(np.clip(before, 0, 1), []) == layout.config(np.clip(after, 0, 1), [])


@given(points=st.lists(UNITS, min_size=1, max_size=6).map(np.array), mean=UNITS)
def test_points_away_from_the_mean_are_in_the_middle_of_their_cells(points, mean):
    layout = layout_of(SPACE)
    home = cells(layout, mean)
    for point in layout.centred(points, mean):
        for index, cell, own in zip(layout.discrete, cells(layout, point), home, strict=True):
            assert cell == own or point[index] == pytest.approx(sum(cell) / 2)
    assert (layout.centred(points, mean)[:, 0] == points[:, 0]).all()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([0.43, 0.36, 0.38], [0.45, 0.355, 0.365]),
        ([0.41, 0.33, 0.38], [0.45, 0.33, 0.35]),
        ([0.29, 0.24, 0.36], [0.25, 0.25, 0.36]),
    ],
    ids=["all of it", "as far as the middle", "none to go back"],
)
def test_centring_keeps_the_average_as_far_as_it_can(before, after):
    layout = layout_of(tw.Space({"n": tw.Int(0, 9)}))
    assert layout.centred(np.array(before)[:, None], np.array([0.33])).ravel() == pytest.approx(after)
