"""`recipe show`: print a resolved recipe, or the options of a converter or task."""

import sys
from typing import Any

import click

from ....schemas.base.terminal import wrapped
from ....schemas.json_schema import schema
from ....schemas.recipe import load_recipe
from ....schemas.yaml_writing import dotted, one_line, to_yaml
from ...generate.tasks import TASKS
from ...runtime.resolved_values import effective_values
from .. import completion
from ..converter_option import converter_option
from ..options import json_option, print_json, set_option


@click.command("show")
@click.argument("recipe", required=False, shell_complete=completion.recipes)
@converter_option("Show this converter's options.")
@click.option("--task", type=click.Choice(sorted(TASKS)), help="Show the options of this generate task.")
@set_option
@click.option("--origins", is_flag=True, help="Show where each value is set.")
@json_option
def command(
    recipe: str | None, name: str | None, task: str | None, settings: tuple[str, ...], origins: bool, as_json: bool
) -> None:  # fmt: skip
    """Show RECIPE after extends and --set, or the options of a converter or a task."""
    if sum(given is not None for given in (recipe, name, task)) != 1:
        raise click.UsageError("give one of RECIPE, --converter NAME, --task NAME")
    if name or task:
        if settings or origins:
            raise click.UsageError("--set, --origins: only with a RECIPE")
        definition = schema("recipe")["$defs"][name or f"task_{task}"]
        if as_json:
            print_json(definition)
        else:
            _show_options(str(name or task), definition)
        return
    loaded = load_recipe(str(recipe), settings)
    if origins:
        values = effective_values(loaded)
        if as_json:
            rows = {dotted(path): {"value": e.value, "origin": e.origin_text} for path, e in values.items()}
            print_json(rows)
            return
        for path, effective in values.items():
            if effective.origin or effective.value is not None:
                click.echo(f"{dotted(path)}: {one_line(effective.value)}  # {effective.origin_text}")
    elif as_json:
        print_json(loaded.document.data)
    else:
        click.echo(to_yaml(loaded.document.data), nl=False)


def _show_options(name: str, definition: dict[str, Any]) -> None:
    """Print the description of a converter or a task, and its options."""
    click.echo(wrapped(f"{name}: {definition['description']}", sys.stdout, 4))
    for key, option in definition.get("properties", {}).items():
        default = f", default {one_line(option['default'])}" if "default" in option else ""
        click.echo(wrapped(f"\n  {key}: {_kind(option)}{default}", sys.stdout, 6))
        click.echo(wrapped(f"      {option.get('description', '')}", sys.stdout, 6))


def _kind(option: dict[str, Any]) -> str:
    if "enum" in option:
        return " | ".join(map(str, option["enum"]))
    if "anyOf" in option:
        return " or ".join(_kind(choice) for choice in option["anyOf"])
    if option.get("type") == "array":
        return f"list of {_kind(option.get('items', {}))}"
    return str(option.get("type", option.get("const", "any value")))
