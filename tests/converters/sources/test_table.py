"""Columns become fields, by the names that the recipe gives."""

import pytest
from recipekit.converters.reading.records import Drop, NoAnswer, Row
from recipekit.converters.sources.table import convert, label_text


def converted(*values, kind="classification", **options):
    return list(convert([Row(value, "t.csv", line) for line, value in enumerate(values, 1)], kind, **options))


def test_a_text_and_a_label_come_from_the_named_columns():
    (record,) = converted({"review": "Great.", "stars": 5, "id": 7}, text_key="review", label_key="stars", keep_meta=["id"])
    assert (record.fields, record.meta) == ({"text": "Great.", "label": "5"}, {"id": 7})


def test_labels_have_the_names_that_the_recipe_gives_and_others_are_dropped():
    one, two, three = converted(*({"text": "x", "label": label} for label in ("0", 1, "2")), label_names={"0": "bad", "1": "good"})
    assert (one.fields["label"], two.fields["label"]) == ("bad", "good")
    assert isinstance(three, Drop) and three.reason == "label_not_named"


@pytest.mark.parametrize(
    ("label", "text"),
    [
        (3, "3"),
        (3.0, "3"),
        (0.5, "0.5"),
        (0.1, "0.1"),
        (0.10000000149011612, "0.1"),
        (4.199999809265137, "4.2"),
        (1 / 3, "0.333333333333333"),
        (16777217.0, "16777217"),
        (1e300, "1e+300"),
        (True, "true"),
        (False, "false"),
        ("joy", "joy"),
        (None, None),
        (["a"], ["a"]),
    ],
)
def test_numbers_and_truth_values_are_written_as_text(label, text):
    assert label_text(label) == text


def test_a_null_number_is_not_a_label():
    assert isinstance(label_text(float("nan")), float)


def test_a_row_becomes_a_chat_with_an_optional_system_message():
    rows = [{"q": "Why?", "a": "Because.", "s": "Be brief."}, {"q": "How?", "a": "So.", "s": ""}]
    first, second = converted(*rows, kind="chat", user_key="q", assistant_key="a", system_key="s")
    assert [m["role"] for m in first.fields["messages"]] == ["system", "user", "assistant"]
    assert second.fields["messages"] == [{"role": "user", "content": "How?"}, {"role": "assistant", "content": "So."}]


def test_a_template_puts_columns_together_and_a_null_leaves_nothing():
    rows = [{"title": "Rain", "body text": "Three {days}."}, {"title": None, "body text": "No title."}, {"title": 7, "body text": "x"}]
    found = converted(*rows, kind="text", text_template="{title}\n\n{body text}")
    assert [record.fields["text"] for record in found] == ["Rain\n\nThree {days}.", "No title.", "7\n\nx"]


def test_the_reasoning_before_an_answer_may_have_its_own_column():
    template = "<think>\n{why}\n</think>\n\n{a}"
    options = {"kind": "chat", "user_key": "q", "assistant_key": "a", "assistant_template": template}
    row = {"q": "When?", "why": "It is a shop.", "a": "At ten."}
    (record,) = converted(row, **options)
    assert record.fields["messages"][1]["content"] == "<think>\nIt is a shop.\n</think>\n\nAt ten."
    for blank in ("", " ", None):  # dropped by the conversion: reasoning alone is no answer
        assert converted({**row, "a": blank}, **options)[0].fields["messages"][1]["content"] == blank
    assert converted({**row, "why": ["It", "is"]}, **options)[0].reason == "column_not_text"
    assert converted({"q": "When?", "a": "At ten."}, **options)[0].reason == "missing_key"
    assert converted(row, **{**options, "assistant_template": "{why}"})[0].reason == "answer_not_in_template"


def test_a_row_to_predict_needs_no_reasoning():
    options = {"kind": "chat", "user_key": "q", "assistant_key": "a", "assistant_template": "{why} {a}"}
    for row in ({"q": "When?", "a": NoAnswer()}, {"q": "When?", "why": "It is a shop.", "a": NoAnswer()}):
        (record,) = converted(row, **options)
        assert isinstance(record.fields["messages"][1]["content"], NoAnswer)


