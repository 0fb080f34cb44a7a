"""Refusals, blank replies, cut ones; and replies that only talk about such things."""

import pytest
from recipekit.runner.generate.filters import unusable
from recipekit.runner.providers.requests import Reply


def ended(text: str, finish: str = "stop", answers: bool = False, keep_cut: bool = False) -> str | None:
    found = unusable(Reply(text, finish, 1, 1), answers, keep_cut)
    return found.reason if found else None


@pytest.mark.parametrize(
    "text",
    [
        "抱歉，我不能完成这个任务。作为一个认知智能模型，我需要遵守法律法规。", "对不起，我无法提供这样的内容。", "作为一个人工智能助手，我没有感情。",
        "I'm sorry, but I can't help with that.", "I cannot assist with this request.", "As an AI language model, I do not feel.",
        "I apologize, but this is something I am unable to write.",
    ],
)  # fmt: skip
def test_a_refusal_is_known_by_its_first_words(text: str) -> None:
    assert ended(text) == "refused"
    assert ended(text, answers=True) is None, "unless a refusal is an answer"


@pytest.mark.parametrize(
    "text",
    ["病人：我不能入睡。\n医生：抱歉听到这些。", "I can't wait to tell you!", "Sorry seems to be the hardest word.", "She said she could not help it.",
     "love | joy"],
)  # fmt: skip
def test_a_text_that_resembles_a_refusal_is_kept(text: str) -> None:
    assert ended(text) is None


def test_a_later_refusal_in_a_dialogue_is_accepted() -> None:
    assert ended("病人：" + "我很难过。" * 40 + "\n医生：很遗憾，我无法替您决定。") is None


@pytest.mark.parametrize(
    ("text", "finish", "reason"),
    [("", "stop", "empty"), (" \n", "stop", "empty"), ("", "content_filter", "refused"), ("lo", "length", "cut")],
)
def test_blank_filtered_and_cut_replies_are_distinguished(text: str, finish: str, reason: str) -> None:
    assert ended(text, finish) == reason


def test_a_cut_reply_may_be_kept() -> None:
    assert ended("love", "length", keep_cut=True) is None
