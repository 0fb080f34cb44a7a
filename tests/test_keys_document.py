"""docs/keys.md is generated from the recipe's schema, with UPDATE_GOLDEN=1."""

import json

from recipekit.schemas.json_schema import schema

from .support.golden import golden, markdown_row
from .support.paths import ROOT

DOCUMENT = ROOT / "docs" / "keys.md"
HEAD = """# Every key of a recipe

Generated from `schemas/recipe.schema.json` by `UPDATE_GOLDEN=1 pytest tests/test_keys_document.py`. A key that is not here is an error,
and so is one that would have no effect. `recipe explain RECIPE KEY` tells a key's value in a recipe and where it comes from; the options of
converters are in [converters.md](converters.md).
"""
ELSEWHERE = ("data.sources.*.options", "generate.options")  # shown by `recipe show`


def resolved(value):
    """The schema of a value; what is next to a reference takes precedence over what it refers to."""
    if "$ref" not in value:
        return value
    return schema("recipe")["$defs"][value["$ref"].rpartition("/")[2]] | {key: inner for key, inner in value.items() if key != "$ref"}


def kind(value):
    value = resolved(value)
    if choices := value.get("anyOf") or value.get("oneOf"):
        return " or ".join(dict.fromkeys(map(kind, choices)))
    if "enum" in value or "const" in value:
        return " or ".join(f"`{choice}`" for choice in value.get("enum") or [value["const"]])
    if value.get("type") == "array" and "items" in value:
        item = kind(value["items"])
        return "list of one or more of " + item.replace(" or ", ", ") if "`" in item else f"list of {item}"
    found = value.get("type", "any")
    return " or ".join(found) if isinstance(found, list) else found


def keys(value, path=""):
    """Each key, its schema, whether it must be there: (`data.sources.*.path`, {...}, True); `*` stands for an item of a list, or for a name of the user's."""
    value = resolved(value)
    for key, inner in value.get("properties", {}).items():
        yield f"{path}{key}", resolved(inner), key in value.get("required", ())
        if f"{path}{key}" not in ELSEWHERE:
            yield from keys(inner, f"{path}{key}.")
    for inner in (value.get("items"), value.get("additionalProperties"), *value.get("anyOf", ())):
        if isinstance(inner, dict):
            yield from keys(inner, path if inner in value.get("anyOf", ()) else f"{path}*.")


def row(key, value, required):
    default = "required" if required else f"`{json.dumps(value['default'], ensure_ascii=False)}`" if "default" in value else ""
    return markdown_row((f"`{key}`", kind(value), default, value.get("description", "")))


def table(found):
    return "\n".join(["| key | type | default | what it does |", "|---|---|---|---|", *(row(*one) for one in found)])


def document():
    whole = schema("recipe")
    sections = {name: resolved(value) for name, value in whole["properties"].items()}
    inner = {name: list(keys(value, f"{name}.")) for name, value in sections.items()}
    parts = [table((name, value, name in whole["required"]) for name, value in sections.items() if not inner[name])]
    parts += [f"## {name}\n\n{sections[name]['description']}\n\n{table(found)}" for name, found in inner.items() if found]
    return "\n\n".join([HEAD.rstrip(), *parts]) + "\n"


def test_the_document_says_what_the_schema_says():
    assert golden(DOCUMENT, document()) == document()


def test_every_key_is_described():
    assert [key for key, value, _ in keys(schema("recipe")) if not value.get("description")] == []
