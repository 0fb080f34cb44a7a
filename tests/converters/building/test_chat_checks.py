"""A record is valid by its schema and by what a schema cannot say."""

import pytest
from recipekit.converters.building.chat_checks import plain_contents, record_fault


def chat(*roles, content="text"):
    return [{"role": role, "content": content} for role in roles]


def reason(messages):
    fault = record_fault("chat", {"messages": messages})
    return fault and fault[0]


@pytest.mark.parametrize(
    "roles",
    [
        ("user", "assistant"),
        ("system", "user", "assistant"),
        ("user", "assistant", "user", "assistant"),
        ("user", "assistant", "tool", "assistant"),
        ("user", "assistant", "tool", "tool", "assistant"),
    ],
)
def test_a_conversation_that_ends_with_the_assistant_is_valid(roles):
    assert reason(chat(*roles)) is None


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([], "no_messages"),
        (None, "no_messages"),
        (chat("user"), "one_message"),
        (chat("user", "user", "assistant"), "roles_do_not_alternate"),
        (chat("assistant", "user", "assistant"), "roles_do_not_alternate"),
        (chat("user", "tool", "assistant"), "roles_do_not_alternate"),
        (chat("user", "assistant", "user"), "last_not_assistant"),
        (chat("system", "system", "user", "assistant"), "system_not_first"),
        (chat("user", "system", "assistant"), "system_not_first"),
        (chat("user", "bot"), "unknown_role"),
        (chat("user", "assistant", content=" \n"), "empty_content"),
        (chat("user", "assistant", content=""), "empty_content"),
        (chat("user", "assistant", content=None), "content_not_text"),
        (chat("user", "assistant", content=[{"type": "text"}]), "content_not_text"),
        (chat(*["user", "assistant"] * 501), "too_long"),
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "train": False}], "nothing_trained"),
    ],
)
def test_every_fault_of_a_chat_has_a_reason(messages, expected):
    assert reason(messages) == expected


def test_the_detail_says_which_message():
    assert record_fault("chat", {"messages": chat("user", "user")}) == ("roles_do_not_alternate", "messages[1]: user after user")


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        ("text", {"text": "a"}, None),
        ("text", {"text": " "}, "empty_text"),
        ("text", {}, "no_text"),
        ("text", {"text": "a", "more": 1}, "unknown_key"),
        ("classification", {"text": "a", "label": "x"}, None),
        ("classification", {"text": "a", "label": ""}, "empty_label"),
        ("classification", {"text": "a", "label": 3}, "no_label"),
        ("classification", {"label": "x"}, "no_text"),
    ],
)
def test_every_fault_of_a_text_or_label_has_a_reason(kind, fields, expected):
    fault = record_fault(kind, fields)
    assert (fault and fault[0]) == expected


@pytest.mark.parametrize("content", ["x", " x", "\nx", "é", "字", "💻"])
def test_the_fast_check_accepts_ordinary_chats(content):
    assert plain_contents(chat("user", "assistant", content=content), chat("user", "assistant", content=content))
    with_system = chat("system", "user", "assistant", content=content)
    assert plain_contents(with_system, with_system[1:])


def test_the_fast_check_accepts_the_longest_chat():
    longest = chat(*["user", "assistant"] * 499)
    assert plain_contents(longest, longest)
    assert not plain_contents(chat(*["user", "assistant"] * 501), chat(*["user", "assistant"] * 501))
