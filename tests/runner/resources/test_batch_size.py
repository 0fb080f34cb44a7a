"""`micro_batch_size: auto`: what is chosen, for what reason, and that a run keeps it."""

import pytest
from recipekit.runner.models.known_config import KnownConfig
from recipekit.runner.models.size import size_of_config
from recipekit.runner.resources.batch_size import choose_micro_batch_size, chosen, locked_batch, with_batch
from recipekit.runner.resources.fit import MOST_ON_GPU
from recipekit.runner.resources.forward_pass import largest_forward_pass
from recipekit.runner.resources.memory import memory_plan
from recipekit.runner.runtime.machine import Machine
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.batch import batch_of, with_micro_batch_size
from recipekit.schemas.recipe import load_recipe
from recipekit.schemas.sections import Recipe
from recipekit.schemas.yaml_writing import to_yaml

from ...support.model_configs import QWEN

LENGTHS = [300] * 400
AUTO = {"training.micro_batch_size": "auto", "training.global_batch_size": 64, "training.adapter": "qlora",
        "training.gradient_checkpointing": False}  # fmt: skip
MANIFEST = {"splits": {"train": 0}}


def gpu(gigabytes: float) -> Machine:
    return Machine("cuda", 1, "a GPU", int(gigabytes * 1e9), True, memory=64 << 30)


@pytest.fixture
def recipe(minimal):
    return Recipe.from_values(minimal(AUTO))


@pytest.fixture
def loaded(minimal, tmp_path):
    def build(changes=None):
        path = tmp_path / "auto.yml"
        path.write_text(to_yaml(minimal(AUTO | {"model.base_model": "Qwen/Qwen2.5-1.5B-Instruct"} | (changes or {}))))
        return load_recipe(str(path))

    return build


@pytest.mark.parametrize("varlen", [True, False])
@pytest.mark.parametrize("gigabytes", [4, 8, 24, 80])
def test_the_largest_that_fits_even_if_the_prediction_is_wrong_is_chosen(recipe, gigabytes, varlen):
    size = size_of_config(KnownConfig(QWEN))
    found = choose_micro_batch_size(recipe, size, gpu(gigabytes), 0, LENGTHS, varlen)

    def most(micro):
        tried = with_micro_batch_size(recipe, micro)
        return memory_plan(tried, size, gpu(gigabytes), 0, largest_forward_pass(tried, LENGTHS, varlen)).total * MOST_ON_GPU

    sizes = [1, 2, 4, 8, 16, 32, 64] if varlen else [1, 2, 4]
    fitting = [micro for micro in sizes if most(micro) <= gigabytes * 1e9]
    assert found.micro_batch_size == max(fitting, default=1)
    assert ("that fits" if fitting else "none of") in found.why


def test_a_larger_card_is_filled_with_more_rows(recipe):
    size = size_of_config(KnownConfig(QWEN))
    small, large = (choose_micro_batch_size(recipe, size, gpu(gb), 0, LENGTHS, True).micro_batch_size for gb in (8, 80))
    assert small < large


def test_what_a_run_has_chosen_stays_on_another_machine(loaded):
    first = locked_batch(loaded(), gpu(80), MANIFEST, "", "Qwen/Qwen2.5-1.5B-Instruct")
    assert locked_batch(loaded(), gpu(4), MANIFEST, "", "Qwen/Qwen2.5-1.5B-Instruct", before=first) == first
    assert locked_batch(loaded(), gpu(4), MANIFEST, "", "Qwen/Qwen2.5-1.5B-Instruct") != first
    assert batch_of(with_batch(loaded(), first).recipe).rows == 64


def test_a_number_needs_no_choice(loaded):
    number = loaded({"training.micro_batch_size": 4})
    expected = {"micro_batch_size": 4, "gradient_accumulation_steps": 16, "processes": 1, "why": "training.micro_batch_size"}
    assert locked_batch(number, gpu(4), MANIFEST, "", "nobody/knows") == expected


@pytest.mark.parametrize("model", ["nobody/knows", "mamba"])
def test_of_an_unknown_model_nothing_is_chosen(loaded, model, tmp_path):
    (tmp_path / "mamba").mkdir()
    (tmp_path / "mamba" / "config.json").write_text('{"model_type": "mamba", "hidden_size": 8, "num_hidden_layers": 1}')
    name = str(tmp_path / model) if model == "mamba" else model
    with pytest.raises(UserError, match=r"auto\.yml:\d+:\d+: training.micro_batch_size: auto cannot be chosen"):
        chosen(loaded({"model.base_model": name}), gpu(80), 0, None, name)
