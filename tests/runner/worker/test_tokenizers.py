"""Tokens are counted with the tokenizer that is named."""

import pytest
from recipekit.runner.worker.tokenizers import tokenizer
from recipekit.schemas.base.errors import UserError


def test_cl100k_gives_known_tokens_and_their_pieces():
    found = tokenizer("cl100k")
    assert found.encode("hello world") == [15339, 1917]
    assert [found.piece(token) for token in (15339, 1917)] == ["hello", " world"]
    assert found.render is None


def test_special_tokens_in_a_text_are_text():
    assert len(tokenizer("cl100k").encode("<|endoftext|>")) > 1


def test_a_model_that_is_not_there_is_a_persons_mistake():
    with pytest.raises(UserError, match="no such model folder"):
        tokenizer("./nowhere")
