"""Rank correlation: Spearman's, between the level that a model states and the true fraction, ties at their mean rank. -1 to 1.

Levels are ordered as in evaluation.labels; the fraction is the row's meta.fraction, taken in whole percent, which is exact for the ten
runs of introspection. Invalid replies and rows without a fraction have no part in it. Not a number where either side is constant, as
the majority baseline is.
"""

import numpy as np

from . import LabelPrediction

UNIT = ""
BETTER = "higher"
NEEDS_REPLY = True
ON_REFERENCE = False
PERCENTS = 101


def parts(case: LabelPrediction) -> tuple[float, ...]:
    """A 1 at the row's place in the table of levels by percents."""
    sums = [0.0] * (case.labels * PERCENTS)
    if case.predicted >= 0 and case.fraction is not None:
        sums[case.predicted * PERCENTS + round(100 * case.fraction)] = 1.0
    return tuple(sums)


def value(*sums: float) -> float:
    """Pearson's correlation of the mean ranks of both margins of the table."""
    table = np.asarray(sums).reshape(-1, PERCENTS)
    rows = table.sum()
    if not rows:
        return float("nan")
    ranks = [np.cumsum(margin) - (margin - 1) / 2 for margin in (table.sum(axis=1), table.sum(axis=0))]
    down, across = (rank - (rows + 1) / 2 for rank in ranks)
    spread = (table.sum(axis=1) @ down**2) * (table.sum(axis=0) @ across**2)
    return float(down @ table @ across / np.sqrt(spread)) if spread > 1e-9 else float("nan")
