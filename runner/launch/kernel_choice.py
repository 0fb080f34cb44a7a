"""Which fast kernels a training uses, and why not the others: one choice, which the rendered file, the plan and doctor share. Pure.

Each is the same training as transformers' and PEFT's own layers, within tolerances that tests/runner/worker/test_kernels.py holds it to.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from ...schemas.sections import Recipe
from ..models.architecture import Architecture
from ..runtime.machine import Machine
from .precision import precision

# What Liger replaces, by model_type: those that the tests compare. Gemma 2 has GEGLU and Phi-3 a fused gate in the place of SwiGLU.
LIGER_FAMILIES = ("llama", "mistral", "qwen2", "phi3", "gemma2")
# Axolotl's LoRA kernels look for q_proj, k_proj and v_proj, which Phi-3 has not, and their GELU is not Gemma's approximation.
LORA_FAMILIES = ("llama", "mistral", "qwen2")
LORA_MODULES = {
    "lora_qkv_kernel": ("q_proj", "k_proj", "v_proj"),
    "lora_o_kernel": ("o_proj",),
    "lora_mlp_kernel": ("gate_proj", "up_proj", "down_proj"),
}
# Keys under `axolotl` beside which a LoRA layer is still what the kernels compute.
_HARMLESS = ("lora_modules_to_save", *LORA_MODULES)


class KernelChoice(NamedTuple):
    """The LoRA kernels' keys that are on, whether Liger's layers are; and why what is off is off."""

    liger: bool = False
    lora: tuple[str, ...] = ()
    why_not_liger: str = ""
    why_not_lora: str = ""

    def keys(self, recipe: Recipe) -> dict[str, Any]:
        """Return what is rendered; LoRA kernels that are off too, because Axolotl switches them on where nothing is said."""
        lora = {} if recipe.training.adapter == "none" else {key: key in self.lora for key in LORA_MODULES}
        if not self.liger:
            return lora
        return lora | {
            "liger_rope": True,
            "liger_rms_norm": True,
            # The LoRA kernel for the MLP has a SwiGLU of its own.
            "liger_glu_activation": "lora_mlp_kernel" not in self.lora,
            # runner/worker/head_loss.py computes the loss, of the trained tokens of a whole step; Liger's would take its place.
            "liger_cross_entropy": False,
            "liger_fused_linear_cross_entropy": False,
        }


def choose(recipe: Recipe, machine: Machine, model: Architecture | None) -> KernelChoice:
    """Return the kernels for this recipe on this machine. `model` is None where nothing is known of it."""
    if why := _why_none(recipe, machine, model):
        return KernelChoice(why_not_liger=why, why_not_lora=why)
    assert model is not None
    why_not_liger = next(_against_liger(machine, model), "")
    why_not_lora = next(_against_lora(recipe, model), "")
    lora = () if why_not_lora else tuple(key for key, modules in LORA_MODULES.items() if _adapts(recipe, modules))
    if not lora and not why_not_lora:
        why_not_lora = "lora_target_modules names no group of layers whole: q, k and v; o; or gate, up and down"
    return KernelChoice(not why_not_liger, lora, why_not_liger, why_not_lora)


def _why_none(recipe: Recipe, machine: Machine, model: Architecture | None) -> str:
    if machine.is_cpu:
        return "they need a GPU"
    if recipe.training.kernels == "off":
        return "training.kernels: off"
    if not machine.fast_bf16:
        return "not tried below compute capability 8.0"
    if precision(recipe.training, machine) == "fp16":
        return "not tried in fp16"
    return "" if model else "the model's configuration is not on this machine"


def _against_liger(machine: Machine, model: Architecture) -> Iterator[str]:
    if not machine.has_liger:
        yield "liger-kernel is not installed"
    if model.family not in LIGER_FAMILIES:
        yield f"not compared for model_type {model.family}"


def _against_lora(recipe: Recipe, model: Architecture) -> Iterator[str]:
    training, launch = recipe.training, recipe.launch
    if training.adapter == "none":
        yield "no adapter"
    if model.family not in LORA_FAMILIES:
        yield f"not compared for model_type {model.family}"
    if training.lora_dropout:
        yield "with lora_dropout they train otherwise than PEFT: one mask for q, k and v, and none before down_proj"
    if training.load_in_8bit:
        yield "they do not read 8-bit weights"
    if recipe.model.trust_remote_code:
        yield "Axolotl refuses them with trust_remote_code"
    if recipe.data.type == "classification":
        yield "Axolotl has them for language models only"
    if launch.fsdp or launch.zero_stage == 3:
        yield "they read weights that are elsewhere when the model is sharded"
    if other := [key for key in recipe.axolotl if key.startswith(("lora_", "peft_")) and key not in _HARMLESS]:
        yield f"not compared with axolotl.{other[0]}"


def _adapts(recipe: Recipe, modules: tuple[str, ...]) -> bool:
    wanted = recipe.training.lora_target_modules
    return wanted == "all-linear" or set(modules) <= set(wanted)
