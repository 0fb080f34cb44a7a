"""`recipe explain`: explain a key, its value in a recipe, and where the value is set."""

import sys

import click

from ....schemas.base.terminal import printable, wrapped
from ....schemas.recipe import load_recipe
from ....schemas.yaml_writing import one_line, path_of
from ...runtime.resolved_values import description, explained
from ..options import json_option, print_json, set_option


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
        print_json({"keys": rows})
        return
    if (section := description(loaded, path_of(key)).get("description")) and rows[0]["key"] != key:
        _say(f"{key}: {section}\n")
    for row in rows:
        _say(f"{row['key']}: {one_line(row['value'])}")
        default = f"; the default is {one_line(row['default'])}" if row["default"] is not None else ""
        _say("    the default" if row["origin"] == "default" else f"    from {row['origin']}{default}")
        _say(f"    {row['description']}")
        if row.get("allowed"):
            _say(f"    Allowed: {', '.join(map(str, row['allowed']))}.")


def _say(text: str) -> None:
    click.echo(wrapped(printable(text), sys.stdout, 4))