def test_a_cells_text_is_never_a_placeholder():
    (record,) = converted({"template": "{label}", "label": "x"}, kind="text", text_template="{template}")
    assert record.fields == {"text": "{label}"}


@pytest.mark.parametrize(
    ("kind", "options", "missing"),
    [("classification", {}, "no 'label'; the row has a, text"), ("text", {"text_key": "txt"}, "no 'txt'"),
     ("chat", {"user_key": "text", "assistant_key": "a", "system_key": "s"}, "no 's'"), ("text", {"text_template": "{a} {b}"}, "no 'b'")],
)  # fmt: skip
def test_a_missing_column_is_reported_with_those_that_there_are(kind, options, missing):
    (drop,) = converted({"text": "x", "a": "y"}, kind=kind, **options)
    assert (drop.reason, missing in drop.detail) == ("missing_key", True)


@pytest.mark.parametrize("value", [["a", "b"], {"a": 1}, []])
def test_a_template_takes_no_list_and_no_object(value):
    first, second = converted({"text": "x", "tags": value}, {"text": "x", "tags": 3}, kind="text", text_template="{text} {tags}")
    assert (first.reason, second.fields["text"]) == ("column_not_text", "x 3") and "'tags'" in first.detail


def test_a_path_names_a_column_of_a_nested_row():
    choices = [{"result": [{"value": {"choices": ["bug"]}}]}, {"result": [{"value": {"choices": ["bug"]}}]}]
    rows = [{"data": {"text": "It broke."}, "annotations": choices}, {"data": {"text": "It broke."}, "annotations": []}, {"data": {}}]
    found = converted(*rows, text_key="data.text", label_key="annotations[].result[].value.choices[]")
    assert found[0].fields == {"text": "It broke.", "label": "bug"} and found[1].fields["label"] is None
    assert (found[2].reason, found[2].detail) == ("missing_key", "no 'annotations'; the row has data")


def test_a_row_with_several_labels_is_dropped():
    one, several = converted({"text": "x", "label": ["a"]}, {"text": "x", "label": ["a", "b"]}, label_key="label[]")
    assert one.fields["label"] == "a"
    assert (several.reason, several.detail) == ("several_values", "'label[]' has 2 different values: 'a', 'b'")


def test_an_annotation_that_was_cancelled_is_not_read():
    """Label Studio exports skipped annotations, with what had been chosen before."""
    bug, praise = ({"result": [{"value": {"choices": [label]}}], "was_cancelled": label == "praise"} for label in ("bug", "praise"))
    rows = [{"text": "x", "annotations": [*found]} for found in ([bug], [praise, bug], [praise])]
    one, two, none = converted(*rows, label_key="annotations[].result[].value.choices[]")
    assert one.fields["label"] == two.fields["label"] == "bug"
    assert (none.reason, none.filtered) == ("was_cancelled", True)


@pytest.mark.parametrize("kind", ["classification", "chat", "text"])
def test_rows_with_another_value_than_those_to_keep_are_left_out(kind):
    rows = [{"text": "x", "user": "x", "assistant": "y", "label": "a", "status": {"n": status}} for status in (1, 2, "2", None, [2])]
    found = converted(*rows, {"text": "x"}, kind=kind, keep_rows={"status.n": ["2", "3"]})
    assert [isinstance(item, Drop) for item in found] == [True, False, False, True, True, True]
    assert all((item.reason, item.filtered) == ("other_status.n", True) for item in found if isinstance(item, Drop))
    assert found[0].detail == "'status.n' is '1'"


def test_a_template_takes_paths_too():
    (record,) = converted({"a": {"b": "One"}, "c": ["Two"]}, kind="text", text_template="{a.b}\n{c[]}")
    assert record.fields["text"] == "One\nTwo"
