"""What a recipe is rendered to. UPDATE_GOLDEN=1 writes tests/golden: read the difference before you commit it."""

import os
from pathlib import Path

import pytest
from recipekit.runner.cli.commands.render import rendered
from recipekit.runner.launch.axolotl_config import RenderedData, render_axolotl, substitutions
from recipekit.runner.launch.plan import CONFIG, plan
from recipekit.runner.runtime.machine import Machine, machine_named
from recipekit.schemas.extends import shipped_recipes
from recipekit.schemas.recipe import load_recipe
from recipekit.schemas.sections import Recipe

from ...support.axolotl_configs import CPU, GPU, OLD_GPU
from ...support.paths import GOLDEN

HELD_OUT = RenderedData(validation="data/validation.jsonl")
SHIPPED = [(path.stem, "gpu") for path in shipped_recipes()] + [("quickstart", "cpu")]


@pytest.fixture
def render(minimal):
    """Renders a small recipe with changes, for a machine."""

    def build(changes=None, machine=GPU, data=HELD_OUT):
        recipe = Recipe.from_values(minimal(changes))
        return render_axolotl(recipe, data, machine, recipe.model.base_model)

    return build


@pytest.mark.parametrize(("name", "machine"), SHIPPED, ids=["-".join(pair) for pair in SHIPPED])
def test_every_shipped_recipe_renders_to_its_golden_files(name, machine):
    folder = GOLDEN / (name if machine == "gpu" else f"{name}_{machine}")
    files = {Path(path).name: text for path, text in rendered(load_recipe(name), machine_named(machine)).files.items()}
    if os.environ.get("UPDATE_GOLDEN"):
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.iterdir():
            left.unlink()
        for path, text in files.items():
            (folder / path).write_text(text, encoding="utf-8")
    assert files == {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def test_no_golden_folder_is_stale():
    names = {name if machine == "gpu" else f"{name}_{machine}" for name, machine in SHIPPED}
    assert {path.name for path in GOLDEN.iterdir()} == names


def test_nothing_is_rendered_without_a_value(render):
    assert None not in render().values()


@pytest.mark.parametrize(
    ("adapter", "there", "absent"),
    [
        ("qlora", {"adapter": "qlora", "load_in_4bit": True}, ["load_in_8bit"]),
        ("lora", {"adapter": "lora", "load_in_8bit": False}, ["load_in_4bit"]),
        ("none", {}, ["adapter", "load_in_4bit", "load_in_8bit", "lora_r", "lora_alpha", "lora_target_linear", "lora_mlp_kernel"]),
    ],
)
def test_each_adapter_has_its_own_keys_and_no_other(render, adapter, there, absent):
    config = render({"training.adapter": adapter})
    assert there.items() <= config.items()
    assert [key for key in absent if key in config] == []


def test_eight_bit_weights_reach_axolotl_with_lora(render):
    assert render({"training.load_in_8bit": True})["load_in_8bit"] is True


def test_all_linear_layers_are_a_switch_and_named_layers_a_list(render):
    everything, named = render(), render({"training.lora_target_modules": ["q_proj", "v_proj"]})
    assert everything["lora_target_linear"] is True and "lora_target_modules" not in everything
    assert named["lora_target_modules"] == ["q_proj", "v_proj"] and "lora_target_linear" not in named


def test_cuda_only_kernels_are_never_a_default(render):
    assert [render()[f"lora_{part}_kernel"] for part in ("mlp", "qkv", "o")] == [False, False, False]


@pytest.mark.parametrize(
    ("precision", "machine", "bf16", "fp16", "tf32"),
    [
        ("auto", CPU, False, False, False),
        ("bf16", CPU, False, False, False),
        ("fp16", CPU, False, False, False),
        ("auto", GPU, True, False, True),
        ("auto", OLD_GPU, False, True, False),
        ("fp16", GPU, False, True, True),
        ("fp32", GPU, False, False, False),
        ("bf16", OLD_GPU, False, True, False),
    ],
)
def test_precision_follows_the_recipe_and_the_machine(render, precision, machine, bf16, fp16, tf32):
    config = render({"training.precision": precision}, machine)
    assert (config["bf16"], config["fp16"], config["tf32"]) == (bf16, fp16, tf32)


def test_full_parameters_are_trained_in_fp32_where_bf16_is_slow(render):
    config = render({"training.adapter": "none"}, OLD_GPU)
    assert (config["bf16"], config["fp16"]) == (False, False)


@pytest.mark.parametrize(
    ("changes", "machine", "kept"),
    [
        ({"training.adapter": "none"}, GPU, True),
        ({"training.adapter": "none", "training.precision": "bf16"}, GPU, True),
        ({"training.adapter": "none", "training.precision": "fp32"}, GPU, None),
        ({"training.adapter": "none"}, CPU, None),
        ({"training.adapter": "lora"}, GPU, None),
        ({"training.adapter": "none", "launch.engine": "deepspeed", "launch.zero_stage": 2}, GPU, None),
        ({"training.adapter": "none", "launch.engine": "torchrun", "launch.fsdp": True}, GPU, True),
    ],
)
def test_bf16_training_of_all_weights_keeps_them_in_fp32_where_nothing_else_does(render, changes, machine, kept):
    assert render(changes, machine).get("fp32_weights") == kept


SHARDED = [{"engine": "deepspeed", "zero_stage": 2}, {"engine": "torchrun", "fsdp": True}]


@pytest.mark.parametrize("launch", [*SHARDED, {"engine": "torchrun"}, {}])
@pytest.mark.parametrize("machine", [GPU, OLD_GPU])
def test_4_bit_weights_are_packed_into_the_type_that_a_sharded_model_is_converted_to(render, launch, machine):
    packed = render({"launch": launch, "training.adapter": "qlora"}, machine).get("bnb_config_kwargs")
    assert packed == ({"bnb_4bit_quant_storage": "float16"} if launch in SHARDED and machine == OLD_GPU else None)
    assert "bnb_config_kwargs" not in render({"launch": launch}, machine)


@pytest.mark.parametrize(("packed_into", "is_kept"), [("float16", True), ("bfloat16", False)])
def test_converting_a_model_to_fp16_changes_4_bit_weights_that_are_packed_into_bf16(packed_into, is_kept):
    torch = pytest.importorskip("torch", reason="needs the extra [train]")
    bitsandbytes = pytest.importorskip("bitsandbytes", reason="needs the extra [train]")
    layer = bitsandbytes.nn.Linear4bit(64, 64, bias=False, quant_storage=getattr(torch, packed_into), quant_type="nf4").to("cpu")
    state, weight = layer.weight.quant_state, bitsandbytes.functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state)
    layer.half()  # as DeepSpeed does
    assert torch.equal(weight, bitsandbytes.functional.dequantize_4bit(layer.weight.data, state)) == is_kept


