"""`recipe ls`: list the shipped recipes, or those in folders."""

from typing import Any

import click

from ....schemas.base.errors import UserError
from ....schemas.base.screen import Screen
from ....schemas.extends import load_layers, recipe_files, shipped_recipes
from ....schemas.recipe import is_prompt, load_recipe
from ...reporting.tables import table_width
from .. import completion
from ..options import json_option, print_json


@click.command("ls")
@click.argument("places", nargs=-1, shell_complete=completion.recipes)
@json_option
def command(places: tuple[str, ...], as_json: bool) -> None:
    """List the shipped recipes, or the recipes at PLACES (files or folders)."""
    paths = [path for place in places for path in recipe_files(place)] if places else shipped_recipes()
    rows, problems = [], []
    for path in paths:
        try:
            if is_prompt(load_layers(path)):
                continue
            recipe = load_recipe(str(path)).recipe
        except UserError as error:
            problems += error.problems[:1]
            continue
        rows.append({
            "name": recipe.name, "description": recipe.description, "base_model": recipe.model.base_model,
            "adapter": recipe.training.adapter, "type": recipe.data.type, "path": str(path),
        })  # fmt: skip
    if as_json:
        print_json({"recipes": rows})
    else:
        _show(rows)
    if problems:
        raise UserError(*problems)


def _show(rows: list[dict[str, Any]]) -> None:
    """Print a table; in a terminal that is too narrow for it two lines for each recipe, in a pipe a line for each."""
    heads = {"name": "name", "type": "records", "adapter": "adapter", "base_model": "base model", "description": "description"}
    columns = {head: [row[key] for row in rows] for key, head in heads.items()}
    console = Screen()
    if not console.is_terminal:
        widths = {head: max(map(len, (head, *cells))) for head, cells in columns.items()}
        for row in ([*columns], *zip(*columns.values(), strict=True)):
            click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths.values(), strict=True)).rstrip())
    elif table_width(columns) <= console.width:
        console.print_table(columns)
    else:
        for row in rows:
            console.print_words(f"{row['name']}  {row['type']}, {row['adapter']}, {row['base_model']}", 4)
            console.print_words(f"    {row['description']}", 4)
