"""`recipe run`: run a recipe."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ....schemas.base.errors import UserError
from ....schemas.recipe import LoadedRecipe, load_recipe, load_sweep
from ...runtime.run_files import MANIFEST, REPORT, SMOKE_KEYS
from .. import completion
from ..options import json_option, print_json, runs_dir_option, set_option

if TYPE_CHECKING:
    from ...workflows.run import Outcome


@click.command("run")
@click.argument("recipe", shell_complete=completion.recipes)
@set_option
@runs_dir_option
@click.option("--dry-run", is_flag=True, help="Show the files and the command; do not train.")
@click.option("--resume", "resume", is_flag=True, help="Resume the newest unfinished run of this recipe.")
@click.option("--smoke", is_flag=True, help="Try every stage in a minute or two with a tiny model.")
@json_option
def command(recipe: str, settings: tuple[str, ...], root: Path, dry_run: bool, resume: bool, smoke: bool, as_json: bool) -> None:
    """Run RECIPE: a path or the name of a shipped recipe. With a `matrix`, every combination is run, and the runs are compared."""
    loaded, sweep = load_recipe(recipe, settings, smoke), load_sweep(recipe, settings, smoke)
    if dry_run:
        from .render import show_plan

        for one in [loaded for loaded, _ in sweep] or [loaded]:
            show_plan(one, as_json)
        return
    if sweep:
        raise SystemExit(_sweep(sweep, root, as_json))
    outcome = _resumed(loaded, root) if resume else None
    print_outcome(outcome or start(loaded, root), as_json)


def start(loaded: LoadedRecipe, root: Path) -> "Outcome":
    """Run the recipe after checking that the training packages are installed."""
    require_train_extra()
    from ...runtime.console import Display
    from ...workflows.run import run_recipe

    with Display() as display:
        display.say("recipe", f"{loaded.recipe.name} ({loaded.path})")
        return run_recipe(loaded, root, display)


def _sweep(recipes: list[tuple[LoadedRecipe, dict[str, Any]]], root: Path, as_json: bool) -> int:
    """Run the recipes of a matrix, print the comparison, and return the exit code."""
    require_train_extra()
    from ....schemas.base.screen import Screen
    from ...reporting.runs_table import print_sweep
    from ...runtime.console import Display
    from ...workflows.sweep import exit_code, run_sweep

    with Display() as display:
        swept = run_sweep(recipes, root, display)
    rows = [one.row() for one in swept]
    if as_json:
        print_json({"sweep": rows})
    else:
        print_sweep(rows, Screen())
    return exit_code(swept)


def _resumed(loaded: LoadedRecipe, root: Path) -> "Outcome | None":
    """Resume the newest run of the recipe; None if that is finished."""
    require_train_extra()
    from ...runtime.console import Display
    from ...workflows.run import resume_recipe

    with Display() as display:
        return resume_recipe(loaded, root, display)


def require_train_extra() -> None:
    """Raise UserError if the training packages are not installed."""
    from importlib.util import find_spec

    missing = [name for name in ("torch", "axolotl", "transformers", "peft", "jinja2", "numpy", "sklearn") if find_spec(name) is None]
    if missing:
        raise UserError(f"training needs packages that are not installed: {', '.join(missing)}", hint="pip install 'recipekit[train]'")


def print_outcome(outcome: "Outcome", as_json: bool) -> None:
    """Print the metrics and the path of the report on stdout, and the next command on stderr."""
    report = outcome.run / REPORT
    if as_json:
        facts = {"run": str(outcome.run.path), "state": outcome.run.status["state"], "stages": outcome.stages,
                 "metrics": outcome.metrics, "report": str(report)}  # fmt: skip
        if changed := outcome.run.find(SMOKE_KEYS):
            facts["smoke"] = changed["keys"]
        print_json(facts)
        return
    if outcome.metrics is None:  # submitted to Slurm, and not run yet
        return
    from ....schemas.base.screen import Screen
    from ...reporting.metrics_table import metrics_table
    from ...reporting.sample_prompts import print_samples

    metrics_table(outcome.metrics, Screen(), outcome.run.find(MANIFEST))
    print_samples(outcome.metrics, Screen())
    click.echo(report)
    if outcome.run.find(SMOKE_KEYS):
        click.echo("a smoke run: every stage works; next: the same `recipe run` without --smoke", err=True)
    else:
        with_base = " --with-base" if outcome.metrics["baseline"] == "base" else ""  # a classifier has no base
        click.echo(f"next: open the report\n      recipe chat {outcome.run.path}{with_base}", err=True)