@pytest.mark.parametrize(("machine", "in_environment"), [(GPU, True), (CPU, False)])
def test_deterministic_kernels_are_asked_of_torch_cublas_and_flash_attention(minimal, machine, in_environment):
    made = plan(Recipe.from_values(minimal({"training.deterministic": True})), RenderedData(), machine, "a/b")
    assert "\ndeterministic: true\n" in made.files[CONFIG], "our plug-in turns torch's deterministic algorithms on"
    assert (made.env.get("CUBLAS_WORKSPACE_CONFIG"), made.env.get("FLASH_ATTENTION_DETERMINISTIC")) == (
        (":4096:8", "1") if in_environment else (None, None)
    )
    plain = plan(Recipe.from_values(minimal()), RenderedData(), machine, "a/b")
    assert "deterministic" not in plain.files[CONFIG] and not plain.env.keys() & {"CUBLAS_WORKSPACE_CONFIG"}


def test_a_gpu_without_bf16_uses_fp16_with_a_note(minimal):
    (note,) = substitutions(Recipe.from_values(minimal({"training.precision": "bf16"})), OLD_GPU)
    assert note == "precision: fp16 instead of bf16, which an old GPU does not support"


@pytest.mark.parametrize("optimizer", ["adamw_8bit", "adamw_bnb_8bit", "paged_adamw_8bit", "paged_adamw_32bit"])
def test_a_gpu_optimizer_is_replaced_on_a_cpu_with_a_note(render, minimal, optimizer):
    changes = {"training.optimizer": optimizer}
    assert render(changes, CPU)["optimizer"] == "adamw_torch"
    assert render(changes, GPU)["optimizer"] == optimizer
    recipe = Recipe.from_values(minimal(changes))
    assert substitutions(recipe, CPU) == [f"optimizer: adamw_torch instead of {optimizer}, which needs a GPU"]
    assert substitutions(recipe, GPU) == []


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_slow_precision_on_a_cpu_is_replaced_with_a_note(minimal, precision):
    recipe = Recipe.from_values(minimal({"training.precision": precision}))
    assert substitutions(recipe, CPU) == [f"precision: fp32 instead of {precision}, which is slow on a CPU"]


