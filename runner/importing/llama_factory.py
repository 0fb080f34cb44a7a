"""Translate a LLaMA-Factory configuration into a recipe, by the names in schemas/aliases.py."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...schemas.aliases import ALIASES
from ...schemas.json_schema import axolotl_fields, key_paths
from .axolotl import put_schedule, put_strategy
from .axolotl_launch import put_deepspeed
from .draft import Draft
from .llama_factory_keys import OTHER_TRAININGS, SPECIAL, instead, is_known, refused
from .llama_factory_sources import put_datasets

SECTIONS = ("model", "training")
# defaults of LLaMA-Factory that differ from those of recipes
TOOL_DEFAULTS: dict[str, Any] = {
    "learning_rate": 5e-5, "num_train_epochs": 3, "lr_scheduler_type": "linear", "per_device_train_batch_size": 8, "lora_rank": 8,
    "lora_dropout": 0, "lora_target": "all",
}  # fmt: skip
FLASH = {"fa2": "flash_attention_2", "fa3": "flash_attention_3", "sdpa": "sdpa", "disabled": "eager"}
PASSED_ON = {"use_dora": "peft_use_dora", "use_rslora": "peft_use_rslora", "loraplus_lr_ratio": "loraplus_lr_ratio",
             "neftune_noise_alpha": "neftune_noise_alpha"}  # fmt: skip


def read_llama_factory(draft: Draft, folder: Path) -> None:
    """Translate and report every key. `folder` is the recipe's: paths are written relative to it."""
    draft.read_quoted_numbers({key: home_of(key) for key in draft.given} | {"val_size": "data.split.validation"})
    given = draft.given
    effects = axolotl_fields()["effects"]
    put_datasets(draft, folder)
    for key, value in given.items():
        if value in (None, [], {}):
            draft.ignore(key)
        elif key in HANDLERS:
            HANDLERS[key](draft, key, value)
        elif key not in draft.entries:
            _read(draft, key, value, effects)
    lora = given.get("finetuning_type", "lora") == "lora"
    for key, value in TOOL_DEFAULTS.items():
        if given.get(key) is None and (lora or not key.startswith("lora_")):
            _put_default(draft, key, {home_of(key): "all-linear" if key == "lora_target" else value})
    if lora and given.get("lora_alpha") is None:
        _put_default(draft, "lora_alpha", {"training.lora_alpha": 2 * draft.values["training"].get("lora_r", 8)})
    if given.get("finetuning_type") is None:
        _put_default(draft, "finetuning_type", {"training.adapter": "qlora" if given.get("quantization_bit") == 4 else "lora"})
    if given.get("disable_gradient_checkpointing") is None:
        _put_default(draft, "disable_gradient_checkpointing", {"training.gradient_checkpointing": True})
    _put_defaults_of_rows(draft)
    if not any(given.get(key) for key in ("bf16", "fp16", "pure_bf16")):
        draft.lose("bf16", "without it LLaMA-Factory computes in the model's own precision; training.precision is auto unless set")
    if given.get("val_size") is None and not given.get("eval_dataset"):
        _held_out(draft, "val_size", 0)


def _put_defaults_of_rows(draft: Draft) -> None:
    """Set what LLaMA-Factory does with equal rows, which it trains, with long chats, which it cuts, and with texts, which it packs."""
    if draft.values["data"].get("sources"):
        _put_default(draft, "dataset: equal rows", {"data.dedup": "none"})
    if draft.values["data"].get("type") != "text":
        _put_default(draft, "cutoff_len: rows beyond it", {"training.excess_length_strategy": "truncate"})
    elif draft.given.get("packing") is None and not draft.given.get("neat_packing"):
        _put_default(draft, "packing", {"training.sample_packing": True})


def _read(draft: Draft, key: str, value: Any, effects: dict[str, Any]) -> None:
    """Translate a key by its name, pass it to Axolotl where it has it too, or say why the recipe does without it."""
    home = "" if is_known(key) else home_of(key)
    if home:
        draft.put(key, {home: value})
    elif effects.get(key, {}).get("effect", "none") not in ("none", "fails") and key not in OTHER_TRAININGS:
        draft.pass_on(key, value)
    elif value is False and key not in SPECIAL:
        draft.keep(key, "off, as in recipes")
    elif why := refused(key, value):
        draft.refuse(key, why)
    else:
        draft.lose(key, instead(key))


