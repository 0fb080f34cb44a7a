"""`recipe mask`: show rows as the trainer sees them, trained and masked tokens apart."""

import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from ....converters.building.pipeline import build
from ....schemas.base.errors import Problem, UserError
from ....schemas.base.terminal import echo_styled
from ....schemas.recipe import LoadedRecipe, load_recipe
from ...reporting.token_summary import left_out_line
from ...runtime.run_folder import RunFolder
from ..options import runs_dir_option, set_option
from .run import require_train_extra


@click.command("mask")
@click.argument("recipe")
@click.option("--rows", "count", type=click.IntRange(1), default=3, show_default=True, help="Number of rows.")
@click.option("--split", type=click.Choice(["train", "validation", "test"]), default="train", show_default=True, help="Split.")
@set_option
@runs_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: rows with tokens, labels and segments.")
def command(recipe: str, count: int, split: str, settings: tuple[str, ...], root: Path, as_json: bool) -> None:
    """Show the first rows of RECIPE: trained tokens in colour, masked tokens dimmed."""
    require_train_extra()
    loaded = load_recipe(recipe, settings)
    with tempfile.TemporaryDirectory(prefix="recipe-mask-") as folder:
        rows = masked_rows(loaded, root, RunFolder(Path(folder)), split, count)
    if as_json:
        import orjson

        click.echo(orjson.dumps({"recipe": loaded.recipe.name, "split": split, "rows": rows}, option=orjson.OPT_INDENT_2))
        return
    for row in rows:
        show(row)


def masked_rows(loaded: LoadedRecipe, root: Path, run: RunFolder, split: str, count: int) -> list[dict[str, Any]]:
    """Return the first rows of the split: id, input_ids, labels, and segments of text, trained or masked. `run` is an empty folder."""
    from ....schemas.batch import with_micro_batch_size
    from ...generate.stage import with_generated_rows
    from ...launch.plan import make_job
    from ...models.resolve import require_model_of, resolve_model
    from ...runtime.child_process import run_child
    from ...runtime.machine import this_machine
    from ...runtime.progress import read_lines

    require_model_of(loaded, root)
    manifest = build(with_generated_rows(loaded, root), run / "data")
    _require_split(loaded, manifest["splits"], split)
    one_row = loaded._replace(recipe=with_micro_batch_size(loaded.recipe, 1))  # batches have no say in what is trained
    planned = make_job(one_row, manifest, this_machine(), resolve_model(loaded.recipe.model, root))
    planned.plan.write(run.path)
    lines = (run / "data" / f"{split}.jsonl").read_bytes().splitlines(keepends=True)[:count]
    (run / "chosen.jsonl").write_bytes(b"".join(lines))
    argv = (sys.executable, "-m", "recipekit.runner.worker.tokenization", "chosen.jsonl", "tokens.jsonl")
    run_child(argv, run.path, planned.plan.env, "mask.log", "tokenising", lambda event: None)
    return read_lines(run / "tokens.jsonl")


def _require_split(loaded: LoadedRecipe, splits: dict[str, int], split: str) -> None:
    """Raise UserError if the split has no rows, naming the splits that have some."""
    if not splits.get(split):
        filled = [name for name, count in splits.items() if count]
        hint = f"use --split {' or '.join(filled)}, or set data.split" if filled else "no rows were read: see data.sources"
        raise UserError(Problem(loaded.document.location(("data", "split")), f"the {split} split is empty", hint, "empty-split"))


def show(row: dict[str, Any]) -> None:
    """Print a row. Without colour, trained text is between ⟦ and ⟧."""
    trained = sum(label != -100 for label in row["labels"])
    what = f"label {row['label']}, read from" if "label" in row else f"{trained} trained of"
    echo_styled((f"{row['id']}: {what} {len(row['labels'])} tokens", {"bold": True}))
    colour = sys.stdout.isatty()
    for segment in row["segments"]:
        if not segment["trained"]:
            echo_styled((segment["text"], {"dim": True}), newline=False)
        else:  # black on green is readable on light and dark screens; green letters are not on white
            echo_styled((segment["text"] if colour else f"⟦{segment['text']}⟧", {"fg": "black", "bg": "green"}), newline=False)
    click.echo("\n")
    for name, words in row["left_out"].items():
        click.echo(f"{left_out_line(name)}: {' '.join(map(repr, words))}\n")
