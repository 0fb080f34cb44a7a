"""A hint to save memory works: with the changes that it names, the training fits."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipekit.runner.models.size import model_size, public_models
from recipekit.runner.resources.fit import fit, less_memory, problems, warnings
from recipekit.runner.resources.forward_pass import largest_forward_pass
from recipekit.runner.runtime.machine import Machine
from recipekit.schemas.recipe import load_recipe
from recipekit.schemas.rules import findings
from recipekit.schemas.sections import Recipe

MODELS = [name for name in public_models() if model_size(name, public=public_models())]
TRAININGS = st.fixed_dictionaries({
    "adapter": st.sampled_from(["none", "lora", "qlora"]),
    "micro_batch_size": st.sampled_from([1, 3, 4, 16]),
    "gradient_accumulation_steps": st.sampled_from([1, 2]),
    "gradient_checkpointing": st.booleans(),
    "sequence_len": st.sampled_from([512, 4096]),
})  # fmt: skip


@given(st.sampled_from(MODELS), st.sampled_from([4, 8, 12, 24, 80]), TRAININGS)
@settings(max_examples=150, deadline=None)
def test_a_training_fits_with_each_change_that_is_named(tmp_path_factory, model, gib, training):
    folder = tmp_path_factory.getbasetemp()
    machine, size = Machine("cuda", 1, "a GPU", gib << 30, True), model_size(model, public=public_models())
    values = {"recipe": 1, "name": "r", "model": {"base_model": model}, "training": {"learning_rate": 1e-4, **training},
              "data": {"type": "chat", "sources": [{"path": "r", "converter": "messages"}]}}  # fmt: skip
    before = Recipe.from_values(values)
    assert size
    found = fit(before, size, machine, folder)
    assert not found.remedies or found.memory_most > found.memory_available
    for remedy in found.remedies:
        changed = {**values, "training": {**values["training"], **remedy.keys}}
        after = Recipe.from_values(changed)
        assert not findings(changed) and remedy.keys
        again = fit(after, size, machine, folder, rows=largest_forward_pass(after, None, varlen=False))
        assert again.memory_most <= again.memory_available and again.memory_needed <= remedy.needed
        step = [one.training.micro_batch_size * one.training.gradient_accumulation_steps for one in (before, after)]
        assert step[0] == step[1], "an optimizer step has the same rows"


SMALL = [("emogpt_qwen", 4), ("emollm_internlm2_full", 24), ("emollm_internlm2_full", 12), ("emogpt_phi35_mini", 6)]


@pytest.mark.parametrize(("name", "gib"), SMALL)
def test_a_shipped_recipe_fits_with_what_its_hint_sets(tmp_path, name, gib):
    machine = Machine("cuda", 1, "a GPU", gib << 30, True)
    recipe = load_recipe(name).recipe
    size = model_size(recipe.model.base_model, public=public_models())
    assert size
    found = fit(recipe, size, machine, tmp_path)
    assert found.remedies and less_memory(found).startswith("it fits with --set training.")
    for remedy in found.remedies:
        changed = load_recipe(name, tuple(remedy.settings())).recipe
        fits = fit(changed, size, machine, tmp_path)
        assert [line for line in warnings(fits) if "memory is tight" in line or "not enough memory, at" in line] == []
        assert [problem for problem in problems(fits, full_rows=True) if problem.rule == "memory"] == []


def test_nothing_is_named_where_nothing_helps(tmp_path):
    recipe = load_recipe("emollm_llama3_qlora").recipe
    size = model_size(recipe.model.base_model, public=public_models())
    assert size
    found = fit(recipe, size, Machine("cuda", 1, "a GPU", 4 << 30, True), tmp_path)
    assert found.remedies == () and "it does not fit with adapter: qlora" in less_memory(found)
