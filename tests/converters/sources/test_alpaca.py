import pytest
from recipekit.converters.reading.records import Record, Row
from recipekit.converters.sources.alpaca import convert, missing_keys, prompt


def one(value, **options):
    (item,) = convert([Row(value, "a.json", 1)], **options)
    return item


def contents(item):
    return [message["content"] for message in item.fields["messages"]]


def test_instruction_and_input_make_the_question():
    assert contents(one({"instruction": "Name it.", "input": "I can't wait!", "output": "Joy"})) == ["Name it.\n\nI can't wait!", "Joy"]


@pytest.mark.parametrize("given", [{}, {"input": ""}, {"input": "  \n"}, {"input": None}], ids=repr)
def test_a_blank_input_leaves_the_instruction_alone(given):
    assert contents(one({"instruction": "Name it.", "output": "Joy", **given})) == ["Name it.", "Joy"]


def test_templates_and_keys_are_options():
    row = {"q": "Say {input}", "more": "x{instruction}", "a": "ok"}
    item = one(row, instruction_key="q", input_key="more", output_key="a", with_input="### {instruction}\n>>> {input}")
    assert contents(item) == ["### Say {input}\n>>> x{instruction}", "ok"]
    item = one({"q": "Say", "a": "ok"}, instruction_key="q", output_key="a", without_input="### {instruction}")
    assert contents(item) == ["### Say", "ok"]


def test_system_and_history_come_first():
    row = {"instruction": "q2", "output": "a2", "system": "s", "history": [["q1", "a1"]]}
    assert contents(one(row)) == ["s", "q1", "a1", "q2", "a2"]


def test_a_malformed_history_is_dropped():
    assert one({"instruction": "q", "output": "a", "history": "before"}).reason == "unknown_history"


def test_a_missing_key_is_named_with_the_keys_that_are_there():
    drop = one({"instruction": "q", "response": "a"})
    assert (drop.reason, drop.detail) == ("missing_key", "no 'output'; the row has instruction, response")
    assert missing_keys([], "a") == "expected an object"


def test_meta_is_kept_where_the_row_has_it():
    assert one({"instruction": "q", "output": "a", "id": 7}, keep_meta=["id", "lang"]).meta == {"id": 7}


@pytest.mark.parametrize(("instruction", "given", "expected"), [(5, "x", 5), ("q", 5, 5), (" ", "x", " "), (None, None, None)])
def test_values_that_are_not_text_are_passed_on(instruction, given, expected):
    assert prompt(instruction, given) == expected


def test_every_row_gives_one_item():
    rows = [Row(value, "a", 1) for value in ({"instruction": "q", "output": "a"}, {}, {"instruction": "q", "output": ""})]
    items = list(convert(rows))
    assert [isinstance(item, Record) for item in items] == [True, False, True]
