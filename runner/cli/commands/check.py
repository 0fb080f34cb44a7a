"""`recipe check`: check recipes against the schema and the rules, without heavy imports."""

import sys

import click

from ....schemas.base.counted import counted
from ....schemas.base.terminal import wrapped
from ...workflows.check import Checked, check_recipes
from .. import completion
from ..problem_formats import FORMATS


@click.command("check")
@click.argument("recipes", nargs=-1, required=True, shell_complete=completion.recipes)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a key before checking, e.g. training.lora_r=8.")
@click.option("--format", "style", type=click.Choice(FORMATS), default="text", show_default=True, help="Output format.")
@click.option("--data", "with_data", is_flag=True, help="Also read the first rows of every source, and look up module names in the model.")
@click.option("--recipes-only", is_flag=True, help="Skip other YAML files, as in a folder. For hooks.")
@click.option("--json", "as_json", is_flag=True, help="Same as --format json.")
def command(
    recipes: tuple[str, ...], settings: tuple[str, ...], style: str, with_data: bool, recipes_only: bool, as_json: bool
) -> None:  # fmt: skip
    """Check RECIPES: files, folders or names of shipped recipes. In a folder, only YAML files with `recipe: 1` are checked, and none
    in runs."""
    style = "json" if as_json else style
    checked = check_recipes(recipes, settings, with_data, recipes_only)
    if checked.problems or style != "text":
        click.echo(FORMATS[style](checked.problems), err=style == "text")
    if style == "text":
        click.echo(_summary(checked, with_data), err=True)
        for note in checked.notes:
            click.echo(wrapped(note, sys.stderr, 4), err=True)
        for source in dict.fromkeys(checked.unread):
            click.echo(f"not read: {source}", err=True)
        if checked.skipped:
            click.echo(f"{counted(checked.skipped, 'other YAML file')} not checked: no `recipe:` key", err=True)
    raise SystemExit(1 if checked.problems else 0)


def _summary(checked: Checked, with_data: bool) -> str:
    recipes = counted(checked.recipes, "recipe")
    if checked.problems:
        number = sum(not problem.is_summary for problem in checked.problems)
        return f"\n{counted(number, 'problem')}" + (f" in {checked.invalid} of {recipes}" if checked.recipes > 1 else "")
    if with_data:
        return f"{recipes} checked, {counted(checked.rows, 'row')} read: no problems"
    return f"{recipes} checked: no problems (data files not read: --data reads them)"
