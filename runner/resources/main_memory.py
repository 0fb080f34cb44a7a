"""Predict the main memory that a training on GPUs needs on one machine, of all its processes, by part. Pure.

One process on one GPU needs little: its model is loaded onto the GPU. FSDP2 loads into main memory, DeepSpeed and FSDP2 can offload to it,
and a whole checkpoint of a sharded training is gathered there, by the first process.
"""

from ...schemas.sections import Recipe
from ..launch.precision import has_fp32_weights
from ..models.size import ModelSize
from ..runtime.machine import Machine
from .memory import CPU_RUNTIME

# Bytes per trained weight that ZeRO keeps in main memory with offload_optimizer: fp32 weights, both of Adam's moments, and gradients
# (Ren et al. 2021, arXiv:2101.06840, section 4.1; DeepSpeed's gradients are fp32).
OFFLOADED_BY_ZERO = 16


def main_memory(recipe: Recipe, size: ModelSize, machine: Machine, trained: int) -> dict[str, int]:
    """Return the bytes by part; {} on a CPU, and where nothing is loaded, offloaded or gathered there."""
    launch, is_full = recipe.launch, recipe.training.adapter == "none"
    if machine.is_cpu or not launch.is_sharded:
        return {}
    wide = 4 if has_fp32_weights(recipe, machine) else 2
    own = trained * (wide if is_full else 4)
    held = {"processes": launch.num_processes * CPU_RUNTIME, "offloaded": _offloaded(recipe, size, trained, wide, own) // launch.num_nodes}
    loaded = wide * size.parameters if launch.fsdp and not recipe.training.weight_bits else 0
    gathered = 0
    if launch.fsdp:  # the weights and both moments
        gathered = 3 * own
    elif launch.zero_stage == 3:  # the 16-bit weights; each process saves its own part of the optimizer
        gathered = 2 * (size.parameters if is_full else trained)
    held |= {"loading": loaded} if loaded > gathered else {"checkpoint": gathered}
    return {name: part for name, part in held.items() if part}


def _offloaded(recipe: Recipe, size: ModelSize, trained: int, wide: int, own: int) -> int:
    launch = recipe.launch
    if launch.fsdp:  # weights, gradients and moments
        return wide * size.parameters + 3 * own if launch.offload_params else 0
    return (OFFLOADED_BY_ZERO * trained if launch.offload_optimizer else 0) + (2 * size.parameters if launch.offload_params else 0)
