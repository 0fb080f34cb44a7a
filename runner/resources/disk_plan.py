"""How much disk a training needs: every checkpoint that exists at once, with its optimizer state, and the models at the end. Pure."""

import math

from ...schemas.sections import Recipe
from ..launch.axolotl_config import precision
from ..models.size import ModelSize
from ..runtime.machine import Machine
from .memory import memory_plan, optimizer_bytes


def disk_plan(recipe: Recipe, size: ModelSize, machine: Machine, labels: int = 0, steps: int | None = None) -> dict[str, int]:
    """Bytes by part, in the run's directory. The tokenised rows are not counted: how long they are is not known yet."""
    training = recipe.training
    wide = 4 if precision(training, machine) == "fp32" else 2
    trained = memory_plan(recipe, size, machine, labels).trained
    weights = trained * (wide if training.adapter == "none" else 4)
    state = optimizer_bytes(recipe, machine, trained, weights // max(trained, 1))
    # A new checkpoint is complete before the oldest is removed.
    kept = training.save_total_limit + 1
    every = training.save_steps or training.eval_steps
    if steps is not None:
        kept = min(kept, math.ceil(steps / every) if every else math.ceil(training.num_epochs))
    parts = {"checkpoints": kept * (weights + state), "trained weights, kept twice": 2 * weights}
    return parts | ({"merged model": size.parameters * wide} if recipe.export.merge else {})
