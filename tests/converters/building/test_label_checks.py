"""Labels that are the same word, or several, never become classes of their own in silence."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.converters.building.label_checks import check_labels
from recipekit.converters.building.pipeline import build
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.sections import Data, Source, Split

from ...support.jsonl import write_jsonl


def places(*labels):
    return {label: f"rows.jsonl:{number}" for number, label in enumerate(labels, 1)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("joy", "Joy"),
        ("joy", "joy "),
        ("joy", "Joy."),
        ("joy", "joy,"),
        ("joy", '"joy"'),
        ("joy", "joy\u200b"),
        ("سلبي", "\u200fسلبي"),
        ("❤", "❤\ufe0f"),
        ("not sure", "not_sure"),
        ("Not-Sure", "not_sure"),
        ("joy", "\u200ajoy"),
        ("café", "cafe\u0301"),
        ("very good", "verygood"),
        ("ｊoy", "joy"),
        ("straße", "STRASSE"),
        ("1", "1.0"),
        ("1", "01"),
        ("0", "-0"),
        ("2.50", "2.5"),
    ],
)
def test_labels_that_differ_only_in_form_are_refused(one, other):
    with pytest.raises(UserError, match="labels that differ only in spaces, case, marks, Unicode form or digits") as error:
        check_labels(places(one, other, "anger"), None)
    assert "rows.jsonl:1" in error.value.problems[0].what and "rows.jsonl:2" in error.value.problems[0].what


@pytest.mark.parametrize(
    "label",
    [
        "15,26",
        "joy, anger",
        "joy|anger",
        "1;2;3",
        "joy/anger",
        "joy#anger",
        "joy + anger",
        "joy & anger",
        "['joy']",
        '["joy", "x"]',
        "[]",
        "[1 0 1]",
    ],
)
def test_lists_of_labels_are_refused(label):
    with pytest.raises(UserError, match="is a list of labels"):
        check_labels(places("joy", "anger", "15", label), None)


@pytest.mark.parametrize("label", ['{"choices": ["joy", "anger"]}', "{'label': 'joy', 'score': 0.9}"])
def test_objects_are_no_labels(label):
    with pytest.raises(UserError, match="is an object, not a label"):
        check_labels(places("joy", "anger", label), None)


@pytest.mark.parametrize("label", ["sad, but not very", "none", "1.5", "and/or", "1e5", "1" * 60])
def test_labels_with_a_separator_of_their_own_are_labels(label):
    check_labels(places("joy", "anger", label), None)


def test_marks_that_are_the_label_are_kept():
    check_labels(places("C", "C++", "C#", "-1", "1", ".5", "5", "?", "!", "1-2", "12", "+", "-", "😀", "_", "a-1", "a1"), None)


@pytest.mark.parametrize("label", ["nan", "NaN", "<NA>", "None", "NULL", "null", "N/A", "n/a", "NA", "\\N", "unsup", "-", "?", "#NV"])
def test_missing_value_words_are_not_labels(label):
    with pytest.raises(UserError, match=f"{re.escape(ascii(label))} .rows.jsonl:3. is what programs write where a label is missing"):
        check_labels(places("joy", "anger", label), None)
    check_labels(places("joy", label), ("joy", label))


@pytest.mark.parametrize("label", ["b'joy'", "np.int64(1)", "tensor(1)", "array([1])", "<Emotion.JOY: 1>", "<Emotion.JOY>", "('joy',)"])
def test_values_as_python_prints_them_are_not_labels(label):
    with pytest.raises(UserError, match=f"{re.escape(ascii(label))} .rows.jsonl:2. is how Python prints a value"):
        check_labels(places("joy", label), None)
    check_labels(places("joy", label), ("joy", label))


def test_points_of_a_total_are_no_lists():
    check_labels(places("1/10", "2/10", "10/10"), None)
    with pytest.raises(UserError, match="is a list of labels"):
        check_labels(places("1/10", "2/10", "1/5"), None)


def test_minus_one_among_label_numbers_is_not_a_label():
    with pytest.raises(UserError, match="'-1' .rows.jsonl:4. is what programs write where a label is missing"):
        check_labels(places("0", "1", "2", "-1"), None)
    check_labels(places("0", "1", "2", "-1"), ("-1", "0", "1", "2"))
    check_labels(places("-1", "0", "1"), None)
    check_labels(places("-2", "-1", "0", "1", "2"), None)


@given(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9), st.integers(0, 3), st.integers(0, 3))
def test_numbers_are_the_same_label_where_they_are_the_same_number(one, other, zeros, places_after):
    written = f"{'0' * zeros}{abs(other)}" + ("." + "0" * places_after if places_after else "")
    written = f"-{written}" if other < 0 else written
    if one == other and str(one) != written:
        with pytest.raises(UserError, match="or digits"):
            check_labels(places(str(one), written), None)
    else:
        check_labels(places(str(one), written), None)


def test_declared_labels_are_accepted():
    check_labels(places("joy", "Joy", "1,2"), ("joy", "Joy", "1,2"))
    with pytest.raises(UserError):
        check_labels(places("joy", "Joy"), ("joy",))


def test_a_conversion_with_two_forms_of_a_label_stops(tmp_path):
    rows = [{"text": "a", "label": "joy"}, {"text": "b", "label": "Joy"}]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    data = Data("classification", (Source(str(tmp_path / "rows.jsonl"), "table"),), split=Split(validation=0))
    with pytest.raises(UserError, match=r"'Joy' \(rows.jsonl:2\) and 'joy' \(rows.jsonl:1\)"):
        build(data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_proposed_names_give_one_spelling(tmp_path):
    (tmp_path / "rows.csv").write_text("text,label\na,Rückgabe\nb,rückgabe\nc,Defekt\nd,Rückgabe \n", "utf-8")
    with pytest.raises(UserError) as error:
        build(Data("classification", (Source(str(tmp_path / "rows.csv"), "table"),), split=Split(validation=0)), tmp_path / "out")
    assert "Rückgabe" in error.value.problems[0].what, "a label is shown as people read it"
    found = re.search(r"\{.*\}", error.value.problems[0].hint)
    assert found
    names = json.loads(found[0])
    source = Source(str(tmp_path / "rows.csv"), "table", {"label_names": names})
    assert build(Data("classification", (source,), split=Split(validation=0)), tmp_path / "out")["labels"] == ["Defekt", "Rückgabe"]


def test_numbers_with_a_decimal_comma_are_no_lists():
    check_labels(places("1,0", "2,5", "-3,0"), None)
    with pytest.raises(UserError, match="'1,0' .* is a list of labels"):
        check_labels(places("1", "0", "1,0"), None)


def test_several_words_for_true_and_false_are_two_classes():
    with pytest.raises(UserError, match="several words for true and false") as error:
        check_labels(places("True", "1", "yes", "0"), None)
    assert '"True": "yes"' in error.value.problems[0].hint and '"0": "no"' in error.value.problems[0].hint
    check_labels(places("True", "1", "yes", "0"), ("True", "1", "yes", "0"))
    with pytest.raises(UserError, match="'1' .*, 'negative' .*, 'positive'"):
        check_labels(places("positive", "1", "negative"), None)
    for fine in (("yes", "no"), ("0", "1", "2"), ("1", "0"), ("yes", "no", "unsure"), ("positive", "negative", "neutral", "1")):
        check_labels(places(*fine), None)
