"""What the machine has that decides precision and kernels: found without importing torch."""

import os
import shutil
import subprocess
from typing import NamedTuple

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
    if os.environ.get("RECIPEKIT_DEVICE") == "cpu" or not (rows := _nvidia_gpus()):
        # fp32 on every CPU: bf16 there was measured 30 times slower, and where it is fast it is not deterministic.
        return Machine(memory=memory, cores=cores)
    name, megabytes, capability = rows[0]
    return Machine("cuda", len(rows), name, int(_number(megabytes)) << 20, _number(capability) >= 8.0, memory, cores)


def _number(cell: str) -> float:
    """0 for `[N/A]`: a GPU that shares the machine's memory has none of its own."""
    return float(cell) if cell.replace(".", "", 1).isdigit() else 0


def _nvidia_gpus() -> list[tuple[str, str, str]]:
    if not shutil.which("nvidia-smi"):
        return []
    query = ["nvidia-smi", "--query-gpu=name,memory.total,compute_cap", "--format=csv,noheader,nounits"]
    try:
        listed = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout
    except (subprocess.SubprocessError, OSError):
        return []
    rows = [tuple(cell.strip() for cell in line.split(",")) for line in listed.splitlines() if line.count(",") == 2]
    return [(name, memory, capability) for name, memory, capability in rows]
