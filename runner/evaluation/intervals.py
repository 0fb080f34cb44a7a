"""Intervals: exact for proportions, otherwise a bootstrap over rows with the same resamples for every model.

The bootstrap is corrected for bias and skew (BCa, Efron 1987). Its percentiles are too narrow for few rows, by the factor that Student's t
and n / (n - 1) correct for a mean, so they are widened by that factor (Hesterberg 2015). There is no interval with too few rows, and none
if every resample has the same value: resampling then cannot show the uncertainty.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from .metrics import Metric
from .significance import holm, p_value

RESAMPLES = 2000
LEAST_ROWS = 10  # for a bootstrap; benchmarks/significance.py measures the coverage from there on
Key = TypeVar("Key", bound=Hashable)
NO_INTERVAL = (math.nan, math.nan)
ROUNDING = 1e-12


class Estimate(NamedTuple):
    """A number with its interval."""

    value: float
    low: float
    high: float


class Difference(NamedTuple):
    """The difference between two models with its paired interval.

    `significant`: by the permutation test at the interval's confidence, and the interval, if there is one, excludes 0.
    """

    value: float
    low: float
    high: float
    p_value: float
    significant: bool


def draw_resamples(rows: int, seed: int = 0, count: int = RESAMPLES) -> np.ndarray:
    """Return how often each row is drawn in each resample, as a (count, rows) matrix of integers."""
    return np.random.default_rng(seed).multinomial(rows, [1 / rows] * rows, size=count)


def point(metric: Metric, rows: Sequence[Any]) -> float:
    """Return the metric over the rows."""
    return _value(metric, stats_of(metric, rows))


def rows_needed(metric: Metric, rows: Sequence[Any]) -> int:
    """Return how many rows a bootstrap interval of the metric needs."""
    return max(LEAST_ROWS, metric.rows_per_label * rows[0].labels) if metric.rows_per_label and rows else LEAST_ROWS


def bootstrap(metric: Metric, rows: Sequence[Any], resamples: np.ndarray, confidence: float) -> Estimate:
    """Return the metric over the rows with its interval."""
    stats = stats_of(metric, rows)
    value, is_measured = _value(metric, stats), _measured(stats)
    measured = stats[is_measured]
    if rows and isinstance(metric.row_stats(rows[0])[0], bool):
        low, high = _exact(int(measured[:, 0].sum()), len(measured), confidence)
        scale = metric.aggregate(1, 1)
        return Estimate(value, low * scale, high * scale)
    if len(measured) < rows_needed(metric, rows):
        return Estimate(value, *NO_INTERVAL)
    return Estimate(value, *_interval(_resampled(metric, stats, resamples), value, _each_left_out(metric, stats, is_measured), confidence))


def difference(metric: Metric, before: Sequence[Any], after: Sequence[Any], resamples: np.ndarray, confidence: float) -> Difference:
    """Return after - before on the same rows, with its interval and its own test. For a table use `differences`."""
    stats = stats_of(metric, before), stats_of(metric, after)
    value = _value(metric, stats[1]) - _value(metric, stats[0])
    interval = NO_INTERVAL
    measured = _measured(stats[0]) | _measured(stats[1])
    if measured.sum() >= rows_needed(metric, before):
        with np.errstate(invalid="ignore"):  # infinite in both: no difference
            values = _resampled(metric, stats[1], resamples) - _resampled(metric, stats[0], resamples)
            left_out = _each_left_out(metric, stats[1], measured) - _each_left_out(metric, stats[0], measured)
        interval = _interval(values, value, left_out, confidence)
    p = p_value(metric, *stats)
    is_chance = interval[0] <= 0 <= interval[1]  # False without an interval
    return Difference(value, *interval, p, p <= 1 - confidence + ROUNDING and not is_chance)


def differences(
    compared: Mapping[Key, tuple[Metric, Sequence[Any], Sequence[Any]]], resamples: Mapping[int, np.ndarray], confidence: float
) -> dict[Key, Difference]:
    """Return the differences of one table from (metric, rows before, rows after), with resamples of the same number of rows.

    They are tested together: the more are compared, the clearer one must be to be significant (Holm).
    """
    found = {key: difference(*of_key, resamples[len(of_key[1])], confidence) for key, of_key in compared.items()}
    adjusted = holm([change.p_value for change in found.values()])
    return {
        key: change._replace(significant=change.significant and p <= 1 - confidence + ROUNDING)
        for (key, change), p in zip(found.items(), adjusted, strict=True)
    }


def stats_of(metric: Metric, rows: Sequence[Any]) -> np.ndarray:
    """Return the row stats, of shape (rows, sums)."""
    return np.array([metric.row_stats(row) for row in rows], dtype=float)


def _measured(stats: np.ndarray) -> np.ndarray:
    """Return which rows are measured: a row that is not contributes to no sum."""
    return np.any(stats, axis=1, keepdims=True)[:, 0]


def _value(metric: Metric, stats: np.ndarray) -> float:
    return metric.aggregate(*map(float, stats.sum(axis=0)))


def _resampled(metric: Metric, stats: np.ndarray, resamples: np.ndarray) -> np.ndarray:
    return np.array([metric.aggregate(*sums) for sums in (resamples @ stats).tolist()])


def _each_left_out(metric: Metric, stats: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Return the metric without each of the measured rows."""
    total = stats.sum(axis=0)
    return np.array([metric.aggregate(*sums) for sums in (total - stats[measured]).tolist()])


def _interval(values: np.ndarray, value: float, left_out: np.ndarray, confidence: float) -> tuple[float, float]:
    """Return the interval from the resampled values, the value itself, and the values without each row.

    https://en.wikipedia.org/wiki/Bootstrapping_(statistics)#Methods_for_bootstrap_confidence_intervals
    """
    from scipy.special import ndtr, ndtri, stdtrit

    finite, left_out = values[np.isfinite(values)], left_out[np.isfinite(left_out)]
    if not math.isfinite(value) or len(left_out) < 2 or not len(finite) or np.ptp(finite) <= 1e-12 * abs(value):
        return NO_INTERVAL
    rows = len(left_out)
    expanded = math.sqrt(rows / (rows - 1)) * stdtrit(rows - 1, (1 - confidence) / 2)
    below = ((finite < value).sum() + (finite == value).sum() / 2) / len(finite)
    bias = ndtri(np.clip(below, 0.5 / len(finite), 1 - 0.5 / len(finite)))
    gaps = left_out.mean() - left_out
    spread = (gaps**2).sum() ** 1.5
    skew = (gaps**3).sum() / (6 * spread) if spread else 0.0
    ends = []
    for quantile in (expanded, -expanded):
        room = 1 - skew * (bias + quantile)
        ends.append(ndtr(bias + (bias + quantile) / room) if room > 0 else float(quantile > 0))
    low, high = np.quantile(finite, ends)
    return float(low), float(high)


def _exact(hits: int, rows: int, confidence: float) -> tuple[float, float]:
    """Return the Clopper-Pearson interval of a proportion."""
    from scipy.special import betaincinv

    tail = (1 - confidence) / 2
    low = float(betaincinv(hits, rows - hits + 1, tail)) if hits else 0.0
    return low, float(betaincinv(hits + 1, rows - hits, 1 - tail)) if hits < rows else 1.0
