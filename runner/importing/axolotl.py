"""Translate an Axolotl configuration into a recipe: the inverse of runner/launch, with the table of keys that `recipe check` uses.

A key with the same name in recipes is copied; HANDLERS translate the others, and TOOL_DEFAULTS are Axolotl's values of keys that the file
does not set. Finally the recipe is rendered and compared with the file: a key that comes out different is reported as not expressible.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...schemas.json_schema import axolotl_fields
from ...schemas.sections import Training
from ...schemas.yaml_writing import one_line
from ..launch.axolotl_config import LIGER_PLUGIN, PLUGIN, RenderedData, render_axolotl
from ..launch.axolotl_contract import same
from ..launch.kernel_choice import choose
from ..models.architecture import architecture_of
from ..runtime.machine import Machine
from .axolotl_keys import ENDS_OF_TEXT, OTHER_TRAININGS, REFUSED, SAME_TRAINING_PLUGINS
from .axolotl_launch import LAUNCHED
from .axolotl_sources import put_sources
from .draft import Draft

GPU = Machine("cuda", 1, fast_bf16=True)  # Axolotl configurations are written for GPUs
ATTENTION = {"flash_attention": "flash_attention_2", "sdp_attention": "sdpa", "flex_attention": "flex_attention",
             "eager_attention": "eager", "xformers_attention": "xformers", "sage_attention": "sage", "s2_attention": "s2"}  # fmt: skip
# defaults of Axolotl that differ from those of recipes
TOOL_DEFAULTS: dict[str, Any] = {
    "sequence_len": 512, "optimizer": "adamw_torch_fused", "excess_length_strategy": "drop", "save_total_limit": 4, "lora_dropout": 0.0,
    "warmup_ratio": 0.03,
}  # fmt: skip


def read_axolotl(draft: Draft, folder: Path) -> None:
    """Translate and report every key. `folder` is the recipe's: paths are written relative to it."""
    table = axolotl_fields()
    draft.read_quoted_numbers({"val_set_size": "data.split.validation"} | table["rendered"])
    put_sources(draft, folder)
    if draft.values["data"].get("type") == "classification":
        draft.values["evaluation"] = {"metrics": ["accuracy", "macro_f1"]}
    for key, value in draft.given.items():
        if any(done.partition(".")[0] == key for done in draft.entries):
            continue
        home = table["rendered"].get(key, "")
        if value in (None, [], {}) and key != "bf16":  # whose default is auto: an empty one is false
            draft.ignore(key)
        elif key in HANDLERS:
            HANDLERS[key](draft, key, value)
        elif key in OTHER_TRAININGS:
            draft.refuse(key, OTHER_TRAININGS[key]) if value else draft.keep(key, "always so in recipes")
        elif key in REFUSED or key.startswith("sample_packing_"):
            why = REFUSED.get(key, "recipekit packs rows itself")
            draft.lose(key, why) if value else draft.keep(key, "always so in recipes")
        elif home.rpartition(".")[2] == key:
            draft.put(key, {home: value})
        elif key in table["refused"]:
            draft.lose(key, table["refused"][key]) if value else draft.keep(key, "always so in recipes")
        elif effect := table["effects"].get(key):
            _pass_on(draft, key, value, effect, table["rendered"])
        else:
            draft.lose(key, f"use {home}" if home else f"no key of Axolotl {table['version']} without its plugins")
    _put_defaults(draft, table["rendered"])


def _pass_on(draft: Draft, key: str, value: Any, effect: dict[str, Any], homes: dict[str, str]) -> None:
    """Pass a field to Axolotl if it affects training and the fields that it needs are set."""
    defaults = {other: Training._field_defaults.get(homes.get(other, "").rpartition(".")[2]) for other in effect.get("needs", {})}
    lacking = [other for other, needed in effect.get("needs", {}).items() if draft.given.get(other) is None and defaults[other] != needed]
    if effect["effect"] in ("none", "fails"):
        draft.lose(key, effect.get("why") or "it has no effect on a training by recipekit")
    elif lacking:
        draft.lose(key, f"it has no effect without {', '.join(lacking)}")
    else:
        draft.pass_on(key, value)


