"""Entries that match nothing in the model are named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.runner.models.module_names import modules_of, name_problems

PARAMETERS = ["model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight", "model.layers.0.mlp.up_proj.weight", "model.norm.weight",
              "lm_head.weight"]  # fmt: skip
MODULES = modules_of(PARAMETERS)


def problems(**config):
    return list(name_problems({"adapter": "lora", **config}, MODULES, PARAMETERS))


def test_modules_are_those_that_hold_parameters_and_those_around_them():
    assert MODULES == [
        "model", "model.embed_tokens", "model.layers", "model.layers.0", "model.layers.0.self_attn", "model.layers.0.self_attn.q_proj",
        "model.layers.0.mlp", "model.layers.0.mlp.up_proj", "model.norm", "lm_head",
    ]  # fmt: skip


@pytest.mark.parametrize("wanted", [["q_proj", "lm_head"], ["self_attn.q_proj"], ["model.embed_tokens"], r".*\.(q|up)_proj", None, []])
def test_names_of_the_model_are_accepted(wanted):
    assert problems(lora_target_modules=wanted) == []


@pytest.mark.parametrize(
    "config",
    [
        {"lora_rank_pattern": {".*q_proj": 2, "layers.0.mlp.up_proj": 4}},
        {"lora_alpha_pattern": {"q_proj": 8}},
        {"lora_target_parameters": ["mlp.up_proj.weight"]},
        {"lr_groups": [{"name": "q", "modules": ["q_proj", "mlp"], "lr": 0.1}]},
        {"unfrozen_parameters": ["model.layers.0", "^lm_head.weight$[:100]", "model.layers.[0-9]+.mlp"]},
        {},
    ],
)
def test_patterns_that_match_are_accepted(config):
    assert problems(**config) == []


@pytest.mark.parametrize(
    "config",
    [
        {"lora_rank_pattern": {"k_proj": 2}},
        {"lora_alpha_pattern": {".*query": 8}},
        {"lora_target_parameters": ["mlp.experts.gate_up_proj"]},
        {"lr_groups": [{"name": "q", "modules": ["query"], "lr": 0.1}]},
        {"unfrozen_parameters": ["layers.0.mlp"]},
        {"unfrozen_parameters": "model.layers.7"},
    ],
    ids=str,
)
def test_patterns_that_match_nothing_are_named_with_the_models_own(config):
    ((key, what),) = problems(**config)
    assert [key] == list(config)
    assert "of the model; " in what and "it has: " in what and ("q_proj" in what)


def test_each_entry_that_matches_nothing_is_named_with_the_models_own():
    found = [what for _, what in problems(lora_modules_to_save=["embed_token", "query_key_value", "proj", "lm_head"])]
    assert [what.split(";")[0] for what in found] == [
        f"{name!r} matches no module of the model" for name in ("embed_token", "query_key_value", "proj")
    ]
    assert "did you mean 'embed_tokens'?" in found[0]
    assert "it has: embed_tokens, layers, lm_head, mlp" in found[1]


def test_a_regular_expression_that_matches_nothing_is_named():
    assert "'.*(k_proj)' matches no module" in problems(lora_target_modules=".*(k_proj)")[0][1]


def test_without_an_adapter_its_names_are_not_looked_at():
    assert problems(adapter=None, lora_target_modules=["no_such"]) == []


def test_experts_that_are_fused_in_memory_go_by_the_names_that_peft_translates():
    parameters = ["model.layers.0.mlp.experts.gate_up_proj"]
    assert list(name_problems({"adapter": "lora", "lora_target_modules": ["w1", "gate_proj"]}, modules_of(parameters), parameters)) == []


@given(st.sampled_from(MODULES), st.integers(0, 4))
def test_every_tail_of_a_modules_path_matches_it(module, parts):
    assert problems(lora_target_modules=[".".join(module.split(".")[-1 - parts :])]) == []