def test_automatic_choices_are_not_substitutions(minimal):
    assert substitutions(Recipe.from_values(minimal()), CPU) == []


def test_chat_rows_train_the_turns_that_the_records_mark(render):
    (dataset,) = render()["datasets"]
    assert dataset["message_field_training"] == "train"
    assert dataset["roles_to_train"] == ["assistant"]
    assert dataset["train_on_eos"] == "turn"


@pytest.mark.parametrize("packed", [True, False])
def test_texts_are_packed_by_our_plugin_and_not_by_axolotl(render, packed):
    config = render({"data.type": "text", "training.sample_packing": packed})
    (dataset,) = config["datasets"]
    assert "type" not in dataset, "no tokenisation of Axolotl's own is claimed"
    assert (config["record_type"], config["pack_blocks"], config["sample_packing"]) == ("text", packed, False)
    assert not {"chat_template", "train_on_inputs", "excess_length_strategy", "eval_sample_packing"} & set(config)


@pytest.mark.parametrize(("attention", "size"), [("flash_attention_2", 1), ("sdpa", None), (None, None)])
def test_texts_that_would_share_a_sequence_are_validated_one_at_a_time(render, attention, size):
    """Several processes repeat rows to fill their last batches, which must not count twice: of a joined sequence they are not known."""
    config = render({"data.type": "text", **({"model.attn_implementation": attention} if attention else {})})
    assert config.get("eval_batch_size") == size


def test_a_classification_has_its_labels_their_number_and_their_weights(render):
    changes = {"data.type": "classification", "training.class_weights": {"a": 1, "b": 2.5}, "evaluation.metrics": ["accuracy"]}
    config = render(changes, data=RenderedData(labels=("b", "a")))
    assert config["type_of_model"] == "AutoModelForSequenceClassification"
    assert (config["num_labels"], config["labels"], config["class_weights"]) == (2, ["b", "a"], {"a": 1, "b": 2.5})
    assert "chat_template" not in config and "type" not in config["datasets"][0]


def test_unknown_labels_are_not_rendered(render):
    config = render({"data.type": "classification", "evaluation.metrics": ["accuracy"]}, data=RenderedData())
    assert not {"num_labels", "labels", "class_weights"} & set(config)


@pytest.mark.parametrize("wanted", [True, False])
def test_load_best_model_at_end_is_always_written(render, wanted):
    config = render({"training.load_best_model_at_end": wanted}, data=RenderedData(validation="data/validation.jsonl"))
    assert config["load_best_model_at_end"] is wanted


def test_without_validation_rows_nothing_evaluates(render):
    config = render({"training.eval_steps": 5, "training.save_steps": 10}, data=RenderedData())
    for key in ("test_datasets", "eval_steps", "eval_strategy", "metric_for_best_model", "greater_is_better"):
        assert key not in config
    assert config["save_steps"] == 10
    assert config["val_set_size"] == 0.0  # Axolotl must not take rows away by itself


def test_without_steps_it_evaluates_and_saves_once_an_epoch(render):
    config = render()
    assert (config["eval_strategy"], config["save_strategy"]) == ("epoch", "epoch")
    assert "eval_steps" not in config and "save_steps" not in config


