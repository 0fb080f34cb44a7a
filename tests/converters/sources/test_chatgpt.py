"""Of ChatGPT's conversations the branch shown last is read; no word of one is lost uncounted."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.converters.building.conversion import Spec, convert_stream
from recipekit.converters.building.row_account import convert_rows
from recipekit.converters.reading.records import Drop, Row


def message(role, text, kind="text", **more):
    return {"author": {"role": role}, "content": {"content_type": kind, "parts": [text]}, "recipient": "all", "metadata": {}, **more}


def conversation(*messages):
    mapping = {str(n): {"parent": str(n - 1) if n else None, "message": one} for n, one in enumerate(messages)}
    return {"mapping": mapping, "current_node": str(len(messages) - 1)}


def converted(value, **options):
    (item,) = convert_rows("chatgpt", [Row(value, "conversations.json", 1)], "chat", options)
    return item


def contents(item):
    return [one["content"] for one in item.fields["messages"]]


def test_the_branch_of_the_current_node_is_read():
    value = conversation(message("user", "q"), message("assistant", "a"))
    value["mapping"]["other"] = {"parent": "0", "message": message("assistant", "b")}
    assert contents(converted(value)) == ["q", "a"] and converted(value).fixed == ("other_branches_left_out",)
    assert contents(converted({**value, "current_node": "other"})) == ["q", "b"]


@pytest.mark.parametrize(
    ("odd", "note"),
    [
        (message("assistant", "search", recipient="web"), "ended_before_tool_call"),
        (message("tool", "result"), "ended_before_tool_call"),
        (message("user", {"content_type": "image_asset_pointer"}, "multimodal_text"), "ended_before_media"),
        (message("user", "read this", metadata={"attachments": [{"name": "a.pdf"}]}), "ended_before_attached_file"),
        (message("assistant", "x", "new_kind"), "ended_before_other_content"),
    ],
)
def test_a_conversation_ends_before_what_text_does_not_explain(odd, note):
    value = conversation(message("user", "q"), message("assistant", "a"), odd, message("assistant", "after"))
    assert contents(converted(value)) == ["q", "a"] and converted(value).fixed == (note,)
    drop = converted(conversation(message("user", "q"), odd, message("assistant", "after")))
    assert isinstance(drop, Drop) and drop.filtered and drop.detail == note.replace("_", " ")


def test_nodes_that_lead_nowhere_are_dropped():
    value = conversation(message("user", "q"), message("assistant", "a"))
    for broken in ({"current_node": "7"}, {"mapping": []}, {"mapping": value["mapping"] | {"0": {"parent": "1"}}}, {"current_node": None}):
        assert converted(value | broken).reason == "no_conversation"


def test_a_tree_has_no_unread_keys():
    row = Row(conversation(message("user", "q"), message("assistant", "a")) | {"title": "T", "new": 1}, "c.json", 1)
    parts = convert_stream(Spec("chat", "chatgpt", {}), [row], 1 << 20)
    assert {key for part in parts for found in part.unread.values() for key in found.rows} == {"new"}


KINDS = ["text", "text", "text", "thoughts", "user_editable_context", "multimodal_text", "code", "execution_output", "new_kind"]
MESSAGES = st.builds(
    lambda n, role, kind, more: message(role, f"w{n}z", kind, **more),
    st.integers(0, 99),
    st.sampled_from(["user", "assistant", "user", "assistant", "system", "tool"]),
    st.sampled_from(KINDS),
    st.sampled_from([{}, {}, {"recipient": "web"}, {"recipient": "bio"}, {"status": "in_progress"},
                     {"metadata": {"is_visually_hidden_from_conversation": True}}, {"metadata": {"attachments": [1]}}]),
)  # fmt: skip


@given(st.lists(MESSAGES, min_size=1, max_size=8))
def test_words_that_are_left_out_are_counted(messages):
    value = conversation(*messages)
    item = converted(value)
    if isinstance(item, Drop):
        assert item.detail
        return
    words = set(re.findall(r"w\d+z", str(messages)))
    kept = set(re.findall(r"w\d+z", str(item.fields)))
    assert words == kept or any(note.endswith("_left_out") or note.startswith("ended_before") for note in item.fixed)
    roles = [one["role"] for one in item.fields["messages"] if one["role"] != "system"]
    assert roles == ["user", "assistant"] * (len(roles) // 2)
