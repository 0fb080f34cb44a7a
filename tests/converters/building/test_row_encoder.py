"""A record becomes a line: its id, its fields, where it came from; and a digest that tells equal content."""

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from recipekit.converters.building.artifacts import artifacts
from recipekit.converters.building.chat_checks import record_fault
from recipekit.converters.building.row_encoder import (
    Lines,
    content_digest,
    group_keys,
    leak_digest,
    plain_chat,
    row_digest,
    with_system_prompt,
)
from recipekit.converters.building.row_hashes import WIDTH
from recipekit.converters.reading.records import Record, Row
from recipekit.converters.sources.registry import converter
from recipekit.schemas.validation import validator


def chat(*pairs):
    return [{"role": role, "content": content} for role, content in pairs]


EXCHANGE = chat(("user", "q"), ("assistant", "a"))


def line(writer, row, meta=None, fields=None):
    return orjson.loads(writer.line(Record(row, {}, meta or {}), orjson.dumps(fields or {"text": "t"})[1:-1]))


def test_a_line_says_where_its_record_came_from():
    row = line(Lines("messages", ""), Row(None, "a.jsonl", 3))
    assert row == {
        "id": "a.jsonl:3",
        "text": "t",
        "meta": {"origin": {"file": "a.jsonl", "line": 3, "converter": f"messages@{converter('messages').VERSION}"}},
    }


def test_meta_comes_before_origin_and_an_old_origin_is_replaced():
    row = line(Lines("messages", ""), Row(None, "a", 1), {"topic": "x", "origin": {"file": "older"}})
    assert list(row["meta"]) == ["topic", "origin"]
    assert row["meta"]["origin"]["file"] == "a"
    only = line(Lines("messages", ""), Row(None, "a", 1), {"origin": 1})
    assert only["meta"]["origin"]["line"] == 1


def test_ids_are_unique():
    writer = Lines("messages", "2/")
    rows = [Row(None, "a", 1), Row(None, "a", 1), Row(None, "a", 1, 2), Row(None, "a", 1, 2), Row(None, "a", 2), Row(None, "b", 2)]
    assert [line(writer, row)["id"] for row in rows] == ["2/a:1", "2/a:1#2", "2/a:1.2", "2/a:1.2#2", "2/a:2", "2/b:2"]


@pytest.mark.parametrize("name", ['quo"te', "per%cent %d", "back\\slash", "n\new", "字💻.jsonl", "{}"])
def test_any_file_name_is_in_the_line_as_it_is(name):
    row = line(Lines("messages", name), Row(None, name, 1))
    assert row["id"] == f"{name}{name}:1"
    assert row["meta"]["origin"]["file"] == name


def test_the_digest_leaves_the_system_message_and_training_flags_out():
    plain = content_digest("chat", {"messages": EXCHANGE})
    assert len(plain) == WIDTH
    assert content_digest("chat", {"messages": [*chat(("system", "s")), *EXCHANGE]}) == plain
    assert content_digest("chat", {"messages": [{**m, "train": True} for m in EXCHANGE]}) == plain
    assert content_digest("chat", {"messages": chat(("user", "q"), ("assistant", "b"))}) != plain


@pytest.mark.parametrize("other", [[*chat(("system", "s")), *EXCHANGE], [{**m, "train": True} for m in EXCHANGE]])
def test_rows_that_train_differently_have_different_digests(other):
    assert row_digest("chat", {"messages": other}) != row_digest("chat", {"messages": EXCHANGE})


@pytest.mark.parametrize(
    "form", ["cafe\u0301", "caf\u00e9 ", "\u200bcaf\u00e9", "\ufeffcaf\u00e9\n", "\u200fcaf\u00e9", "ca\xadf\u00e9\ufe0f"]
)
def test_unicode_forms_and_white_space_at_the_ends_make_no_difference(form):
    for digest in (row_digest, content_digest):
        expected = digest("text", {"text": "caf\u00e9"})
        assert digest("text", {"text": form}) == expected
        assert digest("chat", {"messages": chat(("user", form))}) == digest("chat", {"messages": chat(("user", "caf\u00e9"))})
    assert row_digest("text", {"text": "cafe"}) != expected
    if quick := plain_chat(chat(("user", form), ("assistant", "b"))):
        assert quick[1] == row_digest("chat", {"messages": chat(("user", "caf\u00e9"), ("assistant", "b"))})


def test_line_ends_of_windows_make_no_difference():
    windows, unix = chat(("user", "a\r\nb"), ("assistant", "c")), chat(("user", "a\nb"), ("assistant", "c"))
    quick = plain_chat(windows)
    assert quick and quick[1] == row_digest("chat", {"messages": windows}) == row_digest("chat", {"messages": unix})


def test_the_digest_of_a_text_has_its_label_in_it():
    assert content_digest("classification", {"text": "a", "label": "x"}) != content_digest("classification", {"text": "a", "label": "y"})
    assert content_digest("text", {"text": "a"}) == content_digest("text", {"text": "a", "meta": {}})


@given(
    st.lists(st.tuples(st.sampled_from(["user", "assistant", "system", "tool"]), st.text(max_size=5)), min_size=1, max_size=5),
    st.booleans(),
)
def test_the_quick_encoding_is_the_slow_one(pairs, backwards):
    messages = [dict(reversed(m.items())) if backwards else m for m in chat(*pairs)]
    quick = plain_chat(messages)
    if quick:
        body, digest, is_suspect = quick
        assert is_suspect or not artifacts({"messages": messages})
        assert body == orjson.dumps({"messages": messages})[1:-1]
        assert digest == row_digest("chat", {"messages": messages})
        assert record_fault("chat", {"messages": messages}) is None


