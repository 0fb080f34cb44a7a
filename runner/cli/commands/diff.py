"""`recipe diff`: show the keys in which two recipes differ, defaults included."""

import sys

import click

from ....schemas.base.terminal import printable, wrapped
from ....schemas.recipe import load_recipe
from ....schemas.yaml_writing import dotted, one_line
from ...runtime.resolved_values import changed_values
from .. import completion
from ..options import json_option, print_json


@click.command("diff")
@click.argument("one", shell_complete=completion.recipes)
@click.argument("other", shell_complete=completion.recipes)
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", shell_complete=completion.keys, help="Override a key of the second recipe."
)
@json_option
def command(one: str, other: str, settings: tuple[str, ...], as_json: bool) -> None:
    """Show the effective keys in which recipes ONE and OTHER differ."""
    changed = changed_values(load_recipe(one).recipe, load_recipe(other, settings).recipe, with_smoke=True)
    if as_json:
        rows = {dotted(path): {"one": before, "other": after} for path, (before, after) in changed.items()}
        print_json({"differences": rows})
        return
    for path, (before, after) in changed.items():
        click.echo(wrapped(printable(f"{dotted(path)}: {one_line(before)} -> {one_line(after)}"), sys.stdout, 4))
    if not changed:
        click.echo("no differences", err=True)
