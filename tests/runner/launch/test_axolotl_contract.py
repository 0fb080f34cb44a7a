"""Whether Axolotl keeps what we render: the comparison itself, and every shipped recipe through the installed Axolotl's own validation.

UPDATE_GOLDEN=1 writes `version`, `chat_templates` and `fields` of schemas/axolotl_fields.json anew from the installed Axolotl.
"""

import json
import os
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import pytest
import yaml
from recipekit.runner.cli.commands.render import rendered
from recipekit.runner.launch.axolotl_config import RenderedData
from recipekit.runner.launch.axolotl_contract import round_trip_differences
from recipekit.runner.launch.plan import CONFIG, plan
from recipekit.runner.launch.steps import optimizer_steps
from recipekit.runner.runtime.machine import machine_named
from recipekit.schemas.extends import shipped_recipes
from recipekit.schemas.findings import NO_EFFECT
from recipekit.schemas.json_schema import SCHEMA_DIR
from recipekit.schemas.launch_rules import LAUNCH_RULES
from recipekit.schemas.recipe import load_recipe
from recipekit.schemas.sections import Recipe

FIELDS = SCHEMA_DIR / "axolotl_fields.json"
# Reads a list of [name, yaml, gpu?] and answers for each what axolotl.cli.config.load_cfg makes of it, where the GPU is only described.
# Importing Axolotl takes long: once for all.
ASK = """
import json, logging, os, sys
from importlib.metadata import version
logging.disable(logging.CRITICAL)
import torch, yaml
from axolotl.cli.config import prepare_plugins
from axolotl.utils.config import normalize_cfg_datasets, normalize_config, validate_config
from axolotl.utils.dict import DictDefault
from axolotl.utils.schemas.config import AxolotlInputConfig
from recipekit.runner.launch.axolotl_contract import round_trip_differences
answers = {}
for name, text, gpu in json.load(sys.stdin):
    given = yaml.safe_load(text) | {"base_model": os.getcwd()}  # the hub is not asked
    cfg = DictDefault(given)
    capabilities = {"bf16": gpu, "tf32": gpu, "fp8": False, "n_gpu": int(gpu), "n_node": 1, "compute_capability": "sm_80" if gpu else None}
    try:
        prepare_plugins(cfg)
        loaded = validate_config(cfg, capabilities=capabilities, env_capabilities={"torch_version": torch.__version__.split("+")[0]})
        normalize_config(loaded)
        normalize_cfg_datasets(loaded)
    except Exception as error:
        answers[name] = [f"refused: {error}"]
    else:
        answers[name] = round_trip_differences(given, dict(loaded))
from transformers import Trainer, TrainingArguments
steps = []
for rows, micro_batch_size, accumulation, epochs in json.loads(sys.argv[1]):
    args = TrainingArguments("unused", per_device_train_batch_size=micro_batch_size, gradient_accumulation_steps=accumulation,
                             num_train_epochs=epochs, use_cpu=True, report_to=[])
    trainer = Trainer(torch.nn.Linear(1, 1), args, train_dataset=[{"input": 0.0}] * rows)
    steps.append(trainer.set_initial_training_values(args, trainer.get_train_dataloader())[-1])
from axolotl.utils.schemas.enums import ChatTemplate
templates = [template.value for template in ChatTemplate if template.value != "jinja"]
facts = {"chat_templates": templates, "steps": steps, "version": version("axolotl"), "fields": sorted(AxolotlInputConfig.model_fields), "lost": answers}
print("answers:" + json.dumps(facts))
"""
FULL = {
    "training.adapter": "none", "training.precision": "fp32", "training.micro_batch_size": 2, "training.weight_decay": 0.01,
    "training.warmup_steps": 5, "training.adam_beta1": 0.8, "training.adam_beta2": 0.95, "training.adam_epsilon": 1e-7,
    "training.eval_steps": 5, "training.save_steps": 10, "training.early_stopping_patience": 3, "training.load_best_model_at_end": True,
    "training.max_steps": 40, "training.group_by_length": True, "training.excess_length_strategy": "truncate",
}  # fmt: skip
STEPS = [
    (108, 4, 1, 2),
    (100, 4, 4, 3),
    (10, 4, 1, 1.5),
    (1, 8, 2, 1),
    (447, 4, 4, 3),
    (7, 2, 3, 5),
]  # rows, micro, accumulated, epochs
# Beyond the shipped recipes: settings that they do not use.
FURTHER = {
    "full parameters": FULL,
    "packing": {"training.sample_packing": True, "training.excess_length_strategy": "drop"},
    "eight bits": {"training.load_in_8bit": True, "training.lora_target_modules": ["q_proj", "v_proj"]},
    "tokens": {"model.pad_token": "<|pad|>", "model.end_of_turn": "<|eot|>", "model.revision": "abc", "training.train_on_inputs": True},
    "text": {"data.type": "text", "training.sample_packing": True},
    "classification": {
        "data.type": "classification",
        "data.labels": ["no", "1"],
        "training.class_weights": {"no": 1, "1": 2.5},
        "evaluation.metrics": ["accuracy"],
    },
    "zero 3": {"launch": {"engine": "deepspeed", "num_processes": 2, "zero_stage": 3, "offload_optimizer": True, "offload_params": True}},
    "fsdp": {"launch": {"engine": "torchrun", "num_processes": 2, "fsdp": True}},
    "trackers": {"training.trackers": ["tensorboard", "wandb"]},
    "attention": {"model.attn_implementation": "eager", "training.roles_to_train": ["assistant", "user"]},
    "pass-through": {"axolotl": {"neftune_noise_alpha": 5.0, "peft_layers_to_transform": [0, 1], "lr_scheduler_kwargs": {"a": 1}}},
}

