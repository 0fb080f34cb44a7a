"""`recipe plan`: estimate what a recipe needs, without training."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import orjson

from ....schemas.base.terminal import echo_styled
from ....schemas.recipe import LoadedRecipe, load_recipe
from ...runtime.machine import Machine
from ..options import json_option, machine_option, runs_dir_option, set_option


@click.command("plan")
@click.argument("recipe")
@set_option
@runs_dir_option
@machine_option
@click.option("--smoke", is_flag=True, help="Plan the smoke run.")
@json_option
def command(recipe: str, settings: tuple[str, ...], root: Path, machine: Machine, smoke: bool, as_json: bool) -> None:
    """Convert the data of RECIPE, count its steps, and estimate memory and disk. Exit code 1 when the run cannot work there."""
    facts = planned(load_recipe(recipe, settings, smoke), root, machine)
    if as_json:
        click.echo(orjson.dumps(facts, option=orjson.OPT_INDENT_2))
    else:
        show(facts)
    raise SystemExit(1 if facts["problems"] else 0)


def planned(loaded: LoadedRecipe, root: Path, machine: Machine) -> dict[str, Any]:
    """Return the figures. What cannot be computed is None, never a guess."""
    from ....converters.building.pipeline import build
    from ...generate.stage import already_generated
    from ...launch.steps import optimizer_steps, require_rows, step_problems
    from ...resources.estimate_fit import batch, estimate_fit, size_of
    from ...resources.fit import problems, warnings
    from ...resources.model_names import model_name_problems
    from ...resources.row_lengths import expected_tokens

    recipe = loaded.recipe
    with TemporaryDirectory() as folder:
        manifest = build(already_generated(loaded, root), Path(folder) / "data")
        tokens = (
            expected_tokens(recipe, Path(folder) / "data" / "train.jsonl", recipe.model.base_model)
            if manifest["splits"].get("train")
            else None
        )
    splits = manifest["splits"]
    require_rows(loaded, splits, "train", "train", f"{manifest['rows_in']:,} rows were read: add rows, or change data.split")
    steps = None if recipe.data.type == "text" else optimizer_steps(recipe, splits["train"])
    size = size_of(recipe)
    found = estimate_fit(recipe, machine, root, len(manifest.get("labels", ())), steps, tokens)
    refused = [*step_problems(recipe, loaded.document, splits["train"]), *model_name_problems(loaded)]
    refused += problems(found, recipe.data.type == "text" and recipe.training.sample_packing) if found else []
    return {
        "recipe": recipe.name, "rows_in": manifest["rows_in"], "splits": splits, "batch": batch(recipe), "steps": steps,
        "model": {"name": recipe.model.base_model, "parameters": size.parameters, "source": size.source} if size else None,
        "needs": found.facts() if found else None, "unknown": found.unknown if found else "the model's size",
        "warnings": warnings(found) if found else [], "problems": [str(problem) for problem in refused],
    }  # fmt: skip


def show(facts: dict[str, Any]) -> None:
    """Print the figures as a table."""
    from rich.table import Table

    from ....schemas.base.screen import Screen
    from ...resources.fit import size_text

    console, rows, needs = Screen(), facts["batch"], facts["needs"]
    table = Table(title=facts["recipe"], title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_row("data", f"{facts['rows_in']:,} rows in; " + ", ".join(f"{count:,} {split}" for split, count in facts["splits"].items()))
    product = " x ".join(str(rows[name]) for name in ("micro_batch_size", "gradient_accumulation_steps", "processes"))
    table.add_row("step", f"{product} = {rows['rows']} rows")
    table.add_row("steps", f"{facts['steps']:,}" if facts["steps"] is not None else "known once the texts are tokenised and packed")
    if facts["model"]:
        table.add_row("model", f"{facts['model']['parameters']:,} parameters, by {facts['model']['source']}")
    if needs:
        table.add_row("trained", f"{needs['trained_parameters']:,} parameters")
        for name, rows_of in (("memory", f" at {needs['memory']['tokens']:,} tokens per row"), ("disk", "")):
            part = needs[name]
            free = f", {size_text(part['available'])} available" if part["available"] else ""
            table.add_row("", "")
            table.add_row(name, f"{size_text(part['needed'])} needed{rows_of}{free}")
            for what, size in part["parts"].items():
                table.add_row("", f"{size_text(size):>9}  {what}")
    if facts["unknown"]:
        table.add_row("not computed", facts["unknown"])
    console.print(table)
    for line in facts["warnings"]:
        echo_styled((line, {"fg": "yellow"}), err=True)
    for line in facts["problems"]:
        echo_styled((line, {"fg": "red"}), err=True)
