"""The most memory that a training has held."""

from pathlib import Path

import torch

from ..runtime.run_files import FIT_FORECAST, PEAK_MEMORY
from ..runtime.run_folder import RunFolder
from .distributed import is_first, total


def record_peak(device: torch.device) -> None:
    """Write memory.json: the peak in bytes, of all processes together on a CPU and of the first one's GPU else, beside what was predicted.

    Of a GPU it includes CUDA's context: what is in use there now and is not torch's. All processes call it.
    """
    if device.type == "cuda":
        free, whole = torch.cuda.mem_get_info(device)
        beside_tensors = whole - free - torch.cuda.memory_reserved(device)
        name, peak = torch.cuda.get_device_name(device), torch.cuda.max_memory_reserved(device) + beside_tensors
    else:
        name, peak = "this machine", int(total(resident_peak(), device))
    if is_first():
        run = RunFolder(Path())
        forecast = run.find(FIT_FORECAST)
        run.write(PEAK_MEMORY, {"device": name, "peak": peak, "predicted": forecast["memory"] if forecast else None})


def resident_peak() -> int:
    """The most main memory that this process has held, in bytes; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="ascii").splitlines() if status.is_file() else []
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:")), 0)
