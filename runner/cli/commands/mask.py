"""`recipe mask`: show rows as the trainer sees them, trained and masked tokens apart."""

import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from ....schemas.base.counted import counted
from ....schemas.base.terminal import echo_styled
from ....schemas.recipe import load_recipe
from ....schemas.sections import SPLITS
from ...reporting.token_summary import left_out_line
from ...worker.labels import IGNORED
from .. import completion
from ..options import print_json, runs_dir_option, set_option
from .run import require_train_extra


@click.command("mask")
@click.argument("recipe", shell_complete=completion.recipes)
@click.option("--rows", "count", type=click.IntRange(1), default=3, show_default=True, help="Number of rows.")
@click.option("--split", type=click.Choice(SPLITS), default="train", show_default=True, help="Split.")
@set_option
@runs_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: rows with tokens, labels and segments.")
def command(recipe: str, count: int, split: str, settings: tuple[str, ...], root: Path, as_json: bool) -> None:
    """Show the first rows of RECIPE: trained tokens in colour, masked tokens dimmed."""
    require_train_extra()
    from ...runtime.run_folder import RunFolder
    from ...workflows.mask import masked_rows

    loaded = load_recipe(recipe, settings)
    with tempfile.TemporaryDirectory(prefix="recipe-mask-") as folder:
        rows = masked_rows(loaded, root, RunFolder(Path(folder)), split, count)
    if as_json:
        print_json({"recipe": loaded.recipe.name, "split": split, "rows": rows})
        return
    for row in rows:
        show(row)


def show(row: dict[str, Any]) -> None:
    """Print a row. Without colour, trained text is between ⟦ and ⟧."""
    trained = sum(label != IGNORED for label in row["labels"])
    what = f"label {row['label']}, read from" if "label" in row else f"{trained} trained of"
    echo_styled((f"{row['id']}: {what} {counted(len(row['labels']), 'token')}", {"bold": True}))
    colour = sys.stdout.isatty()
    for segment in row["segments"]:
        if not segment["trained"]:
            echo_styled((segment["text"], {"dim": True}), newline=False)
        else:  # black on green is readable on light and dark screens; green letters are not on white
            echo_styled((segment["text"] if colour else f"⟦{segment['text']}⟧", {"fg": "black", "bg": "green"}), newline=False)
    click.echo("\n")
    for name, words in row["left_out"].items():
        click.echo(f"{left_out_line(name)}: {' '.join(map(repr, words))}\n")
