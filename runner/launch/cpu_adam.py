"""What DeepSpeed lacks here to compile its Adam for main memory, which it does when a training with `launch.offload_optimizer` starts."""

import os
import shutil
from pathlib import Path


def cpu_adam_lacks() -> list[str]:
    """Return what is not found where DeepSpeed and torch look for it: nvcc, whose version DeepSpeed asks for, a C++ compiler, ninja."""
    nvcc = shutil.which("nvcc")
    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH") or (str(Path(nvcc).parents[1]) if nvcc else "/usr/local/cuda")
    found = {
        "nvcc of the CUDA toolkit": Path(home, "bin", "nvcc").is_file(),
        "a C++ compiler": shutil.which(os.environ.get("CXX", "c++")),
        "ninja": shutil.which("ninja"),
    }
    return [name for name, there in found.items() if not there]
