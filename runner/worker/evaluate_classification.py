"""A trained classifier and its baselines over the held-out rows; run by the evaluator when the records are classified texts.

Appends lines of model, id, label, predicted and probabilities to eval/predictions.jsonl, batch by batch. The base model is no baseline
here: before training its head is random numbers.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification

from ..evaluation.classification_baselines import BASELINES
from ..runtime.progress import Progress, read_lines
from .classification import tokenise_rows
from .prepared_rows import long_rows_fault

ROWS, PREDICTIONS, TRAIN = Path("eval/rows.jsonl"), Path("eval/predictions.jsonl"), Path("data/train.jsonl")
TUNED = "tuned"


def classify(request: dict[str, Any], cfg: Any, tokenizer: Any, progress: Progress) -> None:
    """Answer the request. Rows longer than sequence_len are treated as in training: refused, left out or cut."""
    labels, records = list(cfg.labels), read_lines(ROWS)
    tokenised = tokenise_rows(records, tokenizer, labels, cfg.sequence_len, cfg.excess_length_strategy)
    if tokenised.long and cfg.excess_length_strategy == "raise":
        progress.event("refused", what=long_rows_fault("evaluation", tokenised.long, cfg.sequence_len))
        raise SystemExit(1)
    given = {record["id"]: record for record in records}
    rows = sorted(tokenised.rows, key=lambda row: (len(row["input_ids"]), row["id"]))
    done = {(line["model"], line["id"]) for line in read_lines(PREDICTIONS)}
    total = len(rows) * (len(BASELINES) + 1)
    for name, answers in _answers(request, cfg, tokenizer, rows, given, done):
        with PREDICTIONS.open("a", encoding="utf-8") as stream:
            for row_id, probabilities in answers:
                chosen = labels[max(range(len(labels)), key=probabilities.__getitem__)]
                line = {"model": name, "id": row_id, "label": given[row_id]["label"], "predicted": chosen}
                rounded = {label: round(p, 6) for label, p in zip(labels, probabilities, strict=True)}
                stream.write(json.dumps({**line, "probabilities": rounded}, ensure_ascii=False) + "\n")
                done.add((name, row_id))
        progress.event("evaluate", model=name, done=len(done), total=total)
    progress.event("evaluated", done=len(done), total=total)


Answers = list[tuple[str, list[float]]]


def _answers(
    request: dict[str, Any], cfg: Any, tokenizer: Any, rows: list[dict[str, Any]], given: dict[str, Any], done: set[tuple[str, str]]
) -> Iterator[tuple[str, Answers]]:
    """(model, answers) batch by batch: the trained model, then each baseline at once."""
    waiting = [row for row in rows if (TUNED, row["id"]) not in done]
    if waiting:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model = load_classifier(request, list(cfg.labels), tokenizer, device)
        size = request["generation"]["batch_size"]
        for start in range(0, len(waiting), size):
            batch = waiting[start : start + size]
            yield TUNED, list(zip([row["id"] for row in batch], probabilities_of(model, tokenizer, batch, device), strict=True))
    train = read_lines(TRAIN)
    for name, baseline in BASELINES.items():
        ids = [row["id"] for row in rows if (name, row["id"]) not in done]
        if ids:
            found = baseline(train, [given[row_id]["text"] for row_id in ids], list(cfg.labels), cfg.class_weights)
            yield name, list(zip(ids, found, strict=True))


def load_classifier(request: dict[str, Any], labels: Sequence[str], tokenizer: Any, device: str, folder: str = "model") -> Any:
    """The trained model in `folder` with its head; an adapter is put on the base, whose head it replaces."""
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    model: Any
    if not request["adapter"]:
        model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=dtype)
    else:
        from peft import PeftModel

        base = AutoModelForSequenceClassification.from_pretrained(
            request["base_model"], num_labels=len(labels), dtype=dtype, revision=request["revision"],
            trust_remote_code=request["trust_remote_code"],
        )  # fmt: skip
        model = PeftModel.from_pretrained(base, folder)
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    return model.to(device).eval()


@torch.inference_mode()
def probabilities_of(model: Any, tokenizer: Any, batch: list[dict[str, Any]], device: str) -> list[list[float]]:
    """A probability for each label, for each row of the batch, padded on the right as in training."""
    tokenizer.padding_side = "right"
    inputs = tokenizer.pad({key: [row[key] for row in batch] for key in ("input_ids", "attention_mask")}, return_tensors="pt").to(device)
    return model(**inputs).logits.float().softmax(-1).tolist()
