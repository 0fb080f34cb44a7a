import pytest
from recipekit.converters.sources.counselling_forms import Conversation, Fault, read_conversation


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"conversation": [{"system": "s", "input": "q", "output": "a"}, {"input": "q2", "output": "a2"}]},
         Conversation("native", [("q", "a"), ("q2", "a2")], "s")),
        ({"conversation": [{"input": "q", "output": "a"}]}, Conversation("native", [("q", "a")])),
        ({"instruction": "q", "input": "", "output": "a"}, Conversation("alpaca", [("q", "a")])),
        ({"instruction": "q", "input": "more", "output": "a", "domain": []}, Conversation("alpaca", [("q\n\nmore", "a")])),
        ({"prompt": "q", "completion": "a"}, Conversation("prompt_completion", [("q", "a")])),
        ({"question": "q", "answer": "a"}, Conversation("question_answer", [("q", "a")])),
        ({"system": "s", "input": "q", "output": "a"}, Conversation("input_output", [("q", "a")], "s")),
        ({"query": "q", "response": "a", "history": []}, Conversation("swift", [("q", "a")])),
        ({"query": "q2", "response": "a2", "history": [["q", "a"]], "system": "s"},
         Conversation("swift", [("q", "a"), ("q2", "a2")], "s")),
        ({"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}], "system": "s"},
         Conversation("sharegpt", [("q", "a")], "s")),
        ({"conversations": [{"from": "system", "value": "s"}, {"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]},
         Conversation("sharegpt", [("q", "a")], "s")),
        ({"instruction": "s\n\n对话：\n来访者：q\n医生：a\n来访者：q2\n医生：", "output": "a2"},
         Conversation("flat", [("q", "a"), ("q2", "a2")], "s")),
        ({"instruction": "对话：\n来访者：q\n医生：", "output": "a"}, Conversation("flat", [("q", "a")])),
    ],
)  # fmt: skip
def test_every_form_is_recognised_by_its_keys(row, expected):
    assert read_conversation(row) == expected


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (None, "not_an_object"),
        ([{"input": "q"}], "not_an_object"),
        ({}, "unknown_form"),
        ({"text": "a"}, "unknown_form"),
        ({"conversation": []}, "empty_conversation"),
        ({"conversation": "q"}, "conversation_not_a_list"),
        ({"conversation": None}, "conversation_not_a_list"),
        ({"conversation": [{}]}, "empty_turn"),
        ({"conversation": [None]}, "empty_turn"),
        ({"conversation": ["q"]}, "turn_not_an_object"),
        ({"conversation": [{"input": "q", "output": "a", "mood": "calm"}]}, "unknown_turn_key"),
        ({"conversation": [{"output": "a"}]}, "missing_input"),
        ({"conversation": [{"input": "q"}]}, "missing_output"),
        ({"conversation": [{"system": "s"}]}, "missing_input"),
        ({"conversation": [{"input": "q", "output": "a"}, {"system": "s", "input": "q", "output": "a"}]}, "system_not_first"),
        ({"query": "q", "response": "a", "history": "before"}, "unknown_history"),
        ({"instruction": "q", "output": "a", "history": [1]}, "unknown_history"),
        ({"instruction": "对话：\n来访者：q\n来访者：q2\n医生：", "output": "a"}, "roles_do_not_alternate"),
        ({"conversations": []}, "empty_conversation"),
        ({"conversations": [{"from": "human", "value": "q"}]}, "roles_do_not_alternate"),
        ({"conversations": [{"from": "system", "value": "s"}]}, "roles_do_not_alternate"),
        ({"conversations": ["q", "a"]}, "roles_do_not_alternate"),
    ],
)
def test_invalid_forms_are_dropped_by_reason(row, reason):
    found = read_conversation(row)
    assert isinstance(found, Fault)
    assert found.reason == reason


def test_the_faulty_turn_is_named():
    turns = [{"input": "q", "output": "a"}, {"input": "q2"}]
    assert read_conversation({"conversation": turns}) == Fault("missing_output", "turn 1")


def test_an_unknown_form_lists_the_keys_and_the_forms():
    found = read_conversation({"title": "x", "body": "y"})
    assert isinstance(found, Fault)
    assert found.detail.startswith("has title, body; expected conversation, conversations, query and response")


def test_a_native_record_may_have_other_keys():
    """They are reported as those of any source."""
    value = {"conversation": [{"input": "q", "output": "a"}], "topic": "sleep"}
    assert read_conversation(value) == Conversation("native", [("q", "a")])
