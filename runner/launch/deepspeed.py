"""DeepSpeed: render a recipe to deepspeed.json, and find what its Adam for main memory needs.

Values that the recipe sets are `auto`: accelerate fills them in, so that they cannot differ.
"""

import os
import shutil
from pathlib import Path
from typing import Any

from ...schemas.sections import Launch
from ..runtime.machine import Machine


def render_deepspeed(launch: Launch, machine: Machine) -> dict[str, Any] | None:
    """Return the ZeRO configuration, or None if the recipe sets no ZeRO stage."""
    if not launch.zero_stage:
        return None
    zero: dict[str, Any] = {"stage": launch.zero_stage, "overlap_comm": not machine.is_cpu, "contiguous_gradients": True}
    if launch.zero_stage >= 2:
        zero["reduce_scatter"] = True
    if launch.offload_optimizer:
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": not machine.is_cpu}
    if launch.zero_stage == 3:
        zero |= {
            "stage3_gather_16bit_weights_on_model_save": True,
            "stage3_param_persistence_threshold": "auto",
            "stage3_prefetch_bucket_size": "auto",
            "reduce_bucket_size": "auto",
        }
        if launch.offload_params:
            zero["offload_param"] = {"device": "cpu", "pin_memory": not machine.is_cpu}
    return {
        "zero_optimization": zero,
        "bf16": {"enabled": "auto"},
        "fp16": {"enabled": "auto"},
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": "auto",
        "wall_clock_breakdown": False,
    }


def cpu_adam_lacks() -> list[str]:
    """Return what is not found where DeepSpeed and torch look for it: nvcc, whose version DeepSpeed asks for, a C++ compiler, ninja. With
    `launch.offload_optimizer` it compiles its Adam for main memory when the training starts."""
    nvcc = shutil.which("nvcc")
    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH") or (str(Path(nvcc).parents[1]) if nvcc else "/usr/local/cuda")
    found = {
        "nvcc of the CUDA toolkit": Path(home, "bin", "nvcc").is_file(),
        "a C++ compiler": shutil.which(os.environ.get("CXX", "c++")),
        "ninja": shutil.which("ninja"),
    }
    return [name for name, there in found.items() if not there]
