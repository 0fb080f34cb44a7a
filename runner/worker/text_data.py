"""Plain texts as blocks for continued pre-training, with an account of every token."""

from typing import Any

from .packing import block_of, document_ids, pack, pieces
from .prepared_rows import Prepared, split_rows, step_faults
from .tokenization import IGNORED


def prepare(cfg: Any, tokenizer: Any) -> Prepared:
    """Both splits as data sets of blocks (of single pieces without packing)."""
    from datasets import Dataset

    report, found = {}, {}
    for split, records in split_rows(cfg).items():
        blocks, report[split] = blocks_of(records, tokenizer, cfg.sequence_len, cfg.pack_blocks)
        found[split] = Dataset.from_list(blocks)
    return Prepared(found["train"], found.get("validation"), report, step_faults(cfg, len(found["train"])))


def blocks_of(
    records: list[dict[str, Any]], tokenizer: Any, sequence_len: int, packed: bool
) -> tuple[list[dict[str, list[int]]], dict[str, Any]]:
    """The blocks, and what became of the tokens: every one but a document's first is trained, exactly once."""
    documents = [document_ids(record["text"], tokenizer) for record in records]
    parts = [pieces(ids, sequence_len) for ids in documents]
    flat = [piece for document in parts for piece in document]
    chosen = pack([len(piece.input_ids) for piece in flat], sequence_len) if packed else [[index] for index in range(len(flat))]
    blocks = [block_of([flat[index] for index in block]) for block in chosen]
    trained = sum(label != IGNORED for block in blocks for label in block["labels"])
    tokens = sum(map(len, documents))
    if trained != tokens - len(documents):
        raise AssertionError(f"{tokens - len(documents)} tokens should be trained, {trained} are")
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
        "untrained_rows": [record["id"] for record, ids in zip(records, documents, strict=True) if len(ids) < 2],
    }
