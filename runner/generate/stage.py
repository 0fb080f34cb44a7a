"""Where generated rows are stored, and what they depend on. `recipe generate` and a recipe's runs share them: no request is repeated."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from ...converters.building.manifest import verify_folder
from ...converters.reading.files import source_files
from ...converters.sources.registry import converter
from ...schemas import VERSION
from ...schemas.base.errors import Problem, UserError
from ...schemas.base.hashing import file_sha256
from ...schemas.extends import shipped_recipes
from ...schemas.generate_rules import ROWS
from ...schemas.generate_sections import Generate
from ...schemas.prompts import load_prompt
from ...schemas.recipe import LoadedRecipe
from ...schemas.sections import Data
from ..models.reference import resolve_target
from ..providers.endpoints import LOCAL
from .tasks import task

ROWS_FILE = "rows.jsonl"


class GeneratedFiles(NamedTuple):
    """Where a recipe's rows and its log of requests are, for all its runs."""

    rows: Path
    log: Path


def generated_files(loaded: LoadedRecipe, root: Path) -> GeneratedFiles:
    """Return the folder of rows and the log; smoke runs have their own."""
    suffix = "_smoke" if loaded.is_smoke else ""
    return GeneratedFiles(root / loaded.recipe.name / f"generated{suffix}", root / loaded.recipe.name / f"requests{suffix}.sqlite")


def require_generate_extra(generate: Generate) -> None:
    """Raise UserError if a package that generating needs is not installed."""
    wanted = ["openai", "httpx2", "tenacity", "aiolimiter", "rapidfuzz"]
    if any(provider.provider in LOCAL for provider in generate.providers):
        wanted += ["torch", "transformers", "starlette", "uvicorn"]
    if missing := [name for name in wanted if find_spec(name) is None]:
        raise UserError(f"generating needs packages that are not installed: {', '.join(missing)}",
                        hint="pip install 'recipekit[generate]', or with a local model 'recipekit[generate,serve]'")  # fmt: skip


def generated_facts(generate: Generate, runs: Path) -> list[Any]:
    """Return everything that determines the rows, as plain values: the section, its prompts, its input's bytes, its local models' weights.

    Rates, retries and stopping limits do not matter.
    """
    files = [[file.name, file_sha256(file.path)] for file in (source_files(generate.input) if generate.input else ())]
    prompts = [*generate.prompts, generate.judge.prompt if generate.judge else None]
    asked = [*generate.providers, *([generate.judge.provider] if generate.judge else [])]
    models = [resolve_target(p.model, runs).identity if p.provider in LOCAL else p.base_url for p in asked]
    section = generate._replace(prompt=None, input=None, judge=None, providers=(), limits=generate.limits._replace(
        concurrency=1, timeout=1, retries=0, max_requests=None, max_tokens=None, max_cost=None))  # fmt: skip
    judge = generate.judge._replace(prompt="", provider=None) if generate.judge else None  # pyright: ignore[reportArgumentType]
    loaded = [load_prompt(prompt)._replace(name="") if prompt else None for prompt in prompts]
    people = [[p.provider, p.model, p.weight] for p in asked]
    made = converter(generate.converter).VERSION if generate.converter else None
    return [VERSION, task(generate.task).VERSION, made, section, judge, files, loaded, people, models]


def with_generated_rows(loaded: LoadedRecipe, root: Path) -> Data:
    """Return the data section with the rows as an ordinary file. Raises UserError if they have not been generated yet, or were changed."""
    rows = generated_files(loaded, root).rows / ROWS_FILE
    if any(source.path == ROWS for source in loaded.recipe.data.sources):
        name = (loaded.path.stem if loaded.path in shipped_recipes() else str(loaded.path)) + " --smoke" * loaded.is_smoke
        if not rows.is_file():
            hint = f"run recipe generate {name}; recipe run also generates them"
            raise UserError(Problem(rows, "the rows have not been generated yet", hint, "not-generated"))
        if faults := verify_folder(rows.parent):
            hint = f"recipe generate {name} writes them again from the log of requests; give rows of your own as a file of their own"
            raise UserError(*(Problem(rows.parent, fault, hint, "changed") for fault in faults))
    return with_rows_file(loaded.recipe.data, rows)


def with_rows_file(data: Data, rows: Path) -> Data:
    """Return the data section with the file in place of `generated:rows`."""
    return data._replace(sources=tuple(s._replace(path=str(rows.resolve())) if s.path == ROWS else s for s in data.sources))


def key_of_rows(rows: Path) -> str | None:
    """Return the key of the generated rows; None if they are incomplete."""
    try:
        found = orjson.loads((rows / "manifest.json").read_bytes())
    except (OSError, ValueError):
        return None
    return found.get("key") if isinstance(found, dict) and (rows / ROWS_FILE).is_file() else None
