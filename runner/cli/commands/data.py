"""`recipe data`: validate, inspect and compare record files."""

from pathlib import Path

import click

from ....schemas.base.counted import counted
from ....schemas.base.errors import Location, Problem, UserError
from ....schemas.sections import RecordType
from ..options import json_option
from ..problem_formats import as_text
from .data_inspect import inspect_command
from .data_leaks import leaks_command

RECORD_TYPES = ("chat", "classification", "text")


@click.group("data")
def command() -> None:
    """Validate, inspect and compare record files."""


command.add_command(inspect_command)
command.add_command(leaks_command)


@command.command("validate")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--schema", "kind", type=click.Choice(RECORD_TYPES), help="Record type. Default: that of the first record.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Invalid rows to list per file; all are counted.")
@json_option
def validate(files: tuple[Path, ...], kind: RecordType | None, limit: int, as_json: bool) -> None:
    """Validate record files (JSONL), given as FILES or folders, and report each invalid row with its line and the reason."""
    import orjson

    from ...inspection.validate import Checked, check_file

    results = []
    for path in files:
        try:
            results += [check_file(file, kind, limit) for file in _files(path)]
        except UserError as error:
            results.append(Checked(str(path), None, 0, 0, error.problems))
    problems = [problem for result in results for problem in result.problems]
    if as_json:
        listed = [{**p.location._asdict(), "what": p.what, "hint": p.hint, "rule": p.rule} for p in problems]
        counts = [{"file": r.file, "type": r.type, "rows": r.rows, "bad": r.bad} for r in results]
        click.echo(orjson.dumps({"valid": not problems, "files": counts, "problems": listed}, option=orjson.OPT_INDENT_2))
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
        raise UserError(Problem(Location(str(path)), "no JSONL record files in this folder", "name the files", "no-records"))
    return found
