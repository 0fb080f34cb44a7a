"""`recipe new`: write a valid recipe to edit, also from data files, with completion for editors."""

import os
import re
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ....schemas.base.counted import counted
from ....schemas.base.errors import Location, Problem, UserError
from ....schemas.base.files import write_atomically
from ....schemas.base.terminal import printable, wrapped
from ....schemas.extends import shipped_recipes
from ....schemas.json_schema import SCHEMA_DIR, schema, schema_text
from ....schemas.model_rules import EMBEDDED
from ....schemas.recipe import load_recipe
from ....schemas.sections import UTF8, RecordType
from ....schemas.yaml_writing import one_line
from ..options import file_format_options

if TYPE_CHECKING:
    from ...importing.recognise import Recognised

LISTED = 12  # keys named on screen; the recipe has them all
SCHEMA_COPY = ".recipe.schema.json"
_HEAD = """\
# yaml-language-server: $schema={schema}
recipe: 1
name: {name}
# description: What the experiment is for, in a sentence.
"""
_WHOLE = """
model:
  base_model: embedded:smollm2-135m-instruct # or a Hugging Face name, or a folder

data:
  type: chat # chat | classification | text
  sources:
    - path: data.jsonl # relative to this file
      converter: messages # `recipe show --converter messages` lists its options
  split:
    validation: 0.1

training:
  adapter: qlora # qlora | lora | none (every weight)
  learning_rate: 2e-4
  sequence_len: 1024
  num_epochs: 1
  micro_batch_size: 4
  gradient_accumulation_steps: 4
  warmup_ratio: 0.1

evaluation:
  metrics: [perplexity]
  # also: # further sets that are only evaluated: what the model could do before
  #   plain:
  #     sources: [{path: plain.jsonl, converter: messages}]
  #     metrics: [perplexity]
  #     gates: {perplexity: {max_regression: 0.5}} # at most this much worse than the base model
"""
_EXTENDING = """\
extends: {parent} # `recipe show {name}.yml --origins` shows where each value is set

# The differences. Mappings merge, lists and values replace, null removes a key.
training:
  learning_rate: {learning_rate}
"""


@click.command("new")
@click.argument("name")
@click.option("--from", "parent", metavar="RECIPE", help="Extend this recipe.")
@click.option("--data", "data", multiple=True, metavar="FILE", help="Propose a recipe for this file, folder or glob.")
@click.option("--type", "record_type", type=click.Choice(("chat", "classification", "text")), help="With --data: the record type.")
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
    if not re.search(schema("recipe")["properties"]["name"]["pattern"], name):
        hint = schema("recipe")["properties"]["name"]["description"]
        raise UserError(Problem(Location(name), "not a valid recipe name", hint, "pattern"))
    if parent and data:
        raise click.UsageError("--from and --data cannot be combined")
    if (record_type or model or columns or encoding != UTF8) and not data:
        raise click.UsageError("--type, --model, --encoding and --column need --data")
    folder = folder or Path("recipes" if Path("recipes").is_dir() else "")
    path = folder / f"{name}.yml"
    if path.exists():
        raise already_there(path)
    head = _HEAD.format(name=name, schema=_schema_path(folder))
    if data:
        encoding = encoding if encoding != UTF8 else _encoding(data)
        found = _recognised(data, record_type, encoding, columns)
        declared = ({"encoding": encoding} if encoding != UTF8 else {}) | ({"columns": [*columns]} if columns else {})
        body = _for_data(found, data, name, folder, model or EMBEDDED, declared)
    else:
        body = _extending(name, parent, folder) if parent else _WHOLE
    write_new(path, head + body, "--folder")
    if _schema_path(folder) == SCHEMA_COPY:
        write_atomically(folder / SCHEMA_COPY, schema_text("recipe").encode())
    click.echo(str(path))
    if data:
        click.echo(f"next: recipe check {path} --data\n      recipe plan {path}\n      recipe run {path}", err=True)
    else:
        click.echo(f"next: edit it, then recipe check {path}", err=True)


def _schema_path(folder: Path) -> str:
    """Return the schema's path for editors, relative to the recipe: this repository's own inside it, elsewhere a copy, so that no path
    of this machine is written into a recipe that others read too."""
    own = folder.resolve().is_relative_to(SCHEMA_DIR.parent)
    return os.path.relpath(SCHEMA_DIR / "recipe.schema.json", folder.resolve()) if own else SCHEMA_COPY


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


