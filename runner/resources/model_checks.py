"""Check a recipe against its model before data is read, as far as its configuration on this machine tells without torch: the names of
modules and parameters, that there is a position for every token of a row, and that attention computes all that the model's has."""

from ...schemas.base.errors import Problem, UserError
from ...schemas.recipe import LoadedRecipe
from ..models.architecture import Architecture, left_out
from ..models.module_names import modules_of, name_problems
from ..models.reference import ATTENTION
from .estimate_fit import size_of

# Families whose modules have the same names in memory as in their files.
KNOWN = ("llama", "mistral", "qwen2")
HOMES = {"lora_target_modules": ("training", "lora_target_modules")}
_SHORTER = "set it to {}, or choose another model; excess_length_strategy says what becomes of longer rows"


def model_name_problems(loaded: LoadedRecipe) -> list[Problem]:
    """Return a problem for each name that matches nothing in the model; [] if the model is unavailable."""
    recipe = loaded.recipe
    targets = recipe.training.lora_target_modules
    config = {
        "adapter": recipe.training.adapter != "none", "lora_target_modules": () if targets == "all-linear" else targets, **recipe.axolotl
    }  # fmt: skip
    size = size_of(recipe)
    if size is None or size.family not in KNOWN:
        return []
    head = "score.weight" if recipe.data.type == "classification" else "lm_head.weight"  # a tied head is in no file
    parameters = [*(name for name in size.shapes if not name.startswith("lm_head")), head]
    problems = []
    for key, what in name_problems(config, modules_of(parameters), parameters):
        path = HOMES.get(key, ("axolotl", key))
        problems.append(Problem(loaded.document.location(path), f"{'.'.join(path)}: {what}", rule="model-names"))
    return problems


def require_model_names(loaded: LoadedRecipe) -> None:
    """Raise UserError if a name matches nothing in the model."""
    if problems := model_name_problems(loaded):
        raise UserError(*problems)


def beyond_the_context(sequence_len: int, model: Architecture | None) -> str:
    """Return in words, with a hint, that rows may be longer than the model's positions; "" if they are not, or if that is unknown.

    Axolotl raises the number of positions in the configuration of a model that has fewer, and saves that with it: a GPT-2 then lacks
    weights for them and cannot be loaded, and what another program believes of a Llama's context is not true.
    """
    if model is None or model.positions is None or sequence_len <= model.positions:
        return ""
    return f"{sequence_len} is more than the model's {model.positions} positions: {_SHORTER.format(model.positions)}"


def another_attention(attention: str, model: Architecture | None) -> str:
    """Return in words, with a hint, what of the model's attention this implementation would not compute; "" if nothing is known."""
    key = left_out(attention, model)
    return f"{attention} does not compute the model's {key}: set it to eager, which computes whatever a model has" if key else ""


def architecture_problems(loaded: LoadedRecipe, model: Architecture | None) -> list[Problem]:
    """Return a problem for a sequence_len that is longer than the model's context, and for attention that would be another model's."""
    recipe = loaded.recipe
    found = (
        (("training", "sequence_len"), beyond_the_context(recipe.training.sequence_len, model), "beyond-the-context"),
        (("model", "attn_implementation"), another_attention(recipe.model.attn_implementation or ATTENTION, model), "another-attention"),
    )
    problems = []
    for place, fault, rule in found:
        what, _, hint = fault.partition(": ")
        problems += [Problem(loaded.document.location(place), f"{'.'.join(place)}: {what}", hint, rule)] if fault else []
    return problems
