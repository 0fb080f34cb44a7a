"""`recipe explain`: explain a key, its value in a recipe, and where the value is set."""

import sys
from typing import Any

import click
import orjson

from ....schemas.aliases import suggestion
from ....schemas.base.errors import Location, Problem, UserError
from ....schemas.base.terminal import printable, wrapped
from ....schemas.json_schema import key_paths
from ....schemas.recipe import LoadedRecipe, load_recipe
from ....schemas.yaml_source import KeyPath
from ....schemas.yaml_writing import dotted, one_line
from ...runtime.resolved_values import description, effective_values
from ..options import json_option, set_option


@click.command("explain")
@click.argument("recipe")
@click.argument("key")
@set_option
@json_option
def command(recipe: str, key: str, settings: tuple[str, ...], as_json: bool) -> None:
    """Explain KEY (for example training.learning_rate, or a section) of RECIPE."""
    loaded = load_recipe(recipe, settings)
    rows = explained(loaded, key)
    if as_json:
        click.echo(orjson.dumps({"keys": rows}, option=orjson.OPT_INDENT_2))
        return
    if (section := description(loaded, _path(key)).get("description")) and rows[0]["key"] != key:
        _say(f"{key}: {section}\n")
    for row in rows:
        _say(f"{row['key']}: {one_line(row['value'])}")
        _say(f"    from {row['origin']}" + (f", default {one_line(row['default'])}" if row["default"] is not None else ""))
        _say(f"    {row['description']}")


def _say(text: str) -> None:
    click.echo(wrapped(printable(text), sys.stdout, 4))


def _path(key: str) -> KeyPath:
    return tuple(int(part) if part.isdecimal() else part for part in key.split("."))


def explained(loaded: LoadedRecipe, key: str) -> list[dict[str, Any]]:
    """Return a row for the key, or for each key of the section: value, origin, default and description.

    Raises UserError if a recipe has no such key.
    """
    values = effective_values(loaded)
    rows = []
    for path, effective in values.items():
        name = dotted(path)
        if name == key or name.startswith(f"{key}."):
            about = description(loaded, path)
            rows.append({
                "key": name, "value": effective.value, "origin": effective.origin_text,
                "default": about.get("default"), "description": about.get("description", ""),
            })  # fmt: skip
    rows = rows or _absent(loaded, key)
    if not rows:
        section, _, last = key.rpartition(".")
        depth = len(section.split(".")) if section else 0
        here = sorted({str(path[depth]) for path in values if dotted(path[:depth]) == section and len(path) > depth})
        hint = suggestion(last, section, here, list(key_paths()))
        raise UserError(Problem(Location(str(loaded.path)), f"unknown key {key!r}", hint, "unknown-key"))
    return rows


def _absent(loaded: LoadedRecipe, key: str) -> list[dict[str, Any]]:
    """Return a row for each valid key of a section that this recipe lacks; [] if there is no such section."""
    if not description(loaded, _path(key)):
        return []
    paths = [_path(known) for known in key_paths() if known.startswith(f"{key}.")] or [_path(key)]
    leaves = [path for path in paths if not any(other[: len(path)] == path and other != path for other in paths)]
    section = _missing_section(loaded, _path(key))
    rows = []
    for path in leaves:
        about = description(loaded, path)
        rows.append({
            "key": dotted(path), "value": None, "origin": f"not set: this recipe has no {section}",
            "default": about.get("default"), "description": about.get("description", ""),
        })  # fmt: skip
    return rows


def _missing_section(loaded: LoadedRecipe, path: KeyPath) -> str:
    """Return the outermost part of the path that the recipe lacks."""
    present = {known[:length] for known in effective_values(loaded) for length in range(len(known))}
    return dotted(next((path[:length] for length in range(1, len(path) + 1) if path[:length] not in present), path))
