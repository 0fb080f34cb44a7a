"""Levels that a model states (low, medium, high) against the fraction from which each row's level was made, as in introspection.

The fraction is the row's meta.fraction: in introspection, the share of runs that gave the emotion word. Rows without one, and invalid
replies, are ignored by these metrics; see invalid_rate.
"""

from ....schemas.base.errors import UserError
from . import LabelPrediction, register_metric

PERCENTS = 101


def calibration_gap(*sums: float) -> float:
    """Return the mean over rows of |mean fraction - stated confidence| of their level; NaN without rows."""
    levels, rows = len(sums) // 2, sum(sums[::2])
    middles = [(2 * level + 1) / (2 * levels) for level in range(levels)]
    gaps = [abs(total - middle * count) for count, total, middle in zip(sums[::2], sums[1::2], middles, strict=True)]
    return sum(gaps) / rows if rows else float("nan")


def spearman(*sums: float) -> float:
    """Return Pearson's correlation of the mean ranks of both margins of the table; NaN if either side is constant."""
    import numpy as np

    table = np.asarray(sums).reshape(-1, PERCENTS)
    rows = table.sum()
    if not rows:
        return float("nan")
    ranks = [np.cumsum(margin) - (margin - 1) / 2 for margin in (table.sum(axis=1), table.sum(axis=0))]
    down, across = (rank - (rows + 1) / 2 for rank in ranks)
    spread = (table.sum(axis=1) @ down**2) * (table.sum(axis=0) @ across**2)
    return float(down @ table @ across / np.sqrt(spread)) if spread > 1e-9 else float("nan")


@register_metric("level_error", higher_is_better=False, needs="labels", needs_reply=True, aggregate=calibration_gap)
def level_error(row: LabelPrediction) -> tuple[float, ...]:
    """Expected calibration error of the stated levels (Guo et al. 2017, with the levels as bins). 0 to 1.

    A level's confidence is the middle of its equal share of 0 to 1 (1/6, 1/2, 5/6). For each level: the rows with it, and the sum of their
    fractions.
    """
    sums = [0.0] * (2 * row.labels)
    if (fraction := _fraction(row)) is not None:
        sums[2 * row.predicted : 2 * row.predicted + 2] = [1.0, fraction]
    return tuple(sums)


@register_metric("rank_correlation", higher_is_better=True, needs="labels", needs_reply=True, aggregate=spearman)
def rank_correlation(row: LabelPrediction) -> tuple[float, ...]:
    """Spearman's correlation of stated level and fraction, ties at their mean rank. -1 to 1.

    A 1 at the row's cell in the table of levels by percents: whole percents are exact for the ten runs of introspection.
    """
    sums = [0.0] * (row.labels * PERCENTS)
    if (fraction := _fraction(row)) is not None:
        sums[row.predicted * PERCENTS + round(100 * fraction)] = 1.0
    return tuple(sums)


def _fraction(row: LabelPrediction) -> float | None:
    """Return the row's fraction; None for an invalid reply and for a row without one. Raises UserError for what is no share."""
    fraction = row.fraction
    if fraction is not None and not (isinstance(fraction, int | float) and 0 <= fraction <= 1):
        raise UserError(f"row {row.id!r}: meta.fraction: {fraction!r} is not a number from 0 to 1", hint="give shares: 0.4 for 40 percent")
    return None if row.predicted < 0 else fraction
