"""Count the optimizer steps of a training, and check settings that depend on this number."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from ...schemas.base.counted import counted, counted_of
from ...schemas.base.errors import Problem, UserError
from ...schemas.batch import batch_of
from ...schemas.recipe import LoadedRecipe
from ...schemas.sections import Recipe
from ...schemas.warm_up import warm_up_fault
from ...schemas.yaml_source import Document


def optimizer_steps(recipe: Recipe, rows: int) -> int:
    """Return the optimizer steps for this number of training rows, as transformers counts them. For packed rows, count blocks.

    `max_steps` overrides `num_epochs`. Axolotl's own count is not used: it counts incomplete batches in part, and so ends a run of three
    epochs before every row was seen three times.
    """
    training, batch = recipe.training, batch_of(recipe)
    at_once = batch.micro_batch_size * batch.processes
    return training.max_steps or epoch_steps(rows, at_once, batch.gradient_accumulation_steps, training.num_epochs)


def steps_depend_on_tokens(recipe: Recipe) -> bool:
    """Return whether the steps can only be counted after tokenisation: they depend on how many blocks the rows fill."""
    return not recipe.training.max_steps and (recipe.data.type == "text" or recipe.training.sample_packing)


def epoch_steps(rows: int, batch: int, accumulation: int, epochs: float) -> int:
    """Return the optimizer steps of `epochs` epochs over rows in batches of `batch`, with `accumulation` batches per step."""
    return math.ceil(epochs * max(math.ceil(math.ceil(rows / batch) / accumulation), 1))


def require_rows(loaded: LoadedRecipe, splits: dict[str, int], rows: int) -> None:
    """Raise UserError if the split to train on, or the split to evaluate on, has no rows. `rows` were read."""
    for split, use in (("train", "train"), (loaded.recipe.evaluation_split, "evaluate")):
        if not splits.get(split):
            location = loaded.document.location(("data", "split"))
            hint = f"{counted(rows, 'row', 'were')} read: add rows, or change the shares in data.split"
            raise UserError(Problem(location, f"the {split} split has no rows to {use} on", hint, "empty-split"))


def repetitions(recipe: Recipe, rows: int) -> list[str]:
    """Return in words the rows that are repeated in every epoch with several processes, because all need the same number of full batches.

    https://huggingface.co/docs/accelerate (even_batches): without this, the processes would wait for each other forever.
    """
    batch = batch_of(recipe)
    again = -rows % (batch.micro_batch_size * batch.processes)
    if batch.processes == 1 or not again or recipe.data.type == "text":
        return []
    return [f"{counted_of(again, rows, 'row', 'are')} seen twice in every epoch to give all {batch.processes} processes full batches"]


def early_stopping_note(recipe: Recipe, rows: int) -> list[str]:
    """Return in words that a training of so many rows ends before early stopping could act: the first evaluation sets the best loss."""
    training, batch = recipe.training, batch_of(recipe)
    if not training.early_stopping_patience or steps_depend_on_tokens(recipe):
        return []
    epoch = epoch_steps(rows, batch.micro_batch_size * batch.processes, batch.gradient_accumulation_steps, 1)
    evaluations = (optimizer_steps(recipe, rows) - 1) // (training.eval_steps or epoch)
    if evaluations > training.early_stopping_patience:
        return []
    needed = training.early_stopping_patience + 1
    takes = f"it takes {counted(needed, 'evaluation')} before the last step, and there are {evaluations}"
    return [f"early_stopping_patience cannot act: {takes}"]


def step_problems(recipe: Recipe, document: Document, rows: int) -> Iterator[Problem]:
    """Yield a problem for keys that have no effect in a run with this many rows."""
    if steps_depend_on_tokens(recipe):
        return
    steps = optimizer_steps(recipe, rows)
    for key, what in keys_beyond(recipe.training._asdict(), steps, counted(rows, "row")):
        rule, hint = ("beyond-the-end", f"at most {steps}")
        if key in ("warmup_steps", "warmup_ratio"):
            rule, hint = ("warmup-too-long", f"a tenth is usual: warmup_steps: {max(steps // 10, min(steps - 1, 1))}")
        yield Problem(document.location(("training", key)), what, hint, rule)


def keys_beyond(training: Mapping[str, Any], steps: int, size: str) -> Iterator[tuple[str, str]]:
    """Yield the keys that have no effect in a run of so many steps, with the reason. `size` says of how many rows or blocks."""
    for key in ("eval_steps", "save_steps"):
        if training[key] and training[key] > steps:
            yield key, f"training.{key}: {training[key]} is beyond the end of the run, which takes {counted(steps, 'step')} for {size}"
    if fault := warm_up_fault(steps, training["warmup_ratio"], training["warmup_steps"]):
        yield fault[0], f"training.{fault[0]}: {fault[1]}"
