"""`recipe check --data`: the first rows of every source through its converter, and the recipe's module names held to its model."""

from pathlib import Path

from ...converters.building.hub_datasets import SCHEME
from ...converters.building.trial import try_converter
from ...converters.reading.files import files_of
from ...schemas.base.errors import Problem, UserError
from ...schemas.extends import load_layers
from ...schemas.generate_rules import GENERATED
from ...schemas.recipe import is_prompt, load_recipe
from ..resources.model_names import model_name_problems

ROWS = 100


def check_data(path: Path, settings: tuple[str, ...]) -> list[Problem]:
    """Return a problem for every source of the valid recipe that is missing, cannot be read, or has no usable row among its first ones, and
    for every name that matches nothing in the model, where that is at hand.

    Hub datasets and generated rows are not read.
    """
    if is_prompt(load_layers(path, settings)):
        return []
    loaded = load_recipe(str(path), settings)
    problems = model_name_problems(loaded)
    for number, source in enumerate(loaded.recipe.data.sources):
        if source.path.startswith((SCHEME, GENERATED)):
            continue
        location = loaded.document.location(("data", "sources", number, "path"))
        try:
            trial = try_converter(source.converter, loaded.recipe.data.type, source.options, files_of(source), ROWS)
        except UserError as error:
            problems += [problem._replace(location=location, what=str(problem).partition("\n")[0]) for problem in error.problems]
            continue
        if not trial.records:
            what = f"the converter {source.converter} can use none of the first {len(trial.unusable)} rows"
            what += f", e.g. {trial.unusable[0]}" if trial.unusable else ""
            hint = f"recipe new NAME --data {source.path} proposes a converter and its options"
            problems.append(Problem(location, what, hint, "unusable-data"))
    return problems
