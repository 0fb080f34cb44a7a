"""torch's varlen attention in a training of fp32 weights: under autocast too its queries, keys and values are in 16 bits.

Rotary positions of fp32 hidden states are fp32, and so are then queries and keys. autocast converts them for torch's own attention, but
does not know the varlen kernel, which Axolotl uses for 16-bit queries only.
"""

from collections.abc import Callable
from typing import Any

import torch


def use_varlen_for_fp32_weights() -> None:
    """Turn Axolotl's varlen attention on, as it does itself for weights in 16 bits, for queries of any type under autocast."""
    from axolotl.monkeypatch.attention.sdpa_varlen import patch_sdpa_varlen
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    if patch_sdpa_varlen():
        ALL_ATTENTION_FUNCTIONS.register("sdpa", in_the_type_of_autocast(ALL_ATTENTION_FUNCTIONS["sdpa"]))


def in_the_type_of_autocast(attention: Callable[..., Any]) -> Callable[..., Any]:
    """Return the attention for transformers' layers with queries, keys and values converted as autocast converts them for torch's own."""

    def converted(module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        kind = query.device.type
        if torch.is_autocast_enabled(kind):
            query, key, value = (tensor.to(torch.get_autocast_dtype(kind)) for tensor in (query, key, value))
        return attention(module, query, key, value, *args, **kwargs)

    return converted
