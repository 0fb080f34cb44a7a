"""Resolve every key of a recipe to its effective value, from the recipe or the default, with its origin."""

from typing import Any, NamedTuple

from ...schemas.base.errors import Location
from ...schemas.json_schema import resolve, schema, subschema
from ...schemas.recipe import LoadedRecipe
from ...schemas.sections import Recipe
from ...schemas.yaml_source import Document, KeyPath


class Effective(NamedTuple):
    """A key's value. `origin` is the location that sets it, or None for a default."""

    value: Any
    origin: Location | None

    @property
    def origin_text(self) -> str:
        return str(self.origin) if self.origin else "default"


def effective_values(loaded: LoadedRecipe) -> dict[KeyPath, Effective]:
    """Return the values by path, in the order of the sections. A key without a value and a default is None."""
    return {path: Effective(value, _origin(loaded.document, path)) for path, value in leaves(loaded.recipe)}


def changed_values(before: Recipe, after: Recipe) -> dict[KeyPath, tuple[Any, Any]]:
    """Return the keys with different values in two recipes, with both values. The smoke section is ignored."""
    old, new = ({path: value for path, value in leaves(recipe) if path[0] != "smoke"} for recipe in (before, after))
    pairs = {path: (old.get(path), new.get(path)) for path in {**old, **new}}
    return {path: pair for path, pair in pairs.items() if pair[0] != pair[1]}


def leaves(recipe: Recipe) -> list[tuple[KeyPath, Any]]:
    """Return every key's path and value."""
    return _leaves(recipe, ())


def _leaves(value: Any, path: KeyPath) -> list[tuple[KeyPath, Any]]:
    fields = getattr(value, "_fields", None)
    if fields:
        return [leaf for key in fields for leaf in _leaves(getattr(value, key), (*path, key))]
    if isinstance(value, dict) and value:
        return [leaf for key in value for leaf in _leaves(value[key], (*path, key))]
    if isinstance(value, tuple) and any(hasattr(item, "_fields") for item in value):
        return [leaf for index, item in enumerate(value) for leaf in _leaves(item, (*path, index))]
    return [(path, list(value) if isinstance(value, tuple) else value)]


def _origin(document: Document, path: KeyPath) -> Location | None:
    here: Any = document.data
    for part in path:
        try:
            here = here[part]
        except (KeyError, IndexError, TypeError):
            return None
    return document.location(path)


def description(loaded: LoadedRecipe, path: KeyPath) -> dict[str, Any]:
    """Return the schema of the key at `path`: description, default and type. A source's options are those of its converter."""
    root = schema("recipe")
    for place, source, _ in loaded.recipe.all_sources():
        if path[: len(place) + 1] == (*place, "options") and len(path) > len(place) + 1:
            return resolve(root, root["$defs"].get(source.converter, {}).get("properties", {}).get(path[len(place) + 1], {}))
    return subschema(root, path)
