import pytest
from recipekit.converters.sources.role_tags import has_role_tag, without_role_tags


def mended(*turns):
    """(role, content) pairs with the tags taken out, and what was done."""
    messages, done = without_role_tags([{"role": role, "content": content} for role, content in turns])
    return [(message["role"], message["content"]) for message in messages], done


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("我理解。\n\n医生：另外，少看手机。", "我理解。\n\n另外，少看手机。"),
        ("慢慢来。💪 医生：（安抚）休息一下。", "慢慢来。💪 （安抚）休息一下。"),
        ("医生：你好。", "你好。"),
        ("好。\n \n# 医生：再见。", "好。\n \n再见。"),
        ("好。\n**医生：** 再见。", "好。\n再见。"),
        ("好。\n医生: 再见。\n咨询师：保重。", "好。\n再见。\n保重。"),
    ],
    ids=["after a blank line", "after a space", "at the start", "as a heading", "in bold", "with a half-width colon, twice"],
)
def test_a_speakers_own_tag_is_removed(text, expected):
    assert mended(("user", "我很累。"), ("assistant", text)) == ([("user", "我很累。"), ("assistant", expected)], {"role_tag_removed"})


@pytest.mark.parametrize("text", ["医生，我很累。", "我是艾薇医生：请坐。", "我问医生：怎么办？", "病人的话", "你好"])
def test_a_mentioned_doctor_is_not_a_role_tag(text):
    assert not has_role_tag(text)
    assert mended(("user", text), ("assistant", "嗯")) == ([("user", text), ("assistant", "嗯")], set())


def test_another_speakers_tag_starts_a_new_message():
    turns, done = mended(("user", "我怕。"), ("assistant", "怕什么？\n病人：怕黑。\n医生：开灯吧。"))
    assert turns == [("user", "我怕。"), ("assistant", "怕什么？"), ("user", "怕黑。"), ("assistant", "开灯吧。")]
    assert done == {"role_tag_split"}


def test_an_answer_that_leaked_into_the_question_is_joined_with_the_answer():
    turns, done = mended(("user", "我怕。\n医生：怕什么？"), ("assistant", "说说看。"))
    assert turns == [("user", "我怕。"), ("assistant", "怕什么？\n\n说说看。")]
    assert done == {"role_tag_split"}


def test_a_message_of_only_another_speaker_changes_role():
    turns, done = mended(("user", "我怕。"), ("assistant", "病人：真的。"))
    assert turns == [("user", "我怕。\n\n真的。")]
    assert done == {"role_tag_split"}


def test_a_tag_alone_leaves_no_blank_message():
    turns, done = mended(("user", "我怕。"), ("assistant", "怕什么？\n病人："))
    assert turns == [("user", "我怕。"), ("assistant", "怕什么？")]
    assert done == {"role_tag_removed"}
    assert mended(("user", "病人：\n医生："), ("assistant", "嗯"))[0] == [("assistant", "嗯")]


def test_a_system_prompt_may_speak_of_tags():
    prompt = "请以如下格式返回： 病人：… 医生：…"
    assert mended(("system", prompt), ("user", "a"), ("assistant", "b"))[0][0] == ("system", prompt)


def test_messages_without_tags_are_the_same_objects():
    messages = [{"role": "user", "content": "a", "train": False}, {"role": "assistant", "content": "b"}]
    same, done = without_role_tags(messages)
    assert not done
    assert all(one is other for one, other in zip(same, messages, strict=True))
