"""How large models are: from headers, from configurations, and not at all where nobody can know."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from recipekit.runner.models.known_config import KnownConfig, hub_path, local_folder, public_models
from recipekit.runner.models.size import model_size, size_of_config
from recipekit.runner.models.tiny import shrunk
from recipekit.schemas.base.errors import UserError

from ...support.model_configs import GPT2, LLAMA2, LLAMA32, QWEN


@pytest.mark.parametrize("content", [b"", b'\x08\0\0\0\0\0\0\0{"a":', b"\x02\0\0\0\0\0\0\0[]", b'\x07\0\0\0\0\0\0\0{"a":1}'])
def test_weights_whose_header_is_damaged_are_named(tmp_path, content):
    (tmp_path / "config.json").write_text(json.dumps(QWEN))
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(UserError, match="model.safetensors: is damaged"):
        model_size(str(tmp_path))


@pytest.mark.parametrize(
    ("config", "published"),
    [(QWEN, 1_543_714_304), (LLAMA2, 6_738_415_616), (LLAMA32, 3_212_749_824), (GPT2, 124_439_808)],
    ids=["Qwen2.5-1.5B", "Llama-2-7b", "Llama-3.2-3B", "GPT-2"],
)
def test_a_configuration_gives_the_published_number_of_parameters(config, published):
    size = size_of_config(KnownConfig(config))
    assert size and size.parameters == published
    assert size.source == "its public configuration"


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("google/gemma-2-2b-it", 2_614_341_888),
        ("meta-llama/Llama-3.2-1B-Instruct", 1_235_814_400),
        ("microsoft/Phi-3.5-mini-instruct", 3_821_079_552),
        ("mistralai/Mistral-7B-Instruct-v0.3", 7_248_023_552),
    ],
)
def test_a_public_model_has_its_published_number_of_parameters(name, published):
    size = model_size(name)
    assert size and size.parameters == published


def test_a_computed_model_has_the_weights_that_transformers_makes():
    from transformers import AutoConfig, AutoModelForCausalLM

    for name, model in public_models().items():
        if "problem_type" in model["config"]:
            continue  # a classifier is only asked
        config = shrunk(model["config"]) | {"vocab_size": 99}
        kind = config.pop("model_type")
        made = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **config, pad_token_id=None))
        size = size_of_config(KnownConfig(config | {"model_type": kind}))
        assert size and size.parameters == sum(weight.numel() for weight in made.parameters()), name


def test_the_weights_of_a_folder_count_and_not_its_configuration(tiny_model):
    size = model_size(str(tiny_model))
    assert size and size.source == f"the weights in {tiny_model}"
    config = json.loads((tiny_model / "config.json").read_text())
    computed = size_of_config(KnownConfig(config))
    assert computed and size.shapes == computed.shapes
    assert (size.hidden, size.layers, size.heads, size.attention, size.key_values, size.intermediate) == (64, 2, 4, 64, 32, 128)


def test_a_tiny_gpt2_is_computed_as_it_is(tiny_gpt2):
    size = model_size(str(tiny_gpt2))
    computed = size_of_config(KnownConfig(json.loads((tiny_gpt2 / "config.json").read_text())))
    assert size and computed and size.parameters == computed.parameters
    assert len(size.linear) == len(computed.linear) == 8


def test_only_linear_layers_are_adapted():
    size = size_of_config(KnownConfig(LLAMA2))
    assert size and len(size.linear) == 7 * 32
    assert not any("embed" in name or "lm_head" in name or "norm" in name for name in size.linear)


def test_unknown_sizes_are_none(tmp_path):
    assert model_size("some/model") is None
    assert size_of_config(KnownConfig({"model_type": "mamba"})) is None
    for config in ('{"model_type": "mamba"}', '{"model_type": "llama"}'):  # the latter has its class's defaults
        (tmp_path / "config.json").write_text(config)
        assert model_size(str(tmp_path)) is None


def test_a_model_in_the_hubs_cache_is_found_by_its_revision(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    folder = tmp_path / "models--some--model"
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    (folder / "snapshots" / "abc" / "config.json").write_text(json.dumps(GPT2))
    assert local_folder("some/model", None) == local_folder("some/model", "abc") == folder / "snapshots" / "abc"
    assert local_folder("some/model", "other") is None
    size = model_size("some/model")
    assert size and size.parameters == 124_439_808


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"XDG_CACHE_HOME": "/caches"},
        {"HF_HOME": "~/hub"},
        {"HF_HOME": "$HOME/hub"},
        {"HF_HUB_CACHE": "~/models", "HF_TOKEN_PATH": "/keys/hub"},
    ],
    ids=str,
)
def test_the_hubs_files_are_where_huggingface_hub_has_them(monkeypatch, variables):
    pytest.importorskip("huggingface_hub", reason="needs the extra [data]")
    for name in ("HF_HOME", "XDG_CACHE_HOME", "HF_HUB_CACHE", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    program = "from huggingface_hub import constants\nprint(constants.HF_HUB_CACHE, constants.HF_TOKEN_PATH)"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert [hub_path("HF_HUB_CACHE", "hub"), hub_path("HF_TOKEN_PATH", "token")] == [Path(path) for path in said]
