"""The stages of a recipe, in their order: a new one is a module of this folder and a word here."""

from ...schemas.sections import Recipe
from . import data, evaluate, generate, merge, report, sets, train
from .stage import Stage


def data_stages(recipe: Recipe) -> tuple[Stage, ...]:
    """The stages that need no model."""
    return (generate, data) if recipe.generate else (data,)


def set_stages(recipe: Recipe) -> tuple[Stage, ...]:
    """The stage of further evaluation sets, where there are any: before the training, which a row of theirs must not be in."""
    return (sets,) if recipe.evaluation.also else ()


def model_stages(recipe: Recipe) -> tuple[Stage, ...]:
    """The stages after those."""
    return (train, merge, evaluate, report) if recipe.export.merge else (train, evaluate, report)
