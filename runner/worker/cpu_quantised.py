"""4-bit layers on a CPU: right, and as fast as their full-precision twins.

Two faults of bitsandbytes 0.50.2 there. On a CPU with AVX512-BF16 a layer repacks itself for inference at the first evaluation, and from
then on its forward pass has no gradient: training goes on with everything below cut off, and nothing says so (seen: grad_norm 0.13
instead of 0.7). And each pass unpacks the frozen weight again, which costs as much as the multiplication. So the weight is unpacked
once: the same numbers, bit for bit, for the memory that the unquantised base would take.
"""

from collections.abc import Callable
from typing import Any

import torch

from ..runtime.machine import UNPACKED_SHARE


def make_trainable(model: Any, memory: int) -> int:
    """Mend every 4-bit layer of the model; return how many keep their weight unpacked (none where memory, in bytes, is too small)."""
    layers = [module for module in model.modules() if hasattr(module, "support_avx512bf16_for_cpu")]
    for layer in layers:
        layer.support_avx512bf16_for_cpu = False
    unpacked_bytes = sum(4 * layer.in_features * layer.out_features for layer in layers)
    if unpacked_bytes > UNPACKED_SHARE * memory:
        return 0
    for layer in layers:
        layer.forward = _unpacked_forward(layer)
    return len(layers)


def _unpacked_forward(layer: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    unpacked: list[torch.Tensor] = []

    def forward(x: torch.Tensor) -> torch.Tensor:
        if not unpacked:
            from bitsandbytes.functional import dequantize_4bit

            unpacked.append(dequantize_4bit(layer.weight.data, layer.weight.quant_state).to(layer.compute_dtype or x.dtype))
        weight = unpacked[0]
        return torch.nn.functional.linear(x.to(weight.dtype), weight, layer.bias).to(x.dtype)

    return forward
