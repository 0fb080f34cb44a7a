"""The stages of a recipe in order. A new one is a module in this folder, a name in STAGES, and one in a function below."""

from ...schemas.sections import Recipe
from . import data, evaluate, generate, merge, report, sets, train
from .stage import Stage

STAGES: tuple[Stage, ...] = (generate, data, sets, train, merge, evaluate, report)


def data_stages(recipe: Recipe) -> tuple[Stage, ...]:
    """Return the stages that need no model."""
    return (generate, data) if recipe.generate else (data,)


def set_stages(recipe: Recipe) -> tuple[Stage, ...]:
    """Return the stage of further evaluation sets, if there are any: it precedes training, which must not contain their rows."""
    return (sets,) if recipe.evaluation.also else ()


def model_stages(recipe: Recipe) -> tuple[Stage, ...]:
    """Return the stages after those."""
    return (train, merge, evaluate, report) if recipe.export.merge else (train, evaluate, report)
