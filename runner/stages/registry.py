"""The stages of a recipe, in their order: a new one is a module of this folder and a word here."""

from ...schemas.sections import Recipe
from . import data, evaluate, generate, merge, report, train
from .stage import Stage


def data_stages(recipe: Recipe) -> tuple[Stage, ...]:
    """The stages that need no model."""
    return (generate, data) if recipe.generate else (data,)


def model_stages(recipe: Recipe) -> tuple[Stage, ...]:
    """The stages after those."""
    return (train, merge, evaluate, report) if recipe.export.merge else (train, evaluate, report)
