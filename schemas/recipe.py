"""Load a recipe: extends, schema, rules. The result is a frozen Recipe, or every problem in one error."""

from pathlib import Path
from typing import Any, NamedTuple

from .axolotl_keys import axolotl_problems
from .base.errors import MAX_PROBLEMS, Problem, UserError
from .extends import find_recipe, load_layers
from .matrix import combinations
from .paths import refuse_unset_variables
from .rules import findings
from .sample_prompts import sample_prompt_problems
from .sections import Recipe
from .smoke import smoke_document
from .validation import check_document, without_unknown_keys
from .values import replaced_at
from .yaml_source import Document, KeyPath


class LoadedRecipe(NamedTuple):
    """A valid recipe with its file and the location of every value. For a smoke run, `full` is the recipe without the smoke changes."""

    recipe: Recipe
    path: Path
    document: Document
    full: Recipe | None = None
    is_smoke: bool = False

    def with_value(self, place: KeyPath, value: Any) -> "LoadedRecipe":
        """Return the recipe with another value at a key path."""
        data = replaced_at(self.document.data, place, value)
        return self._replace(recipe=Recipe.from_values(data), document=self.document._replace(data=data))


def check_recipe(path: Path, settings: tuple[str, ...] = ()) -> list[Problem]:
    """Return every problem of the recipe and of its smoke section, in file order; [] if it is valid."""
    try:
        document = load_layers(path, settings)
    except UserError as error:
        return error.problems
    if is_prompt(document):
        return check_document(document, "prompt")
    if problems := problems_of(document, files=True):
        return problems
    smoke = problems_of(smoke_document(document)) if document.data.get("smoke") else []
    return smoke + (_check_matrix(document, path) if document.data.get("matrix") else [])


def _check_matrix(document: Document, path: Path) -> list[Problem]:
    """Return every problem of every combination once."""
    try:
        found = [problem for made in combinations(document, path.parent) for problem in problems_of(made.document)]
    except UserError as error:
        return error.problems
    once = {problem.what: problem for problem in reversed(found)}  # an unknown key is one problem, whatever the number of combinations
    return sorted(once.values(), key=lambda problem: (problem.location, problem.what))[:MAX_PROBLEMS]


def is_prompt(document: Document) -> bool:
    """Return whether the file is a prompt, with `prompt: 1` in place of `recipe: 1`."""
    return isinstance(document.data, dict) and "prompt" in document.data and "recipe" not in document.data


def load_recipe(name: str, settings: tuple[str, ...] = (), smoke: bool = False) -> LoadedRecipe:
    """Load the recipe `name`: a path or a shipped name. Raises UserError with every problem."""
    return _loaded(*_valid(name, settings), smoke)


def load_sweep(name: str, settings: tuple[str, ...] = (), smoke: bool = False) -> list[tuple[LoadedRecipe, dict[str, Any]]]:
    """Load the recipes of a matrix, each with its values; [] for a recipe without one. Raises UserError with every problem."""
    document, path = _valid(name, settings)
    if not document.data.get("matrix"):
        return []
    if problems := _check_matrix(document, path):
        raise UserError(*problems)
    return [(_loaded(made.document, path, smoke), made.values) for made in combinations(document, path.parent)]


def _valid(name: str, settings: tuple[str, ...]) -> tuple[Document, Path]:
    path = find_recipe(name)
    document = load_layers(path, settings)
    if problems := problems_of(document):
        raise UserError(*problems)
    return document, path


def _loaded(document: Document, path: Path, smoke: bool) -> LoadedRecipe:
    refuse_unset_variables(document)
    recipe = Recipe.from_values(document.data)
    if not smoke:
        return LoadedRecipe(recipe, path, document)
    document = smoke_document(document)
    if problems := problems_of(document):
        raise UserError(*problems)
    return LoadedRecipe(Recipe.from_values(document.data), path, document, recipe, is_smoke=True)


def problems_of(document: Document, files: bool = False) -> list[Problem]:
    """Return every problem in file order, with `files` also those of the prompt file that the recipe names.

    Unknown keys are put aside for the rules; no rule reads a recipe with an invalid value.
    """
    problems = check_document(document) + axolotl_problems(document)
    values = without_unknown_keys(document.data) if problems else document.data
    if values is not None:
        problems += [finding.problem(document) for finding in findings(values)]
        problems += sample_prompt_problems(values, document) if files else []
    return sorted(problems, key=lambda p: (p.location, p.what))[: MAX_PROBLEMS + 1]
