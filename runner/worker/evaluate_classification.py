"""Evaluate a trained classifier and its baselines on the held-out rows; run by the evaluator for classification records.

Appends lines with model, id, label, predicted and probabilities to predictions.jsonl next to the rows, batch by batch. The base model is
not a baseline here: its head is random before training.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..evaluation.classification import BASELINES
from ..runtime.child_requests import EvaluationRequest
from ..runtime.line_sums import append_lines
from ..runtime.progress import Progress, read_lines
from ..runtime.run_files import PREDICTIONS, ROWS, TRAIN_ROWS
from .classification import tokenise_rows
from .generation import in_memory, label_probabilities, likeliest
from .loading import load, reference_of
from .prepared_rows import long_rows_fault

TRAIN = Path(TRAIN_ROWS)
TUNED = "tuned"


def classify(folder: Path, request: EvaluationRequest, cfg: Any, tokenizer: Any, progress: Progress) -> None:
    """Predict the folder's rows. Rows longer than sequence_len are treated as in training: refused, dropped or truncated."""
    predictions = folder / PREDICTIONS
    labels, records = list(cfg.labels), read_lines(folder / ROWS)
    tokenised = tokenise_rows(records, tokenizer, labels, cfg.sequence_len, cfg.excess_length_strategy)
    if tokenised.long and cfg.excess_length_strategy == "raise":
        progress.event("refused", what=long_rows_fault("evaluation", tokenised.long, cfg.sequence_len))
        raise SystemExit(1)
    given = {record["id"]: record for record in records}
    rows = sorted(tokenised.rows, key=lambda row: (len(row["input_ids"]), row["id"]))
    done = {(line["model"], line["id"]) for line in read_lines(predictions)}
    total = len(rows) * (len(BASELINES) + 1)
    for name, answers in _answers(request, cfg, rows, given, done):
        lines = []
        for row_id, probabilities in answers:
            line = {"model": name, "id": row_id, "label": given[row_id]["label"], "predicted": likeliest(labels, probabilities)}
            rounded = {label: round(p, 6) for label, p in zip(labels, probabilities, strict=True)}
            lines.append(json.dumps({**line, "probabilities": rounded}, ensure_ascii=False).encode() + b"\n")
            done.add((name, row_id))
        append_lines(predictions, lines)
        progress.event("evaluate", model=name, done=len(done), total=total)
    progress.event("evaluated", done=len(done), total=total)


Answers = list[tuple[str, list[float]]]


def _answers(
    request: EvaluationRequest, cfg: Any, rows: list[dict[str, Any]], given: dict[str, Any], done: set[tuple[str, str]]
) -> Iterator[tuple[str, Answers]]:
    """Yield (model, answers) batch by batch: the trained model, then each baseline at once."""
    waiting = [row for row in rows if (TUNED, row["id"]) not in done]
    if waiting:
        size, loaded = request["generation"]["batch_size"], load(reference_of(cfg), "classification", bits=request["bits"])
        for start in range(0, len(waiting), size):
            batch = waiting[start : start + size]
            found = in_memory(lambda rows: label_probabilities(loaded, rows), [row["input_ids"] for row in batch])
            yield TUNED, list(zip([row["id"] for row in batch], found, strict=True))
    train = read_lines(TRAIN)
    for name, baseline in BASELINES.items():
        ids = [row["id"] for row in rows if (name, row["id"]) not in done]
        if ids:
            found = baseline(train, [given[row_id]["text"] for row_id in ids], list(cfg.labels), cfg.class_weights)
            yield name, list(zip(ids, found, strict=True))