def confirm(draft: Draft) -> None:
    """Render the recipe and compare it with the file: keep what is equal, report what is not."""
    recipe = draft.recipe()
    if recipe is None:
        return
    held_out = RenderedData(validation="data/validation.jsonl", labels=recipe.data.labels or ())
    plain = recipe._replace(axolotl={})
    rendered = render_axolotl(plain, held_out, GPU, recipe.model.base_model, choose(plain, GPU, architecture_of(recipe.model)))
    for key, value in draft.given.items():
        entry = draft.entries.get(key)
        if entry is None or key not in rendered or key == "val_set_size":  # rows are held out before they are rendered
            continue
        if entry.status in ("not expressible", "passed through") and same(value, rendered[key]):
            draft.keep(key, "rendered with the same value")
        elif key not in HANDLERS and entry.status == "kept" and not same(value, rendered[key]):
            draft.unset(entry.to[0], f"would be rendered as {one_line(rendered[key])}")


def _put_defaults(draft: Draft, homes: dict[str, str]) -> None:
    given = {key for key, value in draft.given.items() if value is not None}
    left_out = {key for key in TOOL_DEFAULTS if key.startswith("lora_") and "adapter" not in given}
    left_out |= {"excess_length_strategy"} if draft.values["data"].get("type") == "text" else set()
    left_out |= {"warmup_ratio"} if "warmup_steps" in given or draft.given.get("lr_scheduler") == "constant" else set()
    for key in [key for key in TOOL_DEFAULTS if key not in given | left_out]:
        most = ", which is rounded down and ends after 100 steps there" if key == "warmup_ratio" else ""
        draft.put(key, {homes[key]: TOOL_DEFAULTS[key]}, f"Axolotl's default{most}", "default")
    if "adapter" not in given:
        draft.put("adapter", {"training.adapter": "none"}, "Axolotl's default: full fine-tuning", "default")
    elif not (draft.given.get("lora_target_linear") or draft.given.get("lora_target_modules")):
        draft.lose("lora_target_modules", "Axolotl adapts no layer without it; recipes adapt every linear layer unless it is set")
    if not given & {"val_set_size", "test_datasets"}:
        put_held_out(draft, "val_set_size", 0)
    if "dataset_exact_deduplication" not in given and draft.values["data"]:
        draft.put("dataset_exact_deduplication", {"data.dedup": "none"}, "Axolotl's default: equal rows are trained", "default")


def _adapter(draft: Draft, key: str, value: Any) -> None:
    four = value == "lora" and draft.given.get("load_in_4bit") is True
    draft.put(key, {"training.adapter": "qlora" if four else value}, "lora with load_in_4bit" if four else "")


def _four_bits(draft: Draft, key: str, value: Any) -> None:
    adapter = draft.given.get("adapter")
    if bool(value) == (adapter == "qlora") or value and adapter == "lora":
        draft.note(key, "training.adapter", "qlora" if value else "not qlora")
    else:
        draft.lose(key, "4-bit weights need adapter: qlora")


def _all_linear(draft: Draft, key: str, value: Any) -> None:
    home = "training.lora_target_modules"
    draft.put(key, {home: "all-linear"}) if value else draft.note(key, home, "off")


def _target_modules(draft: Draft, key: str, value: Any) -> None:
    if draft.given.get("lora_target_linear"):
        draft.lose(key, "lora_target_linear adapts every linear layer but the head, and no others can be adapted beside these")
    else:
        draft.put(key, {"training.lora_target_modules": value})


def _precision(draft: Draft, key: str, value: Any) -> None:
    bf16, fp16 = draft.given.get("bf16", "auto"), draft.given.get("fp16")
    if key == "bf16":
        wanted = "auto" if bf16 == "auto" else "bf16" if bf16 in (True, "full") else "fp16" if fp16 else "fp32"
        wide = "" if draft.given.get("adapter") or wanted not in ("bf16", "auto") else "the weights themselves are trained in fp32"
        draft.put(key, {"training.precision": wanted}, wide or ("also in evaluations" if bf16 == "full" else ""))
    elif value and draft.given.get("bf16") is None:
        draft.put(key, {"training.precision": "fp16"})
    else:
        draft.note(key, "training.precision", "set by bf16")


