"""LoRA layers on a CPU: base and adapter in one autograd function, with PEFT's numbers and random numbers.

PEFT keeps the input of each adapter after dropout, and the noise, both in fp32. Here layers that share an input keep it once, and dropout
as a byte per number. The adapter's output is added by its matrix product, not by passes over whole tensors.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear


class UnpackedForward:
    """The forward pass of a 4-bit layer with its weight dequantised once."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.dequantised: torch.Tensor | None = None

    def weight(self, dtype: torch.dtype) -> torch.Tensor:
        """Return the weight, in the layer's own type if it has one."""
        if self.dequantised is None:
            from bitsandbytes.functional import dequantize_4bit

            with torch.inference_mode(False), torch.no_grad():  # a weight cached during an evaluation must be usable in training
                found = dequantize_4bit(self.layer.weight.data, self.layer.weight.quant_state)
                self.dequantised = found.to(self.layer.compute_dtype or dtype)
        return self.dequantised

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.weight(x.dtype)
        return linear(x.to(weight.dtype), weight, self.layer.bias).to(x.dtype)


def fuse(model: Any) -> int:
    """Give every plain LoRA layer of the model this forward pass; return how many."""
    from peft.tuners.lora.layer import LoraLayer

    layers: list[Any] = [module for module in model.modules() if isinstance(module, LoraLayer) and _weight_of(module) and _is_plain(module)]
    for layer in layers:
        layer.forward = _fused_forward(layer, layer.forward)
    return len(layers)


def _weight_of(layer: Any) -> Callable[[torch.dtype], torch.Tensor] | None:
    """Return what gives the frozen weight; None for a layer that is none of ours."""
    base = layer.get_base_layer()
    if isinstance(base.forward, UnpackedForward):
        return base.forward.weight
    return (lambda dtype: base.weight) if type(base) is torch.nn.Linear and not base.weight.requires_grad else None


def _is_plain(layer: Any) -> bool:
    """Return whether the layer has one adapter that computes B(A(dropout(x)))."""
    names = list(layer.active_adapters)
    if len(names) != 1 or layer.lora_variant or getattr(layer, "fan_in_fan_out", False):
        return False
    parts = (layer.lora_A[names[0]], layer.lora_B[names[0]]) if names[0] in layer.lora_A else ()
    dropout = layer.lora_dropout[names[0]]
    return bool(parts) and all(type(part) is torch.nn.Linear and part.bias is None for part in parts) and (
        type(dropout) in (torch.nn.Dropout, torch.nn.Identity)
    )  # fmt: skip


def _fused_forward(layer: Any, plain: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    (name,) = layer.active_adapters
    down, up, dropout, weight_of = layer.lora_A[name].weight, layer.lora_B[name].weight, layer.lora_dropout[name], _weight_of(layer)
    assert weight_of

    def forward(x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        weight = weight_of(x.dtype)
        if args or kwargs or layer.disable_adapters or layer.merged or {x.dtype, down.dtype} != {weight.dtype}:
            return plain(x, *args, **kwargs)
        rate = dropout.p if isinstance(dropout, torch.nn.Dropout) and layer.training else 0.0
        return _FusedLora.apply(x, weight, layer.get_base_layer().bias, down, up, layer.scaling[name], rate)

    return forward


def _gradients(ctx: Any, outer: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    """Return the gradients of the input and of the adapter's two matrices."""
    rows, kept, weight, down, up, inner = ctx.saved_tensors
    pushed = outer.reshape(-1, len(weight))
    of_inner = (pushed @ up).mul_(ctx.factor)
    of_up = (pushed.T @ inner).mul_(ctx.factor)
    of_down = of_inner.T @ _dropped(rows, kept)
    of_x = None
    if ctx.needs_input_grad[0]:
        of_x = pushed @ weight
        if kept is None:
            of_x.addmm_(of_inner, down)
        else:
            of_x += _dropped(of_inner @ down, kept)
        of_x = of_x.view(ctx.shape)
    return of_x, None, None, of_down, of_up, None, None


class _FusedLora(torch.autograd.Function):
    """x W + b + dropout(x) A B * scaling. W and b are frozen."""

    @staticmethod
    def forward(ctx: Any, x: Any, weight: Any, bias: Any, down: Any, up: Any, scaling: float, rate: float) -> torch.Tensor:
        rows = x.reshape(-1, x.shape[-1])
        kept = torch.empty_like(rows, dtype=torch.bool).bernoulli_(1 - rate) if rate else None
        inner = linear(_dropped(rows, kept), down)
        result = linear(rows, weight, bias)
        factor = scaling / (1 - rate)
        result.addmm_(inner, up.T, alpha=factor)
        ctx.save_for_backward(rows, kept, weight, down, up, inner)
        ctx.factor, ctx.shape = factor, x.shape
        return result.view(*x.shape[:-1], len(weight))

    backward: Any = staticmethod(once_differentiable(_gradients))


def _dropped(rows: torch.Tensor, kept: torch.Tensor | None) -> torch.Tensor:
    """Return the rows with 0 where dropout does not keep a number; the factor of those it keeps is part of the scaling."""
    return rows if kept is None else torch.where(kept, rows, 0.0)
