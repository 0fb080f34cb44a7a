"""Rows of one shape have the same keys, at every depth; many are compared at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.converters.building.row_shapes import MAX_DEPTH, common_shape, shape_of

KEYS = st.sampled_from(["id", "tags", "messages", "a"])
SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8)
ROWS = st.dictionaries(KEYS, VALUES, max_size=4)


def paths(value, path=""):
    """The paths of all objects of a row, each with its keys in order."""
    if isinstance(value, dict):
        return {(path, *value)}.union(*(paths(item, f"{path}.{key}") for key, item in value.items()))
    return set().union(*(paths(item, f"{path}[]") for item in value)) if isinstance(value, list) else set()


@given(ROWS, ROWS)
def test_rows_of_one_shape_have_the_same_keys(first, second):
    if shape_of(first) == shape_of(second):
        assert paths(first) == paths(second)


@given(st.lists(ROWS, min_size=1, max_size=4))
def test_a_common_shape_is_the_shape_of_every_row(rows):
    if shape := common_shape(rows):
        assert [shape_of(row) for row in rows] == [shape] * len(rows)


def written_over(value, text):
    """The value with other scalars."""
    if isinstance(value, dict):
        return {key: written_over(item, text) for key, item in value.items()}
    return [written_over(item, text) for item in value] if isinstance(value, list) else text


@given(st.data(), st.lists(st.text(max_size=3), min_size=2, max_size=5))
def test_rows_with_the_same_keys_everywhere_have_a_common_shape(data, texts):
    message = data.draw(st.dictionaries(KEYS, SCALARS, min_size=1))
    row = {**data.draw(st.dictionaries(KEYS, SCALARS)), "nested": {"turns": [message], "about": message, "tags": [3]}}
    assert common_shape([written_over(row, text) for text in texts]) == shape_of(row)
    assert common_shape([{**row, "tags": tags} for tags in ([], ["x"], ["y", "z"])]) == shape_of({**row, "tags": []})
    assert common_shape([{**row, "chat": [message] * number} for number in range(1, 4)]) == shape_of({**row, "chat": [message]})


@pytest.mark.parametrize(
    "rows", [[], [3], [3, {}], [{"a": 1}, None], [{"a": 1}, {"b": 1}], [{"a": []}, {"a": [{}]}], [{"a": 1}, {"a": {}}]]
)
def test_rows_of_several_shapes_have_no_common_shape(rows):
    assert common_shape(rows) is None


def test_a_row_that_nests_deeply_has_a_shape():
    deep = []
    for _ in range(900):
        deep = [{"a": deep}]
    assert common_shape([{"deep": deep}]) == shape_of({"deep": deep})
    assert common_shape([{"deep": deep}, {"deep": deep}]) is None, f"beyond {MAX_DEPTH} levels nothing is compared"