def _attention(draft: Draft, key: str, value: Any) -> None:
    home = "model.attn_implementation"
    draft.put(key, {home: ATTENTION[key]}) if value else draft.note(key, home, "off")


def _end_of_turn(draft: Draft, key: str, value: Any) -> None:
    if isinstance(value, list) and len(value) == 1:
        draft.put(key, {"model.end_of_turn": value[0]})
    else:
        draft.lose(key, "model.end_of_turn takes one token")


def _special_tokens(draft: Draft, key: str, value: Any) -> None:
    if not isinstance(value, dict):
        return draft.lose(key, "not a mapping")
    for name, token in value.items():
        if name == "pad_token":
            draft.put(f"{key}.{name}", {"model.pad_token": token})
        elif name == "eos_token" and token not in ENDS_OF_TEXT and not draft.given.get("eot_tokens"):
            draft.put(f"{key}.{name}", {"model.end_of_turn": token}, "which ends each reply there too")
        else:
            draft.lose(f"{key}.{name}", "the tokenizer's own is used; model.end_of_turn sets another end of turn")


def put_held_out(draft: Draft, key: str, value: Any) -> None:
    if draft.given.get("test_datasets"):
        draft.note(key, "data.split.validation", "test_datasets are the validation rows")
    elif not value or not isinstance(value, int | float):
        draft.lose(key, "recipes hold out validation rows: 0.1 unless data.split.validation is set")
    elif value >= 1:
        draft.lose(key, "data.split.validation is a share of the rows, not a number: 0.1 unless set")
    else:
        draft.put(key, {"data.split.validation": value})


def _model_class(draft: Draft, key: str, value: Any) -> None:
    if str(value).endswith(("CausalLM", "SequenceClassification")):
        draft.note(key, "data.type", "implied by the record type")
    else:
        draft.lose(key, "only causal language models and classification heads are supported")


def _packing(draft: Draft, key: str, value: Any) -> None:
    if key == "sample_packing" and draft.given.get("pack_blocks"):
        draft.note(key, "training.sample_packing", "recipekit packs rows itself")
    else:
        draft.put(key, {"training.sample_packing": value}, "packed by recipekit" if value else "")


def _accepted_losses(draft: Draft, key: str, value: Any) -> None:
    """Translate the accepted kinds of loss; an unlisted kind is not accepted, but recipes accept whitespace by default."""
    accepted = value if isinstance(value, list) else []
    draft.put(key, {"data.reasoning": "drop" if "reasoning" in accepted else "keep"})
    if "whitespace" not in accepted:
        draft.put(key, {"data.whitespace": "keep"})


def _warmup_ratio(draft: Draft, key: str, value: Any) -> None:
    if draft.given.get("warmup_steps") is None:
        draft.put(key, {"training.warmup_ratio": value}, "rounded up to whole steps, which Axolotl rounds down")
    else:
        draft.note(key, "training.warmup_steps", "which counts where both are set")


def put_schedule(draft: Draft, key: str, value: Any) -> None:
    if value == "cosine_with_min_lr":
        draft.lose(key, "use lr_scheduler: cosine with axolotl: {cosine_min_lr_ratio: 0.1}, the lowest rate as a share of the highest")
    else:
        draft.put(key, {"training.lr_scheduler": value})


def _tokenizer(draft: Draft, key: str, value: Any) -> None:
    if value == "AutoTokenizer":
        draft.keep(key, "always so in recipes")
    else:
        draft.lose(key, "what is loaded would be another class than the model's own")


def _padding(draft: Draft, key: str, value: Any) -> None:
    if value and draft.given.get("sample_packing"):
        draft.lose(key, "packed sequences are not padded")
    else:
        draft.pass_on(key, value)