def home_of(key: str) -> str:
    """Return the recipe's key with this name or alias; "" if there is none."""
    own = [f"{section}.{key}" for section in SECTIONS if f"{section}.{key}" in key_paths()]
    other = ALIASES.get(key, "")
    return own[0] if own else other if other.partition(".")[0] in SECTIONS else ""


def _put_default(draft: Draft, key: str, homes: dict[str, Any]) -> None:
    draft.put(key, homes, "LLaMA-Factory's default", "default")


def _method(draft: Draft, key: str, value: Any) -> None:
    bits = draft.given.get("quantization_bit")
    if value in ("full", "lora"):
        draft.put(key, {"training.adapter": "none" if value == "full" else "qlora" if bits == 4 else "lora"})
    else:
        draft.refuse(key, "recipes train all weights, or an adapter by LoRA or QLoRA")


def _bits(draft: Draft, key: str, value: Any) -> None:
    if value == 4 and draft.given.get("finetuning_type", "lora") == "lora":
        draft.note(key, "training.adapter", "qlora")
    elif value == 8:
        draft.put(key, {"training.load_in_8bit": True})
    else:
        draft.lose(key, "supported are 4 bits and 8 under an adapter (finetuning_type: lora), and 16")


def _layers(draft: Draft, key: str, value: Any) -> None:
    named = [name.strip() for name in value.split(",")] if isinstance(value, str) else value
    draft.put(key, {"training.lora_target_modules": "all-linear" if named == ["all"] else named})


def _precision(draft: Draft, key: str, value: Any) -> None:
    if value:
        wide = "the trained weights themselves are fp32" if key == "pure_bf16" else ""
        draft.put(key, {"training.precision": key.removeprefix("pure_")}, wide)
    else:
        draft.note(key, "training.precision", "off")


def _held_out(draft: Draft, key: str, value: Any) -> None:
    if isinstance(value, int | float) and 0 < value < 1:
        draft.put(key, {"data.split.validation": value})
    else:
        draft.lose(key, "recipes hold out validation rows: 0.1 unless data.split.validation is set")


def _stage(draft: Draft, key: str, value: Any) -> None:
    if value in ("sft", "pt"):
        draft.note(key, "data.type", "chat" if value == "sft" else "text")
    else:
        draft.refuse(key, "recipes support supervised fine-tuning only, not preferences or rewards")


def _packing(draft: Draft, key: str, value: Any) -> None:
    """Pack rows if either key says so: neat_packing switches packing on."""
    if value or (key == "packing" and not draft.given.get("neat_packing")):
        draft.put(key, {"training.sample_packing": value}, "packed rows do not see each other" if value else "")
    else:
        draft.note(key, "training.sample_packing", "as the other key says")


def _warmup(draft: Draft, key: str, value: Any) -> None:
    """Translate the key that counts: steps above 0 override the ratio, and below 1 they are one."""
    steps, ratio = (found if isinstance(found := draft.given.get(name), int | float) else 0 for name in ("warmup_steps", "warmup_ratio"))
    used = "warmup_steps" if steps > 0 or not ratio else "warmup_ratio"
    if key != used and draft.given.get(used) is not None:
        draft.note(key, f"training.{used}", "which counts where both are set")
    else:
        draft.put(key, {"training.warmup_ratio" if key == "warmup_steps" and 0 < steps < 1 else f"training.{key}": value})


def _max_steps(draft: Draft, key: str, value: Any) -> None:
    if isinstance(value, int) and value <= 0:
        draft.note(key, "training.num_epochs", "off: the epochs count")
    else:
        draft.put(key, {"training.max_steps": value})


