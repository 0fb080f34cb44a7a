"""The GPU of a process that loads a model: whether torch can use it, which type it computes fast, and what is loaded onto it."""

import os
from typing import Any

import torch


def unusable_gpu() -> str:
    """Return why torch cannot use the GPU that the training was rendered for, in words; "" if it can, or on a CPU.

    transformers would train on the CPU without a message: in bf16, up to 30 times as slow as in fp32.
    """
    if os.environ.get("ACCELERATE_USE_CPU") == "true" or torch.cuda.is_available():
        return ""
    try:
        torch.cuda.init()
        reason = "no device is visible"
    except (AssertionError, RuntimeError) as error:  # built without CUDA; the driver is too old
        reason = str(error).strip().splitlines()[0]
    return f"this machine has a GPU that torch {torch.__version__} cannot use: {reason}; `RECIPEKIT_DEVICE=cpu` trains on the CPU"


def fastest_dtype(device: str) -> torch.dtype:
    """Return the type in which a device computes fast: before compute capability 8.0, torch emulates bf16."""
    if device != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


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
