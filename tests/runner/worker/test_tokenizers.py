"""Tokens are counted with the tokenizer that is named."""

from pathlib import Path

import pytest
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.runner.worker.tokenizers import recipe_tokenizer, tokenizer
from recipekit.runner.workflows.mask import masked_rows
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.recipe import load_recipe

from ...support.jsonl import read_jsonl


def test_cl100k_gives_known_tokens_and_their_pieces():
    found = tokenizer("cl100k")
    assert found.encode("hello world") == [15339, 1917]
    assert [found.piece(token) for token in (15339, 1917)] == ["hello", " world"]
    assert found.render is None


def test_special_tokens_in_a_text_are_text():
    assert len(tokenizer("cl100k").encode("<|endoftext|>")) > 1


def test_a_missing_model_is_a_user_error():
    with pytest.raises(UserError, match="no such model folder"):
        tokenizer("./nowhere")


def as_trained(loaded, folder):
    """Ids of the first rows as a recipe's tokenizer gives them, and as the trainer gets them."""
    trained = masked_rows(loaded, Path("runs"), RunFolder(folder), "train", 3)
    found = recipe_tokenizer(loaded, Path("runs"))
    records = {record["id"]: record for record in read_jsonl(folder / "data" / "train.jsonl")}
    return [found.row_ids(records[row["id"]]) for row in trained], [row["input_ids"] for row in trained]


@pytest.mark.train
def test_the_rows_of_a_recipe_are_the_trainers(tmp_path):
    shown, trained = as_trained(load_recipe("quickstart"), tmp_path)
    assert shown == trained


@pytest.mark.long
@pytest.mark.parametrize("name", ["emogpt_gemma2_2b", "emollm_llama3_qlora", "babylm_gpt2", "mbti_llama2_ei"])
def test_the_rows_of_other_types_and_templates_are_the_trainers(name, tmp_path):
    """Gemma's template with a folded system message, Llama's, a text between its tokens, a classified text."""
    shown, trained = as_trained(load_recipe(name, smoke=True), tmp_path)
    assert shown == trained


def test_a_template_that_axolotl_does_not_have_is_refused(tiny_model):
    loaded = load_recipe("quickstart", (f"model.base_model={tiny_model}",))
    loaded = loaded._replace(recipe=loaded.recipe._replace(model=loaded.recipe.model._replace(chat_template="nowhere")))
    with pytest.raises(UserError, match="Axolotl has no chat template nowhere"):
        recipe_tokenizer(loaded, Path("runs"))