SHARDED = [{"engine": "torchrun"}, {"engine": "torchrun", "fsdp": True}, {"engine": "torchrun", "fsdp": True, "offload_params": True},
           *({"engine": engine, "zero_stage": stage, "offload_optimizer": optimizer, "offload_params": params}
             for engine, stage, optimizer, params in product(("deepspeed", "slurm", "ray"), (1, 2, 3), (False, True), (False, True)))]  # fmt: skip


def accepted_engines() -> dict[str, dict]:
    """Every way to share a training that `recipe check` accepts, with every adapter and kind of optimizer."""
    found = {}
    for launch, adapter, optimizer in product(SHARDED, ("none", "lora", "qlora"), ("adamw_torch", "adamw_bnb_8bit", "paged_adamw_8bit")):
        changes = {"launch": {"num_processes": 2, **launch}, "training.adapter": adapter, "training.optimizer": optimizer}
        if not any(finding.rule != NO_EFFECT for rule in LAUNCH_RULES for finding in rule(_recipe(changes))):
            found[f"{adapter}, {optimizer}, {launch}"] = changes
    return found


def test_a_file_that_survives_loses_nothing():
    values = {"learning_rate": 2e-4, "adapter": "lora", "datasets": [{"path": "a", "roles_to_train": ["assistant"]}]}
    assert round_trip_differences(values, {**values, "further": 1}) == []


@pytest.mark.parametrize("loaded", [{}, {"lora_r": None}])
def test_a_key_that_is_removed_is_reported(loaded):
    assert round_trip_differences({"lora_r": 8}, loaded) == ["lora_r: 8 is removed"]


def test_a_value_that_is_changed_is_reported_with_both():
    assert round_trip_differences({"warmup_steps": 10, "seed": 1}, {"warmup_steps": 0, "seed": 1}) == ["warmup_steps: 10 becomes 0"]


def test_a_zero_and_a_false_that_survive_are_not_taken_for_removed():
    assert round_trip_differences({"val_set_size": 0.0, "bf16": False}, {"val_set_size": 0.0, "bf16": False}) == []


def test_a_false_that_becomes_true_is_reported():
    assert round_trip_differences({"sample_packing": False}, {"sample_packing": True}) == ["sample_packing: False becomes True"]


def test_a_changed_dataset_entry_is_reported_by_place():
    wanted = {"datasets": [{"path": "a", "train_on_eos": "turn", "split": "train"}]}
    loaded = {"datasets": [{"path": "a", "split": "test"}]}
    assert round_trip_differences(wanted, loaded) == [
        "datasets[0].train_on_eos: 'turn' becomes None",
        "datasets[0].split: 'train' becomes 'test'",
    ]


def test_a_data_set_that_is_dropped_is_reported():
    assert round_trip_differences({"datasets": [{"path": "a"}, {"path": "b"}]}, {"datasets": [{"path": "a"}]}) == [
        "datasets: 2 entries become 1"
    ]


def test_a_plugin_that_is_dropped_is_reported():
    assert round_trip_differences({"plugins": ["ours"]}, {"plugins": []}) == ["plugins: 1 entries become 0"]


@pytest.mark.parametrize(
    ("rendered_value", "loaded_value"),
    [({"offload_params": True}, {"offload_params": False}), ({"pad_token": "<a>"}, {"pad_token": "<b>"}), ({"a": {"b": 1}}, {"a": {}})],
)
def test_a_change_inside_a_section_is_reported(rendered_value, loaded_value):
    assert len(round_trip_differences({"special_tokens": rendered_value}, {"special_tokens": loaded_value})) == 1


def test_a_change_inside_fsdp_is_reported():
    assert len(round_trip_differences({"fsdp_config": {"offload_params": True}}, {"fsdp_config": {"offload_params": False}})) == 1


def test_a_deepspeed_file_may_be_rewritten_but_not_replaced():
    assert round_trip_differences({"deepspeed": "rendered/deepspeed.json"}, {"deepspeed": {"zero_optimization": {"stage": 2}}}) == []
    assert len(round_trip_differences({"deepspeed": "rendered/deepspeed.json"}, {"deepspeed": "another.json"})) == 1


def test_another_model_is_reported():
    assert len(round_trip_differences({"base_model": "a/b"}, {"base_model": "c/d"})) == 1


def test_equal_enum_values_are_equal():
    from enum import Enum

    class Kind(Enum):
        LORA = "lora"

    assert round_trip_differences({"adapter": "lora"}, {"adapter": Kind.LORA}) == []


