"""Chats as tokenised by Axolotl, audited before the model is loaded."""

from typing import Any

from . import axolotl_patches
from .label_audit import audit, audit_problems, end_of_turn_problem, template_refusals
from .packing import block_of, pack, piece_of
from .prepared_rows import Prepared, split_rows, step_faults
from .word_audit import WordAudit


def prepare(cfg: Any, tokenizer: Any) -> Prepared:
    """Return Axolotl's datasets, with an audit of the tokens that they train."""
    rows = split_rows(cfg)
    words = WordAudit(cfg, tokenizer)
    if refused := template_refusals(words, rows, cfg.template_name):
        return Prepared(None, None, {split: {"rows": len(records)} for split, records in rows.items()}, refused)
    try:
        meta = axolotl_patches.load(cfg)
    except ValueError as error:
        if "sequence" not in str(error).lower():
            raise
        meta = None  # Axolotl's error names no row; the audit does
    report = audit(cfg, tokenizer, meta, rows, words)
    faults = audit_problems(report, cfg, end_of_turn_problem(cfg, tokenizer))
    if meta is None:
        if not faults:
            raise AssertionError("Axolotl refused the rows' length, but no row is too long")
        return Prepared(None, None, report, faults)
    train = meta.train_dataset
    if cfg.pack_blocks and not faults:
        train = packed(train, cfg.sequence_len)
        report["train"] |= block_facts(train, cfg.sequence_len)
        faults = step_faults(cfg, len(train))
    return Prepared(train, meta.eval_dataset, report, faults)


def packed(rows: Any, sequence_len: int) -> Any:
    """Pack the rows, each whole and once, into a dataset of blocks; validation stays unpacked, so that its loss is per row."""
    from datasets import Dataset

    parts = [piece_of(row) for row in rows]
    blocks = pack([len(part.input_ids) for part in parts], sequence_len)
    return Dataset.from_list([block_of([parts[index] for index in block]) for block in blocks])


def block_facts(blocks: Any, sequence_len: int) -> dict[str, Any]:
    """Return how many blocks there are, and the share of their positions that have a token."""
    tokens = sum(len(block["input_ids"]) for block in blocks)
    return {"blocks": len(blocks), "fill": round(tokens / (len(blocks) * sequence_len), 4)}
