"""`recipe ls`: list the shipped recipes, or those in folders."""

import shutil
import sys
from typing import Any

import click
import orjson

from ....schemas.base.errors import UserError
from ....schemas.base.terminal import wrapped
from ....schemas.extends import load_layers, recipe_files, shipped_recipes
from ....schemas.recipe import is_prompt, load_recipe
from ..options import json_option


@click.command("ls")
@click.argument("places", nargs=-1)
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
        click.echo(orjson.dumps({"recipes": rows}, option=orjson.OPT_INDENT_2))
    else:
        _show(rows)
    if problems:
        raise UserError(*problems)


def _show(rows: list[dict[str, Any]]) -> None:
    """Print a line for each recipe; in a terminal that is too narrow, with base model and description below it."""
    header = {"name": "NAME", "type": "RECORDS", "adapter": "ADAPTER", "base_model": "BASE MODEL", "description": "DESCRIPTION"}
    table = [header, *rows]
    widths = {column: max(len(row[column]) for row in table) for column in header}
    narrow = sys.stdout.isatty() and sum(widths.values()) + 2 * len(widths) > shutil.get_terminal_size().columns
    if narrow:
        del widths["base_model"], widths["description"]
    for row in table:
        click.echo("  ".join(row[column].ljust(width) for column, width in widths.items()).rstrip())
        if narrow:
            click.echo(wrapped(f"    {row['base_model']}  {row['description']}".rstrip(), sys.stdout, 4))
