"""Which kernels a recipe's training uses on a GPU, and why not the others: what `recipe doctor` tells. Pure."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ...schemas.sections import Recipe
from ..models.reference import ATTENTION
from ..runtime.machine import Machine
from .axolotl_config import has_fp32_weights, precision

# Packages that bring kernels, by the name under which they are installed.
PACKAGES = ("bitsandbytes", "triton", "liger-kernel", "flash-attn", "flash-attn-3", "flash-attn-4", "torchao", "xformers")
_FLASH = "flash_attention_2"
_FLASH_CAPABILITY = 8.0


class Kernel(NamedTuple):
    """A part of the training, what computes it, and why; `problem` says that it cannot work."""

    part: str
    used: str
    why: str
    problem: bool = False


def kernels(recipe: Recipe, machine: Machine, installed: Mapping[str, str], capability: float) -> list[Kernel]:
    """Return what this recipe would use on this machine; nothing on a CPU, which has one way only."""
    if machine.is_cpu:
        return []
    return [
        _numbers(recipe, machine),
        _attention(recipe, installed, capability),
        *_adapter(recipe, installed),
        _optimizer(recipe, installed),
        _loss(recipe),
        _layers(installed),
    ]


def _numbers(recipe: Recipe, machine: Machine) -> Kernel:
    found = precision(recipe.training, machine)
    if found == "bf16":
        how = "fp32 weights, bf16 under autocast" if has_fp32_weights(recipe, machine) else "bf16"
        return Kernel("numbers", how, "the card is fast at bf16")
    if recipe.training.precision == found:
        return Kernel("numbers", found, "training.precision")
    return Kernel("numbers", found, f"bf16 needs compute capability 8.0, which {machine.gpu_name} lacks")


def _attention(recipe: Recipe, installed: Mapping[str, str], capability: float) -> Kernel:
    wanted = recipe.model.attn_implementation or ATTENTION
    if wanted == _FLASH and "flash-attn" not in installed:
        return Kernel("attention", wanted, "needs flash-attn, which is not installed: use sdpa", problem=True)
    if wanted == _FLASH and 0 < capability < _FLASH_CAPABILITY:
        return Kernel("attention", wanted, f"needs compute capability {_FLASH_CAPABILITY}, the card has {capability}", problem=True)
    if wanted == "sdpa" and (recipe.training.sample_packing or recipe.data.type == "text"):
        why = "rows of a block are kept apart by a mask, with which torch has no flash kernel"
        return Kernel("attention", wanted, why + "; flash_attention_2 needs none" if "flash-attn" in installed else why)
    return Kernel("attention", wanted, "model.attn_implementation" if recipe.model.attn_implementation else "torch's own, always there")


def _adapter(recipe: Recipe, installed: Mapping[str, str]) -> Iterator[Kernel]:
    training = recipe.training
    if training.adapter == "none":
        return
    if (training.adapter == "qlora" or training.load_in_8bit) and "bitsandbytes" not in installed:
        yield Kernel("quantised weights", "none", "bitsandbytes is not installed", problem=True)
    asked = [key for key in ("lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel") if recipe.axolotl.get(key)]
    if not asked:
        yield Kernel("LoRA", "PEFT's layers", "Axolotl's LoRA kernels have not been seen on a GPU here: set axolotl.lora_qkv_kernel to try")
    elif training.lora_dropout:
        why = "with lora_dropout they train otherwise than PEFT: one mask for q, k and v, and none before down_proj"
        yield Kernel("LoRA", ", ".join(asked), why)
    else:
        yield Kernel("LoRA", ", ".join(asked), "asked for in axolotl")


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
        return Kernel("loss", "logits of the trained tokens", "a sharded head can only be used by the model itself")
    return Kernel("loss", "head and cross entropy fused, in chunks", "of the trained tokens only; the logits never exist at once")


def _layers(installed: Mapping[str, str]) -> Kernel:
    why = (
        "Liger's kernels are installed, but recipes do not offer them yet"
        if "liger-kernel" in installed
        else "liger-kernel is not installed"
    )
    return Kernel("norms, rotary positions, MLP", "transformers' layers", why)
