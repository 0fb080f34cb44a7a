"""Entries that match nothing in the model are named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.runner.worker.adapter_modules import module_problems

MODULES = ["", "model", "model.embed_tokens", "model.layers", "model.layers.0", "model.layers.0.self_attn.q_proj", "model.layers.0.mlp.up_proj",
           "lm_head"]  # fmt: skip


@pytest.mark.parametrize("wanted", [["q_proj", "lm_head"], ["self_attn.q_proj"], ["model.embed_tokens"], r".*\.(q|up)_proj", None, []])
def test_names_of_the_model_are_accepted(wanted):
    assert module_problems("lora_target_modules", wanted, MODULES) == []


def test_each_entry_that_matches_nothing_is_named_with_the_models_own():
    found = module_problems("lora_modules_to_save", ["embed_token", "query_key_value", "proj", "lm_head"], MODULES)
    assert [line.split(";")[0] for line in found] == [
        f"lora_modules_to_save: {name!r} matches no module of the model" for name in ("embed_token", "query_key_value", "proj")
    ]
    assert "did you mean 'embed_tokens'?" in found[0]
    assert "it has: embed_tokens, layers, lm_head, mlp" in found[1] or "q_proj" in found[1]


def test_a_regular_expression_that_matches_nothing_is_named():
    assert "'.*(k_proj)' matches no module" in module_problems("lora_target_modules", ".*(k_proj)", MODULES)[0]


@given(st.sampled_from([name for name in MODULES if name]), st.integers(0, 4))
def test_every_tail_of_a_modules_path_matches_it(module, parts):
    tail = ".".join(module.split(".")[-1 - parts :])
    assert module_problems("lora_target_modules", [tail], MODULES) == []
