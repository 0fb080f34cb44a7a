"""The recipe of a smoke run (`recipe run --smoke`): every stage on a CPU in a minute or two, with as few changed keys as possible.

These changes apply to every recipe; the recipe's own `smoke` section overrides them.
"""

from typing import Any

from .base.errors import Location
from .batch import batch_of
from .evaluation_sections import Generation
from .extends import overlay
from .findings import NO_EFFECT
from .metrics import JUDGED
from .rules import findings
from .sections import EvaluationSet, Launch, Recipe
from .validation import without_unknown_keys
from .values import is_written, without
from .yaml_source import Document, KeyPath

TINY = "tiny:"
STEPS = 4  # with a checkpoint in the middle to resume from
ROWS = 2  # per batch, and two batches per step if the recipe accumulates gradients
EVALUATED = 4
NEW_TOKENS = 16
FAST_KERNELS = ("flash_attention_2", "flash_attention_3", "flash_attention_4", "flex_attention")  # need a GPU
MARK = Location("--smoke")


def smoke_document(document: Document) -> Document:
    """Return a valid recipe with the changes of a smoke run."""
    own: dict[str, Any] = document.data.get("smoke") or {}
    steps = (own.get("training") or {}).get("max_steps") or STEPS
    changes = _without_needless(_changes(Recipe.from_values(document.data), steps), document.data)
    places = dict.fromkeys(_paths(changes, ()), MARK)
    document = overlay(document, Document(changes, places, places))
    cut = {
        name: {path[1:]: location for path, location in table.items() if path[:1] == ("smoke",)}
        for name, table in (("keys", document.keys), ("values", document.values))
    }
    return _pruned(overlay(document, Document(own, cut["keys"], cut["values"])), own)


def _pruned(document: Document, own: dict[str, Any]) -> Document:
    """Remove the keys that the changes leave without effect, but for those of the smoke section, which are reported."""
    values = without_unknown_keys(document.data)
    for finding in findings(values) if values else ():
        if finding.rule == NO_EFFECT and not is_written(own, finding.path) and is_written(document.data, finding.path):
            document = document._replace(data=without(document.data, finding.path))
    return document


def _changes(recipe: Recipe, steps: int) -> dict[str, Any]:
    """Return the changes of every smoke run; None removes a key, `...` keeps it."""
    training, model, prompts = recipe.training, recipe.model, recipe.evaluation.prompts
    half = max(steps // 2, 1)
    return {
        # The recipe behind `run:` has a smoke run too, whose tiny model is used.
        "model": ({} if model.base_model.startswith(("run:", TINY)) else {"base_model": TINY + model.base_model})
        | {"trust_remote_code": None, "attn_implementation": "eager" if model.attn_implementation in FAST_KERNELS else ...},
        "training": {
            "max_steps": steps,
            **_batch(recipe),
            "warmup_steps": min(training.warmup_steps, steps - 1, 1) if training.warmup_steps else ...,
            "logging_steps": 1,
            "eval_steps": half if recipe.data.has_split("validation") else ...,
            "save_steps": half,
            "trackers": None,
            "tracker_project": None,
            "tracker_run_name": None,
        },
        "launch": None if recipe.launch != Launch() else ...,
        "evaluation": {
            "max_rows": min(recipe.evaluation.max_rows or EVALUATED, EVALUATED),
            "metrics": [name for name in recipe.evaluation.metrics if name not in JUDGED] or ["perplexity"]
            if recipe.evaluation.judge
            else ...,
            "judge": None,  # judging random weights costs money for nothing
            "rubric": None,
            "sentiment_model": _tiny(recipe.evaluation.sentiment_model),
            "gates": None,  # random weights pass no gate
            "generation": _few_tokens(recipe.evaluation.generation),
            "prompts": {"generation": _few_tokens(prompts.generation)} if prompts and prompts.generation else ...,
            "also": {name: _of_set(found) for name, found in recipe.evaluation.also.items()} or ...,
        },
        "export": {"push_to_hub": None},  # a smoke run is never uploaded
    }


def _batch(recipe: Recipe) -> dict[str, int | None]:
    """Return few rows per step, as numbers: `auto` is for the model's own size, and a smoke run has one process."""
    found = batch_of(recipe)
    if recipe.training.global_batch_size:
        micro = min(found.rows, ROWS)
        return {"micro_batch_size": micro, "gradient_accumulation_steps": min(found.rows // micro, ROWS), "global_batch_size": None}
    return {"micro_batch_size": min(found.micro_batch_size, ROWS),
            "gradient_accumulation_steps": min(found.gradient_accumulation_steps, ROWS)}  # fmt: skip


def _tiny(model: str | None) -> Any:
    return TINY + model if model and not model.startswith(TINY) else ...


def _few_tokens(generation: Generation) -> dict[str, int]:
    return {"max_new_tokens": min(generation.max_new_tokens, NEW_TOKENS)}


def _of_set(found: EvaluationSet) -> dict[str, Any]:
    tokens = min(found.max_new_tokens, NEW_TOKENS) if found.max_new_tokens else ...
    return {"max_rows": min(found.max_rows or EVALUATED, EVALUATED), "max_new_tokens": tokens, "gates": None}


def _without_needless(changes: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Remove unchanged values (`...`), and removals of keys that do not exist."""
    kept = {}
    for key, value in changes.items():
        if isinstance(value, dict):
            if inner := _without_needless(value, values.get(key) or {}):
                kept[key] = inner
        elif value is not ... and not (value is None and key not in values):
            kept[key] = value
    return kept


def _paths(values: dict[str, Any], at: KeyPath) -> list[KeyPath]:
    found: list[KeyPath] = []
    for key, value in values.items():
        found += _paths(value, (*at, key)) if isinstance(value, dict) else [(*at, key)]
    return found
