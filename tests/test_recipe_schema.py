"""The parts of schemas/recipe.schema.json that registries decide. `UPDATE_GOLDEN=1` writes them anew.

What else the schema says of a recipe is written by hand.
"""

import inspect
import json
import os
from typing import get_args

from recipekit.converters.sources.registry import CONVERTERS, converter
from recipekit.runner.evaluation.metrics import metrics
from recipekit.runner.generate.tasks import TASKS, task
from recipekit.schemas.metrics import LOSSES
from recipekit.schemas.options import options_schema
from recipekit.schemas.sections import RecordType

from .support.paths import ROOT

SCHEMA = ROOT / "schemas" / "recipe.schema.json"


def generated() -> dict:
    """The schema's path -> what stands there."""
    names = list(metrics())
    needs = {
        name: {"record_types": list(m.record_types)}
        | ({"needs": m.needs} if m.needs else {})
        | ({"undirected": True} if m.higher_is_better is None else {})
        for name, m in metrics().items()
    }
    return {
        ("$defs", "source", "properties", "converter", "enum"): list(CONVERTERS),
        ("$defs", "source", "allOf"): [options_of("converter", name, name) for name in CONVERTERS],
        ("$defs", "generate", "properties", "task", "enum"): list(TASKS),
        ("$defs", "generate", "properties", "converter", "enum"): list(CONVERTERS),
        ("$defs", "generate", "allOf"): [
            *(options_of("task", name, f"task_{name}") for name in TASKS),
            *(options_of("converter", name, name, "converter_options") for name in CONVERTERS),
        ],
        ("properties", "data", "properties", "type", "enum"): list(get_args(RecordType)),
        ("properties", "evaluation", "properties", "metrics", "items", "enum"): names,
        ("properties", "evaluation", "properties", "metrics", "x-metrics"): needs,
        ("properties", "evaluation", "properties", "gates", "propertyNames", "enum"): [*names, *LOSSES],
        ("$defs", "evaluation_set", "properties", "type", "enum"): list(get_args(RecordType)),
        ("$defs", "evaluation_set", "properties", "metrics", "items", "enum"): names,
        ("$defs", "evaluation_set", "properties", "gates", "propertyNames", "enum"): names,
        **{("$defs", name): converter_options(name) for name in CONVERTERS},
        **{("$defs", f"task_{name}"): task_options(name) for name in TASKS},
    }


def options_of(key: str, name: str, definition: str, options: str = "options") -> dict:
    chosen = {"properties": {key: {"const": name}}} | ({"required": [key]} if options != "options" else {})
    return {"if": chosen, "then": {"properties": {options: {"$ref": f"#/$defs/{definition}"}}}}


def converter_options(name: str) -> dict:
    head = {"description": f"Options of the {name} converter.", "x-record-types": list(converter(name).RECORD_TYPES)}
    return head | options_schema(converter(name).convert)


def task_options(name: str) -> dict:
    what = " ".join((inspect.getdoc(task(name)) or "").split("\n\n")[0].splitlines())
    return {"description": what} | options_schema(task(name).requests)


def with_generated(schema: dict) -> dict:
    """The schema with the registries' parts put in their places."""
    schema = json.loads(json.dumps(schema))
    for path, value in generated().items():
        place = schema
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
    return schema


def test_the_schema_holds_what_the_registries_say():
    text = SCHEMA.read_text(encoding="utf-8")
    expected = json.dumps(with_generated(json.loads(text)), indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        SCHEMA.write_text(expected, encoding="utf-8")
    assert SCHEMA.read_text(encoding="utf-8") == expected, "UPDATE_GOLDEN=1 pytest tests/test_recipe_schema.py writes it anew"


def test_every_option_is_described():
    for name in (*CONVERTERS, *(f"task_{name}" for name in TASKS)):
        for key, option in generated()["$defs", name]["properties"].items():
            assert option.get("description", "").endswith("."), f"{name}.{key}"
