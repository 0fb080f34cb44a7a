"""`recipe convert`: convert a recipe's sources, or files with a named converter, to validated JSONL and a manifest."""

from pathlib import Path
from typing import Any, Literal

import click
from click.core import ParameterSource

from ....converters.building.hub_datasets import SCHEME
from ....converters.building.pipeline import build
from ....converters.sources.registry import converter, option_problems, takes_text
from ....schemas.base.errors import Problem, UserError
from ....schemas.recipe import load_recipe
from ....schemas.sections import UTF8, Data, RecordType, Source, Split
from ....schemas.yaml_source import parse_yaml
from ...reporting.ledger_table import ledger_table
from .. import completion
from ..converter_option import converter_option
from ..options import RECORD_TYPES, Between, file_format_options, print_json, runs_dir_option, set_option


@click.command("convert")
@click.argument("recipe_or_paths", nargs=-1, required=True, shell_complete=completion.recipes)
@converter_option("Convert PATHS with this converter, without a recipe.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write. Default: data/<recipe>.")
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="Option of the converter.")
@click.option("--type", "kind", type=click.Choice(RECORD_TYPES), help="Record type.")
@click.option("--validation", type=Between(0, 0.9), default=0.0, help="Share of rows for validation.")
@click.option("--test", type=Between(0, 0.9), default=0.0, help="Share of rows for testing.")
@click.option("--group-by", multiple=True, help="Keep rows with equal values of this meta key in one split.")
@click.option("--stratify-by", help="Keep the shares of this meta key, or of label, equal across splits.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=42, help="Seed of the split.")
@click.option("--dedup", type=click.Choice(["exact", "near", "none"]), default="exact", help="Duplicates to remove.")
@click.option("--ignore-key", "ignore_keys", multiple=True, metavar="KEY", help="Key of the rows that the converter need not read.")
@file_format_options
@click.option("--skip-lines", type=click.IntRange(min=0), default=0, help="Lines above the header of a table.")
@click.option("--field", metavar="KEY", help="Key of the list of rows in a JSON object.")
@click.option("--max-dropped", type=Between(0, 1), default=0.0, help="Share of rows that may be dropped as unusable.")
@click.option("--fix-mojibake/--no-fix-mojibake", default=True, show_default=True, help="Repair misdecoded UTF-8 (â€™ for ’).")
@click.option("--revision", help="Commit, tag or branch of an hf: dataset.")
@click.option("--subset", help="Subset of an hf: dataset.")
@click.option("--hub-split", default="train", show_default=True, help="Split of an hf: dataset.")
@click.option("--processes", type=click.IntRange(min=1), default=1, help="Number of processes; the result is the same.")
@click.option("--engine", type=click.Choice(["local", "ray"]), help="Run locally or on a Ray cluster. Default: the recipe's launch.")
@set_option
@runs_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as one JSON object.")
def command(
    recipe_or_paths: tuple[str, ...], name: str | None, out: Path | None, options: tuple[str, ...], kind: RecordType | None,
    settings: tuple[str, ...], processes: int, engine: Literal["local", "ray"] | None, root: Path, as_json: bool, **plain: Any,
) -> None:  # fmt: skip
    """Convert the sources of RECIPE, or the files at PATHS with --converter."""
    if name:
        if out is None:
            raise click.UsageError("--converter needs --out DIR")
        if given := _given({"settings": settings, "root": root}):
            raise click.UsageError(f"{', '.join(given)}: only with a RECIPE; --converter takes its options with --option")
        data = plain_data(name, recipe_or_paths, kind or converter(name).RECORD_TYPES[0], options, **plain)
    else:
        if len(recipe_or_paths) != 1:
            raise click.UsageError("one RECIPE, or --converter NAME PATH...")
        if given := _given(plain | {"options": options, "kind": kind}):
            raise click.UsageError(f"{', '.join(given)}: only with --converter; with a RECIPE use --set")
        from ...generate.stage import with_generated_rows

        loaded = load_recipe(recipe_or_paths[0], settings)
        data, out = with_generated_rows(loaded, root), out or Path("data") / loaded.recipe.name
        engine = engine or ("ray" if loaded.recipe.launch.engine == "ray" else None)
    manifest = build(data, out, processes=processes, engine=engine or "local")
    if as_json:
        print_json({**manifest, "out": str(out)})
    else:
        ledger_table(manifest, out)


def _given(options: dict[str, Any]) -> list[str]:
    """Return those of the options that were given on the command line."""
    context = click.get_current_context()
    on_line = {name for name in options if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    return [parameter.opts[0] for parameter in context.command.params if parameter.name in on_line]


def plain_data(
    name: str, paths: tuple[str, ...], kind: RecordType, options: tuple[str, ...], *, validation: float, test: float,
    group_by: tuple[str, ...], stratify_by: str | None, seed: int, dedup: Literal["exact", "near", "none"], max_dropped: float,
    fix_mojibake: bool, ignore_keys: tuple[str, ...], encoding: str, columns: tuple[str, ...],
    skip_lines: int, field: str | None, revision: str | None, subset: str | None, hub_split: str,
) -> Data:  # fmt: skip
    """Build the `data` section from the options. Raises UserError if the converter has no such option or record type."""
    if validation + test >= 1:
        raise click.UsageError("--validation, --test: no rows are left to train on: their sum must be below 1")
    if "" in (*group_by, stratify_by):
        raise click.UsageError("--group-by, --stratify-by: the key must not be empty")
    values = converter_options(name, options)
    if kind not in converter(name).RECORD_TYPES:
        raise UserError(f"the converter {name} makes {' or '.join(converter(name).RECORD_TYPES)} records, not {kind}")
    if (revision or subset or hub_split != "train") and not all(path.startswith(SCHEME) for path in paths):
        raise click.UsageError(f"--revision, --subset and --hub-split need an {SCHEME} dataset")
    form = {"encoding": encoding, "columns": columns, "skip_lines": skip_lines, "field": field}
    if any(value not in (UTF8, (), 0, None) for value in form.values()) and any(path.startswith(SCHEME) for path in paths):
        raise click.UsageError(f"--encoding, --column, --skip-lines and --field have no effect on an {SCHEME} dataset")
    hub = {"revision": revision, "subset": subset, "hub_split": hub_split}
    sources = tuple(Source(path, name, values, ignore_keys=ignore_keys, **form, **hub) for path in paths)
    split = Split(validation, test, seed, group_by, stratify_by)
    return Data(kind, sources, split=split, dedup=dedup, max_dropped=max_dropped, fix_mojibake=fix_mojibake)


def converter_options(name: str, options: tuple[str, ...]) -> dict[str, Any]:
    """Return the converter's options given as key=value. Raises UserError for an unknown option or an invalid value."""
    values = dict(_option(name, text) for text in options)
    if problems := option_problems(name, values):
        raise UserError(*(Problem("--option", problem, rule="option") for problem in problems))
    return values


def _option(name: str, text: str) -> tuple[str, Any]:
    """Return an option's key and value. Text that is not a YAML string, such as `Title: {title}`, is taken as it is where an option takes
    only text."""
    key, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--option {text}: expected key=value")
    try:
        found = parse_yaml(value, f"--option {key}").data if value else ""
    except UserError:
        if takes_text(name, key):
            return key, value
        raise
    return key, found if found is None or isinstance(found, str) or not takes_text(name, key) else value
