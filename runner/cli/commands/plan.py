"""`recipe plan`: what a recipe will take, computed without training anything."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import orjson

from ....schemas.recipe import LoadedRecipe, load_recipe
from ...runtime.run_folder import RUNS


@click.command("plan")
@click.argument("recipe")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a key.")
@click.option("--out", "root", type=click.Path(path_type=Path), default=RUNS, help="Where runs are kept. Default: runs/")
@click.option("--smoke", is_flag=True, help="Of the rehearsal.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(recipe: str, settings: tuple[str, ...], root: Path, smoke: bool, as_json: bool) -> None:
    """Convert RECIPE's data, count its steps, and say what memory and disk its training needs here; exit 1 where it cannot fit."""
    facts = planned(load_recipe(recipe, settings, smoke), root)
    if as_json:
        click.echo(orjson.dumps(facts, option=orjson.OPT_INDENT_2))
    else:
        show(facts)
    raise SystemExit(1 if facts["problems"] else 0)


def planned(loaded: LoadedRecipe, root: Path) -> dict[str, Any]:
    """The figures. What cannot be computed is None and not guessed."""
    from ....converters.building.pipeline import build
    from ...generate.stage import already_generated
    from ...launch.steps import optimizer_steps, require_rows
    from ...resources.estimate_fit import batch, estimate_fit, size_of
    from ...resources.fit import problems, warnings
    from ...runtime.machine import this_machine

    recipe = loaded.recipe
    with TemporaryDirectory() as folder:
        manifest = build(already_generated(loaded, root), Path(folder) / "data")
    splits = manifest["splits"]
    require_rows(loaded, splits, "train", "train", f"{manifest['rows_in']:,} rows were read: give more, or other shares")
    steps = None if recipe.data.type == "text" else optimizer_steps(recipe, splits["train"])
    size = size_of(recipe)
    found = estimate_fit(recipe, this_machine(), root, len(manifest.get("labels", ())), steps)
    refused = problems(found, recipe.data.type == "text" and recipe.training.sample_packing) if found else []
    return {
        "recipe": recipe.name, "rows_in": manifest["rows_in"], "splits": splits, "batch": batch(recipe), "steps": steps,
        "model": {"name": recipe.model.base_model, "parameters": size.parameters, "source": size.source} if size else None,
        "needs": found.facts() if found else None, "unknown": found.unknown if found else "the model's size",
        "warnings": warnings(found) if found else [], "problems": [f"{problem.what} ({problem.hint})" for problem in refused],
    }  # fmt: skip


def show(facts: dict[str, Any]) -> None:
    """For people."""
    from rich.console import Console
    from rich.table import Table

    from ...resources.fit import size_text

    console, rows, needs = Console(highlight=False), facts["batch"], facts["needs"]
    table = Table(title=facts["recipe"], title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_row("data", f"{facts['rows_in']:,} rows in; " + ", ".join(f"{count:,} {split}" for split, count in facts["splits"].items()))
    product = " x ".join(str(rows[name]) for name in ("micro_batch_size", "gradient_accumulation_steps", "processes"))
    table.add_row("step", f"{product} = {rows['rows']} rows")
    table.add_row("steps", f"{facts['steps']:,}" if facts["steps"] is not None else "known when the texts are tokenised and put in blocks")
    if facts["model"]:
        table.add_row("model", f"{facts['model']['parameters']:,} parameters, by {facts['model']['source']}")
    if needs:
        table.add_row("trained", f"{needs['trained_parameters']:,} parameters")
        for name, rows_of in (("memory", f" for rows of {needs['memory']['tokens']:,} tokens"), ("disk", "")):
            part = needs[name]
            there = f", {size_text(part['there'])} there" if part["there"] else ""
            table.add_row("", "")
            table.add_row(name, f"{size_text(part['needed'])} needed{rows_of}{there}")
            for what, size in part["parts"].items():
                table.add_row("", f"{size_text(size):>9}  {what}")
    if facts["unknown"]:
        table.add_row("not computed", facts["unknown"])
    console.print(table)
    for line in facts["warnings"]:
        click.echo(click.style(line, fg="yellow"), err=True)
    for line in facts["problems"]:
        click.echo(click.style(line, fg="red"), err=True)
