"""`recipe run`: the whole recipe."""

from pathlib import Path
from typing import Any

import click
import orjson

from ....schemas.base.errors import UserError
from ....schemas.recipe import LoadedRecipe, load_recipe, load_sweep
from ...runtime.run_folder import RUNS, find_run


@click.command("run")
@click.argument("recipe")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a key, e.g. training.max_steps=5.")
@click.option("--out", "root", type=click.Path(path_type=Path), default=RUNS, help="Where runs are kept. Default: runs/")
@click.option("--dry-run", is_flag=True, help="Show the files and the command; train nothing.")
@click.option("--resume", "resume", is_flag=True, help="Go on with the newest unfinished run of this recipe.")
@click.option("--smoke", is_flag=True, help="Rehearse the whole path in a minute or two, with a small twin of the model.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
def command(recipe: str, settings: tuple[str, ...], root: Path, dry_run: bool, resume: bool, smoke: bool, as_json: bool) -> None:
    """Run RECIPE: a path or the name of a shipped recipe. One with a `matrix` stands for several, which are run and compared."""
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


def start(loaded: LoadedRecipe, root: Path) -> Any:
    """Run the recipe, once it is certain that it can be trained here."""
    require_train_extra()
    from ...runtime.console import Display
    from ...workflows.run import run_recipe

    with Display() as display:
        display.say("recipe", f"{loaded.recipe.name} ({loaded.path})")
        return run_recipe(loaded, root, display)


def _sweep(recipes: list[tuple[LoadedRecipe, dict[str, Any]]], root: Path, as_json: bool) -> int:
    """Run the recipes of a matrix, print the comparison, and give the exit code."""
    require_train_extra()
    from rich.console import Console

    from ...reporting.sweep_tables import sweep_tables
    from ...runtime.console import Display
    from ...workflows.sweep import exit_code, run_sweep

    with Display() as display:
        swept = run_sweep(recipes, root, display)
    rows = [one.row() for one in swept]
    if as_json:
        click.echo(orjson.dumps({"sweep": rows}, option=orjson.OPT_INDENT_2))
    else:
        console = Console(markup=False)
        console.print(*sweep_tables(rows, console.width))
    return exit_code(swept)


def _resumed(loaded: LoadedRecipe, root: Path) -> Any:
    from .resume import resume_run

    run = find_run(loaded.recipe.name, root)
    return None if run.status.get("state") == "done" else resume_run(run, root)


def require_train_extra() -> None:
    """Say how to install what training needs, before anything is done."""
    from importlib.util import find_spec

    missing = [name for name in ("torch", "axolotl", "transformers", "peft", "jinja2", "numpy", "sklearn") if find_spec(name) is None]
    if missing:
        raise UserError(f"training needs packages that are not installed: {', '.join(missing)}", hint="pip install 'recipekit[train]'")


def print_outcome(outcome: Any, as_json: bool) -> None:
    """The numbers, and where the report is."""
    report = outcome.run / "report.html"
    if as_json:
        facts = {"run": str(outcome.run.path), "state": outcome.run.status["state"], "stages": outcome.stages,
                 "metrics": outcome.metrics, "report": str(report)}  # fmt: skip
        if changed := outcome.run.read("rehearsal.json"):
            facts["rehearsal"] = changed["keys"]
        click.echo(orjson.dumps(facts, option=orjson.OPT_INDENT_2))
        return
    if outcome.run.status["state"] == "submitted":  # there are no numbers yet
        return
    from rich.console import Console

    from ...reporting.metrics_table import metrics_table

    metrics_table(outcome.metrics, Console(stderr=True))
    click.echo(f"report    {report}", err=True)
