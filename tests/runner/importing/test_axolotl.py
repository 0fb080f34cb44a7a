"""Axolotl's keys that have another name in a recipe, and the defaults of an Axolotl file."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from recipekit.runner.importing.axolotl import GPU, HANDLERS, TOOL_DEFAULTS
from recipekit.runner.launch.axolotl_config import RenderedData, render_axolotl
from recipekit.schemas.json_schema import SCHEMA_DIR
from recipekit.schemas.recipe import load_recipe
from recipekit.schemas.yaml_source import parse_yaml

from ...support.axolotl_configs import SMALL

SAME = [
    ({"adapter": "qlora", "load_in_4bit": True}, "training.adapter", "qlora"),
    ({"adapter": "lora", "load_in_4bit": True}, "training.adapter", "qlora"),
    ({"adapter": "lora", "load_in_8bit": True}, "training.load_in_8bit", True),
    ({}, "training.adapter", "none"),
    ({"adapter": "lora", "lora_target_linear": True}, "training.lora_target_modules", "all-linear"),
    ({"adapter": "lora", "lora_target_modules": ["q_proj"]}, "training.lora_target_modules", ["q_proj"]),
    ({"eot_tokens": ["<|eot_id|>"]}, "model.end_of_turn", "<|eot_id|>"),
    ({"special_tokens": {"pad_token": "<pad>"}}, "model.pad_token", "<pad>"),
    ({"special_tokens": {"eos_token": "<|im_end|>"}}, "model.end_of_turn", "<|im_end|>"),
    ({"learning_rate": "2e-4"}, "training.learning_rate", 2e-4),
    ({"micro_batch_size": "8"}, "training.micro_batch_size", 8),
    ({"val_set_size": "0.05"}, "data.split.validation", 0.05),
    ({"weight_decay": ".01"}, "training.weight_decay", 0.01),
    ({"revision_of_model": "main"}, "model.revision", "main"),
    ({"bf16": "auto"}, "training.precision", "auto"),
    ({"bf16": True, "fp16": False}, "training.precision", "bf16"),
    ({"bf16": False, "fp16": True, "adapter": "lora"}, "training.precision", "fp16"),
    ({"bf16": False}, "training.precision", "fp32"),
    ({"flash_attention": True}, "model.attn_implementation", "flash_attention_2"),
    ({"val_set_size": 0.05}, "data.split.validation", 0.05),
    ({"sample_packing": True}, "training.sample_packing", True),
    ({"deepspeed": "deepspeed_configs/zero2.json"}, "launch.zero_stage", 2),
    ({"deepspeed": "deepspeed_configs/zero3_bf16_cpuoffload_all.json"}, "launch.offload_params", True),
    ({"deepspeed": {"zero_optimization": {"stage": 1}}}, "launch.zero_stage", 1),
    ({"fsdp_config": {"fsdp_offload_params": True}}, "launch.offload_params", True),
    ({"use_ray": True, "ray_num_workers": 2}, "launch.num_processes", 2),
    ({"use_ray": True, "deepspeed": "zero3.json"}, "launch.engine", "ray"),
    ({"wandb_project": "mine"}, "training.trackers", ["wandb"]),
    ({"wandb_project": "mine"}, "training.tracker_project", "mine"),
    ({"wandb_project": "mine", "wandb_name": "first"}, "training.tracker_run_name", "first"),
    ({"use_wandb": True, "use_mlflow": True}, "training.trackers", ["wandb", "mlflow"]),
    ({"neftune_noise_alpha": 5}, "axolotl.neftune_noise_alpha", 5),
]
LOST = [
    ({"val_set_size": 0}, "val_set_size", "0.1"),
    ({"val_set_size": 500}, "val_set_size", "a share of the rows"),
    ({}, "val_set_size", "0.1"),
    ({"evals_per_epoch": 4}, "evals_per_epoch", "set training.eval_steps"),
    ({"eot_tokens": ["a", "b"]}, "eot_tokens", "one token"),
    ({"special_tokens": {"eos_token": "</s>"}}, "special_tokens.eos_token", "tokenizer's own is used"),
    ({"load_in_4bit": True}, "load_in_4bit", "adapter: qlora"),
    ({"sample_packing": True, "pad_to_sequence_len": True}, "pad_to_sequence_len", "not padded"),
    ({"deepspeed": "my.json"}, "deepspeed", "set launch.zero_stage"),
    (
        {"plugins": ["axolotl.integrations.cut_cross_entropy.CutCrossEntropyPlugin"]},
        "plugins: axolotl.integrations.cut_cross_entropy.CutCrossEntropyPlugin",
        "plugins other than recipekit's",
    ),
    ({"liger_rope": True}, "liger_rope", "use training.kernels"),
    ({"output_dir": "out"}, "output_dir", "recipe run --runs-dir"),
    ({"gradient_checkpointing": "offload"}, "gradient_checkpointing", "the default false is used"),
    ({"tf32": False}, "tf32", "training.precision"),
    ({"wandb_name": "first"}, "wandb_name", "no effect without use_wandb"),
]


def at(recipe: dict, home: str):
    for part in home.split("."):
        recipe = recipe[part]
    return recipe


@pytest.mark.parametrize(("config", "home", "value"), SAME, ids=[f"{config} {home}" for config, home, _ in SAME])
def test_a_renamed_key_is_reported(imported, config, home, value):
    recipe, entries, found = imported(SMALL | config)
    assert at(recipe, home) == value and found.problems == []
    assert {entries[key].status for key in config if key in entries} <= {"kept", "renamed", "passed through"}


@pytest.mark.parametrize(("config", "key", "why"), LOST, ids=[f"{config} {key}" for config, key, _ in LOST])
def test_an_unsupported_key_is_reported_with_the_reason(imported, config, key, why):
    _, entries, found = imported(SMALL | config)
    assert entries[key].status == "not expressible" and re.search(why, entries[key].why) and found.problems == []


def test_axolotl_defaults_are_made_explicit(imported):
    recipe, entries, _ = imported(SMALL | {"adapter": "lora"})
    assert {key: recipe["training"][key] for key in TOOL_DEFAULTS} == TOOL_DEFAULTS
    assert {key for key, entry in entries.items() if entry.status == "default"} == {*TOOL_DEFAULTS, "dataset_exact_deduplication"}


def test_the_default_warm_up_is_told_to_be_shorter_in_a_long_training(imported):
    _, entries, _ = imported(SMALL)
    assert entries["warmup_ratio"].why == "Axolotl's default, which is rounded down and ends after 100 steps there"


def test_given_settings_are_not_reported_as_defaults(imported):
    recipe, entries, _ = imported(
        SMALL
        | {
            "adapter": "lora",
            "warmup_steps": 5,
            **TOOL_DEFAULTS,
            "warmup_ratio": None,
            "sequence_len": 64,
            "dataset_exact_deduplication": False,
        }
    )
    assert recipe["training"]["sequence_len"] == 64 and recipe["training"]["warmup_steps"] == 5 and "warmup_ratio" not in recipe["training"]
    assert not [key for key, entry in entries.items() if entry.status == "default"]


def test_preference_training_is_not_supported(imported):
    _, entries, found = imported(SMALL | {"rl": "dpo"})
    assert entries["rl"].status == "not expressible"
    assert "supervised fine-tuning only" in found.problems[0].what and found.problems[0].location.line
    assert imported(SMALL | {"rl": False})[2].problems == []


@pytest.mark.parametrize(
    ("config", "key", "why"),
    [
        ({"lr_scheduler": "rex"}, "lr_scheduler", "'rex' is not allowed here"),
        ({"lr_scheduler": "cosine_with_min_lr"}, "lr_scheduler", "cosine_min_lr_ratio"),
        ({"lr_scheduler": "cosine_with_restarts"}, "lr_scheduler", "it never restarts"),
        ({"optimizer": "adamw_bnb_8bit", "fsdp_config": {"offload_params": True}}, "optimizer", "does not work with FSDP2"),
    ],
)
def test_another_schedule_or_optimizer_is_refused_also_where_a_rule_takes_the_key_out(imported, config, key, why):
    _, entries, found = imported(SMALL | config)
    assert entries[key].status == "not expressible" and why in entries[key].why
    assert [problem.location.line > 0 and why in problem.what for problem in found.problems] == [True]


def test_a_key_without_a_value_says_nothing(imported):
    _, entries, _ = imported(SMALL | {"wandb_project": None, "debug": None})
    assert entries["wandb_project"].status == entries["debug"].status == "no value"


def test_every_key_that_is_changed_is_one_that_axolotl_has_or_had():
    table = parse_yaml((SCHEMA_DIR / "axolotl_fields.json").read_text("utf-8"), "fields").data
    assert [key for key in HANDLERS if key not in {*table["fields"], *table["rendered"]}] == ["model_type"]


def test_stated_axolotl_defaults_are_its_defaults():
    """Its own words, in the source of the installed version: importing it takes half a minute."""
    spec = find_spec("axolotl")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("needs the extra [train]")
    root = Path(spec.submodule_search_locations[0])
    patterns = {
        "sequence_len": ("utils/schemas/config.py", r"sequence_len: int = Field\(\s*default=(\d+)"),
        "optimizer": ("utils/schemas/training.py", r'optimizer: .* = Field\(\s*default="(\w+)"'),
        "excess_length_strategy": ("utils/data/utils.py", r'cfg\.excess_length_strategy or "(\w+)"'),
        "save_total_limit": ("core/builders/base.py", r"self\.cfg\.save_total_limit if self\.cfg\.save_total_limit else (\d+)"),
        "lora_dropout": ("utils/schemas/peft.py", r"lora_dropout: float \| None = ([\d.]+)"),
        "warmup_ratio": ("core/builders/base.py", r"int\((0\.\d+) \* total_num_steps\), 100"),
    }
    found = {key: re.search(pattern, (root / file).read_text("utf-8")) for key, (file, pattern) in patterns.items()}
    assert {key: match and match[1] for key, match in found.items()} == {key: str(TOOL_DEFAULTS[key]) for key in patterns}
    assert set(patterns) == set(TOOL_DEFAULTS)


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"processor_type": "AutoProcessor"}, "processor_type"),
        ({"image_size": 512, "image_resize_algorithm": "bilinear"}, "image_size"),
        ({"optimizer": "adamw_torch_8bit"}, "optimizer"),
        ({"optimizer": "adamw_torch_4bit"}, "optimizer"),
    ],
)
def test_a_configuration_that_would_train_something_else_is_refused(imported, given, key):
    _, entries, found = imported(SMALL | given)
    assert entries[key].status == "not expressible"
    assert any(problem.what.startswith(f"{key}: ") for problem in found.problems)


LIKE_THE_EXAMPLES = {
    "lora": {"adapter": "lora", "lora_r": 32, "lora_alpha": 16, "lora_dropout": 0.05, "lora_target_linear": True, "optimizer": "adamw_bnb_8bit"},
    "qlora": {"adapter": "qlora", "load_in_4bit": True, "lora_r": 16, "lora_alpha": 32, "lora_target_modules": ["q_proj", "v_proj"],
              "optimizer": "paged_adamw_8bit", "lr_scheduler": "cosine", "warmup_steps": 10},
    "full": {"sequence_len": 4096, "optimizer": "adamw_torch_fused", "gradient_checkpointing": True, "weight_decay": 0.1, "bf16": True},
    "packed": {"adapter": "lora", "lora_r": 8, "lora_alpha": 16, "sample_packing": True, "sequence_len": 2048, "num_epochs": 2},
    "text": {"datasets": [{"path": "a.jsonl", "type": "completion"}], "micro_batch_size": 8, "learning_rate": 1e-5},
}  # fmt: skip


@pytest.mark.parametrize("given", LIKE_THE_EXAMPLES.values(), ids=LIKE_THE_EXAMPLES)
def test_kept_keys_are_rendered_with_the_same_value(imported, given, tmp_path):
    values = SMALL | given
    _, entries, found = imported(values)
    assert found.problems == []
    (tmp_path / "made.yml").write_text(found.text, "utf-8")
    recipe = load_recipe(str(tmp_path / "made.yml")).recipe
    rendered = render_axolotl(recipe, RenderedData(validation="v.jsonl"), GPU, recipe.model.base_model)
    # recipekit packs rows itself (pack_blocks)
    kept = [key for key, entry in entries.items() if entry.status == "kept" and key in rendered and key != "sample_packing"]
    assert kept and {key: rendered[key] for key in kept} == {key: values[key] for key in kept}


def test_the_models_own_tokenizer_class_is_always_loaded(imported):
    assert imported(SMALL | {"tokenizer_type": "AutoTokenizer"})[1]["tokenizer_type"].status == "kept"
    assert imported(SMALL | {"tokenizer_type": "LlamaTokenizer"})[1]["tokenizer_type"].status == "not expressible"


def test_a_field_that_needs_the_default_scheduler_is_passed_on(imported):
    """As in Axolotl's own examples: cosine is its scheduler unless another is set."""
    recipe, entries, found = imported(SMALL | {"cosine_min_lr_ratio": 0.1, "cosine_constant_lr_ratio": 0.5})
    assert recipe["axolotl"] == {"cosine_min_lr_ratio": 0.1, "cosine_constant_lr_ratio": 0.5} and found.problems == []
    _, entries, _ = imported(SMALL | {"lr_quadratic_warmup": True})
    assert entries["lr_quadratic_warmup"].status == "not expressible"


