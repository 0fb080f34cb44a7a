"""A base model whose weights are stored quantised is refused wherever a recipe's model is looked up."""

import json

import pytest
from recipekit.runner.models.folder_check import check_model_folder
from recipekit.runner.models.resolve import require_local_model, require_model, require_unquantised_of
from recipekit.runner.workflows.check_data import check_data
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.recipe import load_recipe
from recipekit.schemas.sections import Model

from ...support.tiny import write_recipe

NAME = "unsloth/Qwen2.5-1.5B-Instruct-bnb-4bit"


def write_config(folder, quantisation):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen2"} | quantisation))
    (folder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    return folder


@pytest.fixture(params=["a folder", "the hub's cache"])
def model(request, tmp_path, monkeypatch):
    def of(quantisation):
        if request.param == "a folder":
            return Model(str(write_config(tmp_path / "model", quantisation)))
        cache = tmp_path / "hub" / f"models--{NAME.replace('/', '--')}"
        write_config(cache / "snapshots" / "abc", quantisation)
        (cache / "refs").mkdir()
        (cache / "refs" / "main").write_text("abc")
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr("recipekit.runner.models.resolve.require_weights", lambda name, revision: None)  # it has them
        return Model(NAME)

    return of


def test_quantised_weights_are_refused_with_the_model_that_they_were_made_from(model, tmp_path):
    chosen = model({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}})
    for check in (require_local_model, lambda one: require_model(one, tmp_path / "runs", smoke=False)):
        with pytest.raises(UserError, match=r"stored quantised \(bitsandbytes\)") as refused:
            check(chosen)
        assert ("by its name unsloth/Qwen2.5-1.5B-Instruct;" in refused.value.problems[0].hint) == (chosen.base_model == NAME)


@pytest.mark.parametrize("nothing", [{}, {"quantization_config": None}])
def test_other_weights_are_not(model, tmp_path, nothing):
    chosen = model(nothing)
    require_local_model(chosen)
    require_model(chosen, tmp_path / "runs", smoke=False)


@pytest.mark.parametrize("of", [lambda path: check_data(path, ()).problems, lambda path: require_unquantised_of(load_recipe(str(path)))])
def test_the_error_has_its_place_in_the_recipe(tmp_path, of):
    folder = write_config(tmp_path / "model", {"quantization_config": {"quant_method": "gptq", "bits": 4}})
    path = write_recipe(tmp_path, folder)
    try:
        found = of(path)
    except UserError as refused:
        found = refused.problems
    assert [problem.location.line for problem in found if "stored quantised (gptq)" in problem.what] == [3]


@pytest.mark.parametrize("beside", ["q_proj.weight.absmax", "q_proj.SCB", "q_proj.bias"])
@pytest.mark.parametrize(
    "settings", [{"quant_method": "bitsandbytes", "load_in_4bit": True}, {"load_in_8bit": True}, {"quant_method": "gptq"}]
)
def test_a_folder_that_only_says_that_its_weights_are_quantised_is_refused(tmp_path, settings, beside):
    """As fine-tuning 4-bit weights leaves it behind, saved in 16 bits: on a CPU, the first forward pass ends with an AssertionError."""
    folder = write_config(tmp_path / "model", {"quantization_config": settings})
    header = json.dumps({name: {"dtype": "F32", "shape": [1], "data_offsets": [4 * at, 4 * at + 4]}
                         for at, name in enumerate(("q_proj.weight", beside))}).encode()  # fmt: skip
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    if beside == "q_proj.bias" and "gptq" not in settings.values():
        with pytest.raises(UserError, match=r"config.json: says that the weights are quantised by bitsandbytes"):
            check_model_folder(folder)
    else:
        check_model_folder(folder)


def test_an_adapter_of_quantised_weights_has_their_settings_and_not_their_names(tmp_path):
    """transformers saves the base model's config.json beside the adapter."""
    folder = write_config(tmp_path / "model", {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}})
    weights = "base_model.model.q_proj.lora_A.weight"
    header = json.dumps({weights: {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}).encode()
    (folder / "model.safetensors").unlink()
    (folder / "adapter_model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(16))
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 2}))
    check_model_folder(folder)
