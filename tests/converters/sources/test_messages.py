"""Chat rows in common forms."""

import json

import pytest
from recipekit.converters.reading.records import Drop, Record, Row
from recipekit.converters.sources.messages import convert
from recipekit.converters.sources.registry import is_stateless

HI = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]


def converted(*values, files=None, **options):
    rows = [Row(value, files[number - 1] if files else "f", number) for number, value in enumerate(values, 1)]
    return [(item.reason, item.detail) if isinstance(item, Drop) else item.fields["messages"] for item in convert(rows, **options)]


def test_a_system_prompt_next_to_the_messages_comes_first():
    system = {"role": "system", "content": "Be brief."}
    assert converted({"messages": HI, "system": "Be brief."}) == [[system, *HI]]
    assert converted({"messages": [system, *HI], "system": "Be brief."}) == [[system, *HI]]
    assert converted({"messages": HI, "system": " "}) == [HI]
    assert converted({"messages": [system, *HI], "system": "Be long."})[0][0] == "two_system_prompts"


def test_a_blank_system_message_is_left_out_and_counted():
    """As in each of HuggingChat's exports."""
    (record,) = convert([Row({"messages": [{"role": "system", "content": " "}, *HI]}, "f", 1)])
    assert isinstance(record, Record) and (record.fields["messages"], record.fixed) == (HI, ("blank_system_removed",))


def test_role_names_are_mapped_in_any_case():
    turns = [{"role": "Client", "content": "Hi"}, {"role": "counselor", "content": "Hello!"}]
    assert converted({"messages": turns}, roles={"client": "user", "Counselor": "assistant"}) == [HI]


def test_the_roles_own_names_are_read_in_any_case():
    turns = [{"role": "User", "content": "Hi"}, {"role": "ASSISTANT", "content": "Hello!"}]
    assert converted({"messages": turns}) == converted({"messages": turns}, roles={"x": "tool"}) == [HI]


def test_text_parts_are_one_text_and_others_are_refused():
    parts = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo!"}]
    assert converted({"messages": [HI[0], {"role": "assistant", "content": parts}]}) == [HI]
    image = [{"type": "image_url", "image_url": {"url": "x"}}, *parts]
    (found,) = converted({"messages": [{"role": "user", "content": image}, HI[1]]})
    assert found == ("content_not_text", "a content has a part of type 'image_url': only text is trained")


def test_a_conversation_may_be_an_object_of_lists():
    """As `datasets` writes a list of objects."""
    assert converted({"messages": {"role": ["user", "assistant"], "content": ["Hi", "Hello!"]}}) == [HI]
    assert converted({"messages": {"role": ["user"], "content": ["Hi", "Hello!"]}})[0][0] == "no_messages"
    turns = {"role": ["user", "assistant"], "content": ["Hi", "Hello!"], "images": [None, "a.png"]}
    assert converted({"messages": turns}) == [("unknown_message_key", "a message has 'images', which a chat record cannot hold")]


def test_a_role_may_be_a_number_or_a_truth_value():
    turns = [{"is_human": True, "message": "Hi"}, {"is_human": False, "message": "Hello!"}]
    roles = {"true": "user", "false": "assistant"}
    assert converted({"messages": turns}, role_key="is_human", content_key="message", roles=roles) == [HI]
    numbered = [{**message, "role": number} for number, message in enumerate(HI)]
    assert converted({"messages": numbered}, roles={"0": "user", "1": "assistant"}) == [HI]


def tree(*links, **more):
    """The rows of a tree, from `name parent rank` of each message."""
    found = []
    for link in links:
        name, parent, rank = [*link.split(), "", ""][:3]
        found.append({"tree": 1, "message_id": name, "parent_id": parent.strip("-") or None, "rank": int(rank) if rank else None,
                      "role": {"q": "user", "a": "assistant"}[name[0]], "content": name, **more})  # fmt: skip
    return found


