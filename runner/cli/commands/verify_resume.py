"""`recipe verify-resume`: kill a recipe's training and see whether it ends in the same bits."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import click
import orjson

from ....schemas.base.errors import GateError, Location, Problem
from ....schemas.recipe import load_recipe
from ...runtime.run_folder import RUNS
from .run import require_train_extra


@click.command("verify-resume")
@click.argument("recipe")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a key.")
@click.option("--smoke", is_flag=True, help="Try the recipe with its smoke section: a rehearsal on a small model.")
@click.option("--steps", "half", type=click.IntRange(2), default=4, help="Train twice as many steps. Default: 4")
@click.option("--kills", type=click.IntRange(0), default=0, help="Kill so many times more, at random moments. Default: 0")
@click.option("--out", "root", type=click.Path(path_type=Path), default=RUNS, help="Where runs are kept. Default: runs/")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(recipe: str, settings: tuple[str, ...], smoke: bool, half: int, kills: int, root: Path, as_json: bool) -> None:
    """Train RECIPE once to the end and once with `kill -9` in the middle: weights, optimizer, schedule, random numbers and losses must be
    the same, bit for bit. Exit code 3 when they differ; the files are kept then."""
    require_train_extra()
    from ...runtime.console import Display
    from ...workflows.resume_check import check_resume, overrides

    changed = overrides(load_recipe(recipe, settings, smoke), half)
    loaded = load_recipe(recipe, (*settings, *changed), smoke)
    root.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"verify-resume-{loaded.recipe.name}-", dir=root))
    with Display() as display:
        display.say("recipe", f"{loaded.recipe.name} ({loaded.path}), with {', '.join(changed)}")
        proof = check_resume(loaded, root.resolve(), folder.resolve(), kills, display.event)
    _print(proof, as_json)
    if proof.different:
        hint = f"both trainings are in {folder}"
        raise GateError(*(Problem(Location(""), f"{part}: {found}", hint, "not-the-same") for part, found in proof.different.items()))
    shutil.rmtree(folder)


def _print(proof: Any, as_json: bool) -> None:
    if as_json:
        facts = {"steps": proof.steps, "kills": [kill._asdict() for kill in proof.kills], "parts": proof.parts, "same": not proof.different}
        click.echo(orjson.dumps(facts, option=orjson.OPT_INDENT_2))
        return
    from rich.console import Console
    from rich.table import Table

    kills, parts = Table("killed", "went on from"), Table("part", f"after {proof.steps} steps, killed and not killed")
    for kill in proof.kills:
        kills.add_row(*kill)
    for part, found in proof.parts.items():
        parts.add_row(part, found or "the same, bit for bit")
    console = Console(markup=False)
    console.print(kills)
    console.print(parts)
