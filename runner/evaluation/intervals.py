"""Intervals: exact ones for proportions, elsewhere a bootstrap over rows with the same resamples for every model.

The bootstrap's percentiles are too narrow for few rows, by the factor that Student's t and n / (n - 1) correct for a mean; its interval is
taken at percentiles that are further out by as much ("expanded percentile", Hesterberg 2015). One row has no interval.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .metrics import Metric
from .significance import p_value

RESAMPLES = 2000
NO_INTERVAL = (math.nan, math.nan)


class Estimate(NamedTuple):
    """A number with its interval."""

    value: float
    low: float
    high: float


class Difference(NamedTuple):
    """The difference between two models with its paired interval. `significant`: by the permutation test, at the interval's confidence."""

    value: float
    low: float
    high: float
    p_value: float
    significant: bool


def draw_resamples(rows: int, seed: int = 0, count: int = RESAMPLES) -> np.ndarray:
    """How often each row is drawn in each resample, as a (count, rows) matrix of whole numbers."""
    return np.random.default_rng(seed).multinomial(rows, [1 / rows] * rows, size=count)


def point(metric: Metric, rows: Sequence[Any]) -> float:
    """The metric over the rows."""
    return _value(metric, stats_of(metric, rows))


def bootstrap(metric: Metric, rows: Sequence[Any], resamples: np.ndarray, confidence: float) -> Estimate:
    """The metric over the rows with its interval."""
    stats = stats_of(metric, rows)
    measured = stats[stats.any(axis=1)]
    if _is_proportion(measured):
        low, high = _exact(int(measured[:, 0].sum()), len(measured), confidence)
        scale = metric.aggregate(1, 1)
        return Estimate(_value(metric, stats), low * scale, high * scale)
    return Estimate(_value(metric, stats), *_interval(_resampled(metric, stats, resamples), len(measured), confidence))


def difference(metric: Metric, before: Sequence[Any], after: Sequence[Any], resamples: np.ndarray, confidence: float) -> Difference:
    """after - before, of the same rows."""
    stats = stats_of(metric, before), stats_of(metric, after)
    with np.errstate(invalid="ignore"):  # infinite in both: there is no difference
        change = _resampled(metric, stats[1], resamples) - _resampled(metric, stats[0], resamples)
    measured = int((stats[0].any(axis=1) | stats[1].any(axis=1)).sum())
    interval = _interval(change, measured, confidence)
    p = p_value(metric, *stats)
    return Difference(_value(metric, stats[1]) - _value(metric, stats[0]), *interval, p, p <= 1 - confidence + 1e-12)


def stats_of(metric: Metric, rows: Sequence[Any]) -> np.ndarray:
    """The row stats, of shape (rows, sums)."""
    return np.array([metric.row_stats(row) for row in rows], dtype=float)


def _value(metric: Metric, stats: np.ndarray) -> float:
    return metric.aggregate(*map(float, stats.sum(axis=0)))


def _resampled(metric: Metric, stats: np.ndarray, resamples: np.ndarray) -> np.ndarray:
    return np.array([metric.aggregate(*sums) for sums in (resamples @ stats).tolist()])


def _interval(values: np.ndarray, measured: int, confidence: float) -> tuple[float, float]:
    """Expanded percentiles of the resampled values; none of fewer than two measured rows."""
    from scipy.special import ndtr, stdtrit

    finite = values[np.isfinite(values)]
    if measured < 2 or not len(finite):
        return NO_INTERVAL
    tail = 100 * float(ndtr(math.sqrt(measured / (measured - 1)) * stdtrit(measured - 1, (1 - confidence) / 2)))
    low, high = np.percentile(finite, [tail, 100 - tail])
    return float(low), float(high)


def _is_proportion(stats: np.ndarray) -> bool:
    """Whether every measured row counts as one, and is a hit or none."""
    return stats.shape[1] == 2 and len(stats) > 0 and bool((stats[:, 1] == 1).all() and np.isin(stats[:, 0], (0, 1)).all())


def _exact(hits: int, rows: int, confidence: float) -> tuple[float, float]:
    """Clopper and Pearson's interval of a proportion."""
    from scipy.special import betaincinv

    tail = (1 - confidence) / 2
    low = float(betaincinv(hits, rows - hits + 1, tail)) if hits else 0.0
    return low, float(betaincinv(hits + 1, rows - hits, 1 - tail)) if hits < rows else 1.0