@pytest.mark.parametrize(
    ("links", "kept", "dropped"),
    [
        (["q0", "a1 q0 1", "a2 q0 0", "q3 a2", "a4 q3"], ["q0", "a2", "q3", "a4"], {"other_branch": 1}),
        (["a4 q3", "q3 a2", "a2 q0", "q0"], ["q0", "a2", "q3", "a4"], {}),
        (["q0", "a1 q0", "q2 a1", "q3 a1", "a4 q3"], ["q0", "a1", "q3", "a4"], {"other_branch": 1}),
        (["q0", "a1 q0 0", "a2 q0 1", "q3 a1"], ["q0", "a1"], {"other_branch": 1, "no_reply": 1}),
        (["q0", "q1 q0"], None, {"no_reply": 2}),
        (["q0 elsewhere", "a1 q0"], ["q0", "a1"], {}),
        (["q0", "a0 q0", "q0 a0"], ["q0", "a0"], {"no_reply": 1}),  # an id twice
    ],
)
def test_the_best_branch_of_a_tree_is_followed_and_the_others_are_counted(links, kept, dropped):
    """As in OASST, whose best reply has rank 0."""
    rows = [Row(value, "f", number) for number, value in enumerate(tree(*links), 1)]
    items = [*convert(rows, conversation_key="tree", best_branch=True)]
    drops = [item for item in items if isinstance(item, Drop)]
    records = [[message["content"] for message in item.fields["messages"]] for item in items if isinstance(item, Record)]
    assert records == ([kept] if kept else [])
    assert {reason: [drop.reason for drop in drops].count(reason) for reason in {drop.reason for drop in drops}} == dropped
    assert all(drop.filtered for drop in drops)


def test_the_loss_of_a_message_that_is_a_row_says_whether_it_is_trained():
    found = converted(*({"id": 1, **message, "loss": message["role"] == "user"} for message in HI[:2]), conversation_key="id")
    assert [message.get("train") for message in found[0]] == [None, False]


def test_the_best_branch_of_rows_that_are_whole_conversations_is_refused():
    """It had no effect."""
    ((reason, detail),) = converted({"messages": HI}, best_branch=True)
    assert reason == "no_conversation" and detail.endswith("set conversation_key or conversation_per_file")


def test_a_tree_of_two_beginnings_is_no_conversation():
    found = converted(*tree("q0", "a1 q0", "q2", "a3 q2", "a4 q2"), conversation_key="tree", best_branch=True)
    assert [reason for reason, _ in found] == ["branches"]


def test_a_conversation_may_be_json_text():
    assert converted({"messages": json.dumps(HI)}) == [HI]
    assert converted({"messages": "Hi"})[0][0] == "no_messages"


@pytest.mark.parametrize("weight", [0.5, 2, "1"])
def test_a_weight_that_is_neither_0_nor_1_is_refused_with_its_value(weight):
    (found,) = converted({"messages": [HI[0], {**HI[1], "weight": weight}]})
    assert found == ("bad_weight", f"weight is {weight!r}: only 0 (not trained) and 1 (trained) are allowed")


def test_rows_of_one_message_are_grouped_by_a_key():
    rows = [
        {"id": 1, **HI[0]},
        {"id": 2, "role": "user", "content": "Bye"},
        {"id": 1, **HI[1]},
        {"id": 2, "role": "assistant", "content": "So long."},
    ]
    first, second = converted(*rows, conversation_key="id")
    assert first == HI and [message["content"] for message in second] == ["Bye", "So long."]
    assert converted({"role": "user", "content": "Hi"}, conversation_key="id")[0][0] == "no_conversation"


def test_grouped_rows_keep_all_their_values_in_meta():
    rows = [Row({"id": 1, "topic": "x", "at": n, **turn}, "f", n) for n, turn in enumerate((*HI, *HI), 1)]
    (record,) = convert(rows, conversation_key="id", keep_meta=["topic", "at"])
    assert record.meta == {"topic": "x", "at": [1, 2, 3, 4]}


