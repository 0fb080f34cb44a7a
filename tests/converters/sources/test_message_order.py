"""Messages that are no conversation in its order."""

import pytest
from recipekit.converters.sources.message_order import fault_of_order

SAID = [
    {"role": role, "content": text} for role, text in (("user", "Hi"), ("assistant", "Hello!"), ("user", "Bye"), ("assistant", "So long."))
]


@pytest.mark.parametrize("key", ["topicId", "conversation_id", "thread_id"])
def test_messages_of_several_conversations_are_not_one(key):
    apart = [{**message, key: number // 2} for number, message in enumerate(SAID)]
    assert fault_of_order(apart) == (f"{key!r} is '0' and '1': write each conversation as a row", "several_conversations")
    assert fault_of_order([{**message, key: 7} for message in SAID]) is None
    assert fault_of_order([SAID[0], {**SAID[1], key: 7}]) is None
