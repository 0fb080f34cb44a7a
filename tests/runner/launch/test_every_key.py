"""No key of a recipe is ignored, whatever stands beside it: what is not refused changes the training's files or its command.

Keys and values are taken from the schema, so that a new key is tried without being listed here. That the files change the training:
docs/axolotl-keys.md.
"""

from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from recipekit.runner.launch.axolotl_config import RenderedData
from recipekit.runner.launch.plan import plan
from recipekit.runner.runtime.machine import Machine
from recipekit.schemas.json_schema import resolve, schema
from recipekit.schemas.rules import RULES
from recipekit.schemas.sections import Recipe
from recipekit.schemas.validation import validator

GPU = Machine("cuda", 1, "a GPU", 24 << 30, True)  # a CPU takes fp32 and another optimizer, and says so
SECTIONS = ("model", "training", "launch")
BASES = {"chat": ("messages", "perplexity"), "text": ("text", "perplexity"), "classification": ("table", "accuracy")}
ELSEWHERE = ("training.kernels",)  # needs to know the model's layers: test_kernels.py

Change = tuple[str, str, Any]


def values_of(definition: dict[str, Any]) -> Iterator[Any]:
    """Some values that the schema allows, or may allow."""
    for part in definition.get("anyOf", definition.get("oneOf", ())):
        yield from values_of(part)
    yield from definition.get("enum", ())
    if "const" in definition:
        yield definition["const"]
    kind = definition.get("type")
    yield from {"boolean": (True, False), "integer": (2, 3, 8), "number": (0.25, 0.5, 2.0), "string": ("some/text", "a" * 40)}.get(
        str(kind), ()
    )
    if kind == "array":
        yield from ([value] for value in values_of(definition.get("items", {})))


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


def accepted(values: dict[str, Any]) -> Recipe | None:
    """The recipe; None where the schema or a rule refuses it."""
    if not validator("recipe").is_valid(values):
        return None
    made = Recipe.from_values(values)
    return None if any(True for rule in RULES for _ in rule(made)) else made


def planned(made: Recipe) -> tuple[Any, ...]:
    validation = "data/validation.jsonl" if made.data.has_split("validation") else None
    found = plan(made, RenderedData(validation=validation, labels=("a", "b")), GPU, made.model.base_model)
    return found.files, found.argv, found.env


@given(st.sampled_from(KEYS), st.sampled_from([*BASES]), st.sampled_from(["lora", "qlora", "none"]), st.none() | st.sampled_from(CHANGES))
@settings(max_examples=400)
def test_no_accepted_key_is_without_effect(key, record_type, adapter, beside):
    """One value may mean what its absence means (precision: bf16, where `auto` is that), but not all that are accepted."""
    others = [beside] if beside and beside[:2] != key else []
    tried = [recipe(record_type, adapter, *others, *change) for change in [[], *([found] for found in CHANGES if found[:2] == key)]]
    made = {repr(found): found for values in tried if (found := accepted(values))}
    if len(made) > 1:
        assert len({repr(planned(found)) for found in made.values()}) > 1, (
            f"{'.'.join(key)} has no effect on {record_type} records with {adapter} and {others}, and is not refused"
        )
