"""Predicted labels -> eval/metrics.json: the trained model beside its baselines, by label, with the confusion matrix."""

from pathlib import Path
from typing import Any

from ...schemas.sections import Evaluation
from ..runtime.progress import read_lines
from .classification_scores import calibration_error, confusion, per_class
from .intervals import point
from .mbti import are_types, dimension_scores
from .metrics import Classified, metric
from .scoring import TUNED, check_gates, measured

NO_BASE = "The base model is not measured: before training its classification head is random numbers."


def read_classified(predictions: Path, labels: list[str]) -> dict[str, list[Classified]]:
    """The rows of each model, the same rows in the same order for all."""
    index = {label: number for number, label in enumerate(labels)}
    by_model: dict[str, dict[str, Classified]] = {}
    for line in read_lines(predictions):
        probabilities = tuple(line["probabilities"][label] for label in labels)
        row = Classified(line["id"], index[line["label"]], index[line["predicted"]], len(labels), probabilities)
        by_model.setdefault(line["model"], {})[row.id] = row
    shared = set.intersection(*map(set, by_model.values()))
    return {model: [rows[row_id] for row_id in sorted(shared)] for model, rows in by_model.items()}


def score_classified(
    evaluation: Evaluation, columns: dict[str, list[Classified]], labels: list[str], chosen: int, facts: dict[str, Any]
) -> dict[str, Any]:
    """The content of metrics.json. The trained model is compared with the baseline that does best on the first metric.

    `chosen` is how many rows were to be evaluated; those longer than sequence_len may be missing.
    """
    first = metric(evaluation.metrics[0])
    against = max((model for model in columns if model != TUNED), key=lambda model: point(first, columns[model]))
    notes = [NO_BASE]
    if missing := chosen - len(columns[TUNED]):
        notes.append(f"{missing} of {chosen} rows are longer than sequence_len and were dropped, as in training.")
    found = measured(evaluation, columns, against)
    return {
        **facts,
        **found,
        "gates": check_gates(evaluation, found["models"][TUNED], facts.get("losses")),
        "notes": notes,
        "labels": labels,
        "by_label": {model: per_class([r.truth for r in rows], [r.predicted for r in rows], labels) for model, rows in columns.items()},
        "confusion": confusion([r.truth for r in columns[TUNED]], [r.predicted for r in columns[TUNED]], labels),
        "calibration_error": {
            model: round(calibration_error([r.truth for r in rows], [r.probabilities for r in rows]), 6) for model, rows in columns.items()
        },
        **dimensions(columns, labels),
    }


def dimensions(columns: dict[str, list[Classified]], labels: list[str]) -> dict[str, Any]:
    """Each letter of the MBTI types by itself, for every model, where the labels are types; {} elsewhere."""
    if not are_types(labels):
        return {}
    named = {model: ([labels[r.truth] for r in rows], [labels[r.predicted] for r in rows]) for model, rows in columns.items()}
    return {"dimensions": {model: dimension_scores(*pair) for model, pair in named.items()}}
