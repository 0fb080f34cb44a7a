"""A row has no more tokens than the model has positions, wherever its configuration is known."""

import json

import pytest
from recipekit.runner.models.architecture import architecture, architecture_of, positions_of
from recipekit.runner.resources.model_checks import architecture_problems, beyond_the_context
from recipekit.schemas.recipe import load_recipe

from ...support.tiny import write_recipe


@pytest.mark.parametrize(
    ("config", "positions"),
    [
        ({"model_type": "llama", "max_position_embeddings": 4096}, 4096),
        ({"model_type": "gpt2", "n_positions": 1024}, 1024),
        ({"model_type": "bert", "max_position_embeddings": 512}, 512),
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"model_type": "roberta", "max_position_embeddings": 130}, 128),
        ({"model_type": "gemma3", "text_config": {"model_type": "gemma3_text", "max_position_embeddings": 8192}}, 8192),
        ({"model_type": "llama", "max_position_embeddings": 2048, "rope_scaling": {"type": "linear", "factor": 2.0}}, 4096),
        ({"model_type": "qwen2", "max_position_embeddings": 32768, "rope_scaling": {"type": "yarn", "factor": 4.0,
         "original_max_position_embeddings": 32768}}, 131072),
        ({"model_type": "llama", "max_position_embeddings": 131072, "rope_parameters": {"rope_type": "llama3", "factor": 8.0,
         "original_max_position_embeddings": 8192}}, 131072),
        ({"model_type": "t5", "n_positions": 512}, None),
        ({"model_type": "xlnet", "max_position_embeddings": -1}, None),
        ({"model_type": "mamba"}, None),
    ],
)  # fmt: skip
def test_the_positions_of_a_model_are_read_from_its_configuration(config, positions):
    assert positions_of(config) == positions


@pytest.fixture
def problems(tmp_path):
    (tmp_path / "model").mkdir()
    config = {"model_type": "gpt2", "n_positions": 128, "n_embd": 64, "n_head": 4, "n_layer": 2}
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    path = write_recipe(tmp_path, tmp_path / "model")

    def found(*settings):
        loaded = load_recipe(str(path), settings)
        return architecture_problems(loaded, architecture_of(loaded.recipe.model))

    return found


def test_a_longer_sequence_is_named_where_it_was_set_with_what_to_write(problems):
    assert problems() == []
    (problem,) = problems("training.sequence_len=2048")
    assert problem.location.file == "--set training.sequence_len=2048"
    assert problem.what == "training.sequence_len: 2048 is more than the model's 128 positions"
    assert problem.hint.startswith("set it to 128, or choose another model")


def test_a_default_that_is_too_long_is_named_too(problems, tmp_path):
    path = tmp_path / "tiny.yml"
    path.write_text(path.read_text().replace("  sequence_len: 128\n", ""))
    (problem,) = problems()
    assert "2048 is more than the model's 128 positions" in problem.what and problem.location.line


def test_an_unknown_model_gets_no_note(problems):
    assert problems("model.base_model=nobody/knows-this", "training.sequence_len=99999") == []
    assert beyond_the_context(99999, architecture("nobody/knows-this")) == ""
