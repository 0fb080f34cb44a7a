"""A hint to save memory works: with the changes that it names, the training fits, and a step keeps its rows."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipekit.runner.models.known_config import public_models
from recipekit.runner.models.size import model_size
from recipekit.runner.resources.fit import fit, less_memory, problems, warnings
from recipekit.runner.resources.forward_pass import largest_forward_pass
from recipekit.runner.resources.remedies import MainMemory, remedies
from recipekit.runner.runtime.machine import Machine
from recipekit.schemas.batch import batch_of
from recipekit.schemas.recipe import load_recipe
from recipekit.schemas.rules import findings
from recipekit.schemas.sections import Recipe

MODELS = [name for name in public_models() if model_size(name)]
TRAININGS = st.fixed_dictionaries({
    "adapter": st.sampled_from(["none", "lora", "qlora"]),
    "micro_batch_size": st.sampled_from([1, 3, 4, 16]),
    "gradient_accumulation_steps": st.sampled_from([1, 2]),
    "gradient_checkpointing": st.booleans(),
    "optimizer": st.sampled_from(["adamw_torch", "paged_adamw_8bit"]),
    "sequence_len": st.sampled_from([512, 4096]),
})  # fmt: skip


def with_keys(values, keys):
    """The values of a recipe with these keys, as `--set` changes them."""
    changed = copy.deepcopy(values)
    for key, value in keys.items():
        section, _, name = key.partition(".")
        changed.setdefault(section, {})[name] = value
    return changed


@given(st.sampled_from(MODELS), st.sampled_from([4, 8, 12, 24, 80]), st.sampled_from([1, 4]), TRAININGS)
@settings(max_examples=150, deadline=None)
def test_a_training_fits_with_each_change_that_is_named(tmp_path_factory, model, gib, gpus, training):
    folder = tmp_path_factory.getbasetemp()
    machine, size = Machine("cuda", gpus, "a GPU", gib << 30, True), model_size(model)
    values = {"recipe": 1, "name": "r", "model": {"base_model": model}, "training": {"learning_rate": 1e-4, **training},
              "data": {"type": "chat", "sources": [{"path": "r", "converter": "messages"}]}}  # fmt: skip
    before = Recipe.from_values(values)
    assert size
    found = fit(before, size, machine, folder)
    assert not found.remedies or found.memory_most > found.memory_available
    for remedy in found.remedies:
        changed = with_keys(values, remedy.keys)
        after = Recipe.from_values(changed)
        assert not findings(changed) and remedy.keys
        again = fit(after, size, machine, folder, rows=largest_forward_pass(after, None, varlen=False))
        assert again.memory_most <= again.memory_available and again.memory_needed <= remedy.needed
        assert batch_of(after).rows == batch_of(before).rows, "an optimizer step has the same rows"
        processes = after.launch.num_processes
        assert remedy.gpus == (processes if processes > gpus else 0), "what this machine does not have is named"


SMALL = [("emogpt_qwen", 4), ("emollm_internlm2_full", 24), ("emollm_internlm2_full", 12), ("emogpt_phi35_mini", 6)]


@pytest.mark.parametrize(("name", "gib"), SMALL)
def test_a_shipped_recipe_fits_with_what_its_hint_sets(tmp_path, name, gib):
    machine = Machine("cuda", 1, "a GPU", gib << 30, True)
    recipe = load_recipe(name).recipe
    size = model_size(recipe.model.base_model)
    assert size
    found = fit(recipe, size, machine, tmp_path)
    assert found.remedies and less_memory(found).startswith("it fits with --set training.")
    for remedy in found.remedies:
        changed = load_recipe(name, tuple(remedy.settings())).recipe
        fits = fit(changed, size, machine, tmp_path)
        assert [line for line in warnings(fits) if "memory is tight" in line or "not enough memory, at" in line] == []
        assert [problem for problem in problems(fits, full_rows=True) if problem.rule == "memory"] == []


def of_shipped(name, gpus, gib, main=None, **changes):
    """What is named for a shipped recipe on GPUs of this size."""
    recipe = load_recipe(name, tuple(f"training.{key}={value}" for key, value in changes.items())).recipe
    size = model_size(recipe.model.base_model)
    assert size
    rows = largest_forward_pass(recipe, None, varlen=False)
    return remedies(recipe, size, Machine("cuda", gpus, "a GPU", gib << 30, True), 0, rows, gib << 30, 1.2, main or MainMemory())


def test_what_trains_the_same_is_named_before_what_trains_otherwise():
    first, *others = of_shipped("emollm_internlm2_full", 4, 80)
    assert first.keys == {"launch.engine": "torchrun", "launch.fsdp": True, "launch.num_processes": 4, "training.micro_batch_size": 1,
                          "training.gradient_accumulation_steps": 1} and not first.gpus  # fmt: skip
    assert any("training.adapter" in remedy.keys for remedy in others)


def test_gpus_that_the_machine_does_not_have_are_named_last_with_their_number(tmp_path):
    *others, last = of_shipped("emollm_internlm2_full", 1, 80)
    assert others and last.gpus == 4 and last.keys["launch.fsdp"] is True
    recipe = load_recipe("emollm_internlm2_full").recipe
    size = model_size(recipe.model.base_model)
    assert size
    hint = less_memory(fit(recipe, size, Machine("cuda", 1, "a GPU", 80 << 30, True), tmp_path))
    assert "or on 4 such GPUs with --set launch.engine=torchrun --set launch.fsdp=true --set launch.num_processes=4" in hint
    assert hint.endswith(" on each)")


def test_the_optimizer_moves_to_main_memory_that_is_large_enough_if_deepspeed_can_compile_it():
    offloaded = {"launch.engine": "deepspeed", "launch.zero_stage": 2, "launch.offload_optimizer": True}
    assert of_shipped("emollm_internlm2_full", 1, 80, MainMemory(512 << 30, True))[0].keys == offloaded
    for main in (MainMemory(512 << 30, False), MainMemory(64 << 30, True), MainMemory()):
        assert not any("launch.offload_optimizer" in remedy.keys for remedy in of_shipped("emollm_internlm2_full", 1, 80, main))


def test_an_8_bit_optimizer_is_named_for_the_training_of_every_weight():
    named = [remedy.keys for remedy in of_shipped("babylm_gpt2_medium", 1, 7, sequence_len=64)]
    assert {"training.optimizer": "paged_adamw_8bit"} in named


def test_nothing_is_named_where_nothing_helps(tmp_path):
    recipe = load_recipe("emollm_llama3_qlora").recipe
    size = model_size(recipe.model.base_model)
    assert size
    found = fit(recipe, size, Machine("cuda", 1, "a GPU", 4 << 30, True), tmp_path)
    assert found.remedies == () and "it does not fit with adapter: qlora" in less_memory(found)
