"""The batch: how many rows an optimizer step has, and how they are divided into forward passes and processes."""

from collections.abc import Iterator
from typing import NamedTuple

from .base.counted import counted
from .findings import Finding, Rule
from .sections import AUTO, Recipe


class Batch(NamedTuple):
    """The factors of the rows of an optimizer step; the names are Axolotl's."""

    micro_batch_size: int
    gradient_accumulation_steps: int
    processes: int

    @property
    def rows(self) -> int:
        """Return the rows of an optimizer step, over all processes."""
        return self.micro_batch_size * self.gradient_accumulation_steps * self.processes


def batch_of(recipe: Recipe) -> Batch:
    """Return the recipe's batch. With `micro_batch_size: auto` that is not chosen yet, a forward pass has one row: `rows` is the same."""
    training, processes = recipe.training, recipe.launch.processes
    micro = 1 if training.micro_batch_size == AUTO else training.micro_batch_size
    if training.global_batch_size is None:
        return Batch(micro, training.gradient_accumulation_steps or 1, processes)
    return Batch(micro, training.global_batch_size // (micro * processes), processes)


def with_micro_batch_size(recipe: Recipe, micro: int) -> Recipe:
    """Return the recipe with a number in place of `auto`; any other recipe is unchanged."""
    if recipe.training.micro_batch_size != AUTO:
        return recipe
    return recipe._replace(training=recipe.training._replace(micro_batch_size=micro))


def possible_micro_batch_sizes(recipe: Recipe) -> list[int]:
    """Return the sizes that divide the rows of a step evenly, from the largest down."""
    most = batch_of(recipe).rows // batch_of(recipe).processes
    return [micro for micro in range(most, 0, -1) if most % micro == 0]


def rows_of_a_step(recipe: Recipe) -> Iterator[Finding]:
    """Yield what makes the rows of a step unknown, contradictory or uneven."""
    training, processes = recipe.training, recipe.launch.processes
    rows, micro = training.global_batch_size, training.micro_batch_size
    if rows is None:
        if micro == AUTO:
            hint = "set global_batch_size, the rows of an optimizer step: they must not depend on the machine"
            yield Finding(("training", "micro_batch_size"), "auto needs global_batch_size", hint)
        return
    if training.gradient_accumulation_steps is not None:
        hint = "remove one of the two; in a recipe that extends another, set it to null"
        yield Finding(("training", "gradient_accumulation_steps"), "is computed from global_batch_size", hint)
    at_once, factors = (processes, "") if micro == AUTO else (micro * processes, f"micro_batch_size {micro} x ")
    if rows % at_once:
        what = f"{counted(rows, 'row')} per step {'is' if rows == 1 else 'are'} not a multiple of {factors}{counted(processes, 'process')}"
        yield Finding(("training", "global_batch_size"), what, f"use a multiple of {at_once}")


BATCH_RULES: tuple[Rule, ...] = (rows_of_a_step,)
