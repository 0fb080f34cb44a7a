"""Choose the fast kernels of a training, and say why not the others: one choice for the rendered file, the plan and doctor. Pure.

Each trains the same as the layers of transformers and PEFT, within the tolerances in tests/runner/worker/test_kernels.py.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from ...schemas.sections import Recipe
from ..models.architecture import Architecture
from ..models.reference import ATTENTION
from ..runtime.machine import Machine
from .precision import precision

# The model types that the tests compare for Liger. Gemma 2 has GEGLU, and Phi-3 a fused gate, instead of SwiGLU.
LIGER_FAMILIES = ("llama", "mistral", "qwen2", "phi3", "gemma2")
# Axolotl's LoRA kernels need q_proj, k_proj and v_proj, which Phi-3 lacks, and their GELU is not Gemma's approximation.
LORA_FAMILIES = ("llama", "mistral", "qwen2")
LORA_MODULES = {
    "lora_qkv_kernel": ("q_proj", "k_proj", "v_proj"),
    "lora_o_kernel": ("o_proj",),
    "lora_mlp_kernel": ("gate_proj", "up_proj", "down_proj"),
}
# torch.nn.attention.varlen: FlashAttention 2 without the package, for bf16 queries, no sliding window, and heads of at most this width, a
# multiple of 8 (mha_varlen_fwd in torch's flash_api.cpp: unlike the package, torch pads only the heads of its dense attention).
VARLEN_HEAD, VARLEN_MULTIPLE = 256, 8
NO_COMPILER = "Triton cannot compile them here: it needs a C compiler and Python.h (packages gcc and python3-dev)"
FLASH = ("flash_attention_2", "flash_attention_3", "flash_attention_4")
# Keys under `axolotl` that leave a LoRA layer as the kernels compute it.
_HARMLESS = ("lora_modules_to_save", *LORA_MODULES)


class KernelChoice(NamedTuple):
    """Whether Liger's layers are on, the keys of the LoRA kernels that are on, whether attention reads where rows end (`varlen`: a batch
    needs neither padding nor a mask), and why the others are off."""

    liger: bool = False
    lora: tuple[str, ...] = ()
    varlen: bool = False
    why_not_liger: str = ""
    why_not_lora: str = ""
    why_not_varlen: str = ""

    def keys(self, recipe: Recipe) -> dict[str, Any]:
        """Return the keys to render; LoRA kernels that are off too, because Axolotl turns them on by default."""
        keys: dict[str, Any] = {}
        if self.varlen:
            if attention(recipe) == "sdpa":
                keys["sdpa_varlen"] = True
            if not packs(recipe):
                keys["flatten_batches"] = True
        if recipe.training.adapter != "none":
            keys |= {key: key in self.lora for key in LORA_MODULES}
        if not self.liger:
            return keys
        return keys | {
            "liger_rope": True,
            "liger_rms_norm": True,
            # The LoRA kernel for the MLP has its own SwiGLU.
            "liger_glu_activation": "lora_mlp_kernel" not in self.lora,
            # runner/worker/head_loss.py computes the loss over the trained tokens of a whole step; Liger's would replace it.
            "liger_cross_entropy": False,
            "liger_fused_linear_cross_entropy": False,
        }


def choose(recipe: Recipe, machine: Machine, model: Architecture | None) -> KernelChoice:
    """Return the kernels for this recipe on this machine. `model` is None if its architecture is unknown."""
    if why := _why_none(recipe, machine, model):
        return KernelChoice(why_not_liger=why, why_not_lora=why, why_not_varlen=why)
    assert model is not None
    uncompiled = "" if machine.has_compiler else NO_COMPILER
    why_not_liger = next(_against_liger(machine, model), uncompiled)
    why_not_lora = next(_against_lora(recipe, model), uncompiled)
    lora = () if why_not_lora else tuple(key for key, modules in LORA_MODULES.items() if _adapts(recipe, modules))
    if not lora and not why_not_lora:
        why_not_lora = "lora_target_modules has no complete group of layers: q, k and v; o; or gate, up and down"
    why_not_varlen = next(_against_varlen(recipe, machine, model), "")
    return KernelChoice(not why_not_liger, lora, not why_not_varlen, why_not_liger, why_not_lora, why_not_varlen)


def attention(recipe: Recipe) -> str:
    """Return the recipe's attention implementation, or the default."""
    return recipe.model.attn_implementation or ATTENTION


