"""Entries that match nothing in the model are named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.runner.models.module_names import experts_note, modules_of, name_problems, untrained_problems

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


TRAINED = [f"base_model.model.model.layers.{layer}.self_attn.{name}.lora_{half}.default.weight"
           for layer in (0, 2) for name in ("q_proj", "v_proj") for half in "AB"]  # fmt: skip


@pytest.mark.parametrize(
    "config",
    [
        {"lora_rank_pattern": {"q_proj": 2, "^model.layers.0.self_attn.v_proj": 4}, "lora_alpha_pattern": {r".*layers\.2\..*proj": 8}},
        {"peft_layers_to_transform": [0, 2]}, {"peft_layers_to_transform": 2}, {"peft_layers_to_transform": None},
        {"lr_groups": [{"name": "q", "modules": ["q_proj", "layers.2"], "lr": 0.1}]},
    ],
)  # fmt: skip
def test_what_names_something_that_is_trained_is_accepted(config):
    assert list(untrained_problems(config, TRAINED, TRAINED)) == []


@pytest.mark.parametrize(
    ("config", "what"),
    [
        ({"lora_rank_pattern": {"k_proj": 2}}, "'k_proj' matches no module with an adapter; did you mean 'v_proj'? it has: q_proj, v_proj"),
        ({"lora_alpha_pattern": {"layers.1.self_attn.q_proj": 2}}, "'layers.1.self_attn.q_proj' matches no module with an adapter"),
        ({"peft_layers_to_transform": [0, 2, 40]}, "there is no adapter in layer 40, but in 0, 2"),
        (
            {"lr_groups": [{"name": "e", "modules": ["embed_tokens"], "lr": 0.1}]},
            "'embed_tokens' matches no weight that a group can have; it has: ",
        ),
    ],
    ids=str,
)
def test_what_names_nothing_that_is_trained_is_named(config, what):
    ((key, found),) = untrained_problems(config, TRAINED, TRAINED)
    assert [key] == list(config) and found.startswith(what.split(" it has")[0]), found


EXPERTS = ["base_model.model.model.layers.0.mlp.experts.base_layer.lora_A.default.weight"]


def test_names_of_experts_count_only_where_peft_gave_them_an_adapter():
    """For Mixtral it translates w1, for Qwen3 gate_proj, for gpt-oss neither: what it does not know is ignored."""
    wanted = {"lora_target_modules": ["q_proj", "gate_proj"]}
    assert list(untrained_problems(wanted, [*TRAINED, *EXPERTS], [])) == []
    ((key, what),) = untrained_problems(wanted, TRAINED, [])
    assert key == "lora_target_modules" and what.startswith("'gate_proj' has no adapter in this model; ")
    assert list(untrained_problems({"lora_target_modules": ".*(q|gate)_proj"}, TRAINED, [])) == []


def test_experts_that_are_one_tensor_have_no_dropout():
    linear = ["base_model.model.model.layers.0.mlp.experts.3.up_proj.lora_A.default.weight"]
    ((key, what),) = untrained_problems({"lora_dropout": 0.05}, [*TRAINED, *EXPERTS], [])
    assert key == "lora_dropout" and "would not load the adapter" in what
    for config, trained in (({"lora_dropout": 0.0}, EXPERTS), ({"lora_dropout": 0.05}, TRAINED), ({"lora_dropout": 0.05}, linear)):
        assert list(untrained_problems(config, trained, [])) == []


def test_experts_without_an_adapter_are_told():
    frozen = ["model.layers.0.mlp.experts.gate_up_proj", "model.layers.0.mlp.shared_experts.up_proj.weight"]
    assert "the experts have no adapter" in experts_note(TRAINED, frozen)
    assert experts_note([*TRAINED, *EXPERTS], frozen) == experts_note(TRAINED, frozen[1:]) == ""


def test_without_an_adapter_only_the_groups_are_looked_at():
    config = {"lora_rank_pattern": {"k_proj": 2}, "lr_groups": [{"name": "q", "modules": ["q_proj", "norm"], "lr": 0.1}]}
    trained = ["model.layers.0.self_attn.q_proj.weight", "model.norm.weight"]
    assert [what.split(";")[0] for _, what in untrained_problems(config, trained, trained[:1])] == [
        "'norm' matches no weight that a group can have"
    ]


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
