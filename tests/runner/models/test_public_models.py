"""The table of public configurations: complete for what shipped recipes name, and of the size that the models have."""

import pytest
from recipekit.runner.models.known_config import public_models
from recipekit.schemas.extends import shipped_recipes
from recipekit.schemas.recipe import load_recipe

BILLIONS = {
    "Qwen/Qwen2.5-1.5B-Instruct": 1.54, "Qwen/Qwen2-7B-Instruct": 7.62, "meta-llama/Llama-2-7b-hf": 6.74,
    "meta-llama/Meta-Llama-3-8B-Instruct": 8.03, "meta-llama/Llama-3.2-3B-Instruct": 3.21, "internlm/internlm2-base-7b": 7.74,
    "internlm/internlm2-chat-7b": 7.74, "openai-community/gpt2": 0.124, "openai-community/gpt2-medium": 0.355,
    "meta-llama/Llama-3.2-1B-Instruct": 1.24, "microsoft/Phi-3.5-mini-instruct": 3.82, "google/gemma-2-2b-it": 2.61,
    "mistralai/Mistral-7B-Instruct-v0.3": 7.25,
}  # fmt: skip


def weights(config: dict) -> int:
    """The number of weights that the fields stand for, small vectors left out."""
    if config["model_type"] == "gpt2":
        width = config["n_embd"]
        return config["n_layer"] * 12 * width * width + (config["vocab_size"] + config["n_positions"]) * width
    width, heads = config["hidden_size"], config["num_attention_heads"]
    head = config.get("head_dim", width // heads)
    layer = 2 * width * head * (heads + config["num_key_value_heads"]) + 3 * width * config["intermediate_size"]
    embeddings = config["vocab_size"] * width * (1 if config["tie_word_embeddings"] else 2)
    return config["num_hidden_layers"] * layer + embeddings


@pytest.mark.parametrize(("name", "size"), BILLIONS.items())
def test_the_fields_come_to_the_published_size(name, size):
    assert weights(public_models()[name]["config"]) / 1e9 == pytest.approx(size, rel=0.005)


def test_every_model_of_a_shipped_recipe_is_in_it_and_no_other():
    recipes = [load_recipe(path.stem).recipe for path in shipped_recipes()]
    trained = {recipe.model.base_model for recipe in recipes if ":" not in recipe.model.base_model}
    asked = {provider.model for recipe in recipes if recipe.generate for provider in recipe.generate.providers}
    classifiers = {name for name, model in public_models().items() if "problem_type" in model["config"]}
    assert classifiers <= asked
    assert trained == set(public_models()) - classifiers == set(BILLIONS)