def packs(recipe: Recipe) -> bool:
    """Return whether rows are packed into blocks of sequence_len."""
    return recipe.training.sample_packing or recipe.data.type == "text"


def _why_none(recipe: Recipe, machine: Machine, model: Architecture | None) -> str:
    if machine.is_cpu:
        return "they need a GPU"
    if recipe.training.kernels == "off":
        return "training.kernels: off"
    if not machine.fast_bf16:
        return "not tested below compute capability 8.0"
    if precision(recipe.training, machine) == "fp16":
        return "not tested in fp16"
    if recipe.model.trust_remote_code:  # the model's code may have other layers than transformers', which are those that are replaced
        return "not tested with trust_remote_code"
    return "" if model else "the model's configuration is not on this machine"


def _against_liger(machine: Machine, model: Architecture) -> Iterator[str]:
    if not machine.has_liger:
        yield "liger-kernel is not installed"
    if model.family not in LIGER_FAMILIES:
        yield f"not tested for model_type {model.family}"
    if model.differs:  # its MLP has no biases, its rotary positions turn whole heads, and neither is checked
        yield f"they would compute another model: {model.differs}"


def _against_lora(recipe: Recipe, model: Architecture) -> Iterator[str]:
    training, launch = recipe.training, recipe.launch
    if training.adapter == "none":
        yield "no adapter"
    if model.family not in LORA_FAMILIES:
        yield f"not tested for model_type {model.family}"
    if model.differs:
        yield f"not tested with {model.differs}"
    if training.lora_dropout:
        yield f"with lora_dropout: {training.lora_dropout} they differ from PEFT: one mask for q, k and v, and none before down_proj"
    if training.load_in_8bit:
        yield "they do not support 8-bit weights"
    if recipe.data.type == "classification":
        yield "Axolotl supports them for language models only"
    if launch.fsdp or launch.zero_stage == 3:
        yield "they do not work with sharded weights"
    if other := [key for key in recipe.axolotl if key.startswith(("lora_", "peft_")) and key not in _HARMLESS]:
        yield f"not tested with axolotl.{other[0]}"


def _adapts(recipe: Recipe, modules: tuple[str, ...]) -> bool:
    wanted = recipe.training.lora_target_modules
    return wanted == "all-linear" or set(modules) <= set(wanted)


def _against_varlen(recipe: Recipe, machine: Machine, model: Architecture) -> Iterator[str]:
    """Each row keeps its own positions, and attention starts again at position 0: the same training, without padding."""
    wanted = attention(recipe)
    if recipe.data.type == "classification":
        yield "a classification uses the last token of each row"
    if model.family not in LIGER_FAMILIES:
        yield f"not tested for model_type {model.family}"
    if wanted in FLASH:
        return
    if wanted != "sdpa":
        yield f"{wanted} does not read where rows end"
    if recipe.axolotl.get("sdpa_varlen") is False:
        yield "axolotl.sdpa_varlen: false"
    if precision(recipe.training, machine) == "fp32":
        yield "torch's kernel does not support fp32 queries"
    if model.head > VARLEN_HEAD or model.head % VARLEN_MULTIPLE:
        yield f"torch's kernel supports heads of up to {VARLEN_HEAD} that are a multiple of {VARLEN_MULTIPLE}, this model has {model.head}"
    if model.sliding:
        yield "Axolotl does not use torch's kernel with a sliding window"
    if model.dropout:
        yield "torch's kernel does not support attention dropout"
