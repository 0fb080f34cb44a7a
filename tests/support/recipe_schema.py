"""The parts of schemas/recipe.schema.json that registries decide. Run as a program, this file writes them anew.

It is a program because a process reads the schema once: tests/conftest.py runs it before any test, with UPDATE_GOLDEN=1.
"""

import copy
import inspect
import json
from typing import Any, get_args

from recipekit.converters.sources.registry import CONVERTERS, converter
from recipekit.runner.evaluation.metrics import metrics
from recipekit.runner.generate.tasks import TASKS, task
from recipekit.schemas.json_schema import SCHEMA_DIR
from recipekit.schemas.metrics import LOSSES
from recipekit.schemas.options import options_schema
from recipekit.schemas.sections import RecordType

SCHEMA = SCHEMA_DIR / "recipe.schema.json"


def generated() -> dict[tuple[str, ...], Any]:
    """Map a path in the schema to what the registries say is there."""
    names = list(metrics())
    needs = {
        name: {"record_types": list(m.record_types)}
        | ({"needs": m.needs} if m.needs else {})
        | ({"replies": True} if m.needs_reply else {})
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


def options_of(key: str, name: str, definition: str, options: str = "options") -> dict[str, Any]:
    chosen = {"properties": {key: {"const": name}}} | ({"required": [key]} if options != "options" else {})
    return {"if": chosen, "then": {"properties": {options: {"$ref": f"#/$defs/{definition}"}}}}


def converter_options(name: str) -> dict[str, Any]:
    head = {"description": f"Options of the {name} converter.", "x-record-types": list(converter(name).RECORD_TYPES)}
    return head | options_schema(converter(name).convert)


def task_options(name: str) -> dict[str, Any]:
    what = " ".join((inspect.getdoc(task(name)) or "").split("\n\n")[0].splitlines())
    return {"description": what} | options_schema(task(name).requests)


def with_generated(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with the parts that registries decide."""
    schema = copy.deepcopy(schema)
    for path, value in generated().items():
        place = schema
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
    return schema


def expected_text() -> str:
    """Return the text of the schema's file as it has to be."""
    return json.dumps(with_generated(json.loads(SCHEMA.read_text("utf-8"))), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(expected_text(), "utf-8")
