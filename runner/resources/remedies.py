"""Find the changes of a recipe with which its training fits into memory, so that a hint can name those that work. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

from ...schemas.batch import batch_of
from ...schemas.sections import AUTO, Recipe, Training
from ..models.size import ModelSize
from ..runtime.machine import Machine
from .forward_pass import ForwardPass
from .memory import memory_plan

MOST = 3  # alternatives to name


class Change(NamedTuple):
    """Keys of the training with their new values, and the forward pass that they lead to."""

    keys: dict[str, object]
    rows: ForwardPass


class Remedy(NamedTuple):
    """Keys of the training with their new values, and the bytes that are then needed by all processes that share the memory."""

    keys: dict[str, object]
    needed: int

    def settings(self) -> list[str]:
        """Return the changes as `--set` takes them."""
        return [f"training.{key}={str(value).lower()}" for key, value in self.keys.items()]


def remedies(
    recipe: Recipe, size: ModelSize, machine: Machine, labels: int, rows: ForwardPass, available: int, most: float
) -> list[Remedy]:
    """Return alternatives with which the training surely fits: single changes, else all of them together, else []."""
    processes = recipe.launch.num_processes if machine.is_cpu else 1

    def fitting(*changes: Change) -> Remedy | None:
        keys: dict[str, object] = {key: value for change in changes for key, value in change.keys.items()}
        changed = recipe._replace(training=_with(recipe.training, keys))
        needed = memory_plan(changed, size, machine, labels, changes[-1].rows).total * processes
        return Remedy(keys, needed) if needed * most <= available else None

    groups = [[*group] for group in (_checkpointing(recipe, rows), _adapters(recipe, rows), _smaller_batches(recipe, rows))]
    single = [next((found for change in group if (found := fitting(change))), None) for group in groups]
    if alternatives := [found for found in single if found]:
        return alternatives[:MOST]
    together = fitting(*(group[-1] for group in groups if group)) if any(groups) else None
    return [together] if together else []


def _with(training: Training, keys: dict[str, object]) -> Training:
    return training._replace(**keys)  # pyright: ignore[reportArgumentType]


def _checkpointing(recipe: Recipe, rows: ForwardPass) -> Iterator[Change]:
    if not recipe.training.gradient_checkpointing:
        yield Change({"gradient_checkpointing": True}, rows)


def _adapters(recipe: Recipe, rows: ForwardPass) -> Iterator[Change]:
    """Yield adapters that need less, the closest to the recipe first. ZeRO 3 does not shard 4-bit weights."""
    order = ("none", "lora", "qlora")
    for adapter in order[order.index(recipe.training.adapter) + 1 :]:
        if adapter != "qlora" or recipe.launch.zero_stage != 3:
            yield Change({"adapter": adapter, **({"load_in_8bit": False} if recipe.training.load_in_8bit else {})}, rows)


def _smaller_batches(recipe: Recipe, rows: ForwardPass) -> Iterator[Change]:
    """Yield smaller micro-batches with the same rows in a step, the largest first. What a forward pass then has is at most this."""
    batch, training = batch_of(recipe), recipe.training
    if training.micro_batch_size == AUTO:
        return
    for micro in range(batch.micro_batch_size - 1, 0, -1):
        if batch.micro_batch_size % micro:
            continue
        accumulation = batch.gradient_accumulation_steps * (batch.micro_batch_size // micro)
        keys: dict[str, object] = {"micro_batch_size": micro}
        if training.global_batch_size is None:
            keys["gradient_accumulation_steps"] = accumulation
        yield Change(keys, rows._replace(tokens=min(rows.tokens, micro * rows.longest)))
