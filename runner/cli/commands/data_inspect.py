"""`recipe data inspect`: describe record files, as files and as one page."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..options import Between, runs_dir_option, set_option

if TYPE_CHECKING:
    from ...worker.tokenizers import Tokenizer


@click.command("inspect")
@click.argument("what", metavar="FILE|FOLDER|RECIPE")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write. Default: inspection/<name>.")
@click.option(
    "--tokenizer",
    "tokenizer_name",
    help="cl100k (offline), or anything that model.base_model accepts. Default: the recipe's, else cl100k.",
)
@click.option("--by", metavar="KEY", help="Group samples by this meta key. Default: the label, or a chat's answer if few differ.")
@click.option("--samples", type=click.IntRange(0, 1000), default=5, show_default=True, help="Samples per label.")
@click.option("--near/--no-near", default=True, show_default=True, help="Find near-duplicates.")
@click.option("--threshold", type=Between(0.5, 1), default=0.7, show_default=True, help="Similarity of near-duplicates.")
@click.option("--languages/--no-languages", default=True, show_default=True, help="Detect each row's language.")
@set_option
@runs_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print inspection.json.")
def inspect_command(
    what: str, out: Path | None, tokenizer_name: str | None, by: str | None, samples: int, near: bool, threshold: float, languages: bool,
    settings: tuple[str, ...], root: Path, as_json: bool,
) -> None:  # fmt: skip
    """Describe the records of FILE, FOLDER or RECIPE: lengths, labels, roles, languages, duplicates, samples, sources, meta."""
    from tempfile import TemporaryDirectory

    import orjson

    from ....schemas.base.screen import ProgressScreen
    from ...inspection.files import PAGE, WRITTEN, write_inspection
    from ...inspection.inputs import find_inputs, is_recipe
    from ...inspection.inspect import Options, inspect
    from ...inspection.page import headline
    from ...worker.tokenizers import DEFAULT, tokenizer

    if settings and not is_recipe(what):
        raise click.UsageError("--set: only with a RECIPE")
    named = _of_recipe(what, root, settings) if is_recipe(what) and not tokenizer_name else tokenizer(tokenizer_name or DEFAULT)
    options = Options(named, by, samples, threshold if near else None, languages)
    with TemporaryDirectory(prefix="recipekit-") as scratch:
        inputs = find_inputs(what, Path(scratch), root, settings)
        out = out or Path("inspection") / inputs.name
        with ProgressScreen(quiet=as_json).status("reading") as status:
            found = inspect(inputs, options, Path(scratch), lambda rows: status.update(f"reading: {rows:,} rows"))
        names = write_inspection(out, inputs, found, named)
    if as_json:
        click.echo(orjson.dumps({**found.facts, WRITTEN: names, "out": str(out)}, option=orjson.OPT_INDENT_2))
    else:
        click.echo(headline(found.facts), err=True)
        click.echo(f"wrote {out / PAGE}", err=True)


def _of_recipe(what: str, root: Path, settings: tuple[str, ...]) -> "Tokenizer":
    """Return the recipe's tokenizer; cl100k, with a message, if this machine cannot load it."""
    from ....schemas.base.errors import UserError
    from ...inspection.inputs import load_named
    from ...worker.tokenizers import DEFAULT, recipe_tokenizer, tokenizer

    loaded = load_named(what, settings)
    try:
        return recipe_tokenizer(loaded, root)
    except UserError as error:
        click.echo(f"{error}\ncounting with {DEFAULT}, without the recipe's tokenizer and chat template", err=True)
        return tokenizer(DEFAULT)
