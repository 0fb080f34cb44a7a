"""`recipe new`: write a valid recipe to edit, also from data files, with completion for editors."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ....schemas.base.terminal import printable, wrapped
from ....schemas.model_rules import EMBEDDED
from ....schemas.sections import UTF8, RecordType
from ....schemas.yaml_writing import one_line
from ...workflows.new import WHOLE, extending, new_path, write_recipe
from ..options import RECORD_TYPES, file_format_options

if TYPE_CHECKING:
    from ...importing.recognise import Recognised


@click.command("new")
@click.argument("name")
@click.option("--from", "parent", metavar="RECIPE", help="Extend this recipe.")
@click.option("--data", "data", multiple=True, metavar="FILE", help="Propose a recipe for this file, folder or glob.")
@click.option("--type", "record_type", type=click.Choice(RECORD_TYPES), help="With --data: the record type.")
@click.option("--model", metavar="MODEL", help="With --data: the base model, a Hugging Face name or a folder.")
@file_format_options
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), help="Folder to write to. Default: recipes/ if it exists, else here."
)
def command(
    name: str, parent: str | None, data: tuple[str, ...], record_type: RecordType | None, model: str | None, encoding: str,
    columns: tuple[str, ...], folder: Path | None,
) -> None:  # fmt: skip
    """Write NAME.yml, a valid recipe to edit, and next to it the schema with which editors complete and check keys.

    With --data, converter, record type, options, split, metrics, sequence_len and batch size are chosen from the rows and this machine, and
    comments say why. What the rows leave open is asked in a terminal, and printed otherwise.
    """
    if parent and data:
        raise click.UsageError("--from and --data cannot be combined")
    if (record_type or model or columns or encoding != UTF8) and not data:
        raise click.UsageError("--type, --model, --encoding and --column need --data")
    path = new_path(name, folder or Path("recipes" if Path("recipes").is_dir() else ""))
    if model:
        _require_local(model)
    if data:
        sections = _for_data(path, data, record_type, encoding, columns, model or EMBEDDED)
    else:
        sections = extending(path, parent) if parent else WHOLE
    write_recipe(path, sections)
    click.echo(str(path))
    if data:
        click.echo(f"next: recipe check {path} --data\n      recipe plan {path}\n      recipe run {path}", err=True)
    else:
        click.echo(f"next: edit it, then recipe check {path}", err=True)


def _require_local(model: str) -> None:
    """Raise UserError if the model is a folder that is no model."""
    from ....schemas.sections import Model
    from ...models.resolve import require_local_model

    is_folder = model.startswith((".", "/", "~")) or Path(model).is_dir()
    require_local_model(Model(str(Path(model).expanduser().absolute()) if is_folder else model))


def _for_data(
    path: Path, data: tuple[str, ...], record_type: RecordType | None, encoding: str, columns: tuple[str, ...], model: str
) -> str:
    """Return the sections of a recipe for the data files; print what was recognised."""
    from ...importing.new_recipe import NewRecipe, recipe_for, recognised_lines

    encoding = encoding if encoding != UTF8 else _encoding(data)
    columns = columns or _anki_columns(data)
    found = _recognised(data, record_type, encoding, columns)
    for head, text in recognised_lines(found):
        _say(head, text)
    declared = ({"encoding": encoding} if encoding != UTF8 else {}) | ({"columns": [*columns]} if columns else {})
    return "\n" + recipe_for(NewRecipe(path.stem, found, list(data), path.parent, model, declared))


def _recognised(data: tuple[str, ...], record_type: RecordType | None, encoding: str, columns: tuple[str, ...]) -> "Recognised":
    """Return how the files are read. What they leave open is asked in a terminal, and printed otherwise."""
    from ...importing.recognise import choose, recognise

    found = recognise(list(data), record_type, encoding, columns)
    if found.alternatives and _asks():
        ways = [f"{one.record_type}: {one.why}" for one in (found.choice, *found.alternatives)]
        if number := _asked("The file can be read in several ways:", ways):
            return choose(found, number - 1)
    elif found.alternatives:
        by_type = "choose with --type, or " * any(one.record_type != found.choice.record_type for one in found.alternatives)
        _say("undecided", f"the rows can also be read as follows; {by_type}edit type and options in the recipe:")
        for one in found.alternatives:
            _say("", f"{one.record_type}: {one.why}, options: {one_line(one.options)}")
    return found


def _encoding(data: tuple[str, ...]) -> str:
    """Return the encoding of files that are not UTF-8: asked in a terminal, otherwise the likeliest, with a message."""
    from ...importing.file_forms import undeclared_encoding

    readings = undeclared_encoding([*data])
    if not readings:
        return UTF8
    ways = [f"{name} if {reading!r} is correct" for reading, name in readings.items()]
    if _asks():
        return [*readings.values()][_asked("The files are not UTF-8. Which encoding?", ways)]
    encoding = next(iter(readings.values()))
    _say("encoding", f"{encoding}, the likeliest for files that are not UTF-8; set another with --encoding: {', '.join(ways)}")
    return encoding


def _anki_columns(data: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns of notes that Anki exported, with a message; none for other files."""
    from ...importing.anki import anki_header_of

    if not (header := anki_header_of([*data])):
        return ()
    html = "; texts are HTML and trained as they are: for plain text, export without HTML and media references" * header.is_html
    _say("columns", f"{', '.join(header.columns)}, of notes from Anki{html}")
    return header.columns


def _asks() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _asked(question: str, choices: list[str]) -> int:
    """Return the index of the choice that the user makes."""
    click.echo(question, err=True)
    for number, choice in enumerate(choices, 1):
        click.echo(wrapped(f"  {number}  {printable(choice)}", sys.stderr, 5), err=True)
    numbers = click.Choice([str(number) for number in range(1, len(choices) + 1)])
    return int(click.prompt("Which one", type=numbers, show_choices=False, default="1", err=True)) - 1


def _say(head: str, text: str) -> None:
    """Print a line on stderr in the layout of a run."""
    click.echo(wrapped(f"{head:<9} {printable(text)}", sys.stderr, 10), err=True)
