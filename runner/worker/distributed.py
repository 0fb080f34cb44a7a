"""Several processes that train as one: who writes, what they agree on, and that none outlives its launcher. One process is alone."""

import ctypes
import os
import signal
import sys

import torch
from torch import distributed

_PR_SET_PDEATHSIG = 1


def is_first() -> bool:
    """Whether this is the process that writes: the first of all machines."""
    return int(os.environ.get("RANK", "0")) == 0


def world_size() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def total(number: float, device: torch.device) -> float:
    """The sum over all processes. Every process must call it at the same point of training."""
    if not _connected():
        return number
    tensor = torch.tensor([number], dtype=torch.float64 if device.type == "cpu" else torch.float32, device=device)
    distributed.all_reduce(tensor)
    return tensor.item()


def barrier() -> None:
    """Go on when every process has come here: what the others write is written then."""
    if _connected():
        distributed.barrier()


def follow_launcher_exit() -> None:
    """Under torchrun: end when it is killed, and keep its signals from the processes that load batches.

    torchrun gives each process a session and signals all of it. A loader that gets SIGTERM dies, and the step in progress with it.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.register_at_fork(after_in_child=os.setpgrp)


def accept_numbered_cpu_tags() -> None:
    """Several processes on a CPU: accelerate numbers it (`cpu:1`), and torch.load, when a checkpoint is resumed, knows no such place."""
    torch.serialization.register_package(9, lambda storage: None, lambda storage, place: storage if place.startswith("cpu:") else None)


def _connected() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
