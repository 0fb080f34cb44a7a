"""Accuracy: the share of rows that were given their own label. 0 to 1."""

from . import LabelPrediction, ratio

UNIT = ""
BETTER = "higher"
NEEDS_REPLY = False
ON_REFERENCE = False

value = ratio


def parts(case: LabelPrediction) -> tuple[float, float]:
    """1 for a right label."""
    return float(case.truth == case.predicted), 1
