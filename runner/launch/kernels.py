"""List the kernels of a recipe's training on a GPU, and why others are not used, for doctor, plan and the report."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ...schemas.sections import Recipe
from ..models.architecture import Architecture
from ..runtime.machine import Machine, nvidia_gpus, package_versions
from .deepspeed import cpu_adam_lacks
from .kernel_choice import LORA_MODULES, KernelChoice, attention, choose, packs
from .precision import has_fp32_weights, precision

# Packages with kernels, by their installed names.
PACKAGES = ("bitsandbytes", "triton", "liger-kernel", "flash-attn", "flash-attn-3", "flash-attn-4", "torchao", "xformers")
# The package and the least compute capability of each (transformers' FLASH_ATTENTION_COMPATIBILITY_MATRIX).
_FLASH = {"flash_attention_2": ("flash-attn", 8.0), "flash_attention_3": ("flash-attn-3", 8.0), "flash_attention_4": ("flash-attn-4", 9.0)}
# The keys of a recipe that ask for a part.
_ASKED_BY = {
    "attention": ("model", "attn_implementation"),
    "quantised weights": ("training", "adapter"),
    "optimizer": ("training", "optimizer"),
}


class Kernel(NamedTuple):
    """A part of the training, what computes it, and why; `problem` if it cannot work."""

    part: str
    used: str
    why: str
    problem: bool = False


def kernels(
    recipe: Recipe, machine: Machine, installed: Mapping[str, str] | None, capability: float, model: Architecture | None
) -> list[Kernel]:
    """Return what this recipe would use on this machine; [] on a CPU, which has no choice.

    `installed` has the versions of PACKAGES, or is None for another machine, which is assumed to have them; `capability` is 0 if unknown.
    """
    if machine.is_cpu:
        return []
    choice = choose(recipe, machine, model)
    return [
        _numbers(recipe, machine),
        _attention(recipe, installed, capability, choice),
        *_batches(recipe, choice),
        *_adapter(recipe, installed, choice),
        _optimizer(recipe, installed),
        _loss(recipe, model),
        _layers(choice),
    ]


def installed_kernels() -> dict[str, str]:
    """Return the versions of the packages with kernels that are installed."""
    return package_versions(PACKAGES)


def missing_kernels(recipe: Recipe, machine: Machine) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield the key and the reason for each kernel that the recipe asks for and this machine lacks."""
    gpus, _ = nvidia_gpus()
    for kernel in kernels(recipe, machine, installed_kernels(), gpus[0].capability if gpus else 0, None):
        if kernel.problem:
            yield _ASKED_BY[kernel.part], f"{kernel.used} {kernel.why}"
    without = [gpu.name for gpu in gpus[: recipe.launch.num_processes] if gpu.capability < 8.0]
    if without and not machine.is_cpu and precision(recipe.training, machine) == "bf16":  # chosen for the first
        instead = "name GPUs of one kind in CUDA_VISIBLE_DEVICES, or set training.precision"
        yield ("launch", "num_processes"), f"bf16 is computed, which {without[0]} has not, another of the GPUs in use; {instead}"
    if recipe.launch.offload_optimizer and not machine.is_cpu and (lacks := cpu_adam_lacks()):
        instead = "fsdp: true with offload_params: true compiles nothing"
        yield ("launch", "offload_optimizer"), f"DeepSpeed compiles its Adam for main memory here, without {', '.join(lacks)}; {instead}"


def _numbers(recipe: Recipe, machine: Machine) -> Kernel:
    found = precision(recipe.training, machine)
    if found == "bf16":
        copies = "sharded, bf16 copies of a layer at a time" if recipe.launch.fsdp else "bf16 under autocast"
        how = f"fp32 weights, {copies}" if has_fp32_weights(recipe, machine) else "bf16"
        return Kernel("numbers", how, "the GPU is fast at bf16")
    if recipe.training.precision == found:
        return Kernel("numbers", found, "training.precision")
    return Kernel("numbers", found, f"bf16 needs compute capability 8.0, which {machine.gpu_name} lacks")


