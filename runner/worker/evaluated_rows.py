"""Check the rows to evaluate before the model is loaded: what would stop their evaluation must not be found after the training."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from ...schemas.sections import Recipe
from ..evaluation.evaluated_rows import rows_that_no_training_reads
from .classification import tokenise_rows
from .label_audit import audit_problems, row_facts, row_problems
from .prepared_rows import long_rows_fault
from .tokenization import of_record_type, tokenise


def evaluation_faults(cfg: Any, tokenizer: Any, recipe: Recipe) -> list[str]:
    """Return, in words, why rows of the test split or of further sets cannot be evaluated as this recipe trains. The validation rows are
    audited with the training rows; texts are split into blocks, whatever their length."""
    faults: list[str] = []
    for name, record_type, lines in rows_that_no_training_reads(Path(), recipe):
        rows = [orjson.loads(line) for line in lines]
        if record_type == "chat":
            faults += _chat_faults(of_record_type(cfg, record_type), tokenizer, name, rows)
        elif record_type == "classification":
            faults += _classification_faults(cfg, tokenizer, name, rows)
    return faults


def _chat_faults(cfg: Any, tokenizer: Any, name: str, rows: list[dict[str, Any]]) -> list[str]:
    if found := row_problems(cfg, tokenizer, name, rows):
        return found
    with TemporaryDirectory() as folder:
        path = Path(folder, "rows.jsonl")
        path.write_bytes(b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows))
        tokenised = tokenise(cfg, tokenizer, path)
    return audit_problems({name: row_facts(cfg, tokenizer, rows, tokenised)}, cfg) if tokenised else [_none_left(name, cfg)]


def _classification_faults(cfg: Any, tokenizer: Any, name: str, rows: list[dict[str, Any]]) -> list[str]:
    tokenised = tokenise_rows(rows, tokenizer, cfg.labels, cfg.sequence_len, cfg.excess_length_strategy)
    if tokenised.long and cfg.excess_length_strategy == "raise":
        return [long_rows_fault(name, tokenised.long, cfg.sequence_len)]
    return [] if tokenised.rows else [_none_left(name, cfg)]


def _none_left(name: str, cfg: Any) -> str:
    return f"every {name} row is longer than training.sequence_len ({cfg.sequence_len}), and would be dropped: increase it"
