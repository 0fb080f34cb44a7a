"""Intervals: a paired bootstrap over rows, the same resamples for every model, so that differences are of the same rows."""

import math
from typing import NamedTuple

import numpy as np

from .metrics import Case, Metric

RESAMPLES = 2000


class Estimate(NamedTuple):
    """A number with its interval."""

    value: float
    low: float
    high: float


def resamples(rows: int, seed: int = 0, count: int = RESAMPLES) -> np.ndarray:
    """How often each row is drawn in each resample, as a (count, rows) matrix of whole numbers."""
    return np.random.default_rng(seed).multinomial(rows, [1 / rows] * rows, size=count)


def estimate(metric: Metric, cases: list[Case], draws: np.ndarray, confidence: float) -> Estimate:
    """The metric over the cases with its percentile interval."""
    numerators, denominators = np.array([metric.parts(case) for case in cases], dtype=float).T
    value = metric.value(float(numerators.sum()), float(denominators.sum()))
    return Estimate(value, *_interval(_resampled(metric, numerators, denominators, draws), confidence))


def difference(metric: Metric, before: list[Case], after: list[Case], draws: np.ndarray, confidence: float) -> Estimate:
    """after - before with its paired interval; when that holds 0, the two are not distinguishable."""
    values, total = [], 0.0
    for sign, cases in ((-1, before), (1, after)):
        numerators, denominators = np.array([metric.parts(case) for case in cases], dtype=float).T
        values.append(sign * _resampled(metric, numerators, denominators, draws))
        total += sign * metric.value(float(numerators.sum()), float(denominators.sum()))
    with np.errstate(invalid="ignore"):  # infinite in both: no difference can be told
        change = values[0] + values[1]
    return Estimate(total, *_interval(change, confidence))


def _resampled(metric: Metric, numerators: np.ndarray, denominators: np.ndarray, draws: np.ndarray) -> np.ndarray:
    sums = zip(draws @ numerators, draws @ denominators, strict=True)
    return np.array([metric.value(float(n), float(d)) for n, d in sums])


def _interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return math.nan, math.nan
    tail = (1 - confidence) / 2 * 100
    low, high = np.percentile(finite, [tail, 100 - tail])
    return float(low), float(high)
