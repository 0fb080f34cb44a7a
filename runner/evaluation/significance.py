"""Test whether a difference between two models is more than chance: a paired permutation test (Fisher; Noreen 1989; Dror et al. 2018).

If the models are equally good, the two outcomes of a row are interchangeable. The test swaps them, in every way if feasible and at random
otherwise, and counts how often the difference is at least as large as the measured one. It is valid for any metric and any number of rows:
with fewer than six rows whose outcomes differ, no difference is significant at 95 %.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from .metrics import Metric

PERMUTATIONS = 1999  # with the measured one: 2,000
EXHAUSTIVE = 11  # rows for which all 2 ** 11 permutations are tested
ENOUGH = 200  # permutations as extreme as the measured one: a tenth of all, so that more could not make it significant
_BATCH = 250
_CELLS = 4_000_000  # of a batch (permutations x rows): bounds memory
_TIE = 1e-9  # relative differences up to this are rounding


def p_value(metric: Metric, before: np.ndarray, after: np.ndarray) -> float:
    """Return the share of permutations with a difference at least as large as the measured one; 1 if nothing can be measured.

    `before` and `after` are the row stats of both models, of shape (rows, sums).
    """
    change = (after - before)[(after != before).any(axis=1)]
    totals = before.sum(axis=0), after.sum(axis=0)
    measured = abs(metric.aggregate(*totals[1].tolist()) - metric.aggregate(*totals[0].tolist()))
    if not math.isfinite(measured) or not len(change):
        return 1.0
    least = measured * (1 - _TIE)
    extreme = count = 0
    for swaps in _swaps(len(change)):
        moved = swaps @ change
        for sums_before, sums_after in zip((totals[0] + moved).tolist(), (totals[1] - moved).tolist(), strict=True):
            difference = abs(metric.aggregate(*sums_after) - metric.aggregate(*sums_before))
            extreme += not difference < least  # NaN counts as extreme
            count += 1
        if len(change) > EXHAUSTIVE and extreme >= ENOUGH:
            break
    return extreme / count if len(change) <= EXHAUSTIVE else (extreme + 1) / (count + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values adjusted for their number (Holm 1979): of tables of equal models, one in twenty has any at or below 0.05."""
    adjusted, least = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = least
    return adjusted


def least_rows(confidence: float, tests: int = 1) -> int:
    """Return how many rows are needed for any difference to be significant, where so many are tested together."""
    return math.ceil(math.log2(2 * tests / (1 - confidence)) - _TIE)


def _swaps(rows: int) -> Iterator[np.ndarray]:
    """Yield batches of permutations: 1 if a row's outcomes are swapped."""
    if rows <= EXHAUSTIVE:
        yield (np.arange(2**rows)[:, None] >> np.arange(rows) & 1).astype(float)
        return
    random = np.random.default_rng(0)
    batch = min(max(_CELLS // rows, 1), _BATCH)
    for start in range(0, PERMUTATIONS, batch):
        yield random.integers(0, 2, (min(batch, PERMUTATIONS - start), rows)).astype(float)
