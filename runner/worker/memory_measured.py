"""The peak of memory that a training reached, to stand beside its prediction."""

import json
from pathlib import Path
from typing import Any

import torch

from .distributed import is_first, total

MEASURED = Path("memory.json")
PREDICTED = Path("fit.json")


def record_peak(device: torch.device) -> None:
    """Write memory.json: the peak in bytes, of all processes together on a CPU and of the first one's GPU else, beside what was predicted.

    All processes call it.
    """
    if device.type == "cuda":
        facts: dict[str, Any] = {"device": torch.cuda.get_device_name(device), "peak": torch.cuda.max_memory_reserved(device)}
    else:
        facts = {"device": "this machine", "peak": int(total(resident_peak(), device))}
    if is_first():
        facts["predicted"] = json.loads(PREDICTED.read_bytes())["memory"] if PREDICTED.is_file() else None
        MEASURED.write_text(json.dumps(facts) + "\n", encoding="utf-8")


def resident_peak() -> int:
    """The most main memory that this process has held, in bytes; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="ascii").splitlines() if status.is_file() else []
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:")), 0)
