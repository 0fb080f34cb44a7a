"""Choose `training.micro_batch_size: auto`: the rows of a forward pass, for the rows of an optimizer step that the recipe gives.

The rows of a step and the weight of every token in it are the recipe's whatever is chosen, so the machine decides how fast a step is, not
what it learns. The choice depends on the machine's memory, not on what of it is free now, so that the same machine chooses the same again.
"""

import math
from pathlib import Path
from typing import NamedTuple

from ...converters.building.manifest import Manifest
from ...schemas.base.counted import counted
from ...schemas.base.errors import Problem, UserError
from ...schemas.batch import batch_of, possible_micro_batch_sizes, with_micro_batch_size
from ...schemas.recipe import LoadedRecipe
from ...schemas.sections import AUTO, Recipe
from ..launch.kernel_choice import choose, packs
from ..models.architecture import architecture, architecture_of
from ..models.size import ModelSize, model_size
from ..runtime.machine import Machine
from ..runtime.run_files import LockedBatch
from .activations import FAMILIES
from .estimate_fit import size_of
from .fit import MOST_ON_CPU, MOST_ON_GPU, size_text
from .forward_pass import largest_forward_pass
from .memory import memory_plan
from .row_lengths import lengths_of

MOST_PADDED = 4  # rows: with more in a batch, padding costs more than a larger batch gains (docs/measurements.md)
GIVEN = "training.micro_batch_size"  # the reason where nothing was chosen
USABLE = 0.75  # of a machine's main memory, which other programs use too


class Choice(NamedTuple):
    """Rows of a forward pass, and why so many."""

    micro_batch_size: int
    why: str


def choose_micro_batch_size(
    recipe: Recipe, size: ModelSize, machine: Machine, labels: int, lengths: list[int] | None, varlen: bool
) -> Choice:
    """Return the largest size that fits even if the prediction is as wrong as any measured one; 1 if none does."""
    whole = machine.gpu_memory or int(USABLE * machine.memory)
    # Without a mask, or in full blocks, a row costs the same in any batch.
    padded, most = not varlen and not packs(recipe), MOST_ON_CPU if machine.is_cpu else MOST_ON_GPU
    sizes = [micro for micro in possible_micro_batch_sizes(recipe) if not padded or micro <= MOST_PADDED]
    processes = recipe.launch.num_processes if machine.is_cpu else 1
    for micro in sizes:
        tried = with_micro_batch_size(recipe, micro)
        rows = largest_forward_pass(tried, lengths, varlen)
        needed = memory_plan(tried, size, machine, labels, rows).total * processes
        if needed * most <= whole:
            limit = f"; at most {MOST_PADDED} rows, because they are padded" if padded and micro == sizes[0] else ""
            what = f"about {size_text(needed)}, up to {size_text(int(needed * most))}, of {size_text(whole)} usable"
            return Choice(micro, f"the largest of {', '.join(map(str, sizes))} that fits: {what}{limit}")
    if not whole:
        return Choice(1, "the memory of the machine is unknown")
    return Choice(1, f"none of {', '.join(map(str, sizes))} is sure to fit in {size_text(whole)} of usable memory")


def locked_batch(
    loaded: LoadedRecipe, machine: Machine, manifest: Manifest, records: Path, model: str, before: LockedBatch | None = None
) -> LockedBatch:
    """Return the recipe's batch with a number in place of `auto`: `before` if the run has chosen it already.

    `model` is the base model's folder or name. Raises UserError if its memory is unknown.
    """
    if loaded.recipe.training.micro_batch_size != AUTO:
        return LockedBatch(**batch_of(loaded.recipe)._asdict(), why=GIVEN)
    if before:
        return before
    found = chosen(loaded, machine, len(manifest.get("labels", ())), records if manifest["splits"].get("train") else None, model)
    return LockedBatch(**batch_of(with_micro_batch_size(loaded.recipe, found.micro_batch_size))._asdict(), why=found.why)


def batch_text(batch: LockedBatch) -> str:
    """Format as `4 x 2 x 1 = 8 rows per step`, with the reason if it was chosen."""
    factors = [batch["micro_batch_size"], batch["gradient_accumulation_steps"], batch["processes"]]
    why = "" if batch["why"] == GIVEN else f"; micro_batch_size {factors[0]}: {batch['why']}"
    rows = counted(math.prod(factors), "row")
    return f"{' x '.join(map(str, factors))} = {rows} per step (micro-batch x accumulation x processes){why}"


def with_batch(loaded: LoadedRecipe, batch: LockedBatch) -> LoadedRecipe:
    """Return the recipe with this batch in place of `auto`."""
    return loaded._replace(recipe=with_micro_batch_size(loaded.recipe, batch["micro_batch_size"]))


def chosen(loaded: LoadedRecipe, machine: Machine, labels: int, records: Path | None, model: str) -> Choice:
    """Choose for a recipe with `auto`. Without a file of records, every row has `sequence_len` tokens.

    Raises UserError if the memory of the model is unknown.
    """
    recipe = loaded.recipe
    size = model_size(model, recipe.model.revision) or size_of(recipe)
    if size is None or size.family not in FAMILIES:
        why = f"the layers of model_type {size.family!r} are unknown" if size else f"the size of {model} is unknown"
        location = loaded.document.location(("training", "micro_batch_size"))
        hint = "set a number, and gradient_accumulation_steps or global_batch_size"
        raise UserError(Problem(location, f"training.micro_batch_size: auto cannot be chosen: {why}", hint, "unknown-memory"))
    varlen = choose(recipe, machine, architecture(model, recipe.model.revision) or architecture_of(recipe.model)).varlen
    return choose_micro_batch_size(recipe, size, machine, labels, lengths_of(recipe, records, model, varlen), varlen)
