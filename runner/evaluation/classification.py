"""Score predicted labels for eval/metrics.json: the trained model against its baselines, by label, with the confusion matrix.

The baselines are the majority class, a label named in the text, and a linear model on word counts.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from ...schemas.base.counted import counted_of
from ...schemas.base.words import WORD
from ...schemas.sections import Evaluation
from ..runtime.progress import read_lines
from .intervals import point
from .label_schemes import pair_of, scheme_of
from .metrics import LabelPrediction, metric
from .scoring import TUNED, check_gates, damaged, require_same_rows, score_models

NO_BASE = "The base model is not measured: its classification head is random before training, unless it was trained for these labels."
BINS = 10
FEATURES = 100_000


def read_classified(predictions: Path, labels: list[str]) -> dict[str, list[LabelPrediction]]:
    """Return the rows of each model, the same rows in the same order for all. Raises UserError if the file is damaged."""
    index = {label: number for number, label in enumerate(labels)}
    by_model: dict[str, dict[str, LabelPrediction]] = {}
    for line in read_lines(predictions, "model", "id", "label", "predicted", "probabilities"):
        if not {line["label"], line["predicted"], *line["probabilities"]} <= set(labels) or len(line["probabilities"]) < len(labels):
            raise damaged(predictions, f"the line of row {line['id']!r} does not have the labels of the data")
        probabilities = tuple(line["probabilities"][label] for label in labels)
        row = LabelPrediction(line["id"], index[line["label"]], index[line["predicted"]], len(labels), probabilities)
        by_model.setdefault(line["model"], {})[row.id] = row
    require_same_rows(predictions, by_model)
    return {model: [rows[row_id] for row_id in sorted(rows)] for model, rows in by_model.items()}


def score_classified(
    evaluation: Evaluation, columns: dict[str, list[LabelPrediction]], labels: list[str], chosen: int, facts: dict[str, Any]
) -> dict[str, Any]:
    """Return the content of metrics.json. The trained model is compared with the best baseline on the first metric.

    `chosen` is the number of rows to evaluate; those longer than sequence_len may be missing.
    """
    first = metric(evaluation.metrics[0])
    baseline = max((model for model in columns if model != TUNED), key=lambda model: point(first, columns[model]))
    notes = [NO_BASE]
    if missing := chosen - len(columns[TUNED]):
        notes.append(f"{counted_of(missing, chosen, 'row', 'are')} longer than sequence_len and dropped, as in training.")
    found = score_models(evaluation, columns, baseline)
    return {
        **facts,
        **found,
        "gates": check_gates(evaluation, found, facts.get("losses")),
        "notes": notes,
        "labels": labels,
        "by_label": {model: per_class([r.truth for r in rows], [r.predicted for r in rows], labels) for model, rows in columns.items()},
        "confusion": confusion([r.truth for r in columns[TUNED]], [r.predicted for r in columns[TUNED]], labels),
        "calibration_error": {
            model: round(calibration_error([r.truth for r in rows], [r.probabilities for r in rows]), 6) for model, rows in columns.items()
        },
        **dimensions(columns, labels),
    }


def dimensions(columns: dict[str, list[LabelPrediction]], labels: list[str]) -> dict[str, Any]:
    """Return the scores of each letter for every model, if the labels consist of letters (MBTI types); else {}."""
    if (scheme := scheme_of(labels)) is None:
        return {}
    named = {model: ([labels[r.truth] for r in rows], [labels[r.predicted] for r in rows]) for model, rows in columns.items()}
    return {"dimensions": {model: scheme.scores(*pair) for model, pair in named.items()}}


def training_scores(predictions: Any, truth: Any, labels: list[str]) -> dict[str, float]:
    """Return accuracy, macro_f1 and f1_<label>, from 0 to 1. `predictions` are logits of shape (rows, labels), alone or first in a
    tuple."""
    logits = predictions[0] if isinstance(predictions, tuple) else predictions
    chosen = np.argmax(logits, axis=-1)
    table = per_class(list(truth), chosen.tolist(), labels)
    measured = {f"f1_{row['label']}": row["f1"] for row in table if row["rows"]}
    return {"accuracy": float(np.mean(chosen == truth)), "macro_f1": macro_f1(table), **measured}


def per_class(truth: list[int], predicted: list[int], labels: list[str]) -> list[dict[str, Any]]:
    """Return precision, recall, f1 (0 if nothing was predicted), rows and predicted rows of each label."""
    from sklearn.metrics import precision_recall_fscore_support

    columns: Any = precision_recall_fscore_support(truth, predicted, labels=range(len(labels)), zero_division=cast(Any, 0))
    counts = np.bincount(predicted, minlength=len(labels))
    return [
        {"label": label, "precision": float(p), "recall": float(r), "f1": float(f), "rows": int(rows), "predicted": int(count)}
        for label, p, r, f, rows, count in zip(labels, *columns, counts, strict=True)
    ]


def macro_f1(table: list[dict[str, Any]]) -> float:
    """Return the mean F1 over the labels in the truth or the predictions, as in scikit-learn."""
    return float(np.mean([row["f1"] for row in table if row["rows"] or row["predicted"]]))


def confusion(truth: list[int], predicted: list[int], labels: list[str]) -> list[list[int]]:
    """Return the number of rows by true label (rows) and predicted label (columns)."""
    from sklearn.metrics import confusion_matrix

    return confusion_matrix(truth, predicted, labels=range(len(labels))).tolist()


def calibration_error(truth: list[int], probabilities: list[tuple[float, ...]]) -> float:
    """Return the expected calibration error (Guo et al. 2017), 0 to 1: the gap between confidence and accuracy over 10 equal bins."""
    table = np.asarray(probabilities)
    confidence, right = table.max(axis=1), table.argmax(axis=1) == np.asarray(truth)
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [abs(right[bins == b].mean() - confidence[bins == b].mean()) * (bins == b).mean() for b in range(BINS) if (bins == b).any()]
    return float(sum(gaps))


Rows = list[dict[str, Any]]
ClassWeights = Mapping[str, float] | Literal["balanced"] | None
Baseline = Callable[[Rows, list[str], list[str], ClassWeights], list[list[float]]]


def majority(train: Rows, texts: list[str], labels: list[str], class_weights: ClassWeights) -> list[list[float]]:
    """Give every text each label with its share of the training rows."""
    counts = Counter(row["label"] for row in train)
    return [[counts[label] / len(train) for label in labels]] * len(texts)


def mentioned(train: Rows, texts: list[str], labels: list[str], class_weights: ClassWeights) -> list[list[float]]:
    """Give every text each label with its share of the labels that the text names; a text that names none gets the majority's.

    A single letter of a label (of an MBTI type) is named by a word that is a whole label. Its score shows how much the texts reveal.
    """
    fallback = majority(train, texts[:1], labels, class_weights)[:1]
    of_letters = pair_of(labels)
    place = of_letters and of_letters[0].pairs.index(of_letters[1])
    folded = {label.casefold(): label for label in labels}
    names = of_letters[0].pattern.casefold() if of_letters else "|".join(map(re.escape, folded))
    # Both are folded, instead of re.IGNORECASE: it finds `ikna` in `İkna` and `ıkna`, which no folding makes equal.
    pattern = re.compile(rf"(?<![^\W_])({names})(?:['’]?s)?(?![^\W_])")
    found = []
    for text in texts:
        words = pattern.findall(text.casefold())
        counts = Counter(folded[word if place is None else word[place]] for word in words)
        found.append([counts[label] / len(words) for label in labels] if words else fallback[0])
    return found


def tfidf(train: Rows, texts: list[str], labels: list[str], class_weights: ClassWeights) -> list[list[float]]:
    """Fit a logistic regression on the TF-IDF of words and pairs of words, with the recipe's class weights.

    Where no training text has a word, as with emoji alone, every text gets the majority's.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    if not any(re.search(WORD, row["text"]) for row in train):
        return majority(train, texts, labels, class_weights)
    vectorizer = TfidfVectorizer(token_pattern=WORD, ngram_range=(1, 2), sublinear_tf=True, max_features=FEATURES)
    weights = dict(class_weights) if isinstance(class_weights, Mapping) else class_weights
    model = make_pipeline(vectorizer, LogisticRegression(max_iter=1000, class_weight=weights))
    model.fit([row["text"] for row in train], [row["label"] for row in train])
    columns = {label: column for column, label in enumerate(model.classes_)}
    return [[float(row[columns[label]]) for label in labels] for row in model.predict_proba(texts)]


# name in predictions.jsonl and metrics.json -> probabilities (texts, labels) from (training rows, texts, labels, class weights)
BASELINES: dict[str, Baseline] = {"majority": majority, "mentioned": mentioned, "tfidf": tfidf}
