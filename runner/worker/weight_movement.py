"""Check that optimizer steps change the weights: a step may be smaller than the resolution of the weights' type."""

from typing import Any, NamedTuple

import torch

CHECKED_STEPS = 3
SAMPLE = 4096  # weights of each parameter that are checked
LEAST = 0.5  # of the weights with a gradient; AdamW moves nearly all in fp32, and few in bf16 at rates up to 2e-5


class Sample(NamedTuple):
    """Some weights of a parameter before a step, and which of them have a gradient."""

    parameter: torch.Tensor
    places: torch.Tensor
    before: torch.Tensor
    pushed: torch.Tensor


class MovementCheck:
    """Counts, over the first steps with a learning rate, the sampled weights with a gradient, and those that changed."""

    def __init__(self) -> None:
        self.steps = self.pushed = self.moved = 0
        self.samples: list[Sample] = []

    @torch.no_grad()
    def before_step(self, model: Any, rate: float) -> None:
        """Store weights; nothing after enough steps, or if the rate is 0 (warm-up)."""
        self.samples = []
        if self.steps >= CHECKED_STEPS or not rate:
            return
        for parameter in model.parameters():
            if parameter.requires_grad and parameter.grad is not None:
                stride = max(parameter.numel() // SAMPLE, 1)
                places = torch.arange(0, parameter.numel(), stride, device=parameter.device)
                pushed = parameter.grad.flatten()[places] != 0
                self.samples.append(Sample(parameter, places, parameter.detach().flatten()[places].clone(), pushed))

    @torch.no_grad()
    def after_step(self) -> str:
        """Return why the training must stop, after the last checked step; else ""."""
        if not self.samples:
            return ""
        self.steps += 1
        for sample in self.samples:
            changed = sample.parameter.detach().flatten()[sample.places] != sample.before
            self.pushed += int(sample.pushed.sum())
            self.moved += int((changed & sample.pushed).sum())
        kinds = {str(sample.parameter.dtype).removeprefix("torch.") for sample in self.samples}
        self.samples = []
        if self.steps < CHECKED_STEPS or self.moved >= LEAST * self.pushed:
            return ""
        share = 100 * self.moved / self.pushed
        return (
            f"in the first {self.steps} steps {share:.1f} % of the weights that have a gradient changed: "
            f"their type ({', '.join(sorted(kinds))}) cannot represent steps this small; increase learning_rate, or set precision: fp32"
        )
