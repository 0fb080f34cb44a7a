"""Names of modules are held to the model before anything is read, wherever its names are known."""

import pytest
from recipekit.runner.resources.model_checks import model_name_problems
from recipekit.schemas.recipe import load_recipe

from ...support.tiny import write_recipe


@pytest.fixture
def problems(tmp_path):
    (tmp_path / "model").mkdir()
    config = """{"model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
                 "vocab_size": 512, "tie_word_embeddings": true}"""
    (tmp_path / "model" / "config.json").write_text(config)
    path = write_recipe(tmp_path, tmp_path / "model")

    def found(*settings):
        return model_name_problems(load_recipe(str(path), settings))

    return found


@pytest.mark.parametrize(
    ("setting", "entry"),
    [
        ("training.lora_target_modules=[q_proj, query_key_value]", "query_key_value"),
        ("axolotl.lora_modules_to_save=[embed_token]", "embed_token"),
        ("axolotl.lora_rank_pattern={k_prj: 4}", "k_prj"),
        ("axolotl.lr_groups=[{name: a, modules: [q_prj], lr: 0.1}]", "q_prj"),
    ],
)
def test_a_name_that_matches_nothing_is_named_where_it_was_set(problems, setting, entry):
    (problem,) = problems(setting)
    assert problem.location.file == f"--set {setting}"
    assert problem.what.startswith(setting.partition("=")[0] + f": {entry!r} matches no ")
    assert "it has: " in problem.what


def test_names_of_the_model_are_accepted(problems):
    assert problems() == []
    assert problems("training.lora_target_modules=[q_proj, mlp.up_proj]", "axolotl.lora_modules_to_save=[embed_tokens, lm_head]") == []


def test_full_training_names_parameters(problems, tmp_path):
    path = tmp_path / "tiny.yml"
    lines = path.read_text().replace("adapter: lora", "adapter: none").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "lora_" not in line))
    assert problems("axolotl.unfrozen_parameters=[model.layers.1, lm_head]") == []
    (problem,) = problems("axolotl.unfrozen_parameters=[layers.1]")
    assert "'layers.1' matches no parameter of the model" in problem.what


def test_a_model_that_is_not_local_gets_no_note(problems):
    assert problems("model.base_model=nobody/knows-this", "training.lora_target_modules=[anything]") == []
