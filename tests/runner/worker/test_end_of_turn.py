"""A reply ends with a token of the model that the template writes after it, and that is not padding."""

from types import SimpleNamespace

import pytest

pytest.importorskip("transformers", reason="needs the extra [train]: transformers")

from recipekit.runner.worker.label_audit import end_of_turn_problem, text_after_reply

from ...support.tiny import TEMPLATE


@pytest.fixture
def tokenizer(tiny_model):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model)


def problem(tokenizer, *ends):
    return end_of_turn_problem(SimpleNamespace(eot_tokens=ends, template_name="the template"), tokenizer)


def test_the_end_that_the_template_writes_is_fine(tokenizer):
    assert problem(tokenizer) == problem(tokenizer, "<|im_end|>") == ""
    assert text_after_reply(tokenizer) == "<|im_end|>"


def test_a_token_outside_the_vocabulary_is_named_with_the_one_that_is_written(tokenizer):
    assert problem(tokenizer, "<x>") == (
        "model.end_of_turn: '<x>' is not a token of the model; the template writes '<|im_end|>' after a reply: set model.end_of_turn: '<|im_end|>'"
    )


def test_a_token_that_the_template_does_not_write_is_named(tokenizer):
    assert problem(tokenizer, "<|im_start|>") == (
        "model.end_of_turn: '<|im_start|>' does not end a reply; the template writes '<|im_end|>' after a reply: "
        "set model.end_of_turn: '<|im_end|>'"
    )


def test_a_template_that_ends_replies_with_plain_text_needs_another(tokenizer):
    tokenizer.chat_template = TEMPLATE.replace("<|im_end|>", "</end>")
    assert problem(tokenizer) == (
        "the tokenizer's end of turn, '<|im_end|>', does not end a reply; the template writes '</end>' after a reply: "
        "choose the model.chat_template that the model was trained with"
    )


def test_padding_with_the_end_of_turn_is_refused(tokenizer):
    tokenizer.pad_token = "<|im_end|>"
    assert problem(tokenizer).startswith("the tokenizer's end of turn, '<|im_end|>', is also the padding token")


def test_a_template_that_refuses_a_short_chat_shows_no_end(tokenizer):
    tokenizer.chat_template = "{{ raise_exception('no') }}"
    assert text_after_reply(tokenizer) is None
    assert problem(tokenizer) == ""
