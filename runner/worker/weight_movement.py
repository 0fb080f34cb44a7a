"""Check that optimizer steps change the weights: a step may be smaller than the resolution of the weights' type."""

from typing import Any, NamedTuple

import torch
from torch.distributed.tensor import DTensor

from ...schemas.base.counted import counted
from .distributed import all_reduce_sum

CHECKED_STEPS = 3
SAMPLE = 4096  # weights of each parameter that are checked
LEAST = 0.5  # of the weights with a gradient; AdamW moves nearly all in fp32, and few in bf16 at rates up to 2e-5


class Sample(NamedTuple):
    """Some weights of a parameter before a step, and which of them have a gradient."""

    weights: torch.Tensor
    places: torch.Tensor
    before: torch.Tensor
    pushed: torch.Tensor


class MovementCheck:
    """Counts, over the first steps with a learning rate, the sampled weights with a gradient, and those that changed.

    It follows the optimizer that takes the steps, so that it sees what is really trained: the model's weights, this process's shards of
    them under FSDP2, or DeepSpeed's own copies, of which it steps a group at a time. The counts of all processes are added.
    """

    def __init__(self) -> None:
        self.steps, self.follows = 0, False
        self.pushed = self.moved = 0.0  # of all processes, in the steps before this one
        self.in_step = [0, 0]  # pushed and moved in this process
        self.samples: list[Sample] = []
        self.kinds: set[str] = set()

    def follow(self, optimizer: Any) -> None:
        """Watch each step of the innermost optimizer: accelerate and DeepSpeed wrap it."""
        while hasattr(optimizer, "optimizer"):
            optimizer = optimizer.optimizer
        self.follows = True
        optimizer.register_step_pre_hook(self._before)
        optimizer.register_step_post_hook(self._after)

    @torch.no_grad()
    def _before(self, optimizer: Any, *_: Any) -> None:
        """Store weights; none after enough steps, or at a rate of 0 (warm-up)."""
        groups = optimizer.param_groups if self.steps < CHECKED_STEPS else ()
        found = [parameter for group in groups if group["lr"] for parameter in group["params"] if parameter.grad is not None]
        self.samples = [_sample(_local(parameter), _local(parameter.grad)) for parameter in found]
        self.kinds |= {str(parameter.dtype).removeprefix("torch.") for parameter in found}

    @torch.no_grad()
    def _after(self, *_: Any) -> None:
        for sample in self.samples:
            changed = sample.weights.flatten()[sample.places] != sample.before
            self.in_step[0] += int(sample.pushed.sum())
            self.in_step[1] += int((changed & sample.pushed).sum())
        self.samples = []

    def after_step(self, device: torch.device) -> str:
        """Return why the training must stop, after the last checked step; else "". Every process must call this after each step."""
        if not self.follows or self.steps >= CHECKED_STEPS:
            return ""
        pushed, moved = (all_reduce_sum(count, device) for count in self.in_step)
        self.in_step = [0, 0]
        if not pushed:
            return ""
        self.steps, self.pushed, self.moved = self.steps + 1, self.pushed + pushed, self.moved + moved
        if self.steps < CHECKED_STEPS or self.moved >= LEAST * self.pushed:
            return ""
        share, kinds = 100 * self.moved / self.pushed, ", ".join(sorted(self.kinds))
        return (
            f"in the first {counted(self.steps, 'step')} {share:.1f} % of the weights that have a gradient changed: "
            f"their type ({kinds}) cannot represent steps this small; increase learning_rate, or set precision: fp32"
        )


def _local(tensor: torch.Tensor) -> torch.Tensor:
    """Return what of a tensor is in this process: its shard, or all of it."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor.detach()


def _sample(weights: torch.Tensor, gradient: torch.Tensor) -> Sample:
    places = torch.arange(0, weights.numel(), max(weights.numel() // SAMPLE, 1), device=weights.device)
    return Sample(weights, places, weights.flatten()[places].clone(), gradient.flatten()[places] != 0)
