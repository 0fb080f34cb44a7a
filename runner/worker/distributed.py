"""Several processes that train together: who writes, and what they agree on. Also works with one process."""

import os

import torch
from torch import distributed


def is_first() -> bool:
    """Return whether this process writes: the first one of all machines."""
    return int(os.environ.get("RANK", "0")) == 0


def world_size() -> int:
    """Return how many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def all_reduce_sum(number: float, device: torch.device) -> float:
    """Return the sum over all processes. Every process must call this at the same point of training."""
    if not _connected():
        return number
    tensor = torch.tensor([number], dtype=torch.float64 if device.type == "cpu" else torch.float32, device=device)
    distributed.all_reduce(tensor)
    return tensor.item()


def barrier() -> None:
    """Wait until every process is here: what the others wrote is then complete."""
    if _connected():
        distributed.barrier()


def accept_numbered_cpu_tags() -> None:
    """Let torch.load accept `cpu:1`: with several processes on a CPU, accelerate numbers it, and resuming would fail."""
    torch.serialization.register_package(9, lambda storage: None, lambda storage, place: storage if place.startswith("cpu:") else None)


def _connected() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
