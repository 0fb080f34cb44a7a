"""`recipe ls`: list the shipped recipes, or those in folders."""

import click
import orjson

from ....schemas.extends import recipe_files, shipped_recipes
from ....schemas.recipe import load_recipe
from ..options import json_option


@click.command("ls")
@click.argument("places", nargs=-1)
@json_option
def command(places: tuple[str, ...], as_json: bool) -> None:
    """List the shipped recipes, or the recipes at PLACES (files or folders)."""
    paths = [path for place in places for path in recipe_files(place)] if places else shipped_recipes()
    rows = []
    for path in paths:
        recipe = load_recipe(str(path)).recipe
        rows.append({
            "name": recipe.name, "description": recipe.description, "base_model": recipe.model.base_model,
            "adapter": recipe.training.adapter, "type": recipe.data.type, "path": str(path),
        })  # fmt: skip
    if as_json:
        click.echo(orjson.dumps({"recipes": rows}, option=orjson.OPT_INDENT_2))
        return
    header = {"name": "NAME", "type": "RECORDS", "adapter": "ADAPTER", "base_model": "BASE MODEL", "description": "DESCRIPTION"}
    table = [header, *rows]
    widths = {column: max(len(row[column]) for row in table) for column in header}
    for row in table:
        click.echo("  ".join(row[column].ljust(widths[column]) for column in header).rstrip())
