"""What the machine has that decides precision and kernels: found without importing torch."""

import os
from typing import NamedTuple

from .nvidia import nvidia_gpus

UNPACKED_SHARE = 0.25  # of main memory: what 4-bit weights may take that a CPU keeps unpacked


class Machine(NamedTuple):
    """The machine that a run is rendered for. Memory in bytes."""

    device: str = "cpu"
    gpus: int = 0
    gpu_name: str = ""
    gpu_memory: int = 0
    fast_bf16: bool = False
    memory: int = 0
    cores: int = 1

    @property
    def is_cpu(self) -> bool:
        return self.device == "cpu"


def this_machine() -> Machine:
    """The machine that we are on. RECIPEKIT_DEVICE=cpu hides its GPUs."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cores = len(os.sched_getaffinity(0))
    gpus = [] if os.environ.get("RECIPEKIT_DEVICE") == "cpu" else nvidia_gpus()[0]
    if not gpus:
        # fp32 on every CPU: bf16 there was measured 30 times slower, and where it is fast it is not deterministic.
        return Machine(memory=memory, cores=cores)
    first = gpus[0]
    return Machine("cuda", len(gpus), first.name, first.memory, first.capability >= 8.0, memory, cores)
