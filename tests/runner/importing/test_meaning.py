"""What an imported recipe trains is what its Axolotl file trains: both are reduced to what they mean, and every difference is in the account."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recipekit.runner.importing.importing import Imported, import_config
from recipekit.runner.launch.axolotl_config import RenderedData, render_axolotl
from recipekit.runner.launch.kernel_choice import choose
from recipekit.runner.models.architecture import architecture_of
from recipekit.schemas.recipe import load_recipe
from recipekit.schemas.yaml_writing import to_yaml

from ...support.axolotl_configs import GPU, SMALL

# What Axolotl 0.19 and transformers do where a file does not say.
DEFAULTS: dict[str, Any] = {
    "sequence_len": 512, "excess_length_strategy": "drop", "train_on_inputs": False, "micro_batch_size": 1,
    "gradient_accumulation_steps": 1, "num_epochs": 1.0, "max_steps": None, "optimizer": "adamw_torch_fused", "lr_scheduler": "cosine",
    "weight_decay": 0.0, "max_grad_norm": 1.0, "adam_beta1": 0.9, "adam_beta2": 0.999, "seed": 42, "gradient_checkpointing": False,
    "early_stopping_patience": None, "group_by_length": False, "chat_template": "tokenizer_default", "trust_remote_code": False,
    "neftune_noise_alpha": None, "pad_to_sequence_len": None,
}  # fmt: skip
# Which keys of a file decide a part of its meaning: where it changes, one of them must be among what is not expressible.
CAUSES = {
    "adapter": ("adapter", "load_in_4bit", "load_in_8bit"), "bits": ("adapter", "load_in_4bit", "load_in_8bit"),
    "modules": ("lora_target_linear", "lora_target_modules"), "rank": ("lora_r",), "alpha": ("lora_alpha",), "dropout": ("lora_dropout",),
    "precision": ("bf16", "fp16", "tf32"), "attention": ("flash_attention", "sdp_attention", "eager_attention"),
    "warmup": ("warmup_steps", "warmup_ratio"), "end of turn": ("eot_tokens", "special_tokens"), "pad": ("special_tokens",), "roles": ("datasets",),
    "packing": ("sample_packing", "eval_sample_packing"), "zero": ("deepspeed",),
    **{key: (key,) for key in DEFAULTS},
}  # fmt: skip

YES_NO = st.sampled_from([True, False, None])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "load_in_4bit": YES_NO, "load_in_8bit": YES_NO, "lora_target_linear": YES_NO, "lora_target_modules": st.sampled_from([None, ["q_proj"], ["up_proj", "q_proj"]]),
    "lora_dropout": st.sampled_from([None, 0.0, 0.05]), "bf16": st.sampled_from([True, False, "auto", "full", None]), "fp16": YES_NO, "tf32": YES_NO,
    "flash_attention": YES_NO, "sdp_attention": YES_NO, "eager_attention": YES_NO, "warmup_steps": st.sampled_from([0, 10]),
    "warmup_ratio": st.sampled_from([0.1, 0.0]), "eot_tokens": st.sampled_from([["<|im_end|>"], ["a", "b"]]),
    "special_tokens": st.sampled_from([{"pad_token": "<pad>"}, {"eos_token": "x"}, {}]), "sample_packing": YES_NO, "eval_sample_packing": YES_NO,
    "sequence_len": st.sampled_from([64, 2048]), "excess_length_strategy": st.sampled_from(["drop", "truncate", "raise"]),
    "train_on_inputs": YES_NO, "micro_batch_size": st.sampled_from([1, 4]), "gradient_accumulation_steps": st.sampled_from([1, 8]),
    "num_epochs": st.sampled_from([1, 2.5]), "max_steps": st.sampled_from([None, 20]),
    "optimizer": st.sampled_from(["adamw_torch", "paged_adamw_8bit", "lion_8bit", "adafactor", "adamw_torch_8bit", "muon"]),
    "lr_scheduler": st.sampled_from(["cosine", "linear", "rex", "constant"]), "weight_decay": st.sampled_from([0.0, 0.1]),
    "max_grad_norm": st.sampled_from([1.0, 0.3]), "adam_beta1": st.sampled_from([0.9, 0.95]), "adam_beta2": st.sampled_from([0.999, 0.95]),
    "seed": st.sampled_from([42, 7]), "gradient_checkpointing": st.sampled_from([True, False, "offload"]),
    "early_stopping_patience": st.sampled_from([3]), "group_by_length": YES_NO, "chat_template": st.sampled_from(["chatml", "tokenizer_default", "llama3"]),
    "trust_remote_code": YES_NO, "neftune_noise_alpha": st.sampled_from([5]), "pad_to_sequence_len": YES_NO,
    "deepspeed": st.sampled_from(["deepspeed_configs/zero2.json", "mine.json"]),
}  # fmt: skip
FILES = st.fixed_dictionaries(
    {"adapter": st.sampled_from(["lora", "qlora", None]), "roles": st.sampled_from([None, ["assistant"], ["user", "assistant"]])},
    optional=VALUES,
)


def meaning(config: dict[str, Any]) -> dict[str, Any]:
    """What a configuration trains, however it says so."""
    given = {key: value for key, value in config.items() if value is not None}
    adapter = given.get("adapter")
    bits = 4 if adapter == "qlora" or (adapter and given.get("load_in_4bit")) else 8 if adapter and given.get("load_in_8bit") else 0
    of_adapter = {
        "modules": "all" if given.get("lora_target_linear") else sorted(given.get("lora_target_modules", [])),
        "rank": given.get("lora_r"), "alpha": given.get("lora_alpha"), "dropout": given.get("lora_dropout", 0.0),
    }  # fmt: skip
    bf16 = config.get("bf16", False if given.get("fp16") else "auto")  # None where it is empty: not the default
    flags = {"flash_attention": "flash_attention_2", "sdp_attention": "sdpa", "eager_attention": "eager"}
    (source,) = given["datasets"]
    special = given.get("special_tokens") or {}
    return {key: given.get(key, value) for key, value in DEFAULTS.items()} | (of_adapter if adapter else {}) | {
        "adapter": bool(adapter), "bits": bits,
        "precision": "bf16" if bf16 in (True, "auto", "full") else "fp16" if given.get("fp16") else "fp32",
        "attention": given.get("attn_implementation") or next((name for flag, name in flags.items() if given.get(flag)), "sdpa"),
        "warmup": given["warmup_steps"] if "warmup_steps" in given else given.get("warmup_ratio", 0 if given.get("lr_scheduler") == "constant" else 0.03),
        "end of turn": given.get("eot_tokens") or ([special["eos_token"]] if "eos_token" in special else None),
        "pad": special.get("pad_token"), "packing": bool(given.get("sample_packing") or given.get("pack_blocks")),
        "roles": source.get("roles_to_train", ["assistant"]), "zero": bool(given.get("deepspeed")),
    }  # fmt: skip


def imported_and_rendered(config: dict[str, Any], folder: Any) -> tuple[Imported, dict[str, Any] | None]:
    """The account, and what the imported recipe is rendered as; None where the file is refused."""
    path = folder / "axolotl.yml"
    path.write_text(to_yaml(config), encoding="utf-8")
    found = import_config(path, "axolotl", "made", folder)
    if found.problems:
        return found, None
    (folder / "made.yml").write_text(found.text, encoding="utf-8")
    recipe = load_recipe(str(folder / "made.yml")).recipe
    data = RenderedData(validation="data/validation.jsonl")
    return found, render_axolotl(recipe, data, GPU, recipe.model.base_model, choose(recipe, GPU, architecture_of(recipe.model)))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FILES)
def test_every_difference_in_meaning_is_reported(tmp_path, drawn):
    roles = drawn.pop("roles")
    source = SMALL["datasets"][0] | ({"roles_to_train": roles} if roles else {})
    config = {**SMALL, **drawn, "datasets": [source]} | ({"lora_r": 8, "lora_alpha": 16} if drawn["adapter"] else {})
    found, rendered = imported_and_rendered(config, tmp_path)
    statuses = {entry.key: entry.status for _, entry in found.account}
    assert set(config) <= {key.partition(".")[0].partition(":")[0] for key in statuses}, "a key has no line"
    if rendered is None:
        assert [problem.rule for problem in found.problems] != []
        return
    before, after = meaning(config), meaning(rendered)
    lost = {key.partition(".")[0].partition(":")[0] for key, status in statuses.items() if status == "not expressible"}
    for part in before:
        if before[part] != after.get(part):
            assert lost & set(CAUSES[part]), (part, before[part], after.get(part))
