import pytest
from recipekit.converters.building.chat_checks import record_fault
from recipekit.converters.reading.records import Row
from recipekit.converters.sources.prompt_completion import convert


def one(value, kind="chat", **options):
    (item,) = convert([Row(value, "p.jsonl", 1)], kind, **options)
    return item


def test_a_prompt_is_asked_and_its_completion_answered():
    assert one({"prompt": "q", "completion": "a"}).fields["messages"] == [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "a"},
    ]


def test_as_text_columns_are_joined_by_the_template():
    assert one({"prompt": "1+1=", "completion": "2"}, "text").fields == {"text": "1+1=2"}
    joined = one({"prompt": "q", "completion": "a"}, "text", text_template="问：{prompt}\n答：{completion}")
    assert joined.fields == {"text": "问：q\n答：a"}


def test_lists_of_messages_train_the_completion_only():
    row = {
        "prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}],
        "completion": [{"role": "assistant", "content": "a"}],
    }
    fields = one(row).fields
    assert [(m["role"], m.get("train")) for m in fields["messages"]] == [("system", False), ("user", False), ("assistant", None)]
    assert record_fault("chat", fields) is None


def test_lists_of_messages_cannot_be_joined_into_a_text():
    assert one({"prompt": [], "completion": []}, "text").reason == "not_text"


def test_a_list_of_something_else_is_refused_by_the_record_checks():
    fields = one({"prompt": ["q"], "completion": [{"role": "assistant", "content": "a"}]}).fields
    assert record_fault("chat", fields)[0] == "unknown_role"


@pytest.mark.parametrize("row", [{"prompt": "q"}, {"completion": "a"}, [], None], ids=repr)
def test_a_row_without_both_is_a_drop(row):
    assert one(row).reason == "missing_key"


def test_keys_and_meta_are_options():
    item = one({"q": "x", "a": "y", "book": "Emma"}, prompt_key="q", completion_key="a", keep_meta=["book"])
    assert [m["content"] for m in item.fields["messages"]] == ["x", "y"]
    assert item.meta == {"book": "Emma"}


def test_a_message_of_the_prompt_that_is_to_be_trained_is_refused():
    turns = [{"role": "user", "content": "q", "train": True}], [{"role": "assistant", "content": "a"}]
    drop = one(dict(zip(("prompt", "completion"), turns, strict=True)))
    assert (drop.reason, "converter messages" in drop.detail) == ("trained_prompt", True)
