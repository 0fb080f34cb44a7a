"""Rules across the keys of a recipe. Each is a small function that yields what is wrong, where, and how to fix it.

A rule reads only the recipe. It yields a key that nothing reads (`no_effect`) without looking at the key's value: `findings` drops those
that the recipe does not write, so that a key without effect is refused even if its value is the default. What depends on the data (is the
run shorter than its warm-up?) is checked when rows are counted.
"""

from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from .batch import BATCH_RULES
from .encodings import encoding_hint, is_encoding
from .evaluation_rules import EVALUATION_RULES
from .findings import Finding, Rule, no_effect
from .generate_rules import GENERATE_RULES
from .json_schema import schema
from .launch_rules import LAUNCH_RULES
from .model_rules import MODEL_RULES
from .sections import Recipe, RecordType
from .split_names import split_in
from .warm_up import WARM_UP_RULES
from .yaml_source import KeyPath


def quantised_without_adapter(recipe: Recipe) -> Iterator[Finding]:
    if recipe.training.load_in_8bit and recipe.training.adapter != "lora":
        hint = "use adapter: lora, or load_in_8bit: false; 8-bit weights cannot be trained"
        yield Finding(("training", "load_in_8bit"), f"cannot be combined with adapter: {recipe.training.adapter}", hint)


def adapter_keys_without_adapter(recipe: Recipe) -> Iterator[Finding]:
    for key in ("lora_r", "lora_alpha", "lora_dropout", "lora_target_modules"):
        if recipe.training.adapter == "none":
            yield no_effect(("training", key), " with adapter: none", "remove it, or set adapter: lora or qlora")


def hub_keys_without_hub(recipe: Recipe) -> Iterator[Finding]:
    for place, source, _ in recipe.all_sources():
        on_hub = source.path.startswith("hf:")
        for key in ("revision", "subset", "hub_split"):
            if not on_hub:
                yield no_effect((*place, key), " on files", "remove it, or set path: hf:owner/name")
        if on_hub and "[" in source.hub_split:
            yield Finding((*place, "hub_split"), "slices are not supported", "name a whole split, and set limit")


def file_keys_on_hub(recipe: Recipe) -> Iterator[Finding]:
    for place, source, _ in recipe.all_sources():
        for key in ("encoding", "columns", "skip_lines", "field"):
            if source.path.startswith("hf:"):
                yield no_effect((*place, key), " on an hf: dataset")


def held_out_rows_in_training(recipe: Recipe) -> Iterator[Finding]:
    sources = recipe.data.sources
    named = [split_in(source.hub_split if source.path.startswith("hf:") else PurePath(source.path).name) for source in sources]
    for number, (source, split) in enumerate(zip(sources, named, strict=True)):
        if "train" in named and split not in ("", "train") and source.split is None:
            what = f"names {split} rows, which would be trained: another source names training rows"
            yield Finding(("data", "sources", number, "path"), what, f"set the source's split: {split}; or split: train, to train them")


def unknown_encoding(recipe: Recipe) -> Iterator[Finding]:
    for place, source, _ in recipe.all_sources():
        if not is_encoding(source.encoding):
            yield Finding((*place, "encoding"), f"unknown encoding {source.encoding!r}", encoding_hint(source.encoding))


def nothing_to_merge(recipe: Recipe) -> Iterator[Finding]:
    if recipe.training.adapter == "none":
        yield no_effect(("export", "merge"), " with adapter: none", "remove it: there is no adapter to merge")


def precision_by_quantisation(recipe: Recipe) -> Iterator[Finding]:
    if recipe.training.adapter == "none" and recipe.training.precision == "fp16":
        hint = "use bf16 or auto: fp16 gradients cannot be unscaled"
        yield Finding(("training", "precision"), "fp16 does not work with full-parameter training", hint)


def evaluation_beyond_the_end(recipe: Recipe) -> Iterator[Finding]:
    training = recipe.training
    for key in ("eval_steps", "save_steps"):
        every = getattr(training, key)
        if every and training.max_steps and every > training.max_steps:
            yield Finding(("training", key), f"{every} is beyond the end of the run (max_steps: {training.max_steps})",
                          f"at most {training.max_steps}")  # fmt: skip


