"""What an evaluation needs on a GPU, and when its base model is quantised as in training."""

import pytest
from recipekit.runner.models.size import model_size
from recipekit.runner.resources.evaluation_memory import evaluated_bits, evaluation_memory
from recipekit.runner.runtime.machine import Machine
from recipekit.schemas.sections import Recipe

LLAMA_8B, QWEN_1B5 = "meta-llama/Meta-Llama-3-8B-Instruct", "Qwen/Qwen2.5-1.5B-Instruct"


def gpu(gib):
    return Machine("cuda", 1, "a GPU", gib << 30, True)


def size_of(name):
    found = model_size(name)
    assert found
    return found


@pytest.mark.parametrize(
    ("model", "bits", "machine", "found"),
    [
        (LLAMA_8B, 4, gpu(12), 4),
        (LLAMA_8B, 4, gpu(16), 4),
        (LLAMA_8B, 4, gpu(24), 0),
        (LLAMA_8B, 8, gpu(12), 8),
        (LLAMA_8B, 0, gpu(12), 0),
        (QWEN_1B5, 4, gpu(8), 0),
        (LLAMA_8B, 4, gpu(0), 0),
        (LLAMA_8B, 4, Machine(memory=8 << 30), 0),
    ],
)
def test_a_model_is_evaluated_in_16_bits_where_they_fit(model, bits, machine, found):
    assert evaluated_bits(bits, size_of(model), machine) == found


def test_a_model_of_unknown_size_is_evaluated_in_16_bits():
    assert evaluated_bits(4, None, gpu(8)) == 0


def test_what_an_evaluation_needs_is_in_its_parts(minimal):
    recipe = Recipe.from_values(minimal({"training.adapter": "qlora", "evaluation": {"metrics": ["perplexity"]}}))
    size = size_of(LLAMA_8B)
    whole, quantised = (evaluation_memory(recipe, size, gpu(gib), 2048) for gib in (24, 12))
    assert whole["weights"] == 2 * size.parameters
    assert 5e9 < quantised["weights"] < 7e9 and sum(quantised.values()) < 12 << 30
    replies = recipe._replace(evaluation=recipe.evaluation._replace(metrics=("stop_rate",)))
    many_heads = size_of("meta-llama/Llama-2-7b-hf")
    rows = [evaluation_memory(asked, many_heads, gpu(24), 2048)["row"] for asked in (recipe, replies)]
    assert rows[0] < rows[1], "the cache of a reply is larger than the logits of its row"
    assert evaluation_memory(recipe._replace(training=recipe.training._replace(adapter="none")), size, gpu(80), 64)["adapter"] == 0
