"""Whether a key of a recipe matters: each value that the schema allows is tried, the default too."""

from collections.abc import Callable, Iterator
from typing import Any

from recipekit.schemas.base.errors import UserError
from recipekit.schemas.findings import NO_EFFECT
from recipekit.schemas.json_schema import schema, subschema
from recipekit.schemas.rules import findings
from recipekit.schemas.validation import validator
from recipekit.schemas.values import replaced_at
from recipekit.schemas.yaml_source import KeyPath

Facts = Callable[[dict[str, Any]], str]  # what is made from a recipe
OF_TYPE = {"boolean": (True, False), "integer": (2, 3, 8), "number": (0.25, 0.5, 0.9, 2.0), "string": ("some/text", "a" * 40)}


def values_of(definition: dict[str, Any]) -> Iterator[Any]:
    """Some values that the schema allows, or may allow."""
    for part in definition.get("anyOf", definition.get("oneOf", ())):
        yield from values_of(part)
    yield from definition.get("enum", ())
    if "const" in definition:
        yield definition["const"]
    kinds = definition.get("type", ())
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        yield from OF_TYPE.get(kind, ())
        if kind == "array":
            yield from ([value] for value in values_of(definition.get("items", {})))


def outcome(values: dict[str, Any], facts: Facts) -> str:
    """The facts, or why they cannot be established, as of a file that is not there."""
    try:
        return facts(values)
    except UserError as error:
        return str(error)


def tried(path: KeyPath, values: dict[str, Any]) -> list[Any]:
    definition = subschema(schema("recipe"), path)
    default = [definition["default"]] if "default" in definition else []
    return [value for value in [*default, *values_of(definition)] if validator("recipe").is_valid(replaced_at(values, path, value))]


def ignored(path: KeyPath, values: dict[str, Any], facts: Facts) -> bool:
    """Whether the recipe may have the key, and no value of it matters.

    A value may be the only one that is accepted there, if others are refused for a reason of their own.
    """
    outcomes, is_accepted = {facts(values)}, False
    for value in tried(path, values):
        changed = replaced_at(values, path, value)
        found = findings(changed)
        is_accepted |= not found
        if not found:
            outcomes.add(outcome(changed, facts))
        elif any(path[: len(finding.path)] == finding.path[: len(path)] and finding.rule != NO_EFFECT for finding in found):
            outcomes.add(repr(found))
    return is_accepted and len(outcomes) == 1


def refused_although_it_matters(path: KeyPath, values: dict[str, Any], facts: Facts) -> list[Any]:
    """The values of the key that are refused as without effect, and do have one."""
    found = []
    for value in tried(path, values):
        changed = replaced_at(values, path, value)
        if {(finding.rule, finding.path) for finding in findings(changed)} == {(NO_EFFECT, path)} and facts(changed) != facts(values):
            found.append(value)
    return found
