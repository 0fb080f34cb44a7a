import pytest
from recipekit.converters.building.chat_checks import record_fault
from recipekit.converters.reading.records import Row
from recipekit.converters.sources.sharegpt import convert, role


def one(value, **options):
    (item,) = convert([Row(value, "s.json", 1)], **options)
    return item


def turns(*pairs):
    return [{"from": speaker, "value": text} for speaker, text in pairs]


def test_human_and_gpt_become_user_and_assistant():
    item = one({"conversations": turns(("human", "q"), ("gpt", "a"))})
    assert item.fields["messages"] == [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]


def test_the_system_prompt_is_a_key_or_the_first_turn():
    beside = one({"conversations": turns(("human", "q"), ("gpt", "a")), "system": "s"})
    first = one({"conversations": turns(("system", "s"), ("human", "q"), ("gpt", "a"))})
    assert beside.fields == first.fields
    assert beside.fields["messages"][0] == {"role": "system", "content": "s"}


def test_two_system_prompts_are_refused():
    item = one({"conversations": turns(("system", "s"), ("human", "q"), ("gpt", "a")), "system": "t"})
    assert item.reason == "two_system_prompts"


def test_an_unknown_speaker_is_named():
    fields = one({"conversations": turns(("human", "q"), ("narrator", "a"))}).fields
    reason, detail = record_fault("chat", fields)
    assert reason == "unknown_role" and detail.startswith("messages[1].role is 'narrator'; use")


@pytest.mark.parametrize(
    ("speaker", "expected"),
    [("Human", "user"), ("GPT", "assistant"), ("model", "assistant"), ("observation", "tool"), (None, None), (3, 3)],
)
def test_speakers_are_known_in_any_case(speaker, expected):
    assert role(speaker) == expected


def test_a_weight_of_zero_is_not_trained():
    conversation = [*turns(("human", "q")), {"from": "gpt", "value": "a", "weight": 0}]
    assert one({"conversations": conversation}).fields["messages"][1]["train"] is False


def test_an_extra_key_of_a_turn_is_refused():
    assert one({"conversations": [{"from": "human", "value": "q", "image": "x.png"}]}).reason == "unknown_message_key"


@pytest.mark.parametrize("row", [{}, {"conversations": []}, {"conversations": "q"}, []], ids=repr)
def test_a_row_without_turns_is_a_drop(row):
    assert one(row).reason == "no_messages"


def test_keys_are_options():
    row = {"dialog": [{"who": "user", "says": "q"}, {"who": "bot", "says": "a"}], "prompt": "s", "lang": "en"}
    row["dialog"][1]["who"] = "bard"
    names = {"conversations_key": "dialog", "from_key": "who", "value_key": "says", "system_key": "prompt"}
    item = one(row, **names, keep_meta=["lang"], last_only=True)
    assert [(m["role"], m["content"]) for m in item.fields["messages"]] == [("system", "s"), ("user", "q"), ("assistant", "a")]
    assert item.fields["messages"][-1]["train"] is True
    assert item.meta == {"lang": "en"}
