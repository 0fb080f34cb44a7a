"""A path names one value of a nested row; values that differ are not chosen from."""

import pytest
from recipekit.converters.sources.key_paths import SeveralValues, TakenBack, first_key, value_at

ROW = {"data": {"text": "Hi."}, "labels": ["a"], "votes": [{"by": {"name": "x"}, "value": 1}, {"value": 1}], "a.b": 7, "none": []}


@pytest.mark.parametrize(
    ("path", "value"),
    [("data.text", "Hi."), ("labels[]", "a"), ("votes[].value", 1), ("votes[].by.name", "x"), ("a.b", 7), ("data", ROW["data"]),
     ("none[]", None), ("data.title", None), ("data[]", None), ("labels.x", None), ("absent.text", None), ("absent", None)],
)  # fmt: skip
def test_a_path_leads_to_a_value(path, value):
    assert value_at(ROW, path) == value


def test_values_that_differ_are_named():
    with pytest.raises(SeveralValues, match=r"'a\[\].b' has 2 different values: 'x', 'y'"):
        value_at({"a": [{"b": "x"}, {"b": "y"}, {"b": "x"}]}, "a[].b")


def test_an_item_that_was_taken_back_has_no_value():
    skipped, kept = {"was_cancelled": True, "result": ["x"]}, {"was_cancelled": False, "result": ["y"]}
    assert value_at({"a": [skipped, kept]}, "a[].result[]") == "y"
    with pytest.raises(TakenBack, match=r"'a\[\].result\[\]' has only items with was_cancelled: true"):
        value_at({"a": [skipped, skipped]}, "a[].result[]")
    assert value_at({"a": []}, "a[].result[]") is None


def test_a_path_begins_at_a_key():
    assert [first_key(ROW, path) for path in ("data.text", "labels[]", "a.b", "absent", "no.such")] == [
        "data",
        "labels",
        "a.b",
        "absent",
        "no",
    ]
