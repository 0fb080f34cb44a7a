"""Find the changes of a recipe with which its training fits into memory, so that a hint can name those that work. Pure.

A step keeps its rows. What trains the same comes first: activations that are recomputed, smaller micro-batches, other GPUs, main memory.
What trains otherwise comes after it: an 8-bit optimizer, an adapter.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from ...schemas.batch import batch_of
from ...schemas.launch_rules import BNB, CPU_ADAM
from ...schemas.sections import AUTO, Recipe
from ..models.size import ModelSize
from ..runtime.machine import Machine
from .forward_pass import ForwardPass
from .main_memory import main_memory
from .memory import memory_plan

MOST = 3  # alternatives to name
MOST_GPUS = 8  # of a machine that is not this one


class Change(NamedTuple):
    """A changed recipe, its keys with their new values, and the forward pass that they lead to."""

    keys: dict[str, object]
    recipe: Recipe
    rows: ForwardPass


class Remedy(NamedTuple):
    """Keys with their new values, and the bytes that are then needed by all processes that share the memory. `gpus` is the number of GPUs
    if it is more than the machine has."""

    keys: dict[str, object]
    needed: int
    gpus: int = 0

    def settings(self) -> list[str]:
        """Return the changes as `--set` takes them."""
        return [f"{key}={str(value).lower()}" for key, value in self.keys.items()]


class MainMemory(NamedTuple):
    """The main memory that is available to a training on GPUs, in bytes, 0 if unknown, and whether an optimizer can work in it."""

    available: int = 0
    takes_optimizer: bool = False


Changes = Callable[[Change], Iterator[Change]]


def remedies(
    recipe: Recipe,
    size: ModelSize,
    machine: Machine,
    labels: int,
    rows: ForwardPass,
    available: int,
    most: float,
    main: MainMemory,
) -> list[Remedy]:
    """Return alternatives with which the training surely fits: single changes, else several together, else []."""

    def fitting(change: Change) -> Remedy | None:
        launch, plan = change.recipe.launch, memory_plan(change.recipe, size, machine, labels, change.rows)
        needed = plan.total * (launch.num_processes if machine.is_cpu else 1)
        beside = sum(main_memory(change.recipe, size, machine, plan.trained).values())
        if needed * most > available or 0 < main.available < beside:
            return None
        return Remedy(change.keys, needed, launch.num_processes if not machine.is_cpu and launch.num_processes > machine.gpus else 0)

    def mildest(*steps: Changes) -> Remedy | None:
        """Return the first of the last step's changes that fits, after the strongest changes of the others."""
        before = Change({}, recipe, rows)
        for step in steps[:-1]:
            before = [before, *step(before)][-1]
        return next((found for change in steps[-1](before) if (found := fitting(change))), None)

    smallest, others = (_checkpointing, _smaller_batches), [*_others(machine, main)]
    alternatives = [found for change in (*smallest, *others) if (found := mildest(change))]
    alternatives = alternatives or [found for last in ((), *zip(others)) if (found := mildest(*smallest, *last))]
    return alternatives[:MOST]


def _others(machine: Machine, main: MainMemory) -> Iterator[Changes]:
    """Yield the changes besides smaller forward passes, the mildest first; GPUs that the machine does not have last."""
    if machine.is_cpu:
        yield _adapters
        return
    yield partial(_more_gpus, range(2, machine.gpus + 1))
    if main.available and main.takes_optimizer:
        yield _main_memory
    yield from (_eight_bits, _adapters, partial(_more_gpus, range(max(machine.gpus, 1) + 1, MOST_GPUS + 1)))


def _with(change: Change, keys: dict[str, object], rows: ForwardPass | None = None) -> Change:
    values: dict[str, dict[str, object]] = {"training": {}, "launch": {}}
    for key, value in keys.items():
        section, _, name = key.partition(".")
        values[section][name] = value
    training = change.recipe.training._replace(**values["training"])  # pyright: ignore[reportArgumentType]
    launch = change.recipe.launch._replace(**values["launch"])  # pyright: ignore[reportArgumentType]
    return Change(change.keys | keys, change.recipe._replace(training=training, launch=launch), rows or change.rows)