@pytest.mark.parametrize(("wanted", "found"), [(1, "1"), (True, "True"), (2e-4, "0.0002"), (1, True), (False, 0)])
def test_a_number_equals_neither_its_text_nor_a_boolean(wanted, found):
    assert len(round_trip_differences({"max_steps": wanted}, {"max_steps": found})) == 1


@pytest.fixture(scope="module")
def axolotl(tmp_path_factory, warm):
    """What the installed Axolotl makes of every rendered file: version, fields, and the lost keys by name."""
    if find_spec("axolotl") is None:
        pytest.skip("needs the extra [train]: axolotl")
    asked = [(f"{path.stem} on a {on}", rendered(load_recipe(path.stem), machine_named(on)).files[CONFIG], on == "gpu")
             for path in shipped_recipes() for on in ("gpu", "cpu")]  # fmt: skip
    asked += [(name, _text_of(changes), True) for name, changes in (FURTHER | accepted_engines()).items()]
    quiet = {"AXOLOTL_DO_NOT_TRACK": "1", "DO_NOT_TRACK": "1", "PYTHONSAFEPATH": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    env = os.environ | quiet
    folder = tmp_path_factory.mktemp("axolotl")
    (folder / "rendered").mkdir()
    (folder / "rendered" / "deepspeed.json").write_text("{}")
    (folder / "config.json").write_text('{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}')
    done = warm("-c", ASK, json.dumps(STEPS), input=json.dumps(asked), env=env, cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    facts = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("answers:"))[8:])
    assert len(facts["lost"]) == len(asked)
    return facts


def _recipe(changes):
    """A small recipe, from the same values as tests/conftest.py's."""
    values = {"recipe": 1, "name": "small", "model": {"base_model": "some/model"},
              "data": {"type": "chat", "sources": [{"path": "rows.jsonl", "converter": "messages"}]},
              "training": {"adapter": "lora", "learning_rate": 0.0001}}  # fmt: skip
    for key, value in changes.items():
        *sections, name = key.split(".")
        here = values
        for section in sections:
            here = here.setdefault(section, {})
        here[name] = value
    return Recipe.from_values(values)


def _text_of(changes):
    """Its rendered file."""
    recipe = _recipe(changes)
    return plan(recipe, RenderedData(validation="data/validation.jsonl"), machine_named("gpu"), recipe.model.base_model).files[CONFIG]


@pytest.mark.parametrize("on", ["gpu", "cpu"])
@pytest.mark.parametrize("name", [path.stem for path in shipped_recipes()])
def test_every_key_of_a_shipped_recipe_survives_axolotls_validation(axolotl, name, on):
    assert axolotl["lost"][f"{name} on a {on}"] == []


@pytest.mark.parametrize("name", FURTHER)
def test_settings_that_no_shipped_recipe_uses_survive_as_well(axolotl, name):
    assert axolotl["lost"][name] == []


def test_axolotl_accepts_every_choice_of_the_schema(axolotl):
    names = list(accepted_engines())
    assert len(names) > 60
    assert {name: axolotl["lost"][name] for name in names if axolotl["lost"][name]} == {}


def test_the_step_count_is_that_of_the_trainer(axolotl, minimal):
    keys = ("training.micro_batch_size", "training.gradient_accumulation_steps", "training.num_epochs")
    ours = [optimizer_steps(Recipe.from_values(minimal(dict(zip(keys, values, strict=True)))), rows) for rows, *values in STEPS]
    assert ours == axolotl["steps"]


def test_known_fields_are_those_of_the_installed_axolotl(axolotl):
    known = json.loads(FIELDS.read_text(encoding="utf-8"))
    if os.environ.get("UPDATE_GOLDEN"):
        known |= {"version": axolotl["version"], "chat_templates": axolotl["chat_templates"], "fields": axolotl["fields"]}
        FIELDS.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
    assert (known["version"], known["fields"]) == (axolotl["version"], axolotl["fields"])
    assert known["chat_templates"] == axolotl["chat_templates"]


def test_rendered_keys_may_not_be_passed_through():
    known = json.loads(FIELDS.read_text(encoding="utf-8"))
    keys = {
        key for path in shipped_recipes() for key in yaml.safe_load(rendered(load_recipe(path.stem), machine_named("gpu")).files[CONFIG])
    }
    keys |= {key for changes in FURTHER.values() if "axolotl" not in changes for key in yaml.safe_load(_text_of(changes))}
    assert "accelerator_config" in known["refused"]
    unguarded = keys - set(known["rendered"]) - {"accelerator_config"}
    # ours by default, but a person may know better
    assert unguarded == {"eval_strategy", "greater_is_better", "lora_mlp_kernel", "lora_o_kernel", "lora_qkv_kernel",
                         "save_strategy", "sdpa_varlen", "wandb_name", "wandb_project"}  # fmt: skip


def test_the_pinned_axolotl_is_the_one_whose_fields_we_know():
    pinned = (Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8")
    version = json.loads(FIELDS.read_text(encoding="utf-8"))["version"]
    assert f'"axolotl[deepspeed]=={version}"' in pinned
