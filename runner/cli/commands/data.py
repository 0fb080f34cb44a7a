"""`recipe data`: validate, inspect and compare record files."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ....schemas.base.counted import counted, counted_of
from ....schemas.base.errors import Problem, UserError
from ....schemas.sections import RecordType
from .. import completion
from ..options import RECORD_TYPES, Between, json_option, print_json, runs_dir_option, set_option
from ..problem_formats import as_text

if TYPE_CHECKING:
    from ...worker.tokenizers import Tokenizer


@click.group("data")
def command() -> None:
    """Validate, inspect and compare record files."""


@command.command("validate", short_help="Validate every record and report the invalid ones.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--schema", "kind", type=click.Choice(RECORD_TYPES), help="Record type. Default: that of the first record.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Invalid rows to list per file; all are counted.")
@json_option
def validate(files: tuple[Path, ...], kind: RecordType | None, limit: int, as_json: bool) -> None:
    """Validate record files (JSONL), given as FILES or folders, and report each invalid row with its line and the reason."""
    from ...inspection.validate import Checked, check_file

    results = []
    for path in files:
        try:
            results += [check_file(file, kind, limit) for file in _files(path)]
        except UserError as error:
            results.append(Checked(str(path), None, 0, 0, error.problems))
    problems = [problem for result in results for problem in result.problems]
    if as_json:
        counts = [{"file": r.file, "type": r.type, "rows": r.rows, "bad": r.bad} for r in results]
        print_json({"valid": not problems, "files": counts, "problems": [p.facts() for p in problems]})
    else:
        if problems:
            click.echo(as_text(problems), err=True)
        for result in results:
            bad = f"{result.bad:,} invalid" + (f", first {limit} shown" if result.bad > limit else "") if result.bad else "all valid"
            if result.rows:
                click.echo(f"{result.file}: {counted(result.rows, (result.type or 'unknown') + ' record')}, {bad}", err=True)
    raise SystemExit(1 if problems else 0)


def _files(path: Path) -> list[Path]:
    """Return the record files at a path: for a folder, the splits of its conversion or run, else every JSONL file in it."""
    if not path.is_dir():
        return [path]
    from ...inspection.inputs import files_in

    found = [file for file in files_in(path).files.values() if file.suffix != ".json"]
    if not found:
        raise UserError(Problem(path, "no JSONL record files in this folder", "name the files", "no-records"))
    return found


@command.command("inspect", short_help="Describe records: lengths, labels, duplicates, samples.")
@click.argument("what", metavar="FILE|FOLDER|RECIPE", shell_complete=completion.recipes)
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write. Default: inspection/<name>.")
@click.option(
    "--tokenizer", "tokenizer_name", help="cl100k (offline), or anything that model.base_model accepts. Default: the recipe's, else cl100k."
)
@click.option("--by", metavar="KEY", help="Group samples by this meta key. Default: the label, or a chat's answer if few differ.")
@click.option("--samples", type=click.IntRange(0, 1000), default=5, show_default=True, help="Samples per label.")
@click.option("--near/--no-near", default=True, show_default=True, help="Find near-duplicates.")
@click.option("--threshold", type=Between(0.5, 1), default=0.7, show_default=True, help="Similarity of near-duplicates.")
@click.option("--languages/--no-languages", default=True, show_default=True, help="Detect each row's language.")
@set_option
@runs_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print inspection.json.")
def inspect_records(
    what: str, out: Path | None, tokenizer_name: str | None, by: str | None, samples: int, near: bool, threshold: float, languages: bool,
    settings: tuple[str, ...], root: Path, as_json: bool,
) -> None:  # fmt: skip
    """Describe the records of FILE, FOLDER or RECIPE: lengths, labels, roles, languages, duplicates, samples, sources, meta."""
    from tempfile import TemporaryDirectory

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
            found = inspect(inputs, options, Path(scratch), lambda rows: status.update(f"reading: {counted(rows, 'row')}"))
        names = write_inspection(out, inputs, found, named)
    if as_json:
        print_json({**found.facts, WRITTEN: names, "out": str(out)})
    else:
        click.echo(headline(found.facts), err=True)
        click.echo(f"wrote {out / PAGE}", err=True)


def _of_recipe(what: str, root: Path, settings: tuple[str, ...]) -> "Tokenizer":
    """Return the recipe's tokenizer; cl100k, with a message, if this machine cannot load it."""
    from ...inspection.inputs import load_named
    from ...worker.tokenizers import DEFAULT, recipe_tokenizer, tokenizer

    loaded = load_named(what, settings)
    try:
        return recipe_tokenizer(loaded, root)
    except UserError as error:
        click.echo(f"{error}\ncounting with {DEFAULT}, without the recipe's tokenizer and chat template", err=True)
        return tokenizer(DEFAULT)


@command.command("leaks", short_help="Find rows of one file that are also in another.")
@click.argument("first", metavar="A", shell_complete=completion.recipes)
@click.argument("second", metavar="B", shell_complete=completion.recipes)
@click.option("--group-by", multiple=True, metavar="KEY", help="Meta key (or text) whose values must not occur in both.")
@click.option("--near/--no-near", default=True, show_default=True, help="Find near-duplicates.")
@click.option("--threshold", type=Between(0.5, 1), default=0.7, show_default=True, help="Similarity of near-duplicates.")
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="Pairs to list per kind; all leaking rows are counted."
)
@runs_dir_option
@json_option
def leaks(
    first: str, second: str, group_by: tuple[str, ...], near: bool, threshold: float, limit: int, root: Path, as_json: bool
) -> None:  # fmt: skip
    """Find rows of B that also occur in A: identical, near-duplicate, same question, or same group. Exit code 3 when there are any.

    A and B are record files, folders written by `recipe convert`, runs, or recipes.
    """
    from tempfile import TemporaryDirectory

    from ...inspection.inputs import find_inputs
    from ...inspection.leaks import KINDS, Sides, find_leaks, list_pairs
    from ...inspection.previews import Preview, Previews

    with TemporaryDirectory(prefix="recipekit-") as scratch:
        folder = Path(scratch)
        sides = Sides.of(find_inputs(first, folder / "a", root), find_inputs(second, folder / "b", root))
        found = find_leaks(sides, folder, threshold if near else None, group_by, limit)
        positions = [position for listed in found.pairs.values() for pair in listed for position in pair]
        pairs = list(list_pairs(found, Previews(sides.files, positions, sides.temporary)))
    leaking = sum(found.rows.values())
    if as_json:
        bad = dict(zip(("a", "b"), found.bad, strict=True))
        rows = dict(zip(("a", "b"), found.counts, strict=True))
        result = {"leaks": leaking > 0, "rows": rows, "not_records": bad, "leaking_rows": found.rows, "pairs": pairs}
        print_json(result)
    else:
        for pair in pairs:
            sides_shown = " = ".join(f"{side['file']}:{Preview(**side).position}" for side in (pair["second"], pair["first"]))
            click.echo(f"{sides_shown}  {KINDS[pair['kind']]}: {pair['second']['row'][:120]}")
        for name, count in found.rows.items():
            more = f" (first {limit} shown)" if count > limit else ""
            click.echo(f"{counted_of(count, found.counts[1], 'row')} of B: {KINDS[name]} in A{more}", err=True)
        if sum(found.bad):
            click.echo(f"{counted(sum(found.bad), 'invalid line', 'were')} not compared: see `recipe data validate`", err=True)
        if not group_by:
            click.echo("groups were not compared: use --group-by KEY", err=True)
    raise SystemExit(3 if leaking else 0)
