"""`recipe check`: recipes against the schema and the rules, in milliseconds, without importing anything heavy."""

from pathlib import Path

import click

from ...schemas.errors import Problem, UserError
from ...schemas.layers import SUFFIXES, find_recipe
from ...schemas.recipe import check_recipe
from ..annotations import FORMATS


@click.command("check")
@click.argument("recipes", nargs=-1, required=True)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a key before checking, e.g. training.lora_r=8.")
@click.option("--format", "style", type=click.Choice(list(FORMATS)), default="text", help="How problems are written.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def command(recipes: tuple[str, ...], settings: tuple[str, ...], style: str, as_json: bool) -> None:
    """Check RECIPES: files, folders or names of shipped recipes."""
    style = "json" if as_json else style
    problems: list[Problem] = []
    paths: list[Path] = []
    for name in recipes:
        try:
            paths += recipe_files(name)
        except UserError as error:
            problems += error.problems
    for path in dict.fromkeys(paths):
        problems += check_recipe(path, settings)
    written = FORMATS[style](problems)
    if written:
        click.echo(written, err=style == "text")
    if style == "text" and not problems:
        click.echo(f"{len(paths)} recipe{'s' if len(paths) != 1 else ''} checked: no problems", err=True)
    elif style == "text":
        files = len({p.mark.file for p in problems})
        click.echo(f"\n{len(problems)} problem{'s' if len(problems) != 1 else ''} in {files} of {len(paths) or files} recipes", err=True)
    raise SystemExit(1 if problems else 0)


def recipe_files(name: str) -> list[Path]:
    """The recipes that a command line argument names; a folder stands for every recipe in it."""
    if not Path(name).is_dir():
        return [find_recipe(name)]
    found = sorted(path for path in Path(name).rglob("*") if path.suffix in SUFFIXES)
    if not found:
        raise UserError(f"{name}: no recipes in this folder", hint="a recipe is a .yml or .yaml file")
    return found
