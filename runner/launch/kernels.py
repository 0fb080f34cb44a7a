"""List the kernels of a recipe's training on a GPU, and why others are not used, for `recipe doctor`. Pure."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ...schemas.sections import Recipe
from ..models.architecture import Architecture
from ..models.reference import ATTENTION
from ..runtime.machine import Machine
from .kernel_choice import LORA_MODULES, KernelChoice, choose
from .precision import has_fp32_weights, precision

# Packages with kernels, by their installed names.
PACKAGES = ("bitsandbytes", "triton", "liger-kernel", "flash-attn", "flash-attn-3", "flash-attn-4", "torchao", "xformers")
_FLASH = "flash_attention_2"
_FLASH_CAPABILITY = 8.0


class Kernel(NamedTuple):
    """A part of the training, what computes it, and why; `problem` if it cannot work."""

    part: str
    used: str
    why: str
    problem: bool = False


def kernels(recipe: Recipe, machine: Machine, installed: Mapping[str, str], capability: float, model: Architecture | None) -> list[Kernel]:
    """Return what this recipe would use on this machine; [] on a CPU, which has no choice."""
    if machine.is_cpu:
        return []
    choice = choose(recipe, machine, model)
    return [
        _numbers(recipe, machine),
        _attention(recipe, installed, capability),
        *_adapter(recipe, installed, choice),
        _optimizer(recipe, installed),
        _loss(recipe),
        _layers(choice),
    ]


def _numbers(recipe: Recipe, machine: Machine) -> Kernel:
    found = precision(recipe.training, machine)
    if found == "bf16":
        how = "fp32 weights, bf16 under autocast" if has_fp32_weights(recipe, machine) else "bf16"
        return Kernel("numbers", how, "the GPU is fast at bf16")
    if recipe.training.precision == found:
        return Kernel("numbers", found, "training.precision")
    return Kernel("numbers", found, f"bf16 needs compute capability 8.0, which {machine.gpu_name} lacks")


def _attention(recipe: Recipe, installed: Mapping[str, str], capability: float) -> Kernel:
    wanted = recipe.model.attn_implementation or ATTENTION
    if wanted == _FLASH and "flash-attn" not in installed:
        return Kernel("attention", wanted, "needs flash-attn, which is not installed: use sdpa", problem=True)
    if wanted == _FLASH and 0 < capability < _FLASH_CAPABILITY:
        return Kernel("attention", wanted, f"needs compute capability {_FLASH_CAPABILITY}, the GPU has {capability}", problem=True)
    if wanted == "sdpa" and (recipe.training.sample_packing or recipe.data.type == "text"):
        why = "rows of a block are separated by a mask, for which torch has no flash kernel"
        return Kernel("attention", wanted, why + "; flash_attention_2 needs none" if "flash-attn" in installed else why)
    return Kernel("attention", wanted, "model.attn_implementation" if recipe.model.attn_implementation else "built into torch")


def _adapter(recipe: Recipe, installed: Mapping[str, str], choice: KernelChoice) -> Iterator[Kernel]:
    training = recipe.training
    if training.adapter == "none":
        return
    if (training.adapter == "qlora" or training.load_in_8bit) and "bitsandbytes" not in installed:
        yield Kernel("quantised weights", "none", "bitsandbytes is not installed", problem=True)
    asked = tuple(key for key in LORA_MODULES if recipe.axolotl.get(key))
    if asked:
        yield Kernel("LoRA", ", ".join(asked), f"set in axolotl; {choice.why_not_lora}".removesuffix("; "))
    elif choice.lora:
        yield Kernel("LoRA", ", ".join(choice.lora), "Axolotl's kernels, which train the same as PEFT's layers")
    else:
        yield Kernel("LoRA", "PEFT's layers", choice.why_not_lora)


def _optimizer(recipe: Recipe, installed: Mapping[str, str]) -> Kernel:
    optimizer = recipe.training.optimizer
    from_bitsandbytes = "8bit" in optimizer or optimizer.startswith("paged")
    if from_bitsandbytes and "bitsandbytes" not in installed:
        return Kernel("optimizer", optimizer, "bitsandbytes is not installed", problem=True)
    return Kernel("optimizer", optimizer, "bitsandbytes" if from_bitsandbytes else "torch")


def _loss(recipe: Recipe) -> Kernel:
    if recipe.data.type == "classification":
        return Kernel("loss", "torch's cross entropy", "a row has one label")
    if recipe.launch.zero_stage or recipe.launch.fsdp:
        return Kernel("loss", "logits of the trained tokens", "a sharded head can only be used within the model")
    return Kernel("loss", "head and cross entropy fused, in chunks", "for trained tokens only; the full logits never exist")


def _layers(choice: KernelChoice) -> Kernel:
    if choice.liger:
        return Kernel("norms, rotary positions, MLP", "Liger's kernels", "they train the same as transformers' layers")
    return Kernel("norms, rotary positions, MLP", "transformers' layers", choice.why_not_liger)