@pytest.mark.parametrize(
    ("given", "precision"), [("bf16:", "fp32"), ("bf16:\nfp16: false", "fp32"), ("bf16:\nfp16: true", "fp16"), ("fp16:", None)]
)
def test_an_empty_bf16_is_false_and_not_the_default(imported, given, precision):
    recipe, _, found = imported(
        f"base_model: a/b\nadapter: lora\nlora_target_linear: true\nlearning_rate: 1e-4\ndatasets:\n- {{path: rows.jsonl, type: chat_template}}\n{given}\n"
    )
    assert recipe["training"].get("precision") == precision and found.problems == []


@pytest.mark.parametrize(
    ("given", "dedup"), [({}, "none"), ({"dataset_exact_deduplication": False}, "none"), ({"dataset_exact_deduplication": True}, "exact")]
)
def test_equal_rows_are_trained_where_axolotl_trains_them(imported, given, dedup):
    recipe, entries, _ = imported(SMALL | given)
    assert recipe["data"]["dedup"] == dedup
    assert entries["dataset_exact_deduplication"].status == ("renamed" if given else "default")


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"lora_model_dir": "./before", "adapter": "lora"}, "lora_model_dir: ./before: the training would start from other weights"),
        ({"relora": True, "adapter": "lora"}, "relora: true: recipes train the model as it is"),
        ({"qat": {"weight_dtype": "int4"}}, "qat: "),
        ({"reinit_weights": True}, "reinit_weights: true: "),
        ({"overrides_of_model_config": {"rope_scaling": {"type": "linear", "factor": 2.0}}}, "overrides_of_model_config: "),
        ({"plugins": ["axolotl.integrations.kd.KDPlugin"]}, "plugins: axolotl.integrations.kd.KDPlugin: "),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_would_be_another_training_is_refused_with_its_place(imported, given, what):
    _, entries, found = imported(SMALL | {"lora_target_linear": True, "lora_r": 8, "lora_alpha": 8} | given)
    (problem,) = found.problems
    assert problem.rule == "another-training" and problem.what.startswith(what) and problem.location.line > 1
    assert entries[what.rpartition(": ")[0] if "plugins" in given else next(iter(given))].status == "not expressible"


@pytest.mark.parametrize("key", ["relora", "reinit_weights", "qat", "lora_model_dir"])
def test_another_training_that_is_switched_off_is_none(imported, key):
    _, _, found = imported(SMALL | {key: False if key != "lora_model_dir" else None})
    assert found.problems == []


@pytest.mark.parametrize(
    ("given", "is_said"), [({}, True), ({"adapter": "lora"}, False), ({"bf16": False}, False)], ids=["all weights", "an adapter", "fp32"]
)
def test_weights_that_are_trained_wider_than_in_axolotl_are_told(imported, given, is_said):
    _, entries, _ = imported(SMALL | {"bf16": True} | given)
    assert ("trained in fp32" in entries["bf16"].why) is is_said
