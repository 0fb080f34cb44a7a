"""Measure the peak memory of a training."""

from pathlib import Path

import torch

from ..runtime.run_files import FIT_FORECAST, PEAK_MEMORY
from ..runtime.run_folder import RunFolder
from .distributed import all_reduce_sum, is_first


def record_peak(device: torch.device) -> None:
    """Write memory.json: the peak in bytes, of all processes on a CPU or else of the first process's GPU, with the prediction.

    On a GPU it includes CUDA's context: memory in use that is not torch's. All processes must call this.
    """
    if device.type == "cuda":
        free, whole = torch.cuda.mem_get_info(device)
        beside_tensors = whole - free - torch.cuda.memory_reserved(device)
        name, peak = torch.cuda.get_device_name(device), torch.cuda.max_memory_reserved(device) + beside_tensors
    else:
        name, peak = "this machine", int(all_reduce_sum(resident_peak(), device))
    if is_first():
        run = RunFolder(Path())
        forecast = run.find(FIT_FORECAST)
        run.write(PEAK_MEMORY, {"device": name, "peak": peak, "predicted": forecast["memory"] if forecast else None})


def resident_peak() -> int:
    """Return the peak main memory of this process in bytes; 0 if the system does not report it."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="ascii").splitlines() if status.is_file() else []
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:")), 0)
