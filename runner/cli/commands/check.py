"""`recipe check`: check recipes against the schema and the rules, without heavy imports."""

from pathlib import Path

import click

from ....schemas.base.errors import Problem, UserError
from ....schemas.extends import recipe_files
from ....schemas.recipe import check_recipe
from ..problem_formats import FORMATS


@click.command("check")
@click.argument("recipes", nargs=-1, required=True)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a key before checking, e.g. training.lora_r=8.")
@click.option("--format", "style", type=click.Choice(FORMATS), default="text", show_default=True, help="Output format.")
@click.option("--json", "as_json", is_flag=True, help="Same as --format json.")
def command(recipes: tuple[str, ...], settings: tuple[str, ...], style: str, as_json: bool) -> None:
    """Check RECIPES: files, folders or names of shipped recipes."""
    style = "json" if as_json else style
    problems: list[Problem] = []
    paths: list[Path] = []
    unresolved = 0
    for name in recipes:
        try:
            paths += recipe_files(name)
        except UserError as error:
            problems += error.problems
            unresolved += 1
    at_fault, checked = unresolved, list(dict.fromkeys(paths))
    for path in checked:
        found = check_recipe(path, settings)
        problems += found
        at_fault += bool(found)
    if problems or style != "text":
        click.echo(FORMATS[style](problems), err=style == "text")
    if style == "text":
        click.echo(_summary(len(problems), at_fault, unresolved + len(checked)), err=True)
    raise SystemExit(1 if problems else 0)


def _summary(problems: int, at_fault: int, recipes: int) -> str:
    if not problems:
        return f"{_counted(recipes, 'recipe')} checked: no problems"
    return f"\n{_counted(problems, 'problem')}" + (f" in {at_fault} of {_counted(recipes, 'recipe')}" if recipes > 1 else "")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("s" if number != 1 else "")
