"""A config.json with values that no model has is refused in a line, wherever it is read; one with values that models have is read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recipekit.runner.models.architecture import architecture
from recipekit.runner.models.config_file import model_config
from recipekit.runner.models.folder_check import check_model_folder, require_unquantised
from recipekit.runner.models.reference import resolve_target
from recipekit.runner.models.size import model_size
from recipekit.runner.models.tiny import from_folder, shrunk
from recipekit.schemas.base.errors import UserError

from ...support.model_configs import QWEN

CONFIG = {**QWEN, "model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]}


def written(folder: Path, values: dict[str, Any] | str | bytes) -> Path:
    raw = values if isinstance(values, bytes) else (values if isinstance(values, str) else json.dumps(values)).encode()
    (folder / "config.json").write_bytes(raw)
    return folder


WRONG: dict[str, dict[str, Any]] = {
    "num_hidden_layers is no size: 1000000000": {"num_hidden_layers": 10**9},
    "n_layer is no size": {"n_layer": -1},
    "hidden_size is no size": {"hidden_size": 2**200},
    "hidden_size is no size: nan": {"hidden_size": float("nan")},
    "num_attention_heads is no size": {"num_attention_heads": "12"},
    "num_attention_heads is no size: 0": {"num_attention_heads": 0},
    "max_position_embeddings is no size": {"max_position_embeddings": 10**12},
    "vocab_size is no size: 1000000000": {"vocab_size": 10**9},
    "head_dim is no size": {"head_dim": 1.5},
    "intermediate_size is no size": {"intermediate_size": [8, "8"]},
    "vocab_size is no size": {"vocab_size": True},
    "num_labels is no size": {"num_labels": 10**10},
    "model_type is no text": {"model_type": ["qwen2"]},
    "hidden_act is no text": {"hidden_act": {"a": 1}},
    "rope_scaling is no object": {"rope_scaling": "yarn"},
    "text_config is no object": {"text_config": [1]},
    "num_hidden_layers is no size: 99999": {"text_config": {"num_hidden_layers": 99_999}},
    "architectures is no list of names": {"architectures": [3]},
    "architectures is no list": {"architectures": "Qwen2ForCausalLM"},
    "eos_token_id is no id of a token: {'a': 1}": {"eos_token_id": {"a": 1}},
    "eos_token_id is no id": {"eos_token_id": [[1]]},
    "pad_token_id is no id": {"pad_token_id": 10**12},
}
NONE_AT_ALL = ["", "[]", "{", '"a"', "[" * 5000, b"\xff", '{"a": 1}'.encode("utf-16"), b"\xef\xbb\xbf{}"]
READERS: list[Callable[[Path], object]] = [
    model_config, check_model_folder, lambda folder: model_size(str(folder)), lambda folder: architecture(str(folder)),
    lambda folder: require_unquantised("x", folder), lambda folder: from_folder("x", folder),
    lambda folder: resolve_target(str(folder), folder / "runs"),
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_a_value_that_no_model_has_is_refused_by_every_reader(tmp_path: Path, wrong: str) -> None:
    written(tmp_path, CONFIG | WRONG[wrong])
    for read in READERS:
        with pytest.raises(UserError, match="config.json") as refused:
            read(tmp_path)
        assert wrong in str(refused.value)


@pytest.mark.parametrize("text", NONE_AT_ALL, ids=range(len(NONE_AT_ALL)))
def test_a_file_that_is_no_configuration_is_refused_by_every_reader(tmp_path: Path, text: str | bytes) -> None:
    written(tmp_path, text)
    for read in READERS:
        with pytest.raises(UserError, match="config.json"):
            read(tmp_path)


REAL: list[dict[str, Any]] = [
    {"time_step_limit": [0.0, float("inf")]},  # of Mamba 2
    {"pad_token_id": -1}, {"max_position_embeddings": 1200.0}, {"hidden_size": 1536.0}, {"eos_token_id": [1, 2]}, {"eos_token_id": None}, {"sliding_window": None}, {"head_dim": None},
    {"intermediate_size": [64, 128]}, {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, {"rope_parameters": {"full_attention": {"factor": 8}}},
    {"rope_scaling": {"factor": float("inf")}}, {"rope_scaling": {"factor": 1e308}}, {"rope_scaling": {"factor": float("nan")}},
    {"rope_scaling": {"factor": 2, "original_max_position_embeddings": "many"}}, {"model_type": "roberta", "pad_token_id": [1]},
    {"num_key_value_heads": [1, 2]}, {"hidden_size": [1, 2]}, {"num_attention_heads": [1, 2]}, {"hidden_act": None}, {"text_config": {"max_position_embeddings": 64}},
]  # fmt: skip


@pytest.mark.parametrize("values", REAL, ids=str)
def test_what_models_have_is_read_by_every_reader(tmp_path: Path, values: dict[str, Any]) -> None:
    written(tmp_path, CONFIG | values)
    for read in READERS:
        read(tmp_path)


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-2, 9), st.sampled_from([10**9, 10**30, 0.5, float("inf"), "", "silu", "run:x", "llama"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["factor", "rope_type", "quant_method"]), inner, max_size=2)
    ),
    max_leaves=4,
)
KEYS = sorted({*CONFIG, "text_config", "rope_scaling", "rope_parameters", "quantization_config", "head_dim", "pad_token_id", "eos_token_id",
               "n_head", "n_embd", "n_layer", "mlp_bias", "partial_rotary_factor", "hidden_activation", "layer_types"})  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4))
def test_any_configuration_is_read_or_refused(tmp_path: Path, values: dict[str, Any]) -> None:
    written(tmp_path, CONFIG | values)
    for read in READERS:
        try:
            read(tmp_path)
        except UserError as error:
            assert "config" in str(error) or "quantised" in str(error)
    try:
        shrunk(from_folder("x", tmp_path).config)
    except (UserError, KeyError):
        pass


@pytest.mark.parametrize(
    "values", [{"intermediate_size": [64] * CONFIG["num_hidden_layers"]}, {"intermediate_size": [0]}], ids=["of Gemma 3n", "one"]
)
def test_a_width_of_each_layer_is_kept_for_the_layers_that_are_left(values: dict[str, Any]) -> None:
    assert len(shrunk(CONFIG | values)["intermediate_size"]) <= 2
