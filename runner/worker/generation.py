"""Generate replies and label probabilities with a loaded model: one sampler for evaluation, prediction, chat and serving."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch

from .loading import LoadedModel
from .loss import unwrapped
from .model_checks import reads_padding_before

Row = TypeVar("Row")
Answer = TypeVar("Answer")
_READ_PADDING: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


@dataclass
class Reply:
    """A reply during generation. `on_token` is called after each token; set `cancelled` to stop it."""

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


def reply_to(loaded: LoadedModel, row_id: str, prompt_ids: list[int], settings: Mapping[str, Any]) -> Reply:
    """Return a reply to generate with these settings within the model's context, beyond which a GPT-2 has no positions. The row has its own
    seed, so that its reply does not depend on the batch."""
    room = max(min(settings["max_new_tokens"], loaded.context - len(prompt_ids)), 1)
    sampling = settings["temperature"], settings["top_p"], settings.get("repetition_penalty", 1.0)
    seed = blake2b(row_id.encode(), digest_size=7, key=str(settings["seed"]).encode()).digest()
    return Reply(prompt_ids, room, *sampling, seed=int.from_bytes(seed))


@torch.inference_mode()
def generate(loaded: LoadedModel, replies: Sequence[Reply]) -> None:
    """Generate every reply until a stop token (`stop`), its maximum length (`length`), or cancellation (`cancelled`).

    Prompts are padded on the left and share a cache; each reply has its own sampling and seed, and leaves the batch when it ends. Where a
    model reads the padding, prompts of different lengths are answered one by one.
    """
    if len({len(reply.prompt_ids) for reply in replies}) > 1 and _reads_padding(loaded):
        for reply in replies:
            generate(loaded, [reply])
        return
    alive = list(replies)
    generators = {id(reply): torch.Generator().manual_seed(reply.seed) for reply in alive}
    ids, mask = _padded([reply.prompt_ids for reply in alive], loaded)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    options, cache, has_positions = _forward_options(loaded.model)
    while alive:
        output = loaded.model(input_ids=ids, attention_mask=mask, **({"position_ids": positions} if has_positions else {}), **options)
        logits = output.logits[:, -1].float().cpu()
        for row, reply in enumerate(alive):
            _advance(reply, _pick(logits[row], reply, generators[id(reply)]), loaded.stop_ids)
        staying = [row for row, reply in enumerate(alive) if not reply.finish]
        if len(staying) < len(alive):
            alive = [alive[row] for row in staying]
            if not alive:
                return
            kept = torch.tensor(staying, device=loaded.device)
            ids, mask, positions = ids[kept], mask[kept], positions[kept]
            if cache is not None:
                cache.reorder_cache(kept)  # batch_select_indices has no layers of linear attention, as Qwen3-Next's
        new = torch.tensor([[reply.token_ids[-1]] for reply in alive], device=loaded.device)
        following = positions[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones((len(alive), 1))], dim=-1)
        ids, positions = (torch.cat([ids, new], -1), torch.cat([positions, following], -1)) if cache is None else (new, following)


def _reads_padding(loaded: LoadedModel) -> bool:
    """Return whether this model reads the padding of a batch, found by trying it once."""
    if loaded.model not in _READ_PADDING:
        _, _, has_positions = _forward_options(loaded.model)
        _READ_PADDING[loaded.model] = reads_padding_before(loaded.model, loaded.pad_id, has_positions)
    return _READ_PADDING[loaded.model]


def in_memory(answer: Callable[[list[Row]], list[Answer]], batch: list[Row]) -> list[Answer]:
    """Answer a batch, or its halves if the GPU's memory is too small for it: an answer does not depend on its batch."""
    try:
        return answer(batch)
    except torch.OutOfMemoryError:
        if len(batch) == 1:
            raise
    # Outside of the handler: the exception keeps what the attempt computed.
    torch.cuda.empty_cache()
    half = len(batch) // 2
    return [*in_memory(answer, batch[:half]), *in_memory(answer, batch[half:])]


def _padded(prompts: list[list[int]], loaded: LoadedModel) -> tuple[torch.Tensor, torch.Tensor]:
    """Return token ids and attention mask of the prompts, padded on the left."""
    longest = max(map(len, prompts))
    ids = torch.full((len(prompts), longest), loaded.pad_id)
    mask = torch.zeros((len(prompts), longest), dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt)
        mask[row, longest - len(prompt) :] = 1
    return ids.to(loaded.device), mask.to(loaded.device)


def _forward_options(model: Any) -> tuple[dict[str, Any], Any, bool]:
    """Return the options of this model's forward, its cache (None if it needs one of its own kind, and runs without), and whether it takes
    positions.
    """
    from transformers import DynamicCache

    inner = unwrapped(model)
    known = inspect.signature(inner.forward).parameters
    # Without logits_to_keep, the logits of a long prompt fill gigabytes.
    options: dict[str, Any] = {"logits_to_keep": 1} if "logits_to_keep" in known else {}
    if "past_key_values" not in known or not inner._supports_default_dynamic_cache():
        return options | ({"use_cache": False} if "use_cache" in known else {}), None, "position_ids" in known
    cache = DynamicCache(config=inner.config)
    return options | {"past_key_values": cache, "use_cache": True}, cache, "position_ids" in known


def _advance(reply: Reply, token: int, stop_ids: frozenset[int]) -> None:
    """Append the token to the reply, or end it."""
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
    """Return the next token of one row: the most likely one at temperature 0, else drawn with the reply's own generator."""
    if reply.repetition_penalty != 1.0:
        used = torch.tensor(sorted({*reply.prompt_ids, *reply.token_ids}))
        scores = logits[used]
        logits[used] = torch.where(scores < 0, scores * reply.repetition_penalty, scores / reply.repetition_penalty)
    if not reply.temperature:
        return int(logits.argmax())
    probabilities = torch.softmax(logits / reply.temperature, dim=-1)
    if reply.top_p < 1:
        ordered, places = probabilities.sort(descending=True)
        probabilities[places[ordered.cumsum(-1) - ordered >= reply.top_p]] = 0  # the most likely token always remains
    return int(torch.multinomial(probabilities, 1, generator=generator))


@torch.inference_mode()
def label_probabilities(loaded: LoadedModel, rows: Sequence[Sequence[int]]) -> list[list[float]]:
    """Return the probability of each label for each row of token ids, padded on the right as in training."""
    return padded_logits(loaded, rows).softmax(-1).tolist()


def likeliest(labels: Sequence[str], probabilities: Sequence[float]) -> str:
    """Return the label with the highest probability; of several, the first."""
    return labels[max(range(len(probabilities)), key=probabilities.__getitem__)]


def padded_logits(loaded: LoadedModel, rows: Sequence[Sequence[int]]) -> Any:
    """Return a classifier's logits in fp32 for rows of token ids, padded on the right."""
    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[loaded.pad_id] * (longest - len(row))] for row in rows], device=loaded.device)
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=loaded.device)
    return loaded.model(input_ids=ids, attention_mask=mask).logits.float()
