"""How many optimizer steps a training takes, and what the recipe says about steps that only the data can refute."""

import math
from collections.abc import Iterator

from ..schemas.errors import Problem
from ..schemas.sections import Recipe
from ..schemas.yaml_source import Document


def optimizer_steps(recipe: Recipe, rows: int) -> int:
    """Optimizer steps for so many training rows, as Axolotl counts them; with packing, the most there can be.

    Axolotl gives the trainer a number of steps, not of epochs: an incomplete batch at the end of an epoch counts for its part, and
    `max_steps` takes the place of `num_epochs`, be it fewer steps or more.
    """
    training, launch = recipe.training, recipe.launch
    processes = launch.num_processes * launch.num_nodes
    rows_a_step = training.micro_batch_size * training.gradient_accumulation_steps * processes
    return training.max_steps or math.ceil(rows * training.num_epochs / rows_a_step)


def step_problems(recipe: Recipe, document: Document, rows: int) -> Iterator[Problem]:
    """Keys that cannot have an effect in a run of this many rows."""
    steps = optimizer_steps(recipe, rows)
    for key in ("eval_steps", "save_steps"):
        every = getattr(recipe.training, key)
        if every and every > steps:
            what = f"training.{key}: {every} is beyond the end of the run, which takes {steps} steps for {rows} rows"
            yield Problem(document.mark(("training", key)), what, f"at most {steps}", "beyond-the-end")
    warmup = recipe.training.warmup_steps
    if warmup and warmup >= steps:
        what = f"training.warmup_steps: {warmup} steps of warm-up, but the run takes {steps}"
        yield Problem(document.mark(("training", "warmup_steps")), what, f"a tenth is usual: {max(steps // 10, 1)}", "warmup-too-long")
