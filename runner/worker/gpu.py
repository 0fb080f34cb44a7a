"""The GPU of a process that loads a model: whether torch can use it, which type it computes fast, and what is loaded onto it."""

import os
import re
from typing import Any

import torch

from ...schemas.base.errors import first_line


def unusable_gpu() -> str:
    """Return why torch cannot use the GPU that the training was rendered for, in words; "" if it can, or on a CPU.

    transformers would train on the CPU without a message: in bf16, up to 30 times as slow as in fp32. A GPU for which torch was not
    compiled, as the P100 and V100 for its present releases, would stop the training at its first operation.
    """
    if os.environ.get("ACCELERATE_USE_CPU") == "true":
        return ""
    if torch.cuda.is_available():
        capability, architectures = torch.cuda.get_device_capability(), torch.cuda.get_arch_list()
        if has_code(capability, architectures):
            return ""
        reason = f"it has no code for compute capability {'.'.join(map(str, capability))}, only for {', '.join(architectures)}"
    else:
        try:
            torch.cuda.init()
            reason = "no device is visible"
        except (AssertionError, RuntimeError) as error:  # built without CUDA; the driver is too old
            reason = first_line(error)
    return f"this machine has a GPU that torch {torch.__version__} cannot use: {reason}; `RECIPEKIT_DEVICE=cpu` trains on the CPU"


def has_code(capability: tuple[int, int], architectures: list[str]) -> bool:
    """Return whether code for one of these architectures (sm_86, compute_90) runs on a GPU of this compute capability: code for the same
    major version that is not newer, or an intermediate form that the driver compiles. Architectures of other vendors are not judged."""
    known = [match for name in architectures if (match := re.fullmatch(r"(sm|compute)_(\d+)(\d)[af]?", name))]
    levels = [(kind, (int(major), int(minor))) for kind, major, minor in (match.groups() for match in known)]
    return not levels or any(level <= capability and (kind == "compute" or level[0] == capability[0]) for kind, level in levels)


def fastest_dtype(device: str) -> torch.dtype:
    """Return the type in which a device computes fast: before compute capability 8.0, torch emulates bf16."""
    if device != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def load_in_fp32(cfg: Any) -> None:
    """Load fp32 weights where they are trained or computed in fp32. Axolotl would load bf16 ones where bf16 is computed, and fp16 ones next
    to 8-bit layers."""
    if cfg.fp32_weights or not (cfg.bf16 or cfg.fp16):
        cfg.torch_dtype = torch.float32


def keep_on_one_gpu(cfg: Any) -> None:
    """Load the whole model onto the GPU of a single process. With Axolotl's `auto`, layers that do not fit are left in main memory without
    a message, and copied in every step."""
    if torch.cuda.is_available() and cfg.device_map == "auto":
        cfg.device_map = {"": 0}


def step_precision(cfg: Any, device: torch.device) -> Any:
    """Return the context in which the trainer computes a step. Flash attention takes no fp32 queries, which a model with fp32 weights
    has outside of it."""
    dtype = torch.float16 if cfg.fp16 else torch.bfloat16
    return torch.autocast(device.type, dtype, enabled=bool(cfg.bf16 or cfg.fp16))
