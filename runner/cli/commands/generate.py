"""`recipe generate`: generate a recipe's rows with language models."""

from pathlib import Path

import click

from ....schemas.base.errors import UserError
from ....schemas.recipe import load_recipe
from .. import completion
from ..options import print_json, runs_dir_option, set_option


@click.command("generate")
@click.argument("recipe", shell_complete=completion.recipes)
@set_option
@runs_dir_option
@click.option("--dry-run", is_flag=True, help="Estimate requests, tokens and cost; send nothing.")
@click.option("--smoke", is_flag=True, help="Use the recipe's smoke section.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as one JSON object.")
def command(recipe: str, settings: tuple[str, ...], root: Path, dry_run: bool, smoke: bool, as_json: bool) -> None:
    """Generate the rows of RECIPE. Requests answered in an earlier run are not sent again."""
    loaded = load_recipe(recipe, settings, smoke)
    section = loaded.recipe.generate
    if section is None:
        raise UserError(f"{loaded.recipe.name} has no generate section")
    from ....schemas.base.hashing import key_of
    from ...generate.stage import generated_facts, generated_files, require_generate_extra

    require_generate_extra(section)
    rows, log = generated_files(loaded, root)
    if dry_run:
        from ...generate.estimate import estimate, estimate_lines

        facts = estimate(section, log, root)
        return print_json(facts) if as_json else click.echo("\n".join(estimate_lines(facts)))
    from ...generate.generate import generate_rows, usage_lines
    from ...runtime.console import Display

    with Display() as display:
        display.say("recipe", f"{loaded.recipe.name} ({loaded.path})")
        manifest = generate_rows(section, rows, log, root, display, key_of("generate", *generated_facts(section, root)))
    if as_json:
        print_json({**manifest, "out": str(rows)})
        return
    for heading, line in usage_lines(manifest):
        click.echo(f"{heading:<9} {line}", err=True)
    click.echo(f"rows      {rows}", err=True)