def restarts_that_never_come(recipe: Recipe) -> Iterator[Finding]:
    given = recipe.axolotl.get("lr_scheduler_kwargs")
    has_cycles = isinstance(given, dict) and given.get("num_cycles", 1) not in (0, 1)
    if recipe.training.lr_scheduler == "cosine_with_restarts" and not has_cycles:
        what = "cosine_with_restarts has one cycle, so it never restarts: it is cosine"
        yield Finding(("training", "lr_scheduler"), what, "set axolotl: {lr_scheduler_kwargs: {num_cycles: 3}}, or use cosine")


# The arguments of each scheduler of transformers; an other one is an error there, or ignored.
_ARGUMENTS = {"cosine": {"num_cycles"}, "cosine_with_restarts": {"num_cycles"}, "polynomial": {"power", "lr_end"}}


def arguments_that_the_scheduler_lacks(recipe: Recipe) -> Iterator[Finding]:
    given, scheduler = recipe.axolotl.get("lr_scheduler_kwargs"), recipe.training.lr_scheduler
    known = _ARGUMENTS.get(scheduler, set())
    for key in given if isinstance(given, dict) else ():
        if key not in known:
            hint = f"it takes {' and '.join(sorted(known))}" if known else "it takes none"
            yield Finding(("axolotl", "lr_scheduler_kwargs", key), f"{scheduler} has no such argument", hint)


def adam_keys_without_adam(recipe: Recipe) -> Iterator[Finding]:
    optimizer = recipe.training.optimizer
    for key in ("adam_beta1", "adam_beta2", "adam_epsilon"):
        if "adamw" not in optimizer:
            yield no_effect(("training", key), f" with optimizer: {optimizer}", "remove it, or choose an adamw optimizer")


def epochs_beside_steps(recipe: Recipe) -> Iterator[Finding]:
    if recipe.training.max_steps:
        yield no_effect(("training", "num_epochs"), " with max_steps, which sets the length of the run", "keep one of them")


def early_stopping_without_evaluation(recipe: Recipe) -> Iterator[Finding]:
    training = recipe.training
    wants = [key for key in ("early_stopping_patience", "eval_steps", "load_best_model_at_end") if getattr(training, key)]
    if not recipe.data.has_split("validation"):
        for key in wants:
            yield Finding(("training", key), "needs validation rows", "set data.split.validation above 0")


def best_model_between_checkpoints(recipe: Recipe) -> Iterator[Finding]:
    training = recipe.training
    best = training.load_best_model_at_end or training.early_stopping_patience
    if best and training.save_steps and (not training.eval_steps or training.save_steps % training.eval_steps):
        hint = f"make save_steps a multiple of eval_steps ({training.eval_steps or 'not set: once per epoch'})"
        yield Finding(("training", "save_steps"), "the best model may fall between two checkpoints", hint)


def best_metric_without_best_model(recipe: Recipe) -> Iterator[Finding]:
    training = recipe.training
    if not (training.load_best_model_at_end or training.early_stopping_patience):
        hint = "set load_best_model_at_end: true, or remove it"
        yield no_effect(("training", "metric_for_best_model"), " without load_best_model_at_end", hint)


def shares_leave_nothing(recipe: Recipe) -> Iterator[Finding]:
    split = recipe.data.split
    if split.validation + split.test >= 1:
        yield Finding(("data", "split"), "no rows are left for training", "make the sum of validation and test less than 1")


# The record types that read a key; all read the others.
_READ_BY: dict[KeyPath, tuple[RecordType, ...]] = {
    ("training", "train_on_inputs"): ("chat",),
    ("training", "roles_to_train"): ("chat",),
    ("data", "system_prompt"): ("chat",),
    ("data", "system_role"): ("chat",),
    ("data", "reasoning"): ("chat",),
    ("data", "whitespace"): ("chat",),
    ("model", "chat_template"): ("chat",),
    ("model", "end_of_turn"): ("chat", "text"),
    ("data", "labels"): ("classification",),
    ("training", "class_weights"): ("classification",),
    ("training", "excess_length_strategy"): ("chat", "classification"),
    ("evaluation", "seen_by"): ("chat", "text"),
}


def keys_of_another_record_type(recipe: Recipe) -> Iterator[Finding]:
    training, kind = recipe.training, recipe.data.type
    for path, types in _READ_BY.items():
        if kind not in types:
            hint = "remove it: long texts are split" if path[-1] == "excess_length_strategy" else "remove it"
            yield no_effect(path, f" on {kind} records", hint)
    if kind == "classification" and training.sample_packing:
        yield Finding(("training", "sample_packing"), "classification rows cannot be packed", "use group_by_length: true")


def roles_of_inputs(recipe: Recipe) -> Iterator[Finding]:
    if recipe.training.train_on_inputs:
        yield no_effect(("training", "roles_to_train"), " with train_on_inputs: true, which trains every message")


