import pytest
from recipekit.converters.sources.turns import chat_messages, history_pairs


def test_turns_become_messages_after_the_system_prompt():
    assert chat_messages([("q1", "a1"), ("q2", "a2")], "s") == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "q1"},
        {"role": "assistant", "content": "a1"},
        {"role": "user", "content": "q2"},
        {"role": "assistant", "content": "a2"},
    ]


@pytest.mark.parametrize("system", [None, ""])
def test_without_a_system_prompt_there_is_no_system_message(system):
    assert [message["role"] for message in chat_messages([("q", "a")], system)] == ["user", "assistant"]


def test_values_that_are_not_text_are_passed_on():
    assert chat_messages([(1, None)], 5) == [
        {"role": "system", "content": 5},
        {"role": "user", "content": 1},
        {"role": "assistant", "content": None},
    ]


@pytest.mark.parametrize("history", [[["q", "a"]], [{"query": "q", "response": "a"}]], ids=["pairs", "objects"])
def test_both_forms_of_history_are_read(history):
    assert history_pairs(history) == [("q", "a")]


@pytest.mark.parametrize("history", [None, []], ids=repr)
def test_a_missing_history_is_empty(history):
    assert history_pairs(history) == []


@pytest.mark.parametrize("history", ["q", {"query": "q"}, [["q"]], [["q", "a", "b"]], [{"query": "q"}], ["qa"], [None]], ids=repr)
def test_an_ambiguous_history_is_refused(history):
    assert history_pairs(history) is None
