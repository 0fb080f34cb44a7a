"""`recipe explain`: explain a key, its value in a recipe, and where the value is set."""

import sys
from typing import Any

import click

from ....schemas.base.terminal import printable, wrapped
from ....schemas.recipe import load_recipe
from ....schemas.yaml_writing import one_line, path_of
from ...runtime.resolved_values import described, description, explained
from .. import completion
from ..options import json_option, print_json, set_option


@click.command("explain")
@click.argument("recipe", required=False, metavar="[RECIPE]", shell_complete=completion.recipes_and_keys)
@click.argument("key", required=False, metavar="KEY", shell_complete=completion.keys)
@set_option
@json_option
def command(recipe: str | None, key: str | None, settings: tuple[str, ...], as_json: bool) -> None:
    """Explain KEY (for example training.learning_rate, or a section) of RECIPE; without RECIPE, what it means in any."""
    if recipe is None:
        raise click.MissingParameter(param_hint="'KEY'", param_type="argument")
    if key is None:
        _explain_anywhere(recipe, settings, as_json)
        return
    loaded = load_recipe(recipe, settings)
    rows = explained(loaded, key)
    if as_json:
        print_json({"keys": rows})
        return
    if (section := description(loaded, path_of(key)).get("description")) and rows[0]["key"] != key:
        _say(f"{key}: {section}\n")
    for row in rows:
        _say(f"{row['key']}: {one_line(row['value'])}")
        default = f"; the default is {one_line(row['default'])}" if row["default"] is not None else ""
        _say("    the default" if row["origin"] == "default" else f"    from {row['origin']}{default}")
        _say_meaning(row)


def _explain_anywhere(key: str, settings: tuple[str, ...], as_json: bool) -> None:
    """Print what a key means and its default, without a recipe."""
    if settings:
        raise click.UsageError("--set: only with a RECIPE")
    rows = described(key)
    if as_json:
        print_json({"keys": rows})
        return
    for row in rows:
        _say(row["key"] if row["default"] is None else f"{row['key']}: the default is {one_line(row['default'])}")
        _say_meaning(row)


def _say_meaning(row: dict[str, Any]) -> None:
    _say(f"    {row['description']}")
    if row.get("allowed"):
        _say(f"    Allowed: {', '.join(map(str, row['allowed']))}.")


def _say(text: str) -> None:
    click.echo(wrapped(printable(text), sys.stdout, 4))
