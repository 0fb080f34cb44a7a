"""Macro-F1: the mean over labels of 2 * right / (rows of the label + rows that were given it). 0 to 1.

A rare label counts as much as a common one. As in scikit-learn, a label that occurs neither in the truth nor among the predictions is
left out of the mean. A generated reply that is no label is missed by its own label and is nobody's prediction.
"""

from . import LabelPrediction

UNIT = ""
BETTER = "higher"
NEEDS_REPLY = False
ON_REFERENCE = False


def parts(case: LabelPrediction) -> tuple[float, ...]:
    """For each label: 2 where the row was rightly given it, and how often it is the row's label or prediction (0, 1 or 2)."""
    sums = [0.0] * (2 * case.labels)
    sums[2 * case.truth] = 2.0 * (case.truth == case.predicted)
    sums[2 * case.truth + 1] += 1
    if case.predicted >= 0:
        sums[2 * case.predicted + 1] += 1
    return tuple(sums)


def value(*sums: float) -> float:
    """The mean of the labels' F1; NaN without rows."""
    scores = [right / occurrences for right, occurrences in zip(sums[::2], sums[1::2], strict=True) if occurrences]
    return sum(scores) / len(scores) if scores else float("nan")