ODD = [
    "",
    " ",
    "\n",
    "\x1c",
    "\x85",
    "\u00a0",
    "\u2028",
    "\u3000",
    "\ufeff",
    " \ufeff",
    "\ufeff.",
    "\u200b",
    " x",
    "é",
    "字",
    "💻",
    "a\ufeff",
]
CONTENTS = st.one_of(st.sampled_from(ODD), st.text(max_size=4), st.sampled_from([None, 3, ["a"], ("a",), b"a", {}]))
ROLES = st.sampled_from(["user", "assistant", "system", "tool", "bot", None])
MESSAGES = st.one_of(
    st.fixed_dictionaries({"role": ROLES, "content": CONTENTS}),
    st.fixed_dictionaries({"role": ROLES, "content": CONTENTS, "train": st.booleans()}),
    st.fixed_dictionaries({"role": ROLES}),
    st.fixed_dictionaries({"role": ROLES, "name": CONTENTS}),
)
TURNS = st.lists(st.fixed_dictionaries({"content": CONTENTS}), max_size=5).map(
    lambda texts: [{"role": ("user", "assistant")[number % 2], **text} for number, text in enumerate(texts)]
)


@given(st.one_of(st.lists(MESSAGES, min_size=1, max_size=5), TURNS.filter(bool), TURNS.map(lambda turns: [*chat(("system", "s")), *turns])))
@example(chat(("user", "\ufeff"), ("assistant", "\ufeff")))
@example(chat(("user", "\x1c"), ("assistant", "\x1c")))
@example([{"role": "system", "content": "s", "name": "x"}, *EXCHANGE])
@example([{"role": "user", "content": ("a",)}, {"role": "assistant", "content": "b"}])
def test_the_fast_encoding_accepts_only_valid_records(messages):
    if plain_chat(messages):
        assert record_fault("chat", {"messages": messages}) is None
        assert validator("chat").is_valid({"id": "-", "messages": messages})


def test_the_fast_encoding_accepts_ordinary_chats():
    assert plain_chat(EXCHANGE)
    assert plain_chat([*chat(("system", "s")), *EXCHANGE])
    assert plain_chat([]) is None
    assert plain_chat([{**m, "train": True} for m in EXCHANGE]) is None


def test_the_recipes_system_prompt_is_for_chats_without_one():
    assert with_system_prompt({"messages": EXCHANGE}, "Be brief.")["messages"][0] == {"role": "system", "content": "Be brief."}
    own = {"messages": [*chat(("system", "s")), *EXCHANGE]}
    assert with_system_prompt(own, "Be brief.") is own
    assert with_system_prompt({"text": "t"}, "Be brief.") == {"text": "t"}


def test_group_keys_come_from_meta_and_lists_give_one_each():
    keys = group_keys({"text": "t"}, {"author": "a", "posts": ["x", "y"], "none": None}, ["author", "posts", "none", "absent"])
    assert len(keys) == len(set(keys)) == 3
    assert all(len(key) == WIDTH for key in keys)
    assert group_keys({}, {"posts": ["y"]}, ["posts"])[0] in keys


def test_equal_values_of_different_keys_are_different_groups():
    assert group_keys({}, {"a": 1}, ["a"]) != group_keys({}, {"b": 1}, ["b"])


@pytest.mark.parametrize("form", [17, 17.0, "17", " 17 ", "17\u200b"])
def test_a_group_is_the_same_in_every_format_of_file(form):
    assert group_keys({}, {"author": form}, ["author"]) == group_keys({}, {"author": "17"}, ["author"])
    assert group_keys({}, {"author": "Zoe\u0308"}, ["author"]) == group_keys({}, {"author": "Zo\u00eb"}, ["author"])
    assert group_keys({}, {"author": form}, ["author"]) != group_keys({}, {"author": "18"}, ["author"])


@pytest.mark.parametrize("missing", [None, "", "  ", float("nan"), []])
def test_a_missing_value_is_no_group(missing):
    assert group_keys({}, {"author": missing}, ["author"]) == []


def test_what_leaks_a_row_is_its_turns_or_its_text():
    plain = leak_digest("chat", {"messages": EXCHANGE})
    for other in ([*chat(("system", "s")), *EXCHANGE], [{**m, "train": True} for m in EXCHANGE]):
        assert leak_digest("chat", {"messages": other}, row_digest("chat", {"messages": other})) == plain
    assert leak_digest("chat", {"messages": EXCHANGE}, row_digest("chat", {"messages": EXCHANGE})) == plain
    assert leak_digest("classification", {"text": "a", "label": "x"}) == leak_digest("classification", {"text": "a ", "label": "y"})
    assert leak_digest("classification", {"text": "a", "label": "x"}) != leak_digest("classification", {"text": "b", "label": "x"})


def test_the_order_of_the_keys_of_a_message_makes_no_difference():
    mixed = [EXCHANGE[0], dict(reversed(EXCHANGE[1].items()))]
    quick = plain_chat(mixed)
    assert quick and quick[1] == row_digest("chat", {"messages": EXCHANGE})


def test_rows_can_be_grouped_by_their_text():
    assert group_keys({"text": "t"}, {}, ["text"])
    assert group_keys({"text": "t"}, {"text": "of the source"}, ["text"]) == group_keys({}, {"text": "of the source"}, ["text"])
