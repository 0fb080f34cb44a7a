"""No key of a recipe is ignored, whatever other keys there are: what is not refused changes the training's files or its command, and what is
refused as without effect does not.

Keys and values are taken from the schema, so that a new key is tried without being listed here. That the files change the training:
docs/axolotl-keys.md.
"""

from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipekit.runner.launch.axolotl_config import RenderedData, render_axolotl
from recipekit.runner.launch.plan import plan
from recipekit.runner.runtime.machine import Machine
from recipekit.schemas.batch import with_micro_batch_size
from recipekit.schemas.json_schema import axolotl_fields, resolve, schema
from recipekit.schemas.rules import findings
from recipekit.schemas.sections import Recipe
from recipekit.schemas.validation import validator

from ...support.every_key import ignored, refused_although_it_matters, values_of

GPU = Machine("cuda", 1, "a GPU", 24 << 30, True)  # a CPU takes fp32 and another optimizer, and says so
SECTIONS = ("model", "training", "launch")
ADAPTERS = ("lora", "qlora", "none")
BASES = {"chat": ("messages", "perplexity"), "text": ("text", "perplexity"), "classification": ("table", "accuracy")}
ELSEWHERE = ("training.kernels",)  # needs to know the model's layers: test_kernels.py

# Written into the files in any case: it is Axolotl that does not read them then (docs/axolotl-keys.md), or the launcher.
WRITTEN = ("training.adam_beta1", "training.adam_beta2", "training.adam_epsilon", "training.num_epochs", "training.roles_to_train",
           "training.warmup_ratio", "training.warmup_steps", "model.end_of_turn")  # fmt: skip

Change = tuple[str, str, Any]


def changes() -> list[Change]:
    """Every key of the sections with every value that is tried."""
    whole = schema("recipe")
    sections = {name: resolve(whole, whole["properties"][name])["properties"] for name in SECTIONS}
    return [(name, key, value) for name, keys in sections.items() for key, definition in keys.items() for value in values_of(definition)]


CHANGES = changes()
KEYS = sorted({change[:2] for change in CHANGES if ".".join(change[:2]) not in ELSEWHERE})


def recipe(record_type: str, adapter: str, *changed: Change) -> dict[str, Any]:
    converter, metric = BASES[record_type]
    values: dict[str, Any] = {
        "recipe": 1, "name": "r", "model": {"base_model": "m/m"}, "launch": {},
        "data": {"type": record_type, "sources": [{"path": "/rows", "converter": converter}]},
        "training": {"adapter": adapter, "learning_rate": 1e-4}, "evaluation": {"metrics": [metric]},
    }  # fmt: skip
    for section, key, value in changed:
        values[section][key] = value
    return values


def planned(values: dict[str, Any]) -> str:
    made = Recipe.from_values(values)
    validation = "data/validation.jsonl" if made.data.has_split("validation") else None
    made = with_micro_batch_size(made, 1)  # what `auto` becomes is test_batch_size.py's
    found = plan(made, RenderedData(validation=validation, labels=("a", "b")), GPU, made.model.base_model)
    return repr((found.files, found.argv, found.env))


@given(st.sampled_from(KEYS), st.sampled_from([*BASES]), st.sampled_from(ADAPTERS), st.none() | st.sampled_from(CHANGES))
@settings(max_examples=400)
def test_no_accepted_key_is_without_effect(key, record_type, adapter, beside):
    """At its default value too. Beside any other change that is accepted."""
    others = [beside] if beside and beside[:2] != key else []
    values = recipe(record_type, adapter, *others)
    if validator("recipe").is_valid(values) and not findings(values):
        assert not ignored(key, values, planned), (
            f"{'.'.join(key)} has no effect on {record_type} records with {adapter} and {others}, and is not refused"
        )


def rendered_keys() -> set[str]:
    """The keys of Axolotl that some recipe sets."""
    keys: set[str] = set()
    for record_type, adapter, change in product(BASES, ADAPTERS, CHANGES):
        values = recipe(record_type, adapter, change)
        if validator("recipe").is_valid(values):
            made = with_micro_batch_size(Recipe.from_values(values), 1)
            keys |= render_axolotl(made, RenderedData(validation="validation.jsonl", labels=("a", "b")), GPU, "m/m").keys()
    return keys


def test_what_a_recipe_sets_may_not_be_set_under_axolotl_as_well():
    """One of the two values would be lost. The exceptions are our choice, and a person may know better."""
    chosen = {"greater_is_better", "lora_mlp_kernel", "lora_o_kernel", "lora_qkv_kernel", "mlflow_experiment_name", "mlflow_run_name",
              "trackio_run_name", "wandb_name", "wandb_project"}  # fmt: skip
    assert rendered_keys() & axolotl_fields()["effects"].keys() <= chosen


TRACKERS = [change for change in CHANGES if change[:2] == ("training", "trackers")]
RECIPES = [
    *((name, adapter) for name in BASES for adapter in ADAPTERS),
    *(("chat", "lora", change) for change in TRACKERS),
]


@pytest.mark.parametrize("base", RECIPES, ids=repr)
def test_a_key_that_is_refused_as_without_effect_has_none(base):
    found = {".".join(key): refused_although_it_matters(key, recipe(*base), planned) for key in KEYS}
    assert {key: values for key, values in found.items() if values and key not in WRITTEN} == {}
