"""Accuracy, macro-F1, a row for each label, the confusion matrix and the calibration error of a classification."""

from typing import Any, cast

import numpy as np

BINS = 10


def training_scores(predictions: Any, truth: Any, labels: list[str]) -> dict[str, float]:
    """accuracy, macro_f1 and f1_<label>, each from 0 to 1. `predictions` are logits of shape (rows, labels), alone or first of a tuple."""
    logits = predictions[0] if isinstance(predictions, tuple) else predictions
    chosen = np.argmax(logits, axis=-1)
    table = per_class(list(truth), chosen.tolist(), labels)
    measured = {f"f1_{row['label']}": row["f1"] for row in table if row["rows"]}
    return {"accuracy": float(np.mean(chosen == truth)), "macro_f1": macro_f1(table), **measured}


def per_class(truth: list[int], predicted: list[int], labels: list[str]) -> list[dict[str, Any]]:
    """precision, recall, f1 (0 where nothing was predicted), rows and predicted rows of each label."""
    from sklearn.metrics import precision_recall_fscore_support

    columns: Any = precision_recall_fscore_support(truth, predicted, labels=range(len(labels)), zero_division=cast(Any, 0))
    counts = np.bincount(predicted, minlength=len(labels))
    return [
        {"label": label, "precision": float(p), "recall": float(r), "f1": float(f), "rows": int(rows), "predicted": int(count)}
        for label, p, r, f, rows, count in zip(labels, *columns, counts, strict=True)
    ]


def macro_f1(table: list[dict[str, Any]]) -> float:
    """The mean F1 over the labels that occur, as scikit-learn takes it: in the truth or among the predictions."""
    return float(np.mean([row["f1"] for row in table if row["rows"] or row["predicted"]]))


def confusion(truth: list[int], predicted: list[int], labels: list[str]) -> list[list[int]]:
    """Rows by true label (down) and predicted label (across)."""
    from sklearn.metrics import confusion_matrix

    return confusion_matrix(truth, predicted, labels=range(len(labels))).tolist()


def calibration_error(truth: list[int], probabilities: list[tuple[float, ...]]) -> float:
    """Expected calibration error (Guo et al. 2017), 0 to 1: how far confidence is from accuracy, over 10 equal bins of confidence."""
    table = np.asarray(probabilities)
    confidence, right = table.max(axis=1), table.argmax(axis=1) == np.asarray(truth)
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [abs(right[bins == b].mean() - confidence[bins == b].mean()) * (bins == b).mean() for b in range(BINS) if (bins == b).any()]
    return float(sum(gaps))
