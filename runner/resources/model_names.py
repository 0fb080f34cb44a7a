"""Check a recipe's names of modules and parameters against its model before data is read, if the names are known without torch."""

from ...schemas.base.errors import Problem, UserError
from ...schemas.recipe import LoadedRecipe
from ..models.module_names import modules_of, name_problems
from .estimate_fit import size_of

# Families whose modules have the same names in memory as in their files.
KNOWN = ("llama", "mistral", "qwen2")
HOMES = {"lora_target_modules": ("training", "lora_target_modules")}


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
