"""What the machine is, and on a GPU its two ceilings: a bf16 matrix product and a copy (bytes read and written). The last line is JSON."""

import json
import os
import platform
from collections.abc import Callable
from importlib.metadata import version
from statistics import median
from typing import Any

import torch

SIDE, COPIED = 8192, 1 << 30


def seconds(work: Callable[[], object], times: int = 12) -> float:
    """Time one call on the device: the median of several, after three that are not counted."""
    taken = []
    for turn in range(times + 3):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        work()
        end.record()
        end.synchronize()
        taken += [start.elapsed_time(end) / 1e3] if turn >= 3 else []
    return median(taken)


def ceilings() -> dict[str, float]:
    """Measure the rates of a matrix product and of a copy."""
    left, right = (torch.randn(SIDE, SIDE, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    source = torch.zeros(COPIED, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    return {
        "bf16_tflops": round(2 * SIDE**3 / seconds(lambda: left @ right) / 1e12, 1),
        "copy_tb_s": round(2 * COPIED / seconds(lambda: target.copy_(source)) / 1e12, 3),
    }


facts: dict[str, Any] = {
    "torch": f"torch {torch.__version__}", "recipekit": f"recipekit {version('recipekit')}", "axolotl": version("axolotl"),
    "device": f"{platform.machine()} CPU, {os.cpu_count()} cores",
}  # fmt: skip
if torch.cuda.is_available():
    card = torch.cuda.get_device_properties(0)
    facts |= {"device": card.name, "memory": card.total_memory, "capability": f"{card.major}.{card.minor}", **ceilings()}
print(json.dumps(facts))