def _per_epoch(draft: Draft, key: str, value: Any) -> None:
    home = {"evals_per_epoch": "training.eval_steps", "saves_per_epoch": "training.save_steps"}[key]
    if value == 1:
        draft.note(key, home, "once per epoch is the default")
    else:
        draft.lose(key, f"set {home}: the number of steps depends on the number of rows")


def put_strategy(draft: Draft, key: str, value: Any) -> None:
    """Translate save_strategy and eval_strategy, which say what save_steps and eval_steps mean."""
    steps = key.replace("strategy", "steps")
    if value == "steps" and draft.given.get(steps):
        draft.note(key, f"training.{steps}", "set in steps")
    elif value == "epoch" and not draft.given.get(steps):
        draft.note(key, f"training.{steps}", "once per epoch is the default")
    else:
        draft.lose(key, f"use training.{steps}; without it, once per epoch")


def _tracker(draft: Draft, key: str, value: Any) -> None:
    name = key.removeprefix("use_").removesuffix("_project")
    trackers = draft.values["training"].get("trackers", [])
    if value and name not in trackers:
        draft.values["training"]["trackers"] = trackers = [*trackers, name]
    if not trackers:
        draft.note(key, "training.trackers", "none")
        return
    project = {"training.tracker_project": value} if key == "wandb_project" else {}  # Axolotl takes it for use_wandb: true
    draft.put(key, {"training.trackers": trackers} | project, status="renamed")


def _run_name(draft: Draft, key: str, value: Any) -> None:
    if draft.given.get("use_wandb") or draft.given.get("wandb_project"):
        draft.put(key, {"training.tracker_run_name": value})
    else:
        draft.lose(key, "has no effect without use_wandb")


def _plugins(draft: Draft, key: str, value: Any) -> None:
    for plugin in value if isinstance(value, list) else [value]:
        if plugin == PLUGIN:
            draft.keep(f"{key}: {plugin}", "always used")
        elif plugin == LIGER_PLUGIN:
            draft.keep(f"{key}: {plugin}", "used on a GPU where training.kernels says")
        elif str(plugin).startswith(SAME_TRAINING_PLUGINS):
            draft.lose(f"{key}: {plugin}", "plugins other than recipekit's are not supported")
        else:
            draft.refuse(f"{key}: {plugin}", "plugins other than recipekit's are not supported, and this one may change what is trained")


HANDLERS: dict[str, Callable[[Draft, str, Any], None]] = {
    "adapter": _adapter, "load_in_4bit": _four_bits, "lora_target_linear": _all_linear, "lora_target_modules": _target_modules,
    "bf16": _precision, "fp16": _precision, **dict.fromkeys(ATTENTION, _attention), "eot_tokens": _end_of_turn,
    "special_tokens": _special_tokens, "val_set_size": put_held_out, "type_of_model": _model_class, "model_type": _model_class,
    "revision_of_model": lambda draft, key, value: draft.put(key, {"model.revision": value}),
    "sample_packing": _packing, "pack_blocks": _packing, "accepted_losses": _accepted_losses,
    "fold_system": lambda draft, key, value: draft.put(key, {"data.system_role": "fold" if value else "keep"}),
    "deterministic": lambda draft, key, value: draft.put(key, {"training.deterministic": bool(value)}),
    "dataset_exact_deduplication": lambda draft, key, value: draft.put(key, {"data.dedup": "exact" if value else "none"}),
    "tokenizer_type": _tokenizer, "lr_scheduler": put_schedule, "warmup_ratio": _warmup_ratio,
    "tf32": lambda draft, key, value: draft.lose(key, "used on GPUs that have it, as training.precision allows"),
    "pad_to_sequence_len": _padding, "evals_per_epoch": _per_epoch,
    "saves_per_epoch": _per_epoch, "eval_strategy": put_strategy, "save_strategy": put_strategy, "plugins": _plugins, "use_wandb": _tracker,
    "wandb_project": _tracker, "wandb_name": _run_name, "use_mlflow": _tracker, "use_tensorboard": _tracker, "use_trackio": _tracker,
    **LAUNCHED,
}  # fmt: skip
