"""Validate values against a JSON Schema: jsonschema-rs decides (fast), jsonschema explains (only if something is wrong)."""

from functools import cache
from typing import Any

import jsonschema_rs

from .base.errors import MAX_PROBLEMS, Problem
from .json_schema import schema
from .values import without
from .yaml_source import Document


@cache
def validator(name: str) -> jsonschema_rs.Validator:
    """Return the compiled validator. `offline`: by default jsonschema-rs would follow a `$ref` to any address or file."""
    return jsonschema_rs.validator_for(schema(name), offline=True)


def check_document(document: Document, name: str = "recipe") -> list[Problem]:
    """Return every violation of the schema, with locations and hints; empty if there is none."""
    if validator(name).is_valid(document.data):
        return []
    from .schema_errors import explain

    return explain(document, schema(name)) or [_unexplained(document, name)]


def without_unknown_keys(data: Any) -> Any:
    """Return a recipe's data without the keys that the schema does not know; None if anything else is wrong with it, or too much."""
    checked = validator("recipe")
    if checked.is_valid(data):
        return data
    unknown = [(*error.instance_path, key) for error in checked.iter_errors(data) for key in getattr(error.kind, "unexpected", ())]
    if len(unknown) > MAX_PROBLEMS:  # these fill the list of problems, and each is a copy
        return None
    for path in unknown:
        data = without(data, path)
    return data if checked.is_valid(data) else None


def _unexplained(document: Document, name: str) -> Problem:
    """Return jsonschema-rs's first error, in case jsonschema finds none: what either refuses is refused."""
    error = next(iter(validator(name).iter_errors(document.data)))
    return Problem(document.location(tuple(error.instance_path)), error.message[:200], rule="schema")
