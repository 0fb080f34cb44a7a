"""Liger's and Axolotl's kernels: kept once compiled, fixed where one undoes the other, and checked against the configuration."""

import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .loss import unwrapped


def give_rope_to_lora_attention(model_type: str) -> None:
    """Make the attention rewritten by Axolotl's LoRA kernel use the rotary positions that Liger patched later.

    Axolotl compiles that forward pass in its own module, with the names that the model's module had before Liger's plugin ran.
    """
    lora = importlib.import_module("axolotl.monkeypatch.lora_kernels")
    model = importlib.import_module(f"transformers.models.{model_type}.modeling_{model_type}")
    vars(lora)["apply_rotary_pos_emb"] = model.apply_rotary_pos_emb


def keep_compiled_kernels(folder: Path) -> None:
    """Have Triton keep what it compiles in this folder where it cannot write to the user's home; it would stop the training."""
    if os.environ.get("TRITON_CACHE_DIR"):
        return
    usual = Path(os.environ.get("TRITON_HOME") or os.path.expanduser("~"), ".triton", "cache")
    try:
        usual.mkdir(parents=True, exist_ok=True)
    except OSError:
        pass
    if not os.access(usual, os.W_OK):
        os.environ["TRITON_CACHE_DIR"] = str(folder.absolute())


def not_in_force(cfg: Any, model: Any) -> list[str]:
    """Return the kernel keys that are on in the configuration but compute no layer of the model."""
    found = set(_in_force(model))
    keys = ("liger_rope", "liger_rms_norm", "liger_glu_activation", "lora_qkv_kernel", "lora_o_kernel", "lora_mlp_kernel")
    return [key for key in keys if cfg.get(key) and key not in found]


def _in_force(model: Any) -> Iterator[str]:
    for module in unwrapped(model).modules():
        name, methods = type(module).__name__, vars(module)
        if type(module).__module__.startswith("liger_kernel."):
            yield "liger_rms_norm" if "Norm" in name else "liger_glu_activation"
        if "rotary_emb" in methods or name.endswith("Attention"):
            scope = vars(importlib.import_module(type(module).__module__)) | getattr(type(module).forward, "__globals__", {})
            if getattr(scope.get("apply_rotary_pos_emb"), "__module__", "").startswith("liger_kernel."):
                yield "liger_rope"
        for attribute, key in (("apply_qkv", "lora_qkv_kernel"), ("apply_o", "lora_o_kernel"), ("forward", "lora_mlp_kernel")):
            if getattr(methods.get(attribute), "__name__", "").startswith("apply_lora"):
                yield key
