"""Settings of methods as JSON, names, citations."""

import pytest

import tunewell as tw
from tunewell.errors import StudyError
from tunewell.method import from_json, inner, load, to_json


def test_nested_settings_come_back_the_same():
    method = tw.Then(tw.Take(20, tw.Random()), tw.Grid(levels=3))
    assert from_json(to_json(method)) == method


def test_a_name_is_a_method_with_its_defaults():
    assert from_json("Random") == tw.Random()
    assert from_json(tw.Sobol()) == tw.Sobol()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("Randon", "Did you mean 'Random'"),
        ({"method": "Take", "m": 3, "of": "Random"}, "no setting 'm'"),
        ({"n": 3}, "without a name"),
        (3, "is no method"),
    ],
)
def test_what_is_no_method_is_refused_with_the_nearest_word(data, message):
    with pytest.raises(StudyError, match=message):
        from_json(data)


def test_names_come_from_entry_points_only():
    with pytest.raises(StudyError, match="no executor is called 'os:system'"):
        load("tunewell.executors", "os:system")


def test_a_method_lists_what_it_is_made_of_and_whom_to_cite():
    method = tw.Then(tw.Grid(), tw.Take(3, tw.Random()))
    assert [type(part).__name__ for part in inner(method)] == ["Then", "Grid", "Take", "Random"]
    assert "Bergstra" in tw.cite(method)
