"""`recipe check`: check recipes against the schema and the rules, without heavy imports."""

import sys
from pathlib import Path

import click

from ....schemas.base.counted import counted
from ....schemas.base.errors import Problem, UserError
from ....schemas.base.terminal import wrapped
from ....schemas.extends import is_recipe_file, recipe_files, yaml_files
from ....schemas.recipe import check_recipe
from ..problem_formats import FORMATS


@click.command("check")
@click.argument("recipes", nargs=-1, required=True)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a key before checking, e.g. training.lora_r=8.")
@click.option("--format", "style", type=click.Choice(FORMATS), default="text", show_default=True, help="Output format.")
@click.option("--data", "with_data", is_flag=True, help="Also read the first rows of every source, and look up module names in the model.")
@click.option("--recipes-only", is_flag=True, help="Skip other YAML files, as in a folder. For hooks.")
@click.option("--json", "as_json", is_flag=True, help="Same as --format json.")
def command(
    recipes: tuple[str, ...], settings: tuple[str, ...], style: str, with_data: bool, recipes_only: bool, as_json: bool
) -> None:  # fmt: skip
    """Check RECIPES: files, folders or names of shipped recipes. In a folder, only YAML files with `recipe: 1` are checked, and never
    runs."""
    style = "json" if as_json else style
    problems: list[Problem] = []
    paths: list[Path] = []
    unresolved = skipped = 0
    for name in recipes:
        if recipes_only and Path(name).is_file() and not is_recipe_file(Path(name)):
            skipped += 1
            continue
        try:
            found = recipe_files(name)
            skipped += len(yaml_files(Path(name))) - len(found) if Path(name).is_dir() else 0
            paths += found
        except UserError as error:
            problems += error.problems
            unresolved += 1
    at_fault, checked = unresolved, list(dict.fromkeys(paths))
    rows, unread, notes = 0, list[str](), list[str]()
    for path in checked:
        of_path = check_recipe(path, settings)
        if with_data and not of_path:
            from ...workflows.check_data import check_data

            of_data = check_data(path, settings)
            of_path, rows = of_data.problems, rows + of_data.rows
            unread += of_data.unread
            notes += of_data.notes
        problems += of_path
        at_fault += bool(of_path)
    if problems or style != "text":
        click.echo(FORMATS[style](problems), err=style == "text")
    if style == "text":
        read = f", {counted(rows, 'row')} read" if with_data else ""
        click.echo(_summary(len(problems), at_fault, unresolved + len(checked), read), err=True)
        for note in notes:
            click.echo(wrapped(note, sys.stderr, 4), err=True)
        for source in dict.fromkeys(unread):
            click.echo(f"not read: {source}", err=True)
        if skipped:
            click.echo(f"{counted(skipped, 'other YAML file')} not checked: no `recipe:` key", err=True)
    raise SystemExit(1 if problems else 0)


def _summary(problems: int, at_fault: int, recipes: int, read: str) -> str:
    """Return the last line; `read` says how many rows were read, "" without --data."""
    if not problems:
        return f"{counted(recipes, 'recipe')} checked{read}: no problems" + ("" if read else " (data files not read: --data reads them)")
    return f"\n{counted(problems, 'problem')}" + (f" in {at_fault} of {counted(recipes, 'recipe')}" if recipes > 1 else "")
