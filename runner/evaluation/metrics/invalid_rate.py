"""Invalid rate: the percentage of replies that are none of evaluation.labels. 0 to 100.

Such a reply counts as wrong in accuracy and macro-F1: it is left out of no denominator.
"""

from . import LabelPrediction, percent

UNIT = "%"
BETTER = "lower"
NEEDS_REPLY = True
ON_REFERENCE = False

value = percent


def parts(case: LabelPrediction) -> tuple[float, float]:
    """1 for a reply that is no label."""
    return float(case.predicted < 0), 1
