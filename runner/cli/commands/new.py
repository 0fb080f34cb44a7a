"""`recipe new`: write a valid recipe to edit, also from data files, with completion for editors."""

import os
import re
from pathlib import Path

import click

from ....schemas.base.errors import Location, Problem, UserError
from ....schemas.extends import shipped_recipes
from ....schemas.json_schema import SCHEMA_DIR, schema
from ....schemas.recipe import load_recipe
from ....schemas.sections import UTF8
from ..options import file_format_options

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
@file_format_options
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), help="Folder to write to. Default: recipes/ if it exists, else here."
)
def command(name: str, parent: str | None, data: tuple[str, ...], encoding: str, columns: tuple[str, ...], folder: Path | None) -> None:
    """Write NAME.yml, a valid recipe to edit.

    With --data, converter, record type, options, split and sequence_len are chosen from the first rows, and comments say why.
    """
    if not re.search(schema("recipe")["properties"]["name"]["pattern"], name):
        hint = schema("recipe")["properties"]["name"]["description"]
        raise UserError(Problem(Location(name), "not a valid recipe name", hint, "pattern"))
    if parent and data:
        raise click.UsageError("--from and --data cannot be combined")
    if not data and (columns or encoding != UTF8):
        raise click.UsageError("--encoding and --column need --data")
    folder = folder or Path("recipes" if Path("recipes").is_dir() else "")
    path = folder / f"{name}.yml"
    head = _HEAD.format(name=name, schema=os.path.relpath(SCHEMA_DIR / "recipe.schema.json", folder.resolve()))
    body = _extending(name, parent, folder) if parent else _for_data(data, folder, encoding, columns) if data else _WHOLE
    write_new(path, head + body, "--folder")
    click.echo(str(path))
    if data:
        click.echo(f"next: recipe check {path}\n      recipe plan {path}\n      recipe run {path}", err=True)
    else:
        click.echo(f"next: edit it, then recipe check {path}", err=True)


def _for_data(data: tuple[str, ...], folder: Path, encoding: str, columns: tuple[str, ...]) -> str:
    """Return the sections for the data files; print what was recognised."""
    from ...importing.new_recipe import recipe_for
    from ...importing.recognise import recognise

    found = recognise(list(data), encoding, columns)
    choice = found.choice
    click.echo(
        f"read      {len(found.records):,} {choice.record_type} records with the converter {choice.converter}: {choice.why}", err=True
    )
    if found.unusable:
        click.echo(f"unusable  {found.unusable:,} rows: the run stops at them; fix them, or set data.max_dropped", err=True)
    if found.unread:
        click.echo(f"not read  columns {', '.join(found.unread)}", err=True)
    declared = ({"encoding": encoding} if encoding != UTF8 else {}) | ({"columns": [*columns]} if columns else {})
    return "\n" + recipe_for(found, list(data), folder, declared)


def write_new(path: Path, text: str, option: str) -> None:
    """Write a new file. `option` names the option that chooses another place. Raises UserError where the file exists."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UserError(Problem(Location(str(path)), "already exists", "choose another name, or remove it", "exists")) from None
    except OSError as error:
        what = f"cannot be written: {error.strerror or error}"
        raise UserError(Problem(Location(str(path)), what, f"choose another folder with {option}", "unwritable")) from None


def _extending(name: str, parent: str, folder: Path) -> str:
    loaded = load_recipe(parent)
    shipped = loaded.path in shipped_recipes() and parent == loaded.path.stem
    base = parent if shipped else os.path.relpath(loaded.path.resolve(), folder.resolve())
    quoted = base if re.fullmatch(r"[\w./-]+", base) else f'"{base}"'
    return _EXTENDING.format(parent=quoted, name=name, learning_rate=loaded.recipe.training.learning_rate)
