"""Resolve every key of a recipe to its effective value, from the recipe or the default, with its origin and its description."""

from typing import Any, NamedTuple

from ...schemas.aliases import suggestion
from ...schemas.base.errors import Location, Problem, UserError
from ...schemas.json_schema import key_paths, resolve, schema, subschema
from ...schemas.recipe import LoadedRecipe
from ...schemas.sections import Recipe
from ...schemas.values import is_written
from ...schemas.yaml_source import KeyPath
from ...schemas.yaml_writing import dotted, path_of


class Effective(NamedTuple):
    """A key's value. `origin` is the location that sets it, or None for a default."""

    value: Any
    origin: Location | None

    @property
    def origin_text(self) -> str:
        return str(self.origin) if self.origin else "default"


def effective_values(loaded: LoadedRecipe) -> dict[KeyPath, Effective]:
    """Return the values by path, in the order of the sections. A key without a value and a default is None."""
    given = loaded.document
    return {path: Effective(value, given.location(path) if is_written(given.data, path) else None) for path, value in leaves(loaded.recipe)}


def changed_values(before: Recipe, after: Recipe, with_smoke: bool = False) -> dict[KeyPath, tuple[Any, Any]]:
    """Return the keys with different values in two recipes, with both values; those of the smoke section only `with_smoke`.

    Of a section that one of them lacks, the keys with their default are left out beside those with another value.
    """
    old, new = ({path: value for path, value in leaves(recipe) if with_smoke or path[0] != "smoke"} for recipe in (before, after))
    pairs = {path: (old.get(path), new.get(path)) for path in {**old, **new}}
    sections = {path[:length] for path in pairs for length in range(len(path))}  # one that is empty on one side has its keys on the other
    changed = {path: pair for path, pair in pairs.items() if pair[0] != pair[1] and path not in sections}
    of_one = {path for path in changed if path not in old or path not in new}
    defaults = {path: subschema(schema("recipe"), path).get("default") for path in of_one}
    usual = {path for path, default in defaults.items() if default is not None and default in changed[path]}
    telling = {path[:length] for path in changed.keys() - usual for length in range(len(path))}
    return {path: pair for path, pair in changed.items() if path not in usual or path[:-1] not in telling}


def leaves(value: Any, path: KeyPath = ()) -> list[tuple[KeyPath, Any]]:
    """Return the path and value of every key of a recipe, or of a value in it."""
    fields = getattr(value, "_fields", None)
    if fields:
        return [leaf for key in fields for leaf in leaves(getattr(value, key), (*path, key))]
    if isinstance(value, dict) and value:
        return [leaf for key in value for leaf in leaves(value[key], (*path, key))]
    if isinstance(value, tuple) and any(hasattr(item, "_fields") for item in value):
        return [leaf for index, item in enumerate(value) for leaf in leaves(item, (*path, index))]
    return [(path, list(value) if isinstance(value, tuple) else value)]


def description(loaded: LoadedRecipe, path: KeyPath) -> dict[str, Any]:
    """Return the schema of the key at `path`: description, default and type. A source's options are those of its converter."""
    root = schema("recipe")
    for place, source, _ in loaded.recipe.all_sources():
        if path[: len(place) + 1] == (*place, "options") and len(path) > len(place) + 1:
            return resolve(root, root["$defs"].get(source.converter, {}).get("properties", {}).get(path[len(place) + 1], {}))
    return subschema(root, path)


def explained(loaded: LoadedRecipe, key: str) -> list[dict[str, Any]]:
    """Return a row for the key, or for each key of the section: value, origin, default, description, and the allowed values if listed.

    Raises UserError if a recipe has no such key.
    """
    values = effective_values(loaded)
    chosen = [path for path in values if dotted(path) == key or dotted(path).startswith(f"{key}.")]
    rows = [_row(loaded, path, values[path].value, values[path].origin_text) for path in chosen] or _absent(loaded, key)
    if not rows:
        section, _, last = key.rpartition(".")
        depth = len(section.split(".")) if section else 0
        here = sorted({str(path[depth]) for path in values if dotted(path[:depth]) == section and len(path) > depth})
        raise UserError(Problem(loaded.path, f"unknown key {key!r}", suggestion(last, section, here, list(key_paths())), "unknown-key"))
    return rows


def described(key: str) -> list[dict[str, Any]]:
    """Return a row for the key, or for each key of the section: default, description, and the allowed values if listed.

    Raises UserError if recipes have no such key.
    """
    if not (about := subschema(schema("recipe"), path_of(key))):
        section, _, last = key.rpartition(".")
        here = list(subschema(schema("recipe"), path_of(section)).get("properties", {}))
        hint = suggestion(last, section, here, list(key_paths())) or "with a recipe: recipe explain RECIPE KEY"
        raise UserError(Problem("", f"unknown key {key!r}", hint, "unknown-key"))
    below = [path for path in key_paths() if path.startswith(f"{key}.")]
    return [{"key": path, **_facts(subschema(schema("recipe"), path_of(path)))} for path in below] or [{"key": key, **_facts(about)}]


def _absent(loaded: LoadedRecipe, key: str) -> list[dict[str, Any]]:
    """Return a row for each valid key of a section that this recipe lacks; [] if there is no such section."""
    if not description(loaded, path_of(key)):
        return []
    paths = [path_of(known) for known in key_paths() if known.startswith(f"{key}.")] or [path_of(key)]
    keys = [path for path in paths if not any(other[: len(path)] == path and other != path for other in paths)]
    section = _missing_section(loaded, path_of(key))
    return [_row(loaded, path, None, f"not set: this recipe has no {section}") for path in keys]


def _row(loaded: LoadedRecipe, path: KeyPath, value: Any, origin: str) -> dict[str, Any]:
    return {"key": dotted(path), "value": value, "origin": origin, **_facts(description(loaded, path))}


def _facts(about: dict[str, Any]) -> dict[str, Any]:
    """Return a key's default and description, and the allowed values if its schema lists them."""
    facts = {"default": about.get("default"), "description": about.get("description", "")}
    allowed = about.get("enum") or resolve(schema("recipe"), about.get("items", {})).get("enum")
    return facts | ({"allowed": allowed} if allowed else {})


def _missing_section(loaded: LoadedRecipe, path: KeyPath) -> str:
    """Return the outermost part of the path that the recipe lacks."""
    present = {known[:length] for known in effective_values(loaded) for length in range(len(known))}
    return dotted(next((path[:length] for length in range(1, len(path) + 1) if path[:length] not in present), path))
