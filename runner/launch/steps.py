"""How many optimizer steps a training takes, and what the recipe says about steps that only the data can refute."""

import math
from collections.abc import Iterator

from ...schemas.base.errors import Problem, UserError
from ...schemas.recipe import LoadedRecipe
from ...schemas.sections import Recipe
from ...schemas.yaml_source import Document


def optimizer_steps(recipe: Recipe, rows: int) -> int:
    """Optimizer steps for so many training rows, as transformers counts them. Packed rows come as blocks: give their number.

    `max_steps` takes the place of `num_epochs`, be it fewer steps or more. Axolotl's own count is not used: it gives incomplete batches
    their part only, and so ends a run of three epochs before every row was seen three times.
    """
    training, launch = recipe.training, recipe.launch
    batch = training.micro_batch_size * launch.num_processes * launch.num_nodes
    return training.max_steps or epoch_steps(rows, batch, training.gradient_accumulation_steps, training.num_epochs)


def steps_depend_on_tokens(recipe: Recipe) -> bool:
    """Whether the steps cannot be counted before the rows are tokenised: how many blocks they fill decides."""
    return not recipe.training.max_steps and (recipe.data.type == "text" or recipe.training.sample_packing)


def epoch_steps(rows: int, batch: int, accumulation: int, epochs: float) -> int:
    """Optimizer steps of so many epochs over rows that come in batches of `batch`, `accumulation` batches a step."""
    return math.ceil(epochs * max(math.ceil(math.ceil(rows / batch) / accumulation), 1))


def require_rows(loaded: LoadedRecipe, splits: dict[str, int], split: str, use: str, hint: str) -> None:
    """Raise UserError where no row landed in the split that something is to `use`: no step can be counted or taken on it."""
    if not splits.get(split):
        location = loaded.document.location(("data", "split"))
        raise UserError(Problem(location, f"the {split} split has no row to {use} on", hint, "empty-split"))


def repetitions(recipe: Recipe, rows: int) -> list[str]:
    """In words, the rows that several processes see once more in every epoch: each needs as many full batches as the others.

    https://huggingface.co/docs/accelerate (even_batches): without it the processes would wait for each other for ever.
    """
    processes = recipe.launch.num_processes * recipe.launch.num_nodes
    again = -rows % (recipe.training.micro_batch_size * processes)
    if processes == 1 or not again or recipe.data.type == "text":
        return []
    return [f"{again:,} of {rows:,} rows are seen twice in every epoch, so that all {processes} processes have full batches"]


def step_problems(recipe: Recipe, document: Document, rows: int) -> Iterator[Problem]:
    """Keys that cannot have an effect in a run of this many rows."""
    if steps_depend_on_tokens(recipe):
        return
    steps = optimizer_steps(recipe, rows)
    for key in ("eval_steps", "save_steps"):
        every = getattr(recipe.training, key)
        if every and every > steps:
            what = f"training.{key}: {every} is beyond the end of the run, which takes {steps} steps for {rows} rows"
            yield Problem(document.location(("training", key)), what, f"at most {steps}", "beyond-the-end")
    warmup = recipe.training.warmup_steps
    if warmup and warmup >= steps:
        what = f"training.warmup_steps: {warmup} steps of warm-up, but the run takes {steps}"
        yield Problem(document.location(("training", "warmup_steps")), what, f"a tenth is usual: {max(steps // 10, 1)}", "warmup-too-long")
