"""`recipe new`: write a recipe that is valid as it is, with completion for editors."""

import os
import re
from pathlib import Path

from ...schemas.base.errors import Problem, UserError
from ...schemas.base.files import write_atomically
from ...schemas.extends import shipped_recipes
from ...schemas.json_schema import SCHEMA_DIR, schema, schema_text
from ...schemas.recipe import load_recipe

SCHEMA_COPY = ".recipe.schema.json"
_HEAD = """\
# yaml-language-server: $schema={schema}
recipe: 1
name: {name}
# description: What the experiment is for, in a sentence.
"""
WHOLE = """
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


def new_path(name: str, folder: Path) -> Path:
    """Return the path of a new recipe in the folder. Raises UserError for an invalid name, or if the file exists."""
    of_name = schema("recipe")["properties"]["name"]
    if not re.search(of_name["pattern"], name):
        raise UserError(Problem(name, "not a valid recipe name", of_name["description"], "pattern"))
    path = folder / f"{name}.yml"
    if path.exists():
        raise _already_there(path)
    return path


def extending(path: Path, parent: str) -> str:
    """Return the sections of a recipe at `path` that extends the parent: a path or the name of a shipped recipe."""
    loaded = load_recipe(parent)
    shipped = loaded.path in shipped_recipes() and parent == loaded.path.stem
    base = parent if shipped else os.path.relpath(loaded.path.resolve(), path.parent.resolve())
    quoted = base if re.fullmatch(r"[\w./-]+", base) else f'"{base}"'
    return _EXTENDING.format(parent=quoted, name=path.stem, learning_rate=loaded.recipe.training.learning_rate)


def write_recipe(path: Path, sections: str) -> None:
    """Write the recipe, and next to it the schema with which editors complete and check keys. Raises UserError if the file exists.

    Inside this repository, editors use its own schema; elsewhere a copy, so that no path of this machine is in a recipe that others read.
    """
    folder = path.parent
    own = folder.resolve().is_relative_to(SCHEMA_DIR.parent)
    where = os.path.relpath(SCHEMA_DIR / "recipe.schema.json", folder.resolve()) if own else SCHEMA_COPY
    write_new(path, _HEAD.format(name=path.stem, schema=where) + sections, "--folder")
    if not own:
        write_atomically(folder / SCHEMA_COPY, schema_text("recipe").encode())


def write_new(path: Path, text: str, option: str) -> None:
    """Write a new file. `option` is the option that selects another folder. Raises UserError if the file exists."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise _already_there(path) from None
    except OSError as error:
        what = f"cannot be written: {error.strerror or error}"
        raise UserError(Problem(path, what, f"choose another folder with {option}", "unwritable")) from None


def _already_there(path: Path) -> UserError:
    """Return the error for a file that is not overwritten."""
    return UserError(Problem(path, "already exists", "choose another name, or remove it", "exists"))
