"""The precision that a machine computes in. Pure."""

from ...schemas.sections import Recipe, Training
from ..runtime.machine import Machine


def precision(training: Training, machine: Machine) -> str:
    """Return the precision on this machine: fp32, bf16 or fp16."""
    if machine.is_cpu:
        return "fp32"
    if training.precision in ("fp16", "fp32"):
        return training.precision
    # trained fp16 weights have fp16 gradients, which cannot be unscaled
    return "bf16" if machine.fast_bf16 else "fp32" if training.adapter == "none" else "fp16"


def has_fp32_weights(recipe: Recipe, machine: Machine) -> bool:
    """Return whether full-parameter training loads fp32 weights and computes in bf16 (autocast; FSDP2 gathers bf16 copies).

    At usual learning rates, AdamW's steps are smaller than the resolution of bf16: most weights would never change. DeepSpeed keeps fp32
    weights of its own; FSDP2 trains the type that was loaded (accelerate 1.13 converts a copy, and Axolotl's replacement nothing).
    """
    return recipe.training.adapter == "none" and not recipe.launch.zero_stage and precision(recipe.training, machine) == "bf16"
