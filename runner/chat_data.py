"""Chats as Axolotl tokenises them, audited before the model is loaded."""

from typing import Any

from .prepared import Prepared
from .token_audit import audit, faults_of


def prepare(cfg: Any, tokenizer: Any) -> Prepared:
    """Axolotl's own data sets, with what they train counted from their tensors."""
    from axolotl.common.datasets import load_datasets

    try:
        meta = load_datasets(cfg=cfg)
    except ValueError as error:
        if "sequence" not in str(error).lower():
            raise
        meta = None  # excess_length_strategy: raise names no row; the audit does
    report = audit(cfg, tokenizer, meta)
    faults = faults_of(report, cfg)
    if meta is None:
        if not faults:
            raise AssertionError("Axolotl refused the rows' length, but no row is too long")
        return Prepared(None, None, report, faults)
    return Prepared(meta.train_dataset, meta.eval_dataset, report, faults)