def keys_of_rows_that_are_not_divided(recipe: Recipe) -> Iterator[Finding]:
    split, sources = recipe.data.split, recipe.data.sources
    if not split.validation and not split.test:
        hint = "remove it, or set data.split.validation above 0"
        yield no_effect(("data", "split", "stratify_by"), ": rows are held out by source only", hint)
        if all(source.max_words is None and source.weight % 1 == 0 for source in sources):
            yield no_effect(("data", "split", "seed"), ": no row is chosen by chance", hint)
    for index, source in enumerate(sources):
        if source.split in ("validation", "test"):
            yield no_effect(("data", "sources", index, "weight"), f" on {source.split} rows: only training rows are repeated")


def source_named_twice(recipe: Recipe) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for index, source in enumerate(recipe.data.sources):
        first = seen.setdefault(repr((source.path, source.converter, sorted(source.options.items()), source.split)), index)
        if first != index:
            hint = "remove it, or set weight on the first to train its rows more often"
            yield Finding(("data", "sources", index), f"duplicate of data.sources.{first}", hint)


def converter_of_another_type(recipe: Recipe) -> Iterator[Finding]:
    for place, source, kind in recipe.all_sources():
        definition = schema("recipe")["$defs"][source.converter]
        for option in source.options:
            if kind not in definition["properties"][option].get("x-record-types", [kind]):
                yield no_effect((*place, "options", option), f" on {kind} records")
        kinds: list[str] = definition["x-record-types"]  # a test compares them with the converters
        if kind not in kinds:
            what = f"the converter {source.converter} makes {' or '.join(kinds)} records, not {kind}"
            section = ".".join(map(str, place[: place.index("sources")]))
            yield Finding((*place, "converter"), what, f"set {section}.type: {kinds[0]}, or use another converter")


def near_threshold_unused(recipe: Recipe) -> Iterator[Finding]:
    data = recipe.data
    if data.check_leaks == "none" and not data.compares_near:
        yield no_effect(("data", "near_threshold"), " with check_leaks: none", "set dedup: near, or remove it")


def tracker_names_without_tracker(recipe: Recipe) -> Iterator[Finding]:
    # In transformers, all trackio runs share one project.
    for key, taken_by in {"tracker_project": {"wandb", "mlflow"}, "tracker_run_name": {"wandb", "mlflow", "trackio"}}.items():
        if taken_by.isdisjoint(recipe.training.trackers):
            yield no_effect(("training", key), f" without {' or '.join(sorted(taken_by))}", "set training.trackers: [wandb]")


def class_weights_of_other_labels(recipe: Recipe) -> Iterator[Finding]:
    weights, labels = recipe.training.class_weights, recipe.data.labels
    if isinstance(weights, dict) and labels:
        for label in [*(name for name in weights if name not in labels), *(name for name in labels if name not in weights)]:
            wrong = "is not one of data.labels" if label in weights else "has no weight"
            path = ("training", "class_weights", *([label] if label in weights else []))
            yield Finding(path, f"the label {label!r} {wrong}", f"give weights for {', '.join(labels)}")


RULES: tuple[Rule, ...] = (
    *LAUNCH_RULES,
    *BATCH_RULES,
    *WARM_UP_RULES,
    converter_of_another_type,
    quantised_without_adapter,
    adapter_keys_without_adapter,
    hub_keys_without_hub,
    file_keys_on_hub,
    held_out_rows_in_training,
    unknown_encoding,
    nothing_to_merge,
    precision_by_quantisation,
    evaluation_beyond_the_end,
    restarts_that_never_come,
    arguments_that_the_scheduler_lacks,
    adam_keys_without_adam,
    epochs_beside_steps,
    early_stopping_without_evaluation,
    best_model_between_checkpoints,
    best_metric_without_best_model,
    shares_leave_nothing,
    keys_of_another_record_type,
    roles_of_inputs,
    keys_of_rows_that_are_not_divided,
    source_named_twice,
    near_threshold_unused,
    tracker_names_without_tracker,
    class_weights_of_other_labels,
    *MODEL_RULES,
    *EVALUATION_RULES,
    *GENERATE_RULES,
)


def findings(values: dict[str, Any]) -> list[Finding]:
    """Return what the rules find in a recipe that matches the schema."""
    recipe = Recipe.from_values(values)
    return [finding for rule in RULES for finding in rule(recipe) if finding.applies(values)]