def test_checkpoints_follow_evaluations_by_default(render):
    config = render({"training.eval_steps": 7})
    assert (config["eval_steps"], config["save_steps"]) == (7, 7)
    assert "eval_strategy" not in config and "save_strategy" not in config


@pytest.mark.parametrize(("metric", "greater"), [("eval_loss", False), ("eval_accuracy", True)])
def test_the_best_model_is_chosen_in_the_direction_of_its_metric(render, metric, greater):
    assert render({"training.metric_for_best_model": metric})["greater_is_better"] is greater


@pytest.mark.parametrize(
    ("warmup", "there"),
    [({}, {"warmup_steps": 0}), ({"warmup_steps": 9}, {"warmup_steps": 9}), ({"warmup_ratio": 0.1}, {"warmup_ratio": 0.1})],
)
def test_warm_up_is_what_the_recipe_says_and_nothing_where_it_says_nothing(render, warmup, there):
    config = render({f"training.{key}": value for key, value in warmup.items()})
    assert {key: config[key] for key in config if key.startswith("warmup")} == there


def test_batches_are_padded_to_a_multiple_for_a_gpu_only(render):
    assert render(machine=Machine())["pad_to_sequence_len"] is False
    assert "pad_to_sequence_len" not in render()


def test_chats_are_packed_by_our_plugin_because_axolotl_drops_rows(render):
    config = render({"training.sample_packing": True})
    assert (config["pack_blocks"], config["sample_packing"]) == (True, False)
    assert not {"record_type", "eval_sample_packing"} & set(config)
    assert "pack_blocks" not in render()


@pytest.mark.parametrize("tracker", ["tensorboard", "wandb", "mlflow", "trackio"])
def test_a_tracker_is_switched_on_only_when_it_is_asked_for(render, tracker):
    assert render({"training.trackers": [tracker]})[f"use_{tracker}"] is True
    assert f"use_{tracker}" not in render()


def test_zero_names_the_deepspeed_file_and_fsdp_its_own_section(render):
    zero, fsdp = render({"launch.zero_stage": 2}), render({"launch.fsdp": True, "launch.offload_params": True})
    assert zero["deepspeed"] == "rendered/deepspeed.json" and "fsdp_config" not in zero
    assert fsdp["fsdp_version"] == 2 and fsdp["fsdp_config"]["offload_params"] is True and "deepspeed" not in fsdp
    assert fsdp["accelerator_config"] == {"gradient_accumulation_kwargs": {"sync_each_batch": True}}
    assert not {"deepspeed", "fsdp_config", "fsdp_version", "accelerator_config"} & set(render())


def test_pad_token_and_end_of_turn_reach_axolotl(render):
    config = render({"model.pad_token": "<|pad|>", "model.end_of_turn": "<|eot_id|>", "model.revision": "abc"})
    assert config["special_tokens"] == {"pad_token": "<|pad|>"}
    assert config["eot_tokens"] == ["<|eot_id|>"]
    assert config["revision_of_model"] == "abc"


def test_pass_through_keys_come_last_and_win(render):
    config = render({"axolotl": {"neftune_noise_alpha": 5, "tf32": "auto"}})
    assert config["neftune_noise_alpha"] == 5
    assert config["tf32"] == "auto"


def test_our_plugin_is_the_module_that_axolotl_will_import():
    from importlib.util import find_spec

    from recipekit.runner.launch.axolotl_config import PLUGIN

    module, _, name = PLUGIN.rpartition(".")
    spec = find_spec(module)
    assert spec and spec.origin and f"class {name}(" in Path(spec.origin).read_text(encoding="utf-8")


@pytest.mark.parametrize("value", ["; rm -rf /", "$(touch x)", "two\nlines", "{{ self }}", "--flag", "a: b # c", "'\"", "no", "1e5"])
def test_hostile_text_is_unchanged(render, value):
    config = render({"model.base_model": value, "model.pad_token": value})
    assert config["base_model"] == value
    assert config["special_tokens"] == {"pad_token": value}
