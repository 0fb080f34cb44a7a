"""Cross entropy summed in chunks of rows, so that the logits of a whole batch never exist.

For a vocabulary of 152,000 words and 8,192 trained tokens, the logits, their fp32 copy and the gradients of both would take 15 GB.
"""

from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.nn.functional import cross_entropy, linear
from torch.utils.checkpoint import checkpoint

from .labels import IGNORED

CHUNK = 1 << 26  # logits per chunk: 256 MiB in fp32
FP16_SCALE = 1024.0  # most probabilities are too small for fp16; scaling by a power of two is exact


def chunks(rows: int, words: int) -> list[slice]:
    """Cut `rows` rows of logits over `words` words into slices of at most CHUNK logits."""
    size = max(CHUNK // words, 1)
    return [slice(start, start + size) for start in range(0, rows, size)]


def logits_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Sum the cross entropy of logits (rows, words) in fp32; IGNORED labels do not count.

    Each chunk's fp32 copy is recomputed in the backward pass, and never kept.
    """

    def part(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return cross_entropy(logits.float(), labels, ignore_index=IGNORED, reduction="sum")

    parts = [checkpoint(part, logits[rows], labels[rows], use_reentrant=False) for rows in chunks(*logits.shape)]
    return torch.stack(parts).sum() if parts else logits.sum().float()


def head_loss(hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, labels: torch.Tensor) -> torch.Tensor:
    """Sum the cross entropy of the logits that a linear head computes from `hidden` (rows, width), in fp32."""
    return _HeadLoss.apply(hidden, weight, bias, labels, torch.is_grad_enabled())


def _scaled_gradients(ctx: Any, outer: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    pairs = zip(ctx.saved_tensors, ctx.dtypes, strict=True)
    return (*(None if gradient is None else (gradient * outer).to(dtype) for gradient, dtype in pairs), None, None)


class _HeadLoss(torch.autograd.Function):
    """Computes logits, loss and gradients chunk by chunk: the loss is a sum, so its gradients are known in the forward pass."""

    @staticmethod
    def forward(ctx: Any, hidden: Any, weight: Any, bias: Any, labels: Any, with_gradients: bool) -> torch.Tensor:
        device = hidden.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype
        gradients = [
            torch.zeros_like(tensor, dtype=torch.float32) if with_gradients and asked else None
            for tensor, asked in zip((hidden, weight, bias), ctx.needs_input_grad, strict=False)
        ]
        with torch.autocast(device, enabled=False):
            total = _add_up(hidden.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype), labels, gradients)
        ctx.save_for_backward(*gradients)
        ctx.dtypes = (hidden.dtype, weight.dtype, None if bias is None else bias.dtype)
        return total

    backward: Any = staticmethod(once_differentiable(_scaled_gradients))


def _add_up(
    hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, labels: torch.Tensor, gradients: list[torch.Tensor | None]
) -> torch.Tensor:
    """Return the loss, and add the gradients of hidden, weight and bias to the given tensors."""
    of_hidden, of_weight, of_bias = gradients
    total = torch.zeros((), dtype=torch.float32, device=hidden.device)
    scale = FP16_SCALE if weight.dtype == torch.float16 else 1.0
    for rows in chunks(len(hidden), len(weight)):
        targets = labels[rows, None]
        scores = linear(hidden[rows], weight, bias).float()
        scores -= scores.amax(dim=1, keepdim=True)
        of_target = scores.gather(1, targets)
        sums = scores.exp_().sum(dim=1, keepdim=True)
        total += (sums.log() - of_target).sum()
        if all(gradient is None for gradient in gradients):
            continue
        scores /= sums
        scores.scatter_add_(1, targets, scores.new_full(targets.shape, -1.0))
        push = scores.mul_(scale).to(weight.dtype)
        if of_hidden is not None:
            of_hidden[rows] = (push @ weight).float() / scale
        if of_weight is not None:
            of_weight += (push.T @ hidden[rows]).float() / scale
        if of_bias is not None:
            of_bias += push.float().sum(dim=0) / scale
    return total
