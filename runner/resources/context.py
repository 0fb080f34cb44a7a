"""Check that the model has a position for every token of a row, if its configuration is on this machine.

Axolotl raises the number of positions in the configuration of a model that has fewer, and saves that with it: a GPT-2 then lacks weights
for them and cannot be loaded, and what another program believes of a Llama's context is not true.
"""

from ...schemas.base.errors import Problem
from ...schemas.recipe import LoadedRecipe
from ..models.architecture import Architecture

HINT = "set it to {}, or choose another model; excess_length_strategy says what becomes of longer rows"


def beyond_the_context(sequence_len: int, model: Architecture | None) -> str:
    """Return in words, with a hint, that rows may be longer than the model's positions; "" if they are not, or if that is unknown."""
    if model is None or model.positions is None or sequence_len <= model.positions:
        return ""
    return f"{sequence_len} is more than the model's {model.positions} positions: {HINT.format(model.positions)}"


def context_problems(loaded: LoadedRecipe, model: Architecture | None) -> list[Problem]:
    """Return the problem of a sequence_len that is longer than the model's context."""
    what, _, hint = beyond_the_context(loaded.recipe.training.sequence_len, model).partition(": ")
    place = ("training", "sequence_len")
    return [Problem(loaded.document.location(place), f"training.sequence_len: {what}", hint, "beyond-the-context")] if what else []
