"""Predict the memory of an evaluation on a GPU, and choose the bits of its base model. Pure.

A model is evaluated in 16 bits, as it is merged and served. Where these do not fit on the GPU that trained it in 4 or 8 bits, base and
tuned model are evaluated in those.
"""

from ...schemas.evaluation_rules import generates_replies
from ...schemas.sections import Recipe
from ..models.size import ModelSize
from ..runtime.machine import Machine
from .memory import CUDA_RUNTIME, adapter_parameters, weights_bytes

WEIGHTS_SHARE = 0.8  # of the GPU: the rest is for the cache and the logits
WIDE = 2  # bytes of a 16-bit number


def evaluated_bits(bits: int, size: ModelSize | None, machine: Machine) -> int:
    """Return the bits of the base model's weights: 0 for 16, or the training's `bits` if 16 do not fit."""
    if not bits or size is None or not machine.gpu_memory:
        return 0
    return bits if CUDA_RUNTIME + WIDE * size.parameters > WEIGHTS_SHARE * machine.gpu_memory else 0


def evaluation_memory(recipe: Recipe, size: ModelSize, machine: Machine, longest: int) -> dict[str, int]:
    """Return the bytes by part that the evaluation of one row of `longest` tokens needs: batches that do not fit are divided."""
    training, wanted = recipe.training, recipe.evaluation.generation.max_new_tokens
    bits = evaluated_bits(training.weight_bits, size, machine)
    loaded = training._replace(adapter="qlora" if bits == 4 else "lora", load_in_8bit=bits == 8)
    layer = longest * (4 * size.hidden + 3 * size.intermediate) * WIDE
    logits = 0 if recipe.data.type == "classification" else longest * size.vocabulary * WIDE
    cache = (longest + wanted) * size.layers * 2 * size.key_values * WIDE if generates_replies(recipe) else 0
    return {
        "runtime": CUDA_RUNTIME,
        "weights": weights_bytes(loaded, size, machine, size.parameters, WIDE),
        "adapter": 0 if training.adapter == "none" else 4 * adapter_parameters(recipe, size),
        "row": layer + max(logits, cache),
    }