def _checkpointing(change: Change) -> Iterator[Change]:
    if not change.recipe.training.gradient_checkpointing:
        yield _with(change, {"training.gradient_checkpointing": True})


def _smaller_batches(change: Change) -> Iterator[Change]:
    """Yield smaller micro-batches with the same rows in a step, the largest first. What a forward pass then has is at most this."""
    batch, rows = batch_of(change.recipe), change.rows
    if change.recipe.training.micro_batch_size == AUTO:
        return
    for micro in range(batch.micro_batch_size - 1, 0, -1):
        if batch.micro_batch_size % micro == 0:
            fewer = rows._replace(tokens=min(rows.tokens, micro * rows.longest))
            yield _with(change, _divided(change.recipe, micro, batch.processes), fewer)


def _divided(recipe: Recipe, micro: int, processes: int) -> dict[str, object]:
    """Return the keys that divide the rows of a step into micro-batches of so many processes."""
    keys: dict[str, object] = {"training.micro_batch_size": micro}
    if recipe.training.global_batch_size is None:
        keys["training.gradient_accumulation_steps"] = batch_of(recipe).rows // (micro * processes)
    return keys


def _more_gpus(numbers: range, change: Change) -> Iterator[Change]:
    """Yield shardings over more GPUs, the fewest first. Several processes do not balance them: one may have the longest rows."""
    launch, batch = change.recipe.launch, batch_of(change.recipe)
    if launch.zero_stage or launch.fsdp or launch.engine not in ("local", "torchrun") or launch.num_nodes > 1:
        return
    for gpus in numbers if change.recipe.training.micro_batch_size != AUTO else ():
        micro = next((micro for micro in range(batch.micro_batch_size, 0, -1) if batch.rows % (micro * gpus) == 0), None)
        if micro and gpus > launch.num_processes:
            rows = change.rows._replace(tokens=micro * change.rows.longest)
            for sharding in _shardings(change.recipe):
                yield _with(change, {**sharding, "launch.num_processes": gpus, **_divided(change.recipe, micro, gpus)}, rows)


def _shardings(recipe: Recipe) -> Iterator[dict[str, object]]:
    """Yield FSDP2 and ZeRO 3, where they take the optimizer and the weights."""
    if recipe.training.optimizer not in BNB:
        yield {"launch.engine": "torchrun", "launch.fsdp": True}
    if not recipe.training.weight_bits:
        yield {"launch.engine": "deepspeed", "launch.zero_stage": 3}


def _main_memory(change: Change) -> Iterator[Change]:
    """Yield the optimizer in main memory, then the weights too, for the training of every weight by one process."""
    training, launch = change.recipe.training, change.recipe.launch
    if training.adapter != "none" or training.optimizer not in CPU_ADAM or launch.engine != "local":
        return
    keys: dict[str, object] = {"launch.engine": "deepspeed", "launch.zero_stage": 2, "launch.offload_optimizer": True}
    yield _with(change, keys)
    yield _with(change, keys | {"launch.zero_stage": 3, "launch.offload_params": True})


def _eight_bits(change: Change) -> Iterator[Change]:
    """Yield bitsandbytes' 8-bit AdamW, whose state moves to main memory when the GPU is full. Sharded states have other optimizers."""
    training, launch = change.recipe.training, change.recipe.launch
    if training.adapter == "none" and "adamw" in training.optimizer and "8bit" not in training.optimizer:
        if not (launch.fsdp or launch.zero_stage):
            yield _with(change, {"training.optimizer": "paged_adamw_8bit"})


def _adapters(change: Change) -> Iterator[Change]:
    """Yield adapters that need less, the closest to the recipe first. ZeRO 3 does not shard 4-bit weights."""
    training, order = change.recipe.training, ("none", "lora", "qlora")
    for adapter in order[order.index(training.adapter) + 1 :]:
        if adapter != "qlora" or change.recipe.launch.zero_stage != 3:
            yield _with(change, {"training.adapter": adapter, **({"training.load_in_8bit": False} if training.load_in_8bit else {})})
