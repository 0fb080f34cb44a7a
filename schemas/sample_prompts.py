"""Read the prompts of evaluation.prompts: from the recipe, or from a file with one per line, or JSON Lines of {"prompt": TEXT}."""

import json
from pathlib import Path
from typing import Any

from .base.errors import MAX_PROBLEMS, Location, Problem, UserError
from .evaluation_sections import SamplePrompts
from .values import built, value_at
from .yaml_source import Document, KeyPath

MAX_PROMPTS = 200  # as in recipe.schema.json: the report shows all replies
PATH: KeyPath = ("evaluation", "prompts", "path")
_LINE = 'write {"prompt": "..."} on each line'


def sample_texts(prompts: SamplePrompts) -> list[str]:
    """Return the prompts. Raises UserError if the file cannot be read, or with every line that is not a prompt."""
    if prompts.path is None:
        return list(prompts.texts)
    path = Path(prompts.path)
    lines = [(number, line) for number, line in enumerate(_text(path).split("\n"), 1) if line.strip()]
    if not lines or len(lines) > MAX_PROMPTS:
        hint = "`recipe predict RUN FILE` takes a file of any length" if lines else "write one prompt per line"
        raise UserError(Problem(path, f"has {len(lines):,} prompts; 1 to {MAX_PROMPTS} are allowed", hint, "prompts"))
    if path.suffix != ".jsonl":
        return [line.strip() for _, line in lines]
    found = [_prompt(Location(str(path), number), line) for number, line in lines]
    if wrong := [item for item in found if isinstance(item, Problem)]:
        raise UserError(*wrong[:MAX_PROBLEMS])
    return [item for item in found if isinstance(item, str)]


def sample_prompt_problems(values: dict[str, Any], document: Document) -> list[Problem]:
    """Return the problems of the prompt file: at their line, or else at the key that names the file."""
    given = value_at(values, PATH[:-1])
    if not given or "${" in given.get("path", ""):  # an unset variable is refused when the path is used
        return []
    try:
        sample_texts(built(SamplePrompts, given))
    except UserError as error:
        here = document.location(PATH)
        return [p if p.location.line else p.replaced(location=here, what=f"{p.location.file}: {p.what}") for p in error.problems]
    return []


def _text(path: Path) -> str:
    here = Location(str(path))
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(Problem(here, "no such file", "paths are relative to the recipe's folder", "no-such-file")) from None
    except OSError as error:
        raise UserError(Problem(here, f"cannot be read: {error.strerror}", rule="unreadable")) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UserError(Problem(here._replace(line=line), "not UTF-8 text", "save it as UTF-8", "encoding")) from None


def _prompt(here: Location, line: str) -> str | Problem:
    """Return the prompt of a line of JSON Lines, or what is wrong with it."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Problem(here, f"not JSON: {error}", _LINE, "prompts")
    if not isinstance(value, dict) or set(value) != {"prompt"}:
        keys = f"has the keys {', '.join(sorted(value)) or '(none)'}" if isinstance(value, dict) else "is not an object"
        return Problem(here, f"{keys}; expected only the key prompt", _LINE, "prompts")
    text = value["prompt"]
    if not isinstance(text, str) or not text.strip():
        return Problem(here, "prompt is not text" if not isinstance(text, str) else "prompt is blank", _LINE, "prompts")
    return text
