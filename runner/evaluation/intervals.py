"""Intervals: a paired bootstrap over rows, the same resamples for every model, so that differences are of the same rows."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .metrics import Metric

RESAMPLES = 2000


class Estimate(NamedTuple):
    """A number with its interval."""

    value: float
    low: float
    high: float


def resamples(rows: int, seed: int = 0, count: int = RESAMPLES) -> np.ndarray:
    """How often each row is drawn in each resample, as a (count, rows) matrix of whole numbers."""
    return np.random.default_rng(seed).multinomial(rows, [1 / rows] * rows, size=count)


def point(metric: Metric, cases: Sequence[Any]) -> float:
    """The metric over the cases."""
    return metric.aggregate(*map(float, _parts(metric, cases).sum(axis=0)))


def estimate(metric: Metric, cases: Sequence[Any], draws: np.ndarray, confidence: float) -> Estimate:
    """The metric over the cases with its percentile interval."""
    parts = _parts(metric, cases)
    return Estimate(metric.aggregate(*map(float, parts.sum(axis=0))), *_interval(_resampled(metric, parts, draws), confidence))


def difference(metric: Metric, before: Sequence[Any], after: Sequence[Any], draws: np.ndarray, confidence: float) -> Estimate:
    """after - before with its paired interval; when that holds 0, the two are not distinguishable."""
    values, total = [], 0.0
    for sign, cases in ((-1, before), (1, after)):
        parts = _parts(metric, cases)
        values.append(sign * _resampled(metric, parts, draws))
        total += sign * metric.aggregate(*map(float, parts.sum(axis=0)))
    with np.errstate(invalid="ignore"):  # infinite in both: no difference can be told
        change = values[0] + values[1]
    return Estimate(total, *_interval(change, confidence))


def _parts(metric: Metric, cases: Sequence[Any]) -> np.ndarray:
    """Shape (cases, sums)."""
    return np.array([metric.row_stats(case) for case in cases], dtype=float)


def _resampled(metric: Metric, parts: np.ndarray, draws: np.ndarray) -> np.ndarray:
    return np.array([metric.aggregate(*sums) for sums in (draws @ parts).tolist()])


def _interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return math.nan, math.nan
    tail = (1 - confidence) / 2 * 100
    low, high = np.percentile(finite, [tail, 100 - tail])
    return float(low), float(high)