def _asks() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _for_data(found: "Recognised", data: tuple[str, ...], name: str, folder: Path, model: str, declared: dict[str, Any]) -> str:
    """Return the sections for the data files; print what was recognised."""
    from ...importing.new_recipe import Draft, kept_groups, recipe_for
    from ...importing.recognise import sum_row

    choice, first = found.choice, "" if found.is_whole else "the first "
    _say(
        "read", f"{first}{counted(len(found.records), choice.record_type + ' record')} with the converter {choice.converter}: {choice.why}"
    )
    if skipped := found.files[0].skip_lines:
        names = ", ".join(map(str, found.records[0].row.value))
        above = "the line above it is" if skipped == 1 else f"the {skipped} lines above it are"
        _say("header", f"line {skipped + 1}, {names}; {above} not read (skip_lines)")
    if field := found.files[0].field:
        _say("rows", f"the list {field!r} in the file's object (field)")
    if len(found.files) > 1:
        kinds = Counter(file.path.suffix or "without suffix" for file in found.files)
        fewer = "; to read only some, use a glob such as 'FOLDER/**/*.txt'" if len(kinds) > 1 else ""
        _say("files", f"{_counts(kinds)}{fewer}")
    if found.unusable:
        reasons = _counts(Counter(drop.reason.replace("_", " ") for drop in found.unusable))
        what = f"{len(found.unusable):,} of {len(found.records) + len(found.unusable):,} rows: {reasons}, e.g. {found.unusable[0]}"
        _say("unusable", f"{what}; the run would stop at them: fix them, or uncomment data.max_dropped in the recipe")
    if row := sum_row(found):
        _say("sum", f"{row} looks like the sum of a sheet: remove the row if it is one")
    if found.respelt:
        respelt = ", ".join(f"{label!r} as {name!r}" for label, name in found.respelt.items())
        _say("labels", f"different spellings are read as one label: {respelt}; remove label_names in the recipe if they differ")
    if groups := kept_groups(found):
        _say("split", f"by {', '.join(groups)}, whose values repeat: rows that belong together stay in one split")
    if unread := [key for key in found.unread if key not in groups]:
        _say("not read", f"keys {_listed(unread)}")
    if unread := choice.options.get("ignore_message_keys"):
        _say("", f"and of messages {_listed(unread)}")
    return "\n" + recipe_for(Draft(name, found, list(data), folder, model, declared))


def _listed(names: list[str]) -> str:
    return ", ".join(names[:LISTED]) + f" and {len(names) - LISTED} more" * (len(names) > LISTED)


def _counts(counted: Counter[str]) -> str:
    return ", ".join(f"{number:,} {what}" for what, number in counted.most_common())


def _asked(question: str, choices: list[str]) -> int:
    """Return the index of the choice that the user makes."""
    click.echo(question, err=True)
    for number, choice in enumerate(choices, 1):
        click.echo(wrapped(f"  {number}  {printable(choice)}", sys.stderr, 5), err=True)
    return click.prompt("Which one", type=click.IntRange(1, len(choices)), default=1, err=True) - 1


def _say(head: str, text: str) -> None:
    """Print a line on stderr in the layout of a run."""
    click.echo(wrapped(f"{head:<9} {printable(text)}", sys.stderr, 10), err=True)


def already_there(path: Path) -> UserError:
    """Return the error for a file that is not overwritten."""
    return UserError(Problem(Location(str(path)), "already exists", "choose another name, or remove it", "exists"))


def write_new(path: Path, text: str, option: str) -> None:
    """Write a new file. `option` is the option that selects another folder. Raises UserError if the file exists."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise already_there(path) from None
    except OSError as error:
        what = f"cannot be written: {error.strerror or error}"
        raise UserError(Problem(Location(str(path)), what, f"choose another folder with {option}", "unwritable")) from None


def _extending(name: str, parent: str, folder: Path) -> str:
    loaded = load_recipe(parent)
    shipped = loaded.path in shipped_recipes() and parent == loaded.path.stem
    base = parent if shipped else os.path.relpath(loaded.path.resolve(), folder.resolve())
    quoted = base if re.fullmatch(r"[\w./-]+", base) else f'"{base}"'
    return _EXTENDING.format(parent=quoted, name=name, learning_rate=loaded.recipe.training.learning_rate)
