"""Several replies generated together, each with its own sampling, seed and end: prompts padded on the left, one cache, and rows that
have ended leave the batch, so that nobody waits for the longest.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from .loading import LoadedModel


@dataclass
class Reply:
    """A reply as it is generated. `on_token` is told of each token; `cancelled` is set when nobody waits any more."""

    prompt_ids: list[int]
    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    seed: int = 0
    on_token: Callable[["Reply"], object] = lambda reply: None
    token_ids: list[int] = field(default_factory=list)
    finish: str = ""
    cancelled: bool = False


@torch.inference_mode()
def decode(served: LoadedModel, replies: Sequence[Reply]) -> None:
    """Generate every reply to its end: a stop token (`stop`), its longest length (`length`), or nobody waiting (`cancelled`)."""
    from transformers import DynamicCache

    alive = list(replies)
    generators = {id(reply): torch.Generator().manual_seed(reply.seed) for reply in alive}
    longest = max(len(reply.prompt_ids) for reply in alive)
    ids = torch.full((len(alive), longest), served.pad_id)
    mask = torch.zeros((len(alive), longest), dtype=torch.long)
    for row, reply in enumerate(alive):
        ids[row, longest - len(reply.prompt_ids) :] = torch.tensor(reply.prompt_ids)
        mask[row, longest - len(reply.prompt_ids) :] = 1
    ids, mask = ids.to(served.device), mask.to(served.device)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    cache = DynamicCache(config=served.model.config)
    while alive:
        # Without logits_to_keep a long prompt's logits over the whole vocabulary fill gigabytes.
        output = served.model(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True, logits_to_keep=1
        )
        logits = output.logits[:, -1].float().cpu()
        for row, reply in enumerate(alive):
            _advance(reply, _pick(logits[row], reply, generators[id(reply)]), served.stop_ids)
        staying = [row for row, reply in enumerate(alive) if not reply.finish]
        if len(staying) < len(alive):
            alive = [alive[row] for row in staying]
            if not alive:
                return
            kept = torch.tensor(staying, device=served.device)
            cache.batch_select_indices(kept)
            mask, positions = mask[kept], positions[kept]
        ids = torch.tensor([[reply.token_ids[-1]] for reply in alive], device=served.device)
        positions = positions[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones((len(alive), 1))], dim=-1)


def _advance(reply: Reply, token: int, stop_ids: frozenset[int]) -> None:
    """Put the token to the reply, or end it."""
    if reply.cancelled:
        reply.finish = "cancelled"
    elif token in stop_ids:
        reply.finish = "stop"
    else:
        reply.token_ids.append(token)
        if len(reply.token_ids) >= reply.max_new_tokens:
            reply.finish = "length"
    reply.on_token(reply)


def _pick(logits: Any, reply: Reply, generator: Any) -> int:
    """The next token of one row: the likeliest at temperature 0, else a draw with the reply's own generator."""
    if reply.repetition_penalty != 1.0:
        said = torch.tensor(sorted({*reply.prompt_ids, *reply.token_ids}))
        scores = logits[said]
        logits[said] = torch.where(scores < 0, scores * reply.repetition_penalty, scores / reply.repetition_penalty)
    if not reply.temperature:
        return int(logits.argmax())
    chances = torch.softmax(logits / reply.temperature, dim=-1)
    if reply.top_p < 1:
        ordered, places = chances.sort(descending=True)
        chances[places[ordered.cumsum(-1) - ordered >= reply.top_p]] = 0  # the likeliest always stays
    return int(torch.multinomial(chances, 1, generator=generator))