@pytest.mark.parametrize("train", [{"train": False}, {"weight": 0}])
def test_a_last_reply_that_is_not_to_be_trained_is_not(train):
    (messages,) = converted({"messages": [*HI, HI[0], {**HI[1], **train}]}, last_only=True)
    assert [message["train"] for message in messages] == [False] * 4


def test_a_system_prompt_next_to_grouped_messages_is_that_of_the_conversation():
    rows = [{"id": 1, "system": "Be brief.", **turn} for turn in HI]
    assert converted(*rows, conversation_key="id") == [[{"role": "system", "content": "Be brief."}, *HI]]


def test_rows_of_one_message_are_grouped_by_their_file():
    assert converted(*HI, *HI, files=["a", "a", "b", "b"], conversation_per_file=True) == [HI, HI]


def test_a_conversation_of_many_rows_is_not_stateless():
    assert is_stateless("messages", {})
    assert not is_stateless("messages", {"conversation_key": "id"}) and not is_stateless("messages", {"conversation_per_file": True})


def test_one_value_in_two_files_is_two_conversations():
    again = [{"id": 1, **turn} for turn in HI]
    (found,) = converted(*again, *again, files=["a", "a", "b", "b"], conversation_key="id")
    assert found == ("conversation_in_two_files", "id 1 is in a and b: give every conversation a value of its own")


def test_a_weight_of_1_trains_no_question():
    assert converted({"messages": [{**HI[0], "weight": 1}, {**HI[1], "weight": 1}]}) == [[HI[0], {**HI[1], "train": True}]]


def test_a_value_that_is_not_a_list_of_messages_is_named():
    assert converted({"messages": HI[0]})[0][1] == "expected a list under 'messages'; it is an object"
    assert "as Python prints it: write it as JSON" in converted({"messages": str(HI)})[0][1]


@pytest.mark.parametrize("beside", [{"image": "x.png"}, {"audio": {"id": 1}}, {"annotations": [{"url": "u"}]}])
def test_keys_next_to_a_text_part_are_refused(beside):
    part = {"type": "text", "text": "Hi"}
    (found,) = converted({"messages": [{"role": "user", "content": [part | beside]}, HI[1]]})
    assert found == ("content_not_text", f"a text part of a content has {next(iter(beside))!r}, which a chat record cannot hold")
    empty = {key: None for key in beside} | {"cache_control": {"type": "ephemeral"}}
    assert converted({"messages": [{"role": "user", "content": [part | empty]}, HI[1]]}) == [HI]


@pytest.mark.parametrize(
    ("key", "places"),
    [
        ("turn", [3, 2, 1, 4]),
        ("created_at", ["2024-01-02", "2024-01-01", "2024-01-03", "2024-01-04"]),
        ("utterance_idx", ["3", "2", "1", "4"]),  # of a table
        ("ts", ["1690000002.5", "1690000001", "1690000003", "1690000004"]),
    ],
)
def test_rows_of_a_conversation_that_are_numbered_otherwise_are_refused(key, places):
    rows = [{"id": 1, key: place, **turn} for place, turn in zip(places, [*HI, *HI], strict=True)]
    (found,) = converted(*rows, conversation_key="id")
    assert found == ("not_in_order", f"the rows of the conversation are not in the order of {key!r}: sort them")
    assert converted(*sorted(rows, key=lambda row: row[key]), conversation_key="id")[0] != found
    assert len(converted(*({**row, key: None} for row in rows), conversation_key="id")) == 1


def test_numbers_of_rows_are_compared_as_numbers():
    rows = [{"id": 1, "turn": str(number), **HI[number % 2]} for number in range(8, 12)]
    assert converted(*rows, conversation_key="id") == [[*HI, *HI]]


