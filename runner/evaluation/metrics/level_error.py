"""Level error: how far the levels that a model states lie from the true fractions, an expected calibration error. 0 to 1.

For the ordered labels of evaluation.labels (low, medium, high) the stated confidence is the middle of the level's equal share of 0 to 1
(1/6, 1/2, 5/6). Rows are binned by stated level; the error is the mean over rows of |mean true fraction - stated confidence| of their
bin (Guo et al. 2017, with the levels as bins). The true fraction is the row's meta.fraction: in introspection, the share of runs in
which the emotion word was said. Rows without one, and invalid replies, have no part in it; see invalid_rate.
"""

from . import LabelPrediction

UNIT = ""
BETTER = "lower"
NEEDS_REPLY = True
ON_REFERENCE = False


def parts(case: LabelPrediction) -> tuple[float, ...]:
    """For each level: rows that were given it, and the sum of their true fractions."""
    sums = [0.0] * (2 * case.labels)
    if case.predicted >= 0 and case.fraction is not None:
        sums[2 * case.predicted : 2 * case.predicted + 2] = [1.0, case.fraction]
    return tuple(sums)


def value(*sums: float) -> float:
    """The mean gap; NaN without rows."""
    levels, rows = len(sums) // 2, sum(sums[::2])
    middles = [(2 * level + 1) / (2 * levels) for level in range(levels)]
    gaps = [abs(total - middle * count) for count, total, middle in zip(sums[::2], sums[1::2], middles, strict=True)]
    return sum(gaps) / rows if rows else float("nan")
