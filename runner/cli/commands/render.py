"""`recipe render`: print or write the configuration and the command of a recipe."""

from pathlib import Path

import click

from ....schemas.base.files import write_atomically
from ....schemas.base.terminal import echo_styled
from ....schemas.batch import with_micro_batch_size
from ....schemas.model_rules import EMBEDDED
from ....schemas.recipe import LoadedRecipe, load_recipe
from ....schemas.sections import AUTO
from ...launch.axolotl_config import RenderedData, substitutions
from ...launch.plan import Plan, plan
from ...models.architecture import architecture_of
from ...resources.batch_size import chosen
from ...runtime.machine import Machine, this_machine
from ...runtime.run_folder import RUNS
from .. import completion
from ..options import machine_option, print_json, set_option


@click.command("render")
@click.argument("recipe", shell_complete=completion.recipes)
@set_option
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write. Default: print the files.")
@machine_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: files, argv, env.")
def command(recipe: str, settings: tuple[str, ...], out: Path | None, machine: Machine, as_json: bool) -> None:
    """Render RECIPE as Axolotl and DeepSpeed configuration."""
    loaded = load_recipe(recipe, settings)
    if out is None:
        show_plan(loaded, as_json, machine)
        return
    planned = rendered(loaded, machine)
    for name, text in planned.files.items():
        write_atomically(out / name, text.encode())
        click.echo(f"wrote {out / name}", err=True)
    if as_json:
        print_json(planned._asdict())


def rendered(loaded: LoadedRecipe, machine: Machine) -> Plan:
    """Return the plan, with data paths as in a run and the model by its name. `auto` is chosen for rows of `sequence_len` tokens."""
    data = RenderedData(
        validation="data/validation.jsonl" if loaded.recipe.data.has_split("validation") else None, labels=loaded.recipe.data.labels or ()
    )
    if loaded.recipe.training.micro_batch_size == AUTO:
        found = chosen(loaded, machine, len(data.labels), None, loaded.recipe.model.base_model)
        loaded = loaded._replace(recipe=with_micro_batch_size(loaded.recipe, found.micro_batch_size))
    return plan(loaded.recipe, data, machine, loaded.recipe.model.base_model, architecture_of(loaded.recipe.model))


def show_plan(loaded: LoadedRecipe, as_json: bool, machine: Machine | None = None) -> None:
    """Print the files, the command and what is changed for the machine (default: this one)."""
    machine = machine or this_machine()
    planned = rendered(loaded, machine)
    if as_json:
        print_json(planned._asdict())
        return
    for name, text in planned.files.items():
        echo_styled((f"# {name}", {"bold": True}))
        click.echo(text)
    for note in substitutions(loaded.recipe, machine):
        click.echo(note, err=True)
    if loaded.recipe.model.base_model == EMBEDDED:
        click.echo(f"{EMBEDDED} is unpacked when the recipe runs; runs are written to {RUNS / loaded.recipe.name}/", err=True)
