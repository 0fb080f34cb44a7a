"""Scores of minimal pairs: the percentage of right pairs in each file, and the mean over files, with intervals and paired tests.

A file is measured like any other metric (intervals.py). The mean gives each file the same weight, however many pairs it has; its interval
is a t interval with the standard error of a stratified mean, for pairs drawn again within each file (Cochran 1977, chapter 5).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .intervals import LEAST_ROWS, NO_INTERVAL, ROUNDING, Difference, Estimate
from .scoring import BASE, TUNED, YES, as_table, measured
from .significance import holm, p_value

Pairs = Mapping[str, Sequence[bool]]  # file -> whether the model is right in each pair

MEAN = "mean of the files"
RIGHT = YES._replace(higher_is_better=True)
_SUM = YES._replace(aggregate=lambda total: total)


def minimal_pair_scores(base: Pairs, tuned: Pairs, confidence: float, seed: int = 0) -> dict[str, Any]:
    """Return the number of pairs of each file, and two tables: the mean over files, tested by itself, and the files, tested together."""
    pairs = {name: len(right) for name, right in base.items()}
    rows = sum(pairs.values())
    (of_base, of_tuned), (change,) = means((base, tuned), confidence)
    of_means = {BASE: {MEAN: of_base}, TUNED: {MEAN: of_tuned}}
    return {
        "pairs": pairs,
        "mean": as_table({MEAN: RIGHT}, rows, confidence, BASE, of_means, {MEAN: change}),
        "files": measured(dict.fromkeys(pairs, RIGHT), {BASE: base, TUNED: tuned}, rows, confidence, seed),
    }


def means(columns: Sequence[Pairs], confidence: float) -> tuple[list[Estimate], list[Difference]]:
    """Return the mean over files of each model, and how each differs from the first, tested together (Holm)."""
    shares = [[np.array(of_model[name]) * 100.0 for name in columns[0]] for of_model in columns]
    changes = [mean_difference(shares[0], of_model, confidence) for of_model in shares[1:]]
    adjusted = holm([change.p_value for change in changes])
    clear = [change.significant and p <= 1 - confidence + ROUNDING for change, p in zip(changes, adjusted, strict=True)]
    return (
        [_within_limits(mean_over_files(of_model, confidence)) for of_model in shares],
        [change._replace(significant=is_clear) for change, is_clear in zip(changes, clear, strict=True)],
    )


def mean_over_files(files: Sequence[np.ndarray], confidence: float) -> Estimate:
    """Return the mean of the files' means; without an interval if there are too few pairs or all are alike."""
    from scipy.special import stdtrit

    value = float(np.mean([values.mean() for values in files]))
    pairs = sum(map(len, files))
    if pairs < LEAST_ROWS or min(map(len, files)) < 2:
        return Estimate(value, *NO_INTERVAL)
    error = float(np.sqrt(sum(values.var(ddof=1) / len(values) for values in files))) / len(files)
    half = error * -float(stdtrit(pairs - len(files), (1 - confidence) / 2))
    return Estimate(value, value - half, value + half) if error else Estimate(value, *NO_INTERVAL)


def mean_difference(before: Sequence[np.ndarray], after: Sequence[np.ndarray], confidence: float) -> Difference:
    """Return how the mean over files differs on the same pairs, with a permutation test that swaps the models within pairs."""
    found = mean_over_files([new - old for old, new in zip(before, after, strict=True)], confidence)
    shares = [np.concatenate([values / (len(values) * len(files)) for values in files])[:, None] for files in (before, after)]
    p = p_value(_SUM, *shares)
    return Difference(*found, p, p <= 1 - confidence + ROUNDING and not found.low <= 0 <= found.high)


def _within_limits(percentage: Estimate) -> Estimate:
    """Return the percentage with an interval that does not leave 0 to 100."""
    return Estimate(percentage.value, *(float(np.clip(end, 0, 100)) for end in percentage[1:]))
