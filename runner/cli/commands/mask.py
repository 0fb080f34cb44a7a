"""`recipe mask`: the rows as the trainer will see them, trained text against masked text."""

import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from ....converters.building.pipeline import build
from ....schemas.base.errors import Problem, UserError
from ....schemas.recipe import LoadedRecipe, load_recipe
from ...runtime.run_folder import RUNS, RunFolder
from .run import require_train_extra


@click.command("mask")
@click.argument("recipe")
@click.option("--rows", "count", type=click.IntRange(1), default=3, help="How many rows. Default: 3")
@click.option("--split", type=click.Choice(["train", "validation", "test"]), default="train", help="Of which split.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a key.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: rows with tokens, labels and text by what is trained.")
def command(recipe: str, count: int, split: str, settings: tuple[str, ...], as_json: bool) -> None:
    """Show the first rows of RECIPE: what is trained in colour, what is masked dimmed."""
    require_train_extra()
    loaded = load_recipe(recipe, settings)
    with tempfile.TemporaryDirectory(prefix="recipe-mask-") as folder:
        rows = masked_rows(loaded, RunFolder(Path(folder)), split, count)
    if as_json:
        import orjson

        click.echo(orjson.dumps({"recipe": loaded.recipe.name, "split": split, "rows": rows}, option=orjson.OPT_INDENT_2))
        return
    for row in rows:
        show(row)


def masked_rows(loaded: LoadedRecipe, run: RunFolder, split: str, count: int) -> list[dict[str, Any]]:
    """The first rows of the split with id, input_ids, labels and the text by what is trained."""
    from ...generate.stage import already_generated
    from ...launch.plan import make_job
    from ...models.resolve import resolve_model
    from ...runtime.child_process import run_child
    from ...runtime.machine import this_machine
    from ...runtime.progress import read_lines

    manifest = build(already_generated(loaded, RUNS), run / "data")
    _require_split(loaded, manifest["splits"], split)
    planned = make_job(loaded, manifest, this_machine(), resolve_model(loaded.recipe.model, RUNS))
    (run / "rendered").mkdir()
    for name, text in planned.plan.files.items():
        (run / name).write_text(text, encoding="utf-8")
    lines = (run / "data" / f"{split}.jsonl").read_bytes().splitlines(keepends=True)[:count]
    (run / "chosen.jsonl").write_bytes(b"".join(lines))
    argv = (sys.executable, "-m", "recipekit.runner.worker.tokenization", "chosen.jsonl", "tokens.jsonl")
    run_child(argv, run.path, planned.plan.env, "mask.log", "tokenising", lambda event: None)
    return read_lines(run / "tokens.jsonl")


def _require_split(loaded: LoadedRecipe, splits: dict[str, int], split: str) -> None:
    """Raise UserError where the split has no rows, naming those that have."""
    if not splits.get(split):
        there = [name for name, count in splits.items() if count]
        hint = (
            f"--split {' or '.join(there)}; data.split says how rows are divided" if there else "no row was read at all: see data.sources"
        )
        raise UserError(Problem(loaded.document.location(("data", "split")), f"no row is in the {split} split", hint, "empty-split"))


def show(row: dict[str, Any]) -> None:
    """A row on the terminal. Without colour, trained text stands between ⟦ and ⟧."""
    trained = sum(label != -100 for label in row["labels"])
    what = f"label {row['label']}, read from" if "label" in row else f"{trained} trained of"
    click.echo(click.style(f"{row['id']}: {what} {len(row['labels'])} tokens", bold=True))
    colour = sys.stdout.isatty()
    for segment in row["segments"]:
        if not segment["trained"]:
            click.echo(click.style(segment["text"], dim=True), nl=False)
        else:
            click.echo(click.style(segment["text"], fg="green", bold=True) if colour else f"⟦{segment['text']}⟧", nl=False)
    click.echo("\n")
