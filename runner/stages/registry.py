"""The stages of a recipe, in their order: a new one is a module of this folder, a name in STAGES and one in a function below."""

from ...schemas.sections import Recipe
from . import data, evaluate, generate, merge, report, sets, train
from .stage import Stage

STAGES: tuple[Stage, ...] = (generate, data, sets, train, merge, evaluate, report)


def data_stages(recipe: Recipe) -> tuple[Stage, ...]:
    """The stages that need no model."""
    return (generate, data) if recipe.generate else (data,)


def set_stages(recipe: Recipe) -> tuple[Stage, ...]:
    """The stage of further evaluation sets, where there are any: before the training, which a row of theirs must not be in."""
    return (sets,) if recipe.evaluation.also else ()


def model_stages(recipe: Recipe) -> tuple[Stage, ...]:
    """The stages after those."""
    return (train, merge, evaluate, report) if recipe.export.merge else (train, evaluate, report)
