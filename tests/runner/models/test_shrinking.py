"""A shrunk configuration is of the same shape as the real one, and small."""

import pytest
from recipekit.runner.models.known_config import public_models
from recipekit.runner.models.tiny import HEADS, LAYERS, shrunk

CONFIGS = {name: model["config"] for name, model in public_models().items()}


@pytest.mark.parametrize("name", CONFIGS)
def test_class_and_every_field_that_does_not_scale_stay(name):
    config, small = CONFIGS[name], shrunk(CONFIGS[name])
    scaled = {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim"}
    scaled |= {"n_embd", "n_layer", "n_head", "rope_scaling"}
    assert {key: value for key, value in small.items() if key not in scaled} == {k: v for k, v in config.items() if k not in scaled}
    assert small.keys() == config.keys()


@pytest.mark.parametrize("name", [name for name in CONFIGS if "num_key_value_heads" in CONFIGS[name]])
def test_heads_and_widths_keep_their_ratio(name):
    config, small = CONFIGS[name], shrunk(CONFIGS[name])
    assert small["num_attention_heads"] >= HEADS
    assert small["num_attention_heads"] % small["num_key_value_heads"] == 0
    for one, other in (("num_attention_heads", "num_key_value_heads"),):
        assert small[one] / small[other] == config[one] / config[other]
    assert small["intermediate_size"] / small["hidden_size"] == pytest.approx(config["intermediate_size"] / config["hidden_size"], rel=0.15)
    assert small["hidden_size"] < 256 and small["num_hidden_layers"] == LAYERS


def test_a_list_with_an_item_for_each_layer_is_cut_and_no_other():
    config = CONFIGS["Qwen/Qwen2-7B-Instruct"] | {"layer_types": ["full_attention"] * 28, "eos_token_id": [1, 2, 3]}
    assert shrunk(config)["layer_types"] == ["full_attention"] * LAYERS
    assert shrunk(config)["eos_token_id"] == [1, 2, 3]


def test_rope_factors_are_cut_to_the_dimensions_of_a_head_and_keep_all_else():
    config = CONFIGS["microsoft/Phi-3.5-mini-instruct"]
    real, small = config["rope_scaling"], shrunk(config)["rope_scaling"]
    assert small == {"type": "longrope", "long_factor": real["long_factor"][:8], "short_factor": real["short_factor"][:8]}
    llama = CONFIGS["meta-llama/Llama-3.2-1B-Instruct"]
    assert shrunk(llama)["rope_scaling"] == llama["rope_scaling"]


def test_code_and_quantisation_of_the_real_weights_are_left_out():
    config = CONFIGS["openai-community/gpt2"] | {"auto_map": {"AutoModel": "x.Y"}, "quantization_config": {"bits": 4}}
    assert not {"auto_map", "quantization_config"} & shrunk(config).keys()


def test_a_configuration_without_a_size_cannot_be_shrunk():
    with pytest.raises(KeyError, match="num_hidden_layers"):
        shrunk({"model_type": "odd", "hidden_size": 64})
