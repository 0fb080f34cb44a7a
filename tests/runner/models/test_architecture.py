"""What of a config.json decides which kernels can be used."""

import json

import pytest
from recipekit.runner.models.architecture import architecture
from recipekit.runner.models.known_config import public_models

LLAMA = {"model_type": "llama", "hidden_size": 64, "num_attention_heads": 4}


@pytest.fixture
def of(tmp_path):
    def read(**changes):
        (tmp_path / "config.json").write_text(json.dumps(LLAMA | changes))
        found = architecture(str(tmp_path))
        assert found
        return found

    return read


def test_no_public_model_differs_from_its_family():
    found = {name: architecture(name) for name, facts in public_models().items() if facts["config"]["model_type"] != "roberta"}
    assert [name for name, one in found.items() if one is None or one.differs] == []


@pytest.mark.parametrize(
    ("config", "differs"),
    [
        ({"mlp_bias": True}, "mlp_bias: true"),  # Granite's code models
        ({"model_type": "phi3", "partial_rotary_factor": 0.75}, "partial_rotary_factor: 0.75"),  # Phi-4-mini
        ({"model_type": "phi3", "rope_parameters": {"partial_rotary_factor": 0.5}}, "partial_rotary_factor: 0.5"),
        ({"hidden_act": "gelu"}, "hidden_act: gelu"),
        ({"model_type": "gemma2", "hidden_activation": "silu"}, "hidden_act: silu"),
    ],
)
def test_a_layer_that_is_not_as_in_the_rest_of_its_family_is_named(of, config, differs):
    assert of(**config).differs == differs


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"mlp_bias": False, "hidden_act": "silu", "attention_bias": True},
        {"model_type": "phi3", "partial_rotary_factor": 1.0, "rope_scaling": None},
        {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}},
        {"model_type": "gemma2", "hidden_act": "gelu", "hidden_activation": "gelu_pytorch_tanh"},
    ],
)
def test_what_does_not_concern_the_kernels_is_not(of, config):
    assert of(**config).differs == ""


def test_the_width_of_a_head_is_read_or_computed(of):
    assert of().head == 16
    assert of(head_dim=100).head == 100
