"""Labels that are the same word, or several, never become classes of their own in silence."""

import json

import pytest
from recipekit.converters.building.label_checks import check_labels
from recipekit.converters.building.pipeline import build
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.sections import Data, Source, Split


def places(*labels):
    return {label: f"rows.jsonl:{number}" for number, label in enumerate(labels, 1)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("joy", "Joy"),
        ("joy", "joy "),
        ("joy", "\u200ajoy"),
        ("café", "cafe\u0301"),
        ("very good", "verygood"),
        ("ｊoy", "joy"),
        ("straße", "STRASSE"),
    ],
)
def test_labels_that_differ_only_in_form_are_refused(one, other):
    with pytest.raises(UserError, match="labels that differ only in spaces, case or Unicode form") as error:
        check_labels(places(one, other, "anger"), None)
    assert "rows.jsonl:1" in error.value.problems[0].what and "rows.jsonl:2" in error.value.problems[0].what


@pytest.mark.parametrize("label", ["15,26", "joy, anger", "joy|anger", "1;2;3", "joy/anger"])
def test_lists_of_labels_are_refused(label):
    with pytest.raises(UserError, match="is a list of labels"):
        check_labels(places("joy", "anger", "15", label), None)


@pytest.mark.parametrize("label", ["sad, but not very", "n/a", "1.5", "joy,", "and/or"])
def test_labels_with_a_separator_of_their_own_are_labels(label):
    check_labels(places("joy", "anger", label), None)


def test_what_the_recipe_lists_is_meant():
    check_labels(places("joy", "Joy", "1,2"), ("joy", "Joy", "1,2"))
    with pytest.raises(UserError):
        check_labels(places("joy", "Joy"), ("joy",))


def test_a_conversion_with_two_forms_of_a_label_stops(tmp_path):
    rows = [{"text": "a", "label": "joy"}, {"text": "b", "label": "Joy"}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = Data("classification", (Source(str(tmp_path / "rows.jsonl"), "table"),), split=Split(validation=0))
    with pytest.raises(UserError, match=r"'Joy' \(rows.jsonl:2\) and 'joy' \(rows.jsonl:1\)"):
        build(data, tmp_path / "out")
    assert not (tmp_path / "out").exists()
