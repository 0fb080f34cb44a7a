"""Correct and wrong labels, from a classifier or from replies that are labels (evaluation.labels).

A reply that is not one of the labels counts as wrong in accuracy and macro-F1: no denominator leaves it out.
"""

from . import LabelPrediction, percent, register_metric


def mean_f1(*sums: float) -> float:
    """Return the mean of the labels' F1; NaN without rows. As in scikit-learn, a label that neither occurs nor is predicted is ignored."""
    scores = [correct / occurrences for correct, occurrences in zip(sums[::2], sums[1::2], strict=True) if occurrences]
    return sum(scores) / len(scores) if scores else float("nan")


@register_metric("accuracy", higher_is_better=True, record_types=("classification", "chat"), needs="labels")
def accuracy(row: LabelPrediction) -> tuple[float, float]:
    """The share of rows that were given their own label. 0 to 1."""
    return row.truth == row.predicted, 1


@register_metric(
    "macro_f1", higher_is_better=True, record_types=("classification", "chat"), needs="labels", aggregate=mean_f1, rows_per_label=5
)
def macro_f1(row: LabelPrediction) -> tuple[float, ...]:
    """The mean over labels of 2 * correct / (rows of the label + rows that were given it). 0 to 1; a rare label counts as a common one.

    For each label: 2 if the row was correctly given it, and how often it is the row's label or prediction (0, 1 or 2).
    """
    sums = [0.0] * (2 * row.labels)
    sums[2 * row.truth] = 2.0 * (row.truth == row.predicted)
    sums[2 * row.truth + 1] += 1
    if row.predicted >= 0:
        sums[2 * row.predicted + 1] += 1
    return tuple(sums)


@register_metric("invalid_rate", unit="%", higher_is_better=False, needs="labels", needs_reply=True, aggregate=percent)
def invalid_rate(row: LabelPrediction) -> tuple[float, float]:
    """The percentage of replies that are not one of evaluation.labels. 0 to 100."""
    return row.predicted < 0, 1
