"""Plain texts as blocks for continued pre-training, with every token accounted for."""

from dataclasses import dataclass
from typing import Any

import torch

from .labels import IGNORED
from .loss import can_choose_positions
from .packing import block_of, document_ids, pack, piece_of, pieces
from .prepared_rows import Prepared, split_rows, step_faults
from .unread import text_notes


def prepare(cfg: Any, tokenizer: Any) -> Prepared:
    """Return both splits as datasets of blocks (of single pieces without packing)."""
    from datasets import Dataset

    report, found = {}, {}
    for split, records in split_rows(cfg).items():
        blocks, report[split] = blocks_of(records, tokenizer, cfg.sequence_len, cfg.pack_blocks)
        found[split] = Dataset.from_list(blocks)
    return Prepared(found["train"], found.get("validation"), report, step_faults(cfg, len(found["train"])))


def blocks_of(
    records: list[dict[str, Any]], tokenizer: Any, sequence_len: int, packed: bool
) -> tuple[list[dict[str, list[int]]], dict[str, Any]]:
    """Return the blocks, and the token counts: every token but a document's first is trained exactly once."""
    documents = [document_ids(record["text"], tokenizer) for record in records]
    parts = [pieces(ids, sequence_len) for ids in documents]
    flat = [piece for document in parts for piece in document]
    chosen = pack([len(piece.input_ids) for piece in flat], sequence_len) if packed else [[index] for index in range(len(flat))]
    blocks = [block_of([flat[index] for index in block]) for block in chosen]
    trained = sum(label != IGNORED for block in blocks for label in block["labels"])
    tokens = sum(map(len, documents))
    if trained != tokens - len(documents):
        raise AssertionError(f"{tokens - len(documents)} tokens should be trained, but {trained} are")
    lengths = [len(block["input_ids"]) for block in blocks]
    return blocks, {
        "rows": len(records),
        "trained_rows": len(blocks),
        "tokens": tokens,
        "trained": trained,
        "masked": sum(lengths) - trained,
        "longest": max(lengths),
        "split_documents": sum(len(document) > 1 for document in parts),
        "fill": round(sum(lengths) / (len(blocks) * sequence_len), 4),
        **text_notes(tokenizer, ((r["id"], r["text"], ids) for r, ids in zip(records, documents, strict=True))),
        "untrained_rows": [record["id"] for record, ids in zip(records, documents, strict=True) if len(ids) < 2],
    }


@dataclass
class BlockCollator:
    """Pads blocks on the right. There is no attention mask: without one, transformers separates documents by their positions.

    `flatten` joins a batch's blocks into one row, in which flash attention uses positions too.

    A row without positions is a block of its own. Axolotl's `pad_to_multiple_of` is not used: the plan counts no padding here.
    """

    tokenizer: Any
    flatten: bool = False
    pad_to_multiple_of: int | None = None
    padding: bool = True
    return_tensors: str = "pt"

    def __call__(self, blocks: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        """Return tensors of shape (blocks, longest block), or flattened (1, all tokens). Padding has its own positions from 0, like a
        document that trains nothing."""
        blocks = [block if "position_ids" in block else block_of([piece_of(block)]) for block in blocks]
        if self.flatten:
            blocks = [{key: [value for block in blocks for value in block[key]] for key in ("input_ids", "labels", "position_ids")}]
        longest = max(len(block["input_ids"]) for block in blocks)
        fill = {"input_ids": lambda n: [self.tokenizer.pad_token_id] * n, "labels": lambda n: [IGNORED] * n, "position_ids": range}
        return {
            key: torch.tensor([[*block[key], *missing(longest - len(block[key]))] for block in blocks]) for key, missing in fill.items()
        }


PROBED = 16  # positions at a document's start, where a leak of the one before shows first
SAME, ALIKE = 1e-3, 0.1  # in fp32; in 16 bits, where other shapes are rounded otherwise


@torch.no_grad()  # not inference_mode: tensors cached in it could not be used in training
def reads_documents_apart(model: Any, block: dict[str, list[int]], rows: int) -> bool:
    """Return whether the model's output at the start of a block's second document is that of the document alone, and does not change with
    the first: an attention that reaches back, or positions that count on, would train another text.

    Tested on a batch of `rows` equal blocks, because flash attention separates documents only in batches of one. Alone, the document gets
    no positions, as in evaluation.
    """
    starts = [at for at, position in enumerate(block["position_ids"]) if position == 0] + [len(block["position_ids"])]
    second, end = starts[1], starts[2]
    ids = torch.tensor([block["input_ids"]] * rows, device=model.device)
    others = ids.clone()
    others[:, :second] = (others[:, :second] + 1) % model.config.get_text_config().vocab_size
    positions = torch.tensor([block["position_ids"]] * rows, device=model.device)
    kept = torch.arange(second, min(second + PROBED, end), device=model.device)
    was_training = model.training
    model.eval()
    before, after = (_logits_at(model, kept, input_ids=tokens, position_ids=positions) for tokens in (ids, others))
    alone = _logits_at(model, kept - second, input_ids=ids[:, second:end])
    model.train(was_training)
    if model.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(model.device)  # exclude this test from the training's peak
    is_exact = all(weight.dtype is torch.float32 for weight in model.parameters())  # some models widen the logits of 16 bits
    before, after, alone = before.float(), after.float(), alone.float()
    leaks = (before - after).abs().max() > SAME * before.abs().max()
    return not leaks and bool((before - alone).norm() <= (SAME if is_exact else ALIKE) * alone.norm())


def _logits_at(model: Any, kept: torch.Tensor, **inputs: torch.Tensor) -> torch.Tensor:
    """Return the logits (rows, kept positions, words)."""
    if can_choose_positions(model):
        return model(**inputs, logits_to_keep=kept).logits
    return model(**inputs).logits[:, kept]


def first_shared(blocks: Any) -> dict[str, list[int]] | None:
    """Return the first block with more than one document."""
    return next((block for block in blocks if block["position_ids"].count(0) > 1), None)
