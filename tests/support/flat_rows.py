"""Rows of unequal length with padding and without, and the attention of torch's varlen kernel, which is there on a GPU only."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch
from recipekit.runner.worker.text_data import BlockCollator
from recipekit.runner.worker.varlen import in_the_type_of_autocast
from torch.nn.functional import scaled_dot_product_attention
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_flash_attention_utils import prepare_fa_kwargs_from_position_ids
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

SIZES = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "head_dim": 8, "use_cache": False,
}  # fmt: skip
BY_LENGTHS = "by_lengths"
FLAT = BlockCollator(SimpleNamespace(pad_token_id=0), flatten=True)


def rows(number: int) -> list[dict[str, list[int]]]:
    """Rows of very unequal length that count upwards, of which the last tokens are trained: all but the first in some, one in others."""
    draw = torch.Generator().manual_seed(1)
    found = []
    for row in range(number):
        start, length = int(torch.randint(0, 61, (), generator=draw)), 2 + int(torch.randint(1, 40, (), generator=draw))
        ids = [3 + (start + at) % 61 for at in range(length)]
        trained = 1 + row % (len(ids) - 1)
        found.append({"input_ids": ids, "labels": [-100] * (len(ids) - trained) + ids[-trained:], "attention_mask": [1] * len(ids)})
    return found


def padded(chosen: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
    """As transformers' own collator pads them."""
    longest = max(len(row["input_ids"]) for row in chosen)
    fill = {"input_ids": 0, "labels": -100, "attention_mask": 0}
    return {key: torch.tensor([row[key] + [value] * (longest - len(row[key])) for row in chosen]) for key, value in fill.items()}


def trained_tokens(chosen: list[dict[str, list[int]]]) -> int:
    """As transformers counts them."""
    return sum(label != -100 for row in chosen for label in row["labels"][1:])


@contextmanager
def attention_by_lengths() -> Iterator[SimpleNamespace]:
    """What torch's varlen kernel computes: attention within the lengths that the positions tell, without a mask. It is there by the name
    BY_LENGTHS while the block runs, which gets the numbers of rows and the types that it saw."""

    def forward(
        module: Any, query: Any, key: Any, value: Any, attention_mask: Any, scaling: Any = None, position_ids: Any = None, **_: Any
    ):
        assert attention_mask is None
        seen.types.update({query.dtype, key.dtype, value.dtype})
        starts: Any = prepare_fa_kwargs_from_position_ids(position_ids)[0][0]
        parts = [slice(a, b) for a, b in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)]
        seen.rows.append(len(parts))
        out = [scaled_dot_product_attention(query[:, :, part], key[:, :, part], value[:, :, part], is_causal=True, scale=scaling,
                                            enable_gqa=True) for part in parts]  # fmt: skip
        return torch.cat(out, dim=2).transpose(1, 2), None

    seen = SimpleNamespace(rows=[], types=set())
    ALL_ATTENTION_FUNCTIONS.register(BY_LENGTHS, in_the_type_of_autocast(forward))
    ALL_MASK_ATTENTION_FUNCTIONS.register(BY_LENGTHS, lambda *args, **kwargs: None)
    try:
        yield seen
    finally:
        del ALL_ATTENTION_FUNCTIONS._global_mapping[BY_LENGTHS], ALL_MASK_ATTENTION_FUNCTIONS._global_mapping[BY_LENGTHS]
