"""`recipe new`: a recipe to start from, valid as it is, with completion for editors."""

import os
import re
from pathlib import Path

import click

from ....schemas.base.errors import Location, Problem, UserError
from ....schemas.extends import shipped_recipes
from ....schemas.recipe import load_recipe
from ....schemas.validation import SCHEMA_DIR, schema

_HEAD = """\
# yaml-language-server: $schema={schema}
recipe: 1
name: {name}
description: What the experiment is for, in a sentence.
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
extends: {parent} # `recipe show {name}.yml --origins` tells where each value comes from

# What is different here. Mappings merge, lists and values replace, null takes a key away.
training:
  learning_rate: {learning_rate}
"""


@click.command("new")
@click.argument("name")
@click.option("--from", "parent", metavar="RECIPE", help="Extend this recipe instead of writing every section.")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="Where to write it. Default: here.")
def command(name: str, parent: str | None, folder: Path) -> None:
    """Write NAME.yml, a valid recipe to change."""
    if not re.search(schema("recipe")["properties"]["name"]["pattern"], name):
        hint = schema("recipe")["properties"]["name"]["description"]
        raise UserError(Problem(Location(name), "is not a recipe's name", hint, "pattern"))
    path = folder / f"{name}.yml"
    head = _HEAD.format(name=name, schema=os.path.relpath(SCHEMA_DIR / "recipe.schema.json", folder.resolve()))
    text = head + (_extending(name, parent, folder) if parent else _WHOLE)
    write_new(path, text, "--folder")
    click.echo(str(path))
    click.echo(f"next: edit it, then `recipe check {path}`", err=True)


def write_new(path: Path, text: str, option: str) -> None:
    """Write a file that is not there yet. `option` is how the command line names another place."""
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