def test_the_branches_of_a_tree_are_not_one_conversation():
    rows = [{"tree": 1, "message_id": name, "parent_id": parent, **HI["ab".index(who)]}
            for name, parent, who in (("q", None, "a"), ("r", "q", "b"), ("q2", "r", "a"), ("r2", "q2", "b"), ("q3", "r", "a"), ("r3", "q3", "b"))]  # fmt: skip
    assert converted(*rows, conversation_key="tree") == [
        ("branches", "message 'q3' answers 'r', not the message before it: set best_branch, or make each branch of the tree a conversation")
    ]
    assert converted(*rows[:4], conversation_key="tree") == [[*HI, *HI]]


def test_a_list_of_messages_may_be_a_tree_or_in_reverse_order():
    listed = [{"messageId": name, "parentMessageId": parent, **HI["ab".index(who)]}
              for name, parent, who in (("q", "none", "a"), ("r", "q", "b"), ("q2", "r", "a"), ("r2", "q2", "b"), ("q3", "r", "a"), ("r3", "q3", "b"))]  # fmt: skip
    ids = ["messageId", "parentMessageId", "created_at"]
    assert converted({"messages": listed}, ignore_message_keys=ids)[0][0] == "branches"
    assert converted({"messages": listed[:4]}, ignore_message_keys=ids) == [[*HI, *HI]]
    late = [{**turn, "created_at": f"2026-01-01T10:0{9 - number}:00"} for number, turn in enumerate([*HI, *HI])]
    assert converted({"messages": late}, ignore_message_keys=ids)[0] == (
        "newest_first",
        "the messages are in the reverse order of 'created_at': sort them",
    )
    alike = [{**turn, "created_at": "2026-01-01T10:00:00"} for turn in HI]
    assert converted({"messages": alike}, ignore_message_keys=ids) == [HI]


def test_ids_that_excel_has_rounded_do_not_join_conversations():
    rows = [{"id": "1.23457E+15", **turn} for turn in [*HI, *HI]]
    found = converted(*rows, conversation_key="id")
    assert found == [("rounded_id", "'id' is 1.23457E+15: Excel has rounded it; export the column as text")] * 4


def test_keys_of_messages_are_refused_unless_they_are_listed():
    turns = [{**turn, "id": number, "sent_at": "09:00"} for number, turn in enumerate(HI)]
    assert converted({"messages": turns})[0] == ("unknown_message_key", "a message has 'id', which a chat record cannot hold")
    assert converted({"messages": turns}, ignore_message_keys=["id", "sent_at"]) == [HI]


def test_a_system_prompt_in_parts_is_one_text():
    system = {"role": "system", "parts": [{"text": "Be "}, {"text": "brief."}]}
    turns = [{"role": turn["role"], "parts": [{"text": turn["content"]}]} for turn in HI]
    found = converted(
        {"contents": turns, "systemInstruction": system}, messages_key="contents", content_key="parts", system_key="systemInstruction"
    )
    assert found == [[{"role": "system", "content": "Be brief."}, *HI]]
    assert converted({"messages": HI, "system": [{"text": "Be "}, {"type": "text", "text": "brief."}]}) == found


@pytest.mark.parametrize(
    ("key", "value", "path"),
    [
        ("metadata", {"flagged": True}, "metadata.flagged"),
        ("response_metadata", {"finish_reason": "length"}, "response_metadata.finish_reason"),
        ("info", {"review": {"deleted": True}}, "info.review.deleted"),
    ],
)
def test_a_message_whose_metadata_says_that_it_is_no_good_is_refused(key, value, path):
    """Also where the object that says so is ignored, as `recipe new` does with metadata; not where its very key is."""
    chat = {"messages": [HI[0], {**HI[1], key: value}]}
    for ignored in ([], [key]):
        ((reason, detail),) = converted(chat, ignore_message_keys=ignored)
        assert reason == "bad_message" and path in detail
    assert converted(chat, ignore_message_keys=[key, path]) == [HI]