def _lacks(package: str, installed: Mapping[str, str] | None) -> bool:
    return installed is not None and package not in installed


def _attention(recipe: Recipe, installed: Mapping[str, str] | None, capability: float, choice: KernelChoice) -> Kernel:
    wanted = attention(recipe)
    if wanted in _FLASH:
        package, least = _FLASH[wanted]
        if _lacks(package, installed):
            return Kernel("attention", wanted, f"needs {package}, which is not installed: use sdpa", problem=True)
        if 0 < capability < least:
            return Kernel("attention", wanted, f"needs compute capability {least}, the GPU has {capability}", problem=True)
        return Kernel("attention", wanted, "model.attn_implementation")
    if choice.varlen:
        return Kernel("attention", "sdpa, torch's varlen kernel", "FlashAttention that reads where rows end: no mask")
    asked = "model.attn_implementation" if recipe.model.attn_implementation else "built into torch"
    if recipe.data.type == "classification" or wanted != "sdpa":
        return Kernel("attention", wanted, asked)
    mask = "rows of a block are separated by a mask" if packs(recipe) else "padded rows have a mask"
    return Kernel("attention", wanted, f"{mask}, for which torch has no flash kernel; no varlen kernel: {choice.why_not_varlen}")


def _batches(recipe: Recipe, choice: KernelChoice) -> Iterator[Kernel]:
    if recipe.data.type == "classification":
        return
    if packs(recipe):
        yield Kernel("batches", "rows packed into blocks", "training.sample_packing")
    elif choice.varlen:
        yield Kernel("batches", "rows without padding", "in one sequence: the same rows per step, the same training")
    else:
        yield Kernel("batches", "rows padded to the longest", choice.why_not_varlen)


def _adapter(recipe: Recipe, installed: Mapping[str, str] | None, choice: KernelChoice) -> Iterator[Kernel]:
    training = recipe.training
    if training.adapter == "none":
        return
    if (training.adapter == "qlora" or training.load_in_8bit) and _lacks("bitsandbytes", installed):
        yield Kernel("quantised weights", "none", "bitsandbytes is not installed", problem=True)
    asked = tuple(key for key in LORA_MODULES if recipe.axolotl.get(key))
    if asked:
        yield Kernel("LoRA", ", ".join(asked), f"set in axolotl; {choice.why_not_lora}".removesuffix("; "))
    elif choice.lora:
        yield Kernel("LoRA", ", ".join(choice.lora), "Axolotl's kernels, which train the same as PEFT's layers")
    else:
        yield Kernel("LoRA", "PEFT's layers", choice.why_not_lora)


def _optimizer(recipe: Recipe, installed: Mapping[str, str] | None) -> Kernel:
    optimizer = recipe.training.optimizer
    from_bitsandbytes = "8bit" in optimizer or optimizer.startswith("paged")
    if from_bitsandbytes and _lacks("bitsandbytes", installed):
        return Kernel("optimizer", optimizer, "bitsandbytes is not installed", problem=True)
    return Kernel("optimizer", optimizer, "bitsandbytes" if from_bitsandbytes else "torch")


def _loss(recipe: Recipe, model: Architecture | None) -> Kernel:
    if recipe.data.type == "classification":
        return Kernel("loss", "torch's cross entropy", "a row has one label")
    if recipe.launch.is_sharded:
        return Kernel("loss", "logits of the trained tokens", "a sharded head can only be used within the model")
    if model and model.changes_logits:
        return Kernel("loss", "logits of the trained tokens", "the model caps or scales its logits after the head")
    return Kernel("loss", "head and cross entropy fused, in chunks", "for trained tokens only; the full logits never exist")


def _layers(choice: KernelChoice) -> Kernel:
    if choice.liger:
        return Kernel("norms, rotary positions, MLP", "Liger's kernels", "they train the same as transformers' layers")
    return Kernel("norms, rotary positions, MLP", "transformers' layers", choice.why_not_liger)