def _mask_history(draft: Draft, key: str, value: Any) -> None:
    """Train only the last turn: an option of the chat converters."""
    sources = draft.values["data"].get("sources", [])
    if not value:
        draft.note(key, "data.sources", "every turn is trained")
    elif draft.given.get("train_on_prompt"):
        draft.refuse(key, "LLaMA-Factory refuses it beside train_on_prompt: which turns are to be trained?")
    elif sources and all(source["converter"] in ("messages", "sharegpt") for source in sources):
        for source in sources:
            source["options"] = source.get("options", {}) | {"last_only": True}
        draft.note(key, "data.sources", "option last_only")
    else:
        draft.refuse(key, "only the converters messages and sharegpt can train only the last turn")


def _pass_on(draft: Draft, key: str, value: Any) -> None:
    """Pass a key to Axolotl under its name there."""
    if value:
        draft.pass_on(key, value, PASSED_ON[key])
    else:
        draft.note(key, f"axolotl.{PASSED_ON[key]}", "off unless set")


def _pissa(draft: Draft, key: str, value: Any) -> None:
    """Pass the initial weights of the adapter to PEFT, as LLaMA-Factory does."""
    if value:
        draft.pass_on(key, "pissa", "peft_init_lora_weights")
        if draft.given.get("pissa_iter", 16) != -1:
            draft.lose("pissa_iter", "the decomposition is exact: a random one would be another each time that the adapter is loaded")
    else:
        draft.note(key, "axolotl.peft_init_lora_weights", "off unless set")


def _predicts(draft: Draft, key: str, value: Any) -> None:
    if value and not draft.given.get("do_train"):
        draft.refuse(key, "the configuration predicts and trains nothing: use recipe predict")
    else:
        draft.lose(key, "use recipe predict")


def _modules(draft: Draft, key: str, value: Any) -> None:
    draft.pass_on(key, [name.strip() for name in value.split(",")] if isinstance(value, str) else value, "lora_modules_to_save")


def _attention(draft: Draft, key: str, value: Any) -> None:
    if value == "auto":
        draft.note(key, "model.attn_implementation", "chosen by the machine unless set")
    else:
        draft.put(key, {"model.attn_implementation": FLASH.get(str(value), value)})


def _trackers(draft: Draft, key: str, value: Any) -> None:
    names = [name for name in (value if isinstance(value, list) else [value]) if name != "none"]
    draft.put(key, {"training.trackers": names})


HANDLERS: dict[str, Callable[[Draft, str, Any], None]] = {
    "finetuning_type": _method, "quantization_bit": _bits, "lora_target": _layers, "bf16": _precision, "fp16": _precision,
    "pure_bf16": _precision, "val_size": _held_out, "stage": _stage, "mask_history": _mask_history,
    "max_steps": _max_steps, "packing": _packing, "neat_packing": _packing, "warmup_steps": _warmup, "warmup_ratio": _warmup,
    "report_to": _trackers, **dict.fromkeys(PASSED_ON, _pass_on), "additional_target": _modules,
    "default_system": lambda draft, key, value: draft.put(key, {"data.system_prompt": value}), "deepspeed": put_deepspeed,
    "flash_attn": lambda draft, key, value: _attention(draft, key, value),
    "lr_scheduler_type": put_schedule,
    "save_strategy": put_strategy,
    "eval_strategy": put_strategy,
    "template": lambda draft, key, value: draft.lose(key, "the tokenizer's chat template is used; model.chat_template sets another"),
    "dataset_dir": lambda draft, key, value: draft.note(key, "data.sources", "folder of the files"),
    "max_samples": lambda draft, key, value: draft.note(key, "data.sources", "limit of each source"),
    "disable_gradient_checkpointing": lambda draft, key, value: draft.put(key, {"training.gradient_checkpointing": not value}),
    "do_train": lambda draft, key, value: draft.note(key, "recipe run", "always trains") if value else draft.lose(key, "always trained"),
    "do_predict": lambda draft, key, value: _predicts(draft, key, value),
    "pissa_init": lambda draft, key, value: _pissa(draft, key, value),
    "early_stopping_steps": lambda draft, key, value: draft.put(key, {"training.early_stopping_patience": value}),
}  # fmt: skip
