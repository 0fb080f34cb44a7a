"""Check that optimizer steps change the weights: a step may be smaller than the resolution of the weights' type."""

from typing import Any, NamedTuple

import torch
from torch.distributed.tensor import DTensor

from ...schemas.base.counted import counted
from .distributed import all_reduce_sum

CHECKED_STEPS = 3
NARROW = (torch.bfloat16, torch.float16)
NEAR_FULL = 0.9  # of a group's learning rate; while it rises, a type may not represent steps that it can later
SAMPLE = 4096  # weights of each parameter that are checked
LEAST = 0.5  # of the weights with a gradient; AdamW moves nearly all in fp32, and few in bf16 at rates up to 2e-5


class Sample(NamedTuple):
    """Some weights of a parameter before a step, and which of them have a gradient."""

    weights: torch.Tensor
    places: torch.Tensor
    before: torch.Tensor
    pushed: torch.Tensor


class MovementCheck:
    """Counts, over the first steps at the full learning rate, the sampled weights with a gradient, and those that changed.

    It follows the optimizer that takes the steps, so that it sees what is really trained: the model's weights, this process's shards of
    them under FSDP2, or DeepSpeed's own copies, of which it steps a group at a time. The counts of all processes are added. Beside an
    adapter, which is in fp32, only the modules that are trained whole in 16 bits are counted.
    """

    def __init__(self) -> None:
        self.steps, self.follows, self.only_narrow = 0, False, False
        self.pushed = self.moved = 0.0  # of all processes, in the steps before this one
        self.in_step = [0, 0]  # pushed and moved in this process
        self.samples: list[Sample] = []
        self.kinds: set[str] = set()

    def follow(self, optimizer: Any, has_adapter: bool = False) -> None:
        """Watch each step of the innermost optimizer: accelerate and DeepSpeed wrap it. Of an adapter alone, nothing need be watched."""
        while hasattr(optimizer, "optimizer"):
            optimizer = optimizer.optimizer
        self.only_narrow = has_adapter
        parameters = (parameter for group in optimizer.param_groups for parameter in group["params"])  # ZeRO 3 has none between steps
        if has_adapter and not any(self._counts(parameter) for parameter in parameters):
            return
        self.follows = True
        optimizer.register_step_pre_hook(self._before)
        optimizer.register_step_post_hook(self._after)

    def _counts(self, parameter: torch.Tensor) -> bool:
        return not self.only_narrow or parameter.dtype in NARROW

    @torch.no_grad()
    def _before(self, optimizer: Any, *_: Any) -> None:
        """Store weights; none after enough steps, or while the learning rate rises."""
        groups = [group for group in optimizer.param_groups if _is_at_full_rate(group)] if self.steps < CHECKED_STEPS else ()
        found = [weight for group in groups for weight in group["params"] if weight.grad is not None and self._counts(weight)]
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
        which = " of modules trained whole beside the adapter" if self.only_narrow else ""
        return (
            f"in {counted(self.steps, 'step')} at the full learning rate, {share:.1f} % of the weights{which} that have a gradient "
            f"changed: their type ({kinds}) cannot represent steps this small; increase learning_rate, or set precision: fp32"
        )


def _is_at_full_rate(group: dict[str, Any]) -> bool:
    """Return whether a group's rate is close to the highest that its schedule gives it; without one, whether it has a rate."""
    return group["lr"] > 0 and group["lr"] >= NEAR_FULL * group.get("max_lr", group.get("initial_lr", 0))


def _local(tensor: torch.Tensor) -> torch.Tensor:
    """Return what of a tensor is in this process: its shard, or all of it."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor.detach()


def _sample(weights: torch.Tensor, gradient: torch.Tensor) -> Sample:
    places = torch.arange(0, weights.numel(), max(weights.numel() // SAMPLE, 1), device=weights.device)
    return Sample(weights, places, weights.flatten()[places].clone(), gradient.flatten()[places] != 0)
